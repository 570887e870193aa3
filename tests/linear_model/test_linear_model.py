"""Lasso and elastic net: solutions, certificates, and scikit-learn's checks."""

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model as theirs
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning as TheirConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot import get_num_threads
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.linear_model import (
    ElasticNet,
    ElasticNetCV,
    Lasso,
    LassoCV,
    SparseLogisticRegression,
    enet_path,
    lasso_path,
)
from sparrot.linear_model import SparseHuberRegression as Huber
from sparrot.linear_model import SparsePoissonRegression as Poisson


@parametrize_with_checks(
    [
        Lasso(alpha=0.1),
        Lasso(alpha=0.01, positive=True, fit_intercept=False),
        ElasticNet(alpha=0.1, l1_ratio=0.3, warm_start=True),
        LassoCV(alphas=5, cv=3),
        ElasticNetCV(alphas=5, cv=3, l1_ratio=[0.5, 1.0]),
    ],
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def correlated(rng, n, p, rho=0.5):
    X = rng.normal(size=(n, p))
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    return X, X[:, :5].sum(1) + 0.5 * rng.normal(size=n) + 3


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("shape", [(40, 15), (25, 60)])
def test_solutions_are_scikit_learns(shape, positive, intercept, share, rng):
    X, y = correlated(rng, *shape)
    centred = X - X.mean(0) if intercept else X
    alpha = share * np.abs(centred.T @ y).max() / len(y)
    sample_weight = rng.random(len(y)) + 0.1
    for weights in (None, sample_weight):
        for l1_ratio in (1.0, 0.6):
            options = {
                "alpha": alpha,
                "l1_ratio": l1_ratio,
                "fit_intercept": intercept,
                "positive": positive,
            }
            expected = theirs.ElasticNet(**options, tol=1e-13, max_iter=10**6).fit(X, y, weights)
            for data in (X, sparse.csc_array(X)):
                found = ElasticNet(**options, tol=1e-13).fit(data, y, weights)
                np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-8)
                np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=1e-8)


def gap_of(X, y, coef, alpha):
    """Return the duality gap of the Lasso without an intercept, from its definition."""
    n = len(y)
    residual = y - X @ coef
    share = min(1.0, alpha * n / np.abs(X.T @ residual).max())
    dual = (y @ y - ((y - share * residual) ** 2).sum()) / (2 * n)
    return residual @ residual / (2 * n) + alpha * np.abs(coef).sum() - dual


def test_gaps_are_never_below_the_true_ones(rng):
    for _ in range(1000):
        n, p = rng.integers(2, 12, size=2)
        X, y = rng.normal(size=(n, p)), rng.normal(size=n)
        alpha = np.abs(X.T @ y).max() / n * rng.choice([0.7, 0.1, 0.01])
        tol = rng.choice([1e-2, 1e-6])
        model = Lasso(alpha=alpha, fit_intercept=False, tol=tol).fit(X, y)
        best = Lasso(alpha=alpha, fit_intercept=False, tol=1e-13).fit(X, y)
        unit = y @ y / (2 * n)
        assert model.objective_ - best.objective_ <= model.dual_gap_ + 1e-14 * unit
        assert model.dual_gap_ <= tol * unit
        # Screened columns are left out of ours, so that it may be the better bound.
        assert model.dual_gap_ <= gap_of(X, y, model.coef_, alpha) + 1e-12 * unit


@pytest.mark.parametrize("share", [1e-2, 1e-3])
def test_correlated_columns_and_small_penalties(share, rng):
    X, y = correlated(rng, 60, 300, rho=0.95)
    y = y - y.mean()
    alpha = share * np.abs(X.T @ y).max() / 60
    model = Lasso(alpha=alpha, fit_intercept=False, tol=1e-10).fit(X, y)
    assert model.converged_
    assert gap_of(X, y, model.coef_, alpha) < 1e-9 * (y @ y) / 120


def test_units_change_nothing(rng):
    X, y = correlated(rng, 50, 80)
    model = Lasso(alpha=0.1).fit(X, y)
    for unit in (2.0**-60, 2.0**60):
        scaled = Lasso(alpha=0.1 * unit).fit(X, unit * y)
        np.testing.assert_array_equal(scaled.coef_, unit * model.coef_)
        scaled = Lasso(alpha=0.1 * unit).fit(unit * X, y)
        np.testing.assert_array_equal(scaled.coef_, model.coef_ / unit)


def test_large_means_cost_no_digits(rng):
    X, y = correlated(rng, 50, 20)
    # X + 1e6 itself is rounded to 1e-10.
    model = Lasso(alpha=0.05, tol=1e-10).fit(X, y)
    moved = Lasso(alpha=0.05, tol=1e-10).fit(X + 1e6, y)
    np.testing.assert_allclose(moved.coef_, model.coef_, atol=1e-8)


def test_weights_of_coefficients(rng):
    X, y = correlated(rng, 60, 10)
    weights = np.array([0, np.inf, 1, 2, 0.5, 1, 1, 3, 0, 1.0])
    model = Lasso(alpha=0.3, weights=weights, tol=1e-12).fit(X, y)
    assert model.coef_[1] == 0
    residual = y - model.predict(X)
    h = (X - X.mean(0)).T @ residual / 60
    np.testing.assert_allclose(h[weights == 0], 0, atol=1e-10)
    there = model.coef_ != 0
    np.testing.assert_allclose(
        h[there], 0.3 * weights[there] * np.sign(model.coef_[there]), atol=1e-9
    )
    out = ~there & np.isfinite(weights)
    assert (np.abs(h[out]) <= 0.3 * weights[out] + 1e-9).all()


def test_sample_weights_repeat_rows(rng):
    X, y = correlated(rng, 30, 12)
    counts = rng.integers(0, 4, size=30)
    weighted = Lasso(alpha=0.1, tol=1e-13).fit(X, y, sample_weight=counts)
    repeated = Lasso(alpha=0.1, tol=1e-13).fit(np.repeat(X, counts, 0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-9)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, atol=1e-9)


def test_float32_stays(rng):
    X, y = correlated(rng, 50, 20)
    single = Lasso(alpha=0.1).fit(X.astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, Lasso(alpha=0.1).fit(X, y).coef_, atol=1e-5)


def test_paths(rng):
    X, y = correlated(rng, 40, 30)
    y = y - y.mean()
    alphas, coefs, gaps, n_iters = lasso_path(X, y, n_alphas=12, tol=1e-10, return_n_iter=True)
    expected, reference, _ = theirs.lasso_path(X, y, alphas=12, tol=1e-12, max_iter=10**6)
    np.testing.assert_allclose(alphas, expected, rtol=1e-12)
    np.testing.assert_allclose(coefs, reference, atol=1e-5)
    assert len(n_iters) == 12
    for k in (3, 11):
        single = Lasso(alpha=alphas[k], fit_intercept=False, tol=1e-10).fit(X, y)
        np.testing.assert_allclose(coefs[:, k], single.coef_, atol=1e-7)
    assert (gaps <= 1e-10 * (y @ y) / 80).all()
    given, _, _ = enet_path(X, y, alphas=[0.1, 1.0, 0.5])
    np.testing.assert_array_equal(given, [1.0, 0.5, 0.1])


def test_cross_validation_is_a_loop_over_folds(rng):
    X, y = correlated(rng, 60, 20)
    alphas = np.array([0.5, 0.1, 0.02])
    model = LassoCV(alphas=alphas, cv=4, tol=1e-12).fit(X, y)
    expected = theirs.LassoCV(alphas=alphas, cv=4, tol=1e-12, max_iter=10**6).fit(X, y)
    np.testing.assert_allclose(model.mse_path_, expected.mse_path_, rtol=1e-8)
    assert model.alpha_ == expected.alpha_
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-8)
    again = LassoCV(alphas=alphas, cv=4, tol=1e-12, n_threads=1).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(again.mse_path_, model.mse_path_, rtol=1e-8)


def test_in_a_pipeline_on_real_data():
    X, y = load_diabetes(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Lasso()), {"lasso__alpha": [0.1, 1.0, 10.0]}, n_jobs=2
    ).fit(X, y)
    assert search.best_score_ > 0.4


def threads(model, X, y):
    return float(get_num_threads())


def test_workers_of_a_search_share_the_processors(rng, monkeypatch):
    for name in ("SPARROT_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    X, y = correlated(rng, 60, 10)
    grid = {"lasso__alpha": [0.1, 1.0]}
    model = make_pipeline(StandardScaler(), Lasso())
    search = GridSearchCV(model, grid, scoring=threads, n_jobs=2, cv=3).fit(X, y)
    found = np.stack([search.cv_results_[f"split{k}_test_score"] for k in range(3)])
    assert ((found >= 1) & (found <= max(1, joblib.cpu_count() // 2))).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0}, "alpha is 0"),
        ({"alpha": np.nan}, "alpha is nan"),
        ({"tol": -1}, "tol is -1"),
        ({"max_iter": 0}, "max_iter is 0"),
        ({"positive": 1}, "positive is 1"),
        ({"weights": [1.0]}, "weights has 1 values for 3 columns"),
        ({"weights": [1.0, -1.0, 1.0]}, r"weights\[1\] is -1"),
    ],
)
def test_bad_parameters(parameters, message, rng):
    with pytest.raises(InvalidInputError, match=message):
        Lasso(**parameters).fit(rng.normal(size=(5, 3)), rng.normal(size=5))


def test_bad_data(rng):
    X, y = rng.normal(size=(5, 3)), rng.normal(size=5)
    X[2, 1] = np.nan
    with pytest.raises(InvalidInputError, match=r"X: contains NaN at index \(2, 1\)"):
        Lasso().fit(X, y)
    X[2, 1] = 0
    with pytest.raises(InvalidInputError, match="sample_weight is zero everywhere"):
        Lasso().fit(X, y, sample_weight=np.zeros(5))
    with pytest.warns(ConvergenceWarning, match="gap of"):
        few = Lasso(alpha=1e-4, max_iter=1, tol=1e-12).fit(*correlated(rng, 100, 300))
    assert not few.converged_
    assert few.dual_gap_ > 0


def test_attributes_are_those_of_scikit_learn(rng):
    X, y = correlated(rng, 40, 10)
    for l1_ratio in (0.5, [0.5], [0.5, 0.7]):
        for alphas in (5, [0.1, 0.01]):
            options = {"l1_ratio": l1_ratio, "alphas": alphas, "cv": 3}
            ours = ElasticNetCV(**options).fit(X, y)
            expected = theirs.ElasticNetCV(**options).fit(X, y)
            assert ours.alphas_.shape == expected.alphas_.shape
            assert ours.mse_path_.shape == expected.mse_path_.shape
    assert lasso_path(X, y, alphas=5)[0].shape == (5,)
    model = Lasso(0.1).fit(X, y)
    model.coef_[:] = 0
    assert model.sparse_coef_.nnz == 0
    assert not hasattr(Lasso(), "sparse_coef_")


def test_filters_for_scikit_learns_warning_apply(rng):
    X, y = correlated(rng, 100, 300)
    with pytest.warns(TheirConvergenceWarning, match="not converged"):
        Lasso(alpha=1e-4, max_iter=1, tol=1e-12).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="not converged"):
        Lasso(alpha=1e-4, max_iter=1, tol=1e-12).fit(X, y)


def test_a_stage_is_not_the_end():
    # At 0.3 times the last penalty but one the gap is below tol already.
    model = Lasso(1e-8).fit([[-1.0], [0.0], [1.0]], [-1.0, 0.0, 1.0])
    np.testing.assert_allclose(model.coef_, 1 - 1.5e-8, atol=1e-13)


@pytest.mark.parametrize("estimator", [Lasso, ElasticNet, SparseLogisticRegression, Poisson, Huber])
def test_a_warm_start_goes_on(estimator, rng):
    X, y = correlated(rng, 100, 200)
    y = {SparseLogisticRegression: y > 3, Poisson: np.exp(y / 3) // 1}.get(estimator, y)
    model = estimator(0.01, warm_start=True, tol=1e-8).fit(X, y)
    first, coef = model.n_iter_, model.coef_
    assert first > 1
    np.testing.assert_allclose(model.fit(X, y).coef_, coef, atol=1e-6)
    assert model.n_iter_ == 1
    # What is no longer allowed is left behind.
    changed = model.set_params(positive=True, weights=np.where(np.arange(200) == 0, np.inf, 1))
    fresh = estimator(0.01, tol=1e-8, positive=True, weights=changed.weights)
    np.testing.assert_allclose(changed.fit(X, y).coef_, fresh.fit(X, y).coef_, atol=1e-4)
    with pytest.raises(InvalidInputError, match="warm_start: coef_ has shape"):
        model.set_params(weights=None).fit(X[:, :100], y)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_of_numbers_are_what_scikit_learn_makes_of_lists(order, dtype, rng):
    X, y = correlated(rng, 40, 15)
    X, y = np.asarray(X, dtype=dtype, order=order), y.astype(dtype)
    model = Lasso(0.1).fit(X, y)
    listed = Lasso(0.1).fit(X if dtype == np.float32 else X.tolist(), y.tolist())
    by_rows = Lasso(0.1).fit(np.ascontiguousarray(X), y)  # as lists become
    np.testing.assert_array_equal(by_rows.coef_, listed.coef_)
    np.testing.assert_allclose(model.coef_, by_rows.coef_, rtol=1e-6)
    assert model.coef_.dtype == dtype
    swapped = Lasso(0.1).fit(X.astype(X.dtype.newbyteorder()), y)
    np.testing.assert_allclose(model.coef_, swapped.coef_, rtol=1e-6)


def test_names_of_an_earlier_fit_are_forgotten(rng):
    pandas = pytest.importorskip("pandas")
    X, y = correlated(rng, 40, 3)
    model = Lasso(0.1).fit(pandas.DataFrame(X, columns=["a", "b", "c"]), y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    model.fit(X[:, :2], y)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 2
    model.predict(X[:, :2])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((3, 0)), np.ones(3), "0 feature"),
        (np.ones((0, 3)), np.ones(0), "0 sample"),
        (np.ones(3), np.ones(3), "2D array"),
        (np.ones((3, 2)), np.ones(4), "inconsistent numbers of samples"),
        (np.ones((3, 2)), np.array([1.0, np.nan, 2.0]), "y contains NaN"),
        (np.ones((3, 2)), np.ones((3, 2)), "1d array"),
    ],
)
def test_arrays_that_are_no_data_raise_what_scikit_learn_raises(X, y, message):
    with pytest.raises(ValueError, match=message):
        Lasso(0.1).fit(X, y)


def test_the_share_of_the_lasso_is_scikit_learns():
    assert Lasso().l1_ratio == theirs.Lasso().l1_ratio == 1.0
    assert ElasticNet().l1_ratio == theirs.ElasticNet().l1_ratio == 0.5

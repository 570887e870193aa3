"""Logistic, Poisson and Huber regression: optimal by their conditions, certified, as others'."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, sparse
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.linear_model import (
    Lasso,
    SparseHuberRegression,
    SparseLogisticRegression,
    SparsePoissonRegression,
)
from tests.linear_model.losses import MODELS, Huber


@parametrize_with_checks(
    [
        SparseLogisticRegression(alpha=1e-3),
        SparseLogisticRegression(alpha=0.01, l1_ratio=0.5),
        SparsePoissonRegression(alpha=0.01),
        SparseHuberRegression(alpha=0.01),
    ]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def objective(kind, model, X, y, s=None, v=None):
    coef = np.ravel(model.coef_).astype(float)
    z = X @ coef + np.ravel(model.intercept_)[0]
    used = coef != 0
    weighted = np.abs(coef[used]) * (1 if v is None else np.asarray(v)[used])
    ridge = model.alpha * (1 - model.l1_ratio) / 2 * (coef**2).sum()
    return kind.mean_loss(z, y, s) + model.alpha * model.l1_ratio * weighted.sum() + ridge


def violation(kind, model, X, y, s=None, v=None):
    """By how much the optimality conditions are missed, over alpha."""
    coef = np.ravel(model.coef_).astype(float)
    z = X @ coef + np.ravel(model.intercept_)[0]
    s = np.ones(len(y)) if s is None else s
    v = np.ones(X.shape[1]) if v is None else np.asarray(v, dtype=float)
    slopes = s * kind.slopes(z, y) / s.sum()
    h = -(X.T @ slopes) - model.alpha * (1 - model.l1_ratio) * coef
    h, coef, limit = (part[np.isfinite(v)] for part in (h, coef, model.alpha * model.l1_ratio * v))
    excess = h - limit if model.positive else np.abs(h) - limit
    missed = np.where(coef != 0, np.abs(h - limit * np.sign(coef)), np.maximum(excess, 0))
    if model.fit_intercept:
        missed = np.append(missed, abs(slopes.sum()))
    return missed.max(initial=0) / model.alpha


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n, p = int(rng.integers(10, 60)), int(rng.integers(1, 90))
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-1, 1, p) + rng.normal(size=p)
    linear = X[:, : min(p, 4)].sum(1)
    linear = 1.5 * linear / max(linear.std(), 1e-9)
    kind = draw(st.sampled_from(MODELS))
    y = kind.targets(rng, linear - linear.mean())
    y[:2] = [0, 1]
    options = {
        "fit_intercept": draw(st.booleans()),
        "positive": draw(st.booleans()),
        "l1_ratio": draw(st.sampled_from([1.0, 1.0, 0.6])),
    }
    slopes = kind.slopes(np.zeros(n), y)
    alpha = (
        np.abs(X.T @ (slopes - slopes.mean())).max()
        / n
        * draw(st.sampled_from([2.0, 0.5, 0.1, 0.02]))
    )
    s = rng.random(n) * (rng.random(n) < 0.9) if draw(st.booleans()) else None
    if s is not None:
        s[:2] = 0.5
    v = rng.choice([0.5, 1.0, 3.0, np.inf], p) if draw(st.booleans()) else None
    return kind, X, y, alpha, options, s, v


@given(problem=problems(), form=st.sampled_from(["dense", "sparse"]))
def test_conditions_of_optimality(problem, form):
    kind, X, y, alpha, options, s, v = problem
    data = sparse.csc_array(X) if form == "sparse" else X
    # Outliers have no curvature: what rounding leaves of their gap is more.
    tol = 1e-11 if kind is Huber else 1e-12
    model = kind.estimator(alpha, weights=v, tol=tol, **options)
    model.fit(data, y, sample_weight=s)
    assert model.converged_
    assert violation(kind, model, X, y, s, v) < 1e-5
    assert model.objective_ == pytest.approx(objective(kind, model, X, y, s, v), rel=1e-9)
    if v is not None:
        assert not np.ravel(model.coef_)[np.isinf(v)].any()


@given(problem=problems(), tol=st.sampled_from([0.5, 1e-1, 1e-3, 1e-6]))
def test_the_gap_is_not_below_the_true_one(problem, tol):
    kind, X, y, alpha, options, s, v = problem
    loose = kind.estimator(alpha, weights=v, tol=tol, **options).fit(X, y, sample_weight=s)
    tight = kind.estimator(alpha, weights=v, tol=1e-12, **options).fit(X, y, sample_weight=s)
    excess = objective(kind, loose, X, y, s, v) - objective(kind, tight, X, y, s, v)
    assert loose.dual_gap_ >= excess - 1e-12 * (1 + abs(loose.objective_))
    # In the units of tol: the objective at 0 above that of a perfect fit.
    null = optimize.minimize_scalar(
        lambda b: kind.mean_loss(np.full(len(y), b * options["fit_intercept"]), y, s)
    )
    unit = null.fun - np.average(kind.least(y), weights=s)
    assert loose.dual_gap_ <= tol * unit * (1 + 1e-6)


def test_logistic_as_scikit_learns():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    for l1_ratio in (1.0, 0.5):
        alpha = 0.02
        ours = SparseLogisticRegression(alpha, l1_ratio=l1_ratio, tol=1e-13).fit(X, y)
        theirs = LogisticRegression(
            solver="saga", l1_ratio=l1_ratio, C=1 / (alpha * len(y)), tol=1e-14, max_iter=10**6
        ).fit(X, y)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-8)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-8)
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("share", [3, 100])
def test_huber_is_the_lasso_with_a_coefficient_more_for_each_row(rng, fraction, share):
    n, p, delta = 60, 80, 0.7
    X = rng.normal(size=(n, p))
    y = 2 * X[:, 0] - X[:, 1] + rng.normal(size=n)
    y[rng.random(n) < fraction] += 50
    s = rng.uniform(0.5, 2, n)
    slopes = s * np.clip(y - np.median(y), -delta, delta) / s.sum()
    alpha = np.abs(X.T @ slopes).max() / share
    ours = SparseHuberRegression(alpha, delta=delta, tol=1e-12).fit(X, y, s)
    # A row's coefficient is penalised with s delta of its loss, which is divided by the sum of s.
    weights = np.concatenate([np.ones(p), delta * s / s.sum() / alpha])
    beside = Lasso(alpha, weights=weights, tol=1e-13).fit(np.hstack([X, np.eye(n)]), y, s)
    np.testing.assert_allclose(ours.coef_, beside.coef_[:p], atol=1e-5)
    assert ours.intercept_ == pytest.approx(beside.intercept_, abs=1e-5)
    assert ours.objective_ == pytest.approx(beside.objective_, rel=1e-10)


def test_huber_is_not_moved_by_how_far_outliers_are(rng):
    X = rng.normal(size=(100, 30))
    y = 3 * X[:, 0] + rng.normal(size=100)
    fits = []
    for far in (1e3, 1e8):
        moved = y + np.where(np.arange(100) % 10 == 0, far, 0)
        fits.append(SparseHuberRegression(0.1, tol=1e-12).fit(X, moved).coef_)
    np.testing.assert_allclose(*fits, atol=1e-5)
    assert fits[0][0] > 2.5


def test_huber_with_a_large_delta_is_the_lasso(rng):
    X, y = rng.normal(size=(2, 50, 20))
    y = y[:, 0]
    ours = SparseHuberRegression(0.05, delta=1e6, tol=1e-13).fit(X, y)
    np.testing.assert_allclose(ours.coef_, Lasso(0.05, tol=1e-13).fit(X, y).coef_, atol=1e-7)


@pytest.mark.parametrize("delta", [0, -1.0, np.nan, np.inf, "x"])
def test_delta_is_checked(delta):
    with pytest.raises(InvalidInputError, match="delta"):
        SparseHuberRegression(delta=delta).fit([[1.0], [2.0]], [1.0, 2.0])


def test_poisson_is_near_scikit_learns_ridge_where_there_is_hardly_an_l1_norm(rng):
    X = rng.normal(size=(80, 5))
    y = rng.poisson(np.exp(X[:, 0]))
    ours = SparsePoissonRegression(0.1, l1_ratio=1e-9, tol=1e-13).fit(X, y)
    theirs = PoissonRegressor(alpha=0.1, tol=1e-12, max_iter=10**4).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=1e-6)
    weights = rng.random(80)
    assert ours.score(X, y, weights) == pytest.approx(theirs.score(X, y, weights), abs=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_weights_are_repeated_rows(kind, rng):
    X = rng.normal(size=(40, 60))
    y = kind.targets(rng, X[:, 0])
    counts = rng.integers(0, 4, 40)
    weighted = kind.estimator(0.05, tol=1e-12).fit(X, y, sample_weight=counts)
    repeated = kind.estimator(0.05, tol=1e-12).fit(X.repeat(counts, 0), y.repeat(counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, atol=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_single_precision_stays(kind, rng):
    X = rng.normal(size=(60, 80)).astype(np.float32)
    y = kind.targets(rng, X[:, 0].astype(float))
    single = kind.estimator(0.05).fit(X, y)
    double = kind.estimator(0.05, tol=1e-10).fit(X.astype(float), y)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, double.coef_, atol=1e-3)
    ordered = kind.estimator(0.05).fit(np.asfortranarray(X), y)
    np.testing.assert_array_equal(ordered.coef_, single.coef_)


@pytest.mark.parametrize("kind", MODELS)
def test_threads_do_not_change_a_bit(kind, rng):
    X = rng.normal(size=(300, 4000))
    y = kind.targets(rng, X[:, 0])
    one, two = (kind.estimator(0.02, n_threads=threads).fit(X, y) for threads in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)


def test_nearly_separable_data_and_a_small_penalty(rng):
    X = rng.normal(size=(200, 400))
    y = X[:, 0] > 0
    model = SparseLogisticRegression(1e-5).fit(X, y)
    assert model.converged_
    assert model.score(X, y) == 1.0


def test_searched_in_a_pipeline():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300] > 4
    model = make_pipeline(StandardScaler(), SparseLogisticRegression())
    search = GridSearchCV(model, {"sparselogisticregression__alpha": [0.1, 0.01]}, cv=3, n_jobs=2)
    search.fit(X, y)
    assert search.best_params_ == {"sparselogisticregression__alpha": 0.01}
    assert search.best_score_ > 0.8


def test_the_null_model_may_be_exact(rng):
    X = rng.normal(size=(20, 30))
    model = SparsePoissonRegression(0.01).fit(X, np.ones(20))
    assert model.converged_
    assert model.dual_gap_ == 0
    assert not model.coef_.any()
    np.testing.assert_allclose(model.predict(X), 1)


@pytest.mark.parametrize("kind", MODELS)
def test_ending_early_is_told(kind, rng):
    X = rng.normal(size=(100, 300))
    y = kind.targets(rng, X[:, :5].sum(1))
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = kind.estimator(1e-3, max_iter=1).fit(X, y)
    assert not model.converged_
    assert model.dual_gap_ > 0


X3 = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    ("model", "y", "weight", "message"),
    [
        (SparseLogisticRegression(0), [0, 1, 0, 1], None, "alpha is 0"),
        (SparseLogisticRegression(l1_ratio=0), [0, 1, 0, 1], None, "l1_ratio is 0"),
        (SparseLogisticRegression(weights=[1, 2]), [0, 1, 0, 1], None, "weights has 2 values"),
        (SparseLogisticRegression(), [1, 1, 1, 1], None, "y has 1 class, 1: needs at least two"),
        (SparseLogisticRegression(), [0, 0, 0, 1], [1, 1, 1, 0], "zero for class 1"),
        (SparseLogisticRegression(), [0, 1, 0, 1], [1, 1, 1, -1], r"sample_weight\[3\] is -1"),
        (SparsePoissonRegression(), [0, 1, -2, 1], None, r"y\[2\] is -2.0: needs non-negative"),
        (SparsePoissonRegression(), [0, 0, 0, 0], None, "y is 0 wherever there is weight"),
        (SparsePoissonRegression(), [0, 0, 0, 3], [1, 1, 1, 0], "y is 0 wherever"),
        (SparsePoissonRegression(positive="x"), [0, 1, 0, 1], None, "positive is 'x'"),
    ],
)
def test_bad_input_is_named(model, y, weight, message):
    with pytest.raises(InvalidInputError, match=message):
        model.fit(X3, y, sample_weight=weight)


def test_an_entry_that_is_not_finite_is_named():
    X = X3.copy()
    X[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"X: contains NaN at index \(2, 1\)"):
        SparseLogisticRegression().fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize("estimator", [SparseLogisticRegression, SparsePoissonRegression])
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize(("positive", "l1_ratio"), [(False, 1.0), (True, 1.0), (False, 0.5)])
@pytest.mark.parametrize("intercept", [True, False])
def test_many_columns_are_solved_by_rows(intercept, positive, l1_ratio, form, estimator, rng):
    X = rng.normal(size=(300, 400)) * (rng.random((300, 400)) < 0.5) + 0.5
    z = (X[:, :40] - 0.5).sum(1) / 4
    y = z + rng.logistic(size=300) > 0 if estimator is SparseLogisticRegression else np.exp(z) // 1
    weights, counts = rng.random(400) + 0.5, rng.integers(0, 3, size=300)
    model = estimator(
        0.002,
        l1_ratio=l1_ratio,
        positive=positive,
        fit_intercept=intercept,
        weights=weights,
        tol=1e-11,
    ).fit(form(X), y, counts)
    assert model.converged_
    w = np.ravel(model.coef_)
    assert (w != 0).sum() > (10 if positive else 110)
    linear = X @ w + model.intercept_
    mean = 1 / (1 + np.exp(-linear)) if estimator is SparseLogisticRegression else np.exp(linear)
    residual = counts / counts.sum() * (y - mean)
    if intercept:
        assert abs(residual.sum()) < 1e-6
    h = X.T @ residual - 0.002 * (1 - l1_ratio) * w
    lam = 0.002 * l1_ratio * weights
    np.testing.assert_allclose(h[w != 0], (lam * np.sign(w))[w != 0], atol=3e-6)
    rest = h[w == 0] if positive else np.abs(h[w == 0])
    assert (rest <= lam[w == 0] + 3e-6).all()


@pytest.mark.parametrize("size", [1e4, 1e7])
@pytest.mark.parametrize("seed", range(5))
def test_an_extreme_entry_does_not_hold_the_others_back(size, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 8))
    y = 2 * X[:, 0] - X[:, 1] + 0.3 * rng.standard_normal(40) > 0
    X[0, 0] = size if y[0] else -size
    model = SparseLogisticRegression(0.05).fit(X, y)
    assert model.converged_
    # A row that nothing can move any more, of the same model without it.
    rest = SparseLogisticRegression(0.05 * 40 / 39).fit(X[1:], y[1:])
    assert model.objective_ <= 39 / 40 * rest.objective_ + 1e-6

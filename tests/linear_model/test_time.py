"""What ``max_time`` leaves: what has been reached, with its certificate, and word of the rest."""

import warnings

import numpy as np
import pytest

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.linear_model import (
    BridgeRegression,
    CEL0Regression,
    ElasticNet,
    ElasticNetCV,
    GroupLasso,
    GroupLassoCV,
    L0Regression,
    Lasso,
    LassoCV,
    MCPRegression,
    MCPRegressionCV,
    MultiTaskLasso,
    MultiTaskLassoCV,
    SCADRegression,
    SCADRegressionCV,
    SparseGroupLasso,
    SparseGroupLassoCV,
    SparseHuberRegression,
    SparseLogisticRegression,
    SparseLogisticRegressionCV,
    SparsePoissonRegression,
    SparsePoissonRegressionCV,
    SqrtLasso,
    enet_path,
    lasso_path,
    regularization_path,
)

CONVEX = [
    Lasso(0.01),
    Lasso(0.01, weights=np.arange(30) % 3),
    ElasticNet(0.01),
    GroupLasso(3, 0.01),
    SparseGroupLasso(3, 0.01),
    SqrtLasso(0.01),
    MultiTaskLasso(0.01),
    SparseLogisticRegression(0.01),
    SparseLogisticRegression(0.011),
    SparsePoissonRegression(0.01),
    SparseHuberRegression(0.01),
]
OTHERS = [
    MCPRegression(0.01),
    SCADRegression(0.01),
    BridgeRegression(0.01),
    CEL0Regression(0.001),
]
VALIDATED = [
    LassoCV,
    ElasticNetCV,
    GroupLassoCV,
    SparseGroupLassoCV,
    MultiTaskLassoCV,
    SparseLogisticRegressionCV,
    SparsePoissonRegressionCV,
    MCPRegressionCV,
    SCADRegressionCV,
]


def data(kind, rng, *, classes=2):
    """Return what a model of this class is of."""
    X = rng.normal(size=(60, 30))
    z = X[:, :6] @ [2.0, -1.0, 1.0, 0.5, -0.5, 0.3] + 0.5 * rng.normal(size=60)
    if "Logistic" in kind:
        return X, np.digitize(z, np.quantile(z, np.arange(1, classes) / classes))
    if "Poisson" in kind:
        return X, rng.poisson(np.exp(0.3 * z))
    return X, np.column_stack([z, X[:, 0] - z]) if "MultiTask" in kind else z


def of(model, rng):
    classes = 3 if getattr(model, "alpha", None) == 0.011 else 2
    return data(type(model).__name__, rng, classes=classes)


def limited(model, seconds, *args):
    with pytest.warns(ConvergenceWarning, match="max_time"):
        return model.set_params(max_time=seconds).fit(*args)


def name(model):
    return f"{type(model).__name__}({getattr(model, 'alpha', '')})"


@pytest.mark.parametrize("model", CONVEX, ids=name)
def test_a_fit_without_time_says_how_far_it_is_from_the_optimum(model, rng):
    X, y = of(model, rng)
    best = model.set_params(max_time=None, tol=1e-9).fit(X, y).objective_
    assert model.status_ == "converged"
    early = limited(model, 0, X, y)
    assert (early.status_, early.converged_) == ("max_time", False)
    assert early.dual_gap_ >= early.objective_ - best > 0


@pytest.mark.parametrize("model", OTHERS, ids=name)
def test_a_fit_without_time_says_that_it_is_not_stationary(model, rng):
    X, y = of(model, rng)
    early = limited(model, 0, X, y)
    assert (early.status_, early.converged_) == ("max_time", False)
    assert early.stationarity_ > early.tol


def test_a_subset_without_time_is_certified_too(rng):
    X, y = of(L0Regression(), rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        early = L0Regression(0.01, max_time=0).fit(X, y)
    assert early.converged_ == (early.stationarity_ <= early.tol) == (early.status_ == "converged")


@pytest.mark.parametrize("model", CONVEX + OTHERS, ids=name)
def test_enough_time_changes_nothing(model, rng):
    X, y = of(model, rng)
    free = model.set_params(max_time=None).fit(X, y).coef_
    np.testing.assert_array_equal(model.set_params(max_time=1e6).fit(X, y).coef_, free)


@pytest.mark.parametrize("seconds", [-1.0, np.nan, np.inf, "1", True])
def test_no_number_of_seconds(seconds, rng):
    X, y = data("Lasso", rng)
    fits = [
        lambda: Lasso(max_time=seconds).fit(X, y),
        lambda: MCPRegression(max_time=seconds).fit(X, y),
        lambda: LassoCV(max_time=seconds).fit(X, y),
        lambda: lasso_path(X, y, max_time=seconds),
        lambda: regularization_path(GroupLasso(max_time=seconds), X, y),
    ]
    for fit in fits:
        with pytest.raises(InvalidInputError, match="max_time is"):
            fit()


@pytest.mark.parametrize("path", [lasso_path, enet_path])
def test_a_path_without_time_is_its_beginning(path, rng):
    X, y = data("Lasso", rng)
    whole, coefs, gaps = path(X, y, n_alphas=20)
    with pytest.warns(ConvergenceWarning, match=r"max_time.*19 of 20 penalties have not been"):
        alphas, first, first_gaps, passes = path(X, y, n_alphas=20, max_time=0, return_n_iter=True)
    assert (alphas.shape, first.shape, first_gaps.shape, len(passes)) == ((1,), (30, 1), (1,), 1)
    assert alphas[0] == whole[0]
    np.testing.assert_array_equal(first[:, 0], coefs[:, 0])
    assert first_gaps[0] == gaps[0]


def test_a_path_without_time_for_its_first_penalty_tells_of_that_too(rng):
    X, y = data("Lasso", rng)
    message = r"max_time.*1 of 3 penalties, the worst at alpha=0.02.*2 of 3 penalties have not"
    with pytest.warns(ConvergenceWarning, match=message):
        alphas, coefs, gaps = lasso_path(X, y, alphas=[0.02, 0.01, 0.005], max_time=0)
    assert (alphas.tolist(), coefs.any()) == ([0.02], False)
    best = Lasso(0.02, fit_intercept=False, tol=1e-10).fit(X, y).objective_
    assert gaps[0] >= (y**2).mean() / 2 - best


def test_a_path_is_cut_where_the_time_is_up(rng):
    X = np.asfortranarray(rng.normal(size=(400, 2000)))
    y = X[:, :30] @ rng.normal(size=30) + rng.normal(size=400)
    _, whole, _ = lasso_path(X, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        alphas, coefs, gaps = lasso_path(X, y, max_time=0.02)
    assert coefs.shape == (2000, len(alphas))
    # The last one may have been cut itself.
    np.testing.assert_array_equal(coefs[:, :-1], whole[:, : len(alphas) - 1])
    missed = (gaps > 1e-6 * (y**2).mean() / 2).any() or len(alphas) < 100
    assert missed == any(issubclass(w.category, ConvergenceWarning) for w in caught)


@pytest.mark.parametrize("model", CONVEX + OTHERS, ids=name)
def test_the_path_of_a_model_without_time(model, rng):
    X, y = of(model, rng)
    with pytest.warns(ConvergenceWarning, match=r"max_time.*4 of 5 penalties have not been"):
        path = regularization_path(model.set_params(max_time=0), X, y, n_alphas=5)
    assert (path.status, path.converged) == ("max_time", False)
    assert path.alphas.shape == path.objectives.shape == path.coefs.shape[-1:] == (1,)
    whole = regularization_path(model.set_params(max_time=None), X, y, n_alphas=5)
    assert (whole.status, whole.converged, len(whole.alphas)) == ("converged", True, 5)


@pytest.mark.parametrize("estimator", VALIDATED)
def test_a_choice_without_time_is_among_what_all_folds_have(estimator, rng):
    X, y = data(estimator.__name__, rng)
    model = limited(estimator(alphas=10), 0, X, y)
    errors = getattr(model, model._errors + "_")
    assert errors.shape == (10, 5)
    assert np.isfinite(errors[0]).all()
    assert np.isnan(errors[1:]).all()
    assert model.alpha_ == model.alphas_[0]
    assert model.status_ == "max_time"
    assert np.isfinite(model.predict(X[:3])).all()


def test_a_choice_of_shares_without_time(rng):
    X, y = data("Lasso", rng)
    model = limited(ElasticNetCV(l1_ratio=[0.5, 0.9], alphas=[0.1, 0.01], cv=3), 0, X, y)
    assert model.mse_path_.shape == (2, 2, 3)
    assert np.isfinite(model.mse_path_[:, 0]).all()
    assert np.isnan(model.mse_path_[:, 1]).all()
    assert model.alpha_ == 0.1


def test_without_time_for_the_last_fit_it_is_that_of_a_fold(rng, monkeypatch):
    X, y = data("Lasso", rng)
    left = iter([None] * 6 + [0.0])  # for the grid and five folds
    monkeypatch.setattr("sparrot.linear_model._folds.countdown", lambda seconds: lambda: next(left))
    model = limited(LassoCV(alphas=5, n_threads=1), 1, X, y)
    fold = Lasso(model.alpha_).fit(X[12:], y[12:])  # of the first
    np.testing.assert_allclose(model.coef_, fold.coef_, atol=1e-3)
    best = Lasso(model.alpha_, tol=1e-10).fit(X, y).objective_
    assert model.dual_gap_ >= model.objective_ - best > 0
    assert (model.status_, model.converged_) == ("max_time", False)


def test_enough_time_for_a_choice_changes_nothing(rng):
    X, y = data("Lasso", rng)
    free, limited_ = LassoCV(alphas=8).fit(X, y), LassoCV(alphas=8, max_time=1e6).fit(X, y)
    np.testing.assert_array_equal(limited_.mse_path_, free.mse_path_)
    np.testing.assert_array_equal(limited_.coef_, free.coef_)
    assert limited_.status_ == "converged"

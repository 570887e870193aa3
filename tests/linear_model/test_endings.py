"""What a fit says when it ends early, starts elsewhere, or has data at the border of arithmetic."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.linear_model import (
    BridgeRegression,
    ElasticNet,
    GroupLasso,
    L0Regression,
    Lasso,
    LassoCV,
    MCPRegression,
    MultiTaskLasso,
    SparseGroupLasso,
    SparseHuberRegression,
    SparseLogisticRegression,
    SparsePoissonRegression,
)

CONVEX = {
    "lasso": lambda **options: Lasso(1e-3, **options),
    "elastic net": lambda **options: ElasticNet(1e-3, l1_ratio=0.7, **options),
    "groups": lambda **options: GroupLasso(3, 1e-3, **options),
    "sparse groups": lambda **options: SparseGroupLasso(3, 1e-3, **options),
    "huber": lambda **options: SparseHuberRegression(1e-3, **options),
}


def wide(rng):
    X = rng.normal(size=(100, 300))
    return X, X[:, :20] @ rng.normal(size=20)


def quiet(model, *data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data)


@pytest.mark.parametrize("max_iter", [1, 2, 4])
@pytest.mark.parametrize("name", CONVEX)
def test_the_gap_of_an_early_end_is_of_the_problem_asked_for(name, max_iter, rng):
    X, y = wide(rng)
    early = quiet(CONVEX[name](max_iter=max_iter), X, y)
    best = CONVEX[name](tol=1e-9).fit(X, y)
    assert early.dual_gap_ >= early.objective_ - best.objective_
    # So does the trace, from the first pass on.
    assert early.trace_["objective"][-1] == pytest.approx(early.objective_)
    assert early.trace_["objective"][0] >= best.objective_ * (1 - 1e-12)


@pytest.mark.parametrize("max_iter", [1, 2])
def test_the_stationarity_of_an_early_end_is_of_the_problem_asked_for(max_iter, rng):
    X, y = wide(rng)
    early = quiet(MCPRegression(1e-3, max_iter=max_iter, fit_intercept=False), X, y)
    squares = (X**2).mean(0)
    u = early.coef_ + X.T @ (y - X @ early.coef_) / len(y) / squares
    # The minimum over each column: "firm" thresholding, see sparrot's docs of MCP.
    inner = np.sign(u) * np.maximum(np.abs(u) - 1e-3 / squares, 0) / (1 - 1 / (squares * 3.0))
    away = np.where(np.abs(u) <= 3e-3, inner, u) - early.coef_
    expected = (np.sqrt(squares) * np.abs(away)).max() / np.sqrt((y**2).mean())
    assert early.stationarity_ == pytest.approx(expected, rel=1e-9)


def test_products_of_a_residual_are_raised_towards_where_they_count(rng):
    n = 20
    u = rng.normal(size=n)
    u -= u.mean()
    u /= np.linalg.norm(u)
    z = rng.normal(size=n)
    z -= z.mean()
    z -= u * (u @ z)
    z /= np.linalg.norm(z)
    X, y = np.column_stack([u, -u + 0.5 * z]), 4 * u + 1.5 * z
    options = {"alpha": 1e-3, "weights": [0, 1], "positive": True, "tol": 1e-9}
    groups, lasso = GroupLasso(groups=1, **options).fit(X, y), Lasso(**options).fit(X, y)
    np.testing.assert_allclose(groups.coef_, lasso.coef_, atol=1e-3)
    assert groups.objective_ == pytest.approx(lasso.objective_, rel=1e-6)


@pytest.mark.parametrize("estimator", [GroupLasso, SparseGroupLasso])
def test_what_is_not_allowed_is_left_behind_by_a_warm_start(estimator, rng):
    X = rng.normal(size=(50, 6))
    y = X @ [2.0, -2.0, 1.0, -1.0, 3.0, -3.0]
    model = estimator(groups=3, alpha=0.1, warm_start=True).fit(X, y)
    assert model.coef_.min() < 0
    changed = model.set_params(positive=True, weights=[1, np.inf]).fit(X, y)
    fresh = estimator(groups=3, alpha=0.1, positive=True, weights=[1, np.inf]).fit(X, y)
    np.testing.assert_allclose(changed.coef_, fresh.coef_, atol=1e-4)
    assert changed.coef_.min() >= 0
    assert not changed.coef_[3:].any()


@pytest.mark.parametrize(
    ("estimator", "nothing"),
    [
        (Lasso, 1.0),
        (GroupLasso, 1.0),
        (MCPRegression, 0.0),
        (BridgeRegression, 0.0),
        (SparsePoissonRegression, 1.0),
        (SparseHuberRegression, 3.0),
    ],
)
def test_a_warm_start_where_there_is_nothing_to_explain(estimator, nothing, rng):
    X = rng.normal(size=(60, 6))
    model = estimator(alpha=0.05, warm_start=True).fit(X, np.round(np.exp(X[:, 0])))
    assert model.coef_.any()
    model.set_params(alpha=1.0).fit(X, np.full(60, nothing))
    assert model.converged_
    assert not model.coef_.any()


@pytest.mark.parametrize("start", [np.full(4, np.nan), None, "x"])
def test_a_warm_start_from_what_is_no_coefficient(start, rng):
    X = rng.normal(size=(20, 4))
    model = MCPRegression(0.1, warm_start=True).fit(X, X[:, 0])
    model.coef_ = start
    with pytest.raises(InvalidInputError, match="warm_start: coef_"):
        model.fit(X, X[:, 0])


@pytest.mark.parametrize("mean", [1e4, 1e7, 1e9])
@pytest.mark.parametrize(
    "model",
    [
        Lasso(0.02),
        GroupLasso(2, 0.02),
        MCPRegression(0.02),
        BridgeRegression(0.001),
        L0Regression(0.02),
        SparseLogisticRegression(0.02),
        SparsePoissonRegression(0.02),
    ],
    ids=lambda model: type(model).__name__,
)
def test_sparse_columns_with_a_large_mean(model, mean, rng):
    # Moved by an exact number, so that the centred columns stay what they are.
    X = np.round(rng.normal(size=(60, 6)) * 2**10) / 2**10
    y = X[:, 0] + 0.5 * X[:, 1] + 0.1 * rng.normal(size=60)
    if "Logistic" in type(model).__name__:
        y = y > 0
    elif "Poisson" in type(model).__name__:
        y = np.round(np.exp(y))
    moved = model.fit(sparse.csc_array(X + np.array([mean] * 3 + [0] * 3)), y)
    assert moved.converged_
    coef = moved.coef_.copy()
    np.testing.assert_allclose(coef, model.fit(X, y).coef_, atol=1e-4)


@pytest.mark.parametrize("shape", [(5, 6), (50, 10)])
@pytest.mark.parametrize("estimator", [SparseLogisticRegression, SparsePoissonRegression, Lasso])
def test_sparse_columns_with_a_mean_that_leaves_no_digits(estimator, shape, rng):
    X = rng.normal(size=shape)
    X[:, :3] += 1e14
    y = np.arange(len(X)) % 2
    model = quiet(estimator(1e-3), sparse.csc_array(X), y)
    assert np.isfinite(model.coef_).all()


def test_values_that_leave_the_range_of_numbers(rng):
    X = rng.normal(size=(60, 40))
    y = X[:, :5] @ [3.0, -2.0, 1.0, 1.0, 0.5]
    # The search for a subset ends, whatever its squares are; so do the others.
    for estimator in (L0Regression, Lasso, GroupLasso, MCPRegression):
        model = quiet(estimator(alpha=1e300), X * 1e60, y * 1e150)
        assert np.isfinite(model.coef_).all()
        assert np.isfinite(model.objective_)
    small = Lasso(1e89).fit(X * 1e-60, y * 1e150)
    assert small.converged_
    np.testing.assert_allclose(small.coef_, 1e210 * Lasso(0.1).fit(X, y).coef_, rtol=1e-9)


def test_stages_end_where_the_objective_is_next_to_nothing(rng):
    X, y = rng.normal(size=(3, 12)), rng.normal(size=3)
    for model in (
        GroupLasso(4, 1e-3, weights=[0, 1, 1], tol=1e-4),
        SparseGroupLasso(4, 1e-3, l1_ratio=1e-12, weights=[0, 1, 1], tol=1e-4),
        MultiTaskLasso(1e-5, tol=1e-4),
    ):
        responses = np.stack([y, 1e-5 * y[::-1]], axis=1)
        model.fit(X, responses if isinstance(model, MultiTaskLasso) else y)
        assert model.converged_
        assert model.n_iter_ < 30


@pytest.mark.parametrize("alpha", [1e-2, 1e-3, 1e-4, 1e-5])
def test_groups_without_a_penalty_reach_the_default_gap(alpha, rng):
    X, y = rng.normal(size=(25, 24)), rng.normal(size=25)
    model = GroupLasso(4, alpha, weights=[0, 1, 1, 1, 1, 1]).fit(X, y)
    assert model.converged_
    # The columns without a penalty leave nothing of the residual in their span.
    residual = y - model.predict(X)
    assert np.abs(X[:, :4].T @ residual).max() < 1e-6


def test_groups_left_out_beside_an_l1_penalty_alone(rng):
    X = rng.normal(size=(20, 6))
    y = X[:, 0] + X[:, 3]
    weights = [np.inf, 1, 1]
    model = SparseGroupLasso(2, 1e-3, l1_ratio=1.0, weights=weights, tol=1e-9).fit(X, y)
    lasso = Lasso(1e-3, weights=np.repeat(weights, 2), tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, lasso.coef_, atol=1e-5)


def test_rows_of_a_fold_count_as_often_as_they_are_there(rng):
    X = rng.normal(size=(15, 4))
    y = X[:, 0] + 0.5 * rng.normal(size=15)
    twice = [(np.r_[0:10, 0:5], np.arange(10, 15)), (np.r_[5:15], np.arange(5))]
    found = LassoCV(alphas=[0.1, 0.01], cv=twice, tol=1e-10).fit(X, y).mse_path_
    for fold, (train, test) in enumerate(twice):
        for k, alpha in enumerate([0.1, 0.01]):
            model = Lasso(alpha, tol=1e-10).fit(X[train], y[train])
            error = ((model.predict(X[test]) - y[test]) ** 2).mean()
            assert found[k, fold] == pytest.approx(error, rel=1e-6)
    masks = [(np.isin(np.arange(15), train), test) for train, test in twice[1:]]
    np.testing.assert_allclose(
        LassoCV(alphas=[0.1, 0.01], cv=masks, tol=1e-10).fit(X, y).mse_path_, found[:, 1:]
    )


@pytest.mark.parametrize("rows", [[99], [-16], [0.5], [[0, 1]], [True, False]])
def test_folds_of_rows_that_there_are_not(rows, rng):
    X = rng.normal(size=(15, 4))
    with pytest.raises(InvalidInputError, match="cv: fold 0"):
        LassoCV(cv=[(rows, [0, 1])]).fit(X, X[:, 0])


@pytest.mark.parametrize(
    "groups", [[2**63 - 1, 2**63 - 1, 8], np.array(4), [[0, [1]], [2]], [-2, 8]]
)
def test_groups_that_are_none(groups, rng):
    X = rng.normal(size=(20, 6))
    with pytest.raises(InvalidInputError, match="groups"):
        GroupLasso(groups=groups).fit(X, X[:, 0])

"""Groups, several responses, and penalties that are not convex."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model as theirs
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.linear_model import (
    BridgeRegression,
    CEL0Regression,
    GroupLasso,
    L0Regression,
    Lasso,
    MCPRegression,
    MultiTaskLasso,
    SCADRegression,
    SparseGroupLasso,
)

NONCONVEX = [MCPRegression, SCADRegression, BridgeRegression]


@parametrize_with_checks(
    [
        GroupLasso(alpha=0.1),
        GroupLasso(alpha=0.01, weights="sqrt", positive=True, warm_start=True),
        SparseGroupLasso(alpha=0.1),
        MultiTaskLasso(alpha=0.1),
        MCPRegression(alpha=0.1),
        SCADRegression(alpha=0.1, warm_start=True),
        BridgeRegression(alpha=0.1, power=2 / 3),
        CEL0Regression(alpha=0.01),
        CEL0Regression(alpha=0.01, positive=True, warm_start=True),
        L0Regression(alpha=0.1),
        L0Regression(n_nonzero_coefs=1),
    ],
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def example(rng, n=40, p=24, rho=0.5):
    X = rng.normal(size=(n, p))
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    return X, X[:, :4] @ [2.0, -1.0, 1.0, 0.5] + 0.3 * rng.normal(size=n) + 2


def products(model, X, y, sample_weight=None):
    """Return the products of centred columns with the residual, as means over weights."""
    w = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    w = w / w.sum()
    residual = (y - model.predict(X)) * (w if y.ndim == 1 else w[:, None])
    centre = w @ X if model.fit_intercept else 0
    np.testing.assert_allclose(residual.sum(axis=0) * model.fit_intercept, 0, atol=1e-10)
    return (X - centre).T @ residual


GROUPS = [3, [1, 5, 2, 8, 8], [[3, 0, 7], list(range(8, 24)), [1, 2, 4, 5, 6]]]


def columns_of(groups, p):
    if isinstance(groups, int):
        return np.arange(p).reshape(-1, groups)
    if isinstance(groups[0], int):
        return np.split(np.arange(p), np.cumsum(groups)[:-1])
    return groups


@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("intercept", [True, False])
def test_the_conditions_of_groups_hold(groups, positive, intercept, l1_ratio, rng):
    X, y = example(rng)
    alpha = 0.1
    options = {
        "groups": groups,
        "alpha": alpha,
        "weights": "sqrt",
        "positive": positive,
        "fit_intercept": intercept,
        "tol": 1e-13,
    }
    for weights in (None, rng.random(40) + 0.1):
        for data in (X, sparse.csc_array(X)):
            if l1_ratio == 0:
                model = GroupLasso(**options).fit(data, y, weights)
            else:
                model = SparseGroupLasso(l1_ratio=l1_ratio, **options).fit(data, y, weights)
            assert model.converged_
            h = products(model, X, y, weights)
            w = model.coef_
            assert not positive or (w >= 0).all()
            for columns in columns_of(groups, 24):
                here, of = h[columns], w[columns]
                lam = alpha * (1 - l1_ratio) * np.sqrt(len(columns))
                l1 = alpha * l1_ratio
                if of.any():
                    slope = lam * of / np.linalg.norm(of) + l1 * np.sign(of)
                    used = of != 0
                    np.testing.assert_allclose(here[used], slope[used], atol=1e-6)
                    rest = here[~used] if positive else np.abs(here[~used])
                    assert (rest <= l1 + 1e-6).all()
                else:
                    over = np.maximum((here if positive else np.abs(here)) - l1, 0)
                    assert np.linalg.norm(over) <= lam + 1e-6


def test_groups_of_one_are_the_lasso(rng):
    X, y = example(rng)
    weights = np.array([0, np.inf, 2.0] * 8)
    expected = Lasso(0.05, weights=weights, tol=1e-12).fit(X, y)
    for model in (
        GroupLasso(1, 0.05, weights=weights, tol=1e-12),
        GroupLasso([[j] for j in range(24)], 0.05, weights=weights, tol=1e-12),
    ):
        np.testing.assert_allclose(model.fit(X, y).coef_, expected.coef_, atol=1e-6)
        assert abs(model.objective_ - expected.objective_) < 1e-10
    shrunk = SparseGroupLasso(4, 0.05, l1_ratio=1.0, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(shrunk.coef_, Lasso(0.05, tol=1e-12).fit(X, y).coef_, atol=1e-6)


def test_gaps_of_groups_are_never_below_the_true_ones(rng):
    for _ in range(1000):
        n = int(rng.integers(2, 12))
        X, y = rng.normal(size=(n, 12)), rng.normal(size=n)
        largest = np.linalg.norm((X.T @ y).reshape(-1, 3), axis=1).max() / n
        options = {
            "groups": 3,
            "alpha": largest * rng.choice([0.7, 0.1, 0.01]),
            "fit_intercept": False,
            "positive": bool(rng.integers(2)),
        }
        tol = rng.choice([1e-2, 1e-6])
        unit = y @ y / (2 * n)
        share = rng.choice([0.0, 0.5])
        estimator = GroupLasso(**options)
        if share:
            estimator = SparseGroupLasso(l1_ratio=share, **options)
        model = clone(estimator).set_params(tol=tol).fit(X, y)
        best = clone(estimator).set_params(tol=1e-11).fit(X, y)
        assert model.objective_ - best.objective_ <= model.dual_gap_ + 1e-13 * unit
        assert model.dual_gap_ <= tol * unit


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e2, 1e4])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_scales_within_groups_do_not_matter(share, positive, factor, rng):
    X, y = example(rng, 100, 20)
    X[:, ::7] *= factor  # columns 0, 7 and 14, of three groups
    options = {"positive": positive, "tol": 1e-10}
    model = GroupLasso(4, 0.1, **options)
    if share:
        model = SparseGroupLasso(4, 0.1, share, **options)
    model.fit(X, y)
    assert model.converged_
    h, coef = products(model, X, y), model.coef_
    limit, single = 0.1 * (1 - share), 0.1 * share
    for group in np.arange(20).reshape(5, 4):
        g, w, size = h[group], coef[group], X[:, group].std(axis=0)
        pull = np.maximum((g if positive else np.abs(g)) - single, 0)
        if not w.any():
            assert np.linalg.norm(pull) <= limit * (1 + 1e-6)
            continue
        slope = limit * w / np.linalg.norm(w) + single * np.sign(w)
        missed = np.where(w != 0, np.abs(g - slope), pull)
        assert (missed / np.maximum(size, 1)).max() < 1e-5


def test_scales_within_groups_do_not_matter_on_real_data():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X[:, 0] *= 1e4
    model = GroupLasso(5).fit(X, y)
    assert model.converged_
    lasso = Lasso().fit(X, y)
    norms = np.linalg.norm(lasso.coef_.reshape(2, 5), axis=1).sum()
    assert model.objective_ < np.mean((y - lasso.predict(X)) ** 2) / 2 + norms


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_several_responses_are_scikit_learns(form, rng):
    X, _ = example(rng, 50, 40)
    Y = X[:, :3] @ rng.normal(size=(3, 5)) + 0.2 * rng.normal(size=(50, 5)) + np.arange(5)
    for intercept in (True, False):
        options = {"alpha": 0.2, "fit_intercept": intercept}
        expected = theirs.MultiTaskLasso(**options, tol=1e-13, max_iter=10**6).fit(X, Y)
        model = MultiTaskLasso(**options, tol=1e-13).fit(form(X), Y)
        np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-8)
        np.testing.assert_allclose(model.intercept_, expected.intercept_, atol=1e-8)
        np.testing.assert_allclose(model.predict(form(X)), expected.predict(X), atol=1e-7)
        np.testing.assert_array_equal(model.sparse_coef_.toarray(), model.coef_)
    single = MultiTaskLasso(0.1, tol=1e-12).fit(form(X), Y[:, :1])
    np.testing.assert_allclose(
        single.coef_[0], Lasso(0.1, tol=1e-12).fit(X, Y[:, 0]).coef_, atol=1e-6
    )


def slope_of(model, w):
    """Return the derivative of the penalty where w is not 0."""
    size, alpha = np.abs(w), model.alpha
    if isinstance(model, MCPRegression):
        slope = np.maximum(alpha - size / model.gamma, 0)
    elif isinstance(model, SCADRegression):
        slope = np.where(
            size <= alpha, alpha, np.maximum(model.a * alpha - size, 0) / (model.a - 1)
        )
    else:
        slope = alpha * model.power * np.where(size > 0, size, 1) ** (model.power - 1)
    return slope * np.sign(w)


def value_of(model, w):
    """Return the penalty, from its definition."""
    size, alpha = np.abs(w), model.alpha
    if isinstance(model, MCPRegression):
        size = np.minimum(size, model.gamma * alpha)
        return alpha * size - size**2 / (2 * model.gamma)
    if isinstance(model, SCADRegression):
        a = model.a
        middle = (2 * a * alpha * size - size**2 - alpha**2) / (2 * (a - 1))
        far = alpha**2 * (a + 1) / 2
        return np.where(size <= alpha, alpha * size, np.where(size <= a * alpha, middle, far))
    return alpha * size**model.power


@pytest.mark.parametrize("estimator", [*NONCONVEX, lambda **k: BridgeRegression(power=2 / 3, **k)])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_no_change_of_one_coefficient_is_better(form, positive, estimator, rng):
    X, y = example(rng, 60, 80, rho=0.8)
    weights = np.where(np.arange(80) == 7, np.inf, 1.0)
    model = estimator(alpha=0.1, positive=positive, weights=weights, tol=1e-10).fit(form(X), y)
    assert model.converged_
    assert model.stationarity_ <= 1e-10
    w = model.coef_
    assert w[7] == 0
    assert 2 <= (w != 0).sum() < 40
    h = products(model, X, y)
    used = w != 0
    np.testing.assert_allclose(h[used], slope_of(model, w)[used], atol=1e-8)
    objective = np.mean((y - model.predict(X)) ** 2) / 2 + value_of(model, w).sum()
    assert abs(objective - model.objective_) < 1e-12
    squares = X.var(axis=0)
    for j in np.delete(np.arange(80), 7):
        moved = w[j] + np.concatenate([np.linspace(-3, 3, 601), [-w[j]]])
        moved = moved[moved >= 0] if positive else moved
        d = moved - w[j]
        change = d * (squares[j] * d / 2 - h[j]) + value_of(model, moved) - value_of(model, w[j])
        assert change.min() >= -1e-10


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_cel0_ends_where_no_change_of_one_coefficient_lowers_l0(form, intercept, positive, rng):
    X, y = example(rng, 60, 80, rho=0.8)
    X *= 10.0 ** rng.uniform(-3, 3, 80)
    weights = np.ones(80)
    weights[[5, 6, 7]] = [0, 2, np.inf]
    counts = rng.integers(1, 4, size=60)
    options = {"fit_intercept": intercept, "positive": positive, "weights": weights}
    model = CEL0Regression(0.05, tol=1e-11, **options).fit(form(X), y, counts)
    assert model.converged_
    w, h = model.coef_, products(model, X, y, counts)
    used = w != 0
    assert 3 <= used.sum() < 40
    assert used[5] or positive
    assert not used[7]
    centred = X - np.average(X, axis=0, weights=counts) if intercept else X
    squares = np.average(centred**2, axis=0, weights=counts)
    np.testing.assert_allclose(h[used] / np.sqrt(squares[used]), 0, atol=1e-9)
    # What each coefficient is worth, and what one of the others would be.
    assert (squares * w**2 / 2 >= 0.05 * weights * (1 - 1e-9))[used].all()
    pull = np.maximum(h, 0) if positive else np.abs(h)
    assert (pull**2 / (2 * squares) <= 0.05 * weights * (1 + 1e-9))[~used].all()
    mean = np.average((y - model.predict(X)) ** 2, weights=counts) / 2
    assert model.objective_ == pytest.approx(mean + 0.05 * weights[used].sum(), rel=1e-12)


def test_cel0_does_not_depend_on_scales(rng):
    X, y = example(rng, 60, 80, rho=0.8)
    scales = 2.0 ** rng.integers(-20, 20, 80)
    model = CEL0Regression(0.05).fit(X, y)
    scaled = CEL0Regression(0.05).fit(X * scales, y)
    assert model.coef_.any()
    np.testing.assert_allclose(scaled.coef_ * scales, model.coef_, rtol=1e-9, atol=0)


def test_on_correlated_columns_they_are_closer_than_the_lasso():
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n, p, k = 300, 1000, 20
        X, _ = example(rng, n, p, rho=0.9)
        truth = np.zeros(p)
        truth[rng.choice(p, k, replace=False)] = rng.choice([-1, 1], k)
        z = X @ truth
        y = z + rng.normal(size=n) * z.std() / 3
        alpha = 0.1 * np.abs(X.T @ y).max() / n
        models = Lasso(alpha), MCPRegression(alpha), SCADRegression(alpha)
        errors.append([np.linalg.norm(model.fit(X, y).coef_ - truth) for model in models])
    lasso, mcp, scad = np.mean(errors, axis=0)
    assert mcp < lasso
    assert scad < lasso


def least_squares(X, y, columns):
    """Return the mean squared error over 2 of a fit to these columns and an intercept."""
    A = np.column_stack([X[:, sorted(columns)], np.ones(len(X))])
    return np.mean((y - A @ np.linalg.lstsq(A, y, rcond=None)[0]) ** 2) / 2


@pytest.mark.parametrize("size", [None, 1, 4])
def test_no_exchange_is_better(size, rng):
    for _ in range(20):
        X, y = example(rng, 30, 10, rho=0.9)
        model = L0Regression(0.01, size).fit(X, y)
        lam = 0.01 if size is None else 0.0
        found = set(np.flatnonzero(model.coef_).tolist())
        assert size is None or len(found) == size
        objective = least_squares(X, y, found) + lam * len(found)
        np.testing.assert_allclose(model.objective_, objective, rtol=1e-10)
        outside = set(range(10)) - found
        others = [found - {i} | {j} for i in found for j in outside]
        if size is None:
            others += [found - {i} for i in found] + [found | {j} for j in outside]
        for other in others:
            assert least_squares(X, y, other) + lam * len(other) >= objective - 1e-12


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_subsets_of_weighted_rows_and_columns(form, rng):
    X, y = example(rng, 200, 150, rho=0.8)
    counts = rng.integers(0, 3, size=200)
    weights = np.where(np.arange(150) == 1, np.inf, 1.0)
    for size in (None, 6):
        weighted = L0Regression(0.02, size, weights=weights).fit(form(X), y, counts)
        assert weighted.converged_
        assert weighted.coef_[1] == 0
        repeated = L0Regression(0.02, size, weights=weights)
        repeated.fit(np.repeat(X, counts, 0), np.repeat(y, counts))
        np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-9)
        used = weighted.coef_ != 0
        np.testing.assert_allclose(products(weighted, X, y, counts)[used], 0, atol=1e-10)
    free = L0Regression(10.0, weights=np.arange(150) > 2).fit(form(X), y)
    np.testing.assert_array_equal(np.flatnonzero(free.coef_), [0, 1, 2])


def test_subsets_of_dependent_columns(rng):
    X, y = example(rng, 40, 10)
    X = np.column_stack([X, X, X[:, :3].sum(1), np.ones(40)])
    for size in (None, 5, 22):
        model = L0Regression(1e-4, size).fit(X, y)
        assert model.converged_
        assert np.isfinite(model.coef_).all()
        assert (model.coef_ != 0).sum() <= 10


def test_a_warm_start_goes_on(rng):
    X, y = example(rng, 100, 200)
    for estimator in (GroupLasso(4, 0.02), MCPRegression(0.02), SparseGroupLasso(4, 0.02)):
        model = estimator.set_params(warm_start=True, tol=1e-9).fit(X, y)
        first, coef = model.n_iter_, model.coef_
        again = model.fit(X, y)
        assert first > 1
        assert again.n_iter_ == 1
        np.testing.assert_allclose(again.coef_, coef, atol=1e-7)
        with pytest.raises(InvalidInputError, match="warm_start: coef_ has shape"):
            model.fit(X[:, :100], y)


def test_units_change_nothing(rng):
    X, y = example(rng)
    for estimator in (GroupLasso(3, 0.1), SparseGroupLasso(3, 0.1), MCPRegression(0.1)):
        model = clone(estimator).fit(X, y)
        for unit in (2.0**-60, 2.0**60):
            scaled = clone(estimator).set_params(alpha=0.1 * unit).fit(X, unit * y)
            np.testing.assert_array_equal(scaled.coef_, unit * model.coef_)


def test_rows_of_weight_0_and_repeated_rows(rng):
    X, y = example(rng)
    counts = rng.integers(0, 4, size=40)
    Z = X.copy()
    Z[counts == 0] = 1e12
    for estimator in (GroupLasso(3, 0.1, tol=1e-12), MCPRegression(0.1, tol=1e-10)):
        weighted = clone(estimator).fit(Z, y, sample_weight=counts)
        repeated = clone(estimator).fit(np.repeat(X, counts, 0), np.repeat(y, counts))
        np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)


def test_groups_without_a_penalty(rng):
    X, y = example(rng)
    model = GroupLasso(4, 0.2, weights=[0, 1, 1, np.inf, 1, 1], tol=1e-13).fit(X, y)
    assert model.converged_
    np.testing.assert_allclose(products(model, X, y)[:4], 0, atol=1e-6)
    assert not model.coef_[12:16].any()


def test_float32_stays(rng):
    X, y = example(rng)
    for estimator in (GroupLasso(4, 0.1), MCPRegression(0.1), SCADRegression(0.1)):
        single = clone(estimator).fit(X.astype(np.float32), y)
        assert single.coef_.dtype == np.float32
        np.testing.assert_allclose(single.coef_, clone(estimator).fit(X, y).coef_, atol=1e-4)


def test_in_a_pipeline_on_real_data():
    X, y = load_diabetes(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MCPRegression()),
        {"mcpregression__alpha": [0.1, 1.0, 10.0]},
        n_jobs=2,
    ).fit(X, y)
    assert search.best_score_ > 0.4
    assert make_pipeline(StandardScaler(), GroupLasso(5, 1.0)).fit(X, y).score(X, y) > 0.45


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (GroupLasso(5), "groups is 5, which does not divide the 24 columns"),
        (GroupLasso(0), "groups is 0"),
        (GroupLasso(2.5), "groups is 2.5"),
        (GroupLasso([]), "groups: needs a size"),
        (GroupLasso([0.5, 23.5]), "groups: needs a size"),
        (GroupLasso([4, 4]), "sum to 8"),
        (GroupLasso([30, -6]), "from -6 on"),
        (GroupLasso([[0, 1], [2]]), "needs each of the 24 columns"),
        (GroupLasso([list(range(24)), [0]]), "needs each of the 24 columns"),
        (GroupLasso([list(range(24)), []]), "at least one column"),
        (GroupLasso(4, weights=[1.0]), "weights has 1 values for 6 groups"),
        (GroupLasso(4, weights="size"), "weights is 'size'"),
        (GroupLasso(4, alpha=0), "alpha is 0"),
        (SparseGroupLasso(4, l1_ratio=0), "l1_ratio is 0"),
        (MCPRegression(gamma=0), "gamma is 0"),
        (SCADRegression(a=2), "a is 2"),
        (BridgeRegression(power=0.7), "power is 0.7"),
        (MCPRegression(weights=[1.0]), "weights has 1 values for 24 columns of X"),
        (MCPRegression(warm_start=1), "warm_start is 1"),
        (L0Regression(n_nonzero_coefs=25), "n_nonzero_coefs is 25"),
        (L0Regression(n_nonzero_coefs=0), "n_nonzero_coefs is 0"),
    ],
)
def test_bad_parameters(model, message, rng):
    with pytest.raises(InvalidInputError, match=message):
        model.fit(*example(rng))


def test_what_did_not_converge_is_told(rng):
    X, y = example(rng, 50, 200)
    with pytest.warns(ConvergenceWarning, match="has a gap of .* of the objective at zero"):
        GroupLasso(4, 0.001, max_iter=1, tol=1e-12).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="has a stationarity of"):
        MCPRegression(0.001, max_iter=1, tol=1e-12).fit(X, y)
    with pytest.raises(InvalidInputError, match="y has shape"):
        MultiTaskLasso().fit(X, y)

"""Bounds of coefficients: against references of higher precision, and their conditions."""

import numpy as np
import pytest
from scipy import optimize, sparse
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import InvalidInputError
from sparrot.linear_model import (
    ElasticNet,
    ElasticNetCV,
    GroupLasso,
    Lasso,
    LassoCV,
    MCPRegression,
    SparseHuberRegression,
    SparseLogisticRegression,
    SparsePoissonRegression,
    SparsePoissonRegressionCV,
    SqrtLasso,
    enet_path,
    lasso_path,
    regularization_path,
)

NEVER_CONVERGES = "ignore::sparrot.errors.ConvergenceWarning"
INF = np.inf


@parametrize_with_checks(
    [Lasso(0.01, bounds=(-1, 0.5)), SparseLogisticRegression(0.01, bounds=(-5, np.inf))],
    xfail_strict=True,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def random_bounds(rng, p, size=1.0):
    """Ends of all kinds: 0, infinite, and near enough to be met."""

    def ends():
        near = size * rng.uniform(0.01, 1, size=p)
        return rng.choice([0.0, INF, 1e6, 1.0], p=[0.15, 0.2, 0.05, 0.6], size=p) * near

    return np.where(rng.random(p) < 0.1, 0, -ends()), ends()


def is_within(coef, bounds):
    lower, upper = bounds
    return bool(((coef >= lower) & (coef <= upper)).all())


def violation(h, coef, limits, bounds):
    """How far products h are from the conditions of a minimum; of extended precision if h is."""
    lower, upper = np.broadcast_to(bounds[0], coef.shape), np.broadcast_to(bounds[1], coef.shape)
    slope = np.where(coef != 0, h - limits * np.sign(coef), 0)
    at_0 = np.maximum(np.where(upper > 0, h, -INF), np.where(lower < 0, -h, -INF)) - limits
    at_0 = np.where(coef == 0, np.maximum(at_0, 0), 0)
    inside = np.where((coef != lower) & (coef != upper), np.abs(slope), 0)
    above = np.where(coef == upper, np.maximum(-slope, 0), 0)
    below = np.where(coef == lower, np.maximum(slope, 0), 0)
    return np.where(coef == 0, at_0, inside + above + below).max(initial=0)


def descended(X, y, sample, limits, mu, bounds, centred):
    """Coordinate descent in extended precision, and its objective."""
    X, y, s = (np.asarray(part, np.longdouble) for part in (X, y, sample / sample.sum()))
    if centred:
        X, y = X - s @ X, y - s @ y
    used = np.flatnonzero((np.abs(X).max(axis=0) > 0) & (limits < INF))
    w, r = np.zeros(X.shape[1], np.longdouble), y.copy()
    squares = s @ X**2
    for _ in range(20_000):
        moved = np.longdouble(0)
        for j in used:
            u = (s * X[:, j]) @ r + squares[j] * w[j]
            shrunk = np.sign(u) * max(abs(u) - limits[j], 0) / (squares[j] + mu)
            to = min(max(shrunk, bounds[0][j]), bounds[1][j])
            moved = max(moved, abs(to - w[j]))
            r -= (to - w[j]) * X[:, j]
            w[j] = to
        if moved <= 1e-19 * (1 + np.abs(w).max()):
            break
    h = X.T @ (s * r) - mu * w
    assert violation(h[used], w[used], limits[used], [end[used] for end in bounds]) < 1e-15
    return float(s @ r**2 / 2 + limits[used] @ np.abs(w[used]) + mu * (w @ w) / 2)


def objective(X, y, sample, limits, mu, coef, intercept):
    """In extended precision, of what is returned."""
    s = np.asarray(sample / sample.sum(), np.longdouble)
    r = y.astype(np.longdouble) - X.astype(np.longdouble) @ coef - intercept
    used = limits < INF
    return s @ r**2 / 2 + limits[used] @ np.abs(coef[used]) + mu * (coef @ coef) / 2


@pytest.mark.parametrize("seed", range(320))
def test_gaps_are_not_below_the_true_ones(seed):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(6, 15)), int(rng.integers(1, 6))
    X, y = rng.normal(size=(n, p)) + rng.choice([0, 2]), rng.normal(size=n)
    y += X @ rng.normal(size=p)
    X[rng.random((n, p)) < rng.choice([0, 0.3])] = 0
    sample = rng.choice([np.ones(n), rng.uniform(0.1, 3, size=n)])
    weights = rng.choice([np.ones(p), rng.choice([0, 0.5, 2, INF], size=p)])
    alpha, l1_ratio = 10 ** rng.uniform(-4, 0), rng.choice([1.0, 1.0, 0.6])
    bounds, centred = random_bounds(rng, p), bool(rng.integers(2))
    form = [np.asarray, np.asfortranarray, sparse.csc_array][rng.integers(3)]
    model = ElasticNet(
        alpha,
        l1_ratio=l1_ratio,
        bounds=bounds,
        weights=weights,
        fit_intercept=centred,
        tol=rng.choice([1e-12, 1e-3, 0.3]),
    ).fit(form(X), y, sample)
    limits, mu = alpha * l1_ratio * weights, alpha * (1 - l1_ratio)
    least = descended(X, y, sample, limits, mu, bounds, centred)
    own = objective(X, y, sample, limits, mu, model.coef_, model.intercept_)
    unit = float(np.average(y**2, weights=sample))
    assert is_within(model.coef_, bounds)
    assert abs(own - model.objective_) <= 1e-14 * unit
    assert own - least <= model.dual_gap_ + 1e-15 * unit
    assert model.converged_


@pytest.mark.filterwarnings(NEVER_CONVERGES)
@pytest.mark.parametrize("seed", range(40))
def test_gaps_before_the_end(seed):
    rng = np.random.default_rng(seed)
    n, p = 60, 300
    X = rng.normal(size=(n, p)) + rng.choice([0, 1]) * rng.normal(size=(n, 1))
    y = X[:, :40] @ rng.normal(size=40) + rng.normal(size=n)
    options = {
        "alpha": 10 ** rng.uniform(-3, -0.5),
        "l1_ratio": rng.choice([1.0, 0.9]),
        "bounds": random_bounds(rng, p),
        "fit_intercept": bool(rng.integers(2)),
    }
    exact = ElasticNet(tol=1e-13, **options).fit(X, y)
    limit, mu = options["alpha"] * options["l1_ratio"], options["alpha"] * (1 - options["l1_ratio"])
    coef = exact.coef_.astype(np.longdouble)
    h = X.T @ (y - X @ coef - exact.intercept_) / n - mu * coef
    assert violation(h, coef, limit, options["bounds"]) < 1e-7
    assert exact.dual_gap_ <= 1e-12 * np.mean(y**2)
    gaps = []
    for passes in (1, 2, 3, 5):
        model = ElasticNet(tol=1e-13, max_iter=passes, **options).fit(X, y)
        assert is_within(model.coef_, options["bounds"])
        assert model.objective_ - exact.objective_ <= model.dual_gap_ + 1e-14 * np.mean(y**2)
        gaps.append(model.objective_ - exact.objective_)
    assert max(gaps) > 1e-6


@pytest.mark.parametrize("seed", range(20))
def test_without_a_penalty_it_is_bounded_least_squares(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(40, 12)), 3 * rng.normal(size=40)
    bounds = random_bounds(rng, 12, 0.5)
    bounds[1][0] = 1.0  # a range of one number is none for scipy
    bounds[0][bounds[0] == bounds[1]] = -1.0
    expected = optimize.lsq_linear(X, y, bounds, method="bvls", tol=1e-15)
    model = Lasso(1.0, weights=np.zeros(12), bounds=bounds, fit_intercept=False, tol=1e-12)
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.x, atol=1e-9)
    assert is_within(model.coef_, bounds)
    assert model.converged_
    assert ((model.coef_ == bounds[0]) | (model.coef_ == bounds[1])).sum() >= 2


def test_more_columns_than_rows_without_a_penalty(rng):
    X, y = rng.normal(size=(20, 60)), 30 * rng.normal(size=20)
    bounds = (-np.full(60, 0.5), np.full(60, 0.3))
    model = Lasso(1.0, weights=np.zeros(60), bounds=bounds, fit_intercept=False).fit(X, y)
    expected = optimize.lsq_linear(X, y, bounds, tol=1e-12, max_iter=1000)
    assert model.converged_
    np.testing.assert_allclose(20 * model.objective_, expected.cost, rtol=1e-5)


@pytest.mark.parametrize("estimator", [Lasso, ElasticNet, SparseHuberRegression])
def test_positive_is_a_special_case(estimator, rng):
    X, y = rng.normal(size=(50, 200)), rng.normal(size=50)
    positive = estimator(0.05, positive=True).fit(X, y)
    for bounds in [(0, INF), (np.zeros(200), INF), (0, np.full(200, INF))]:
        bounded = estimator(0.05, bounds=bounds).fit(X, y)
        np.testing.assert_array_equal(bounded.coef_, positive.coef_)
    free = estimator(0.05).fit(X, y)
    np.testing.assert_array_equal(estimator(0.05, bounds=(-INF, INF)).fit(X, y).coef_, free.coef_)
    assert (free.coef_ < 0).any()
    far = estimator(0.05, bounds=(-1e12, 1e12), tol=1e-10).fit(X, y)
    assert far.converged_
    np.testing.assert_allclose(far.coef_, estimator(0.05, tol=1e-10).fit(X, y).coef_, atol=1e-6)


def test_ranges_of_one_number_and_of_none(rng):
    X, y = rng.normal(size=(50, 5)), rng.normal(size=50)
    none = Lasso(1e-3, bounds=(0, 0)).fit(X, y)
    assert not none.coef_.any()
    assert none.converged_
    upper = np.array([0, 1, 1, 1, 1])
    some = Lasso(1e-3, bounds=(-upper, upper)).fit(X, y)
    left = Lasso(1e-3, bounds=(-1, 1)).fit(X[:, 1:], y)
    assert some.coef_[0] == 0
    np.testing.assert_allclose(some.coef_[1:], left.coef_, atol=1e-9)
    tiny = Lasso(1e-3, bounds=(-1e-300, 1e-300)).fit(X, y)
    assert set(np.abs(tiny.coef_)) <= {0, 1e-300}
    assert tiny.converged_


def test_far_ends_do_not_spoil_the_gap(rng):
    X, y = rng.normal(size=(50, 30)), rng.normal(size=50)
    upper = np.where(np.arange(30) < 3, 1e-3, 1e15)
    for weights in (None, np.where(np.arange(30) % 4 == 0, 0, 1)):
        model = Lasso(0.01, bounds=(-upper, upper), weights=weights, tol=1e-11).fit(X, y)
        assert model.converged_
        assert (np.abs(model.coef_[:3]) == 1e-3).any()


@pytest.mark.parametrize("form", [np.asfortranarray, sparse.csc_array])
def test_single_precision_stays_within(form, rng):
    X, y = rng.normal(size=(60, 40)).astype(np.float32), rng.normal(size=60).astype(np.float32)
    # Numbers that rounding to float32 takes outwards.
    upper = np.abs(rng.normal(size=40)) * 0.01
    upper = np.where(upper.astype(np.float32) > upper, upper, 0.1 / 3 + 1e-9)
    model = ElasticNet(1e-3, bounds=(-upper, upper)).fit(form(X), y)
    assert model.coef_.dtype == np.float32
    assert is_within(model.coef_.astype(np.float64), (-upper, upper))
    at_end = np.isclose(np.abs(model.coef_), upper, rtol=1e-6)
    assert at_end.sum() > 10
    _, coefs, _ = lasso_path(X, y, alphas=[0.1, 1e-3], bounds=(-upper, upper))
    assert coefs.dtype == np.float32
    assert all(is_within(c.astype(np.float64), (-upper, upper)) for c in coefs.T)


def losses(rng, X):
    """Estimators with targets, the mean loss of linear values, and its slope for each row."""
    z = X @ rng.normal(size=X.shape[1]) * 0.5
    classes = (z + rng.normal(size=len(z)) > 0).astype(float)
    counts = rng.poisson(np.exp(np.clip(z, -3, 3))).astype(float)
    sign = 2 * classes - 1
    response = z + rng.standard_t(2, size=len(z))
    delta = 0.7

    def huber(v):
        r = np.abs(response - v)
        return np.where(r <= delta, r**2 / 2, delta * (r - delta / 2)).mean()

    return {
        "logistic": (
            SparseLogisticRegression,
            classes,
            lambda v: np.logaddexp(0, -sign * v).mean(),
            lambda v: -sign / (1 + np.exp(sign * v)),
        ),
        "poisson": (
            SparsePoissonRegression,
            counts,
            lambda v: (np.exp(v) - counts * v).mean(),
            lambda v: np.exp(v) - counts,
        ),
        "huber": (
            lambda *a, **k: SparseHuberRegression(*a, delta=delta, **k),
            response,
            huber,
            lambda v: np.clip(v - response, -delta, delta),
        ),
    }


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("name", ["logistic", "poisson", "huber"])
def test_other_losses(name, seed):
    rng = np.random.default_rng(seed)
    n, p = 40, int(rng.integers(2, 8))
    X = rng.normal(size=(n, p))
    estimator, y, mean_loss, slope = losses(rng, X)[name]
    bounds, alpha = random_bounds(rng, p, 0.6), 10 ** rng.uniform(-3, -1)
    l1_ratio, intercept = rng.choice([1.0, 0.7]), bool(rng.integers(2))
    form = [np.asarray, sparse.csc_array][rng.integers(2)]
    options = {"l1_ratio": l1_ratio, "bounds": bounds, "fit_intercept": intercept}
    limit, mu = alpha * l1_ratio, alpha * (1 - l1_ratio)

    def solved(tol):
        model = estimator(alpha, tol=tol, **options).fit(form(X), y)
        coef = model.coef_.ravel()
        assert model.converged_
        assert is_within(coef, bounds)
        value = X @ coef + np.ravel(model.intercept_)[0]
        least = mean_loss(value) + limit * np.abs(coef).sum() + mu * (coef @ coef) / 2
        return model, coef, value, least

    _, coef, value, least = solved(1e-13)
    h = -X.T @ slope(value) / n - mu * coef
    assert violation(h, coef, limit, bounds) < 1e-5
    assert not intercept or abs(slope(value).mean()) < 1e-12
    for tol in (0.3, 1e-2, 1e-4):
        rough, _, _, own = solved(tol)
        assert own - least <= rough.dual_gap_ + 1e-12


@pytest.mark.parametrize("estimator", [SparseLogisticRegression, SparseHuberRegression])
def test_many_columns_are_solved_by_rows(estimator, rng):
    X = rng.normal(size=(400, 500))
    y = X[:, :200] @ rng.normal(size=200) + rng.normal(size=400)
    target = y > 0 if estimator is SparseLogisticRegression else y
    bounds = random_bounds(rng, 500, 0.1)
    model = estimator(1e-3, bounds=bounds, tol=1e-8).fit(X, target)
    coef = model.coef_.ravel()
    assert model.converged_
    assert is_within(coef, bounds)
    assert ((coef == bounds[0]) | (coef == bounds[1]))[coef != 0].sum() > 50
    value = X @ coef + np.ravel(model.intercept_)[0]
    sign = 2 * target - 1 if target.dtype == bool else None
    slope = np.clip(value - y, -1.35, 1.35) if sign is None else -sign / (1 + np.exp(sign * value))
    assert violation(-X.T @ slope / 400, coef, 1e-3, bounds) < 1e-4


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_several_classes(seed, l1_ratio):
    rng = np.random.default_rng(seed)
    n, p, alpha = 90, 8, 0.01
    X, y = rng.normal(size=(n, p)), np.arange(n) % 3
    X[:, :3] += np.eye(3)[y]
    bounds = random_bounds(rng, p, 0.5)
    model = SparseLogisticRegression(alpha, l1_ratio=l1_ratio, bounds=bounds, tol=1e-9).fit(X, y)
    assert model.converged_
    assert all(is_within(coef, bounds) for coef in model.coef_)
    assert (model.coef_ == bounds[1]).any()
    rows = softmax(X @ model.coef_.T + model.intercept_, axis=1) - np.eye(3)[y]
    for k, coef in enumerate(model.coef_):
        h = -X.T @ rows[:, k] / n - alpha * (1 - l1_ratio) * coef
        assert violation(h, coef, alpha * l1_ratio, bounds) < 1e-4
    rough = clone(model).set_params(tol=0.1).fit(X, y)
    own = -log_softmax(X @ rough.coef_.T + rough.intercept_, axis=1)[np.arange(n), y].mean()
    own += alpha * l1_ratio * np.abs(rough.coef_).sum()
    own += alpha * (1 - l1_ratio) * (rough.coef_**2).sum() / 2
    assert own - model.objective_ <= rough.dual_gap_ + 1e-12
    with pytest.raises(InvalidInputError, match=r"weights\[0\] is 0: with positive=True or bounds"):
        SparseLogisticRegression(bounds=(-1, 1), weights=np.arange(p)).fit(X, y)


def test_paths_folds_and_warm_starts(rng):
    X = rng.normal(size=(80, 30))
    y = X[:, :5] @ [3, -2, 1, 1, -1] + 0.1 * rng.normal(size=80)
    bounds = (-1.5, np.full(30, 0.75))
    alphas, coefs, gaps = enet_path(X, y, l1_ratio=0.8, n_alphas=10, bounds=bounds, tol=1e-9)
    assert all(is_within(coef, bounds) for coef in coefs.T)
    assert not coefs[:, 0].any()
    for alpha, coef, gap in zip(alphas, coefs.T, gaps, strict=True):
        alone = ElasticNet(alpha, l1_ratio=0.8, bounds=bounds, fit_intercept=False, tol=1e-9)
        np.testing.assert_allclose(alone.fit(X, y).coef_, coef, atol=1e-5)
        assert gap <= 1e-9 * np.mean(y**2)
    path = regularization_path(Lasso(bounds=bounds), X, y, n_alphas=5)
    assert all(is_within(coef, bounds) for coef in path.coefs.T)
    counts = np.round(np.exp(np.clip(y, -1, 2)))
    for model, target in [
        (LassoCV(bounds=bounds, alphas=5), y),
        (ElasticNetCV(bounds=bounds, alphas=5), y),
        (SparsePoissonRegressionCV(bounds=bounds, alphas=5), counts),
    ]:
        assert is_within(model.fit(X, target).coef_, bounds)
    grid = {"bounds": [None, (-1, 1), (np.zeros(30), np.ones(30))]}
    assert GridSearchCV(Lasso(0.01), grid, cv=3).fit(X, y).best_params_ == {"bounds": None}
    model = Lasso(0.01, warm_start=True, tol=1e-9).fit(X, y)
    model.set_params(bounds=bounds).fit(X, y)
    np.testing.assert_allclose(
        model.coef_, Lasso(0.01, bounds=bounds, tol=1e-9).fit(X, y).coef_, atol=1e-6
    )
    assert model.coef_[:2].tolist() == [0.75, -1.5]
    again = model.fit(X, y)
    assert again.n_iter_ == 1
    assert again.coef_[:2].tolist() == [0.75, -1.5]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (1.0, r"bounds is 1\.0: needs \(lower, upper\)"),
        ((0, 1, 2), r"bounds is \(0, 1, 2\): needs \(lower, upper\)"),
        ((0.5, 1), r"bounds: lower is 0\.5: needs at most 0"),
        ((-1, -0.5), r"bounds: upper is -0\.5: needs at least 0"),
        ((1, -1), r"bounds: lower is 1\.0: needs at most 0"),
        ((np.nan, 1), "bounds: lower is nan"),
        ((INF, 1), "bounds: lower is inf"),
        ((0, -INF), "bounds: upper is -inf"),
        (([-1, 0.2, 0], 1), r"bounds: lower\[1\] is 0\.2"),
        ((-1, [1, 1, np.nan]), r"bounds: upper\[2\] is nan"),
        (([-1, -1], 1), "bounds: lower has 2 values for 3 columns of X"),
        ((np.zeros((3, 1)), 1), r"bounds: lower has shape \(3, 1\)"),
        ((None, 1), "bounds: lower has dtype object"),
        (("a", "b"), "bounds: lower has dtype"),
    ],
)
def test_bad_bounds(bounds, message, rng):
    X, y = rng.normal(size=(5, 3)), rng.normal(size=5)
    for fit in (
        lambda: Lasso(bounds=bounds).fit(X, y),
        lambda: SparseHuberRegression(bounds=bounds).fit(X, y),
        lambda: lasso_path(X, y, bounds=bounds),
        lambda: LassoCV(bounds=bounds).fit(X, y),
    ):
        with pytest.raises(InvalidInputError, match=message):
            fit()


def test_what_does_not_go_together(rng):
    X, y = rng.normal(size=(5, 3)), rng.normal(size=5)
    with pytest.raises(InvalidInputError, match=r"bounds are given with positive=True"):
        ElasticNet(bounds=(0, 1), positive=True).fit(X, y)
    for estimator in (GroupLasso, MCPRegression, SqrtLasso):
        with pytest.raises(TypeError, match="bounds"):
            estimator(bounds=(0, 1))

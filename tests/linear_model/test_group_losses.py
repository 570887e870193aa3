"""Norms of groups with losses of classes, counts and outliers: optimal, certified, or refused."""

from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot import _sparrot
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.linear_model import (
    SparseHuberRegression,
    SparseLogisticRegression,
    SparseLogisticRegressionCV,
    SparsePoissonRegression,
    SparsePoissonRegressionCV,
    regularization_path,
)
from tests.linear_model.losses import MODELS, Logistic, Poisson


@parametrize_with_checks(
    [
        SparseLogisticRegression(alpha=1e-3, groups=1, weights="sqrt"),
        SparsePoissonRegression(alpha=0.01, groups=1),
        SparseHuberRegression(alpha=0.01, groups=1, l1_ratio=0.5),
    ]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


class Problem:
    """``mean loss + sum_g limits_g |w_g| + ridge |w|^2 / 2``, in long double."""

    def __init__(self, kind, X, y, s, groups, limits, ridge, intercept):
        self.kind, self.groups, self.limits, self.ridge = kind, groups, limits, ridge
        self.X, self.y = X.astype(np.longdouble), y.astype(np.longdouble)
        s = np.ones(len(y)) if s is None else s
        self.s = s.astype(np.longdouble) / s.sum()
        self.intercept = intercept

    def norms(self, w):
        return np.array([np.sqrt((w[g] ** 2).sum()) for g in self.groups])

    def penalty(self, w):
        used = self.norms(w) > 0
        return (self.limits[used] * self.norms(w)[used]).sum() + self.ridge / 2 * (w**2).sum()

    def loss(self, w, b):
        return (self.s * self.kind.losses(self.X @ w + b, self.y)).sum()

    def objective(self, w, b):
        return self.loss(w, b) + self.penalty(w)

    def of(self, model):
        return self.objective(
            np.ravel(model.coef_).astype(np.longdouble),
            np.longdouble(np.ravel(model.intercept_)[0]),
        )

    def slopes(self, w, b):
        r = self.s * self.kind.slopes(self.X @ w + b, self.y)
        return self.X.T @ r, r.sum() * self.intercept

    def violation(self, w, b):
        """By how much the optimality conditions are missed."""
        slopes, of_intercept = self.slopes(w, b)
        h = -slopes - self.ridge * w
        missed = [abs(of_intercept)]
        for g, limit, size in zip(self.groups, self.limits, self.norms(w), strict=True):
            if size > 0:
                missed.append(np.abs(h[g] - limit * w[g] / size).max())
            elif limit < np.inf:
                missed.append(max(0, np.sqrt((h[g] ** 2).sum()) - limit))
        return float(max(missed))

    def proximal_step(self, w, b, t):
        slopes, of_intercept = self.slopes(w, b)
        moved = w - t * slopes
        for g, limit in zip(self.groups, self.limits, strict=True):
            size = np.sqrt((moved[g] ** 2).sum())
            moved[g] *= max(0, 1 - t * limit / size) if size > 0 else 0
        return moved / (1 + t * self.ridge), b - t * of_intercept

    def minimum(self, steps=3000):
        """The objective and the solution, by accelerated proximal gradients and Newton's method.

        Gradients settle which groups are 0; on the others the objective is smooth.
        """
        w, b = np.zeros(self.X.shape[1], np.longdouble), np.longdouble(0)
        ahead, momentum, t = (w, b), 1.0, 1.0
        for _ in range(steps):
            slopes, of_intercept = self.slopes(*ahead)
            while True:
                new = self.proximal_step(*ahead, t)
                d, e = new[0] - ahead[0], new[1] - ahead[1]
                linear = slopes @ d + of_intercept * e
                rise = self.loss(*new) - self.loss(*ahead) - linear
                if rise <= (d @ d + e * e) / (2 * t) + 1e-18:
                    break
                t /= 2
            if self.objective(*new) > self.objective(w, b):
                if momentum == 1.0:
                    break
                ahead, momentum = (w, b), 1.0
                continue
            longer = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            by = (momentum - 1) / longer
            ahead = new[0] + by * (new[0] - w), new[1] + by * (new[1] - b)
            (w, b), momentum, t = new, longer, 1.1 * t
            if np.abs(d).max(initial=0) + abs(e) < 1e-11 * t:
                break
        return self.polished(w, b)

    def polished(self, w, b):
        """By Newton steps on the groups in use, as long as they go down."""
        best = self.objective(w, b)
        used = np.flatnonzero(
            np.isin(
                np.arange(len(w)),
                np.concatenate(
                    [
                        [-1],
                        *(
                            g
                            for g, size in zip(self.groups, self.norms(w), strict=True)
                            if size > 0
                        ),
                    ]
                ),
            )
        )
        for _ in range(20):
            h = 1e-7
            z = self.X @ w + b
            curvatures = self.kind.slopes(z + h, self.y) - self.kind.slopes(z - h, self.y)
            curvatures = self.s * curvatures / (2 * h)
            columns = np.column_stack([self.X[:, used], np.full(len(z), float(self.intercept))])
            hessian = columns.T @ (curvatures[:, None] * columns)
            slopes, of_intercept = self.slopes(w, b)
            slopes = slopes + self.ridge * w
            for g, limit, size in zip(self.groups, self.limits, self.norms(w), strict=True):
                if size == 0:
                    continue
                at = np.searchsorted(used, g)
                u = w[g] / size
                slopes[g] += limit * u
                hessian[np.ix_(at, at)] += limit / size * (np.eye(len(g)) - np.outer(u, u))
                hessian[at, at] += self.ridge
            right = np.append(slopes[used], of_intercept).astype(float)
            step = np.linalg.lstsq(hessian.astype(float), right, rcond=1e-14)[0]
            moved = w.copy()
            moved[used] -= step[:-1]
            found = self.objective(moved, b - step[-1])
            if not found < best:
                break
            w, b, best = moved, b - step[-1], found
        return best, w, b


def partition(rng, p, largest=5):
    """Columns in groups, in no order."""
    sizes, left = [], p
    while left:
        sizes.append(int(rng.integers(1, min(left, largest) + 1)))
        left -= sizes[-1]
    return np.split(rng.permutation(p), np.cumsum(sizes)[:-1])


def random_problem(seed):
    """Return a model, its data and the problem: any loss, penalty and form of both."""
    rng = np.random.default_rng(seed)
    chance = rng.random
    n, p = int(rng.integers(25, 50)), int(rng.integers(1, 40))
    X = rng.normal(size=(n, p)) * rng.uniform(0.5, 2, p) + rng.normal(size=p)
    X *= rng.random((n, p)) < rng.choice([1.0, 1.0, 0.4])
    if chance() < 0.2:
        X[:, rng.integers(p)] = 3.0
    if chance() < 0.2:
        X[:, rng.integers(p)] = X[:, rng.integers(p)]
    groups = partition(rng, p)
    count = len(groups)
    linear = X[:, groups[0]].sum(1) + X[:, groups[-1]].sum(1)
    linear = linear / max(linear.std(), 1e-9)
    kind = rng.choice(MODELS)
    y = kind.targets(rng, linear - linear.mean())
    y[:4] = [0, 1, 1, 0]
    s = rng.random(n) * (rng.random(n) < 0.9) if chance() < 0.5 else None
    if s is not None:
        s[:4] = 0.5
    weights = np.ones(count)
    given = None
    if chance() < 0.5:
        weights = given = rng.choice([0.5, 1.0, 3.0, np.inf], count)
        if chance() < 0.5 and count > 1:
            weights[np.argmin([len(g) for g in groups])] = 0.0
    elif chance() < 0.5:
        weights, given = np.sqrt([len(g) for g in groups]), "sqrt"
    ratio, has_intercept = rng.choice([1.0, 1.0, 0.6]), bool(chance() < 0.5)
    slopes = kind.slopes(np.zeros(n), y)
    largest = max(np.linalg.norm(X[:, g].T @ (slopes - slopes.mean())) for g in groups) / n
    alpha = max(largest, 1e-3) * rng.choice([2.0, 0.5, 0.1, 0.03])
    model = kind.estimator(
        alpha,
        l1_ratio=ratio,
        fit_intercept=has_intercept,
        groups=[g.tolist() for g in groups],
        weights=given,
    )
    limits = alpha * ratio * weights
    problem = Problem(kind, X, y, s, groups, limits, alpha * (1 - ratio), has_intercept)
    return model, X, y, s, problem


SEEDS = st.integers(0, 10**6)


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, form=st.sampled_from([np.asarray, sparse.csc_array]))
def test_solutions_are_those_of_a_reference(seed, form):
    model, X, y, s, reference = random_problem(seed)
    model.set_params(tol=1e-12).fit(form(X), y, sample_weight=s)
    assert model.converged_
    least, _, _ = reference.minimum()
    found = reference.of(model)
    assert model.objective_ == pytest.approx(float(found), rel=1e-13, abs=1e-13)
    assert found <= least + 1e-11 * (1 + abs(least))
    coef, intercept = np.ravel(model.coef_), np.ravel(model.intercept_)[0]
    assert reference.violation(coef, intercept) < 1e-5 * model.alpha
    left_out = [
        g for g, limit in zip(reference.groups, reference.limits, strict=True) if limit == np.inf
    ]
    assert not any(coef[g].any() for g in left_out)


@settings(max_examples=300, deadline=None)
@given(seed=SEEDS, tol=st.sampled_from([0.5, 1e-1, 1e-3, 1e-6]))
def test_the_gap_is_not_below_the_true_one(seed, tol):
    model, X, y, s, reference = random_problem(seed)
    model.set_params(tol=tol).fit(X, y, sample_weight=s)
    least, _, _ = reference.minimum()
    excess = float(reference.of(model) - least)
    assert model.dual_gap_ >= excess - 1e-14 * (1 + abs(model.objective_))


def data_of(kind, rng, n=80, p=30):
    X = rng.normal(size=(n, p))
    return X, kind.targets(rng, X[:, :3].sum(1) / 2)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.7])
def test_groups_of_one_are_the_l1_norm(l1_ratio, intercept, kind, rng):
    X, y = data_of(kind, rng)
    s, weights = rng.random(80), rng.choice([0.0, 0.5, 2.0, np.inf], 30, p=[0.05, 0.4, 0.5, 0.05])
    options = {"l1_ratio": l1_ratio, "fit_intercept": intercept, "weights": weights, "tol": 1e-13}
    for alpha in (0.1, 0.01):
        single = kind.estimator(alpha, **options).fit(X, y, s)
        for groups in (1, np.ones(30, dtype=int), [[j] for j in range(30)]):
            grouped = kind.estimator(alpha, groups=groups, **options).fit(X, y, s)
            np.testing.assert_allclose(grouped.coef_, single.coef_, rtol=0, atol=1e-8)
            np.testing.assert_allclose(grouped.intercept_, single.intercept_, rtol=0, atol=1e-8)
        assert grouped.trace_["sparsity"][-1] == np.count_nonzero(single.coef_)


@pytest.mark.parametrize("kind", MODELS)
def test_groups_are_named_in_three_ways(kind, rng):
    X, y = data_of(kind, rng)
    order = rng.permutation(30)
    first = kind.estimator(0.05, groups=5, tol=1e-12).fit(X, y)
    by_sizes = clone(first).set_params(groups=[5] * 6).fit(X, y)
    np.testing.assert_array_equal(by_sizes.coef_, first.coef_)
    lists = np.argsort(order).reshape(6, 5).tolist()  # where the columns of each have gone
    moved = clone(first).set_params(groups=lists).fit(X[:, order], y)
    np.testing.assert_allclose(np.ravel(moved.coef_), np.ravel(first.coef_)[order], atol=1e-8)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(("free", "l1_ratio"), [(False, 1.0), (False, 0.5), (True, 1.0)])
def test_the_largest_penalty_is_the_least_that_gives_0(free, l1_ratio, kind, rng):
    X, y = data_of(kind, rng, n=120)
    weights = np.array([0.0 if free else 1.0, 2.0, 0.5, 1.0, np.inf, 1.0])
    model = kind.estimator(groups=5, weights=weights, l1_ratio=l1_ratio, tol=1e-10)
    path = regularization_path(model, X, y, n_alphas=2, eps=0.99)
    coefs = path.coefs.reshape(30, 2)
    penalised = coefs[5 if free else 0 :]
    assert not penalised[:, 0].any()
    assert penalised[:, 1].any()
    if free:
        assert coefs[:5].all()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_data_is_that_of_the_coefficients(scale, rng):
    X, y = data_of(Logistic, rng)
    plain = SparseLogisticRegression(0.03, groups=3, tol=1e-12).fit(X, y)
    scaled = SparseLogisticRegression(0.03 * scale, groups=3, tol=1e-12).fit(scale * X, y)
    np.testing.assert_allclose(scale * scaled.coef_, plain.coef_, atol=1e-8)
    assert scaled.objective_ == pytest.approx(plain.objective_, rel=1e-12)


@pytest.mark.parametrize("kind", MODELS)
def test_weights_are_repeated_rows(kind, rng):
    X, y = data_of(kind, rng)
    counts = rng.integers(0, 4, 80)
    model = kind.estimator(0.02, groups=3, weights="sqrt", tol=1e-12)
    weighted = clone(model).fit(X, y, sample_weight=counts)
    repeated = clone(model).fit(X.repeat(counts, 0), y.repeat(counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-7)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, atol=1e-7)


@pytest.mark.parametrize("kind", MODELS)
def test_single_precision_stays(kind, rng):
    X, y = data_of(kind, rng)
    single = kind.estimator(0.03, groups=3).fit(X.astype(np.float32), y)
    double = kind.estimator(0.03, groups=3, tol=1e-10).fit(X, y)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, double.coef_, atol=1e-3)


@pytest.mark.parametrize("kind", MODELS)
def test_threads_do_not_change_a_bit(kind, rng):
    X, y = data_of(kind, rng, 300, 4000)
    one, two = (kind.estimator(0.03, groups=4, n_threads=k).fit(X, y) for k in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)


@pytest.mark.parametrize("kind", MODELS)
def test_a_warm_start_begins_where_it_was(kind, rng):
    X, y = data_of(kind, rng, 200, 300)
    X[:, 4] = 1.0
    weights = np.ones(60)
    weights[7] = np.inf
    model = kind.estimator(0.01, groups=5, weights=weights, warm_start=True, tol=1e-8).fit(X, y)
    coef, passes = model.coef_.copy(), model.n_iter_
    assert passes > 1
    again = model.fit(X, y)
    assert again.n_iter_ == 1
    np.testing.assert_allclose(again.coef_, coef, atol=1e-5)
    # What is not allowed, or has no effect, is not taken over.
    model.coef_ = np.where(np.arange(300) // 5 == 7, 3.0, model.coef_)
    model.coef_[..., 4] = 5.0
    again = model.fit(X, y)
    np.testing.assert_allclose(again.coef_, coef, atol=1e-5)
    assert not np.ravel(again.coef_)[35:40].any()
    assert np.ravel(again.coef_)[4] == 0


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_constant_columns_are_0_in_any_group(form, kind, rng):
    X, y = data_of(kind, rng)
    X[:, [1, 8, 9, 10, 11, 12]] = [3.0, 1e8, 0.0, -2.0, 1.0, 7.0]
    weights = [
        0.0,
        1.0,
        0.0,
        1.0,
        1.0,
        1.0,
    ]  # of the third group nothing is left but columns 13, 14
    model = kind.estimator(0.01, groups=5, weights=weights, tol=1e-10).fit(form(X), y)
    coef = np.ravel(model.coef_)
    assert coef[[0, 2, 3, 4, 13, 14]].all()
    assert not coef[[1, 8, 9, 10, 11, 12]].any()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dependence", [1e-3, 1e-6, 0.0])
def test_gaps_hold_with_free_groups_that_are_nearly_dependent(dependence, kind, rng):
    X, y = data_of(kind, rng, n=60, p=12)
    X[:, 1] = X[:, 0] + dependence * X[:, 1]
    weights = np.array([0.0, 1.0, 1.0, 1.0])
    groups = np.arange(12).reshape(4, 3)
    # Too near for descent: that is told.
    is_told = pytest.warns(ConvergenceWarning) if dependence == 1e-6 else nullcontext()
    with is_told:
        model = kind.estimator(0.05, groups=groups, weights=weights, tol=1e-7).fit(X, y)
    problem = Problem(kind, X, y, None, groups, 0.05 * weights, 0.0, True)
    least, _, _ = problem.minimum()
    assert model.dual_gap_ >= float(problem.of(model) - least) - 1e-14 * (1 + abs(least))


@pytest.mark.parametrize("kind", MODELS)
def test_groups_of_very_many_columns(kind, rng):
    """The curvature of which is not computed, but found as steps are too long."""
    X, y = data_of(kind, rng, n=100, p=1300)
    X[:, 600:] += 0.3 * X[:, :1]
    groups = np.split(np.arange(1300), [600, 1200])
    for l1_ratio in (1.0, 0.9):
        model = kind.estimator(0.05, l1_ratio=l1_ratio, groups=groups, tol=1e-11).fit(X, y)
        assert model.converged_
        limits = np.full(3, 0.05 * l1_ratio)
        problem = Problem(kind, X, y, None, groups, limits, 0.05 * (1 - l1_ratio), True)
        coef, intercept = np.ravel(model.coef_), np.ravel(model.intercept_)[0]
        assert problem.violation(coef, intercept) < 1e-6


@pytest.mark.parametrize("kind", MODELS)
def test_a_path_is_each_solution(kind, rng):
    X, y = data_of(kind, rng)
    model = kind.estimator(groups=3, tol=1e-12)
    path = regularization_path(model, X, y, n_alphas=6, eps=0.02)
    assert path.converged
    for k, alpha in enumerate(path.alphas):
        alone = clone(model).set_params(alpha=alpha).fit(X, y)
        np.testing.assert_allclose(path.coefs[..., k], alone.coef_, atol=1e-6)
        used = np.ravel(path.coefs[..., k]).reshape(10, 3)
        assert (used.any(axis=1) == used.all(axis=1)).all()


@pytest.mark.parametrize(
    ("estimator", "kind", "errors"),
    [
        (SparseLogisticRegressionCV, Logistic, "loss_path_"),
        (SparsePoissonRegressionCV, Poisson, "deviance_path_"),
    ],
)
def test_cross_validation(estimator, kind, errors, rng):
    X, y = data_of(kind, rng, n=200)
    options = {"groups": 5, "weights": "sqrt", "tol": 1e-9}
    chosen = estimator(alphas=15, l1_ratio=[0.5, 1.0], cv=3, **options).fit(X, y)
    assert getattr(chosen, errors).shape == (2, 15, 3)
    assert np.ravel(chosen.coef_)[:3].all()
    given = kind.estimator(chosen.alpha_, l1_ratio=chosen.l1_ratio_, **options).fit(X, y)
    np.testing.assert_allclose(chosen.coef_, given.coef_, atol=1e-9)
    late = estimator(alphas=15, max_time=1e-9, cv=3, **options)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        late.fit(X, y)
    assert late.status_ == "max_time"


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("limit", [{"max_iter": 1}, {"max_time": 1e-9}])
def test_ending_early_is_told(limit, kind, rng):
    X, y = data_of(kind, rng, 100, 300)
    with pytest.warns(ConvergenceWarning, match=next(iter(limit))):
        model = kind.estimator(1e-3, groups=3, **limit).fit(X, y)
    assert not model.converged_
    best = kind.estimator(1e-3, groups=3, tol=1e-10).fit(X, y).objective_
    assert model.dual_gap_ >= model.objective_ - best


def test_groups_of_more_than_two_classes_are_one_against_the_rest(rng):
    X = rng.normal(size=(150, 12))
    y = X[:, :3].argmax(axis=1)
    model = SparseLogisticRegression(0.02, groups=3)
    with pytest.raises(InvalidInputError, match="groups are given with 3 classes"):
        model.fit(X, y)
    assert OneVsRestClassifier(model).fit(X, y).score(X, y) > 0.8


X3 = np.arange(12.0).reshape(4, 3)
X3[2, 1] = 0


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 2}, "groups is 2, which does not divide the 3 columns"),
        ({"groups": 0}, "groups"),
        ({"groups": [1, 1]}, "groups has sizes from 1 on that sum to 2"),
        ({"groups": [[0, 1], [1]]}, "each of the 3 columns of X in exactly one list"),
        ({"groups": [[0, 1], []]}, "lists of at least one column"),
        ({"groups": [1.5, 1.5]}, "all of integers"),
        ({"groups": "x"}, "all of integers"),
        ({"groups": [2, 1], "weights": [1, 1, 1]}, "weights has 3 values for 2 groups"),
        ({"groups": [2, 1], "weights": [1, -1]}, r"weights\[1\] is -1"),
        ({"groups": [2, 1], "weights": "root"}, "weights is 'root'"),
        ({"weights": "sqrt"}, "weights has dtype"),
        ({"groups": 1, "positive": True}, "groups are given with positive=True"),
        ({"groups": 1, "positive": "x"}, "positive is 'x'"),
        ({"groups": 1, "bounds": (-1, 1)}, "groups are given with bounds"),
        ({"groups": 1, "l1_ratio": 0}, "l1_ratio is 0"),
        ({"groups": 1, "alpha": 0}, "alpha is 0"),
    ],
)
def test_what_is_not_offered_is_refused_before_a_solve(options, message, kind, monkeypatch):
    monkeypatch.setattr(_sparrot, "regression_path", lambda *_: pytest.fail("solved"))
    with pytest.raises(InvalidInputError, match=message):
        kind.estimator(**options).fit(X3, [0, 1, 0, 1])


@pytest.mark.parametrize("kind", [Logistic, Poisson])
def test_pairs_are_refused_also_by_paths_and_cross_validation(kind, monkeypatch):
    monkeypatch.setattr(_sparrot, "regression_path", lambda *_: pytest.fail("solved"))
    chosen = {Logistic: SparseLogisticRegressionCV, Poisson: SparsePoissonRegressionCV}[kind]
    with pytest.raises(InvalidInputError, match="groups are given with bounds"):
        chosen(groups=1, bounds=(0, 1), cv=2).fit(X3, [0, 1, 0, 1])
    with pytest.raises(InvalidInputError, match="groups are given with bounds"):
        regularization_path(kind.estimator(groups=1, bounds=(0, 1)), X3, [0, 1, 0, 1])

"""Norms of groups with losses of classes, counts and outliers: optimal, certified, refused in time."""

import itertools

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
from tests.linear_model.losses import MODELS, Huber, Logistic, Poisson


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
    model.set_params(tol=1e-10 if reference.kind is Huber else 1e-12)
    model.fit(form(X), y, sample_weight=s)
    assert model.converged_
    least, _, _ = reference.minimum()
    found = reference.of(model)
    assert model.objective_ == pytest.approx(float(found), rel=1e-13, abs=1e-13)
    assert found <= least + 1e-11 * (1 + abs(least))
    coef, intercept = np.ravel(model.coef_), np.ravel(model.intercept_)[0]
    assert reference.violation(coef, intercept) < 2e-5 * model.alpha
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
    assert model.dual_gap_ >= excess - 1e-15 * (1 + abs(model.objective_))

"""Duality gaps of models with losses against minima to fifty digits, where rounding is large."""

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from sparrot.linear_model import (
    SparseHuberRegression,
    SparseLogisticRegression,
    SparsePoissonRegression,
)

DELTA = SparseHuberRegression().delta
# Optimality conditions of a minimum are met to this share of their terms.
SHARP = mpf(10) ** -30


def softmax(y, z):
    """Return value, slopes and curvatures of ``log sum e^z - z_y``."""
    largest = max(z)
    powers = [mpmath.exp(value - largest) for value in z]
    total = mpmath.fsum(powers)
    shares = [power / total for power in powers]
    slopes = [share - (k == y) for k, share in enumerate(shares)]
    curvatures = [
        [(share if k == m else 0) - share * other for m, other in enumerate(shares)]
        for k, share in enumerate(shares)
    ]
    return mpmath.log(total) + largest - z[y], slopes, curvatures


def logistic(y, z):
    value, slopes, curvatures = softmax(int(y > 0), [mpf(0), z[0]])
    return value, slopes[1:], [[curvatures[1][1]]]


def poisson(y, z):
    mean = mpmath.exp(z[0])
    return mean - y * z[0], [mean - y], [[mean]]


def huber(y, z):
    u, delta = z[0] - y, mpf(DELTA)
    if abs(u) < delta:
        return u * u / 2, [u], [[mpf(1)]]
    return delta * (abs(u) - delta / 2), [delta * mpmath.sign(u)], [[mpf(0)]]


class Problem:
    """``mean of losses + sum over groups g of limits_g |w_g| + mu |w|^2 / 2``, to fifty digits.

    Coefficients and intercepts are a list for each class, one after the other; a group is a list of
    places there.
    """

    def __init__(self, loss, X, y, s, classes, *, limits, groups, mu, has_intercept, positive):
        self.loss, self.classes, self.p = loss, classes, X.shape[1]
        self.X = [[*map(mpf, row), mpf(1)] for row in X.tolist()]
        self.y = [int(v) if loss is softmax else mpf(v) for v in y.tolist()]
        total = mpmath.fsum(s.tolist())
        self.s = [mpf(v) / total for v in s.tolist()]
        self.limits, self.groups, self.mu = limits, groups, mu
        self.has_intercept, self.positive = has_intercept, positive

    def place(self, k, j):
        return k * (self.p + 1) + j

    def rows(self, w):
        width = self.p + 1
        of = [w[k * width : (k + 1) * width] for k in range(self.classes)]
        for x, y, s in zip(self.X, self.y, self.s, strict=True):
            if s > 0:
                yield x, s, self.loss(y, [mpmath.fdot(x, part) for part in of])

    def penalty(self, w, signs=None):
        sizes = mpmath.fsum(
            limit * self.size(w, group, signs)
            for limit, group in zip(self.limits, self.groups, strict=True)
        )
        squares = mpmath.fsum(w[a] ** 2 for group in self.groups for a in group)
        return sizes + self.mu * squares / 2

    def size(self, w, group, signs):
        """Return the norm; of single coefficients that of their sign continued beyond 0."""
        if signs and group[0] in signs:
            return signs[group[0]] * w[group[0]]
        return mpmath.sqrt(mpmath.fsum(w[a] ** 2 for a in group))

    def objective(self, w, signs=None):
        return mpmath.fsum(s * found[0] for _, s, found in self.rows(w)) + self.penalty(w, signs)

    def slopes(self, w):
        """Return those of the losses and of the ridge."""
        slopes = [mpf(0)] * len(w)
        for x, s, (_, of_row, _) in self.rows(w):
            for k, slope in enumerate(of_row):
                for j, value in enumerate(x):
                    slopes[self.place(k, j)] += s * slope * value
        for group in self.groups:
            for a in group:
                slopes[a] += self.mu * w[a]
        return slopes

    def newton(self, w, used, signs):
        """Minimise over the coefficients in use; single ones keep their signs' slopes."""
        width = self.p + 1
        parts = [divmod(a, width) for a in used]
        for _ in range(25):
            slopes, count = self.slopes(w), len(used)
            curvature = mpmath.matrix(count, count)
            for x, s, (_, _, of_row) in self.rows(w):
                for m, (k, j) in enumerate(parts):
                    for q, (c, i) in enumerate(parts[: m + 1]):
                        curvature[m, q] += s * of_row[k][c] * x[j] * x[i]
            at = {a: m for m, a in enumerate(used)}
            for limit, group in zip(self.limits, self.groups, strict=True):
                inside = [a for a in group if a in at]
                if not inside:
                    continue
                size = self.size(w, group, None)
                for a in inside:
                    curvature[at[a], at[a]] += self.mu
                    if signs:
                        slopes[a] += limit * signs.get(a, 0)
                    elif limit > 0:
                        slopes[a] += limit * w[a] / size
                        curvature[at[a], at[a]] += limit / size
                        for b in inside:
                            if at[b] <= at[a]:
                                curvature[at[a], at[b]] -= limit * w[a] * w[b] / size**3
            for m in range(count):
                for q in range(m):
                    curvature[q, m] = curvature[m, q]
                # Directions along which nothing changes are kept to.
                curvature[m, m] += abs(curvature[m, m]) * mpf(10) ** -32 + mpf(10) ** -60
            right = mpmath.matrix([slopes[a] for a in used])
            try:
                step = mpmath.lu_solve(curvature, right)
            except ZeroDivisionError:
                return w
            slope = mpmath.fdot(step, right)
            before, t = self.objective(w, signs), mpf(1)
            while True:
                moved = list(w)
                for m, a in enumerate(used):
                    moved[a] -= t * step[m]
                if self.objective(moved, signs) <= before - slope * t / 4:
                    break
                t /= 2
                if t < mpf(10) ** -6:
                    return w
            w = moved
            if abs(slope) <= mpf(10) ** -80:
                return w
        return w

    def minimum(self, near):
        """Return coefficients, and whether they are optimal to all digits."""
        w = list(near)
        intercepts = [self.place(k, self.p) for k in range(self.classes)]
        free = intercepts if self.has_intercept else []
        pairs = list(zip(self.limits, self.groups, strict=True))
        free = free + [a for limit, group in pairs if limit == 0 for a in group]
        is_single = all(len(group) == 1 for group in self.groups)
        for _ in range(4 * len(w)):
            used = sorted(set(free) | {a for a in range(len(w)) if w[a] != 0})
            signs = {a: mpmath.sign(w[a]) for a in used if a not in free}
            w = self.newton(w, used, signs if is_single else {})
            if is_single:
                wrong = [a for a, sign in signs.items() if sign * w[a] <= 0]
                if wrong:
                    for a in wrong:
                        w[a] = mpf(0)
                    continue
            slopes = self.slopes(w)
            scale = max([abs(slopes[a]) for a in range(len(w))] + [mpf(10) ** -30])
            worst, place, left = mpf(0), None, mpf(0)
            for a in free:
                left = max(left, abs(slopes[a]))
            for limit, group in pairs:
                if limit == 0:
                    continue
                size = self.size(w, group, None)
                if size > 0:
                    missed = max(abs(slopes[a] + limit * w[a] / size) for a in group)
                    left = max(left, missed)
                    continue
                pull = (
                    -slopes[group[0]] if self.positive else mpmath.norm([slopes[a] for a in group])
                )
                if pull - limit > worst:
                    worst, place = pull - limit, group
            if left > SHARP * scale:
                return w, False
            if worst <= SHARP * scale:
                return w, True
            if not is_single:
                return w, False
            a = place[0]
            w[a] = -mpmath.sign(slopes[a]) * mpf(10) ** -40
        return w, False


KINDS = {
    "logistic": (SparseLogisticRegression, logistic),
    "poisson": (SparsePoissonRegression, poisson),
    "huber": (SparseHuberRegression, huber),
    "multinomial": (SparseLogisticRegression, softmax),
}


def columns(rng, n, p):
    """Columns dependent up to anything, of sizes up to 1e6 apart, some with large means."""
    X = rng.normal(size=(n, p))
    if rng.random() < 0.5:
        for j in range(1, p):
            if rng.random() < 0.5:
                away = 10 ** rng.uniform(-12, 0) * rng.normal(size=n)
                X[:, j] = X[:, rng.integers(j)] * rng.choice([-1, 1]) + away
    if rng.random() < 0.3:
        X += rng.choice([0, 1], p) * rng.normal(size=p) * 10 ** rng.uniform(0, 6, size=p)
    if rng.random() < 0.5:
        X *= 10 ** rng.uniform(-3, 3, size=p)
    return X


def targets(rng, kind, X):
    deviations = X.std(0) + 1e-300
    linear = (X - X.mean(0)) / deviations @ rng.normal(size=X.shape[1]) * rng.choice([0, 0.5, 2])
    n = len(linear)
    if kind == "huber":
        return linear + rng.normal(size=n) * rng.choice([0.1, 10.0], n)
    if kind == "poisson":
        y = rng.poisson(np.exp(np.clip(linear, -3, 5))).astype(float)
        return y if y.any() else y + 1
    count = 3 if kind == "multinomial" else 2
    y = np.digitize(linear + rng.logistic(size=n), [-0.5, 0.5][: count - 1]).astype(float)
    y[:count] = np.arange(count)
    return y


def critical(kind, X, y, s, has_intercept):
    """Return about the penalty at which all coefficients are 0."""
    if kind == "huber":
        residual = np.clip(y - (np.median(y) if has_intercept else 0), -DELTA, DELTA)
    elif kind == "poisson":
        residual = y - (np.average(y, weights=s) if has_intercept else 1)
    else:
        residual = (y == 0) - (np.average(y == 0, weights=s) if has_intercept else 0.5)
    return np.abs((s * residual / s.sum()) @ (X - X.mean(0) if has_intercept else X)).max()


def as_list(model, has_intercept, classes):
    """Coefficients and intercepts of the classes, one after the other."""
    coef = np.atleast_2d(model.coef_)
    intercepts = np.broadcast_to(model.intercept_, classes)
    return [
        mpf(float(value))
        for row, b in zip(coef, intercepts, strict=True)
        for value in [*row, b if has_intercept else 0.0]
    ]


def random_problem(rng, kind, has_groups=False):
    """A model to fit, its data and the problem to fifty digits."""
    estimator, loss = KINDS[kind]
    classes = 3 if kind == "multinomial" else 1
    n, p = int(rng.integers(5, 30)), int(rng.integers(2, 8))
    if classes > 1:
        n, p = int(rng.integers(7, 12)), int(rng.integers(2, 4))
    X = np.asarray(columns(rng, n, p), order="CF"[n % 2])
    y = targets(rng, kind, X)
    has_intercept = bool(rng.random() < 0.6)
    s = rng.random(n) * (rng.random(n) < 0.9) if rng.random() < 0.3 else None
    if s is not None:
        s[:3] = 0.5
    of_rows = np.ones(n) if s is None else s
    alpha = critical(kind, X, y, of_rows, has_intercept) * 10 ** rng.uniform(-6, -0.3)
    alpha = max(float(alpha), 1e-12)
    l1_ratio = float(rng.choice([1.0, 1.0, 0.5]))
    size = 2 if has_groups else 1
    groups = [list(range(first, min(first + size, p))) for first in range(0, p, size)]
    positive = bool(not has_groups and rng.random() < 0.15)
    v = np.ones(len(groups))
    if rng.random() < 0.3 and not positive and n > 10:  # fewer rows are told apart by little
        v = rng.choice([0.0, 1.0, 3.0], len(groups), p=[0.3, 0.4, 0.3])
    problem = Problem(
        loss,
        X,
        y,
        of_rows,
        classes,
        limits=[mpf(alpha) * mpf(l1_ratio) * mpf(float(value)) for value in v] * classes,
        groups=[[k * (p + 1) + j for j in group] for k in range(classes) for group in groups],
        mu=mpf(alpha) * (1 - mpf(l1_ratio)),
        has_intercept=has_intercept,
        positive=positive,
    )
    options = {"l1_ratio": l1_ratio, "fit_intercept": has_intercept, "weights": v}
    options |= {"groups": groups} if has_groups else {"positive": positive}
    tol = float(rng.choice([1e-3, 1e-6, 1e-10, 1e-14]))
    return estimator(alpha, tol=tol, max_iter=60, **options), (X, y, s), problem


def found_gaps(rng, kind, has_groups=False):
    """Return the gap that is told, the true one, whether that is sharp, and the model."""
    model, data, problem = random_problem(rng, kind, has_groups)
    model.fit(*data)
    w = as_list(model, problem.has_intercept, problem.classes)
    tight = type(model)(**model.get_params() | {"tol": 1e-15, "max_iter": 200}).fit(*data)
    best, is_sharp = problem.minimum(as_list(tight, problem.has_intercept, problem.classes))
    return mpf(model.dual_gap_), problem.objective(w) - problem.objective(best), is_sharp, model


@pytest.fixture(autouse=True)
def many_digits():
    with mpmath.workdps(50):
        yield


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(0, 60, 20))
def test_gaps_are_not_below_the_true_ones(kind, seed):
    count = 0
    for rng in map(np.random.default_rng, range(seed, seed + 20)):
        told, true, is_sharp, _ = found_gaps(rng, kind)
        assert told >= true
        count += is_sharp
    assert count >= 13


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["logistic", "poisson", "huber"])
def test_gaps_of_groups(kind):
    count = 0
    for rng in map(np.random.default_rng, range(20)):
        told, true, is_sharp, _ = found_gaps(rng, kind, has_groups=True)
        assert told >= true
        count += is_sharp
    assert count >= 15


@pytest.mark.parametrize("has_intercept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_of_rounding_are_small(kind, has_intercept, rng):
    estimator, _ = KINDS[kind]
    for _ in range(20):
        X, s = rng.normal(size=(60, 8)), rng.random(60)
        y = targets(rng, kind, X)
        alpha = critical(kind, X, y, s, has_intercept) * 10 ** rng.uniform(-1.5, -0.1)
        model = estimator(alpha, fit_intercept=has_intercept, tol=1e-13).fit(X, y, s)
        assert model.converged_  # and says nothing

"""Duality gaps of groups, of several responses and without penalties, to fifty digits."""

import mpmath
import numpy as np
import pytest

from sparrot.linear_model import GroupLasso, Lasso, MultiTaskLasso, SparseGroupLasso


class Problem:
    """``|y - X w|^2 / 2 + sum over groups g of norms_g |w_g| + limit |w|_1``, to fifty digits."""

    def __init__(self, X, y, groups, norms, limit=0):
        self.X, self.y, self.groups = mpmath.matrix(X.tolist()), mpmath.matrix(y.tolist()), groups
        self.norms, self.limit = norms, limit

    def norm(self, w, group):
        return mpmath.sqrt(mpmath.fsum(w[j] ** 2 for j in group))

    def objective(self, w):
        r = self.y - self.X * w
        parts = zip(self.norms, self.groups, strict=True)
        sizes = mpmath.fsum(limit * self.norm(w, group) for limit, group in parts)
        return mpmath.fsum(r_i**2 for r_i in r) / 2 + sizes + self.limit * sum(map(abs, w))

    def improved(self, w):
        """Return the best of what Newton steps on the coefficients in use come by."""
        best = self.objective(w)
        used = [j for j in range(len(w)) if w[j] != 0]
        while used:
            part = mpmath.matrix(self.X.rows, len(used))
            for k, j in enumerate(used):
                part[:, k] = self.X[:, j]
            gradient = part.T * (self.X * w - self.y)
            curvature = part.T * part
            for limit, group in zip(self.norms, self.groups, strict=True):
                places = [k for k, j in enumerate(used) if j in group]
                size = self.norm(w, group)
                for k in places:
                    gradient[k] += limit * w[used[k]] / size
                    gradient[k] += self.limit * mpmath.sign(w[used[k]])
                    curvature[k, k] += limit / size
                    for m in places:
                        curvature[k, m] -= limit * w[used[k]] * w[used[m]] / size**3
            try:
                step = mpmath.lu_solve(curvature, gradient)
            except ZeroDivisionError:
                return best
            w = w.copy()
            for k, j in enumerate(used):
                w[j] -= step[k]
            found = self.objective(w)
            if not found < best:
                return best
            best = found
        return best


def dependent(rng, n, p):
    """Columns dependent up to anything, in either order, of sizes up to 1e4 apart."""
    X = rng.normal(size=(n, p))
    for j in range(1, p):
        if rng.random() < 0.4:
            away = 10 ** rng.uniform(-12, 0) * rng.normal(size=n)
            X[:, j] = X[:, rng.integers(j)] * rng.choice([-1, 1]) + away
    return np.asarray(X * 10 ** rng.uniform(-2, 2, size=p), order="CF"[n % 2])


@pytest.fixture(autouse=True)
def many_digits():
    with mpmath.workdps(50):
        yield


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(0, 100, 20))
def test_gaps_of_groups(seed, share):
    for rng in map(np.random.default_rng, range(seed, seed + 20)):
        n = int(rng.integers(4, 12))
        X, y = dependent(rng, n, 4), rng.normal(size=n)
        alpha = np.abs(X.T @ y).max() / n * 10 ** rng.uniform(-4, 0.1)
        options = {"fit_intercept": False, "tol": rng.choice([1e-12, 1e-6, 1e-2])}
        if share:
            model = SparseGroupLasso(2, alpha, l1_ratio=share, **options)
        else:
            model = GroupLasso(2, alpha, **options)
        model.fit(X, y)
        unit = mpmath.mpf(alpha) * n
        norms = [unit * (1 - share)] * 2
        problem = Problem(X, y, [(0, 1), (2, 3)], norms, unit * share)
        w = mpmath.matrix(model.coef_.tolist())
        assert problem.objective(w) - problem.improved(w) <= n * mpmath.mpf(model.dual_gap_)


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(0, 60, 20))
def test_gaps_of_several_responses(seed):
    for rng in map(np.random.default_rng, range(seed, seed + 20)):
        n = int(rng.integers(4, 10))
        X, Y = dependent(rng, n, 3), rng.normal(size=(n, 2))
        alpha = np.linalg.norm(X.T @ Y, axis=1).max() / n * 10 ** rng.uniform(-4, 0.1)
        tol = rng.choice([1e-12, 1e-6, 1e-2])
        model = MultiTaskLasso(alpha, fit_intercept=False, tol=tol).fit(X, Y)
        # Coefficients of a column for both responses are a group.
        problem = Problem(
            np.kron(X, np.eye(2)),
            Y.ravel(),
            [(0, 1), (2, 3), (4, 5)],
            [mpmath.mpf(alpha) * n] * 3,
        )
        w = mpmath.matrix(model.coef_.T.ravel().tolist())
        assert problem.objective(w) - problem.improved(w) <= n * mpmath.mpf(model.dual_gap_)


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("seed", range(5000, 5200, 20))
def test_gaps_without_penalties(seed, size):
    """Rounding turns the span of columns that are nearly dependent."""
    for rng in map(np.random.default_rng, range(seed, seed + 20)):
        n = int(rng.integers(5, 12))
        X, y = dependent(rng, n, 4), rng.normal(size=n)
        if rng.random() < 0.5:
            X += rng.normal(size=4) * 10 ** rng.uniform(0, 4)
        alpha = np.abs(X.T @ y).max() / n * 10 ** rng.uniform(-4, 0.1)
        weights = np.repeat(rng.choice([0.0, 1.0], 2), 2 // size)
        options = {"weights": weights, "fit_intercept": False, "tol": rng.choice([1e-12, 1e-6])}
        model = Lasso(alpha, **options) if size == 1 else GroupLasso(2, alpha, **options)
        model.fit(X, y)
        groups = [tuple(range(first, first + size)) for first in range(0, 4, size)]
        norms = [mpmath.mpf(alpha) * n * int(weight) for weight in weights]
        problem = Problem(X, y, groups, norms)
        w = mpmath.matrix(model.coef_.tolist())
        assert problem.objective(w) - problem.improved(w) <= n * mpmath.mpf(model.dual_gap_)


def test_bounds_of_rounding_are_small(rng):
    for _ in range(100):
        X, Y = rng.normal(size=(30, 8)), rng.normal(size=(30, 2))
        alpha = np.abs(X.T @ Y).max() / 30 * 10 ** rng.uniform(-3, 0.1)
        assert MultiTaskLasso(alpha, tol=1e-13).fit(X, Y).converged_  # and says nothing
        assert GroupLasso(2, alpha, tol=1e-13).fit(X, Y[:, 0]).converged_
    assert GroupLasso(2, alpha=1e3).fit(X, Y[:, 0]).dual_gap_ == 0

"""Duality gaps of the Lasso against minima in rational arithmetic, where rounding is large."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from sparrot.linear_model import Lasso


def exact(values):
    return [Fraction(float(v)) for v in values]


def solved(matrix, right):
    """Solve by elimination; None if the matrix is singular."""
    count = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(count):
        pivot = next((k for k in range(i, count) if rows[k][i] != 0), None)
        if pivot is None:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for k in range(count):
            if k != i and rows[k][i] != 0:
                factor = rows[k][i] / rows[i][i]
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [rows[i][count] / rows[i][i] for i in range(count)]


class Problem:
    """``|y - X w|^2 / 2 + sum_j limits_j |w_j|`` within bounds, in rational arithmetic."""

    def __init__(self, X, y, limits, bounds):
        columns, y = [exact(column) for column in X.T], exact(y)
        self.gram = [[self.dot(a, b) for b in columns] for a in columns]
        self.products = [self.dot(a, y) for a in columns]
        self.squares = self.dot(y, y)
        self.limits = limits
        self.bounds = [
            [None if np.isinf(end) else Fraction(float(end)) for end in ends] for ends in bounds
        ]
        self.all = range(len(columns))

    @staticmethod
    def dot(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    def slopes(self, w):
        return [self.products[j] - self.dot(self.gram[j], w) for j in self.all]

    def objective(self, w):
        fit = sum(w[j] * (self.products[j] + h) for j, h in enumerate(self.slopes(w)))
        return (self.squares - fit) / 2 + self.dot(self.limits, map(abs, w))

    def state(self, j, value):
        lower, upper = self.bounds[j]
        if value != 0 and value in (lower, upper):
            return "l" if value == lower else "u"
        return "0" if value == 0 else "+" if value > 0 else "-"

    def states(self, j):
        lower, upper = self.bounds[j]
        return "0+-" + ("l" if lower else "") + ("u" if upper else "")

    def with_states(self, states):
        """Return the minimum if coefficients have these states there, or None."""
        ends = {"l": 0, "u": 1}
        w = [self.bounds[j][ends[s]] if s in ends else Fraction() for j, s in enumerate(states)]
        free = [j for j in self.all if states[j] in "+-"]
        signs = {"+": 1, "-": -1}
        right = [
            h - signs[states[j]] * self.limits[j] for j, h in enumerate(self.slopes(w)) if j in free
        ]
        found = solved([[self.gram[i][j] for j in free] for i in free], right)
        if found is None:
            return None
        for j, value in zip(free, found, strict=True):
            w[j] = value
        is_met = all(self.is_met(j, states[j], w[j], h) for j, h in enumerate(self.slopes(w)))
        return w if is_met else None

    def is_met(self, j, state, value, h):
        (lower, upper), limit = self.bounds[j], self.limits[j]
        if state == "0":
            return (h <= limit or upper == 0) and (-h <= limit or lower == 0)
        if state in "lu":
            return (h if state == "u" else -h) >= limit
        is_within = (lower is None or value >= lower) and (upper is None or value <= upper)
        return is_within and (value >= 0 if state == "+" else value <= 0)

    def least(self, near):
        """Return the least objective; the minimum may have the states of ``near``."""
        first = tuple(self.state(j, value) for j, value in enumerate(near))
        for states in itertools.chain([first], itertools.product(*map(self.states, self.all))):
            w = self.with_states(states)
            if w is not None:
                return self.objective(w)
        raise AssertionError("no states are those of a minimum")


def random_problem(rng):
    """Columns dependent up to anything, in either order, of sizes up to 1e6 apart; and bounds."""
    n, p = int(rng.integers(4, 30)), int(rng.integers(2, 5))
    X = rng.normal(size=(n, p))
    for j in range(1, p):
        if rng.random() < 0.5:
            away = 10 ** rng.uniform(-17, 0) * rng.normal(size=n)
            X[:, j] = X[:, rng.integers(j)] * rng.choice([-1, 1]) + away
    X *= 10 ** rng.uniform(-3, 3, size=p)
    y = rng.normal(size=n)
    y += rng.choice([0, 1]) * (X / np.linalg.norm(X, axis=0)) @ rng.normal(size=p)
    bounds = np.full((2, p), np.inf)
    if rng.random() < 0.5:
        sizes = 10 ** rng.uniform(-3, 6, size=(2, p))
        bounds = sizes * rng.choice([0, 1, np.inf], p=[0.2, 0.6, 0.2], size=(2, p))
    return np.asarray(X, order="CF"[n % 2]), y, (-bounds[0], bounds[1])


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(0, 400, 20))
def test_gaps_are_not_below_the_exact_ones(seed):
    for rng in map(np.random.default_rng, range(seed, seed + 20)):
        X, y, bounds = random_problem(rng)
        n = len(y)
        alpha = np.abs(X.T @ y).max() / n * 10 ** rng.uniform(-6, 0.1)
        tol = rng.choice([1e-10, 1e-6, 1e-2])
        model = Lasso(alpha, bounds=bounds, fit_intercept=False, tol=tol).fit(X, y)
        limits = [n * Fraction(alpha)] * X.shape[1]
        problem = Problem(X, y, limits, np.transpose(bounds))
        w = exact(model.coef_)
        assert problem.objective(w) - problem.least(w) <= n * Fraction(model.dual_gap_)


def test_bounds_of_rounding_are_small(rng):
    for _ in range(200):
        X, y = rng.normal(size=(30, 8)), rng.normal(size=30)
        alpha = np.abs(X.T @ y).max() / 30 * 10 ** rng.uniform(-3, 0.1)
        assert Lasso(alpha, tol=1e-13).fit(X, y).converged_  # and says nothing
    assert Lasso(alpha=1e3).fit(X, y).dual_gap_ == 0

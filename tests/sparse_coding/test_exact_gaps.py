"""Gaps against exact arithmetic: floats are fractions, and so are their objectives."""

from fractions import Fraction

import numpy as np
import pytest

from sparrot.sparse_coding import SparseCoder, fista, ista

SEEDS = 300


def exact_objective(A, y, x, alpha):
    fraction = np.vectorize(lambda v: Fraction(float(v)), otypes=[object])
    residual = fraction(y) - fraction(A) @ fraction(x)
    return residual @ residual / 2 + Fraction(alpha) * abs(fraction(x)).sum()


def make(seed):
    """A small problem that is hard in one of several ways; and alpha, and where to start."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 6)), int(rng.integers(2, 7))
    A, y = rng.normal(size=(m, n)), rng.normal(size=m)
    hardship = seed % 6
    if hardship == 1:
        A[:, rng.integers(n)] = 0
    elif hardship == 2:
        A[:, 1] = -A[:, 0]
    elif hardship == 3:
        A[:, 1] = A[:, 0] * (1 + 1e-9 * rng.normal(size=m))
    elif hardship == 4:
        A *= 10.0 ** rng.uniform(-4, 4, n)
    dtype = np.float32 if rng.random() < 0.4 else np.float64
    A, y = A.astype(dtype), y.astype(dtype)
    alpha = float(np.abs(A.T @ y).max() * 10.0 ** rng.choice([-12, -6, -2, -1, 0]))
    far = rng.normal(size=n) * 10.0 ** rng.integers(-3, 7)
    return A, y, alpha, far.astype(dtype) if rng.random() < 0.3 else None


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
@pytest.mark.parametrize("way", ["ista", "fista", "adaptive", "backtracking", "descent"])
def test_no_gap_is_below_the_distance_to_the_minimum(way):
    told = 0
    for seed in range(SEEDS):
        A, y, alpha, start = make(seed)
        best = fista(A.astype(float), y.astype(float), alpha, tol=None, max_iter=2000).codes
        best = exact_objective(A, y, best, alpha)
        if way == "descent":
            coder = SparseCoder(
                A.T.copy(), transform_algorithm="lasso_cd", transform_alpha=alpha, tol=1e-14
            )
            result = coder.fit(y[None]).encode(y[None])
        else:
            step = None if way in ("ista", "fista") else way
            solver = ista if way == "ista" else fista
            count = (1, 10, 3000)[seed % 3]
            result = solver(A, y, alpha, step=step, init=start, tol=1e-14, max_iter=count)
        gap, squares = result.gap[0], sum(Fraction(float(v)) ** 2 for v in y)
        assert gap >= 0
        if np.isfinite(gap):
            told += 1
            distance = exact_objective(A, y, np.ravel(result.codes), alpha) - best
            assert Fraction(float(gap)) * squares / 2 >= distance, seed
    assert told > 0.95 * SEEDS


def test_a_code_of_zeros_above_the_largest_alpha_has_no_gap_at_all():
    A, y, *_ = make(0)
    result = fista(A, y, 1.01 * np.abs(A.T @ y).max())
    assert not result.codes.any()
    assert result.gap[0] == 0

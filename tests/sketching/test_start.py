"""Which rows a preconditioner is made from: a sample, or all where that is not enough."""

import numpy as np
import pytest

from sparrot.errors import InvalidInputError
from sparrot.sketching import leverage_scores, lstsq
from tests.sketching.test_lstsq import problem, require_bounds


def digits(result, A, b):
    """How many digits the largest coefficients have, proven and true."""
    distance, x = require_bounds(result, A, b)
    size = max(abs(float(v)) for v in x)
    return -np.log10(max(result.coef_bound.max(), distance.max(), 1e-17 * size) / size)


@pytest.mark.parametrize("condition", [1e2, 1e10])
@pytest.mark.parametrize("heavy", [1, 7])
def test_heavy_rows_that_no_sample_has(condition, heavy):
    # A thousand times as large as the others, together: in some directions A is all in them.
    rng = np.random.default_rng(heavy)
    A, b = problem(rng, 2000, 8, condition)
    A[1000 : 1000 + heavy] *= 1e6
    b[1000 : 1000 + heavy] *= 1e6
    result = lstsq(A, b, method="precondition", rng=0)
    assert result.converged
    assert digits(result, A, b) >= 13
    # Another triangle is worth a pass; the condition number is that of all rows then.
    truth = np.linalg.cond(A) if condition < 1e5 else None
    if truth:
        assert 0.1 * truth <= result.condition_estimate <= 10 * truth


def test_columns_that_a_sample_does_not_see():
    rng = np.random.default_rng(3)
    A, b = problem(rng, 3000, 6, 1e3)
    A[:, 2] = 0
    A[1717, 2] = 5.0
    A[:, 4] = A[:, 5]
    A[2222, 4] += 1.0
    result = lstsq(A, b, method="precondition", rng=0)
    assert result.rank == 6
    assert result.converged
    assert digits(result, A, b) >= 13
    # The rows with those entries fit exactly.
    assert abs(A[1717] @ result.x - b[1717]) <= 1e-12 * abs(b).max()
    scores = leverage_scores(A)
    assert scores[1717] == pytest.approx(1.0, abs=1e-12)
    assert scores.sum() == pytest.approx(6.0, abs=1e-9)


@pytest.mark.parametrize("method", ["auto", "precondition"])
def test_rows_in_an_order_that_a_regular_sample_would_fall_for(method):
    # Every eighth row, in phase with runs of rows, is 0 but for the first column.
    rng = np.random.default_rng(4)
    A, b = problem(rng, 4096, 4, 1e2)
    A[::8, 1:] = 0
    result = lstsq(A, b, method=method, rng=0)
    assert result.converged
    assert digits(result, A, b) >= 13


@pytest.mark.parametrize("method", ["auto", "precondition"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named_where_no_sample_has_it(method, value):
    rng = np.random.default_rng(5)
    A, b = problem(rng, 3000, 6, 1e9)
    A[1234, 3] = value
    with pytest.raises(InvalidInputError, match=r"A.*at index \(1234, 3\)"):
        lstsq(A, b, method=method, rng=0)


def test_columns_too_large_or_small_in_rows_that_no_sample_has():
    rng = np.random.default_rng(6)
    A, b = problem(rng, 3000, 3, 1e1)
    large = A.copy()
    large[999, 1] = 1e140
    with pytest.raises(InvalidInputError, match="A: has a column, 1, of norm 1e140"):
        lstsq(large, b, rng=0)
    small = A.copy()
    small[:, 1] = 1e-200
    small[999, 1] = 1.0
    result = lstsq(small, b, rng=0)
    assert result.rank == 3
    assert digits(result, small, b) >= 13


def test_leverage_scores_have_no_need_of_a_lucky_sketch():
    # Rows of a few columns each: sparse sketches of as few rows miss directions in some draws.
    for seed in range(200):
        rng = np.random.default_rng(seed)
        A = np.zeros((40, 3))
        A[np.arange(40), rng.integers(0, 3, 40)] = 10.0 ** rng.uniform(-6, 6, 40)
        if (abs(A).sum(axis=0) == 0).any():
            continue
        scores = leverage_scores(A, rng=seed)
        assert scores.sum() == pytest.approx(3.0, abs=1e-9)
        squares = A**2
        np.testing.assert_allclose(scores, (squares / squares.sum(axis=0)).sum(axis=1), atol=1e-9)

"""What is not as described is refused, by a message that names it."""

import numpy as np
import pytest

from sparrot.errors import InvalidInputError
from sparrot.sparse_coding import fista, iht, ista
from tests.sparse_coding.reference import plain_ista

A, Y = np.eye(3, 4), np.ones((2, 3))


@pytest.mark.parametrize("solver", [ista, fista])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Y": np.ones((2, 4))}, r"Y has shape \(2, 4\): signals are its rows, and A has 3 rows"),
        ({"Y": np.full((2, 3), np.nan)}, r"Y contains nan at index \(0, 0\)"),
        ({"Y": np.ones((0, 3))}, r"Y has shape \(0, 3\)"),
        ({"Y": "signals"}, "Y has dtype"),
        ({"Y": np.ones((2, 3), complex)}, "Y has dtype complex128"),
        ({"A": np.full((3, 4), np.inf)}, r"A contains inf at index \(0, 0\)"),
        ({"A": np.ones((3, 0))}, r"A has shape \(3, 0\)"),
        ({"A": np.ones(3)}, r"A has shape \(3,\)"),
        ({"alpha": 0}, "alpha is 0"),
        ({"alpha": np.nan}, "alpha is nan"),
        ({"alpha": None}, "alpha is None"),
        ({"penalty": "l7"}, "penalty is 'l7'"),
        ({"step": 0}, "step is 0"),
        ({"step": "fast"}, "step is 'fast': needs one of 'adaptive', 'backtracking'"),
        ({"tol": -1}, "tol is -1"),
        ({"tol": "small"}, "tol is 'small': needs one of 'auto'"),
        ({"max_iter": 0}, "max_iter is 0"),
        ({"max_iter": 1.5}, "max_iter is 1.5"),
        ({"n_threads": 0}, "n_threads is 0"),
        ({"init": np.ones((3, 4))}, r"init has shape \(3, 4\): needs \(2, 4\)"),
        ({"init": np.full((2, 4), np.inf)}, "init contains inf"),
        ({"positive": "no"}, "positive is 'no'"),
        ({"Y": 1e-200 * Y}, "Y: has a row, 0, whose squares"),
        ({"A": 1e200 * A}, "A: has an atom, 0, whose squares"),
        (
            {"A": (lambda x: x, lambda r: r), "penalty": "cel0"},
            'penalty is "cel0" and A an operator',
        ),
        ({"A": (lambda x: x, lambda r: r[0])}, "the adjoint made an array of shape"),
        ({"A": (lambda x: x, lambda r: [[1.0, 2.0], [3.0]])}, "adjoint made a list that is no ar"),
        ({"A": (lambda x: [[1.0, 2.0], [3.0]], lambda r: r)}, "forward function made a list that"),
    ],
)
def test_bad_arguments(solver, change, message):
    arguments = {"A": A, "Y": Y, "alpha": 0.1} | change
    with pytest.raises(InvalidInputError, match=message):
        solver(**arguments)


@pytest.mark.parametrize("solver", [ista, fista])
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e-20), (np.float64, 1e-150)])
def test_a_row_that_is_too_small_is_named(solver, dtype, size):
    signals = np.ones((5, 3), dtype)
    signals[3] *= dtype(size)
    with pytest.raises(InvalidInputError, match=r"Y: has a row, 3, whose squares add up to .*e-"):
        solver(A.astype(dtype), signals, 0.1)
    signals[3] = 0
    assert solver(A.astype(dtype), signals, 0.1).converged


def test_hard_thresholding_takes_one_of_two():
    for given in ({}, {"alpha": 1.0, "n_nonzero_coefs": 2}):
        with pytest.raises(InvalidInputError, match="needs one of them"):
            iht(A, Y, **given)
    with pytest.raises(InvalidInputError, match="n_nonzero_coefs is 0"):
        iht(A, Y, n_nonzero_coefs=0)


def test_any_layout_is_taken(problem):
    A, Y = problem
    expected = ista(A, Y, 0.1).codes
    read_only = A.copy()
    read_only.flags.writeable = False
    strided = np.repeat(np.repeat(A, 2, axis=0), 2, axis=1)[::2, ::2]
    swapped = A.astype(">f8")
    for form in (read_only, strided, swapped, np.asfortranarray(A)):
        np.testing.assert_array_equal(ista(form, Y, 0.1).codes, expected)
    np.testing.assert_array_equal(ista(A, np.asfortranarray(Y), 0.1).codes, expected)
    assert ista(A, Y.astype(np.float32), 0.1).codes.dtype == np.float64
    assert ista(np.eye(3, dtype=int), np.ones((2, 3), int), 0.1).codes.dtype == np.float64


def test_large_matrices_are_transposed_in_parts():
    rng = np.random.default_rng(0)
    large = rng.normal(size=(1300, 1700))  # above twice what is copied at a time, with a rest
    signal = rng.normal(size=1300)
    options = {"tol": None, "max_iter": 2, "step": 1e-4}
    expected = ista(np.asfortranarray(large), signal, 0.1, **options).codes
    np.testing.assert_array_equal(ista(large, signal, 0.1, **options).codes, expected)
    np.testing.assert_allclose(
        expected, plain_ista(large, signal[None], 0.1, 1e-4, 2)[0], atol=1e-12
    )

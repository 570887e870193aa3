"""What is not as described is refused, by a message that names it."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from sparrot import _sparrot
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.sparse_coding import fista, iht, ista
from tests.sparse_coding.reference import plain_ista

A, Y = np.eye(3, 4), np.ones((2, 3))
D = np.random.default_rng(0).normal(size=(20, 40)) / np.sqrt(20)


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


@pytest.mark.parametrize(
    "adjoint", [lambda r: 0 * (D.T @ r), lambda r: 2 * (D.T @ r), lambda r: D.T @ r[::-1]]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_that_do_not_belong_together_are_refused(adjoint, dtype):
    signals = np.random.default_rng(1).normal(size=(5, 20)).astype(dtype)
    with pytest.raises(InvalidInputError, match="A: the adjoint does not belong to the forward"):
        ista((lambda x: D @ x, adjoint), signals, 0.1)
    assert ista((lambda x: D @ x, lambda r: D.T @ r), signals, 0.1).converged
    # Functions that compute in single precision do belong together.
    single = D.astype(np.float32)
    pair = (lambda x: single @ x.astype("f4"), lambda r: single.T @ r.astype("f4"))
    assert fista(pair, signals, 1.0, tol=1e-4).converged


def test_a_linear_operator_without_an_adjoint_is_named():
    operator = LinearOperator((20, 40), matvec=lambda x: D @ x)
    with pytest.raises(InvalidInputError, match="a LinearOperator needs rmatvec or rmatmat"):
        ista(operator, np.ones((2, 20)), 0.1)
    with pytest.raises(TypeError, match="mine"):
        ista((lambda x: D @ x, _raises), np.ones((2, 20)), 0.1)


def _raises(r):
    raise TypeError("mine")


def test_nan_of_a_function_is_no_fault_of_the_step():
    def forward(x, calls=[]):  # noqa: B006 (counts calls)
        calls.append(0)
        return D @ x if len(calls) == 1 else np.nan * (D @ x)

    with pytest.raises(InvalidInputError, match="the forward function made NaN"):
        ista((lambda x: np.nan * (D @ x), lambda r: D.T @ r), np.ones((2, 20)), 0.1)
    with pytest.warns(ConvergenceWarning, match=r"functions of A fail for 2 of 2 .*it may be no"):
        ista((forward, lambda r: D.T @ r), np.ones((2, 20)), 0.1)


def test_the_advice_is_of_the_method(problem):
    A, Y = problem
    options = {"tol": 1e-12, "max_iter": 1}
    with pytest.warns(ConvergenceWarning, match=r"more iterations \(max_iter\), or use fista$"):
        ista(A, Y, 0.01, **options)
    with pytest.warns(ConvergenceWarning, match=r"more iterations \(max_iter\)$"):
        fista(A, Y, 0.01, **options)
    for dtype, advice in ((np.float64, "a larger tol$"), (np.float32, "a larger tol, or float64$")):
        with pytest.warns(ConvergenceWarning, match=advice):
            ista(A.astype(dtype), Y.astype(dtype), 0.3, tol=1e-300, max_iter=100_000)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 5)), ((2, 4), (2, 4)), ((2, 3), (1, 4))])
def test_arrays_that_do_not_belong_together_are_refused_before_they_are_read(shapes):
    signals, codes = map(np.ones, shapes)
    settings = {"penalty": "l1", "shape": 0.0, "alpha": 1.0, "positive": False, "tol": 0.0}
    settings |= {"max_iter": 1}
    with pytest.raises(InvalidInputError, match="the dictionary has 3 features and 4 atoms"):
        _sparrot.coding_encode(A.T.copy(), signals, codes, "descent", settings, None)
    settings |= {"steps": "bound", "step": None, "momentum": "none", "is_watched": False}
    with pytest.raises(InvalidInputError, match="the dictionary has 3 features and 4 atoms"):
        _sparrot.coding_solve(A.T.copy(), signals, codes, False, settings, None, None, None)


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

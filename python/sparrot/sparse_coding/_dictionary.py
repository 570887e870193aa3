"""Dictionaries as the native solvers take them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sparrot._design import as_design
from sparrot._validation import FloatArray, as_floats, require_finite
from sparrot.errors import InvalidInputError


class Problem(NamedTuple):
    """A dictionary and signals, of one type."""

    dictionary: Any
    signals: FloatArray
    """(n_signals, n_features)"""
    atoms: int
    is_single: bool
    """Whether there is one signal, given as a vector."""
    is_operator: bool


def as_problem(A: object, Y: object, *, check_finite: bool) -> Problem:
    """Check both, and bring them to a common type: float32 if both are, else float64."""
    signals = as_floats(Y, "Y", ndim=(1, 2))
    is_single = signals.ndim == 1
    signals = np.atleast_2d(signals)
    if 0 in signals.shape:
        raise InvalidInputError(f"Y has shape {signals.shape}: needs at least one number")
    if check_finite:
        require_finite(signals, "Y")
    if is_operator(A):
        return _of_operator(A, np.ascontiguousarray(signals), is_single)
    design, (features, atoms) = as_design(A, "A", check_finite=check_finite)
    if signals.shape[1] != features:
        raise InvalidInputError(
            f"Y has shape {signals.shape}: signals are its rows, and A has {features} rows, so "
            f"each needs {features} numbers"
        )
    values = design[2] if isinstance(design, tuple) else design
    dtype = np.result_type(values, signals)
    if isinstance(design, tuple):
        design = (*design[:2], values.astype(dtype, copy=False), design[3])
    else:
        design = np.ascontiguousarray(design, dtype=dtype)
    return Problem(design, np.ascontiguousarray(signals, dtype=dtype), atoms, is_single, False)


def is_operator(A: object) -> bool:
    """Tell a LinearOperator, or a pair of functions, from a matrix."""
    if isinstance(A, tuple) and len(A) == 2 and all(callable(part) for part in A):
        return True
    return hasattr(A, "matmat") and hasattr(A, "rmatmat") and not hasattr(A, "__array__")


def _of_operator(A: Any, signals: FloatArray, is_single: bool) -> Problem:
    features = signals.shape[1]
    forward, adjoint = A if isinstance(A, tuple) else (A.matmat, A.rmatmat)
    if not isinstance(A, tuple) and A.shape[0] != features:
        raise InvalidInputError(
            f"Y has {features} numbers for each signal, and A has shape {tuple(A.shape)}: needs "
            f"{A.shape[0]}"
        )
    # A copy: a function may write to its argument.
    image = _as_array(adjoint(signals.copy().T), "A: the adjoint")
    if image.ndim != 2 or image.shape[1] != signals.shape[0] or image.shape[0] == 0:
        raise InvalidInputError(
            f"A: the adjoint made an array of shape {image.shape} of one of {signals.T.shape}: "
            f"needs (n_atoms, {signals.shape[0]})"
        )
    if image.dtype.kind in "fiu" and not np.isfinite(image).all():
        raise InvalidInputError("A: the adjoint made NaN or infinity of Y: needs finite numbers")
    atoms = image.shape[0]
    pair = (
        by_rows(forward, "A: the forward function", features),
        by_rows(adjoint, "A: the adjoint", atoms),
    )
    return Problem((*pair, features, atoms), signals, atoms, is_single, True)


def _as_array(answer: Any, name: str) -> FloatArray:
    """Take what a function has returned."""
    try:
        return np.asarray(answer)
    except ValueError as error:
        raise InvalidInputError(
            f"{name} made a {type(answer).__name__} that is no array: {error}"
        ) from error


def by_rows(function: Callable[[Any], Any], name: str, length: int) -> Callable[[Any], FloatArray]:
    """Make a function of columns one of rows, whose answer is checked."""

    def apply(rows: FloatArray) -> FloatArray:
        answer = _as_array(function(rows.T), name)
        if answer.shape != (length, len(rows)):
            raise InvalidInputError(
                f"{name} made an array of shape {answer.shape}: needs {(length, len(rows))}"
            )
        if answer.dtype.kind not in "fiu":
            raise InvalidInputError(f"{name} made numbers of type {answer.dtype}: needs real ones")
        return np.ascontiguousarray(answer.T, dtype=rows.dtype)

    return apply

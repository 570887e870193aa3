"""Dictionaries as the native solvers take them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sparrot._design import as_design
from sparrot._validation import FloatArray, as_floats, require_finite
from sparrot.errors import InvalidInputError

# Random vectors that an operator is tried with, and signals that they meet.
PROBES = 8
# Two ways to a number that are further apart, as a share of the norms it is made of, lead to two:
# it is far above the rounding of functions that compute in single precision.
APART = 1e-4
# The sum of squares of A is told by so few vectors within a factor of this, nearly surely.
CHANCE = 4.0


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
    try:
        # A copy: a function may write to its argument.
        image = _as_array(adjoint(signals.copy().T), "A: the adjoint")
    except (TypeError, NotImplementedError) as error:
        if isinstance(A, tuple):
            raise
        raise InvalidInputError(
            f"A: its adjoint failed ({error}): a LinearOperator needs rmatvec or rmatmat, too"
        ) from error
    if image.ndim != 2 or image.shape[1] != signals.shape[0] or image.shape[0] == 0:
        raise InvalidInputError(
            f"A: the adjoint made an array of shape {image.shape} of one of {signals.T.shape}: "
            f"needs (n_atoms, {signals.shape[0]})"
        )
    if image.dtype.kind not in "fiu":
        raise InvalidInputError(
            f"A: the adjoint made numbers of type {image.dtype}: needs real ones"
        )
    if not np.isfinite(image).all():
        raise InvalidInputError("A: the adjoint made NaN or infinity of Y: needs finite numbers")
    atoms = image.shape[0]
    pair = (
        by_rows(forward, "A: the forward function", features),
        by_rows(adjoint, "A: the adjoint", atoms),
    )
    total = _try_out(pair[0], signals, image)
    return Problem((*pair, features, atoms, total), signals, atoms, is_single, True)


def _try_out(forward: Callable[[Any], FloatArray], signals: FloatArray, image: FloatArray) -> float:
    """Tell whether functions belong together, and return about the sum of the squares of A.

    For random signs ``z`` and any ``y``, ``(A @ z) @ y`` is ``z @ (A.T @ y)``, and the mean of
    ``|A @ z|**2`` is that sum (Hutchinson, Comm. Statist. Simulation Comput. 18, 1989).
    """
    chosen = np.flatnonzero(signals.any(axis=1))[:PROBES]
    # Copies, before the next call: functions may write to what they have returned.
    given, back = (part[chosen].astype(np.float64) for part in (signals, image.T))
    signs = 2.0 * np.random.default_rng(0).integers(0, 2, (PROBES, len(image))) - 1.0
    made = forward(signs.astype(signals.dtype)).astype(np.float64)
    if not np.isfinite(made).all():
        raise InvalidInputError("A: the forward function made NaN or infinity of ones")
    with np.errstate(over="ignore", invalid="ignore"):  # signals too large are refused later
        there, here = given @ made.T, back @ signs.T
        norms = [np.linalg.norm(part, axis=1) for part in (given, made, back, signs)]
        apart = np.abs(there - here) > APART * (np.outer(*norms[:2]) + np.outer(*norms[2:]))
        total = CHANCE * float(np.square(norms[1]).mean())
    if apart.any():
        row, column = np.argwhere(apart)[0]
        raise InvalidInputError(
            "A: the adjoint does not belong to the forward function: forward(x) @ y is "
            f"{there[row, column]:.6g} and x @ adjoint(y) is {here[row, column]:.6g}, for a random "
            f"x and row {chosen[row]} of Y"
        )
    return total


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


def in_type(array: FloatArray, dtype: Any, name: str) -> FloatArray:
    """Bring an array to the type of the signals, in which it may overflow."""
    with np.errstate(over="ignore"):
        converted = np.asarray(array, dtype=dtype)
    require_finite(converted, f"{name}, as {dtype} like X,")
    return converted

"""What all problems have: the penalty, and the matrix of the data."""

import math
from typing import Any

import numpy as np

from sparrot._validation import FloatArray, as_floats, as_number, require_finite
from sparrot.errors import InvalidInputError

# Entries are counted by 32-bit integers.
MOST = 2**31


class Problem:
    """A smooth convex function with L1 norms and bounds. Its data is not copied: do not change it.

    Attributes
    ----------
    shape : tuple of int
        The shape of x.
    """

    shape: tuple[int, ...]
    _native: tuple[Any, ...]

    def _set_penalty(self, l1: object, bounds: object) -> None:
        self._l1 = self._numbers(l1, "l1", infinite=False)
        if (np.asarray(self._l1) < 0).any():
            raise InvalidInputError(
                f"l1 has a value of {np.min(self._l1)}: needs non-negative weights"
            )
        if not isinstance(bounds, tuple | list) or len(bounds) != 2:
            raise InvalidInputError(f"bounds is {bounds!r}: needs a pair (lower, upper)")
        self._lower = self._numbers(bounds[0], "bounds[0]", infinite=True)
        self._upper = self._numbers(bounds[1], "bounds[1]", infinite=True)
        lower, upper = np.broadcast_arrays(self._lower, self._upper)
        is_empty = (lower > upper) | (lower == np.inf) | (upper == -np.inf)
        if is_empty.any():
            i = int(np.flatnonzero(is_empty)[0])
            raise InvalidInputError(
                f"bounds are {lower.flat[i]} and {upper.flat[i]} for variable {i}: no number lies "
                "between them"
            )

    def _numbers(self, value: object, name: str, *, infinite: bool) -> float | FloatArray:
        """Take one number for all variables, or one for each."""
        if np.ndim(value) == 0:  # type: ignore[arg-type]
            number = as_number(value, name)
            if math.isnan(number) or (math.isinf(number) and not infinite):
                raise InvalidInputError(f"{name} is {number}: needs a finite number")
            return number
        array = as_floats(value, name, ndim=len(self.shape))
        if array.shape != self.shape:
            raise InvalidInputError(
                f"{name} has shape {array.shape}: needs a number, or one for each variable, "
                f"{self.shape}"
            )
        if infinite:
            if np.isnan(array).any():
                raise InvalidInputError(f"{name} contains NaN: needs numbers")
        else:
            require_finite(array, name)
        return np.ascontiguousarray(array, dtype=np.float64).ravel()

    @property
    def _penalty(self) -> list[float | FloatArray]:
        return [self._l1, self._lower, self._upper]

    def _start(self, x0: object) -> FloatArray:
        """Take the first point, which is 0 or what is nearest within the bounds by default."""
        size = math.prod(self.shape)
        if x0 is None:
            return np.clip(np.zeros(size), self._lower, self._upper)
        array = as_floats(x0, "x0", ndim=len(self.shape))
        if array.shape != self.shape:
            raise InvalidInputError(f"x0 has shape {array.shape}: needs {self.shape}")
        require_finite(array, "x0")
        start = np.ascontiguousarray(array, dtype=np.float64).ravel()
        is_outside = (start < self._lower) | (start > self._upper)
        if is_outside.any():
            i = int(np.flatnonzero(is_outside)[0])
            raise InvalidInputError(
                f"x0 has {start[i]} for variable {i}, outside its bounds: clip it"
            )
        return start


def as_design(value: object, name: str) -> tuple[tuple[Any, ...] | FloatArray, tuple[int, int]]:
    """Take a matrix as the solver does: transposed and dense, or by compressed columns."""
    if hasattr(value, "tocsc") and hasattr(value, "nnz"):
        columns = canonical(value.tocsc(), name)
        shape = require_shape(columns.shape, name)
        return (*compressed(columns), shape[0]), shape
    array = as_floats(value, name, ndim=2)
    shape = require_shape(array.shape, name)
    require_finite(array, name)
    return np.ascontiguousarray(array.T), shape


def require_shape(shape: tuple[int, ...], name: str) -> tuple[int, int]:
    """Raise unless there is something in the matrix, and not too much."""
    if 0 in shape:
        raise InvalidInputError(f"{name} has shape {shape}: needs at least one row and one column")
    if max(shape) >= MOST:
        raise InvalidInputError(f"{name} has shape {shape}: needs less than 2^31 rows and columns")
    return shape[0], shape[1]


def canonical(matrix: Any, name: str) -> Any:
    """Return a compressed scipy matrix of floats, without repeated entries; a copy if needed."""
    if matrix.dtype.kind in "biu":
        matrix = matrix.astype(np.float64)
    if matrix.dtype not in (np.float32, np.float64):
        raise InvalidInputError(
            f"{name} has dtype {matrix.dtype}: needs real numbers, float32, float64 or integers"
        )
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    require_finite(matrix.data, f"{name}.data")
    if matrix.nnz >= MOST:
        raise InvalidInputError(f"{name} has {matrix.nnz} entries: needs less than 2^31")
    return matrix


def compressed(matrix: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the arrays of a compressed matrix, its indices unsigned."""
    starts, indices = (
        np.ascontiguousarray(array, dtype=np.int32).view(np.uint32)
        for array in (matrix.indptr, matrix.indices)
    )
    return starts, indices, np.ascontiguousarray(matrix.data)


def as_targets(value: object, name: str, size: int) -> FloatArray:
    """Take a finite number for each row, in float64."""
    targets = as_floats(value, name, ndim=1)
    if targets.shape[0] != size:
        raise InvalidInputError(f"{name} has {targets.shape[0]} values for {size} rows of A")
    require_finite(targets, name)
    return np.ascontiguousarray(targets, dtype=np.float64)

"""The matrix of a linear model, and what belongs to its rows, as the native solvers take them."""

from typing import Any

import numpy as np

from sparrot._validation import FloatArray, as_floats, require_finite
from sparrot.errors import InvalidInputError

# Entries are counted by 32-bit integers.
MOST = 2**31

Design = tuple[Any, ...] | FloatArray


def as_design(
    value: object, name: str, *, check_finite: bool = True
) -> tuple[Design, tuple[int, int]]:
    """Take a matrix as the solvers do: transposed and dense, or by compressed columns."""
    if hasattr(value, "tocsc") and hasattr(value, "nnz"):
        columns = canonical(value.tocsc(), name, check_finite=check_finite)
        shape = require_shape(columns.shape, name)
        return (*compressed(columns), shape[0]), shape
    array = as_floats(value, name, ndim=2)
    shape = require_shape(array.shape, name)
    if check_finite:
        require_finite(array, name)
    return np.ascontiguousarray(array.T), shape


def require_shape(shape: tuple[int, ...], name: str) -> tuple[int, int]:
    """Raise unless there is something in the matrix, and not too much."""
    if 0 in shape:
        raise InvalidInputError(f"{name} has shape {shape}: needs at least one row and one column")
    if max(shape) >= MOST:
        raise InvalidInputError(f"{name} has shape {shape}: needs less than 2^31 rows and columns")
    return shape[0], shape[1]


def canonical(matrix: Any, name: str, *, check_finite: bool = True) -> Any:
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
    if check_finite:
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

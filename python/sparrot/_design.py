"""The matrix of a linear model, and what belongs to its rows, as the native solvers take them."""

from typing import Any

import numpy as np

from sparrot._validation import FloatArray, as_floats, require_finite
from sparrot.errors import InvalidInputError

# Entries are counted by 32-bit integers.
MOST = 2**31

# Entries that are copied at a time.
PART = 2**20

Design = tuple[Any, ...] | FloatArray


def as_design(
    value: object, name: str, *, check_finite: bool = True, by_rows: bool = False
) -> tuple[Design, tuple[int, int]]:
    """Take a matrix as the solvers do: transposed and dense, or by compressed columns.

    A solver that reads dense matrices ``by_rows``, too, gets those that are by rows as they are.
    """
    if hasattr(value, "tocsc") and hasattr(value, "nnz"):
        if getattr(value, "format", None) == "csr":
            require_places(value, name)  # before the conversion goes by them
        columns = canonical(value.tocsc(), name, check_finite=check_finite)
        shape = require_shape(columns.shape, name)
        return (*compressed(columns), shape[0]), shape
    array = as_floats(value, name, ndim=2)
    shape = require_shape(array.shape, name)
    if check_finite:
        require_finite(array, name)
    if by_rows and array.flags.c_contiguous:
        return array.T, shape
    return _transposed(array), shape


def _transposed(array: FloatArray) -> FloatArray:
    """Copy, unless it is by columns as it is: in parts, between which Ctrl-C is heard."""
    flipped = array.T
    if flipped.flags.c_contiguous or array.size < 2 * PART:
        return np.ascontiguousarray(flipped)
    copy = np.empty(flipped.shape, flipped.dtype)
    columns = max(1, PART // array.shape[0])
    for first in range(0, len(copy), columns):
        copy[first : first + columns] = flipped[first : first + columns]
    return copy


def require_shape(shape: tuple[int, ...], name: str) -> tuple[int, int]:
    """Raise unless there is something in the matrix, and not too much."""
    if 0 in shape:
        raise InvalidInputError(f"{name} has shape {shape}: needs at least one row and one column")
    if max(shape) >= MOST:
        raise InvalidInputError(f"{name} has shape {shape}: needs less than 2^31 rows and columns")
    return shape[0], shape[1]


def require_places(matrix: Any, name: str) -> None:
    """Raise unless each entry of a compressed scipy matrix is in a place that there is.

    scipy does not look at all indices, and its conversions and the native code go by them.
    """
    if matrix.ndim != 2:
        raise InvalidInputError(f"{name} has shape {matrix.shape}: needs 2 dimensions")
    is_by_row = matrix.format == "csr"
    lines, length = matrix.shape if is_by_row else matrix.shape[::-1]
    starts, indices = matrix.indptr, matrix.indices
    for array, part in ((starts, "indptr"), (indices, "indices")):
        if array.dtype.kind not in "iu":
            raise InvalidInputError(f"{name}.{part} has dtype {array.dtype}: needs integers")
    if len(starts) != lines + 1:
        raise InvalidInputError(
            f"{name}.indptr has {len(starts)} values for shape {matrix.shape}: needs {lines + 1}"
        )
    falls = starts[1:] < starts[:-1]  # their differences might overflow
    if falls.any():
        i = int(np.flatnonzero(falls)[0])
        raise InvalidInputError(
            f"{name}.indptr has {starts[i]} and then {starts[i + 1]} at index {i + 1}: needs "
            "values that do not decrease"
        )
    if starts[0] != 0 or not starts[-1] == len(indices) == len(matrix.data):
        raise InvalidInputError(
            f"{name}.indptr goes from {starts[0]} to {starts[-1]} for {len(indices)} indices and "
            f"{len(matrix.data)} entries: needs to go from 0 to their number"
        )
    if indices.size and not (indices.min() >= 0 and indices.max() < length):
        k = int(np.flatnonzero((indices < 0) | (indices >= length))[0])
        raise InvalidInputError(
            f"{name}.indices has {indices[k]} at index {k}: needs the index of a "
            f"{'column' if is_by_row else 'row'}, 0 to {length - 1}"
        )


def canonical(matrix: Any, name: str, *, check_finite: bool = True) -> Any:
    """Return a compressed scipy matrix of floats, without repeated entries; a copy if needed."""
    require_places(matrix, name)
    if matrix.dtype.kind in "biu":
        matrix = matrix.astype(np.float64)
    if matrix.dtype not in (np.float32, np.float64):
        raise InvalidInputError(
            f"{name} has dtype {matrix.dtype}: needs real numbers, float32, float64 or integers"
        )
    if not _is_ascending(matrix):
        matrix = matrix.copy()
        matrix.has_sorted_indices = False
        matrix.sum_duplicates()
    if check_finite:
        require_finite(matrix.data, f"{name}.data")
    if matrix.nnz >= MOST:
        raise InvalidInputError(f"{name} has {matrix.nnz} entries: needs less than 2^31")
    return matrix


def _is_ascending(matrix: Any) -> bool:
    """Look whether indices rise within each line: what scipy remembers may be out of date."""
    rises = matrix.indices[1:] > matrix.indices[:-1]
    begins = matrix.indptr[1:-1]
    begins = begins[(begins > 0) & (begins < matrix.nnz)]
    rises[begins - 1] = True  # from one line to the next they may fall
    return bool(rises.all())


def compressed(matrix: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the arrays of a matrix from :func:`canonical`, its indices unsigned.

    Its shape must have passed :func:`require_shape`: then all indices fit into 32 bits.
    """
    starts, indices = (
        np.ascontiguousarray(array, dtype=np.int32).view(np.uint32)
        for array in (matrix.indptr, matrix.indices)
    )
    return starts, indices, np.ascontiguousarray(matrix.data)


def as_targets(value: object, name: str, size: int, matrix: str) -> FloatArray:
    """Take a finite number for each row of the matrix of that name, in float64."""
    targets = as_floats(value, name, ndim=1)
    if targets.shape[0] != size:
        raise InvalidInputError(f"{name} has {targets.shape[0]} values for {size} rows of {matrix}")
    require_finite(targets, name)
    return np.ascontiguousarray(targets, dtype=np.float64)

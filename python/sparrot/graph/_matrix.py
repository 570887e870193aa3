"""Graphs and matrices on their nodes, as the native solvers take them."""

from typing import Any

import numpy as np
from scipy import sparse

from sparrot._design import canonical, compressed, require_places, require_shape
from sparrot._native import simd_level
from sparrot._validation import FloatArray, as_array, as_floats, require_finite
from sparrot.errors import InvalidInputError


def as_square(value: object, name: str) -> Any:
    """Return a square CSR matrix with sorted indices; that it is symmetric is checked later."""
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    if hasattr(value, "tocsr") and hasattr(value, "nnz"):
        if getattr(value, "format", None) == "csc":
            require_places(value, name)
        # What is not finite is found where symmetry is looked at.
        matrix = canonical(value.tocsr(), name, check_finite=False)
    else:
        matrix = sparse.csr_array(as_floats(value, name, ndim=2))
    rows, columns = require_shape(matrix.shape, name)
    if rows != columns:
        raise InvalidInputError(f"{name} has shape {matrix.shape}: needs a square matrix")
    return matrix


def native(matrix: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the arrays of :func:`as_square`'s matrix."""
    return compressed(matrix)


def as_nodes(value: object, name: str, size: int) -> np.ndarray[Any, Any]:
    """Return distinct nodes, from their indices or from a mask."""
    array = as_array(value, name)
    if array.ndim != 1:
        raise InvalidInputError(f"{name} has shape {array.shape}: needs 1 dimension")
    if array.dtype == bool:
        if array.shape[0] != size:
            raise InvalidInputError(f"{name} has {array.shape[0]} values for {size} nodes")
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu" and array.size > 0:
        raise InvalidInputError(
            f"{name} has dtype {array.dtype}: needs indices of nodes, or a mask of them"
        )
    nodes = array.astype(np.int64)
    outside = (nodes < 0) | (nodes >= size)
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        raise InvalidInputError(
            f"{name}[{k}] is {nodes[k]}: needs the index of a node, 0 to {size - 1}"
        )
    counts = np.bincount(nodes, minlength=size)
    if counts.size and counts.max() > 1:
        node = int(counts.argmax())
        raise InvalidInputError(f"{name} has node {node} {counts[node]} times: needs it once")
    return nodes


def as_columns(value: object, name: str, rows: int, what: str) -> tuple[FloatArray, bool]:
    """Return finite values in double precision, a row for each node, and if they were a vector."""
    array = as_floats(value, name, ndim=(1, 2))
    if array.shape[0] != rows:
        raise InvalidInputError(f"{name} has {array.shape[0]} rows for {rows} {what}")
    if array.ndim == 2 and array.shape[1] == 0:
        raise InvalidInputError(f"{name} has shape {array.shape}: needs at least one column")
    require_finite(array, name)
    columns = array.reshape(rows, -1 if rows else 1) if array.ndim == 1 else array
    return np.array(columns, dtype=np.float64, order="C"), array.ndim == 1


def by_score(value: object, name: str, size: int, *, default: FloatArray) -> Any:
    """Return the nodes by decreasing score, equal ones by index."""
    scores = default if value is None else as_floats(value, name, ndim=1)
    if scores.shape[0] != size:
        raise InvalidInputError(f"{name} has {scores.shape[0]} values for {size} nodes")
    if np.isnan(scores).any():
        k = int(np.flatnonzero(np.isnan(scores))[0])
        raise InvalidInputError(f"{name}[{k}] is nan: needs numbers")
    return np.argsort(-scores, kind="stable").astype(np.uint32)

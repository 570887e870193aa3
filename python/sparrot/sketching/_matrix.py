"""A tall matrix as the native passes over its rows take it."""

from typing import Any

import numpy as np

from sparrot._design import canonical, compressed, require_shape
from sparrot._validation import FloatArray, as_floats


def as_rows(value: object, name: str) -> tuple[tuple[Any, ...], tuple[int, int], Any]:
    """Take a matrix: what the native side gets, the shape and the dtype.

    Dense ones in C or Fortran order and CSR are not copied. What is not finite is found as the
    rows are read.
    """
    if hasattr(value, "tocsr") and hasattr(value, "nnz"):
        matrix = value if getattr(value, "format", None) == "csr" else value.tocsr()
        matrix = canonical(matrix, name, check_finite=False)
        shape = require_shape(matrix.shape, name)
        return (*compressed(matrix), shape[1]), shape, matrix.dtype
    array: FloatArray = as_floats(value, name, ndim=2)
    shape = require_shape(array.shape, name)
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return (array.T, True), shape, array.dtype
    return (np.ascontiguousarray(array), False), shape, array.dtype

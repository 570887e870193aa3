"""Quadratics with a sparse matrix."""

import numpy as np
from scipy import sparse

from sparrot._design import as_targets, canonical, compressed, require_places, require_shape
from sparrot._validation import as_floats, require_finite
from sparrot.descent._linear import UNBOUNDED, Bounds
from sparrot.descent._problem import Problem
from sparrot.errors import InvalidInputError


class Quadratic(Problem):
    """A quadratic, ``x @ A @ x / 2 - b @ x``.

    Parameters
    ----------
    A : sparse matrix or array_like of shape (p, p)
        A symmetric positive semi-definite matrix. Kept as CSR of float64. That it is symmetric is
        checked; that it is positive semi-definite only as far as its diagonal says.
    b : array_like of shape (p,)
        The linear part.
    l1 : float or array_like of shape (p,), default=0.0
        The weight of ``|x|``.
    bounds : tuple, default=(-inf, inf)
        Lower and upper bounds of x.

    Attributes
    ----------
    shape : tuple of int
        The shape of x, (p,).

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    See Also
    --------
    block_coordinate_descent
    scipy.sparse.linalg.spsolve : For systems without L1 norms and bounds.

    Examples
    --------
    A chain is a forest, and message passing solves it in one step:

    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sparrot.descent import Quadratic, block_coordinate_descent
    >>> A = sparse.diags_array([-1.0, 2.1, -1.0], offsets=[-1, 0, 1], shape=(500, 500))
    >>> b = np.random.default_rng(0).normal(size=500)
    >>> result = block_coordinate_descent(Quadratic(A, b), partition="forest", tol=1e-10)
    >>> result.n_iter, bool(np.abs(A @ result.x - b).max() < 1e-12)
    (1, True)
    """

    def __init__(
        self, A: object, b: object, *, l1: object = 0.0, bounds: Bounds = UNBOUNDED
    ) -> None:
        if hasattr(A, "tocsr") and hasattr(A, "nnz"):
            if getattr(A, "format", None) == "csc":
                require_places(A, "A")  # before the conversion goes by them
            matrix = canonical(A.tocsr(), "A").astype(np.float64, copy=False)
        else:
            array = as_floats(A, "A", ndim=2)
            require_finite(array, "A")
            matrix = sparse.csr_array(array.astype(np.float64, copy=False))
        p, q = require_shape(matrix.shape, "A")
        if p != q:
            raise InvalidInputError(f"A has shape {matrix.shape}: needs a square matrix")
        _require_symmetric(matrix)
        _require_curvature(matrix)
        self.shape = (p,)
        linear = as_targets(b, "b", p, "A")
        is_flat = (matrix.diagonal() == 0) & (linear != 0)
        if is_flat.any():
            i = int(np.flatnonzero(is_flat)[0])
            raise InvalidInputError(
                f"A has a row of zeros, {i}, where b is {linear[i]}: the objective is linear in "
                "that variable; leave it out, and put it at the bound that b asks for"
            )
        self._native = (*compressed(matrix), linear)
        self._set_penalty(l1, bounds)


def _require_symmetric(matrix: sparse.csr_array) -> None:
    difference = (matrix - matrix.T).tocoo()
    if difference.nnz == 0:
        return
    k = int(np.abs(difference.data).argmax())
    if abs(difference.data[k]) > 1e-12 * np.abs(matrix.data).max():
        i, j = int(difference.coords[0][k]), int(difference.coords[1][k])
        raise InvalidInputError(
            f"A has {matrix[i, j]} at ({i}, {j}) and {matrix[j, i]} at ({j}, {i}): needs a "
            "symmetric matrix; (A + A.T) / 2 has the same quadratic"
        )


def _require_curvature(matrix: sparse.csr_array) -> None:
    diagonal = matrix.diagonal()
    largest = np.maximum.reduceat(
        np.append(np.abs(matrix.data), 0.0), np.minimum(matrix.indptr[:-1], matrix.nnz)
    )
    largest[np.diff(matrix.indptr) == 0] = 0
    wrong = (diagonal < 0) | ((diagonal == 0) & (largest > 0))
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise InvalidInputError(
            f"A has {diagonal[i]} at ({i}, {i}) on its diagonal: needs a positive semi-definite "
            "matrix"
        )

"""Sweeps over the forests of a matrix."""

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_choice, as_count
from sparrot.errors import InvalidInputError
from sparrot.graph._matrix import as_columns, as_square, native

DIRECTIONS = ("forward", "backward", "symmetric")


class ForestSmoother:
    """Gauss-Seidel whose blocks are forests, each solved exactly by message passing.

    A smoother for multigrid and, there and back, a preconditioner of conjugate gradients. The
    matrix is cut into forests once (see :func:`forest_partition`) and their factors are kept; a
    sweep costs about one product with the matrix and two passes over the forests [1]_.

    Parameters
    ----------
    A : sparse matrix or array_like of shape (n, n)
        A symmetric positive definite matrix. A copy is kept.

    Attributes
    ----------
    n_forests : int
        How many forests there are.
    shape : tuple of int
        The shape of A.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If A is not square, finite and symmetric, or a forest is not positive definite.

    See Also
    --------
    laplacian_solve : Faster for Laplacian systems.

    References
    ----------
    .. [1] J. Nutini, I. Laradji, M. Schmidt, "Let's Make Block Coordinate Descent Converge
       Faster", JMLR 23 (2022), arXiv 1712.08859, section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from scipy.sparse.linalg import cg
    >>> from sparrot.graph import ForestSmoother
    >>> line = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(30, 30))
    >>> A = sparse.kronsum(line, line, format="csr")
    >>> b = np.ones(900)
    >>> smoother = ForestSmoother(A)
    >>> x, info = cg(A, b, M=smoother.as_preconditioner(), rtol=1e-10)
    >>> smoother.n_forests, info, bool(np.abs(A @ x - b).max() < 1e-7)
    (2, 0, True)
    """

    def __init__(self, A: object) -> None:
        matrix = as_square(A, "A")
        self._native = _sparrot.ForestSweeps(native(matrix))
        self.shape: tuple[int, int] = matrix.shape
        self.n_forests: int = self._native.n_forests

    def smooth(
        self, b: object, x: object = None, *, n_sweeps: int = 1, direction: str = "symmetric"
    ) -> FloatArray:
        """Sweep over the forests, each time bringing one to its minimum given the others.

        Parameters
        ----------
        b : array_like of shape (n,) or (n, k)
            Right-hand sides.
        x : array_like of the shape of b, optional
            Where to start, by default 0. Not changed.
        n_sweeps : int, default=1
            How often.
        direction : {"symmetric", "forward", "backward"}, default="symmetric"
            The order of the forests; "symmetric" is there and back again.

        Returns
        -------
        ndarray of the shape of b
            The new x, in float64.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If an argument is not as described.
        """
        direction = as_choice(direction, "direction", DIRECTIONS)
        times = as_count(n_sweeps, "n_sweeps", least=0)
        rhs, is_vector = as_columns(b, "b", self.shape[0], "nodes")
        if x is None:
            values = np.zeros_like(rhs)
        else:
            values, _ = as_columns(x, "x", self.shape[0], "nodes")
            if values.shape != rhs.shape:
                raise InvalidInputError(f"x has shape {values.shape}, b {rhs.shape}: need the same")
        self._native.sweep(values, rhs, direction != "backward", direction != "forward", times)
        return values[:, 0] if is_vector else values

    def as_preconditioner(self) -> LinearOperator:
        """Return a symmetric sweep from 0 as an operator, for ``scipy.sparse.linalg.cg``.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            Symmetric positive definite, of the shape of A.
        """

        def apply(b: FloatArray) -> Any:
            return self.smooth(b.reshape(self.shape[0], -1)).reshape(b.shape)

        return LinearOperator(self.shape, matvec=apply, rmatvec=apply, matmat=apply, dtype=float)

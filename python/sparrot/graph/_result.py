"""What a Laplacian system's solution comes as."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sparrot import _sparrot
from sparrot._native import Status
from sparrot._result import Result
from sparrot._validation import FloatArray


class LaplacianResult(Result):
    """Values at the nodes of a graph, and how wrong they can be.

    Frozen; fields can be read as attributes or as items.

    Attributes
    ----------
    x : ndarray of shape (n,) or (n, k)
        The values: those given where they were given.
    residual : float
        The larger one of ``|r|_2 / |b|_2`` and ``max|r / d| / max|b / d|`` over the nodes solved
        for, d the sum of a node's weights, b what the given values contribute, r what is left;
        the worst column, measured from ``x``.
    residuals : ndarray of shape (k,)
        The same, of each column.
    converged : bool
        Whether ``residual <= tol`` or, by "dense", which is right to nearly all digits by
        construction, whether what is left is no more than rounding at every node.
    status : sparrot.Status
        How it ended.
    message : str
        How it ended, and what to do.
    method : str
        What it was solved with: "cg", "cholesky", "dense", "forest" or "forest_cg".
    n_iter : int
        Iterations or sweeps, of the column that took most. Where "cholesky" was chosen, those made
        before.
    unreached : ndarray of int64
        The nodes that nothing determines, as no path leads from them to a given value: they have
        the fill value.
    tol : float
        The residual that was asked for.
    timings : dict
        Seconds: "solve".

    See Also
    --------
    laplacian_solve
    """

    x: FloatArray
    residual: float
    residuals: FloatArray
    converged: bool
    status: Status
    message: str
    method: str
    n_iter: int
    unreached: npt.NDArray[np.int64]
    tol: float
    timings: dict[str, float]

    _problem: Mapping[str, Any]

    def __init__(self, problem: Mapping[str, Any], /, **fields: Any) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "_problem", problem)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (type(self), self._problem, self._fields))

    def error_bound(self) -> FloatArray:
        """Bound the distance of each value from the exact solution.

        The inverse of the matrix A of such a system is not negative. So if ``A v >= s > 0``, the
        error is at most ``v * max(|r| / s)`` at every node; v comes from one more solve, and the
        products are computed with an allowance for rounding. Where weights differ so much that
        this proves nothing, up to 5,792 unknowns are solved for again by an elimination without a
        subtraction, whose error is bounded a priori. The graph must not have been changed.

        Returns
        -------
        ndarray of the shape of x
            0 at given values and at unreached nodes; inf where nothing can be proven.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy import sparse
        >>> from sparrot.graph import laplacian_solve
        >>> W = sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(101, 101))
        >>> result = laplacian_solve(W, [0, 100], [0.0, 1.0])
        >>> bound = result.error_bound()
        >>> bool((abs(result.x - np.linspace(0, 1, 101)) <= bound).all()), bool(bound.max() < 1e-6)
        (True, True)
        """
        columns = self.x.reshape(len(self.x), -1)
        bounds = _sparrot.graph_error_bounds(self._problem, columns)
        return bounds.reshape(self.x.shape)


def _restore(
    cls: type[LaplacianResult], problem: Mapping[str, Any], fields: dict[str, Any]
) -> LaplacianResult:
    return cls(problem, **fields)

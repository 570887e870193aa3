"""The dual functions of transport with few entries per line, for optimisers of one's own."""

import math
from typing import Any

import numpy as np
from scipy import sparse

from sparrot import _sparrot
from sparrot._native import simd_level
from sparrot._validation import FloatArray, as_count, as_floats, as_threads
from sparrot.errors import InvalidInputError
from sparrot.transport._cost import cost_from_matrix
from sparrot.transport._lines import SparseProblem, as_matrix, require_gamma, survey
from sparrot.transport._mass import Mass

_UNSCALED = Mass(0)


class KSparseDual:
    """The dual and the semi-dual of transport with at most ``k`` entries per column, or per row.

    Both are concave, and lower bounds on :func:`solve_ksparse` wherever they are evaluated [1]_.
    Use them with an optimiser of your own, or to study the problem; to solve it, call
    :func:`solve_ksparse`, which gets to the maximum, a kink in general, in far fewer steps.

    Parameters
    ----------
    cost : array_like of shape (n, m)
        Costs; ``inf`` forbids an edge. (A column with weight and no edge makes the semi-dual
        infinite: there is no plan.) Each evaluation reads it once, in any layout with contiguous
        rows or columns, without a copy; it must not be changed meanwhile.
    a : array_like of shape (n,), optional
        Non-negative weights of the rows; uniform by default.
    b : array_like of shape (m,), optional
        Weights of the columns; uniform by default.
    gamma : float
        The weight of the squared norm, above 0.
    k : int
        Entries per column, at least 1.
    axis : {0, 1}, default=0
        0 to count the entries of columns, 1 those of rows.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.

    See Also
    --------
    solve_ksparse : Solves the problem.

    References
    ----------
    .. [1] Liu, Puigcerver, Blondel, "Sparsity-constrained optimal transport", ICLR 2023, arXiv
       2209.15466.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> from sparrot.transport import KSparseDual
    >>> cost = np.random.default_rng(0).random((50, 50))
    >>> problem = KSparseDual(cost, gamma=1.0, k=10)
    >>> def negative(alpha):
    ...     value, gradient = problem.semi_dual(alpha)
    ...     return -value, -gradient
    >>> found = minimize(negative, np.zeros(50), jac=True, method="L-BFGS-B")
    >>> int(np.diff(problem.plan(found.x).tocsc().indptr).max()) <= 10
    True
    """

    def __init__(
        self,
        cost: object,
        a: object = None,
        b: object = None,
        *,
        gamma: float,
        k: int,
        axis: int = 0,
        n_threads: int | None = None,
    ) -> None:
        simd_level()  # raises if SPARROT_SIMD asks for what there is not
        matrix = cost_from_matrix(cost)
        self._problem = SparseProblem.of(matrix, a, b, gamma, "absolute", as_count(k, "k"), axis)
        threads = as_threads(n_threads)
        survey(self._problem, check_finite=True, n_threads=threads)
        weight = require_gamma(self._problem.gamma, self._problem)
        self._native = self._problem.native(weight, _UNSCALED, threads)

    def dual(self, alpha: object, beta: object) -> tuple[float, FloatArray, FloatArray]:
        """Evaluate the dual and its gradient.

        ``alpha @ a + beta @ b - sum_j omega(alpha + beta[j] - cost[:, j])``, where ``omega(s)`` is
        the sum of the ``k`` largest ``max(s, 0)**2`` over ``2 * gamma``.

        Parameters
        ----------
        alpha : array_like of shape (n,)
            Potentials of the rows.
        beta : array_like of shape (m,)
            Potentials of the columns.

        Returns
        -------
        value : float
            The dual.
        grad_alpha : ndarray of shape (n,)
            ``a - P.sum(1)`` for the plan ``P`` of these potentials. Where the k-th and the next
            largest score of a column are equal, one of many supergradients.
        grad_beta : ndarray of shape (m,)
            ``b - P.sum(0)``.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If there are not as many potentials as points, or one that has weight is not finite.
        """
        value, *gradients = self._evaluate(*self._both(alpha, beta))
        return value, *self._problem.ordered(*gradients)

    def semi_dual(self, alpha: object) -> tuple[float, FloatArray]:
        """Evaluate the semi-dual and its gradient.

        ``alpha @ a - sum_j max(s @ t - gamma / 2 * t @ t)`` over ``t >= 0`` of sum ``b[j]`` with at
        most ``k`` entries, where ``s = alpha - cost[:, j]``: the largest value that the dual has
        for any potentials of the columns.

        Parameters
        ----------
        alpha : array_like of shape (n,)
            Potentials of the rows; with ``axis=1`` of shape (m,), of the columns.

        Returns
        -------
        value : float
            The semi-dual.
        gradient : ndarray of the shape of ``alpha``
            ``a - P.sum(1)``, or with ``axis=1`` ``b - P.sum(0)``, for the plan ``P`` of these
            potentials.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If there are not as many potentials as points, or one that has weight is not finite.
        """
        value, gradient, _ = self._evaluate(self._points(alpha), None)
        return value, gradient

    def plan(self, alpha: object, beta: object = None) -> sparse.csr_array:
        """Return the plan of given potentials, whose marginals the gradients are about.

        Parameters
        ----------
        alpha : array_like of shape (n,)
            Potentials of the rows; without ``beta``, of the side that :meth:`semi_dual` takes.
        beta : array_like of shape (m,), optional
            Potentials of the columns; by default the best for ``alpha``, which make the column
            sums (with ``axis=1``, row sums) exact.

        Returns
        -------
        scipy.sparse.csr_array of shape (n, m)
            At most ``k`` entries per column, or per row.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If there are not as many potentials as points, or one that has weight is not finite.
        """
        both = (self._points(alpha), None) if beta is None else self._both(alpha, beta)
        self._require_finite(*both)
        lines = _sparrot.transport_ksparse_plan(self._native, *both)
        return as_matrix(lines, self._problem, _UNSCALED)

    def _points(self, alpha: object) -> FloatArray:
        return _potentials(alpha, "alpha", self._native["a"].size)

    def _both(self, alpha: object, beta: object) -> Any:
        n, m = self._problem.cost.shape
        return self._problem.ordered(_potentials(alpha, "alpha", n), _potentials(beta, "beta", m))

    def _evaluate(self, points: FloatArray, lines: FloatArray | None) -> Any:
        found = _sparrot.transport_ksparse_evaluate(self._native, points, lines)
        if not math.isfinite(found[0]):  # only then is it worth looking at what came in
            self._require_finite(points, lines)
        return found

    def _require_finite(self, points: FloatArray, lines: FloatArray | None) -> None:
        """Refuse potentials that are not finite where there is weight."""
        of_points, of_lines = self._problem.ordered("alpha", "beta")
        if lines is None:
            of_points = "alpha"
        for name, side, given in ((of_points, "a", points), (of_lines, "b", lines)):
            if given is None:
                continue
            bad = np.flatnonzero(~np.isfinite(given) & (self._native[side] > 0))
            if bad.size:
                raise InvalidInputError(
                    f"{name}[{bad[0]}] is {given[bad[0]]}: needs a finite number where there is "
                    "weight"
                )


def _potentials(value: object, name: str, size: int) -> FloatArray:
    if type(value) is np.ndarray and value.dtype == np.float64 and value.flags.c_contiguous:
        array = value  # what an optimiser hands over again and again
    else:
        array = np.ascontiguousarray(as_floats(value, name, ndim=1), dtype=np.float64)
    if array.shape != (size,):
        raise InvalidInputError(f"{name} has shape {array.shape}: needs ({size},)")
    return array

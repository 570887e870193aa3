"""Transport with few entries per column or row."""

import warnings
from collections.abc import Callable
from typing import Any

from sparrot._validation import as_count
from sparrot.errors import ConvergenceWarning
from sparrot.transport._cost import cost_from_matrix
from sparrot.transport._lines import SparseProblem, solve_lines
from sparrot.transport._run import IterationState
from sparrot.transport._sparse_result import SparseTransportResult


def solve_ksparse(
    cost: object,
    a: object = None,
    b: object = None,
    *,
    gamma: float,
    k: int,
    axis: int = 0,
    gamma_scale: str = "absolute",
    recover: str = "polish",
    tol: float = 1e-6,
    max_iter: int | None = None,
    max_time: float | None = None,
    init: object = None,
    callback: Callable[[IterationState], object] | None = None,
    verbose: int = 0,
    check_finite: bool = True,
    n_threads: int | None = None,
) -> SparseTransportResult:
    """Solve transport with at most ``k`` entries per column of the plan, or per row.

    Minimises ``<C, P> + gamma / 2 * (P**2).sum()`` over plans ``P >= 0`` with ``P.sum(1) == a``,
    ``P.sum(0) == b`` and at most ``k`` entries in every column [1]_. With few entries allowed there
    is in general no plan with these marginals at all: a vertex of the set of plans has about two
    entries per column. What is solved, to any accuracy, is the tightest convex problem below it,
    in which ``(p**2).sum()`` of a column is replaced by the square of its k-support norm [2]_, the
    same number wherever a column has at most ``k`` entries. Its dual is the paper's. Where the
    plan that solves it has no more than ``k`` entries in any column, it solves the original
    problem; otherwise it has about ``k + 1`` per column, and the result says how many more.

    Parameters
    ----------
    cost : array_like of shape (n, m)
        Costs, in any unit. ``inf`` forbids an edge. float32 and float64 are used as they are, in
        any layout with contiguous rows or columns, without a copy.
    a : array_like of shape (n,), optional
        Non-negative weights of the rows; uniform by default.
    b : array_like of shape (m,), optional
        Weights of the columns, of the same sum to a relative 1e-8; uniform by default.
    gamma : float
        The weight of the squared norm, above 0. Large values spread the mass of a column evenly
        over its entries.
    k : int
        Entries per column, at least 1. ``k=1`` is transport without regularisation, ``k=n`` is
        :func:`solve_quadratic`.
    axis : {0, 1}, default=0
        0 to count the entries of columns, 1 those of rows.
    gamma_scale : {"absolute", "max", "mean"}, default="absolute"
        The unit of ``gamma``: that of the cost over the unit of mass; or the largest finite cost,
        or the mean cost (weighted by ``a`` and ``b``), over the mean mass of a column (or row).
    recover : {"polish", "dual", "round"}, default="polish"
        Which plan to return. "polish": that of the convex problem, whose marginals are exact and
        whose columns may have more than ``k`` entries. "dual": the paper's, computed from the
        potentials: never more than ``k`` entries per column and right column sums, but wrong row
        sums wherever ``k`` is binding. "round": the latter with what its marginals miss added,
        right again, with few entries more and no claim to be optimal; what could only go along
        forbidden edges stays missing.
    tol : float, default=1e-6
        The gap to reach, as a share of the value.
    max_iter : int, optional
        Newton steps, at most: by default 5,000.
    max_time : float, optional
        Seconds after which to stop with the best answer so far. Looked at between steps.
    init : SparseTransportResult or tuple of array_like, optional
        Potentials ``(f, g)`` to start from, in the units of the cost, or the result that has them.
        Those of the columns (the lines) are not used: the best for the others are. By default,
        and where they are far off, the potentials of entropic transport.
    callback : callable, optional
        Called with an :class:`IterationState` after every step; a true answer ends the solve.
    verbose : int, default=0
        1 prints a line per step.
    check_finite : bool, default=True
        Whether to refuse NaN and ``-inf`` in ``cost``, which is read once in any case.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default. The result has the same bits for any
        number.

    Returns
    -------
    SparseTransportResult
        With the plan (``sparse_plan``, ``plan``), ``dual_value``, ``gap``, ``marginal_error``,
        ``max_nnz`` and whether ``k`` was binding (``n_binding``).

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.
    sparrot.errors.InfeasibleProblemError
        If forbidden edges leave no plan.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the gap is above ``tol``, or marginals are not right; the result is returned with
        ``converged=False``.

    See Also
    --------
    solve_quadratic : Any number of entries per column.
    KSparseDual : The dual functions, for an optimiser of your own.

    Notes
    -----
    The proximal point method, with semismooth Newton steps on the smooth dual of each of its
    problems, started from entropic transport. The dual of the paper has a kink at its maximum
    wherever ``k`` is binding, which is why gradient methods on it end with wrong marginals.

    References
    ----------
    .. [1] Liu, Puigcerver, Blondel, "Sparsity-constrained optimal transport", ICLR 2023, arXiv
       2209.15466.
    .. [2] Argyriou, Foygel, Srebro, "Sparse prediction with the k-support norm", NeurIPS 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import solve_ksparse
    >>> cost = np.random.default_rng(0).random((200, 200))
    >>> result = solve_ksparse(cost, gamma=1.0, k=2)
    >>> result.converged, result.marginal_error < 1e-9
    (True, True)
    >>> 2 <= result.nnz / 200 <= 3
    True
    >>> solve_ksparse(cost, gamma=1.0, k=2, recover="dual").max_nnz
    2
    """
    return _warned(
        SparseProblem.of(cost_from_matrix(cost), a, b, gamma, gamma_scale, as_count(k, "k"), axis),
        recover=recover,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        init=init,
        callback=callback,
        verbose=verbose,
        check_finite=check_finite,
        n_threads=n_threads,
    )


def solve_quadratic(
    cost: object,
    a: object = None,
    b: object = None,
    *,
    gamma: float,
    gamma_scale: str = "absolute",
    tol: float = 1e-9,
    max_iter: int | None = None,
    max_time: float | None = None,
    init: object = None,
    callback: Callable[[IterationState], object] | None = None,
    verbose: int = 0,
    check_finite: bool = True,
    n_threads: int | None = None,
) -> SparseTransportResult:
    """Solve transport regularised by the squared norm of the plan.

    Minimises ``<C, P> + gamma / 2 * (P**2).sum()`` over plans ``P >= 0`` with ``P.sum(1) == a`` and
    ``P.sum(0) == b`` [1]_. Its solution is sparse, ``P = max(f[:, None] + g - C, 0) / gamma``, and
    unique.

    Parameters
    ----------
    cost : array_like of shape (n, m)
        Costs, in any unit. ``inf`` forbids an edge.
    a : array_like of shape (n,), optional
        Non-negative weights of the rows; uniform by default.
    b : array_like of shape (m,), optional
        Weights of the columns, of the same sum to a relative 1e-8; uniform by default.
    gamma : float
        The weight of the squared norm, above 0.
    gamma_scale : {"absolute", "max", "mean"}, default="absolute"
        The unit of ``gamma``: see :func:`solve_ksparse`.
    tol : float, default=1e-9
        The gap to reach, as a share of the value.
    max_iter : int, optional
        Newton steps, at most: by default 5,000.
    max_time : float, optional
        Seconds after which to stop with the best answer so far.
    init : SparseTransportResult or tuple of array_like, optional
        Potentials ``(f, g)`` to start from: see :func:`solve_ksparse`.
    callback : callable, optional
        Called with an :class:`IterationState` after every step; a true answer ends the solve.
    verbose : int, default=0
        1 prints a line per step.
    check_finite : bool, default=True
        Whether to refuse NaN and ``-inf`` in ``cost``.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default.

    Returns
    -------
    SparseTransportResult

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.
    sparrot.errors.InfeasibleProblemError
        If forbidden edges leave no plan.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the gap is above ``tol``; the result is returned with ``converged=False``.

    See Also
    --------
    solve_ksparse : With at most k entries per column or row.
    solve : Entropic regularisation, whose plans have no zeros.

    References
    ----------
    .. [1] Blondel, Seguy, Rolet, "Smooth and sparse optimal transport", AISTATS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import solve_quadratic
    >>> cost = np.random.default_rng(0).random((200, 200))
    >>> result = solve_quadratic(cost, gamma=1.0)
    >>> f, g = result.potentials
    >>> bool(np.allclose(result.plan, np.maximum(f[:, None] + g - cost, 0), atol=1e-10))
    True
    """
    return _warned(
        SparseProblem.of(cost_from_matrix(cost), a, b, gamma, gamma_scale, None, 0),
        recover="polish",
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        init=init,
        callback=callback,
        verbose=verbose,
        check_finite=check_finite,
        n_threads=n_threads,
    )


def _warned(problem: SparseProblem, **arguments: Any) -> SparseTransportResult:
    result = solve_lines(problem, **arguments)
    if not result.converged:
        warnings.warn(result.message, ConvergenceWarning, stacklevel=3)  # where the user called
    return result

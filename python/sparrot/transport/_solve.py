"""Entropic transport from a cost matrix or from points."""

from collections.abc import Callable, Mapping
from typing import Any

from sparrot.transport._cost import cost_from_matrix, cost_from_points
from sparrot.transport._result import TransportResult
from sparrot.transport._run import IterationState, solve_cost


def solve(
    cost: object,
    a: object = None,
    b: object = None,
    *,
    reg: float,
    reg_scale: str = "absolute",
    method: str = "auto",
    tol: float = 1e-6,
    max_iter: int | None = None,
    max_time: float | None = None,
    init: object = None,
    options: Mapping[str, Any] | None = None,
    callback: Callable[[IterationState], object] | None = None,
    verbose: int = 0,
    check_finite: bool = True,
    n_threads: int | None = None,
) -> TransportResult:
    """Solve entropic optimal transport for a cost matrix.

    Minimises ``<C, P> + reg * sum(P * log(P))`` over plans ``P >= 0`` with ``P.sum(1) == a`` and
    ``P.sum(0) == b``, in the dual, and certifies the plan that it returns.

    Parameters
    ----------
    cost : array_like of shape (n, m)
        Costs, in any unit. ``inf`` forbids an edge. float32 and float64 are used as they are, in
        any layout with contiguous rows or columns, without a copy; float16 becomes float32, other
        types float64.
    a : array_like of shape (n,), optional
        Non-negative weights of the rows; uniform by default. Points of weight 0 get empty rows.
    b : array_like of shape (m,), optional
        Weights of the columns, of the same sum to a relative 1e-8; uniform by default.
    reg : float
        The regularisation, above 0.
    reg_scale : {"absolute", "max", "mean"}, default="absolute"
        The unit of ``reg``: the unit of the cost, the largest finite cost, or the mean cost
        (weighted by ``a`` and ``b``).
    method : {"auto", "sns", "sinkhorn"}, default="auto"
        "auto" lowers the regularisation in steps, each of which starts from those before: Sinkhorn
        sweeps, then, where many of them would be needed, Newton steps on the semi-dual, whose
        equations are solved by preconditioned conjugate gradients. "sns" is
        Sinkhorn-Newton-Sparse [1]_ as published: a few Sinkhorn iterations, then Newton steps on
        the largest entries of the Hessian. "sinkhorn" is Sinkhorn's iteration, stabilised.
    tol : float, default=1e-6
        The marginal error to reach, as a share of the mass. What double precision allows is
        around 1e-13, and less accurate for very small ``reg``.
    max_iter : int, optional
        Iterations of all kinds, at most: by default 10,000, for "sns" 2,000, for "sinkhorn"
        100,000.
    max_time : float, optional
        Seconds after which to stop with the best answer so far. Looked at between iterations.
    init : TransportResult or tuple of array_like, optional
        Potentials ``(f, g)`` to start from, of shapes (n,) and (m,) in the units of the cost, or
        the result that has them: of the same problem at another regularisation, or of one that
        differs little. What they are at points without weight is not looked at. When they are far
        off, "auto" starts afresh: it lowers the regularisation from the beginning.
    options : dict, optional
        Settings of "sns", with the paper's defaults where it has any; "auto" and "sinkhorn" take
        none:

        * ``n_sinkhorn`` (20): Sinkhorn iterations before the first Newton step, ``N1``, at least 1;
        * ``density`` (2 (n + m) / (n m)): the share of the plan's entries kept; the default is
          ``lambda = 2/n`` of the Hessian, which holds the plan twice;
        * ``growth`` (1): factor on the density after a step that did not halve the error; from a
          density of 1/4 on the whole plan is used. With 4 it converges on dense plans too;
        * ``cg_tol`` (1e-3), ``cg_max_iter`` (1000): of the conjugate gradients;
        * ``armijo`` (1e-4), ``max_halvings`` (12): of the line search.
    callback : callable, optional
        Called with an :class:`IterationState` after Newton steps and after every tenth Sinkhorn
        iteration (more often from 100,000 entries on); a true answer ends the solve.
    verbose : int, default=0
        1 prints a line per Newton step and about ten a second while Sinkhorn iterates.
    check_finite : bool, default=True
        Whether to look for NaN and ``-inf`` in ``cost``, and for costs too large for ``reg``, which
        takes one read of it.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default. The result has the same bits for any
        number.

    Returns
    -------
    TransportResult
        With ``potentials``, ``marginal_error``, ``gap``, and the plan on request: ``plan``,
        ``sparse_plan``, ``apply``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.
    sparrot.errors.InfeasibleProblemError
        If a point with weight has only forbidden edges, or if the solver gets nowhere because
        some points have too much weight for all that they can reach: they are named.
    MemoryError
        If there is no room for n x m numbers in float64, the one large array of a solve.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the marginal error is above ``tol``; the result is returned with ``converged=False``.

    See Also
    --------
    solve_sample : From points, without a cost matrix.
    solve_path : One problem at several regularisations.
    solve_batch : Many problems of one shape.

    References
    ----------
    .. [1] Tang, Shavlovsky, Rahmanian, Tardini, Thekumparampil, Xiao, Ying, "Accelerating Sinkhorn
       Algorithm with Sparse Newton Iterations", ICLR 2024, arXiv 2401.12253.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import solve
    >>> cost = np.random.default_rng(0).random((500, 500))
    >>> result = solve(cost, reg=1 / 1200, tol=1e-9)
    >>> result.converged
    True
    >>> result.marginal_error <= 1e-9
    True
    >>> bool(np.abs(result.plan.sum(1) - 1 / 500).sum() <= 1e-9)
    True
    """
    return solve_cost(
        cost_from_matrix(cost),
        a,
        b,
        reg=reg,
        reg_scale=reg_scale,
        method=method,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        init=init,
        options=options,
        callback=callback,
        verbose=verbose,
        check_finite=check_finite,
        n_threads=n_threads,
    )


def solve_sample(
    X: object,
    Y: object,
    a: object = None,
    b: object = None,
    *,
    metric: str = "sqeuclidean",
    reg: float,
    reg_scale: str = "absolute",
    method: str = "auto",
    tol: float = 1e-6,
    max_iter: int | None = None,
    max_time: float | None = None,
    init: object = None,
    options: Mapping[str, Any] | None = None,
    callback: Callable[[IterationState], object] | None = None,
    verbose: int = 0,
    check_finite: bool = True,
    n_threads: int | None = None,
) -> TransportResult:
    """Solve entropic optimal transport between two sets of points.

    As :func:`solve`, with the cost ``C[i, j]`` the distance between ``X[i]`` and ``Y[j]``. Up to
    eight coordinates, distances are computed as they are needed and no cost matrix is made; beyond
    that they are stored while the solver runs.

    Parameters
    ----------
    X : array_like of shape (n, d)
        The source points.
    Y : array_like of shape (m, d)
        The target points.
    a : array_like of shape (n,), optional
        Non-negative weights of ``X``; uniform by default.
    b : array_like of shape (m,), optional
        Weights of ``Y``, of the same sum to a relative 1e-8; uniform by default.
    metric : {"sqeuclidean", "euclidean", "cosine"}, default="sqeuclidean"
        The squared Euclidean distance, the Euclidean distance, or one minus the cosine of the
        angle between the points (which may then not be the origin).
    reg : float
        The regularisation, above 0.
    reg_scale : {"absolute", "max", "mean"}, default="absolute"
        The unit of ``reg``: see :func:`solve`.
    method : {"auto", "sns", "sinkhorn"}, default="auto"
        See :func:`solve`.
    tol : float, default=1e-6
        The marginal error to reach, as a share of the mass.
    max_iter : int, optional
        Iterations of all kinds, at most.
    max_time : float, optional
        Seconds after which to stop with the best answer so far.
    init : TransportResult or tuple of array_like, optional
        Potentials ``(f, g)`` to start from, in the units of the cost: see :func:`solve`.
    options : dict, optional
        Settings of "sns": see :func:`solve`.
    callback : callable, optional
        Called with an :class:`IterationState`; a true answer ends the solve.
    verbose : int, default=0
        1 prints the progress.
    check_finite : bool, default=True
        Whether to look for NaN and infinities in ``X`` and ``Y``.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default.

    Returns
    -------
    TransportResult

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.
    MemoryError
        If there is no room for n x m numbers in float64, twice that beyond eight coordinates.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the marginal error is above ``tol``; the result is returned with ``converged=False``.

    See Also
    --------
    solve : From a cost matrix.
    EntropicTransport : The same as an estimator, with a map for new points.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import solve_sample
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(300, 2)), rng.normal(size=(200, 2)) + 1
    >>> result = solve_sample(X, Y, reg=0.01, reg_scale="max")
    >>> result.converged, result.shape
    (True, (300, 200))
    >>> result.lower_bound <= result.upper_bound
    True
    """
    return solve_cost(
        cost_from_points(X, Y, metric, check_finite=check_finite),
        a,
        b,
        reg=reg,
        reg_scale=reg_scale,
        method=method,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        init=init,
        options=options,
        callback=callback,
        verbose=verbose,
        check_finite=check_finite,
        n_threads=n_threads,
    )

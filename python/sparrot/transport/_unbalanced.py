"""Entropic transport whose plan may miss the marginals, at a price."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from sparrot._validation import as_choice, as_number, as_positive
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.transport._cost import Cost, cost_from_matrix, cost_from_points
from sparrot.transport._marginals import RelaxedMarginals
from sparrot.transport._run import IterationState, run_solver
from sparrot.transport._unbalanced_result import UnbalancedResult

REG_TYPES = ("kl", "entropy")


def solve_unbalanced(
    cost: object,
    a: object = None,
    b: object = None,
    *,
    reg: float,
    reg_m: float | tuple[float, float],
    reg_type: str = "kl",
    reg_scale: str = "absolute",
    tol: float = 1e-6,
    max_iter: int | None = None,
    max_time: float | None = None,
    init: object = None,
    callback: Callable[[IterationState], object] | None = None,
    verbose: int = 0,
    check_finite: bool = True,
    n_threads: int | None = None,
) -> UnbalancedResult:
    """Solve unbalanced entropic optimal transport for a cost matrix.

    Minimises ``<C, P> + reg * Omega(P) + reg_m[0] * KL(P.sum(1) | a) +
    reg_m[1] * KL(P.sum(0) | b)`` over plans ``P >= 0``, where
    ``KL(x | y) = sum(x * log(x / y) - x + y)``: mass is moved where that is cheap, and missed, or
    made, where it is dear. The weights may have different sums.

    Parameters
    ----------
    cost : array_like of shape (n, m)
        Costs, as for :func:`solve`. ``inf`` forbids an edge; a point with nothing but forbidden
        edges is missed.
    a : array_like of shape (n,), optional
        Non-negative weights of the rows; by default uniform, of sum 1.
    b : array_like of shape (m,), optional
        Weights of the columns, of any sum; by default uniform, of sum 1.
    reg : float
        The regularisation, above 0.
    reg_m : float or tuple of float
        The price of missing the marginals, or of missing that of the rows and that of the columns,
        above 0. Where moving it costs about ``reg_m[0] + reg_m[1]`` or more, mass is missed rather
        than moved. ``inf`` for one of them fixes that marginal (semi-relaxed transport); for both
        of them see :func:`solve`.
    reg_type : {"kl", "entropy"}, default="kl"
        ``Omega(P)``: ``KL(P | a[:, None] * b)``, with which it does not matter whether a point is
        given as one or as several, or ``sum(P * (log(P) - 1))``.
    reg_scale : {"absolute", "max", "mean"}, default="absolute"
        The unit of ``reg`` and ``reg_m``: the unit of the cost, the largest finite cost, or the
        mean cost (weighted by ``a`` and ``b``).
    tol : float, default=1e-6
        The marginal error to reach, see :class:`UnbalancedResult`. ``gap`` is of the order of its
        square.
    max_iter : int, optional
        Iterations of all kinds, at most: by default 10,000.
    max_time : float, optional
        Seconds after which to stop with the best answer so far. Looked at between iterations.
    init : UnbalancedResult or tuple of array_like, optional
        Potentials ``(f, g)`` to start from, of shapes (n,) and (m,) in the units of the cost, or
        the result that has them: of the same ``reg_type``, and of a problem that differs little.
        ``-inf`` stands for one that is not known.
    callback : callable, optional
        Called with an :class:`IterationState`; a true answer ends the solve.
    verbose : int, default=0
        1 prints the progress.
    check_finite : bool, default=True
        Whether to look for NaN and ``-inf`` in ``cost``, which takes one read of it.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default. The result has the same bits for any
        number.

    Returns
    -------
    UnbalancedResult

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.InfeasibleProblemError
        If a marginal is fixed and a point with weight has only forbidden edges.
    MemoryError
        If there is no room for n x m numbers in float64, the one large array of a solve.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the marginal error is above ``tol``; the result is returned with ``converged=False``.

    See Also
    --------
    solve : Both marginals fixed.
    solve_unbalanced_sample : From points, without a cost matrix.

    Notes
    -----
    As the method "auto" of :func:`solve`: Sinkhorn's scalings [1]_, accelerated, with the mass put
    right in closed form after each [2]_, and Newton steps where many of them would be needed.

    References
    ----------
    .. [1] Chizat, Peyre, Schmitzer, Vialard, "Scaling algorithms for unbalanced optimal transport
       problems", Mathematics of Computation 87, 2018, arXiv 1607.05816.
    .. [2] Sejourne, Vialard, Peyre, "Faster Unbalanced Optimal Transport: Translation invariant
       Sinkhorn and 1-D Frank-Wolfe", AISTATS 2022, arXiv 2201.00730.

    Examples
    --------
    Of three points two have near counterparts; the third would have to move by 10, and is missed:

    >>> import numpy as np
    >>> from sparrot.transport import solve_unbalanced
    >>> x, y = np.array([0.0, 1.0, 11.0]), np.array([0.1, 1.1])
    >>> cost = (x[:, None] - y) ** 2
    >>> result = solve_unbalanced(cost, np.ones(3), np.ones(2), reg=0.01, reg_m=1.0)
    >>> result.converged
    True
    >>> rows, columns = result.marginals
    >>> np.round(rows, 2) + 0.0
    array([1., 1., 0.])
    >>> result.gap < 1e-6
    True
    """
    return _solve(
        cost_from_matrix(cost),
        a,
        b,
        reg_m=reg_m,
        reg_type=reg_type,
        reg=reg,
        reg_scale=reg_scale,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        init=init,
        callback=callback,
        verbose=verbose,
        check_finite=check_finite,
        n_threads=n_threads,
    )


def solve_unbalanced_sample(
    X: object,
    Y: object,
    a: object = None,
    b: object = None,
    *,
    metric: str = "sqeuclidean",
    reg: float,
    reg_m: float | tuple[float, float],
    reg_type: str = "kl",
    reg_scale: str = "absolute",
    tol: float = 1e-6,
    max_iter: int | None = None,
    max_time: float | None = None,
    init: object = None,
    callback: Callable[[IterationState], object] | None = None,
    verbose: int = 0,
    check_finite: bool = True,
    n_threads: int | None = None,
) -> UnbalancedResult:
    """Solve unbalanced entropic optimal transport between two sets of points.

    As :func:`solve_unbalanced`, with the cost ``C[i, j]`` the distance between ``X[i]`` and
    ``Y[j]``, computed as in :func:`solve_sample`.

    Parameters
    ----------
    X : array_like of shape (n, d)
        The source points.
    Y : array_like of shape (m, d)
        The target points.
    a : array_like of shape (n,), optional
        Non-negative weights of ``X``; by default uniform, of sum 1.
    b : array_like of shape (m,), optional
        Weights of ``Y``, of any sum; by default uniform, of sum 1.
    metric : {"sqeuclidean", "euclidean", "cosine"}, default="sqeuclidean"
        See :func:`solve_sample`.
    reg : float
        The regularisation, above 0.
    reg_m : float or tuple of float
        The price of missing the marginals: see :func:`solve_unbalanced`.
    reg_type : {"kl", "entropy"}, default="kl"
        What the regularisation is: see :func:`solve_unbalanced`.
    reg_scale : {"absolute", "max", "mean"}, default="absolute"
        The unit of ``reg`` and ``reg_m``.
    tol : float, default=1e-6
        The marginal error to reach.
    max_iter : int, optional
        Iterations of all kinds, at most.
    max_time : float, optional
        Seconds after which to stop with the best answer so far.
    init : UnbalancedResult or tuple of array_like, optional
        Potentials ``(f, g)`` to start from.
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
    UnbalancedResult

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    MemoryError
        If there is no room for n x m numbers in float64, twice that beyond eight coordinates.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the marginal error is above ``tol``; the result is returned with ``converged=False``.

    See Also
    --------
    solve_unbalanced : From a cost matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import solve_unbalanced_sample
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(300, 2)), rng.normal(size=(200, 2)) + 1
    >>> near = solve_unbalanced_sample(X, Y, reg=0.01, reg_m=0.1)
    >>> far = solve_unbalanced_sample(X, Y, reg=0.01, reg_m=10.0)
    >>> 0 < near.mass < far.mass < 1
    True
    """
    return _solve(
        cost_from_points(X, Y, metric, check_finite=check_finite),
        a,
        b,
        reg_m=reg_m,
        reg_type=reg_type,
        reg=reg,
        reg_scale=reg_scale,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        init=init,
        callback=callback,
        verbose=verbose,
        check_finite=check_finite,
        n_threads=n_threads,
    )


def _solve(cost: Cost, a: object, b: object, **arguments: Any) -> UnbalancedResult:
    """Solve, and warn where the user called."""
    result = solve_relaxed(cost, a, b, **arguments)
    if not result.converged:
        warnings.warn(result.message, ConvergenceWarning, stacklevel=3)
    return result


def solve_relaxed(
    cost: Cost,
    a: object,
    b: object,
    *,
    reg: object,
    reg_m: object,
    reg_type: object,
    init: object,
    **arguments: Any,
) -> UnbalancedResult:
    """Solve with marginals that may be missed: see :func:`sparrot.transport._run.run_solver`."""
    prices = as_prices(reg_m)
    kind = as_choice(reg_type, "reg_type", REG_TYPES)
    marginals = RelaxedMarginals.of(a, b, cost.shape, prices, kind)
    if isinstance(init, UnbalancedResult) and init.reg_type != kind:
        raise InvalidInputError(
            f"init has reg_type {init.reg_type!r}, not {kind!r}: its potentials mean something else"
        )
    [answer] = run_solver(
        cost, marginals, regs=[reg], method="auto", init=init, options=None, **arguments
    )
    return UnbalancedResult(
        cost,
        marginals.mass,
        *answer.plan,
        **answer.fields,
        mass=marginals.mass.multiply(float(answer.raw["total"])),
        reg_m=answer.marginals.reg_m,
        reg_type=kind,
    )


def as_prices(reg_m: object, name: str = "reg_m") -> tuple[float, float]:
    """Take one price for both marginals, or one for each."""
    if isinstance(reg_m, tuple | list | np.ndarray) and np.ndim(reg_m) > 0:
        if len(reg_m) != 2:
            raise InvalidInputError(
                f"{name} has {len(reg_m)} prices: needs one, or one for a and b"
            )
        prices = _as_price(reg_m[0], f"{name}[0]"), _as_price(reg_m[1], f"{name}[1]")
    else:
        price = _as_price(reg_m, name)
        prices = price, price
    if prices == (np.inf, np.inf):
        raise InvalidInputError(
            f"{name} is inf for both marginals: use solve, whose marginals are fixed"
        )
    return prices


def _as_price(value: object, name: str) -> float:
    price = as_number(value, name)
    if price == np.inf:
        return price
    as_positive(price, name)
    if not 1e-290 < price < 1e290:
        raise InvalidInputError(
            f"{name} is {price}: needs inf or a number between 1e-290 and 1e290"
        )
    return price

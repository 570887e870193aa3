"""POT's ``sinkhorn_unbalanced`` and its cost."""

from typing import Any

from sparrot._validation import as_choice
from sparrot.interop.pot._input import as_limits, as_method, settings
from sparrot.interop.pot._relaxed import METHODS, relaxed_plan

_COSTS = {"linear": "value_linear", "total": "value"}


def sinkhorn_unbalanced(
    a: object,
    b: object,
    M: object,
    reg: float,
    reg_m: object,
    method: str = "sinkhorn",
    reg_type: str = "kl",
    c: object = None,
    warmstart: object = None,
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """Return the plan of entropic transport with relaxed marginals.

    Minimises
    ``<P, M> + reg * Omega(P) + reg_m[0] * KL(P.sum(1) | a) + reg_m[1] * KL(P.sum(0) | b)``
    over plans ``P >= 0``, where ``KL(x | y) = sum(x * log(x / y) - x + y)``.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows, of any sum; ``[]`` or None for uniform ones of sum 1.
    b : array_like of shape (m,) or (m, k)
        Weights of the columns, of any sum; ``[]`` or None for uniform ones of sum 1. With k
        columns, k problems of ``reg_type="entropy"`` are solved and their costs returned.
    M : array_like of shape (n, m)
        The costs; ``inf`` forbids an edge.
    reg : float
        The regularisation, above 0.
    reg_m : float, or one or two floats
        The price of missing the marginals, or of missing that of the rows and that of the columns,
        above 0. ``inf`` fixes a marginal; with both fixed the plan is that of :func:`sinkhorn`.
    method : str, default="sinkhorn"
        "sinkhorn", "sinkhorn_stabilized", "sinkhorn_translation_invariant" or
        "sinkhorn_reg_scaling": of no effect, the solver is sparrot's in any case.
    reg_type : {"kl", "entropy"}, default="kl"
        ``Omega(P)``: ``KL(P | a[:, None] * b)`` or ``sum(P * (log(P) - 1))``. In any case of
        letters.
    c : array_like of shape (n, m), optional
        The measure that the entropy is relative to: ``a[:, None] * b`` only. Ignored with a warning
        where ``reg_type`` is "entropy".
    warmstart : tuple of array_like, optional
        Where to start: the logarithms of ``u`` and ``v``, such as ``(log["logu"], log["logv"])``.
    numItermax : int, default=1000
        Iterations at most, of sparrot's solver.
    stopThr : float, default=1e-6
        The marginal error to reach, as a share of the plan's mass:
        see :mod:`sparrot.interop.pot.unbalanced`. 0 asks for what rounding allows, and is never
        reached.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    **kwargs : dict
        ``tau``: of no effect. Others are ignored with a warning.

    Returns
    -------
    plan : ndarray of shape (n, m), or costs of shape (k,)
        In float32 if all arrays are, else in float64.
    log : dict
        If ``log`` is true:

        * ``logu`` and ``logv``, the logarithms of ``u`` and ``v``:
          ``P = u[:, None] * exp(-M / reg) * v``, times ``a[:, None] * b`` where ``reg_type`` is
          "kl"; ``-inf`` for points without mass, where POT has about -690;
        * ``err``, the recorded marginal errors;
        * ``cost`` and ``total_cost``, not for several histograms: ``<P, M>``, and the objective
          without the terms ``sum(y) - sum(x)`` of each ``KL(x | y)``;
        * ``result``, a :class:`sparrot.transport.UnbalancedResult` with the objective as ``value``,
          or a :class:`sparrot.transport.TransportResult` if both marginals are fixed (a list of k).

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described; :class:`UnsupportedArgumentError`, which is also a
        ``NotImplementedError``, for another ``c``.
    sparrot.errors.MassMismatchError
        If both marginals are fixed, and ``a`` and ``b`` have different sums.

    Warns
    -----
    UserWarning
        If ``stopThr`` is not reached, or an argument is ignored.

    See Also
    --------
    sparrot.transport.solve_unbalanced : The solver, with its own names.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> M = [[0.0, 1.0], [1.0, 0.0]]
    >>> pot.sinkhorn_unbalanced([0.5, 0.5], [0.5, 0.5], M, 1, 1, stopThr=1e-9)
    array([[0.32205357, 0.11847689],
           [0.11847689, 0.32205357]])
    """
    as_method(method, METHODS)
    settings(kwargs, "sinkhorn_unbalanced")
    return relaxed_plan(
        a,
        b,
        M,
        reg,
        reg_m,
        reg_type=reg_type,
        c=c,
        warmstart=warmstart,
        limits=as_limits(stopThr, numItermax, relative=True),
        verbose=verbose,
        log=log,
    )


def sinkhorn_unbalanced2(
    a: object,
    b: object,
    M: object,
    reg: float,
    reg_m: object,
    method: str = "sinkhorn",
    reg_type: str = "kl",
    c: object = None,
    warmstart: object = None,
    returnCost: str = "linear",
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """Return the cost of the plan of entropic transport with relaxed marginals.

    See :func:`sinkhorn_unbalanced` for the arguments.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows, of any sum; ``[]`` or None for uniform ones of sum 1.
    b : array_like of shape (m,) or (m, k)
        Weights of the columns.
    M : array_like of shape (n, m)
        The costs.
    reg : float
        The regularisation, above 0.
    reg_m : float, or one or two floats
        The price of missing the marginals.
    method : str, default="sinkhorn"
        Of no effect.
    reg_type : {"kl", "entropy"}, default="kl"
        What the regularisation is.
    c : array_like of shape (n, m), optional
        ``a[:, None] * b`` only.
    warmstart : tuple of array_like, optional
        Where to start.
    returnCost : {"linear", "total"}, default="linear"
        Which of ``cost`` and ``total_cost`` to return. For several histograms the first in any
        case, as in POT.
    numItermax : int, default=1000
        Iterations at most.
    stopThr : float, default=1e-6
        The marginal error to reach, as a share of the plan's mass.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    **kwargs : dict
        As in :func:`sinkhorn_unbalanced`.

    Returns
    -------
    cost : float, or ndarray of shape (k,)
        ``<P, M>``; or ``total_cost``, which has no terms of mass and is 0 at a solution unless a
        marginal is fixed: the objective is ``log["result"].value``.
    log : dict
        If ``log`` is true: see :func:`sinkhorn_unbalanced`.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> M = [[0.0, 1.0], [1.0, 0.0]]
    >>> print(pot.sinkhorn_unbalanced2([0.5, 0.1], [0.5, 0.5], M, 1, 1, stopThr=1e-9))
    0.1960012
    """
    as_method(method, METHODS)
    settings(kwargs, "sinkhorn_unbalanced2")
    return relaxed_plan(
        a,
        b,
        M,
        reg,
        reg_m,
        reg_type=reg_type,
        c=c,
        warmstart=warmstart,
        limits=as_limits(stopThr, numItermax, relative=True),
        verbose=verbose,
        log=log,
        attribute=_COSTS[as_choice(returnCost, "returnCost", tuple(_COSTS))],
    )

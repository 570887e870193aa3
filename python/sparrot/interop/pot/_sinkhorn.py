"""POT's ``sinkhorn``, ``sinkhorn2`` and the two methods with scalings in their log."""

from typing import Any

from sparrot.interop.pot._entropic import METHODS, SEVERAL_METHODS, loss, plan_or_losses
from sparrot.interop.pot._input import Limits, as_limits, as_method, settings
from sparrot.interop.pot._solver import costs_from_matrix


def sinkhorn(
    a: object,
    b: object,
    M: object,
    reg: float,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: object = None,
    **kwargs: Any,
) -> Any:
    """Return the plan of entropic transport.

    Minimises ``<P, M> + reg * sum(P * log(P))`` over plans with the marginals ``a`` and ``b``.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows; ``[]`` or None for uniform ones.
    b : array_like of shape (m,) or (m, k)
        Weights of the columns, of the same sum to a relative 1e-6; ``[]`` or None for uniform
        ones. With k columns (methods "sinkhorn", "sinkhorn_log" and "sinkhorn_stabilized"), k
        problems are solved and their costs returned.
    M : array_like of shape (n, m)
        The costs; ``inf`` forbids an edge.
    reg : float
        The regularisation, above 0.
    method : str, default="sinkhorn"
        "sinkhorn", "sinkhorn_log", "greenkhorn", "sinkhorn_stabilized" or
        "sinkhorn_epsilon_scaling": decides what is in the log, and what ``warmstart`` is. The
        solver is sparrot's in any case.
    numItermax : int, default=1000
        Iterations at most; for "sinkhorn_epsilon_scaling" times ``numInnerItermax``.
    stopThr : float, default=1e-9
        The marginal error to reach: the sum of absolute errors of rows and columns. 0 asks for
        what rounding allows, and is never reached.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    warn : bool, default=True
        Whether to warn where ``stopThr`` is not reached, or ``u`` and ``v`` are out of range.
    warmstart : tuple of array_like, optional
        Where to start: the logarithms of ``u`` and ``v``; for "sinkhorn_stabilized" and
        "sinkhorn_epsilon_scaling" the potentials ``alpha`` and ``beta``.
    **kwargs : dict
        ``tau``, ``print_period``, ``epsilon0``: of no effect. ``numInnerItermax``: see
        ``numItermax``. Others are ignored with a warning.

    Returns
    -------
    plan : ndarray of shape (n, m), or costs of shape (k,)
        In float32 if all arrays are, else in float64.
    log : dict
        If ``log`` is true: ``result``, a :class:`sparrot.transport.TransportResult` (a list of k),
        and by the method

        * ``u`` and ``v``, with ``P = u[:, None] * exp(-M / reg) * v``, for "sinkhorn",
          "sinkhorn_log" and "greenkhorn"; where ``M / reg`` is in the hundreds they may overflow;
        * ``log_u`` and ``log_v`` for "sinkhorn_log", ``logu`` and ``logv`` for
          "sinkhorn_stabilized", their logarithms;
        * ``alpha`` and ``beta``, the same times ``reg``, and ``warmstart``, the pair, for
          "sinkhorn_stabilized" and "sinkhorn_epsilon_scaling";
        * ``err``, the recorded marginal errors, for all but "greenkhorn";
        * ``n_iter`` for "greenkhorn" and "sinkhorn_stabilized", ``niter`` for the others: the
          number of the last iteration, from 0.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.

    Warns
    -----
    UserWarning
        If ``stopThr`` is not reached, and ``warn`` is true.

    See Also
    --------
    sparrot.transport.solve : The solver, with its own names.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> pot.sinkhorn([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1)
    array([[0.36552929, 0.13447071],
           [0.13447071, 0.36552929]])
    """
    name = as_method(method, METHODS)
    given = settings(kwargs, "sinkhorn")
    return plan_or_losses(
        costs_from_matrix(M),
        a,
        b,
        reg,
        method=name,
        limits=limits_of(name, stopThr, numItermax, given),
        warmstart=warmstart,
        verbose=verbose,
        log=log,
        warn=warn,
    )


def sinkhorn2(
    a: object,
    b: object,
    M: object,
    reg: float,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = False,
    warmstart: object = None,
    **kwargs: Any,
) -> Any:
    """Return the cost of the plan of entropic transport, ``<P, M>``.

    No (n, m) array is made. See :func:`sinkhorn` for the arguments.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows; ``[]`` or None for uniform ones.
    b : array_like of shape (m,) or (m, k)
        Weights of the columns.
    M : array_like of shape (n, m)
        The costs.
    reg : float
        The regularisation, above 0.
    method : str, default="sinkhorn"
        "sinkhorn", "sinkhorn_log" or "sinkhorn_stabilized".
    numItermax : int, default=1000
        Iterations at most.
    stopThr : float, default=1e-9
        The marginal error to reach.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    warn : bool, default=False
        Whether to warn where ``stopThr`` is not reached. False, as in POT.
    warmstart : tuple of array_like, optional
        Where to start.
    **kwargs : dict
        As in :func:`sinkhorn`.

    Returns
    -------
    cost : float, or ndarray of shape (k,)
        ``<P, M>``, without the entropy.
    log : dict
        If ``log`` is true: see :func:`sinkhorn`.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> print(pot.sinkhorn2([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1))
    0.2689414213699951
    """
    name = as_method(method, SEVERAL_METHODS)
    given = settings(kwargs, "sinkhorn2")
    return loss(
        costs_from_matrix(M),
        a,
        b,
        reg,
        method=name,
        limits=limits_of(name, stopThr, numItermax, given),
        warmstart=warmstart,
        verbose=verbose,
        log=log,
        warn=warn,
    )


def sinkhorn_knopp(
    a: object,
    b: object,
    M: object,
    reg: float,
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: object = None,
    **kwargs: Any,
) -> Any:
    """Return the plan of entropic transport, with ``u`` and ``v`` in the log.

    :func:`sinkhorn` with ``method="sinkhorn"``.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows; ``[]`` or None for uniform ones.
    b : array_like of shape (m,) or (m, k)
        Weights of the columns.
    M : array_like of shape (n, m)
        The costs.
    reg : float
        The regularisation, above 0.
    numItermax : int, default=1000
        Iterations at most.
    stopThr : float, default=1e-9
        The marginal error to reach.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    warn : bool, default=True
        Whether to warn where ``stopThr`` is not reached.
    warmstart : tuple of array_like, optional
        The logarithms of ``u`` and ``v`` to start from.
    **kwargs : dict
        As in :func:`sinkhorn`.

    Returns
    -------
    plan : ndarray of shape (n, m), or costs of shape (k,)
        See :func:`sinkhorn`.
    log : dict
        If ``log`` is true: ``u``, ``v``, ``err``, ``niter``, ``result``.
    """
    settings(kwargs, "sinkhorn_knopp")
    return plan_or_losses(
        costs_from_matrix(M),
        a,
        b,
        reg,
        method="sinkhorn",
        limits=as_limits(stopThr, numItermax),
        warmstart=warmstart,
        verbose=verbose,
        log=log,
        warn=warn,
    )


def sinkhorn_log(
    a: object,
    b: object,
    M: object,
    reg: float,
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: object = None,
    **kwargs: Any,
) -> Any:
    """Return the plan of entropic transport, with the logarithms of ``u`` and ``v`` in the log.

    :func:`sinkhorn` with ``method="sinkhorn_log"``.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows; ``[]`` or None for uniform ones.
    b : array_like of shape (m,) or (m, k)
        Weights of the columns.
    M : array_like of shape (n, m)
        The costs.
    reg : float
        The regularisation, above 0.
    numItermax : int, default=1000
        Iterations at most.
    stopThr : float, default=1e-9
        The marginal error to reach.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    warn : bool, default=True
        Whether to warn where ``stopThr`` is not reached.
    warmstart : tuple of array_like, or list of k such tuples, optional
        The logarithms of ``u`` and ``v`` to start from; for k histograms a pair (or None) for
        each.
    **kwargs : dict
        As in :func:`sinkhorn`.

    Returns
    -------
    plan : ndarray of shape (n, m), or costs of shape (k,)
        See :func:`sinkhorn`.
    log : dict
        If ``log`` is true: ``log_u``, ``log_v``, ``u``, ``v``, ``err``, ``niter``, ``result``.
    """
    settings(kwargs, "sinkhorn_log")
    return plan_or_losses(
        costs_from_matrix(M),
        a,
        b,
        reg,
        method="sinkhorn_log",
        limits=as_limits(stopThr, numItermax),
        warmstart=warmstart,
        verbose=verbose,
        log=log,
        warn=warn,
    )


def limits_of(method: str, stop: object, max_iter: object, given: dict[str, Any]) -> Limits:
    """Return the limits of a method: "sinkhorn_epsilon_scaling" counts iterations of iterations."""
    inner = given.get("numInnerItermax", 100) if method == "sinkhorn_epsilon_scaling" else None
    return as_limits(stop, max_iter, inner=inner)

"""POT's functions for the other methods, each with its own settings and log."""

from typing import Any

from sparrot.interop.pot._entropic import plan_or_losses
from sparrot.interop.pot._input import as_limits, settings
from sparrot.interop.pot._solver import costs_from_matrix


def sinkhorn_stabilized(
    a: object,
    b: object,
    M: object,
    reg: float,
    numItermax: int = 1000,
    tau: float = 1e3,
    stopThr: float = 1e-9,
    warmstart: object = None,
    verbose: bool = False,
    print_period: int = 20,
    log: bool = False,
    warn: bool = True,
    **kwargs: Any,
) -> Any:
    """Return the plan of entropic transport, with its potentials in the log.

    :func:`sinkhorn` with ``method="sinkhorn_stabilized"``.

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
    tau : float, default=1e3
        Of no effect: sparrot's solver is always stabilised.
    stopThr : float, default=1e-9
        The marginal error to reach.
    warmstart : tuple of array_like, optional
        The potentials ``alpha`` and ``beta`` to start from, such as ``log["warmstart"]``.
    verbose : bool, default=False
        Whether to print the progress.
    print_period : int, default=20
        Of no effect.
    log : bool, default=False
        Whether to return a dictionary too.
    warn : bool, default=True
        Whether to warn where ``stopThr`` is not reached.
    **kwargs : dict
        As in :func:`sinkhorn`.

    Returns
    -------
    plan : ndarray of shape (n, m), or costs of shape (k,)
        See :func:`sinkhorn`.
    log : dict
        If ``log`` is true: ``alpha`` and ``beta``, with
        ``P = exp((alpha[:, None] + beta - M) / reg)``, ``logu`` and ``logv``, the same over
        ``reg``, ``warmstart``, ``err``, ``n_iter``, ``result``.
    """
    settings(kwargs, "sinkhorn_stabilized")
    return plan_or_losses(
        costs_from_matrix(M),
        a,
        b,
        reg,
        method="sinkhorn_stabilized",
        limits=as_limits(stopThr, numItermax),
        warmstart=warmstart,
        verbose=verbose,
        log=log,
        warn=warn,
    )


def sinkhorn_epsilon_scaling(
    a: object,
    b: object,
    M: object,
    reg: float,
    numItermax: int = 100,
    epsilon0: float = 1e4,
    numInnerItermax: int = 100,
    tau: float = 1e3,
    stopThr: float = 1e-9,
    warmstart: object = None,
    verbose: bool = False,
    print_period: int = 10,
    log: bool = False,
    warn: bool = True,
    **kwargs: Any,
) -> Any:
    """Return the plan of entropic transport, with its potentials in the log.

    :func:`sinkhorn` with ``method="sinkhorn_epsilon_scaling"``.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows; ``[]`` or None for uniform ones.
    b : array_like of shape (m,)
        Weights of the columns.
    M : array_like of shape (n, m)
        The costs.
    reg : float
        The regularisation, above 0.
    numItermax : int, default=100
        Times ``numInnerItermax``, iterations at most; below 35 taken for 35, as in POT.
    epsilon0 : float, default=1e4
        Of no effect: sparrot's solver chooses its own path.
    numInnerItermax : int, default=100
        See ``numItermax``.
    tau : float, default=1e3
        Of no effect.
    stopThr : float, default=1e-9
        The marginal error to reach. POT compares squares with it, and so stops much earlier.
    warmstart : tuple of array_like, optional
        The potentials ``alpha`` and ``beta`` to start from.
    verbose : bool, default=False
        Whether to print the progress.
    print_period : int, default=10
        Of no effect.
    log : bool, default=False
        Whether to return a dictionary too.
    warn : bool, default=True
        Whether to warn where ``stopThr`` is not reached.
    **kwargs : dict
        As in :func:`sinkhorn`.

    Returns
    -------
    plan : ndarray of shape (n, m)
        See :func:`sinkhorn`.
    log : dict
        If ``log`` is true: ``alpha``, ``beta``, ``warmstart``, ``err``, ``niter``, ``result``.
    """
    settings(kwargs, "sinkhorn_epsilon_scaling")
    return plan_or_losses(
        costs_from_matrix(M),
        a,
        b,
        reg,
        method="sinkhorn_epsilon_scaling",
        limits=as_limits(stopThr, numItermax, inner=numInnerItermax),
        warmstart=warmstart,
        verbose=verbose,
        log=log,
        warn=warn,
    )


def greenkhorn(
    a: object,
    b: object,
    M: object,
    reg: float,
    numItermax: int = 10000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: object = None,
) -> Any:
    """Return the plan of entropic transport, with ``u`` and ``v`` in the log.

    :func:`sinkhorn` with ``method="greenkhorn"``.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows; ``[]`` or None for uniform ones.
    b : array_like of shape (m,)
        Weights of the columns.
    M : array_like of shape (n, m)
        The costs.
    reg : float
        The regularisation, above 0.
    numItermax : int, default=10000
        Iterations at most. POT's change one row or column each, sparrot's all of them.
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

    Returns
    -------
    plan : ndarray of shape (n, m)
        See :func:`sinkhorn`.
    log : dict
        If ``log`` is true: ``u``, ``v``, ``n_iter``, ``result``.
    """
    return plan_or_losses(
        costs_from_matrix(M),
        a,
        b,
        reg,
        method="greenkhorn",
        limits=as_limits(stopThr, numItermax),
        warmstart=warmstart,
        verbose=verbose,
        log=log,
        warn=warn,
    )

"""POT's functions for the unbalanced methods, each with its own settings."""

from typing import Any

from sparrot.interop.pot._input import as_limits, settings
from sparrot.interop.pot._relaxed import relaxed_plan


def sinkhorn_knopp_unbalanced(
    a: object,
    b: object,
    M: object,
    reg: float,
    reg_m: object,
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

    :func:`sinkhorn_unbalanced` with ``method="sinkhorn"``.

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
    reg_type : {"kl", "entropy"}, default="kl"
        What the regularisation is.
    c : array_like of shape (n, m), optional
        ``a[:, None] * b`` only.
    warmstart : tuple of array_like, optional
        The logarithms of ``u`` and ``v`` to start from.
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
    plan : ndarray of shape (n, m), or costs of shape (k,)
        See :func:`sinkhorn_unbalanced`.
    log : dict
        If ``log`` is true: see :func:`sinkhorn_unbalanced`.
    """
    settings(kwargs, "sinkhorn_knopp_unbalanced")
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


def sinkhorn_stabilized_unbalanced(
    a: object,
    b: object,
    M: object,
    reg: float,
    reg_m: object,
    reg_type: str = "kl",
    c: object = None,
    warmstart: object = None,
    tau: float = 1e5,
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """Return the plan of entropic transport with relaxed marginals.

    :func:`sinkhorn_unbalanced` with ``method="sinkhorn_stabilized"``.

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
    reg_type : {"kl", "entropy"}, default="kl"
        What the regularisation is.
    c : array_like of shape (n, m), optional
        ``a[:, None] * b`` only.
    warmstart : tuple of array_like, optional
        The logarithms of ``u`` and ``v`` to start from.
    tau : float, default=1e5
        Of no effect: sparrot's solver is always stabilised.
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
    plan : ndarray of shape (n, m), or costs of shape (k,)
        See :func:`sinkhorn_unbalanced`.
    log : dict
        If ``log`` is true: see :func:`sinkhorn_unbalanced`.
    """
    settings(kwargs, "sinkhorn_stabilized_unbalanced")
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


def sinkhorn_unbalanced_translation_invariant(
    a: object,
    b: object,
    M: object,
    reg: float,
    reg_m: object,
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

    :func:`sinkhorn_unbalanced` with ``method="sinkhorn_translation_invariant"``.

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
    reg_type : {"kl", "entropy"}, default="kl"
        What the regularisation is.
    c : array_like of shape (n, m), optional
        ``a[:, None] * b`` only.
    warmstart : tuple of array_like, optional
        The logarithms of ``u`` and ``v`` to start from.
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
    plan : ndarray of shape (n, m), or costs of shape (k,)
        See :func:`sinkhorn_unbalanced`.
    log : dict
        If ``log`` is true: see :func:`sinkhorn_unbalanced`.
    """
    settings(kwargs, "sinkhorn_unbalanced_translation_invariant")
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

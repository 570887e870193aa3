"""POT's ``empirical_...`` functions: transport between points."""

from typing import Any

import numpy as np

from sparrot._validation import FloatArray
from sparrot.interop.pot._entropic import METHODS, SEVERAL_METHODS, loss, plan_or_losses
from sparrot.interop.pot._input import as_limits, as_method, as_pair, settings
from sparrot.interop.pot._lazy import check_batch_size, solve_lazily
from sparrot.interop.pot._solver import costs_from_points, points


def empirical_sinkhorn(
    X_s: object,
    X_t: object,
    reg: float,
    a: object = None,
    b: object = None,
    metric: Any = "sqeuclidean",
    numIterMax: int = 10000,
    stopThr: float = 1e-9,
    isLazy: bool = False,
    batchSize: int | tuple[int, int] = 100,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: object = None,
    **kwargs: Any,
) -> Any:
    """Return the plan of entropic transport between two sets of points.

    For the metrics "sqeuclidean", "euclidean" and "cosine" no cost matrix is made, lazy or not:
    see :func:`sparrot.transport.solve_sample`.

    Parameters
    ----------
    X_s : array_like of shape (n, d)
        The source points.
    X_t : array_like of shape (m, d)
        The target points.
    reg : float
        The regularisation, above 0.
    a : array_like of shape (n,), optional
        Weights of ``X_s``; uniform by default.
    b : array_like of shape (m,) or (m, k), optional
        Weights of ``X_t``; uniform by default. k columns only where not lazy.
    metric : str or callable, default="sqeuclidean"
        The cost of moving a point: see :func:`dist`.
    numIterMax : int, default=10000
        Iterations at most.
    stopThr : float, default=1e-9
        The marginal error to reach.
    isLazy : bool, default=False
        Whether to return the logarithms of ``u`` and ``v`` instead of the plan.
    batchSize : int or tuple of int, default=100
        Of no effect.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    warn : bool, default=True
        Whether to warn where ``stopThr`` is not reached.
    warmstart : tuple of array_like, optional
        Where to start: see :func:`sinkhorn`.
    **kwargs : dict
        ``method`` and its settings: see :func:`sinkhorn`.

    Returns
    -------
    plan : ndarray of shape (n, m), or costs of shape (k,)
        Where not lazy.
    f, g : ndarray
        Where lazy: ``P = exp(f[:, None] + g - M / reg)``.
    log : dict
        If ``log`` is true: that of :func:`sinkhorn`; where lazy, ``u`` and ``v``, which are ``f``
        and ``g``, ``err``, ``niter``, ``result``, and ``lazy_plan``, a :class:`LazyPlan`.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> pot.bregman.empirical_sinkhorn([[0.0], [1.0]], [[0.0], [1.0]], reg=1)
    array([[0.36552929, 0.13447071],
           [0.13447071, 0.36552929]])
    """
    x, y = points(X_s, "X_s"), points(X_t, "X_t")
    method = as_method(kwargs.pop("method", "sinkhorn"), METHODS)
    settings(kwargs, "empirical_sinkhorn")
    limits = as_limits(stopThr, numIterMax, name="numIterMax")
    if isLazy:
        check_batch_size(batchSize)
        _, written = solve_lazily(
            x, y, reg, a, b, metric, limits=limits, warmstart=warmstart, verbose=verbose, warn=warn
        )
        scalings = written["u"], written["v"]
        return (*scalings, written) if log else scalings
    return plan_or_losses(
        costs_from_points(x, y, metric),
        a,
        b,
        reg,
        method=method,
        limits=limits,
        warmstart=warmstart,
        verbose=verbose,
        log=log,
        warn=warn,
    )


def empirical_sinkhorn2(
    X_s: object,
    X_t: object,
    reg: float,
    a: object = None,
    b: object = None,
    metric: Any = "sqeuclidean",
    numIterMax: int = 10000,
    stopThr: float = 1e-9,
    isLazy: bool = False,
    batchSize: int | tuple[int, int] = 100,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: object = None,
    **kwargs: Any,
) -> Any:
    """Return the cost of entropic transport between two sets of points, ``<P, M>``.

    Parameters
    ----------
    X_s : array_like of shape (n, d)
        The source points.
    X_t : array_like of shape (m, d)
        The target points.
    reg : float
        The regularisation, above 0.
    a : array_like of shape (n,), optional
        Weights of ``X_s``; uniform by default.
    b : array_like of shape (m,) or (m, k), optional
        Weights of ``X_t``; uniform by default.
    metric : str or callable, default="sqeuclidean"
        The cost of moving a point: see :func:`dist`.
    numIterMax : int, default=10000
        Iterations at most.
    stopThr : float, default=1e-9
        The marginal error to reach.
    isLazy : bool, default=False
        Decides what is in the log: see :func:`empirical_sinkhorn`.
    batchSize : int or tuple of int, default=100
        Of no effect.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    warn : bool, default=True
        Whether to warn where ``stopThr`` is not reached.
    warmstart : tuple of array_like, optional
        Where to start: see :func:`sinkhorn`.
    **kwargs : dict
        ``method`` and its settings: see :func:`sinkhorn2`.

    Returns
    -------
    cost : float, or ndarray of shape (k,)
        ``<P, M>``, without the entropy.
    log : dict
        If ``log`` is true: see :func:`empirical_sinkhorn`.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> print(pot.bregman.empirical_sinkhorn2([[0.0], [1.0]], [[0.0], [1.0]], reg=1))
    0.2689414213699951
    """
    method = as_method(kwargs.pop("method", "sinkhorn"), SEVERAL_METHODS)
    settings(kwargs, "empirical_sinkhorn2")
    return _cost(
        points(X_s, "X_s"),
        points(X_t, "X_t"),
        reg,
        a,
        b,
        metric,
        lazy_batches=batchSize if isLazy else None,
        method=method,
        limits=as_limits(stopThr, numIterMax, name="numIterMax"),
        warmstart=warmstart,
        verbose=verbose,
        log=log,
        warn=warn,
    )


def empirical_sinkhorn_divergence(
    X_s: object,
    X_t: object,
    reg: float,
    a: object = None,
    b: object = None,
    metric: Any = "sqeuclidean",
    numIterMax: int = 10000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: object = None,
    **kwargs: Any,
) -> Any:
    """Return the cost of entropic transport between two sets of points, less that of staying.

    ``max(0, W(s, t) - (W(s, s) + W(t, t)) / 2)`` with ``W`` the cost ``<P, M>`` without the
    entropy, as in POT; the Sinkhorn divergence of the literature has the entropies in ``W``.

    Parameters
    ----------
    X_s : array_like of shape (n, d)
        The source points.
    X_t : array_like of shape (m, d)
        The target points.
    reg : float
        The regularisation, above 0.
    a : array_like of shape (n,), optional
        Weights of ``X_s``; uniform by default.
    b : array_like of shape (m,), optional
        Weights of ``X_t``; uniform by default.
    metric : str or callable, default="sqeuclidean"
        The cost of moving a point: see :func:`dist`.
    numIterMax : int, default=10000
        Iterations at most, of each of the three problems.
    stopThr : float, default=1e-9
        The marginal error to reach.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    warn : bool, default=True
        Whether to warn where ``stopThr`` is not reached.
    warmstart : tuple of array_like, optional
        Where to start: see :func:`sinkhorn`.
    **kwargs : dict
        ``isLazy``, ``batchSize``, ``method`` and its settings: see :func:`empirical_sinkhorn2`.

    Returns
    -------
    divergence : float
        At least 0.
    log : dict
        If ``log`` is true: ``sinkhorn_loss_ab``, ``sinkhorn_loss_a``, ``sinkhorn_loss_b``, the
        three costs, and ``log_sinkhorn_ab``, ``log_sinkhorn_a``, ``log_sinkhorn_b``, their logs.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> x, y = [[0.0], [1.0]], [[2.0], [4.0]]
    >>> print(pot.bregman.empirical_sinkhorn_divergence(x, y, reg=1))
    6.56796271
    """
    x, y = points(X_s, "X_s"), points(X_t, "X_t")
    lazy, batches = kwargs.pop("isLazy", False), kwargs.pop("batchSize", 100)
    request: dict[str, Any] = {
        "lazy_batches": batches if lazy else None,
        "method": as_method(kwargs.pop("method", "sinkhorn"), SEVERAL_METHODS),
        "limits": as_limits(stopThr, numIterMax, name="numIterMax"),
        "verbose": verbose,
        "log": log,
        "warn": warn,
    }
    settings(kwargs, "empirical_sinkhorn_divergence")
    u, v = (None, None) if warmstart is None else as_pair(warmstart, "warmstart")
    both = None if u is None else (u, v)
    first = None if u is None else (u, u)
    second = None if v is None else (v, v)
    answers = [
        _cost(x, y, reg, a, b, metric, warmstart=both, **request),
        _cost(x, x, reg, a, a, metric, warmstart=first, **request),
        _cost(y, y, reg, b, b, metric, warmstart=second, **request),
    ]
    cost_ab, cost_a, cost_b = (answer[0] for answer in answers) if log else answers
    divergence = np.maximum(cost_ab - (cost_a + cost_b) / 2, 0)
    if not log:
        return divergence
    return divergence, {
        "sinkhorn_loss_ab": cost_ab,
        "sinkhorn_loss_a": cost_a,
        "sinkhorn_loss_b": cost_b,
        "log_sinkhorn_ab": answers[0][1],
        "log_sinkhorn_a": answers[1][1],
        "log_sinkhorn_b": answers[2][1],
    }


def _cost(
    x: FloatArray,
    y: FloatArray,
    reg: float,
    a: object,
    b: object,
    metric: Any,
    *,
    lazy_batches: object,
    method: str,
    log: object,
    **request: Any,
) -> Any:
    """Return the cost between two sets of points, and the log if it is asked for."""
    if lazy_batches is None:
        costs = costs_from_points(x, y, metric)
        return loss(costs, a, b, reg, method=method, log=log, **request)
    check_batch_size(lazy_batches)
    result, written = solve_lazily(x, y, reg, a, b, metric, **request)
    cost = written["u"].dtype.type(result.value_linear)
    return (cost, written) if log else cost

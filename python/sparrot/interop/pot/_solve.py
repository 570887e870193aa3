"""POT's ``solve`` and ``solve_sample``, where the regularisation is an entropy."""

from functools import partial
from typing import Any

from sparrot._validation import FloatArray, as_choice
from sparrot.errors import InvalidInputError
from sparrot.interop.pot._input import Start, unsupported
from sparrot.interop.pot._lazy import check_batch_size, lazy_log
from sparrot.interop.pot._request import as_request
from sparrot.interop.pot._result import OTResult, debiased
from sparrot.interop.pot._solver import costs_from_matrix, costs_from_points, points

_METHODS = ("sinkhorn", "sinkhorn_log", "mm", "lbfgsb")

# Methods of solve_sample that are other problems or approximations.
_OTHER_METHODS = (
    "1d",
    "bsp",
    "factored",
    "gaussian",
    "gaussian_hd",
    "geomloss",
    "geomloss_auto",
    "geomloss_multiscale",
    "geomloss_online",
    "geomloss_tensorized",
    "lowrank",
    "max_sliced",
    "nystroem",
    "sliced",
)


def solve(
    M: object,
    a: object = None,
    b: object = None,
    reg: float | None = None,
    c: object = None,
    reg_type: Any = "KL",
    unbalanced: object = None,
    unbalanced_type: str = "KL",
    method: str | None = None,
    n_threads: int = 1,
    max_iter: int | None = None,
    plan_init: object = None,
    potentials_init: object = None,
    tol: float | None = None,
    verbose: bool = False,
    grad: str = "autodiff",
) -> OTResult:
    """Solve transport regularised by an entropy.

    Parameters
    ----------
    M : array_like of shape (n, m)
        The costs; ``inf`` forbids an edge.
    a : array_like of shape (n,), optional
        Weights of the rows; uniform by default.
    b : array_like of shape (m,), optional
        Weights of the columns; uniform by default.
    reg : float
        The regularisation, above 0. None and 0, exact transport, are not offered.
    c : array_like of shape (n, m), optional
        The measure that the entropy is relative to, where ``unbalanced`` is given:
        ``a[:, None] * b`` only. POT does not use it in a balanced problem.
    reg_type : {"KL", "entropy"}, default="KL"
        What is added to the cost: ``reg * sum(P * log(P / (a[:, None] * b)))``, or
        ``reg * sum(P * log(P))``. The plan is the same. Others are not offered.
    unbalanced : float, or one or two floats, optional
        The price of missing the marginals: ``reg_m`` of :func:`sinkhorn_unbalanced`.
    unbalanced_type : str, default="KL"
        What the price is for: the relative entropy to the weights. Others are not offered.
    method : str, optional
        One of POT's: of no effect.
    n_threads : int, default=1
        Of no effect, as in POT where ``reg`` is given: see :func:`sparrot.set_num_threads`.
    max_iter : int, optional
        Iterations at most.
    plan_init : object, optional
        Of no effect.
    potentials_init : tuple of array_like, optional
        Potentials to start from, in units of ``reg``: those of a result.
    tol : float, default=1e-9
        The marginal error to reach: the sum of absolute errors of rows and columns; where
        ``unbalanced`` is given that of :func:`sinkhorn_unbalanced`.
    verbose : bool, default=False
        Whether to print the progress.
    grad : {"autodiff", "detach"}, default="autodiff"
        Of no effect on NumPy's arrays. Others are not offered.

    Returns
    -------
    OTResult
        With ``plan``, ``value``, ``value_linear``, ``potentials``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described; :class:`UnsupportedArgumentError`, which is also a
        ``NotImplementedError``, if POT offers it and sparrot does not.

    Warns
    -----
    UserWarning
        If ``tol`` is not reached.

    See Also
    --------
    sparrot.transport.solve : The solver, with its own names.
    sparrot.transport.solve_unbalanced : The solver where ``unbalanced`` is given.

    Notes
    -----
    Where ``unbalanced`` is given, ``value`` is what POT has. With ``reg_type="entropy"`` that is
    the objective, as in :func:`sinkhorn_unbalanced`. With "KL" it is without the terms
    ``sum(y) - sum(x)`` of each ``KL(x | y)``, and so 0 at a solution unless a marginal is fixed;
    ``result.value`` is the objective.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> solved = pot.solve([[0.0, 1.0], [1.0, 0.0]], reg=1)
    >>> solved.plan
    array([[0.36552929, 0.13447071],
           [0.13447071, 0.36552929]])
    >>> print(solved.value_linear)
    0.2689414213699951
    """
    _check_method(method, _METHODS)
    request = as_request(
        reg, reg_type, unbalanced, unbalanced_type, c, grad, max_iter, tol, potentials_init, verbose
    )
    return request.answer(costs_from_matrix(M), a, b)


def solve_sample(
    X_a: object,
    X_b: object,
    a: object = None,
    b: object = None,
    metric: Any = "sqeuclidean",
    reg: float | None = None,
    c: object = None,
    reg_type: Any = "KL",
    unbalanced: object = None,
    unbalanced_type: str = "KL",
    lazy: bool = False,
    batch_size: int | None = None,
    method: str | None = None,
    n_threads: int = 1,
    max_iter: int | None = None,
    plan_init: object = None,
    rank: int = 100,
    scaling: float = 0.95,
    potentials_init: object = None,
    X_init: object = None,
    tol: float | None = None,
    verbose: bool = False,
    grad: str = "autodiff",
    random_state: object = None,
    debias: bool | str = False,
    n_projections: int = 50,
    projections: object = None,
    scaler: Any = None,
) -> OTResult:
    """Solve transport between two sets of points, regularised by an entropy.

    For the metrics "sqeuclidean", "euclidean" and "cosine" no cost matrix is made, lazy or not:
    see :func:`sparrot.transport.solve_sample`.

    Parameters
    ----------
    X_a : array_like of shape (n, d)
        The source points.
    X_b : array_like of shape (m, d)
        The target points.
    a : array_like of shape (n,), optional
        Weights of ``X_a``; uniform by default.
    b : array_like of shape (m,), optional
        Weights of ``X_b``; uniform by default.
    metric : str or callable, default="sqeuclidean"
        The cost of moving a point: see :func:`dist`.
    reg : float
        The regularisation, above 0. None and 0, exact transport, are not offered.
    c : array_like of shape (n, m), optional
        See :func:`solve`.
    reg_type : {"KL", "entropy"}, default="KL"
        See :func:`solve`.
    unbalanced : float, or one or two floats, optional
        The price of missing the marginals: see :func:`solve`.
    unbalanced_type : str, default="KL"
        See :func:`solve`.
    lazy : bool, default=False
        Whether the result has a ``lazy_plan``, and in its log ``u`` and ``v`` as logarithms. The
        plan is made when it is asked for in any case. Not with ``unbalanced``, as in POT.
    batch_size : int, optional
        Of no effect.
    method : str, optional
        One of POT's for this problem: the same as ``lazy=True``, as in POT. Those for other
        problems and approximations ("1d", "gaussian", "lowrank", ...) are not offered.
    n_threads : int, default=1
        Of no effect: see :func:`sparrot.set_num_threads`.
    max_iter : int, optional
        Iterations at most.
    plan_init : object, optional
        Of no effect.
    rank : int, default=100
        Of no effect.
    scaling : float, default=0.95
        Of no effect.
    potentials_init : tuple of array_like, optional
        Potentials to start from, in units of ``reg``.
    X_init : object, optional
        Of no effect.
    tol : float, default=1e-9
        The marginal error to reach: see :func:`solve`.
    verbose : bool, default=False
        Whether to print the progress.
    grad : {"autodiff", "detach"}, default="autodiff"
        Of no effect on NumPy's arrays. Others are not offered.
    random_state : object, optional
        Of no effect.
    debias : bool, default=False
        Whether to subtract, from ``value`` and ``value_linear``, the mean of those of each side
        with itself: with ``value``, the Sinkhorn divergence. "split" is not offered.
    n_projections : int, default=50
        Of no effect.
    projections : object, optional
        Of no effect.
    scaler : callable or object with ``transform``, optional
        Applied to the points of both sides first.

    Returns
    -------
    OTResult
        With ``plan``, ``value``, ``value_linear``, ``potentials``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        As :func:`solve`.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> x, y = [[0.0], [1.0]], [[2.0], [3.0]]
    >>> print(pot.solve_sample(x, y, reg=1, debias=True).value)
    4.0
    """
    lazy = _check_method(method, _METHODS, _OTHER_METHODS) or bool(lazy)
    if isinstance(debias, str):
        raise unsupported("debias", debias, "use True, or ot.solve_sample of POT")
    if batch_size is not None:
        check_batch_size(batch_size, "batch_size")
    if lazy and unbalanced is not None:
        raise unsupported(
            "unbalanced",
            unbalanced,
            "with lazy or a method; no plan is made before it is asked for",
        )
    request = as_request(
        reg, reg_type, unbalanced, unbalanced_type, c, grad, max_iter, tol, potentials_init, verbose
    )
    x = points(_scaled(X_a, scaler), "X_a")
    y = points(_scaled(X_b, scaler), "X_b")

    def between(one: FloatArray, other: FloatArray, p: object, q: object, init: Start) -> OTResult:
        log_of = partial(lazy_log, points=(one, other), metric=metric) if lazy else None
        costs = costs_from_points(one, other, metric)
        return request._replace(init=init).answer(costs, p, q, log_of)

    solved = between(x, y, a, b, request.init)
    if not debias:
        return solved
    f, g = request.init or (None, None)
    return debiased(
        solved,
        between(x, x, a, a, None if f is None else (f, f)),
        between(y, y, b, b, None if g is None else (g, g)),
    )


def _check_method(value: Any, known: tuple[str, ...], others: tuple[str, ...] = ()) -> bool:
    """Refuse unknown methods and those of other problems; return whether there is one."""
    if value is None:
        return False
    name = value.lower() if isinstance(value, str) else value
    if name in others:
        raise unsupported("method", value, "use None, or ot.solve_sample of POT")
    as_choice(name, "method", known + others)
    return True


def _scaled(given: object, scaler: Any) -> object:
    if scaler is None:
        return given
    if hasattr(scaler, "transform"):
        return scaler.transform(given)
    if not callable(scaler):
        raise InvalidInputError(
            f"scaler is {scaler!r}: needs a function, or an object with the method transform"
        )
    return scaler(given)

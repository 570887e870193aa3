"""How far a map is from an optimal one, with a certificate and a gradient."""

import numpy as np

from sparrot._result import Result
from sparrot._validation import FloatArray, as_points
from sparrot.errors import InvalidInputError
from sparrot.transport._cost import cost_from_points
from sparrot.transport._divergence import directions, point_gradients, repr_without_details
from sparrot.transport._mass import read_only
from sparrot.transport._result import TransportResult
from sparrot.transport._run import solve_cost

# What rounding may have taken from the cost of the map, as a share of it: as the solver allows.
_ROUNDING = 64 * float(np.finfo(np.float64).eps)


class MongeGapResult(Result):
    """A Monge gap, and how wrong it can be.

    Frozen; fields can be read as attributes or as items.

    Parameters
    ----------
    **fields : Any
        What is listed below; :func:`monge_gap` fills it in.

    Attributes
    ----------
    value : float
        The entropic Monge gap, in units of cost times mass.
    gap : float
        The certificate: the entropic Monge gap is within this of ``value``.
    lower_bound, upper_bound : float
        The Monge gap without regularisation, which is never negative, lies between these.
    map_cost : float
        What the map costs, ``sum_i a_i c(X[i], TX[i])``.
    converged : bool
        Whether ``transport`` is.
    message : str
        What happened and, if the result has not converged, what to do.
    marginal_error : float
        The marginal error of ``transport``.
    reg : float
        The regularisation in the units of the cost.
    grad_TX : ndarray or None
        The derivative in ``TX``, of shape (n, d): float32 if all points are, else float64. None
        unless asked for.
    transport : TransportResult
        The entropic problem from ``X`` to ``TX``.

    See Also
    --------
    monge_gap
    """

    value: float
    gap: float
    lower_bound: float
    upper_bound: float
    map_cost: float
    converged: bool
    message: str
    marginal_error: float
    reg: float
    grad_TX: FloatArray | None  # noqa: N815
    transport: TransportResult

    def __repr__(self) -> str:
        return repr_without_details(self)


def monge_gap(
    X: object,
    TX: object,
    a: object = None,
    *,
    metric: str = "sqeuclidean",
    reg: float,
    reg_scale: str = "absolute",
    tol: float = 1e-6,
    gradient: bool = False,
    max_iter: int | None = None,
    max_time: float | None = None,
    check_finite: bool = True,
    n_threads: int | None = None,
) -> MongeGapResult:
    """Compute the Monge gap of a map: what it costs beyond the best way to the same targets.

    ``sum_i a_i c(X[i], TX[i]) - W(X, TX)`` [1]_, where ``W(X, TX)`` is the least
    ``<C, P> + reg * sum(P * log(P))`` over plans that take the weights ``a`` of ``X`` to the same
    weights of ``TX``. As a penalty on a model ``T``, it draws it towards maps that are optimal for
    the cost.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Points.
    TX : array_like of shape (n, d)
        Where the map sends each of them.
    a : array_like of shape (n,), optional
        Non-negative weights; uniform by default.
    metric : {"sqeuclidean", "euclidean", "cosine"}, default="sqeuclidean"
        The cost: see :func:`solve_sample`.
    reg : float
        The regularisation, above 0.
    reg_scale : {"absolute", "max", "mean"}, default="absolute"
        The unit of ``reg``: the unit of the cost, or the largest or the mean cost between ``X`` and
        ``TX``.
    tol : float, default=1e-6
        The marginal error to reach, as a share of the mass.
    gradient : bool, default=False
        Whether to compute the derivative in ``TX``.
    max_iter : int, optional
        Iterations at most.
    max_time : float, optional
        Seconds after which to stop with the best answer so far.
    check_finite : bool, default=True
        Whether to look for NaN and infinities in ``X`` and ``TX``.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default.

    Returns
    -------
    MongeGapResult
        With ``value``, ``gap``, bounds without regularisation, and ``grad_TX`` if asked for.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    MemoryError
        If there is no room for the transport problem: see :func:`solve_sample`.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the marginal error is above ``tol``; the result is returned with ``converged=False``.

    See Also
    --------
    solve_sample : The transport problem behind it.
    sinkhorn_divergence : How far apart two sets of points are.

    Notes
    -----
    The plan that follows the map is one of those that ``W`` is the least over, so that the entropic
    gap is never below ``reg * h`` with the entropy ``h = -sum(a * log(a))`` of the weights, which
    is ``reg * log(n)`` for uniform ones, and exceeds the gap without regularisation by ``reg * h``
    to ``2 * reg * h`` (mass 1). It therefore does not go to 0 for an optimal map, only for one with
    ``reg`` going to 0: compare it with ``reg * h``, or use the bounds. With the regulariser
    ``KL(P | a a')``, which other packages have too, it would be ``2 * reg * h`` less, and no longer
    positive.

    The derivative is that of the optimal value at the plan that was found, with ``reg`` held fixed
    (also where it is in units of a cost). The Euclidean distance has none between two points in the
    same place: they count for nothing.

    References
    ----------
    .. [1] Uscidda, Cuturi, "The Monge gap: a regularizer to learn all transport maps", ICML 2023,
       arXiv 2302.04953.

    Examples
    --------
    Stretching is optimal for the squared distance, turning is not:

    >>> import numpy as np
    >>> from sparrot.transport import monge_gap
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> stretched = monge_gap(X, X * [2, 0.5], reg=1e-3)
    >>> stretched.lower_bound <= 0 < stretched.upper_bound < 0.01
    True
    >>> monge_gap(X, -X, reg=1e-3).lower_bound > 7
    True
    """
    points = as_points(X, "X", check_finite=check_finite)
    images = _as_images(TX, points.shape, metric, check_finite=check_finite)
    cost = cost_from_points(points, images, metric, check_finite=False)
    transport = solve_cost(
        cost,
        a,
        a,
        reg=reg,
        reg_scale=reg_scale,
        method="auto",
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        init=None,
        options=None,
        callback=None,
        verbose=0,
        check_finite=check_finite,
        n_threads=n_threads,
    )
    _, points, images = cost.native
    distances, derivatives = _along_the_map(metric, points, images)
    map_cost = float(transport.a @ distances)
    rounding = _ROUNDING * map_cost
    grad = None
    if gradient:
        grad = transport.a[:, None] * derivatives - point_gradients(transport)[1]
        grad = read_only(grad.astype(cost.dtype, copy=False))
    return MongeGapResult(
        # The dual value: its error is of second order in that of the potentials.
        value=map_cost - transport.dual_value,
        gap=transport.gap + rounding,
        lower_bound=max(0.0, map_cost - transport.upper_bound - rounding),
        upper_bound=map_cost - transport.lower_bound + rounding,
        map_cost=map_cost,
        converged=transport.converged,
        message=transport.message,
        marginal_error=transport.marginal_error,
        reg=transport.reg,
        grad_TX=grad,
        transport=transport,
    )


def _as_images(
    value: object, shape: tuple[int, ...], metric: object, *, check_finite: bool
) -> FloatArray:
    """Return the images of points of the shape given."""
    images = as_points(value, "TX", check_finite=check_finite)
    if images.shape != shape:
        raise InvalidInputError(
            f"X has shape {shape} but TX has shape {images.shape}: needs an image for each point, "
            "with the same coordinates"
        )
    # The solver would call it Y.
    if metric == "cosine" and not images.any(axis=1).all():
        row = int(np.flatnonzero(~images.any(axis=1))[0])
        raise InvalidInputError(
            f"TX: row {row} is all zeros, for which the cosine distance is not defined"
        )
    return images


def _along_the_map(
    metric: str, points: FloatArray, images: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return ``c(x_i, t_i)`` and its derivative in ``t_i`` for each point."""
    if metric == "cosine":
        (along, _), (target, lengths) = directions(points), directions(images)
        across = (along * target).sum(axis=1, keepdims=True) * target - along
        return ((along - target) ** 2).sum(axis=1) / 2, across / lengths
    steps = images - points
    squares = (steps**2).sum(axis=1)
    if metric == "sqeuclidean":
        return squares, 2 * steps
    distances = np.sqrt(squares)
    here = distances[:, None]
    return distances, np.divide(steps, here, out=np.zeros_like(steps), where=here > 0)

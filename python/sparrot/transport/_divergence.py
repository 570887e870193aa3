"""The Sinkhorn divergence between two sets of points, with a certificate and gradients."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from sparrot._result import Result
from sparrot._validation import FloatArray, as_positive
from sparrot.special import logsumexp
from sparrot.transport._cost import Cost, cost_from_points
from sparrot.transport._mass import read_only
from sparrot.transport._result import TransportResult
from sparrot.transport._run import solve_cost

# Distances looked at together where a loop here needs them: 8 MiB.
_BLOCK = 2**20


class DivergenceResult(Result):
    """A Sinkhorn divergence, and how wrong it can be.

    Frozen; fields can be read as attributes or as items.

    Parameters
    ----------
    **fields : Any
        What is listed below; :func:`sinkhorn_divergence` fills it in.

    Attributes
    ----------
    value : float
        The divergence, in units of cost times mass; never negative.
    gap : float
        The divergence is within this of ``value``: the sum of the gap between X and Y and half of
        the two others. Usually far more than the error, which is of second order in the marginal
        error where the gap is of first.
    converged : bool
        Whether all three problems are.
    message : str
        What happened and, if the result has not converged, what to do.
    marginal_error : float
        The largest of the three.
    reg : float
        The regularisation of the three problems, in the units of the cost.
    grad_X, grad_Y : ndarray or None
        The derivatives in the points, of shapes (n, d) and (m, d): float32 if all points are, else
        float64. None unless asked for, as the next.
    grad_a, grad_b : ndarray or None
        The derivatives in the weights, of shapes (n,) and (m,).
    cross, self_X, self_Y : TransportResult
        The three problems: from X to Y, from X to X, from Y to Y.

    See Also
    --------
    sinkhorn_divergence
    """

    value: float
    gap: float
    converged: bool
    message: str
    marginal_error: float
    reg: float
    grad_X: FloatArray | None  # noqa: N815
    grad_Y: FloatArray | None  # noqa: N815
    grad_a: FloatArray | None
    grad_b: FloatArray | None
    cross: TransportResult
    self_X: TransportResult  # noqa: N815
    self_Y: TransportResult  # noqa: N815

    def __repr__(self) -> str:
        return repr_without_details(self)


def sinkhorn_divergence(
    X: object,
    Y: object,
    a: object = None,
    b: object = None,
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
) -> DivergenceResult:
    """Compute the Sinkhorn divergence between two sets of weighted points.

    ``S = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2`` [1]_, where ``OT(a, b)`` is the least
    ``<C, P> + reg * KL(P | a b' / mass)`` over plans with marginals ``a`` and ``b``. With each of
    the metrics it is 0 where both sides are the same distribution (of directions, for "cosine") and
    positive elsewhere (Theorem 1 of [1]_). As ``reg`` falls it goes to the transport cost, as it
    grows to half the squared maximum mean discrepancy of the kernel ``-c(x, y)``.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Points.
    Y : array_like of shape (m, d)
        Points to compare with.
    a : array_like of shape (n,), optional
        Non-negative weights of ``X``; uniform by default.
    b : array_like of shape (m,), optional
        Weights of ``Y``, of the same sum to a relative 1e-8; uniform by default.
    metric : {"sqeuclidean", "euclidean", "cosine"}, default="sqeuclidean"
        The cost: see :func:`solve_sample`.
    reg : float
        The regularisation, above 0.
    reg_scale : {"absolute", "max", "mean"}, default="absolute"
        The unit of ``reg``: the unit of the cost, or the largest or the mean cost between ``X`` and
        ``Y``. All three problems use the same regularisation.
    tol : float, default=1e-6
        The marginal error that each problem is to reach, as a share of the mass.
    gradient : bool, default=False
        Whether to compute the derivatives.
    max_iter : int, optional
        Iterations of each problem, at most.
    max_time : float, optional
        Seconds for the three problems together, after which to stop with the best answer so far.
    check_finite : bool, default=True
        Whether to look for NaN and infinities in ``X`` and ``Y``.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default.

    Returns
    -------
    DivergenceResult
        With ``value``, ``gap``, and ``grad_X``, ``grad_Y``, ``grad_a``, ``grad_b`` if asked for.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.
    MemoryError
        If there is no room for the largest of the problems: see :func:`solve_sample`.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        For each problem whose marginal error is above ``tol``; the result is returned with
        ``converged=False``.

    See Also
    --------
    solve_sample : One of the three problems.
    monge_gap : How far a map is from optimal.

    Notes
    -----
    With weights of any mass, ``S(s a, s b) = s S(a, b)``. Adding a constant to the regulariser, or
    taking it relative to other measures of the same supports (``sum(P * log(P))`` of :func:`solve`,
    or ``KL(P | a b')``), adds the same to both sides of the difference and leaves ``S`` as it is.

    Where both sides are equal, point by point and weight by weight, the value, the gap and the
    derivatives are exactly 0.

    The derivatives are those of the optimal value at the plans that were found, with ``reg`` held
    fixed (also where it is in units of a cost), so they are as close as the plans are: ask for a
    small ``tol``. Two points in the same place, where the Euclidean distance has no derivative,
    count for nothing.

    Weights can only change together, with the same sum, so ``grad_a`` and ``grad_b`` are defined up
    to a constant added to one and taken from the other, and for changes that keep the mass up to a
    constant for each. They are the differences of potentials ``f_ab - f_aa`` and ``g_ab - g_bb``,
    shifted so that ``a @ grad_a == b @ grad_b == value / 2``, which is right also for changes of
    the common mass. Points without weight have theirs too: it says what giving them some would do.
    Where a plan falls into nearly separate parts, what they have to exchange is all that says how
    the potentials of one compare with those of another: there these two need the smallest ``tol``.

    References
    ----------
    .. [1] Feydy, Séjourné, Vialard, Amari, Trouvé, Peyré, "Interpolating between optimal transport
       and MMD using Sinkhorn divergences", AISTATS 2019, arXiv 1810.08278.

    Examples
    --------
    A set of points is at distance 0 from itself, and for the squared distance at the squared length
    of the shift from itself shifted:

    >>> import numpy as np
    >>> from sparrot.transport import sinkhorn_divergence
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> sinkhorn_divergence(X, X, reg=0.1).value
    0.0
    >>> result = sinkhorn_divergence(X, X + [3, 4], reg=0.1, tol=1e-9, gradient=True)
    >>> round(result.value, 6)
    25.0
    >>> result.grad_Y.sum(0).round(6)
    array([6., 8.])
    """
    cost = cost_from_points(X, Y, metric, check_finite=check_finite)
    seconds = None if max_time is None else as_positive(max_time, "max_time", zero=True)
    end = time.monotonic() + (seconds or 0.0)
    settings: dict[str, Any] = {
        "method": "auto",
        "tol": tol,
        "max_iter": max_iter,
        "init": None,
        "options": None,
        "callback": None,
        "verbose": 0,
        "n_threads": n_threads,
    }
    # The solver warns where its caller was called: no function may come between it and this one.
    cross = solve_cost(
        cost,
        a,
        b,
        reg=reg,
        reg_scale=reg_scale,
        max_time=seconds,
        check_finite=check_finite,
        **settings,
    )
    _, x, y = cost.native
    if np.array_equal(x, y) and np.array_equal(cross.a, cross.b):
        return _of_equal_sides(cross, gradient=gradient)
    results = [cross]
    for points, weights, name in ((x, cross.a, "X"), (y, cross.b, "Y")):
        alone = solve_cost(
            _within(points, cost, name),
            weights,
            weights,
            reg=cross.reg,
            reg_scale="absolute",
            max_time=None if seconds is None else max(0.0, end - time.monotonic()),
            check_finite=check_finite,
            **settings,
        )
        results.append(alone)
    # Dual values: their error is of second order in that of the potentials. The divergence is not
    # negative, so that 0 is closer to it than a negative value is.
    dual, *own = (result.dual_value for result in results)
    value = max(0.0, dual - sum(own) / 2)
    gap, *own = (result.gap for result in results)
    gradients = _gradients(results, value) if gradient else [None] * 4
    return _dressed(results, value, gap + sum(own) / 2, gradients)


def _of_equal_sides(cross: TransportResult, *, gradient: bool) -> DivergenceResult:
    """Return the minimum of the divergence, which is 0 exactly."""
    _, x, y = cross._cost.native
    dtype = cross._cost.dtype
    zeros = [np.zeros_like(x, dtype), np.zeros_like(y, dtype), np.zeros(len(x)), np.zeros(len(y))]
    return _dressed([cross] * 3, 0.0, 0.0, [*map(read_only, zeros)] if gradient else [None] * 4)


def _dressed(
    results: list[TransportResult],
    value: float,
    gap: float,
    gradients: Sequence[FloatArray | None],
) -> DivergenceResult:
    cross, self_x, self_y = results
    grad_x, grad_y, grad_a, grad_b = gradients
    return DivergenceResult(
        value=value,
        gap=gap,
        converged=all(result.converged for result in results),
        message=_message(results),
        marginal_error=max(result.marginal_error for result in results),
        reg=cross.reg,
        grad_X=grad_x,
        grad_Y=grad_y,
        grad_a=grad_a,
        grad_b=grad_b,
        cross=cross,
        self_X=self_x,
        self_Y=self_y,
    )


def _within(points: FloatArray, cost: Cost, name: str) -> Cost:
    """Return the cost of a set of points and itself."""
    metric = cost.native[0]
    shape = (len(points), len(points))
    return Cost((metric, points, points), shape, cost.dtype, f"the {metric} cost of {name}")


def _message(results: list[TransportResult]) -> str:
    worst = max(result.marginal_error for result in results)
    pairs = zip(("X to Y", "X to X", "Y to Y"), results, strict=True)
    late = [f"{name} ({result.status.value})" for name, result in pairs if not result.converged]
    if not late:
        return f"converged: marginal error {worst:.3g} at most"
    return (
        f"not converged: {', '.join(late)}: marginal error {worst:.3g}, above "
        f"tol={results[0].tol:g}: allow more (max_iter, max_time), or use a larger reg"
    )


def repr_without_details(result: Result) -> str:
    """Show a result with the transport problems in it by their shape: each has its own page."""
    shown = {
        name: f"TransportResult of shape {value.shape}"
        if isinstance(value, TransportResult)
        else value
        for name, value in result.items()
    }
    return repr(Result(**shown)).replace("Result", type(result).__name__, 1)


def _gradients(results: list[TransportResult], value: float) -> list[FloatArray]:
    """Return the derivatives in the points of both sides, then in their weights."""
    cross, self_x, self_y = results
    _, x, y = cross._cost.native
    f, g = cross.potentials
    in_points = [
        # A point moves on both sides of the problem of its set with itself.
        (of_cross - sum(point_gradients(alone)) / 2).astype(cross._cost.dtype, copy=False)
        for of_cross, alone in zip(point_gradients(cross), (self_x, self_y), strict=True)
    ]
    in_weights = [
        _weight_gradient(x, f, y, g, self_x, value / 2),
        _weight_gradient(y, g, x, f, self_y, value / 2),
    ]
    return [read_only(gradient) for gradient in (*in_points, *in_weights)]


def _weight_gradient(
    points: FloatArray,
    potential: FloatArray,
    others: FloatArray,
    other_potential: FloatArray,
    alone: TransportResult,
    inner_product: float,
) -> FloatArray:
    """Return the difference of potentials whose inner product with the weights is given."""
    weights, reg, metric = alone.a, alone.reg, alone._cost.native[0]
    busy, idle = weights > 0, weights == 0
    own = (alone.potentials[0] + alone.potentials[1]) / 2  # equal up to a constant and rounding
    gradient = np.empty_like(weights)
    gradient[busy] = potential[busy] - own[busy]
    # Without weight the potentials are -inf, both for the same reason: their difference is finite.
    gradient[idle] = _soft_minimum(points[idle], others, other_potential, metric, reg)
    gradient[idle] -= _soft_minimum(points[idle], points, own, metric, reg)
    gradient += (inner_product - weights @ gradient) / weights.sum()
    return gradient


def _soft_minimum(
    points: FloatArray, others: FloatArray, potential: FloatArray, metric: str, reg: float
) -> FloatArray:
    """Return ``-reg * log(sum_j exp((g_j - C_ij) / reg))`` for each point."""
    minima = np.empty(len(points))
    rows = max(1, _BLOCK // len(others))
    for start in range(0, len(points), rows):
        costs = cdist(points[start : start + rows], others, metric)
        minima[start : start + rows] = -reg * logsumexp((potential - costs) / reg, axis=1)
    return minima


def point_gradients(result: TransportResult) -> tuple[FloatArray, FloatArray]:
    """Return the derivatives of ``<C, P>`` in the points of either side, the plan held fixed.

    These are the derivatives of the optimal value (envelope theorem); nothing of size (n, m) is
    made.
    """
    metric, x, y = result._cost.native
    match metric:
        case "sqeuclidean":
            return _of_squared_distances(result, x, y)
        case "cosine":
            return _of_cosines(result, x, y)
        case _:
            return _of_distances(result, x, y)


def _of_squared_distances(
    result: TransportResult, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """``2 sum_j P_ij (x_i - y_j)``."""
    centre = y.mean(axis=0)  # only differences matter, and a common shift would cost them digits

    def one_side(points: FloatArray, others: FloatArray, transpose: bool) -> FloatArray:
        with_ones = np.column_stack([others, np.ones(len(others))])
        sums = result.apply(with_ones, transpose=transpose)
        gradient: FloatArray = 2 * (sums[:, -1:] * points - sums[:, :-1])
        return gradient

    return one_side(x - centre, y - centre, False), one_side(y - centre, x - centre, True)


def _of_cosines(
    result: TransportResult, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """``-sum_j P_ij (v_j - (u_i.v_j) u_i) / |x_i|`` with the directions ``u``, ``v``."""
    (u, x_lengths), (v, y_lengths) = directions(x), directions(y)

    def one_side(along: FloatArray, lengths: FloatArray, pull: FloatArray) -> FloatArray:
        gradient: FloatArray = (along * pull).sum(axis=1, keepdims=True) * along - pull
        return gradient / lengths

    first = one_side(u, x_lengths, result.apply(v))
    return first, one_side(v, y_lengths, result.apply(u, transpose=True))


def directions(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return points scaled to length 1, and their lengths (n, 1)."""
    largest = np.abs(points).max(axis=1, keepdims=True)  # so that the squares cannot overflow
    scaled = points / largest
    lengths = np.sqrt((scaled**2).sum(axis=1, keepdims=True))
    return scaled / lengths, largest * lengths


def _of_distances(
    result: TransportResult, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """``sum_j P_ij (x_i - y_j) / |x_i - y_j|``, a block of rows at a time."""
    f, g = result.potentials
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre
    first, column_sums, pulls = np.empty_like(x), np.zeros(len(y)), np.zeros_like(y)
    rows = max(1, _BLOCK // len(y))
    for start in range(0, len(x), rows):
        block = slice(start, start + rows)
        distances = cdist(x[block], y)
        entries = np.exp((f[block, None] + g - distances) / result.reg)
        forces = np.divide(entries, distances, out=np.zeros_like(entries), where=distances > 0)
        first[block] = forces.sum(axis=1, keepdims=True) * x[block] - forces @ y
        column_sums += forces.sum(axis=0)
        pulls += forces.T @ x[block]
    return first, column_sums[:, None] * y - pulls

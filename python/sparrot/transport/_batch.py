"""Many problems of one shape."""

import warnings
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sparrot import _sparrot
from sparrot._native import Status, simd_level
from sparrot._result import Result
from sparrot._validation import (
    MASS_RTOL,
    FloatArray,
    as_choice,
    as_floats,
    as_positive,
    as_threads,
    require_finite,
)
from sparrot.errors import ConvergenceWarning, InvalidInputError, MassMismatchError
from sparrot.transport._cost import REG_SCALES, as_reg, as_unit, require_range
from sparrot.transport._run import as_max_iter


class BatchResult(Result):
    """The plans of a batch, given by their potentials, and how wrong each can be.

    Frozen. Arrays have an entry for each of the B problems; what they mean is said at
    :class:`TransportResult`.

    Attributes
    ----------
    converged : ndarray of bool, shape (B,)
        Whether ``marginal_error <= tol``.
    status : list of sparrot.Status
        How each solve ended.
    marginal_error, gap, value, value_linear, dual_value, lower_bound, upper_bound : ndarray of \
shape (B,)
        The certificates.
    n_iter, n_newton, n_cg : ndarray of int, shape (B,)
        Iterations of all kinds, Newton steps, conjugate gradient iterations.
    potentials : tuple of ndarray
        ``(f, g)``, of shapes (B, n) and (B, m), in the units of the cost.
    reg : ndarray of shape (B,)
        The regularisations in the units of the cost.
    a, b : ndarray of shapes (B, n) and (B, m)
        The weights used.
    tol : float
        The marginal error that was asked for.

    See Also
    --------
    solve_batch
    """

    converged: npt.NDArray[np.bool_]
    status: list[Status]
    marginal_error: FloatArray
    gap: FloatArray
    value: FloatArray
    value_linear: FloatArray
    dual_value: FloatArray
    lower_bound: FloatArray
    upper_bound: FloatArray
    n_iter: npt.NDArray[np.int64]
    n_newton: npt.NDArray[np.int64]
    n_cg: npt.NDArray[np.int64]
    potentials: tuple[FloatArray, FloatArray]
    reg: FloatArray
    a: FloatArray
    b: FloatArray
    tol: float

    _input: dict[str, Any]
    _mass: FloatArray
    _kept: FloatArray | None
    """The solver's own plans, in float64, until ``plans`` hands them out."""

    def __init__(
        self,
        plan_input: dict[str, Any],
        mass: FloatArray,
        plans: FloatArray | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "_input", plan_input)
        object.__setattr__(self, "_mass", mass)
        object.__setattr__(self, "_kept", plans)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self._input, self._mass, self._fields))

    @cached_property
    def plans(self) -> FloatArray:
        """The plans, (B, n, m): float32 if the costs are, else float64. Computed at first use."""
        costs, kept = self._input["costs"], self._kept
        plans: FloatArray
        if kept is not None:
            object.__setattr__(self, "_kept", None)
            plans = kept.reshape(costs.shape).astype(costs.dtype, copy=False)
        else:
            batch = {key: self._input[key] for key in ("costs", "a", "b", "regs", "n_threads")}
            plans = np.empty_like(costs)
            _sparrot.transport_batch_plans(batch, self._input["f"], self._input["g"], plans)
        if (self._mass != 1).any():
            plans *= self._mass[:, None, None]
        return plans


def _restore(plan_input: dict[str, Any], mass: FloatArray, fields: dict[str, Any]) -> BatchResult:
    return BatchResult(plan_input, mass, **fields)


def solve_batch(
    costs: object,
    a: object = None,
    b: object = None,
    *,
    reg: float | npt.ArrayLike,
    reg_scale: str = "absolute",
    method: str = "auto",
    tol: float = 1e-6,
    max_iter: int | None = None,
    max_time: float | None = None,
    n_threads: int | None = None,
) -> BatchResult:
    """Solve many entropic transport problems of one shape.

    Every problem is solved by one thread on its own, as :func:`solve` would; for problems that are
    small enough for that to be worth more than several threads for each.

    Parameters
    ----------
    costs : array_like of shape (B, n, m)
        A cost matrix for each problem. ``inf`` forbids an edge. float32 and float64 are used as
        they are, without a copy if C-contiguous.
    a : array_like of shape (n,) or (B, n), optional
        Non-negative weights of the rows, the same for all or for each problem; uniform by default.
    b : array_like of shape (m,) or (B, m), optional
        Weights of the columns, of the same sum to a relative 1e-8; uniform by default.
    reg : float or array_like of shape (B,)
        The regularisation, above 0, the same for all or for each problem.
    reg_scale : {"absolute", "max", "mean"}, default="absolute"
        The unit of ``reg``: the unit of the cost, or the largest or the mean finite cost of each
        problem (the mean weighted by ``a`` and ``b``).
    method : {"auto", "sinkhorn"}, default="auto"
        See :func:`solve`.
    tol : float, default=1e-6
        The marginal error to reach in each problem, as a share of its mass.
    max_iter : int, optional
        Iterations for each problem, at most.
    max_time : float, optional
        Seconds for all of them together.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default. The result has the same bits for any
        number.

    Returns
    -------
    BatchResult
        With an entry for each problem; the plans on request: ``plans``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums in a problem.
    sparrot.errors.InfeasibleProblemError
        If a point with weight has only forbidden edges, or if the solver gets nowhere because
        some points have too much weight for all that they can reach: they are named.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the marginal error of some problem is above ``tol``.

    See Also
    --------
    solve : One problem, with all options.
    solve_path : One problem at several regularisations.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import solve_batch
    >>> costs = np.random.default_rng(0).random((100, 32, 32))
    >>> batch = solve_batch(costs, reg=0.1)
    >>> bool(batch.converged.all()), batch.plans.shape
    (True, (100, 32, 32))
    """
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    array = np.ascontiguousarray(as_floats(costs, "costs", ndim=3))
    if 0 in array.shape:
        raise InvalidInputError(
            f"costs has shape {array.shape}: needs at least one problem, row and column"
        )
    count, n, m = array.shape
    method = as_choice(method, "method", ("auto", "sinkhorn"))
    tol = as_positive(tol, "tol", zero=True)
    limit = as_max_iter(max_iter, method)
    max_time = None if max_time is None else as_positive(max_time, "max_time", zero=True)
    weights_a, weights_b = _weights(a, "a", count, n), _weights(b, "b", count, m)
    totals = _agreed_masses(weights_a, weights_b, a is None, b is None)
    # By a power of two, which rounds nothing.
    mass = np.ldexp(1.0, np.frexp(totals)[1] - 1)
    unit_a, unit_b = weights_a / mass[:, None], weights_b / mass[:, None]
    regs = _regs(reg, reg_scale, array, unit_a, unit_b)
    batch = {
        "costs": array,
        "a": unit_a,
        "b": unit_b,
        "regs": regs,
        "n_threads": as_threads(n_threads),
    }
    native = ("auto", None) if method == "auto" else (method,)
    raw = _sparrot.transport_solve_batch(batch, native, tol, limit, max_time)
    f, g = raw["f"].reshape(count, n), raw["g"].reshape(count, m)
    status = [Status(name) for name in raw["status"]]
    converged = np.array([one is Status.CONVERGED for one in status])
    if not converged.all():
        k = int(np.flatnonzero(~converged)[0])
        warnings.warn(
            f"{int((~converged).sum())} of {count} problems have not converged, the first of them "
            f"problem {k} ({status[k].value}): marginal error {raw['marginal_error'][k]:.3g}, "
            f"above tol={tol:g}; allow more (max_iter, max_time), or use a larger reg",
            ConvergenceWarning,
            stacklevel=2,
        )
    # As in Mass.objective: what dividing the weights by the mass has taken from the entropy.
    shift = regs * np.log(mass)
    units = unit_a.sum(1)
    return BatchResult(
        batch | {"f": f, "g": g},
        mass,
        raw["plans"],
        converged=converged,
        status=status,
        marginal_error=raw["marginal_error"],
        gap=mass * raw["gap"],
        value=mass * (raw["value"] + shift * raw["total"]),
        value_linear=mass * raw["value_linear"],
        dual_value=mass * (raw["dual_value"] + shift * units),
        lower_bound=mass * raw["lower_bound"],
        upper_bound=mass * raw["upper_bound"],
        n_iter=raw["n_iter"],
        n_newton=raw["n_newton"],
        n_cg=raw["n_cg"],
        potentials=(f + shift[:, None], g),
        reg=regs,
        a=weights_a,
        b=weights_b,
        tol=tol,
    )


def _weights(value: object, name: str, count: int, size: int) -> FloatArray:
    """Return (B, size) weights: finite, non-negative, of positive sum in each problem."""
    if value is None:
        return np.full((count, size), 1.0 / size)
    given = as_floats(value, name, ndim=(1, 2))
    if given.shape not in ((size,), (count, size)):
        raise InvalidInputError(
            f"{name} has shape {given.shape}: needs ({size},) or ({count}, {size})"
        )
    shared = np.broadcast_to(given, (count, size))
    weights: FloatArray = np.array(shared, dtype=np.float64, order="C")
    require_finite(weights, name)
    if (weights < 0).any():
        k, i = (int(index) for index in np.argwhere(weights < 0)[0])
        raise InvalidInputError(
            f"{name} is {weights[k, i]} for point {i} of problem {k}: weights must be non-negative"
        )
    totals = weights.sum(1)
    bad = np.flatnonzero(~((totals > 0) & (totals < np.inf)))
    if bad.size:
        raise InvalidInputError(
            f"{name} sums to {totals[bad[0]]} in problem {bad[0]}: needs a positive, finite mass"
        )
    return weights


def _agreed_masses(a: FloatArray, b: FloatArray, a_is_free: bool, b_is_free: bool) -> FloatArray:
    """Give both weights the same sum in each problem, in place; return the sums."""
    totals: FloatArray = a.sum(1)
    others: FloatArray = b.sum(1)
    if a_is_free:
        a *= others[:, None]
        return others
    if not b_is_free:
        apart = np.abs(totals - others) > MASS_RTOL * np.maximum(totals, others)
        if apart.any():
            k = int(np.flatnonzero(apart)[0])
            raise MassMismatchError(
                f"a sums to {totals[k]!r} but b sums to {others[k]!r} in problem {k}: both must "
                "have the same mass; divide each by its sum to compare shapes"
            )
    b *= (totals / others)[:, None]
    return totals


def _regs(
    reg: object, reg_scale: object, costs: FloatArray, a: FloatArray, b: FloatArray
) -> FloatArray:
    """Return the regularisations in the units of the costs, having looked at every cost."""
    count = costs.shape[0]
    try:
        given = np.asarray(reg)
    except ValueError as error:
        raise InvalidInputError(f"reg cannot be read as an array: {error}") from None
    if given.ndim and given.shape != (count,):
        raise InvalidInputError(f"reg has shape {given.shape}: needs a number or ({count},)")
    each = given.tolist() if given.ndim else [reg]
    values = np.array([as_reg(one) for one in each]).repeat(count // len(each))
    scale = as_choice(reg_scale, "reg_scale", REG_SCALES)
    least, most = costs.min((1, 2)), costs.max((1, 2))
    bad = ~(least > -np.inf)  # NaN too
    if bad.any() or np.isnan(most).any():
        k, i, j = (int(x) for x in np.argwhere(np.isnan(costs) | (costs == -np.inf))[0])
        raise InvalidInputError(
            f"costs contains {costs[k, i, j]} at index ({k}, {i}, {j}): needs finite values, or "
            "inf where no mass may go"
        )
    has_forbidden = most == np.inf
    for k in np.flatnonzero(has_forbidden).tolist():
        finite = costs[k][np.isfinite(costs[k])]
        most[k] = finite.max() if finite.size else least[k]
    if scale != "absolute":
        if scale == "max":
            units = most
        else:
            possible = np.where(np.isfinite(costs), costs, 0) if has_forbidden.any() else costs
            weight = np.einsum("kij,ki,kj->k", np.isfinite(costs).astype(float), a, b)
            with np.errstate(invalid="ignore"):  # a problem without a finite cost
                units = np.einsum("kij,ki,kj->k", possible, a, b) / weight
        name = "a problem of costs"
        values *= [as_unit(float(unit), scale, name) for unit in units]
    largest = np.maximum(np.abs(least), np.abs(most))
    with np.errstate(over="ignore"):  # which is what is looked for
        k = int(np.argmax(np.where(np.isfinite(least), largest / values, 0)))
    if np.isfinite(least[k]):
        require_range(float(values[k]), float(least[k]), float(most[k]))
    return values

"""One call of sparrot's solver, with what POT's users expect to hear about it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparrot import Status
from sparrot._validation import FloatArray, as_floats, as_points
from sparrot.interop.pot._input import Limits, Start, numpy_only, same_mass, tell
from sparrot.interop.pot._points import dist
from sparrot.transport import TransportResult, UnbalancedResult
from sparrot.transport._cost import METRICS, Cost, cost_from_matrix, cost_from_points
from sparrot.transport._marginals import logarithms
from sparrot.transport._run import solve_costs
from sparrot.transport._unbalanced import solve_relaxed

Solved = TransportResult | UnbalancedResult

# As a share of the mass. Below it rounding decides, and a solver would only waste its time.
_LEAST_TOL = 1e-13

FIXED = (np.inf, np.inf)
"""The prices of missing marginals that may not be missed."""


def costs_from_matrix(matrix: object) -> Cost:
    """Take a cost matrix.

    Costs at the largest number of their type forbid their edges: ``numpy.nan_to_num`` makes that
    of ``inf``, in POT's own modules too.
    """
    costs = as_floats(numpy_only(matrix, "M"), "M", ndim=2)
    largest = np.finfo(costs.dtype).max
    if costs.size and costs.max() == largest:
        costs = np.where(costs == largest, np.inf, costs).astype(costs.dtype)
    return cost_from_matrix(costs)


def costs_from_points(x: FloatArray, y: FloatArray, metric: Any) -> Cost:
    """Take two sets of points; the metrics that the solver does not know become a matrix."""
    if metric in METRICS:
        return cost_from_points(x, y, metric, check_finite=False)
    return costs_from_matrix(dist(x, y, metric))


def typed_for(costs: Cost, *weights: FloatArray | None) -> Cost:
    """Have the plan in the type of costs and weights together, as POT has it."""
    given = (side.dtype for side in weights if side is not None)
    return costs._replace(dtype=np.result_type(costs.dtype, *given))


def points(value: object, name: str) -> FloatArray:
    """Take points of NumPy."""
    return as_points(numpy_only(value, name), name)


def run(
    costs: Cost,
    a: FloatArray | None,
    b: FloatArray | None,
    reg: Any,
    *,
    limits: Limits,
    init: Start,
    verbose: object,
    warn: object,
) -> TransportResult:
    """Solve until POT would be content, and warn as it does if that is not reached.

    The solver's own warning would name ``tol`` and ``max_iter``, which mean nothing to the user.
    """
    weights = a if a is not None else b
    mass = 1.0 if weights is None else float(weights.sum(dtype=np.float64))
    # Both marginals' absolute errors, together, are at least the 2-norm and the largest error of
    # either; the solver measures them as a share of the mass. An unusable mass is its to report.
    absolute = not limits.relative and 0 < mass < np.inf
    tol = limits.stop / mass if absolute else limits.stop
    [result] = solve_costs(
        costs,
        a,
        b,
        regs=[reg],
        method="auto",
        options=None,
        **_arguments(tol, limits, init, verbose),
    )
    if warn and not _content(result, limits):
        tell(_message(result, limits))
    return result


def run_relaxed(
    costs: Cost,
    a: FloatArray | None,
    b: FloatArray | None,
    reg: Any,
    prices: tuple[float, float],
    reg_type: str,
    *,
    limits: Limits,
    init: Start,
    verbose: object,
    warn: object,
) -> Solved:
    """Solve with marginals that may be missed at a price, or as :func:`run` if none may be.

    Potentials to start from are those of the ``reg_type``, with fixed marginals too. The limits
    have to be relative.
    """
    if prices == FIXED:
        if init is not None and reg_type == "kl":
            init = _with_weights(init, reg, (a, b))
        fixed = same_mass(a, b)
        return run(costs, a, fixed, reg, limits=limits, init=init, verbose=verbose, warn=warn)
    arguments = _arguments(limits.stop, limits, init, verbose)
    result = solve_relaxed(costs, a, b, reg=reg, reg_m=prices, reg_type=reg_type, **arguments)
    if warn and not _content(result, limits):
        tell(_message(result, limits))
    return result


def _arguments(tol: float, limits: Limits, init: Start, verbose: object) -> dict[str, Any]:
    """Return what the solver is asked for, whatever the marginals are."""
    return {
        "reg_scale": "absolute",
        "tol": min(max(tol, _LEAST_TOL), 2.0),
        "max_iter": limits.max_iter,
        "max_time": None,
        "init": init,
        "callback": None,
        "verbose": int(bool(verbose)),
        "check_finite": True,
        "n_threads": None,
    }


def _with_weights(
    init: tuple[FloatArray, FloatArray], reg: Any, weights: Sequence[FloatArray | None]
) -> Start:
    """Return potentials relative to 1, from those relative to the weights.

    Uniform weights only shift a potential, which the solver does by itself.
    """
    f, g = (
        part if side is None or part.shape != side.shape else part + reg * logarithms(side)
        for part, side in zip(init, weights, strict=True)
    )
    return f, g


def _error(result: Solved, limits: Limits) -> float:
    """Return the marginal error as the user's limit has it."""
    mass = 1.0 if limits.relative else float(result.a.sum())
    return result.marginal_error * mass


def _content(result: Solved, limits: Limits) -> bool:
    """Return whether POT would stop here."""
    if _error(result, limits) <= limits.stop:
        return True
    if limits.stop == 0 or limits.relative:
        return False
    # The sum of absolute errors is above what POT asks of their 2-norm, which may be below.
    n, m = result.shape
    rows = result.apply(np.ones(m)) - result.a
    columns = result.apply(np.ones(n), transpose=True) - result.b
    return bool(max(np.linalg.norm(rows), np.linalg.norm(columns)) < limits.stop)


def _message(result: Solved, limits: Limits) -> str:
    stop, max_iter = limits.names
    advice = (
        f"allow more ({max_iter}) or use a larger reg"
        if result.status is Status.MAX_ITER
        else "rounding allows no less, or forbidden edges leave no plan; use a larger reg"
    )
    return (
        f"Sinkhorn did not converge: marginal error {_error(result, limits):.3g} after "
        f"{result.n_iter} iterations, above {stop}={limits.stop:g}: {advice}"
    )

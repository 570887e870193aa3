"""From checked costs to a dressed answer: what the public functions share."""

import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparrot import _sparrot
from sparrot._native import Status, simd_level
from sparrot._validation import (
    FloatArray,
    as_choice,
    as_count,
    as_options,
    as_positive,
    as_threads,
)
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.transport._cost import Cost, scaled_regs
from sparrot.transport._init import as_init
from sparrot.transport._marginals import FixedMarginals, RelaxedMarginals
from sparrot.transport._mass import read_only
from sparrot.transport._result import TransportResult

METHODS = ("auto", "sns", "sinkhorn")

_DEFAULT_MAX_ITER = {"auto": 10_000, "sns": 2_000, "sinkhorn": 100_000}


class IterationState(NamedTuple):
    """What a callback sees of an iteration."""

    iteration: int
    """Iterations done, of all kinds."""
    time: float
    """Seconds since the solve began."""
    objective: float
    """The dual value; nan where the method "auto" does not know it: see ``trace``."""
    certificate: float
    """The marginal error."""
    sparsity: int
    """Entries of the plan that the step worked with."""
    phase: str
    """``"sinkhorn"`` or ``"newton"``; of sparse plans ``"proximal"`` or ``"newton"``."""


def _as_share(value: Any, name: str) -> float:
    share = as_positive(value, name)
    if share > 1:
        raise InvalidInputError(f"{name} is {value!r}: needs a number above 0 and up to 1")
    return share


def _as_growth(value: Any, name: str) -> float:
    growth = as_positive(value, name)
    if growth < 1:
        raise InvalidInputError(f"{name} is {value!r}: needs a number of at least 1")
    return growth


# Each option of the method "sns", its default and its check.
_SNS_DEFAULTS: dict[str, Any] = {
    "n_sinkhorn": 20,
    "density": None,
    "growth": 1.0,
    "cg_tol": 1e-3,
    "cg_max_iter": 1000,
    "armijo": 1e-4,
    "max_halvings": 12,
}
_SNS_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "n_sinkhorn": as_count,
    "density": lambda value, name: None if value is None else _as_share(value, name),
    "growth": _as_growth,
    "cg_tol": _as_share,
    "cg_max_iter": as_count,
    "armijo": _as_share,
    "max_halvings": lambda value, name: as_count(value, name, least=0),
}


def solve_cost(
    cost: Cost, a: object, b: object, *, reg: float, **arguments: Any
) -> TransportResult:
    """Solve for one regularisation: see :func:`solve_costs`. For functions that users call."""
    result = solve_costs(cost, a, b, regs=[reg], **arguments)[0]
    if not result.converged:
        warnings.warn(result.message, ConvergenceWarning, stacklevel=3)  # where the user called
    return result


def solve_costs(
    cost: Cost, a: object, b: object, *, regs: Sequence[object], **arguments: Any
) -> list[TransportResult]:
    """Solve with fixed marginals: see :func:`run_solver`."""
    marginals = FixedMarginals.of(a, b, cost.shape)
    answers = run_solver(cost, marginals, regs=regs, **arguments)
    return [
        TransportResult(cost, marginals.mass, *answer.plan, **answer.fields) for answer in answers
    ]


class Answer(NamedTuple):
    """What a result is made from."""

    plan: tuple[dict[str, Any], FloatArray | None]
    """What the native library computes the plan from, and the plan itself if it is there."""
    fields: dict[str, Any]
    marginals: Any
    """With prices in the units of the cost."""
    raw: dict[str, Any]
    """What the native library has said."""


def run_solver(
    cost: Cost,
    marginals: FixedMarginals | RelaxedMarginals,
    *,
    regs: Sequence[object],
    reg_scale: str,
    method: str,
    tol: float,
    max_iter: int | None,
    max_time: float | None,
    init: object,
    options: Mapping[str, Any] | None,
    callback: Callable[[IterationState], object] | None,
    verbose: int,
    check_finite: bool,
    n_threads: int | None,
) -> list[Answer]:
    """Check the arguments that all entries share, call the solver, dress the answers."""
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    method = as_choice(method, "method", METHODS)
    tol = as_positive(tol, "tol", zero=True)
    limit = as_max_iter(max_iter, method)
    max_time = None if max_time is None else as_positive(max_time, "max_time", zero=True)
    threads = as_threads(n_threads)
    if callback is not None and not callable(callback):
        raise InvalidInputError(f"callback is {callback!r}: needs a function")
    chosen = as_options(options, _SNS_CHECKS if method == "sns" else {})
    values, unit, cost_range = scaled_regs(
        regs,
        reg_scale,
        cost,
        *marginals.units,
        stores_plan=method != "auto" or isinstance(cost.native, np.ndarray),
        check_finite=check_finite,
        n_threads=threads,
    )
    marginals = marginals.in_units_of_cost(unit, min(values))
    natives = {
        "sinkhorn": ("sinkhorn",),
        "sns": ("sns", _SNS_DEFAULTS | chosen),
        "auto": ("auto", cost_range),
    }
    observer = _observer(
        callback,
        int(verbose) if isinstance(verbose, bool) else verbose,
        lambda dual: marginals.objective(dual, values[0]),
    )
    path = _sparrot.transport_solve(
        cost.native,
        *marginals.units,
        marginals.relaxation(),
        values,
        natives[method],
        as_init(
            init,
            marginals.weights,
            marginals.offsets(values[0], 0.0),
            may_be_unknown=isinstance(marginals, RelaxedMarginals),
        ),
        tol,
        limit,
        max_time,
        observer,
        threads,
    )
    weights = (read_only(marginals.weights[0]), read_only(marginals.weights[1]))
    fields = {"method": method, "a": weights[0], "b": weights[1], "tol": tol}
    plan_input = {"cost": cost.native, "n_threads": threads}
    return [
        Answer(
            (plan_input | _plan_of(marginals, raw, reg), raw["plan"]),
            _fields(marginals, raw, reg, fields),
            marginals,
            raw,
        )
        for reg, raw in zip(values, path, strict=False)
    ]


def as_max_iter(max_iter: int | None, method: str) -> int:
    """Return the iterations allowed."""
    return _DEFAULT_MAX_ITER[method] if max_iter is None else as_count(max_iter, "max_iter")


def _plan_of(
    marginals: FixedMarginals | RelaxedMarginals, raw: dict[str, Any], reg: float
) -> dict[str, Any]:
    """Return what the native library computes a plan from, besides the cost."""
    a, b = marginals.plan_weights(raw, reg)
    return {"a": a, "b": b, "f": raw["f"], "g": raw["g"], "reg": reg}


def _fields(
    marginals: FixedMarginals | RelaxedMarginals,
    raw: dict[str, Any],
    reg: float,
    fields: dict[str, Any],
) -> dict[str, Any]:
    """Return the fields of a result, from an answer of the native solver and those given."""
    mass = marginals.mass
    offset_f, offset_g = marginals.offsets(reg, raw["translation"])
    status = Status(raw["status"])
    trace = raw["trace"]
    trace["phase"] = np.array(raw["phases"])[trace["phase"]]
    trace["objective"] = marginals.objective(trace["objective"], reg)
    return {
        "converged": status is Status.CONVERGED,
        "status": status,
        "message": as_message(
            status, raw["marginal_error"], raw["n_iter"], fields["tol"], fields["method"]
        ),
        "method": fields["method"],
        "marginal_error": raw["marginal_error"],
        "gap": mass.multiply(raw["gap"]),
        "value": marginals.value(raw, reg),
        "value_linear": mass.multiply(raw["value_linear"]),
        "dual_value": marginals.objective(raw["dual_value"], reg),
        "lower_bound": mass.multiply(raw["lower_bound"]),
        "upper_bound": mass.multiply(raw["upper_bound"]),
        "n_iter": raw["n_iter"],
        "n_newton": raw["n_newton"],
        "n_cg": raw["n_cg"],
        "potentials": (read_only(raw["f"] - offset_f), read_only(raw["g"] - offset_g)),
        "a": fields["a"],
        "b": fields["b"],
        "reg": reg,
        "tol": fields["tol"],
        "trace": trace,
        "timings": raw["timings"],
    }


def as_message(status: Status, error: float, n_iter: int, tol: float, method: str) -> str:
    """Say how it ended and what to do about it."""
    reached = f"marginal error {error:.3g} after {n_iter} iterations"
    if status is Status.CONVERGED:
        return f"converged: {reached}"
    other = "method='auto'" if method != "auto" else "a larger reg"
    advice = {
        Status.MAX_ITER: f"allow more (max_iter), or try {other}",
        Status.MAX_TIME: f"allow more (max_time), or try {other}",
        Status.CALLBACK: "the callback asked to stop",
        Status.STALLED: "rounding allows no less, or forbidden edges leave no feasible plan; "
        "accept this error, or use a larger reg",
    }[status]
    return f"not converged ({status.value}): {reached}, above tol={tol:g}: {advice}"


def _observer(
    callback: Callable[[IterationState], object] | None,
    verbose: int,
    objective: Callable[[float], float],
) -> Callable[..., bool] | None:
    """Return what the native solver calls after an iteration, if anybody is interested."""
    verbose = as_count(verbose, "verbose", least=0)
    if callback is None and not verbose:
        return None
    phases = ("sinkhorn", "newton")
    next_line = 0.0

    def observe(
        iteration: int, seconds: float, dual: float, error: float, nnz: int, phase: int
    ) -> bool:
        nonlocal next_line
        state = IterationState(iteration, seconds, objective(dual), error, nnz, phases[phase])
        if verbose and (state.phase == "newton" or time.monotonic() >= next_line):
            next_line = time.monotonic() + 0.1
            sys.stdout.write(
                f"{iteration:>8d}  {state.phase:<8}  time {seconds:8.3f} s  "
                f"dual {state.objective:+17.10e}  marginal error {error:.3e}  entries {nnz}\n"
            )
        return callback is not None and bool(callback(state))

    return observe

"""From checked costs to a sparse plan: what the functions for few entries per line share.

Lines are the columns of the cost, or its rows: what has few entries. The solver gets the weights
divided by a power of two (:mod:`sparrot.transport._mass`): with ``P = s P'`` the squared norm is
``s`` times that of ``P'`` with ``s gamma`` for ``gamma``.
"""

import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sparrot import _sparrot
from sparrot._native import Status, simd_level
from sparrot._validation import (
    FloatArray,
    as_choice,
    as_count,
    as_positive,
    as_threads,
    as_weight_pair,
)
from sparrot.errors import InvalidInputError
from sparrot.transport._cost import REG_SCALES, Cost, as_unit
from sparrot.transport._init import as_init
from sparrot.transport._mass import Mass, read_only
from sparrot.transport._run import IterationState
from sparrot.transport._sparse_result import SparseTransportResult

RECOVERIES = ("polish", "dual", "round")

# What the marginals of a plan are solved to, as a share of the mass; what is promised is 1e-9.
_MARGINAL_TOL = 1e-10
_MAX_ITER = 5_000


class SparseProblem(NamedTuple):
    """A transport problem whose plan has few entries per line."""

    cost: Cost
    a: FloatArray
    b: FloatArray
    gamma: float
    gamma_scale: str
    k: int | None
    axis: int

    @classmethod
    def of(
        cls,
        cost: Cost,
        a: object,
        b: object,
        gamma: object,
        gamma_scale: object,
        k: int | None,
        axis: object,
    ) -> "SparseProblem":
        """Check what makes the problem, but for ``k``."""
        side = as_axis(axis)
        return cls(
            cost,
            *as_weight_pair(a, b, cost.shape),
            as_gamma(gamma),
            as_choice(gamma_scale, "gamma_scale", REG_SCALES),
            None if k is None else min(k, cost.shape[side]),
            side,
        )

    def native(self, gamma: float, mass: Mass, n_threads: int | None) -> dict[str, Any]:
        """Return the problem as the solver takes it, for ``gamma`` in the units of the cost."""
        points, lines = self.ordered(mass.divide(self.a), mass.divide(self.b))
        return {
            "cost": self.cost.native,
            "lines": self.axis,
            "a": points,
            "b": lines,
            "gamma": math.ldexp(gamma, mass.exponent),
            "k": len(points) if self.k is None else self.k,
            "n_threads": n_threads,
        }

    def ordered(self, rows: Any, columns: Any) -> tuple[Any, Any]:
        """Return what belongs to points, and what to lines; or the reverse."""
        return (rows, columns) if self.axis == 0 else (columns, rows)


def as_gamma(value: object) -> float:
    """Take the weight of the squared norm."""
    gamma = as_positive(value, "gamma")
    if not 1e-290 < gamma < 1e290:
        raise InvalidInputError(f"gamma is {gamma}: needs a number between 1e-290 and 1e290")
    return gamma


def as_axis(value: object) -> int:
    """Take the axis along which entries are counted."""
    axis = as_count(value, "axis", least=0)
    if axis > 1:
        raise InvalidInputError(f"axis is {axis}: needs 0 (columns) or 1 (rows)")
    return axis


def solve_lines(
    problem: SparseProblem,
    *,
    recover: object,
    tol: object,
    max_iter: int | None,
    max_time: float | None,
    init: object,
    callback: Callable[[IterationState], object] | None,
    verbose: int,
    check_finite: bool,
    n_threads: int | None,
) -> SparseTransportResult:
    """Check the remaining arguments, call the solver, dress the answer."""
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    recover = as_choice(recover, "recover", RECOVERIES)
    share = as_positive(tol, "tol", zero=True)
    limit = _MAX_ITER if max_iter is None else as_count(max_iter, "max_iter")
    max_time = None if max_time is None else as_positive(max_time, "max_time", zero=True)
    threads = as_threads(n_threads)
    if callback is not None and not callable(callback):
        raise InvalidInputError(f"callback is {callback!r}: needs a function")
    cost_range, unit = survey(problem, check_finite=check_finite, n_threads=threads)
    gamma = require_gamma(problem.gamma * unit, problem)
    mass = Mass.of(problem.a)
    start = as_init(init, (problem.a, problem.b), (0.0, 0.0), may_be_unknown=False)
    raw = _sparrot.transport_ksparse_solve(
        problem.native(gamma, mass, threads),
        cost_range,
        None if start is None else problem.ordered(*start)[0],
        recover,
        share,
        _MARGINAL_TOL,
        limit,
        max_time,
        _observer(callback, verbose, mass),
    )
    return _dressed(problem, raw, gamma, mass, share, recover)


def survey(
    problem: SparseProblem, *, check_finite: bool, n_threads: int | None
) -> tuple[float, float]:
    """Return the range of the finite costs and the unit of gamma."""
    cost = problem.cost
    least, most, mean, not_a_cost = _sparrot.transport_survey(
        cost.native, problem.a, problem.b, False, n_threads
    )
    if check_finite and not_a_cost is not None:
        i, j, found = not_a_cost
        raise InvalidInputError(
            f"{cost.name} contains {found} at index ({i}, {j}): needs finite values, or inf where "
            "no mass may go"
        )
    if max(abs(least), abs(most)) > 1e150 and least <= most:
        raise InvalidInputError(
            f"{cost.name} has values from {least} to {most}, whose squares overflow: rescale them"
        )
    unit = 1.0
    if problem.gamma_scale != "absolute":
        largest = problem.gamma_scale == "max"
        per_line = float(problem.a.sum()) / problem.ordered(*cost.shape)[1]
        size = as_unit(
            most if largest else mean, problem.gamma_scale, cost.name, argument="gamma_scale"
        )
        unit = size / per_line
    return max(most - least, 0.0), unit


def require_gamma(gamma: float, problem: SparseProblem) -> float:
    """Refuse a weight whose product with the mass leaves the range of numbers."""
    mass = float(problem.a.sum())
    if not (1e-290 < gamma < 1e290 and 1e-290 < gamma * mass < 1e290):
        raise InvalidInputError(
            f"gamma is {gamma:g} in the units of the cost, for weights of sum {mass:g}: their "
            "product leaves the range of numbers; rescale the weights or the cost"
        )
    return gamma


def _observer(
    callback: Callable[[IterationState], object] | None, verbose: int, mass: Mass
) -> Callable[..., bool] | None:
    """Return what the native solver calls after a step, if anybody is interested."""
    verbose = as_count(int(verbose) if isinstance(verbose, bool) else verbose, "verbose", least=0)
    if callback is None and not verbose:
        return None
    phases = ("proximal", "newton")

    def observe(
        iteration: int, seconds: float, dual: float, error: float, nnz: int, phase: int
    ) -> bool:
        state = IterationState(iteration, seconds, mass.multiply(dual), error, nnz, phases[phase])
        if verbose:
            sys.stdout.write(
                f"{iteration:>8d}  {state.phase:<8}  time {seconds:8.3f} s  "
                f"dual {state.objective:+17.10e}  marginal error {error:.3e}  entries {nnz}\n"
            )
        return callback is not None and bool(callback(state))

    return observe


def as_matrix(
    lines: tuple[FloatArray, FloatArray, FloatArray], problem: SparseProblem, mass: Mass
) -> sparse.csr_array:
    """Return a plan given by its lines."""
    masses, points, starts = lines
    masses = mass.multiply(masses).astype(problem.cost.dtype, copy=False)
    kind = sparse.csc_array if problem.axis == 0 else sparse.csr_array
    return kind((masses, points, starts), shape=problem.cost.shape).tocsr()


def _dressed(
    problem: SparseProblem, raw: dict[str, Any], gamma: float, mass: Mass, tol: float, recover: str
) -> SparseTransportResult:
    status = Status(raw["status"])
    counts = np.diff(raw["plan"][2])
    k = len(raw["alpha"]) if problem.k is None else problem.k
    extra = int(np.maximum(counts - k, 0).sum())
    trace = raw["trace"]
    trace["phase"] = np.array(raw["phases"])[trace["phase"]]
    trace["objective"] = mass.multiply(trace["objective"])
    f, g = problem.ordered(raw["alpha"], raw["beta"])
    return SparseTransportResult(
        as_matrix(raw["plan"], problem, mass),
        converged=status is Status.CONVERGED,
        status=status,
        message=_message(problem, status, raw, extra, tol, recover),
        dual_value=mass.multiply(raw["dual_value"]),
        value=mass.multiply(raw["value"]),
        value_linear=mass.multiply(raw["value_linear"]),
        gap=mass.multiply(raw["gap"]),
        marginal_error=raw["marginal_error"],
        max_nnz=int(counts.max()),
        extra_nnz=extra,
        nnz=int(counts.sum()),
        n_binding=raw["n_bound"],
        potentials=(read_only(f), read_only(g)),
        n_iter=raw["n_iter"],
        n_cg=raw["n_cg"],
        k=problem.k,
        axis=problem.axis,
        gamma=gamma,
        a=read_only(problem.a),
        b=read_only(problem.b),
        tol=tol,
        trace=trace,
        timings={"solve": raw["seconds"]},
    )


def _message(
    problem: SparseProblem,
    status: Status,
    raw: dict[str, Any],
    extra: int,
    tol: float,
    recover: str,
) -> str:
    """Say how it ended, what k did, and what to do about it."""
    scale = max(abs(raw["value"]), abs(raw["dual_value"])) or 1.0
    figures = (
        f"gap {raw['gap'] / scale:.3g} of the value, marginal error {raw['marginal_error']:.3g}"
    )
    steps = f"after {raw['n_iter']} steps"
    lines = "columns" if problem.axis == 0 else "rows"
    bound = ""
    if problem.k is not None:
        bound = f"; k is binding in {raw['n_bound']} {lines}, {extra} entries of the plan exceed it"
    if recover != "polish":
        bound += f"; the plan returned is that of recover={recover!r}: {figures}"
    if status is Status.CONVERGED:
        reached = f"{figures} {steps}" if recover == "polish" else f"gap within tol {steps}"
        return f"converged: {reached}{bound}"
    advice = {
        Status.MAX_ITER: "allow more (max_iter)",
        Status.MAX_TIME: "allow more (max_time)",
        Status.CALLBACK: "the callback asked to stop",
        Status.STALLED: "rounding allows no less, or forbidden edges leave no feasible plan; "
        "accept this gap, or use a larger gamma or tol",
    }[status]
    reached = f"{figures} {steps}, tol={tol:g}" if recover == "polish" else f"{steps}, tol={tol:g}"
    return f"not converged ({status.value}): {reached}: {advice}{bound}"

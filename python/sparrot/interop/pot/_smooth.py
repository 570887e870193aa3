"""What POT's ``smooth_ot_dual`` and ``smooth_ot_semi_dual`` share.

POT's duals are ours: ``alpha + beta`` are the potentials of the same plan, and ``-res.fun`` is
``dual_value``. Only its entropy has ``reg`` more in the sum of its potentials, as it writes the
plan ``exp((alpha + beta - M) / reg - 1)``.
"""

import warnings
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from sparrot import Status
from sparrot._validation import FloatArray, as_count, as_positive
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.interop.pot._input import Limits, given_weights, same_mass, unsupported
from sparrot.interop.pot._solver import costs_from_matrix, run, typed_for
from sparrot.transport import SparseTransportResult, TransportResult
from sparrot.transport._lines import SparseProblem, solve_lines

_KINDS = {
    "l2": "l2",
    "squaredl2": "l2",
    "entropic": "kl",
    "negentropy": "kl",
    "kl": "kl",
    "sparsity_constrained": "sparse",
    "sparsity-constrained": "sparse",
}

Solved = SparseTransportResult | TransportResult


def smooth_plan(
    a: object,
    b: object,
    M: object,
    reg: object,
    *,
    reg_type: object,
    max_nz: object,
    limits: Limits,
    verbose: object,
    log: object,
    semi_dual: bool,
) -> Any:
    """Return the plan, and the log of either function; warn the caller of the caller."""
    kind = _as_kind(reg_type)
    weight = as_positive(reg, "reg")
    if not limits.stop < np.inf:
        raise InvalidInputError(f"stopThr is {limits.stop}: needs a finite number")
    # As in POT, max_nz is looked at only where it has a meaning.
    k = as_count(max_nz, "max_nz") if kind == "sparse" else None
    rows, columns = given_weights(a, "a"), given_weights(b, "b")
    costs = typed_for(costs_from_matrix(M), rows, columns)
    columns = same_mass(rows, columns)
    result: Solved
    if kind == "kl":
        result = run(
            costs, rows, columns, weight, limits=limits, init=None, verbose=verbose, warn=False
        )
        reached = _error(result) <= limits.stop
    else:
        result = solve_lines(
            SparseProblem.of(costs, rows, columns, weight, "absolute", k, 0),
            # POT's plan is that of its potentials. Without k it is the same.
            recover="polish" if k is None else "dual",
            tol=limits.stop,
            max_iter=limits.max_iter,
            max_time=None,
            init=None,
            callback=None,
            verbose=int(bool(verbose)),
            check_finite=True,
            n_threads=None,
        )
        reached = result.converged
    if not reached:
        warnings.warn(_message(result, limits, reached), ConvergenceWarning, stacklevel=3)
    if not log:
        return result.plan
    alpha, beta = _potentials(result, semi_dual=semi_dual)
    found = {"alpha": alpha.astype(costs.dtype)}
    if not semi_dual:
        found["beta"] = beta.astype(costs.dtype)
    written = {
        "res": _as_scipy(result, [alpha] if semi_dual else [alpha, beta], limits, reached),
        "result": result,
    }
    return result.plan, found | written


def _as_kind(reg_type: object) -> str:
    kind = _KINDS.get(reg_type.lower()) if isinstance(reg_type, str) else None
    if kind is None:
        raise unsupported("reg_type", reg_type, "use 'l2', 'kl' or 'sparsity_constrained'")
    return kind


def _error(result: Solved) -> float:
    """Return the sum of absolute errors of both marginals."""
    return float(result.marginal_error * result.a.sum())


def _potentials(result: Solved, *, semi_dual: bool) -> tuple[FloatArray, FloatArray]:
    """Return the potentials with POT's choice of the constant that can go from one to the other.

    Its method starts from zeros, and its steps have equal sums on both sides; those of the
    semi-dual sum to 0.
    """
    alpha, beta = (np.array(side) for side in result.potentials)
    # Points without mass, which are at -inf here, have no say.
    sums = [side[np.isfinite(side)].sum() for side in (alpha, beta)]
    counts = [np.isfinite(side).sum() for side in (alpha, beta)]
    if semi_dual:
        return alpha - sums[0] / counts[0], beta
    surplus = result.reg if isinstance(result, TransportResult) else 0.0
    shift = (sums[1] - sums[0] + counts[1] * surplus) / (counts[0] + counts[1])
    return alpha + shift, beta + (surplus - shift)


def _as_scipy(
    result: Solved, unknowns: list[FloatArray], limits: Limits, reached: bool
) -> OptimizeResult:
    """Return what a minimiser of the negative dual would have said."""
    sums = result.plan.sum(1, dtype=np.float64), result.plan.sum(0, dtype=np.float64)
    gradient = [found - asked for found, asked in zip(sums, (result.a, result.b), strict=True)]
    missed = 1 if result.status is Status.MAX_ITER else 2  # the numbers of L-BFGS-B
    return OptimizeResult(
        x=np.concatenate(unknowns),
        fun=-result.dual_value,
        jac=np.concatenate(gradient[: len(unknowns)]),
        nit=result.n_iter,
        success=reached,
        status=0 if reached else missed,
        message=_message(result, limits, reached),
    )


def _message(result: Solved, limits: Limits, reached: bool) -> str:
    """Say how it ended in POT's words."""
    if isinstance(result, TransportResult):
        how_far = f"marginal error {_error(result):.3g} after {result.n_iter} iterations"
    elif result.k is None:
        value = max(abs(result.value), abs(result.dual_value)) or 1.0
        how_far = f"gap {result.gap / value:.3g} of the value after {result.n_iter} iterations"
    else:  # the gap is of a plan with exact marginals, which this one does not have
        how_far = f"{result.n_iter} iterations"
    binding = ""
    if isinstance(result, SparseTransportResult) and result.k is not None and result.n_binding:
        binding = (
            f"; max_nz is binding in {result.n_binding} columns, and the marginals of the plan are "
            f"wrong by {_error(result):.3g}"
        )
    if reached:
        return f"converged: {how_far}{binding}"
    advice = (
        "allow more (numItermax) or use a larger reg"
        if result.status is Status.MAX_ITER
        else "rounding allows no less, or forbidden edges leave no plan; use a larger reg"
    )
    return f"stopThr={limits.stop:g} is not reached: {how_far}: {advice}{binding}"

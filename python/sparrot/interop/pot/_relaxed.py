"""What POT's functions for relaxed marginals share."""

from typing import Any

import numpy as np

from sparrot._validation import FloatArray, as_floats, as_number
from sparrot.interop.pot._entropic import histograms_of, solve_each, starts_of
from sparrot.interop.pot._input import (
    Limits,
    Start,
    as_word,
    given_weights,
    numpy_only,
    tell,
    unsupported,
)
from sparrot.interop.pot._log import relaxed_log
from sparrot.interop.pot._points import unif
from sparrot.interop.pot._result import OTResult
from sparrot.interop.pot._solver import FIXED, costs_from_matrix, run_relaxed, typed_for
from sparrot.transport._unbalanced import REG_TYPES, as_prices

METHODS = (
    "sinkhorn",
    "sinkhorn_stabilized",
    "sinkhorn_translation_invariant",
    "sinkhorn_reg_scaling",
)
"""Those of :func:`sinkhorn_unbalanced`."""


def relaxed_plan(
    a: object,
    b: object,
    M: object,
    reg: object,
    reg_m: object,
    *,
    reg_type: object,
    c: object,
    warmstart: object,
    limits: Limits,
    verbose: object,
    log: object,
    attribute: str = "plan",
) -> Any:
    """Return the plan, or what ``attribute`` of :class:`OTResult` is asked for instead.

    For several histograms ``b`` always the cost of each.
    """
    costs = costs_from_matrix(M)
    weights_a, weights_b = given_weights(a, "a"), given_weights(b, "b", ndim=(1, 2))
    costs = typed_for(costs, weights_a, weights_b)
    prices = as_relaxation(reg_m, "reg_m")
    histograms, several = histograms_of(weights_b)
    kind = as_word(reg_type, "reg_type", REG_TYPES)
    if several:
        kind = _entropy_for_several(kind)
        if attribute == "value":
            tell("returnCost is 'total': for several histograms the linear costs, as in POT")
    check_reference(c, weights_a, histograms[0], costs.shape, kind)
    starts = starts_of(warmstart, "sinkhorn", reg, len(histograms), several=several)

    def solve(histogram: FloatArray | None, start: Start) -> OTResult:
        result = run_relaxed(
            costs,
            weights_a,
            histogram,
            reg,
            prices,
            kind,
            limits=limits,
            init=start,
            verbose=verbose,
            warn=True,
        )
        return OTResult(result, dtype=costs.dtype, entropy=kind == "entropy", relaxed=True)

    each = solve_each(solve, histograms, starts, several=several)
    if not several:
        answer = getattr(each[0], attribute)
        return (answer, each[0].log) if log else answer
    losses = np.array([one.value_linear for one in each])
    if not log:
        return losses
    logu, logv = (np.stack(side, 1) for side in zip(*(one.potentials for one in each), strict=True))
    results = [one.result for one in each]
    return losses, relaxed_log(logu, logv, results) | {"result": results}


def as_relaxation(value: object, name: str) -> tuple[float, float]:
    """Take the price of missing a marginal, or one for each side; infinite ones fix them.

    POT takes a sequence of one price too.
    """
    given = numpy_only(value, name)
    parts: list[object] = [given]
    if isinstance(given, tuple | list | np.ndarray) and np.ndim(given) == 1:
        parts = list(given)
    numbers = [as_number(part, name) for part in parts]
    if len(numbers) in (1, 2) and set(numbers) == {np.inf}:
        return FIXED
    return as_prices(numbers[0] if len(numbers) == 1 else numbers, name)


def check_reference(
    c: object, a: FloatArray | None, b: FloatArray | None, shape: tuple[int, int], kind: str
) -> None:
    """Refuse a measure, for the entropy to be relative to, that the solver does not have."""
    if c is None:
        return
    given = as_floats(numpy_only(c, "c"), "c", ndim=2)
    if kind == "entropy":
        tell("c is ignored where the entropy is relative to 1, as in POT")
        return
    ours = np.outer(unif(shape[0]) if a is None else a, unif(shape[1]) if b is None else b)
    rounding = 8 * np.finfo(np.result_type(given, ours)).eps
    if given.shape != ours.shape or not np.allclose(given, ours, rtol=rounding, atol=0):
        raise unsupported(
            "c",
            given,
            "the entropy is relative to numpy.outer(a, b); for one relative to c, take "
            "M - reg * numpy.log(c / numpy.outer(a, b)) for the costs",
        )


def _entropy_for_several(kind: str) -> str:
    if kind == "kl":
        tell("reg_type is 'kl': for several histograms 'entropy' is used, as in POT")
    return "entropy"

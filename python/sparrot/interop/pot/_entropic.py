"""What POT's functions on a given pair of distributions share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from sparrot._validation import FloatArray, as_positive
from sparrot.errors import InvalidInputError, SparrotError
from sparrot.interop.pot._input import Limits, Start, as_pair, given_weights, same_mass
from sparrot.interop.pot._log import write_log
from sparrot.interop.pot._solver import run, typed_for
from sparrot.transport import TransportResult
from sparrot.transport._cost import Cost

Result = TypeVar("Result")

METHODS = (
    "sinkhorn",
    "sinkhorn_log",
    "greenkhorn",
    "sinkhorn_stabilized",
    "sinkhorn_epsilon_scaling",
)
"""Those of :func:`sinkhorn`."""

SEVERAL_METHODS = ("sinkhorn", "sinkhorn_log", "sinkhorn_stabilized")
"""Those of :func:`sinkhorn2`, and those that take several histograms."""


def plan_or_losses(costs: Cost, a: object, b: object, reg: object, **request: Any) -> Any:
    """Return the plan, or for several histograms ``b`` the cost of each."""
    return _entropic(costs, a, b, reg, answer=_plan, **request)


def loss(costs: Cost, a: object, b: object, reg: object, **request: Any) -> Any:
    """Return the cost of the plan, for each histogram of ``b``."""
    return _entropic(costs, a, b, reg, answer=_loss, **request)


def _plan(result: TransportResult, dtype: np.dtype[Any]) -> Any:
    return result.plan


def _loss(result: TransportResult, dtype: np.dtype[Any]) -> Any:
    return dtype.type(result.value_linear)


def _entropic(
    costs: Cost,
    a: object,
    b: object,
    reg: object,
    *,
    answer: Callable[[TransportResult, np.dtype[Any]], Any],
    method: str,
    limits: Limits,
    warmstart: object,
    verbose: object,
    log: object,
    warn: object,
) -> Any:
    weights_a = given_weights(a, "a")
    weights_b = given_weights(b, "b", ndim=(1, 2) if method in SEVERAL_METHODS else 1)
    costs = typed_for(costs, weights_a, weights_b)
    dtype = costs.dtype
    histograms, several = histograms_of(weights_b)
    starts = starts_of(warmstart, method, reg, len(histograms), several=several)

    def solve(histogram: FloatArray | None, start: Start) -> TransportResult:
        return run(
            costs,
            weights_a,
            same_mass(weights_a, histogram),
            reg,
            limits=limits,
            init=start,
            verbose=verbose,
            warn=warn,
        )

    results = solve_each(solve, histograms, starts, several=several)
    value = (
        np.array([_loss(result, dtype) for result in results])
        if several
        else answer(results[0], dtype)
    )
    if not log:
        return value
    return value, write_log(method, results, several=several, dtype=dtype, warn=warn)


def histograms_of(b: FloatArray | None) -> tuple[list[FloatArray | None], bool]:
    """Return the histograms, and whether the user has them as columns, if only one."""
    if b is None or b.ndim == 1:
        return [b], False
    return list(b.T), True


def solve_each(
    solve: Callable[[FloatArray | None, Start], Result],
    histograms: list[FloatArray | None],
    starts: list[Start],
    *,
    several: bool,
) -> list[Result]:
    """Solve for each histogram; errors say for which."""
    results = []
    for k, (histogram, start) in enumerate(zip(histograms, starts, strict=True)):
        with _naming_the_column(k if several else None):
            results.append(solve(histogram, start))
    return results


def starts_of(
    warmstart: object, method: str, reg: object, count: int, *, several: bool
) -> list[Start]:
    """Return the potentials to start from, for each histogram.

    POT's methods with potentials in their log take those, the others the logarithms of ``u`` and
    ``v``. For several histograms "sinkhorn_log" takes a pair for each; the others take two arrays
    with a column for each, or one pair for all.
    """
    if warmstart is None:
        return [None] * count
    in_cost_units = method in ("sinkhorn_stabilized", "sinkhorn_epsilon_scaling")
    unit = 1.0 if in_cost_units else as_positive(reg, "reg")
    if not (several and method == "sinkhorn_log"):
        u, v = as_pair(warmstart, "warmstart")
        pairs = [
            (_column(u, k, count, several), _column(v, k, count, several)) for k in range(count)
        ]
        return [(unit * u, unit * v) for u, v in pairs]
    if not isinstance(warmstart, tuple | list) or len(warmstart) != count:
        raise InvalidInputError(
            f"warmstart is a {type(warmstart).__name__}: needs a list of {count} pairs, one for "
            "each column of b"
        )
    starts: list[Start] = []
    for k, given in enumerate(warmstart):
        pair = None if given is None else as_pair(given, f"warmstart[{k}]")
        starts.append(None if pair is None else (unit * pair[0], unit * pair[1]))
    return starts


def _column(start: FloatArray, k: int, count: int, several: bool) -> FloatArray:
    if start.ndim == 1:
        return start
    if not several or start.shape[1] != count:
        raise InvalidInputError(
            f"warmstart has an array of shape {start.shape}: needs one dimension, or a column for "
            f"each of {count} histograms"
        )
    return start[:, k]


@contextmanager
def _naming_the_column(k: int | None) -> Iterator[None]:
    try:
        yield
    except SparrotError as error:
        if k is not None:
            error.add_note(f"in column {k} of b")
        raise

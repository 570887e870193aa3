"""Answers that leave the plan where it is: in the points and the potentials."""

from typing import Any

import numpy as np

from sparrot._validation import FloatArray, as_count
from sparrot.errors import InvalidInputError
from sparrot.interop.pot._input import Limits, as_pair, given_weights, same_mass
from sparrot.interop.pot._log import LogScalings, errors
from sparrot.interop.pot._points import LazyPlan
from sparrot.interop.pot._solver import costs_from_points, run
from sparrot.transport import TransportResult


def solve_lazily(
    x: FloatArray,
    y: FloatArray,
    reg: float,
    a: object,
    b: object,
    metric: Any,
    *,
    limits: Limits,
    warmstart: object,
    verbose: object,
    warn: object,
) -> tuple[TransportResult, dict[str, Any]]:
    """Return a result, and the log that POT has of it."""
    costs = costs_from_points(x, y, metric)
    weights_a, weights_b = given_weights(a, "a"), given_weights(b, "b")
    init = None
    if warmstart is not None:
        u, v = as_pair(warmstart, "warmstart")
        init = (reg * u, reg * v)
    result = run(
        costs,
        weights_a,
        same_mass(weights_a, weights_b),
        reg,
        limits=limits,
        init=init,
        verbose=verbose,
        warn=warn,
    )
    return result, lazy_log(result, costs.dtype, points=(x, y), metric=metric)


def lazy_log(
    result: TransportResult,
    dtype: np.dtype[Any],
    *,
    points: tuple[FloatArray, FloatArray],
    metric: Any,
) -> dict[str, Any]:
    """Return POT's log, in which ``u`` and ``v`` are logarithms for once."""
    logs = LogScalings.of(result)
    return {
        "u": logs.u.astype(dtype),
        "v": logs.v.astype(dtype),
        "err": errors([result]),
        "niter": max(0, result.n_iter - 1),
        "lazy_plan": LazyPlan(points, metric, logs, result.reg),
        "result": result,
    }


def check_batch_size(value: object, name: str = "batchSize") -> None:
    """Refuse what POT refuses, though blocks are ours to choose."""
    sizes = value if isinstance(value, tuple) else (value, value)
    if len(sizes) != 2:
        raise InvalidInputError(f"{name} is {value!r}: needs an integer or two")
    for size in sizes:
        as_count(size, name)

"""Costs as the native solver takes them, and a first look at them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_choice, as_floats, as_points, as_positive
from sparrot.errors import InvalidInputError

METRICS = ("sqeuclidean", "euclidean", "cosine")
REG_SCALES = ("absolute", "max", "mean")


class Cost(NamedTuple):
    """A cost matrix, or what one is computed from."""

    native: Any
    """The matrix, or ``(metric, X, Y)`` in float64 by rows."""
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    """What a plan is returned in."""
    name: str


def cost_from_matrix(value: object) -> Cost:
    """Take a cost matrix: any layout, float32 or float64, ``inf`` for forbidden edges."""
    matrix = as_floats(value, "cost", ndim=2)
    n, m = matrix.shape
    if n == 0 or m == 0:
        raise InvalidInputError(f"cost has shape ({n}, {m}): needs at least one row and one column")
    return Cost(matrix, (n, m), matrix.dtype, "cost")


def cost_from_points(x: object, y: object, metric: object, *, check_finite: bool) -> Cost:
    """Take two sets of points of the same dimension."""
    metric = as_choice(metric, "metric", METRICS)
    source = as_points(x, "X", check_finite=check_finite)
    target = as_points(y, "Y", check_finite=check_finite)
    if source.shape[1] != target.shape[1]:
        raise InvalidInputError(
            f"X has {source.shape[1]} columns but Y has {target.shape[1]}: "
            "points of both must have the same coordinates"
        )
    for points, name in ((source, "X"), (target, "Y")):
        largest = float(np.abs(points).max())
        if largest != 0 and not 1e-140 < largest < 1e140:
            raise InvalidInputError(
                f"{name} has {largest} as its largest coordinate, whose square is out of range: "
                "rescale the points (the same for X and Y) to between 1e-140 and 1e140"
            )
    native = (
        metric,
        np.ascontiguousarray(source, dtype=np.float64),
        np.ascontiguousarray(target, dtype=np.float64),
    )
    dtype = np.result_type(source, target)
    return Cost(native, (source.shape[0], target.shape[0]), dtype, f"the {metric} cost of X and Y")


def scaled_regs(
    regs: Sequence[object],
    reg_scale: object,
    cost: Cost,
    a: FloatArray,
    b: FloatArray,
    *,
    stores_plan: bool,
    check_finite: bool,
    n_threads: int | None,
) -> tuple[list[float], float, float | None]:
    """Return regularisations in the units of the cost, their unit, and the range if looked at."""
    values = [as_reg(reg) for reg in regs]
    scale = as_choice(reg_scale, "reg_scale", REG_SCALES)
    if scale == "absolute" and not check_finite:
        return values, 1.0, None
    least, most, mean, not_a_cost = _sparrot.transport_survey(
        cost.native, a, b, stores_plan, n_threads
    )
    if check_finite and not_a_cost is not None:
        i, j, found = not_a_cost
        raise InvalidInputError(
            f"{cost.name} contains {found} at index ({i}, {j}): needs finite values, or inf where "
            "no mass may go"
        )
    unit = 1.0
    if scale != "absolute":
        unit = as_unit(most if scale == "max" else mean, scale, cost.name)
        values = [value * unit for value in values]
    if least > most:  # not one finite cost: the solver says which point cannot be reached
        return values, unit, 0.0
    require_range(min(values), least, most)
    return values, unit, most - least


def as_reg(reg: object) -> float:
    """Take a regularisation, in any unit."""
    value = as_positive(reg, "reg")
    if not 1e-290 < value < 1e290:
        raise InvalidInputError(f"reg is {value}: needs a number between 1e-290 and 1e290")
    return value


def as_unit(unit: float, scale: str, name: str, argument: str = "reg_scale") -> float:
    """Take the largest or the mean cost as the unit of the regularisation."""
    if unit < 0 or not math.isfinite(unit):
        raise InvalidInputError(
            f"{argument} is {scale!r} but the {scale} of {name} is {unit}: "
            f"needs a non-negative one; use {argument}='absolute'"
        )
    # Where every cost is 0 any reg gives the same plan, a b' / mass.
    return unit if unit > 0 else 1.0


def require_range(reg: float, least: float, most: float) -> None:
    """Refuse costs that overflow when divided by ``reg``."""
    if max(abs(least), abs(most)) / reg > 1e290:
        raise InvalidInputError(
            f"reg is {reg} for costs from {least} to {most}: cost / reg overflows; use a larger "
            "reg or rescale the cost"
        )

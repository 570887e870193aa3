"""What coefficients may be: bounds, of which ``positive=True`` is a special case."""

from typing import Any, NamedTuple

import numpy as np

from sparrot._validation import FloatArray, as_flag, as_floats
from sparrot.errors import InvalidInputError


class Bounds(NamedTuple):
    """Lower and upper bounds of coefficients: two numbers, or an array each."""

    lower: Any
    upper: Any

    @property
    def ends(self) -> tuple[float, float] | tuple[FloatArray, FloatArray]:
        """As the native solvers take them."""
        return (self.lower, self.upper)

    def confine(self, coef: FloatArray) -> FloatArray:
        """Return the nearest coefficients that are allowed; a row for each response."""
        nearest: FloatArray = np.clip(coef, self.lower, self.upper)
        return nearest

    def to_round(self, coef: FloatArray, columns: FloatArray, dtype: Any) -> FloatArray:
        """Return coefficients of these columns, one in a row, that rounding leaves within."""
        lower, upper = (
            np.float64(end) if np.ndim(end) == 0 else end[columns, None] for end in self
        )
        with np.errstate(over="ignore"):
            rounded = coef.astype(dtype)
        is_outside = (rounded < lower) | (rounded > upper)
        return np.where(is_outside, np.nextafter(rounded, dtype(0)), coef)


def as_bounds(value: object, positive: object, size: int) -> Bounds:
    """Take bounds of so many coefficients, or whether they must not be negative."""
    is_positive = as_flag(positive, "positive")
    if value is None:
        return Bounds(0.0 if is_positive else -np.inf, np.inf)
    if is_positive:
        raise InvalidInputError(
            "bounds are given with positive=True, which is bounds=(0, inf): give one of the two"
        )
    pair: Any = value
    try:
        lower, upper = pair
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"bounds is {value!r}: needs (lower, upper), numbers or arrays"
        ) from None
    ends = [_as_end(end, name, size) for end, name in ((lower, "lower"), (upper, "upper"))]
    if ends[0].ndim == ends[1].ndim == 0:
        return Bounds(float(ends[0]), float(ends[1]))
    low, high = (np.ascontiguousarray(np.broadcast_to(end, size)) for end in ends)
    return Bounds(low, high)


def _as_end(value: object, name: str, size: int) -> FloatArray:
    """Take lower or upper bounds: 0 must be within."""
    end = as_floats(value, f"bounds: {name}", ndim=(0, 1)).astype(np.float64)
    if end.ndim == 1 and end.shape[0] != size:
        raise InvalidInputError(
            f"bounds: {name} has {end.shape[0]} values for {size} columns of X: needs a number, or "
            "one for each"
        )
    is_right = end <= 0 if name == "lower" else end >= 0
    if not is_right.all():
        j = int(np.flatnonzero(~is_right)[0])
        at = f"{name}[{j}] is {end[j]}" if end.ndim else f"{name} is {end}"
        sign = "at most" if name == "lower" else "at least"
        raise InvalidInputError(
            f"bounds: {at}: needs {sign} 0: a coefficient must be allowed to be 0"
        )
    return end

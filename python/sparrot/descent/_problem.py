"""What all problems have: the penalty, and where to start."""

import math
from typing import Any

import numpy as np

from sparrot._validation import FloatArray, as_floats, as_number, require_finite
from sparrot.errors import InvalidInputError


class Problem:
    """A smooth convex function with L1 norms and bounds. Its data is not copied: do not change it.

    Attributes
    ----------
    shape : tuple of int
        The shape of x.
    """

    shape: tuple[int, ...]
    _native: tuple[Any, ...]

    def _set_penalty(self, l1: object, bounds: object) -> None:
        self._l1 = self._numbers(l1, "l1", infinite=False)
        if (np.asarray(self._l1) < 0).any():
            raise InvalidInputError(
                f"l1 has a value of {np.min(self._l1)}: needs non-negative weights"
            )
        if not isinstance(bounds, tuple | list) or len(bounds) != 2:
            raise InvalidInputError(f"bounds is {bounds!r}: needs a pair (lower, upper)")
        self._lower = self._numbers(bounds[0], "bounds[0]", infinite=True)
        self._upper = self._numbers(bounds[1], "bounds[1]", infinite=True)
        lower, upper = np.broadcast_arrays(self._lower, self._upper)
        is_empty = (lower > upper) | (lower == np.inf) | (upper == -np.inf)
        if is_empty.any():
            i = int(np.flatnonzero(is_empty)[0])
            raise InvalidInputError(
                f"bounds are {lower.flat[i]} and {upper.flat[i]} for variable {i}: no number lies "
                "between them"
            )

    def _numbers(self, value: object, name: str, *, infinite: bool) -> float | FloatArray:
        """Take one number for all variables, or one for each."""
        try:
            is_number = np.ndim(value) == 0  # type: ignore[arg-type]
        except ValueError as error:
            raise InvalidInputError(f"{name} cannot be read as an array: {error}") from None
        if is_number:
            number = as_number(value, name)
            if math.isnan(number) or (math.isinf(number) and not infinite):
                raise InvalidInputError(f"{name} is {number}: needs a finite number")
            return number
        array = as_floats(value, name, ndim=len(self.shape))
        if array.shape != self.shape:
            raise InvalidInputError(
                f"{name} has shape {array.shape}: needs a number, or one for each variable, "
                f"{self.shape}"
            )
        if infinite:
            if np.isnan(array).any():
                raise InvalidInputError(f"{name} contains NaN: needs numbers")
        else:
            require_finite(array, name)
        return np.ascontiguousarray(array, dtype=np.float64).ravel()

    @property
    def _penalty(self) -> list[float | FloatArray]:
        return [self._l1, self._lower, self._upper]

    def _start(self, x0: object) -> FloatArray:
        """Take the first point, which is 0 or what is nearest within the bounds by default."""
        size = math.prod(self.shape)
        if x0 is None:
            return np.clip(np.zeros(size), self._lower, self._upper)
        array = as_floats(x0, "x0", ndim=len(self.shape))
        if array.shape != self.shape:
            raise InvalidInputError(f"x0 has shape {array.shape}: needs {self.shape}")
        require_finite(array, "x0")
        start = np.ascontiguousarray(array, dtype=np.float64).ravel()
        is_outside = (start < self._lower) | (start > self._upper)
        if is_outside.any():
            i = int(np.flatnonzero(is_outside)[0])
            raise InvalidInputError(
                f"x0 has {start[i]} for variable {i}, outside its bounds: clip it"
            )
        return start

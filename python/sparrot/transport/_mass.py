"""Weights of any total mass, for a solver that wants about 1.

The solver gets the weights divided by a power of two, which rounds nothing; what it returns is
multiplied back. With ``P = s P'``, ``s = 2**exponent``: ``f = f' + reg log s``, and
``sum(P log P) = s (sum(P' log P') + log s sum(P'))``.
"""

import math
from typing import NamedTuple, TypeVar

import numpy as np

from sparrot._validation import FloatArray

Number = TypeVar("Number", float, FloatArray)


class Mass(NamedTuple):
    """The power of two that the weights were divided by."""

    exponent: int

    @classmethod
    def of(cls, weights: FloatArray) -> "Mass":
        """Take the power of two that leaves a mass from 1 to 2."""
        return cls(math.frexp(float(weights.sum()))[1] - 1)

    def divide(self, weights: FloatArray) -> FloatArray:
        """Return the weights for the solver."""
        return np.ldexp(weights, -self.exponent) if self.exponent else weights

    def multiply(self, value: Number) -> Number:
        """Return a cost or a plan for the user, from that of the solver."""
        if not self.exponent:
            return value
        scaled = np.ldexp(value, self.exponent)
        return float(scaled) if isinstance(value, float) else scaled

    def shift(self, reg: float) -> float:
        """Return what the potential of the rows gains."""
        return reg * self.exponent * math.log(2)

    def objective(self, value: Number, reg: float, total: float) -> Number:
        """Return a regularised cost for the user; ``total`` is the solver's plan's mass."""
        return self.multiply(value + self.shift(reg) * total)


def read_only(array: FloatArray) -> FloatArray:
    """Make an array read-only, and return it."""
    array.flags.writeable = False
    return array

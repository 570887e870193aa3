"""What marginals a plan has, or should have: weights for the solver, answers for the user.

The solver gets the weights divided by a power of two, see :mod:`sparrot.transport._mass`, and
writes the plan as ``exp((f[:, None] + g - C) / reg)``. Its ``f`` and ``g`` differ from the user's
by ``offsets``.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from sparrot._validation import FloatArray, as_weight_pair, as_weights
from sparrot.errors import InvalidInputError
from sparrot.transport._mass import Mass

Pair = tuple[FloatArray, FloatArray]

# Beyond, products of the one with logarithms of weights leave the range of the other.
_FARTHEST = 1e100


class FixedMarginals(NamedTuple):
    """Marginals that the plan has exactly."""

    weights: Pair
    units: Pair
    mass: Mass

    @classmethod
    def of(cls, a: object, b: object, shape: tuple[int, int]) -> "FixedMarginals":
        """Check the weights."""
        weights = as_weight_pair(a, b, shape)
        mass = Mass.of(weights[0])
        return cls(weights, (mass.divide(weights[0]), mass.divide(weights[1])), mass)

    def in_units_of_cost(self, unit: float, reg: float) -> "FixedMarginals":
        """Return the same with prices, which there are not, in the units of the cost."""
        return self

    def relaxation(self) -> None:
        """Return what the solver is told of prices."""

    def offsets(self, reg: float, translation: float) -> tuple[float, float]:
        """Return what the solver's potentials have on top of the user's."""
        return -self.mass.shift(reg), 0.0

    def objective(self, value: Any, reg: float) -> Any:
        """Return a dual value for the user."""
        return self.mass.objective(value, reg, float(self.units[0].sum()))

    def value(self, raw: dict[str, Any], reg: float) -> float:
        """Return the objective of the plan for the user."""
        return self.mass.objective(float(raw["value"]), reg, raw["total"])

    def plan_weights(self, raw: dict[str, Any], reg: float) -> Pair:
        """Return what rows and columns of the solver's plan sum to, 0 for those without mass."""
        return self.units


class RelaxedMarginals(NamedTuple):
    """Marginals that the plan may miss at a price.

    With ``P = s P'``, ``s = 2**exponent``, and weights ``a = s a'``, ``b = s b'``, the relative
    entropy to ``a b'`` of ``P`` is ``s`` times that of ``P'`` to ``s a' b'``, and
    ``sum(P (log P - 1))`` is ``s`` times the relative entropy of ``P'`` to ``1 / s``, up to its
    constant.
    """

    weights: Pair
    units: Pair
    mass: Mass
    log_references: Pair
    reference_mass: float
    reg_m: tuple[float, float]
    """The prices: infinite for a marginal that is fixed."""

    @classmethod
    def of(
        cls,
        a: object,
        b: object,
        shape: tuple[int, int],
        reg_m: tuple[float, float],
        reg_type: str,
    ) -> "RelaxedMarginals":
        """Check the weights; ``reg_m`` and ``reg_type`` have been checked."""
        weights = as_weights(a, "a", shape[0]), as_weights(b, "b", shape[1])
        mass = Mass.of(np.concatenate(weights))
        units = mass.divide(weights[0]), mass.divide(weights[1])
        scale = mass.exponent * math.log(2)
        if reg_type == "kl":
            references = logarithms(units[0]) + scale, logarithms(units[1])
            reference_mass = mass.multiply(float(units[0].sum()) * float(units[1].sum()))
        else:
            references = np.full(shape[0], -scale), np.zeros(shape[1])
            reference_mass = 0.0
        return cls(weights, units, mass, references, reference_mass, reg_m)

    def in_units_of_cost(self, unit: float, reg: float) -> "RelaxedMarginals":
        """Return the same with prices in the units of the cost, not in that one."""
        prices = unit * self.reg_m[0], unit * self.reg_m[1]
        for given, price in zip(self.reg_m, prices, strict=True):
            if not math.isinf(given) and not reg / _FARTHEST < price < reg * _FARTHEST:
                raise InvalidInputError(
                    f"reg_m is {price} for a reg of {reg}: needs a price within a factor of "
                    f"{_FARTHEST:g}, or inf for a marginal that is fixed"
                )
        return self._replace(reg_m=prices)

    def relaxation(self) -> tuple[float, float, FloatArray, FloatArray, float]:
        """Return what the solver is told of prices."""
        return *self.reg_m, *self.log_references, self.reference_mass

    def offsets(self, reg: float, translation: float) -> Pair:
        """Return what the solver's potentials have on top of the user's."""
        return (
            reg * self.log_references[0] + translation,
            reg * self.log_references[1] - translation,
        )

    def objective(self, value: Any, reg: float) -> Any:
        """Return a dual value for the user."""
        return self.mass.multiply(value)

    def value(self, raw: dict[str, Any], reg: float) -> float:
        """Return the objective of the plan for the user."""
        return self.mass.multiply(float(raw["value"]))

    def plan_weights(self, raw: dict[str, Any], reg: float) -> Pair:
        """Return what rows and columns of the solver's plan sum to, 0 for those without mass."""
        offsets = self.offsets(reg, raw["translation"])
        a, b = (
            _target(self.units[k], raw[name] - offsets[k], self.reg_m[k])
            for k, name in enumerate(("f", "g"))
        )
        return a, b


def _target(weights: FloatArray, potential: FloatArray, rho: float) -> FloatArray:
    """Return what a potential makes of the weights."""
    known = np.isfinite(potential)
    return np.where(known, weights * np.exp(-np.where(known, potential, 0.0) / rho), 0.0)


def logarithms(weights: FloatArray) -> FloatArray:
    """Return the logarithms of weights in float64, 0 for those that are 0."""
    return np.log(weights, out=np.zeros(weights.shape), where=weights > 0)

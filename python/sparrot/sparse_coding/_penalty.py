"""Penalties by name, and their proximal operators."""

from typing import NamedTuple

import numpy as np

from sparrot import _sparrot
from sparrot._validation import (
    FloatArray,
    as_above,
    as_choice,
    as_flag,
    as_floats,
    as_positive,
)
from sparrot.errors import InvalidInputError

# Norms beyond these have squares out of range. With larger ones CEL0's operator is that of L0, with
# smaller ones that of nothing, as it is with these.
LEAST_NORM, MOST_NORM = 1e-150, 1e150

PENALTIES = ("l1", "l0", "cel0", "mcp", "scad", "l1/2", "l2/3")


class Penalty(NamedTuple):
    """A penalty with its weight: checked."""

    name: str
    shape: float | int
    """gamma of "mcp", a of "scad"; of "largest", how many numbers stay: an integer."""
    alpha: float

    @property
    def is_convex(self) -> bool:
        """Whether there is a duality gap."""
        return self.name == "l1"

    @property
    def certificate(self) -> str:
        """What tells how far from optimal a code is."""
        return "gap" if self.is_convex else "stationarity"

    @classmethod
    def of(cls, penalty: object, alpha: object, gamma: object, a: object) -> "Penalty":
        """Check each."""
        name = as_choice(penalty, "penalty", PENALTIES)
        shape = {"mcp": as_above(gamma, "gamma", 0), "scad": as_above(a, "a", 2)}.get(name, 0.0)
        return cls(name, shape, as_positive(alpha, "alpha"))


def prox(
    penalty: str,
    u: object,
    alpha: float,
    *,
    step: float = 1.0,
    gamma: float = 3.0,
    a: float = 3.7,
    column_norm: float = 1.0,
    positive: bool = False,
) -> FloatArray:
    """Apply the proximal operator of a penalty to every number of an array.

    The minimum over ``x`` of ``(x - u)**2 / (2 * step) + alpha * phi(x)``; of several minima the
    smallest.

    Parameters
    ----------
    penalty : {"l1", "l0", "cel0", "mcp", "scad", "l1/2", "l2/3"}
        The penalty: soft and hard thresholding, firm thresholding ("mcp", "cel0"), smoothly clipped
        absolute deviations, roots.
    u : array_like
        The numbers, of any shape.
    alpha : float
        The weight of the penalty, above 0.
    step : float, default=1.0
        The step, above 0.
    gamma : float, default=3.0
        Of "mcp": how fast it levels off, above 0.
    a : float, default=3.7
        Of "scad": where it is level, in units of ``alpha``; above 2.
    column_norm : float, default=1.0
        Of "cel0": the norm of the column the number belongs to, above 0.
    positive : bool, default=False
        Whether negative numbers become 0.

    Returns
    -------
    ndarray
        Of the shape of ``u``; float32 if ``u`` is.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    See Also
    --------
    ista : Minimises with them.

    Notes
    -----
    Sources: MCP, C.-H. Zhang (2010); SCAD, Fan and Li (2001); CEL0, Soubies, Blanc-Feraud and
    Aubert (2015); L1/2, Xu, Chang, Xu and Zhang (2012); L2/3, Cao, Sun and Xu (2013).

    Examples
    --------
    >>> from sparrot.sparse_coding import prox
    >>> prox("l1", [-2.0, 0.5, 3.0], alpha=1.0)
    array([-1.,  0.,  2.])
    >>> prox("l0", [-2.0, 0.5, 3.0], alpha=1.0)
    array([-2.,  0.,  3.])
    """
    chosen = Penalty.of(penalty, alpha, gamma, a)
    numbers = as_floats(u, "u", ndim=None)
    if np.isnan(numbers).any() or np.isinf(numbers).any():
        index = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InvalidInputError(f"u contains {numbers.flat[index]} at flat index {index}")
    flat = np.array(numbers, dtype=np.float64).ravel()
    norm = min(max(as_positive(column_norm, "column_norm"), LEAST_NORM), MOST_NORM)
    _sparrot.coding_prox(
        flat,
        chosen.name,
        chosen.shape,
        chosen.alpha,
        as_positive(step, "step"),
        norm * norm,
        as_flag(positive, "positive"),
    )
    flat += 0.0  # no negative zeros
    found: FloatArray = flat.reshape(numbers.shape).astype(numbers.dtype, copy=False)
    return found

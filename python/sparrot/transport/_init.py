"""Potentials to start from."""

from typing import Any

import numpy as np

from sparrot._result import Result
from sparrot._validation import FloatArray, as_floats
from sparrot.errors import InvalidInputError
from sparrot.transport._marginals import Pair


def as_init(
    init: object, weights: Pair, offsets: tuple[Any, Any], *, may_be_unknown: bool
) -> tuple[FloatArray, FloatArray] | None:
    """Take ``(f, g)`` or a result, for the solver; points without weight may have ``-inf``.

    So may others if potentials may be unknown: the solver then looks for them.
    """
    if init is None:
        return None
    if isinstance(init, Result) and "potentials" in init:
        init = init.potentials
    if not isinstance(init, tuple | list) or len(init) != 2:
        raise InvalidInputError(
            f"init is a {type(init).__name__}: needs a pair (f, g) of potentials or a "
            "result of a solve"
        )
    f, g = (
        _potential(value, f"init[{k}]", weights, may_be_unknown)
        for k, (value, weights) in enumerate(zip(init, weights, strict=True))
    )
    return f + offsets[0], g + offsets[1]


def _potential(value: object, name: str, weights: FloatArray, may_be_unknown: bool) -> FloatArray:
    potential = as_floats(value, name, ndim=1).astype(np.float64)
    if potential.shape != weights.shape:
        raise InvalidInputError(f"{name} has {potential.size} potentials for {weights.size} points")
    if may_be_unknown:
        potential = np.where(potential == -np.inf, 0.0, potential)
    bad = np.flatnonzero(~np.isfinite(potential) & (weights > 0))
    if bad.size:
        raise InvalidInputError(
            f"{name}[{bad[0]}] is {potential[bad[0]]}: needs a finite number where there is weight"
        )
    return np.where(weights > 0, potential, 0.0)

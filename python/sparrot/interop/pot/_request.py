"""What :func:`solve` and :func:`solve_sample` are asked for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sparrot._validation import as_count, as_number, as_positive
from sparrot.errors import InvalidInputError
from sparrot.interop.pot._input import (
    Limits,
    Start,
    as_pair,
    given_weights,
    same_mass,
    unsupported,
)
from sparrot.interop.pot._relaxed import as_relaxation, check_reference
from sparrot.interop.pot._result import OTResult
from sparrot.interop.pot._solver import Solved, run, run_relaxed, typed_for
from sparrot.transport import TransportResult, UnbalancedResult
from sparrot.transport._cost import Cost


class Request(NamedTuple):
    """What both functions are asked for, checked."""

    reg: float
    reg_type: str
    prices: tuple[float, float] | None
    """Of missing the marginals; None if POT's balanced functions are to be asked."""
    c: object
    limits: Limits
    init: Start
    verbose: object

    def answer(
        self,
        costs: Cost,
        a: object,
        b: object,
        log_of: Callable[[TransportResult, np.dtype[Any]], dict[str, Any]] | None = None,
    ) -> OTResult:
        """Solve for the given costs; ``log_of`` makes the log of a lazy plan."""
        first, second = given_weights(a, "a"), given_weights(b, "b")
        costs = typed_for(costs, first, second)
        asked: dict[str, Any] = {
            "limits": self.limits,
            "init": self.init,
            "verbose": self.verbose,
            "warn": True,
        }
        result: Solved
        known: dict[str, Any] = {}
        if self.prices is None:
            result = run(costs, first, same_mass(first, second), self.reg, **asked)
            if log_of is not None:
                log = log_of(result, costs.dtype)
                known = {"log": log, "lazy_plan": log["lazy_plan"]}
        else:
            check_reference(self.c, first, second, costs.shape, self.reg_type)
            result = run_relaxed(
                costs, first, second, self.reg, self.prices, self.reg_type, **asked
            )
            if isinstance(result, UnbalancedResult) and self.reg_type == "entropy":
                # POT has another solver for this, which does not leave out the terms of mass.
                known = {"value": costs.dtype.type(result.value)}
        entropy, relaxed = self.reg_type == "entropy", self.prices is not None
        return OTResult(result, dtype=costs.dtype, entropy=entropy, relaxed=relaxed, **known)


def as_request(
    reg: object,
    reg_type: object,
    unbalanced: object,
    unbalanced_type: object,
    c: object,
    grad: object,
    max_iter: object,
    tol: object,
    potentials_init: object,
    verbose: object,
) -> Request:
    """Check what both functions take, and refuse what they do not."""
    if reg is None or (as_number(reg, "reg") == 0):
        raise unsupported(
            "reg", reg, "use a number above 0, or ot.solve of POT for exact transport"
        )
    kind = reg_type.lower() if isinstance(reg_type, str) else reg_type
    if kind not in ("kl", "entropy"):
        raise unsupported(
            "reg_type", reg_type, "use 'KL' or 'entropy', or ot.solve of POT for others"
        )
    prices = None if unbalanced is None else _prices(unbalanced, unbalanced_type)
    if c is not None and prices is None:
        raise unsupported(
            "c",
            c,
            "POT does not use it in a balanced problem; for a plan near c, take "
            "M - reg * numpy.log(c) for the costs",
        )
    if grad not in ("autodiff", "detach"):
        raise unsupported(
            "grad",
            grad,
            "the gradient of value in M is the plan, those in a and b follow from the potentials "
            "(see OTResult); use ot.solve of POT for automatic differentiation",
        )
    unit = as_positive(reg, "reg")
    init = None
    if potentials_init is not None:
        f, g = as_pair(potentials_init, "potentials_init")
        init = (unit * f, unit * g)
    stop = 1e-9 if tol is None else as_number(tol, "tol")
    if not stop >= 0:
        raise InvalidInputError(f"tol is {tol!r}: needs a number of at least 0")
    count = None if max_iter is None else as_count(max_iter, "max_iter")
    limits = Limits(stop, count, ("tol", "max_iter"), relative=prices is not None)
    return Request(unit, kind, prices, c, limits, init, verbose)


def _prices(unbalanced: object, unbalanced_type: object) -> tuple[float, float]:
    kind = unbalanced_type.lower() if isinstance(unbalanced_type, str) else unbalanced_type
    if kind != "kl":
        raise unsupported(
            "unbalanced_type", unbalanced_type, "use 'KL', or ot.solve of POT for others"
        )
    return as_relaxation(unbalanced, "unbalanced")

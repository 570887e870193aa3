"""POT's log dictionaries, from results.

With ``P = exp((f + g - M) / reg)``: POT's ``u = exp(f / reg)`` and ``v = exp(g / reg)`` are the
scalings, ``alpha = f`` and ``beta = g`` the potentials. Several histograms have a column each.
Where marginals are relaxed, and the entropy is one to ``a * b``, so are the scalings:
``P = u * exp(-M / reg) * v * a * b``.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sparrot._validation import FloatArray
from sparrot.interop.pot._input import tell
from sparrot.interop.pot._solver import Solved
from sparrot.transport import TransportResult, UnbalancedResult
from sparrot.transport._marginals import logarithms


class LogScalings(NamedTuple):
    """The logarithms of ``u`` and ``v``."""

    u: FloatArray
    v: FloatArray

    @classmethod
    def of(cls, result: Solved, *, to_weights: bool = False) -> "LogScalings":
        """Take those of a result, with the same largest entry on both sides.

        A constant can go from one to the other; this choice keeps both in range longest. Where a
        marginal is relaxed there is none to choose. Fixed marginals have their scalings relative
        to 1, or to the weights; a relaxed result has only those of its entropy.
        """
        u, v = (potential / result.reg for potential in result.potentials)
        if isinstance(result, UnbalancedResult):
            return cls(u, v)
        if to_weights:
            u, v = u - logarithms(result.a), v - logarithms(result.b)
        shift = (v.max() - u.max()) / 2
        return cls(u + shift, v - shift)

    @classmethod
    def of_each(cls, results: list[TransportResult], *, several: bool) -> "LogScalings":
        """Take those of one result, or of several as columns."""
        each = [cls.of(result) for result in results]
        if not several:
            return each[0]
        return cls(np.stack([one.u for one in each], 1), np.stack([one.v for one in each], 1))

    def exp(self, dtype: np.dtype[Any]) -> tuple[FloatArray, FloatArray]:
        """Return the scalings; those out of range are inf or 0."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.u).astype(dtype), np.exp(self.v).astype(dtype)


def write_log(
    method: str,
    results: list[TransportResult],
    *,
    several: bool,
    dtype: np.dtype[Any],
    warn: object,
) -> dict[str, Any]:
    """Return what POT's ``method`` has in its log."""
    logs = LogScalings.of_each(results, several=several)
    reg = results[0].reg
    # POT counts from 0, so that this is the number of the last iteration.
    last = max(max(result.n_iter for result in results) - 1, 0)
    log: dict[str, Any] = {"result": results if several else results[0]}
    match method:
        case "sinkhorn" | "greenkhorn":
            log["u"], log["v"] = logs.exp(dtype)
            if warn:
                _tell_if_out_of_range(logs, (log["u"], log["v"]))
        case "sinkhorn_log":
            log["log_u"], log["log_v"] = logs.u.astype(dtype), logs.v.astype(dtype)
            log["u"], log["v"] = logs.exp(dtype)
        case "sinkhorn_stabilized":
            log["logu"], log["logv"] = logs.u.astype(dtype), logs.v.astype(dtype)
    if method in ("sinkhorn_stabilized", "sinkhorn_epsilon_scaling"):
        log["alpha"], log["beta"] = (reg * logs.u).astype(dtype), (reg * logs.v).astype(dtype)
        log["warmstart"] = (log["alpha"], log["beta"])
    if method != "greenkhorn":
        log["err"] = errors(results)
    log["n_iter" if method in ("greenkhorn", "sinkhorn_stabilized") else "niter"] = last
    return log


def relaxed_log(logu: FloatArray, logv: FloatArray, results: Sequence[Solved]) -> dict[str, Any]:
    """Return what POT's unbalanced methods have in their logs, all of them."""
    return {"err": errors(results, relative=True), "logu": logu, "logv": logv}


def without_masses(result: UnbalancedResult) -> float:
    """Return the objective as POT's unbalanced methods have it.

    With ``sum(x * log(x / y))`` for each ``KL(x | y)``: that lacks ``sum(y) - sum(x)``. The
    entropy ``sum(P * (log(P) - 1))`` likewise is without its ``-sum(P)``.
    """
    masses = float(result.a.sum()), float(result.b.sum())
    reference = masses[0] * masses[1] if result.reg_type == "kl" else 0.0
    value = result.value + result.reg * (result.mass - reference)
    for price, mass in zip(result.reg_m, masses, strict=True):
        if price < np.inf:
            value += price * (result.mass - mass)
    return value


def errors(results: Sequence[Solved], *, relative: bool = False) -> list[float]:
    """Return the recorded marginal errors, the 2-norm over several problems.

    Absolute, or as shares of the mass. Problems that ended earlier stay at what they reached.
    """
    masses = [1.0 if relative else result.a.sum() for result in results]
    curves = [
        result.trace["certificate"] * mass for result, mass in zip(results, masses, strict=True)
    ]
    longest = max(len(curve) for curve in curves)
    together = [np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves]
    return [float(error) for error in np.linalg.norm(together, axis=0)]


def _tell_if_out_of_range(logs: LogScalings, scalings: tuple[FloatArray, FloatArray]) -> None:
    for exponents, values in zip(logs, scalings, strict=True):
        lost = np.isinf(values) | ((values == 0) & np.isfinite(exponents))
        if lost.any():
            tell(
                f"log['u'] and log['v'] are exponentials of up to {exponents.max():.3g}, out of "
                f"the range of {values.dtype}, and not all usable; method='sinkhorn_log' has their "
                "logarithms in log['log_u'] and log['log_v']"
            )
            return

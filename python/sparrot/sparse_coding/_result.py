"""What the batch solvers return."""

import warnings
from typing import Any

import numpy as np

from sparrot._native import Status
from sparrot._result import Result
from sparrot._validation import FloatArray
from sparrot._warnings import convergence_warning


class CodingResult(Result):
    """Codes, and how far each is from optimal.

    Attributes
    ----------
    codes : ndarray of shape (n_signals, n_atoms)
        The codes, or (n_atoms,) for a single signal.
    gap : ndarray of shape (n_signals,)
        Where the penalty is L1: how far each objective is above its optimum at most, as a share of
        the objective at 0, measured in double precision on the codes returned.
    stationarity : ndarray of shape (n_signals,)
        For other penalties instead: the length of the move that a step of the method would still
        make, over ``sqrt(step)`` and the norm of the signal. (For steps below ``1 / (A**2).sum()``
        the move is first scaled up to one of that length.)
    objective : ndarray of shape (n_signals,)
        ``((y - A @ x)**2).sum() / 2 + alpha * penalty(x).sum()``.
    n_iter : ndarray of shape (n_signals,)
        Iterations of each signal.
    step : ndarray of shape (n_signals,)
        The step of each in its last iteration.
    signal_status : ndarray of shape (n_signals,)
        How each ended: see :class:`sparrot.Status`.
    diverged : ndarray of bool, of shape (n_signals,)
        Whose iterates grew without bound, because the step was too large: they have the code they
        started from.
    converged : bool
        Whether every signal is within ``tol``.
    status : sparrot.Status
        The worst of them.
    message : str
        What happened and what to do.
    trace : dict of ndarray or None
        Where it was asked for, for the start and every five iterations what a
        :class:`CodingState` has: "iteration", "time" (seconds), "objective" (the sum over all
        signals), "certificate" (the largest), "sparsity" (numbers that are not 0, of all codes)
        and "running" (signals that are being worked on).

    See Also
    --------
    ista, fista, iht : Return it.
    """


def result_of(
    raw: dict[str, Any],
    codes: FloatArray,
    is_convex: bool,
    tol: float,
    failure: str | None = None,
) -> CodingResult:
    """Make the result, which may be told of as a failure of its own."""
    name, figures = ("gap" if is_convex else "stationarity"), raw["certificate"]
    statuses = np.array(raw["status"], dtype=np.str_)
    status, message = _summary(statuses, raw["diverged"], name, figures, tol)
    return CodingResult(
        codes=codes,
        **{name: figures},
        objective=raw["objective"],
        n_iter=raw["n_iter"],
        step=raw["step"],
        signal_status=statuses,
        diverged=raw["diverged"],
        converged=status is Status.CONVERGED,
        status=status,
        message=failure or message,
        trace=_trace(raw.get("trace")),
    )


def _trace(raw: dict[str, Any] | None) -> dict[str, Any] | None:
    """Give the columns of a trace the names they have here."""
    if raw is None:
        return None
    return {name: raw[name] for name in raw if name != "phase"} | {
        "running": raw["phase"].astype(np.int64)
    }


ADVICE = {
    Status.MAX_ITER: "allow more iterations (max_iter), or use fista",
    Status.MAX_TIME: "allow more time (max_time)",
    Status.CALLBACK: "the callback asked to stop",
    Status.STALLED: "rounding allows no less: use a larger tol, or float64",
}


def _summary(
    statuses: FloatArray, diverged: FloatArray, name: str, figures: FloatArray, tol: float
) -> tuple[Status, str]:
    missed = statuses != Status.CONVERGED.value
    if not missed.any() and tol == 0:
        return Status.CONVERGED, f"all signals are done; the largest {name} is {max(figures):.3g}"
    if not missed.any():
        return Status.CONVERGED, f"all {len(statuses)} signals are within tol={tol:g}"
    worst = max(figures[missed])
    if diverged.any():
        return Status.STALLED, (
            f"the step is too large for {int(diverged.sum())} of {len(statuses)} signals, whose "
            "iterates grew without bound; their codes are those they started from: leave step out"
        )
    order = (Status.CALLBACK, Status.STALLED, Status.MAX_TIME, Status.MAX_ITER)
    status = next(status for status in order if (statuses == status.value).any())
    if status is Status.MAX_ITER and tol == 0:
        return status, f"all iterations were done, as asked; the largest {name} is {worst:.3g}"
    return status, (
        f"{int(missed.sum())} of {len(statuses)} signals have a {name} above tol={tol:g}, "
        f"{worst:.3g} at most: {ADVICE[status]}"
    )


def warn_unless_converged(result: CodingResult, tol: float, *, stacklevel: int) -> None:
    """Tell, unless a number of iterations was asked for and done."""
    done = result.status is Status.MAX_ITER and tol == 0
    if not (result.converged or done):
        warnings.warn(
            f"not converged ({result.status.value}): {result.message}",
            convergence_warning(),
            stacklevel=stacklevel + 1,
        )

"""What the batch solvers return."""

from typing import Any

import numpy as np

from sparrot._native import Status
from sparrot._result import Result
from sparrot._validation import FloatArray
from sparrot._warnings import warn_the_caller


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
        the move is first scaled up to one of that length; of an operator that sum is estimated.)
        Of coordinate descent, each number makes a step of its own, 1 over the squared norm of its
        atom.
    objective : ndarray of shape (n_signals,)
        ``((y - A @ x)**2).sum() / 2 + alpha * penalty(x).sum()``.
    n_iter : ndarray of shape (n_signals,)
        Iterations of each signal.
    step : ndarray of shape (n_signals,)
        The step of each in its last iteration; of coordinate descent the shortest of all atoms.
    signal_status : ndarray of shape (n_signals,)
        How each ended: see :class:`sparrot.Status`.
    diverged : ndarray of bool, of shape (n_signals,)
        Whose iterates grew without bound, as with a step that is too large: they have the code they
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
    is_single: bool,
    certificate: str,
    tol: float,
    *,
    more: str = "",
    lost: tuple[str, str] = ("", ""),
    failure: str | None = None,
) -> CodingResult:
    """Make the result.

    ``more`` says what to do if iterations did not suffice, ``lost`` what made iterates grow without
    bound, and what to do; ``failure`` is a message of its own.
    """
    figures = raw["certificate"]
    advice = {
        Status.MAX_ITER: more,
        Status.MAX_TIME: "allow more time (max_time)",
        Status.CALLBACK: "the callback asked to stop",
        Status.STALLED: "rounding allows no less: use a larger tol"
        + (", or float64" if codes.dtype == np.float32 else ""),
    }
    statuses = np.array(raw["status"], dtype=np.str_)
    if raw["diverged"].any():
        status = Status.STALLED
        cause, remedy = lost
        message = (
            f"{cause} {int(raw['diverged'].sum())} of {len(statuses)} signals, whose iterates grew "
            f"without bound; their codes are those they started from: {remedy}"
        )
    else:
        status, message = _summary(statuses, certificate, figures, tol, advice)
    return CodingResult(
        codes=codes[0] if is_single else codes,
        **{certificate: figures},
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


def _summary(
    statuses: FloatArray, name: str, figures: FloatArray, tol: float, advice: dict[Status, str]
) -> tuple[Status, str]:
    missed = statuses != Status.CONVERGED.value
    if not missed.any() and tol == 0:
        return Status.CONVERGED, f"all signals are done; the largest {name} is {max(figures):.3g}"
    if not missed.any():
        return Status.CONVERGED, f"all {len(statuses)} signals are within tol={tol:g}"
    worst = max(figures[missed])
    order = (Status.CALLBACK, Status.STALLED, Status.MAX_TIME, Status.MAX_ITER)
    status = next(status for status in order if (statuses == status.value).any())
    if status is Status.MAX_ITER and tol == 0:
        return status, f"all iterations were done, as asked; the largest {name} is {worst:.3g}"
    return status, (
        f"{int(missed.sum())} of {len(statuses)} signals have a {name} above tol={tol:g}, "
        f"{worst:.3g} at most: {advice[status]}"
    )


def warn_unless_converged(result: CodingResult, tol: float) -> None:
    """Tell, unless a number of iterations was asked for and done."""
    done = result.status is Status.MAX_ITER and tol == 0
    if not (result.converged or done):
        warn_the_caller(f"not converged ({result.status.value}): {result.message}")

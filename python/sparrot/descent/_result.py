"""What block coordinate descent returns, and what a callback sees of it."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sparrot._native import Status
from sparrot._result import Result
from sparrot._validation import FloatArray


class DescentState(NamedTuple):
    """What a callback sees of an iteration."""

    iteration: int
    """Iterations done."""
    time: float
    """Seconds since the solve began."""
    objective: float
    """The objective."""
    certificate: float
    """The stationarity, where it was looked at; nan elsewhere."""
    sparsity: int
    """How many variables are not 0."""


class DescentResult(Result):
    """The solution of a problem by block coordinate descent, and how good it is.

    Frozen; fields can be read as attributes or as items. All figures are computed afresh from the
    ``x`` that is returned.

    Attributes
    ----------
    x : ndarray
        The solution, of the problem's shape.
    objective : float
        The objective at ``x``, with its L1 norms.
    stationarity : float
        The largest step that a variable would take by itself, ``max(sqrt(L) * |d|)``, over the
        largest ``|gradient| / sqrt(L)`` at x = 0. Without units; 0 only at a minimum.
    gap : float
        The objective minus a lower bound of its minimum, by weak duality. It goes to 0 where
        every variable has an L1 norm or finite bounds. Where one has neither, on the side it is
        pushed to, the bound is weak: that of a perfect fit, so that the gap stays large at the
        minimum. nan where no dual is known: quadratics, and losses of your own.
    converged : bool
        Whether ``stationarity <= tol``.
    status : sparrot.Status
        How it ended.
    message : str
        How it ended, and what to do.
    n_iter : int
        Iterations: blocks updated.
    support : ndarray of int64
        Which variables (of ``x.ravel()``) are not 0, ascending.
    support_changed : int
        After which iteration the support changed last: from there on it was that of the solution.
    tol : float
        The stationarity that was asked for.
    trace : dict of ndarray
        For the start and each iteration: "iteration", "time" (seconds), "objective",
        "certificate" (the stationarity where it was looked at, nan elsewhere) and "sparsity" (how
        many variables were not 0).
    timings : dict
        Seconds: "solve".

    See Also
    --------
    block_coordinate_descent
    """

    x: FloatArray
    objective: float
    stationarity: float
    gap: float
    converged: bool
    status: Status
    message: str
    n_iter: int
    support: npt.NDArray[np.int64]
    support_changed: int
    tol: float
    trace: dict[str, Any]
    timings: dict[str, float]

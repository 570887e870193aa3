"""From a checked problem to the result of a batch solver."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sparrot import _sparrot
from sparrot._native import simd_level
from sparrot._validation import (
    FloatArray,
    as_choice,
    as_count,
    as_flag,
    as_floats,
    as_max_time,
    as_positive,
    as_threads,
    require_finite,
)
from sparrot.errors import InvalidInputError
from sparrot.sparse_coding._dictionary import Problem, as_problem
from sparrot.sparse_coding._penalty import Penalty
from sparrot.sparse_coding._result import CodingResult, result_of, warn_unless_converged
from sparrot.sparse_coding._watching import CodingState, Watching

# Gaps that iterations in float32 always came below were up to 3e-6.
DEFAULT_TOL = {np.float64: 1e-6, np.float32: 1e-5}


class Options(NamedTuple):
    """What all batch solvers take: see :func:`ista`. Nothing is checked yet."""

    positive: bool
    step: float | str | None
    first_step: float | None
    init: object
    tol: float | str | None
    max_iter: int
    max_time: float | None
    callback: Callable[[CodingState], object] | None
    verbose: int
    trace: bool
    check_finite: bool
    n_threads: int | None


def as_tol(tol: object, dtype: Any) -> float:
    """Take a tolerance, of which there is one by default for each type; 0 for none."""
    if isinstance(tol, str):
        as_choice(tol, "tol", ("auto",))
        return DEFAULT_TOL[np.dtype(dtype).type]
    return 0.0 if tol is None else as_positive(tol, "tol", zero=True)


def _as_steps(step: object, first_step: object) -> dict[str, Any]:
    """Take a step by its length or by the way it is found."""
    first = None if first_step is None else as_positive(first_step, "first_step")
    if isinstance(step, str):
        name = as_choice(step, "step", ("adaptive", "backtracking"))
    else:
        name = "bound" if step is None else "fixed"
    if first is not None and name != "backtracking":
        raise InvalidInputError(
            f"first_step is {first_step!r} and step is {step!r}: only step='backtracking' starts "
            "from one"
        )
    if name == "fixed":
        first = as_positive(step, "step")
    return {"steps": name, "step": first}


def solve(A: object, Y: object, penalty: Penalty, momentum: str, options: Options) -> CodingResult:
    """Code signals by proximal steps."""
    problem = as_problem(A, Y, check_finite=as_flag(options.check_finite, "check_finite"))
    if problem.is_operator and penalty.name == "cel0":
        raise InvalidInputError('penalty is "cel0" and A an operator: needs A as a matrix')
    watching = Watching.of(options.callback, options.verbose, options.trace)
    tol = as_tol(options.tol, problem.signals.dtype)
    settings = {
        "penalty": penalty.name,
        "shape": penalty.shape,
        "alpha": penalty.alpha,
        "momentum": momentum,
        "positive": as_flag(options.positive, "positive"),
        **_as_steps(options.step, options.first_step),
        "tol": tol,
        "max_iter": as_count(options.max_iter, "max_iter"),
        "is_watched": watching.is_on,
    }
    codes = _start(options.init, (len(problem.signals), problem.atoms), problem)
    _require_feasible(codes, penalty, settings["positive"])
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    raw = _sparrot.coding_solve(
        problem.dictionary,
        problem.signals,
        codes,
        options.init is not None,
        settings,
        as_max_time(options.max_time),
        watching.observer(penalty.certificate),
        as_threads(options.n_threads),
    )
    result = result_of(
        raw,
        codes,
        problem.is_single,
        penalty.certificate,
        tol,
        more=_more(momentum, penalty),
        lost=_lost(settings["steps"], problem.is_operator),
    )
    warn_unless_converged(result, tol)
    return result


def _more(momentum: str, penalty: Penalty) -> str:
    """Say what to do if iterations did not suffice."""
    has_momentum = momentum != "none" or penalty.name == "largest"
    return "allow more iterations (max_iter)" + ("" if has_momentum else ", or use fista")


def _lost(steps: str, is_operator: bool) -> tuple[str, str]:
    """Say what makes iterates grow without bound, and what to do."""
    if steps == "fixed":
        return "the step is too large for", "leave step out"
    if is_operator:
        return "the functions of A fail for", "look at what they return: it may be no number"
    return "momentum does not suit", "use ista, or step='backtracking'"


def _start(init: object, shape: tuple[int, int], problem: Problem) -> FloatArray:
    dtype = problem.signals.dtype
    if init is None:
        return np.zeros(shape, dtype=dtype)
    given = as_floats(init, "init", ndim=1 if problem.is_single else 2)
    needed = shape[1:] if problem.is_single else shape
    if given.shape != needed:
        raise InvalidInputError(f"init has shape {given.shape}: needs {needed}")
    require_finite(given, "init")
    largest = np.abs(given).max()
    if largest > np.sqrt(np.finfo(dtype).max):
        raise InvalidInputError(
            f"init contains {largest}, whose square overflows {dtype}: scale it"
        )
    return np.array(np.atleast_2d(given), dtype=dtype, order="C")


def _require_feasible(codes: FloatArray, penalty: Penalty, positive: bool) -> None:
    """Refuse to start from what must not be returned: it is if there is no time to leave it."""
    if positive and (codes < 0).any():
        raise InvalidInputError(f"init contains {codes.min()}: positive=True needs none below 0")
    most = np.count_nonzero(codes, axis=1).max()
    if penalty.name == "largest" and most > penalty.shape:
        raise InvalidInputError(
            f"init has a code with {most} numbers that are not 0: needs at most n_nonzero_coefs, "
            f"{int(penalty.shape)}"
        )

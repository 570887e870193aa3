"""Codes by methods that use the Gram matrix: what the estimator and ``debias`` call."""

from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._native import Status, simd_level
from sparrot._validation import FloatArray
from sparrot.sparse_coding._dictionary import Problem
from sparrot.sparse_coding._penalty import Penalty
from sparrot.sparse_coding._result import CodingResult, result_of, warn_unless_converged


def descend(
    problem: Problem,
    penalty: Penalty,
    *,
    positive: bool,
    tol: float,
    max_iter: int,
    n_threads: int | None,
) -> CodingResult:
    """Code by coordinate descent."""
    options = {
        "penalty": penalty.name,
        "shape": penalty.shape,
        "alpha": penalty.alpha,
        "positive": positive,
        "tol": tol,
        "max_iter": max_iter,
    }
    codes = _zeros(problem)
    raw = _encode(problem, codes, "descent", options, n_threads)
    more = "allow more iterations (transform_max_iter)"
    result = result_of(raw, codes, problem.is_single, penalty.certificate, tol, more=more)
    warn_unless_converged(result, tol)
    return result


def pursue(
    problem: Problem,
    rule: str,
    *,
    count: int,
    squares: float,
    positive: bool,
    n_threads: int | None,
) -> CodingResult:
    """Code by a matching pursuit: it ends when there is nothing left to do, not at a tolerance."""
    options = {"count": count, "squares": squares, "positive": positive}
    codes = _zeros(problem)
    raw = _encode(problem, codes, rule, options, n_threads)
    missed = sum(status != Status.CONVERGED.value for status in raw["status"])
    failure = (
        f"{missed} of {len(codes)} signals have squares of the residual above {squares:g}, and "
        "no atom is left that makes them smaller: raise transform_alpha"
    )
    result = result_of(
        raw, codes, problem.is_single, "stationarity", 0.0, failure=failure if missed else None
    )
    warn_unless_converged(result, 0.0)
    return result


def refit(problem: Problem, codes: FloatArray, *, n_threads: int | None) -> CodingResult:
    """Code by least squares where the codes given are not 0; these are written to."""
    raw = _encode(problem, codes, "refit", {}, n_threads)
    return result_of(raw, codes, problem.is_single, "stationarity", 0.0)


def _zeros(problem: Problem) -> FloatArray:
    return np.zeros((len(problem.signals), problem.atoms), problem.signals.dtype)


def _encode(
    problem: Problem, codes: FloatArray, method: str, options: dict[str, Any], threads: int | None
) -> dict[str, Any]:
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    return _sparrot.coding_encode(
        problem.dictionary, problem.signals, codes, method, options, threads
    )

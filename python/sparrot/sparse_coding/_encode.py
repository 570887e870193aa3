"""Codes by methods that use the Gram matrix: what the estimator calls."""

from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._native import Status, simd_level
from sparrot._validation import FloatArray
from sparrot.sparse_coding._dictionary import Problem
from sparrot.sparse_coding._penalty import Penalty
from sparrot.sparse_coding._result import CodingResult, result_of, warn_unless_converged


def encode(
    problem: Problem,
    penalty: Penalty,
    *,
    positive: bool,
    tol: float,
    max_iter: int,
    n_threads: int | None,
    stacklevel: int,
    start: FloatArray | None = None,
) -> CodingResult:
    """Code by coordinate descent; by matching pursuit; or by least squares on what is given."""
    shape = len(problem.signals), problem.atoms
    codes = np.zeros(shape, problem.signals.dtype) if start is None else start
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    settings: dict[str, Any] = {
        "penalty": penalty.name,
        "shape": penalty.shape,
        "alpha": penalty.alpha,
        "positive": positive,
        "steps": "bound",
        "step": None,
        "momentum": "none",
        "tol": tol,
        "max_iter": max_iter,
        "is_watched": False,
    }
    raw = _sparrot.coding_encode(
        problem.dictionary, problem.signals, codes, settings, None, n_threads
    )
    found = codes[0] if problem.is_single else codes
    # Pursuit and least squares end when there is nothing left to do, not at a tolerance.
    goal = 0.0 if penalty.name in ("largest", "ols", "refit") else tol
    missed = sum(status != Status.CONVERGED.value for status in raw["status"])
    failure = (
        f"{missed} of {shape[0]} signals have squares of the residual above {penalty.alpha:g}, and "
        "no atom is left that makes them smaller: raise transform_alpha"
    )
    is_missed = penalty.name in ("largest", "ols") and missed
    result = result_of(raw, found, penalty.is_convex, goal, failure if is_missed else None)
    warn_unless_converged(result, goal, stacklevel=stacklevel + 1)
    return result

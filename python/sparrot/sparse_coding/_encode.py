"""Codes by methods that use the Gram matrix: what the estimator calls."""

from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._native import simd_level
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
) -> CodingResult:
    """Code by coordinate descent or, for "largest", by orthogonal matching pursuit."""
    codes: FloatArray = np.zeros((len(problem.signals), problem.atoms), problem.signals.dtype)
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    settings: dict[str, Any] = {
        "penalty": penalty.name,
        "shape": penalty.shape,
        "alpha": penalty.alpha,
        "positive": positive,
        "step": None,
        "momentum": "none",
        "tol": tol,
        "max_iter": max_iter,
    }
    raw = _sparrot.coding_encode(
        problem.dictionary, problem.signals, codes, settings, None, n_threads
    )
    result = result_of(raw, codes, penalty.is_convex, tol)
    if penalty.name != "largest":  # a pursuit ends when the atoms left over are of no use
        warn_unless_converged(result, tol, stacklevel=stacklevel + 1)
    return result

"""Sketches of tall matrices, and least squares with a proven bound of each coefficient's error.

=============================  ============================================================
:func:`sketch`                 ``S @ A`` for a random ``S`` of few rows, in one pass
:class:`Sketcher`              the same of rows that come in blocks, mergeable
:func:`lstsq`                  least squares for tall matrices, certified
:func:`lstsq_blocks`           the same in one pass over blocks of rows
:class:`LeastSquaresState`     the same step by step, mergeable
:class:`LeastSquaresResult`    what they return
:func:`leverage_scores`        how much each row decides its own fitted value
:class:`SketchedRegression`    the same as a scikit-learn estimator
:class:`SketchedRidge`         with a ridge penalty
:func:`softmax_regression`     the softmax nearest to given numbers; experimental
=============================  ============================================================

The starting point is arXiv 2302.00248 on sketched regression with a bound of each coordinate. Two
of its authors have since shown that its proof does not hold; nothing here relies on it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sparrot.sketching._leverage import leverage_scores
from sparrot.sketching._lstsq import lstsq
from sparrot.sketching._result import LeastSquaresResult
from sparrot.sketching._sketch import sketch
from sparrot.sketching._sketcher import Sketcher
from sparrot.sketching._softmax_regression import SoftmaxRegressionResult, softmax_regression
from sparrot.sketching._stream import LeastSquaresState, lstsq_blocks

if TYPE_CHECKING:
    from sparrot.sketching._estimators import SketchedRegression, SketchedRidge

__all__ = [
    "LeastSquaresResult",
    "LeastSquaresState",
    "SketchedRegression",
    "SketchedRidge",
    "Sketcher",
    "SoftmaxRegressionResult",
    "leverage_scores",
    "lstsq",
    "lstsq_blocks",
    "sketch",
    "softmax_regression",
]


def __getattr__(name: str) -> Any:
    # Only the estimators need scikit-learn.
    if name in ("SketchedRegression", "SketchedRidge"):
        return getattr(import_module(f"{__name__}._estimators"), name)
    raise AttributeError(f"module 'sparrot.sketching' has no attribute {name!r}")

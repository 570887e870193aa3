"""Sparse codes of many signals that share a dictionary, with a certificate for each.

``minimise ((y - A @ x)**2).sum() / 2 + alpha * penalty(x).sum()`` for every row ``y`` of ``Y``:
signals are rows of ``Y`` (n_signals, n_features), atoms are columns of ``A`` (n_features,
n_atoms), codes are rows of ``X`` (n_signals, n_atoms).

=======================  ==================================================================
:func:`ista`             proximal gradient steps on a batch, for seven penalties
:func:`fista`            the same with momentum
:func:`iht`              iterative hard thresholding: L0, or the k largest
:func:`debias`           least squares on the atoms that codes use
:func:`prox`             the proximal operators of the penalties
:class:`SparseCoder`     a scikit-learn transformer: to a certified gap, or matching pursuit
:class:`UnfoldedISTA`    iterative soft thresholding, unrolled into layers that are trained
:class:`UnfoldedIHT`     the same of iterative hard thresholding
:class:`CodingResult`    what the functions return
:class:`CodingState`     what a callback of the batch solvers sees
:class:`TrainingState`   what a callback of training sees
=======================  ==================================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sparrot.sparse_coding._batch import fista, ista
from sparrot.sparse_coding._debias import debias
from sparrot.sparse_coding._hard import iht
from sparrot.sparse_coding._penalty import prox
from sparrot.sparse_coding._result import CodingResult
from sparrot.sparse_coding._watching import CodingState

if TYPE_CHECKING:
    from sparrot.sparse_coding._coder import SparseCoder
    from sparrot.sparse_coding._training import TrainingState
    from sparrot.sparse_coding._unfolded import UnfoldedIHT, UnfoldedISTA

__all__ = [
    "CodingResult",
    "CodingState",
    "SparseCoder",
    "TrainingState",
    "UnfoldedIHT",
    "UnfoldedISTA",
    "debias",
    "fista",
    "iht",
    "ista",
    "prox",
]

# Where the estimators are: only they need scikit-learn.
_ESTIMATORS = {
    "SparseCoder": "_coder",
    "TrainingState": "_training",
    "UnfoldedIHT": "_unfolded",
    "UnfoldedISTA": "_unfolded",
}


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        return getattr(import_module(f"{__name__}.{_ESTIMATORS[name]}"), name)
    raise AttributeError(f"module 'sparrot.sparse_coding' has no attribute {name!r}")

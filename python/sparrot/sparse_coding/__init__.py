"""Sparse codes of many signals that share a dictionary.

Signals are rows of ``Y`` (n_signals, n_features), atoms are columns of ``A`` (n_features, n_atoms),
codes are rows of ``X`` (n_signals, n_atoms): ``Y`` is near ``X @ A.T``.

=========================  =====================================================================
:class:`UnfoldedISTA`      iterative soft thresholding, unrolled into layers that are trained
:class:`UnfoldedIHT`       the same of iterative hard thresholding
=========================  =====================================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparrot.sparse_coding._unfolded import UnfoldedIHT, UnfoldedISTA
    from sparrot.sparse_coding._unfolded_network import TrainingState

__all__ = ["TrainingState", "UnfoldedIHT", "UnfoldedISTA"]

# Where the estimators are: only they need scikit-learn.
_ESTIMATORS = {
    "TrainingState": "_unfolded_network",
    "UnfoldedIHT": "_unfolded",
    "UnfoldedISTA": "_unfolded",
}


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        return getattr(import_module(f"{__name__}.{_ESTIMATORS[name]}"), name)
    raise AttributeError(f"module 'sparrot.sparse_coding' has no attribute {name!r}")

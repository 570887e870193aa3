"""Values on the nodes of a weighted graph: label propagation, interpolation, forests.

Given values at some nodes, the others get the weighted mean of their neighbours' values: what
minimises ``sum(w_ij * (x_i - x_j)**2)``. Multi-class label propagation is that for each class.

===============================  ==============================================================
:func:`laplacian_solve`          values for all nodes from those of some, with a certificate
:class:`LabelPropagation`        semi-supervised classification, an estimator
:func:`forest_partition`         cuts a graph into forests
:func:`greedy_forest`            the forest of the nodes with the largest scores
:func:`message_passing_solve`    a system whose graph is a forest, in linear time
:class:`ForestSmoother`          sweeps of exact block updates over forests, for multigrid and CG
===============================  ==============================================================

For systems with bounds or L1 norms see :mod:`sparrot.descent`.
"""

from typing import TYPE_CHECKING, Any

from sparrot.graph._forests import forest_partition, greedy_forest, message_passing_solve
from sparrot.graph._laplacian import laplacian_solve
from sparrot.graph._result import LaplacianResult
from sparrot.graph._smoother import ForestSmoother

if TYPE_CHECKING:
    from sparrot.graph._estimator import LabelPropagation

__all__ = [
    "ForestSmoother",
    "LabelPropagation",
    "LaplacianResult",
    "forest_partition",
    "greedy_forest",
    "laplacian_solve",
    "message_passing_solve",
]


def __getattr__(name: str) -> Any:
    # Only this needs scikit-learn.
    if name == "LabelPropagation":
        from sparrot.graph._estimator import LabelPropagation

        return LabelPropagation
    raise AttributeError(f"module 'sparrot.graph' has no attribute {name!r}")

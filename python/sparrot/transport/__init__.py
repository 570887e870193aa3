"""Optimal transport with a certificate: entropic, unbalanced, and with sparse plans.

``minimise <C, P> + reg * sum(P * log(P))`` over plans ``P >= 0`` with ``P.sum(1) == a`` and
``P.sum(0) == b``.

===============================  ==========================================================
:func:`solve`                    from a cost matrix
:func:`solve_sample`             from two sets of points
:func:`solve_path`               one problem at several regularisations
:func:`solve_batch`              many problems of one shape
:func:`solve_unbalanced`         marginals may be missed, at a price
:func:`solve_unbalanced_sample`  the same, from two sets of points
:func:`solve_ksparse`            few entries per column or row of the plan
:func:`solve_quadratic`          the squared norm for a regulariser: sparse plans
:class:`KSparseDual`             the dual functions behind them, with their gradients
:func:`sinkhorn_divergence`      how far apart two sets of points are
:func:`monge_gap`                how far a map is from an optimal one
:func:`round_plan`               the nearest plan with exact marginals, for any plan
:class:`EntropicTransport`       scikit-learn estimator: maps points of one set onto another
:class:`KSparseTransport`        the same, with few targets for each point
:class:`TransportResult`         what the functions return
:class:`UnbalancedResult`        what those for unbalanced transport return
:class:`SparseTransportResult`   what those for sparse plans return
:class:`TopKRouter`              tokens to experts with capacities, exactly
:class:`RoutingResult`           what the router returns
===============================  ==========================================================
"""

from typing import TYPE_CHECKING, Any

from sparrot.transport._batch import BatchResult, solve_batch
from sparrot.transport._divergence import DivergenceResult, sinkhorn_divergence
from sparrot.transport._ksparse import solve_ksparse, solve_quadratic
from sparrot.transport._ksparse_dual import KSparseDual
from sparrot.transport._monge_gap import MongeGapResult, monge_gap
from sparrot.transport._path import solve_path
from sparrot.transport._result import TransportResult
from sparrot.transport._round import round_plan
from sparrot.transport._routing_result import RoutingResult
from sparrot.transport._run import IterationState
from sparrot.transport._solve import solve, solve_sample
from sparrot.transport._sparse_result import SparseTransportResult
from sparrot.transport._unbalanced import solve_unbalanced, solve_unbalanced_sample
from sparrot.transport._unbalanced_result import UnbalancedResult

if TYPE_CHECKING:
    from sparrot.transport._estimator import EntropicTransport
    from sparrot.transport._ksparse_estimator import KSparseTransport
    from sparrot.transport._router import TopKRouter

__all__ = [
    "BatchResult",
    "DivergenceResult",
    "EntropicTransport",
    "IterationState",
    "KSparseDual",
    "KSparseTransport",
    "MongeGapResult",
    "RoutingResult",
    "SparseTransportResult",
    "TopKRouter",
    "TransportResult",
    "UnbalancedResult",
    "monge_gap",
    "round_plan",
    "sinkhorn_divergence",
    "solve",
    "solve_batch",
    "solve_ksparse",
    "solve_path",
    "solve_quadratic",
    "solve_sample",
    "solve_unbalanced",
    "solve_unbalanced_sample",
]


def __getattr__(name: str) -> Any:
    # Only these need scikit-learn.
    if name == "EntropicTransport":
        from sparrot.transport._estimator import EntropicTransport

        return EntropicTransport
    if name == "KSparseTransport":
        from sparrot.transport._ksparse_estimator import KSparseTransport

        return KSparseTransport
    if name == "TopKRouter":
        from sparrot.transport._router import TopKRouter

        return TopKRouter
    raise AttributeError(f"module 'sparrot.transport' has no attribute {name!r}")

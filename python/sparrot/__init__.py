"""sparrot: optimal transport and sparse optimization, certified.

Submodules are imported when they are first used:

=========================  =================================================================
``sparrot.transport``     optimal transport, entropic (``solve``, ``solve_sample``,
                          ``solve_path``, ``solve_batch``, ``sinkhorn_divergence``) and with
                          sparse plans (``solve_ksparse``, ``solve_quadratic``); the estimators
                          ``EntropicTransport``, ``KSparseTransport``, ``TopKRouter``
``sparrot.linear_model``  sparse linear models: the Lasso and its relatives, other losses,
                          nonconvex penalties, best subsets
``sparrot.descent``       block coordinate descent: greedy rules, message passing
``sparrot.graph``         Laplacian systems, label propagation, forests of a graph
``sparrot.sparse_coding`` sparse codes of many signals: ISTA, FISTA, IHT, trained networks
``sparrot.sketching``     sketches of tall matrices; certified least squares
``sparrot.special``       softmax, log_softmax, logsumexp and their relatives
``sparrot.interop``       the names of other packages: ``sparrot.interop.pot``
``sparrot.errors``        the exceptions and warnings of the package
``sparrot.plot``          pictures (needs matplotlib)
=========================  =================================================================
"""

import importlib
from types import ModuleType

from sparrot._native import Status, get_num_threads, set_num_threads, simd_level
from sparrot._sparrot import version as _version

__version__ = _version()

_SUBMODULES = (
    "descent",
    "errors",
    "graph",
    "interop",
    "linear_model",
    "plot",
    "sketching",
    "sparse_coding",
    "special",
    "transport",
)

__all__ = [
    "Status",
    "__version__",
    "descent",
    "errors",
    "get_num_threads",
    "graph",
    "interop",
    "linear_model",
    "plot",
    "set_num_threads",
    "simd_level",
    "sketching",
    "sparse_coding",
    "special",
    "transport",
]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return importlib.import_module(f"sparrot.{name}")
    raise AttributeError(f"module 'sparrot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""POT's ``ot.bregman``: entropic transport, by the name of a method and from points.

====================================  ==========================================================
:func:`sinkhorn`, :func:`sinkhorn2`   the plan and its cost, with the method as an argument
:func:`sinkhorn_knopp`                the plan, with ``u`` and ``v`` in the log
:func:`sinkhorn_log`                  the plan, with their logarithms too
:func:`sinkhorn_stabilized`           the plan, with the potentials in the units of the cost
:func:`sinkhorn_epsilon_scaling`      the same
:func:`greenkhorn`                    the plan, with ``u`` and ``v`` in the log
:func:`empirical_sinkhorn`            the plan from points, or its potentials only
:func:`empirical_sinkhorn2`           its cost
:func:`empirical_sinkhorn_divergence` the cost, less what each side costs with itself
====================================  ==========================================================
"""

from typing import Any

from sparrot.interop.pot._empirical import (
    empirical_sinkhorn,
    empirical_sinkhorn2,
    empirical_sinkhorn_divergence,
)
from sparrot.interop.pot._sinkhorn import sinkhorn, sinkhorn2, sinkhorn_knopp, sinkhorn_log
from sparrot.interop.pot._variants import (
    greenkhorn,
    sinkhorn_epsilon_scaling,
    sinkhorn_stabilized,
)

__all__ = [
    "empirical_sinkhorn",
    "empirical_sinkhorn2",
    "empirical_sinkhorn_divergence",
    "greenkhorn",
    "sinkhorn",
    "sinkhorn2",
    "sinkhorn_epsilon_scaling",
    "sinkhorn_knopp",
    "sinkhorn_log",
    "sinkhorn_stabilized",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'sparrot.interop.pot.bregman' has no attribute {name!r}: it has POT's entropic "
        "transport between two distributions only; take the rest from POT itself (ot.bregman)"
    )

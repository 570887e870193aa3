"""POT's ``ot.unbalanced``: entropic transport whose plan may miss the marginals, at a price.

=================================================  ==============================================
:func:`sinkhorn_unbalanced`                        the plan, with the method as an argument
:func:`sinkhorn_unbalanced2`                       its cost
:func:`sinkhorn_knopp_unbalanced`                  the plan
:func:`sinkhorn_stabilized_unbalanced`             the plan
:func:`sinkhorn_unbalanced_translation_invariant`  the plan
=================================================  ==============================================

All are solved by :func:`sparrot.transport.solve_unbalanced`. What to know when you move code here:

* POT stops when the scalings change by less than ``stopThr``, whatever the error is that is left.
  Here ``stopThr`` bounds the marginal error of
  :class:`sparrot.transport.UnbalancedResult`: what the plan's marginals differ by from those that
  its potentials ask for, as a share of the plan's mass. Below about 1e-13 rounding decides.
* Of POT's methods only "sinkhorn_stabilized" says that it has not converged; here all do. As in
  POT there is no argument ``warn`` to silence them.
* ``log["total_cost"]``, which ``returnCost="total"`` returns, has ``sum(x * log(x / y))`` for each
  ``KL(x | y)``, as in POT. The objective that is minimised has ``sum(y) - sum(x)`` in addition;
  without them a solution has 0, whatever the problem is, unless a marginal is fixed. The objective
  itself is ``log["result"].value``.
* POT's "sinkhorn_translation_invariant" can end elsewhere than its other methods where the two
  prices in ``reg_m`` differ; here all have the same plan.
* Several histograms have the entropy relative to 1 in any case, as in POT, and a warning says so.
* A measure ``c`` other than ``a[:, None] * b`` raises :class:`UnsupportedArgumentError`, a
  ``reg_type`` other than "kl" and "entropy" is an error, and so are prices of 0. In POT an unknown
  ``reg_type`` is "kl".
"""

from typing import Any

from sparrot.interop.pot._unbalanced import sinkhorn_unbalanced, sinkhorn_unbalanced2
from sparrot.interop.pot._unbalanced_variants import (
    sinkhorn_knopp_unbalanced,
    sinkhorn_stabilized_unbalanced,
    sinkhorn_unbalanced_translation_invariant,
)

__all__ = [
    "sinkhorn_knopp_unbalanced",
    "sinkhorn_stabilized_unbalanced",
    "sinkhorn_unbalanced",
    "sinkhorn_unbalanced2",
    "sinkhorn_unbalanced_translation_invariant",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'sparrot.interop.pot.unbalanced' has no attribute {name!r}: it has POT's "
        "entropic transport between two distributions only; take the rest from POT itself "
        "(ot.unbalanced)"
    )

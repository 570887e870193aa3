"""Regularised transport with POT's names: ``import sparrot.interop.pot as ot``.

The functions take the arguments of POT 0.9.7 with its defaults, return what it returns, and are
solved by :func:`sparrot.transport.solve`, :func:`sparrot.transport.solve_unbalanced` and, for
sparse plans, :func:`sparrot.transport.solve_ksparse`. POT itself is not needed.

============================  ==================================================================
:func:`sinkhorn`              the plan, from a cost matrix
:func:`sinkhorn2`             its cost
:func:`sinkhorn_unbalanced`   the plan where marginals may be missed, at a price
:func:`sinkhorn_unbalanced2`  its cost
:func:`solve`                 either plan with its value and potentials, as an :class:`OTResult`
:func:`solve_sample`          the same from points
:mod:`bregman`                the methods by name, and the ``empirical_...`` functions
:mod:`unbalanced`             the methods for relaxed marginals by name
:mod:`smooth`                 sparse plans, by a squared norm and with few entries per column
:func:`dist`                  a cost matrix between points
:func:`unif`                  uniform weights
============================  ==================================================================

What to know when you move code here:

* Whatever POT's ``method`` is, the solver is sparrot's own. The name decides what is in the log;
  settings of one method (``tau``, ``epsilon0``, ``print_period``, ``batchSize``) have no effect.
* ``stopThr`` bounds the sum of absolute errors of both marginals. That is never below the errors
  POT looks at (the 2-norm of the column marginal, or the largest), so what POT promises for a
  ``stopThr`` holds. Double precision allows about 1e-13 of the mass. Where marginals are relaxed it
  is another error, and where plans are sparse the gap: see :mod:`unbalanced` and :mod:`smooth`.
* ``numItermax`` counts sparrot's iterations. For small ``reg`` far fewer are needed than of POT's.
* ``warn=False`` silences the warning that ``stopThr`` was not reached, everywhere.
* Dual variables are defined up to a constant, which goes from one side to the other. Here it is
  chosen so that the largest of both sides are equal, which keeps ``u`` and ``v`` in range longest.
  Relaxed marginals leave no such choice, and :mod:`smooth` has POT's.
* ``log["result"]`` and ``OTResult.result`` are :class:`sparrot.transport.TransportResult`,
  :class:`sparrot.transport.UnbalancedResult` or :class:`sparrot.transport.SparseTransportResult`,
  with its certificate.
* Fixed marginals whose sums differ by more than 1e-6 of them, costs that are not numbers, and
  ``reg=0`` are errors; POT returns something.
* Arrays are NumPy's. What needs another backend or another solver raises
  :class:`UnsupportedArgumentError`, a ``NotImplementedError`` that says what to use.
"""

from typing import Any

from sparrot.interop.pot import bregman, smooth, unbalanced
from sparrot.interop.pot._input import UnsupportedArgumentError
from sparrot.interop.pot._points import LazyPlan, dist, unif
from sparrot.interop.pot._result import OTResult
from sparrot.interop.pot._sinkhorn import sinkhorn, sinkhorn2
from sparrot.interop.pot._solve import solve, solve_sample
from sparrot.interop.pot._unbalanced import sinkhorn_unbalanced, sinkhorn_unbalanced2

__all__ = [
    "LazyPlan",
    "OTResult",
    "UnsupportedArgumentError",
    "bregman",
    "dist",
    "sinkhorn",
    "sinkhorn2",
    "sinkhorn_unbalanced",
    "sinkhorn_unbalanced2",
    "smooth",
    "solve",
    "solve_sample",
    "unbalanced",
    "unif",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'sparrot.interop.pot' has no attribute {name!r}: it has POT's entropic transport, "
        "balanced and unbalanced, and its sparse plans only; take the rest from POT itself "
        "(import ot)"
    )

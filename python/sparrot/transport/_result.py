"""The result of an entropic transport problem."""

from functools import cached_property
from typing import Any

import numpy as np

from sparrot._native import Status
from sparrot._validation import FloatArray
from sparrot.transport._plan import PlanResult
from sparrot.transport._round import round_plan


class TransportResult(PlanResult):
    """A transport plan, given by its potentials, and how wrong it can be.

    Frozen; fields can be read as attributes or as items. The plan itself is computed from the
    potentials and the cost when it is asked for, so the cost passed to the solver must not be
    changed while the result is in use (it is not copied).

    Attributes
    ----------
    converged : bool
        Whether ``marginal_error <= tol``.
    status : sparrot.Status
        How the solve ended.
    message : str
        What happened and, if the result has not converged, what to do.
    method : str
        The method that was used.
    marginal_error : float
        ``(abs(P.sum(1) - a).sum() + abs(P.sum(0) - b).sum()) / a.sum()``, measured on the plan
        that is returned.
    gap : float
        The regularised cost of the plan rounded to exact marginals is at most this far above
        ``dual_value``, and so above the optimum; it includes an allowance for rounding. Infinite
        if a point that misses mass and one that has room are joined by a forbidden edge.
    value : float
        ``<C, P> + reg * sum(P * log(P))`` of the plan as it is.
    value_linear : float
        ``<C, P>`` of the plan as it is.
    dual_value : float
        ``f.a + g.b + reg * (a.sum() - P.sum())``: no plan has a smaller regularised cost.
    lower_bound, upper_bound : float
        The transport cost without regularisation lies between these; the upper one is the cost of
        the rounded plan (infinite where ``gap`` is).
    n_iter : int
        Iterations of all kinds.
    n_newton, n_cg : int
        Newton steps among them, and conjugate gradient iterations in those.
    potentials : tuple of ndarray
        ``(f, g)``, of shapes (n,) and (m,), in the units of the cost:
        ``P = exp((f[:, None] + g - C) / reg)``. ``-inf`` for points without weight.
    a, b : ndarray
        The weights used; ``b`` is scaled to the sum of ``a`` where they differed by rounding.
    reg : float
        The regularisation in the units of the cost.
    tol : float
        The marginal error that was asked for.
    trace : dict of ndarray
        One entry per recorded iteration: ``iteration``, ``time`` (s), ``objective`` (the dual
        value; nan while the method "auto" is still lowering the regularisation, and where it has
        just moved large scalings into the potentials), ``certificate``
        (the marginal error, at the regularisation of the moment), ``sparsity`` (entries of the
        plan the step worked with), ``phase`` ("sinkhorn" or "newton").
    timings : dict of float
        Seconds spent on the iterations (``solve``) and on the certificate.

    See Also
    --------
    solve, solve_sample
    """

    converged: bool
    status: Status
    message: str
    method: str
    marginal_error: float
    gap: float
    value: float
    value_linear: float
    dual_value: float
    lower_bound: float
    upper_bound: float
    n_iter: int
    n_newton: int
    n_cg: int
    potentials: tuple[FloatArray, FloatArray]
    a: FloatArray
    b: FloatArray
    reg: float
    tol: float
    trace: dict[str, Any]
    timings: dict[str, float]

    @cached_property
    def rounded_plan(self) -> FloatArray:
        """The plan rounded to the marginals ``a`` and ``b`` exactly, (n, m) in float64.

        Its cost is ``upper_bound``. See :func:`round_plan`.
        """
        plan = self._dense(np.float64)
        return round_plan(plan, self.a, self.b, n_threads=self._input["n_threads"])

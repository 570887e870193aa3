"""The result of an unbalanced transport problem."""

from functools import cached_property
from typing import Any

import numpy as np

from sparrot._native import Status
from sparrot._validation import FloatArray
from sparrot.transport._plan import PlanResult


class UnbalancedResult(PlanResult):
    """A plan whose marginals may differ from the weights, and how far from optimal it can be.

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
        What the marginals of the plan that is returned differ by from those that its potentials ask
        for, ``a * exp(-f / reg_m[0])`` and ``b * exp(-g / reg_m[1])``: the sum of absolute
        differences as a share of the mass of the plan. It is 0 at the solution.
    gap : float
        The objective of the plan is at most this far above ``dual_value``, and so above the
        optimum: ``reg_m[0] * KL(P.sum(1) | a * exp(-f / reg_m[0]))``, the same for the columns, and
        an allowance for rounding. A marginal that is fixed is exact but for rounding, and counts
        with what it misses times its potential.
    value : float
        The objective of the plan, as :func:`solve_unbalanced` has it.
    value_linear : float
        ``<C, P>``.
    dual_value : float
        No plan has a smaller objective.
    lower_bound, upper_bound : float
        The least objective without ``reg * Omega(P)`` lies between these; the upper one is that of
        the plan.
    mass : float
        What is transported: the sum of the plan.
    n_iter : int
        Iterations of all kinds.
    n_newton, n_cg : int
        Newton steps among them, and conjugate gradient iterations in those.
    potentials : tuple of ndarray
        ``(f, g)``, of shapes (n,) and (m,), in the units of the cost:
        ``P = exp((f[:, None] + g - C) / reg)``, with ``reg_type="kl"`` times ``a[:, None] * b``.
        ``-inf`` for points that have no weight, or that no edge leads to and that are missed.
    a, b : ndarray
        The weights used.
    reg : float
        The regularisation in the units of the cost.
    reg_m : tuple of float
        The prices of missing ``a`` and ``b``, in the units of the cost.
    reg_type : str
        What the regularisation is.
    tol : float
        The marginal error that was asked for.
    trace : dict of ndarray
        One entry per recorded iteration: see :class:`TransportResult`.
    timings : dict of float
        Seconds spent on the iterations (``solve``) and on the certificate.

    See Also
    --------
    solve_unbalanced, solve_unbalanced_sample
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
    mass: float
    n_iter: int
    n_newton: int
    n_cg: int
    potentials: tuple[FloatArray, FloatArray]
    a: FloatArray
    b: FloatArray
    reg: float
    reg_m: tuple[float, float]
    reg_type: str
    tol: float
    trace: dict[str, Any]
    timings: dict[str, float]

    @cached_property
    def marginals(self) -> tuple[FloatArray, FloatArray]:
        """The marginals of the plan, of shapes (n,) and (m,)."""
        n, m = self.shape
        return self.apply(np.ones(m)), self.apply(np.ones(n), transpose=True)

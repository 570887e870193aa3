"""What :func:`solve` returns."""

from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from sparrot._validation import FloatArray
from sparrot.interop.pot._log import LogScalings, relaxed_log, without_masses, write_log
from sparrot.interop.pot._points import LazyPlan
from sparrot.interop.pot._solver import Solved
from sparrot.transport import UnbalancedResult
from sparrot.transport._marginals import logarithms


class OTResult:
    """A solved problem, with POT's attributes; each is computed when it is first asked for.

    Attributes
    ----------
    plan : ndarray of shape (n, m)
        The plan.
    sparse_plan : scipy.sparse.csr_matrix of shape (n, m)
        The plan without its zeros.
    lazy_plan : LazyPlan or None
        The plan, computed where it is looked at; None unless ``lazy=True``.
    value : float
        The regularised cost: ``<P, M> + reg * sum(P * log(P / (a[:, None] * b)))`` where
        ``reg_type`` is "KL", ``<P, M> + reg * sum(P * log(P))`` where it is "entropy". Where
        marginals are relaxed, the price is in it too: see :func:`solve` for how POT counts it.
    value_linear : float
        ``<P, M>``.
    value_quad : None
        For problems that are not offered here.
    potentials : tuple of ndarray
        ``(potential_a, potential_b)``.
    potential_a, potential_b : ndarray
        In units of ``reg``, as in POT: ``P = exp(potential_a[:, None] + potential_b - M / reg)``,
        times ``a[:, None] * b`` where marginals are relaxed and ``reg_type`` is "KL". Where they
        are fixed, up to a constant the gradient of ``value`` in ``a`` is ``reg * potential_a``
        with ``reg_type`` "entropy", ``reg * (potential_a - log(a))`` with "KL"; in ``M`` it is the
        plan.
    marginals : tuple of ndarray
        ``(marginal_a, marginal_b)``.
    marginal_a, marginal_b : ndarray
        The sums of the plan's rows and columns.
    status : str
        How the solve ended: "converged", "max_iter" or "stalled".
    log : dict
        That of :func:`sinkhorn_log`, or where lazy that of :func:`empirical_sinkhorn`, or where
        marginals are relaxed that of :func:`sinkhorn_unbalanced`; for a debiased value the three
        results.
    result : TransportResult or UnbalancedResult
        The same in sparrot's words, with its certificate.
    """

    result: Solved
    lazy_plan: LazyPlan | None
    value_quad = None

    _dtype: np.dtype[Any]
    _entropy: bool
    _relaxed: bool
    """Whether marginals may be missed, be it at an infinite price."""

    def __init__(
        self,
        result: Solved,
        *,
        dtype: np.dtype[Any],
        entropy: bool,
        relaxed: bool = False,
        **known: Any,
    ) -> None:
        own = {"result": result, "lazy_plan": None, "_dtype": dtype}
        self.__dict__.update(own | {"_entropy": entropy, "_relaxed": relaxed} | known)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"OTResult is frozen: {name!r} cannot be set")

    @cached_property
    def plan(self) -> FloatArray:
        """The plan."""
        return self.result.plan

    @cached_property
    def sparse_plan(self) -> sparse.csr_matrix:
        """The plan without its zeros."""
        return sparse.csr_matrix(self.result.to_sparse(0))

    @cached_property
    def value(self) -> Any:
        """The regularised cost."""
        result = self.result
        if isinstance(result, UnbalancedResult):
            return self._dtype.type(without_masses(result))
        value = result.value
        if not self._entropy:
            # sum(P log(a b')) needs the marginals only.
            for sums, weights in zip(self._sums, (result.a, result.b), strict=True):
                value -= result.reg * float(sums @ logarithms(weights))
        return self._dtype.type(value)

    @cached_property
    def value_linear(self) -> Any:
        """The cost of the plan."""
        return self._dtype.type(self.result.value_linear)

    @cached_property
    def potentials(self) -> tuple[FloatArray, FloatArray]:
        """The logarithms of the scalings."""
        logs = LogScalings.of(self.result, to_weights=self._relaxed and not self._entropy)
        return logs.u.astype(self._dtype), logs.v.astype(self._dtype)

    @property
    def potential_a(self) -> FloatArray:
        """The potential of the rows."""
        return self.potentials[0]

    @property
    def potential_b(self) -> FloatArray:
        """The potential of the columns."""
        return self.potentials[1]

    @cached_property
    def _sums(self) -> tuple[FloatArray, FloatArray]:
        n, m = self.result.shape
        return self.result.apply(np.ones(m)), self.result.apply(np.ones(n), transpose=True)

    @property
    def marginals(self) -> tuple[FloatArray, FloatArray]:
        """The sums of rows and columns."""
        return self.marginal_a, self.marginal_b

    @property
    def marginal_a(self) -> FloatArray:
        """The sums of rows."""
        return self._sums[0].astype(self._dtype)

    @property
    def marginal_b(self) -> FloatArray:
        """The sums of columns."""
        return self._sums[1].astype(self._dtype)

    @property
    def status(self) -> str:
        """How the solve ended."""
        return self.result.status.value

    @cached_property
    def log(self) -> dict[str, Any]:
        """What else there is."""
        result = self.result
        if self._relaxed or isinstance(result, UnbalancedResult):
            logu, logv = self.potentials
            values = {"cost": self.value_linear, "total_cost": self.value}
            return relaxed_log(logu, logv, [result]) | values | {"result": result}
        return write_log("sinkhorn_log", [result], several=False, dtype=self._dtype, warn=False)

    def __repr__(self) -> str:
        return (
            f"OTResult(value={self.value:.6g}, value_linear={self.value_linear:.6g}, "
            f"shape={self.result.shape}, status={self.status!r}, "
            f"marginal_error={self.result.marginal_error:.3g})"
        )


def debiased(ab: OTResult, aa: OTResult, bb: OTResult) -> OTResult:
    """Return the plan between two sides, with values less those of each side with itself."""
    return OTResult(
        ab.result,
        dtype=ab._dtype,
        entropy=ab._entropy,
        relaxed=ab._relaxed,
        lazy_plan=ab.lazy_plan,
        value=ab.value - (aa.value + bb.value) / 2,
        value_linear=ab.value_linear - (aa.value_linear + bb.value_linear) / 2,
        log={"res_aa": aa, "res_bb": bb, "res_ab": ab},
    )

"""The result of a transport problem whose plan is sparse by itself."""

from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from sparrot._native import Status
from sparrot._result import Result
from sparrot._validation import FloatArray
from sparrot.transport._plan import as_vectors


class SparseTransportResult(Result):
    """A sparse transport plan and how far from optimal it can be.

    Frozen; fields can be read as attributes or as items.

    Attributes
    ----------
    converged : bool
        Whether the solve ended with ``gap <= tol * abs(value)`` for the plan of the convex problem,
        whose marginals are then right to 1e-9 of the mass. (A value of less than 1e-6 of the range
        of the costs times the mass counts as that much.) With ``recover="dual"`` or "round" the
        plan returned is another one; its own ``gap`` and ``marginal_error`` say how good it is.
    status : sparrot.Status
        How the solve ended.
    message : str
        What happened, whether ``k`` was binding, and, if the result has not converged, what to do.
    dual_value : float
        The dual at ``potentials``: no plan with these marginals has a smaller ``value``, and none
        with at most ``k`` entries per line a smaller ``<C, P> + gamma / 2 * (P**2).sum()``.
    value : float
        ``<C, P> + gamma / 2 * sum(|p|_k**2)``, with the squared k-support norm of every line ``p``
        of the plan returned: its squared 2-norm wherever it has at most ``k`` entries.
    value_linear : float
        ``<C, P>``.
    gap : float
        By what ``value`` of the plan with exact marginals (the one returned, or, as far as it
        misses them, the same rounded) is above ``dual_value``, and so at most above the optimum.
        Infinite if rounding would need a forbidden edge for more than 1e-13 of the mass.
    marginal_error : float
        ``(abs(P.sum(1) - a).sum() + abs(P.sum(0) - b).sum()) / a.sum()``, measured on the plan
        that is returned, in float64: if the cost is float32, so is the plan, which adds its own
        rounding, a relative 6e-8 of each entry.
    max_nnz : int
        The most entries that a line of the plan has, those of negligible mass included.
    extra_nnz : int
        Entries beyond ``k``, summed over lines: 0 if the plan solves the problem with hard ``k``.
    nnz : int
        Entries of the plan.
    n_binding : int
        Lines that would have more than ``k`` entries at these potentials if they were allowed. 0:
        ``k`` does not matter.
    potentials : tuple of ndarray
        ``(f, g)``, of shapes (n,) and (m,), in the units of the cost; those of the lines are the
        best for the others. ``-inf`` for points without weight.
    n_iter : int
        Newton steps.
    n_cg : int
        Conjugate gradient iterations in them.
    k : int or None
        Entries allowed per line; None for the squared norm alone.
    axis : int
        0 if lines are the columns of the plan, 1 if they are its rows.
    gamma : float
        The weight of the squared norm, in the units of cost over mass.
    a, b : ndarray
        The weights used.
    tol : float
        The relative gap that was asked for.
    trace : dict of ndarray
        One entry per step: ``iteration``, ``time`` (s), ``objective`` (the smooth dual that the
        step climbed), ``certificate`` (the marginal error), ``sparsity`` (entries of the plan),
        ``phase`` ("proximal", or "newton" where the squared norm alone makes the dual smooth).
    timings : dict of float
        Seconds spent (``solve``).

    See Also
    --------
    solve_ksparse, solve_quadratic
    """

    converged: bool
    status: Status
    message: str
    dual_value: float
    value: float
    value_linear: float
    gap: float
    marginal_error: float
    max_nnz: int
    extra_nnz: int
    nnz: int
    n_binding: int
    potentials: tuple[FloatArray, FloatArray]
    n_iter: int
    n_cg: int
    k: int | None
    axis: int
    gamma: float
    a: FloatArray
    b: FloatArray
    tol: float
    trace: dict[str, Any]
    timings: dict[str, float]

    _plan: sparse.csr_array

    def __init__(self, plan: sparse.csr_array, /, **fields: Any) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "_plan", plan)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (type(self), self._plan, self._fields))

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (n, m) of the plan."""
        n, m = self._plan.shape
        return n, m

    @cached_property
    def sparse_plan(self) -> sparse.csr_array:
        """The plan as a CSR array: float32 if the cost is, else float64."""
        return self._plan.copy()

    @cached_property
    def plan(self) -> FloatArray:
        """The plan as an (n, m) array, made at first use and kept."""
        dense: FloatArray = self._plan.toarray()
        return dense

    def apply(self, vectors: object, *, transpose: bool = False) -> FloatArray:
        """Multiply the plan by one or several vectors.

        Parameters
        ----------
        vectors : array_like of shape (m,) or (m, d)
            With ``transpose=True``, (n,) or (n, d).
        transpose : bool, default=False
            Multiply by the transposed plan.

        Returns
        -------
        ndarray of shape (n,) or (n, d)
            With ``transpose=True``, (m,) or (m, d).

        Raises
        ------
        sparrot.errors.InvalidInputError
            If the vectors are of the wrong length, not finite or not real numbers.
        """
        expected = self.shape[0] if transpose else self.shape[1]
        array = as_vectors(vectors, expected, self.shape)
        matrix = self._plan.T if transpose else self._plan
        product: FloatArray = matrix @ np.asarray(array, dtype=np.float64)
        return product


def _restore(
    cls: type[SparseTransportResult], plan: sparse.csr_array, fields: dict[str, Any]
) -> SparseTransportResult:
    return cls(plan, **fields)

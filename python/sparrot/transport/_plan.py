"""Results that are transport plans."""

from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from sparrot import _sparrot
from sparrot._result import Result
from sparrot._validation import FloatArray, as_floats, as_positive, require_finite
from sparrot.errors import InvalidInputError
from sparrot.transport._cost import Cost
from sparrot.transport._mass import Mass


class PlanResult(Result):
    """A plan, given by its potentials: computed from them and the cost when it is asked for."""

    _cost: Cost
    _mass: Mass
    _input: dict[str, Any]
    _kept: FloatArray | None
    """The solver's own plan, in float64, until ``plan`` hands it out."""

    def __init__(
        self,
        cost: Cost,
        mass: Mass,
        plan_input: dict[str, Any],
        plan: FloatArray | None = None,
        /,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "_kept", plan)
        object.__setattr__(self, "_cost", cost)
        object.__setattr__(self, "_mass", mass)
        object.__setattr__(self, "_input", plan_input)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (type(self), self._cost, self._mass, self._input, self._fields))

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (n, m) of the plan."""
        return self._cost.shape

    def _dense(self, dtype: Any) -> FloatArray:
        plan = np.empty(self.shape, dtype)
        _sparrot.transport_plan(self._input, plan)
        return self._mass.multiply(plan)

    @cached_property
    def plan(self) -> FloatArray:
        """The plan as an (n, m) array: float32 if the cost is, else float64.

        Entries below 1e-280 of the mass are 0. The certificate is that of the plan in float64;
        float32 adds its own rounding, a relative 6e-8 of each entry. Computed at first use and
        kept; those of up to a million entries often are there already.
        """
        kept = self._kept
        if kept is None:
            return self._dense(self._cost.dtype)
        object.__setattr__(self, "_kept", None)  # it is the user's now, who may write to it
        plan = kept.reshape(self.shape).astype(self._cost.dtype, copy=False)
        return self._mass.multiply(plan)

    @cached_property
    def sparse_plan(self) -> sparse.csr_array:
        """The plan as a CSR array without its negligible entries.

        What is left out sums to at most 1e-9 of the mass of each row: see :meth:`to_sparse`.
        """
        return self.to_sparse(1e-9)

    def to_sparse(self, threshold: float) -> sparse.csr_array:
        """Return the plan as a CSR array; no (n, m) array is made.

        Parameters
        ----------
        threshold : float
            The share of each row's mass that may be left out: entries of row i, whose mass should
            be ``w[i]``, up to ``threshold * w[i] / m`` are. 0 keeps every positive entry.

        Returns
        -------
        scipy.sparse.csr_array of shape (n, m)

        Raises
        ------
        sparrot.errors.InvalidInputError
            If ``threshold`` is negative or not a number.
        """
        share = as_positive(threshold, "threshold", zero=True)
        data, indices, starts = _sparrot.transport_sparse_plan(self._input, share)
        entries = self._mass.multiply(data).astype(self._cost.dtype, copy=False)
        return sparse.csr_array((entries, indices, starts), shape=self.shape)

    def apply(self, vectors: object, *, transpose: bool = False) -> FloatArray:
        """Multiply the plan by one or several vectors; no (n, m) array is made.

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
        matrix = array.reshape(expected, -1)
        given = np.ascontiguousarray(matrix.T, dtype=np.float64)
        flat = self._mass.multiply(_sparrot.transport_apply(self._input, given, transpose))
        count = matrix.shape[1]
        product = flat.reshape(count, -1).T if transpose else flat.reshape(-1, count)
        return product[:, 0] if array.ndim == 1 else product


def as_vectors(value: object, size: int, shape: tuple[int, int]) -> FloatArray:
    """Take one or several vectors of that size, to multiply a plan of that shape by."""
    array = as_floats(value, "vectors", ndim=(1, 2))
    require_finite(array, "vectors")
    if array.shape[0] != size or 0 in array.shape:
        raise InvalidInputError(
            f"vectors has shape {array.shape}: the plan of shape {shape} needs "
            f"({size},) or ({size}, d) with d of at least 1"
        )
    return array


def _restore(
    cls: type[PlanResult],
    cost: Cost,
    mass: Mass,
    plan_input: dict[str, Any],
    fields: dict[str, Any],
) -> PlanResult:
    return cls(cost, mass, plan_input, **fields)

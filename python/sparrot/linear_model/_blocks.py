"""What models with penalties of groups, and with penalties that are not convex, have in common."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import numpy as np

from sparrot import _sparrot
from sparrot._design import as_design
from sparrot._native import Status, simd_level
from sparrot._validation import FloatArray, as_count, as_flag, as_positive, as_threads
from sparrot.errors import InvalidInputError
from sparrot.linear_model._estimators import SparseLinearRegression
from sparrot.linear_model._solve import (
    as_dtype,
    as_sample_weight,
    as_weights,
    earlier,
    warn_unless_converged,
)


class BlockPoint(NamedTuple):
    """The solution for one penalty."""

    alpha: float
    columns: FloatArray
    """Where the coefficients are not 0,"""
    coefficients: FloatArray
    """and what they are there: a row for each column, a value for each response."""
    intercepts: FloatArray
    objective: float
    certificate: float
    status: Status
    n_iter: int
    trace: dict[str, Any]


class Penalty(NamedTuple):
    """Which penalty, of which groups."""

    name: str
    shape: float = 0.0
    groups: tuple[FloatArray, FloatArray] | None = None
    """Their sizes, and the columns one group after the other; None for single columns."""


class BlockRegression(SparseLinearRegression, ABC):
    """Linear regression with a penalty by blocks: data in, attributes out."""

    @abstractmethod
    def _penalty(self, columns: int) -> Penalty: ...

    def _weights(self, columns: int, penalty: Penalty) -> FloatArray | None:
        del penalty
        return as_weights(self.weights, columns)

    def _fit(self, data: Any, responses: FloatArray, sample_weight: object) -> list[BlockPoint]:
        """Fit rows of responses, and set what does not depend on their number."""
        design, (n, p) = as_design(data, "X", check_finite=False)
        alpha = as_positive(self.alpha, "alpha")
        tol = as_positive(self.tol, "tol", zero=True)
        penalty = self._penalty(p)
        given = as_sample_weight(sample_weight, n)
        # Of the mean over weights.
        sample = np.full(n, 1.0 / n) if given is None else given / given.sum()
        simd_level()  # raises if SPARROT_SIMD asks for what there is not
        found, points = _sparrot.block_regression_path(
            design,
            responses,
            {
                "penalty": penalty.name,
                "shape": penalty.shape,
                "groups": penalty.groups,
                "alphas": [alpha],
                "fit_intercept": as_flag(self.fit_intercept, "fit_intercept"),
                "sample_weight": sample,
                "weights": self._weights(p, penalty),
                "positive": as_flag(getattr(self, "positive", False), "positive"),
                "start": self._start(p, len(responses)),
                "at_lasso": True,
                "tol": tol,
                "max_iter": as_count(self.max_iter, "max_iter"),
            },
            None,
            None,
            as_threads(self.n_threads),
        )
        solved = [
            BlockPoint(
                of,
                raw["columns"],
                raw["coefficients"].reshape(-1, len(responses)),
                raw["intercepts"],
                raw["objective"],
                raw["certificate"],
                Status(raw["status"]),
                raw["n_iter"],
                {name: values for name, values in raw["trace"].items() if name != "phase"},
            )
            for of, raw in zip(found, points, strict=True)
        ]
        last = solved[-1]
        self.objective_ = last.objective
        self.n_iter_ = max(1, last.n_iter)
        self.trace_ = last.trace
        self.converged_ = last.status is Status.CONVERGED
        warn_unless_converged(solved, tol, what=self._certificate(last), stacklevel=3)
        return solved

    def _certificate(self, point: BlockPoint) -> str:
        """Set the certificate, and say what it is."""
        self.dual_gap_ = point.certificate
        return "a gap of {:.3g} of the objective at zero"

    def _start(self, columns: int, tasks: int) -> tuple[FloatArray, FloatArray] | None:
        coef = earlier(self, (tasks, columns))
        if coef is None:
            return None
        used = np.flatnonzero(coef.any(axis=0))
        values = np.ascontiguousarray(coef[:, used].T, dtype=np.float64)
        return used.astype(np.uint32), values.ravel()


class SingleResponse(BlockRegression):
    """The same for one response."""

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data: float32 or float64, Fortran order or CSC to be read without a copy.
        y : array_like of shape (n_samples,)
            The response.
        sample_weight : array_like of shape (n_samples,), default=None
            Non-negative weights of the rows; only their ratios matter.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If a parameter or an argument is not as described.

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If the certificate is above ``tol``.
        """
        data, response = self._validated(X, y)
        (point,) = self._fit(data, response[None, :], sample_weight)
        self.coef_ = np.zeros(data.shape[1], dtype=data.dtype)
        self.coef_[point.columns] = as_dtype(point.coefficients[:, 0], data.dtype)
        self.intercept_ = float(point.intercepts[0])
        return self


def as_groups(value: object, columns: int) -> tuple[FloatArray, FloatArray]:
    """Take groups: a common size, sizes of consecutive ones, or lists of columns."""
    if isinstance(value, bool) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0:
        size = as_count(value, "groups")
        if columns % size:
            raise InvalidInputError(
                f"groups is {size}, which does not divide the {columns} columns of X: give sizes"
            )
        return np.full(columns // size, size, dtype=np.uint32), np.arange(columns, dtype=np.uint32)
    try:
        parts = [np.asarray(part) for part in value]  # type: ignore[attr-defined]
    except ValueError:  # lists in lists
        parts = []
    if any(part.dtype.kind not in "iu" for part in parts if part.size) or not parts:
        raise InvalidInputError("groups: needs a size, sizes, or lists of columns, all of integers")
    if all(part.ndim == 0 for part in parts):
        counts = [int(part) for part in parts]  # whose sum does not overflow
        if min(counts) <= 0 or sum(counts) != columns:
            raise InvalidInputError(
                f"groups has sizes from {min(counts)} on that sum to {sum(counts)}: needs positive "
                f"ones that sum to the {columns} columns of X"
            )
        sizes, order = np.array(counts), np.arange(columns)
    else:
        if any(part.ndim != 1 or part.size == 0 for part in parts):
            raise InvalidInputError("groups: needs lists of at least one column each")
        sizes = np.array([part.size for part in parts])
        order = np.concatenate(parts)
        if order.size != columns or (np.sort(order) != np.arange(columns)).any():
            raise InvalidInputError(
                f"groups: needs each of the {columns} columns of X in exactly one list, found "
                f"{order.size} entries from {order.min()} to {order.max()}"
            )
    return sizes.astype(np.uint32), order.astype(np.uint32)


def as_group_weights(value: object, sizes: FloatArray) -> FloatArray | None:
    """Take weights of groups, or "sqrt" for the roots of their sizes."""
    if isinstance(value, str):
        if value != "sqrt":
            raise InvalidInputError(
                f'weights is {value!r}: needs "sqrt" or a weight for each group'
            )
        roots: FloatArray = np.sqrt(sizes.astype(np.float64))
        return roots
    return as_weights(value, len(sizes), of="groups")

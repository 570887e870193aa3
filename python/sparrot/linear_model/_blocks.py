"""What models with penalties of groups, and with penalties that are not convex, have in common."""

from abc import abstractmethod
from typing import NamedTuple

import numpy as np

from sparrot import _sparrot
from sparrot._native import simd_level
from sparrot._sparrot import StopFlag
from sparrot._validation import FloatArray, as_count, as_flag, as_positive, as_threads
from sparrot.errors import InvalidInputError
from sparrot.linear_model._model import Alphas, Linear, SparseModel, Task
from sparrot.linear_model._solve import Groups, Point, as_points, as_shares, as_start, as_weights


class Penalty(NamedTuple):
    """Which penalty, of which groups."""

    name: str
    shape: float = 0.0
    groups: Groups | None = None
    """None for single columns."""


class BlockRegression(SparseModel):
    """Linear regression with a penalty by blocks."""

    @abstractmethod
    def _penalty(self, columns: int) -> Penalty: ...

    def _weights(self, columns: int, penalty: Penalty) -> FloatArray | None:
        del penalty
        return as_weights(self.weights, columns)

    def _solve(
        self,
        task: Task,
        alphas: Alphas,
        sample: FloatArray | None,
        *,
        start: FloatArray | None = None,
        stop_flag: StopFlag | None = None,
        max_time: float | None = None,
        n_threads: int | None = None,
    ) -> list[Point]:
        rows, columns = task.shape
        penalty = self._penalty(columns)
        simd_level()  # raises if SPARROT_SIMD asks for what there is not
        found, points = _sparrot.block_regression_path(
            task.design,
            task.targets,
            {
                "penalty": penalty.name,
                "shape": penalty.shape,
                "groups": penalty.groups,
                "alphas": alphas,
                "fit_intercept": as_flag(self.fit_intercept, "fit_intercept"),
                "sample_weight": as_shares(sample, rows),
                "weights": self._weights(columns, penalty),
                "positive": as_flag(self.positive, "positive"),
                "start": None if start is None else as_start(start),
                "tol": as_positive(self.tol, "tol", zero=True),
                "max_iter": as_count(self.max_iter, "max_iter"),
                "max_time": max_time,
            },
            stop_flag,
            as_threads(n_threads),
        )
        return as_points(found, points, len(task.targets))


class SingleResponse(Linear, BlockRegression):
    """The same for one response."""


def as_groups(value: object, columns: int) -> Groups:
    """Take groups: a common size, sizes of consecutive ones, or lists of columns."""
    if isinstance(value, bool) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0:
        size = as_count(value, "groups")
        if columns % size:
            raise InvalidInputError(
                f"groups is {size}, which does not divide the {columns} columns of X: give sizes"
            )
        sizes = np.full(columns // size, size, dtype=np.uint32)
        return Groups(sizes, np.arange(columns, dtype=np.uint32))
    try:
        parts = [np.asarray(part) for part in value]  # type: ignore[attr-defined]
    except (TypeError, ValueError):  # lists in lists, or what only looks like a list
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
    return Groups(sizes.astype(np.uint32), order.astype(np.uint32))


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

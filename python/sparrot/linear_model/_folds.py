"""Choosing the penalty by cross-validation: what all models that do it share.

For each fold, training rows are those with a weight: to fit it X is not copied; to judge it the
columns in use of the rows left out are. The folds are solved side by side, each by one thread, so
that the result has the same bits for any number of them.
"""

import copy
import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from sparrot._native import Status, get_num_threads
from sparrot._sparrot import StopFlag
from sparrot._validation import FloatArray, as_array, as_max_time, as_threads
from sparrot.errors import InvalidInputError
from sparrot.linear_model._model import AllOrNothing, SparseModel, Task
from sparrot.linear_model._path import as_alphas, as_grid
from sparrot.linear_model._solve import Point, as_share


class Fold(NamedTuple):
    """A split of the rows."""

    weights: FloatArray
    """Of all rows, in the fit: a row counts as often as it is there."""
    test: FloatArray
    """The rows that judge it,"""
    test_weights: FloatArray
    """and their weights, all positive."""


class Validated(SparseModel):
    """What comes before a model in the bases of one whose penalty is chosen."""

    _errors = "mse_path"

    def fit(
        self, X: object, y: object, sample_weight: object = None, *, split_groups: object = None
    ) -> Self:
        """Choose the penalty, and fit the model with it.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data: float32 or float64, contiguous or CSC to be read without a copy.
        y : array_like of shape (n_samples,) or (n_samples, n_targets)
            What the model is of: responses, counts or classes.
        sample_weight : array_like of shape (n_samples,), default=None
            Non-negative weights of the rows, in the fits and in the errors.
        split_groups : array_like of shape (n_samples,), default=None
            A label for each row, for a ``cv`` that keeps rows of the same label together, such as
            :class:`sklearn.model_selection.GroupKFold`, whose ``groups`` they are.

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
            If the certificate of any fit is above ``tol``.
        """
        with AllOrNothing(self):
            task = self._read(X, y, sample_weight)
            left = countdown(as_max_time(self.max_time))
            models = self._models()
            grids = [self._grid(model, task, left()) for model in models]
            folds = self._folds(task, split_groups)
            paths = self._paths(task, models, grids, folds, left)
            errors, unreached = self._judge_all(task, folds, paths, len(grids[0]))
            best, place = _choose(errors, unreached)
            self.alpha_ = grids[best][place]
            if "l1_ratio" in self.get_params(deep=False):
                self.l1_ratio_ = models[best].l1_ratio
            # As in scikit-learn: an axis of shares only if there are several.
            several = len(models) > 1
            are_given = np.ndim(self.alphas) > 0
            self.alphas_ = np.array(grids if several and not are_given else grids[0])
            setattr(self, f"{self._errors}_", errors if several else errors[0])
            last = self._refit(task, models[best], paths[best][0][place], left())
            if unreached.any():
                self.status_ = Status.MAX_TIME.value
        all_points = [last, *(point for of_model in paths for path in of_model for point in path)]
        self._warn(all_points, unreached=int(unreached.sum()), stacklevel=3)
        return self

    def _models(self) -> list[Any]:
        """Return what is to be chosen from: the model, with each share of the L1 penalty."""
        given = self.l1_ratio
        if not isinstance(given, list | tuple | np.ndarray):
            return [self]
        if len(given) == 0:
            raise InvalidInputError("l1_ratio is empty: needs at least one share")
        models = [copy.copy(self) for _ in given]
        for k, (model, share) in enumerate(zip(models, given, strict=True)):
            model.l1_ratio = as_share(share, f"l1_ratio[{k}]")
        return models

    def _grid(self, model: SparseModel, task: Task, seconds: float | None) -> list[float]:
        """Return the penalties: those given, or a grid below the largest."""
        if np.ndim(self.alphas) > 0:
            return list(as_alphas((1e-3, 1), self.alphas))
        eps, count = as_grid(self.eps, self.alphas, "alphas")
        # At the largest the solution is 0, which costs the pass that finds it.
        (largest,) = model._solve(
            task, (eps, 1), task.sample, max_time=seconds, n_threads=self.n_threads
        )
        # A constant response has no largest.
        grid: list[float] = ((largest.alpha or 1.0) * np.geomspace(1.0, eps, count)).tolist()
        return grid

    def _folds(self, task: Task, labels: object) -> list[Fold]:
        """Return the splits of the rows, each with some weight on both sides."""
        labels = None if labels is None else _as_labels(labels, task.shape[0])
        splitter = check_cv(self.cv, task.y, classifier=is_classifier(self))
        size = task.shape[0]
        sample = np.ones(size) if task.sample is None else task.sample
        folds = []
        for k, split in enumerate(splitter.split(task.data, task.y, labels)):
            train, test = (np.arange(size)[_as_rows(part, k, size)] for part in split)
            if not (sample[train].any() and sample[test].any()):
                raise InvalidInputError(
                    f"fold {k} has no row with a positive sample_weight to train on or to test on"
                )
            test = test[sample[test] > 0]  # others say nothing, whatever is in them
            fold = Fold(sample * np.bincount(train, minlength=size), test, sample[test])
            self._require(task, fold, k)
            folds.append(fold)
        if not folds:
            raise InvalidInputError("cv has no folds: needs at least one split of the rows")
        return folds

    def _require(self, task: Task, fold: Fold, k: int) -> None:
        """Raise if a fold cannot be fitted."""

    def _paths(
        self,
        task: Task,
        models: list[Any],
        grids: list[list[float]],
        folds: list[Fold],
        left: Callable[[], float | None],
    ) -> list[list[list[Point]]]:
        """Return for each model and fold its solutions, as many as there was time for."""

        def path(of: tuple[int, Fold], stop_flag: StopFlag) -> list[Point]:
            model, fold = of
            points: list[Point] = models[model]._solve(
                task,
                grids[model],
                fold.weights,
                stop_flag=stop_flag,
                max_time=left(),
                n_threads=1,
            )
            return points

        pairs = list(itertools.product(range(len(models)), folds))
        found = side_by_side(path, pairs, as_threads(self.n_threads))
        return [found[k : k + len(folds)] for k in range(0, len(found), len(folds))]

    def _judge_all(
        self, task: Task, folds: list[Fold], paths: list[list[list[Point]]], count: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return the errors by model, penalty and fold, and which have not been reached."""
        errors = np.full((len(paths), count, len(folds)), np.nan)
        unreached = np.ones(errors.shape, dtype=bool)
        for model, of_model in enumerate(paths):
            for k, (fold, points) in enumerate(zip(folds, of_model, strict=True)):
                errors[model, : len(points), k] = self._judge(task, fold, points)
                unreached[model, : len(points), k] = False
        return errors, unreached

    def _refit(self, task: Task, model: Any, of_fold: Point, seconds: float | None) -> Point:
        """Fit the model chosen to all rows; without time it is that of a fold."""
        (point,) = model._solve(
            task,
            [self.alpha_],
            task.sample,
            start=of_fold.dense(task.shape[1], np.float64) if seconds == 0 else None,
            max_time=seconds,
            n_threads=self.n_threads,
        )
        self._take(task, point)
        found: Point = point
        return found

    def _judge(self, task: Task, fold: Fold, points: list[Point]) -> FloatArray:
        """Return the mean error of each point on the rows that judge it."""
        columns = np.unique(np.concatenate([point.columns for point in points]))
        coefs = np.zeros((columns.size, len(task.targets), len(points)))
        for k, point in enumerate(points):
            coefs[np.searchsorted(columns, point.columns), :, k] = point.coefficients
        shape = coefs.shape[1:]
        used = _part(task.data, fold.test, columns)
        linear = used @ coefs.reshape(columns.size, math.prod(shape))
        values = linear.reshape(len(fold.test), *shape)
        values += np.stack([point.intercepts for point in points], axis=-1)
        errors = self._row_errors(task.targets[:, fold.test].T[:, :, None], values)
        mean: FloatArray = np.average(errors, axis=0, weights=fold.test_weights)
        return mean

    def _row_errors(self, targets: FloatArray, values: FloatArray) -> FloatArray:
        """Return the error of each row for each penalty, from axes of row, response, penalty."""
        squares: FloatArray = ((targets - values) ** 2).mean(axis=1)
        return squares


def _choose(errors: FloatArray, unreached: FloatArray) -> tuple[int, int]:
    """Return the model and the penalty of the lowest mean error, of those all folds have."""
    means = errors.mean(axis=-1)
    # Where an error overflows it is infinite, or nothing that compares.
    is_candidate = ~unreached.any(axis=-1) & (means < np.inf)
    lowest = np.where(is_candidate, means, np.inf).argmin()
    model, place = np.unravel_index(lowest, means.shape)
    return int(model), int(place)


def _part(data: Any, rows: FloatArray, columns: FloatArray) -> Any:
    """Return some rows of some columns: no more of them than that is copied."""
    return data[:, columns][rows] if issparse(data) else data[np.ix_(rows, columns)]


def countdown(seconds: float | None) -> Callable[[], float | None]:
    """Return what tells how many of the seconds are left."""
    end = None if seconds is None else time.monotonic() + seconds

    def left() -> float | None:
        return None if end is None else max(0.0, end - time.monotonic())

    return left


def _as_labels(value: object, size: int) -> FloatArray:
    """Take a label for each row, of whatever type."""
    labels = as_array(value, "split_groups")
    if labels.shape != (size,):
        raise InvalidInputError(
            f"split_groups has shape {labels.shape}: needs a label for each of the {size} rows"
        )
    return labels


def _as_rows(part: object, fold: int, size: int) -> FloatArray:
    """Take what selects rows: their numbers, or whether each is selected."""
    rows = np.asarray(part)
    if rows.dtype == bool and rows.shape == (size,):
        return rows
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise InvalidInputError(
            f"cv: fold {fold} has rows of type {rows.dtype} and shape {rows.shape}: needs numbers "
            f"of rows, or a truth value for each of the {size} rows"
        )
    if rows.size and not (-size <= rows.min() and rows.max() < size):
        raise InvalidInputError(
            f"cv: fold {fold} has rows from {rows.min()} to {rows.max()}, but there are {size}"
        )
    return rows


def side_by_side(
    work: Callable[[Any, StopFlag], Any], items: list[Any], n_threads: int | None
) -> list[Any]:
    """Do ``work(item, flag)`` for every item by threads; the flag says when to give up."""
    given_up = StopFlag()
    count = min(n_threads or get_num_threads(), len(items))
    with ThreadPoolExecutor(max_workers=count) as pool:
        waiting = [pool.submit(work, item, given_up) for item in items]
        try:
            return [future.result() for future in waiting]
        except BaseException:  # Ctrl-C too: threads that work on would keep it waiting
            given_up.set()
            for future in waiting:
                future.cancel()
            raise

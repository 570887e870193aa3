"""Choosing the penalty by cross-validation: what all models that do it share.

For each fold, training rows are those with a weight: X is not copied. The folds are solved side by
side, each by one thread, so that the result has the same bits for any number of them.
"""

import copy
import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from sparrot._native import Status, get_num_threads
from sparrot._sparrot import StopFlag
from sparrot._validation import FloatArray, as_max_time, as_threads
from sparrot.errors import InvalidInputError
from sparrot.linear_model._model import SparseModel, Task
from sparrot.linear_model._path import as_alphas, as_grid
from sparrot.linear_model._solve import Point, as_share


class Fold(NamedTuple):
    """A split of the rows."""

    weights: FloatArray
    """Of all rows, in the fit: a row counts as often as it is there."""
    test: FloatArray
    """The rows that judge it."""


class Validated(SparseModel):
    """What comes before a model in the bases of one whose penalty is chosen."""

    _errors = "mse_path"

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Choose the penalty, and fit the model with it.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data: float32 or float64, contiguous or CSC to be read without a copy.
        y : array_like of shape (n_samples,) or (n_samples, n_targets)
            What the model is of: responses, counts or classes.
        sample_weight : array_like of shape (n_samples,), default=None
            Non-negative weights of the rows, in the fits and in the errors.

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
        task = self._read(X, y, sample_weight)
        left = countdown(as_max_time(self.max_time))
        models = self._models()
        grids = [self._grid(model, task, left()) for model in models]
        sample = np.ones(task.shape[0]) if task.sample is None else task.sample
        folds = self._folds(task, sample)

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

        paths = list(itertools.product(range(len(models)), folds))
        found = side_by_side(path, paths, as_threads(self.n_threads))
        judged = np.full((len(paths), len(grids[0])), np.nan)  # where the time was too short
        for own, (_, fold), points in zip(judged, paths, found, strict=True):
            own[: len(points)] = self._judge(task, sample, fold.test, points)
        errors = judged.reshape(len(models), len(folds), -1).transpose(0, 2, 1)
        means = errors.mean(-1)
        lowest = np.where(np.isnan(means), np.inf, means).argmin()
        best, place = np.unravel_index(lowest, errors.shape[:2])
        self.alpha_ = grids[best][place]
        if hasattr(self, "l1_ratio"):
            self.l1_ratio_ = models[best].l1_ratio
        # As in scikit-learn: an axis of shares only if there are several.
        several = len(models) > 1
        are_given = np.ndim(self.alphas) > 0
        self.alphas_ = np.array(grids if several and not are_given else grids[0])
        setattr(self, f"{self._errors}_", errors if several else errors[0])
        seconds = left()
        of_fold = found[best * len(folds)][place]
        last = models[best]._solve(
            task,
            [self.alpha_],
            task.sample,
            start=of_fold.dense(task.shape[1], np.float64) if seconds == 0 else None,
            max_time=seconds,
            n_threads=self.n_threads,
        )
        self._take(task, last[0])
        unreached = len(paths) * len(grids[0]) - sum(map(len, found))
        if unreached:
            self.status_ = Status.MAX_TIME.value
        self._warn([*last, *itertools.chain(*found)], unreached=unreached, stacklevel=3)
        return self

    def _models(self) -> list[Any]:
        """Return what is to be chosen from: the model, with each share of the L1 penalty."""
        given = getattr(self, "l1_ratio", None)
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

    def _folds(self, task: Task, sample: FloatArray) -> list[Fold]:
        """Return the splits of the rows, each with some weight on both sides."""
        splitter = check_cv(self.cv, task.y, classifier=is_classifier(self))
        size = len(sample)
        folds = []
        for k, split in enumerate(splitter.split(task.data, task.y)):
            train, test = (np.arange(size)[_as_rows(part, k, size)] for part in split)
            if not (sample[train].any() and sample[test].any()):
                raise InvalidInputError(
                    f"fold {k} has no row with a positive sample_weight to train on or to test on"
                )
            fold = Fold(sample * np.bincount(train, minlength=size), test)
            self._require(task, fold, k)
            folds.append(fold)
        if not folds:
            raise InvalidInputError("cv has no folds: needs at least one split of the rows")
        return folds

    def _require(self, task: Task, fold: Fold, k: int) -> None:
        """Raise if a fold cannot be fitted."""

    def _judge(
        self, task: Task, sample: FloatArray, test: FloatArray, points: list[Point]
    ) -> FloatArray:
        """Return the mean error of each point on the rows of ``test``."""
        columns = np.unique(np.concatenate([point.columns for point in points]))
        coefs = np.zeros((columns.size, len(task.targets), len(points)))
        for k, point in enumerate(points):
            coefs[np.searchsorted(columns, point.columns), :, k] = point.coefficients
        shape = coefs.shape[1:]
        linear = task.data[test][:, columns] @ coefs.reshape(columns.size, math.prod(shape))
        values = linear.reshape(len(test), *shape)
        values += np.stack([point.intercepts for point in points], axis=-1)
        errors = self._row_errors(task.targets[:, test].T[:, :, None], values)
        mean: FloatArray = np.average(errors, axis=0, weights=sample[test])
        return mean

    def _row_errors(self, targets: FloatArray, values: FloatArray) -> FloatArray:
        """Return the error of each row for each penalty, from axes of row, response, penalty."""
        squares: FloatArray = ((targets - values) ** 2).mean(axis=1)
        return squares


def countdown(seconds: float | None) -> Callable[[], float | None]:
    """Return what tells how many of the seconds are left."""
    end = None if seconds is None else time.monotonic() + seconds

    def left() -> float | None:
        return None if end is None else max(0.0, end - time.monotonic())

    return left


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

"""Lasso and elastic net with the penalty chosen by cross-validation."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.model_selection import check_cv

from sparrot._design import Design, as_design
from sparrot._native import get_num_threads
from sparrot._validation import FloatArray
from sparrot.errors import InvalidInputError
from sparrot.linear_model._estimators import SparseLinearRegression
from sparrot.linear_model._path import as_alphas, as_grid
from sparrot.linear_model._solve import (
    Point,
    Settings,
    as_sample_weight,
    as_share,
    as_weights,
    solve,
    warn_unless_converged,
)


class Fold(NamedTuple):
    """A path on the training rows, to be judged on the others."""

    train: FloatArray
    test: FloatArray
    share: int
    """Which l1_ratio."""


class ElasticNetCV(SparseLinearRegression):
    """Elastic net with the penalty, and the share of its parts, chosen by cross-validation.

    For each fold, training rows are those with a weight: ``X`` is not copied. The folds are solved
    side by side, each by one thread.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        The share of the L1 penalty, or those to choose from.
    eps : float, default=1e-3
        The smallest penalty of the grid over its largest.
    alphas : int or array_like, default=100
        How many penalties there are in the grid, at most 100,000, or the penalties themselves.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    weights : array_like of shape (n_features,), default=None
        Weights of the coefficients in the L1 penalty.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
    max_iter : int, default=1000
        Passes over the columns for each penalty, at most.
    cv : int, cross-validation generator or iterable, default=None
        The folds, as scikit-learn takes them: 5 by default.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Attributes
    ----------
    alpha_ : float
        The penalty chosen.
    l1_ratio_ : float
        The share chosen.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratio, n_alphas)
        The penalties tried, descending; by share if there are several and the penalties not given.
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratio, n_alphas, n_folds)
        The mean squared error on the rows left out.
    coef_ : ndarray of shape (n_features,)
        The coefficients of a fit to all rows; rounded to float32 if ``X`` is.
    sparse_coef_ : scipy.sparse.csr_array of shape (1, n_features)
        The same, sparse.
    intercept_ : float
        The intercept.
    dual_gap_ : float
        By how much the objective of the last fit is above its optimum, at most.
    objective_ : float
        The objective of the last fit.
    n_iter_ : int
        Passes over the columns in the last fit.
    trace_ : dict of ndarray
        Of each pass of the last fit: see :class:`ElasticNet`.
    converged_ : bool
        Whether the gap of the last fit is within ``tol``.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    LassoCV : The L1 penalty alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import ElasticNetCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30))
    >>> y = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=80)
    >>> model = ElasticNetCV(l1_ratio=[0.5, 1.0], alphas=20).fit(X, y)
    >>> model.l1_ratio_, model.mse_path_.shape
    (1.0, (2, 20, 5))
    """

    def __init__(
        self,
        *,
        l1_ratio: object = 0.5,
        eps: float = 1e-3,
        alphas: object = 100,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        cv: object = None,
        n_threads: int | None = None,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.cv = cv
        self.n_threads = n_threads

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Choose the penalty, and fit the model with it.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.
        y : array_like of shape (n_samples,)
            The response.
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
            If a gap is above ``tol``.
        """
        data, response = self._validated(X, y)
        design, (n, p) = as_design(data, "X", check_finite=False)
        shares = self._shares()
        settings = [
            Settings.of(
                l1_ratio=share,
                fit_intercept=self.fit_intercept,
                positive=self.positive,
                tol=self.tol,
                max_iter=self.max_iter,
                n_threads=self.n_threads,
            )
            for share in shares
        ]
        given = as_sample_weight(sample_weight, n)
        sample = np.ones(n) if given is None else given
        weights = as_weights(self.weights, p)
        grids = self._grids(design, response, settings, sample, weights)
        splits = list(check_cv(self.cv).split(data, response))
        if not splits:
            raise InvalidInputError("cv has no folds: needs at least one split of the rows")
        folds = [
            Fold(train, test, k)
            for k in range(len(shares))
            for train, test in _used(splits, sample)
        ]

        def error(fold: Fold, stops: Callable[..., bool]) -> tuple[FloatArray, list[Point]]:
            # A row counts as often as it is there.
            mask = sample * np.bincount(fold.train, minlength=n)
            points = solve(
                design,
                response,
                grids[fold.share],
                settings[fold.share]._replace(n_threads=1),
                sample_weight=mask,
                weights=weights,
                callback=stops,
            )
            return _errors(data, response, sample, fold.test, points), points

        found = side_by_side(error, folds, settings[0].n_threads)
        errors = np.stack([mse for mse, _ in found], axis=-1)
        errors = errors.reshape(-1, len(shares), len(folds) // len(shares)).transpose(1, 0, 2)
        best_share, best_alpha = np.unravel_index(errors.mean(-1).argmin(), errors.shape[:2])
        self.alpha_ = grids[best_share][best_alpha]
        self.l1_ratio_ = shares[best_share]
        # As in scikit-learn: an axis of shares only if there are several.
        several = len(shares) > 1
        are_given = np.ndim(self.alphas) > 0  # type: ignore[arg-type]
        self.alphas_ = np.array(grids if several and not are_given else grids[0])
        self.mse_path_ = errors if several else errors[0]
        last = solve(
            design,
            response,
            [self.alpha_],
            settings[best_share],
            sample_weight=given,
            weights=weights,
        )
        self._take(last[0], (n, p), data.dtype, settings[0].tol)
        every = list(itertools.chain(last, *(points for _, points in found)))
        warn_unless_converged(every, settings[0].tol, stacklevel=2)
        return self

    def _shares(self) -> list[float]:
        given = self.l1_ratio if isinstance(self.l1_ratio, list | tuple | np.ndarray) else None
        if given is None:
            return [as_share(self.l1_ratio, "l1_ratio")]
        if len(given) == 0:
            raise InvalidInputError("l1_ratio is empty: needs at least one share")
        return [as_share(share, f"l1_ratio[{k}]") for k, share in enumerate(given)]

    def _grids(
        self,
        design: Design,
        response: FloatArray,
        settings: list[Settings],
        sample: FloatArray,
        weights: FloatArray | None,
    ) -> list[list[float]]:
        """Return the penalties of each share: those given, or a grid below the largest."""
        if np.ndim(self.alphas) > 0:  # type: ignore[arg-type]
            given = as_alphas((1e-3, 1), self.alphas)
            return [list(given)] * len(settings)
        eps, count = as_grid(self.eps, self.alphas, "alphas")
        grids = []
        for chosen in settings:
            # At the largest the solution is 0, which costs the pass that finds it.
            largest = solve(
                design, response, (eps, 1), chosen, sample_weight=sample, weights=weights
            )[0].alpha
            # A constant response has no largest.
            grids.append((largest or 1.0) * np.geomspace(1.0, eps, count))
        return [grid.tolist() for grid in grids]


class LassoCV(ElasticNetCV):
    """Lasso with the penalty chosen by cross-validation.

    Parameters
    ----------
    eps : float, default=1e-3
        The smallest penalty of the grid over its largest.
    alphas : int or array_like, default=100
        How many penalties there are in the grid, at most 100,000, or the penalties themselves.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    weights : array_like of shape (n_features,), default=None
        Weights of the coefficients in the penalty.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
    max_iter : int, default=1000
        Passes over the columns for each penalty, at most.
    cv : int, cross-validation generator or iterable, default=None
        The folds, as scikit-learn takes them: 5 by default.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`.

    Attributes
    ----------
    alpha_ : float
        The penalty chosen.
    alphas_ : ndarray of shape (n_alphas,)
        The penalties tried, descending.
    mse_path_ : ndarray of shape (n_alphas, n_folds)
        The mean squared error on the rows left out.
    coef_ : ndarray of shape (n_features,)
        The coefficients of a fit to all rows; rounded to float32 if ``X`` is.
    sparse_coef_ : scipy.sparse.csr_array of shape (1, n_features)
        The same, sparse.
    intercept_ : float
        The intercept.
    dual_gap_ : float
        By how much the objective of the last fit is above its optimum, at most.
    objective_ : float
        The objective of the last fit.
    n_iter_ : int
        Passes over the columns in the last fit.
    trace_ : dict of ndarray
        Of each pass of the last fit: see :class:`ElasticNet`.
    converged_ : bool
        Whether the gap of the last fit is within ``tol``.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    ElasticNetCV : Says more about how it is done.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import LassoCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30))
    >>> y = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=80)
    >>> model = LassoCV(alphas=20).fit(X, y)
    >>> model.mse_path_.shape, bool(model.alpha_ < 0.1)
    ((20, 5), True)
    """

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: object = 100,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        cv: object = None,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(
            eps=eps,
            alphas=alphas,
            fit_intercept=fit_intercept,
            weights=weights,
            positive=positive,
            tol=tol,
            max_iter=max_iter,
            cv=cv,
            n_threads=n_threads,
        )

    def _shares(self) -> list[float]:
        return [1.0]

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Choose the penalty, and fit the model with it.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.
        y : array_like of shape (n_samples,)
            The response.
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
            If a gap is above ``tol``.
        """
        super().fit(X, y, sample_weight)
        del self.l1_ratio_
        return self


def _used(
    splits: list[tuple[FloatArray, FloatArray]], sample: FloatArray
) -> list[tuple[FloatArray, FloatArray]]:
    """Return the folds, as rows, each with some weight on both sides."""
    rows = []
    for k, fold in enumerate(splits):
        train, test = (np.arange(len(sample))[_as_rows(part, k, len(sample))] for part in fold)
        rows.append((train, test))
        if not (sample[train].any() and sample[test].any()):
            raise InvalidInputError(
                f"fold {k} has no row with a positive sample_weight to train on or to test on"
            )
    return rows


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


def _errors(
    data: Any, response: FloatArray, sample: FloatArray, test: FloatArray, points: list[Point]
) -> FloatArray:
    """Return the mean squared error of each point on the rows of ``test``."""
    columns = np.unique(np.concatenate([point.columns for point in points]))
    coefs = np.zeros((columns.size, len(points)))
    for k, point in enumerate(points):
        coefs[np.searchsorted(columns, point.columns), k] = point.coefficients
    predicted = data[test][:, columns] @ coefs + [point.intercept for point in points]
    errors: FloatArray = np.average(
        (response[test, None] - predicted) ** 2, axis=0, weights=sample[test]
    )
    return errors


def side_by_side(
    work: Callable[[Any, Callable[..., bool]], Any], items: list[Any], n_threads: int | None
) -> list[Any]:
    """Do ``work(item, stops)`` for every item by threads; ``stops()`` says when to give up."""
    given_up = threading.Event()
    count = min(n_threads or get_num_threads(), len(items))
    with ThreadPoolExecutor(max_workers=count) as pool:
        waiting = [pool.submit(work, item, lambda *_: given_up.is_set()) for item in items]
        try:
            return [future.result() for future in waiting]
        except BaseException:  # Ctrl-C too: threads that work on would keep it waiting
            given_up.set()
            for future in waiting:
                future.cancel()
            raise

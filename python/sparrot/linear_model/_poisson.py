"""Sparse Poisson regression as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np
from scipy.special import kl_div
from sklearn.base import RegressorMixin
from sklearn.utils import column_or_1d

from sparrot._design import as_targets
from sparrot._validation import FloatArray, refuse_masked
from sparrot.errors import InvalidInputError
from sparrot.linear_model._elastic import ElasticModel
from sparrot.linear_model._model import Task
from sparrot.linear_model._solve import as_sample_weight


class SparsePoissonRegression(RegressorMixin, ElasticModel):  # type: ignore[misc]
    """Poisson regression with L1 and squared L2 penalties, to a certified duality gap.

    Minimises ``mean(exp(z) - y * z) + alpha * l1_ratio * |coef|.sum() + alpha * (1 - l1_ratio) *
    (coef**2).sum() / 2`` with ``z = X @ coef + b``: the negative log-likelihood of counts whose
    expectation is ``exp(z)``. With ``groups`` of columns g, ``sum(v_g * norm(coef[g]))`` takes the
    place of the L1 norm, v_g being ``weights``.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, above 0.
    l1_ratio : float, default=1.0
        The share of the L1 penalty, above 0 and at most 1.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``. It is not penalised.
    groups : int, list of int or list of list of int, default=None
        Groups of columns, whose norms then take the place of the L1 norm: the size of consecutive
        ones, their sizes, or the columns of each. Not with ``positive`` or ``bounds``.
    weights : array_like of shape (n_features,) or (n_groups,), or "sqrt", default=None
        Weights of the coefficients in the L1 penalty, or of the norms of ``groups``: 0 for those
        without, ``inf`` for those to leave out; of groups "sqrt" for the roots of their sizes.
    positive : bool, default=False
        Whether coefficients must not be negative.
    bounds : tuple of float or of array_like of shape (n_features,), default=None
        ``(lower, upper)`` of the coefficients, with ``lower <= 0 <= upper``, which may be infinite.
        Not with ``positive``, which is ``(0, inf)``.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0 above that of a perfect fit.
    max_iter : int, default=1000
        Passes over the columns, at most.
    max_time : float, default=None
        Seconds, at most: the answer is what has been reached by then, with its certificate.
    warm_start : bool, default=False
        Whether to start from the coefficients of the last fit.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        The coefficients; rounded to float32 if ``X`` is, after they have been certified.
    sparse_coef_ : scipy.sparse.csr_array of shape (1, n_features)
        The same, sparse.
    intercept_ : float
        The intercept.
    dual_gap_ : float
        By how much the objective is above the optimum, at most.
    objective_ : float
        The objective.
    n_iter_ : int
        Passes over the columns.
    trace_ : dict of ndarray
        Of each pass: see :class:`ElasticNet`.
    converged_ : bool
        Whether the gap is within ``tol``.
    status_ : str
        How it ended: "converged", "max_iter", "max_time" or "stalled".
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    SparsePoissonRegressionCV : With the penalty chosen by cross-validation.
    SparseLogisticRegression : Says how it is solved.

    Notes
    -----
    ``dual_gap_`` includes what rounding may have done, so that it is no less than the true one; of
    columns that are nearly dependent, of a small ``alpha``, it can therefore stay above ``tol``.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import SparsePoissonRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1000))
    >>> y = rng.poisson(np.exp(X[:, 0] - 0.5 * X[:, 1]))
    >>> model = SparsePoissonRegression(alpha=0.5).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([0, 1])
    """

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data: float32 or float64, contiguous or CSC to be read without a copy.
        y : array_like of shape (n_samples,)
            The counts: non-negative, not all 0 if there is an intercept.
        sample_weight : array_like of shape (n_samples,), default=None
            Non-negative weights of the rows (exposures); only their ratios matter.

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
            If the gap is above ``tol``.
        """
        return self._fit(X, y, sample_weight)

    def _loss(self, task: Task) -> str:
        del task
        return "poisson"

    def _read(self, X: object, y: object, sample_weight: object) -> Task:
        task = super()._read(X, y, sample_weight)
        counts = task.targets[0]
        _require_counts(counts)
        if self.fit_intercept and not _weighted(counts, task.sample).any():
            raise InvalidInputError(
                "y is 0 wherever there is weight: the intercept would be -inf; needs a count"
            )
        return task

    def predict(self, X: object) -> FloatArray:
        """Predict the expected counts.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,)
            ``exp(X @ coef_ + intercept_)``.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        return np.exp(self._linear(X))

    def score(self, X: object, y: object, sample_weight: Any = None) -> float:
        """Compute the share of the deviance that is explained.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.
        y : array_like of shape (n_samples,)
            The counts: non-negative.
        sample_weight : array_like of shape (n_samples,), default=None
            Non-negative weights of the rows; only their ratios matter.

        Returns
        -------
        float
            1 for a perfect fit, 0 for one that predicts the mean. Where all counts are the same,
            these are one: then 1 for a perfect fit, up to rounding, and 0 for any other, as by
            :func:`sklearn.metrics.r2_score`.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``, or ``y`` has
            more than one column.
        sparrot.errors.InvalidInputError
            If ``y`` or ``sample_weight`` is not as described, or has not one value for each row.
        sklearn.exceptions.NotFittedError
            Before ``fit``.

        Warns
        -----
        sklearn.exceptions.DataConversionWarning
            If ``y`` is a column.
        """
        expected = self.predict(X)
        refuse_masked(y, "y")
        counts = as_targets(column_or_1d(y, warn=True), "y", len(expected), "X")
        _require_counts(counts)
        given = as_sample_weight(sample_weight, len(counts))
        weights = np.ones(len(counts)) if given is None else given / given.max()
        used = weights > 0  # else 0 times inf
        counts, expected, weights = counts[used], expected[used], weights[used]
        mean = np.average(counts, weights=weights)
        left = float(np.average(half_deviances(counts, expected), weights=weights))
        whole = float(np.average(kl_div(counts, mean), weights=weights))
        # Its terms are of the size of the counts: no more than this is what rounding makes of 0.
        rounding = 4 * np.finfo(np.float64).eps * mean
        if whole <= rounding:
            return 1.0 if left <= rounding else 0.0
        return 1 - left / whole

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags


def half_deviances(counts: FloatArray, expected: FloatArray) -> FloatArray:
    """Return half the deviance of each count: infinite where the expectation is."""
    halves: FloatArray = np.where(expected < np.inf, kl_div(counts, expected), np.inf)
    return halves


def _require_counts(counts: FloatArray) -> None:
    if (counts < 0).any():
        i = int(np.flatnonzero(counts < 0)[0])
        raise InvalidInputError(f"y[{i}] is {counts[i]}: needs non-negative counts")


def _weighted(counts: FloatArray, sample: FloatArray | None) -> FloatArray:
    return counts if sample is None else counts * sample

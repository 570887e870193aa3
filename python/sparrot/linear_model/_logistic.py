"""Sparse logistic regression as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np
from scipy.special import log_expit
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from sparrot._validation import FloatArray
from sparrot.errors import InvalidInputError
from sparrot.linear_model._elastic import ElasticModel
from sparrot.linear_model._model import Alphas, Task
from sparrot.linear_model._solve import Point, as_weights
from sparrot.special import logsumexp


class SparseLogisticRegression(ClassifierMixin, ElasticModel):  # type: ignore[misc]
    """Logistic regression with L1 and squared L2 penalties, to a certified duality gap.

    Minimises ``mean(log(1 + exp(-y * (X @ coef + b)))) + alpha * l1_ratio * |coef|.sum() +
    alpha * (1 - l1_ratio) / 2 * (coef**2).sum()``, y being -1 or 1: what scikit-learn's
    ``LogisticRegression`` minimises with ``C = 1 / (n * alpha)`` (for "liblinear" without an
    intercept, which it penalises). With more than two classes the loss is the multinomial one,
    ``mean(logsumexp(Z, axis=1) - Z[i, class of i])`` with ``Z = X @ coef.T + b``, and every
    coefficient of every class is penalised: as there, too. For one model for each class against
    the rest wrap it in :class:`sklearn.multiclass.OneVsRestClassifier`.

    With ``groups`` of columns g, ``sum(v_g * norm(coef[g]))`` takes the place of the L1 norm, v_g
    being ``weights`` (Meier, van de Geer and Buehlmann, 2008): a group is in the model with all its
    columns or not at all.

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
        ones, their sizes, or the columns of each. Of two classes only, and not with ``positive`` or
        ``bounds``.
    weights : array_like of shape (n_features,) or (n_groups,), or "sqrt", default=None
        Weights of the coefficients in the L1 penalty, or of the norms of ``groups``: 0 for those
        without, ``inf`` for those to leave out; of groups "sqrt" for the roots of their sizes.
        With more than two classes, ``l1_ratio=1`` and ``positive`` or ``bounds``, above 0.
    positive : bool, default=False
        Whether coefficients must not be negative.
    bounds : tuple of float or of array_like of shape (n_features,), default=None
        ``(lower, upper)`` of the coefficients, with ``lower <= 0 <= upper``, which may be infinite.
        Not with ``positive``, which is ``(0, inf)``.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
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
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        The coefficients; rounded to float32 if ``X`` is, after they have been certified.
    sparse_coef_ : scipy.sparse.csr_array of the shape of coef_
        The same, sparse.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        The intercepts; of more than two classes their mean is 0.
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
    SparseLogisticRegressionCV : With the penalty chosen by cross-validation.
    Lasso : For a numeric response.
    SparsePoissonRegression : For counts.

    Notes
    -----
    A working set of columns, chosen greedily; on it proximal Newton steps, each a weighted Lasso
    that an active set with a Cholesky factor solves, or coordinate descent if the set is large. Of
    more than two classes one after the other is minimised over, which is such a problem, until none
    changes; the gap is that of all.

    With groups the working set is of groups, and a Newton step's model is solved by descent on one
    group after the other, extrapolated; "sparsity" in ``trace_`` counts groups. The penalty is that
    of L. Meier, S. van de Geer and P. Buehlmann, "The group lasso for logistic regression", J. R.
    Stat. Soc. B 70, 2008, where weights are "sqrt"; with a squared L2 norm besides it is adelie's.

    ``dual_gap_`` includes what rounding may have done, so that it is no less than the true one; of
    columns that are nearly dependent, of a small ``alpha``, it can therefore stay above ``tol``.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import SparseLogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1000))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] > 0
    >>> model = SparseLogisticRegression(alpha=0.08).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([0, 1, 2])
    >>> model.converged_, bool(model.dual_gap_ <= 1e-6 * np.log(2))
    (True, True)
    >>> model = SparseLogisticRegression(alpha=0.1, groups=5).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([0, 1, 2, 3, 4])
    """

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data: float32 or float64, contiguous or CSC to be read without a copy.
        y : array_like of shape (n_samples,)
            The classes.
        sample_weight : array_like of shape (n_samples,), default=None
            Non-negative weights of the rows; only their ratios matter.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If a parameter or an argument is not as described, or there is one class.

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If the gap is above ``tol``.
        """
        return self._fit(X, y, sample_weight)

    def _read(self, X: object, y: object, sample_weight: object) -> Task:
        data, labels = self._checked(X, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        count = len(self.classes_)
        if count < 2:
            raise InvalidInputError(f"y has 1 class, {self.classes_[0]!s}: needs at least two")
        wanted = np.arange(1, 2) if count == 2 else np.arange(count)
        targets = np.where(codes == wanted[:, None], 1.0, -1.0)
        task = self._task(data, codes, targets, sample_weight)
        empty = self._without(task, task.sample)
        if empty is not None:
            raise InvalidInputError(f"sample_weight is zero for class {empty}: leave it out of y")
        return task

    def _without(self, task: Task, sample: FloatArray | None) -> str | None:
        """Return a class without weight, if there is one."""
        masses = np.bincount(task.y, weights=sample, minlength=len(self.classes_))
        return None if masses.all() else str(self.classes_[int(masses.argmin())])

    def _loss(self, task: Task) -> str:
        return "logistic" if len(task.targets) == 1 else "multinomial"

    def _solve(
        self, task: Task, alphas: Alphas, sample: FloatArray | None, **options: Any
    ) -> list[Point]:
        if len(task.targets) > 1:
            self._require_joint(task)
        return super()._solve(task, alphas, sample, **options)

    def _require_joint(self, task: Task) -> None:
        """Raise if a penalty is not offered with the multinomial loss."""
        if self.groups is not None:
            raise InvalidInputError(
                f"groups are given with {len(task.targets)} classes. Only binary classification is "
                "supported with groups: leave them out, or fit a model for each class against the "
                "rest (sklearn.multiclass.OneVsRestClassifier)"
            )
        weights = as_weights(self.weights, task.shape[1])
        is_bounded = self.positive or self.bounds is not None
        if self.l1_ratio == 1 and is_bounded and weights is not None and not weights.all():
            j = int(np.flatnonzero(weights == 0)[0])
            raise InvalidInputError(
                f"weights[{j}] is 0: with positive=True or bounds and more than two classes needs "
                "weights above 0, or an l1_ratio below 1"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = self.groups is None
        return tags

    def _take_coefficients(self, coef: FloatArray, intercepts: FloatArray) -> None:
        self.coef_, self.intercept_ = coef, intercepts

    def decision_function(self, X: object) -> FloatArray:
        """Compute the linear values.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            ``X @ coef_.T + intercept_``; of two classes a vector, for the second one.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        values = self._linear(X)
        return values[:, 0] if values.shape[1] == 1 else values

    def predict(self, X: object) -> Any:
        """Predict the classes.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,)
            The class of the largest value.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        values = self.decision_function(X)
        best = (values > 0).astype(int) if values.ndim == 1 else values.argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: object) -> FloatArray:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Those of each row sum to 1.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: object) -> FloatArray:
        """Predict the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            See :meth:`predict_proba`.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        values = self.decision_function(X)
        if values.ndim == 1:
            return np.stack([log_expit(-values), log_expit(values)], axis=1)
        normalised: FloatArray = values - logsumexp(values, axis=1, keepdims=True)
        return normalised


def log_losses(targets: FloatArray, values: FloatArray) -> FloatArray:
    """Return the log loss of each row for each penalty, from axes of row, class, penalty."""
    if targets.shape[1] == 1:
        own: FloatArray = log_expit(targets * values)[:, 0]
    else:
        own = (values * (targets > 0)).sum(axis=1) - logsumexp(values, axis=1)
    losses: FloatArray = -own
    return losses

"""Sparse logistic regression as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np
from scipy.special import log_expit
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from sparrot._validation import FloatArray
from sparrot.errors import InvalidInputError
from sparrot.linear_model._glm import DTYPES, SparseGLM
from sparrot.linear_model._solve import as_sample_weight
from sparrot.special import logsumexp


class SparseLogisticRegression(ClassifierMixin, SparseGLM):  # type: ignore[misc]
    """Logistic regression with L1 and squared L2 penalties, to a certified duality gap.

    Minimises ``mean(log(1 + exp(-y * (X @ coef + b)))) + alpha * l1_ratio * |coef|.sum() +
    alpha * (1 - l1_ratio) / 2 * (coef**2).sum()``, y being -1 or 1: what scikit-learn's
    ``LogisticRegression`` minimises with ``C = 1 / (n * alpha)`` (for "liblinear" without an
    intercept, which it penalises). Several classes are told apart one against the rest.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, above 0.
    l1_ratio : float, default=1.0
        The share of the L1 penalty, above 0 and at most 1.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``. It is not penalised.
    weights : array_like of shape (n_features,), default=None
        Weights of the coefficients in the L1 penalty: 0 for those without, ``inf`` for columns to
        leave out.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
    max_iter : int, default=1000
        Passes over the columns, at most.
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
        The intercepts.
    dual_gap_ : float
        By how much the objective is above the optimum, at most; summed over the classes.
    objective_ : float
        The objective, summed over the classes.
    n_iter_ : int
        Passes over the columns, of the class that took most.
    trace_ : dict of ndarray
        Of each pass for the last class: see :class:`ElasticNet`.
    converged_ : bool
        Whether all gaps are within ``tol``.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    Lasso : For a numeric response.
    SparsePoissonRegression : For counts.

    Notes
    -----
    A working set of columns, chosen greedily; on it proximal Newton steps, each a weighted Lasso
    that an active set with a Cholesky factor solves, or coordinate descent if the set is large.

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
    """

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data: float32 or float64, Fortran order or CSC to be read without a copy.
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
        data, labels = validate_data(
            self, X, y, accept_sparse="csc", dtype=DTYPES, order="F", ensure_all_finite=False
        )
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        count = len(self.classes_)
        given = as_sample_weight(sample_weight, len(labels))
        if count < 2:
            raise InvalidInputError(f"y has 1 class, {self.classes_[0]!s}: needs at least two")
        masses = np.bincount(codes, weights=given, minlength=count)
        if (masses == 0).any():
            empty = self.classes_[int(masses.argmin())]
            raise InvalidInputError(f"sample_weight is zero for class {empty!s}: leave it out of y")
        wanted = [1] if count == 2 else range(count)
        targets = [np.where(codes == c, 1.0, -1.0) for c in wanted]
        points = self._solved(data, targets, "logistic", given)
        columns = data.shape[1]
        self.coef_ = np.stack([point.dense(columns, data.dtype) for point in points])
        self.intercept_ = np.array([point.intercept for point in points])
        return self

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
            Of more than two classes those of each against the rest, divided by their sum.

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
        logs = log_expit(values)
        normalised: FloatArray = logs - logsumexp(logs, axis=1, keepdims=True)
        return normalised

"""The Lasso for several responses as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from sparrot._validation import FloatArray
from sparrot.errors import InvalidInputError
from sparrot.linear_model._blocks import BlockRegression, Penalty
from sparrot.linear_model._model import Task


class MultiTaskLasso(RegressorMixin, BlockRegression):  # type: ignore[misc]
    """Linear regression of several responses on the same few columns, with a certificate.

    Minimises ``((Y - X @ coef.T - b)**2).sum() / (2 * n) + alpha * sum(norm(coef[:, j]))``, as
    scikit-learn's estimator of this name: a column is in the model for all responses or for none.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, above 0.
    fit_intercept : bool, default=True
        Whether there are intercepts, also with sparse ``X``.
    weights : array_like of shape (n_features,), default=None
        Weights of ``alpha``: 0 for columns without a penalty, ``inf`` for those to leave out.
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
    coef_ : ndarray of shape (n_targets, n_features)
        The coefficients; rounded to float32 if ``X`` is, after they have been certified.
    sparse_coef_ : scipy.sparse.csr_array of shape (n_targets, n_features)
        The same, sparse.
    intercept_ : ndarray of shape (n_targets,)
        The intercepts.
    dual_gap_ : float
        By how much the objective is above the optimum, at most.
    objective_ : float
        The objective.
    n_iter_ : int
        Passes over the columns.
    trace_ : dict of ndarray
        Of each pass: "iteration", "time" (seconds), "objective", "certificate" (as compared with
        ``tol``) and "sparsity" (columns in use).
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
    MultiTaskLassoCV : With the penalty chosen by cross-validation.
    Lasso : For one response.
    GroupLasso : Says how it is solved.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import MultiTaskLasso
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 300))
    >>> Y = X[:, :2] @ [[2.0, -1.0, 0.5], [1.0, 1.0, 0.0]] + 0.1 * rng.normal(size=(100, 3))
    >>> model = MultiTaskLasso(alpha=0.2).fit(X, Y)
    >>> model.coef_.shape, np.flatnonzero(model.coef_.any(axis=0))
    ((3, 300), array([0, 1]))
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        weights: object = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        warm_start: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.warm_start = warm_start
        self.n_threads = n_threads

    def _penalty(self, columns: int) -> Penalty:
        del columns
        return Penalty("group")

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data: float32 or float64, contiguous or CSC to be read without a copy.
        y : array_like of shape (n_samples, n_targets)
            The responses.
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
            If the gap is above ``tol``.
        """
        return self._fit(X, y, sample_weight)

    def _read(self, X: object, y: object, sample_weight: object) -> Task:
        data, responses = self._numbers(X, y, multi_output=True)
        if responses.ndim != 2:
            raise InvalidInputError(
                f"y has shape {responses.shape}: needs a column for each response (for one "
                "response use Lasso)"
            )
        rows = np.ascontiguousarray(responses.T)
        return self._task(data, responses, rows, sample_weight)

    def _take_coefficients(self, coef: FloatArray, intercepts: FloatArray) -> None:
        self.coef_, self.intercept_ = coef, intercepts

    def predict(self, X: object) -> FloatArray:
        """Predict the responses.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_targets)
            ``X @ coef_.T + intercept_``.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        return self._linear(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        tags.target_tags.multi_output = True
        return tags

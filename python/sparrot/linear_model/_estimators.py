"""Lasso and elastic net as scikit-learn estimators."""

from typing import Any, Self

import numpy as np
from scipy import sparse

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "the estimators of sparrot.linear_model need scikit-learn 1.6 or later: "
        "pip install 'sparrot[sklearn]'"
    ) from error

from sparrot._design import as_design
from sparrot._native import Status
from sparrot._validation import FloatArray, as_positive
from sparrot.linear_model._solve import (
    Point,
    Settings,
    as_sample_weight,
    as_weights,
    earlier,
    solve,
    warn_unless_converged,
)


class SparseLinearRegression(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What all of them have: data in, attributes out."""

    def _validated(self, X: object, y: object) -> tuple[Any, FloatArray]:
        # What is not finite is found by the solver as it reads the data.
        data, response = validate_data(
            self,
            X,
            y,
            accept_sparse="csc",
            dtype=[np.float64, np.float32],
            order="F",
            y_numeric=True,
            ensure_all_finite=False,
        )
        if not np.isfinite(response).all():
            # Says what scikit-learn says of y.
            validate_data(self, X, y, accept_sparse="csc", y_numeric=True)
        return data, np.ascontiguousarray(response, dtype=np.float64)

    def _take(self, point: Point, shape: tuple[int, int], dtype: Any, tol: float) -> None:
        self.coef_ = point.dense(shape[1], dtype)
        self.intercept_ = float(point.intercept)
        self.dual_gap_ = point.gap
        self.objective_ = point.objective
        self.n_iter_ = max(1, point.n_iter)
        self.trace_ = point.trace
        self.converged_ = point.status is Status.CONVERGED

    @property
    def sparse_coef_(self) -> sparse.csr_array:
        """The coefficients, sparse."""
        return sparse.csr_array(np.atleast_2d(self.coef_))

    def predict(self, X: object) -> FloatArray:
        """Predict the response.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,)
            ``X @ coef_ + intercept_``.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        data = validate_data(
            self, X, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], reset=False
        )
        predicted: FloatArray = data @ self.coef_ + self.intercept_
        return predicted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class ElasticNet(SparseLinearRegression):
    """Linear regression with L1 and squared L2 penalties, to a certified duality gap.

    Minimises ``((y - X @ coef - b)**2).sum() / (2 * n) + alpha * l1_ratio * |coef|.sum() +
    alpha * (1 - l1_ratio) / 2 * (coef**2).sum()``, as scikit-learn's estimator of this name.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, above 0.
    l1_ratio : float, default=0.5
        The share of the L1 penalty, above 0 and at most 1.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``, which is not centred in memory.
    weights : array_like of shape (n_features,), default=None
        Weights of the coefficients in the L1 penalty: 0 for those without, ``inf`` for columns to
        leave out. None for 1.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0: scale-free.
    max_iter : int, default=1000
        Passes over the columns, at most.
    warm_start : bool, default=False
        Whether to start from the coefficients of the last fit.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

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
        Of each pass: "iteration", "time" (seconds), "objective",
        "certificate" (the gap as a share of the objective at 0) and "sparsity" (the support).
    converged_ : bool
        Whether the gap is within ``tol``.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    Lasso : The L1 penalty alone.
    ElasticNetCV : With the penalty chosen by cross-validation.
    enet_path : For a sequence of penalties.

    Notes
    -----
    A working set of columns, grown greedily; on it an active set with Newton steps whose Cholesky
    factor is updated as variables come and go; gap-safe screening. There is no ``precompute``,
    ``selection`` or ``random_state``: nothing is random, and the Gram matrix is that of the set.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import ElasticNet
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 50))
    >>> y = 2 * X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=100)
    >>> model = ElasticNet(alpha=0.1, l1_ratio=0.8).fit(X, y)
    >>> model.converged_, round(float(model.score(X, y)), 2)
    (True, 0.99)
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        warm_start: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_threads = n_threads

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
            If the gap is above ``tol``.
        """
        data, response = self._validated(X, y)
        design, shape = as_design(data, "X", check_finite=False)
        settings = Settings.of(
            l1_ratio=self._share(),
            fit_intercept=self.fit_intercept,
            positive=self.positive,
            tol=self.tol,
            max_iter=self.max_iter,
            n_threads=self.n_threads,
        )
        start = earlier(self, (1, shape[1]))
        points = solve(
            design,
            response,
            [as_positive(self.alpha, "alpha")],
            settings,
            sample_weight=as_sample_weight(sample_weight, shape[0]),
            weights=as_weights(self.weights, shape[1]),
            start=None if start is None else start[0],
        )
        self._take(points[0], shape, data.dtype, settings.tol)
        warn_unless_converged(points, settings.tol, stacklevel=2)
        return self

    def _share(self) -> object:
        return self.l1_ratio


class Lasso(ElasticNet):
    """Linear regression with an L1 penalty, to a certified duality gap.

    Minimises ``((y - X @ coef - b)**2).sum() / (2 * n) + alpha * |coef|.sum()``, as scikit-learn's
    estimator of this name.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, above 0.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    weights : array_like of shape (n_features,), default=None
        Weights of the coefficients in the penalty: 0 for those without, ``inf`` for columns to
        leave out (the adaptive Lasso).
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
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    ElasticNet : Says how it is solved.
    LassoCV : With the penalty chosen by cross-validation.
    lasso_path : For a sequence of penalties.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import Lasso
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 1000))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] + 0.1 * rng.normal(size=100)
    >>> model = Lasso(alpha=0.1).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([0, 1, 2])
    >>> bool(model.dual_gap_ <= 1e-6 * y.var() / 2)
    True
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        warm_start: bool = False,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(
            alpha,
            fit_intercept=fit_intercept,
            weights=weights,
            positive=positive,
            tol=tol,
            max_iter=max_iter,
            warm_start=warm_start,
            n_threads=n_threads,
        )

    def _share(self) -> object:
        return 1.0

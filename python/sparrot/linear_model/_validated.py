"""Lasso and elastic net with the penalty chosen by cross-validation."""

from sparrot.linear_model._estimators import ElasticNet, Lasso
from sparrot.linear_model._folds import Validated


class ElasticNetCV(Validated, ElasticNet):
    """Elastic net with the penalty, and the share of its parts, chosen by cross-validation.

    For each fold, training rows are those with a weight: to fit it ``X`` is not copied; to judge it
    the columns in use of the rows left out are. The folds are solved side by side, each by one
    thread.

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
    bounds : tuple of float or of array_like of shape (n_features,), default=None
        ``(lower, upper)`` of the coefficients, with ``lower <= 0 <= upper``, which may be infinite.
        Not with ``positive``, which is ``(0, inf)``.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
    max_iter : int, default=1000
        Passes over the columns for each penalty, at most.
    max_time : float, default=None
        Seconds for all of it, at most. Errors of penalties that a fold has not reached are NaN, and
        the choice is among those that all folds have; where no time is left for the fit to all
        rows, it is that of a fold, certified for all rows.
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
    status_ : str
        How the last fit ended: "converged", "max_iter", "max_time" or "stalled"; "max_time" if
        penalties have not been reached.
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
        bounds: object = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        cv: object = None,
        n_threads: int | None = None,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.bounds = bounds
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.cv = cv
        self.n_threads = n_threads


class LassoCV(Validated, Lasso):
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
    bounds : tuple of float or of array_like of shape (n_features,), default=None
        ``(lower, upper)`` of the coefficients, with ``lower <= 0 <= upper``, which may be infinite.
        Not with ``positive``, which is ``(0, inf)``.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
    max_iter : int, default=1000
        Passes over the columns for each penalty, at most.
    max_time : float, default=None
        Seconds for all of it, at most: see :class:`ElasticNetCV`.
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
    status_ : str
        How the last fit ended: "converged", "max_iter", "max_time" or "stalled"; "max_time" if
        penalties have not been reached.
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
        bounds: object = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        cv: object = None,
        n_threads: int | None = None,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.bounds = bounds
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.cv = cv
        self.n_threads = n_threads

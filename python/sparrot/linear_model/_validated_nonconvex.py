"""Penalties that are not convex, chosen by cross-validation."""

from sparrot.linear_model._folds import Validated
from sparrot.linear_model._nonconvex import MCPRegression, SCADRegression


class MCPRegressionCV(Validated, MCPRegression):
    """The minimax concave penalty, chosen by cross-validation.

    See :class:`MCPRegression` for what it minimises, and :class:`ElasticNetCV` for how it is done.

    Parameters
    ----------
    gamma : float, default=3.0
        How fast the penalty levels off, above 0: the larger, the closer to the Lasso.
    eps : float, default=1e-3
        The smallest penalty of the grid over its largest, at which the solution is 0.
    alphas : int or array_like, default=100
        How many penalties there are in the grid, at most 100,000, or the penalties themselves.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    weights : array_like of shape (n_features,), default=None
        Weights of the penalty: 0 for columns without, ``inf`` for those to leave out.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The stationarity to reach.
    max_iter : int, default=1000
        Passes over the columns for each penalty, at most.
    max_time : float, default=None
        Seconds for all of it, at most: see :class:`ElasticNetCV`.
    cv : int, cross-validation generator or iterable, default=None
        The folds, as scikit-learn takes them: 5 by default.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

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
    stationarity_ : float
        How far the minimum over any single coefficient is away in the last fit, in units of the
        norm of ``y``.
    objective_ : float
        The objective of the last fit.
    n_iter_ : int
        Passes over the columns in the last fit.
    trace_ : dict of ndarray
        Of each pass of the last fit: see :class:`ElasticNet`.
    converged_ : bool
        Whether the certificate of the last fit is within ``tol``.
    status_ : str
        How the last fit ended: "converged", "max_iter", "max_time" or "stalled"; "max_time" if
        penalties have not been reached.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    MCPRegression : With a penalty that is given.

    Notes
    -----
    Each fit starts where :class:`MCPRegression` says, at a Lasso of its own, so that the model that
    is chosen is that which was judged, whatever the other penalties are.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import MCPRegressionCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30))
    >>> y = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=80)
    >>> model = MCPRegressionCV(alphas=20).fit(X, y)
    >>> model.mse_path_.shape, np.flatnonzero(model.coef_)
    ((20, 5), array([0, 1]))
    """

    def __init__(
        self,
        gamma: float = 3.0,
        *,
        eps: float = 1e-3,
        alphas: object = 100,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        cv: object = None,
        n_threads: int | None = None,
    ) -> None:
        self.gamma = gamma
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.cv = cv
        self.n_threads = n_threads


class SCADRegressionCV(Validated, SCADRegression):
    """Smoothly clipped absolute deviations, the penalty chosen by cross-validation.

    See :class:`SCADRegression` for what it minimises, and :class:`ElasticNetCV` for how it is done.

    Parameters
    ----------
    a : float, default=3.7
        Where the penalty is level, in units of the penalty; above 2.
    eps : float, default=1e-3
        The smallest penalty of the grid over its largest, at which the solution is 0.
    alphas : int or array_like, default=100
        How many penalties there are in the grid, at most 100,000, or the penalties themselves.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    weights : array_like of shape (n_features,), default=None
        Weights of the penalty: 0 for columns without, ``inf`` for those to leave out.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The stationarity to reach.
    max_iter : int, default=1000
        Passes over the columns for each penalty, at most.
    max_time : float, default=None
        Seconds for all of it, at most: see :class:`ElasticNetCV`.
    cv : int, cross-validation generator or iterable, default=None
        The folds, as scikit-learn takes them: 5 by default.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

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
    stationarity_ : float
        How far the minimum over any single coefficient is away in the last fit, in units of the
        norm of ``y``.
    objective_ : float
        The objective of the last fit.
    n_iter_ : int
        Passes over the columns in the last fit.
    trace_ : dict of ndarray
        Of each pass of the last fit: see :class:`ElasticNet`.
    converged_ : bool
        Whether the certificate of the last fit is within ``tol``.
    status_ : str
        How the last fit ended: "converged", "max_iter", "max_time" or "stalled"; "max_time" if
        penalties have not been reached.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    SCADRegression : With a penalty that is given.

    Notes
    -----
    Each fit starts where :class:`MCPRegression` says, at a Lasso of its own, so that the model that
    is chosen is that which was judged, whatever the other penalties are.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import SCADRegressionCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30))
    >>> y = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=80)
    >>> model = SCADRegressionCV(alphas=20).fit(X, y)
    >>> model.mse_path_.shape, np.flatnonzero(model.coef_)
    ((20, 5), array([0, 1]))
    """

    def __init__(
        self,
        a: float = 3.7,
        *,
        eps: float = 1e-3,
        alphas: object = 100,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        cv: object = None,
        n_threads: int | None = None,
    ) -> None:
        self.a = a
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.cv = cv
        self.n_threads = n_threads

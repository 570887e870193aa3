"""Lasso and elastic net as scikit-learn estimators."""

from sparrot.linear_model._elastic import ElasticModel
from sparrot.linear_model._model import Linear


class ElasticNet(Linear, ElasticModel):
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
    bounds : tuple of float or of array_like of shape (n_features,), default=None
        ``(lower, upper)`` of the coefficients, with ``lower <= 0 <= upper``, which may be infinite.
        Not with ``positive``, which is ``(0, inf)``.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0: scale-free.
    max_iter : int, default=1000
        Passes over the columns, at most.
    max_time : float, default=None
        Seconds, at most: the answer is what has been reached by then, with its certificate.
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
    status_ : str
        How it ended: "converged", "max_iter", "max_time" or "stalled".
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

    A coefficient at one of its ``bounds`` is exactly that number, also after it has been rounded to
    float32 if that can hold it, else the next one within. What a bound keeps it from is in
    ``dual_gap_``: the dual is that of the problem with bounds.

    ``dual_gap_`` includes what rounding may have done, so that it is no less than the true one; of
    columns that are nearly dependent, of a small ``alpha``, it can therefore stay above ``tol``.
    Columns without a penalty, or with one below 1e-13 of what they could explain, count as
    dependent if they are so to 15 digits.

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
        bounds: object = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        warm_start: bool = False,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(
            alpha,
            l1_ratio=l1_ratio,
            fit_intercept=fit_intercept,
            weights=weights,
            positive=positive,
            bounds=bounds,
            tol=tol,
            max_iter=max_iter,
            max_time=max_time,
            warm_start=warm_start,
            n_threads=n_threads,
        )


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
    >>> Lasso(alpha=0.1, bounds=(-1.5, 1.5)).fit(X, y).coef_[:2]
    array([ 1.5, -1.5])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        bounds: object = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        warm_start: bool = False,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(
            alpha,
            l1_ratio=1.0,
            fit_intercept=fit_intercept,
            weights=weights,
            positive=positive,
            bounds=bounds,
            tol=tol,
            max_iter=max_iter,
            max_time=max_time,
            warm_start=warm_start,
            n_threads=n_threads,
        )

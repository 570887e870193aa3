"""Groups and several responses, the penalty chosen by cross-validation."""

from sparrot.linear_model._folds import Validated
from sparrot.linear_model._groups import GroupLasso, SparseGroupLasso
from sparrot.linear_model._multitask import MultiTaskLasso


class GroupLassoCV(Validated, GroupLasso):
    """Group Lasso with the penalty chosen by cross-validation.

    See :class:`GroupLasso` for what it minimises, and :class:`ElasticNetCV` for how it is done.

    Parameters
    ----------
    groups : int, list of int or list of list of int, default=1
        The size of consecutive groups of columns, their sizes, or the columns of each.
    eps : float, default=1e-3
        The smallest penalty of the grid over its largest, at which the solution is 0.
    alphas : int or array_like, default=100
        How many penalties there are in the grid, at most 100,000, or the penalties themselves.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    weights : array_like of shape (n_groups,) or "sqrt", default=None
        Weights of the norms: 0 for groups without a penalty, ``inf`` for those to leave out;
        "sqrt" for the roots of their sizes. None for 1.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
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
    dual_gap_ : float
        By how much the objective of the last fit is above its optimum, at most.
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
    GroupLasso : With a penalty that is given.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import GroupLassoCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30))
    >>> y = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=80)
    >>> model = GroupLassoCV(groups=3, alphas=20).fit(X, y)
    >>> model.mse_path_.shape, bool(model.coef_[:3].all())
    ((20, 5), True)
    """

    def __init__(
        self,
        groups: object = 1,
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
        self.groups = groups
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


class SparseGroupLassoCV(Validated, SparseGroupLasso):
    """Sparse group Lasso with the penalty, and its share, chosen by cross-validation.

    See :class:`SparseGroupLasso` for what it minimises, and :class:`ElasticNetCV` for how it is
    done.

    Parameters
    ----------
    groups : int, list of int or list of list of int, default=1
        The size of consecutive groups of columns, their sizes, or the columns of each.
    l1_ratio : float or list of float, default=0.5
        The share of the L1 penalty, above 0 and at most 1, or those to choose from.
    eps : float, default=1e-3
        The smallest penalty of the grid over its largest, at which the solution is 0.
    alphas : int or array_like, default=100
        How many penalties there are in the grid, at most 100,000, or the penalties themselves.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    weights : array_like of shape (n_groups,) or "sqrt", default=None
        Weights of the norms: 0 for groups without a penalty, ``inf`` for those to leave out;
        "sqrt" for the roots of their sizes. None for 1.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
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
    SparseGroupLasso : With a penalty that is given.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import SparseGroupLassoCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30))
    >>> y = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=80)
    >>> model = SparseGroupLassoCV(groups=3, l1_ratio=[0.3, 0.9], alphas=20).fit(X, y)
    >>> model.mse_path_.shape, bool(model.coef_[:2].all())
    ((2, 20, 5), True)
    """

    def __init__(
        self,
        groups: object = 1,
        l1_ratio: object = 0.5,
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
        self.groups = groups
        self.l1_ratio = l1_ratio
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


class MultiTaskLassoCV(Validated, MultiTaskLasso):
    """Multi-task Lasso with the penalty chosen by cross-validation.

    See :class:`MultiTaskLasso` for what it minimises, and :class:`ElasticNetCV` for how it is done.

    Parameters
    ----------
    eps : float, default=1e-3
        The smallest penalty of the grid over its largest, at which the solution is 0.
    alphas : int or array_like, default=100
        How many penalties there are in the grid, at most 100,000, or the penalties themselves.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    weights : array_like of shape (n_features,), default=None
        Weights of the penalty: 0 for columns without, ``inf`` for those to leave out.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
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
        The mean squared error on the rows left out, also over the responses.
    coef_ : ndarray of shape (n_targets, n_features)
        The coefficients of a fit to all rows; rounded to float32 if ``X`` is.
    sparse_coef_ : scipy.sparse.csr_array of shape (n_targets, n_features)
        The same, sparse.
    intercept_ : ndarray of shape (n_targets,)
        The intercepts.
    dual_gap_ : float
        By how much the objective of the last fit is above its optimum, at most.
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
    MultiTaskLasso : With a penalty that is given.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import MultiTaskLassoCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30))
    >>> Y = X[:, :2] @ [[2.0, 1.0], [1.0, 0.0]] + 0.1 * rng.normal(size=(80, 2))
    >>> model = MultiTaskLassoCV(alphas=20).fit(X, Y)
    >>> model.mse_path_.shape, model.coef_.shape
    ((20, 5), (2, 30))
    """

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: object = 100,
        fit_intercept: bool = True,
        weights: object = None,
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
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.cv = cv
        self.n_threads = n_threads

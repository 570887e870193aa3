"""Classes and counts: the penalty chosen by cross-validation."""

import numpy as np

from sparrot._validation import FloatArray
from sparrot.errors import InvalidInputError
from sparrot.linear_model._folds import Fold, Validated
from sparrot.linear_model._logistic import SparseLogisticRegression, log_losses
from sparrot.linear_model._model import Task
from sparrot.linear_model._poisson import SparsePoissonRegression, half_deviances


class SparseLogisticRegressionCV(Validated, SparseLogisticRegression):
    """Logistic regression with the penalty chosen by cross-validation, by the log loss.

    See :class:`SparseLogisticRegression` for what it minimises, and :class:`ElasticNetCV` for how
    it is done. Where scikit-learn's ``LogisticRegressionCV`` has ``Cs`` this has ``alphas``, as the
    other models here do.

    Parameters
    ----------
    eps : float, default=1e-3
        The smallest penalty of the grid over its largest, at which the solution is 0.
    alphas : int or array_like, default=100
        How many penalties there are in the grid, at most 100,000, or the penalties themselves.
    l1_ratio : float or list of float, default=1.0
        The share of the L1 penalty, above 0 and at most 1, or those to choose from.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    groups : int, list of int or list of list of int, default=None
        Groups of columns, whose norms then take the place of the L1 norm: the size of consecutive
        ones, their sizes, or the columns of each. Of two classes only, and not with ``positive`` or
        ``bounds``.
    weights : array_like of shape (n_features,) or (n_groups,), or "sqrt", default=None
        Weights of the penalty of columns or of groups: 0 for those without, ``inf`` for those to
        leave out; of groups "sqrt" for the roots of their sizes.
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
        The folds, as scikit-learn takes them: 5 by default, stratified by class.
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
    loss_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratio, n_alphas, n_folds)
        The mean log loss on the rows left out: :func:`sklearn.metrics.log_loss`.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        The coefficients of a fit to all rows; rounded to float32 if ``X`` is.
    sparse_coef_ : scipy.sparse.csr_array of shape the shape of coef_
        The same, sparse.
    intercept_ : ndarray of shape (1,) or (n_classes,)
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
    SparseLogisticRegression : With a penalty that is given.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import SparseLogisticRegressionCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30))
    >>> y = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=80) > 0
    >>> model = SparseLogisticRegressionCV(alphas=20).fit(X, y)
    >>> model.loss_path_.shape, bool(model.score(X, y) > 0.9)
    ((20, 5), True)
    """

    _errors = "loss_path"

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: object = 100,
        l1_ratio: object = 1.0,
        fit_intercept: bool = True,
        groups: object = None,
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
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.groups = groups
        self.weights = weights
        self.positive = positive
        self.bounds = bounds
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.cv = cv
        self.n_threads = n_threads

    def _require(self, task: Task, fold: Fold, k: int) -> None:
        empty = self._without(task, fold.weights)
        if empty is not None:
            raise InvalidInputError(f"fold {k} has no row of class {empty} to train on")

    def _row_errors(self, targets: FloatArray, values: FloatArray) -> FloatArray:
        return log_losses(targets, values)


class SparsePoissonRegressionCV(Validated, SparsePoissonRegression):
    """Poisson regression with the penalty chosen by cross-validation, by the deviance.

    See :class:`SparsePoissonRegression` for what it minimises, and :class:`ElasticNetCV` for how it
    is done.

    Parameters
    ----------
    eps : float, default=1e-3
        The smallest penalty of the grid over its largest, at which the solution is 0.
    alphas : int or array_like, default=100
        How many penalties there are in the grid, at most 100,000, or the penalties themselves.
    l1_ratio : float or list of float, default=1.0
        The share of the L1 penalty, above 0 and at most 1, or those to choose from.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    groups : int, list of int or list of list of int, default=None
        Groups of columns, whose norms then take the place of the L1 norm: the size of consecutive
        ones, their sizes, or the columns of each. Not with ``positive`` or ``bounds``.
    weights : array_like of shape (n_features,) or (n_groups,), or "sqrt", default=None
        Weights of the penalty of columns or of groups: 0 for those without, ``inf`` for those to
        leave out; of groups "sqrt" for the roots of their sizes.
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
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Attributes
    ----------
    alpha_ : float
        The penalty chosen.
    l1_ratio_ : float
        The share chosen.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratio, n_alphas)
        The penalties tried, descending; by share if there are several and the penalties not given.
    deviance_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratio, n_alphas, n_folds)
        The mean deviance on the rows left out: :func:`sklearn.metrics.mean_poisson_deviance`.
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
    SparsePoissonRegression : With a penalty that is given.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import SparsePoissonRegressionCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 30))
    >>> y = rng.poisson(np.exp(X[:, 0] - 0.5 * X[:, 1]))
    >>> model = SparsePoissonRegressionCV(alphas=20).fit(X, y)
    >>> model.deviance_path_.shape, bool(model.score(X, y) > 0.4)
    ((20, 5), True)
    """

    _errors = "deviance_path"

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: object = 100,
        l1_ratio: object = 1.0,
        fit_intercept: bool = True,
        groups: object = None,
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
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.groups = groups
        self.weights = weights
        self.positive = positive
        self.bounds = bounds
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.cv = cv
        self.n_threads = n_threads

    def _require(self, task: Task, fold: Fold, k: int) -> None:
        if self.fit_intercept and not (task.targets[0] * fold.weights).any():
            raise InvalidInputError(f"fold {k} has only counts of 0 to train on: needs a count")

    def _row_errors(self, targets: FloatArray, values: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):  # the deviance says so
            expected = np.exp(values)
        deviances: FloatArray = 2 * half_deviances(targets, expected)[:, 0]
        return deviances

"""Group Lasso and sparse group Lasso as scikit-learn estimators."""

from sparrot._validation import FloatArray
from sparrot.linear_model._blocks import Penalty, SingleResponse, as_group_weights, as_groups
from sparrot.linear_model._solve import as_share


class GroupLasso(SingleResponse):
    """Linear regression with a penalty of the norms of groups, to a certified duality gap.

    Minimises ``((y - X @ coef - b)**2).sum() / (2 * n) + alpha * sum(v_g * norm(coef[g]))`` over
    groups g of columns (Yuan and Lin, 2006): a group is in the model with all its columns or not at
    all.

    Parameters
    ----------
    groups : int, list of int or list of list of int, default=1
        The size of consecutive groups of columns, their sizes, or the columns of each.
    alpha : float, default=1.0
        The penalty, above 0.
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
        Of each pass: "iteration", "time" (seconds), "objective", "certificate" (as compared with
        ``tol``) and "sparsity" (groups in use).
    converged_ : bool
        Whether the certificate is within ``tol``.
    status_ : str
        How it ended: "converged", "max_iter", "max_time" or "stalled".
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    GroupLassoCV : With the penalty chosen by cross-validation.
    SparseGroupLasso : With an L1 penalty besides, so that groups are sparse, too.
    MultiTaskLasso : Where a group is a column's coefficients for several responses.
    SparseLogisticRegression : With classes; for counts and outliers there are such models, too.

    Notes
    -----
    A working set of groups, those that would move furthest; on it descent by blocks with the Gram
    matrix, extrapolated; gap-safe screening.
    ``dual_gap_`` includes what rounding may have done, so that it is no less than the true one.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import GroupLasso
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 300))
    >>> y = X[:, :3] @ [2.0, -1.0, 1.0] + 0.1 * rng.normal(size=100)
    >>> model = GroupLasso(groups=3, alpha=0.3).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([0, 1, 2])
    """

    def __init__(
        self,
        groups: object = 1,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        warm_start: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self.groups = groups
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.warm_start = warm_start
        self.n_threads = n_threads

    def _penalty(self, columns: int) -> Penalty:
        return Penalty("group", groups=as_groups(self.groups, columns))

    def _weights(self, columns: int, penalty: Penalty) -> FloatArray | None:
        del columns
        return as_group_weights(self.weights, penalty.groups.sizes) if penalty.groups else None


class SparseGroupLasso(GroupLasso):
    """Linear regression with penalties of groups and of single coefficients, with a certificate.

    Minimises ``((y - X @ coef - b)**2).sum() / (2 * n) + alpha * (1 - l1_ratio) * sum(v_g *
    norm(coef[g])) + alpha * l1_ratio * |coef|.sum()`` (Simon, Friedman, Hastie and Tibshirani,
    2013).

    Parameters
    ----------
    groups : int, list of int or list of list of int, default=1
        The size of consecutive groups of columns, their sizes, or the columns of each.
    alpha : float, default=1.0
        The penalty, above 0.
    l1_ratio : float, default=0.5
        The share of the L1 penalty, above 0 and at most 1.
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
        Of each pass: "iteration", "time" (seconds), "objective", "certificate" (as compared with
        ``tol``) and "sparsity" (groups in use).
    converged_ : bool
        Whether the certificate is within ``tol``.
    status_ : str
        How it ended: "converged", "max_iter", "max_time" or "stalled".
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    SparseGroupLassoCV : With the penalty, and the share, chosen by cross-validation.
    GroupLasso : Says how it is solved.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import SparseGroupLasso
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 300))
    >>> y = 2 * X[:, 0] - X[:, 2] + 0.1 * rng.normal(size=100)
    >>> model = SparseGroupLasso(groups=3, alpha=0.3).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([0, 2])
    """

    def __init__(
        self,
        groups: object = 1,
        alpha: float = 1.0,
        l1_ratio: float = 0.5,
        *,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        warm_start: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self.groups = groups
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.warm_start = warm_start
        self.n_threads = n_threads

    def _penalty(self, columns: int) -> Penalty:
        share = as_share(self.l1_ratio, "l1_ratio")
        return Penalty("sparse-group", share, as_groups(self.groups, columns))

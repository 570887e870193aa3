"""Sparse Huber regression as a scikit-learn estimator."""

from sparrot._validation import as_positive
from sparrot.linear_model._elastic import ElasticModel
from sparrot.linear_model._model import Linear, Task


class SparseHuberRegression(Linear, ElasticModel):
    """Regression that outliers pull but little, with L1 and squared L2 penalties, certified.

    Minimises ``mean(huber(y - X @ coef - b)) + alpha * l1_ratio * |coef|.sum() + alpha *
    (1 - l1_ratio) * (coef**2).sum() / 2``, where ``huber(u)`` is ``u**2 / 2`` up to ``|u| = delta``
    and ``delta * |u| - delta**2 / 2`` beyond (Huber, Ann. Math. Stat. 35, 1964). It is the Lasso
    with a coefficient more for each row, penalised with ``delta``. With ``groups`` of columns g,
    ``sum(v_g * norm(coef[g]))`` takes the place of the L1 norm, v_g being ``weights``.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, above 0.
    delta : float, default=1.35
        The size of a residual, in units of ``y``, from which on its loss is linear: above 0. It
        should be a little more than the deviation of the noise that is not outliers.
    l1_ratio : float, default=1.0
        The share of the L1 penalty, above 0 and at most 1.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``. It is not penalised.
    groups : int, list of int or list of list of int, default=None
        Groups of columns, whose norms then take the place of the L1 norm: the size of consecutive
        ones, their sizes, or the columns of each. Not with ``positive`` or ``bounds``.
    weights : array_like of shape (n_features,) or (n_groups,), or "sqrt", default=None
        Weights of the coefficients in the L1 penalty, or of the norms of ``groups``: 0 for those
        without, ``inf`` for those to leave out; of groups "sqrt" for the roots of their sizes.
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
    SparseLogisticRegression : Says how it is solved.
    sklearn.linear_model.HuberRegressor : With a squared L2 penalty, and ``delta`` in units of an
        estimated scale.

    Notes
    -----
    ``dual_gap_`` includes what rounding may have done, so that it is no less than the true one; of
    columns that are nearly dependent, of a small ``alpha``, it can therefore stay above ``tol``.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import Lasso, SparseHuberRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1000))
    >>> y = 5 * X[:, 0] - 3 * X[:, 1] + rng.normal(size=300)
    >>> y[::10] += 1000
    >>> model = SparseHuberRegression(alpha=0.3).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([0, 1])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        delta: float = 1.35,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
        groups: object = None,
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
            groups=groups,
            weights=weights,
            positive=positive,
            bounds=bounds,
            tol=tol,
            max_iter=max_iter,
            max_time=max_time,
            warm_start=warm_start,
            n_threads=n_threads,
        )
        self.delta = delta

    def _loss(self, task: Task) -> tuple[str, float]:
        del task
        return ("huber", as_positive(self.delta, "delta"))

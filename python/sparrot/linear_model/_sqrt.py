"""The square-root Lasso as a scikit-learn estimator."""

from typing import Any

import numpy as np
from scipy.stats import norm

from sparrot._validation import FloatArray, as_positive
from sparrot.linear_model._elastic import ElasticModel
from sparrot.linear_model._model import Alphas, Linear, Task
from sparrot.linear_model._solve import Point, as_shares


class SqrtLasso(Linear, ElasticModel):
    """The Lasso whose penalty does not depend on the size of the noise, to a certified duality gap.

    Minimises ``sqrt(((y - X @ coef - b)**2).mean()) + alpha * |coef|.sum()`` (Belloni, Chernozhukov
    and Wang, 2011): the Lasso with the penalty ``alpha * sigma``, sigma being estimated with it.

    Parameters
    ----------
    alpha : float, default=None
        The penalty, above 0. None for ``1.1 * norm.ppf(1 - 0.025 / n_features) / sqrt(n_samples)``,
        which, for columns of unit variance and whatever the noise, keeps out all columns that are
        not in the model, up to a probability of a few per cent.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    weights : array_like of shape (n_features,), default=None
        Weights of the coefficients in the penalty: 0 for those without, ``inf`` for columns to
        leave out; the standard deviations of columns that are not standardised.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
    max_iter : int, default=1000
        Passes over the columns, at most.
    max_time : float, default=None
        Seconds, at most: the answer is what has been reached by then, with its certificate.
    warm_start : bool, default=False
        Whether to start from the coefficients of the last fit, and their scale.
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
    sigma_ : float
        The root of the mean squared residual; the estimate of the noise.
    alpha_ : float
        The penalty used.
    dual_gap_ : float
        By how much the objective is above the optimum, at most.
    objective_ : float
        The objective.
    n_iter_ : int
        Passes over the columns.
    trace_ : dict of ndarray
        Of each Lasso: "iteration", "time" (seconds), "objective", "certificate" (the gap as a share
        of the objective at 0) and "sparsity" (the support).
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
    Lasso : With a penalty in units of ``y``.

    Notes
    -----
    Where the residual would fall below a thousandth of that at 0 there is a floor: the objective is
    then ``mean squared residual / (2 * sigma) + sigma / 2 + alpha * |coef|.sum()`` with sigma at
    that floor (the smoothed concomitant Lasso). Few Lassos are solved, each from the one before: on
    a support, the squared residual is linear in the squared penalty.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import SqrtLasso
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1000))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] + rng.normal(size=200)
    >>> model, louder = SqrtLasso().fit(X, y), SqrtLasso().fit(X, 1000 * y)
    >>> np.flatnonzero(model.coef_), np.flatnonzero(louder.coef_)
    (array([0, 1, 2]), array([0, 1, 2]))
    """

    def __init__(
        self,
        alpha: float | None = None,
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
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.warm_start = warm_start
        self.n_threads = n_threads

    def _loss(self, task: Task) -> str:
        del task
        return "square-root"

    def _alpha(self, task: Task) -> float:
        rows, columns = task.shape
        used = np.count_nonzero(as_shares(task.sample, rows))
        default = float(1.1 * norm.ppf(1 - 0.025 / columns) / np.sqrt(used))
        self.alpha_ = default if self.alpha is None else as_positive(self.alpha, "alpha")
        return self.alpha_

    def _solve(
        self, task: Task, alphas: Alphas, sample: FloatArray | None, **options: Any
    ) -> list[Point]:
        # The root is of a mean over weights.
        return super()._solve(task, alphas, as_shares(sample, task.shape[0]), **options)

    def _take(self, task: Task, point: Point) -> None:
        super()._take(task, point)
        # Of the columns in use: with all of them float32 data would be copied.
        fitted = task.data[:, point.columns] @ point.coefficients[:, 0]
        residual = task.targets[0] - fitted - point.intercepts[0]
        roots = np.sqrt(as_shares(task.sample, task.shape[0]))
        self.sigma_ = float(np.linalg.norm(roots * residual))

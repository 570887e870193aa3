"""Linear regression with the continuous relaxation of L0, as a scikit-learn estimator."""

from sparrot.linear_model._blocks import Penalty
from sparrot.linear_model._nonconvex import Nonconvex


class CEL0Regression(Nonconvex):
    """Linear regression with the continuous exact relaxation of the number of coefficients.

    Minimises ``((y - X @ coef - b)**2).sum() / (2 * n) + sum(phi_j(|coef|))`` with ``phi_j(x) =
    alpha - c_j * (sqrt(2 * alpha / c_j) - x)**2 / 2`` up to ``sqrt(2 * alpha / c_j)`` and ``alpha``
    beyond, ``c_j`` being the variance of column j, or its mean square without an intercept
    (Soubies, Blanc-Feraud and Aubert, 2015): a continuous penalty that has the global minima of
    ``alpha * count_nonzero(coef)``, and fewer local ones.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty of each coefficient, above 0.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    weights : array_like of shape (n_features,), default=None
        Weights of ``alpha``: 0 for coefficients without a penalty, ``inf`` for columns to leave
        out.
    positive : bool, default=False
        Whether coefficients must not be negative.
    tol : float, default=1e-6
        The stationarity to reach.
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
    stationarity_ : float
        How far the minimum over any single coefficient is away, in units of the norm of ``y``.
    objective_ : float
        The objective: where the minimum over each coefficient is reached, that of L0 as well.
    n_iter_ : int
        Passes over the columns.
    trace_ : dict of ndarray
        Of each pass: "iteration", "time" (seconds), "objective", "certificate" (as compared with
        ``tol``) and "sparsity" (columns in use).
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
    L0Regression : Looks at exchanges of two columns as well, which takes longer.
    MCPRegression : Says where it starts, and how it is solved.

    Notes
    -----
    The penalty is the minimax concave one of slope ``sqrt(2 * alpha * c_j)`` and ``gamma = 1 /
    c_j``: which columns are found does not depend on their scales.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import CEL0Regression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 300))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] + 0.1 * rng.normal(size=100)
    >>> model = CEL0Regression(alpha=0.1).fit(X, y)
    >>> np.flatnonzero(model.coef_), model.coef_[:3].round(1)
    (array([0, 1, 2]), array([ 3., -2.,  1.]))
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

    def _penalty(self, columns: int) -> Penalty:
        del columns
        return Penalty("cel0")

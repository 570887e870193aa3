"""Linear regression with penalties that are not convex, as scikit-learn estimators."""

from sparrot._validation import as_above, as_count, as_number
from sparrot.errors import InvalidInputError
from sparrot.linear_model._blocks import Penalty, SingleResponse
from sparrot.linear_model._solve import Point


class Nonconvex(SingleResponse):
    """What they have in common: their certificate."""

    _certificate = "stationarity"
    _missed = "a stationarity of {:.3g}"

    def _certified(self, point: Point) -> float:
        return float(point.trace["certificate"][-1])


class MCPRegression(Nonconvex):
    """Linear regression with the minimax concave penalty, to a certified stationary point.

    Minimises ``((y - X @ coef - b)**2).sum() / (2 * n) + sum(phi(|coef|))`` with ``phi(x) = alpha *
    x - x**2 / (2 * gamma)`` up to ``gamma * alpha`` and constant beyond (C.-H. Zhang, 2010): large
    coefficients have no bias.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, above 0.
    gamma : float, default=3.0
        How fast the penalty levels off, above 0: the larger, the closer to the Lasso. Above 1, with
        columns of unit variance, the objective is convex in each coefficient.
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
        The objective.
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
    MCPRegressionCV : With the penalty chosen by cross-validation.
    SCADRegression : A similar penalty.
    L0Regression : The number of coefficients.
    Lasso : Where it starts.

    Notes
    -----
    The objective has many stationary points, and which one is found depends on where one starts:
    here at the Lasso that keeps out the same columns, for MCP and SCAD the one of the same
    ``alpha``. From 0, correlated columns lead descent further from the truth than the Lasso is.
    Then a working set of columns, and on it coordinate descent, extrapolated. What is certified is
    that no change of a single coefficient makes the objective less; that no other point does would
    take a search of all supports.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import MCPRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 300))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] + 0.1 * rng.normal(size=100)
    >>> model = MCPRegression(alpha=0.3).fit(X, y)
    >>> model.coef_[:3].round(1), int((model.coef_ != 0).sum())
    (array([ 3., -2.,  1.]), 3)
    """

    def __init__(
        self,
        alpha: float = 1.0,
        gamma: float = 3.0,
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
        self.gamma = gamma
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
        return Penalty("mcp", as_above(self.gamma, "gamma", 0))


class SCADRegression(Nonconvex):
    """Linear regression with smoothly clipped absolute deviations, with a certificate.

    Minimises ``((y - X @ coef - b)**2).sum() / (2 * n) + sum(phi(|coef|))`` with ``phi(x) = alpha *
    x`` up to ``alpha``, then with a slope that falls to 0 at ``a * alpha`` (Fan and Li, 2001).

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, above 0.
    a : float, default=3.7
        Where the penalty is level, in units of ``alpha``; above 2.
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
        The objective.
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
    SCADRegressionCV : With the penalty chosen by cross-validation.
    MCPRegression : Says where it starts, and how it is solved.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import SCADRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 300))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] + 0.1 * rng.normal(size=100)
    >>> model = SCADRegression(alpha=0.2).fit(X, y)
    >>> model.coef_[:3].round(1), int((model.coef_ != 0).sum())
    (array([ 3., -2.,  1.]), 3)
    """

    def __init__(
        self,
        alpha: float = 1.0,
        a: float = 3.7,
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
        self.a = a
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
        return Penalty("scad", as_above(self.a, "a", 2))


class BridgeRegression(Nonconvex):
    """Linear regression with a penalty of powers below 1, to a certified stationary point.

    Minimises ``((y - X @ coef - b)**2).sum() / (2 * n) + alpha * (|coef|**power).sum()`` (Frank and
    Friedman, 1993; the operators are of Xu et al., 2012, and Cao et al., 2013).

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, above 0.
    power : float, default=0.5
        The power: 1/2 or 2/3.
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
        The objective.
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
    MCPRegression : Says where it starts, and how it is solved.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import BridgeRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 300))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] + 0.1 * rng.normal(size=100)
    >>> model = BridgeRegression(alpha=0.2).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([0, 1, 2])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        power: float = 0.5,
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
        self.power = power
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
        power = as_number(self.power, "power")
        for name, value in (("l1/2", 1 / 2), ("l2/3", 2 / 3)):
            if abs(power - value) < 1e-6:
                return Penalty(name)
        raise InvalidInputError(f"power is {self.power!r}: needs 1/2 or 2/3")


class L0Regression(Nonconvex):
    """Linear regression on the best subset of columns, up to exchanges of two.

    Minimises ``((y - X @ coef - b)**2).sum() / (2 * n) + alpha * count_nonzero(coef)``, or the
    first term with at most ``n_nonzero_coefs`` coefficients.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty of each coefficient, above 0; with ``n_nonzero_coefs`` it changes nothing, but
        must still be such a number.
    n_nonzero_coefs : int, default=None
        How many coefficients there may be.
    fit_intercept : bool, default=True
        Whether there is an intercept, also with sparse ``X``.
    weights : array_like of shape (n_features,), default=None
        Weights of ``alpha``: 0 for coefficients without a penalty, ``inf`` for columns to leave
        out.
    tol : float, default=1e-6
        The stationarity to reach.
    max_iter : int, default=1000
        Passes over the columns, at most.
    max_time : float, default=None
        Seconds, at most: the answer is what has been reached by then, with its certificate.
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
        How far the minimum over any single coefficient is away, in units of the norm of ``y``; with
        ``n_nonzero_coefs`` over those in use.
    objective_ : float
        The objective.
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
    MCPRegression : A continuous penalty without a bias of large coefficients.
    sklearn.linear_model.OrthogonalMatchingPursuit : Adds one column at a time.

    Notes
    -----
    The problem is hard. It starts at the support of a Lasso (of the same threshold, or with twice
    as many columns); then columns enter, leave, and are exchanged as long as any such change of
    those looked at makes the objective less, each of which is computed exactly, by sweeping their
    Gram matrix. The columns looked at are those of the Lasso and, until they change nothing, those
    outside that are most correlated with the residual. (Hazimeh and Mazumder, 2020, exchange pairs;
    Zhu et al., PNAS 117, 2020, several columns at a time, by a heuristic.)

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import L0Regression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 300))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] + 0.1 * rng.normal(size=100)
    >>> model = L0Regression(n_nonzero_coefs=3).fit(X, y)
    >>> np.flatnonzero(model.coef_), model.coef_[:3].round(1)
    (array([0, 1, 2]), array([ 3., -2.,  1.]))
    """

    def __init__(
        self,
        alpha: float = 1.0,
        n_nonzero_coefs: int | None = None,
        *,
        fit_intercept: bool = True,
        weights: object = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        max_time: float | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.n_nonzero_coefs = n_nonzero_coefs
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_threads = n_threads

    def _penalty(self, columns: int) -> Penalty:
        if self.n_nonzero_coefs is None:
            return Penalty("l0")
        most = as_count(self.n_nonzero_coefs, "n_nonzero_coefs")
        if most > columns:
            raise InvalidInputError(
                f"n_nonzero_coefs is {most}: needs at most the {columns} columns of X"
            )
        return Penalty("l0", float(most))

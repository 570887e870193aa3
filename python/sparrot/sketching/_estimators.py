"""Least squares and ridge regression as scikit-learn estimators."""

import warnings
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "the estimators of sparrot.sketching need scikit-learn 1.6 or later: "
        "pip install 'sparrot[sklearn]'"
    ) from error

from sparrot._validation import FloatArray
from sparrot._warnings import convergence_warning
from sparrot.errors import InvalidInputError
from sparrot.sketching._lstsq import lstsq
from sparrot.sketching._result import LeastSquaresResult
from sparrot.sketching._stream import LeastSquaresState, state_for

DTYPES = [np.float64, np.float32]


class SketchedRegression(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear regression for tall data, with a proven bound of each coefficient's error.

    Minimises ``sum(w * (y - X @ coef - b)**2)``, as scikit-learn's ``LinearRegression``, by
    :func:`lstsq`: without a copy of ``X``, and with all digits right also where columns are nearly
    dependent.

    Parameters
    ----------
    fit_intercept : bool, default=True
        Whether there is an intercept; sparse ``X`` is not centred in memory.
    method : {"auto", "precondition", "sketch-solve"}, default="auto"
        See :func:`lstsq`. "sketch-solve" is approximate.
    rcond : float, default=None
        When a column is taken to depend on others; see :func:`lstsq`.
    tol : float, default=1e-13
        The relative error to reach.
    max_iter : int, default=10
        Passes of refinement, at most.
    eps : float, default=0.5
        The accuracy of "sketch-solve".
    delta : float, default=0.001
        The probability that "sketch-solve" is further off than it says.
    random_state : int, RandomState instance or None, default=0
        For the sketch; except for "sketch-solve" the result depends on it by rounding alone.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        The coefficients, in float64.
    intercept_ : float or ndarray of shape (n_targets,)
        The intercept; 0 without one.
    coef_bound_ : ndarray of the shape of coef_
        How far each coefficient is from the exact one, at most; see :class:`LeastSquaresResult`.
    intercept_bound_ : float or ndarray of shape (n_targets,)
        The same of the intercept.
    residual_norm_ : float or ndarray of shape (n_targets,)
        ``sqrt(sum(w * (y - X @ coef - b)**2))``.
    rank_ : int
        The number of independent columns of ``X``, centred if there is an intercept.
    condition_estimate_ : float
        An estimate of the condition number.
    converged_ : bool
        Whether the bounds are within ``tol``.
    n_iter_ : int
        Passes over the rows.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    lstsq : Says how it is solved.
    SketchedRidge : With a penalty.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sketching import SketchedRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(10_000, 3)) + 100
    >>> y = X @ [1.0, 2.0, 3.0] + 4 + rng.normal(size=10_000)
    >>> model = SketchedRegression().fit(X, y)
    >>> model.coef_.round(1), bool(model.coef_bound_.max() < 1e-13)
    (array([1., 2., 3.]), True)
    """

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        method: str = "auto",
        rcond: float | None = None,
        tol: float = 1e-13,
        max_iter: int = 10,
        eps: float = 0.5,
        delta: float = 1e-3,
        random_state: object = 0,
        n_threads: int | None = None,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.method = method
        self.rcond = rcond
        self.tol = tol
        self.max_iter = max_iter
        self.eps = eps
        self.delta = delta
        self.random_state = random_state
        self.n_threads = n_threads

    def _ridge(self) -> object:
        return 0.0

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data: float32 or float64 in either order, or CSR, to be read without a copy.
        y : array_like of shape (n_samples,) or (n_samples, n_targets)
            The responses.
        sample_weight : array_like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If a parameter or an argument is not as described.

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If the bounds are not within ``tol``.
        """
        self.__dict__.pop("_state", None)
        data, responses = self._validated(X, y, reset=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", convergence_warning())
                result = lstsq(
                    data,
                    responses,
                    method=self.method,
                    ridge=self._ridge(),  # type: ignore[arg-type]
                    sample_weight=sample_weight,
                    fit_intercept=self.fit_intercept,
                    rcond=self.rcond,
                    tol=self.tol,
                    max_iter=self.max_iter,
                    eps=self.eps,
                    delta=self.delta,
                    rng=int(check_random_state(self.random_state).randint(2**31)),
                    n_threads=self.n_threads,
                )
        except InvalidInputError as error:
            raise InvalidInputError(_renamed(str(error))) from error.__cause__
        return self._take(result)

    def partial_fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Fit the model to all rows that have come here, these included.

        What is kept of them is of a size that does not depend on their number: see
        :class:`LeastSquaresState`, also for how far it goes. ``fit`` keeps nothing of its rows:
        after it all begins anew, with a warning.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Some more rows.
        y : array_like of shape (n_samples,) or (n_samples, n_targets)
            Their responses.
        sample_weight : array_like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If a parameter or an argument is not as described, or ``method`` is not "auto".

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If the bounds are not within ``tol``.
        UserWarning
            If the model comes from ``fit``, whose rows are forgotten.
        """
        if self.method != "auto":
            raise InvalidInputError(f"method is {self.method!r}: partial_fit needs 'auto'")
        state: LeastSquaresState | None = getattr(self, "_state", None)
        if state is None and hasattr(self, "coef_"):
            warnings.warn(
                "partial_fit begins anew: fit keeps nothing of its rows", UserWarning, stacklevel=2
            )
        data, responses = self._validated(X, y, reset=state is None)
        if state is None:
            state = state_for(data, responses)
        try:
            state.update(data, responses, sample_weight, n_threads=self.n_threads)
            result = state._solve(self._ridge(), self.fit_intercept, self.rcond, self.tol)
        except InvalidInputError as error:
            raise InvalidInputError(_renamed(str(error))) from error.__cause__
        self._state = state
        return self._take(result)

    def _validated(self, X: object, y: object, *, reset: bool) -> tuple[Any, Any]:
        options = {"accept_sparse": "csr", "y_numeric": True, "multi_output": True, "reset": reset}
        data, responses = validate_data(
            self, X, y, dtype=DTYPES, ensure_all_finite=False, **options
        )
        if not np.isfinite(responses).all():
            # Says what scikit-learn says of y. What is not finite in X is found as it is read.
            validate_data(self, X, y, **options)
        return data, responses

    def _take(self, result: LeastSquaresResult) -> Self:
        self.coef_ = np.ascontiguousarray(result.x.T)
        self.coef_bound_ = np.ascontiguousarray(result.coef_bound.T)
        self.intercept_: Any = result.intercept
        self.intercept_bound_: Any = result.intercept_bound
        self.residual_norm_: Any = result.residual_norm
        self.rank_ = result.rank
        self.condition_estimate_ = result.condition_estimate
        self.converged_ = result.converged
        self.n_iter_ = result.passes
        if not result.converged:
            warnings.warn(result.message, convergence_warning(), stacklevel=3)
        return self

    def predict(self, X: object) -> FloatArray:
        """Predict the responses.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            ``X @ coef_.T + intercept_``.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        data = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=DTYPES, reset=False)
        predicted: FloatArray = data @ self.coef_.T + self.intercept_
        return predicted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags


class SketchedRidge(SketchedRegression):
    """Ridge regression for tall data, with a proven bound of each coefficient's error.

    Minimises ``sum(w * (y - X @ coef - b)**2) + alpha * sum(coef**2)``, as scikit-learn's
    ``Ridge``.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, at least 0.
    fit_intercept : bool, default=True
        Whether there is an intercept, which has no penalty.
    method : {"auto", "precondition", "sketch-solve"}, default="auto"
        See :func:`lstsq`. "sketch-solve" is approximate.
    rcond : float, default=None
        When a column is taken to depend on others; see :func:`lstsq`.
    tol : float, default=1e-13
        The relative error to reach.
    max_iter : int, default=10
        Passes of refinement, at most.
    eps : float, default=0.5
        The accuracy of "sketch-solve".
    delta : float, default=0.001
        The probability that "sketch-solve" is further off than it says.
    random_state : int, RandomState instance or None, default=0
        For the sketch.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        The coefficients, in float64.
    intercept_ : float or ndarray of shape (n_targets,)
        The intercept; 0 without one.
    coef_bound_ : ndarray of the shape of coef_
        How far each coefficient is from the exact one, at most; see :class:`LeastSquaresResult`.
    intercept_bound_ : float or ndarray of shape (n_targets,)
        The same of the intercept.
    residual_norm_ : float or ndarray of shape (n_targets,)
        ``sqrt(sum(w * (y - X @ coef - b)**2))``.
    rank_ : int
        The number of independent columns, those of the penalty included.
    condition_estimate_ : float
        An estimate of the condition number, with the penalty.
    converged_ : bool
        Whether the bounds are within ``tol``.
    n_iter_ : int
        Passes over the rows.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    SketchedRegression : Without a penalty.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sketching import SketchedRidge
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(10_000, 3))
    >>> model = SketchedRidge(alpha=1e4).fit(X, X @ [1.0, 2.0, 3.0])
    >>> model.coef_.round(1)
    array([0.5, 1. , 1.5])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        method: str = "auto",
        rcond: float | None = None,
        tol: float = 1e-13,
        max_iter: int = 10,
        eps: float = 0.5,
        delta: float = 1e-3,
        random_state: object = 0,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(
            fit_intercept=fit_intercept,
            method=method,
            rcond=rcond,
            tol=tol,
            max_iter=max_iter,
            eps=eps,
            delta=delta,
            random_state=random_state,
            n_threads=n_threads,
        )
        self.alpha = alpha

    def _ridge(self) -> object:
        return self.alpha


# What lstsq calls its arguments, and what they are called here.
_NAMES = {"A": "X", "b": "y", "ridge": "alpha"}


def _renamed(message: str) -> str:
    name, *rest = message.split(maxsplit=1)
    ours = _NAMES.get(name.rstrip(":"), name.rstrip(":"))
    return " ".join([ours + ":" * name.endswith(":"), *rest])

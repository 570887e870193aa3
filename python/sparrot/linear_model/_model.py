"""What sparse models have in common: data in, solutions for penalties, attributes out."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "the estimators of sparrot.linear_model need scikit-learn 1.6 or later: "
        "pip install 'sparrot[sklearn]'"
    ) from error

from sparrot._design import Design, as_design
from sparrot._native import Status
from sparrot._sparrot import StopFlag
from sparrot._validation import FloatArray, as_max_time, as_positive, refuse_masked
from sparrot.linear_model._solve import Point, as_sample_weight, earlier, warn_unless_converged

DTYPES = [np.float64, np.float32]

# Penalties, or the smallest over the largest and how many there are.
Alphas = list[float] | tuple[float, int]


class Task(NamedTuple):
    """What is to be fitted: checked."""

    data: Any
    """X,"""
    design: Design
    """the same as the solvers take it,"""
    shape: tuple[int, int]
    y: Any
    """what splitters of rows are told,"""
    targets: FloatArray
    """and a row for each response, or for each class that is told apart from the others."""
    sample: FloatArray | None


def _is_plain(X: Any, y: Any) -> bool:
    """Tell whether both are arrays in which ``validate_data`` would find nothing but its answer.

    It takes three times as long to say so as a model of ten columns takes to be fitted.
    """
    return (
        type(X) is np.ndarray
        and type(y) is np.ndarray
        and X.dtype in DTYPES
        and y.dtype in DTYPES
        and X.ndim == 2
        and X.shape[1] > 0
        and y.shape == X.shape[:1] != (0,)
    )


class AllOrNothing:
    """Leaves a model as it was where its fit fails, so that it still does what it did before."""

    def __init__(self, model: BaseEstimator) -> None:
        self.now = vars(model)

    def __enter__(self) -> None:
        self.before = self.now.copy()

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None:  # Ctrl-C too
            self.now.clear()
            self.now.update(self.before)


class SparseModel(BaseEstimator, ABC):  # type: ignore[misc]
    """A model is what reads its data, solves for penalties, and takes a solution over."""

    _certificate = "dual_gap"
    _missed = "a gap of {:.3g} of the objective at zero"
    alpha: Any
    # Parameters that some of the models do not have, as they are then.
    l1_ratio: Any = 1.0
    groups: Any = None
    bounds: Any = None
    positive: Any = False
    warm_start: Any = False

    @abstractmethod
    def _solve(
        self,
        task: Task,
        alphas: Alphas,
        sample: FloatArray | None,
        *,
        start: FloatArray | None = None,
        stop_flag: StopFlag | None = None,
        max_time: float | None = None,
        n_threads: int | None = None,
    ) -> list[Point]:
        """Solve for each penalty, with these weights of the rows, in this time."""

    def _read(self, X: object, y: object, sample_weight: object) -> Task:
        """Check the data; of X what is not finite is found by the solver as it reads it."""
        data, target = self._numbers(X, y)
        return self._task(data, target, target[None, :], sample_weight)

    def _numbers(self, X: object, y: object, **options: Any) -> tuple[Any, FloatArray]:
        """Return the data, of which only the shape is checked, and finite targets."""
        if not options and _is_plain(X, y):
            self._take_shape(X)
            target = np.ascontiguousarray(y, dtype=np.float64)
            if np.isfinite(target).all():
                return X, target
        data, target = self._checked(X, y, y_numeric=True, **options)
        if not np.isfinite(target).all():
            # Says what scikit-learn says of y.
            validate_data(self, X, y, accept_sparse="csc", y_numeric=True, **options)
        return data, np.ascontiguousarray(target, dtype=np.float64)

    def _checked(self, X: object, y: object, **options: Any) -> tuple[Any, FloatArray]:
        """Return what scikit-learn makes of both; their numbers may be anything."""
        refuse_masked(X, "X")
        refuse_masked(y, "y")
        checked: tuple[Any, FloatArray] = validate_data(
            self,
            X,
            y,
            accept_sparse="csc",
            dtype=DTYPES,
            ensure_all_finite=False,
            **options,
        )
        return checked

    def _take_shape(self, X: Any) -> None:
        """Do what ``validate_data`` does with columns that have no names."""
        self.n_features_in_ = X.shape[1]
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _task(self, data: Any, y: Any, targets: FloatArray, sample_weight: object) -> Task:
        design, shape = as_design(data, "X", check_finite=False, by_rows=True)
        return Task(data, design, shape, y, targets, as_sample_weight(sample_weight, shape[0]))

    def _alpha(self, task: Task) -> float:
        del task
        return as_positive(self.alpha, "alpha")

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data: float32 or float64, contiguous or CSC to be read without a copy.
        y : array_like of shape (n_samples,)
            The response.
        sample_weight : array_like of shape (n_samples,), default=None
            Non-negative weights of the rows; only their ratios matter.

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
            If the certificate is above ``tol``.
        """
        return self._fit(X, y, sample_weight)

    def _fit(self, X: object, y: object, sample_weight: object) -> Self:
        with AllOrNothing(self):
            task = self._read(X, y, sample_weight)
            start = earlier(self, (len(task.targets), task.shape[1]))
            points = self._solve(
                task,
                [self._alpha(task)],
                task.sample,
                start=start,
                max_time=as_max_time(self.max_time),
                n_threads=self.n_threads,
            )
            self._take(task, points[0])
        self._warn(points, stacklevel=4)
        return self

    def _take(self, task: Task, point: Point) -> None:
        self._take_coefficients(point.dense(task.shape[1], task.data.dtype), point.intercepts)
        setattr(self, f"{self._certificate}_", self._certified(point))
        self.objective_ = point.objective
        self.n_iter_ = max(1, point.n_iter)
        self.trace_ = point.trace
        self.converged_ = point.status is Status.CONVERGED
        self.status_ = point.status.value

    def _take_coefficients(self, coef: FloatArray, intercepts: FloatArray) -> None:
        """Take those of one response; of several they stay as they are."""
        self.coef_ = coef[0]
        self.intercept_: Any = float(intercepts[0])

    def _certified(self, point: Point) -> float:
        return point.certificate

    def _warn(self, points: list[Point], *, unreached: int = 0, stacklevel: int) -> None:
        tol = as_positive(self.tol, "tol", zero=True)
        warn_unless_converged(
            points, tol, what=self._missed, unreached=unreached, stacklevel=stacklevel
        )

    @property
    def sparse_coef_(self) -> sparse.csr_array:
        """The coefficients, sparse."""
        return sparse.csr_array(np.atleast_2d(self.coef_))

    def _linear(self, X: object) -> FloatArray:
        check_is_fitted(self)
        refuse_masked(X, "X")
        data = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=DTYPES, reset=False)
        values: FloatArray = data @ self.coef_.T + self.intercept_
        return values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class Linear(RegressorMixin):  # type: ignore[misc]
    """A model that predicts its linear values."""

    def predict(self, X: object) -> FloatArray:
        """Predict the response.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,)
            ``X @ coef_ + intercept_``.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        predicted: FloatArray = self._linear(X)
        return predicted

"""What sparse generalised linear models have in common as scikit-learn estimators."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from sparrot._design import as_design
from sparrot._native import Status
from sparrot._validation import FloatArray, as_positive
from sparrot.linear_model._solve import (
    Point,
    Settings,
    as_weights,
    earlier,
    solve,
    warn_unless_converged,
)

DTYPES = [np.float64, np.float32]


class SparseGLM(BaseEstimator):  # type: ignore[misc]
    """Parameters, the solve, and linear predictions."""

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
        weights: object = None,
        positive: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        warm_start: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_threads = n_threads

    def _read(self, X: object, y: object) -> tuple[Any, FloatArray]:
        """Return the data, of which only the shape is checked, and finite targets."""
        data, target = validate_data(
            self,
            X,
            y,
            accept_sparse="csc",
            dtype=DTYPES,
            order="F",
            y_numeric=True,
            ensure_all_finite=False,
        )
        if not np.isfinite(target).all():
            # Says what scikit-learn says of y.
            validate_data(self, X, y, accept_sparse="csc", y_numeric=True)
        return data, np.ascontiguousarray(target, dtype=np.float64)

    def _solved(
        self,
        data: Any,
        targets: list[FloatArray],
        loss: str | tuple[str, float],
        sample_weight: FloatArray | None,
    ) -> list[Point]:
        design, (_, columns) = as_design(data, "X", check_finite=False)
        settings = Settings.of(
            l1_ratio=self.l1_ratio,
            fit_intercept=self.fit_intercept,
            positive=self.positive,
            tol=self.tol,
            max_iter=self.max_iter,
            n_threads=self.n_threads,
        )
        alpha = as_positive(self.alpha, "alpha")
        weights = as_weights(self.weights, columns)
        starts = earlier(self, (len(targets), columns))
        points: list[Point] = []
        for k, target in enumerate(targets):
            points += solve(
                design,
                target,
                [alpha],
                settings,
                sample_weight=sample_weight,
                weights=weights,
                loss=loss,
                start=None if starts is None else starts[k],
            )
        # The native solver's objective and gap are of sums over rows, divided by their weights.
        self.dual_gap_ = sum(point.gap for point in points)
        self.objective_ = sum(point.objective for point in points)
        self.n_iter_ = max(1, *(point.n_iter for point in points))
        self.converged_ = all(point.status is Status.CONVERGED for point in points)
        self.trace_ = points[-1].trace
        warn_unless_converged(points, settings.tol, stacklevel=3)
        return points

    @property
    def sparse_coef_(self) -> sparse.csr_array:
        """The coefficients, sparse."""
        return sparse.csr_array(np.atleast_2d(self.coef_))

    def _linear(self, X: object) -> FloatArray:
        check_is_fitted(self)
        data = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=DTYPES, reset=False)
        values: FloatArray = data @ self.coef_.T + self.intercept_
        return values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

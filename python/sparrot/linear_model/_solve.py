"""From checked data to solutions: what paths and estimators share."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from sparrot import _sparrot
from sparrot._design import Design
from sparrot._native import Status, simd_level
from sparrot._sparrot import StopFlag
from sparrot._validation import (
    FloatArray,
    as_count,
    as_flag,
    as_floats,
    as_max_time,
    as_number,
    as_positive,
    as_threads,
)
from sparrot._warnings import convergence_warning
from sparrot.errors import InvalidInputError
from sparrot.linear_model._bounds import Bounds


class Point(NamedTuple):
    """The solution for one penalty."""

    alpha: float
    columns: FloatArray
    """Where the coefficients are not 0,"""
    coefficients: FloatArray
    """and what they are there: a row for each column, a value for each response."""
    intercepts: FloatArray
    objective: float
    certificate: float
    status: Status
    n_iter: int
    trace: dict[str, Any]

    def dense(self, size: int, dtype: Any) -> FloatArray:
        """Return all coefficients, a row for each response."""
        coef = np.zeros((self.coefficients.shape[1], size), dtype=dtype)
        coef[:, self.columns] = as_dtype(self.coefficients.T, dtype)
        return coef


def as_points(found: list[float], points: list[dict[str, Any]], responses: int) -> list[Point]:
    """Take what the native solvers return: points for all penalties, or for the first of them."""
    return [
        Point(
            alpha,
            raw["columns"],
            raw["coefficients"].reshape(-1, responses),
            raw["intercepts"],
            raw["objective"],
            raw["certificate"],
            Status(raw["status"]),
            raw["n_iter"],
            {name: values for name, values in raw["trace"].items() if name != "phase"},
        )
        for alpha, raw in zip(found, points, strict=False)
    ]


class Groups(NamedTuple):
    """Groups that hold all columns of X."""

    sizes: FloatArray
    columns: FloatArray
    """one group after the other."""

    def spread(self, values: FloatArray) -> FloatArray:
        """Return for each column what its group has."""
        spread = np.empty(len(self.columns))
        spread[self.columns] = np.repeat(values, self.sizes)
        return spread


class Settings(NamedTuple):
    """How to solve: checked."""

    l1_ratio: float
    fit_intercept: bool
    tol: float
    max_iter: int
    max_time: float | None
    n_threads: int | None

    @classmethod
    def of(
        cls,
        *,
        l1_ratio: object = 1.0,
        fit_intercept: object = True,
        tol: object,
        max_iter: object,
        max_time: object = None,
        n_threads: object = None,
    ) -> "Settings":
        """Check each."""
        return cls(
            as_share(l1_ratio, "l1_ratio"),
            as_flag(fit_intercept, "fit_intercept"),
            as_positive(tol, "tol", zero=True),
            as_count(max_iter, "max_iter"),
            as_max_time(max_time),
            as_threads(n_threads),
        )


def solve(
    design: Design,
    targets: FloatArray,
    alphas: list[float] | tuple[float, int],
    settings: Settings,
    *,
    sample_weight: FloatArray | None,
    groups: Groups | None = None,
    weights: FloatArray | None,
    bounds: Bounds,
    loss: str | tuple[str, float] = "least-squares",
    start: FloatArray | None = None,
    stop_flag: StopFlag | None = None,
) -> list[Point]:
    """Solve for each penalty, or for a grid of (smallest over largest, count).

    If the time is up there are points for the first penalties only, for one at least.
    The loss is "least-squares", "square-root", "logistic" (targets -1 and 1), "multinomial" (a row
    of such targets for each class), "poisson" or ("huber", delta). It starts from 0 or from given
    coefficients, a row for each row of targets, as far as they are allowed. With groups, for
    "logistic", "poisson" and "huber" without bounds, the penalty is of their norms, and weights are
    of groups.
    """
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    of_columns = weights if groups is None or weights is None else groups.spread(weights)
    found, points = _sparrot.regression_path(
        design,
        targets,
        {
            "loss": loss,
            "alphas": alphas,
            "l1_ratio": settings.l1_ratio,
            "fit_intercept": settings.fit_intercept,
            "sample_weight": sample_weight,
            "groups": groups,
            "weights": weights,
            "bounds": bounds.ends,
            "start": None if start is None else as_start(bounds.confine(start), of_columns),
            "tol": settings.tol,
            "max_iter": settings.max_iter,
            "max_time": settings.max_time,
        },
        stop_flag,
        settings.n_threads,
    )
    dtype = np.float32 if is_single(design) else np.float64
    return [
        point._replace(coefficients=bounds.to_round(point.coefficients, point.columns, dtype))
        for point in as_points(found, points, len(targets))
    ]


def is_single(design: Design) -> bool:
    """Whether the entries of X, and so the coefficients, are float32."""
    values = design[2] if isinstance(design, tuple) else design
    return bool(values.dtype == np.float32)


def warn_unless_converged(
    points: list[Any],
    tol: float,
    *,
    what: str = "a gap of {:.3g} of the objective at zero",
    unreached: int = 0,
    stacklevel: int,
) -> None:
    """Tell the worst of those that did not get there, and how many the time was too short for."""
    missed = [point for point in points if point.status is not Status.CONVERGED]
    count = len(points) + unreached
    left = f"{unreached} of {count} penalties have not been reached" if unreached else ""
    if left and not missed:
        warnings.warn(
            f"not converged ({Status.MAX_TIME.value}): {left}: allow more time (max_time)",
            convergence_warning(),
            stacklevel=stacklevel + 1,
        )
    if not missed:
        return
    worst = max(missed, key=lambda point: float(point.trace["certificate"][-1]))
    of = f"{len(missed)} of {count} penalties, the worst" if count > 1 else "the fit"
    advice = {
        Status.MAX_ITER: "allow more passes (max_iter)",
        Status.MAX_TIME: "allow more time (max_time)",
        Status.STALLED: "further passes change next to nothing: use a larger alpha or tol, or "
        "scale columns that differ in size or are nearly dependent",
    }[worst.status]
    warnings.warn(
        f"not converged ({worst.status.value}): {of} at alpha={worst.alpha:g} has "
        f"{what.format(worst.trace['certificate'][-1])}, above tol={tol:g}: {advice}"
        + (f"; {left}" if left else ""),
        convergence_warning(),
        stacklevel=stacklevel + 1,
    )


def as_start(coef: FloatArray, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Return where coefficients are not 0, of those that may be, and what they are there.

    A row of ``coef`` is of a response; those of a column follow one another.
    """
    used = coef.any(axis=0)
    if weights is not None:
        used &= weights < np.inf
    columns = np.flatnonzero(used)
    values = np.ascontiguousarray(coef[:, columns].T, dtype=np.float64)
    return columns.astype(np.uint32), values.ravel()


def earlier(model: Any, shape: tuple[int, int]) -> FloatArray | None:
    """Return the coefficients of an earlier fit, by response, if the model is to start there."""
    if not as_flag(model.warm_start, "warm_start"):
        return None
    if not hasattr(model, "coef_"):
        return None
    coef = np.atleast_2d(as_floats(model.coef_, "warm_start: coef_", ndim=None))
    if coef.shape != shape:
        raise InvalidInputError(
            f"warm_start: coef_ has shape {np.shape(model.coef_)} from an earlier fit, but X has "
            f"{shape[1]} columns and y makes {shape[0]} models of them: fit a clone"
        )
    if not np.isfinite(coef).all():
        raise InvalidInputError("warm_start: coef_ is not finite: fit a clone")
    return coef


def as_dtype(coefficients: FloatArray, dtype: Any) -> FloatArray:
    """Round coefficients to what X has."""
    largest = float(np.abs(coefficients).max(initial=0.0))
    if largest > float(np.finfo(dtype).max):
        raise InvalidInputError(
            f"X has columns so small that a coefficient is {largest:g}, which {np.dtype(dtype)} "
            "cannot hold: scale X, or give it in float64"
        )
    rounded: FloatArray = coefficients.astype(dtype)
    return rounded


def as_share(value: object, name: str) -> float:
    """Take a number above 0 and at most 1."""
    share = as_number(value, name)
    if not 0 < share <= 1:
        raise InvalidInputError(
            f"{name} is {value!r}: needs a number above 0 and at most 1 (0 is ridge regression)"
        )
    return share


def as_weights(value: object, size: int, of: str = "columns of X") -> FloatArray | None:
    """Take weights of the coefficients: non-negative, inf for those that are to be 0."""
    if value is None:
        return None
    weights = as_floats(value, "weights", ndim=1)
    if weights.shape[0] != size:
        raise InvalidInputError(
            f"weights has {weights.shape[0]} values for {size} {of}: needs one for each"
        )
    if not (weights >= 0).all():
        j = int(np.flatnonzero(~(weights >= 0))[0])
        raise InvalidInputError(
            f"weights[{j}] is {weights[j]}: needs non-negative weights, inf to leave it out"
        )
    return np.ascontiguousarray(weights, dtype=np.float64)


def as_sample_weight(value: object, size: int) -> FloatArray | None:
    """Take weights of the rows: finite, non-negative, not all 0."""
    if value is None:
        return None
    weights = as_floats(value, "sample_weight", ndim=None)
    if weights.ndim == 0:
        weights = np.full(size, float(weights))
    if weights.shape != (size,):
        raise InvalidInputError(
            f"sample_weight has shape {weights.shape}: needs one for each of {size} rows"
        )
    weights = np.ascontiguousarray(weights, dtype=np.float64)
    is_wrong = ~(np.isfinite(weights) & (weights >= 0))
    if is_wrong.any():
        i = int(np.flatnonzero(is_wrong)[0])
        raise InvalidInputError(
            f"sample_weight[{i}] is {weights[i]}: needs finite, non-negative weights"
        )
    if not weights.any():
        raise InvalidInputError("sample_weight is zero everywhere: needs a positive weight")
    # Only their ratios matter: by a power of two near 1, so that no sum of them overflows.
    return np.ldexp(weights, -int(np.frexp(weights.max())[1]))


def as_shares(sample: FloatArray | None, rows: int) -> FloatArray:
    """Return weights of the rows whose sum is 1, all alike for None."""
    shares: FloatArray = np.full(rows, 1.0 / rows) if sample is None else sample / sample.sum()
    return shares

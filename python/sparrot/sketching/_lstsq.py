"""Least squares with a bound for each coefficient."""

import math
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from sparrot import _sparrot
from sparrot._native import Status
from sparrot._validation import (
    FloatArray,
    as_choice,
    as_count,
    as_flag,
    as_floats,
    as_number,
    as_positive,
    as_seed,
    as_threads,
    as_weights,
    require_finite,
)
from sparrot._warnings import convergence_warning
from sparrot.errors import InvalidInputError
from sparrot.sketching._matrix import as_rows
from sparrot.sketching._result import LeastSquaresResult
from sparrot.sketching._sketch import as_kind

METHODS = ("auto", "precondition", "sketch-solve")
# Norms beyond these would over- or underflow where squares are formed.
LEAST, MOST = 1e-120, 1e120


def lstsq(
    A: object,
    b: object,
    *,
    method: str = "auto",
    ridge: float = 0.0,
    sample_weight: object = None,
    fit_intercept: bool = False,
    rcond: float | None = None,
    tol: float = 1e-13,
    max_iter: int = 10,
    eps: float = 0.5,
    delta: float = 1e-3,
    size: int | None = None,
    kind: str = "srht",
    rng: object = None,
    n_threads: int | None = None,
) -> LeastSquaresResult:
    """Solve a tall least squares problem, with a proven bound of each coefficient's error.

    Minimises ``sum(w * (b - A @ x - c)**2) + ridge * sum(x**2)``, the intercept ``c`` without a
    penalty. Reads ``A`` in blocks of rows, never copies it, and needs little memory besides.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n, d)
        The matrix: float32 or float64, C or Fortran order, or CSR; these are read where they are.
    b : array_like of shape (n,) or (n, k)
        The right-hand sides.
    method : {"auto", "precondition", "sketch-solve"}, default="auto"
        "precondition": some random rows of ``A``, or a sketch of all where those do not show full
        rank, tell its rank and condition, and make it well-conditioned; then come randomised
        Cholesky QR factors [3]_. "auto": where the condition number allows for it, some 1e5, the
        Gram matrix instead, which takes half the time. Both refine the coefficients with residuals
        to twice the working precision until they are within ``tol``.
        "sketch-solve": approximate, in one pass: the solution for a sketch of ``A`` and
        ``b``; where that would have as many rows as ``A``, "auto" instead.
    ridge : float, default=0.0
        The penalty, at least 0; scikit-learn's ``alpha``.
    sample_weight : float or array_like of shape (n,), optional
        Weights ``w`` of the rows, at least 0. None for 1.
    fit_intercept : bool, default=False
        Whether there is an intercept.
    rcond : float, optional
        A column is taken to depend on others if what they do not explain of it is below ``rcond``,
        relative to the largest such part; columns are scaled to norm 1 for that. Then the solution
        of minimum norm is returned. None for ``64 * sqrt(d)`` times the machine
        epsilon.
    tol : float, default=1e-13
        The error to reach: the largest bound relative to the largest coefficient, each times the
        norm of its column; or to 1e-8 of the norm of ``b``, if that is more.
    max_iter : int, default=10
        Passes of refinement, at most; one to three are usual.
    eps : float, default=0.5
        For "sketch-solve": errors of coefficients of at most about ``eps / sqrt(d)`` times the
        residual's norm over the smallest singular value of ``A``, and a sum of squares above its
        minimum by less than a share of ``eps**2``.
    delta : float, default=0.001
        For "sketch-solve": the probability of being wrong: that some error is above ``coef_bound``.
    size : int, optional
        For "sketch-solve": rows of the sketch. None for
        ``p + 2 * p * log(2 * p * k / delta) / eps**2``, p the number of unknowns of each of k
        columns.
    kind : {"srht", "bgpt", "circulant", "gaussian", "sparse-sign", "countsketch"}, default="srht"
        For "sketch-solve": the kind of :func:`sketch`. The sparse kinds are not safe: single
        coefficients can be far off, and then ``coef_bound`` too.
    rng : int, numpy.random.Generator or alike, optional
        For the sketch: what :func:`numpy.random.default_rng` takes.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Returns
    -------
    LeastSquaresResult
        With ``x``, ``coef_bound``, ``residual_norm``, ``rank``, ``condition_estimate``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described or not finite, or a column's norm is not 0 and not
        between 1e-120 and 1e120.
    MemoryError
        If there is no room.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the bounds are not within ``tol``.

    See Also
    --------
    sketch : The sketches behind it.

    Notes
    -----
    The bound holds for the exact solution of the problem as stored, all rounding included, and
    needs neither luck nor a theorem about sketches: with any matrix X, ``C = (A X)' (A X)`` and the
    gradient ``g`` at x, the error is ``X C^-1 X' g``; C is shown to be positive definite by a
    Cholesky factorisation [1]_, and ``g`` is computed to twice the working precision [2]_. What the
    data do not determine has the bound ``inf``, except that coefficients of zero columns are 0.
    When ``A`` holds rounded measurements the solution is uncertain by far more than that: by
    ``condition_estimate`` times their relative error.

    Time is about that of one product ``A.T @ A``, of two for "precondition". Where that has fewer
    than 8 rows for each column ``A`` itself is factored, which takes memory of its size.

    References
    ----------
    .. [1] S. M. Rump, "Verification of positive definiteness", BIT 2006.
    .. [2] T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product", SISC 2005.
    .. [3] A. J. Higgins, D. B. Szyld, E. G. Boman, I. Yamazaki, "Analysis of randomized
       Householder-Cholesky QR factorization with multisketching", 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sketching import lstsq
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(10_000, 5))
    >>> result = lstsq(A, A @ np.arange(5.0) + rng.normal(size=10_000), rng=0)
    >>> result.x.round(1) + 0.0
    array([0., 1., 2., 3., 4.])
    >>> result.rank, bool(result.coef_bound.max() < 1e-14)
    (5, True)
    """
    rows, shape, _ = as_rows(A, "A")
    targets, single = as_right_hand_sides(b, shape[0])
    is_sketched = as_choice(method, "method", METHODS) == "sketch-solve"
    settings = Settings.of(
        method=method,
        ridge=ridge,
        fit_intercept=fit_intercept,
        rcond=rcond,
        tol=tol,
        max_iter=max_iter,
        rng=rng,
        columns=shape[1],
    )
    weights = as_row_weights(sample_weight, shape[0])
    asked = (eps, delta, size, kind)
    plan = as_plan(*asked, shape, targets.shape[1], settings) if is_sketched else None
    threads = as_threads(n_threads)
    result = solve(rows, targets, weights, settings, threads, single=single, plan=plan)
    if not result.converged:
        warnings.warn(result.message, convergence_warning(), stacklevel=2)
    return result


@dataclass(frozen=True)
class Settings:
    """What belongs to no row."""

    gram: bool
    ridge: float
    fit_intercept: bool
    rcond: float
    tol: float
    max_iter: int
    seed: int

    @classmethod
    def of(
        cls,
        *,
        method: object,
        ridge: object,
        fit_intercept: object,
        rcond: object,
        tol: object,
        max_iter: object,
        rng: object,
        columns: int,
    ) -> "Settings":
        """Check them."""
        chosen = as_choice(method, "method", METHODS)
        # Above what rounding the entries of dependent columns leaves of them.
        rounding = 64 * math.sqrt(columns) * float(np.finfo(float).eps)
        share = rounding if rcond is None else as_number(rcond, "rcond")
        if not 0 <= share < 1:
            raise InvalidInputError(f"rcond is {rcond!r}: needs a number from 0 to below 1")
        penalty = as_positive(ridge, "ridge", zero=True)
        if penalty and not LEAST**2 <= penalty <= MOST**2:
            raise InvalidInputError(f"ridge is {ridge!r}: needs 0 or a number of 1e-240 to 1e240")
        return cls(
            gram=chosen != "precondition",
            ridge=penalty,
            fit_intercept=as_flag(fit_intercept, "fit_intercept"),
            rcond=share,
            tol=as_positive(tol, "tol"),
            max_iter=as_count(max_iter, "max_iter"),
            seed=as_seed(rng),
        )

    def native(self, weights: FloatArray | None) -> dict[str, Any]:
        """Return what the native side takes besides the data."""
        return {
            "sample_weight": weights,
            "ridge": self.ridge,
            "intercept": self.fit_intercept,
            "gram": self.gram,
            "rcond": self.rcond,
            "tol": self.tol,
            "max_passes": self.max_iter,
            "seed": self.seed,
        }


# The kind as the native side takes it, rows, and the quantile of the bounds.
Plan = tuple[tuple[str, int], int, float]


def as_plan(
    eps: object,
    delta: object,
    size: object,
    kind: object,
    shape: tuple[int, int],
    targets: int,
    settings: Settings,
) -> Plan | None:
    """Choose a sketch to solve; none if it would have as many rows as the matrix."""
    accuracy, chance = as_positive(eps, "eps"), as_positive(delta, "delta")
    if not chance < 1:
        raise InvalidInputError(f"delta is {delta!r}: needs a number between 0 and 1")
    n, p = shape[0], shape[1] + settings.fit_intercept
    native = as_kind(kind, None, None, 8, n)
    if size is not None:
        rows = as_count(size, "size")
        if rows <= p:
            raise InvalidInputError(f"size is {rows}: needs more rows than the {p} unknowns")
    else:
        # A float as yet: a small eps asks for more rows than there are integers.
        wanted = p + 2 * p * math.log(2 * p * targets / chance) / accuracy / accuracy
        if not wanted < n:
            return None
        rows = math.ceil(wanted)
    return native, rows, float(stdtrit(rows - p, 1 - chance / (2 * p * targets)))


def as_right_hand_sides(value: object, size: int) -> tuple[FloatArray, bool]:
    """Take finite numbers (n, k), and whether there was one for each row."""
    array = as_floats(value, "b", ndim=(1, 2), any_strides=True)
    if array.shape[0] != size:
        raise InvalidInputError(f"b has {array.shape[0]} rows for {size} rows of A")
    if array.size == 0:
        raise InvalidInputError(f"b has shape {array.shape}: needs at least one column")
    require_finite(array, "b")
    targets = np.ascontiguousarray(array.reshape(size, -1), dtype=np.float64)
    largest = float(np.abs(targets).max())
    if largest and not LEAST <= largest <= MOST:
        raise InvalidInputError(
            f"b has a largest magnitude of {largest:g}: needs 1e-120 to 1e120, or 0; scale it"
        )
    return targets, array.ndim == 1


def as_row_weights(value: object, size: int, *, zero: bool = False) -> FloatArray | None:
    """Take a weight for each row, or none; all of them 0 if that is said."""
    if value is None:
        return None
    given = as_floats(value, "sample_weight", ndim=(0, 1))
    if zero and given.shape in ((), (size,)) and not given.any():
        return np.zeros(size)
    if not given.any():
        raise InvalidInputError("sample_weight is zero everywhere: needs a positive weight")
    weights = as_weights(np.full(size, given) if given.ndim == 0 else given, "sample_weight", size)
    if not LEAST <= weights.max() <= MOST:
        raise InvalidInputError(
            f"sample_weight has a largest of {weights.max():g}: needs 1e-120 to 1e120; scale it"
        )
    return weights


def solve(
    rows: tuple[Any, ...],
    targets: FloatArray,
    weights: FloatArray | None,
    settings: Settings,
    n_threads: int | None,
    *,
    single: bool,
    plan: Plan | None = None,
) -> LeastSquaresResult:
    """Call the native side; warns of nothing."""
    started = time.perf_counter()
    found = _sparrot.sketching_lstsq(
        rows,
        targets,
        settings.native(weights),
        plan,
        n_threads,
    )
    status = Status(found["status"])
    return LeastSquaresResult(
        **shaped(found, targets.shape[1], single=single),
        rank=found["rank"],
        condition_estimate=found["condition_estimate"],
        converged=status is Status.CONVERGED,
        status=status,
        message=_message(status, found, settings, plan),
        method=found["method"],
        passes=found["passes"],
        sketch_rows=found["sketch_rows"],
        tol=settings.tol,
        timings={"solve": time.perf_counter() - started},
    )


def shaped(found: dict[str, Any], k: int, *, single: bool) -> dict[str, Any]:
    """Give what belongs to coefficients and right-hand sides its shape."""
    out: dict[str, Any] = {}
    for name in ("x", "coef_bound"):
        out[name] = found[name] if single else found[name].reshape(-1, k)
    for name in ("intercept", "intercept_bound", "residual_norm"):
        out[name] = float(found[name][0]) if single else found[name]
    return out


def undetermined(found: dict[str, Any], settings: Settings) -> str:
    """Say that the rank was cut, which no bound covers."""
    if not (np.isinf(found["coef_bound"]).any() and np.isfinite(found["error"])):
        return ""
    return (
        f"the columns of A have rank {found['rank']} to within rcond={settings.rcond:.1e}: x has "
        "minimum norm and no proven bound; among what those directions allow "
    )


def reached(error: float) -> str:
    """Say what is known of the coefficients."""
    return (
        f"the coefficients are within {error:.1e} of the exact ones, relative to the largest, or "
        "to 1e-8 of b where they explain less of it than that"
    )


def _message(
    status: Status, found: dict[str, Any], settings: Settings, plan: Plan | None = None
) -> str:
    if plan is not None:
        told = f"solved for a sketch of {plan[1]} rows: coef_bound is an estimate"
        if status is Status.CONVERGED:
            return told
        return f"{told}; of the sketched problem: {_message(status, found, settings)}"
    if not np.isfinite(found["error"]):
        return (
            "nothing could be proven of the coefficients: the columns of A are dependent to nearly "
            "all digits; a larger rcond drops those that are, ridge= makes up for them"
        )
    told = undetermined(found, settings) + reached(found["error"])
    if status is Status.CONVERGED:
        return told
    wanted = f"tol={settings.tol:g} asks for less"
    if status is Status.MAX_ITER:
        return f"{told}, {wanted}, and max_iter={settings.max_iter} is used up: raise either"
    return f"{told}, {wanted}, and rounding allows for no more: raise tol"

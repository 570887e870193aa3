"""Softmax regression, experimental."""

import time
import warnings
from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._native import Status
from sparrot._result import Result
from sparrot._validation import (
    FloatArray,
    as_choice,
    as_count,
    as_floats,
    as_positive,
    as_seed,
    as_threads,
    require_finite,
)
from sparrot._warnings import convergence_warning
from sparrot.errors import InvalidInputError
from sparrot.sketching._matrix import as_rows
from sparrot.sketching._sketch import as_kind

HESSIANS = ("exact", "sketched")
# Rows of a sketch for each coefficient: errors of a Hessian of about a third.
OVERSAMPLING = 10
# Magnitudes beyond these would over- or underflow where squares are formed.
LEAST, MOST = 1e-100, 1e100


class SoftmaxRegressionResult(Result):
    """Coefficients, and what is known of the point that they are.

    Frozen; fields can be read as attributes or as items.

    Attributes
    ----------
    x : ndarray of shape (d,)
        The coefficients, in float64.
    objective : float
        ``0.5 * sum((softmax(A @ x) - b)**2) + 0.5 * ridge * sum(x**2)``.
    residual_norm : float
        ``norm(softmax(A @ x) - b)``.
    stationarity : float
        The largest entry of the gradient, each as a share of the most that Cauchy's inequality
        allows for it where the residual has the norm of ``softmax(A @ x)`` and ``b`` together.
        With what rounding may hide of it, to first order; that is large where coefficients are.
        The certificate that ``tol`` is for.
    positive_definite : bool
        Whether the exact Hessian at ``x`` is positive definite, shown by a Cholesky factorisation
        of what is left of it after a bound of all rounding is taken off. Then ``x`` is, to within
        ``stationarity``, a local minimum; whether it is the global one is not known. False proves
        nothing.
    curvature : float
        The smallest eigenvalue of the Hessian, in units of the Gauss-Newton matrix's diagonal;
        computed in plain arithmetic.
    converged : bool
        Whether ``stationarity <= tol``.
    status : sparrot.Status
        How it ended.
    message : str
        How it ended, and what to do.
    hessian : str
        "exact" or "sketched".
    n_iter : int
        Steps taken.
    passes : int
        Passes over the rows of ``A``.
    sketch_rows : int
        Rows of each sketch; 0 for exact Hessians.
    tol : float
        What was asked for.
    trace : dict
        Arrays "objective" and "stationarity": before each step, and at the end.
    timings : dict
        Seconds: "solve".

    See Also
    --------
    softmax_regression
    """

    x: FloatArray
    objective: float
    residual_norm: float
    stationarity: float
    positive_definite: bool
    curvature: float
    converged: bool
    status: Status
    message: str
    hessian: str
    n_iter: int
    passes: int
    sketch_rows: int
    tol: float
    trace: dict[str, FloatArray]
    timings: dict[str, float]


def softmax_regression(
    A: object,
    b: object,
    *,
    ridge: float = 0.0,
    tol: float = 1e-8,
    max_iter: int = 100,
    hessian: str = "exact",
    size: int | None = None,
    kind: str = "srht",
    init: object = None,
    rng: object = None,
    n_threads: int | None = None,
) -> SoftmaxRegressionResult:
    """Find coefficients whose softmax is nearest to given numbers. Experimental.

    Minimises ``0.5 * sum((softmax(A @ x) - b)**2) + 0.5 * ridge * sum(x**2)`` [1]_, one softmax
    over all rows. The problem is not convex: what is found is a point with a small gradient, and
    the result says whether it is a local minimum. Names and defaults may change.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n, d)
        The matrix: float32 or float64, C or Fortran order, or CSR; read by blocks of rows.
    b : array_like of shape (n,)
        What the probabilities are to be near to.
    ridge : float, default=0.0
        The penalty, at least 0.
    tol : float, default=1e-8
        The ``stationarity`` to reach. It does not depend on the scales of ``A``, its columns or
        ``ridge`` relative to them.
    max_iter : int, default=100
        Steps, at most.
    hessian : {"exact", "sketched"}, default="exact"
        "exact": Newton's method, with the Gauss-Newton matrix where the Hessian is not positive
        definite; it converges quadratically near a minimum. "sketched": the Gauss-Newton matrix
        from a random sketch of its rows, anew in each step, after [2]_; it converges linearly, and
        takes longer up to some 200 columns at least.
    size : int, optional
        For "sketched": rows of the sketch, more than ``d``. None for ``10 * d``. Where that is not
        fewer than ``n``, the exact Hessian is used.
    kind : {"srht", "bgpt", "circulant", "gaussian", "sparse-sign", "countsketch"}, default="srht"
        For "sketched": the kind of :func:`sketch`.
    init : array_like of shape (d,), optional
        Where to start; None for 0. Another start may end in another minimum.
    rng : int, numpy.random.Generator or alike, optional
        For the sketches: what :func:`numpy.random.default_rng` takes.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Returns
    -------
    SoftmaxRegressionResult
        With ``x``, ``objective``, ``stationarity``, ``positive_definite``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described or not finite, or the entries of a column differ by less
        than 1e-100, though they do, or more than 1e100.
    MemoryError
        If there is no room.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If ``stationarity`` is above ``tol``.

    See Also
    --------
    lstsq : Linear least squares, with proven bounds.
    sparrot.special.softmax : The softmax itself.

    Notes
    -----
    What is added to a column changes no probability: constant columns get 0 without a ``ridge`` and
    a Hessian that is not positive definite. Where one probability is nearly 1, gradient and Hessian
    nearly vanish: ``positive_definite`` or a small ``objective`` tell a minimum from a plateau.

    References
    ----------
    .. [1] S. Li, Z. Song, Y. Xia, T. Yu, T. Zhou, "The closeness of in-context learning and weight
       shifting for softmax regression", 2023, arXiv 2304.13276.
    .. [2] Y. Deng, Z. Li, Z. Song, "Attention scheme inspired softmax regression", 2023,
       arXiv 2304.10411.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sketching import softmax_regression
    >>> from sparrot.special import softmax
    >>> A = np.random.default_rng(0).normal(size=(500, 3))
    >>> result = softmax_regression(A, softmax(A @ [1.0, -0.5, 0.25]))
    >>> result.x.round(6)
    array([ 1.  , -0.5 ,  0.25])
    >>> result.positive_definite
    True
    """
    rows, shape, _ = as_rows(A, "A")
    target = _as_vector(b, "b", shape[0], "rows")
    start = np.zeros(shape[1]) if init is None else _as_vector(init, "init", shape[1], "columns")
    penalty = as_positive(ridge, "ridge", zero=True)
    if penalty and not LEAST <= penalty <= MOST:
        raise InvalidInputError(f"ridge is {ridge!r}: needs 0 or a number of 1e-100 to 1e100")
    accuracy, steps = as_positive(tol, "tol"), as_count(max_iter, "max_iter")
    native = as_kind(kind, None, None, 8, shape[0])
    count = OVERSAMPLING * shape[1] if size is None else as_count(size, "size")
    if count <= shape[1]:
        raise InvalidInputError(f"size is {count}: needs more rows than the {shape[1]} columns")
    is_sketched = as_choice(hessian, "hessian", HESSIANS) == "sketched" and count < shape[0]
    started = time.perf_counter()
    found = _sparrot.sketching_softmax_regression(
        rows,
        target,
        start,
        penalty,
        (native, count, as_seed(rng)) if is_sketched else None,
        accuracy,
        steps,
        as_threads(n_threads),
    )
    result = _result(found, accuracy, steps, count if is_sketched else 0, started)
    if not result.converged:
        warnings.warn(result.message, convergence_warning(), stacklevel=2)
    return result


def _as_vector(value: object, name: str, length: int, of: str) -> FloatArray:
    array = as_floats(value, name, ndim=1, any_strides=True)
    if array.shape[0] != length:
        raise InvalidInputError(f"{name} has {array.shape[0]} entries for {length} {of} of A")
    require_finite(array, name)
    largest = float(np.abs(array).max())
    if largest > MOST:
        raise InvalidInputError(
            f"{name} has a largest magnitude of {largest:g}: needs at most 1e100; scale it"
        )
    return np.ascontiguousarray(array, dtype=np.float64)


def _result(
    found: dict[str, Any], tol: float, max_iter: int, size: int, started: float
) -> SoftmaxRegressionResult:
    status = Status(found["status"])
    trace = found["trace"].reshape(-1, 2)
    return SoftmaxRegressionResult(
        x=found["x"],
        objective=found["objective"],
        residual_norm=found["residual_norm"],
        stationarity=found["stationarity"],
        positive_definite=found["positive_definite"],
        curvature=found["curvature"],
        converged=status is Status.CONVERGED,
        status=status,
        message=_message(status, found, tol, max_iter),
        hessian="sketched" if size else "exact",
        n_iter=len(trace) - 1,
        passes=found["passes"],
        sketch_rows=size,
        tol=tol,
        trace={"objective": trace[:, 0].copy(), "stationarity": trace[:, 1].copy()},
        timings={"solve": time.perf_counter() - started},
    )


def _message(status: Status, found: dict[str, Any], tol: float, max_iter: int) -> str:
    kind = (
        "the Hessian is positive definite: a local minimum"
        if found["positive_definite"]
        else "the Hessian could not be shown to be positive definite: perhaps no minimum"
    )
    reached = f"the scaled gradient is {found['stationarity']:.1e}; {kind}"
    if status is Status.CONVERGED:
        return reached
    wanted = f"tol={tol:g} asks for less"
    if status is Status.MAX_ITER:
        return f"{reached}; {wanted}, and max_iter={max_iter} is used up: raise either"
    return f"{reached}; {wanted}, and rounding allows for no more: raise tol or ridge"

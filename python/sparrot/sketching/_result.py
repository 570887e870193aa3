"""What least squares come as."""

from sparrot._native import Status
from sparrot._result import Result
from sparrot._validation import FloatArray


class LeastSquaresResult(Result):
    """Coefficients, and how wrong they can be.

    Frozen; fields can be read as attributes or as items.

    Attributes
    ----------
    x : ndarray of shape (d,) or (d, k)
        The coefficients, in float64.
    intercept : float or ndarray of shape (k,)
        The intercept; 0 without one.
    coef_bound : ndarray of the shape of x
        How far each coefficient is from the exact solution for the arrays as given, at most:
        proven, rounding included, unless ``method`` is "sketch-solve". ``inf`` where nothing can be
        proven, as for coefficients that the data do not determine. Of "sketch-solve"
        an estimate: all errors are within it with probability ``1 - delta`` where the sketch is
        Gaussian, and very nearly so for the others.
    intercept_bound : float or ndarray of shape (k,)
        The same of the intercept.
    residual_norm : float or ndarray of shape (k,)
        ``sqrt(sum(w * (b - A @ x - intercept)**2))``; of "sketch-solve" an estimate.
    rank : int
        The number of independent columns; with an intercept, of the centred ones; with a ridge, of
        ``A`` with ``sqrt(ridge)`` times the identity below it, which is all of them unless the
        ridge is small.
    condition_estimate : float
        About the ratio of the largest to the smallest nonzero singular value, of ``A`` weighted and
        centred, and with ``sqrt(ridge)`` times the identity below it.
    converged : bool
        Whether all bounds are within ``tol``.
    status : sparrot.Status
        How it ended.
    message : str
        How it ended, and what to do.
    method : str
        What the coefficients were computed by: "gram", "cholesky-qr",
        "twofold-gram" (of blocks of rows) or "sketch-solve".
    passes : int
        Passes over the rows of ``A``.
    sketch_rows : int
        Rows of the sketch, or of the sample in its place; 0 if there was none.
    tol : float
        The relative error that was asked for.
    timings : dict
        Seconds: "solve".

    See Also
    --------
    lstsq
    LeastSquaresState.finalize
    """

    x: FloatArray
    intercept: float | FloatArray
    coef_bound: FloatArray
    intercept_bound: float | FloatArray
    residual_norm: float | FloatArray
    rank: int
    condition_estimate: float
    converged: bool
    status: Status
    message: str
    method: str
    passes: int
    sketch_rows: int
    tol: float
    timings: dict[str, float]

"""Least squares solved exactly, in rational arithmetic."""

import mpmath
import numpy as np


def _integers(array):
    """The array as integers times one power of two."""
    mantissa, exponent = np.frexp(np.asarray(array, dtype=np.float64))
    whole = (mantissa * 2.0**53).astype(np.int64).astype(object)
    shift = np.where(mantissa == 0, 0, exponent - 53)
    least = int(shift.min(initial=0))
    powers = np.vectorize(lambda s: 1 << int(s - least), otypes=[object])(shift)
    return np.where(mantissa == 0, 0, whole * powers), least


def solve(A, b, ridge=0.0, weights=None, intercept=False, digits=400):
    """Coefficients (d,), intercept and residual norm, to many digits."""
    A, b = np.asarray(A, dtype=np.float64), np.asarray(b, dtype=np.float64)
    n, d = A.shape
    M = np.column_stack([A, np.ones(n)]) if intercept else A
    with mpmath.workdps(digits):
        (M_int, e), (b_int, f) = _integers(M), _integers(b)
        w_int, g = _integers(np.ones(n) if weights is None else weights)
        gram = (M_int * w_int[:, None]).T @ M_int
        cross = (M_int * w_int[:, None]).T @ b_int
        scale, side = mpmath.ldexp(1, 2 * e + g), mpmath.ldexp(1, e + f + g)
        p = M.shape[1]
        G = mpmath.matrix(p, p)
        for i in range(p):
            for j in range(p):
                G[i, j] = gram[i, j] * scale
            if i < d:
                G[i, i] += mpmath.mpf(ridge)
        h = mpmath.matrix([cross[i] * side for i in range(p)])
        x = mpmath.lu_solve(G, h)
        bb = (b_int * w_int) @ b_int * mpmath.ldexp(1, 2 * f + g)
        ridge_part = sum(x[j] ** 2 for j in range(d)) * mpmath.mpf(ridge)
        squares = bb - sum(x[i] * h[i] for i in range(p)) - ridge_part
        return (
            [x[j] for j in range(d)],
            (x[d] if intercept else mpmath.mpf(0)),
            mpmath.sqrt(squares),
        )


def errors(found, exact):
    """The distance of each coefficient from the exact one, rounded up by nothing."""
    with mpmath.workdps(400):
        return np.array(
            [float(abs(mpmath.mpf(float(x)) - y)) for x, y in zip(found, exact, strict=True)]
        )

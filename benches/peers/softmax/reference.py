"""What the results should have been, and how far from it they are.

In ``longdouble``, where it has a mantissa of 64 bits: its steps are 2^-11 of those of float64. The
difference to the maximum is carried in two of them, as an exponential makes an absolute error of
its argument a relative one of the result, and arguments reach -745.
"""

import numpy as np

BITS = 64


def check() -> None:
    if np.finfo(np.longdouble).nmant + 1 < BITS:
        raise SystemExit(f"the reference needs a longdouble of {BITS} bits, as x86 has")


def reference(function: str, x: np.ndarray) -> np.ndarray:
    """Return the function along the last axis."""
    x = x.astype(np.longdouble)
    top = x.max(-1, keepdims=True)
    high, low = difference(x, top)
    terms = np.exp(high)
    terms += terms * low
    total = terms.sum(-1, keepdims=True)  # pairwise
    if function == "softmax":
        return terms / total
    if function == "logsumexp":
        return (top + np.log(total))[..., 0]
    return high + (low - np.log(total))


def difference(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``a - b`` rounded, and what the rounding left (Knuth's two-sum)."""
    rounded = a - b
    of_b = rounded - a
    return rounded, (a - (rounded - of_b)) + (-b - of_b)


def units(exact: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the unit in the last place, in the binade of the exact result.

    Below the least normal number, units are those of the denormal ones.
    """
    info = np.finfo(dtype)
    _, exponent = np.frexp(exact)
    least = info.minexp + 1
    exponent = np.where(exact == 0, least, np.maximum(exponent, least))
    return np.ldexp(np.longdouble(1), exponent - 1 - info.nmant)


def worst_error(found: np.ndarray, exact: np.ndarray, unit: np.ndarray) -> float:
    """Return the largest error in units, infinite if something is not finite."""
    if found.shape != exact.shape:
        raise ValueError(f"shape {found.shape}, not {exact.shape}")
    if not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - exact) / unit).max())

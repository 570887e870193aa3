"""Tall matrices of a given condition number, with a right-hand side of given noise."""

from typing import Any

SIZES = ((100_000, 50), (1_000_000, 100), (200_000, 500), (100_000, 1000))
QUICK = ((20_000, 20), (10_000, 100))
CONDITIONS = (1e2, 1e8, 1e12)
NOISE = 1e-3
"""The norm of the residual, relative to what is fitted."""
ROWS_AT_ONCE = 10_000


def name(n: int, d: int, condition: float | None = None) -> str:
    return f"{n}x{d}" + ("" if condition is None else f", {condition:.0e}".replace("e+", "e"))


def problem(n: int, d: int, condition: float) -> tuple[Any, Any]:
    """Return normal numbers times ``diag(s) V'``, s spread evenly in logarithms.

    Of so many normal rows the singular values are close to each other, so that those of the product
    are about s. Made by blocks of rows, in place: there is no other array of this size.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    V = np.linalg.qr(rng.normal(size=(d, d)))[0]
    mix = np.logspace(0, -np.log10(condition), d)[:, None] * V.T
    truth = V @ rng.normal(size=d)  # a part along each singular vector
    A, b = np.empty((n, d)), np.empty(n)
    for first in range(0, n, ROWS_AT_ONCE):
        rows = slice(first, min(first + ROWS_AT_ONCE, n))
        A[rows] = rng.normal(size=(rows.stop - first, d)) @ mix
        b[rows] = A[rows] @ truth
    noise = rng.normal(size=n)
    b += noise * (NOISE * np.linalg.norm(b) / np.linalg.norm(noise))
    return A, b

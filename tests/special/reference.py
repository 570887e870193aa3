"""The truth, in 64 bits of mantissa, and how far from it a result is."""

import numpy as np


class Truth:
    """softmax, log_softmax and logsumexp of the rows of a matrix.

    Differences from the maximum are taken exactly, in two parts, and the maximum is counted apart
    from what the others add: nothing below is rounded to less than twice what it is compared with.
    """

    def __init__(self, rows, chunk=1 << 20):
        self.rows, self.top = rows, rows.max(1, keepdims=True)
        ties = (rows == self.top).sum(1, keepdims=True)
        others = np.zeros(ties.shape, np.longdouble)
        for start in range(0, rows.shape[1], chunk):
            part = rows[:, start : start + chunk]
            exponentials = self._exponentials(part)
            exponentials[part == self.top] = 0
            others += exponentials.sum(1, keepdims=True)
        self.others = others + (ties - 1)

    def _differences(self, part):
        part, top = part.astype(np.float64), self.top.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            difference = part - top
            back = difference - part
            rest = (part - (difference - back)) - (top + back)
        rest[~np.isfinite(rest)] = 0
        return difference.astype(np.longdouble), rest.astype(np.longdouble)

    def _exponentials(self, part):
        difference, rest = self._differences(part)
        return np.exp(difference) * (1 + rest)

    def softmax(self, columns=slice(None)):
        return self._exponentials(self.rows[:, columns]) / (1 + self.others)

    def log_softmax(self, columns=slice(None)):
        difference, rest = self._differences(self.rows[:, columns])
        return difference + (rest - np.log1p(self.others))

    def logsumexp(self):
        """Its two terms."""
        return self.top.astype(np.longdouble)[:, 0], np.log1p(self.others)[:, 0]


def units(truth, dtype):
    """One unit in the last place of each number, as a number of that type has it."""
    size = np.abs(truth)
    with np.errstate(over="ignore"):
        rounded = size.astype(dtype)
    below = np.where(rounded > size, np.nextafter(rounded, dtype.type(0)), rounded)
    unit = np.spacing(np.minimum(below, np.finfo(dtype).max / 2)).astype(np.longdouble)
    return np.where(below > np.finfo(dtype).max / 2, 2 * unit, unit)


def ulps(got, truth):
    """Return the largest error of ``got``, in units in the last place; NaN if one is NaN."""
    if not got.size:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        same = got == truth.astype(got.dtype)  # of infinities there is no difference
        errors = np.abs(got.astype(np.longdouble) - truth) / units(truth, got.dtype)
    return float(np.where(same & np.isinf(got), 0, errors).max())


def ulps_apart(a, b):
    """Return how many numbers of their type lie between the elements of two arrays, at most."""
    integer = np.dtype(f"i{a.dtype.itemsize}")

    def place(x):
        bits = np.ascontiguousarray(x).view(integer)
        return np.where(bits < 0, np.iinfo(integer).min - bits, bits)

    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    a, b = place(a[~np.isnan(a)]), place(b[~np.isnan(b)])
    return int(np.abs(a - b).max(initial=0))


def _shifted(by):
    def make(rng, shape, dtype):
        return (rng.normal(size=shape) * 5 + by).astype(dtype)

    return make


def _among(*values):
    def make(rng, shape, dtype):
        return rng.choice(np.array(values, dtype), shape)

    return make


def _whole_range(rng, shape, dtype):
    """Down to results that are denormal, and 0."""
    return (-rng.random(shape) * (110 if dtype == np.float32 else 760)).astype(dtype)


def _near_ties(rng, shape, dtype):
    return (dtype.type(5) + np.spacing(dtype.type(5)) * rng.integers(0, 3, shape)).astype(dtype)


def _dominated(rng, shape, dtype):
    """One probability near 1, and how near is told by the others alone."""
    x = (-rng.random(shape) * 80 - 10).astype(dtype)
    x[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] = 0
    return x


def _one_huge(rng, shape, dtype):
    x = rng.normal(size=shape).astype(dtype)
    x[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] = 1e30
    return x


def _with_nothing(rng, shape, dtype):
    x = np.where(rng.random(shape) < 0.5, -np.inf, rng.normal(size=shape)).astype(dtype)
    x[:, -1] = 1
    return x


DATA = {
    "normal": _shifted(0),
    "around 1e4": _shifted(1e4),
    "around -1e4": _shifted(-1e4),
    "around 1e8": _shifted(1e8),
    "wide": lambda rng, shape, dtype: (rng.normal(size=shape) * 30).astype(dtype),
    "very wide": lambda rng, shape, dtype: (rng.normal(size=shape) * 1e4).astype(dtype),
    "1e30": _among(1e30, -1e30, 0),
    "3e38": _among(3e38, -3e38, 1, 2.9e38),
    "the largest": lambda rng, shape, dtype: rng.choice(
        np.finfo(dtype).max * np.array([-1, 1], dtype), shape
    ),
    "tiny": lambda rng, shape, dtype: rng.normal(size=shape).astype(dtype) * np.finfo(dtype).tiny,
    "whole range": _whole_range,
    "near ties": _near_ties,
    "constant": lambda rng, shape, dtype: np.full(shape, -7.3, dtype),
    "ties": lambda rng, shape, dtype: rng.integers(-2, 3, shape).astype(dtype),
    "ascending": lambda rng, shape, dtype: np.sort(_whole_range(rng, shape, dtype)),
    "descending": lambda rng, shape, dtype: np.sort(_whole_range(rng, shape, dtype))[
        :, ::-1
    ].copy(),
    "dominated": _dominated,
    "one huge": _one_huge,
    "with -inf": _with_nothing,
}


def _strided(rows):
    spaced = np.full((2 * rows.shape[0], 3 * rows.shape[1]), np.nan, rows.dtype)
    spaced[::2, ::3] = rows
    return spaced[::2, ::3]


def _in_two_axes(rows):
    """The rows over the first and the last of three dimensions."""
    lines, n = rows.shape
    inner = next(k for k in (7, 5, 3, 2, 1) if n % k == 0)
    return np.ascontiguousarray(rows.reshape(lines, n // inner, inner).swapaxes(0, 1))


# How rows lie in an array: the array, the axes of the rows, and back.
LAYOUTS = {
    "last axis": (np.ascontiguousarray, -1, lambda y: y),
    "first axis": (lambda rows: np.ascontiguousarray(rows.T), 0, lambda y: y.T),
    "Fortran order": (np.asfortranarray, 1, lambda y: y),
    "strided": (_strided, 1, lambda y: y),
    "backwards": (lambda rows: np.ascontiguousarray(rows[:, ::-1])[:, ::-1], 1, lambda y: y),
    "two axes": (
        _in_two_axes,
        (0, 2),
        lambda y: y.swapaxes(0, 1).reshape(y.shape[1], y.shape[0] * y.shape[2]),
    ),
}

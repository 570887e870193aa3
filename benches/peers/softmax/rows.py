"""Rows on which errors are measured: ordinary ones of every length, and mean ones."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from peers.softmax.cases import DTYPES

LENGTHS = (1, 2, 10, 1000, 10**5, 10**6, 2 * 10**7)
QUICK_LENGTHS = (1, 2, 10, 1000, 10**5)
MEAN_LENGTHS = (1000, 10**5)
VALUES = 200_000
"""How many values a batch of short rows has, in up to 200 rows."""


class Rows(NamedTuple):
    family: str
    dtype: str
    n: int

    def build(self) -> np.ndarray:
        shape = (max(1, min(200, VALUES // self.n)), self.n)
        rng = np.random.default_rng([self.n, len(self.family)])
        make = FAMILIES.get(self.family) or MEAN[self.family]
        return make(rng, shape, np.finfo(DTYPES[self.dtype])).astype(DTYPES[self.dtype])


def constant(rng, shape, info):
    return np.broadcast_to(rng.standard_normal((shape[0], 1)), shape)


def shifted(rng, shape, info):
    return 4 * rng.standard_normal(shape) + 1e4


def large(rng, shape, info):
    return 1e30 * rng.standard_normal(shape)


def largest(rng, shape, info):
    """Signs of nearly the largest number: differences overflow."""
    return np.where(rng.random(shape) < 0.5, -1, 1) * (0.88 * float(info.max))


def to_denormal(rng, shape, info):
    """Results down to and below the least denormal number, beside a large one."""
    x = rng.uniform(np.log(float(info.smallest_subnormal)) - 3, 0, shape)
    x[:, 0] = 0
    return x


def near_ties(rng, shape, info):
    """Neighbours of 1, a few steps of the format apart."""
    return 1 + float(info.eps) * rng.integers(0, 4, shape)


FAMILIES = {
    "N(0,16)": lambda rng, shape, info: 4 * rng.standard_normal(shape),
    "N(0,1)": lambda rng, shape, info: rng.standard_normal(shape),
    "U(0,1)": lambda rng, shape, info: rng.random(shape),
    "constant": constant,
}
MEAN = {
    "N(0,16) + 1e4": shifted,
    "1e30 N(0,1)": large,
    "largest": largest,
    "to denormal": to_denormal,
    "near ties": near_ties,
}


def all_rows(dtypes: list[str], quick: bool) -> Iterator[Rows]:
    for dtype in dtypes:
        for family in FAMILIES:
            for n in QUICK_LENGTHS if quick else LENGTHS:
                yield Rows(family, dtype, n)
        for family in MEAN:
            for n in MEAN_LENGTHS:
                yield Rows(family, dtype, n)

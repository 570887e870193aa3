"""The problems: those of the paper, seeded, and the same for everybody.

Liu, Puigcerver, Blondel, "Sparsity-constrained optimal transport", ICLR 2023: densities on a line,
clouds in the plane, colour transfer, tokens to experts. Costs are shares of the largest.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from peers.transport.cases import colour, routing, squared_distances, uniform


class Problem(NamedTuple):
    """Costs (float64, C order), weights of sum 1, gamma, and entries per column."""

    name: str
    cost: np.ndarray
    a: np.ndarray
    b: np.ndarray
    gamma: float
    k: int


def densities(n: int) -> tuple:
    x = 100 * np.arange(n) / n
    a, b = (np.exp(-(((x - mean) / std) ** 2) / 2) for mean, std in ((20, 5), (60, 10)))
    cost = (x[:, None] - x) ** 2
    return cost / cost.max(), a / a.sum(), b / b.sum()


def clouds(n: int) -> tuple:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) @ [[1, 0.8], [0.8, 1]] + [3, 1]
    return squared_distances(x, y), uniform(n), uniform(n)


def experts(n: int, m: int) -> tuple:
    cost = -np.random.default_rng(0).normal(size=(n, m))
    weights = np.exp(-cost) / np.exp(-cost).sum(1, keepdims=True)
    return 1 - weights / weights.max(), uniform(n), uniform(m)


def problems(sizes: tuple[int, ...]) -> Iterator[Problem]:
    """Yield all problems, one after the other; those with uniform weights scale gamma with n."""
    for n in sizes:
        for build in (densities, clouds, colour) if n <= 1000 else (colour,):
            unit = 10 if build is densities else n  # of gamma, for a plan of like sparsity
            shares = (1e-3, 1e-2, 1e-1) if (build, n) == (colour, 500) else (1e-2,)
            built = build(n)
            for share in shares:
                for k in (1, 2, 4, 16):
                    yield Problem(f"{build.__name__}-{n}", *built, share * unit, k)
    if 500 in sizes:
        for k in (98, 147):
            yield Problem("routing-3136x32", *routing(), 10.0, k)
        for k in (32, 48):
            yield Problem("experts-512x16", *experts(512, 16), 10.0, k)

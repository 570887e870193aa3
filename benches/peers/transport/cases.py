"""The problems: seeded, and the same for everybody."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np


class Problem(NamedTuple):
    """Costs (float64, C order), weights of sum 1, and the regularisation.

    In a batch the costs are stacked, (B, n, m), and all problems have the same weights. The price
    of missing marginals is infinite but for unbalanced problems, whose weights may have any sum.
    """

    cost: np.ndarray
    a: np.ndarray
    b: np.ndarray
    reg: float
    reg_m: float = np.inf

    @property
    def is_batch(self) -> bool:
        return self.cost.ndim == 3

    @property
    def is_unbalanced(self) -> bool:
        return np.isfinite(self.reg_m)

    def singles(self) -> list["Problem"]:
        return [self._replace(cost=cost) for cost in self.cost]


@dataclass(frozen=True)
class Case:
    """A problem that is built when it is called for."""

    family: str
    reg: float
    build: Callable[[], tuple]

    def __call__(self) -> Problem:
        cost, a, b, *reg_m = self.build()
        return Problem(cost, a, b, self.reg, *reg_m)

    @property
    def is_batch(self) -> bool:
        return self.family == "batch"

    @property
    def is_unbalanced(self) -> bool:
        return self.family == "unbalanced"


CASES: dict[str, Case] = {}
SEEDS = range(10)


def cases(variants: dict[str, tuple]):
    """Register what a function builds, a case for each regularisation and set of arguments."""

    def register(build):
        for name, (reg, *values) in variants.items():
            CASES[name] = Case(build.__name__, float(reg), partial(build, *values))
        return build

    return register


def uniform(n: int) -> np.ndarray:
    return np.full(n, 1 / n)


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the squares as a share of the largest."""
    squares = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    squares = np.maximum(squares, 0)
    return squares / squares.max()


@cases(
    {f"assignment-500-s{seed}": (1 / 1200, 500, seed) for seed in SEEDS}
    | {f"assignment-1000-{reg}": (reg, 1000, 0) for reg in ("1e-3", "1e-4")}
)
def assignment(n: int, seed: int):
    """Random costs: the plan is nearly a permutation."""
    return np.random.default_rng(seed).random((n, n)), uniform(n), uniform(n)


@cases(
    {
        f"colour-{n}-{reg}": (reg, n)
        for n in (1000, 2000, 4000)
        for reg in ("1e-1", "1e-2", "1e-3", "1e-4")
    }
)
def colour(n: int):
    """Pixels of one photograph to pixels of another: the plan is dense."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    pixels = (image.reshape(-1, 3) / 255 for image in load_sample_images().images)
    source, target = (p[rng.choice(len(p), n, replace=False)] for p in pixels)
    return squared_distances(source, target), uniform(n), uniform(n)


@cases({"digit28-W2": (1 / 1200, 2), "digit28-W1": (1 / 1200, 1)})
def digit28(power: int):
    """A handwritten 0 to a handwritten 2, enlarged to 28 x 28 pixels."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    def weights(image):
        ink = np.clip(zoom(image, 3.5, order=1), 0, None).ravel()
        ink = ink / ink.sum() + 0.01 / ink.size  # no pixel without weight
        return ink / ink.sum()

    images = load_digits().images
    pixels = np.indices((28, 28)).reshape(2, -1).T
    cost = (np.abs(pixels[:, None] - pixels) ** float(power)).sum(-1)
    return cost / cost.max(), weights(images[0]), weights(images[2])


@cases({f"dens1d-1000-{reg}": (reg, 1000) for reg in ("1e-3", "1e-4")})
def dens1d(n: int):
    """Two densities on a line: the example of regot's authors, with more points."""
    from scipy.stats import expon, norm

    x = np.linspace(0, 5, n)
    a = expon(scale=1).pdf(x)
    b = 0.2 * norm(1, 0.2).pdf(x) + 0.8 * norm(3, 0.5).pdf(x)
    cost = (x[:, None] - x) ** 2
    return cost / cost.max(), a / a.sum(), b / b.sum()


@cases({f"digits64-{reg}": (reg,) for reg in ("1e-2", "1e-3")})
def digits64():
    """Half of the handwritten digits to the other half, as points with 64 coordinates."""
    from sklearn.datasets import load_digits

    points = load_digits().data / 16
    source, target = points[:898], points[898:]
    return squared_distances(source, target), uniform(len(source)), uniform(len(target))


@cases({f"batch-1000x32-{reg}": (reg,) for reg in ("1e-1", "1e-2")})
def batch():
    """Many small problems with random costs."""
    return np.random.default_rng(0).random((1000, 32, 32)), uniform(32), uniform(32)


@cases({f"routing-{reg}": (reg,) for reg in ("0.05", "0.005")})
def routing():
    """Tokens to experts, who get equally many: costs are minus the logarithms of a softmax."""
    from scipy.special import log_softmax

    rng = np.random.default_rng(0)
    rng.random((1000, 32, 32))  # drawn after the batch, from the same generator
    cost = -log_softmax(rng.normal(size=(3136, 32)), axis=1)
    cost = (cost - cost.min()) / (cost.max() - cost.min())
    return cost, uniform(3136), uniform(32)


@cases(
    {
        f"unbalanced-1000-{reg}-{reg_m}": (reg, float(reg_m))
        for reg in ("1e-1", "1e-2", "1e-3")
        for reg_m in ("0.05", "1")
    }
)
def unbalanced(reg_m: float):
    """Colours again, of half as much mass more on one side, at a price on missing it."""
    cost, a, b = colour(1000)
    return cost, a, 1.5 * b, reg_m

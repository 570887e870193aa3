"""The problems: seeded, and the same for everybody."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist


class Problem(NamedTuple):
    """Costs (float64, C order), weights of sum 1, and the regularisation."""

    cost: np.ndarray
    a: np.ndarray
    b: np.ndarray
    reg: float


CASES: dict[str, Callable[[], Problem]] = {}
SEEDS = range(10)


def cases(arguments: dict[str, tuple]):
    """Register what a function builds from each of the arguments, under their names."""

    def register(build):
        for name, values in arguments.items():
            CASES[name] = partial(build, *values)
        return build

    return register


def uniform(n: int) -> np.ndarray:
    return np.full(n, 1 / n)


@cases({f"assignment-500-s{seed}": (seed,) for seed in SEEDS})
def assignment(seed: int) -> Problem:
    """Random costs: the plan is nearly a permutation."""
    cost = np.random.default_rng(seed).random((500, 500))
    return Problem(cost, uniform(500), uniform(500), 1 / 1200)


@cases({"digit28-W2": ("sqeuclidean",), "digit28-W1": ("cityblock",)})
def digits(metric: str) -> Problem:
    """A handwritten 0 to a handwritten 2, enlarged to 28 x 28 pixels."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    def weights(image):
        ink = np.clip(zoom(image, 3.5, order=1), 0, None).ravel()
        ink = ink / ink.sum() + 0.01 / ink.size  # no pixel without weight
        return ink / ink.sum()

    images = load_digits().images
    pixels = np.indices((28, 28)).reshape(2, -1).T
    cost = cdist(pixels, pixels, metric)
    return Problem(cost / cost.max(), weights(images[0]), weights(images[2]), 1 / 1200)


@cases({"dens1d-1000": ()})
def densities() -> Problem:
    """Two densities on a line: the example of regot's authors, with more points."""
    from scipy.stats import expon, norm

    x = np.linspace(0, 5, 1000)
    a = expon(scale=1).pdf(x)
    b = 0.2 * norm(1, 0.2).pdf(x) + 0.8 * norm(3, 0.5).pdf(x)
    cost = (x[:, None] - x) ** 2
    return Problem(cost / cost.max(), a / a.sum(), b / b.sum(), 1e-3)


@cases({f"colour-{n}-{reg}": (n, float(reg)) for n in (1000, 2000) for reg in ("1e-2", "1e-3")})
def colours(n: int, reg: float) -> Problem:
    """Pixels of one photograph to pixels of another: the plan is dense."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    pixels = (image.reshape(-1, 3) / 255 for image in load_sample_images().images)
    source, target = (p[rng.choice(len(p), n, replace=False)] for p in pixels)
    cost = cdist(source, target, "sqeuclidean")
    return Problem(cost / cost.max(), uniform(n), uniform(n), reg)

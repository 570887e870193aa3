"""Ctrl-C ends sparse coding with a large dictionary, whatever it is at."""

import numpy as np
import pytest

from sparrot.sparse_coding import SparseCoder, UnfoldedISTA, fista, ista

RNG = np.random.default_rng(0)
WIDE = RNG.normal(size=(2000, 20_000)).astype(np.float32)
TALL = RNG.normal(size=(6000, 3000))
Y = RNG.normal(size=(500, 2000)).astype(np.float32)
CODES = RNG.normal(size=(500, 3000)) * (RNG.random((500, 3000)) < 0.3)
LONG_Y = CODES @ TALL.T


def coder(dictionary, signals, **options):
    SparseCoder(dictionary.T, **options).fit(signals).transform(signals)


# Each takes many seconds, of which Ctrl-C comes into one step or the other.
LONG = {
    "norm, panels, gradients": lambda: ista(WIDE, Y, 1e-3, tol=1e-300, max_iter=10**9),
    "certificates": lambda: fista(WIDE, Y, 1e-3, tol=1e300, step="backtracking", max_iter=10**9),
    "gram": lambda: coder(TALL, LONG_Y, transform_algorithm="lasso_cd", transform_alpha=1e-3),
    "training": lambda: UnfoldedISTA(TALL[:2000], n_layers=4).fit(LONG_Y[:, :2000]),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LONG)
def test_ctrl_c(name, threads, ends_at_ctrl_c):
    ends_at_ctrl_c(LONG[name], threads)

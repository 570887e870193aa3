"""Ctrl-C ends passes over a tall matrix."""

import numpy as np
import pytest
from scipy import sparse

from sparrot.sketching import lstsq, sketch, softmax_regression

RNG = np.random.default_rng(0)
TALL, MANY = RNG.normal(size=(50_000, 60)), RNG.normal(size=(50_000, 100))
EMPTY = sparse.csr_array((400_000, 4000))
SHARES = RNG.dirichlet(np.ones(50_000))

# None is endless, but each takes seconds.
LONG = {
    "gaussian": lambda: sketch(TALL, 10_000, kind="gaussian"),
    "sparse-sign": lambda: sketch(TALL, 60_000, kind="sparse-sign", nonzeros=1024),
    "circulant": lambda: sketch(EMPTY, 100, kind="circulant"),
    "softmax_regression": lambda: softmax_regression(
        MANY.repeat(4, axis=1), SHARES, ridge=1e-20, tol=1e-300
    ),
    "lstsq": lambda: lstsq(TALL, MANY, tol=1e-100),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LONG)
def test_ctrl_c(name, threads, ends_at_ctrl_c):
    ends_at_ctrl_c(LONG[name], threads)

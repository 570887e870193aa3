"""Ctrl-C ends the coding of a batch soon: also where much memory is to be given back."""

import numpy as np
import pytest

from sparrot.sparse_coding import SparseCoder, fista, ista


def make(features, atoms, signals):
    rng = np.random.default_rng(0)
    A = rng.random((features, atoms), np.float32) - 0.5
    return A, rng.random((signals, features), np.float32) - 0.5


SMALL, LARGE = make(100, 300, 50), make(2100, 6000, 4)
ENDLESS = {
    "ista": lambda: ista(*SMALL, 0.01, tol=None, max_iter=10**9),
    "backtracking": lambda: fista(*SMALL, 0.01, step="backtracking", tol=None, max_iter=10**9),
    "large": lambda: fista(*LARGE, 0.01, tol=None, max_iter=10**9),
    # A Gram matrix that takes seconds.
    "pursuit": lambda: SparseCoder(LARGE[0].T, transform_algorithm="ols").fit_transform(LARGE[1]),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c(name, threads, ends_at_ctrl_c):
    ends_at_ctrl_c(ENDLESS[name], threads)

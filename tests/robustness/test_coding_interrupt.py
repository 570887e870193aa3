"""Ctrl-C ends sparse coding."""

import numpy as np
import pytest

from sparrot.sparse_coding import SparseCoder, fista, ista

RNG = np.random.default_rng(0)
A = RNG.normal(size=(300, 1000)) / 17
Y = RNG.normal(size=(2000, 300))


def coder(**options):
    SparseCoder(A.T, **options).fit(Y).transform(Y)


# Each takes many seconds.
ENDLESS = {
    "ista": lambda: ista(A, Y, 1e-3, tol=1e-300, max_iter=10**9),
    "fista": lambda: fista(A, Y, 1e-3, tol=1e-300, max_iter=10**9),
    "operator": lambda: ista((lambda x: A @ x, lambda r: A.T @ r), Y, 1e-3, max_iter=10**9),
    "roots": lambda: ista(A, Y, 1e-3, penalty="l1/2", tol=1e-300, max_iter=10**9),
    "descent": lambda: coder(transform_algorithm="lasso_cd", transform_alpha=1e-5, tol=1e-300),
    "pursuit": lambda: coder(transform_n_nonzero_coefs=300),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c(name, threads, ends_at_ctrl_c):
    ends_at_ctrl_c(ENDLESS[name], threads)

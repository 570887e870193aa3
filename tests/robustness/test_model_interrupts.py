"""Ctrl-C ends the fits of linear models and block descent."""

import numpy as np
import pytest

from sparrot.descent import LeastSquares, block_coordinate_descent
from sparrot.linear_model import Lasso, SparseLogisticRegression, SparsePoissonRegression

X = np.asfortranarray(np.random.default_rng(0).normal(size=(2500, 5000)))
LINEAR = X[:, :500].sum(1) / 20
Y = LINEAR + np.random.default_rng(1).normal(size=2500)


def descend():
    problem = LeastSquares(X[:, :1000], Y)
    block_coordinate_descent(
        problem, selection="random", block_size=20, rng=0, tol=0, max_iter=10**9
    )


# Each takes many seconds.
ENDLESS = {
    "descent": descend,
    "lasso": lambda: Lasso(1e-6, tol=0).fit(X, Y),
    "logistic": lambda: SparseLogisticRegression(1e-6, tol=0).fit(X, Y > 0),
    "poisson": lambda: SparsePoissonRegression(1e-6, tol=0).fit(X, np.exp(LINEAR) // 1),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c(name, threads, ends_at_ctrl_c):
    ends_at_ctrl_c(ENDLESS[name], threads)

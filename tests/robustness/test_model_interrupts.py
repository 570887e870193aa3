"""Ctrl-C ends the fits of linear models and block descent."""

import numpy as np
import pytest

from sparrot.descent import LeastSquares, block_coordinate_descent
from sparrot.linear_model import (
    GroupLasso,
    L0Regression,
    Lasso,
    MCPRegression,
    MCPRegressionCV,
    MultiTaskLasso,
    SparseHuberRegression,
    SparseLogisticRegression,
    SparsePoissonRegression,
    SqrtLasso,
)

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
    "groups": lambda: GroupLasso(5, 1e-6, tol=0).fit(X, Y),
    "tasks": lambda: MultiTaskLasso(1e-6, tol=0).fit(X, np.stack([Y, LINEAR], axis=1)),
    "mcp": lambda: MCPRegression(1e-6, tol=0).fit(X, Y),
    "subset": lambda: L0Regression(n_nonzero_coefs=1000, tol=0).fit(X, Y),
    "square root": lambda: SqrtLasso(1e-5, tol=0).fit(X, Y),
    "lasso": lambda: Lasso(1e-6, tol=0).fit(X, Y),
    "logistic": lambda: SparseLogisticRegression(1e-6, tol=0).fit(X, Y > 0),
    "groups of logistic": lambda: SparseLogisticRegression(1e-6, groups=5, tol=0).fit(X, Y > 0),
    "groups of huber": lambda: SparseHuberRegression(1e-6, groups=50, tol=0).fit(X, Y),
    "groups of counts": lambda: SparsePoissonRegression(1e-6, groups=2500, tol=0).fit(
        X, np.exp(LINEAR) // 1
    ),
    "classes": lambda: SparseLogisticRegression(1e-6, tol=0).fit(X, np.digitize(Y, [-0.7, 0.7])),
    "mcp chosen": lambda: MCPRegressionCV(eps=1e-5, tol=0).fit(X, Y),
    "huber": lambda: SparseHuberRegression(1e-6, tol=0).fit(X, Y),
    "poisson": lambda: SparsePoissonRegression(1e-6, tol=0).fit(X, np.exp(LINEAR) // 1),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c(name, threads, ends_at_ctrl_c):
    ends_at_ctrl_c(ENDLESS[name], threads)

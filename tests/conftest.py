"""Problems that several tests solve."""

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def assignment():
    """The paper's random assignment problem, by seed: (cost, reg)."""

    def make(seed=0, n=500):
        return np.random.default_rng(seed).random((n, n)), 1 / 1200

    return make


def marginal_error(plan, a, b):
    """The certificate, measured without sparrot."""
    plan = np.asarray(plan, dtype=np.float64)
    return (np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum()) / np.sum(a)


def uniform(n):
    return np.full(n, 1 / n)

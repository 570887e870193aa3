"""Problems that several tests solve."""

import os

import numpy as np
import pytest
from hypothesis import settings

# The same examples on every run; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


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

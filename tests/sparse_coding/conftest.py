import numpy as np
import pytest


def make_problem(features=30, atoms=60, signals=40, seed=0, dtype=np.float64):
    """A Gaussian dictionary, and signals of a few of its atoms with noise."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(features, atoms)) / np.sqrt(features)
    X = rng.normal(size=(signals, atoms)) * (rng.random((signals, atoms)) < 0.1)
    Y = X @ A.T + 0.05 * rng.normal(size=(signals, features))
    return A.astype(dtype), Y.astype(dtype)


@pytest.fixture
def problem():
    return make_problem()

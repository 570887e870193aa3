"""Proximal operators against a search."""

import threading
import time

import numpy as np
import pytest

from sparrot.errors import InvalidInputError
from sparrot.sparse_coding import prox
from tests.sparse_coding.reference import phi

NAMES = ("l1", "l0", "cel0", "mcp", "scad", "l1/2", "l2/3")


@pytest.mark.parametrize("name", NAMES)
def test_no_other_number_is_better(name, rng):
    for _ in range(60):
        u, alpha, step, norm = rng.normal() * 2, *rng.uniform(0.1, 1.5, 3)

        def cost(x, u=u, step=step, alpha=alpha, norm=norm):
            return (x - u) ** 2 / (2 * step) + phi(name, x, alpha, norm=norm)

        x = float(prox(name, u, alpha, step=step, column_norm=norm))
        others = np.append(np.linspace(-abs(u), abs(u), 20_001), 0.0)
        assert cost(x) <= cost(others).min() + 1e-12
        assert prox(name, -u, alpha, step=step, column_norm=norm) == -x


def test_arrays_keep_their_shape_and_type():
    u = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = prox("l1", u, 1.0)
    assert found.shape == (2, 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(prox("l1", [-1.0, -3.0], 1.0, positive=True), [0, 0])
    assert not np.signbit(prox("l1", [-0.5], 1.0)).any()


def test_norms_whose_squares_are_out_of_range():
    # CEL0 is L0 where the step is long for the column, and nothing where the column is.
    np.testing.assert_array_equal(prox("cel0", [1.0, 2.0], 1.0, column_norm=1e160), [0, 2])
    np.testing.assert_array_equal(prox("cel0", [1.0, 2.0], 1.0, column_norm=1e-170), [1, 2])
    for norm in (1e140, 1e-140):  # the same where they are in range
        u = np.linspace(-3, 3, 61)
        beyond = prox("cel0", u, 1.0, column_norm=norm ** (1 + 20 / 140))
        np.testing.assert_array_equal(beyond, prox("cel0", u, 1.0, column_norm=norm))


def test_others_go_on_meanwhile():
    numbers = np.linspace(1, 9, 3_000_000)
    worker = threading.Thread(target=prox, args=("l2/3", numbers, 1.0))
    worker.start()
    rounds = 0
    while worker.is_alive():
        rounds += 1
        time.sleep(1e-3)
    assert rounds > 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalty": "l3"}, "penalty is 'l3'"),
        ({"alpha": 0}, "alpha is 0"),
        ({"step": -1}, "step is -1"),
        ({"u": [1.0, np.nan]}, "u contains nan at flat index 1"),
        ({"penalty": "mcp", "gamma": 0}, "gamma is 0"),
        ({"penalty": "scad", "a": 2}, "a is 2"),
        ({"penalty": "cel0", "column_norm": 0}, "column_norm is 0"),
        ({"positive": 1}, "positive is 1"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"penalty": "l1", "u": [1.0], "alpha": 1.0} | change
    with pytest.raises(InvalidInputError, match=message):
        prox(**arguments)

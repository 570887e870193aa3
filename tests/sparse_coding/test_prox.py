"""Proximal operators against a search."""

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

"""Bad batches are named errors, and say which problem it is."""

import numpy as np
import pytest
from scipy import sparse

from sparrot.errors import InfeasibleProblemError, InvalidInputError, MassMismatchError
from sparrot.transport import solve_batch

COSTS = np.random.default_rng(0).random((3, 4, 5))


def with_value(array, value, index):
    array = np.array(array, dtype=float)
    array[index] = value
    return array


BAD_COSTS = {
    "NaN": (with_value(COSTS, np.nan, (1, 2, 3)), r"nan at index \(1, 2, 3\)"),
    "-inf": (with_value(COSTS, -np.inf, (2, 0, 1)), r"-inf at index \(2, 0, 1\)"),
    "NaN and inf": (
        with_value(with_value(COSTS, np.inf, (0, 1, 1)), np.nan, (0, 2, 2)),
        r"nan at index \(0, 2, 2\)",
    ),
    "matrix": (COSTS[0], r"shape \(4, 5\)"),
    "four dimensions": (COSTS[None], r"shape \(1, 3, 4, 5\)"),
    "number": (1.0, r"shape \(\)"),
    "no problems": (COSTS[:0], r"\(0, 4, 5\)"),
    "no rows": (COSTS[:, :0], r"\(3, 0, 5\)"),
    "no columns": (COSTS[:, :, :0], r"\(3, 4, 0\)"),
    "objects": (np.full((1, 2, 2), None), "dtype object"),
    "complex": (COSTS + 0j, "dtype complex128"),
    "masked": (np.ma.masked_array(COSTS, COSTS > 0.5), "masked array"),
    "sparse": (sparse.csr_array(COSTS[0]), "sparse csr_array"),
    "ragged": ([[[1, 2], [3]]], "cannot be read as an array"),
}


@pytest.mark.parametrize("name", BAD_COSTS)
def test_bad_costs(name):
    costs, message = BAD_COSTS[name]
    with pytest.raises(InvalidInputError, match=f"costs.*{message}"):
        solve_batch(costs, reg=0.1)


BAD_WEIGHTS = {
    "NaN": (with_value(np.full((3, 4), 0.25), np.nan, (1, 2)), r"nan at index \(1, 2\)"),
    "inf": (with_value(np.full((3, 4), 0.25), np.inf, (1, 2)), r"inf at index \(1, 2\)"),
    "negative": (
        with_value(np.full((3, 4), 0.25), -0.25, (1, 2)),
        "is -0.25 for point 2 of problem 1",
    ),
    "negative for all": ([0.5, 0.5, -0.25, 0.25], "is -0.25 for point 2"),
    "too few": ([0.5, 0.5], r"shape \(2,\): needs \(4,\) or \(3, 4\)"),
    "too many": (np.full(5, 0.2), r"shape \(5,\)"),
    "of too few problems": (np.full((2, 4), 0.25), r"shape \(2, 4\)"),
    "of one problem": (np.full((1, 4), 0.25), r"shape \(1, 4\)"),
    "three dimensions": (np.full((3, 4, 1), 0.25), r"shape \(3, 4, 1\)"),
    "no mass": (with_value(np.full((3, 4), 0.25), 0, 1), "sums to 0.* in problem 1"),
    "objects": (np.array([None] * 4), "dtype object"),
    "complex": (np.full(4, 0.25j), "dtype complex128"),
    "masked": (np.ma.masked_array(np.full(4, 0.25), [0, 0, 1, 0]), "masked array"),
    "number": (1.0, r"shape \(\)"),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_bad_weights(name):
    bad, message = BAD_WEIGHTS[name]
    with pytest.raises(InvalidInputError, match=f"a .*{message}"):
        solve_batch(COSTS, bad, reg=0.1)
    with pytest.raises(InvalidInputError, match=f"b .*{message}"):
        solve_batch(np.swapaxes(COSTS, 1, 2), b=bad, reg=0.1)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_an_infinite_mass():
    weights = with_value(np.full((3, 4), 0.25), 1e308, 1)
    with pytest.raises(InvalidInputError, match=r"a .*sums to inf in problem 1"):
        solve_batch(COSTS, weights, reg=0.1)


def test_mismatched_mass_shows_both_sums_and_the_problem():
    a, b = np.full((3, 4), 0.25), np.full((3, 5), 0.2)
    b[2] *= 1.25
    with pytest.raises(MassMismatchError, match=r"a sums to .*1\.0.* but b sums to .*1\.25.*m 2"):
        solve_batch(COSTS, a, b, reg=0.1)
    slightly = solve_batch(COSTS, a, np.full(5, 0.2 * (1 + 1e-9)), reg=0.1, tol=1e-12)
    assert slightly.converged.all()
    np.testing.assert_allclose(slightly.b.sum(1), 1.0, rtol=1e-15)


BAD_SETTINGS = {
    "reg zero": ({"reg": 0}, "reg is 0: needs a finite number above 0"),
    "reg negative": ({"reg": -1.0}, "reg is -1.0"),
    "reg NaN": ({"reg": [0.1, np.nan, 0.1]}, "reg is nan"),
    "reg inf": ({"reg": np.inf}, "reg is inf"),
    "reg text": ({"reg": "small"}, "reg is 'small'.*needs a number"),
    "reg True": ({"reg": True}, "reg is True"),
    "reg None": ({"reg": None}, "reg is None"),
    "reg of too few problems": ({"reg": [0.1, 0.1]}, r"reg has shape \(2,\)"),
    "reg of one problem": ({"reg": [0.1]}, r"reg has shape \(1,\)"),
    "reg of no problem": ({"reg": []}, r"reg has shape \(0,\)"),
    "reg matrix": ({"reg": np.full((3, 1), 0.1)}, r"reg has shape \(3, 1\)"),
    "reg too small": ({"reg": [0.1, 0.1, 1e-300]}, "reg is 1e-300: needs a number between"),
    "reg too large": ({"reg": 1e300}, "reg is 1e[+]300: needs a number between"),
    "reg_scale": ({"reg_scale": "median"}, "reg_scale is 'median': needs one of 'absolute'"),
    "method": ({"method": "sns"}, "method is 'sns': needs one of 'auto', 'sinkhorn'"),
    "tol negative": ({"tol": -1e-3}, "tol is -0.001"),
    "tol NaN": ({"tol": np.nan}, "tol is nan"),
    "max_iter zero": ({"max_iter": 0}, "max_iter is 0"),
    "max_iter fraction": ({"max_iter": 1.5}, "max_iter is 1.5.*needs an integer"),
    "max_time negative": ({"max_time": -1}, "max_time is -1"),
    "n_threads zero": ({"n_threads": 0}, "n_threads is 0"),
    "n_threads text": ({"n_threads": "all"}, "n_threads is 'all'"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings(name):
    settings, message = BAD_SETTINGS[name]
    with pytest.raises(InvalidInputError, match=message):
        solve_batch(COSTS, **({"reg": 0.1} | settings))


def test_ragged_regularisations():
    with pytest.raises(InvalidInputError, match="reg "):
        solve_batch(COSTS, reg=[0.1, [0.1], 0.1])


@pytest.mark.parametrize(
    ("dtype", "cost", "reg"),
    [(np.float64, 1e180, 1e-120), (np.float32, 1e20, 1e-280), (np.float64, 1e200, 1e-120)],
)
def test_costs_too_large_for_reg(dtype, cost, reg):
    costs = np.zeros((3, 2, 2), dtype)
    costs[1, 0, 1] = cost
    with pytest.raises(InvalidInputError, match="cost / reg overflows"):
        solve_batch(costs, reg=reg)


def test_a_negative_unit_of_the_regularisation():
    with pytest.raises(InvalidInputError, match=r"reg_scale is 'max' but the max of .* is -1"):
        solve_batch(np.full((2, 2, 2), -1.0), reg=0.1, reg_scale="max")


@pytest.mark.parametrize("scale", ["absolute", "max", "mean"])
def test_a_point_that_cannot_be_served_is_named_with_its_problem(scale):
    costs = np.ones((3, 4, 5))
    costs[2, 1] = np.inf
    with pytest.raises(InfeasibleProblemError, match="problem 2: row 1 has weight"):
        solve_batch(costs, reg=0.1, reg_scale=scale)
    with pytest.raises(InfeasibleProblemError, match="problem 2: column 1 has weight"):
        solve_batch(np.swapaxes(costs, 1, 2), reg=0.1, reg_scale=scale)
    weights = np.tile([0.5, 0, 0.25, 0.25], (3, 1))  # nobody needs that row
    fine = solve_batch(costs, weights, reg=0.1, reg_scale=scale)
    assert fine.converged.all()


@pytest.mark.parametrize(
    ("scale", "error"),
    [
        ("absolute", InfeasibleProblemError),
        ("max", InvalidInputError),
        ("mean", InvalidInputError),
    ],
)
def test_a_problem_without_a_finite_cost(scale, error):
    costs = np.ones((3, 4, 5))
    costs[1] = np.inf
    with pytest.raises(error):
        solve_batch(costs, reg=0.1, reg_scale=scale)

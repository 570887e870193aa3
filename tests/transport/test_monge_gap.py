"""The Monge gap tells optimal maps from others, with its certificate and its gradient."""

import pickle

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.transport import TransportResult, monge_gap, solve

METRICS = ["sqeuclidean", "euclidean", "cosine"]


def exact_gap(x, tx, metric):
    """Without regularisation and with uniform weights, by the best assignment."""
    cost = cdist(x, tx, metric)
    return (np.trace(cost) - cost[linear_sum_assignment(cost)].sum()) / len(x)


@pytest.fixture
def problem(rng):
    x = rng.normal(size=(12, 2))
    weights = rng.random(12) + 0.1
    return x, x @ rng.normal(size=(2, 2)) + rng.normal(size=(12, 2)), weights / weights.sum()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("reg", [1.0, 0.1])
def test_agrees_with_the_definition(metric, reg, problem):
    x, tx, a = problem
    cost = cdist(x, tx, metric)
    result = monge_gap(x, tx, a, metric=metric, reg=reg, tol=1e-11)
    plan = solve(cost, a, a, reg=reg, tol=1e-12).plan
    expected = a @ np.diag(cost) - (plan * cost).sum() - reg * (plan * np.log(plan)).sum()
    np.testing.assert_allclose(result.value, expected, rtol=1e-9)
    np.testing.assert_allclose(result.map_cost, a @ np.diag(cost), rtol=1e-12)
    assert result.converged
    assert result.transport.shape == (12, 12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("iterations", [1, 5, 1000])
@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_the_certificates_hold(metric, iterations, problem):
    x, tx, _ = problem
    arguments = {"metric": metric, "reg": 0.02}
    result = monge_gap(x, tx, max_iter=iterations, tol=1e-10, **arguments)
    optimal = monge_gap(x, tx, tol=1e-12, **arguments).value
    assert optimal - 1e-12 <= result.value + 1e-12
    assert result.value - result.gap <= optimal + 1e-12
    exact = exact_gap(x, tx, metric)
    assert result.lower_bound <= exact + 1e-12
    assert exact <= result.upper_bound + 1e-12


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("reg", [2.0, 0.1, 0.01])
@pytest.mark.parametrize("name", ["map", "identity"])
def test_never_below_what_the_entropy_of_the_weights_gives(metric, reg, name, problem):
    x, tx, a = problem
    result = monge_gap(x, tx if name == "map" else x, a, metric=metric, reg=reg, tol=1e-9)
    entropy = -(a * np.log(a)).sum()
    assert result.value >= reg * entropy - 1e-12
    assert result.value >= result.lower_bound + reg * entropy - 1e-12
    assert result.value - result.gap <= result.upper_bound + 2 * reg * entropy


def test_gradients_of_convex_functions_are_optimal(rng):
    x = rng.normal(size=(80, 3))
    root = rng.normal(size=(3, 3))
    stretch = root @ root.T + 0.1 * np.eye(3)
    for images in (x, x + np.arange(3), x @ stretch, np.sinh(x)):
        result = monge_gap(x, images, reg=1e-4)
        assert result.lower_bound == 0
        assert result.upper_bound <= 1e-4 * np.log(80) + result.gap
        assert 0 < result.value <= 2e-4 * np.log(80) + result.gap


def test_half_turns_are_not(rng):
    half = rng.normal(size=(50, 2))
    x = np.vstack([half, -half])  # turned by half, the same points
    result = monge_gap(x, -x, reg=1e-3, tol=1e-8)
    every_step = 4 * (x**2).sum(1).mean()
    assert result.map_cost == pytest.approx(every_step)
    assert result.lower_bound <= every_step <= result.upper_bound
    assert result.upper_bound - result.lower_bound < 1e-3
    quarter = monge_gap(x, x @ [[0, 1], [-1, 0]], reg=1e-3)
    assert 0.1 < quarter.lower_bound <= exact_gap(x, x @ [[0, 1], [-1, 0]], "sqeuclidean")


def test_what_is_optimal_depends_on_the_cost():
    # On a line, passing one another costs nothing more if the cost is the distance.
    x, images = np.array([[0.0], [1.0]]), np.array([[3.0], [2.0]])
    squared = monge_gap(x, images, reg=1e-3)
    assert squared.lower_bound <= 1 <= squared.upper_bound
    assert squared.lower_bound > 0.99
    plain = monge_gap(x, images, metric="euclidean", reg=1e-3)
    assert plain.lower_bound == 0
    assert plain.upper_bound < 1e-9


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("reg", [2.0, 0.2])
def test_the_gradient_is_finite_differences(metric, reg, problem, rng):
    x, tx, a = problem
    result = monge_gap(x, tx, a, metric=metric, reg=reg, tol=1e-12, gradient=True)
    for _ in range(3):
        change, h = rng.normal(size=tx.shape), 1e-5
        ahead, behind = (
            monge_gap(x, tx + step * change, a, metric=metric, reg=reg, tol=1e-12).value
            for step in (h, -h)
        )
        np.testing.assert_allclose(
            (ahead - behind) / (2 * h), (result.grad_TX * change).sum(), rtol=1e-6, atol=1e-8
        )


def test_steps_against_the_gradient_make_a_map_optimal(rng):
    x = rng.normal(size=(30, 2))
    images = x @ [[0, 1], [-1, 0]]
    before = monge_gap(x, images, reg=0.05)
    for _ in range(40):
        result = monge_gap(x, images, reg=0.05, gradient=True)
        images = images - 3 * result.grad_TX
    assert result.upper_bound < 0.05 * before.lower_bound


@pytest.mark.parametrize("metric", METRICS)
def test_points_that_stay(metric, problem):
    x, _, a = problem
    result = monge_gap(x, x, a, metric=metric, reg=0.3, tol=1e-11, gradient=True)
    assert result.map_cost == 0
    assert result.lower_bound == 0
    assert np.isfinite(result.grad_TX).all()


def test_points_without_weight_pull_nothing(problem):
    x, tx, a = problem
    a = np.r_[0.0, a[1:]]
    result = monge_gap(x, tx, a, reg=0.3, tol=1e-11, gradient=True)
    assert (result.grad_TX[0] == 0).all()
    without = monge_gap(x[1:], tx[1:], a[1:], reg=0.3, tol=1e-11, gradient=True)
    np.testing.assert_allclose(result.value, without.value, rtol=1e-9)
    np.testing.assert_allclose(result.grad_TX[1:], without.grad_TX, rtol=1e-6, atol=1e-9)


def test_the_unit_of_the_cost(problem):
    x, tx, a = problem
    cost = cdist(x, tx, "sqeuclidean")
    relative = monge_gap(x, tx, a, reg=0.01, reg_scale="max", tol=1e-11)
    np.testing.assert_allclose(relative.reg, 0.01 * cost.max(), rtol=1e-13)
    doubled = monge_gap(2 * x, 2 * tx, a, reg=0.01, reg_scale="max", tol=1e-11)
    np.testing.assert_allclose(doubled.value, 4 * relative.value, rtol=1e-12)


def test_the_result(problem):
    x, tx, _ = problem
    narrow = x.astype(np.float32), tx.astype(np.float32)
    result = monge_gap(*narrow, reg=0.2, gradient=True)
    assert result.grad_TX.dtype == np.float32
    copy = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(copy.grad_TX, result.grad_TX)
    assert isinstance(copy.transport, TransportResult)
    shown = repr(result)
    assert shown.startswith("MongeGapResult\n")
    assert "TransportResult of shape (12, 12)" in shown
    with pytest.raises(AttributeError, match="frozen"):
        result.value = 0.0
    with pytest.raises(ValueError, match="read-only"):
        result.grad_TX[0] = 1.0
    without = monge_gap(*narrow, reg=0.2)
    assert without.grad_TX is None
    assert without.value == result.value


def test_not_converged_is_told_where_it_was_called(problem):
    x, tx, _ = problem
    with pytest.warns(ConvergenceWarning, match="not converged") as caught:
        result = monge_gap(x, tx, reg=1e-3, max_iter=1)
    assert caught[0].filename == __file__
    assert not result.converged
    assert result.message == str(caught[0].message)


BAD = {
    "reg": ({"reg": -1}, "reg is -1"),
    "reg_scale": ({"reg_scale": "median"}, "reg_scale is 'median'"),
    "metric": ({"metric": "cityblock"}, "metric is 'cityblock'"),
    "max_iter": ({"max_iter": 0}, "max_iter is 0"),
    "max_time": ({"max_time": -1}, "max_time is -1"),
    "X": ({"X": np.full((12, 2), np.inf)}, "X contains inf"),
    "TX": ({"TX": np.full((12, 2), np.nan)}, "TX contains nan"),
    "TX vector": ({"TX": np.ones(12)}, r"TX has shape \(12,\)"),
    "too few": ({"TX": np.ones((11, 2))}, r"X has shape \(12, 2\) but TX has shape \(11, 2\)"),
    "columns": ({"TX": np.ones((12, 3))}, r"TX has shape \(12, 3\)"),
    "origin": ({"TX": np.zeros((12, 2)), "metric": "cosine"}, "TX: row 0 is all zeros"),
    "range": ({"TX": np.full((12, 2), 1e200)}, "1e[+]200 as its largest coordinate"),
    "a": ({"a": [1.0]}, "a has 1 weights for 12 points"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, problem):
    x, tx, _ = problem
    changes, message = BAD[name]
    with pytest.raises(InvalidInputError, match=message):
        monge_gap(**({"X": x, "TX": tx, "reg": 0.1} | changes))

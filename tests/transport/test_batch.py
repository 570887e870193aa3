"""Batches: every problem is solved as it would be alone."""

import pickle

import numpy as np
import pytest

from sparrot import Status
from sparrot.errors import ConvergenceWarning
from sparrot.transport import BatchResult, solve, solve_batch
from tests.conftest import marginal_error

METHODS = ["auto", "sinkhorn"]

# The same in a result and in a batch of them.
COUNTS = ("n_iter", "n_newton", "n_cg")
CERTIFICATE = (
    "marginal_error",
    "gap",
    "value",
    "value_linear",
    "dual_value",
    "lower_bound",
    "upper_bound",
)


def weights(rng, count, size, power=1):
    """(count, size) weights of mass 1 that are not uniform."""
    values = rng.random((count, size)) ** power
    return values / values.sum(1, keepdims=True)


def ties(rng, shape):
    return rng.integers(0, 3, shape).astype(float)


def points(rng, shape):
    count, n, m = shape
    x, y = rng.normal(size=(count, n, 1, 2)), rng.normal(size=(count, 1, m, 2)) + 0.5
    return ((x - y) ** 2).sum(-1)


def with_forbidden_edges(rng, shape):
    _, n, m = shape
    costs = rng.random(shape)
    forbidden = rng.random(shape) < 0.3
    longer = np.arange(max(n, m))  # the diagonal, wrapped around, keeps all within reach
    forbidden[:, longer % n, longer % m] = False
    return np.where(forbidden, np.inf, costs)


FAMILIES = {
    "random": lambda rng, shape: rng.random(shape),
    "points": points,
    "ties": ties,
    "all equal": lambda rng, shape: np.full(shape, 2.0),
    "negative": lambda rng, shape: rng.random(shape) - 5,
    "forbidden edges": with_forbidden_edges,
}


def alone(costs, a, b, regs, **keywords):
    """The results of each problem by itself."""
    regs = np.broadcast_to(regs, len(costs))
    return [
        solve(cost, a_k, b_k, reg=float(reg), n_threads=1, **keywords)
        for cost, a_k, b_k, reg in zip(costs, a, b, regs, strict=True)
    ]


def assert_same_bits(batch, results):
    for k, result in enumerate(results):
        assert batch.status[k] is result.status
        assert batch.converged[k] == result.converged
        for field in (*COUNTS, *CERTIFICATE, "reg"):
            assert batch[field][k] == result[field], field
        np.testing.assert_array_equal(batch.plans[k], result.plan)
        for side in (0, 1):
            np.testing.assert_array_equal(batch.potentials[side][k], result.potentials[side])
        np.testing.assert_array_equal(batch.a[k], result.a)
        np.testing.assert_array_equal(batch.b[k], result.b)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_problem_is_solved_as_it_would_be_alone(family, dtype, method, rng):
    costs = FAMILIES[family](rng, (5, 24, 31)).astype(dtype)
    a, b = weights(rng, 5, 24, power=3), weights(rng, 5, 31)
    regs = [1.0, 0.3, 0.1, 0.03, 0.02]
    keywords = {"method": method, "tol": 1e-9}
    batch = solve_batch(costs, a, b, reg=regs, **keywords)
    assert batch.converged.all()
    assert batch.plans.dtype == dtype
    assert_same_bits(batch, alone(costs, a, b, regs, **keywords))


@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 1, 7), (3, 7, 1), (1, 6, 5), (2, 3, 90)])
def test_any_shape(shape, rng):
    costs = rng.random(shape)
    a, b = weights(rng, shape[0], shape[1]), weights(rng, shape[0], shape[2])
    batch = solve_batch(costs, a, b, reg=0.05, tol=1e-9)
    assert batch.converged.all()
    assert_same_bits(batch, alone(costs, a, b, 0.05, tol=1e-9))


def test_problems_that_are_large_enough_for_single_precision(rng):
    costs = rng.random((2, 520, 510))
    a, b = weights(rng, 2, 520), weights(rng, 2, 510)
    batch = solve_batch(costs, a, b, reg=0.02, tol=1e-9)
    assert batch.converged.all()
    assert_same_bits(batch, alone(costs, a, b, 0.02, tol=1e-9))


def test_the_plans_have_the_marginals(rng):
    costs = rng.random((6, 20, 30))
    a, b = weights(rng, 6, 20, power=6), weights(rng, 6, 30)
    batch = solve_batch(costs, a, b, reg=0.02, tol=1e-9)
    for k in range(6):
        measured = marginal_error(batch.plans[k], a[k], b[k])
        assert measured <= 1e-9
        assert abs(measured - batch.marginal_error[k]) <= 1e-3 * measured + 1e-13
    f, g = batch.potentials
    plans = np.exp((f[:, :, None] + g[:, None] - costs) / batch.reg[:, None, None])
    np.testing.assert_allclose(batch.plans, plans, rtol=1e-11, atol=1e-290)


def test_weights_for_all_problems_and_for_each(rng):
    costs = rng.random((4, 20, 30))
    a, b = weights(rng, 1, 20)[0], weights(rng, 1, 30)[0]
    each = solve_batch(costs, np.tile(a, (4, 1)), np.tile(b, (4, 1)), reg=0.05)
    shared = solve_batch(costs, a, b, reg=0.05)
    mixed = solve_batch(costs, a, np.tile(b, (4, 1)), reg=0.05)
    for other in (shared, mixed):
        np.testing.assert_array_equal(other.plans, each.plans)
        assert other.a.shape == (4, 20)
        assert other.b.shape == (4, 30)


@pytest.mark.parametrize("mass", [1.0, 4.0, 0.3, 1e5])
def test_no_weights_are_uniform_weights_of_the_other_sides_mass(mass, rng):
    costs = rng.random((4, 20, 30))
    a = mass * weights(rng, 4, 20)
    b = mass * weights(rng, 4, 30)
    keywords = {"reg": 0.05, "tol": 1e-10}
    rows, columns = np.full((4, 20), mass / 20), np.full((4, 30), mass / 30)
    for given, all_of_them in (
        ({"a": a}, {"a": a, "b": columns}),
        ({"b": b}, {"a": rows, "b": b}),
        *([({}, {"a": rows, "b": columns})] if mass == 1 else []),
    ):
        batch = solve_batch(costs, **given, **keywords)
        expected = solve_batch(costs, **all_of_them, **keywords)
        np.testing.assert_allclose(batch.plans, expected.plans, rtol=1e-7)
        np.testing.assert_allclose(batch.a, expected.a, rtol=1e-14)
        np.testing.assert_allclose(batch.b, expected.b, rtol=1e-14)


def test_points_without_weight_get_nothing(rng):
    costs = rng.random((5, 20, 30))
    a, b = weights(rng, 5, 20), weights(rng, 5, 30)
    a[1, [0, 7]] = a[3, 19] = b[1, 2] = b[4, 29] = 0
    a /= a.sum(1, keepdims=True)
    b /= b.sum(1, keepdims=True)
    batch = solve_batch(costs, a, b, reg=0.05, tol=1e-9)
    assert batch.converged.all()
    assert (batch.plans[a == 0] == 0).all()
    assert (np.moveaxis(batch.plans, 1, 2)[b == 0] == 0).all()
    for potential, of in zip(batch.potentials, (a, b), strict=True):
        np.testing.assert_array_equal(np.isneginf(potential), of == 0)
    assert np.isfinite(batch.gap).all()
    assert_same_bits(batch, alone(costs, a, b, 0.05, tol=1e-9))


@pytest.mark.parametrize("exponent", [-1000, -664, -300, 300, 900])
@pytest.mark.parametrize("method", METHODS)
def test_powers_of_two_on_the_masses_change_no_bit_of_the_plan(exponent, method, rng):
    costs = rng.random((3, 8, 9))
    a, b = weights(rng, 3, 8), weights(rng, 3, 9)
    scale = np.ldexp(1.0, [exponent, 0, 3])
    keywords = {"reg": 0.1, "tol": 1e-9, "method": method}
    one = solve_batch(costs, a, b, **keywords)
    other = solve_batch(costs, scale[:, None] * a, scale[:, None] * b, **keywords)
    for field in (*COUNTS, "marginal_error"):
        np.testing.assert_array_equal(other[field], one[field])
    np.testing.assert_array_equal(other.plans, scale[:, None, None] * one.plans)
    for field in ("gap", "value_linear", "lower_bound", "upper_bound"):
        np.testing.assert_array_equal(other[field], scale * one[field])
    f, g = other.potentials
    for k in range(3):
        plan = np.exp((f[k][:, None] + g[k] - costs[k]) / 0.1)
        np.testing.assert_allclose(plan, other.plans[k], rtol=1e-9)
        with np.errstate(under="ignore"):
            entropy = (plan * np.log(plan)).sum()
        np.testing.assert_allclose(other.value[k], other.value_linear[k] + 0.1 * entropy, rtol=1e-9)


@pytest.mark.parametrize("mass", [3.0, 1e-7, 12345.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_any_mass_as_alone(mass, dtype, rng):
    costs = rng.random((4, 12, 9)).astype(dtype)
    a, b = mass * weights(rng, 4, 12), mass * weights(rng, 4, 9)
    batch = solve_batch(costs, a, b, reg=0.05, tol=1e-9)
    for k, result in enumerate(alone(costs, a, b, 0.05, tol=1e-9)):
        for field in (*COUNTS, "marginal_error", "gap", "value_linear"):
            assert batch[field][k] == result[field]
        # What the mass adds comes from a logarithm, here and there.
        for field in ("value", "dual_value"):
            np.testing.assert_allclose(batch[field][k], result[field], rtol=1e-13)
        np.testing.assert_allclose(batch.potentials[0][k], result.potentials[0], rtol=1e-13)
        np.testing.assert_array_equal(batch.potentials[1][k], result.potentials[1])
        np.testing.assert_array_equal(batch.plans[k], result.plan)
        assert batch.plans.dtype == dtype


@pytest.mark.parametrize("scale", ["absolute", "max", "mean"])
@pytest.mark.parametrize("family", ["random", "points", "forbidden edges"])
@pytest.mark.parametrize("regs", [0.05, [0.3, 0.1, 0.05, 0.02], np.float32(0.25)])
def test_the_unit_of_the_regularisation(regs, family, scale, rng):
    costs = FAMILIES[family](rng, (4, 15, 17)) * np.ldexp(1.0, [0, 3, -2, 1])[:, None, None]
    a, b = 3 * weights(rng, 4, 15), 3 * weights(rng, 4, 17)
    batch = solve_batch(costs, a, b, reg=regs, reg_scale=scale, tol=1e-10)
    for k, result in enumerate(alone(costs, a, b, regs, reg_scale=scale, tol=1e-10)):
        np.testing.assert_allclose(batch.reg[k], result.reg, rtol=1e-14)
        np.testing.assert_allclose(batch.plans[k], result.plan, rtol=1e-6, atol=1e-9)


def test_where_every_cost_is_zero_any_unit_does():
    for scale in ("max", "mean"):
        batch = solve_batch(np.zeros((2, 3, 4)), reg=0.1, reg_scale=scale)
        np.testing.assert_array_equal(batch.reg, 0.1)
        np.testing.assert_allclose(batch.plans, 1 / 12)


@pytest.mark.parametrize("method", METHODS)
# Problems are shared out whole, from a few hundred thousand entries on.
@pytest.mark.parametrize("shape", [(300, 40, 50), (7, 300, 310), (1500, 5, 60)])
def test_the_same_bits_for_any_number_of_threads(shape, method, rng):
    costs = rng.random(shape)
    a, b = weights(rng, shape[0], shape[1]), weights(rng, shape[0], shape[2])
    keywords = {"reg": 0.05, "tol": 1e-8, "method": method}
    one = solve_batch(costs, a, b, n_threads=1, **keywords)
    for threads in (2, 3):
        other = solve_batch(costs, a, b, n_threads=threads, **keywords)
        for field in (*COUNTS, *CERTIFICATE):
            np.testing.assert_array_equal(other[field], one[field])
        for ours, theirs in zip(other.potentials, one.potentials, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(other.plans, one.plans)


def test_the_order_of_the_problems_does_not_matter(rng):
    costs = rng.random((40, 30, 20))
    regs = rng.random(40) + 0.02
    order = rng.permutation(40)
    one = solve_batch(costs, reg=regs)
    other = solve_batch(costs[order], reg=regs[order])
    np.testing.assert_array_equal(other.plans, one.plans[order])


SAME = {
    "list": np.ndarray.tolist,
    "Fortran order": np.asfortranarray,
    "backwards": lambda array: np.ascontiguousarray(array[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
    "problems last": lambda array: np.moveaxis(np.moveaxis(array, 0, 2).copy(), 2, 0),
    "big-endian": lambda array: array.astype(">f8"),
}


@pytest.mark.parametrize("name", SAME)
def test_unusual_arrays_give_the_usual_answer(name, rng):
    costs = rng.random((3, 20, 15))
    expected = solve_batch(costs, reg=0.05)
    np.testing.assert_array_equal(solve_batch(SAME[name](costs), reg=0.05).plans, expected.plans)


@pytest.mark.parametrize("dtype", ["i1", "u8", "?", "f2"])
def test_other_number_types_are_converted(dtype, rng):
    costs = rng.integers(0, 2, (3, 6, 8)).astype(dtype)
    batch = solve_batch(costs, reg=0.1)
    assert batch.plans.dtype == (np.float32 if dtype == "f2" else np.float64)
    expected = solve_batch(costs.astype(float), reg=0.1)
    np.testing.assert_array_equal(batch.potentials[1], expected.potentials[1])


def test_the_costs_are_not_copied_nor_changed(rng):
    costs = rng.random((3, 20, 20))
    before = costs.copy()
    batch = solve_batch(costs, reg=0.05)
    assert batch.plans.shape == (3, 20, 20)
    np.testing.assert_array_equal(costs, before)
    assert batch._input["costs"] is costs


def test_results_keep_copies_of_the_weights(rng):
    a = np.full((2, 4), 0.25)
    batch = solve_batch(rng.random((2, 4, 5)), a, reg=0.1)
    a[:] = 7
    np.testing.assert_array_equal(batch.a, 0.25)


def test_pickling_keeps_everything(rng):
    batch = solve_batch(rng.random((3, 12, 15)), 5 * weights(rng, 3, 12), reg=0.1)
    copy = pickle.loads(pickle.dumps(batch))
    assert isinstance(copy, BatchResult)
    assert copy.status == batch.status == [Status.CONVERGED] * 3
    for field in (*COUNTS, *CERTIFICATE, "reg", "a", "b"):
        np.testing.assert_array_equal(copy[field], batch[field])
    np.testing.assert_array_equal(copy.plans, batch.plans)


def test_results_are_frozen_and_can_be_read(rng):
    batch = solve_batch(rng.random((3, 12, 15)), reg=0.1)
    assert batch["gap"] is batch.gap
    assert set(batch) == set(batch.keys())
    assert {"plans", "gap", "status"} <= set(dir(batch))
    with pytest.raises(AttributeError, match="frozen"):
        batch.gap = 0
    with pytest.raises(AttributeError, match="no attribute 'plan'"):
        _ = batch.plan
    lines = repr(batch).splitlines()
    assert lines[0] == "BatchResult"
    assert len(lines) == 1 + len(batch)


@pytest.mark.parametrize("method", METHODS)
def test_what_has_not_converged_is_told(method, rng):
    costs = rng.random((4, 30, 30))
    regs = [1.0, 1e-3, 1.0, 1e-3]
    keywords = {"method": method, "tol": 1e-9, "max_iter": 12}
    with pytest.warns(ConvergenceWarning, match="2 of 4 problems.*problem 1.*max_iter") as caught:
        batch = solve_batch(costs, reg=regs, **keywords)
    assert [warning.filename for warning in caught] == [__file__]
    np.testing.assert_array_equal(batch.converged, [True, False, True, False])
    wanted = [Status.CONVERGED, Status.MAX_ITER, Status.CONVERGED, Status.MAX_ITER]
    assert batch.status == wanted
    np.testing.assert_array_equal(batch.converged, batch.marginal_error <= 1e-9)
    assert (batch.n_iter <= 12).all()
    assert np.isfinite(batch.plans).all()
    uniform = np.full(30, 1 / 30)
    for plan, error in zip(batch.plans, batch.marginal_error, strict=True):
        assert error == pytest.approx(marginal_error(plan, uniform, uniform), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_no_time_at_all(method, rng):
    costs = rng.random((500, 12, 14))
    with pytest.warns(ConvergenceWarning, match="500 of 500 problems.*max_time"):
        batch = solve_batch(costs, reg=1e-3, method=method, tol=1e-13, max_time=0)
    assert set(batch.status) == {Status.MAX_TIME}
    assert np.isfinite(batch.plans).all()
    assert (batch.n_iter <= 10).all()
    assert solve_batch(costs, reg=1.0, method=method, max_time=1e6).converged.all()


def test_the_limit_of_rounding_is_reached_and_told(rng):
    with pytest.warns(ConvergenceWarning, match="3 of 3 problems"):
        batch = solve_batch(rng.random((3, 20, 20)), reg=0.05, tol=0)
    assert batch.status == [Status.STALLED] * 3
    assert (batch.marginal_error < 1e-13).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_solvers_own_plans_are_those_of_the_potentials(dtype, rng):
    costs = rng.random((5, 8, 7)).astype(dtype)
    kept = solve_batch(costs, reg=0.05)
    assert kept._kept is not None  # else both sides of what follows are computed alike
    computed = pickle.loads(pickle.dumps(kept))
    assert computed._kept is None
    np.testing.assert_array_equal(kept.plans, computed.plans)
    assert kept.plans.dtype == dtype

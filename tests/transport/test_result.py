"""What a result offers."""

import pickle

import numpy as np
import pytest

import sparrot
from sparrot.transport import round_plan, solve, solve_sample
from tests.conftest import marginal_error


@pytest.fixture
def result(rng):
    return solve(rng.random((30, 40)), reg=0.01, tol=1e-9)


def test_fields_are_attributes_and_items(result):
    assert result["gap"] == result.gap
    assert set(result) == set(result.keys())
    assert {"plan", "gap", "trace"} <= set(dir(result))
    assert dict(result)["n_iter"] == result.n_iter
    with pytest.raises(AttributeError, match="no attribute 'plam'"):
        _ = result.plam
    with pytest.raises(KeyError):
        _ = result["plam"]


def test_results_are_frozen(result):
    with pytest.raises(AttributeError, match="frozen"):
        result.gap = 0.0
    with pytest.raises(AttributeError, match="frozen"):
        del result.gap


def test_repr_is_a_line_per_field(result):
    lines = repr(result).splitlines()
    assert lines[0] == "TransportResult"
    assert len(lines) == 1 + len(result)
    assert any("gap: " in line for line in lines)
    assert all(len(line) < 400 for line in lines)


def test_pickling_keeps_everything(result):
    copy = pickle.loads(pickle.dumps(result))
    assert copy.gap == result.gap
    assert copy.status is sparrot.Status.CONVERGED
    np.testing.assert_array_equal(copy.plan, result.plan)


@pytest.mark.parametrize("by_points", [False, True])
def test_sparse_plan_and_products_agree_with_the_plan(by_points, rng):
    if by_points:
        result = solve_sample(rng.random((50, 2)), rng.random((60, 2)), reg=0.001, tol=1e-9)
    else:
        result = solve(rng.random((50, 60)), reg=0.01, tol=1e-9)
    n, m = result.shape
    plan = result.plan
    sparse = result.sparse_plan
    assert sparse.nnz < n * m / 2
    left_out = np.where(sparse.toarray() == 0, plan, 0)
    assert (left_out.sum(1) <= 1e-9 * result.a).all()
    np.testing.assert_array_equal(
        sparse.toarray()[sparse.toarray() > 0], plan[sparse.toarray() > 0]
    )
    np.testing.assert_array_equal(result.to_sparse(0).toarray(), plan)
    vector, matrix = rng.normal(size=m), rng.normal(size=(m, 3))
    np.testing.assert_allclose(result.apply(vector), plan @ vector, atol=1e-15)
    np.testing.assert_allclose(result.apply(matrix), plan @ matrix, atol=1e-15)
    other = rng.normal(size=(n, 2))
    np.testing.assert_allclose(result.apply(other, transpose=True), plan.T @ other, atol=1e-15)
    np.testing.assert_allclose(result.apply(other[:, 0], transpose=True), plan.T @ other[:, 0])


def test_trace_is_in_order_and_ends_at_the_answer(result):
    trace = result.trace
    lengths = {len(column) for column in trace.values()}
    assert len(lengths) == 1
    assert (np.diff(trace["iteration"]) > 0).all()
    assert (np.diff(trace["time"]) >= 0).all()
    assert trace["iteration"][-1] == result.n_iter
    assert set(trace["phase"]) <= {"sinkhorn", "newton"}
    assert trace["objective"][-1] == pytest.approx(result.dual_value, rel=1e-9)
    assert trace["certificate"][-1] == pytest.approx(result.marginal_error, rel=1e-2)
    assert set(result.timings) == {"solve", "certificate"}


def test_dual_value_never_falls_in_a_newton_step(assignment):
    cost, reg = assignment(3)
    trace = solve(cost, reg=reg, method="sns", tol=1e-8).trace
    assert (np.diff(trace["objective"]) > -1e-15).all()


def test_rounding_any_plan(rng):
    plan = rng.random((7, 9)) ** 4
    a, b = rng.random(7), rng.random(9)
    b *= a.sum() / b.sum()
    before = plan.copy()
    rounded = round_plan(plan, a, b)
    np.testing.assert_array_equal(plan, before)
    np.testing.assert_allclose(rounded.sum(1), a, rtol=1e-14)
    np.testing.assert_allclose(rounded.sum(0), b, rtol=1e-14)
    assert (rounded >= 0).all()
    error = marginal_error(plan, a, b) * a.sum()
    assert np.abs(rounded - plan).sum() <= 2 * error
    np.testing.assert_allclose(round_plan(rounded, a, b), rounded, rtol=1e-13, atol=1e-15)


def test_rounding_a_plan_with_empty_rows():
    rounded = round_plan(np.zeros((2, 3)), [0.25, 0.75], [0.5, 0.5, 0])
    np.testing.assert_allclose(rounded, [[0.125, 0.125, 0], [0.375, 0.375, 0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mass", [1.0, 6.0, 2.0**-30])
def test_the_solvers_own_plan_is_that_of_the_potentials(mass, dtype, rng):
    cost = rng.random((30, 20)).astype(dtype)
    cost[0, :3] = np.inf
    a, b = (mass * weights / weights.sum() for weights in (rng.random(30), rng.random(20)))
    a[4], a[5] = a[4] + a[5], 0
    kept = solve(cost, a, b, reg=0.05)
    assert kept._kept is not None  # else both sides of what follows are computed alike
    computed = pickle.loads(pickle.dumps(kept))
    assert computed._kept is None
    for name in ("plan", "rounded_plan"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(computed, name))
    assert kept.plan.dtype == dtype
    rounded = computed.rounded_plan.copy()
    written_to = solve(cost, a, b, reg=0.05)
    written_to.plan[:] = 0
    np.testing.assert_array_equal(written_to.rounded_plan, rounded)


def test_stored_or_not_the_certificate_is_the_same(rng):
    # More than a million entries are not stored; by columns, the plan is that of the reverse.
    cost = rng.random((1100, 1000))
    large, small = (solve(cost[:n], reg=0.05, tol=1e-3) for n in (1100, 1000))
    assert large._kept is None
    assert small._kept is not None
    for result in (large, small):
        plan, a, b = result.plan, result.a, result.b
        error = np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum()
        assert abs(result.marginal_error - error) <= 1e-13
        upper = (result.rounded_plan * cost[: len(a)]).sum()
        assert upper <= result.upper_bound <= upper * (1 + 1e-12)
    assert solve(np.asfortranarray(cost[:50]), reg=0.05)._kept is None

"""What a k-sparse solve says on the way, and what its result offers."""

import pickle

import numpy as np
import pytest
from scipy import sparse

import sparrot
from sparrot import Status
from sparrot.errors import ConvergenceWarning
from sparrot.transport import SparseTransportResult, solve_ksparse, solve_quadratic
from tests.conftest import marginal_error, uniform
from tests.transport.ksparse_reference import (
    check_bounds,
    clouds,
)

# Starts, ends, and what is said on the way -------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("k", [1, 2, 40])
def test_a_solution_is_found_again_in_fewer_steps(k, axis, rng):
    cost = rng.random((40, 50))
    first = solve_ksparse(cost, gamma=1.0, k=k, axis=axis)
    for init in (first, first.potentials, [x.tolist() for x in first.potentials]):
        again = solve_ksparse(cost, gamma=1.0, k=k, axis=axis, init=init)
        assert again.converged
        assert again.n_iter <= max(first.n_iter, 3)
        assert abs(again.value - first.value) <= again.gap + first.gap + 1e-9
    # Those of the lines are not used.
    f, g = first.potentials
    other = (f, np.zeros(50)) if axis == 0 else (np.zeros(40), g)
    again = solve_ksparse(cost, gamma=1.0, k=k, axis=axis, init=other)
    np.testing.assert_array_equal(
        again.plan, solve_ksparse(cost, gamma=1.0, k=k, axis=axis, init=first).plan
    )


def test_a_bad_start_does_no_harm(rng):
    cost = rng.random((30, 30))
    expected = solve_ksparse(cost, gamma=1.0, k=2)
    for scale in (1e-3, 1.0, 10.0, 1e3, 1e6, 1e200):
        result = solve_ksparse(
            cost, gamma=1.0, k=2, init=(scale * rng.normal(size=30), np.zeros(30))
        )
        assert result.converged
        assert abs(result.value - expected.value) <= result.gap + expected.gap + 1e-9


def test_a_result_starts_another_problem(rng):
    cost = rng.random((30, 30))
    entropic = sparrot.transport.solve(cost, reg=0.02)
    quadratic = solve_quadratic(cost, gamma=1.0, init=entropic)
    assert quadratic.converged
    result = solve_ksparse(cost, gamma=1.0, k=2, init=quadratic)
    assert result.converged


def test_points_without_weight_get_nothing(rng):
    cost = rng.random((15, 12))
    a, b = rng.random(15), rng.random(12)
    a[[0, 7]] = b[[3, 11]] = 0
    a, b = a / a.sum(), b / b.sum()
    for axis in (0, 1):
        result = solve_ksparse(cost, a, b, gamma=1.0, k=2, axis=axis)
        assert result.converged
        assert (result.plan[a == 0] == 0).all()
        assert (result.plan[:, b == 0] == 0).all()
        assert np.isneginf(result.potentials[0][a == 0]).all()
        assert np.isneginf(result.potentials[1][b == 0]).all()
        without = solve_ksparse(
            cost[a > 0][:, b > 0], a[a > 0], b[b > 0], gamma=1.0, k=2, axis=axis
        )
        assert abs(result.value - without.value) <= result.gap + without.gap + 1e-9
        again = solve_ksparse(cost, a, b, gamma=1.0, k=2, axis=axis, init=result)
        assert again.converged


def test_the_callback_sees_every_step_and_can_stop(rng):
    cost = rng.random((40, 40))
    seen = []
    result = solve_ksparse(cost, gamma=1.0, k=2, callback=seen.append)
    assert result.converged
    assert [state.iteration for state in seen] == list(range(1, result.n_iter + 1))
    assert [state.objective for state in seen] == result.trace["objective"].tolist()
    assert [state.certificate for state in seen] == result.trace["certificate"].tolist()
    assert [state.sparsity for state in seen] == result.trace["sparsity"].tolist()
    assert [state.phase for state in seen] == result.trace["phase"].tolist()
    with pytest.warns(ConvergenceWarning, match="callback asked to stop"):
        stopped = solve_ksparse(cost, gamma=1.0, k=2, callback=lambda state: state.iteration == 3)
    assert stopped.status is Status.CALLBACK
    assert stopped.n_iter == 3
    check_bounds(stopped, cost, uniform(40), uniform(40), 1.0, 2)

    def broken(state):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        solve_ksparse(cost, gamma=1.0, k=2, callback=broken)


@pytest.mark.parametrize("recover", ["polish", "dual", "round"])
@pytest.mark.parametrize("steps", [1, 2, 5, 10])
@pytest.mark.parametrize("k", [1, 2, 8])
def test_answers_far_from_converged_are_certified_too(k, steps, recover):
    cost, a, b = clouds(30, 30)
    best = solve_ksparse(cost, a, b, gamma=3.0, k=k, tol=1e-10)
    with pytest.warns(
        ConvergenceWarning, match=r"max_iter.*after \d+ steps.*k is binding"
    ) as caught:
        result = solve_ksparse(cost, a, b, gamma=3.0, k=k, tol=0, max_iter=steps, recover=recover)
    assert caught[0].filename == __file__
    assert not result.converged
    assert result.status is Status.MAX_ITER
    assert result.n_iter == steps
    assert str(caught[0].message) == result.message
    check_bounds(result, cost, a, b, 3.0, k)
    assert result.dual_value <= best.value + 1e-9
    # The plan with exact marginals that the gap is about is above the optimum.
    assert result.dual_value + result.gap >= best.dual_value - 1e-9
    if recover == "round":
        assert marginal_error(result.plan, a, b) <= 1e-12
        assert result.value == pytest.approx(result.dual_value + result.gap, rel=1e-12)


def test_no_time_at_all(rng):
    cost = rng.random((50, 50))
    with pytest.warns(ConvergenceWarning, match="max_time"):
        result = solve_ksparse(cost, gamma=1.0, k=2, max_time=0)
    assert result.status is Status.MAX_TIME
    check_bounds(result, cost, uniform(50), uniform(50), 1.0, 2)


@pytest.mark.parametrize("k", [1, 2, 40])
def test_the_trace_is_in_order_and_ends_at_the_answer(k, rng):
    result = solve_ksparse(rng.random((40, 40)), gamma=1.0, k=k)
    trace = result.trace
    fields = {"iteration", "time", "objective", "certificate", "sparsity", "phase"}
    assert set(trace) == fields
    assert {len(column) for column in trace.values()} == {result.n_iter}
    assert (np.diff(trace["iteration"]) == 1).all()
    assert (np.diff(trace["time"]) >= 0).all()
    assert set(trace["phase"]) <= {"proximal", "newton"}
    # What the last step left is put right afterwards.
    assert result.marginal_error <= trace["certificate"][-1] + 1e-14
    assert result.timings["solve"] > 0


def test_verbose_prints_a_line_per_step(rng, capsys):
    result = solve_ksparse(rng.random((20, 20)), gamma=1.0, k=2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == result.n_iter
    assert all("marginal error" in line and "entries" in line for line in lines)
    solve_ksparse(rng.random((20, 20)), gamma=1.0, k=2)
    assert capsys.readouterr().out == ""


# What a result offers ---------------------------------------------------------------------------


@pytest.fixture
def result(rng):
    return solve_ksparse(rng.random((30, 40)), gamma=1.0, k=2)


def test_fields_are_attributes_and_items(result):
    assert isinstance(result, SparseTransportResult)
    assert result["gap"] == result.gap
    assert dict(result)["n_iter"] == result.n_iter
    assert {"plan", "sparse_plan", "gap", "shape", "apply"} <= set(dir(result))
    with pytest.raises(AttributeError, match="no attribute 'plam'"):
        _ = result.plam
    with pytest.raises(KeyError):
        _ = result["plam"]
    with pytest.raises(AttributeError, match="frozen"):
        result.gap = 0.0
    with pytest.raises(AttributeError, match="frozen"):
        del result.gap
    for array in (*result.potentials, result.a, result.b):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


def test_every_field_is_documented(result):
    for name in result:
        assert name in SparseTransportResult.__doc__


def test_repr_is_a_line_per_field(result):
    lines = repr(result).splitlines()
    assert lines[0] == "SparseTransportResult"
    assert len(lines) == 1 + len(result)
    assert any("n_binding: " in line for line in lines)
    assert all(len(line) < 400 for line in lines)


def test_pickling_keeps_everything(result):
    copy = pickle.loads(pickle.dumps(result))
    assert copy.gap == result.gap
    assert copy.status is Status.CONVERGED
    assert copy.message == result.message
    np.testing.assert_array_equal(copy.plan, result.plan)
    np.testing.assert_array_equal(copy.potentials[1], result.potentials[1])
    vector = np.arange(40.0)
    np.testing.assert_array_equal(copy.apply(vector), result.apply(vector))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plans_and_products(dtype, axis, rng):
    result = solve_ksparse(rng.random((30, 40)).astype(dtype), gamma=1.0, k=2, axis=axis)
    assert result.shape == (30, 40)
    plan = result.plan
    assert result.plan is plan
    assert plan.dtype == dtype
    assert isinstance(result.sparse_plan, sparse.csr_array)
    assert result.sparse_plan.dtype == dtype
    assert result.sparse_plan.has_sorted_indices
    assert result.sparse_plan.nnz == result.nnz
    np.testing.assert_array_equal(result.sparse_plan.toarray(), plan)
    vector, matrix = rng.normal(size=40), rng.normal(size=(40, 3))
    plan = plan.astype(float)
    np.testing.assert_allclose(result.apply(vector), plan @ vector, atol=1e-15)
    np.testing.assert_allclose(result.apply(matrix), plan @ matrix, atol=1e-15)
    other = rng.normal(size=(30, 2))
    np.testing.assert_allclose(result.apply(other, transpose=True), plan.T @ other, atol=1e-15)
    np.testing.assert_allclose(
        result.apply(other[:, 0].tolist(), transpose=True), plan.T @ other[:, 0], atol=1e-15
    )
    result.sparse_plan.data[:] = 7  # the user's own
    np.testing.assert_array_equal(result.plan, plan)
    np.testing.assert_allclose(result.apply(vector), plan @ vector, atol=1e-15)


def test_the_message_says_what_k_did(rng):
    cost = rng.random((30, 40))
    loose = solve_ksparse(cost, gamma=1.0, k=30)
    assert "k is binding in 0 columns, 0 entries of the plan exceed it" in loose.message
    tight = solve_ksparse(cost, gamma=1.0, k=1, axis=1)
    assert tight.n_binding > 0
    assert f"k is binding in {tight.n_binding} rows" in tight.message
    assert "k is" not in solve_quadratic(cost, gamma=1.0).message


def test_the_cost_is_not_changed_and_weights_are_copied(rng):
    cost = rng.random((20, 20))
    before, a = cost.copy(), uniform(20)
    result = solve_ksparse(cost, a, gamma=1.0, k=2)
    np.testing.assert_array_equal(cost, before)
    a[:] = 7
    assert result.a.sum() == pytest.approx(1, rel=1e-15)

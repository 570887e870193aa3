"""Transport with few entries per line: the answers are right, and so are the bounds on them."""

import numpy as np
import pytest

from sparrot.transport import solve_ksparse, solve_quadratic
from tests.conftest import marginal_error, uniform
from tests.transport.ksparse_reference import (
    LAYOUTS,
    PROBLEMS,
    check_bounds,
    squared_norms,
)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("share", [0.001, 0.1, 1.0])
def test_more_entries_cost_less_and_bind_less(name, share):
    cost, a, b = PROBLEMS[name]()
    n, m = cost.shape
    gamma = share * m
    before = None
    for k in (1, 2, 4, 16, n):
        result = solve_ksparse(cost, a, b, gamma=gamma, k=k)
        assert result.converged
        assert result.marginal_error <= 1e-9
        assert marginal_error(result.plan, a, b) <= 1e-9
        assert result.gap <= 1e-6 * abs(result.value)
        check_bounds(result, cost, a, b, gamma, k)
        if n == m:
            assert result.nnz <= (k + 1.5) * m
        if k == n:
            assert result.n_binding == 0
        if before is not None:
            assert result.dual_value <= before.value + 1e-9 * abs(before.value)
            assert result.n_binding <= before.n_binding
        before = result
    quadratic = solve_quadratic(cost, a, b, gamma=gamma)
    assert quadratic.k is None
    assert abs(quadratic.value - before.value) <= before.gap + quadratic.gap + 1e-9 * before.value
    # The plan is unique, and gamma / 2 |P - P*|^2 at most the gap; besides what marginals miss.
    distance = ((quadratic.plan - before.plan) ** 2).sum()
    assert gamma / 2 * distance <= 4 * (before.gap + quadratic.gap) + 1e-9 * before.value


@pytest.mark.parametrize("name", PROBLEMS)
def test_with_one_entry_it_is_unregularised_transport(name, pot):
    cost, a, b = PROBLEMS[name]()
    result = solve_ksparse(cost, a, b, gamma=0.1, k=1)
    exact = pot.emd2(a, b, cost)
    assert exact - 1e-9 <= result.value_linear <= exact + result.gap + 1e-9
    assert result.dual_value <= exact + 0.05 * (b**2).sum() + 1e-12


def test_a_random_assignment_of_200_with_one_entry(pot, rng):
    cost = rng.random((200, 200))
    result = solve_ksparse(cost, gamma=1.0, k=1)
    exact = pot.emd2(uniform(200), uniform(200), cost)
    assert abs(result.value_linear - exact) <= result.gap + 1e-9
    assert result.nnz >= 200


# Which plan -------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("name", PROBLEMS)
def test_ways_to_recover_a_plan(name, k, axis):
    cost, a, b = PROBLEMS[name]()
    keywords = {"gamma": 1.0, "k": k, "axis": axis}
    lines = (b, a)[axis]
    polish, dual, rounded = (
        solve_ksparse(cost, a, b, recover=recover, **keywords)
        for recover in ("polish", "dual", "round")
    )
    assert dual.max_nnz <= k
    assert dual.extra_nnz == 0
    # Entries are differences of scores of size 1: that is what the lightest lines are exact to.
    np.testing.assert_allclose(dual.plan.sum(axis), lines, rtol=1e-12, atol=1e-15)
    assert dual.marginal_error == pytest.approx(marginal_error(dual.plan, a, b), abs=1e-13)
    assert marginal_error(rounded.plan, a, b) <= 1e-12
    for result in (polish, dual, rounded):
        assert result.dual_value == polish.dual_value
        assert result.n_iter == polish.n_iter
        assert result.converged
        assert np.isfinite(result.gap)
        assert result.gap >= -1e-13
        # What is certified: the plan with the marginals right costs that much.
        if result is not dual:
            assert abs(result.value - result.dual_value - result.gap) <= 1e-9 * polish.value
    assert rounded.value >= polish.dual_value - 1e-12
    assert dual.gap == pytest.approx(rounded.gap, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("recover", ["polish", "dual", "round"])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", PROBLEMS)
def test_rows_are_the_columns_of_the_transposed_problem(name, k, recover):
    cost, a, b = PROBLEMS[name]()
    columns = solve_ksparse(cost, a, b, gamma=1.0, k=k, recover=recover)
    rows = solve_ksparse(cost.T, b, a, gamma=1.0, k=k, axis=1, recover=recover)
    assert (columns.axis, rows.axis) == (0, 1)
    assert rows.converged
    assert columns.converged
    # The start may look at the sides in another order: each knows the optimum to its own gap,
    # and gaps to what marginals right to 1e-9 make of them.
    slack = 1e-9 * abs(columns.value)
    assert rows.dual_value <= columns.dual_value + columns.gap + slack
    assert columns.dual_value <= rows.dual_value + rows.gap + slack


@pytest.mark.parametrize("recover", ["polish", "dual", "round"])
@pytest.mark.parametrize("k", [1, 3, 70])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_reads_give_the_same_bits(weighted, k, recover, rng):
    cost = rng.random((70, 70))
    # Integers: sums are equal without rounding, so that neither side is scaled to the other.
    a = rng.integers(1, 9, 70).astype(float) if weighted else None
    b = rng.permutation(a) if weighted else None
    columns = solve_ksparse(cost, a, b, gamma=1.0, k=k, recover=recover)
    rows = solve_ksparse(cost.T, b, a, gamma=1.0, k=k, axis=1, recover=recover)
    for field in ("dual_value", "gap", "n_iter", "n_binding", "extra_nnz", "max_nnz"):
        assert rows[field] == columns[field]
    np.testing.assert_array_equal(rows.plan.T, columns.plan)
    np.testing.assert_array_equal(rows.potentials[0], columns.potentials[1])


@pytest.mark.parametrize("k", [1, 3, 50])
def test_the_same_bits_for_any_number_of_threads(k, rng):
    cost = rng.random((300, 320))
    one, many = (solve_ksparse(cost, gamma=0.5, k=k, n_threads=count) for count in (1, 5))
    np.testing.assert_array_equal(one.plan, many.plan)
    for f, g in zip(one.potentials, many.potentials, strict=True):
        np.testing.assert_array_equal(f, g)
    assert (one.gap, one.n_iter, one.n_cg) == (many.gap, many.n_iter, many.n_cg)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis", [0, 1])
def test_any_layout(axis, layout, rng):
    cost = rng.random((35, 50)).astype(np.float32).astype(float)
    plain = solve_ksparse(cost, gamma=0.5, k=2, axis=axis)
    result = solve_ksparse(LAYOUTS[layout](cost), gamma=0.5, k=2, axis=axis)
    assert result.converged
    # Two solves of one problem: the bounds of each hold for the other.
    slack = 1e-12 * abs(plain.value) + 1e-9
    assert result.dual_value <= plain.value + slack
    assert plain.dual_value <= result.value + slack
    assert result.plan.dtype == (np.float32 if layout == "float32" else np.float64)


@pytest.mark.parametrize("k", [1, 2, 30])
def test_units_do_not_matter(k, rng):
    cost = rng.random((30, 40))
    a, b = rng.random(30), rng.random(40)
    b *= a.sum() / b.sum()
    plain = solve_ksparse(cost, a, b, gamma=0.5, k=k)
    # Powers of two scale without rounding, so that the bits must agree.
    for unit in (2.0**40, 2.0**-40):
        scaled = solve_ksparse(unit * cost, a, b, gamma=unit * 0.5, k=k)
        assert scaled.n_iter == plain.n_iter
        np.testing.assert_array_equal(scaled.plan, plain.plan)
        assert scaled.gap == unit * plain.gap
        assert scaled.dual_value == unit * plain.dual_value
        heavier = solve_ksparse(cost, unit * a, unit * b, gamma=0.5 / unit, k=k)
        assert heavier.n_iter == plain.n_iter
        np.testing.assert_array_equal(heavier.plan, unit * plain.plan)
        np.testing.assert_array_equal(heavier.potentials[0], plain.potentials[0])
        for field in ("value", "value_linear", "dual_value", "gap"):
            assert heavier[field] == unit * plain[field]
        np.testing.assert_array_equal(heavier.trace["objective"], unit * plain.trace["objective"])
    for scale, unit in (("max", cost.max()), ("mean", a @ cost @ b / a.sum() ** 2)):
        for axis in (0, 1):
            share = solve_ksparse(cost, a, b, gamma=0.5, gamma_scale=scale, k=k, axis=axis)
            per_line = a.sum() / cost.shape[1 - axis]
            np.testing.assert_allclose(share.gamma, 0.5 * unit / per_line, rtol=1e-13)


def test_shifts_and_order_do_not_matter(rng):
    cost = rng.random((25, 25))
    plain = solve_ksparse(cost, gamma=2.0, k=3, tol=1e-9)
    f, g = rng.random(25), rng.random(25)
    shifted = solve_ksparse(cost + f[:, None] + g, gamma=2.0, k=3, tol=1e-9)
    by = f.mean() + g.mean()
    # Each knows the optimum to its gap.
    assert abs(shifted.value - by - plain.value) <= shifted.gap + plain.gap + 1e-9
    order, other = rng.permutation(25), rng.permutation(25)
    moved = solve_ksparse(cost[order][:, other], gamma=2.0, k=3, tol=1e-9)
    assert abs(moved.value - plain.value) <= moved.gap + plain.gap + 1e-9


@pytest.mark.parametrize("mass", [1e-100, 1e-30, 1e30, 1e100])
def test_any_mass(mass, rng):
    cost = rng.random((12, 10))
    a = mass * rng.random(12)
    b = np.full(10, a.sum() / 10)
    for k in (1, 2, 12):
        result = solve_ksparse(cost, a, b, gamma=1 / mass, k=k)
        assert result.converged
        assert marginal_error(result.plan, a, b) <= 1e-9
        check_bounds(result, cost, a, b, 1 / mass, k)


def test_forbidden_edges(rng):
    cost = rng.random((20, 20))
    cost[rng.random((20, 20)) < 0.4] = np.inf
    np.fill_diagonal(cost, 0.5)
    for k in (1, 2, 20):
        result = solve_ksparse(cost, gamma=0.5, k=k)
        assert result.converged
        assert (result.plan[np.isinf(cost)] == 0).all()
        assert marginal_error(result.plan, uniform(20), uniform(20)) <= 1e-9
        allowed = np.where(np.isinf(cost), 0, cost)
        assert result.value_linear == pytest.approx((result.plan * allowed).sum(), rel=1e-13)
        assert result.value == pytest.approx(
            result.value_linear + 0.25 * squared_norms(result.plan, k), rel=1e-13
        )
        # A cost of 10, more than any plan needs to pay, allows no less than infinity does.
        dear = solve_ksparse(np.where(np.isinf(cost), 10.0, cost), gamma=0.5, k=k)
        assert dear.dual_value <= result.value + 1e-9
        assert result.dual_value <= result.value + 1e-9

"""The answers are right, and the certificate says how right."""

import mpmath
import numpy as np
import pytest
from scipy.optimize import linprog

from sparrot import Status
from sparrot.errors import ConvergenceWarning, InfeasibleProblemError
from sparrot.transport import solve, solve_sample
from tests.conftest import marginal_error, uniform

METHODS = ["auto", "sns", "sinkhorn"]


def reference_plan(cost, a, b, reg, iterations=3000):
    """Sinkhorn in 40 digits."""
    with mpmath.workdps(40):
        n, m = cost.shape
        kernel = [[mpmath.exp(-mpmath.mpf(c) / mpmath.mpf(reg)) for c in row] for row in cost]
        a, b = [mpmath.mpf(x) for x in a], [mpmath.mpf(x) for x in b]
        b = [x * mpmath.fsum(a) / mpmath.fsum(b) for x in b]
        v = [mpmath.mpf(1)] * m
        for _ in range(iterations):
            u = [a[i] / mpmath.fdot(kernel[i], v) for i in range(n)]
            new = [b[j] / mpmath.fsum(kernel[i][j] * u[i] for i in range(n)) for j in range(m)]
            change = max(abs(x / y - 1) for x, y in zip(v, new, strict=True))
            v = new
            if change < mpmath.mpf(10) ** -30:
                break
        else:
            raise AssertionError("the reference has not converged")
        return np.array([[float(u[i] * kernel[i][j] * v[j]) for j in range(m)] for i in range(n)])


def exact_cost(cost, a, b):
    """The transport cost without regularisation, by linear programming."""
    n, m = cost.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    solution = linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([a, b]))
    assert solution.status == 0
    return solution.fun


@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_forty_digits(method, rng):
    cost = rng.random((6, 9))
    a, b = rng.random(6) + 0.1, rng.random(9) + 0.1
    a, b = a / a.sum(), b / b.sum()
    result = solve(cost, a, b, reg=0.2, method=method, tol=1e-13, options=None)
    expected = reference_plan(cost, a, b, 0.2)
    np.testing.assert_allclose(result.plan, expected, rtol=1e-11)
    entropy = (expected * np.log(expected)).sum()
    np.testing.assert_allclose(result.value, (expected * cost).sum() + 0.2 * entropy, rtol=1e-12)
    np.testing.assert_allclose(result.value_linear, (expected * cost).sum(), rtol=1e-12)
    np.testing.assert_allclose(result.dual_value, result.value, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_closed_form(method):
    result = solve([[0.0, 1.0], [1.0, 0.0]], reg=0.5, tol=1e-14, method=method)
    diagonal = 0.5 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(np.diag(result.plan), diagonal, rtol=1e-15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reg", [1.0, 0.05, 0.003])
def test_certificate_is_what_a_stranger_measures(method, reg, rng):
    cost = rng.random((40, 60))
    a, b = rng.random(40) ** 3, rng.random(60)
    b *= a.sum() / b.sum()
    result = solve(cost, a, b, reg=reg, method=method, tol=1e-8)
    assert result.converged
    assert result.status is Status.CONVERGED
    f, g = result.potentials
    plan = np.exp((f[:, None] + g - cost) / reg)
    np.testing.assert_allclose(result.plan, plan, rtol=1e-11, atol=1e-270)
    measured = marginal_error(plan, a, b)
    assert measured <= 1e-8
    assert abs(measured - result.marginal_error) <= 1e-3 * measured + 1e-13
    np.testing.assert_allclose(result.value_linear, (plan * cost).sum(), rtol=1e-11)
    entropy = (plan * np.log(np.maximum(plan, 1e-300))).sum()
    np.testing.assert_allclose(result.value, (plan * cost).sum() + reg * entropy, rtol=1e-10)
    dual = f @ a + g @ b + reg * (a.sum() - plan.sum())
    np.testing.assert_allclose(result.dual_value, dual, rtol=1e-10)


@pytest.mark.parametrize("iterations", [1, 3, 10, 100])
@pytest.mark.parametrize("reg", [0.3, 0.01])
@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_gap_and_bounds_hold_for_answers_far_from_converged(iterations, reg, rng):
    cost = rng.random((12, 15))
    a, b = rng.random(12), rng.random(15)
    a, b = a / a.sum(), b / b.sum()
    result = solve(cost, a, b, reg=reg, method="sinkhorn", tol=1e-15, max_iter=iterations)
    optimum = solve(cost, a, b, reg=reg, tol=1e-12).value
    rounded = result.rounded_plan
    np.testing.assert_allclose(rounded.sum(1), a, rtol=1e-13)
    np.testing.assert_allclose(rounded.sum(0), b, rtol=1e-13)
    safe_log = np.log(np.where(rounded > 0, rounded, 1))
    regularised = (rounded * cost).sum() + reg * (rounded * safe_log).sum()
    assert result.dual_value <= optimum + 1e-12
    assert regularised <= result.dual_value + result.gap + 1e-12
    assert optimum <= result.dual_value + result.gap + 1e-12
    exact = exact_cost(cost, a, b)
    assert result.lower_bound <= exact + 1e-12
    assert exact <= result.upper_bound + 1e-12
    np.testing.assert_allclose(result.upper_bound, (rounded * cost).sum(), rtol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_the_unit_of_the_cost_and_of_the_mass_do_not_matter(method, rng):
    cost = rng.random((30, 20))
    a = rng.random(30)
    b = np.full(20, a.sum() / 20)
    plain = solve(cost, a, b, reg=0.02, method=method, tol=1e-9)
    # Powers of two scale without rounding, so that the bits must agree.
    for unit in (2.0**40, 2.0**-40):
        scaled = solve(cost * unit, a, b, reg=0.02 * unit, method=method, tol=1e-9)
        assert scaled.n_iter == plain.n_iter
        np.testing.assert_array_equal(scaled.plan, plain.plan)
        assert scaled.gap == plain.gap * unit
    heavier = solve(cost, 8 * a, 8 * b, reg=0.02, method=method, tol=1e-9)
    assert heavier.n_iter == plain.n_iter
    np.testing.assert_allclose(heavier.plan, 8 * plain.plan, rtol=1e-12)
    for scale, unit in (("max", cost.max()), ("mean", a @ cost @ b / a.sum() ** 2)):
        relative = solve(cost, a, b, reg=0.02 / unit, reg_scale=scale, method=method, tol=1e-9)
        np.testing.assert_allclose(relative.reg, 0.02, rtol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_shift_and_permutation(method, rng):
    cost = rng.random((25, 25))
    plain = solve(cost, reg=0.05, method=method, tol=1e-11)
    shifted = solve(
        cost + rng.random(25)[:, None] - rng.random(25), reg=0.05, method=method, tol=1e-11
    )
    np.testing.assert_allclose(shifted.plan, plain.plan, rtol=1e-7)
    order, other = rng.permutation(25), rng.permutation(25)
    moved = solve(cost[order][:, other], reg=0.05, method=method, tol=1e-11)
    np.testing.assert_allclose(moved.plan, plain.plan[order][:, other], rtol=1e-7)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("dimension", [1, 3, 20])
def test_points_are_their_cost_matrix(metric, dimension, rng):
    from scipy.spatial.distance import cdist

    x, y = rng.normal(size=(50, dimension)), rng.normal(size=(70, dimension)) + 0.5
    cost = cdist(x, y, metric)
    by_points = solve_sample(x, y, metric=metric, reg=0.05, reg_scale="max", tol=1e-10)
    by_matrix = solve(cost, reg=0.05, reg_scale="max", tol=1e-10)
    np.testing.assert_allclose(by_points.plan, by_matrix.plan, rtol=1e-7)
    np.testing.assert_allclose(by_points.value, by_matrix.value, rtol=1e-9)


def test_forbidden_edges(rng):
    cost = rng.random((20, 20))
    cost[rng.random((20, 20)) < 0.4] = np.inf
    np.fill_diagonal(cost, 0.5)
    result = solve(cost, reg=0.05, tol=1e-10)
    assert result.converged
    assert (result.plan[np.isinf(cost)] == 0).all()
    assert marginal_error(result.plan, uniform(20), uniform(20)) <= 1e-10
    allowed = np.where(np.isinf(cost), 0, cost)
    np.testing.assert_allclose(result.value_linear, (result.plan * allowed).sum(), rtol=1e-12)
    # Rounding adds a little mass everywhere: no certificate from above, and that is said.
    assert result.gap == np.inf
    assert result.upper_bound == np.inf
    assert result.lower_bound <= result.value_linear


def test_bounds_with_forbidden_edges_and_exact_marginals():
    cost = np.array([[0.0, np.inf], [np.inf, 3.0]])
    result = solve(cost, reg=0.1, tol=1e-14)
    assert result.gap < 1e-12
    assert result.lower_bound <= 1.5 <= result.upper_bound < 1.5 + 1e-12


@pytest.mark.parametrize("exponent", [-1000, -664, -300, 300, 900])
@pytest.mark.parametrize("max_iter", [1, 1000])
@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_any_total_mass(exponent, max_iter, rng):
    cost = rng.random((5, 6))
    a = rng.random(5)
    b = np.full(6, a.sum() / 6)
    scale = 2.0**exponent
    one = solve(cost, a, b, reg=0.1, method="sinkhorn", max_iter=max_iter, tol=1e-9)
    other = solve(
        cost, scale * a, scale * b, reg=0.1, method="sinkhorn", max_iter=max_iter, tol=1e-9
    )
    assert other.marginal_error == one.marginal_error
    np.testing.assert_array_equal(other.plan, scale * one.plan)
    np.testing.assert_array_equal(other.apply(np.ones(6)), scale * one.apply(np.ones(6)))
    np.testing.assert_allclose(other.sparse_plan.toarray(), scale * one.sparse_plan.toarray())
    for field in ("gap", "value_linear", "lower_bound", "upper_bound"):
        assert other[field] == scale * one[field]
    np.testing.assert_allclose(other.rounded_plan.sum(0), scale * b, rtol=1e-12)
    f, g = other.potentials
    np.testing.assert_allclose(np.exp((f[:, None] + g - cost) / 0.1), other.plan, rtol=1e-9)
    with np.errstate(under="ignore"):
        entropy = (other.plan * np.log(other.plan)).sum()
    np.testing.assert_allclose(other.value, other.value_linear + 0.1 * entropy, rtol=1e-9)
    assert other.dual_value <= other.value + 1e-9 * scale or max_iter == 1
    assert other.trace["objective"][-1] == pytest.approx(other.dual_value, rel=1e-9)


def test_a_long_standstill_is_not_a_stall():
    # Prices rise by the same amount for thousands of iterations, at the same error.
    cost = np.random.default_rng(5).random((30, 30))
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        result = solve(cost, reg=1e-5, method="sinkhorn", max_iter=4000)
    assert result.n_iter == 4000


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_every_iteration_ends_where_its_record_says(rng):
    # Costs far above reg and weights far apart: log-domain iterations and sweeps take turns.
    x, y = rng.normal(size=(8, 2)), rng.normal(size=(23, 2))
    cost = ((x[:, None] - y) ** 2).sum(-1)
    a, b = rng.random(8) ** 20, rng.random(23) ** 20
    for max_iter in range(1, 60):
        result = solve(
            cost, a / a.sum(), b / b.sum(), reg=1e-4, method="sinkhorn", max_iter=max_iter
        )
        assert result.trace["iteration"][-1] == max_iter
        assert result.trace["certificate"][-1] == pytest.approx(result.marginal_error, rel=1e-6)


def test_weights_whose_quotient_underflows():
    result = solve(np.full((2, 2), -400.0), [1e-250, 1.0], reg=2.0)
    assert result.converged
    assert np.isfinite(result.potentials[0]).all()
    assert np.isfinite(result.gap)


def test_a_row_that_cannot_be_served_is_named():
    cost = np.ones((3, 4))
    cost[1] = np.inf
    with pytest.raises(InfeasibleProblemError, match=r"row 1 has weight"):
        solve(cost, reg=0.1)
    with pytest.raises(InfeasibleProblemError, match=r"row 1 has weight"):
        solve(np.asfortranarray(cost), reg=0.1)
    with pytest.raises(InfeasibleProblemError, match=r"column 1 has weight"):
        solve(cost.T, reg=0.1)
    fine = solve(cost, [0.5, 0, 0.5], reg=0.1)  # nobody needs that row
    assert fine.converged


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mass", [1.0, 1e-30, 7e20])
def test_forbidden_edges_that_leave_no_plan_are_named(mass, method):
    # Rows 0 and 1 hold 2/3 of the mass and reach only column 0, which takes 1/3.
    cost = np.full((3, 3), np.inf)
    cost[:2, 0] = cost[2, :] = 1.0
    weights = np.full(3, mass / 3)
    message = r"rows 0, 1 \(0.6666666667 of the mass\) .* columns that take 0.3333333333 of it"
    with pytest.raises(InfeasibleProblemError, match=message):
        solve(cost, weights, weights, reg=0.1, method=method, max_iter=500)
    # The same seen from the columns: 1 and 2 are reached from row 2 alone.
    message = r"s \d.* \(0.6666666667 of the mass\) .* take 0.3333333333 of it"
    with pytest.raises(InfeasibleProblemError, match=message):
        solve(cost.T, weights, weights, reg=0.1, method=method, max_iter=500)


def test_who_asks_to_stop_gets_the_best_answer_so_far():
    cost = np.full((3, 3), np.inf)
    cost[:2, 0] = cost[2, :] = 1.0
    with pytest.warns(ConvergenceWarning, match="not converged"):
        assert not solve(cost, reg=0.1, max_time=0).converged
    with pytest.warns(ConvergenceWarning, match="the callback asked to stop"):
        assert not solve(cost, reg=0.1, callback=lambda state: True).converged


@pytest.mark.parametrize("shape", [(100_000, 30), (30, 100_000)])
def test_rounding_of_many_weights_does_not_rule_out_a_plan(shape, rng):
    cost = rng.random(shape)
    cost[-1, -1] = np.inf
    with pytest.warns(ConvergenceWarning, match="not converged"):
        result = solve(cost, reg=1e-3, tol=1e-12, max_iter=1)
    assert np.isfinite(result.marginal_error)


@pytest.mark.parametrize("excess", [0.3, 1e-3, 1e-5])
@pytest.mark.parametrize("reg", [1e-3, 0.1])
def test_many_rows_for_few_columns(reg, excess, rng):
    cost, b = rng.random((200, 150)), rng.random(150) + 0.1
    rows, columns = rng.choice(200, 10, replace=False), rng.choice(150, 6, replace=False)
    others = np.setdiff1d(np.arange(150), columns)
    cost[np.ix_(rows, others)] = np.inf
    room = 0.05 * (1 - excess)
    b[columns] *= room / b[columns].sum()
    b[others] *= (1 - room) / b[others].sum()
    with pytest.raises(InfeasibleProblemError) as caught:
        solve(cost, None, b, reg=reg, tol=1e-9)
    named = ", ".join(str(i) for i in sorted(rows)[:5])
    assert str(caught.value).startswith(f"rows {named} and 5 more (0.0500000000 of the mass)")
    # With room for them there is a plan, however tight.
    b[columns] *= 0.05 / room
    b[others] *= 0.95 / (1 - room)
    assert solve(cost, None, b, reg=reg, tol=1e-6).converged


@pytest.mark.parametrize("method", METHODS)
def test_float32_costs_are_solved_as_the_numbers_they_are(method, rng):
    cost = rng.random((30, 40)).astype(np.float32)
    result = solve(cost, reg=0.05, method=method, tol=1e-10)
    same = solve(cost.astype(np.float64), reg=0.05, method=method, tol=1e-10)
    assert result.plan.dtype == np.float32
    assert result.sparse_plan.dtype == np.float32
    assert result.potentials[0].dtype == np.float64
    np.testing.assert_array_equal(result.potentials[0], same.potentials[0])
    assert result.marginal_error == same.marginal_error
    exact = np.asarray(same.plan, dtype=np.float32)
    np.testing.assert_array_equal(result.plan, exact)
    np.testing.assert_array_equal(result.rounded_plan, same.rounded_plan)


@pytest.mark.parametrize("method", METHODS)
def test_callback_sees_every_newton_step_and_can_stop(method, rng):
    cost = rng.random((50, 50))
    seen = []
    with pytest.warns(ConvergenceWarning, match="callback"):
        result = solve(
            cost,
            reg=1e-3,
            method=method,
            tol=1e-12,
            callback=lambda state: seen.append(state) or len(seen) == 3,
        )
    assert result.status is Status.CALLBACK
    assert len(seen) == 3
    assert seen[-1].iteration == result.n_iter
    assert [s.iteration for s in seen] == list(result.trace["iteration"])
    assert seen[0].phase == "sinkhorn"


def test_a_callback_that_raises_is_heard(rng):
    def fails(state):
        raise LookupError("from the callback")

    with pytest.raises(LookupError, match="from the callback"):
        solve(rng.random((50, 50)), reg=1e-3, tol=1e-12, callback=fails)


@pytest.mark.parametrize("method", METHODS)
def test_max_time_and_max_iter_return_the_answer_so_far(method, rng):
    cost = rng.random((60, 60))
    with pytest.warns(ConvergenceWarning, match=r"max_time.*allow more"):
        result = solve(cost, reg=1e-4, method=method, tol=1e-13, max_time=0)
    assert result.status is Status.MAX_TIME
    assert np.isfinite(result.plan).all()
    with pytest.warns(ConvergenceWarning, match=r"max_iter.*marginal error"):
        result = solve(cost, reg=1e-4, method=method, tol=1e-13, max_iter=7)
    assert result.status is Status.MAX_ITER
    assert result.n_iter == 7
    assert result.marginal_error == pytest.approx(
        marginal_error(result.plan, uniform(60), uniform(60)), rel=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_limit_of_rounding_is_reached_and_told(method, rng):
    with pytest.warns(ConvergenceWarning, match="rounding"):
        result = solve(rng.random((40, 40)), reg=0.05, method=method, tol=0)
    assert result.status is Status.STALLED
    assert result.marginal_error < 1e-13


def test_verbose_prints_lines(rng, capsys):
    solve(rng.random((30, 30)), reg=0.01, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert any("newton" in line and "marginal error" in line for line in lines)
    assert len({len(line.split("entries")[0]) for line in lines}) == 1


def test_one_point_on_a_side(rng):
    for shape in ((1, 1), (1, 7), (7, 1)):
        result = solve(rng.random(shape), reg=0.1, tol=1e-14)
        np.testing.assert_allclose(result.plan, np.full(shape, 1 / max(shape)), rtol=1e-14)


def test_reg_scale_where_every_cost_is_zero():
    result = solve(np.zeros((3, 4)), reg=0.1, reg_scale="mean")
    np.testing.assert_allclose(result.plan, 1 / 12)

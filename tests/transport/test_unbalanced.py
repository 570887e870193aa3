"""Unbalanced transport: against references, limits that are known, and its own certificate."""

import pickle

import numpy as np
import pytest

from sparrot.errors import ConvergenceWarning, InfeasibleProblemError
from sparrot.transport import solve, solve_unbalanced, solve_unbalanced_sample

KINDS = ["kl", "entropy"]


def divergence(x, y):
    """``KL(x | y)``, where 0 log 0 is 0."""
    logs = np.log(np.where(x > 0, x, 1) / np.where(x > 0, y, 1))
    return float((x * logs - x + y).sum())


def objective(plan, cost, a, b, reg, reg_m, kind):
    """The objective, without sparrot."""
    moved = plan > 0
    paid = float((plan[moved] * cost[moved]).sum())
    if kind == "kl":
        smooth = divergence(plan, a[:, None] * b)
    else:
        smooth = float((plan[moved] * (np.log(plan[moved]) - 1)).sum())
    pairs = zip(reg_m, (plan.sum(1), plan.sum(0)), (a, b), strict=True)
    missed = sum(rho * divergence(x, w) for rho, x, w in pairs if np.isfinite(rho))
    return paid + reg * smooth + missed


def reference(cost, a, b, reg, reg_m, kind):
    """(plan, f, g) by the plain iteration in extended precision."""
    cost, a, b = (np.asarray(x, np.longdouble) for x in (cost, a, b))
    log_a, log_b = (np.log(a), np.log(b)) if kind == "kl" else (0 * a, 0 * b)

    def log_sum(x, axis):
        most = x.max(axis, keepdims=True)
        return np.log(np.exp(x - most).sum(axis)) + most.squeeze(axis)

    f, g = 0 * a, 0 * b
    for _ in range(20_000):
        before = f
        f = np.log(a) - log_a - log_sum((g - cost) / reg + log_b, 1)
        f /= 1 / reg_m[0] + 1 / np.longdouble(reg)
        g = np.log(b) - log_b - log_sum((f[:, None] - cost) / reg + log_a[:, None], 0)
        g /= 1 / reg_m[1] + 1 / np.longdouble(reg)
        if np.abs(f - before).max() < 1e-17 * np.abs(f).max():
            break
    plan = np.exp((f[:, None] + g - cost) / reg + log_a[:, None] + log_b)
    return tuple(x.astype(float) for x in (plan, f, g))


def asked_for(result):
    """The marginals that the potentials of a result ask for."""
    pairs = zip((result.a, result.b), result.potentials, result.reg_m, strict=True)
    return [
        np.where(np.isfinite(x), w * np.exp(-np.where(np.isfinite(x), x, 0) / rho), 0)
        for w, x, rho in pairs
    ]


def remeasured(result):
    """The marginal error, from the plan."""
    plan = np.asarray(result.plan, np.float64)
    rows, columns = asked_for(result)
    missed = np.abs(plan.sum(1) - rows).sum() + np.abs(plan.sum(0) - columns).sum()
    return missed / plan.sum() if missed else 0.0


@pytest.fixture
def problem(rng):
    """(cost, a, b), of masses 15.5 and 3.0."""
    a, b = rng.random(30) + 0.01, rng.random(25) + 0.01
    return rng.random((30, 25)), a / a.sum() * 15.5, b / b.sum() * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reg_m", [(0.01, 0.5), (0.3, 0.3), (2.0, 0.05)])
@pytest.mark.parametrize("reg", [0.01, 0.1, 1.0])
def test_against_extended_precision(reg, reg_m, kind, problem):
    cost, a, b = problem
    plan, f, g = reference(cost, a, b, reg, reg_m, kind)
    result = solve_unbalanced(cost, a, b, reg=reg, reg_m=reg_m, reg_type=kind, tol=1e-11)
    assert result.converged
    assert remeasured(result) <= 2e-11
    np.testing.assert_allclose(result.plan, plan, rtol=1e-8, atol=1e-12 * plan.max())
    np.testing.assert_allclose(result.potentials[0], f, atol=1e-9)
    np.testing.assert_allclose(result.potentials[1], g, atol=1e-9)
    assert result.mass == pytest.approx(plan.sum(), rel=1e-9)
    best = objective(plan, cost, a, b, reg, reg_m, kind)
    assert result.value == pytest.approx(best, rel=1e-11, abs=1e-11)
    assert result.dual_value == pytest.approx(best, rel=1e-11, abs=1e-11)
    assert result.value_linear == pytest.approx((cost * plan).sum(), rel=1e-8)


@pytest.mark.parametrize("reg_m", [(0.02, 5.0), (1.0, 1.0), (np.inf, 0.3), (0.3, np.inf)])
def test_one_point_each(reg_m):
    cost, a, b, reg = 0.7, 3.0, 0.25, 0.1
    result = solve_unbalanced([[cost]], [a], [b], reg=reg, reg_m=reg_m, tol=1e-13)
    # Stationary in p: cost + reg log(p / (a b)) + rho_a log(p / a) + rho_b log(p / b) = 0.
    rho_a, rho_b = reg_m
    if rho_a == np.inf:
        expected = a
    elif rho_b == np.inf:
        expected = b
    else:
        logs = reg * np.log(a * b) + rho_a * np.log(a) + rho_b * np.log(b) - cost
        expected = np.exp(logs / (reg + rho_a + rho_b))
    assert result.plan.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reg", [1e-3, 0.02, 0.5])
def test_high_prices_give_exact_marginals(reg, kind, problem):
    cost, a, b = problem
    a = a / a.sum() * b.sum()
    fixed = solve(cost, a, b, reg=reg, tol=1e-10)
    result = solve_unbalanced(cost, a, b, reg=reg, reg_m=1e7, reg_type=kind, tol=1e-10)
    assert result.converged
    assert np.abs(result.plan - fixed.plan).sum() <= 1e-6 * fixed.plan.sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("reg", [0.01, 0.1])
def test_one_fixed_marginal(reg, side, kind, problem):
    cost, a, b = problem
    reg_m = (np.inf, 0.2) if side == 0 else (0.2, np.inf)
    plan, f, g = reference(cost, a, b, reg, reg_m, kind)
    result = solve_unbalanced(cost, a, b, reg=reg, reg_m=reg_m, reg_type=kind, tol=1e-11)
    assert result.converged
    np.testing.assert_allclose(result.plan.sum(1 - side), (a, b)[side], rtol=1e-11)
    np.testing.assert_allclose(result.plan, plan, rtol=1e-8, atol=1e-12 * plan.max())
    np.testing.assert_allclose(result.potentials[0], f, atol=1e-9)
    np.testing.assert_allclose(result.potentials[1], g, atol=1e-9)
    best = objective(plan, cost, a, b, reg, reg_m, kind)
    assert result.value == pytest.approx(best, rel=1e-11)
    assert result.dual_value == pytest.approx(best, rel=1e-11)
    assert 0 <= result.gap <= 1e-10 * abs(best) + 1e-11


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("max_iter", [1, 3])
def test_one_fixed_marginal_cut_short(max_iter, side, problem):
    cost, a, b = problem
    reg_m = (np.inf, 0.2) if side == 0 else (0.2, np.inf)
    plan, *_ = reference(cost, a, b, 0.01, reg_m, "kl")
    best = objective(plan, cost, a, b, 0.01, reg_m, "kl")
    with pytest.warns(ConvergenceWarning, match="not converged"):
        result = solve_unbalanced(cost, a, b, reg=0.01, reg_m=reg_m, tol=1e-13, max_iter=max_iter)
    value = objective(result.plan, cost, a, b, 0.01, reg_m, "kl")
    np.testing.assert_allclose(result.plan.sum(1 - side), (a, b)[side], rtol=1e-12)
    assert result.value == pytest.approx(value, rel=1e-11)
    assert best - 1e-11 <= value <= best + result.gap
    assert result.dual_value <= best + 1e-11


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_iter", [1, 2, 5, 20])
def test_the_gap_covers_a_solve_cut_short(max_iter, kind, problem):
    cost, a, b = problem
    reg, reg_m = 0.003, (0.5, 3.0)
    plan, *_ = reference(cost, a, b, reg, reg_m, kind)
    best = objective(plan, cost, a, b, reg, reg_m, kind)
    with pytest.warns(ConvergenceWarning, match="not converged"):
        result = solve_unbalanced(
            cost, a, b, reg=reg, reg_m=reg_m, reg_type=kind, tol=1e-13, max_iter=max_iter
        )
    value = objective(result.plan, cost, a, b, reg, reg_m, kind)
    assert result.value == pytest.approx(value, rel=1e-11)
    assert best - 1e-12 <= value <= best + result.gap
    assert result.dual_value <= best + 1e-12
    assert result.gap <= 1.001 * (value - result.dual_value) + 1e-9
    assert remeasured(result) == pytest.approx(result.marginal_error, rel=1e-9)


def test_no_plan_is_better_than_the_dual_value(problem, rng):
    cost, a, b = problem
    arguments = {"reg": 0.05, "reg_m": (0.2, 0.7)}
    result = solve_unbalanced(cost, a, b, **arguments, tol=1e-10)
    for size in [1e-4, 1e-2, 1.0]:
        other = result.plan * np.exp(size * rng.normal(size=cost.shape))
        value = objective(other, cost, a, b, *arguments.values(), "kl")
        assert value > result.dual_value + 1e-9
    # Without the regularisation, too.
    missed = result.upper_bound - result.value_linear
    pairs = zip(result.reg_m, result.marginals, (a, b), strict=True)
    assert missed == pytest.approx(sum(rho * divergence(x, w) for rho, x, w in pairs), rel=1e-9)
    nearly = solve_unbalanced(cost, a, b, reg=1e-4, reg_m=(0.2, 0.7))
    assert result.lower_bound <= nearly.upper_bound
    assert nearly.upper_bound - nearly.lower_bound <= 0.01


def test_bounds_enclose_the_optimum_without_regularisation():
    # One row, one column: the best p has cost + rho_a log(p / a) + rho_b log(p / b) = 0.
    cost, a, b, rho_a, rho_b = 0.3, 2.0, 0.5, 0.7, 0.2
    p = np.exp((rho_a * np.log(a) + rho_b * np.log(b) - cost) / (rho_a + rho_b))
    best = objective(
        np.array([[p]]), np.array([[cost]]), *map(np.atleast_1d, (a, b)), 0, (rho_a, rho_b), "kl"
    )
    for reg in [1e-6, 0.01, 1.0]:
        result = solve_unbalanced([[cost]], [a], [b], reg=reg, reg_m=(rho_a, rho_b))
        assert result.lower_bound <= best <= result.upper_bound
        # With one point each the lower bound is the dual's optimum whatever reg is.
        assert result.lower_bound == pytest.approx(best, rel=1e-9)
    assert result.upper_bound > best + 1e-4


@pytest.mark.parametrize("ratio", [1e-6, 1e-2, 1.0, 1e3])
@pytest.mark.parametrize("reg_m", [(1e-3, 1e4), (1.0, 1.0), (1e4, 1e4), (1e14, 1e14), (1e20, 1.0)])
def test_masses_are_put_right_at_once(reg_m, ratio, problem):
    # The plain iteration takes of the order of reg_m / reg sweeps for that: up to 10^7.
    cost, a, b = problem
    result = solve_unbalanced(cost, a, b * ratio, reg=1e-3, reg_m=reg_m, tol=1e-9)
    assert result.converged
    assert result.n_iter <= 100
    assert remeasured(result) <= 1.1e-9


def test_little_regularisation_takes_newton_steps(problem):
    cost, a, b = problem
    result = solve_unbalanced(cost, a, b, reg=1e-5, reg_m=0.5, tol=1e-9)
    assert result.converged
    assert result.n_newton > 0
    assert result.n_iter <= 200
    assert result.gap <= 1e-8


FAMILIES = {
    "random": lambda rng, n, m: rng.random((n, m)),
    "points": lambda rng, n, m: (
        (rng.normal(size=(n, 1, 2)) - rng.normal(size=(1, m, 2))) ** 2
    ).sum(-1),
    "ties": lambda rng, n, m: rng.integers(0, 4, (n, m)).astype(float),
    "heavy tail": lambda rng, n, m: 1e3 * rng.random((n, m)) ** 8,
    "negative": lambda rng, n, m: -np.log(rng.random((n, m))) - 5,
    "forbidden": lambda rng, n, m: np.where(rng.random((n, m)) < 0.1, np.inf, rng.random((n, m))),
}


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("family", FAMILIES)
def test_random_problems(family, seed):
    rng = np.random.default_rng([seed, len(family)])
    n, m = (int(2 * 100 ** rng.random()) for _ in range(2))
    cost = FAMILIES[family](rng, n, m)
    a, b = rng.random(n) ** rng.choice([0, 1, 4]), rng.random(m) ** rng.choice([0, 1, 4])
    a[1:][rng.random(n - 1) < 0.1] = 0
    b *= a.sum() / b.sum() * 10 ** rng.uniform(-2, 2)
    unit = np.abs(cost[np.isfinite(cost)]).max(initial=1e-3)
    reg, reg_m = unit * 10 ** rng.uniform(-5, 0), unit * 10 ** rng.uniform(-3, 3, 2)
    kind = str(rng.choice(KINDS))
    result = solve_unbalanced(cost, a, b, reg=reg, reg_m=tuple(reg_m), reg_type=kind, tol=1e-9)
    assert result.converged
    assert remeasured(result) <= 1.1e-9
    assert 0 <= result.gap < np.inf
    assert result.lower_bound <= result.upper_bound
    value = objective(result.plan, cost, result.a, result.b, reg, reg_m, kind)
    # What the terms of the objective may add up to: each is computed to about 1e-13 of its own.
    logs = reg * np.abs(np.log(np.where(result.plan > 0, result.plan, 1)))
    terms = (result.plan * (np.abs(np.where(np.isfinite(cost), cost, 0)) + logs)).sum()
    for rho, x, w in zip(reg_m, result.marginals, (a, b), strict=True):
        terms += rho * (
            w.sum()
            + x.sum()
            + np.abs(x * np.log(np.where(x > 0, x / np.where(w > 0, w, 1), 1))).sum()
        )
    assert result.value == pytest.approx(value, abs=1e-11 * (terms + reg * a.sum() * b.sum()))
    assert result.gap <= 1e-9 * (terms + reg * a.sum() * b.sum())


def test_points_with_nothing_but_forbidden_edges_are_missed(problem):
    cost, a, b = problem
    cost[3] = cost[:, 7] = np.inf
    result = solve_unbalanced(cost, a, b, reg=0.01, reg_m=0.5, tol=1e-9)
    assert result.converged
    rows, columns = result.marginals
    assert rows[3] == columns[7] == 0
    assert result.potentials[0][3] == result.potentials[1][7] == -np.inf
    others = [np.delete(x, k) for x, k in ((a, 3), (b, 7))]
    smaller = solve_unbalanced(
        np.delete(np.delete(cost, 3, 0), 7, 1), *others, reg=0.01, reg_m=0.5, tol=1e-9
    )
    np.testing.assert_allclose(np.delete(rows, 3), smaller.marginals[0], rtol=1e-7)
    # They are paid for; to the regularisation they are of the mass that they have in a b'.
    in_reference = a.sum() * b.sum() - others[0].sum() * others[1].sum()
    paid = 0.5 * (a[3] + b[7]) + 0.01 * in_reference
    assert result.value == pytest.approx(smaller.value + paid, rel=1e-9)
    again = solve_unbalanced(cost, a, b, reg=0.01, reg_m=0.5, tol=1e-9, init=result)
    assert again.n_iter <= 2
    with pytest.raises(InfeasibleProblemError, match="row 3 has weight"):
        solve_unbalanced(cost, a, b, reg=0.01, reg_m=(np.inf, 0.5))
    with pytest.raises(InfeasibleProblemError, match="column 7 has weight"):
        solve_unbalanced(cost, a, b, reg=0.01, reg_m=(0.5, np.inf))


def test_what_is_too_far_is_missed_altogether():
    result = solve_unbalanced([[1e4, 2e4]], [1.0], [0.5, 0.5], reg=0.1, reg_m=0.2)
    assert result.converged
    assert result.mass == result.value_linear == 0
    assert result.value == pytest.approx(0.2 * 2 + 0.1 * 1.0, rel=1e-12)
    assert 0 <= result.gap <= 1e-10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray, lambda x: x[::-1][::-1]])
def test_layouts(layout, dtype, problem):
    cost, a, b = problem
    arguments = {"reg": 0.02, "reg_m": (0.3, 0.1), "tol": 1e-10}
    given = layout(cost.astype(dtype))
    given.flags.writeable = False
    result = solve_unbalanced(given, a, b, **arguments)
    plain = solve_unbalanced(cost.astype(dtype).astype(float), a, b, **arguments)
    assert result.plan.dtype == dtype
    np.testing.assert_allclose(result.plan, plain.plan, rtol=2e-6 if dtype == np.float32 else 1e-7)
    turned = solve_unbalanced(cost.astype(dtype).T, b, a, reg=0.02, reg_m=(0.1, 0.3), tol=1e-10)
    assert turned.value == pytest.approx(plain.value, rel=1e-9)
    np.testing.assert_allclose(turned.potentials[1], plain.potentials[0], atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [2.0**-300, 3e-9, 7e12, 2.0**300])
def test_units(factor, kind, problem):
    cost, a, b = problem
    arguments = {"reg_type": kind, "tol": 1e-10}
    plain = solve_unbalanced(cost, a, b, reg=0.02, reg_m=(0.3, 0.1), **arguments)
    scaled = solve_unbalanced(
        factor * cost, a, b, reg=factor * 0.02, reg_m=(factor * 0.3, factor * 0.1), **arguments
    )
    np.testing.assert_allclose(scaled.plan, plain.plan, rtol=1e-8)
    assert scaled.value == pytest.approx(factor * plain.value, rel=1e-10)
    unit = cost.max()
    shares = {"reg": 0.02 / unit, "reg_m": (0.3 / unit, 0.1 / unit), "reg_scale": "max"}
    relative = solve_unbalanced(cost, a, b, **shares, **arguments)
    assert relative.reg_m == pytest.approx((0.3, 0.1))
    np.testing.assert_allclose(relative.plan, plain.plan, rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [2.0**-300, 1e-9, 1e40])
def test_masses_of_any_size(factor, kind, problem):
    # With weights s a, s b the plan is s times what it is for costs changed by reg log s.
    cost, a, b = problem
    reg, reg_m = 0.02, (0.3, 0.1)
    arguments = {"reg": reg, "reg_m": reg_m, "reg_type": kind, "tol": 1e-10}
    result = solve_unbalanced(cost, factor * a, factor * b, **arguments)
    shift = reg * np.log(factor) * (1 if kind == "entropy" else -1)
    plan, f, g = reference(cost + shift, a, b, reg, reg_m, kind)
    np.testing.assert_allclose(result.plan / factor, plan, rtol=1e-7, atol=1e-12 * plan.max())
    np.testing.assert_allclose(result.potentials[0], f, atol=1e-8)
    np.testing.assert_allclose(result.potentials[1], g, atol=1e-8)
    best = objective(factor * plan, cost, factor * a, factor * b, reg, reg_m, kind)
    assert result.value == pytest.approx(best, rel=1e-10)
    assert result.dual_value == pytest.approx(best, rel=1e-10)
    assert 0 <= result.gap <= 1e-9 * abs(best)


def test_points_are_their_distances(rng):
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) + 0.3
    a, b = rng.random(40), rng.random(30)
    arguments = {"reg": 0.05, "reg_m": (1.0, 0.4), "tol": 1e-10}
    result = solve_unbalanced_sample(x, y, a, b, **arguments)
    cost = ((x[:, None] - y) ** 2).sum(-1)
    plain = solve_unbalanced(cost, a, b, **arguments)
    np.testing.assert_allclose(result.plan, plain.plan, rtol=1e-7)
    assert result.gap <= 1e-9


def test_points_too_many_for_their_plan(rng):
    # More than 2^26 pairs: coarse levels on some points, then only the entries that matter.
    x, y = rng.random((8300, 2)), rng.random((8200, 2)) * 0.8
    result = solve_unbalanced_sample(
        x, y, np.ones(8300), np.ones(8200), reg=2e-3, reg_m=0.05, tol=1e-4
    )
    assert result.converged
    rows, columns = asked_for(result)
    missed = sum(
        np.abs(x - y).sum() for x, y in zip(result.marginals, (rows, columns), strict=True)
    )
    assert missed <= 1.001e-4 * result.mass
    assert result.gap <= 1e-6 * result.value


def test_the_result(problem):
    cost, a, b = problem
    result = solve_unbalanced(cost, a, b, reg=0.02, reg_m=(0.3, 0.1), tol=1e-10)
    plan = result.plan
    f, g = result.potentials
    expected = a[:, None] * b * np.exp((f[:, None] + g - cost) / 0.02)
    np.testing.assert_allclose(plan, expected, rtol=1e-11)
    np.testing.assert_allclose(result.marginals[0], plan.sum(1), rtol=1e-12)
    np.testing.assert_allclose(result.marginals[1], plan.sum(0), rtol=1e-12)
    assert result.mass == pytest.approx(plan.sum(), rel=1e-12)
    sparse = result.to_sparse(1e-6)
    assert sparse.nnz < plan.size
    assert np.all(plan.sum(1) - sparse.sum(1) <= 1e-6 * plan.sum(1))
    copy = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(copy.plan, plan)
    assert result["reg_type"] == "kl"
    with pytest.raises(AttributeError, match="UnbalancedResult is frozen"):
        result.gap = 0.0


def test_threads_do_not_change_the_result(rng):
    cost = rng.random((600, 500))  # large enough for single precision, too
    results = [
        solve_unbalanced(cost, reg=1e-3, reg_m=0.1, n_threads=threads) for threads in (1, 2, 3)
    ]
    assert results[0].converged
    assert remeasured(results[0]) <= 1.001e-6
    for other in results[1:]:
        np.testing.assert_array_equal(other.potentials[0], results[0].potentials[0])
        assert other.value == results[0].value

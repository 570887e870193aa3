"""The method "auto" converges on whatever comes, in few iterations, and with the same bits."""

import numpy as np
import pytest

from sparrot.transport import solve, solve_sample
from tests.conftest import marginal_error, uniform


def clouds(rng, n, m, dimension=2):
    """Two sets of points, to be subtracted."""
    return (
        rng.normal(size=(n, 1, dimension)),
        rng.normal(size=(1, m, dimension)) + rng.normal(),
    )


def squared_euclidean(rng, n, m):
    x, y = clouds(rng, n, m, dimension=rng.integers(1, 6))
    return ((x - y) ** 2).sum(-1)


def rounded_points(rng, n, m):
    x, y = clouds(rng, n, m)
    return ((x.round(1) - y.round(1)) ** 2).sum(-1)


def city_block(rng, n, m):
    x, y = clouds(rng, n, m)
    return np.abs(x - y).sum(-1)


def grids(rng, n, m):
    distance = np.abs(np.linspace(0, 1, n)[:, None] - np.linspace(0, 1, m))
    return distance ** rng.choice([0.5, 1, 2, 3])


def blocks(rng, n, m):
    cost = rng.random((n, m))
    cost[n // 2 :, : m // 2] += rng.choice([1, 1e3])
    return cost


FAMILIES = {
    "random": lambda rng, n, m: rng.random((n, m)),
    "squared Euclidean": squared_euclidean,
    "L1": city_block,
    "ties": lambda rng, n, m: rng.integers(0, 5, (n, m)).astype(float),
    "grids": grids,
    "blocks": blocks,
    "rounded points": rounded_points,
}


def weights(rng, size):
    """Uniform, uneven or very uneven weights; some of them may be 0."""
    values = rng.random(size) ** rng.choice([0, 4, 12])
    if size > 3 and rng.random() < 0.2:
        values[rng.permutation(size)[: size // 3]] = 0
    return values / values.sum()


def random_problem(family, seed, largest=400):
    """(cost, a, b, reg) of any size up to `largest` on a side, reg from 1e-5 to 1 of the cost."""
    rng = np.random.default_rng([list(FAMILIES).index(family), seed])
    n, m = (int(size) for size in np.exp(rng.uniform(np.log(2), np.log(largest), size=2)))
    cost = FAMILIES[family](rng, n, m)
    reg = 10 ** rng.uniform(-5, 0) * (cost.max() or 1.0)
    return cost, weights(rng, n), weights(rng, m), reg


@pytest.mark.parametrize("seed", range(43))
@pytest.mark.parametrize("family", FAMILIES)
def test_random_problems_converge(family, seed):
    cost, a, b, reg = random_problem(family, seed)
    result = solve(cost, a, b, reg=reg, tol=1e-9)
    assert result.converged
    assert marginal_error(result.plan, a, b) <= 1e-9 + 1e-13
    assert result.gap >= 0
    assert result.lower_bound <= result.upper_bound


@pytest.mark.parametrize("reg", [3e-4, 1e-4, 3e-5])
def test_a_standstill_at_a_small_error_is_not_the_limit_of_rounding(reg):
    # The other methods get to 1e-12.
    cost = np.abs(np.array([[0.0], [1.0]]) - np.linspace(0, 1, 8))
    a = np.array([1 - 1e-9, 1e-9])
    b = np.array([5e-7, 1, 4e-5, 3e-4, 7e-4, 3e-16, 2e-3, 1e-14])
    result = solve(cost, a, b / b.sum(), reg=reg, tol=1e-9)
    assert result.converged


def uneven_line(n, m, seed):
    """(cost, a, b): points on a line, most of them of hardly any weight."""
    rng = np.random.default_rng(seed)
    cost = np.abs(np.linspace(0, 1, n)[:, None] - np.linspace(0, 1, m))
    a, b = rng.random(n) ** 12, rng.random(m) ** 12
    return cost, a / a.sum(), b / b.sum()


UNEVEN_LINES = [(520, 510, 4), (520, 510, 5), (413, 2252, 0), (413, 2252, 5)]


@pytest.mark.parametrize("problem", UNEVEN_LINES)
def test_very_uneven_weights_on_a_line(problem):
    cost, a, b = uneven_line(*problem)
    result = solve(cost, a, b, reg=3e-5, tol=1e-9, max_iter=2000)
    assert result.converged
    assert marginal_error(result.plan, a, b) <= 1e-9 + 1e-13


@pytest.mark.parametrize("problem", [*UNEVEN_LINES, (600, 500, 0)])
@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_no_long_time_passes_between_records(problem):
    # A record is when callbacks are heard and time is looked at.
    cost, a, b = uneven_line(*problem)
    result = solve(cost, a, b, reg=3e-5, tol=1e-9, max_iter=2000)
    recorded = np.r_[0, result.trace["iteration"], result.n_iter]
    assert np.diff(recorded).max() <= 30


def assignment(rng):
    """At this reg the plan is numerically a permutation, each pair by itself."""
    return rng.random((1000, 1000))


def colours(rng):
    """Pixels of two pictures: points in a cube, in clusters, many of them the same."""

    def pixels():
        centres, shares = rng.random((12, 3)), rng.dirichlet(np.ones(12))
        points = centres[rng.choice(12, 1000, p=shares)] + 0.05 * rng.normal(size=(1000, 3))
        return (255 * points.clip(0, 1)).round() / 255

    return ((pixels()[:, None] - pixels()) ** 2).sum(-1)


@pytest.mark.parametrize("build", [assignment, colours])
@pytest.mark.parametrize("seed", range(2))
def test_nearly_singular_equations_take_few_iterations(build, seed):
    cost = build(np.random.default_rng(seed))
    result = solve(cost, reg=1e-4, reg_scale="max", tol=1e-9)
    assert marginal_error(result.plan, uniform(1000), uniform(1000)) <= 1e-9 + 1e-13
    assert result.n_cg <= 300
    assert result.n_iter <= 300


SHAPES = [(1, 1), (1, 3000), (3000, 1), (2, 3000), (3000, 2), (3, 1000), (40, 700), (700, 40)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reg", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_any_shape_layout_and_type(shape, reg, dtype, rng):
    cost = rng.random(shape).astype(dtype)
    a, b = rng.random(shape[0]) ** 4, rng.random(shape[1])
    a, b = a / a.sum(), b / b.sum()
    for layout in (np.ascontiguousarray, np.asfortranarray):
        result = solve(layout(cost), a, b, reg=reg, tol=1e-9)
        f, g = result.potentials
        plan = np.exp((f[:, None] + g - cost.astype(np.float64)) / reg)
        assert marginal_error(plan, a, b) <= 1e-9 + 1e-13
        assert result.plan.dtype == dtype
        rtol, atol = (1e-6, 1e-37) if dtype is np.float32 else (1e-9, 1e-270)
        np.testing.assert_allclose(result.plan, plan, rtol=rtol, atol=atol)


@pytest.mark.parametrize("dimension", [1, 3, 12])
@pytest.mark.parametrize("sizes", [(30, 500), (500, 30), (600, 550)])
def test_points(sizes, dimension, rng):
    x, y = (rng.normal(size=(size, dimension)) for size in sizes)
    result = solve_sample(x, y, reg=1e-3, reg_scale="max", tol=1e-9)
    assert marginal_error(result.plan, uniform(sizes[0]), uniform(sizes[1])) <= 1e-9 + 1e-13


@pytest.mark.parametrize("exponent", [-300, -40, 1, 40, 300])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_unit_of_the_cost_changes_no_bit(family, exponent):
    unit = 2.0**exponent
    for seed in (3, 4, 5):
        cost, a, b, reg = random_problem(family, seed)
        one = solve(cost, a, b, reg=reg, tol=1e-9)
        other = solve(unit * cost, a, b, reg=unit * reg, tol=1e-9)
        for field in ("n_iter", "n_newton", "n_cg", "marginal_error", "status"):
            assert other[field] == one[field]
        for field in ("gap", "value", "dual_value", "lower_bound", "upper_bound"):
            assert other[field] == unit * one[field]
        np.testing.assert_array_equal(other.plan, one.plan)
        np.testing.assert_array_equal(other.trace["certificate"], one.trace["certificate"])


@pytest.mark.parametrize("tol", [1e-5, 1e-9])
def test_the_unit_of_the_cost_changes_no_bit_of_large_plans(tol, rng):
    # Large enough for the plan to be stored in single precision on the way.
    cost = rng.random((700, 650))
    one = solve(cost, reg=1e-3, tol=tol)
    for unit in (2.0**-300, 2.0**300):
        other = solve(unit * cost, reg=unit * 1e-3, tol=tol)
        assert other.n_iter == one.n_iter
        np.testing.assert_array_equal(other.plan, one.plan)


# Exponentials are shared out from 200,000 entries on, other reads from 800,000.
@pytest.mark.parametrize("shape", [(1000, 900), (9000, 100), (90, 9000), (2, 300_000)])
@pytest.mark.parametrize("reg", [0.05, 2e-3])
@pytest.mark.parametrize("tol", [1e-4, 1e-9])
def test_the_same_bits_for_any_number_of_threads(shape, reg, tol, rng):
    cost = rng.random(shape)
    a, b = rng.random(shape[0]) ** 2, rng.random(shape[1])
    keywords = {"a": a / a.sum(), "b": b / b.sum(), "reg": reg, "tol": tol}
    one = solve(cost, n_threads=1, **keywords)
    assert one.converged
    for threads in (2, 3):
        other = solve(cost, n_threads=threads, **keywords)
        for ours, theirs in zip(one.potentials, other.potentials, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for field in ("n_iter", "n_newton", "n_cg", "marginal_error", "gap", "value"):
            assert other[field] == one[field]


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_points_and_columns_too(layout, rng):
    x, y = rng.normal(size=(1000, 3)), rng.normal(size=(1100, 3))
    keywords = {"reg": 1e-3, "reg_scale": "max", "tol": 1e-8}
    cost = layout(((x[:, None] - y) ** 2).sum(-1))
    for calls in (
        [solve_sample(x, y, n_threads=threads, **keywords) for threads in (1, 2, 3)],
        [solve(cost, n_threads=threads, **keywords) for threads in (1, 2, 3)],
    ):
        for other in calls[1:]:
            np.testing.assert_array_equal(other.potentials[0], calls[0].potentials[0])
            np.testing.assert_array_equal(other.potentials[1], calls[0].potentials[1])


def test_the_dual_value_is_recorded_once_the_regularisation_is_reached(rng):
    result = solve(rng.random((60, 50)), reg=1e-4, tol=1e-9)
    objective = result.trace["objective"]
    known = np.isfinite(objective)
    assert not known[0]
    assert known[-1]
    assert (np.diff(known.astype(int)) >= 0).all()
    assert np.isfinite(result.trace["certificate"]).all()
    assert objective[-1] == pytest.approx(result.dual_value, rel=1e-9)
    large = solve(rng.random((60, 50)), reg=1.0, tol=1e-9)
    assert np.isfinite(large.trace["objective"]).all()


@pytest.mark.parametrize("seed", range(5))
def test_sweeps_learn_from_those_before_them(seed):
    rng = np.random.default_rng(seed)
    cost, (a, b) = rng.random((200, 150)), (w / w.sum() for w in (rng.random(200), rng.random(150)))
    learning, plain = (
        solve(cost, a, b, reg=0.02, tol=1e-9, method=method) for method in ("auto", "sinkhorn")
    )
    assert learning.n_newton == 0
    assert learning.n_iter <= 0.6 * plain.n_iter

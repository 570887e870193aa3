"""Potentials to start from: a good start is used, a bad one does no harm."""

import numpy as np
import pytest

from sparrot import Status
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.transport import solve, solve_sample
from tests.conftest import marginal_error

METHODS = ["auto", "sns", "sinkhorn"]

FAMILIES = {
    "random": lambda rng, n, m: rng.random((n, m)),
    "points": lambda rng, n, m: (
        (rng.normal(size=(n, 1, 2)) - rng.normal(size=(1, m, 2))) ** 2
    ).sum(-1),
    "L1 grid": lambda rng, n, m: np.abs(np.linspace(0, 1, n)[:, None] - np.linspace(0, 1, m)),
    "ties": lambda rng, n, m: rng.integers(0, 4, (n, m)).astype(float),
}


def weights(rng, n, m):
    a, b = rng.random(n) ** 3, rng.random(m)
    return a / a.sum(), b / b.sum()


@pytest.fixture
def problem(rng):
    """(cost, a, b)."""
    return rng.random((30, 25)), *weights(rng, 30, 25)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reg", [0.3, 0.05, 0.02])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_solution_is_found_again_at_once(family, reg, method, rng):
    cost = FAMILIES[family](rng, 40, 30)
    a, b = weights(rng, 40, 30)
    keywords = {"reg": reg, "method": method, "tol": 1e-9}
    first = solve(cost, a, b, **keywords)
    again = solve(cost, a, b, init=first, **keywords)
    assert again.converged
    assert again.n_iter <= 2
    np.testing.assert_allclose(again.plan, first.plan, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 300), (300, 2), (600, 500)])
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray])
@pytest.mark.parametrize("tol", [1e-5, 1e-10])
def test_any_shape_and_layout(tol, layout, shape, rng):
    # The sides change places where the matrix is by columns, or wide.
    cost = rng.random(shape)
    a, b = weights(rng, *shape)
    first = solve(layout(cost), a, b, reg=0.02, tol=tol)
    for same in (cost, np.asfortranarray(cost)):
        again = solve(same, a, b, reg=0.02, tol=2 * tol, init=first)
        assert again.converged
        assert again.n_iter <= 2


def test_points_are_a_problem_like_any_other(rng):
    for n, m in ((40, 60), (60, 40)):
        x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
        first = solve_sample(x, y, reg=0.05, tol=1e-9)
        assert solve_sample(x, y, reg=0.05, tol=1e-9, init=first).n_iter <= 2
        assert solve_sample(x, y, reg=0.05, tol=1e-9, init=first.potentials).n_iter <= 2


@pytest.mark.parametrize(
    "given",
    [
        lambda f, g: (f, g),
        lambda f, g: [f, g],
        lambda f, g: (f.tolist(), g.tolist()),
        lambda f, g: (f + 0.25, g - 0.25),
        lambda f, g: (f[::-1].copy()[::-1], np.repeat(g, 2)[::2]),
        lambda f, g: (f.astype(">f8"), g),
    ],
)
def test_potentials_may_be_given_in_any_form(given, problem):
    first = solve(*problem, reg=0.05, tol=1e-9)
    again = solve(*problem, reg=0.05, tol=1e-8, init=given(*first.potentials))
    assert again.converged
    assert again.n_iter <= 2


def test_numbers_of_other_types_are_converted(problem):
    first = solve(*problem, reg=0.05, tol=1e-9)
    rough = tuple(potential.astype(np.float32) for potential in first.potentials)
    assert solve(*problem, reg=0.05, tol=1e-9, init=rough).n_iter <= first.n_iter
    zeros = (np.zeros(30, dtype=int), np.zeros(25, dtype=bool))
    assert solve(*problem, reg=0.3, tol=1e-9, init=zeros).converged


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mass", [2.0**-600, 0.3, 1.0, 5.0, 1e6])
def test_potentials_of_any_mass(mass, method, problem):
    cost, a, b = problem
    keywords = {"reg": 0.05, "method": method, "tol": 1e-9}
    first = solve(cost, mass * a, mass * b, **keywords)
    again = solve(cost, mass * a, mass * b, init=first, **keywords)
    assert again.n_iter <= 2
    np.testing.assert_allclose(again.value, first.value, rtol=1e-7)
    # Those of another mass differ by a constant.
    light = solve(cost, a, b, **keywords)
    assert solve(cost, mass * a, mass * b, init=light, **keywords).n_iter <= 2


def test_a_start_at_another_regularisation_helps(problem):
    cold = solve(*problem, reg=0.005, tol=1e-9)
    near = solve(*problem, reg=0.006, tol=1e-9)
    warm = solve(*problem, reg=0.005, tol=1e-9, init=near)
    assert warm.converged
    assert warm.n_iter < cold.n_iter


def test_a_start_from_a_similar_problem_helps(problem, rng):
    cost, a, b = problem
    similar = solve(cost + 1e-4 * rng.random(cost.shape), a, b, reg=0.005, tol=1e-9)
    cold = solve(cost, a, b, reg=0.005, tol=1e-9)
    warm = solve(cost, a, b, reg=0.005, tol=1e-9, init=similar)
    assert warm.converged
    assert warm.n_iter < cold.n_iter


@pytest.mark.parametrize("method", METHODS)
def test_what_is_said_of_points_without_weight_is_not_looked_at(method, problem):
    cost, a, b = problem
    a[[0, 7, 29]] = b[[3, 24]] = 0
    a, b = a / a.sum(), b / b.sum()
    keywords = {"reg": 0.05, "method": method, "tol": 1e-9}
    first = solve(cost, a, b, **keywords)
    assert np.isneginf(first.potentials[0][a == 0]).all()
    assert solve(cost, a, b, init=first, **keywords).n_iter <= 2
    for anything in (np.nan, np.inf, -np.inf, 1e300, 0.0):
        f = np.where(a == 0, anything, first.potentials[0])
        g = np.where(b == 0, anything, first.potentials[1])
        again = solve(cost, a, b, init=(f, g), **keywords)
        assert again.n_iter <= 2
        assert np.isneginf(again.potentials[0][a == 0]).all()
        assert (again.plan[a == 0] == 0).all()
        assert (again.plan[:, b == 0] == 0).all()


FAR_OFF = [1.0, 10.0, 1e3, 1e9, 1e12, 1e150, 1e300]


@pytest.mark.parametrize("size", FAR_OFF)
@pytest.mark.parametrize("reg", [0.1, 0.01, 1e-3])
@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_potentials_that_are_far_off_do_no_harm(reg, size, problem, rng):
    cost, a, b = problem
    cold = solve(cost, a, b, reg=reg, tol=1e-9)
    signs = rng.choice([-1.0, 1.0], 30), rng.choice([-1.0, 1.0], 25)
    for start in (
        (size * signs[0], size * signs[1]),
        (size * rng.normal(size=30), size * rng.normal(size=25)),
        (np.full(30, size), np.full(25, -size)),
    ):
        result = solve(cost, a, b, reg=reg, tol=1e-9, init=start, max_iter=1000)
        assert marginal_error(result.plan, a, b) <= 1e-9
        assert result.dual_value <= cold.dual_value + cold.gap
        assert cold.dual_value <= result.dual_value + result.gap


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1e6, 1e12, 1e300, 1.7e308])
@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_however_far_off_the_answer_is_finite_and_its_certificate_true(size, method, problem, rng):
    cost, a, b = problem
    start = size * rng.choice([-1.0, 1.0], 30), size * rng.choice([-1.0, 1.0], 25)
    result = solve(
        cost, a, b, reg=0.05, method=method, tol=1e-9, init=start, max_iter=300, max_time=20
    )
    assert np.isfinite(result.plan).all()
    measured = marginal_error(result.plan, a, b)
    assert result.marginal_error == pytest.approx(measured, rel=1e-3, abs=1e-12)
    assert result.converged == (result.marginal_error <= 1e-9)


def test_the_objective_of_a_warm_start_is_known_from_the_first_iteration(problem):
    near = solve(*problem, reg=0.006, tol=1e-9)
    warm = solve(*problem, reg=0.005, tol=1e-12, init=near)
    assert np.isfinite(warm.trace["objective"]).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_start_is_not_changed_nor_kept(method, problem):
    first = solve(*problem, reg=0.05, tol=1e-4)
    f, g = (potential.copy() for potential in first.potentials)
    result = solve(*problem, reg=0.05, method=method, tol=1e-9, init=(f, g))
    np.testing.assert_array_equal(f, first.potentials[0])
    np.testing.assert_array_equal(g, first.potentials[1])
    plan = result.plan.copy()
    f[:] = g[:] = np.nan
    np.testing.assert_allclose(result.apply(np.eye(25)), plan, rtol=1e-12)


def test_the_time_and_the_iterations_allowed_hold_for_a_warm_start_too(problem):
    near = solve(*problem, reg=0.01, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        result = solve(*problem, reg=0.005, tol=1e-12, init=near, max_iter=2)
    assert result.n_iter == 2
    assert result.status is Status.MAX_ITER
    with pytest.warns(ConvergenceWarning, match="max_time"):
        result = solve(*problem, reg=0.005, tol=1e-12, init=near, max_time=0)
    assert result.status is Status.MAX_TIME
    assert np.isfinite(result.plan).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_same_bits_for_any_number_of_threads(method, rng):
    cost = rng.random((1000, 900))
    start = solve(cost, reg=0.05, tol=1e-3)
    keywords = {"reg": 0.03, "tol": 1e-8, "method": method, "init": start}
    one = solve(cost, n_threads=1, **keywords)
    for threads in (2, 3):
        other = solve(cost, n_threads=threads, **keywords)
        for ours, theirs in zip(one.potentials, other.potentials, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert other.n_iter == one.n_iter
        assert other.gap == one.gap


def with_value(array, value, index):
    array = np.array(array, dtype=float)
    array[index] = value
    return array


ROWS, COLUMNS = np.zeros(30), np.zeros(25)

BAD_STARTS = {
    "number": (1.0, "init is a float: needs a pair"),
    "text": ("fg", "init is a str"),
    "dict": ({"f": ROWS, "g": COLUMNS}, "init is a dict"),
    "array": (np.zeros((2, 30)), "init is a ndarray"),
    "vector": (ROWS, "init is a ndarray"),
    "one potential": ((ROWS,), "init is a tuple: needs a pair"),
    "three potentials": ((ROWS, COLUMNS, COLUMNS), "init is a tuple"),
    "nothing": ([], "init is a list"),
    "None in it": ((None, COLUMNS), r"init\[0\] has dtype object"),
    "exchanged": ((COLUMNS, ROWS), r"init\[0\] has 25 potentials for 30 points"),
    "f too short": ((ROWS[:-1], COLUMNS), r"init\[0\] has 29 potentials for 30 points"),
    "g too long": ((ROWS, ROWS), r"init\[1\] has 30 potentials for 25 points"),
    "f empty": (([], COLUMNS), r"init\[0\] has 0 potentials for 30 points"),
    "f column": ((ROWS[:, None], COLUMNS), r"init\[0\] has shape \(30, 1\)"),
    "g number": ((ROWS, 0.0), r"init\[1\] has shape \(\)"),
    "f NaN": ((with_value(ROWS, np.nan, 3), COLUMNS), r"init\[0\]\[3\] is nan: needs a finite"),
    "g NaN": ((ROWS, with_value(COLUMNS, np.nan, 24)), r"init\[1\]\[24\] is nan"),
    "f inf": ((with_value(ROWS, np.inf, 3), COLUMNS), r"init\[0\]\[3\] is inf"),
    "g -inf": ((ROWS, with_value(COLUMNS, -np.inf, 1)), r"init\[1\]\[1\] is -inf.*is weight"),
    "complex": ((ROWS + 0j, COLUMNS), r"init\[0\] has dtype complex128"),
    "text in it": ((ROWS, ["a"] * 25), r"init\[1\] has dtype <U1"),
    "masked": ((np.ma.masked_array(ROWS, ROWS == 1), COLUMNS), r"init\[0\] is a masked array"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", BAD_STARTS)
def test_bad_starts(name, method, problem, rng):
    start, message = BAD_STARTS[name]
    with pytest.raises(InvalidInputError, match=message):
        solve(*problem, reg=0.1, method=method, init=start)
    x, y = rng.random((30, 2)), rng.random((25, 2))
    with pytest.raises(InvalidInputError, match=message):
        solve_sample(x, y, reg=0.1, method=method, init=start)


def test_results_that_do_not_fit(problem, rng):
    cost, a, b = problem
    other = solve(rng.random((12, 25)), reg=0.1)
    with pytest.raises(InvalidInputError, match=r"init\[0\] has 12 potentials for 30 points"):
        solve(cost, a, b, reg=0.1, init=other)
    fewer = np.r_[0.0, a[1:]] / a[1:].sum()
    with pytest.raises(InvalidInputError, match=r"init\[0\]\[0\] is -inf: needs a finite number"):
        solve(cost, a, b, reg=0.1, init=solve(cost, fewer, b, reg=0.1))

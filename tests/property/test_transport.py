"""Whatever the problem, the answer is finite, certified and what it says it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from sparrot.errors import InfeasibleProblemError
from sparrot.transport import round_plan, solve
from tests.conftest import marginal_error

seeds = st.integers(0, 2**32 - 1)


@st.composite
def problems(draw):
    """Sizes, mass profiles, kinds of cost and regularisations, all over the place."""
    rng = np.random.default_rng(draw(seeds))
    n, m = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    kind = draw(st.sampled_from(["uniform", "points", "ties", "L1", "constant", "heavy tails"]))
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    cost = {
        "uniform": lambda: rng.random((n, m)),
        "points": lambda: ((x[:, None] - y) ** 2).sum(-1),
        "ties": lambda: rng.integers(0, 3, (n, m)).astype(float),
        "L1": lambda: np.abs(x[:, None] - y).sum(-1),
        "constant": lambda: np.full((n, m), 2.0),
        "heavy tails": lambda: rng.random((n, m)) ** -2.0,
    }[kind]()
    power = draw(st.sampled_from([0, 1, 6, 20]))
    a, b = rng.random(n) ** power, rng.random(m) ** power
    if draw(st.booleans()) and min(n, m) > 2:
        a[0] = b[-1] = 0
    if draw(st.booleans()) and min(n, m) > 1:
        # The diagonal, wrapped around, keeps every point within reach.
        forbidden = rng.random((n, m)) < 0.3
        forbidden[np.arange(max(n, m)) % n, np.arange(max(n, m)) % m] = False
        cost = np.where(forbidden, np.inf, cost)
    largest = cost[np.isfinite(cost)].max()
    reg = 10.0 ** draw(st.floats(-5, 1)) * (largest or 1.0)
    scale = 2.0 ** draw(st.integers(-60, 60))
    return cost * scale, a / a.sum(), b / b.sum(), reg * scale


def most_that_can_move(cost, a, b):
    """The largest mass of a plan on the edges there are, its marginals at most the weights."""
    i, j = np.nonzero(np.isfinite(cost))
    edges = np.arange(i.size)
    incidence = sparse.vstack(
        [
            sparse.csr_array((np.ones(i.size), (k, edges)), (w.size, i.size))
            for k, w in ((i, a), (j, b))
        ]
    )
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(-np.ones(i.size), incidence, np.concatenate([a, b]), options=options)
    return -found.fun


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
@pytest.mark.parametrize("method", ["auto", "sns", "sinkhorn"])
@settings(deadline=None)
@given(problem=problems())
def test_every_answer_is_finite_and_its_certificate_true(method, problem):
    cost, a, b, reg = problem
    try:
        result = solve(cost, a, b, reg=reg, method=method, tol=1e-7, max_iter=300)
    except InfeasibleProblemError:
        assert most_that_can_move(cost, a, b) < 1 - 1e-13
        return
    plan = result.plan
    assert np.isfinite(plan).all()
    measured = marginal_error(plan, a, b)
    assert result.converged == (result.marginal_error <= 1e-7)
    assert abs(measured - result.marginal_error) <= 1e-6 * measured + 1e-11
    allowed = np.where(np.isinf(cost), 0, cost)
    size = np.abs(allowed).max() + reg * 50
    assert result.gap >= 0
    assert result.lower_bound <= result.upper_bound
    if np.isinf(result.gap):
        assert np.isinf(cost).any()
        return
    cost = allowed
    rounded = result.rounded_plan
    assert marginal_error(rounded, a, b) <= 1e-12
    np.testing.assert_allclose(
        (rounded * cost).sum(), result.upper_bound, rtol=1e-8, atol=1e-11 * size
    )
    positive = rounded[rounded > 0]
    regularised = (rounded * cost).sum() + reg * (positive * np.log(positive)).sum()
    assert regularised <= result.dual_value + result.gap + 1e-10 * size


@settings(deadline=None)
@given(problem=problems())
def test_transposing_the_problem_transposes_the_answer(problem):
    cost, a, b, reg = problem
    cost = np.where(np.isinf(cost), cost[np.isfinite(cost)].max(), cost)
    reg = max(reg, 1e-2 * cost.max())
    one = solve(cost, a, b, reg=reg, tol=1e-11)
    other = solve(cost.T.copy(), b, a, reg=reg, tol=1e-11)
    np.testing.assert_allclose(one.plan, other.plan.T, rtol=1e-3, atol=1e-10)
    same = solve(np.asfortranarray(cost), a, b, reg=reg, tol=1e-11)
    np.testing.assert_allclose(same.plan, one.plan, rtol=1e-3, atol=1e-10)


@settings(deadline=None)
@given(seed=seeds, n=st.integers(1, 20), m=st.integers(1, 20), power=st.sampled_from([1, 8]))
def test_rounding_gives_the_marginals_and_moves_little(seed, n, m, power):
    rng = np.random.default_rng(seed)
    plan = rng.random((n, m)) ** power * (rng.random((n, m)) > 0.3)
    a, b = rng.random(n) + 1e-9, rng.random(m) + 1e-9
    b *= a.sum() / b.sum()
    rounded = round_plan(plan, a, b)
    assert (rounded >= 0).all()
    assert marginal_error(rounded, a, b) <= 1e-13
    error = marginal_error(plan, a, b) * a.sum()
    assert np.abs(rounded - plan).sum() <= 2 * error + 1e-13

"""POT's ``solve``, ``solve_sample`` and ``empirical_...`` on sparrot's solver."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist

from sparrot import transport
from sparrot.errors import InvalidInputError
from sparrot.interop import pot
from tests.conftest import marginal_error, uniform


@pytest.fixture
def problem(rng):
    """(M, a, b)."""
    a, b = rng.random(12) + 0.1, rng.random(9) + 0.1
    return rng.random((12, 9)), a / a.sum(), b / b.sum()


@pytest.fixture
def points(rng):
    """(X, Y, a, b)."""
    a = rng.random(14) + 0.1
    return rng.normal(size=(14, 3)), rng.normal(size=(17, 3)) + 1, a / a.sum(), uniform(17)


@pytest.mark.parametrize("kind", ["KL", "entropy", "kl", "Entropy"])
def test_the_value_is_that_of_its_definition(kind, problem):
    M, a, b = problem
    solved = pot.solve(M, a, b, reg=0.05, reg_type=kind)
    plan = solved.plan
    reference = np.outer(a, b) if kind.lower() == "kl" else 1.0
    divergence = (plan * np.log(plan / reference)).sum()
    np.testing.assert_allclose(solved.value_linear, (plan * M).sum(), rtol=1e-12)
    np.testing.assert_allclose(solved.value, (plan * M).sum() + 0.05 * divergence, rtol=1e-12)
    assert solved.value_quad is None


@pytest.mark.parametrize("kind", ["KL", "entropy"])
def test_the_gradient_of_the_value_is_in_the_result(kind, problem):
    M, a, b = problem
    step = 1e-4 * np.random.default_rng(1).normal(size=M.shape)
    weights = 1e-4 * (a - 1 / 12)

    def value(cost, first):
        return pot.solve(cost, first, b, reg=0.05, reg_type=kind, tol=1e-12).value

    solved = pot.solve(M, a, b, reg=0.05, tol=1e-12)
    change = (value(M + step, a) - value(M - step, a)) / 2
    np.testing.assert_allclose(change, (solved.plan * step).sum(), rtol=1e-6)
    change = (value(M, a + weights) - value(M, a - weights)) / 2
    gradient = 0.05 * (solved.potential_a - (np.log(a) if kind == "KL" else 0))
    np.testing.assert_allclose(change, gradient @ weights, rtol=1e-6)


def test_a_result_has_what_pots_has(problem):
    M, a, b = problem
    solved = pot.solve(M, a, b, reg=0.05)
    u, v = solved.potentials
    assert u is solved.potential_a
    assert v is solved.potential_b
    np.testing.assert_allclose(np.exp(u[:, None] + v - M / 0.05), solved.plan, rtol=1e-12)
    assert isinstance(solved.sparse_plan, sparse.csr_matrix)
    np.testing.assert_array_equal(solved.sparse_plan.toarray(), solved.plan)
    for marginal, axis in zip(solved.marginals, (1, 0), strict=True):
        np.testing.assert_allclose(marginal, solved.plan.sum(axis), rtol=1e-12)
    assert solved.status == "converged"
    assert solved.lazy_plan is None
    assert {"u", "v", "log_u", "log_v", "err", "niter"} <= set(solved.log)
    assert solved.result.marginal_error <= 1e-9
    assert "value=" in repr(solved)
    assert "(12, 9)" in repr(solved)
    with pytest.raises(AttributeError, match="frozen"):
        solved.value = 0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(solved)).plan, solved.plan)


def test_potentials_of_a_result_are_a_place_to_start(problem):
    M, a, b = problem
    first = pot.solve(M, a, b, reg=0.05)
    again = pot.solve(M, a, b, reg=0.05, potentials_init=first.potentials, tol=1e-8)
    assert again.result.n_iter <= 2
    with pytest.raises(InvalidInputError, match="potentials_init"):
        pot.solve(M, reg=0.05, potentials_init=first.potential_a)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reg": None}, "reg is None.*ot.solve"),
        ({"reg": 0}, "reg is 0.*ot.solve"),
        ({"unbalanced": 1.0, "unbalanced_type": "L2"}, "unbalanced_type is 'L2'.*ot.solve"),
        ({"unbalanced": 1.0, "unbalanced_type": "tv"}, "unbalanced_type is 'tv'.*ot.solve"),
        ({"unbalanced": 1.0, "reg": None}, "reg is None.*ot.solve"),
        ({"unbalanced": 1.0, "reg_type": "L2"}, "reg_type is 'L2'.*ot.solve"),
        ({"unbalanced": 1.0, "c": np.ones((12, 12))}, r"c is given.*numpy.outer\(a, b\)"),
        ({"reg_type": "L2"}, "reg_type is 'L2'.*'KL' or 'entropy'"),
        ({"reg_type": (np.sum, np.sign)}, "reg_type is .*'KL' or 'entropy'"),
        ({"c": np.ones((12, 12))}, "c is given.*does not use it"),
        ({"grad": "envelope"}, "grad is 'envelope'.*is the plan"),
    ],
)
def test_what_is_not_offered_says_what_to_use(arguments, message, rng):
    x = rng.random((12, 2))
    with pytest.raises(NotImplementedError, match=message) as caught:
        pot.solve(cdist(x, x), **({"reg": 1.0} | arguments))
    assert isinstance(caught.value, InvalidInputError)
    with pytest.raises(pot.UnsupportedArgumentError, match=message):
        pot.solve_sample(x, x, **({"reg": 1.0} | arguments))


def test_methods_of_other_problems_are_not_offered(points):
    X, Y, _, _ = points
    for method in ("1d", "gaussian", "lowrank", "geomloss", "Sliced"):
        with pytest.raises(NotImplementedError, match=r"method is .*ot.solve_sample"):
            pot.solve_sample(X, Y, reg=1.0, method=method)
    with pytest.raises(NotImplementedError, match="debias is 'split'"):
        pot.solve_sample(X, Y, reg=1.0, debias="split")
    for call in (
        lambda: pot.solve(cdist(X, Y), reg=1.0, method="foo"),
        lambda: pot.solve_sample(X, Y, reg=1.0, method="foo"),
    ):
        with pytest.raises(ValueError, match="method is 'foo'"):
            call()
    pot.solve(cdist(X, Y), reg=1.0, method="sinkhorn_log", grad="detach")


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine", "cityblock"])
@pytest.mark.parametrize("lazy", [False, True])
def test_points_are_their_cost_matrix(metric, lazy, points):
    X, Y, a, b = points
    M = cdist(X, Y, metric)
    from_matrix = pot.solve(M, a, b, reg=0.7, tol=1e-12)
    solved = pot.solve_sample(X, Y, a, b, metric=metric, reg=0.7, tol=1e-12, lazy=lazy)
    np.testing.assert_allclose(solved.plan, from_matrix.plan, rtol=1e-8)
    np.testing.assert_allclose(solved.value, from_matrix.value, rtol=1e-9)
    assert (solved.lazy_plan is not None) == lazy
    plan, cost = (
        function(X, Y, 0.7, a, b, metric, stopThr=1e-12)
        for function in (pot.bregman.empirical_sinkhorn, pot.bregman.empirical_sinkhorn2)
    )
    np.testing.assert_allclose(plan, from_matrix.plan, rtol=1e-8)
    np.testing.assert_allclose(cost, from_matrix.value_linear, rtol=1e-9)


def test_lazy_plans_are_plans(points):
    X, Y, a, b = points
    f, g, log = pot.bregman.empirical_sinkhorn(X, Y, 0.7, a, b, isLazy=True, log=True)
    lazy, plan = log["lazy_plan"], log["result"].plan
    assert log["u"] is f
    assert log["v"] is g
    np.testing.assert_allclose(np.exp(f[:, None] + g - cdist(X, Y) ** 2 / 0.7), plan, rtol=1e-9)
    assert lazy.shape == plan.shape
    for found, block in (
        (lazy[:], plan),
        (lazy[5], plan[5:6]),
        (lazy[3, 4], plan[3:4, 4:5]),
        (lazy[:, 4], plan[:, 4:5]),
        (lazy[2:5, ::3], plan[2:5, ::3]),
        (lazy[[1, 2, 7]], plan[[1, 2, 7]]),
    ):
        np.testing.assert_allclose(found, block, rtol=1e-9)
    assert "(14, 17)" in repr(lazy)
    again = pot.bregman.empirical_sinkhorn(X, Y, 0.7, a, b, isLazy=True, warmstart=(f, g))
    np.testing.assert_allclose(again[0], f, atol=1e-6)
    cost, log = pot.bregman.empirical_sinkhorn2(X, Y, 0.7, a, b, isLazy=True, log=True)
    assert cost == log["result"].value_linear
    assert pot.solve_sample(X, Y, reg=0.7, method="sinkhorn").lazy_plan.shape == (14, 17)


def test_several_histograms_of_points(points, rng):
    X, Y, a, _ = points
    b = rng.random((17, 3))
    b /= b.sum(0)
    costs = pot.bregman.empirical_sinkhorn2(X, Y, 0.7, a, b)
    alone = [pot.bregman.empirical_sinkhorn2(X, Y, 0.7, a, b[:, k]) for k in range(3)]
    np.testing.assert_array_equal(costs, alone)
    np.testing.assert_array_equal(pot.bregman.empirical_sinkhorn(X, Y, 0.7, a, b), costs)


@pytest.mark.parametrize("lazy", [False, True])
def test_divergences(lazy, points):
    X, Y, a, b = points
    function = pot.bregman.empirical_sinkhorn_divergence
    value, log = function(X, Y, 0.7, a, b, log=True, isLazy=lazy)
    costs = [log[f"sinkhorn_loss_{side}"] for side in ("ab", "a", "b")]
    assert value == costs[0] - (costs[1] + costs[2]) / 2
    assert [log[f"log_sinkhorn_{side}"]["result"].shape for side in ("ab", "a", "b")] == [
        (14, 17),
        (14, 14),
        (17, 17),
    ]
    assert function(X, X, 0.7, a, a, isLazy=lazy) == pytest.approx(0, abs=1e-8)
    solved = pot.solve_sample(X, Y, a, b, reg=0.7, debias=True, lazy=lazy)
    each = [solved.log[name] for name in ("res_ab", "res_aa", "res_bb")]
    assert solved.value == each[0].value - (each[1].value + each[2].value) / 2
    assert solved.value_linear == pytest.approx(value, rel=1e-6)
    np.testing.assert_array_equal(solved.plan, each[0].plan)
    warm = pot.solve_sample(X, Y, a, b, reg=0.7, debias=True, potentials_init=solved.potentials)
    np.testing.assert_allclose(warm.value, solved.value, rtol=1e-7)
    start = (np.zeros(14), np.zeros(17))
    again = function(X, Y, 0.7, a, b, isLazy=lazy, warmstart=start)
    np.testing.assert_allclose(again, value, rtol=1e-6)


def test_a_scaler_is_for_both_sides(points):
    X, Y, a, b = points
    expected = pot.solve_sample(2 * X, 2 * Y, a, b, reg=1.0).plan
    scaler = type("Scaler", (), {"transform": lambda self, x: 2 * x})()
    for given in (scaler, lambda x: 2 * x):
        solved = pot.solve_sample(X, Y, a, b, reg=1.0, scaler=given)
        np.testing.assert_array_equal(solved.plan, expected)
    with pytest.raises(InvalidInputError, match="scaler is 3"):
        pot.solve_sample(X, Y, reg=1.0, scaler=3)


def test_costs_between_points_and_uniform_weights(points):
    X, Y, _, _ = points
    for metric in ("sqeuclidean", "euclidean", "cosine", "cityblock", "chebyshev"):
        np.testing.assert_array_equal(pot.dist(X, Y, metric), cdist(X, Y, metric))
    np.testing.assert_array_equal(pot.dist(X), cdist(X, X, "sqeuclidean"))
    w = np.array([1.0, 2.0, 3.0])
    expected = cdist(X, Y, "minkowski", p=3, w=w)
    np.testing.assert_array_equal(pot.dist(X, Y, "minkowski", p=3, w=w), expected)
    with pytest.raises(InvalidInputError, match="only 'minkowski'"):
        pot.dist(X, Y, w=w)
    assert pot.dist(X.astype(np.float32), Y.astype(np.float32)).dtype == np.float32
    assert pot.unif(3, type_as=X.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(pot.unif(5), uniform(5))


def test_verbose_prints_the_progress(points, capsys):
    X, Y, a, b = points
    for call in (
        lambda: pot.sinkhorn(a, b, cdist(X, Y), 0.01, verbose=True),
        lambda: pot.solve(cdist(X, Y), a, b, reg=0.01, verbose=True),
        lambda: pot.bregman.empirical_sinkhorn(X, Y, 0.01, a, b, verbose=True, isLazy=True),
    ):
        call()
        assert "marginal error" in capsys.readouterr().out


def test_a_solve_ends_where_sparrots_does(problem):
    M, a, b = problem
    solved = pot.solve(M, a, b, reg=0.05, tol=1e-6)
    own = transport.solve(M, a, b, reg=0.05, tol=1e-6)
    np.testing.assert_array_equal(solved.plan, own.plan)
    assert marginal_error(solved.plan, a, b) <= 1e-6

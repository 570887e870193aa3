"""POT's names for relaxed marginals on sparrot's solver: what they promise by themselves."""

import pickle

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from sparrot import transport
from sparrot.errors import InfeasibleProblemError, InvalidInputError, MassMismatchError
from sparrot.interop import pot
from tests.conftest import uniform

METHODS = ["sinkhorn", "sinkhorn_stabilized", "sinkhorn_translation_invariant"]
ALONE = {
    "sinkhorn": "sinkhorn_knopp_unbalanced",
    "sinkhorn_stabilized": "sinkhorn_stabilized_unbalanced",
    "sinkhorn_translation_invariant": "sinkhorn_unbalanced_translation_invariant",
}
KINDS = ["kl", "entropy"]
INF = float("inf")
PRICES = [0.5, (0.5, 0.2), (0.5, INF), (INF, 0.5)]


@pytest.fixture
def problem(rng):
    """(a, b, M, reg), of masses 1.9 and 7."""
    a, b = rng.random(12) + 0.1, rng.random(9) + 0.1
    return 1.9 * a / a.sum(), 7 * b / b.sum(), rng.random((12, 9)), 0.1


def plain_iteration(a, b, M, reg, reg_m, kind):
    """(plan, log u, log v) by the scalings of the definition, as logarithms."""
    reference = np.log(np.outer(a, b)) if kind == "kl" else np.zeros(M.shape)
    kernel = reference - M / reg
    first, second = reg_m if isinstance(reg_m, tuple) else (reg_m, reg_m)
    powers = [1.0 if price == INF else price / (price + reg) for price in (first, second)]
    u, v = np.zeros(a.size), np.zeros(b.size)
    for _ in range(20_000):
        before = u
        u = powers[0] * (np.log(a) - logsumexp(kernel + v, axis=1))
        v = powers[1] * (np.log(b) - logsumexp(kernel + u[:, None], axis=0))
        if np.abs(u - before).max() < 1e-15:
            break
    return np.exp(u[:, None] + v + kernel), u, v


def objective(plan, a, b, M, reg, reg_m, kind, *, masses):
    """The cost with its entropies, with or without their terms of mass."""

    def entropy(x, y):
        return (x * np.log(x / y)).sum() + (masses * (y - x)).sum()

    value = (plan * M).sum()
    if kind == "kl":
        value += reg * entropy(plan, np.outer(a, b))
    else:
        value += reg * (plan * (np.log(plan) - masses)).sum()
    first, second = reg_m if isinstance(reg_m, tuple) else (reg_m, reg_m)
    if first < INF:
        value += first * entropy(plan.sum(1), a)
    if second < INF:
        value += second * entropy(plan.sum(0), b)
    return value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prices", PRICES)
def test_plans_are_those_of_the_definition(method, kind, prices, problem):
    a, b, M, reg = problem
    expected, u, v = plain_iteration(a, b, M, reg, prices, kind)
    request = {"reg_type": kind, "stopThr": 1e-12}
    plan, log = pot.sinkhorn_unbalanced(*problem, prices, method, log=True, **request)
    np.testing.assert_allclose(plan, expected, rtol=1e-9)
    assert set(log) == {"err", "logu", "logv", "cost", "total_cost", "result"}
    np.testing.assert_allclose(log["logu"], u, atol=1e-10)
    np.testing.assert_allclose(log["logv"], v, atol=1e-10)
    np.testing.assert_allclose(log["cost"], (expected * M).sum(), rtol=1e-10)
    for found, masses in ((log["total_cost"], False), (log["result"].value, True)):
        value = objective(expected, *problem, prices, kind, masses=masses)
        np.testing.assert_allclose(found, value, rtol=1e-10, atol=1e-11)
    assert isinstance(log["err"], list)
    assert log["err"][-1] <= 1e-12
    alone = getattr(pot.unbalanced, ALONE[method])(*problem, prices, **request)
    np.testing.assert_array_equal(alone, plan)
    for name, value in (("linear", "cost"), ("total", "total_cost")):
        request["returnCost"] = name
        cost, second = pot.sinkhorn_unbalanced2(*problem, prices, method, log=True, **request)
        assert cost == log[value] == pot.sinkhorn_unbalanced2(*problem, prices, method, **request)
        assert set(second) == set(log)


@pytest.mark.parametrize("mass", [1e-6, 1.0, 1e5])
@pytest.mark.parametrize("stop", [1e-2, 1e-6, 1e-9])
@pytest.mark.parametrize("prices", [0.5, INF])
def test_stopthr_is_a_share_of_the_mass(mass, stop, prices, problem):
    a, b, M, reg = problem
    b = b * (a.sum() / b.sum())
    _, log = pot.sinkhorn_unbalanced(mass * a, mass * b, M, reg, prices, stopThr=stop, log=True)
    assert log["result"].marginal_error <= stop
    assert log["result"].tol == stop
    assert log["err"][-1] <= stop


@pytest.mark.parametrize("kind", KINDS)
def test_with_both_prices_infinite_it_is_the_balanced_problem(kind, problem):
    a, b, M, reg = problem
    b = b * (a.sum() / b.sum())
    expected = pot.sinkhorn(a, b, M, reg, stopThr=1e-12)
    for infinite in (INF, (INF, INF), [INF], np.array([INF, INF]), np.array(INF)):
        plan, log = pot.sinkhorn_unbalanced(
            a, b, M, reg, infinite, reg_type=kind, log=True, stopThr=1e-12
        )
        np.testing.assert_allclose(plan, expected, rtol=1e-9)
    assert isinstance(log["result"], transport.TransportResult)
    kernel = np.exp(-M / reg) * (np.outer(a, b) if kind == "kl" else 1)
    rebuilt = np.exp(log["logu"][:, None] + log["logv"]) * kernel
    np.testing.assert_allclose(rebuilt, plan, rtol=1e-12)
    entropy = objective(plan, a, b, M, reg, INF, kind, masses=False)
    np.testing.assert_allclose(log["total_cost"], entropy, rtol=1e-12)
    start = (log["logu"], log["logv"])
    _, again = pot.sinkhorn_unbalanced(a, b, M, reg, INF, reg_type=kind, warmstart=start, log=True)
    assert again["result"].n_iter <= 2
    with pytest.raises(MassMismatchError):
        pot.sinkhorn_unbalanced(a, 2 * b, M, reg, INF)


def test_one_fixed_marginal_is_kept(problem):
    a, b, _, _ = problem
    plan = pot.sinkhorn_unbalanced(*problem, (INF, 0.1), stopThr=1e-12)
    np.testing.assert_allclose(plan.sum(1), a, rtol=1e-10)
    plan = pot.sinkhorn_unbalanced(*problem, np.array([0.1, INF]), stopThr=1e-12)
    np.testing.assert_allclose(plan.sum(0), b, rtol=1e-10)


def test_one_price_is_for_both_sides(problem):
    expected = pot.sinkhorn_unbalanced(*problem, (0.5, 0.5))
    for price in (0.5, [0.5], (0.5,), np.array([0.5]), np.array(0.5), np.float32(0.5)):
        np.testing.assert_array_equal(pot.sinkhorn_unbalanced(*problem, price), expected)


@pytest.mark.parametrize("function", [pot.sinkhorn_unbalanced, pot.sinkhorn_unbalanced2])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 3])
def test_several_histograms_are_each_alone(function, method, count, problem, rng):
    a, _, M, reg = problem
    b = rng.random((9, count))
    request = {"method": method, "reg_type": "entropy"}
    losses, log = function(a, b, M, reg, 0.5, log=True, **request)
    assert losses.shape == (count,)
    alone = [
        pot.sinkhorn_unbalanced2(a, b[:, k], M, reg, 0.5, log=True, **request) for k in range(count)
    ]
    np.testing.assert_array_equal(losses, [cost for cost, _ in alone])
    np.testing.assert_array_equal(losses, function(a, b, M, reg, 0.5, **request))
    assert set(log) == {"err", "logu", "logv", "result"}
    for name in ("logu", "logv"):
        np.testing.assert_array_equal(log[name], np.stack([x[name] for _, x in alone], 1))
    assert log["err"][-1] == pytest.approx(np.linalg.norm([x["err"][-1] for _, x in alone]))
    start = (log["logu"], log["logv"])
    _, warm = function(a, b, M, reg, 0.5, log=True, warmstart=start, **request)
    assert all(result.n_iter <= 2 for result in warm["result"])
    with pytest.warns(UserWarning, match="'entropy' is used, as in POT") as caught:
        np.testing.assert_array_equal(function(a, b, M, reg, 0.5, method), losses)
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.raises(InvalidInputError) as raised:
        function(a, np.where(np.arange(count) == count - 1, -b, b), M, reg, 0.5, **request)
    assert raised.value.__notes__ == [f"in column {count - 1} of b"]


def test_several_histograms_have_no_total(problem, rng):
    a, _, M, reg = problem
    b = rng.random((9, 2))
    request = {"reg_type": "entropy"}
    with pytest.warns(UserWarning, match="returnCost is 'total'.*linear costs, as in POT"):
        total = pot.sinkhorn_unbalanced2(a, b, M, reg, 0.5, returnCost="total", **request)
    np.testing.assert_array_equal(total, pot.sinkhorn_unbalanced2(a, b, M, reg, 0.5, **request))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("forbidden", [False, True])
def test_a_solution_is_a_place_to_start(kind, forbidden, problem):
    a, b, M, reg = problem
    a[3] = 0
    if forbidden:
        M[5] = np.inf
    request = {"reg_type": kind, "log": True}
    plan, log = pot.sinkhorn_unbalanced(a, b, M, reg, 0.5, **request)
    assert (plan[3] == 0).all()
    assert log["logu"][3] == -np.inf
    assert (log["logu"][5] == -np.inf) == forbidden
    start = (log["logu"], log["logv"])
    again, second = pot.sinkhorn_unbalanced(a, b, M, reg, 0.5, warmstart=start, **request)
    assert second["result"].n_iter <= 2
    np.testing.assert_allclose(again, plan, rtol=1e-5)
    with pytest.raises(InvalidInputError, match="warmstart"):
        pot.sinkhorn_unbalanced(a, b, M, reg, 0.5, warmstart=(*start, start[0]))


def test_no_weights_are_uniform_weights(problem):
    _, _, M, reg = problem
    expected = pot.sinkhorn_unbalanced(uniform(12), uniform(9), M, reg, 0.5)
    for nothing in ([], None, np.array([])):
        plan = pot.sinkhorn_unbalanced(nothing, nothing, M, reg, 0.5)
        np.testing.assert_array_equal(plan, expected)
    lists = pot.sinkhorn_unbalanced(list(uniform(12)), [], M.tolist(), reg, [0.5])
    np.testing.assert_allclose(lists, expected, rtol=1e-12)


@pytest.mark.parametrize("types", ["fff", "dff", "ffd"])
def test_types_are_those_of_numpy(types, problem):
    a, b, M = (array.astype(kind) for array, kind in zip(problem[:3], types, strict=True))
    wanted = np.result_type(a, b, M)
    plan, log = pot.sinkhorn_unbalanced(a, b, M, 0.1, 0.5, log=True)
    arrays = (plan, log["logu"], log["logv"], log["cost"], log["total_cost"])
    assert {array.dtype for array in arrays} == {wanted}
    solved = pot.solve(M, a, b, reg=0.1, unbalanced=0.5)
    arrays = (solved.plan, solved.value, solved.potential_a, solved.marginal_b, solved.sparse_plan)
    assert {array.dtype for array in arrays} == {wanted}


def test_the_only_reference_is_that_of_the_weights(problem):
    a, b, M, reg = problem
    expected = pot.sinkhorn_unbalanced(a, b, M, reg, 0.5)
    c = a[:, None] * b
    np.testing.assert_array_equal(pot.sinkhorn_unbalanced(a, b, M, reg, 0.5, c=c), expected)
    solved = pot.solve(M, a, b, reg=reg, c=c, unbalanced=0.5, tol=1e-6)
    np.testing.assert_array_equal(solved.plan, expected)
    c = c * np.random.default_rng(1).random(c.shape)
    for call in (
        lambda: pot.sinkhorn_unbalanced(a, b, M, reg, 0.5, c=c),
        lambda: pot.solve(M, a, b, reg=reg, c=c, unbalanced=0.5),
        lambda: pot.sinkhorn_unbalanced2(a, b, M, reg, 0.5, c=c[1:]),
    ):
        with pytest.raises(pot.UnsupportedArgumentError, match=r"c is given.*numpy.log\(c"):
            call()
    # The costs that the message tells to take.
    plan = pot.sinkhorn_unbalanced(
        a, b, M - reg * np.log(c / np.outer(a, b)), reg, 0.5, stopThr=1e-12
    )
    scaled = plan / (c * np.exp(-M / reg))
    u, v = scaled[:, :1], scaled[:1] / scaled[0, 0]
    np.testing.assert_allclose(u * v * c * np.exp(-M / reg), plan, rtol=1e-9)
    power = 0.5 / (0.5 + reg)
    products = [(plan.sum(1) / u[:, 0], u[:, 0], a), (plan.sum(0) / v[0], v[0], b)]
    for kernel, found, weights in products:
        ratio = (weights / kernel) ** power / found
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    with pytest.warns(UserWarning, match="c is ignored"):
        pot.sinkhorn_unbalanced(a, b, M, reg, 0.5, reg_type="entropy", c=c)


def test_who_falls_short_is_told_where_he_called(rng):
    M = cdist(rng.normal(size=(20, 2)), rng.normal(size=(30, 2)))
    few = {"numItermax": 1, "stopThr": 1e-9}
    calls = [
        lambda name=name, price=price: getattr(pot.unbalanced, name)([], [], M, 1e-3, price, **few)
        for name in pot.unbalanced.__all__
        for price in (0.5, INF)
    ]
    calls.append(lambda: pot.sinkhorn_unbalanced([], [], M, 1.0, 0.5, stopThr=0))
    for call in calls:
        with pytest.warns(UserWarning, match="did not converge.*stopThr") as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}
        assert {warning.category for warning in caught} == {UserWarning}
    with pytest.warns(UserWarning, match=r"above tol=1e-09: allow more \(max_iter\)"):
        pot.solve(M, reg=1e-3, unbalanced=0.5, max_iter=1)


def test_arguments_that_are_wrong_are_named(problem):
    a, b, M, reg = problem
    function = pot.sinkhorn_unbalanced
    for call, message in {
        lambda: function(a, b, M, reg, 0.5, method="foo"): "method is 'foo'.*stabilized",
        lambda: function(a, b, M, reg, 0.5, reg_type="foo"): "reg_type is 'foo'",
        lambda: function(a, b, M, reg, 0): "reg_m is 0",
        lambda: function(a, b, M, reg, (0.5, -1)): r"reg_m\[1\] is -1",
        lambda: function(a, b, M, reg, np.nan): "reg_m is nan",
        lambda: function(a, b, M, reg, "foo"): "reg_m is 'foo'",
        lambda: function(a, b, M, reg, [1, 2, 3]): "reg_m has 3 prices",
        lambda: function(a, b, M, reg, []): "reg_m has 0 prices",
        lambda: function(a, b, M, 0, 0.5): "reg is 0",
        lambda: function(a, b, M, reg, 0.5, numItermax=0): "numItermax is 0",
        lambda: function(a, b, M, reg, 0.5, stopThr=np.nan): "stopThr is nan",
        lambda: function(a, b[1:], M, reg, 0.5): "b has 8 weights for 9",
        lambda: pot.sinkhorn_unbalanced2(a, b, M, reg, 0.5, returnCost="foo"): "returnCost is",
        lambda: pot.solve(M, a, b, reg=reg, unbalanced="foo"): "unbalanced is 'foo'",
    }.items():
        with pytest.raises(InvalidInputError, match=message):
            call()
    with pytest.raises(InvalidInputError, match="unbalanced is -1"):
        pot.solve(M, a, b, reg=reg, unbalanced=-1)
    tensor = type("Tensor", (np.ndarray,), {"__module__": "torch"})
    with pytest.raises(InvalidInputError, match=r"reg_m is a torch Tensor.*NumPy"):
        function(a, b, M, reg, np.array([0.5]).view(tensor))
    with pytest.warns(UserWarning, match="sinkhorn_unbalanced knows no argument foo"):
        function(a, b, M, reg, 0.5, foo=3)
    function(a, b, M, reg, 0.5, method="SINKHORN_REG_SCALING", reg_type="KL", tau=1.0)
    M[2] = np.inf
    with pytest.raises(InfeasibleProblemError):
        function(a, b, M, reg, (INF, 0.5))
    with pytest.raises(AttributeError, match=r"no attribute 'mm_unbalanced'.*POT itself"):
        pot.unbalanced.mm_unbalanced  # noqa: B018


def test_verbose_prints_the_progress(problem, capsys):
    pot.sinkhorn_unbalanced(*problem, 0.5, verbose=True)
    assert "marginal error" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["KL", "entropy"])
@pytest.mark.parametrize("prices", [*PRICES, INF])
def test_solve_is_the_same(kind, prices, problem):
    a, b, M, reg = problem
    if prices == INF:
        b = b * (a.sum() / b.sum())
    solved = pot.solve(M, a, b, reg, reg_type=kind, unbalanced=prices, tol=1e-12)
    plan, log = pot.sinkhorn_unbalanced(
        a, b, M, reg, prices, reg_type=kind, stopThr=1e-12, log=True
    )
    np.testing.assert_array_equal(solved.plan, plan)
    np.testing.assert_array_equal(solved.potential_a, log["logu"])
    np.testing.assert_array_equal(solved.potential_b, log["logv"])
    np.testing.assert_allclose(solved.value_linear, (plan * M).sum(), rtol=1e-12)
    relaxed = kind == "entropy" and prices != INF
    value = objective(plan, a, b, M, reg, prices, kind.lower(), masses=relaxed)
    np.testing.assert_allclose(solved.value, value, rtol=1e-11, atol=1e-11)
    for marginal, axis in zip(solved.marginals, (1, 0), strict=True):
        np.testing.assert_allclose(marginal, plan.sum(axis), rtol=1e-12)
    np.testing.assert_array_equal(solved.sparse_plan.toarray(), plan)
    assert set(solved.log) == set(log)
    assert solved.status == "converged"
    assert "(12, 9)" in repr(solved)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(solved)).plan, plan)
    request = {"reg_type": kind, "unbalanced": prices, "tol": 1e-8}
    again = pot.solve(M, a, b, reg, potentials_init=solved.potentials, **request)
    assert again.result.n_iter <= 2


def test_points_are_their_cost_matrix(rng):
    X, Y, b = rng.normal(size=(14, 3)), rng.normal(size=(17, 3)) + 1, 2 * uniform(17)
    request = {"reg": 0.7, "unbalanced": (0.5, 2.0), "reg_type": "entropy", "tol": 1e-12}
    solved = pot.solve_sample(X, Y, None, b, **request)
    expected = pot.solve(cdist(X, Y, "sqeuclidean"), None, b, **request)
    np.testing.assert_allclose(solved.plan, expected.plan, rtol=1e-8)
    np.testing.assert_allclose(solved.value, expected.value, rtol=1e-9)
    less = pot.solve_sample(X, Y, None, b, debias=True, **request)
    each = [less.log[name].value for name in ("res_ab", "res_aa", "res_bb")]
    assert less.value == each[0] - (each[1] + each[2]) / 2
    np.testing.assert_array_equal(less.potential_a, solved.potential_a)
    for lazily in ({"lazy": True}, {"method": "sinkhorn"}):
        with pytest.raises(pot.UnsupportedArgumentError, match=r"unbalanced is.*lazy"):
            pot.solve_sample(X, Y, **request, **lazily)

"""POT's names on sparrot's solver: what they promise by themselves."""

import threading
import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from sparrot import transport
from sparrot.errors import ConvergenceWarning, InvalidInputError, MassMismatchError
from sparrot.interop import pot
from tests.conftest import marginal_error, uniform

PLANS = ["sinkhorn", "sinkhorn_log", "greenkhorn", "sinkhorn_stabilized"]
PLANS += ["sinkhorn_epsilon_scaling"]
SEVERAL = ["sinkhorn", "sinkhorn_log", "sinkhorn_stabilized"]
IN_COST_UNITS = ("sinkhorn_stabilized", "sinkhorn_epsilon_scaling")


@pytest.fixture
def problem(rng):
    """(a, b, M, reg)."""
    a, b = rng.random(12) + 0.1, rng.random(9) + 0.1
    return a / a.sum(), b / b.sum(), rng.random((12, 9)), 0.1


def expected_plan(a, b, M, reg):
    return transport.solve(M, a, b, reg=reg, tol=1e-13).plan


@pytest.mark.parametrize("method", PLANS)
def test_the_plan_is_the_solvers(method, problem):
    expected = expected_plan(*problem)
    plan = pot.sinkhorn(*problem, method=method, stopThr=1e-12)
    np.testing.assert_allclose(plan, expected, rtol=1e-9)
    alone = "sinkhorn_knopp" if method == "sinkhorn" else method
    np.testing.assert_array_equal(getattr(pot.bregman, alone)(*problem, stopThr=1e-12), plan)
    np.testing.assert_array_equal(pot.sinkhorn(*problem, method.upper(), stopThr=1e-12), plan)
    if method in SEVERAL:
        cost = pot.sinkhorn2(*problem, method=method, stopThr=1e-12)
        np.testing.assert_allclose(cost, (expected * problem[2]).sum(), rtol=1e-10)


@pytest.mark.parametrize("mass", [1e-3, 1.0, 1e5])
@pytest.mark.parametrize("stop", [1e-2, 1e-6, 1e-9])
def test_what_pot_promises_for_stopthr_holds(mass, stop, problem):
    a, b, M, reg = problem
    plan = pot.sinkhorn(mass * a, mass * b, M, reg, stopThr=mass * stop)
    assert np.linalg.norm(plan.sum(0) - mass * b) <= mass * stop
    assert marginal_error(plan, mass * a, mass * b) <= stop + 1e-15
    plan = pot.sinkhorn(mass * a, mass * b, M, reg, stopThr=1e-15 * mass, warn=False)
    assert marginal_error(plan, mass * a, mass * b) <= 1e-13  # which is what can be had


@pytest.mark.parametrize("method", PLANS)
def test_the_log_gives_the_plan_back(method, problem):
    a, b, M, reg = problem
    plan, log = pot.sinkhorn(a, b, M, reg, method=method, log=True)
    kernel = np.exp(-M / reg)
    if method in IN_COST_UNITS:
        alpha, beta = log["warmstart"]
        assert log["alpha"] is alpha
        assert log["beta"] is beta
        rebuilt = np.exp((alpha[:, None] + beta - M) / reg)
        assert alpha.max() == pytest.approx(beta.max())
    else:
        rebuilt = log["u"][:, None] * kernel * log["v"]
        assert log["u"].max() == pytest.approx(log["v"].max())
    np.testing.assert_allclose(rebuilt, plan, rtol=1e-12)
    for u, v in (("log_u", "log_v"), ("logu", "logv")):
        if u in log:
            rebuilt = np.exp(log[u][:, None] + log[v]) * kernel
            np.testing.assert_allclose(rebuilt, plan, rtol=1e-12)
    assert log["result"].marginal_error <= 1e-9
    count = log["n_iter"] if "n_iter" in log else log["niter"]
    assert count == log["result"].n_iter - 1
    if method != "greenkhorn":
        assert isinstance(log["err"], list)
        assert log["err"][-1] <= 1e-9


@pytest.mark.parametrize("method", PLANS)
def test_a_solution_is_a_place_to_start(method, problem):
    reg = problem[-1]
    plan, log = pot.sinkhorn(*problem, method=method, log=True)
    f, g = log["result"].potentials
    start = (f, g) if method in IN_COST_UNITS else (f / reg, g / reg)
    again, second = pot.sinkhorn(*problem, method=method, log=True, warmstart=start)
    assert second["result"].n_iter <= 2
    np.testing.assert_allclose(again, plan, rtol=1e-6)
    with pytest.raises(InvalidInputError, match="warmstart"):
        pot.sinkhorn(*problem, method=method, warmstart=(f, g, f))
    with pytest.raises(InvalidInputError, match=r"warmstart.*\(12, 1\)"):
        pot.sinkhorn(*problem, method=method, warmstart=(f[:, None], g[:, None]))


@pytest.mark.parametrize("function", [pot.sinkhorn, pot.sinkhorn2])
@pytest.mark.parametrize("method", SEVERAL)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_several_histograms_are_each_alone(function, method, count, problem, rng):
    a, _, M, reg = problem
    b = rng.random((9, count))
    b /= b.sum(0)
    losses, log = function(a, b, M, reg, method=method, log=True)
    alone = [pot.sinkhorn2(a, b[:, k], M, reg, method=method, log=True) for k in range(count)]
    np.testing.assert_array_equal(losses, [cost for cost, _ in alone])
    assert losses.shape == (count,)
    for name in {"u", "v", "log_u", "log_v", "logu", "logv", "alpha", "beta"} & set(log):
        np.testing.assert_array_equal(log[name], np.stack([x[name] for _, x in alone], 1))
    assert len(log["result"]) == count
    worst = max(x["result"].n_iter for _, x in alone)
    assert worst == 1 + (log["n_iter"] if method == "sinkhorn_stabilized" else log["niter"])
    assert log["err"][-1] == pytest.approx(np.linalg.norm([x["err"][-1] for _, x in alone]))


@pytest.mark.parametrize("method", SEVERAL)
def test_several_histograms_start_where_they_are_told(method, problem, rng):
    a, _, M, reg = problem
    b = rng.random((9, 2))
    b /= b.sum(0)
    _, log = pot.sinkhorn(a, b, M, reg, method="sinkhorn_log", log=True)
    unit = reg if method in IN_COST_UNITS else 1.0
    u, v = unit * log["log_u"], unit * log["log_v"]
    start = [(u[:, 0], v[:, 0]), (u[:, 1], v[:, 1])] if method == "sinkhorn_log" else (u, v)
    _, warm = pot.sinkhorn(a, b, M, reg, method=method, log=True, warmstart=start)
    assert all(result.n_iter <= 2 for result in warm["result"])
    with pytest.raises(InvalidInputError, match="warmstart"):
        pot.sinkhorn(a, b, M, reg, method=method, warmstart=(u[:, :1], v[:, :1], u))


def test_no_weights_are_uniform_weights(rng):
    M = rng.random((5, 7))
    expected = pot.sinkhorn(uniform(5), uniform(7), M, 0.2)
    for nothing in ([], None, np.array([])):
        np.testing.assert_array_equal(pot.sinkhorn(nothing, nothing, M, 0.2), expected)
        np.testing.assert_array_equal(pot.solve(M, nothing, nothing, reg=0.2).plan, expected)
    lists = pot.sinkhorn([0.2] * 5, list(uniform(7)), M.tolist(), 0.2)
    np.testing.assert_allclose(lists, expected, rtol=1e-12)


def test_points_without_weight(problem):
    a, b, M, reg = problem
    a[3], b[0] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    plan, log = pot.sinkhorn(a, b, M, reg, method="sinkhorn_log", log=True)
    assert (plan[3] == 0).all()
    assert (plan[:, 0] == 0).all()
    assert log["log_u"][3] == -np.inf
    assert log["u"][3] == 0
    again = pot.sinkhorn(a, b, M, reg, "sinkhorn_log", warmstart=(log["log_u"], log["log_v"]))
    np.testing.assert_allclose(again, plan, rtol=1e-6)
    solved = pot.solve(M, a, b, reg=reg)
    some = plan > 0
    relative = (plan[some] * np.log(plan[some] / np.outer(a, b)[some])).sum()
    np.testing.assert_allclose(solved.value, (plan * M).sum() + reg * relative, rtol=1e-7)


@pytest.mark.parametrize("types", ["fff", "dff", "ffd", "ddf"])
def test_types_are_those_of_numpy(types, problem):
    a, b, M = (array.astype(kind) for array, kind in zip(problem[:3], types, strict=True))
    wanted = np.result_type(a, b, M)
    plan, log = pot.sinkhorn(a, b, M, 0.1, log=True)
    assert plan.dtype == log["u"].dtype == wanted
    assert pot.sinkhorn2(a, b, M, 0.1).dtype == wanted
    solved = pot.solve(M, a, b, reg=0.1)
    arrays = (solved.plan, solved.value, solved.potential_a, solved.marginal_b, solved.sparse_plan)
    assert {array.dtype for array in arrays} == {wanted}
    if wanted == np.float64:
        assert marginal_error(plan, a.astype(float), b.astype(float)) < 1e-7


def test_costs_that_stand_for_infinity_forbid_their_edges(problem):
    a, b, M, reg = problem
    forbidden = np.where(M > 0.9, np.inf, M)
    expected = pot.sinkhorn(a, b, forbidden, reg)
    np.testing.assert_array_equal(pot.sinkhorn(a, b, np.nan_to_num(forbidden), reg), expected)
    assert np.isfinite(pot.sinkhorn2(a, b, forbidden, reg))


def ways_to_fall_short(warn):
    """Calls that cannot reach what they ask for."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(30, 2))
    M = cdist(x, y)
    few = {"numItermax": 1, "stopThr": 1e-9, "warn": warn}
    points = {"numIterMax": 1, "warn": warn}
    regular = pot.bregman
    yield lambda: pot.sinkhorn2([], [], M, 1e-3, **few)
    for method in PLANS[:4]:
        yield lambda method=method: pot.sinkhorn([], [], M, 1e-3, method=method, **few)
    yield lambda: pot.sinkhorn([], [], M, 1.0, PLANS[4], **(few | {"stopThr": 0}))
    yield lambda: pot.sinkhorn([], [], M, 1.0, stopThr=-1, warn=warn)
    yield lambda: regular.empirical_sinkhorn(x, y, 1e-3, **points)
    yield lambda: regular.empirical_sinkhorn2(x, y, 1e-3, isLazy=True, **points)
    yield lambda: regular.empirical_sinkhorn_divergence(x, y, 1e-3, **points)


def test_who_asks_for_warnings_gets_them_where_he_called():
    for call in ways_to_fall_short(warn=True):
        with pytest.warns(UserWarning, match="did not converge.*stopThr") as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}
        assert {warning.category for warning in caught} == {UserWarning}
    with pytest.warns(UserWarning, match=r"above tol=1e-09: allow more \(max_iter\)"):
        pot.solve(np.random.default_rng(0).random((30, 30)), reg=1e-3, max_iter=1)


def test_who_does_not_gets_none():
    for call in ways_to_fall_short(warn=False):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert caught == []


def test_threads_leave_the_warning_filters_as_they_were(rng):
    M = rng.random((60, 60))
    before = list(warnings.filters)

    def work():
        for reg in (0.1, 1e-3, 0.02):
            pot.sinkhorn([], [], M, reg, numItermax=5, warn=False)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        transport.solve(M, reg=1e-3, max_iter=1)


def test_scalings_out_of_range_are_told(rng):
    M = 1e3 * rng.random((10, 10))
    M[0] += 5000
    with pytest.warns(UserWarning, match=r"log_u.*log_v"):
        _, log = pot.sinkhorn([], [], M, 1.0, log=True)
    assert np.isinf(log["u"]).any()
    pot.sinkhorn([], [], M, 1.0, log=True, warn=False)
    plan, log = pot.sinkhorn([], [], M, 1.0, method="sinkhorn_log", log=True)
    rebuilt = np.exp(log["log_u"][:, None] + log["log_v"] - M)
    np.testing.assert_allclose(rebuilt, plan, rtol=1e-9, atol=1e-280)


def test_weights_may_differ_by_rounding_only(problem):
    a, b, M, reg = problem
    plan = pot.sinkhorn(a, b * (1 + 5e-7), M, reg)
    np.testing.assert_allclose(plan.sum(0), b, atol=1e-9)
    with pytest.raises(MassMismatchError, match=r"a sums to .* but b sums to"):
        pot.sinkhorn(a, 1.01 * b, M, reg)
    with pytest.raises(MassMismatchError) as caught:
        pot.sinkhorn(a, np.stack([b, 2 * b], 1), M, reg)
    assert caught.value.__notes__ == ["in column 1 of b"]


def test_arrays_of_other_packages_are_refused(problem):
    tensor = type("Tensor", (np.ndarray,), {"__module__": "torch"})
    a, b, M, reg = problem
    calls = {
        "M": lambda: pot.sinkhorn(a, b, M.view(tensor), reg),
        "a": lambda: pot.sinkhorn2(a.view(tensor), b, M, reg),
        "X_s": lambda: pot.bregman.empirical_sinkhorn(M.view(tensor), M, reg),
        "X_b": lambda: pot.solve_sample(M, M.view(tensor), reg=reg),
        r"warmstart\[1\]": lambda: pot.sinkhorn(a, b, M, reg, warmstart=(a, b.view(tensor))),
    }
    for name, call in calls.items():
        with pytest.raises(InvalidInputError, match=f"{name} is a torch Tensor.*NumPy"):
            call()


def test_arguments_that_are_wrong_are_named(problem):
    a, b, M, reg = problem
    for call, message in {
        lambda: pot.sinkhorn(a, b, M, reg, method="foo"): "method is 'foo'.*greenkhorn",
        lambda: pot.sinkhorn2(a, b, M, reg, method="greenkhorn"): "method is 'greenkhorn'",
        lambda: pot.sinkhorn(a, b, M, 0): "reg is 0",
        lambda: pot.sinkhorn(a, b, M, reg, numItermax=0): "numItermax is 0",
        lambda: pot.sinkhorn(a, b, M, reg, stopThr=np.nan): "stopThr is nan",
        lambda: pot.sinkhorn(a, b, M[0], reg): r"M has shape \(9,\)",
        lambda: pot.sinkhorn(a, b[1:], M, reg): "b has 8 weights for 9",
        lambda: pot.bregman.greenkhorn(a, M.T, M, reg): r"b has shape \(9, 12\)",
        lambda: pot.bregman.empirical_sinkhorn(M, M, reg, isLazy=True, batchSize=0): "batchSize",
        lambda: pot.bregman.empirical_sinkhorn(M, M, reg, metric="foo"): "metric is 'foo'",
    }.items():
        with pytest.raises(InvalidInputError, match=message):
            call()
    with pytest.warns(UserWarning, match=r"sinkhorn knows no argument numIterMax: ignored"):
        pot.sinkhorn(a, b, M, reg, numIterMax=3)
    pot.sinkhorn(a, b, M, reg, tau=1.0, print_period=3, epsilon0=1.0, numInnerItermax=3)
    for module, name in ((pot, "emd"), (pot.bregman, "barycenter")):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'.*POT itself"):
            getattr(module, name)

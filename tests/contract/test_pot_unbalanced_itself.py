"""POT's names for relaxed marginals beside POT itself, where that is installed."""

import inspect

import numpy as np
import pytest

from sparrot.interop import pot

METHODS = ["sinkhorn", "sinkhorn_stabilized", "sinkhorn_translation_invariant"]
KINDS = ["kl", "entropy"]
INF = float("inf")
PRICES = [0.5, (0.5, 0.2), (0.5, INF), (INF, 0.5)]
TIGHT = {"stopThr": 1e-13, "numItermax": 20_000}


@pytest.fixture
def ot():
    return pytest.importorskip("ot")


@pytest.fixture
def problem(rng):
    """(a, b, M, reg), of masses 1.9 and 7."""
    a, b = rng.random(12) + 0.1, rng.random(9) + 0.1
    return 1.9 * a / a.sum(), 7 * b / b.sum(), rng.random((12, 9)), 0.1


@pytest.mark.parametrize("name", [f"unbalanced.{name}" for name in pot.unbalanced.__all__])
def test_arguments_and_defaults_are_pots(name, ot):
    def arguments(module):
        for part in name.split("."):
            module = getattr(module, part)
        parameters = inspect.signature(module).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    if not ot.__version__.startswith("0.9.7"):
        pytest.skip("the arguments are those of POT 0.9.7")
    assert arguments(pot) == arguments(ot)


@pytest.mark.filterwarnings("ignore:If reg_type = entropy")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "prices"),
    # Where prices differ POT's third method ends elsewhere than its other two.
    [(method, prices) for method in METHODS[:2] for prices in PRICES] + [(METHODS[2], PRICES[0])],
)
def test_pots_plans(method, kind, prices, ot, problem):
    request = {"method": method, "reg_type": kind, "log": True, **TIGHT}
    ours, log = pot.sinkhorn_unbalanced(*problem, prices, **request)
    theirs, expected = ot.sinkhorn_unbalanced(*problem, prices, **request)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert set(expected) < set(log)
    for name in ("logu", "logv", "cost", "total_cost"):
        np.testing.assert_allclose(log[name], expected[name], rtol=1e-9, atol=1e-10)
        assert log[name].dtype == expected[name].dtype
        assert type(log[name]) is type(expected[name])
    for name in ("linear", "total"):
        request["returnCost"] = name
        ours, log = pot.sinkhorn_unbalanced2(*problem, prices, **request)
        theirs, expected = ot.sinkhorn_unbalanced2(*problem, prices, **request)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)
        assert set(expected) < set(log)
    start = (expected["logu"], expected["logv"])
    del request["returnCost"]
    request["stopThr"] = 1e-6
    _, warm = pot.sinkhorn_unbalanced(*problem, prices, warmstart=start, **request)
    assert warm["result"].n_iter <= 2


@pytest.mark.filterwarnings("ignore:If reg_type = entropy")
@pytest.mark.parametrize("method", METHODS)
def test_pots_costs_of_several_histograms(method, ot, problem, rng):
    a, _, M, reg = problem
    b = rng.random((9, 3))
    request = {"method": method, "reg_type": "entropy", "log": True, **TIGHT}
    for name in ("sinkhorn_unbalanced", "sinkhorn_unbalanced2"):
        ours, log = getattr(pot, name)(a, b, M, reg, 0.5, **request)
        theirs, expected = getattr(ot, name)(a, b, M, reg, 0.5, **request)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        assert set(expected) < set(log)
        for side in ("logu", "logv"):
            np.testing.assert_allclose(log[side], expected[side], atol=1e-10)
    # What POT does where it is not told a reg_type, which is "kl".
    assert inspect.signature(ot.sinkhorn_unbalanced).parameters["reg_type"].default == "kl"
    theirs = ot.sinkhorn_unbalanced(a, b, M, reg, 0.5, **TIGHT)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("prices", [*PRICES, INF])
def test_pots_solve(prices, ot, problem):
    a, b, M, reg = problem
    if prices == INF:
        b = b * (a.sum() / b.sum())
    request = {"unbalanced": prices, "tol": 1e-13, "max_iter": 20_000}
    theirs, ours = (module.solve(M, a, b, reg, **request) for module in (ot, pot))
    for name in ("plan", "value", "value_linear"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-10, err_msg=name
        )
        assert getattr(ours, name).dtype == getattr(theirs, name).dtype
    if prices != INF:
        np.testing.assert_allclose(ours.potential_a, theirs.potential_a, atol=1e-10)
        np.testing.assert_allclose(ours.potential_b, theirs.potential_b, atol=1e-10)
    X, Y = np.random.default_rng(1).normal(size=(2, 12, 2))
    theirs, ours = (module.solve_sample(X, Y, a, a, reg=reg, **request) for module in (ot, pot))
    np.testing.assert_allclose(ours.plan, theirs.plan, rtol=1e-8)


@pytest.mark.filterwarnings("ignore:.*L-BFGS-B:DeprecationWarning")
def test_pots_solve_with_an_entropy(ot, problem):
    a, b, M, reg = problem
    request = {"reg_type": "entropy", "unbalanced": (0.5, 0.2)}
    theirs = ot.solve(M, a, b, reg, **request, tol=1e-14)
    ours = pot.solve(M, a, b, reg, **request, tol=1e-12)
    # POT has a quasi-Newton method for it, which is a long way from the optimum when it stops.
    np.testing.assert_allclose(ours.value, theirs.value, rtol=1e-8)
    assert ours.value <= theirs.value
    np.testing.assert_allclose(ours.plan, theirs.plan, atol=1e-4)


def test_pots_float32(ot, problem):
    a, b, M = (array.astype(np.float32) for array in problem[:3])
    theirs, expected = ot.sinkhorn_unbalanced(a, b, M, 0.1, 0.5, stopThr=1e-5, log=True)
    ours, log = pot.sinkhorn_unbalanced(a, b, M, 0.1, 0.5, stopThr=1e-5, log=True)
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    for name in ("logu", "logv", "cost", "total_cost"):
        assert log[name].dtype == expected[name].dtype

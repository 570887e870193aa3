"""POT's names on sparrot's solver beside POT itself, where that is installed."""

import inspect

import numpy as np
import pytest

from sparrot.interop import pot
from tests.conftest import uniform

METHODS = ["sinkhorn", "sinkhorn_log", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling"]
METHODS += ["greenkhorn"]
SEVERAL = METHODS[:3]
TIGHT = {"stopThr": 1e-13, "numItermax": 20_000}


@pytest.fixture
def ot():
    return pytest.importorskip("ot")


@pytest.fixture
def problem(rng):
    """(a, b, M, reg)."""
    a, b = rng.random(12) + 0.1, rng.random(9) + 0.1
    return a / a.sum(), b / b.sum(), rng.random((12, 9)), 0.1


def up_to_a_constant(ours, theirs, **tolerance):
    """Compare two pairs of potentials."""
    shift = ours[0][0] - theirs[0][0]
    np.testing.assert_allclose(ours[0] - shift, theirs[0], **tolerance)
    np.testing.assert_allclose(ours[1] + shift, theirs[1], **tolerance)


@pytest.mark.parametrize(
    "name",
    ["sinkhorn", "sinkhorn2", "solve", "solve_sample", "dist"]
    + [f"bregman.{name}" for name in pot.bregman.__all__],
)
def test_arguments_and_defaults_are_pots(name, ot):
    def arguments(module):
        for part in name.split("."):
            module = getattr(module, part)
        parameters = inspect.signature(module).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    if not ot.__version__.startswith("0.9.7"):
        pytest.skip("the arguments are those of POT 0.9.7")
    assert arguments(pot) == arguments(ot)


@pytest.mark.parametrize("method", METHODS)
def test_plans(method, ot, problem):
    ours, log = pot.sinkhorn(*problem, method=method, log=True, **TIGHT)
    theirs, expected = ot.sinkhorn(*problem, method=method, log=True, **TIGHT)
    # POT compares squares with stopThr where it scales epsilon.
    loose = method == "sinkhorn_epsilon_scaling"
    np.testing.assert_allclose(ours, theirs, rtol=1e-5 if loose else 1e-10)
    assert set(expected) < set(log)
    for name in set(expected) - {"err", "niter", "n_iter", "warmstart"}:
        assert log[name].shape == expected[name].shape
        assert log[name].dtype == expected[name].dtype
    for u, v in (("u", "v"), ("log_u", "log_v"), ("logu", "logv"), ("alpha", "beta")):
        if u not in expected:
            continue
        ours, theirs = (log[u], log[v]), (expected[u], expected[v])
        if u == "u":
            ours, theirs = np.log(ours[0]), np.log(theirs[0])
            ours, theirs = (ours, np.log(log[v])), (theirs, np.log(expected[v]))
        # Greenkhorn stops at a largest error of 1e-13, which over the smallest weight, 0.01, is
        # one of 1e-11 in a potential, or of a few times that.
        tight = 5e-11 if method == "greenkhorn" else 1e-11
        up_to_a_constant(ours, theirs, rtol=0, atol=1e-6 if loose else tight)


@pytest.mark.parametrize("method", SEVERAL)
@pytest.mark.parametrize("count", [0, 2, 3])
def test_costs(method, count, ot, problem, rng):
    a, b, M, reg = problem
    if count:
        b = rng.random((9, count))
        b /= b.sum(0)
    ours, log = pot.sinkhorn2(a, b, M, reg, method=method, log=True, **TIGHT)
    theirs, expected = ot.sinkhorn2(a, b, M, reg, method=method, log=True, **TIGHT)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    assert type(ours) is type(theirs)
    assert set(expected) < set(log)
    for name in {"u", "v", "log_u", "log_v", "logu", "logv"} & set(expected):
        assert log[name].shape == expected[name].shape
    np.testing.assert_allclose(ot.sinkhorn2(a, b, M, reg, method=method), ours, rtol=1e-7)


@pytest.mark.parametrize("kind", ["KL", "entropy"])
@pytest.mark.parametrize("empty", [False, True])
def test_solve(kind, empty, ot, problem, capsys):
    a, b, M, reg = problem
    if empty:
        a = np.where(np.arange(12) < 6, a, 0)
        a /= a.sum()
        M[7, 3] = 4.0
    request = {"reg": reg, "reg_type": kind, "tol": 1e-13, "max_iter": 20_000}
    with np.errstate(divide="ignore"):  # POT takes the logarithm of every weight
        theirs = ot.solve(M, a, b, **request)
    ours = pot.solve(M, a, b, **request)
    for name in ("plan", "value", "value_linear", "marginal_a", "marginal_b"):
        # POT adds 1e-15 here and there within its logarithms.
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-9, err_msg=name, atol=1e-16
        )
        assert getattr(ours, name).dtype == getattr(theirs, name).dtype
    some = a > 0
    potentials = [(one.potential_a[some], one.potential_b) for one in (ours, theirs)]
    up_to_a_constant(*potentials, rtol=0, atol=1e-10)
    assert type(ours.sparse_plan) is type(theirs.sparse_plan)
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public - set(dir(ours)) == {"a_to_b", "b_to_a", "citation"}


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine", "cityblock"])
def test_points(metric, ot, rng):
    X, Y, b = rng.normal(size=(14, 3)), rng.normal(size=(17, 3)) + 1, uniform(17)
    np.testing.assert_allclose(pot.dist(X, Y, metric), ot.dist(X, Y, metric), rtol=1e-12)
    request = {"metric": metric, "reg": 0.7, "tol": 1e-13, "max_iter": 20_000}
    for debias in (False, True):
        theirs = ot.solve_sample(X, Y, None, b, debias=debias, **request)
        ours = pot.solve_sample(X, Y, None, b, debias=debias, **request)
        for name in ("plan", "value", "value_linear"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8)
    theirs = ot.solve_sample(X, Y, lazy=True, **request)
    ours = pot.solve_sample(X, Y, lazy=True, **request)
    np.testing.assert_allclose(ours.lazy_plan[2:4], theirs.lazy_plan[2:4], rtol=1e-9)
    np.testing.assert_allclose(ours.value_linear, theirs.value_linear, rtol=1e-9)
    np.testing.assert_allclose(ours.marginal_a, theirs.marginal_a, rtol=1e-9)
    up_to_a_constant(ours.potentials, theirs.potentials, rtol=0, atol=1e-9)
    assert set(theirs.log) < set(ours.log)


@pytest.mark.parametrize("metric", ["sqeuclidean", "cityblock"])
@pytest.mark.parametrize("lazy", [False, True])
def test_empirical_functions(metric, lazy, ot, rng):
    X, Y = rng.normal(size=(14, 3)), rng.normal(size=(17, 3)) + 1
    request = {"metric": metric, "stopThr": 1e-13, "isLazy": lazy}
    ours = pot.bregman.empirical_sinkhorn(X, Y, 0.7, log=True, **request)
    theirs = ot.bregman.empirical_sinkhorn(X, Y, 0.7, log=True, **request)
    if lazy:
        up_to_a_constant(ours, theirs, rtol=0, atol=1e-10)
    else:
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
    assert set(theirs[-1]) < set(ours[-1])
    for name in ("empirical_sinkhorn2", "empirical_sinkhorn_divergence"):
        ours = getattr(pot.bregman, name)(X, Y, 0.7, log=True, **request)
        theirs = getattr(ot.bregman, name)(X, Y, 0.7, log=True, **request)
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
        assert set(theirs[1]) <= set(ours[1])
        plain = getattr(pot.bregman, name)(X, Y, 0.7, **request)
        assert plain == ours[0]
        assert type(plain) is type(theirs[0])


def test_warm_starts_are_in_pots_units(ot, problem):
    for method in METHODS[:4]:
        _, log = ot.sinkhorn(*problem, method=method, log=True, **TIGHT)
        if method == "sinkhorn":
            start = (np.log(log["u"]), np.log(log["v"]))
        elif method == "sinkhorn_log":
            start = (log["log_u"], log["log_v"])
        else:
            start = log["warmstart"]
        _, ours = pot.sinkhorn(*problem, method=method, log=True, warmstart=start, stopThr=1e-6)
        assert ours["result"].n_iter <= 2


def test_float32(ot, problem):
    a, b, M = (array.astype(np.float32) for array in problem[:3])
    theirs, expected = ot.sinkhorn(a, b, M, 0.1, stopThr=1e-5, log=True)
    ours, log = pot.sinkhorn(a, b, M, 0.1, stopThr=1e-5, log=True)
    assert ours.dtype == theirs.dtype == np.float32
    assert log["u"].dtype == expected["u"].dtype
    np.testing.assert_allclose(ours, theirs, atol=1e-5)

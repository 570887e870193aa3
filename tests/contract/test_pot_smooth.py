"""POT's names for sparse plans on sparrot's solvers, and beside POT where that is installed."""

import inspect
import re
import warnings

import numpy as np
import pytest

from sparrot import transport
from sparrot.errors import (
    ConvergenceWarning,
    InfeasibleProblemError,
    InvalidInputError,
    MassMismatchError,
)
from sparrot.interop import pot
from tests.conftest import marginal_error, uniform

FUNCTIONS = [pot.smooth.smooth_ot_dual, pot.smooth.smooth_ot_semi_dual]
SPARSE = {"reg_type": "sparsity_constrained"}
REGS = [0.05, 1.0, 20.0]
COUNTS = [1, 2, 4]

# Of the option that POT sets for what its argument verbose asks.
ignoring_scipy = pytest.mark.filterwarnings("ignore:.*L-BFGS-B:DeprecationWarning")


@pytest.fixture
def ot():
    return pytest.importorskip("ot")


def random_problem():
    rng = np.random.default_rng(0)
    a, b = rng.random(30) + 0.1, rng.random(20) + 0.1
    return a / a.sum(), b / b.sum(), rng.random((30, 20))


def line_problem():
    """Points of the same weight on a line, where many entries of the best plans tie."""
    x, y = np.linspace(0, 1, 40), np.sort(np.random.default_rng(1).random(35))
    return uniform(40), uniform(35), (x[:, None] - y) ** 2


PROBLEMS = [random_problem, line_problem]


def scores_of(alpha, beta, M):
    return np.maximum(alpha[:, None] + beta - M, 0)


def dual_value(alpha, beta, a, b, M, reg, k=None):
    """The dual of the definition, with the k largest scores of a column."""
    squares = np.sort(scores_of(alpha, beta, M) ** 2, axis=0)[::-1][:k]
    return alpha @ a + beta @ b - squares.sum() / (2 * reg)


def missed(alpha, beta, a, b, M, reg):
    """What the marginals miss that the potentials make: 0 just at the solution of "l2"."""
    return marginal_error(scores_of(alpha, beta, M) / reg, a, b)


@pytest.mark.parametrize("make", PROBLEMS)
@pytest.mark.parametrize("reg", REGS)
def test_the_squared_norm_has_the_plan_of_its_potentials(make, reg):
    a, b, M = make()
    plan, log = pot.smooth.smooth_ot_dual(a, b, M, reg, log=True)
    assert set(log) == {"alpha", "beta", "res", "result"}
    assert isinstance(log["result"], transport.SparseTransportResult)
    # Both conditions of optimality, measured without sparrot.
    assert marginal_error(plan, a, b) <= 1e-9
    expected = scores_of(log["alpha"], log["beta"], M) / reg
    # What the potentials' plan misses of the marginals, up to 1e-10, is put right in the plan.
    np.testing.assert_allclose(plan, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(log["alpha"].sum(), log["beta"].sum(), atol=1e-12)

    found = log["res"]
    value = dual_value(log["alpha"], log["beta"], a, b, M, reg)
    np.testing.assert_allclose(-found.fun, value, rtol=1e-12)
    primal = (plan * M).sum() + reg / 2 * (plan**2).sum()
    np.testing.assert_allclose(-found.fun, primal, rtol=1e-8)
    np.testing.assert_array_equal(found.x, np.concatenate([log["alpha"], log["beta"]]))
    misses = np.concatenate([plan.sum(1) - a, plan.sum(0) - b])
    np.testing.assert_allclose(found.jac, misses, atol=1e-15)
    assert found.success
    assert found.status == 0
    assert found.nit == log["result"].n_iter
    assert "converged: gap" in found.message

    again, log = pot.smooth.smooth_ot_semi_dual(a, b, M, reg, log=True)
    np.testing.assert_array_equal(again, plan)
    assert set(log) == {"alpha", "res", "result"}
    np.testing.assert_allclose(log["alpha"].sum(), 0, atol=1e-12)
    np.testing.assert_array_equal(log["res"].x, log["alpha"])
    np.testing.assert_array_equal(log["res"].jac, found.jac[: a.size])
    assert log["res"].fun == found.fun
    for function in FUNCTIONS:
        np.testing.assert_array_equal(function(a, b, M, reg), plan)


@pytest.mark.parametrize("make", PROBLEMS)
@pytest.mark.parametrize("reg", REGS)
@pytest.mark.parametrize("k", COUNTS)
def test_few_entries_have_the_plan_of_their_potentials(make, reg, k):
    a, b, M = make()
    plan, log = pot.smooth.smooth_ot_dual(a, b, M, reg, max_nz=k, log=True, **SPARSE)
    assert ((plan > 0).sum(0) <= k).all()
    np.testing.assert_allclose(plan.sum(0), b, rtol=1e-12)
    scores = scores_of(log["alpha"], log["beta"], M) / reg
    room = 1e-12 * b.max()
    taken = plan > 0
    np.testing.assert_allclose(plan[taken], scores[taken], rtol=0, atol=room)
    # The largest ones; which of them where they tie is open.
    best = np.sort(scores, axis=0)[::-1][:k]
    np.testing.assert_allclose(-np.sort(-plan, axis=0)[:k], best, rtol=0, atol=room)
    value = dual_value(log["alpha"], log["beta"], a, b, M, reg, k)
    np.testing.assert_allclose(-log["res"].fun, value, rtol=1e-12)
    result = log["result"]
    np.testing.assert_allclose(marginal_error(plan, a, b), result.marginal_error, atol=1e-14)
    assert ("max_nz is binding" in log["res"].message) == (result.n_binding > 0)

    again, log = pot.smooth.smooth_ot_semi_dual(a, b, M, reg, max_nz=k, log=True, **SPARSE)
    np.testing.assert_array_equal(again, plan)
    assert -log["res"].fun == result.dual_value
    assert log["res"].jac.shape == a.shape

    # Where the documentation sends who needs the marginals.
    exact = transport.solve_ksparse(M, a, b, gamma=reg, k=k, recover="polish")
    assert exact.marginal_error <= 1e-9
    assert exact.value >= result.dual_value * (1 - 1e-9)


@pytest.mark.parametrize("make", PROBLEMS)
def test_with_room_for_all_entries_it_is_the_squared_norm(make):
    a, b, M = make()
    expected = pot.smooth.smooth_ot_dual(a, b, M, 1.0)
    for k in (int((expected > 0).sum(0).max()), a.size, 2 * a.size, np.int64(a.size)):
        plan, log = pot.smooth.smooth_ot_dual(a, b, M, 1.0, max_nz=k, log=True, **SPARSE)
        np.testing.assert_allclose(plan, expected, rtol=0, atol=1e-9)
        assert log["result"].marginal_error <= 1e-9


@pytest.mark.parametrize("kind", ["kl", "negentropy", "Entropic"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_entropy_is_that_of_sinkhorn(kind, function):
    a, b, M = random_problem()
    a, b = 3 * a, 3 * b
    plan, log = function(a, b, M, 0.1, kind, log=True)
    np.testing.assert_array_equal(plan, pot.sinkhorn(a, b, M, 0.1))
    assert isinstance(log["result"], transport.TransportResult)
    found = log["res"]
    assert found.success
    assert "marginal error" in found.message
    value = (plan * M).sum() + 0.1 * (plan * np.log(plan)).sum()
    np.testing.assert_allclose(-found.fun, value, rtol=1e-9)
    if function is FUNCTIONS[0]:
        alpha, beta = log["alpha"], log["beta"]
        np.testing.assert_allclose(
            np.exp((alpha[:, None] + beta - M) / 0.1 - 1), plan, rtol=0, atol=1e-10
        )
        np.testing.assert_allclose(alpha.sum(), beta.sum(), atol=1e-11)
    else:
        np.testing.assert_allclose(log["alpha"].sum(), 0, atol=1e-12)
        kernel = np.exp((log["alpha"][:, None] - M) / 0.1)
        np.testing.assert_allclose(b * kernel / kernel.sum(0), plan, rtol=0, atol=1e-9)
    with pytest.warns(ConvergenceWarning, match="stopThr=1e-09 is not reached: marginal error"):
        _, log = function(a, b, M, 1e-3, kind, numItermax=1, log=True)
    assert not log["res"].success


@pytest.mark.parametrize("options", [{}, {"max_nz": 2, **SPARSE}])
def test_a_mass_is_a_unit(options):
    a, b, M = random_problem()
    plan = pot.smooth.smooth_ot_dual(a, b, M, 1.0, **options)
    scaled = pot.smooth.smooth_ot_dual(8 * a, 8 * b, M, 1 / 8, **options)
    np.testing.assert_array_equal(scaled, 8 * plan)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("options", [{}, {"max_nz": 2, **SPARSE}, {"reg_type": "kl"}])
def test_points_without_weight_and_edges_without_use(function, options):
    a, b, M = random_problem()
    a[3] = b[2] = 0
    b *= a.sum() / b.sum()
    M[5, :7] = np.inf
    plan, log = function(a, b, M, 1.0, log=True, **options)
    assert (plan[3] == 0).all()
    assert (plan[:, 2] == 0).all()
    assert (plan[5, :7] == 0).all()
    assert log["alpha"][3] == -np.inf
    assert np.isfinite(np.delete(log["alpha"], 3)).all()
    if function is FUNCTIONS[0]:
        assert log["beta"][2] == -np.inf
        np.testing.assert_allclose(
            np.delete(log["alpha"], 3).sum(), np.delete(log["beta"], 2).sum(), atol=1e-12
        )
    if "max_nz" not in options:
        assert marginal_error(plan, a, b) <= 1e-9


def test_no_weights_are_uniform_weights():
    _, _, M = random_problem()
    for function in FUNCTIONS:
        expected = function(uniform(30), uniform(20), M, 1.0)
        for nothing in ([], None, np.array([])):
            np.testing.assert_allclose(function(nothing, nothing, M, 1.0), expected, atol=1e-16)
        lists = function(list(uniform(30)), [], M.tolist(), 1)
        np.testing.assert_allclose(lists, expected, atol=1e-16)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("types", ["fff", "dff", "ffd"])
@pytest.mark.parametrize("options", [{}, {"max_nz": 2, **SPARSE}, {"reg_type": "kl"}])
def test_types_are_those_of_numpy(function, types, options):
    arrays = [array.astype(kind) for array, kind in zip(random_problem(), types, strict=True)]
    expected = function(*random_problem(), 1.0, **options)
    plan, log = function(*arrays, 1.0, log=True, **options)
    for array in [plan, *(log[name] for name in ("alpha", "beta") if name in log)]:
        assert array.dtype == np.result_type(*arrays)
    if "max_nz" not in options:  # its plan is that of a kink, where rounding decides
        np.testing.assert_allclose(plan, expected, rtol=0, atol=1e-6)
    assert log["res"].x.dtype == np.float64


@pytest.mark.parametrize("function", FUNCTIONS)
def test_who_falls_short_is_told_where_he_called(function):
    a, b, M = line_problem()
    for options in ({}, {"max_nz": 2, **SPARSE}, {"reg_type": "kl"}):
        with pytest.warns(ConvergenceWarning, match=r"stopThr=1e-09 is.*numItermax") as caught:
            plan, log = function(a, b, M, 1e-3, numItermax=1, log=True, **options)
        assert [warning.filename for warning in caught] == [__file__]
        found = log["res"]
        assert not found.success
        assert found.status == 1
        assert found.message == str(caught[0].message)
        assert np.isfinite(plan).all()
    # Less than rounding allows, unless it happens to leave a gap of exactly 0: that depends on the
    # instruction set.
    a, b, M = random_problem()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plan, log = function(a, b, M, 1.0, stopThr=0, log=True)
    if log["result"].gap > 0:
        assert log["res"].status == 2
        (warning,) = caught
        assert issubclass(warning.category, ConvergenceWarning)
        assert re.search(r"stopThr=0 is not reached: gap.*rounding", str(warning.message))
    else:
        assert log["res"].success
        assert not caught
    assert marginal_error(plan, a, b) <= 1e-9


@pytest.mark.parametrize("stop", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("make", PROBLEMS)
def test_stopthr_bounds_the_gap(stop, make):
    a, b, M = make()
    plan, log = pot.smooth.smooth_ot_dual(a, b, M, 0.05, stopThr=stop, log=True)
    assert marginal_error(plan, a, b) <= 1e-9
    value = (plan * M).sum() + 0.05 / 2 * (plan**2).sum()
    assert value + log["res"].fun <= stop * value
    assert log["result"].tol == stop
    _, log = pot.smooth.smooth_ot_dual(a, b, M, 1.0, stopThr=stop, max_nz=2, log=True, **SPARSE)
    best = transport.solve_ksparse(M, a, b, gamma=1.0, k=2, tol=1e-9)
    assert best.dual_value + log["res"].fun <= stop * best.value


@pytest.mark.parametrize("function", FUNCTIONS)
def test_arguments_that_are_wrong_are_named(function):
    a, b, M = random_problem()
    for call, message in {
        lambda: function(a, b, M, 0): "reg is 0",
        lambda: function(a, b, M, np.nan): "reg is nan",
        lambda: function(a, b, M, 1.0, numItermax=0): "numItermax is 0",
        lambda: function(a, b, M, 1.0, stopThr=np.nan): "stopThr is nan",
        lambda: function(a, b, M, 1.0, stopThr=np.inf): "stopThr is inf",
        lambda: function(a, b[1:], M, 1.0): "b has 19 weights for 20",
        lambda: function(a, np.stack([b, b], 1), M, 1.0): r"b has shape \(20, 2\)",
        lambda: function(a, b, M[0], 1.0): r"M has shape \(20,\)",
        lambda: function(a, b, M * np.nan, 1.0): "contains nan",
        lambda: function(a, b, M, 1.0, **SPARSE): "max_nz is None",
        lambda: function(a, b, M, 1.0, max_nz=2.0, **SPARSE): "max_nz is 2.0",
        lambda: function(a, b, M, 1.0, max_nz=0, **SPARSE): "max_nz is 0",
        lambda: function(a, b, M, 1.0, 3): "reg_type is 3",
    }.items():
        with pytest.raises(InvalidInputError, match=message):
            call()
    with pytest.raises(pot.UnsupportedArgumentError, match=r"reg_type is 'none'.*'l2', 'kl' or"):
        function(a, b, M, 1.0, "none")
    with pytest.raises(MassMismatchError):
        function(a, 2 * b, M, 1.0)
    with pytest.raises(InfeasibleProblemError):
        function(a, b, np.where(np.arange(30)[:, None] == 4, np.inf, M), 1.0)
    tensor = type("Tensor", (np.ndarray,), {"__module__": "torch"})
    with pytest.raises(InvalidInputError, match=r"M is a torch Tensor.*NumPy"):
        function(a, b, M.view(tensor), 1.0)
    # What has no meaning for a reg_type is not looked at, as in POT.
    function(a, b, M, 1.0, max_nz="foo", method="foo")


def test_the_rest_is_pots():
    with pytest.raises(AttributeError, match=r"no attribute 'SquaredL2'.*KSparseDual.*POT itself"):
        pot.smooth.SquaredL2  # noqa: B018


@pytest.mark.parametrize("options", [{}, {"max_nz": 2, **SPARSE}, {"reg_type": "kl"}])
def test_verbose_prints_the_progress(options, capsys):
    pot.smooth.smooth_ot_dual(*random_problem(), 1.0, verbose=True, **options)
    assert "marginal error" in capsys.readouterr().out


# Beside POT.


@pytest.mark.parametrize("name", pot.smooth.__all__)
def test_arguments_and_defaults_are_pots(name, ot):
    def arguments(module):
        parameters = inspect.signature(getattr(module.smooth, name)).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    if not ot.__version__.startswith("0.9.7"):
        pytest.skip("the arguments are those of POT 0.9.7")
    assert arguments(pot) == arguments(ot)


@ignoring_scipy
@pytest.mark.parametrize("name", pot.smooth.__all__)
@pytest.mark.parametrize("make", PROBLEMS)
@pytest.mark.parametrize("reg", REGS)
def test_pots_plans_of_the_squared_norm(name, make, reg, ot):
    problem = (*make(), reg)
    tight = {"stopThr": 1e-15, "numItermax": 20_000, "log": True}
    theirs, expected = getattr(ot.smooth, name)(*problem, **tight)
    ours, log = getattr(pot.smooth, name)(*problem, log=True)
    # What L-BFGS leaves: it ends where rounding hides what a step gains of the dual, and the
    # potentials are then the square root of that away.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    np.testing.assert_allclose(log["res"].fun, expected["res"].fun, rtol=1e-10)
    assert set(expected) < set(log)
    for key in set(expected) - {"res"}:
        assert log[key].shape == expected[key].shape
        assert log[key].dtype == expected[key].dtype
    for key in ("x", "fun", "jac", "nit", "success", "status", "message"):
        assert np.shape(log["res"][key]) == np.shape(expected["res"][key])
    if "beta" in expected:
        sides = ("alpha", "beta")
        given = missed(*(expected[side] for side in sides), *problem)
        assert missed(*(log[side] for side in sides), *problem) < given
        # Where POT's choice of the constant comes from.
        np.testing.assert_allclose(expected["alpha"].sum(), expected["beta"].sum(), atol=1e-8)
    else:
        np.testing.assert_allclose(expected["alpha"].sum(), 0, atol=1e-8)
    # With POT's defaults.
    theirs = getattr(ot.smooth, name)(*problem)
    a, b = problem[:2]
    assert marginal_error(ours, a, b) < 1e-9 < marginal_error(theirs, a, b)


@ignoring_scipy
@pytest.mark.parametrize("name", pot.smooth.__all__)
@pytest.mark.parametrize("make", PROBLEMS)
@pytest.mark.parametrize("reg", REGS)
@pytest.mark.parametrize("k", COUNTS)
def test_pots_duals_of_few_entries_are_no_larger(name, make, reg, k, ot):
    a, b, M = make()
    request = {"max_nz": k, "log": True, **SPARSE}
    theirs, expected = getattr(ot.smooth, name)(a, b, M, reg, **request)
    ours, log = getattr(pot.smooth, name)(a, b, M, reg, **request)
    best = -log["res"].fun
    assert best >= -expected["res"].fun - 1e-9 * best
    assert set(expected) < set(log)
    assert ours.shape == theirs.shape
    assert ((ours > 0).sum(0) <= k).all()


@ignoring_scipy
@pytest.mark.parametrize("name", pot.smooth.__all__)
def test_pots_plan_of_an_entropy(name, ot):
    problem = (*random_problem(), 0.5)
    theirs, expected = getattr(ot.smooth, name)(
        *problem, "kl", stopThr=1e-15, numItermax=20_000, log=True
    )
    ours, log = getattr(pot.smooth, name)(*problem, "kl", log=True)
    # The square root of what rounding hides of the dual, as with the squared norm.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)
    np.testing.assert_allclose(log["res"].fun, expected["res"].fun, rtol=1e-10)
    for side in set(expected) - {"res"}:
        np.testing.assert_allclose(log[side], expected[side], rtol=0, atol=1e-6)


@ignoring_scipy
@pytest.mark.parametrize("name", pot.smooth.__all__)
def test_pots_words(name, ot):
    problem = (*random_problem(), 1.0)
    for kind in ("l2", "SquaredL2", "kl", "NegEntropy", "entropic"):
        theirs, ours = (getattr(module.smooth, name)(*problem, kind) for module in (ot, pot))
        # How far POT's plans are off at its default.
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-5)
    for kind in ("sparsity_constrained", "Sparsity-Constrained"):
        for module in (ot, pot):
            plan = getattr(module.smooth, name)(*problem, kind, max_nz=2)
            assert ((plan > 0).sum(0) <= 2).all()
            with pytest.raises(ValueError, match="max_nz"):
                getattr(module.smooth, name)(*problem, kind)
    for module in (ot, pot):
        with pytest.raises(NotImplementedError):
            getattr(module.smooth, name)(*problem, "none")


@ignoring_scipy
@pytest.mark.parametrize("name", pot.smooth.__all__)
def test_pots_float32(name, ot):
    arrays = [array.astype(np.float32) for array in random_problem()]
    theirs, ours = (getattr(module.smooth, name)(*arrays, 1.0) for module in (ot, pot))
    # As in double precision, in which POT works: how far its plans are off at its default.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-5)

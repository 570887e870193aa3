"""The Sinkhorn divergence is right, and so are its certificate and its gradients."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from sparrot.errors import ConvergenceWarning, InvalidInputError, MassMismatchError
from sparrot.transport import TransportResult, _divergence, sinkhorn_divergence, solve_sample

METRICS = ["sqeuclidean", "euclidean", "cosine"]


def reference_cost(x, y, a, b, metric, reg):
    """``<C, P> + reg KL(P | a b' / mass)`` of the optimal plan, by dense Newton steps."""
    cost, n = cdist(x, y, metric), len(x)
    kernel = np.log(a)[:, None] + np.log(b) - np.log(a.sum()) - cost / reg

    def plan_and_dual(u, v):
        plan = np.exp(kernel + u[:, None] + v)
        return plan, u @ a + v @ b - plan.sum()

    u, v = np.zeros(n), np.zeros(len(y))
    for _ in range(50):
        u = np.log(a) - logsumexp(kernel + v, axis=1)
        v = np.log(b) - logsumexp(kernel + u[:, None], axis=0)
    for _ in range(200):
        plan, dual = plan_and_dual(u, v)
        residual = np.r_[a - plan.sum(1), b - plan.sum(0)]
        if np.abs(residual).sum() < 1e-15 * a.sum():
            break
        hessian = np.block([[np.diag(plan.sum(1)), plan], [plan.T, np.diag(plan.sum(0))]])
        step = np.linalg.lstsq(hessian, residual)[0]
        step /= max(1, np.abs(step).max() / 5)
        while plan_and_dual(u + step[:n], v + step[n:])[1] < dual - 1e-15 * abs(dual):
            step /= 2
        u, v = u + step[:n], v + step[n:]
    # The dual value: what is left of the residual counts by its square.
    return reg * (plan_and_dual(u, v)[1] + a.sum())


def reference(x, y, a, b, metric, reg):
    cross, *own = (
        reference_cost(*sides, metric, reg) for sides in ((x, y, a, b), (x, x, a, a), (y, y, b, b))
    )
    return cross - sum(own) / 2


@pytest.fixture
def problem(rng):
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(9, 2)) + 0.5
    a, b = rng.random(7) + 0.1, rng.random(9) + 0.1
    return x, y, a, b * (a.sum() / b.sum())


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("reg", [3.0, 0.3])
@pytest.mark.parametrize("mass", [1.0, 12.5])
def test_agrees_with_the_definition(metric, reg, mass, problem):
    x, y, a, b = problem
    a, b = mass * a / a.sum(), mass * b / b.sum()
    result = sinkhorn_divergence(x, y, a, b, metric=metric, reg=reg, tol=1e-11)
    expected = reference(x, y, a, b, metric, reg)
    assert abs(result.value - expected) <= result.gap
    np.testing.assert_allclose(result.value, expected, rtol=1e-10)
    assert result.converged
    assert result.marginal_error <= 1e-11
    assert [result.cross.shape, result.self_X.shape, result.self_Y.shape] == [
        (7, 9),
        (7, 7),
        (9, 9),
    ]


@pytest.mark.parametrize("iterations", [1, 3, 10])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_the_certificate_holds_far_from_convergence(iterations, metric, problem):
    x, y, a, b = problem
    result = sinkhorn_divergence(
        x, y, a, b, metric=metric, reg=0.05, max_iter=iterations, tol=1e-15
    )
    assert not result.converged
    expected = reference(x, y, a, b, metric, 0.05)
    assert abs(result.value - expected) <= result.gap
    assert result.value >= 0
    assert np.isfinite(result.gap)


@pytest.mark.parametrize("metric", METRICS)
def test_equal_sides_are_at_distance_zero_exactly(metric, problem):
    x, _, a, _ = problem
    result = sinkhorn_divergence(x, x.copy(), a, a.copy(), metric=metric, reg=0.1, gradient=True)
    assert result.value == result.gap == 0.0
    for name in ("X", "Y", "a", "b"):
        assert not result[f"grad_{name}"].any()
    assert result.grad_X.shape == result.grad_Y.shape == (7, 2)
    assert result.grad_a.shape == result.grad_b.shape == (7,)
    assert result.cross is result.self_X is result.self_Y


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_the_points_does_not_matter(metric, problem, rng):
    x, _, a, _ = problem
    order = rng.permutation(7)
    arguments = {"metric": metric, "reg": 0.5, "tol": 1e-12, "gradient": True}
    result = sinkhorn_divergence(x, x[order], a, a[order], **arguments)
    assert result.value <= 1e-12
    for name in ("X", "Y", "a", "b"):
        np.testing.assert_allclose(result[f"grad_{name}"], 0, atol=1e-9)
    # A point given twice with half of its weight is the same point.
    twice = sinkhorn_divergence(
        x, np.vstack([x, x[:1]]), a, np.r_[a[0] / 2, a[1:], a[0] / 2], **arguments
    )
    assert twice.value <= 1e-12


@pytest.mark.parametrize("metric", METRICS)
def test_symmetry(metric, problem):
    x, y, a, b = problem
    there = sinkhorn_divergence(x, y, a, b, metric=metric, reg=0.2, tol=1e-12, gradient=True)
    back = sinkhorn_divergence(y, x, b, a, metric=metric, reg=0.2, tol=1e-12, gradient=True)
    np.testing.assert_allclose(there.value, back.value, rtol=1e-11)
    for mine, other in (("X", "Y"), ("a", "b")):
        np.testing.assert_allclose(
            there[f"grad_{mine}"], back[f"grad_{other}"], rtol=1e-7, atol=1e-9
        )


coordinates = st.floats(-3, 3, width=16)  # no coordinates whose square is out of range
weights = st.floats(0.01, 1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(coordinates, coordinates, weights), min_size=1, max_size=5),
    st.lists(st.tuples(coordinates, coordinates, weights), min_size=1, max_size=5),
    st.sampled_from(["sqeuclidean", "euclidean"]),
    st.floats(0.05, 20),
)
def test_never_negative_and_within_its_certificate(first, second, metric, reg):
    (x, a), (y, b) = ((np.array(s)[:, :2], np.array(s)[:, 2]) for s in (first, second))
    a, b = a / a.sum(), b / b.sum()
    result = sinkhorn_divergence(x, y, a, b, metric=metric, reg=reg, tol=1e-9)
    plain = result.cross.dual_value - (result.self_X.dual_value + result.self_Y.dual_value) / 2
    assert plain >= -result.gap
    assert result.value == max(plain, 0) or (result.value == 0 and plain <= result.gap)
    assert abs(result.value - reference(x, y, a, b, metric, reg)) <= result.gap + 1e-12


def directional(function, h=1e-5):
    return (function(h) - function(-h)) / (2 * h)


def same_sum(rng, n, total=None):
    """A direction in which weights may change: of sum 0, or of the sum given."""
    change = 0.1 * rng.normal(size=n)
    return change - (change.sum() - (total or 0.0)) / n


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("reg", [2.0, 0.2])
def test_gradients_are_finite_differences(metric, reg, problem, rng):
    x, y, a, b = problem

    def value(x, y, a, b):
        return sinkhorn_divergence(x, y, a, b, metric=metric, reg=reg, tol=1e-12).value

    result = sinkhorn_divergence(x, y, a, b, metric=metric, reg=reg, tol=1e-12, gradient=True)
    dx, dy = rng.normal(size=x.shape), rng.normal(size=y.shape)
    da, db = same_sum(rng, 7), same_sum(rng, 9)
    more_a = same_sum(rng, 7, 0.3)  # more of both
    more_b = same_sum(rng, 9, 0.3)
    changes = [
        (lambda h: value(x + h * dx, y, a, b), (result.grad_X * dx).sum()),
        (lambda h: value(x, y + h * dy, a, b), (result.grad_Y * dy).sum()),
        (lambda h: value(x, y, a + h * da, b), result.grad_a @ da),
        (lambda h: value(x, y, a, b + h * db), result.grad_b @ db),
        (
            lambda h: value(x, y, a + h * more_a, b + h * more_b),
            result.grad_a @ more_a + result.grad_b @ more_b,
        ),
    ]
    for function, expected in changes:
        np.testing.assert_allclose(directional(function), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("metric", METRICS)
def test_the_constant_of_the_weight_gradients(metric, problem):
    x, y, a, b = problem
    result = sinkhorn_divergence(x, y, a, b, metric=metric, reg=0.2, tol=1e-10, gradient=True)
    np.testing.assert_allclose(a @ result.grad_a, result.value / 2, rtol=1e-12)
    np.testing.assert_allclose(b @ result.grad_b, result.value / 2, rtol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_points_without_weight_have_the_gradient_of_giving_them_some(metric, problem):
    x, y, a, b = problem
    a[2], b[4] = 0.0, 0.0
    b *= a.sum() / b.sum()
    arguments = {"metric": metric, "reg": 0.2, "tol": 1e-12}
    result = sinkhorn_divergence(x, y, a, b, gradient=True, **arguments)
    assert (result.grad_X[2] == 0).all()
    assert (result.grad_Y[4] == 0).all()
    change = np.zeros(7)
    change[2], change[0] = 1.0, -1.0

    def value(h):
        return sinkhorn_divergence(x, y, a + h * change, b, **arguments).value

    h = 1e-4
    one_sided = (4 * value(h) - value(2 * h) - 3 * value(0)) / (2 * h)
    np.testing.assert_allclose(one_sided, result.grad_a @ change, rtol=1e-4)
    without = sinkhorn_divergence(
        np.delete(x, 2, 0), np.delete(y, 4, 0), a[a > 0], b[b > 0], gradient=True, **arguments
    )
    np.testing.assert_allclose(result.value, without.value, rtol=1e-10)
    np.testing.assert_allclose(result.grad_b[b > 0], without.grad_b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_of_rows_change_nothing(metric, problem, monkeypatch):
    x, y, a, b = problem
    a[:3], b[3:5] = 0.0, 0.0
    b *= a.sum() / b.sum()
    arguments = {"metric": metric, "reg": 0.3, "tol": 1e-10, "gradient": True}
    whole = sinkhorn_divergence(x, y, a, b, **arguments)
    monkeypatch.setattr(_divergence, "_BLOCK", 20)
    blocks = sinkhorn_divergence(x, y, a, b, **arguments)
    for name in ("X", "Y", "a", "b"):
        np.testing.assert_allclose(blocks[f"grad_{name}"], whole[f"grad_{name}"], atol=1e-13)


@pytest.mark.parametrize("exponent", [-300, 5, 300])
def test_mass_is_a_factor(exponent, problem):
    x, y, a, b = problem
    scale = 2.0**exponent
    one = sinkhorn_divergence(x, y, a, b, reg=0.2, gradient=True)
    other = sinkhorn_divergence(x, y, scale * a, scale * b, reg=0.2, gradient=True)
    np.testing.assert_allclose(other.value, scale * one.value, rtol=1e-12)
    np.testing.assert_allclose(other.gap, scale * one.gap, rtol=1e-12)
    np.testing.assert_allclose(other.grad_X, scale * one.grad_X, rtol=1e-10)
    np.testing.assert_allclose(other.grad_a, one.grad_a, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scale", ["max", "mean"])
def test_one_regularisation_for_the_three_problems(scale, problem):
    x, y, a, b = problem
    cost = cdist(x, y, "sqeuclidean")
    unit = cost.max() if scale == "max" else a @ cost @ b / a.sum() ** 2
    relative = sinkhorn_divergence(x, y, a, b, reg=0.1, reg_scale=scale, tol=1e-11)
    np.testing.assert_allclose(relative.reg, 0.1 * unit, rtol=1e-13)
    assert relative.cross.reg == relative.self_X.reg == relative.self_Y.reg == relative.reg
    absolute = sinkhorn_divergence(x, y, a, b, reg=0.1 * unit, tol=1e-11)
    np.testing.assert_allclose(relative.value, absolute.value, rtol=1e-10)


def test_shifts_add_their_squared_length(rng):
    x, y = rng.normal(size=(60, 3)), rng.normal(size=(50, 3))
    shift = np.array([3.0, -1.0, 0.5])
    arguments = {"reg": 0.05, "reg_scale": "absolute", "tol": 1e-9, "gradient": True}
    itself = sinkhorn_divergence(x, x + shift, **arguments)
    assert abs(itself.value - shift @ shift) <= itself.gap
    np.testing.assert_allclose(itself.grad_X, np.tile(-2 * shift / 60, (60, 1)), atol=1e-7)
    here, there = (sinkhorn_divergence(x, y + s, **arguments) for s in (0, shift))
    moved = shift @ shift + 2 * shift @ (y.mean(0) - x.mean(0))
    assert abs(there.value - here.value - moved) <= here.gap + there.gap
    # Far from the origin nothing cancels.
    far = sinkhorn_divergence(x + 2.0**20, y + 2.0**20, **arguments)
    np.testing.assert_allclose(far.grad_X, here.grad_X, atol=1e-7)


def test_the_limits_in_reg(problem):
    x, y, a, b = problem
    a, b = a / a.sum(), b / b.sum()
    kernel = -0.5 * (a @ cdist(x, x, "euclidean") @ a + b @ cdist(y, y, "euclidean") @ b)
    discrepancy = a @ cdist(x, y, "euclidean") @ b + kernel
    large = sinkhorn_divergence(x, y, a, b, metric="euclidean", reg=1e6, tol=1e-13)
    np.testing.assert_allclose(large.value, discrepancy, rtol=1e-5)
    small = sinkhorn_divergence(x, y, a, b, metric="euclidean", reg=1e-3)
    exact = solve_sample(x, y, a, b, metric="euclidean", reg=1e-3)
    assert exact.lower_bound - 0.02 <= small.value <= exact.upper_bound + 0.02


def test_float32_points_have_float32_gradients(problem):
    x, y, _, _ = problem
    narrow, wide = x.astype(np.float32), y.astype(np.float32)
    result = sinkhorn_divergence(narrow, wide, reg=0.2, gradient=True)
    assert result.grad_X.dtype == result.grad_Y.dtype == np.float32
    assert result.grad_a.dtype == np.float64
    double = sinkhorn_divergence(narrow.astype(float), wide.astype(float), reg=0.2, gradient=True)
    assert result.value == double.value
    assert sinkhorn_divergence(narrow, narrow, reg=0.2, gradient=True).grad_X.dtype == np.float32


def test_the_result(problem):
    x, y, a, b = problem
    result = sinkhorn_divergence(x, y, a, b, reg=0.2, gradient=True)
    copy = pickle.loads(pickle.dumps(result))
    assert copy.value == result.value
    np.testing.assert_array_equal(copy.grad_X, result.grad_X)
    assert isinstance(copy.cross, TransportResult)
    shown = repr(result)
    assert shown.startswith("DivergenceResult\n")
    assert "TransportResult of shape (7, 9)" in shown
    assert max(map(len, shown.splitlines())) < 100
    with pytest.raises(AttributeError, match="frozen"):
        result.value = 0.0
    with pytest.raises(ValueError, match="read-only"):
        result.grad_a[0] = 1.0
    without = sinkhorn_divergence(x, y, a, b, reg=0.2)
    assert without.value == result.value
    assert without.grad_X is without.grad_Y is without.grad_a is without.grad_b is None
    many = sinkhorn_divergence(x, y, a, b, reg=0.2, n_threads=2)
    assert many.value == result.value


def test_not_converged_is_told_where_it_was_called(problem):
    x, y, a, b = problem
    with pytest.warns(ConvergenceWarning, match="not converged") as caught:
        result = sinkhorn_divergence(x, y, a, b, reg=1e-3, max_iter=1)
    assert all(warning.filename == __file__ for warning in caught)
    assert not result.converged
    assert "X to Y (max_iter)" in result.message
    assert "allow more" in result.message
    assert result.marginal_error > 1e-6
    with pytest.warns(ConvergenceWarning):
        late = sinkhorn_divergence(x, y, a, b, reg=1e-3, max_time=0)
    assert "max_time" in late.message
    assert np.isfinite(late.gap)


BAD = {
    "reg": ({"reg": 0}, "reg is 0"),
    "reg_scale": ({"reg_scale": "median"}, "reg_scale is 'median'"),
    "metric": ({"metric": "cityblock"}, "metric is 'cityblock'"),
    "tol": ({"tol": -1}, "tol is -1"),
    "max_iter": ({"max_iter": 0}, "max_iter is 0"),
    "max_time": ({"max_time": -1}, "max_time is -1"),
    "max_time text": ({"max_time": "long"}, "max_time is 'long'"),
    "n_threads": ({"n_threads": 0}, "n_threads is 0"),
    "X": ({"X": [[np.nan, 0.0]]}, "X contains nan"),
    "Y": ({"Y": np.ones((3, 5))}, "X has 2 columns but Y has 5"),
    "a": ({"a": [1.0]}, "a has 1 weights for 7 points"),
    "b": ({"b": np.full(9, -1.0)}, r"b\[0\] is -1"),
    "origin": ({"Y": np.zeros((9, 2)), "metric": "cosine"}, "Y: row 0 is all zeros"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, problem):
    x, y, _, _ = problem
    changes, message = BAD[name]
    with pytest.raises(InvalidInputError, match=message):
        sinkhorn_divergence(**({"X": x, "Y": y, "reg": 0.1} | changes))


def test_mismatched_mass(problem):
    x, y, a, b = problem
    with pytest.raises(MassMismatchError):
        sinkhorn_divergence(x, y, a, 2 * b, reg=0.1)

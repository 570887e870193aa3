"""The gradient, the loss, the largest, and the other ways to the simplex."""

import numpy as np
import pytest

from sparrot.errors import InvalidInputError
from sparrot.special import (
    cross_entropy,
    log_softmax,
    softmax,
    softmax_vjp,
    sparsemax,
    stablemax,
    topk_softmax,
)
from tests.special.reference import LAYOUTS, Truth, ulps

TYPES = [np.dtype(np.float32), np.dtype(np.float64)]
SIZES = [(1, 1), (30, 5), (3, 5), (11, 49), (11, 200), (2, 2500), (1, 70_001)]
FLAT = {
    "sparsemax": sparsemax,
    "stablemax": stablemax,
    "softmax_vjp": lambda x, axis, **k: softmax_vjp(x, np.ones_like(x), axis, **k),
}


@pytest.fixture(params=TYPES, ids=str)
def dtype(request):
    return request.param


def eps(dtype):
    return float(np.finfo(dtype).eps)


# softmax_vjp


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_the_gradient(layout, size, temperature, dtype, rng):
    place, axis, back = LAYOUTS[layout]
    p = softmax((rng.normal(size=size) * 3).astype(dtype), 1)
    g = rng.normal(size=size).astype(dtype)
    wide, wide_g = p.astype(np.longdouble), g.astype(np.longdouble)
    inner = (wide * wide_g).sum(1, keepdims=True)
    exact = wide * (wide_g - inner) / temperature
    scale = wide * (np.abs(wide_g) + (wide * np.abs(wide_g)).sum(1, keepdims=True)) / temperature
    found = softmax_vjp(place(p), place(g), axis, temperature=temperature)
    assert found.dtype == dtype
    assert (np.abs(back(found) - exact) <= 4 * eps(dtype) * scale).all()
    mine = place(p.copy()).copy(order="K")
    assert softmax_vjp(mine, place(g), axis, out=mine, temperature=temperature) is mine
    np.testing.assert_allclose(back(mine), back(found), rtol=0, atol=4 * eps(dtype) * scale.max())


def test_the_gradient_is_the_slope(rng):
    x, g, direction = rng.normal(size=(3, 40, 7))
    for axis in (None, 0, 1):
        step = 1e-5
        above, below = (g * softmax(x + s * direction, axis) for s in (step, -step))
        slope = (above - below).sum() / (2 * step)
        grad = softmax_vjp(softmax(x, axis), g, axis)
        assert (grad * direction).sum() == pytest.approx(slope, rel=1e-7)


def test_the_gradient_of_other_types(rng):
    p = softmax(rng.normal(size=(3, 5)).astype(np.float32), 1)
    assert softmax_vjp(p, np.ones((3, 5)), 1).dtype == np.float64
    assert softmax_vjp(p, np.ones((3, 5), int), 1).dtype == np.float64
    assert softmax_vjp(p, np.ones((3, 5), np.float16), 1).dtype == np.float32
    np.testing.assert_allclose(softmax_vjp(p, np.ones_like(p), 1), 0, atol=1e-7)
    assert softmax_vjp([0.25, 0.75], [1, 0]) == pytest.approx([0.1875, -0.1875])


def test_the_gradient_in_the_place_of_the_other_gradient(rng):
    p, g = softmax(rng.normal(size=(4, 6)), 1), rng.normal(size=(4, 6))
    with pytest.raises(InvalidInputError, match="out overlaps g"):
        softmax_vjp(p, g, 1, out=g)


@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 300_000), 1), ((5000, 90), 0), ((60_000, 5), 1), ((300, 1000), None)]
)
def test_the_same_bits_for_any_number_of_threads(shape, axis, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    calls = {name: lambda f=f, **k: f(x, axis, **k) for name, f in FLAT.items()}
    if axis is not None:
        targets = np.zeros(np.delete(shape, axis), int)
        keywords = {"reduction": "none", "return_grad": True}
        calls |= {
            "topk": lambda **k: topk_softmax(x, 3, axis, **k)[0],
            "loss": lambda **k: cross_entropy(x, targets, axis, **keywords, **k)[0],
            "its gradient": lambda **k: cross_entropy(x, targets, axis, **keywords, **k)[1],
        }
    for name, call in calls.items():
        one = call(n_threads=1)
        for threads in (2, 3, 8):
            np.testing.assert_array_equal(call(n_threads=threads), one, err_msg=name)


# cross_entropy


@pytest.mark.parametrize(("shape", "axis"), [((7, 5), 1), ((7, 5), 0), ((4, 9, 6), 1), ((50,), 0)])
def test_the_loss(shape, axis, dtype, rng):
    x = (rng.normal(size=shape) * 10).astype(dtype)
    kept = tuple(np.delete(shape, axis))
    targets = rng.integers(0, shape[axis], kept)
    where = np.expand_dims(targets, axis)
    rows = np.moveaxis(x, axis, -1).reshape(-1, shape[axis])
    exact = -np.take_along_axis(Truth(rows).log_softmax(), targets.reshape(-1, 1), 1)[:, 0]
    losses, grad = cross_entropy(x, targets, axis, reduction="none", return_grad=True)
    assert losses.dtype == grad.dtype == dtype
    assert np.shape(losses) == kept
    assert ulps(np.ravel(losses), exact) <= 4
    expected = softmax(x, axis)
    exact_p = np.take_along_axis(expected, where, axis)
    np.put_along_axis(expected, where, exact_p - 1, axis)
    np.testing.assert_allclose(grad, expected, atol=2 * eps(dtype))
    mean, mean_grad = cross_entropy(x, targets, axis, return_grad=True)
    assert mean == pytest.approx(float(exact.mean()), rel=4 * eps(dtype))
    np.testing.assert_allclose(mean_grad, grad / len(exact), rtol=4 * eps(dtype))
    total, total_grad = cross_entropy(x, targets, axis, reduction="sum", return_grad=True)
    assert total == pytest.approx(float(exact.sum()), rel=4 * eps(dtype))
    np.testing.assert_array_equal(total_grad, grad)
    for kind in (np.uint8, np.int16, np.uint64):
        np.testing.assert_array_equal(
            cross_entropy(x, targets.astype(kind), axis, reduction="none"), losses
        )


def test_the_loss_of_probabilities(dtype, rng):
    x = (rng.normal(size=(6, 8, 3)) * 10).astype(dtype)
    for axis in (0, 1, 2, -1):
        targets = softmax(rng.normal(size=x.shape), axis).astype(dtype)
        losses, grad = cross_entropy(x, targets, axis, reduction="none", return_grad=True)
        exact = -(targets.astype(np.longdouble) * log_softmax(x.astype(float), axis)).sum(axis)
        np.testing.assert_allclose(losses, exact.astype(float), rtol=8 * eps(dtype))
        np.testing.assert_allclose(grad, softmax(x, axis) - targets, atol=8 * eps(dtype))
    halves = cross_entropy(x, targets / 2, axis, reduction="none")
    np.testing.assert_allclose(halves, losses / 2, rtol=8 * eps(dtype))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("soft", [False, True])
def test_the_gradient_of_the_loss_is_its_slope(reduction, soft, rng):
    x, direction = rng.normal(size=(2, 9, 6))
    targets = softmax(rng.normal(size=(9, 6)), 1) * 1.5 if soft else rng.integers(0, 6, 9)
    step = 1e-5
    above, below = (
        cross_entropy(x + s * direction, targets, reduction=reduction) for s in (step, -step)
    )
    _, grad = cross_entropy(x, targets, reduction=reduction, return_grad=True)
    assert (grad * direction).sum() == pytest.approx((above - below) / (2 * step), rel=1e-7)


@pytest.mark.parametrize("gap", [1.0, 10.0, 40.0, 46.0, 80.0])
def test_the_loss_of_the_confident(gap, dtype):
    """Of e^-gap: probabilities would round it to 0."""
    x = np.array([[gap, 0.0], [0.0, gap], [gap + 1000, 1000.0]], dtype)
    truth = np.log1p(np.exp(-np.longdouble(dtype.type(gap))))
    slope = np.longdouble(1) / (1 + np.exp(np.longdouble(dtype.type(gap))))
    losses, grad = cross_entropy(x, [0, 1, 0], reduction="none", return_grad=True)
    assert ulps(losses[:2], np.repeat(truth, 2)) <= 4
    assert losses[2] > 0
    assert ulps(grad[:2].ravel(), np.array([-slope, slope, slope, -slope])) <= 6
    mean = cross_entropy(x[:2], [0, 1])
    assert ulps(np.array([mean]), np.array([truth])) <= 4


def test_hard_cases_of_the_loss():
    inf = np.inf
    # An impossible class costs nothing unless it is the right one.
    assert cross_entropy([[0.0, -inf]], [0]) == 0
    assert cross_entropy([[0.0, -inf]], [1]) == inf
    assert cross_entropy([[0.0, -inf]], [[1.0, 0.0]]) == 0
    assert cross_entropy([[0.0, -inf]], [[0.5, 0.5]]) == inf
    assert np.isnan(cross_entropy([[0.0, np.nan]], [0]))
    assert np.isnan(cross_entropy([[inf, 0.0]], [0]))
    loss, grad = cross_entropy([[3e38, -3e38]], [1], return_grad=True)
    assert loss == 6e38
    np.testing.assert_array_equal(grad, [[1, -1]])
    np.testing.assert_array_equal(
        cross_entropy([[0.0, -inf], [-inf, 0.0]], [0, 0], reduction="none"), [0, inf]
    )
    _, grad = cross_entropy([[0.0, -inf]], [1], return_grad=True)
    np.testing.assert_array_equal(grad, [[1, -1]])


def test_a_loss_of_one_row_and_of_none():
    assert np.shape(cross_entropy([1.0, 2.0], 1)) == ()
    assert np.shape(cross_entropy([1.0, 2.0], 1, reduction="none")) == ()
    loss, grad = cross_entropy(np.empty((0, 3)), np.empty(0, int), return_grad=True)
    assert loss == 0
    assert grad.shape == (0, 3)
    assert cross_entropy(np.empty((0, 3)), np.empty(0, int), reduction="none").shape == (0,)


BAD_TARGETS = {
    "class too large": ([0, 5, 1, 1], "targets has class 5: there are 5, counted from 0"),
    "class negative": ([0, -1, 1, 1], "targets has class -1"),
    "too few": ([0, 1], r"targets has shape \(2,\): needs one class each, \(4,\)"),
    "number": (0, r"targets has shape \(\)"),
    "classes of all": (np.zeros((4, 5), int), r"targets has shape \(4, 5\)"),
    "floats": ([0.0, 1.0, 2.0, 3.0], r"targets has shape \(4,\): needs integers, or prob"),
    "negative": (np.full((4, 5), -0.2), "targets has a negative"),
    "NaN": (np.full((4, 5), np.nan), "targets has a .*NaN"),
    "inf": (np.full((4, 5), np.inf), "targets has a .*infinite"),
    "complex": (np.ones((4, 5), complex), "targets has dtype complex128"),
    "strings": (["a"] * 4, "targets has dtype <U1"),
    "objects": ([None] * 4, "targets has dtype object"),
    "masked": (np.ma.masked_array(np.zeros((4, 5)), True), "targets is a masked array"),
    "masked classes": (np.ma.masked_array([0, 1, 2, 3], True), "targets is a masked array"),
    "ragged": ([[1, 2], [3]], "targets"),
}


@pytest.mark.parametrize("name", BAD_TARGETS)
def test_bad_targets(name, rng):
    targets, message = BAD_TARGETS[name]
    with pytest.raises(InvalidInputError, match=message):
        cross_entropy(rng.normal(size=(4, 5)), targets)


def test_other_bad_arguments_of_the_loss():
    x = np.zeros((4, 5))
    for keywords, message in [
        ({"reduction": "max"}, "reduction is 'max': needs one of 'mean', 'sum', 'none'"),
        ({"reduction": None}, "reduction is None"),
        ({"axis": None}, "axis is None: needs an integer"),
        ({"axis": (0,)}, r"axis is \(0,\): needs an integer"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            cross_entropy(x, [0, 0, 0, 0], **keywords)
    with pytest.raises(InvalidInputError, match="logits has no dimensions"):
        cross_entropy(1.0, 0)
    with pytest.raises(InvalidInputError, match=r"logits has shape \(4, 0\): there is no class"):
        cross_entropy(np.empty((4, 0)), [0, 0, 0, 0])


# topk_softmax


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "two axes"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("ties", [False, True])
def test_the_largest(layout, size, ties, dtype, rng):
    place, axis, back = LAYOUTS[layout]
    x = (rng.integers(0, 4, size) if ties else rng.normal(size=size) * 5).astype(dtype)
    order = np.argsort(-x, 1, kind="stable")
    truth = Truth(x).softmax()
    for k in {min(k, size[1]) for k in (1, 2, 8, 100, 2500)}:
        p, indices = topk_softmax(place(x), k, axis)
        assert p.dtype == dtype
        assert indices.dtype == np.int64
        best = order[:, :k]
        np.testing.assert_array_equal(back(indices), best)
        assert ulps(back(p), np.take_along_axis(truth, best, 1)) <= 4
        shares, same = topk_softmax(place(x), k, axis, renormalize=True)
        np.testing.assert_array_equal(same, indices)
        chosen = Truth(np.ascontiguousarray(np.take_along_axis(x, best, 1)))
        assert ulps(back(shares), chosen.softmax()) <= 4


@pytest.mark.parametrize("k", [1, 3, 10])
def test_the_largest_where_they_are_hard_to_find(k, dtype):
    n = 10_000
    for x in (
        np.zeros(n),
        np.arange(n),
        -np.arange(n),
        np.where(np.arange(n) % 1000 == 999, 1.0, 0.0),
        np.where(np.arange(n) < 5, 0.0, -np.inf),
        np.r_[np.zeros(n - 1), 3e38],
        -np.abs(np.arange(n) - n // 2) * 1.0,
    ):
        x = x.astype(dtype)
        best = np.argsort(-x, kind="stable")[:k]
        p, indices = topk_softmax(x, k)
        np.testing.assert_array_equal(indices, best)
        np.testing.assert_allclose(p, softmax(x)[best], rtol=8 * eps(dtype))


def test_bad_arguments_of_the_largest():
    x = np.zeros((4, 5))
    for k, message in [
        (0, "k is 0"),
        (-1, "k is -1"),
        (6, "k is 6: the axis has 5 values"),
        (1.5, "k is 1.5"),
        ("two", "k is 'two'"),
        (None, "k is None"),
        (True, "k is True"),
        (np.ones(2, int), "k is"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            topk_softmax(x, k)
    with pytest.raises(InvalidInputError, match="axis is None: needs an integer"):
        topk_softmax(x, 1, None)
    with pytest.raises(InvalidInputError, match="x has no dimensions"):
        topk_softmax(1.0, 1)
    p, indices = topk_softmax(np.empty((0, 5)), 2)
    assert p.shape == indices.shape == (0, 2)
    p, indices = topk_softmax([[0.0, np.nan], [np.inf, 1.0], [-np.inf, -np.inf], [1.0, 0.0]], 1)
    assert np.isnan(p[:3]).all()
    assert indices[3] == 0


# sparsemax


def projection(x):
    """Michelot: by sorting."""
    wide = x.astype(np.longdouble)
    order = -np.sort(-wide, 1)
    sums = order.cumsum(1) - 1
    count = (order * np.arange(1, x.shape[1] + 1) > sums).sum(1, keepdims=True)
    return np.maximum(wide - np.take_along_axis(sums, count - 1, 1) / count, 0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("width", [1e-3, 1.0, 100.0])
def test_the_closest_point(layout, size, width, dtype, rng):
    place, axis, back = LAYOUTS[layout]
    x = (rng.normal(size=size) * width).astype(dtype)
    p = sparsemax(place(x), axis)
    assert p.dtype == dtype
    exact = projection(x)
    assert (np.abs(back(p) - exact) <= 2 * eps(dtype) * np.maximum(np.abs(x).max(), 1)).all()
    mine = place(x).copy(order="K")
    assert sparsemax(mine, axis, out=mine) is mine
    np.testing.assert_array_equal(back(mine), back(p))


def test_points_of_the_simplex_are_their_own(dtype, rng):
    for n in (1, 2, 5, 50, 3000):
        p = softmax(rng.normal(size=(7, n)), 1).astype(dtype)
        np.testing.assert_allclose(sparsemax(p), p, atol=4 * eps(dtype))
        np.testing.assert_array_equal(sparsemax(np.eye(n, dtype=dtype)[:9]), np.eye(n)[:9])
    np.testing.assert_array_equal(sparsemax(np.full((3, 4), 7.5, dtype)), 0.25)
    np.testing.assert_array_equal(sparsemax(np.array([1e30, 0, -1e30], dtype)), [1, 0, 0])
    np.testing.assert_array_equal(sparsemax(np.array([3e38, 3e38], dtype)), [0.5, 0.5])
    np.testing.assert_array_equal(sparsemax(np.array([-3e38, 3e38], dtype)), [0, 1])
    np.testing.assert_array_equal(sparsemax(np.array([0, -np.inf, 0], dtype)), [0.5, 0, 0.5])


# stablemax


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("width", [1e-3, 1.0, 1e5])
def test_stablemax(layout, size, width, dtype, rng):
    place, axis, back = LAYOUTS[layout]
    x = (rng.normal(size=size) * width).astype(dtype)
    wide = x.astype(np.longdouble)
    s = np.where(wide >= 0, wide + 1, 1 / (1 - np.minimum(wide, 0)))
    exact = s / s.sum(1, keepdims=True)
    p = stablemax(place(x), axis)
    assert p.dtype == dtype
    assert ulps(back(p), exact) <= 4
    mine = place(x).copy(order="K")
    assert stablemax(mine, axis, out=mine) is mine
    np.testing.assert_array_equal(back(mine), back(p))


def test_stablemax_of_hard_values(dtype):
    largest = np.finfo(dtype).max
    np.testing.assert_array_equal(stablemax(np.array([0, -np.inf], dtype)), [1, 0])
    np.testing.assert_allclose(stablemax(np.array([largest, largest], dtype)), [0.5, 0.5])
    np.testing.assert_allclose(stablemax(np.array([largest, 0], dtype)), [1, 0], atol=1e-30)
    np.testing.assert_allclose(stablemax(np.array([-largest, 0], dtype)), [0, 1], atol=1e-30)
    np.testing.assert_array_equal(stablemax(np.zeros(4, dtype)), 0.25)
    np.testing.assert_array_equal(stablemax(np.array([np.inf, 0, 1], dtype)), [np.nan, 0, 0])


@pytest.mark.parametrize("function", ["sparsemax", "stablemax"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n", [1, 5, 200])
def test_rows_that_are_not_numbers(function, layout, n, dtype, rng):
    place, axis, back = LAYOUTS[layout]
    x = rng.normal(size=(9, n)).astype(dtype)
    good = np.ones(9, bool)
    x[2, n // 2], x[5], good[[2, 5]] = np.nan, -np.inf, False
    if function == "sparsemax":
        x[7, n // 2], good[7] = np.inf, False
    usual = FLAT[function](np.ascontiguousarray(x), 1)
    result = back(FLAT[function](place(x), axis))
    assert np.isnan(result[~good]).all()
    assert np.isfinite(result[good]).all()
    np.testing.assert_allclose(result, usual, rtol=8 * eps(dtype), atol=eps(dtype))

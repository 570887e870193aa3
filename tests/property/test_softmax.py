"""Whatever the values, shapes and layouts: the laws of softmax and its relatives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparrot.special import (
    LogSumExp,
    cross_entropy,
    log_softmax,
    logsumexp,
    softmax,
    softmax_vjp,
    softmax_with_logsumexp,
    sparsemax,
    stablemax,
    topk_softmax,
)

seeds = st.integers(0, 2**32 - 1)
METHODS = ("auto", "two-pass", "recompute", "reload", "blocked")
# A sum of probabilities, each within 4 ULP: n-independent.
SUM_ERROR = 4


@st.composite
def values(draw, largest=60.0, ndim=(1, 4), types=(np.float32, np.float64)):
    """Arrays of any shape, order and strides, and axes to reduce."""
    rng = np.random.default_rng(draw(seeds))
    sides = st.one_of(st.integers(1, 9), st.integers(10, 150))
    shape = tuple(draw(st.lists(sides, min_size=ndim[0], max_size=ndim[1])))
    while np.prod(shape) > 60_000:
        shape = tuple(max(n // 2, 1) for n in shape)
    kind = draw(st.sampled_from(["normal", "wide", "ties", "constant", "ascending"]))
    x = {
        "normal": lambda: rng.normal(size=shape),
        "wide": lambda: rng.uniform(-largest, largest, shape),
        "ties": lambda: rng.integers(-2, 3, shape) * 2.5,
        "constant": lambda: np.full(shape, rng.normal()),
        "ascending": lambda: np.sort(rng.normal(size=shape) * 9, axis=None).reshape(shape),
    }[kind]()
    x = x.astype(draw(st.sampled_from(types)))
    order = draw(st.permutations(range(x.ndim)))
    steps = [draw(st.sampled_from([1, 1, 2, -1, -3])) for _ in shape]
    spaced = np.full([x.shape[d] * abs(steps[d]) for d in order], np.nan, x.dtype)
    view = spaced[tuple(slice(None, None, steps[d]) for d in order)].transpose(np.argsort(order))
    view[...] = x
    axis = draw(
        st.one_of(
            st.none(),
            st.integers(-x.ndim, x.ndim - 1),
            st.sets(st.integers(0, x.ndim - 1), min_size=1).map(tuple),
        )
    )
    return (view if draw(st.booleans()) else x), axis


def eps(x):
    return np.finfo(x.dtype).eps


def naive(x, axis):
    """Softmax by its definition, in the widest floats."""
    e = np.exp(x.astype(np.longdouble) - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@settings(deadline=None)
@given(case=values(), method=st.sampled_from(METHODS))
def test_softmax_is_its_definition(case, method):
    x, axis = case
    p = softmax(x, axis, method=method)
    assert p.shape == x.shape
    assert p.dtype == x.dtype
    np.testing.assert_allclose(p, naive(x, axis), rtol=4 * eps(x), atol=np.finfo(x.dtype).tiny)
    total = p.sum(axis, dtype=np.longdouble)
    np.testing.assert_allclose(total.astype(float), 1, rtol=SUM_ERROR * eps(x))


@settings(deadline=None)
@given(case=values())
def test_any_layout_gives_what_contiguous_rows_give(case):
    x, axis = case
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis) % x.ndim
    kept = [d for d in range(x.ndim) if d not in axes]
    n = int(np.prod([x.shape[d] for d in axes]))
    order = [*kept, *(d for d in range(x.ndim) if d in axes)]
    rows = np.ascontiguousarray(x.transpose(order)).reshape(-1, n)
    for function in (softmax, log_softmax, sparsemax, stablemax):
        usual = function(rows, 1).reshape([x.shape[d] for d in order]).transpose(np.argsort(order))
        other = function(x, axis)
        # Sums are cut up by layout, which is lost in their rounding.
        np.testing.assert_allclose(
            other, usual, rtol=eps(x), atol=4 * eps(x) * (function is sparsemax)
        )
    np.testing.assert_allclose(
        np.ravel(logsumexp(x, axis)), logsumexp(rows, 1), rtol=eps(x), atol=eps(x)
    )


@settings(deadline=None)
@given(case=values(), method=st.sampled_from(METHODS))
def test_in_place_is_the_same(case, method):
    x, axis = case
    g = np.full_like(x, 2)
    for function in (
        lambda x, **k: softmax(x, axis, method=method, **k),
        lambda x, **k: log_softmax(x, axis, **k),
        lambda x, **k: softmax_with_logsumexp(x, axis, **k)[0],
        lambda x, **k: sparsemax(x, axis, **k),
        lambda x, **k: stablemax(x, axis, **k),
        lambda x, **k: softmax_vjp(x, g, axis, **k),
    ):
        usual = function(np.array(x, order="C"))
        mine = np.array(x, order="C")
        assert function(mine, out=mine) is mine
        np.testing.assert_array_equal(mine, usual)
        spaced = np.zeros([2 * n for n in x.shape], x.dtype)[(slice(None, None, 2),) * x.ndim]
        spaced[...] = x
        elsewhere = function(
            spaced,
            out=np.full(np.multiply(x.shape, 2), 7, x.dtype)[(slice(None, None, 2),) * x.ndim],
        )
        assert function(spaced, out=spaced) is spaced
        np.testing.assert_array_equal(spaced, elsewhere)


@settings(deadline=None)
@given(case=values(largest=20.0), shift=st.integers(-(2**20), 2**20))
def test_adding_a_number_changes_nothing(case, shift):
    x, axis = case
    x = np.round(x * 4) / 4  # so that adding is exact
    if x.dtype == np.float32:
        shift = shift % 2**17
    moved = x + x.dtype.type(shift)
    np.testing.assert_allclose(softmax(moved, axis), softmax(x, axis), rtol=8 * eps(x))
    np.testing.assert_allclose(log_softmax(moved, axis), log_softmax(x, axis), rtol=8 * eps(x))
    lse = logsumexp(x, axis).astype(np.float64) + shift
    np.testing.assert_allclose(logsumexp(moved, axis), lse, rtol=4 * eps(x), atol=80 * eps(x))


@settings(deadline=None)
@given(case=values())
def test_logarithms_and_probabilities_belong_together(case):
    x, axis = case
    p, lse = softmax_with_logsumexp(x, axis, keepdims=True)
    log_p = log_softmax(x, axis)
    assert (log_p <= 0).all()
    normal = p >= np.finfo(x.dtype).tiny
    np.testing.assert_allclose(np.log(p[normal]), log_p[normal], rtol=8 * eps(x), atol=8 * eps(x))
    denormal = 8 * np.finfo(x.dtype).smallest_subnormal
    np.testing.assert_allclose(p, softmax(x, axis), rtol=8 * eps(x), atol=denormal)
    np.testing.assert_allclose(
        lse, logsumexp(x, axis, keepdims=True), rtol=8 * eps(x), atol=8 * eps(x)
    )
    scale = np.abs(x).max() + 10
    np.testing.assert_allclose(x - lse, log_p, atol=4 * eps(x) * scale)


@settings(deadline=None)
@given(case=values(), seed=seeds)
def test_a_permutation_permutes(case, seed):
    x, _ = case
    axis = x.ndim - 1
    order = np.random.default_rng(seed).permutation(x.shape[axis])
    for function in (softmax, log_softmax, stablemax):
        np.testing.assert_allclose(
            function(x[..., order], axis), function(x, axis)[..., order], rtol=8 * eps(x)
        )
    np.testing.assert_allclose(sparsemax(x[..., order]), sparsemax(x)[..., order], atol=8 * eps(x))


@settings(deadline=None)
@given(case=values(largest=1e4, ndim=(1, 3)), seed=seeds)
def test_splitting_and_merging(case, seed):
    x, _ = case
    rng = np.random.default_rng(seed)
    order = rng.permutation(x.shape[-1])
    cuts = np.sort(rng.integers(0, x.shape[-1] + 1, rng.integers(0, 5)))
    states = [LogSumExp(axis=-1).update(x[..., part]) for part in np.split(order, cuts)]
    while len(states) > 1:
        one, other = states.pop(rng.integers(len(states))), states.pop(rng.integers(len(states)))
        states.append(one.merge(other))
    (state,) = states
    assert state.count == x.shape[-1]
    tolerance = {"rtol": 4 * eps(x), "atol": 40 * eps(x)}
    np.testing.assert_allclose(state.finalize(), logsumexp(x, -1), **tolerance)
    p = softmax(x, -1)
    np.testing.assert_allclose(
        state.softmax(x), p, rtol=8 * eps(x), atol=4 * np.finfo(x.dtype).smallest_subnormal
    )


@settings(deadline=None)
@given(case=values(), temperature=st.floats(1e-2, 1e2), seed=seeds)
def test_the_gradient_is_its_formula(case, temperature, seed):
    x, axis = case
    g = np.random.default_rng(seed).normal(size=x.shape).astype(x.dtype)
    p = softmax(x, axis, temperature=temperature)
    wide, wide_g = p.astype(np.longdouble), g.astype(np.longdouble)
    inner = (wide * wide_g).sum(axis, keepdims=True)
    exact = wide * (wide_g - inner) / temperature
    scale = wide * (np.abs(wide_g) + (wide * np.abs(wide_g)).sum(axis, keepdims=True)) / temperature
    found = softmax_vjp(p, g, axis, temperature=temperature)
    assert found.dtype == x.dtype
    assert (np.abs(found - exact) <= 8 * eps(x) * scale + 4 * np.finfo(x.dtype).tiny).all()


@settings(deadline=None, max_examples=50)
@given(case=values(largest=5.0, types=(np.float64,)), temperature=st.floats(0.5, 4), seed=seeds)
def test_the_gradient_is_the_slope(case, temperature, seed):
    x, axis = case
    rng = np.random.default_rng(seed)
    g, direction = rng.normal(size=(2, *x.shape))
    step = 1e-5

    def loss(x):
        return (g * softmax(x, axis, temperature=temperature)).sum()

    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    grad = softmax_vjp(softmax(x, axis, temperature=temperature), g, axis, temperature=temperature)
    np.testing.assert_allclose(
        (grad * direction).sum(), slope, rtol=1e-5, atol=1e-6 * np.sqrt(x.size)
    )


@settings(deadline=None)
@given(case=values(), seed=seeds)
def test_weights_are_multiplicities(case, seed):
    x, axis = case
    b = np.random.default_rng(seed).integers(-2, 4, x.shape)
    top = x.max(axis, keepdims=True)
    terms = b * np.exp(x.astype(np.longdouble) - top)
    exact, size = terms.sum(axis), np.abs(terms).sum(axis)
    log, sign = logsumexp(x, axis, b=b, return_sign=True)
    assert log.dtype == np.float64
    found = sign * np.exp(log.astype(np.longdouble) - top.reshape(np.shape(log)))
    scale = size * (np.abs(top).reshape(np.shape(log)) + 10)
    assert (np.abs(found - exact) <= 8 * eps(x) * scale).all()
    alone = logsumexp(x, axis, b=b)
    np.testing.assert_array_equal(alone, np.where(sign < 0, np.nan, log))


@settings(deadline=None)
@given(case=values(largest=3.0))
def test_sparsemax_is_the_projection(case):
    x, axis = case
    p = sparsemax(x, axis).astype(np.float64)
    tolerance = 8 * eps(x) * (1 + np.abs(x).max())
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis), 1, atol=tolerance * x.size)
    # p = x - tau where it is positive, and x <= tau elsewhere.
    positive = p > 0
    wide = x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        above = np.where(positive, wide - p, -np.inf).max(axis, keepdims=True)
        below = np.where(positive, wide - p, np.inf).min(axis, keepdims=True)
    assert (above - below <= tolerance).all()
    assert np.where(positive, True, wide <= above + tolerance).all()
    again = sparsemax(p.astype(x.dtype), axis)
    np.testing.assert_allclose(again, p, atol=tolerance * x.size)
    moved = sparsemax(x + x.dtype.type(8), axis)
    np.testing.assert_allclose(moved, p, atol=10 * tolerance)


@settings(deadline=None)
@given(case=values(largest=1e6))
def test_stablemax_is_its_formula(case):
    x, axis = case
    wide = x.astype(np.longdouble)
    s = np.where(wide >= 0, wide + 1, 1 / (1 - np.minimum(wide, 0)))
    np.testing.assert_allclose(stablemax(x, axis), s / s.sum(axis, keepdims=True), rtol=8 * eps(x))


@settings(deadline=None)
@given(case=values(), data=st.data())
def test_the_largest_are_those_that_sorting_finds(case, data):
    x, _ = case
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    k = data.draw(st.integers(1, x.shape[axis]))
    p = softmax(x, axis)
    best = np.argsort(-x, axis, kind="stable").take(range(k), axis)
    found, indices = topk_softmax(x, k, axis)
    assert indices.dtype == np.int64
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(indices, best)
    np.testing.assert_allclose(found, np.take_along_axis(p, best, axis), rtol=8 * eps(x))
    shares, same = topk_softmax(x, k, axis, renormalize=True)
    np.testing.assert_array_equal(same, best)
    chosen = np.take_along_axis(x, best, axis)
    np.testing.assert_allclose(shares, softmax(chosen, axis), rtol=8 * eps(x))


@settings(deadline=None)
@given(case=values(), seed=seeds)
def test_the_loss_of_classes_is_that_of_certainties(case, seed):
    x, _ = case
    rng = np.random.default_rng(seed)
    axis = int(rng.integers(-x.ndim, x.ndim))
    shape = list(x.shape)
    del shape[axis]
    targets = rng.integers(0, x.shape[axis], shape)
    where = np.expand_dims(targets, axis)
    certain = np.zeros_like(x)
    np.put_along_axis(certain, where, 1, axis)
    usual = -np.take_along_axis(log_softmax(x, axis), where, axis).squeeze(axis)
    for given_targets in (targets, certain):
        losses, grad = cross_entropy(x, given_targets, axis, reduction="none", return_grad=True)
        np.testing.assert_allclose(losses, usual, rtol=8 * eps(x))
        np.testing.assert_allclose(grad, softmax(x, axis) - certain, atol=4 * eps(x))
        for reduction, total in (("sum", losses.sum()), ("mean", losses.mean())):
            loss = cross_entropy(x, given_targets, axis, reduction=reduction)
            assert loss.dtype == x.dtype
            assert loss == pytest.approx(float(total), rel=64 * float(eps(x)))

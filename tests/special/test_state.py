"""However the values are split and in whatever order they come, the state is that of all."""

import copy
import pickle

import numpy as np
import pytest

from sparrot.errors import InvalidInputError
from sparrot.special import LogSumExp, logsumexp, softmax
from tests.special.reference import Truth, ulps, units

TYPES = [np.dtype(np.float32), np.dtype(np.float64)]


def splits(n, rng, parts):
    return np.split(np.arange(n), np.sort(rng.integers(0, n + 1, parts - 1)))


def blocks_of(kind, rng, dtype):
    """Blocks of 3 rows."""
    centres = {
        "one size": [0, 0, 0, 0],
        "all sizes": [-1e4, 0, 1e4, 0, -1e4],
        "ascending": [-1e4, -100, 0, 1, 100, 1e4],
        "descending": [1e4, 100, 0, -100, -1e4],
        "huge": [1e30, -1e30, 0, 1e30],
        "the largest": [3e38, -3e38, 3e38, 0],
        "tiny": [-1e30, -1e30],
        "far from 0": [1e8, 1e8, 1e8 - 64],
        "below every exponent": [-3e4, -2.9e4, -3.1e4],
    }[kind]
    return [(c + rng.normal(size=(3, rng.integers(1, 300)))).astype(dtype) for c in centres]


KINDS = (
    "one size",
    "all sizes",
    "ascending",
    "descending",
    "huge",
    "the largest",
    "tiny",
    "far from 0",
    "below every exponent",
)


def require_sum(state, rows):
    top, log_rest = Truth(rows).logsumexp()
    error = np.abs(state.finalize().astype(np.longdouble) - (top + log_rest))
    unit = units(np.maximum(np.abs(top), np.abs(log_rest)), rows.dtype)
    assert (error <= 4 * unit).all(), error / unit
    assert state.count == rows.shape[1]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_blocks_in_any_order(kind, dtype, rng):
    blocks = blocks_of(kind, rng, dtype)
    rows = np.concatenate(blocks, 1)
    p = Truth(rows).softmax()
    for _ in range(10):
        state, shares = LogSumExp(axis=1), []
        for k in rng.permutation(len(blocks)):
            state.update(blocks[k])
        require_sum(state, rows)
        for block in blocks:
            shares.append(state.softmax(block))
            assert shares[-1].dtype == dtype
        assert ulps(np.concatenate(shares, 1), p) <= 4


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_any_tree_of_merges(kind, dtype, rng):
    rows = np.concatenate(blocks_of(kind, rng, dtype), 1)
    for parts in (2, 3, 7, 40):
        order = rng.permutation(rows.shape[1])
        states = [
            LogSumExp(axis=1).update(rows[:, order[part]])
            for part in splits(rows.shape[1], rng, parts)
        ]
        while len(states) > 1:
            one = states.pop(rng.integers(len(states)))
            other = states.pop(rng.integers(len(states)))
            before = other.finalize()
            states.append(one.merge(other))
            np.testing.assert_array_equal(other.finalize(), before)  # it stays as it was
        require_sum(states[0], rows)
        assert ulps(states[0].softmax(rows), Truth(rows).softmax()) <= 4


def test_many_blocks_of_one_value(rng):
    x = rng.normal(size=20_000) * 3
    state = LogSumExp()
    for value in x:
        state.update(value)
    assert state.count == x.size
    require_sum_of(state, x)


def require_sum_of(state, x):
    top, log_rest = Truth(x[None]).logsumexp()
    assert ulps(np.array([state.finalize()]), top + log_rest) <= 4


def test_one_state_is_the_function(rng):
    x = rng.normal(size=(4, 5, 60)) * 10
    for axis in (None, 0, 1, 2, -1, (0, 2), [1, 2], (0, 1, 2), ()):
        state = LogSumExp(axis).update(x)
        whole = None if axis is None else tuple(np.atleast_1d(axis).astype(int))
        np.testing.assert_allclose(state.finalize(), logsumexp(x, whole), rtol=1e-15)
        np.testing.assert_allclose(state.softmax(x), softmax(x, whole), rtol=2e-15)
        assert np.shape(state.finalize()) == np.shape(logsumexp(x, whole))


def test_nothing_at_all():
    state = LogSumExp()
    assert np.isneginf(state.finalize())
    assert state.count == 0
    assert state.merge(LogSumExp()) is state
    assert np.isneginf(state.finalize())
    state.update(np.empty(0))
    assert state.count == 0
    assert np.isneginf(state.finalize())
    assert state.update([2.0]).finalize() == 2
    assert state.merge(LogSumExp()).finalize() == 2
    assert LogSumExp().merge(state).finalize() == 2
    assert state.update(np.empty(0)).finalize() == 2
    rows = LogSumExp(axis=1).update(np.empty((3, 0), np.float32))
    assert rows.finalize().dtype == np.float32
    assert np.isneginf(rows.finalize()).all()
    with pytest.raises(InvalidInputError, match="x keeps shape"):
        LogSumExp().softmax([1.0])


@pytest.mark.parametrize(
    ("all_masked", "expected"), [("nan", np.nan), ("zero", 0.0), ("uniform", 0.25)]
)
def test_rows_without_a_value(all_masked, expected):
    x = np.array([[1.0, 1, 1, 1], [-np.inf] * 4])
    state = LogSumExp(axis=1).update(x[:, :2]).update(x[:, 2:])
    p = state.softmax(x, all_masked=all_masked)
    np.testing.assert_array_equal(p, [[0.25] * 4, [expected] * 4])


def test_more_may_follow(rng):
    x = rng.normal(size=(3, 90))
    state = LogSumExp(axis=1)
    for end in (30, 60, 90):
        state.update(x[:, end - 30 : end])
        np.testing.assert_allclose(state.finalize(), logsumexp(x[:, :end], 1), rtol=4e-16)
        np.testing.assert_allclose(state.softmax(x[:, :end]).sum(1), 1, rtol=1e-15)


@pytest.mark.parametrize(
    "remake", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
@pytest.mark.parametrize("filled", [False, True])
def test_copies(remake, filled, rng):
    x = rng.normal(size=(3, 50)).astype(np.float32)
    state = LogSumExp(axis=-1)
    if filled:
        state.update(x)
    before = state.finalize()
    other = remake(state)
    np.testing.assert_array_equal(other.finalize(), before)
    assert (other.count, other.axis, repr(other)) == (state.count, state.axis, repr(state))
    other.update(x + 100)
    assert other.count == state.count + 50
    np.testing.assert_array_equal(state.finalize(), before)  # not one and the same
    state.update(x + 100)
    np.testing.assert_array_equal(state.finalize(), other.finalize())


def test_a_state_is_not_what_it_was_merged_into(rng):
    x = rng.normal(size=(3, 50))
    part = LogSumExp(axis=1).update(x)
    whole = LogSumExp(axis=1).merge(part)
    before = part.finalize()
    whole.update(x)
    np.testing.assert_array_equal(part.finalize(), before)
    twice = part.merge(part)
    np.testing.assert_allclose(twice.finalize(), before + np.log(2), rtol=1e-14)
    assert twice.count == 100


def test_types_meet_in_the_wider_one(rng):
    x = rng.normal(size=30)
    state = LogSumExp().update(x.astype(np.float32))
    assert state.finalize().dtype == np.float32
    assert state.update([1, 2]).finalize().dtype == np.float64
    other = LogSumExp().update(x.astype(np.float16))
    assert other.finalize().dtype == np.float32
    assert other.merge(state).finalize().dtype == np.float64
    assert state.softmax(x.astype(np.float32)[:3]).dtype == np.float32


def test_out_and_masks(rng):
    x = rng.normal(size=(3, 50))
    mask = rng.random((3, 50)) < 0.5
    state = LogSumExp(axis=1).update(x, mask=mask).update(x, mask=~mask)
    np.testing.assert_allclose(state.finalize(), logsumexp(x, 1), rtol=1e-15)
    out = np.empty_like(x)
    assert state.softmax(x, out=out) is out
    np.testing.assert_allclose(out, softmax(x, 1), rtol=2e-15)
    assert state.softmax(x, out=x) is x
    np.testing.assert_array_equal(x, out)


def test_the_same_bits_for_any_number_of_threads(rng):
    for shape, axis in [((3, 300_000), 1), ((5000, 90), 0), ((60_000, 5), 1)]:
        x = rng.normal(size=shape) * 10
        one = LogSumExp(axis).update(x, n_threads=1)
        for threads in (2, 3, 8):
            other = LogSumExp(axis).update(x, n_threads=threads)
            np.testing.assert_array_equal(other.finalize(), one.finalize())
            p = other.softmax(x, n_threads=threads)
            np.testing.assert_array_equal(p, one.softmax(x, n_threads=1))


def test_bad_blocks(rng):
    x = rng.normal(size=(3, 50))
    state = LogSumExp(axis=1).update(x)
    before = state.finalize()
    for call, message in {
        "shape": (lambda: state.update(np.ones((4, 5))), r"x keeps shape \(4,\): .* \(3,\)"),
        "dimensions": (lambda: state.update(np.ones(3)), "axis is 1: the array has 1 dim"),
        "other": (lambda: state.merge(3.0), "other is a float: needs a LogSumExp"),
        "other shape": (
            lambda: state.merge(LogSumExp(axis=1).update(np.ones((2, 2)))),
            r"x keeps shape \(2,\)|other keeps shape \(2,\)",
        ),
        "softmax shape": (lambda: state.softmax(np.zeros((4, 5)) - 9), r"x keeps shape \(4,\)"),
        "softmax above": (lambda: state.softmax(x + 1), "x has a value above all that were added"),
    }.values():
        with pytest.raises(InvalidInputError, match=message):
            call()
        np.testing.assert_array_equal(state.finalize(), before)
        assert state.count == 50


def test_a_block_that_is_not_a_number():
    state = LogSumExp().update([1.0, np.nan])
    assert np.isnan(state.finalize())
    assert np.isnan(state.update([1e30]).finalize())
    assert np.isnan(state.softmax([1.0])).all()
    other = LogSumExp().update([np.inf]).update([0.0])
    assert other.finalize() == np.inf
    assert np.isnan(other.softmax([0.0])).all()
    assert np.isnan(other.merge(state).finalize())
    assert np.isnan(LogSumExp().update([0.0]).softmax([np.nan]))

"""What counts and what does not, and the values that are not numbers, wherever they lie."""

import numpy as np
import pytest
from scipy import special as scipy

from sparrot.special import LogSumExp, log_softmax, logsumexp, softmax, softmax_with_logsumexp
from tests.special.reference import LAYOUTS

FUNCTIONS = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmax of both": lambda x, axis, **k: softmax_with_logsumexp(x, axis, **k)[0],
}
METHODS = ("auto", "two-pass", "recompute", "reload", "blocked")

# Lines and their length: short ones together and alone, rows, more than a tile, several parts.
SIZES = [(30, 5), (3, 5), (11, 48), (11, 200), (9, 1500), (1, 1), (8, 3), (2, 70_001)]
TYPES = [np.float32, np.float64]


# The long ones are not tried in all layouts: what is different there is not different for them.
CASES = [
    pytest.param((size, layout), id=f"{size}-{layout}")
    for size in SIZES
    for layout in LAYOUTS
    if size != SIZES[-1] or layout in ("last axis", "first axis", "strided")
]


@pytest.fixture(params=CASES)
def case(request):
    """The rows, and how they lie: what makes the array, the axes, and back."""
    size, layout = request.param
    return size, LAYOUTS[layout]


@pytest.fixture
def size(case):
    return case[0]


@pytest.fixture
def layout(case):
    return case[1]


@pytest.fixture(params=TYPES)
def dtype(request):
    return request.param


def tolerance(dtype):
    return {"rtol": 16 * np.finfo(dtype).eps, "atol": 0}


def test_a_mask_is_minus_infinity(size, dtype, layout, rng):
    place, axis, back = layout
    rows = (rng.normal(size=size) * 5).astype(dtype)
    counts = rng.random(size) < 0.7
    counts[0] = counts[-1] = True
    counts[-1, 1:] = False
    counts[1:2] = False
    without = place(np.where(counts, rows, dtype(-np.inf)))
    x, mask = place(rows), place(counts.astype(dtype)) == 1
    for name, function in FUNCTIONS.items():
        usual = function(without, axis)
        masked = function(x, axis, mask=mask)
        np.testing.assert_allclose(masked, usual, **tolerance(dtype), err_msg=name)
        nothing = -np.inf if name == "log_softmax" else 0
        assert (back(masked)[~counts & counts.any(1)[:, None]] == nothing).all()
        assert np.isnan(back(masked)[1:2]).all()
        np.testing.assert_array_equal(function(x.copy(order="K"), axis, mask=mask), masked)
        place_of_x = x.copy(order="K")
        function(place_of_x, axis, mask=mask, out=place_of_x)
        np.testing.assert_array_equal(place_of_x, masked, err_msg=name)
    usual = logsumexp(without, axis)
    for masked in (
        logsumexp(x, axis, mask=mask),
        softmax_with_logsumexp(x, axis, mask=mask)[1],
        LogSumExp(axis).update(x, mask=mask).finalize(),
        logsumexp(x, axis, b=mask),
    ):
        np.testing.assert_allclose(masked, usual, **tolerance(dtype))
        assert np.isneginf(masked[1:2]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_what_is_masked_may_be_anything(size, dtype, layout, value, rng):
    place, axis, _ = layout
    rows = rng.normal(size=size).astype(dtype)
    counts = rng.random(size) < 0.6
    counts[:, 0] = True
    x, mask = place(rows), place(counts.astype(dtype)) == 1
    spoilt = place(np.where(counts, rows, dtype(value)))
    for name, function in FUNCTIONS.items():
        np.testing.assert_array_equal(
            function(spoilt, axis, mask=mask), function(x, axis, mask=mask), err_msg=name
        )
    for of in (
        lambda values: logsumexp(values, axis, mask=mask),
        lambda values: logsumexp(values, axis, b=np.where(mask, -0.5, 0), return_sign=True),
        lambda values: LogSumExp(axis).update(values, mask=mask).finalize(),
    ):
        np.testing.assert_array_equal(of(spoilt), of(x))


def test_what_counts_and_is_not_a_number_spoils_its_row_alone(size, dtype, layout, rng):
    place, axis, back = layout
    rows = rng.normal(size=size).astype(dtype)
    counts = rng.random(size) < 0.6
    counts[0] = True
    rows[0, size[1] // 2] = np.nan
    x, mask = place(rows), place(counts.astype(dtype)) == 1
    for name, function in FUNCTIONS.items():
        result = back(function(x, axis, mask=mask))
        assert np.isnan(result[0]).all(), name
        assert not np.isnan(result[1:][counts[1:].any(1)]).any(), name
    lse = logsumexp(x, axis, mask=mask)
    assert np.isnan(lse[0])
    assert not np.isnan(lse[1:]).any()


def test_masks_are_broadcast(dtype, rng):
    x = rng.normal(size=(6, 7, 60)).astype(dtype)
    for shape in [(), (1,), (60,), (7, 1), (1, 60), (6, 1, 1), (6, 1, 60), (1, 1, 1), (6, 7, 60)]:
        mask = rng.random(shape) < 0.7
        whole = np.broadcast_to(mask, x.shape).copy()
        for axis in (None, 0, 1, 2, (0, 2)):
            for name, function in FUNCTIONS.items():
                np.testing.assert_array_equal(
                    function(x, axis, mask=mask),
                    function(x, axis, mask=whole),
                    err_msg=f"{name} {shape} {axis}",
                )
            np.testing.assert_array_equal(
                logsumexp(x, axis, mask=mask), logsumexp(x, axis, mask=whole)
            )
    np.testing.assert_array_equal(softmax(x, mask=True), softmax(x, mask=np.ones(x.shape, bool)))
    lists = [True] * 30 + [False] * 30
    np.testing.assert_array_equal(softmax(x, mask=lists), softmax(x, mask=np.array(lists)))


@pytest.mark.parametrize("by", ["mask", "-inf"])
def test_rows_without_a_value(size, dtype, layout, by, rng):
    place, axis, back = layout
    rows = rng.normal(size=size).astype(dtype)
    counts = np.ones(size, bool)
    counts[[0, -1]] = False
    if by == "mask":
        x, mask = place(rows), place(counts.astype(dtype)) == 1
    else:
        x, mask = place(np.where(counts, rows, dtype(-np.inf))), None
    n = size[1]
    expected = {
        "nan": (np.nan, np.nan),
        "zero": (0, -np.inf),
        "uniform": (1 / n, -np.log(n)),
    }
    for name, function in FUNCTIONS.items():
        usual = back(function(x, axis, mask=mask))
        for all_masked, values in expected.items():
            result = back(function(x, axis, mask=mask, all_masked=all_masked))
            np.testing.assert_allclose(
                result[[0, -1]],
                np.full((2, n), values[name == "log_softmax"], dtype),
                **tolerance(dtype),
                err_msg=f"{name} {all_masked}",
            )
            np.testing.assert_array_equal(result[1:-1], usual[1:-1], err_msg=name)
            if name == "softmax":
                for method in METHODS:
                    other = back(function(x, axis, mask=mask, all_masked=all_masked, method=method))
                    np.testing.assert_array_equal(other[[0, -1]], result[[0, -1]])
    lse = logsumexp(x, axis, mask=mask)
    assert np.isneginf(lse[[0, -1]]).all()
    assert np.isfinite(lse[1:-1]).all()


@pytest.mark.parametrize("all_masked", ["nan", "zero", "uniform"])
def test_everything_masked(all_masked, dtype):
    expected = {"nan": np.nan, "zero": 0, "uniform": 1 / 60}[all_masked]
    x = np.zeros((3, 20), dtype)
    for mask in (False, np.zeros((3, 20), bool), np.zeros(20, bool)):
        p = softmax(x, mask=mask, all_masked=all_masked)
        np.testing.assert_array_equal(p, np.full(x.shape, expected, dtype))
    assert softmax(np.empty((3, 0), dtype), 1, all_masked=all_masked).shape == (3, 0)


# What a row has besides numbers (and at which places of the row, from 0 to 1).
SPECIAL = {
    "NaN": {0.5: np.nan},
    "NaN first": {0: np.nan},
    "NaN last": {1: np.nan},
    "+inf": {0.5: np.inf},
    "+inf first": {0: np.inf},
    "+inf last": {1: np.inf},
    "two +inf": {0: np.inf, 0.7: np.inf},
    "-inf": {0.5: -np.inf},
    "-inf, +inf": {0.2: -np.inf, 0.9: np.inf},
    "+inf, -inf": {0.1: np.inf, 0.9: -np.inf},
    "+inf, NaN": {0.2: np.inf, 0.9: np.nan},
    "NaN, +inf": {0.2: np.nan, 0.9: np.inf},
    "-inf, NaN": {0.2: -np.inf, 0.9: np.nan},
    "negative NaN": {0.5: -np.nan},
    "numbers": {},
}


def special_rows(size, dtype, rng):
    """A row for each case, all -inf with it, all +inf, all NaN; and what scipy makes of them."""
    n = size[1]
    rows = rng.normal(size=(len(SPECIAL), n)).astype(dtype)
    for row, values in zip(rows, SPECIAL.values(), strict=True):
        for where, value in values.items():
            row[round(where * (n - 1))] = value
    lonely = np.full((len(SPECIAL), n), -np.inf, dtype)
    for row, values in zip(lonely, SPECIAL.values(), strict=True):
        for where, value in values.items():
            row[round(where * (n - 1))] = value
    same = np.array([[np.inf], [-np.inf], [np.nan]], dtype).repeat(n, 1)
    return np.concatenate([rows, lonely, same])


def test_values_that_are_not_numbers(size, dtype, layout, rng):
    place, axis, back = layout
    rows = special_rows(size, dtype, rng)
    with np.errstate(all="ignore"):
        p = scipy.softmax(rows, axis=1)
        log_p = scipy.log_softmax(rows, axis=1)
        lse = scipy.logsumexp(rows, axis=1)
    x = place(rows)
    close = {"rtol": 1e-4 if dtype == np.float32 else 1e-11, "atol": 1e-30}  # scipy's error
    for method in METHODS:
        np.testing.assert_allclose(
            back(softmax(x, axis, method=method)), p, **close, err_msg=method
        )
    np.testing.assert_allclose(back(log_softmax(x, axis)), log_p, **close)
    np.testing.assert_allclose(logsumexp(x, axis), lse, **close)
    both, same = softmax_with_logsumexp(x, axis)
    np.testing.assert_allclose(back(both), p, **close)
    np.testing.assert_allclose(same, lse, **close)
    np.testing.assert_allclose(LogSumExp(axis).update(x).finalize(), lse, **close)
    log, sign = logsumexp(x, axis, return_sign=True)
    np.testing.assert_array_equal(log, logsumexp(x, axis))
    np.testing.assert_array_equal(
        sign, np.where(np.isnan(log), np.nan, np.where(np.isneginf(log), 0, 1))
    )
    # In place, with a mask, with a temperature: other ways through the same.
    for name, function in FUNCTIONS.items():
        usual = function(x, axis)
        mine = x.copy(order="K")
        np.testing.assert_array_equal(function(mine, axis, out=mine), usual, err_msg=name)
        masked = function(x, axis, mask=True)
        np.testing.assert_allclose(masked, usual, **tolerance(dtype), err_msg=name)
        cold = function(x * 2, axis, temperature=2.0)
        np.testing.assert_allclose(cold, usual, **tolerance(dtype), err_msg=name)
    mine = x.copy(order="K")
    np.testing.assert_array_equal(softmax_with_logsumexp(mine, axis, out=mine)[1], same)
    for row, total in zip(rows, lse, strict=True):
        state = LogSumExp().update(row[: len(row) // 2]).update(row[len(row) // 2 :])
        np.testing.assert_allclose(state.finalize(), total, **close)


def test_weights_of_values_that_are_not_numbers():
    inf, nan = np.inf, np.nan
    table = [
        ([inf, 1], [1, 1], inf, 1),
        ([inf, 1], [-1, 1], inf, -1),
        ([inf, inf], [1, -1], nan, nan),
        ([inf, 1], [0, 1], 1, 1),
        ([nan, 1], [0, 2], 1 + np.log(2), 1),
        ([nan, 1], [1, 0], nan, nan),
        ([1, 1], [nan, 1], nan, nan),
        ([1, 1], [inf, 1], inf, 1),
        ([-inf, -inf], [1, 1], -inf, 0),
        ([-inf, -inf], [-1, 1], -inf, 0),
        ([1, 1], [0, 0], -inf, 0),
        ([1, 1], [1, -1], -inf, 0),
        ([1, 2], [0, -1], 2, -1),
    ]
    for a, b, log, sign in table:
        for dtype in TYPES:
            found = logsumexp(np.array(a, dtype), b=np.array(b, dtype), return_sign=True)
            np.testing.assert_allclose(found, (log, sign), rtol=1e-6, err_msg=f"{a} {b}")
            alone = logsumexp(np.array(a, dtype), b=np.array(b, dtype))
            np.testing.assert_allclose(alone, nan if sign < 0 else log, rtol=1e-6)

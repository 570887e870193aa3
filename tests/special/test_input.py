"""Bad input is a named error; unusual but good input gives the usual answer."""

import fractions

import numpy as np
import pytest
from scipy import sparse

from sparrot.errors import InvalidInputError, SparrotError
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

X = np.random.default_rng(0).normal(size=(4, 5))

# Each function with the name of its first argument; those with `out`; those with `mask`.
READERS = {
    "softmax": (softmax, "x"),
    "log_softmax": (log_softmax, "x"),
    "softmax_with_logsumexp": (softmax_with_logsumexp, "x"),
    "logsumexp": (logsumexp, "a"),
    "sparsemax": (sparsemax, "x"),
    "stablemax": (stablemax, "x"),
    "topk_softmax": (lambda x, **k: topk_softmax(x, 1, **k), "x"),
    "softmax_vjp p": (lambda x, **k: softmax_vjp(x, np.ones(3), **k), "p"),
    "softmax_vjp g": (lambda x, **k: softmax_vjp(np.ones(3), x, **k), "g"),
    "logsumexp b": (lambda x, **k: logsumexp(np.ones(3), b=x, **k), "b"),
    "cross_entropy": (lambda x, **k: cross_entropy(x, 0, **k), "logits"),
    "update": (lambda x, **k: LogSumExp(**k).update(x), "x"),
    "softmax of a state": (lambda x: LogSumExp().update(np.ones(3)).softmax(x), "x"),
}
WRITERS = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmax_with_logsumexp": lambda x, **k: softmax_with_logsumexp(x, **k)[0],
    "sparsemax": sparsemax,
    "stablemax": stablemax,
    "softmax_vjp": lambda x, **k: softmax_vjp(x, X[: len(x), : np.shape(x)[1]], **k),
    "softmax of a state": lambda x, **k: LogSumExp().update(x).softmax(x, **k),
}
MASKED = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmax_with_logsumexp": softmax_with_logsumexp,
    "logsumexp": logsumexp,
    "update": lambda x, **k: LogSumExp().update(x, **k),
}
SHAPED = {name: READERS[name][0] for name in list(READERS)[:6]}


BAD_ARRAYS = {
    "objects": (np.array([None, 1, 2]), "dtype object"),
    "fractions": ([fractions.Fraction(1, 2)] * 3, "dtype object"),
    "strings": (["a", "b", "c"], "dtype <U1"),
    "a string": ("abc", "dtype <U3"),
    "bytes": (b"abc", "dtype .S3"),
    "complex": (np.ones(3, complex), "dtype complex128"),
    "complex number": (1j, "dtype complex128"),
    "dates": (np.array(["2026-01-01"] * 3, dtype="M8[D]"), "dtype datetime64"),
    "records": (np.zeros(3, dtype=[("a", "f8"), ("b", "f8")]), "dtype"),
    "too precise": (np.ones(3, np.longdouble), "dtype (float128|float96)"),
    "ragged": ([[1, 2], [3]], "cannot be read as an array"),
    "masked": (np.ma.masked_array(np.ones(3), [0, 1, 0]), "masked array"),
    "sparse": (sparse.csr_array(np.ones((1, 3))), "sparse csr_array"),
    "sparse matrix": (sparse.coo_matrix(np.ones((1, 3))), "sparse coo_matrix"),
    "nothing": (None, "dtype object"),
    "a set": ({1.0, 2.0}, "dtype object"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
@pytest.mark.parametrize("function", READERS)
def test_bad_arrays(function, name):
    array, message = BAD_ARRAYS[name]
    call, argument = READERS[function]
    if function == "logsumexp b" and name == "nothing":
        assert call(None) == pytest.approx(1 + np.log(3))
        return
    with pytest.raises(InvalidInputError, match=f"^{argument} .*{message}") as caught:
        call(array)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SparrotError)


BAD_AXES = {
    "too large": (2, "axis is 2: the array has 2 dimensions"),
    "too small": (-3, "axis is -3: the array has 2 dimensions"),
    "huge": (2**70, "axis is 1180591620717411303424: the array has 2 dimensions"),
    "in a tuple": ((0, 5), "axis is 5: the array has 2 dimensions"),
    "not even an index": (-(2**70), "axis is -1180591620717411303424"),
    "twice": ((1, 1), r"axis is \(1, 1\): names an axis twice"),
    "twice, from the end": ((0, -2), r"axis is \(0, -2\): names an axis twice"),
    "a float": (1.0, "axis is 1.0: needs None, an integer or a tuple of integers"),
    "a float in a tuple": ((0, 1.0), "axis is 1.0: needs"),
    "a string": ("x", "axis is 'x': needs"),
    "an array": (np.array([0, 1]), "axis is array"),
    "None in a tuple": ((None,), "axis is None: needs"),
}


@pytest.mark.parametrize("name", BAD_AXES)
@pytest.mark.parametrize("function", SHAPED)
def test_bad_axes(function, name):
    axis, message = BAD_AXES[name]
    with pytest.raises(InvalidInputError, match=message):
        SHAPED[function](X, axis=axis)
    with pytest.raises(InvalidInputError, match="axis is"):
        softmax_vjp(X, X, axis=axis)
    with pytest.raises(InvalidInputError, match="axis is"):
        LogSumExp(axis=axis).update(X)
    with pytest.raises(InvalidInputError, match="axis is"):
        topk_softmax(X, 1, axis=axis)
    with pytest.raises(InvalidInputError, match="axis is"):
        cross_entropy(X, np.zeros(4, int), axis=axis)


@pytest.mark.parametrize("axis", [np.int64(1), -1, (1,), [1], np.uint8(1), (np.int32(-1),)])
def test_good_axes(axis):
    for function in SHAPED.values():
        for ours, usual in zip(function(X, axis=axis), function(X, axis=1), strict=True):
            np.testing.assert_array_equal(ours, usual)


def test_no_axis_at_all():
    np.testing.assert_array_equal(softmax(X, axis=()), np.ones_like(X))
    np.testing.assert_array_equal(log_softmax(X, axis=()), np.zeros_like(X))
    np.testing.assert_array_equal(logsumexp(X, axis=()), X)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def misaligned(array):
    raw = np.empty(array.nbytes + 1, np.uint8)[1:]
    result = raw.view(array.dtype).reshape(array.shape)
    result[...] = array
    return result


def structured(array):
    records = np.zeros(array.shape, dtype=[("flag", "i1"), ("value", array.dtype)])
    records["value"] = array
    return records["value"]


BAD_PLACES = {
    "shape": (lambda x: np.empty(x.shape[1:]), r"out has shape \(5,\): the result has"),
    "transposed": (lambda x: np.empty(x.shape[::-1]), r"out has shape \(5, 4\)"),
    "more dimensions": (lambda x: np.empty((1, *x.shape)), r"out has shape \(1, 4, 5\)"),
    "float32": (lambda x: np.empty(x.shape, np.float32), "out has dtype float32"),
    "integers": (lambda x: np.empty(x.shape, np.int64), "out has dtype int64"),
    "big-endian": (lambda x: np.empty(x.shape, ">f8"), "out has dtype >f8"),
    "read-only": (read_only, "out is read-only"),
    "repeated": (lambda x: np.broadcast_to(np.empty(5), x.shape), "out (is read-only|has repeat)"),
    "repeated and writable": (
        lambda x: np.lib.stride_tricks.as_strided(np.empty(5), x.shape, (0, 8)),
        "out has repeated values",
    ),
    "misaligned": (misaligned, "out is not aligned"),
    "in records": (structured, "out is not aligned"),
    "a list": (np.ndarray.tolist, "out is a list: needs a NumPy array"),
    "a tuple": (lambda x: (np.empty_like(x),), "out is a tuple: needs a NumPy array"),
}


@pytest.mark.parametrize("name", BAD_PLACES)
@pytest.mark.parametrize("function", WRITERS)
def test_bad_places_for_the_result(function, name):
    make, message = BAD_PLACES[name]
    with pytest.raises(InvalidInputError, match=message):
        WRITERS[function](X, out=make(X))


@pytest.mark.parametrize("function", WRITERS)
def test_places_that_overlap(function):
    call = WRITERS[function]
    both = np.zeros((5, 5))
    both[:4] = X
    for x, out in [
        (both[:4], both[1:]),
        (both[:4], both[3::-1]),
        (both[1:], both[:4]),
        (both[:4, ::-1], both[:4]),
        (both[:4, :4], both[:4, :4].T),
        (both[::4], both[::3]),
    ]:
        if x.shape != out.shape:
            continue
        before = both.copy()
        with pytest.raises(InvalidInputError, match=r"out overlaps [xp]"):
            call(x, out=out)
        np.testing.assert_array_equal(both, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", WRITERS)
def test_good_places_for_the_result(function, dtype):
    call, x = WRITERS[function], X.astype(dtype)
    usual = call(x)
    assert usual.dtype == (np.float64 if function == "softmax_vjp" else dtype)
    if function == "softmax_vjp":
        x, usual = X, call(X)
    interleaved = np.zeros((4, 10), usual.dtype)
    interleaved[:, ::2] = x
    cases = {
        "new": (x, np.empty_like(usual)),
        "Fortran order": (x, np.empty_like(usual, order="F")),
        "strided": (x, np.full((8, 15), 7, usual.dtype)[::2, ::3]),
        "backwards": (x, np.empty_like(usual)[::-1, ::-1]),
        "x itself": (place := x.copy(), place),
        "x itself, strided": (interleaved[:, ::2], interleaved[:, ::2]),
        "beside x": (interleaved[:, ::2], interleaved[:, 1::2]),
    }
    for name, (values, out) in cases.items():
        values[...] = x
        result = call(values, out=out)
        assert result is out, name
        np.testing.assert_array_equal(out, usual, err_msg=name)
    strided = np.full((8, 15), 7, usual.dtype)
    call(x, out=strided[::2, ::3])
    strided[::2, ::3] = 7
    assert (strided == 7).all()  # nothing else was written


BAD_MASKS = {
    "integers": (np.ones((4, 5), int), "mask has dtype int64: needs bool"),
    "floats": (np.ones((4, 5)), "mask has dtype float64: needs bool"),
    "a string": ("yes", "mask has dtype <U3: needs bool"),
    "objects": (np.full((4, 5), None), "mask has dtype object: needs bool"),
    "too short": (np.ones(4, bool), r"mask has shape \(4,\): does not broadcast"),
    "too many dimensions": (np.ones((1, 4, 5), bool), r"mask has shape \(1, 4, 5\)"),
    "too large": (np.ones((8, 5), bool), r"mask has shape \(8, 5\): does not broadcast"),
    "ragged": ([[True], [True, False]], "mask"),
}


@pytest.mark.parametrize("name", BAD_MASKS)
@pytest.mark.parametrize("function", MASKED)
def test_bad_masks(function, name):
    mask, message = BAD_MASKS[name]
    with pytest.raises(InvalidInputError, match=message):
        MASKED[function](X, mask=mask)


@pytest.mark.parametrize("function", [softmax, log_softmax, softmax_with_logsumexp])
def test_a_mask_in_the_place_of_the_result(function):
    out = np.empty_like(X)
    mask = out.view(bool)[:, ::8]
    with pytest.raises(InvalidInputError, match="out overlaps mask"):
        function(X, mask=mask, out=out)


BAD_SETTINGS = {
    "temperature zero": ({"temperature": 0}, "temperature is 0: needs a finite number above 0"),
    "temperature zero, float": ({"temperature": 0.0}, "temperature is 0.0: needs a finite"),
    "temperature negative": ({"temperature": -1.0}, "temperature is -1.0: needs a finite"),
    "temperature NaN": ({"temperature": np.nan}, "temperature is nan"),
    "temperature inf": ({"temperature": np.inf}, "temperature is inf"),
    "temperature text": ({"temperature": "hot"}, "temperature is 'hot'.*needs a number"),
    "temperature array": ({"temperature": np.ones(2)}, "temperature is array"),
    "temperature True": ({"temperature": True}, "temperature is True"),
    "temperature None": ({"temperature": None}, "temperature is None"),
    "temperature complex": ({"temperature": 1j}, "temperature is 1j"),
    "temperature huge": ({"temperature": 10**400}, "temperature is too large"),
    "all_masked": ({"all_masked": "none"}, "all_masked is 'none': needs one of 'nan', 'zero'"),
    "all_masked number": ({"all_masked": 0}, "all_masked is 0: needs one of 'nan'"),
    "n_threads zero": ({"n_threads": 0}, "n_threads is 0"),
    "n_threads fraction": ({"n_threads": 1.5}, "n_threads is 1.5"),
    "n_threads text": ({"n_threads": "all"}, "n_threads is 'all'"),
}
METHOD = {
    "method": ({"method": "newton"}, "method is 'newton': needs one of 'auto', 'two-pass'"),
    "method None": ({"method": None}, "method is None: needs one of 'auto'"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS | METHOD)
@pytest.mark.parametrize("function", [softmax, log_softmax, softmax_with_logsumexp])
def test_bad_settings(function, name):
    settings, message = (BAD_SETTINGS | METHOD)[name]
    if function is not softmax and "method" in settings:
        with pytest.raises(TypeError, match="method"):
            function(X, **settings)
        return
    with pytest.raises(InvalidInputError, match=message):
        function(X, **settings)


def test_bad_settings_of_the_others():
    with pytest.raises(InvalidInputError, match="temperature is 0"):
        softmax_vjp(X, X, temperature=0)
    for call in (
        lambda **k: softmax_vjp(X, X, **k),
        lambda **k: logsumexp(X, **k),
        lambda **k: sparsemax(X, **k),
        lambda **k: stablemax(X, **k),
        lambda **k: topk_softmax(X, 1, **k),
        lambda **k: cross_entropy(X, [0, 1, 2, 3], **k),
        lambda **k: LogSumExp().update(X, **k),
        lambda **k: LogSumExp().update(X).softmax(X, **k),
    ):
        with pytest.raises(InvalidInputError, match="n_threads is 0"):
            call(n_threads=0)
    with pytest.raises(InvalidInputError, match="all_masked is 'all'"):
        LogSumExp().update(X).softmax(X, all_masked="all")
    with pytest.raises(InvalidInputError, match=r"b has shape \(4,\): does not broadcast with a"):
        logsumexp(X, b=np.ones(4))
    with pytest.raises(InvalidInputError, match=r"g has shape \(5,\): p has \(4, 5\)"):
        softmax_vjp(X, X[0])


@pytest.mark.parametrize("temperature", [2, np.float32(2), np.int64(2), fractions.Fraction(2, 1)])
def test_numbers_are_numbers(temperature):
    np.testing.assert_array_equal(
        softmax(X, 1, temperature=temperature), softmax(X, 1, temperature=2.0)
    )


def strided(array):
    spaced = np.full((2 * array.shape[0], 3 * array.shape[1]), np.nan)
    spaced[::2, ::3] = array
    return spaced[::2, ::3]


class OnlyDLPack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Subclass(np.ndarray):
    pass


SAME = {
    "list": np.ndarray.tolist,
    "tuple of arrays": tuple,
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "strided by columns": lambda array: strided(array.T).T,
    "backwards": lambda array: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "read-only": read_only,
    "big-endian": lambda array: array.astype(">f8"),
    "misaligned": misaligned,
    "in records": structured,
    "subclass": lambda array: array.view(Subclass),
    "DLPack": OnlyDLPack,
    "pandas": lambda array: __import__("pandas").DataFrame(array),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("function", SHAPED)
def test_unusual_arrays_give_the_usual_answer(function, name, rng):
    x = rng.normal(size=(30, 20))
    usual = SHAPED[function](x, axis=1)
    unusual = SHAPED[function](SAME[name](x), axis=1)
    for ours, theirs in zip(unusual, usual, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=8 * np.finfo(float).eps)
    assert not isinstance(unusual, Subclass)


NUMBERS = {
    "?": np.float64,
    "i1": np.float64,
    "u1": np.float64,
    "i4": np.float64,
    "u8": np.float64,
    "f2": np.float32,
    "f4": np.float32,
    ">f4": np.float32,
    "f8": np.float64,
}


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize(
    "function", ["softmax", "log_softmax", "logsumexp", "sparsemax", "stablemax"]
)
def test_other_number_types_are_converted(function, dtype, rng):
    x = rng.integers(0, 2, (6, 8)).astype(dtype)
    ours = SHAPED[function](x, axis=1)
    assert ours.dtype == NUMBERS[dtype]
    np.testing.assert_array_equal(ours, SHAPED[function](x.astype(NUMBERS[dtype]), axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_input_is_left_alone(dtype, rng):
    x = rng.normal(size=(60, 70)).astype(dtype)
    before = x.copy()
    for axis in (None, 0, 1):
        for function in SHAPED.values():
            function(x, axis=axis)
            function(x[:, ::2], axis=axis)
        for method in ("two-pass", "recompute", "reload", "blocked"):
            softmax(x, axis, method=method)
        topk_softmax(x, 3)
        cross_entropy(x, np.zeros(60, int), return_grad=True)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4), (0, 0), (4, 2, 0)])
def test_empty_arrays(shape):
    x = np.empty(shape, np.float32)
    for axis in (None, *range(len(shape)), tuple(range(len(shape)))):
        for function in (softmax, log_softmax, sparsemax, stablemax):
            result = function(x, axis=axis)
            assert result.shape == shape
            assert result.dtype == np.float32
        for keepdims in (False, True):
            lse = logsumexp(x, axis=axis, keepdims=keepdims)
            expected = np.sum(x, axis=axis, keepdims=keepdims)
            assert np.shape(lse) == np.shape(expected)
            assert lse.dtype == np.float32
            assert np.isneginf(lse).all()
            p, same = softmax_with_logsumexp(x, axis=axis, keepdims=keepdims)
            assert p.shape == shape
            np.testing.assert_array_equal(same, lse)
        log, sign = logsumexp(x, axis=axis, return_sign=True)
        assert (sign == 0).all()
        assert np.shape(sign) == np.shape(log)
        assert softmax_vjp(x, x, axis=axis).shape == shape


def test_numbers_without_dimensions():
    for axis in (None, 0, -1, ()):
        for x in (3.5, np.float32(3.5), np.array(3.5), 7):
            assert softmax(x, axis) == 1
            assert np.shape(softmax(x, axis)) == ()
            assert log_softmax(x, axis) == 0
            assert logsumexp(x, axis) == x
            assert softmax_with_logsumexp(x, axis) == (1, x)
    for bad in (1, -2, (0, 0)):
        with pytest.raises(InvalidInputError, match="axis is"):
            softmax(3.5, bad)
    out = np.empty(())
    assert softmax(2.0, out=out) is out
    assert out == 1


def test_views_that_repeat_are_read_as_they_are():
    x = np.broadcast_to(np.float32(2.5), (10**6,))
    p = softmax(x)
    assert p.shape == x.shape
    np.testing.assert_array_equal(p, np.float32(1e-6))
    np.testing.assert_allclose(logsumexp(x), 2.5 + np.log(1e6), rtol=1e-7)
    np.testing.assert_allclose(
        logsumexp(np.broadcast_to(1.0, (3000, 0x10000))), 1 + np.log(3000 << 16)
    )
    rows = np.broadcast_to(X[0], (1000, 5))
    np.testing.assert_array_equal(softmax(rows, 1), softmax(rows.copy(), 1))
    columns = np.broadcast_to(X[:, :1], (4, 1000))
    np.testing.assert_array_equal(softmax(columns, 0), softmax(columns.copy(), 0))


def test_many_dimensions():
    x = np.random.default_rng(0).normal(size=(2,) * 16)
    axes = (0, 3, 5, 15)
    usual = np.exp(x) / np.exp(x).sum(axes, keepdims=True)
    np.testing.assert_allclose(softmax(x, axes), usual, rtol=1e-14)
    lse = logsumexp(x, axes)
    np.testing.assert_allclose(lse, np.log(np.exp(x).sum(axes)), rtol=1e-13)


def test_more_than_memory_is_an_error():
    huge = np.broadcast_to(0.0, (2**24, 2**24))
    for function in (softmax, log_softmax, sparsemax, stablemax, softmax_with_logsumexp):
        with pytest.raises(MemoryError):
            function(huge, axis=1)

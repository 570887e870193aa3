"""The tests that scipy has for its own functions, run on ours."""

import re

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax

from sparrot import special
from sparrot.errors import InvalidInputError

try:
    from scipy.special.tests import test_logsumexp as theirs
except ImportError as error:
    pytest.skip(f"scipy's tests are not installed: {error}", allow_module_level=True)

CLASSES = ("TestLogSumExp", "TestSoftmax", "TestLogSoftmax")
if not all(hasattr(theirs, name) for name in CLASSES):
    pytest.skip(f"scipy's tests are not {CLASSES} in this version", allow_module_level=True)

NAMES = ("softmax", "log_softmax", "logsumexp")

# Where we differ on purpose: a pattern of test names, what we raise instead, and its message.
COMPLEX = (InvalidInputError, "(a|b) has dtype complex.*needs real numbers")
DIFFERENCES = {
    r"test_logsumexp_complex_sign": COMPLEX,
    r"test_dtypes_a\[complex": COMPLEX,
    r"test_dtypes_ab\[.*complex": COMPLEX,
    r"test_gh21610": COMPLEX,
    r"test_gh21709_small_imaginary": COMPLEX,
    r"test_gh22601_infinite_elements\[.*\(": COMPLEX,
    r"test_device\[1j\]": COMPLEX,
}


def listed(mark):
    """The mark, with its cases in a list: pytest is about to refuse the iterators scipy has."""
    if mark.name != "parametrize" or isinstance(mark.args[1], list | tuple):
        return mark
    return pytest.mark.parametrize(mark.args[0], list(mark.args[1]), **mark.kwargs).mark


for _name in CLASSES:
    for _test in vars(getattr(theirs, _name)).values():
        if hasattr(_test, "pytestmark"):
            _test.pytestmark = [listed(mark) for mark in _test.pytestmark]
    globals()[_name] = type(_name, (getattr(theirs, _name),), {"__module__": __name__})


@pytest.fixture
def xp():
    return np


@pytest.fixture
def devices():
    return ["cpu"]


@pytest.fixture(autouse=True)
def ours(request, monkeypatch):
    for name in NAMES:
        monkeypatch.setattr(theirs, name, getattr(special, name))
    test = request.node.obj
    for pattern, (error, message) in DIFFERENCES.items():
        if re.match(pattern, request.node.name):
            request.node.obj = raising(error, message, test)


def raising(error, message, test):
    def instead(**arguments):
        with pytest.raises(error, match=message):
            test(**arguments)

    return instead


def test_it_is_ours_that_is_tested():
    for name in NAMES:
        assert getattr(theirs, name) is getattr(special, name)


def test_differences_from_scipy_that_its_tests_do_not_show():
    # An empty axis is an empty array; scipy finds no maximum of it.
    assert special.softmax(np.empty((3, 0)), axis=1).shape == (3, 0)
    with pytest.raises(ValueError, match="zero-size array"):
        scipy_softmax(np.empty((3, 0)), axis=1)
    # float16 is computed in, and stays, float32.
    assert special.softmax(np.zeros(3, np.float16)).dtype == np.float32
    assert scipy_softmax(np.zeros(3, np.float16)).dtype == np.float16

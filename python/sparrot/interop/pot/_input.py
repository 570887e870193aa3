"""POT's arguments, looked at as POT's users give them."""

import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparrot._validation import FloatArray, as_choice, as_count, as_floats, as_number
from sparrot.errors import InvalidInputError

# POT scales weights whose sums differ by less than this where it solves exactly, and says nothing
# where it regularises. Weights normalised in float32 need it.
MASS_RTOL = 1e-6

# The packages whose arrays POT takes and we do not.
_OTHER_BACKENDS = ("cupy", "jax", "jaxlib", "tensorflow", "torch")

# Settings of some of POT's methods, which its other methods take and do not use.
_SETTINGS = ("epsilon0", "numInnerItermax", "print_period", "tau")

Start = tuple[FloatArray, FloatArray] | None
"""Potentials to start from, in the units of the cost."""


class UnsupportedArgumentError(InvalidInputError, NotImplementedError):
    """An argument asks for what POT can do and sparrot cannot; the message says what to use."""


class Limits(NamedTuple):
    """How far to go, in POT's words."""

    stop: float
    """The marginal error to reach."""
    max_iter: int | None
    names: tuple[str, str] = ("stopThr", "numItermax")
    """What the user calls them."""
    relative: bool = False
    """Whether the error is a share of the plan's mass; it is absolute otherwise."""


def as_limits(
    stop: object,
    max_iter: object,
    *,
    inner: object = None,
    name: str = "numItermax",
    relative: bool = False,
) -> Limits:
    """Take ``stopThr`` and ``numItermax``; a ``stopThr`` up to 0 asks for all iterations.

    ``inner`` is for the method that counts outer iterations, of which POT does 35 at least.
    """
    number = as_number(stop, "stopThr")
    if math.isnan(number):
        raise InvalidInputError("stopThr is nan: needs a number")
    count = as_count(max_iter, name)
    if inner is not None:
        count = max(35, count) * as_count(inner, "numInnerItermax")
    return Limits(max(number, 0.0), count, ("stopThr", name), relative)


def numpy_only(value: object, name: str) -> object:
    """Refuse the arrays of other packages, which would lose their device and their gradients."""
    package = type(value).__module__.partition(".")[0]
    if package in _OTHER_BACKENDS:
        raise InvalidInputError(
            f"{name} is a {package} {type(value).__name__}: this module takes NumPy arrays. "
            f"Convert it (numpy.asarray({name}) if it is on the CPU and needs no gradient), or use "
            "POT itself for gradients and other devices"
        )
    return value


def given_weights(
    value: object, name: str, *, ndim: int | tuple[int, ...] = 1
) -> FloatArray | None:
    """Return weights as they are given, or None for uniform ones: ``[]`` and None."""
    if value is None:
        return None
    weights = as_floats(numpy_only(value, name), name, ndim=ndim)
    return weights if weights.size else None


def same_mass(a: FloatArray | None, b: FloatArray | None) -> FloatArray | None:
    """Return ``b`` with the mass of ``a`` where they differ by rounding."""
    if a is None or b is None:
        return b
    mass, other = float(a.sum(dtype=np.float64)), float(b.sum(dtype=np.float64))
    if 0 < abs(mass - other) <= MASS_RTOL * min(mass, other):
        return b.astype(np.float64) * (mass / other)
    return b  # the same, or so different that the solver says it


def as_word(value: object, name: str, known: Sequence[str]) -> str:
    """Return one of the known words, in lower case."""
    lower = value.lower() if isinstance(value, str) else value
    return as_choice(lower, name, tuple(known))


def as_method(value: object, known: Sequence[str]) -> str:
    """Return the name of a method in lower case."""
    return as_word(value, "method", known)


def as_pair(value: object, name: str) -> tuple[FloatArray, FloatArray]:
    """Return the two arrays of a warm start."""
    if not isinstance(value, tuple | list | np.ndarray) or len(value) != 2:
        raise InvalidInputError(f"{name} is {value!r}: needs two arrays, one for each side")
    first, second = (
        as_floats(numpy_only(part, f"{name}[{side}]"), f"{name}[{side}]", ndim=(1, 2))
        for side, part in enumerate(value)
    )
    return first.astype(np.float64), second.astype(np.float64)


def settings(given: Mapping[str, Any], function: str) -> dict[str, Any]:
    """Return the settings among further arguments, and tell the user of what is none.

    POT drops such arguments without a word; a misspelt one deserves to be seen.
    """
    unknown = sorted(set(given) - set(_SETTINGS))
    if unknown:
        names = ", ".join(unknown)
        tell(f"{function} knows no argument {names}: ignored, as POT does")
    return {name: value for name, value in given.items() if name in _SETTINGS}


def unsupported(name: str, value: object, alternative: str) -> UnsupportedArgumentError:
    """Say which argument it is, and what to use."""
    found = f"{name} is given" if isinstance(value, np.ndarray) else f"{name} is {value!r}"
    return UnsupportedArgumentError(f"{found}, which is not offered here: {alternative}")


def tell(message: str) -> None:
    """Warn at the line where the user called."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("sparrot.interop"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)

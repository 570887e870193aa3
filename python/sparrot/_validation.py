"""Checks of arguments, with messages that name the argument, what was found and what to do.

Arrays are accepted from anything with ``__array__`` or ``__dlpack__`` and are not copied unless
they are misaligned, byte-swapped, of another type than float32 or float64, or have neither
contiguous rows nor contiguous columns.
"""

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sparrot.errors import InvalidInputError, MassMismatchError

FloatArray = npt.NDArray[Any]

MASS_RTOL = 1e-8


def as_floats(
    value: object, name: str, *, ndim: int | tuple[int, ...] | None, any_strides: bool = False
) -> FloatArray:
    """Return a float32 or float64 array of ``ndim`` dimensions, without a copy where possible."""
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if hasattr(value, "tocsr") and hasattr(value, "nnz"):
        raise InvalidInputError(
            f"{name} is a sparse {type(value).__name__}: pass a dense array ({name}.toarray())"
        )
    array = as_array(value, name)
    kind = array.dtype.kind
    if kind == "f" and array.dtype.itemsize == 2:
        array = array.astype(np.float32)
    elif kind in "biu":
        array = array.astype(np.float64)
    elif kind != "f" or array.dtype.itemsize > 8:
        raise InvalidInputError(
            f"{name} has dtype {array.dtype}: needs real numbers, float32, float64 or integers"
        )
    if allowed is not None and array.ndim not in allowed:
        needed = " or ".join(str(count) for count in allowed)
        noun = "dimension" if needed == "1" else "dimensions"
        raise InvalidInputError(f"{name} has shape {array.shape}: needs {needed} {noun}")
    unit = array.itemsize
    steps_are_whole = all(stride % unit == 0 for stride in array.strides)
    lines = any_strides or any(
        stride == unit or length <= 1
        for stride, length in zip(array.strides, array.shape, strict=True)
    )
    if not (array.dtype.isnative and array.flags.aligned and steps_are_whole and lines):
        array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return array


def as_array(value: object, name: str) -> FloatArray:
    """Return an array of whatever type."""
    refuse_masked(value, name)
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (TypeError, ValueError, BufferError, RuntimeError) as error:
        raise InvalidInputError(f"{name} cannot be read as an array: {error}") from error


def refuse_masked(value: object, name: str) -> None:
    """Raise if it is a masked array."""
    if isinstance(value, np.ma.MaskedArray):
        raise InvalidInputError(
            f"{name} is a masked array, whose mask would be ignored: fill or drop what is masked"
        )


# Numbers that are looked at between two chances for Ctrl-C.
PART = 2**22


def require_finite(array: FloatArray, name: str) -> None:
    """Raise unless every value is finite."""
    lines = max(1, PART * len(array) // array.size) if array.size > PART else len(array)
    for first in range(0, len(array), max(1, lines)):
        finite = np.isfinite(array[first : first + lines])
        if not finite.all():
            line, *rest = (int(i) for i in np.argwhere(~finite)[0])
            index = (first + line, *rest)
            where = index[0] if len(index) == 1 else index
            raise InvalidInputError(
                f"{name} contains {array[index]} at index {where}: needs finite values"
            )


def as_weights(value: object, name: str, size: int, *, mass: float = 1.0) -> FloatArray:
    """Return ``size`` weights in float64: finite, non-negative, of positive sum."""
    if value is None:
        return np.full(size, mass / size)
    weights = as_floats(value, name, ndim=1)
    if weights.shape[0] != size:
        raise InvalidInputError(f"{name} has {weights.shape[0]} weights for {size} points")
    weights = np.array(weights, dtype=np.float64)  # a copy: results keep it
    require_finite(weights, name)
    if (weights < 0).any():
        i = int(np.flatnonzero(weights < 0)[0])
        raise InvalidInputError(f"{name}[{i}] is {weights[i]}: weights must be non-negative")
    total = float(weights.sum())
    if not 0 < total < math.inf:
        raise InvalidInputError(f"{name} sums to {total}: needs a positive, finite total mass")
    return weights


def as_weight_pair(
    a: object, b: object, shape: tuple[int, int], names: tuple[str, str] = ("a", "b")
) -> tuple[FloatArray, FloatArray]:
    """Return both weights with the same total mass."""
    n, m = shape
    given_a = as_weights(a, names[0], n) if a is not None else None
    given_b = as_weights(b, names[1], m) if b is not None else None
    total_a = 1.0 if given_a is None else float(given_a.sum())
    total_b = 1.0 if given_b is None else float(given_b.sum())
    if given_a is None:
        return as_weights(None, names[0], n, mass=total_b), _or_uniform(given_b, m)
    if given_b is None:
        return given_a, as_weights(None, names[1], m, mass=total_a)
    if abs(total_a - total_b) > MASS_RTOL * max(total_a, total_b):
        raise MassMismatchError(
            f"{names[0]} sums to {total_a!r} but {names[1]} sums to {total_b!r}: both must have "
            f"the same mass; divide each by its sum to compare shapes"
        )
    # What is left is rounding: with it in place no plan could have both marginals exactly.
    return given_a, given_b * (total_a / total_b)


def _or_uniform(weights: FloatArray | None, size: int) -> FloatArray:
    return np.full(size, 1.0 / size) if weights is None else weights


def as_points(value: object, name: str, *, check_finite: bool = True) -> FloatArray:
    """Return points (n, d), by rows in memory."""
    points = as_floats(value, name, ndim=2)
    if points.shape[0] == 0 or points.shape[1] == 0:
        raise InvalidInputError(
            f"{name} has shape {points.shape}: needs at least one point and one coordinate"
        )
    if check_finite:
        require_finite(points, name)
    return points


def as_positive(value: object, name: str, *, zero: bool = False) -> float:
    """Return a finite number above 0 (or from 0 on)."""
    number = as_number(value, name)
    if not (math.isfinite(number) and (number > 0 or (zero and number == 0))):
        bound = "at least 0" if zero else "above 0"
        raise InvalidInputError(f"{name} is {value!r}: needs a finite number {bound}")
    return number


def as_number(value: object, name: str) -> float:
    """Return a real number."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise InvalidInputError(f"{name} is {value!r} ({type(value).__name__}): needs a number")
    try:
        return float(value)
    except OverflowError:
        raise InvalidInputError(f"{name} is too large: needs a number below 1e308") from None


def as_count(value: object, name: str, *, least: int = 1) -> int:
    """Return an integer from ``least`` on."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise InvalidInputError(f"{name} is {value!r} ({type(value).__name__}): needs an integer")
    count = int(value)
    if not least <= count < 2**62:
        raise InvalidInputError(f"{name} is {count}: needs an integer of at least {least}")
    return count


def as_choice(value: object, name: str, choices: tuple[str, ...]) -> str:
    """Return one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise InvalidInputError(f"{name} is {value!r}: needs one of {known}")
    return value


def as_threads(value: object) -> int | None:
    """Return a number of threads, or None for the default."""
    return None if value is None else as_count(value, "n_threads")


def as_max_time(value: object) -> float | None:
    """Return seconds, or None for any number of them."""
    return None if value is None else as_positive(value, "max_time", zero=True)


def as_options(
    options: Mapping[str, Any] | None, known: Mapping[str, Callable[[Any, str], Any]]
) -> dict[str, Any]:
    """Check each of a method's options by its own rule; an unknown name is an error."""
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise InvalidInputError(f"options is {options!r}: needs a dict")
    for name in options:
        if name not in known:
            names = ", ".join(repr(k) for k in known) or "none"
            raise InvalidInputError(f"options has {name!r}: this method knows {names}")
    return {name: known[name](value, f"options[{name!r}]") for name, value in options.items()}


def as_flag(value: object, name: str) -> bool:
    """Take a truth value."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidInputError(f"{name} is {value!r}: needs True or False")
    return bool(value)


def as_above(value: object, name: str, bound: float) -> float:
    """Take a finite number above a bound."""
    number = as_number(value, name)
    if not bound < number < float("inf"):
        raise InvalidInputError(f"{name} is {value!r}: needs a number above {bound:g}")
    return number


def as_seed(rng: object, name: str = "rng") -> int:
    """Draw a seed from whatever :func:`numpy.random.default_rng` takes."""
    try:
        generator = np.random.default_rng(rng)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{name} is {rng!r}: needs what default_rng takes ({error})"
        ) from None
    return int(generator.integers(2**63))

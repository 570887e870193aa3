"""What the functions of this module ask of their arguments."""

import operator
from typing import Any

import numpy as np

from sparrot._validation import FloatArray, as_array, as_choice, as_floats, as_positive, as_threads
from sparrot.errors import InvalidInputError

METHODS = ("auto", "two-pass", "recompute", "reload", "blocked")
ALL_MASKED = ("nan", "zero", "uniform")

_SHARING_WORK = 10_000


def as_values(value: object, name: str) -> FloatArray:
    """Return values of any shape and strides, which NaN and infinities may be among."""
    return as_floats(value, name, ndim=None, any_strides=True)


def as_axes(axis: object, ndim: int) -> list[int]:
    """Return the axes to reduce, all of them for None."""
    if axis is None:
        return list(range(ndim))
    if isinstance(axis, tuple | list):
        axes = [_as_axis(each, ndim) for each in axis]
        if len(set(axes)) < len(axes):
            raise InvalidInputError(f"axis is {axis!r}: names an axis twice")
        return axes
    return [_as_axis(axis, ndim)]


def _as_axis(axis: object, ndim: int) -> int:
    try:
        index = operator.index(axis)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidInputError(
            f"axis is {axis!r}: needs None, an integer or a tuple of integers"
        ) from None
    if not -max(ndim, 1) <= index < max(ndim, 1):
        raise InvalidInputError(f"axis is {index}: the array has {ndim} dimensions")
    return index % max(ndim, 1)


def as_out(out: object, x: FloatArray) -> FloatArray:
    """Return ``out``, a place for a result of the shape and type of ``x``; None is a new one."""
    if out is None:
        return np.empty_like(x, subok=False)
    if not isinstance(out, np.ndarray):
        raise InvalidInputError(f"out is a {type(out).__name__}: needs a NumPy array")
    if out.shape != x.shape:
        raise InvalidInputError(f"out has shape {out.shape}: the result has shape {x.shape}")
    if out.dtype != x.dtype or not out.dtype.isnative:
        raise InvalidInputError(f"out has dtype {out.dtype}: the result has dtype {x.dtype}")
    if not out.flags.writeable:
        raise InvalidInputError("out is read-only: pass an array that may be written to")
    whole = all(stride % out.itemsize == 0 for stride in out.strides)
    if not out.flags.aligned or not whole:
        raise InvalidInputError("out is not aligned: pass np.empty(shape, dtype)")
    if out.size and any(s == 0 and n > 1 for s, n in zip(out.strides, out.shape, strict=True)):
        raise InvalidInputError("out has repeated values (stride 0): pass an array of its own")
    same = (
        out.__array_interface__["data"][0] == x.__array_interface__["data"][0]
        and out.strides == x.strides
    )
    if not same:
        require_apart(out, x, "x")
    return out


def require_apart(out: FloatArray, other: FloatArray, name: str) -> None:
    """Raise if ``out`` shares memory with another argument."""
    if not np.may_share_memory(out, other):
        return
    try:
        shared = np.shares_memory(out, other, max_work=_SHARING_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        shared = True
    if shared:
        raise InvalidInputError(f"out overlaps {name}: pass {name} itself or an array of its own")


def as_mask(mask: object, x: FloatArray) -> FloatArray | None:
    """Return a mask of the shape of ``x``, True where a value counts, or None."""
    if mask is None:
        return None
    array = as_array(mask, "mask")
    if array.dtype != np.bool_:
        raise InvalidInputError(f"mask has dtype {array.dtype}: needs bool, True where x counts")
    try:
        return np.broadcast_to(array, x.shape)
    except ValueError:
        raise InvalidInputError(
            f"mask has shape {array.shape}: does not broadcast to the shape of x, {x.shape}"
        ) from None


def as_settings(
    temperature: object, all_masked: object, method: object, n_threads: object
) -> tuple[float, str, str, int | None]:
    """Return what the native call takes last."""
    return (
        as_positive(temperature, "temperature"),
        as_choice(all_masked, "all_masked", ALL_MASKED),
        as_choice(method, "method", METHODS),
        as_threads(n_threads),
    )


def shaped(figures: FloatArray, x: FloatArray, axes: list[int], keepdims: bool) -> Any:
    """Return one figure for each line as an array of the shape that is left, or a scalar."""
    if keepdims:
        return figures.reshape([1 if d in axes else n for d, n in enumerate(x.shape)])
    if len(axes) >= x.ndim:
        return figures[0]
    return figures.reshape([n for d, n in enumerate(x.shape) if d not in axes])

"""``logsumexp``."""

from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._validation import as_threads
from sparrot.errors import InvalidInputError
from sparrot.special._arguments import as_axes, as_mask, as_values, shaped


def logsumexp(
    a: Any,
    axis: int | tuple[int, ...] | None = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    mask: Any = None,
    n_threads: int | None = None,
) -> Any:
    r"""Compute the logarithm of a sum of exponentials.

    .. math:: \mathrm{logsumexp}(a) = \log \sum_j b_j e^{a_j}

    A drop-in for :func:`scipy.special.logsumexp`, for real numbers.

    Parameters
    ----------
    a : array_like
        Values of any shape. float32 stays float32, float16 becomes float32, integers float64.
    axis : int or tuple of ints, optional
        What to sum over. By default the whole array.
    b : array_like, optional
        Weights, which broadcast with ``a``; 1 by default. They may be negative; values with weight
        0 do not count, whatever they are.
    keepdims : bool, default False
        Whether the reduced axes stay, with length 1.
    return_sign : bool, default False
        Whether to return the sign of the sum, and the logarithm of its magnitude.
    mask : array_like of bool, optional
        True where a value counts. Broadcast to the shape of ``a``.
    n_threads : int, optional
        How many threads to use at most.

    Returns
    -------
    res : ndarray or scalar
        The logarithm; NaN where the sum is negative, unless ``return_sign``.
    sgn : ndarray or scalar
        1, 0 or -1 (or NaN); only with ``return_sign``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be.

    See Also
    --------
    LogSumExp : For values that come in blocks.

    Notes
    -----
    Computed as ``m + log1p(r)`` with ``m`` the maximum and ``r`` the sum over all other values of
    ``exp(a - m)``. Within 4 ULP of the larger of both terms, and so of the result unless they
    cancel (it is near 0 while the values are not); the largest error found is 2.5.

    Special values: with a NaN the result is NaN, else with a ``+inf`` it is ``inf``; of nothing but
    ``-inf``, and of an empty axis, it is ``-inf``.

    Examples
    --------
    >>> from sparrot.special import logsumexp
    >>> float(logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    >>> float(logsumexp([0.0, -40.0]))  # torch and jax give 0.0
    4.248354255291589e-18
    """
    values = as_values(a, "a")
    weights = None
    if b is not None:
        weights = as_values(b, "b")
        # A number does not change the type, as everywhere in NumPy.
        dtype = np.result_type(values, weights) if weights.ndim else values.dtype
        try:
            values, weights = np.broadcast_arrays(values.astype(dtype, copy=False), weights)
        except ValueError:
            raise InvalidInputError(
                f"b has shape {weights.shape}: does not broadcast with a, {values.shape}"
            ) from None
        weights = weights.astype(np.float64, copy=False)
    axes = as_axes(axis, values.ndim)
    want = "lse" if weights is None else "signed"
    figures = _sparrot.special_run(
        values,
        None,
        axes,
        "nothing",
        want,
        as_mask(mask, values),
        weights,
        1.0,
        "nan",
        "auto",
        as_threads(n_threads),
    )
    assert figures is not None
    if weights is None:
        result = shaped(figures, values, axes, keepdims)
        if not return_sign:
            return result
        sign = np.where(np.isneginf(result), 0.0, np.where(np.isnan(result), np.nan, 1.0))
        return result, sign.astype(values.dtype)[()]
    log, sign = np.split(figures, 2)
    if return_sign:
        return tuple(shaped(part, values, axes, keepdims) for part in (log, sign))
    return shaped(np.where(sign < 0, np.nan, log), values, axes, keepdims)

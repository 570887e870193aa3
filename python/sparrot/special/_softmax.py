"""``softmax``, ``log_softmax`` and ``softmax_with_logsumexp``."""

from typing import Any

from sparrot import _sparrot
from sparrot._validation import FloatArray
from sparrot.special._arguments import (
    as_axes,
    as_mask,
    as_out,
    as_settings,
    as_values,
    require_apart,
    shaped,
)


def softmax(
    x: Any,
    axis: int | tuple[int, ...] | None = None,
    *,
    out: FloatArray | None = None,
    mask: Any = None,
    temperature: float = 1.0,
    all_masked: str = "nan",
    method: str = "auto",
    n_threads: int | None = None,
) -> Any:
    r"""Compute probabilities proportional to ``exp(x)``.

    .. math:: \mathrm{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    A drop-in for :func:`scipy.special.softmax`.

    Parameters
    ----------
    x : array_like
        Values of any shape. float32 stays float32, float16 becomes float32, integers float64.
    axis : int or tuple of ints, optional
        What the probabilities sum to 1 over. By default the whole array, as in scipy.
    out : ndarray, optional
        Where to write: of the shape and type of the result, of any strides. May be ``x`` itself;
        may not overlap it otherwise. By default a new array.
    mask : array_like of bool, optional
        True where a value counts, as ``where`` in NumPy and the opposite of ``numpy.ma``; where
        False, the probability is 0. Broadcast to the shape of ``x``.
    temperature : float, default 1.0
        ``x`` is divided by it: the larger, the more even.
    all_masked : {'nan', 'zero', 'uniform'}, default 'nan'
        What becomes of a row that holds nothing above ``-inf``: all NaN (0/0, as in scipy), all 0,
        or 1 over its length everywhere.
    method : {'auto', 'two-pass', 'recompute', 'reload', 'blocked'}, default 'auto'
        How to go about a row. ``'two-pass'`` is the algorithm of the paper [1]_; ``'recompute'``
        and ``'reload'`` are the two it is compared with there; ``'blocked'`` finds the maximum
        block by block and computes each exponential once. ``'auto'`` takes the fastest for the
        length of the row, its type and the processor.
    n_threads : int, optional
        How many threads to use at most; see :func:`sparrot.get_num_threads`.

    Returns
    -------
    ndarray
        ``out``, or an array of the shape and memory order of ``x``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be.

    See Also
    --------
    log_softmax : Its logarithm, accurate where this is tiny or near 1.
    softmax_with_logsumexp : Both results of one computation.

    Notes
    -----
    Within 4 ULP of the truth, for rows of any length and values of any magnitude; the largest error
    found by searching is 2.6. Results are the same for any number of threads, and for any
    instruction set and strides to 1 ULP. See ``docs/softmax.md``.

    Special values, per row: with a NaN or a ``+inf`` all probabilities are NaN, as in scipy, torch
    and jax. ``-inf`` is probability 0; a row of nothing else follows ``all_masked``. An empty axis
    gives an empty array.

    References
    ----------
    .. [1] M. Dukhan and A. Ablavatski, "Two-Pass Softmax Algorithm", arXiv:2001.04438, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.special import softmax
    >>> softmax(np.array([[0.0, np.log(3.0)], [5.0, 5.0]]), axis=1)
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """
    if (
        mask is None
        and n_threads is None
        and type(temperature) is float
        and temperature == 1.0
        and all_masked == "nan"
        and type(method) is str
        and (axis is None or (type(axis) is int and -64 <= axis < 64))
    ):
        # The usual call has a short cut: short rows take less time than the checks of the others.
        y = _sparrot.special_softmax(x, axis, out, False, method)
        if y is not None:
            return y
    return _normalised(
        "softmax", x, axis, out, mask, as_settings(temperature, all_masked, method, n_threads)
    )


def log_softmax(
    x: Any,
    axis: int | tuple[int, ...] | None = None,
    *,
    out: FloatArray | None = None,
    mask: Any = None,
    temperature: float = 1.0,
    all_masked: str = "nan",
    n_threads: int | None = None,
) -> Any:
    r"""Compute the logarithm of softmax.

    .. math:: \mathrm{log\_softmax}(x)_i = (x_i - \max_j x_j) - \log \sum_j e^{x_j - \max_j x_j}

    A drop-in for :func:`scipy.special.log_softmax`.

    Parameters
    ----------
    x : array_like
        Values of any shape. float32 stays float32, float16 becomes float32, integers float64.
    axis : int or tuple of ints, optional
        What the probabilities sum to 1 over. By default the whole array, as in scipy.
    out : ndarray, optional
        Where to write; see :func:`softmax`.
    mask : array_like of bool, optional
        True where a value counts; where False, the result is ``-inf``.
    temperature : float, default 1.0
        ``x`` is divided by it.
    all_masked : {'nan', 'zero', 'uniform'}, default 'nan'
        What becomes of a row that holds nothing above ``-inf``: all NaN, all ``-inf`` (the
        logarithm of 0), or the logarithm of 1 over its length everywhere.
    n_threads : int, optional
        How many threads to use at most.

    Returns
    -------
    ndarray
        ``out``, or an array of the shape and memory order of ``x``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be.

    See Also
    --------
    softmax : The probabilities themselves.

    Notes
    -----
    Both terms of the formula are at most 0, so that nothing cancels; the sum counts the maximum
    apart, so that results near 0 (probabilities near 1) keep all their digits. Within 4 ULP of the
    truth; the largest error found is 2.3.

    Special values, per row: with a NaN all is NaN; with a ``+inf``, that value gives NaN and finite
    ones ``-inf``, as in scipy.

    Examples
    --------
    >>> from sparrot.special import log_softmax
    >>> log_softmax([0.0, -50.0])
    array([-1.92874985e-22, -5.00000000e+01])
    """
    if (
        mask is None
        and n_threads is None
        and type(temperature) is float
        and temperature == 1.0
        and all_masked == "nan"
        and (axis is None or (type(axis) is int and -64 <= axis < 64))
    ):
        y = _sparrot.special_softmax(x, axis, out, True, "auto")
        if y is not None:
            return y
    settings = as_settings(temperature, all_masked, "auto", n_threads)
    return _normalised("log_softmax", x, axis, out, mask, settings)


def softmax_with_logsumexp(
    x: Any,
    axis: int | tuple[int, ...] | None = None,
    *,
    keepdims: bool = False,
    out: FloatArray | None = None,
    mask: Any = None,
    temperature: float = 1.0,
    all_masked: str = "nan",
    n_threads: int | None = None,
) -> tuple[Any, Any]:
    """Compute softmax and logsumexp together.

    The pair that attention in blocks is put together from.

    Parameters
    ----------
    x : array_like
        Values of any shape; see :func:`softmax`.
    axis : int or tuple of ints, optional
        What the probabilities sum to 1 over. By default the whole array.
    keepdims : bool, default False
        Whether the reduced axes stay in the logsumexp, with length 1.
    out : ndarray, optional
        Where to write the probabilities; see :func:`softmax`.
    mask : array_like of bool, optional
        True where a value counts.
    temperature : float, default 1.0
        ``x`` is divided by it, for both results.
    all_masked : {'nan', 'zero', 'uniform'}, default 'nan'
        What becomes of the probabilities of a row that holds nothing above ``-inf``.
    n_threads : int, optional
        How many threads to use at most.

    Returns
    -------
    probabilities : ndarray
        As :func:`softmax`.
    logsumexp : ndarray or scalar
        As :func:`logsumexp`.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.special import softmax_with_logsumexp
    >>> p, lse = softmax_with_logsumexp([0.0, np.log(3.0)])
    >>> p, float(lse)
    (array([0.25, 0.75]), 1.3862943611198908)
    """
    values = as_values(x, "x")
    axes = as_axes(axis, values.ndim)
    place = as_out(out, values)
    settings = as_settings(temperature, all_masked, "blocked", n_threads)
    lse = _run(values, place, axes, "softmax", "lse", as_mask(mask, values), settings)
    return place if out is not None else place[()], shaped(lse, values, axes, keepdims)


def _normalised(
    output: str,
    x: Any,
    axis: object,
    out: FloatArray | None,
    mask: Any,
    settings: tuple[float, str, str, int | None],
) -> Any:
    values = as_values(x, "x")
    axes = as_axes(axis, values.ndim)
    place = as_out(out, values)
    _run(values, place, axes, output, "nothing", as_mask(mask, values), settings)
    return place if out is not None else place[()]  # a scalar for a scalar


def _run(
    values: FloatArray,
    place: FloatArray,
    axes: list[int],
    output: str,
    want: str,
    mask: FloatArray | None,
    settings: tuple[float, str, str, int | None],
) -> Any:
    if mask is not None:
        require_apart(place, mask, "mask")
    return _sparrot.special_run(values, place, axes, output, want, mask, None, *settings)

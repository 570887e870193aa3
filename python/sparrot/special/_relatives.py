"""``softmax_vjp``, ``topk_softmax``, ``sparsemax`` and ``stablemax``."""

from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_count, as_positive, as_threads
from sparrot.errors import InvalidInputError
from sparrot.special._arguments import as_axes, as_out, as_values, require_apart


def softmax_vjp(
    p: Any,
    g: Any,
    axis: int | tuple[int, ...] | None = None,
    *,
    out: FloatArray | None = None,
    temperature: float = 1.0,
    n_threads: int | None = None,
) -> FloatArray:
    r"""Pull a gradient back through softmax.

    .. math:: \frac{\partial L}{\partial x} = \frac{1}{T}\, p \odot (g - \langle p, g \rangle)

    Parameters
    ----------
    p : array_like
        Probabilities, ``softmax(x, axis, temperature=temperature)``.
    g : array_like
        The gradient of ``L`` with respect to ``p``; of the same shape.
    axis : int or tuple of ints, optional
        As was given to :func:`softmax`.
    out : ndarray, optional
        Where to write; may be ``p`` itself.
    temperature : float, default 1.0
        As was given to :func:`softmax`.
    n_threads : int, optional
        How many threads to use at most.

    Returns
    -------
    ndarray
        The gradient with respect to ``x``: ``out``, or an array of the shape of ``p``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.special import softmax, softmax_vjp
    >>> p = softmax([0.0, np.log(3.0)])
    >>> softmax_vjp(p, [1.0, 0.0])
    array([ 0.1875, -0.1875])
    """
    probabilities, gradient = as_values(p, "p"), as_values(g, "g")
    if gradient.shape != probabilities.shape:
        raise InvalidInputError(f"g has shape {gradient.shape}: p has {probabilities.shape}")
    dtype = np.result_type(probabilities, gradient)
    probabilities = probabilities.astype(dtype, copy=False)
    gradient = gradient.astype(dtype, copy=False)
    place = as_out(out, probabilities)
    if out is not None:
        require_apart(place, gradient, "g")
    _sparrot.special_pull_back(
        probabilities,
        gradient,
        place,
        as_axes(axis, probabilities.ndim),
        1.0 / as_positive(temperature, "temperature"),
        as_threads(n_threads),
    )
    return place


def topk_softmax(
    x: Any,
    k: int,
    axis: int = -1,
    *,
    renormalize: bool = False,
    n_threads: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Compute the ``k`` largest probabilities, and where they are.

    What a router of a mixture of experts asks for; the other probabilities are never written.

    Parameters
    ----------
    x : array_like
        Values of any shape; see :func:`softmax`.
    k : int
        How many, at most the length of the axis.
    axis : int, default -1
        What the probabilities sum to 1 over.
    renormalize : bool, default False
        Whether the ``k`` probabilities are to sum to 1 among themselves.
    n_threads : int, optional
        How many threads to use at most.

    Returns
    -------
    probabilities : ndarray
        The largest first, with ``k`` in place of the length of the axis.
    indices : ndarray of int64
        Positions along the axis; of equal values, the lower come first.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be.

    Notes
    -----
    With a NaN or ``+inf`` in a row its probabilities are NaN, and its indices mean nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.special import topk_softmax
    >>> p, i = topk_softmax(np.log([2.0, 5.0, 1.0, 2.0]), 2)
    >>> p, i
    (array([0.5, 0.2]), array([1, 0]))
    """
    values = as_values(x, "x")
    if values.ndim == 0:
        raise InvalidInputError("x has no dimensions: needs at least one")
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise InvalidInputError(f"axis is {axis!r}: needs an integer")
    (along,) = as_axes(axis, values.ndim)
    count = as_count(k, "k")
    if count > values.shape[along]:
        raise InvalidInputError(f"k is {count}: the axis has {values.shape[along]} values")
    figures, indices = _sparrot.special_topk(
        values, [along], count, bool(renormalize), as_threads(n_threads)
    )
    kept = [n for d, n in enumerate(values.shape) if d != along]
    return (
        np.moveaxis(figures.reshape([*kept, count]), -1, along),
        np.moveaxis(indices.reshape([*kept, count]), -1, along),
    )


def sparsemax(
    x: Any,
    axis: int | tuple[int, ...] | None = -1,
    *,
    out: FloatArray | None = None,
    n_threads: int | None = None,
) -> FloatArray:
    r"""Compute the closest point of the probability simplex.

    .. math:: \mathrm{sparsemax}(x) = \arg\min_{p \ge 0,\, \sum_i p_i = 1} \|p - x\|^2
              = \max(x - \tau, 0)

    Parameters
    ----------
    x : array_like
        Values of any shape; see :func:`softmax`.
    axis : int or tuple of ints, default -1
        What the probabilities sum to 1 over; None for the whole array.
    out : ndarray, optional
        Where to write; see :func:`softmax`.
    n_threads : int, optional
        How many threads to use at most.

    Returns
    -------
    ndarray
        ``out``, or an array of the shape of ``x``; most of it is 0.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be.

    Notes
    -----
    With a NaN or ``+inf`` in a row, or nothing above ``-inf``, its probabilities are NaN.

    References
    ----------
    .. [1] A. Martins and R. Astudillo, "From Softmax to Sparsemax", arXiv:1602.02068, 2016,
       algorithm 1.

    Examples
    --------
    >>> from sparrot.special import sparsemax
    >>> sparsemax([1.0, 0.5, -1.0])
    array([0.75, 0.25, 0.  ])
    """
    values = as_values(x, "x")
    place = as_out(out, values)
    _sparrot.special_sparsemax(values, place, as_axes(axis, values.ndim), as_threads(n_threads))
    return place


def stablemax(
    x: Any,
    axis: int | tuple[int, ...] | None = None,
    *,
    out: FloatArray | None = None,
    n_threads: int | None = None,
) -> FloatArray:
    r"""Compute softmax with a function that grows linearly in place of ``exp``.

    .. math:: \frac{s(x_i)}{\sum_j s(x_j)}, \qquad
              s(x) = \begin{cases} x + 1 & x \ge 0 \\ 1 / (1 - x) & x < 0 \end{cases}

    Parameters
    ----------
    x : array_like
        Values of any shape; see :func:`softmax`.
    axis : int or tuple of ints, optional
        What the probabilities sum to 1 over. By default the whole array, as :func:`softmax`.
    out : ndarray, optional
        Where to write; see :func:`softmax`.
    n_threads : int, optional
        How many threads to use at most.

    Returns
    -------
    ndarray
        ``out``, or an array of the shape of ``x``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be.

    Notes
    -----
    Small terms are not absorbed by large ones as they are in softmax, whose loss then has a
    gradient of exactly 0 ("softmax collapse"). It is not shift invariant. ``-inf`` is probability
    0; a NaN makes its row NaN, and ``+inf`` is NaN among zeros.

    References
    ----------
    .. [1] L. Prieto et al., "Grokking at the Edge of Numerical Stability", arXiv:2501.04697, 2025.

    Examples
    --------
    >>> from sparrot.special import stablemax
    >>> stablemax([2.0, 0.0, -1.0])
    array([0.66666667, 0.22222222, 0.11111111])
    """
    values = as_values(x, "x")
    place = as_out(out, values)
    _sparrot.special_stablemax(values, place, as_axes(axis, values.ndim), as_threads(n_threads))
    return place

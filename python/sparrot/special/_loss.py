"""``cross_entropy``."""

from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_array, as_choice, as_floats, as_threads
from sparrot.errors import InvalidInputError
from sparrot.special._arguments import as_axes, as_values
from sparrot.special._softmax import log_softmax, softmax

REDUCTIONS = ("mean", "sum", "none")


def cross_entropy(
    logits: Any,
    targets: Any,
    axis: int = -1,
    *,
    reduction: str = "mean",
    return_grad: bool = False,
    n_threads: int | None = None,
) -> Any:
    r"""Compute the loss of a classifier, and its gradient.

    .. math:: L = -\sum_i t_i \log \mathrm{softmax}(x)_i, \qquad
              \frac{\partial L}{\partial x} = \Big(\sum_i t_i\Big)\, \mathrm{softmax}(x) - t

    Parameters
    ----------
    logits : array_like
        Values of any shape; see :func:`softmax`.
    targets : array_like
        The right class of each row, as integers, of the shape of ``logits`` without ``axis``; or a
        probability of each class, as floats, of the shape of ``logits``.
    axis : int, default -1
        Along which the classes lie.
    reduction : {'mean', 'sum', 'none'}, default 'mean'
        What is returned: the mean or the sum of the losses of all rows, or each by itself.
    return_grad : bool, default False
        Whether to return the gradient of what is returned (with ``'none'``, of the sum) as well.
    n_threads : int, optional
        How many threads to use at most.

    Returns
    -------
    loss : ndarray or scalar
        Of the type of the logits.
    grad : ndarray
        Of the shape of ``logits``; only with ``return_grad``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be, or a class is not one of those there are.

    Notes
    -----
    The loss is ``(max - x[t]) + log_sum``, two terms of which neither is negative, so that the loss
    of a confident and right prediction is not rounded to 0; the gradient at the right class is
    ``expm1(-loss)`` rather than ``p - 1`` for the same reason.

    Examples
    --------
    >>> from sparrot.special import cross_entropy
    >>> loss, grad = cross_entropy([[40.0, 0.0]], [0], return_grad=True)
    >>> float(loss)
    4.248354255291589e-18
    >>> grad
    array([[-4.24835426e-18,  4.24835426e-18]])
    """
    values = as_values(logits, "logits")
    if values.ndim == 0:
        raise InvalidInputError("logits has no dimensions: needs at least one")
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise InvalidInputError(f"axis is {axis!r}: needs an integer")
    (along,) = as_axes(axis, values.ndim)
    if values.shape[along] == 0:
        raise InvalidInputError(f"logits has shape {values.shape}: there is no class")
    as_choice(reduction, "reduction", REDUCTIONS)
    threads = as_threads(n_threads)
    targets = as_array(targets, "targets")
    if targets.dtype.kind in "iu":
        losses, grad = _of_classes(values, targets, along, return_grad, threads)
    else:
        losses, grad = _of_probabilities(values, targets, along, return_grad, threads)
    count = max(losses.size, 1)
    if reduction == "none":
        loss = losses.astype(values.dtype)[()]
    else:
        total = losses.sum(dtype=np.float64)
        loss = values.dtype.type(total / count if reduction == "mean" else total)
    if grad is None:
        return loss
    if reduction == "mean":
        grad /= count
    return loss, grad


def _of_classes(
    values: FloatArray, targets: FloatArray, along: int, with_grad: bool, threads: int | None
) -> tuple[FloatArray, FloatArray | None]:
    classes = targets
    kept = tuple(n for d, n in enumerate(values.shape) if d != along)
    if classes.shape != kept:
        raise InvalidInputError(f"targets has shape {classes.shape}: needs one class each, {kept}")
    known = values.shape[along]
    wrong = (classes < 0) | (classes >= known)
    if wrong.any():
        raise InvalidInputError(
            f"targets has class {classes[wrong].flat[0]}: there are {known}, counted from 0"
        )
    figures = _sparrot.special_run(
        values, None, [along], "nothing", "parts", None, None, 1.0, "nan", "auto", threads
    )
    assert figures is not None
    largest, log_sum = (part.reshape(kept) for part in np.split(figures, 2))
    where = np.expand_dims(classes, along)
    chosen = np.take_along_axis(values, where, along).squeeze(along).astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite logits: NaN, as everywhere
        losses = (largest - chosen) + log_sum
    if not with_grad:
        return losses, None
    grad = softmax(values, along, n_threads=threads)
    at_class = np.expand_dims(np.expm1(-losses), along).astype(values.dtype)
    np.put_along_axis(grad, where, at_class, along)
    return losses, grad


def _of_probabilities(
    values: FloatArray, targets: FloatArray, along: int, with_grad: bool, threads: int | None
) -> tuple[FloatArray, FloatArray | None]:
    wanted = as_floats(targets, "targets", ndim=None, any_strides=True)
    if wanted.shape != values.shape:
        raise InvalidInputError(
            f"targets has shape {wanted.shape}: needs integers, or probabilities of shape "
            f"{values.shape}"
        )
    if not (np.isfinite(wanted).all() and (wanted >= 0).all()):
        raise InvalidInputError("targets has a negative, infinite or NaN value: not probabilities")
    logs = log_softmax(values, along, n_threads=threads)
    np.copyto(logs, 0.0, where=wanted == 0)  # 0 times -inf is to be 0
    losses = np.asarray(-np.sum(logs * wanted, axis=along, dtype=np.float64))
    if not with_grad:
        return losses, None
    grad = softmax(values, along, n_threads=threads)
    grad *= wanted.sum(axis=along, keepdims=True)
    grad -= wanted
    return losses, grad

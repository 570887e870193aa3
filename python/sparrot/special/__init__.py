"""Softmax, logsumexp and their relatives: drop-ins for scipy.special, at memory speed.

==========================  ================================================================
:func:`softmax`             probabilities proportional to ``exp(x)``
:func:`log_softmax`         their logarithms
:func:`logsumexp`           ``log(sum(b * exp(a)))``
:func:`softmax_with_logsumexp`  softmax and logsumexp in one go
:func:`softmax_vjp`         the gradient of softmax
:func:`cross_entropy`       classification loss, with its gradient
:func:`topk_softmax`        the ``k`` largest probabilities and where they are
:func:`sparsemax`           the closest point of the probability simplex
:func:`stablemax`           softmax with a slowly growing function instead of ``exp``
:class:`LogSumExp`          logsumexp and softmax of data that comes in blocks
==========================  ================================================================

float32 stays float32; integers become float64, float16 becomes float32. Any axis, any strides,
without a copy of the input. Probabilities and logarithms are within 4 units in the last place (ULP)
of the truth, for rows of any length: see the notes of :func:`softmax`.
"""

from sparrot.special._logsumexp import logsumexp
from sparrot.special._loss import cross_entropy
from sparrot.special._relatives import softmax_vjp, sparsemax, stablemax, topk_softmax
from sparrot.special._softmax import log_softmax, softmax, softmax_with_logsumexp
from sparrot.special._state import LogSumExp

__all__ = [
    "LogSumExp",
    "cross_entropy",
    "log_softmax",
    "logsumexp",
    "softmax",
    "softmax_vjp",
    "softmax_with_logsumexp",
    "sparsemax",
    "stablemax",
    "topk_softmax",
]

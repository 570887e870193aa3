"""scipy, and the formula as one writes it by hand with numpy. Both have one thread only."""

from functools import partial

import numpy as np

from peers.softmax.contenders.base import Calls, Task


def scipy(task: Task) -> Calls:
    import scipy.special

    return Calls({"fresh": partial(getattr(scipy.special, task.function), task.x, axis=task.axis)})


def numpy(task: Task) -> Calls:
    if task.function == "logsumexp":
        return Calls({"fresh": partial(logsumexp, task.x, task.axis)})
    fresh, into = {"softmax": (softmax, softmax_into), "log_softmax": (log_softmax, log_into)}[
        task.function
    ]
    return Calls(
        {
            "fresh": partial(fresh, task.x, task.axis),
            "out": partial(into, task.x, task.axis, task.output()),
        }
    )


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    e /= e.sum(axis, keepdims=True)
    return e


def softmax_into(x, axis, out):
    np.subtract(x, x.max(axis, keepdims=True), out=out)
    np.exp(out, out=out)
    np.divide(out, out.sum(axis, keepdims=True), out=out)
    return out


def log_softmax(x, axis):
    shifted = x - x.max(axis, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis, keepdims=True))
    return shifted


def log_into(x, axis, out):
    top = x.max(axis, keepdims=True)
    np.subtract(x, top, out=out)
    np.exp(out, out=out)
    np.subtract(x, top + np.log(out.sum(axis, keepdims=True)), out=out)
    return out


def logsumexp(x, axis):
    top = x.max(axis, keepdims=True)
    return np.log(np.exp(x - top).sum(axis)) + top.squeeze(axis)

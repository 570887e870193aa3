"""Ctrl-C ends a long call soon."""

import threading
import time

import numpy as np
import pytest

from sparrot.special import log_softmax, logsumexp, softmax, sparsemax, stablemax

# Each value is read many times over, so that little memory is seconds of work.
WIDE = np.broadcast_to(np.random.default_rng(0).normal(size=(1, 1 << 16)), (1 << 17, 1 << 16))
ROW = np.broadcast_to(np.float32(1.5), (1 << 33,))
TALL = np.broadcast_to(np.random.default_rng(0).normal(size=(1, 1 << 10)), (1 << 23, 1 << 10))

ENDLESS = {
    "rows": lambda: logsumexp(WIDE, axis=1),
    "one row": lambda: logsumexp(ROW),
    "columns": lambda: logsumexp(TALL, axis=0),
    "scattered": lambda: logsumexp(WIDE[:, ::-1], axis=1, mask=True),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c(name, threads, ends_at_ctrl_c):
    ends_at_ctrl_c(ENDLESS[name], threads)


def test_a_long_call_lets_other_threads_run():
    steps, x = [], np.zeros((1000, 10_000), np.float32)
    functions = (softmax, log_softmax, sparsemax, stablemax)
    other = threading.Thread(target=lambda: [f(x, 1, out=x) for _ in range(3) for f in functions])
    other.start()
    while other.is_alive():
        steps.append(1)
        time.sleep(0.001)
    other.join()
    assert len(steps) > 20  # the calls had let go of the interpreter

"""Ctrl-C ends a solve of transport with few entries per line."""

import os
import signal
import threading

import numpy as np
import pytest

from sparrot.transport import KSparseDual, solve_ksparse, solve_quadratic


@pytest.fixture
def interrupted():
    """A function that presses Ctrl-C once it is called, a moment later."""
    timers = []

    def start():
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timers.append(timer)
        timer.start()

    yield start
    for timer in timers:
        timer.cancel()


COST = np.random.default_rng(0).random((1500, 1500))
LINE = np.abs(np.linspace(0, 1, 1500)[:, None] - np.linspace(0, 2, 1500))
DUAL = KSparseDual(COST, gamma=1.0, k=20)

CALLS = {
    "few entries": lambda: solve_ksparse(COST, gamma=1.0, k=2, tol=0),
    "one entry": lambda: solve_ksparse(LINE, gamma=1.0, k=1, tol=0, axis=1),
    "all entries": lambda: solve_quadratic(LINE, gamma=1e-3, tol=0),
    "evaluations": lambda: DUAL.semi_dual(np.zeros(1500)),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_ctrl_c(name, threads, monkeypatch, interrupted):
    monkeypatch.setenv("SPARROT_NUM_THREADS", str(threads))

    def again():
        interrupted()
        while True:  # a solve may end before the interrupt comes: then it meets the next
            CALLS[name]()

    with pytest.raises(KeyboardInterrupt):
        again()


def test_an_interrupt_from_a_callback_is_not_lost():
    def press(state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve_ksparse(COST[:50, :50], gamma=1.0, k=2, callback=press)

"""Problems that several tests solve."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import settings

# The same examples on every run; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


# Ctrl-C is promised to work within 100 ms, and the figure in docs/benchmarks.md is a tenth of it; a
# busy test machine gets ten times the promise.
PATIENCE = 1.0


@pytest.fixture
def ends_at_ctrl_c(monkeypatch):
    """Run an endless call with so many threads, press Ctrl-C after 0.3 s, and ask that it ends."""

    def check(call, threads):
        monkeypatch.setenv("SPARROT_NUM_THREADS", str(threads))
        sent = []

        def send():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.3, send)
        timer.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                call()
        finally:
            timer.cancel()
        delay = time.monotonic() - sent[0]
        if delay > PATIENCE:
            pytest.fail(f"the interrupt took {delay:.2f} s")

    return check


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def assignment():
    """The paper's random assignment problem, by seed: (cost, reg)."""

    def make(seed=0, n=500):
        return np.random.default_rng(seed).random((n, n)), 1 / 1200

    return make


def marginal_error(plan, a, b):
    """The certificate, measured without sparrot."""
    plan = np.asarray(plan, dtype=np.float64)
    return (np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum()) / np.sum(a)


def uniform(n):
    return np.full(n, 1 / n)

"""Ctrl-C ends any solve soon, panics become exceptions, nothing leaks."""

import gc
import resource
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sparrot import _sparrot
from sparrot.errors import InternalError
from sparrot.transport import solve, solve_batch, solve_path, solve_sample

SOLVED = solve_sample(*np.random.default_rng(0).random((2, 3000, 2)), reg=1.0)

ENDLESS = {
    # Many short passes; passes of half a second; a sparse Newton stage.
    "sinkhorn": lambda: solve(
        np.random.default_rng(0).random((300, 300)),
        reg=1e-6,
        method="sinkhorn",
        tol=0,
        max_iter=10**9,
    ),
    "large": lambda: solve_sample(
        *np.random.default_rng(0).random((2, 9000, 3)),
        reg=1e-5,
        method="sinkhorn",
        tol=0,
        max_iter=10**9,
    ),
    # One product that takes seconds.
    "apply": lambda: SOLVED.apply(np.ones((3000, 6000))),
    "newton": lambda: solve_sample(
        *np.random.default_rng(0).normal(size=(2, 1000, 2)),
        reg=0.1,
        method="sns",
        tol=0,
        max_iter=10**9,
    ),
    "path": lambda: solve_path(
        np.random.default_rng(0).random((900, 900)), regs=np.geomspace(1e-3, 1e-6, 10**5), tol=1e-9
    ),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c(name, threads, ends_at_ctrl_c):
    ends_at_ctrl_c(ENDLESS[name], threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_in_a_batch(threads, ends_at_ctrl_c):
    costs = np.random.default_rng(0).random((1, 300, 300))
    options = {"reg": 1e-6, "method": "sinkhorn", "tol": 0, "max_iter": 200_000}
    ends_at_ctrl_c(lambda: solve_batch(costs, **options, n_threads=threads), threads)


def test_a_solve_in_another_thread_does_not_stop_the_interpreter():
    steps = []
    other = threading.Thread(
        target=lambda: solve(np.random.default_rng(0).random((1500, 1500)), reg=1e-3, tol=1e-9)
    )
    other.start()
    while other.is_alive():
        steps.append(1)
        time.sleep(0.001)
    other.join()
    assert len(steps) > 20  # the solve had let go of the interpreter


@pytest.mark.parametrize("threads", [1, 4])
def test_a_panic_is_an_exception_that_asks_for_a_report(threads, capfd):
    with pytest.raises(InternalError, match=r"please report it.*asked for by a test"):
        _sparrot.panic_for_test(threads)
    assert solve([[1.0]], reg=1.0).converged  # the pool still works
    capfd.readouterr()  # what the panic printed


def test_memory_does_not_grow():
    cost = np.random.default_rng(0).random((20, 30))

    def many(count):
        for _ in range(count):
            result = solve(cost, reg=0.1)
            _ = result.plan, result.sparse_plan, result.apply(np.ones(30))
        gc.collect()
        resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
        return resident_pages * resource.getpagesize()

    before = many(1000)
    assert many(3000) - before < 3000 * 1024  # less than 1 kB a call

"""A report on the installation, and a few problems with known answers."""

import platform
import sys
import time
from collections.abc import Callable

import numpy as np

import sparrot
from sparrot import _sparrot, transport


def run() -> int:
    """Print the report; 0 if every check passes."""
    say = sys.stdout.write
    say(f"sparrot {sparrot.__version__}\n")
    say(f"  Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}\n")
    levels = ", ".join(_sparrot.simd_levels())
    say(f"  instruction set: {sparrot.simd_level()} (this machine has {levels})\n")
    say(f"  threads: {sparrot.get_num_threads()}\n")
    failed = 0
    for check in CHECKS:
        start = time.perf_counter()
        try:
            figure = check()
            verdict = "ok"
        except Exception as error:  # every failure is to be shown, whatever it is
            figure, verdict = f"{type(error).__name__}: {error}", "FAILED"
            failed += 1
        title = (check.__doc__ or "").strip().rstrip(".")
        say(f"  {verdict:<6} {title}: {figure} ({time.perf_counter() - start:.2f} s)\n")
    say("all is well\n" if not failed else f"{failed} of {len(CHECKS)} checks failed\n")
    return int(failed > 0)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _assignment(method: str) -> str:
    cost = np.random.default_rng(0).random((500, 500))
    result = transport.solve(cost, reg=1 / 1200, tol=1e-6, method=method)
    error = np.abs(result.plan.sum(0) - 1 / 500).sum() + np.abs(result.plan.sum(1) - 1 / 500).sum()
    _require(result.converged and error <= 1e-6, f"marginal error {error:.2e}")
    _require(0 <= result.gap <= 1e-6, f"gap {result.gap:.2e}")
    return f"{result.n_iter} iterations, marginal error {error:.1e}, gap {result.gap:.1e}"


def _newton() -> str:
    """Random assignment n = 500, reg 1/1200, by Sinkhorn-Newton-Sparse."""
    return _assignment("sns")


def _sinkhorn() -> str:
    """Random assignment n = 500, reg 1/1200, by Sinkhorn."""
    return _assignment("sinkhorn")


def _known_answer() -> str:
    """Two points against two, known in closed form."""
    result = transport.solve([[0.0, 1.0], [1.0, 0.0]], reg=0.5, tol=1e-12)
    diagonal = 0.5 / (1 + np.exp(-2.0))
    difference = float(np.abs(np.diag(result.plan) - diagonal).max())
    _require(difference <= 1e-12, f"difference {difference:.2e}")
    return f"difference {difference:.1e}"


CHECKS: tuple[Callable[[], str], ...] = (_known_answer, _newton, _sinkhorn)

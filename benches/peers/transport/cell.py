"""One cell: a contender solves a case to a tolerance, in a process that may be killed.

``python -m peers.transport.cell CASE CONTENDER TOL REPEATS LIMIT RIVAL`` prints the figures as a
line of JSON whenever it knows more; the last line counts. Who takes much longer than RIVAL, the
fastest peer so far, is not asked to repeat.
"""

import json
import signal
import statistics
import sys
import time
import warnings
from collections.abc import Iterator

import numpy as np

from peers.transport.cases import CASES, Problem
from peers.transport.contenders import CONTENDERS, Answer, Prepared, Solve, is_peer

HOPELESS = 3
"""Who takes so many times as long as the rival will not win by repeating."""
CHEAP = 0.2
"""Seconds that are worth spending on repetitions whatever the first call took."""


def main() -> None:
    case, name = sys.argv[1:3]
    tol, repeats, limit, rival = map(float, sys.argv[3:])
    warnings.simplefilter("ignore")  # the plan is measured, whatever its solver says of it
    try:
        for figures in run(case, name, tol, int(repeats), limit, rival):
            print(json.dumps(figures), flush=True)
    except Exception as error:  # whatever a contender raises is a finding
        reason = f"{type(error).__name__}: {error}"
        print(json.dumps({"status": "failed", "reason": reason}))


def run(
    case: str, name: str, tol: float, repeats: int, limit: float, rival: float
) -> Iterator[dict]:
    problem = CASES[case]()
    contender = CONTENDERS[name]
    prepared = contender.prepare(problem)
    described = {"version": contender.version(), "threads": contender.threads()}
    for figures in attempts(prepared, problem, tol, limit):
        yield described | figures
    hopeless = is_peer(name) and figures["median"] > max(CHEAP, HOPELESS * rival)
    if figures["status"] == "ok" and not hopeless:
        own_tol = tol / figures["tightened"]
        yield described | figures | repeat(prepared.solve, own_tol, repeats, figures["median"])


def attempts(prepared: Prepared, problem: Problem, tol: float, limit: float) -> Iterator[dict]:
    """Solve; a contender that misses because its norm is another one may aim closer, twice."""
    first = None
    for tightened in (1, 2, 4):
        # The default action of this signal ends the process even in the midst of native code.
        # Imports and preparations came before, and every attempt has the whole limit.
        signal.setitimer(signal.ITIMER_REAL, limit)
        seconds, answer = timed(prepared.solve, tol / tightened)
        first = first or prepared.compile_seconds + seconds
        error, cost = measured(answer, problem)
        reached = error <= tol
        yield {
            "status": "ok" if reached else "miss",
            "compile": prepared.compile_seconds,
            "first": first,
            "median": seconds,
            "n_timed": 0,
            "tightened": tightened,
            "iterations": answer.iterations,
            "newton": answer.newton,
            "cg": answer.cg,
            "error": error,
            "cost": cost,
        }
        if reached:
            break


def repeat(solve: Solve, tol: float, repeats: int, seconds: float) -> dict:
    """Take the median of as many calls as were asked for, or as the limit leaves time for.

    Of short calls it takes more.
    """
    times = []
    cpu, wall = time.process_time(), time.perf_counter()
    while (len(times) < repeats or sum(times) < CHEAP) and time_left() > 1.5 * seconds:
        seconds, _ = timed(solve, tol)
        times.append(seconds)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "median": statistics.median(times or [seconds]),
        "n_timed": len(times),
        # More than the threads allowed would mean that a contender did not keep to them.
        "cpu_per_wall": cpu / wall if times else None,
    }


def time_left() -> float:
    return signal.getitimer(signal.ITIMER_REAL)[0]


def timed(solve: Solve, tol: float) -> tuple[float, Answer]:
    start = time.perf_counter()
    answer = solve(tol)
    return time.perf_counter() - start, answer


def measured(answer: Answer, problem: Problem) -> tuple[float, float]:
    """Return the L1 error of the marginals, as a share of the mass, and the linear cost.

    Of a batch, the largest error and the sum of the costs.
    """
    plan = np.asarray(answer.plan, dtype=np.float64)
    if plan.shape != problem.cost.shape:
        raise ValueError(f"plan of shape {plan.shape} for costs of shape {problem.cost.shape}")
    if problem.is_unbalanced:
        return measured_unbalanced(plan, answer.potentials, problem)
    rows = np.abs(plan.sum(-1) - problem.a).sum(-1)
    columns = np.abs(plan.sum(-2) - problem.b).sum(-1)
    error = np.max(rows + columns)
    if not np.isfinite(error):
        raise ArithmeticError(f"plan not finite after {answer.iterations} iterations")
    return float(error / problem.a.sum()), float(np.vdot(problem.cost, plan))


def measured_unbalanced(
    plan: np.ndarray, potentials: tuple[np.ndarray, np.ndarray], problem: Problem
) -> tuple[float, float]:
    """Return how far marginals are from what the potentials ask for, and the linear cost.

    Or how far the plan is from that of the potentials, if that is more.
    """
    cost, a, b, reg, reg_m = problem
    f, g = potentials
    expected = a[:, None] * b * np.exp((f[:, None] + g - cost) / reg)
    rows = np.abs(plan.sum(1) - a * np.exp(-f / reg_m)).sum()
    columns = np.abs(plan.sum(0) - b * np.exp(-g / reg_m)).sum()
    error = max(rows + columns, np.abs(plan - expected).sum()) / plan.sum()
    if not np.isfinite(error):
        raise ArithmeticError("plan or potentials not finite")
    return float(error), float(np.vdot(cost, plan))


if __name__ == "__main__":
    main()

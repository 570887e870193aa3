"""One cell: a contender solves a case to a tolerance, in a process that may be killed.

``python -m peers.transport.cell CASE CONTENDER TOL REPEATS LIMIT`` prints the figures as a
line of JSON whenever it knows more; the last line counts.
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
from peers.transport.contenders import CONTENDERS, Answer, Solve


def main() -> None:
    case, name, tol, repeats, limit = sys.argv[1:]
    warnings.simplefilter("ignore")  # the plan is measured, whatever its solver says of it
    try:
        for figures in run(case, name, float(tol), int(repeats), float(limit)):
            print(json.dumps(figures), flush=True)
    except Exception as error:  # whatever a contender raises is a finding
        reason = f"{type(error).__name__}: {error}"
        print(json.dumps({"status": "failed", "reason": reason}))


def run(case: str, name: str, tol: float, repeats: int, limit: float) -> Iterator[dict]:
    problem = CASES[case]()
    contender = CONTENDERS[name]
    solve = contender.prepare(problem)
    described = {"version": contender.version(), "threads": contender.threads()}
    for figures in attempts(solve, problem, tol, limit):
        yield described | figures
    if figures["status"] == "ok":
        own_tol = tol / figures["tightened"]
        yield described | figures | repeat(solve, own_tol, repeats, figures["median"])


def attempts(solve: Solve, problem: Problem, tol: float, limit: float) -> Iterator[dict]:
    """Solve; a contender that misses because its norm is another one may aim closer, twice."""
    first = None
    for tightened in (1, 2, 4):
        # The default action of this signal ends the process even in the midst of native code.
        # Imports and preparations came before, and every attempt has the whole limit.
        signal.setitimer(signal.ITIMER_REAL, limit)
        seconds, answer = timed(solve, tol / tightened)
        first = first or seconds
        error, cost = measured(answer, problem)
        reached = error <= tol
        yield {
            "status": "ok" if reached else "miss",
            "first": first,
            "tightened": tightened,
            "iterations": answer.iterations,
            "newton": answer.newton,
            "error": error,
            "cost": cost,
        } | ({"median": seconds, "n_timed": 0} if reached else {})
        if reached:
            break


def repeat(solve: Solve, tol: float, repeats: int, seconds: float) -> dict:
    """Take the median of as many calls as were asked for, or as the limit leaves time for."""
    times = []
    cpu, wall = time.process_time(), time.perf_counter()
    while len(times) < repeats and time_left() > 1.5 * seconds:
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
    """Return the L1 error of the marginals, as a share of the mass, and the linear cost."""
    plan = np.asarray(answer.plan, dtype=np.float64)
    error = np.abs(plan.sum(1) - problem.a).sum() + np.abs(plan.sum(0) - problem.b).sum()
    if not np.isfinite(error):
        raise ArithmeticError(f"plan not finite after {answer.iterations} iterations")
    return float(error / problem.a.sum()), float((problem.cost * plan).sum())


if __name__ == "__main__":
    main()

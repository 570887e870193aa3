"""One contender on one problem, in a process of its own: ``worker.py NAME N D CONDITION REPEATS``.

Prints a line of JSON: the seconds of the first call and of those after it, how far the memory rose
above what it was when A was there, and the coefficients. The packages are imported before that.
"""

import contextlib
import json
import sys
import time
import traceback
import warnings

from peers.least_squares.cases import problem
from peers.least_squares.contenders import CONTENDERS, MissingError

LONG = 10.0
"""Seconds from which on a call is not repeated."""


def main() -> None:
    name, n, d, condition, repeats = sys.argv[1:]
    warnings.simplefilter("ignore")
    try:
        answer = measured(name, int(n), int(d), float(condition), int(repeats))
    except MissingError as error:
        answer = {"status": f"no {error}"}
    except Exception as error:  # whatever a contender raises is a finding
        answer = {"status": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        traceback.print_exc()
    print(json.dumps(answer), flush=True)


def measured(name: str, n: int, d: int, condition: float, repeats: int) -> dict:
    import numpy as np

    solve = CONTENDERS[name]()
    A, b = problem(n, d, condition)
    # A small problem first, for what is loaded when it is first needed; its time is told.
    small = np.ascontiguousarray(A[: 4 * d]), b[: 4 * d].copy()
    start = time.perf_counter()
    with contextlib.suppress(np.linalg.LinAlgError):  # which the whole problem will raise, too
        solve(*small)
    first_small = time.perf_counter() - start
    before = resident_peak(reset=True)
    times = []
    while len(times) <= repeats:
        start = time.perf_counter()
        x = solve(A, b)
        times.append(time.perf_counter() - start)
        if len(times) == 1:
            grown = resident_peak() - before
        elif times[-1] > LONG:
            break
    answer = {
        "status": "ok",
        "first_small": first_small,
        "first": times[0],
        "seconds": times[1:],
        "grown": grown,
        "x": np.asarray(x).tolist(),
    }
    if name == "sparrot":
        from sparrot.sketching import lstsq

        result = lstsq(A, b, rng=0)
        answer |= {"bound": result.coef_bound.tolist(), "method": result.method}
    return answer


def resident_peak(*, reset: bool = False) -> int:
    """Return the most bytes that were resident; with ``reset``, those that are, to count from."""
    if reset:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()

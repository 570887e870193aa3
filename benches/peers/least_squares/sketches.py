"""Time sketches of 4 rows for each column, beside the Gram product and scipy's CountSketch.

Ratios are to numpy's ``A.T @ A``. Medians, after a first call that is told apart.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from peers import machine, output
from peers.least_squares import cases

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SPARROT_NUM_THREADS")
KINDS = ("srht", "bgpt", "circulant", "gaussian", "sparse-sign", "countsketch")
OVERSAMPLING = 4
LONG = 5.0
"""Seconds from which on a call is not repeated."""


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers sketches", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", metavar="NxD", help="others, such as 200000x100")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--output", type=Path, default=output.RESULTS / "sketches")
    options = parser.parse_args(argv)
    count = str(options.threads)
    if any(os.environ.get(name) != count for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, count))
        os.execv(sys.executable, [sys.executable, "-m", "peers", "sketches", *argv])
    sizes = list(cases.QUICK if options.quick else cases.SIZES)
    if options.sizes:
        sizes = [tuple(map(int, size.split("x"))) for size in options.sizes]
    results = machine.description() | {"threads": options.threads, "repeats": options.repeats}
    results["versions"] |= {"sparrot": machine.version("sparrot")}
    results["cases"] = {}
    for n, d in sizes:
        results["cases"][cases.name(n, d)] = measured(n, d, options.kinds, options.repeats)
        file = f"results-{count}{'-quick' if options.quick else ''}"
        output.write(options.output, file, results, markdown(results))
    print(markdown(results))


def measured(n: int, d: int, kinds: list[str], repeats: int) -> dict:
    """Return the first call and the median of each, in milliseconds."""
    from scipy.linalg import clarkson_woodruff_transform

    from sparrot.sketching import sketch

    A, _ = cases.problem(n, d, 1.0)
    size = OVERSAMPLING * d
    calls: dict[str, Callable[[], object]] = {
        "numpy A.T @ A": lambda: A.T @ A,
        "scipy clarkson_woodruff": lambda: clarkson_woodruff_transform(A, size, seed=0),
    }
    for kind in kinds:
        calls[kind] = lambda kind=kind: sketch(A, size, kind=kind, rng=0)
    found = {}
    for name, call in calls.items():
        times = []
        while len(times) <= repeats:
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
            if len(times) > 1 and times[-1] > 1e3 * LONG:
                break
        found[name] = {"first": times[0], "median": statistics.median(times[1:])}
        print(f"{n}x{d} {name}: {found[name]['median']:.1f} ms", flush=True)
    return found


def markdown(results: dict) -> str:
    parts = [machine.headline(results)]
    for name, found in results["cases"].items():
        gram = found["numpy A.T @ A"]["median"]
        rows = [
            [
                who,
                output.figure(row["median"]),
                output.figure(row["median"] / gram),
                output.figure(row["first"]),
            ]
            for who, row in found.items()
        ]
        parts.append(output.table([name, "ms", "over A.T @ A", "first call, ms"], rows))
    return "\n\n".join(parts) + "\n"

"""Time least squares for tall matrices, and measure its errors and its memory.

Everybody solves the same problems, each in a process of its own. Errors are the largest of a
coefficient relative to the largest coefficient, against sparrot's answer; how far that can be from
the exact solution, by its own proven bound, is told in the same units. Memory is what the process
takes in its first call above what it had with A. Medians, after a first call that is told apart.
"""

import argparse
import itertools
import math
import statistics
from pathlib import Path

from peers import machine, output
from peers.child import Child, ChildEndedError
from peers.choice import add_cases, matching
from peers.least_squares import cases
from peers.least_squares.contenders import CONTENDERS, ITERATIONS

PACKAGES = ("sparrot", "scikit-learn")
SECONDS = 900.0
"""After which a contender is given up."""


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers least-squares", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", metavar="NxD", help="others, such as 200000x100")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    add_cases(parser, "1000000x100, *")
    parser.add_argument("--output", type=Path, default=output.RESULTS / "least-squares")
    options = parser.parse_args(argv)
    sizes = chosen_sizes(options)
    problems = {
        cases.name(*size, condition): (*size, condition)
        for size, condition in itertools.product(sizes, cases.CONDITIONS)
    }
    names = matching(parser, options.cases or ["*"], problems)
    results = machine.description() | {"threads": options.threads, "repeats": options.repeats}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES}
    results["cases"] = {}
    file = f"results-{options.threads}{'-quick' if options.quick else ''}"
    for name in names:
        found = {}
        for contender in dict.fromkeys(["sparrot", *options.contenders]):
            found[contender] = solved(contender, problems[name], options)
            print(name, contender, line(found[contender], found["sparrot"]), flush=True)
        results["cases"][name] = {who: summary(row, found["sparrot"]) for who, row in found.items()}
        output.write(options.output, file, results, markdown(results))
    print(markdown(results))


def chosen_sizes(options: argparse.Namespace) -> list[tuple[int, int]]:
    if options.sizes:
        return [tuple(map(int, size.split("x"))) for size in options.sizes]
    return list(cases.QUICK if options.quick else cases.SIZES)


def solved(contender: str, problem: tuple[int, int, float], options: argparse.Namespace) -> dict:
    words = contender, *problem, options.repeats
    with Child("peers.least_squares.worker", *words, threads=options.threads) as child:
        try:
            return child.answer(SECONDS)
        except ChildEndedError as error:
            return {"status": str(error)}


def summary(row: dict, reference: dict) -> dict:
    """Return what is kept of a row: figures, not coefficients."""
    if row["status"] != "ok" or reference["status"] != "ok":
        return {"status": row["status"]}
    scale = max(map(abs, reference["x"]))
    differences = (abs(x - y) for x, y in zip(row["x"], reference["x"], strict=True))
    kept = {key: row[key] for key in ("status", "first_small", "first", "grown")}
    kept |= {
        "milliseconds": 1e3 * statistics.median(row["seconds"]),
        "error": max(d if math.isfinite(d) else math.inf for d in differences) / scale,
    }
    if "bound" in row:
        kept |= {"error": max(row["bound"]) / scale, "method": row["method"]}
    return kept


def line(row: dict, reference: dict) -> str:
    kept = summary(row, reference)
    if "milliseconds" not in kept:
        return kept["status"]
    return (
        f"{kept['milliseconds']:.0f} ms, error {kept['error']:.0e}, {kept['grown'] / 2**20:.0f} MiB"
    )


def markdown(results: dict) -> str:
    parts = [machine.headline(results)]
    for name, found in results["cases"].items():
        base = found.get("scipy gelsd", {}).get("milliseconds")
        rows = []
        for who, row in found.items():
            if "milliseconds" not in row:
                rows.append([who, row["status"], *[""] * 5])
                continue
            time = row["milliseconds"]
            error = f"{row['error']:.0e}"
            rows.append(
                [
                    f"{who} ({row['method']})" if "method" in row else who,
                    output.figure(time),
                    output.figure(base / time) if base else "",
                    f"<= {error}" if "method" in row else error,
                    output.figure(max(row["grown"], 0) / 2**20) if row["grown"] > 0 else "0",
                    output.figure(1e3 * row["first"]),
                    output.figure(1e3 * row["first_small"]),
                ]
            )
        titles = [
            f"{name}",
            "ms",
            "gelsd's time / this",
            "error",
            "MiB above A",
            "first call, ms",
            "first call, 4d rows, ms",
        ]
        parts.append(output.table(titles, rows))
    parts.append(f"lsqr and lsmr: {ITERATIONS} iterations at most.")
    return "\n\n".join(parts) + "\n"

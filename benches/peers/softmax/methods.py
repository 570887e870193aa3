"""The methods of sparrot.special.softmax against the length of a row: the paper's comparison."""

import argparse
import json
from pathlib import Path

from peers import machine, output
from peers.output import figure
from peers.softmax.cases import DTYPES, Case, count_text
from peers.softmax.contenders import LIMIT, OUR_METHODS, OURS
from peers.softmax.report import FASTEST, cell_line
from peers.softmax.rounds import Workers
from peers.softmax.run import add_common, add_repeats, finished

LENGTHS = [round(10 ** (k / 2)) for k in range(6, 17)]
FORMS = ("out", *FASTEST["out"])

EXPLAINED = """\
One row of n values, N(0, 16), into an array that there is, in ns per value: the median of {repeats}
samples that the methods take in turn. *limit*: reading x and writing the result without computing,
the fastest of two ways, measured in the same rounds."""


def main(argv: list[str]) -> None:
    options = arguments(argv)
    results = json.loads(options.replot.read_text()) if options.replot else measure(options)
    # It draws what this module computes.
    from peers.softmax.figure import draw

    for suffix in ("png", "svg"):
        draw(results["cells"], results, options.output / f"methods.{suffix}")
    print(f"wrote {options.output}/methods.json, .md, .png and .svg")


def measure(options: argparse.Namespace) -> dict:
    results = machine.description() | {
        "threads": options.threads,
        "repeats": options.repeats,
        "cells": [],
    }
    for threads in options.threads:
        with Workers(options.contenders, threads) as workers:
            for case in cases(options):
                cells = workers.run(case, options.repeats, FORMS)
                for cell in cells:
                    print(cell_line(cell), flush=True)
                results["cells"] += cells
                results["versions"] |= workers.versions()
                output.write(options.output, "methods", results, markdown(results))
    return results


def cases(options: argparse.Namespace) -> list[Case]:
    lengths = [n for n in LENGTHS if n <= (10**6 if options.quick else options.longest)]
    return [Case("softmax", dtype, 1, n) for dtype in options.dtypes for n in lengths]


def per_value(cells: list[dict], name: str, dtype: str, threads: int) -> dict[int, float]:
    """Return the ns per value of a contender by n; of the limit, the fastest pattern."""
    found: dict[int, float] = {}
    for cell in cells:
        key = (cell["contender"], cell["dtype"], cell["threads"], cell["status"])
        if key == (name, dtype, threads, "ok"):
            n = cell["columns"]
            found[n] = min(cell["median"] / n * 1e9, found.get(n, float("inf")))
    return found


def markdown(results: dict) -> str:
    cells = results["cells"]
    parts = [
        "# Methods of softmax",
        machine.headline(results),
        EXPLAINED.format(repeats=results["repeats"]),
    ]
    names = output.unique(cell["contender"] for cell in cells)
    for threads, dtype in output.unique((c["threads"], c["dtype"]) for c in cells):
        series = {name: per_value(cells, name, dtype, threads) for name in names}
        lengths = output.unique(n for found in series.values() for n in found)
        rows = [
            [count_text(n), *(figure(found[n]) if n in found else "" for found in series.values())]
            for n in lengths
        ]
        parts += [f"## {dtype}, {threads} thread(s)", output.table(["n", *names], rows)]
    failed = output.unique(
        f"- {c['contender']}, {c['case']}: {c['status']}: {c['reason']}"
        for c in cells
        if c["status"] != "ok"
    )
    return "\n\n".join([*parts, "\n".join(failed)]).rstrip() + "\n"


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m peers softmax-methods",
        description=__doc__,
        epilog=f"contenders: {OURS} for what auto takes, {', '.join(OUR_METHODS)}, {LIMIT}",
    )
    parser.add_argument("--quick", action="store_true", help="n of at most 1e6")
    parser.add_argument("--longest", type=float, default=1e8, help="largest n (%(default)g)")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--replot", type=Path, metavar="JSON", help="draw an earlier run anew")
    add_repeats(parser)
    add_common(parser, [*OUR_METHODS, LIMIT], "softmax", threads=[1, 2])
    return finished(parser.parse_args(argv))

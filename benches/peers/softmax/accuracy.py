"""Errors of everybody against a reference in extended precision, in units in the last place."""

import argparse
import tempfile

import numpy as np

from peers import machine, output
from peers.softmax import reference
from peers.softmax.cases import DTYPES
from peers.softmax.contenders import DEFAULT, LIMIT, OUR_METHODS
from peers.softmax.rounds import Workers
from peers.softmax.rows import Rows, all_rows
from peers.softmax.run import add_common

CONTENDERS = [DEFAULT[0], *OUR_METHODS, *(name for name in DEFAULT[1:] if name != LIMIT)]
FUNCTIONS = ("softmax", "logsumexp", "log_softmax")

EXPLAINED = """\
The largest error of any value, in units in the last place of the exact result, where results below
the least normal number have the unit of denormal ones. 0.5 is what rounding the exact result may
cost. Short rows come in batches of up to 200. *inf*: something is not finite. -: the contender has
no such function or type. The reference is in extended precision (64 bits). A logsumexp near 0 is
the difference of larger numbers, whose rounding is many units of it: so for n = 2."""


def main(argv: list[str]) -> None:
    reference.check()
    options = arguments(argv)
    results = machine.description() | {"threads": options.threads, "cells": []}
    for threads in options.threads:
        with Workers(options.contenders, threads) as workers:
            for rows in all_rows(options.dtypes, options.quick):
                for function in options.functions:
                    cells = measure(rows, function, workers)
                    results["cells"] += cells
                    print(f"{function:<12} {rows.dtype} {rows.family:<14} {rows.n:>9}", end="  ")
                    print(*(f"{c['contender']} {text(c)}" for c in cells), sep="  ", flush=True)
                results["versions"] |= workers.versions()
                output.write(options.output, "accuracy", results, markdown(results))
    print(f"wrote {options.output}/accuracy.json and accuracy.md")


def measure(rows: Rows, function: str, workers: Workers) -> list[dict]:
    """Have everybody compute the same file, and compare what comes back with the reference."""
    x = rows.build()
    exact = reference.reference(function, x)
    unit = reference.units(exact, x.dtype)
    key = {"function": function, **rows._asdict(), "threads": workers.threads}
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/x.npy"
        np.save(source, x)
        answers = workers.ask_all("evaluate", function=function, source=source, targets=folder)
        for name, answer in answers.items():
            found = answer
            if answer["status"] == "ok":
                found = compared(f"{folder}/{name}.npy", exact, unit)
            cells.append(key | {"contender": name} | found)
    return cells


def compared(target: str, exact: np.ndarray, unit: np.ndarray) -> dict:
    try:
        error = reference.worst_error(np.load(target), exact, unit)
    except ValueError as problem:
        return {"status": "failed", "reason": str(problem)}
    # JSON has no infinity.
    return {"status": "ok", "error": error} if np.isfinite(error) else {"status": "not finite"}


def text(cell: dict) -> str:
    shown = {"unsupported": "-", "not finite": "inf", "failed": "failed"}
    if cell["status"] != "ok":
        return shown[cell["status"]]
    return f"{cell['error']:.2f}" if cell["error"] < 100 else f"{cell['error']:.3g}"


def markdown(results: dict) -> str:
    parts = ["# Errors of softmax", machine.headline(results), EXPLAINED]
    cells = results["cells"]
    groups = output.unique((c["threads"], c["function"], c["dtype"]) for c in cells)
    for group in groups:
        mine = [c for c in cells if (c["threads"], c["function"], c["dtype"]) == group]
        threads, function, dtype = group
        parts += [f"## {function}, {dtype}, {threads} thread(s)", error_table(mine)]
    reasons = output.unique(
        f"- {c['contender']}, {c['function']} of {c['family']}, n = {c['n']}: {c['reason']}"
        for c in cells
        if c["status"] == "failed"
    )
    if reasons:
        parts += ["## Failed", "\n".join(reasons)]
    return "\n\n".join(parts) + "\n"


def error_table(cells: list[dict]) -> str:
    # Without those that have nothing to show here.
    names = output.unique(c["contender"] for c in cells if c["status"] != "unsupported")
    found = {(c["family"], c["n"], c["contender"]): c for c in cells}
    rows = [
        [f"{family}, n = {n}", *(text(found[family, n, name]) for name in names)]
        for family, n in output.unique((c["family"], c["n"]) for c in cells)
    ]
    worst = [text(worst_of([c for c in cells if c["contender"] == name])) for name in names]
    return output.table(["rows", *names], [*rows, ["worst", *worst]])


def worst_of(cells: list[dict]) -> dict:
    for status in ("failed", "not finite", "unsupported"):
        found = [cell for cell in cells if cell["status"] == status]
        if found:
            return found[0]
    return max(cells, key=lambda cell: cell["error"])


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m peers softmax-accuracy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rows of at most 1e5")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument(
        "--functions",
        nargs="+",
        choices=FUNCTIONS,
        default=["softmax", "logsumexp"],
        help="(softmax logsumexp; of log-softmax, results near 0 have units of no meaning)",
    )
    add_common(parser, CONTENDERS, "softmax", threads=[1])
    return parser.parse_args(argv)

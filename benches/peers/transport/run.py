"""Run the cells that were asked for, and write what came out."""

import argparse
import signal
from pathlib import Path

from peers import machine, output
from peers.child import Child, ChildSilentError
from peers.transport.cases import CASES, SEEDS
from peers.transport.contenders import CONTENDERS
from peers.transport.report import cell_line, markdown

START_SECONDS = 300  # for imports and preparations, which the limit does not count

OTHER_SEEDS = tuple(f"assignment-500-s{seed}" for seed in SEEDS[1:])
QUICK = {
    "cases": ["assignment-500-s0", "digit28-W2"],
    "tolerances": [1e-3, 1e-6],
    "repeats": 1,
}


def main(argv: list[str]) -> None:
    options = arguments(argv)
    results = machine.description() | {
        "threads": options.threads,
        "limit": options.limit,
        "repeats": options.repeats,
        "cells": [],
    }
    for case in options.cases:
        for name in options.contenders:
            beaten = False
            for tol in sorted(options.tolerances, reverse=True):
                key = {"case": case, "tol": tol, "contender": name}
                if beaten:  # by a looser tolerance
                    figures = {"status": "limit", "not_run": True}
                else:
                    figures = run_cell(case, name, tol, options)
                beaten = figures["status"] == "limit"
                results["cells"].append(key | figures)
                print(cell_line(results["cells"][-1], options.limit, options.repeats), flush=True)
        # After every case: an interrupted run is not lost.
        output.write(options.output, "results", results, markdown(results))
    print(f"wrote {options.output}/results.json and results.md")


def run_cell(case: str, name: str, tol: float, options: argparse.Namespace) -> dict:
    words = (case, name, tol, options.repeats, options.limit)
    with Child("peers.transport.cell", *words, threads=options.threads) as child:
        try:
            answers = list(child.answers(START_SECONDS + options.limit))
        except ChildSilentError:
            reason = f"no answer after {START_SECONDS} s of preparation"
            return {"status": "failed", "reason": reason}
        if child.exit_status() not in (0, -signal.SIGALRM):
            return {"status": "failed", "reason": child.ending()}
    return answers[-1] if answers else {"status": "limit"}


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m peers transport", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, metavar="CASE")
    parser.add_argument("--all-seeds", action="store_true", help="all ten assignments, not one")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, metavar="NAME")
    parser.add_argument("--tolerances", nargs="+", type=float, metavar="TOL")
    parser.add_argument("--repeats", type=int, help="calls timed after the first (5)")
    parser.add_argument("--limit", type=float, default=20, help="seconds for a cell (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="for everybody (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="two small cases, timed once")
    parser.add_argument("--output", type=Path, default=output.RESULTS / "transport", metavar="DIR")
    parser.epilog = f"cases: {', '.join(CASES)}; contenders: {', '.join(CONTENDERS)}"
    options = parser.parse_args(argv)

    skipped = () if options.all_seeds else OTHER_SEEDS
    defaults = {
        "cases": [case for case in CASES if case not in skipped],
        "contenders": list(CONTENDERS),
        "tolerances": [1e-3, 1e-6, 1e-9],
        "repeats": 5,
    }
    for option, value in (defaults | (QUICK if options.quick else {})).items():
        if getattr(options, option) is None:
            setattr(options, option, value)
    return options

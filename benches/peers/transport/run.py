"""Run the cells that were asked for, and write what came out."""

import argparse
import json
import math
import signal
from datetime import UTC, datetime
from pathlib import Path

from peers import choice, machine, output
from peers.child import Child, ChildSilentError
from peers.transport.cases import CASES, SEEDS
from peers.transport.contenders import CONTENDERS, DEFAULT, is_peer
from peers.transport.report import cell_line, markdown

START_SECONDS = 300  # for imports, preparations and compiling, which the limit does not count

OTHER_SEEDS = tuple(f"assignment-500-s{seed}" for seed in SEEDS[1:])
QUICK = {
    "cases": ["assignment-500-s0", "digit28-W2"],
    "tolerances": [1e-3, 1e-6],
    "repeats": 1,
}

Key = tuple[str, str, float]
"""Case, contender and tolerance: what the cells are known by."""


def main(argv: list[str]) -> None:
    options = arguments(argv)
    results = machine.description() | {
        "threads": options.threads,
        "limit": options.limit,
        "repeats": options.repeats,
        "cells": [],
    }
    cells = earlier_cells(options)
    for case in options.cases:
        for name in options.contenders:
            if not CONTENDERS[name].takes(CASES[case]):
                continue
            for tol in options.tolerances:
                if not reusable(cells.get((case, name, tol)), options):
                    cells[case, name, tol] = new_cell(case, name, tol, cells, options)
                    print(cell_line(cells[case, name, tol], options.repeats), flush=True)
            # After every contender: an interrupted run is not lost, and --keep goes on with it.
            results["cells"] = [cells[key] for key in sorted(cells, key=position)]
            output.write(options.output, "results", results, markdown(results))
    print(f"wrote {options.output}/results.json and results.md")


def earlier_cells(options: argparse.Namespace) -> dict[Key, dict]:
    """Return the cells of the results that there are, if they are to be kept."""
    path = options.output / "results.json"
    if not options.keep or not path.exists():
        return {}
    results = json.loads(path.read_text())
    here = {"cpu": machine.cpu_model(), "threads": options.threads}
    for name, value in here.items():
        if results[name] != value:
            raise SystemExit(f"{path} has {name} {results[name]!r}, not {value!r}: cannot be kept")
    cells = {(c["case"], c["contender"], c["tol"]): c for c in results["cells"]}
    return {key: c for key, c in cells.items() if key[0] in CASES and key[1] in CONTENDERS}


def reusable(cell: dict | None, options: argparse.Namespace) -> bool:
    if cell is None or not (options.keep == "all" or is_peer(cell["contender"])):
        return False
    # Who was stopped earlier than now has another chance.
    return cell["status"] != "limit" or cell["limit"] >= options.limit


def position(key: Key) -> tuple[int, int, float]:
    case, name, tol = key
    return list(CASES).index(case), list(CONTENDERS).index(name), -tol


def new_cell(
    case: str, name: str, tol: float, cells: dict[Key, dict], options: argparse.Namespace
) -> dict:
    described = {
        "case": case,
        "tol": tol,
        "contender": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "limit": options.limit,
    }
    for looser in options.tolerances:
        beaten = looser > tol and cells.get((case, name, looser), {}).get("status") == "limit"
        if beaten:
            return described | {"status": "limit", "not_run": True}
    return described | run_cell(case, name, tol, fastest_peer(case, tol, cells), options)


def fastest_peer(case: str, tol: float, cells: dict[Key, dict]) -> float:
    times = [
        cell["median"]
        for key, cell in cells.items()
        if (key[0], key[2], cell["status"]) == (case, tol, "ok") and is_peer(key[1])
    ]
    return min(times, default=math.inf)


def run_cell(case: str, name: str, tol: float, rival: float, options: argparse.Namespace) -> dict:
    words = (case, name, tol, options.repeats, options.limit, rival)
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
    choice.add_cases(parser, "colour-1000-*")
    parser.add_argument("--all-seeds", action="store_true", help="all ten assignments, not one")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, metavar="NAME")
    parser.add_argument("--tolerances", nargs="+", type=float, metavar="TOL")
    parser.add_argument("--repeats", type=int, help="calls timed after the first, at least (5)")
    parser.add_argument("--limit", type=float, default=20, help="seconds for a cell (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="for everybody (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="two small cases, timed once")
    parser.add_argument(
        "--keep",
        nargs="?",
        choices=("peers", "all"),
        const="peers",
        help="add to the results that there are: cells of peers in them are not run again, with "
        "'all' no cell is; without it they are overwritten",
    )
    parser.add_argument("--output", type=Path, default=output.RESULTS / "transport", metavar="DIR")
    parser.epilog = f"cases: {', '.join(CASES)}; contenders: {', '.join(CONTENDERS)}"
    options = parser.parse_args(argv)
    if options.cases:
        options.cases = choice.matching(parser, options.cases, CASES)

    skipped = () if options.all_seeds else OTHER_SEEDS
    defaults = {
        "cases": [case for case in CASES if case not in skipped],
        "contenders": DEFAULT,
        "tolerances": [1e-3, 1e-6, 1e-9],
        "repeats": 5,
    }
    for option, value in (defaults | (QUICK if options.quick else {})).items():
        if getattr(options, option) is None:
            setattr(options, option, value)
    options.tolerances.sort(reverse=True)
    return options

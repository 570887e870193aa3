"""Softmax, log-softmax and logsumexp against the peers: times of every case, side by side."""

import argparse
from pathlib import Path

from peers import choice, machine, output
from peers.softmax.cases import CASES, default_cases, quick_cases
from peers.softmax.contenders import CONTENDERS, DEFAULT
from peers.softmax.report import cell_line, markdown
from peers.softmax.rounds import Workers


def main(argv: list[str]) -> None:
    options = arguments(argv)
    results = machine.description() | {
        "threads": options.threads,
        "repeats": options.repeats,
        "cells": [],
    }
    for threads in options.threads:
        with Workers(options.contenders, threads) as workers:
            for name in options.cases:
                cells = workers.run(CASES[name], options.repeats)
                for cell in cells:
                    print(cell_line(cell), flush=True)
                results["cells"] += cells
                results["versions"] |= workers.versions()
                # After every case: an interrupted run is not lost.
                output.write(options.output, "results", results, markdown(results))
    print(f"wrote {options.output}/results.json and results.md")


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m peers softmax",
        description=__doc__,
        epilog=f"contenders: {', '.join(CONTENDERS)}; cases: {', '.join(CASES)}",
    )
    parser.add_argument("--quick", action="store_true", help="few cases, none of them large")
    choice.add_cases(parser, "softmax-f32-*")
    add_repeats(parser)
    add_common(parser, DEFAULT, "softmax", threads=[1, 2])
    options = parser.parse_args(argv)
    if options.cases:
        options.cases = choice.matching(parser, options.cases, CASES)
    else:
        options.cases = quick_cases() if options.quick else default_cases()
    return finished(options)


def add_common(
    parser: argparse.ArgumentParser, contenders: list[str], folder: str, threads: list[int]
) -> None:
    """Add what all commands of the suite have in common."""
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=contenders, metavar="NAME"
    )
    parser.add_argument(
        "--threads", nargs="+", type=int, default=threads, metavar="N", help="one table each"
    )
    parser.add_argument("--output", type=Path, default=output.RESULTS / folder, metavar="DIR")


def add_repeats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, help="samples of each (7; 5 if quick)")


def finished(options: argparse.Namespace) -> argparse.Namespace:
    options.repeats = options.repeats or (5 if options.quick else 7)
    return options

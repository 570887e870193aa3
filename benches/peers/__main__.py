"""Run the cells that were asked for, and write what came out."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from peers.cases import CASES, SEEDS
from peers.contenders import CONTENDERS
from peers.report import cell_line, markdown

HERE = Path(__file__).parent
START_SECONDS = 300  # for imports and preparations, which the limit does not count

OTHER_SEEDS = tuple(f"assignment-500-s{seed}" for seed in SEEDS[1:])
QUICK = {
    "cases": ["assignment-500-s0", "digit28-W2"],
    "tolerances": [1e-3, 1e-6],
    "repeats": 1,
}


def main() -> None:
    options = arguments()
    results = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "limit": options.limit,
        "repeats": options.repeats,
        "versions": {
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in ("numpy", "scipy")},
        },
        "cells": [],
    }
    options.output.mkdir(parents=True, exist_ok=True)
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
        (options.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        (options.output / "results.md").write_text(markdown(results))
    print(f"wrote {options.output}/results.json and results.md")


def run_cell(case: str, name: str, tol: float, options: argparse.Namespace) -> dict:
    words = (case, name, tol, options.repeats, options.limit)
    try:
        process = subprocess.run(
            [sys.executable, "-m", "peers.cell", *map(str, words)],
            cwd=HERE.parent,
            env=os.environ | pinned(options.threads),
            capture_output=True,
            text=True,
            timeout=START_SECONDS + options.limit,
        )
    except subprocess.TimeoutExpired:
        return {"status": "failed", "reason": f"no answer after {START_SECONDS} s of preparation"}
    if process.returncode not in (0, -signal.SIGALRM):
        last = process.stderr.strip().splitlines()[-1:]
        return {"status": "failed", "reason": f"exit {process.returncode}: {''.join(last)}"}
    # Frameworks may print, too.
    lines = [line for line in process.stdout.splitlines() if line.startswith('{"')]
    return json.loads(lines[-1]) if lines else {"status": "limit"}


def pinned(threads: int) -> dict[str, str]:
    """Return the environment that keeps everybody to so many threads."""
    variables = ("OMP", "OPENBLAS", "MKL", "SPARROT")
    many = "true" if threads > 1 else "false"
    xla = f"--xla_cpu_multi_thread_eigen={many} intra_op_parallelism_threads={threads}"
    return {f"{variable}_NUM_THREADS": str(threads) for variable in variables} | {
        "XLA_FLAGS": xla,
        "JAX_PLATFORMS": "cpu",
    }


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m peers", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, metavar="CASE")
    parser.add_argument("--all-seeds", action="store_true", help="all ten assignments, not one")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, metavar="NAME")
    parser.add_argument("--tolerances", nargs="+", type=float, metavar="TOL")
    parser.add_argument("--repeats", type=int, help="calls timed after the first (5)")
    parser.add_argument("--limit", type=float, default=20, help="seconds for a cell (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="for everybody (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="two small cases, timed once")
    parser.add_argument("--output", type=Path, default=HERE / "results", metavar="DIR")
    parser.epilog = f"cases: {', '.join(CASES)}; contenders: {', '.join(CONTENDERS)}"
    options = parser.parse_args()

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


if __name__ == "__main__":
    main()

"""Time paths of 100 Lassos, and their five-fold cross-validation, beside others.

alpha goes from the largest of interest to a hundredth of it. Everybody's tolerance is lowered until
the worst gap of the path, which this script computes, is at most 1e-6 of the objective at zero,
after a first call that is not counted; cross-validation runs at the tolerance its package needs for
that. No intercept; one process, one thread, but for ``--threads``. adelie and glmnet need NumPy 1
and so an interpreter of their own: ``--other PYTHON``; they are timed in a process that reads the
same data.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

from peers import machine, output
from peers.lasso.run import GAP, THREADS, correlated, missed, relative_gap, text

PACKAGES = ("sparrot", "scikit-learn", "celer", "adelie", "glmnet")
TOLERANCES = (1e-4, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-14, 1e-16)
COUNT, SHARE, FOLDS = 100, 1e-2, 5
LONG = 5.0
"""Seconds from which on a path is not repeated, and no lower tolerance tried."""


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers paths", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", default="1")
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--other", metavar="PYTHON", help="an interpreter with adelie and glmnet")
    parser.add_argument("--output", type=Path, default=output.RESULTS / "paths")
    options = parser.parse_args(argv)
    if any(os.environ.get(name) != options.threads for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, options.threads))
        os.execv(sys.executable, [sys.executable, "-m", "peers", "paths", *argv])
    warnings.simplefilter("ignore")
    threads = int(options.threads)
    results = machine.description() | {"threads": threads, "repeats": options.repeats, "rows": []}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES[:3]}
    for name, X, y in cases():
        if options.only not in name:
            continue
        found = measured(X, y, options.repeats, threads)
        if options.other:
            found |= by_others(options.other, X, y, options.repeats, threads)
        results["rows"].append({"case": name, **found})
        print(results["rows"][-1], flush=True)
        output.write(options.output, "results", results, markdown(results))
    print(markdown(results))


def cases():
    yield "500x2000", *correlated(500, 2000, 30, 0.5)
    yield "1000x10000", *correlated(1000, 10_000, 50, 0.5)
    yield "text 5000x20000", *text(5000, 20_000, 2e-3, 100)


def grid(X, y):
    import numpy as np

    return np.abs(X.T @ y).max() / len(y) * np.geomspace(1, SHARE, COUNT)


def worst_gap(X, y, coefs, alphas) -> float:
    """Return the worst gap of the columns of ``coefs``."""
    return max(relative_gap(X, y, coefs[:, k], alpha) for k, alpha in enumerate(alphas))


def settled(path, gap_of) -> tuple[float, float]:
    """Return the first tolerance whose path has small enough gaps, and the worst of them."""
    path(TOLERANCES[0])
    for tol in TOLERANCES:
        start = time.perf_counter()
        gap = gap_of(path(tol))
        if gap <= GAP or time.perf_counter() - start > LONG:
            break
    return tol, gap


def median(work, repeats: int) -> float:
    """Return the median milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
        if times[-1] > 1e3 * LONG:
            break
    return statistics.median(times)


def measured(X, y, repeats: int, threads: int) -> dict:
    """Return each contender's milliseconds for a path and for validation, and its worst gap."""
    import celer
    from sklearn import linear_model

    from sparrot.linear_model import LassoCV, lasso_path

    alphas = grid(X, y)
    options = {"fit_intercept": False, "cv": FOLDS, "alphas": alphas}
    paths = {
        "sparrot": lambda tol: lasso_path(X, y, alphas=alphas, tol=tol, fit_intercept=False)[1],
        "scikit-learn": lambda tol: linear_model.lasso_path(
            X, y, alphas=alphas, tol=tol, max_iter=10**6
        )[1],
        "celer": lambda tol: celer.celer_path(X, y, "lasso", alphas=alphas, tol=tol, max_iter=1000)[
            1
        ],
    }
    validated = {
        "sparrot": lambda tol: LassoCV(tol=tol, **options).fit(X, y),
        "scikit-learn": lambda tol: linear_model.LassoCV(
            tol=tol, max_iter=10**6, n_jobs=threads, **options
        ).fit(X, y),
        # celer's calls what scikit-learn 1.9 no longer has.
    }
    found = {}
    for name, path in paths.items():
        tol, gap = settled(path, lambda coefs: worst_gap(X, y, coefs, alphas))
        found[name] = {"path": median(partial(path, tol), repeats), "gap": gap, "tol": tol}
        if name in validated:
            found[name]["cv"] = median(partial(validated[name], tol), repeats)
    return found


def by_others(python: str, X, y, repeats: int, threads: int) -> dict:
    """Return the same of packages that need another interpreter: see ``other.py``."""
    import numpy as np
    from scipy import sparse

    alphas = grid(X, y)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        if sparse.issparse(X):
            sparse.save_npz(f"{folder}/X.npz", sparse.csc_matrix(X))
        else:
            np.save(f"{folder}/X.npy", X)
        np.savez(f"{folder}/y.npz", y=y, alphas=alphas)
        script = Path(__file__).with_name("other.py")

        def run(package: str, tol: float, count: int, folds: int) -> dict:
            asked = [package, folder, str(tol), str(count), str(folds), str(threads)]
            command = [python, str(script), *asked]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            return json.loads(answer.splitlines()[-1])

        for package in PACKAGES[3:]:
            for tol in TOLERANCES:
                one = run(package, tol, 1, 0)
                gap = worst_gap(X, y, np.load(f"{folder}/{package}.npy"), alphas)
                if gap <= GAP or one["path"] > 1e3 * LONG:
                    break
            count = repeats if one["path"] < 1e3 * LONG else 1
            found[package] = run(package, tol, count, FOLDS) | {"gap": gap, "tol": tol}
    return found


def markdown(results: dict) -> str:
    rows = []
    for row in results["rows"]:
        for what in ("path", "cv"):
            of = {name: row.get(name, {}) for name in PACKAGES}
            times = {n: f[what] for n, f in of.items() if what in f}
            shown = [
                f"{output.figure(times[n])}{missed(of[n]['gap'])}" if n in times else "-"
                for n in PACKAGES
            ]
            best = min(t for n, t in times.items() if n != "sparrot" and of[n]["gap"] <= GAP)
            label = f"{row['case']}, {'path' if what == 'path' else 'validated'}"
            rows.append([label, *shown, output.figure(best / times["sparrot"])])
    titles = ["ms, worst gap 1e-6", *PACKAGES, "best peer / sparrot"]
    return f"{machine.headline(results)}\n\n{output.table(titles, rows)}\n"

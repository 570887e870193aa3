"""Time the Lasso beside scikit-learn, celer and skglm, all to the same duality gap.

Everybody's tolerance is lowered until the gap that this script computes is at most 1e-6 of the
objective at zero, after a first call that is not counted. One process, one thread, no intercept.
"""

import argparse
import os
import statistics
import time
import warnings
from pathlib import Path

from peers import machine, output

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "SPARROT_NUM_THREADS")
PACKAGES = ("sparrot", "scikit-learn", "celer", "skglm")
GAP = 1e-6
TOLERANCES = (1e-4, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
LONG = 1.0
"""Seconds from which on a fit is not repeated."""
SIZES = (
    (500, 2000, 30, 0.5),
    (1000, 10_000, 50, 0.5),
    (1000, 10_000, 50, 0.95),
    (20_000, 500, 50, 0.5),
)
TEXTS = ((5000, 20_000, 2e-3, 100), (20_000, 100_000, 1e-3, 200))


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers lasso", description=__doc__)
    parser.add_argument("--shares", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=output.RESULTS / "lasso")
    options = parser.parse_args(argv)
    if any(os.environ.get(name) != "1" for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(os.sys.executable, [os.sys.executable, "-m", "peers", "lasso", *argv])
    warnings.simplefilter("ignore")
    results = machine.description() | {"threads": 1, "repeats": options.repeats, "rows": []}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES}
    results["first"] = first_calls()
    for name, X, y in cases():
        for share in options.shares if options.only in name else []:
            row = measured(X, y, share, options.repeats)
            results["rows"].append({"case": name, "share": share, **row})
            print(results["rows"][-1], flush=True)
            output.write(options.output, "results", results, markdown(results))
    print(markdown(results))


def cases():
    """Return two real tables, Gaussian columns with a sparse truth, and sparse ones as of words."""
    import numpy as np
    from sklearn.datasets import load_diabetes, load_digits

    from peers.descent.run import data

    X, y = load_diabetes(return_X_y=True)
    yield "diabetes", np.asfortranarray((X - X.mean(0)) / X.std(0)), y - y.mean()
    X, y = load_digits(return_X_y=True)
    X = X[:, X.std(0) > 0]
    yield "digits", np.asfortranarray((X - X.mean(0)) / X.std(0)), (y - y.mean()) / y.std()
    X, y = data("A")[:2]
    yield "data A of arXiv 1712.08859", X, y / np.sqrt((y**2).mean())
    for n, p, k, rho in SIZES:
        yield f"{n}x{p}, rho {rho}", *correlated(n, p, k, rho)
    for n, p, density, k in TEXTS:
        yield f"text {n}x{p}", *text(n, p, density, k)


def correlated(n: int, p: int, k: int, rho: float):
    """Return columns of unit mean square, neighbours correlated by rho, and a response of k."""
    import numpy as np

    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((n, p)))
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    truth = np.zeros(p)
    truth[rng.choice(p, k, replace=False)] = rng.choice([-1.0, 1.0], k)
    signal, noise = X @ truth, rng.standard_normal(n)
    y = signal + noise * np.linalg.norm(signal) / (10 * np.linalg.norm(noise))
    return X / np.sqrt((X**2).mean(0)), y / y.std()


def text(n: int, p: int, density: float, k: int):
    """Return sparse rows of unit length, columns as common as words are, and a response of k."""
    import numpy as np
    from scipy import sparse

    rng = np.random.default_rng(0)
    popularity = (1.0 + np.arange(p)) ** -0.8
    words = max(1, round(density * p))
    columns = rng.choice(p, (n, words), p=popularity / popularity.sum())
    X = sparse.coo_array(
        (rng.lognormal(0, 0.3, n * words), (np.repeat(np.arange(n), words), columns.ravel())),
        shape=(n, p),
    ).tocsc()
    X.data *= np.repeat(np.log(n / np.maximum(1, np.diff(X.indptr))) + 1, np.diff(X.indptr))
    lengths = np.sqrt(np.asarray((X.multiply(X)).sum(axis=1))).ravel()
    X.data /= lengths[X.indices]
    X = sparse.csc_array(
        (X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)), shape=(n, p)
    )
    truth = np.zeros(p)
    truth[rng.choice(min(p, 20 * k), k, replace=False)] = rng.choice([-1.0, 1.0], k)
    y = X @ truth
    y += 0.1 * y.std() * rng.standard_normal(n)
    return X, y / y.std()


def first_calls() -> dict:
    """Return the milliseconds of each contender's first fit in this process, on diabetes."""
    _, X, y = next(cases())
    found = {}
    for name, (estimator, options) in contenders().items():
        start = time.perf_counter()
        estimator(alpha=1.0, fit_intercept=False, **options).fit(X, y)
        found[name] = 1e3 * (time.perf_counter() - start)
    return found


def relative_gap(X, y, coef, alpha: float) -> float:
    import numpy as np

    n = len(y)
    residual = y - X @ coef
    share = min(1.0, alpha * n / np.abs(X.T @ residual).max())
    away = y - share * residual
    primal = residual @ residual / 2 + alpha * n * np.abs(coef).sum()
    return (primal - (y @ y - away @ away) / 2) / (y @ y / 2)


def contenders() -> dict:
    import celer
    import skglm
    from sklearn import linear_model

    from sparrot.linear_model import Lasso

    return {
        "sparrot": (Lasso, {}),
        "scikit-learn": (linear_model.Lasso, {"max_iter": 10**6}),
        "celer": (celer.Lasso, {"max_iter": 1000}),
        "skglm": (skglm.Lasso, {"max_iter": 1000}),
    }


def measured(X, y, share: int, repeats: int) -> dict:
    """Return the median milliseconds and the gap of each contender."""
    import numpy as np

    alpha = np.abs(X.T @ y).max() / len(y) / share
    row = {}
    for name, (estimator, options) in contenders().items():

        def fit(tol: float, estimator=estimator, options=options):
            start = time.perf_counter()
            model = estimator(alpha=alpha, fit_intercept=False, tol=tol, **options).fit(X, y)
            return time.perf_counter() - start, np.ravel(model.coef_)

        for tol in TOLERANCES:
            seconds, coef = fit(tol)
            gap = relative_gap(X, y, coef, alpha)
            if gap <= GAP:
                break
        count = repeats if seconds < LONG else 1
        row[name] = 1e3 * statistics.median(fit(tol)[0] for _ in range(count)), gap
    return row


def markdown(results: dict) -> str:
    rows = []
    for row in results["rows"]:
        times = {name: row[name][0] for name in PACKAGES}
        best = min(times[name] for name in PACKAGES[1:])
        rows.append(
            [
                f"{row['case']}, max/{row['share']}",
                *(f"{output.figure(times[name])}{missed(row[name][1])}" for name in PACKAGES),
                output.figure(best / times["sparrot"]),
            ]
        )
    first = [output.figure(results["first"][name]) for name in PACKAGES]
    rows.append(["first call", *first, ""])
    titles = ["ms to a gap of 1e-6", *PACKAGES, "best peer / sparrot"]
    return f"{machine.headline(results)}\n\n{output.table(titles, rows)}\n"


def missed(gap: float) -> str:
    """Mark a gap that no tolerance of the contender's brought down."""
    return "" if gap <= GAP else f" (gap {gap:.0e})"

"""Measure how far a fit of the Lasso raises the memory of its process, beside the size of ``X``.

A process for each case and contender: the packages are imported, and a small problem solved, before
``X`` is made, so that what is counted is what the fit needs on top of it. No intercept for the
sparse case, as celer's and skglm's would not be the same.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

from peers import machine, output
from peers.child import Child, ChildEndedError

PACKAGES = ("sparrot", "scikit-learn", "celer", "skglm")
MODULE = "peers.lasso.memory"
CASES = {
    "20000x5000, Fortran order": {"shape": (20_000, 5000), "order": "F"},
    "20000x5000, C order": {"shape": (20_000, 5000), "order": "C"},
    "20000x5000, float32, Fortran order": {"shape": (20_000, 5000), "order": "F", "single": True},
    "2000x40000, Fortran order": {"shape": (2000, 40_000), "order": "F"},
    "CSC 50000x200000, 400 a row": {"shape": (50_000, 200_000), "words": 400},
}
SHARES = (10, 100)
MIB = 2**20


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers memory", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--contenders", nargs="+", default=PACKAGES, choices=PACKAGES)
    parser.add_argument("--seconds", type=float, default=300, help="for one fit, at most")
    parser.add_argument("--output", type=Path, default=output.RESULTS / "memory")
    options = parser.parse_args(argv)
    results = machine.description() | {"threads": 1, "rows": []}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES}
    for name in CASES:
        for share in SHARES if options.only in name else ():
            row = {"case": name, "share": share}
            for contender in options.contenders:
                question = {"case": name, "share": share, "contender": contender}
                try:
                    with Child(MODULE, threads=1) as child:
                        row[contender] = child.ask(question, options.seconds)
                except ChildEndedError as ended:
                    row[contender] = {"ended": str(ended)}
            results["rows"].append(row)
            print(row, flush=True)
            output.write(options.output, "results", results, markdown(results))
    print(markdown(results))


def fitted(contender: str, alpha: float):
    import celer
    import skglm
    from sklearn import linear_model

    from sparrot.linear_model import Lasso

    classes = {
        "sparrot": Lasso,
        "scikit-learn": linear_model.Lasso,
        "celer": celer.Lasso,
        "skglm": skglm.Lasso,
    }
    return classes[contender](alpha, fit_intercept=False, tol=1e-4)


def measured(case: str, share: int, contender: str) -> dict:
    """Return the size of X, how far the peak rose above it, and how many columns were chosen."""
    import numpy as np
    from scipy import sparse

    from peers.lasso.run import correlated, text
    from peers.least_squares.worker import resident_peak

    warnings.simplefilter("ignore")
    about = CASES[case]
    X, y = text(500, 1000, 0.02, 10) if "words" in about else correlated(200, 300, 10, 0.5)
    X = X.astype(np.float32) if about.get("single") else X
    fitted(contender, np.abs(X.T @ y).max() / len(y) / share).fit(X, y)
    X, y = made(**about)
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if sparse.issparse(X) else X.nbytes
    model = fitted(contender, np.abs(X.T @ y).max() / len(y) / share)
    before = resident_peak(reset=True)
    model.fit(X, y)
    return {
        "size": size / MIB,
        "grown": (resident_peak() - before) / MIB,
        "columns": int(np.count_nonzero(model.coef_)),
    }


def made(shape: tuple[int, int], order: str = "F", words: int = 0, *, single: bool = False):
    """Return a matrix, which nothing else holds, and a response of fifty of its columns."""
    import numpy as np
    from scipy import sparse

    from peers.lasso.run import text

    n, p = shape
    if words:
        X, y = text(n, p, words / p, 200)
        return sparse.csc_array(X), y
    rng = np.random.default_rng(0)
    X = np.empty(shape, np.float32 if single else np.float64, order=order)
    at_once = 100
    for first in range(0, p, at_once):
        X[:, first : first + at_once] = rng.standard_normal((n, at_once))
    signal = X[:, :50].sum(axis=1)
    y = signal / signal.std() + 0.1 * rng.standard_normal(n)
    return X, y.astype(X.dtype)


def markdown(results: dict) -> str:
    def told(row: dict, contender: str) -> str:
        found = row.get(contender, {"ended": "-"})
        return found.get("ended") or f"{found['grown']:.0f}"

    contenders = [name for name in PACKAGES if any(name in row for row in results["rows"])]
    rows = []
    for row in results["rows"]:
        ours = row.get("sparrot", {})
        rows.append(
            [
                f"{row['case']}, max/{row['share']}",
                output.figure(ours["size"]) if "size" in ours else "-",
                str(ours.get("columns", "-")),
                *(told(row, contender) for contender in contenders),
            ]
        )
    titles = ["MiB above X", "X", "columns used", *contenders]
    return f"{machine.headline(results)}\n\n{output.table(titles, rows)}\n"


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.stdin.readline()))), flush=True)

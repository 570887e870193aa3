"""Time multinomial logistic regression with an L1 norm beside scikit-learn's saga.

saga is given more and more passes until the objective is at most 1e-6 of that at zero above the
best known (sparrot's at a gap of 1e-11), or a fit has taken long; liblinear, celer and skglm do not
offer the multinomial loss. One process, one thread, with an intercept.
"""

import argparse
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

from peers import machine, output
from peers.lasso.run import THREADS

EXCESS = 1e-6
PASSES = [30, 100, 300, 1000, 3000]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers classes", description=__doc__)
    parser.add_argument("--shares", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--longest", type=float, default=5.0, help="seconds of a fit of saga")
    parser.add_argument("--output", type=Path, default=output.RESULTS / "classes")
    options = parser.parse_args(argv)
    if any(os.environ.get(name) != "1" for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, "-m", "peers", "classes", *argv])
    warnings.simplefilter("ignore")
    results = machine.description() | {"threads": 1, "repeats": options.repeats, "rows": []}
    results["versions"] |= {package: machine.version(package) for package in ("scikit-learn",)}
    for name, X, y in cases():
        for share in options.shares:
            row = measured(X, y, share, options.repeats, options.longest)
            results["rows"].append({"case": name, "share": share, **row})
            print(results["rows"][-1], flush=True)
            output.write(options.output, "results", results, markdown(results))
    print(markdown(results))


def cases():
    """Return a real table and Gaussian columns."""
    import numpy as np
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X[:, X.std(0) > 0]
    yield "digits 1797x61, 10 classes", np.asfortranarray((X - X.mean(0)) / X.std(0)), y
    rng = np.random.default_rng(0)
    n, p, count = 1000, 5000, 5
    X = np.asfortranarray(rng.normal(size=(n, p)))
    linear = X[:, :20] @ rng.normal(size=(20, count))
    yield f"{n}x{p}, {count} classes", X, (linear + rng.gumbel(size=(n, count))).argmax(1)


def measured(X, y, share: int, repeats: int, longest: float) -> dict:
    """Return the median milliseconds, the excess and the size of the models of both."""
    import numpy as np
    from scipy.special import log_softmax
    from sklearn.linear_model import LogisticRegression

    from sparrot.linear_model import SparseLogisticRegression

    Y = np.eye(y.max() + 1)[y]
    alpha = np.abs(X.T @ (Y - Y.mean(0))).max() / len(y) / share
    unit = -(Y.mean(0) * np.log(Y.mean(0))).sum()

    def objective(model) -> float:
        logs = log_softmax(X @ model.coef_.T + model.intercept_, axis=1)
        return -(logs * Y).sum() / len(y) + alpha * np.abs(model.coef_).sum()

    def timed(model):
        start = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - start, model

    best = objective(SparseLogisticRegression(alpha, tol=1e-11).fit(X, y))
    times, model = [], None
    for _ in range(repeats):
        seconds, model = timed(SparseLogisticRegression(alpha, tol=EXCESS))
        times.append(seconds)
    row = {
        "sparrot": {
            "median": 1e3 * statistics.median(times),
            "excess": float((objective(model) - best) / unit),
            "coefficients": int(np.count_nonzero(model.coef_)),
        }
    }
    for passes in PASSES:
        seconds, model = timed(
            LogisticRegression(
                solver="saga", l1_ratio=1, C=1 / (alpha * len(y)), tol=0, max_iter=passes
            )
        )
        excess = float((objective(model) - best) / unit)
        row["saga"] = {"median": 1e3 * seconds, "excess": excess, "passes": passes}
        if excess <= EXCESS or seconds > longest:
            break
    return row


def markdown(results: dict) -> str:
    rows = [
        [
            f"{row['case']}, max/{row['share']}",
            str(row["sparrot"]["coefficients"]),
            f"{output.figure(row['sparrot']['median'])} ({row['sparrot']['excess']:.0e})",
            f"{output.figure(row['saga']['median'])} ({row['saga']['excess']:.0e})",
        ]
        for row in results["rows"]
    ]
    titles = ["ms (above the optimum)", "coefficients", "sparrot", "scikit-learn, saga"]
    return f"{machine.headline(results)}\n\n{output.table(titles, rows)}\n"

"""Time norms of groups, with squares, several responses and classes, all to the same duality gap.

Everybody's tolerance is lowered until the gap that this script computes is at most 1e-6 of the
objective at zero, after a first call that is not counted. One process, one thread, no intercept.
adelie needs NumPy 1 and so an interpreter of its own: ``--adelie PYTHON``; it is timed in a process
that reads the same data.
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
from pathlib import Path

from peers import machine, output
from peers.lasso.run import GAP, LONG, THREADS, TOLERANCES, missed

PACKAGES = ("sparrot", "scikit-learn", "celer", "skglm", "adelie")
SIZE, TASKS = 5, 10
ROWS, COLUMNS, USED = 500, 2000, 30


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers groups", description=__doc__)
    parser.add_argument("--shares", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--adelie", metavar="PYTHON", help="an interpreter that has it")
    parser.add_argument("--output", type=Path, default=output.RESULTS / "groups")
    options = parser.parse_args(argv)
    if any(os.environ.get(name) != "1" for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, "-m", "peers", "groups", *argv])
    warnings.simplefilter("ignore")
    results = machine.description() | {"threads": 1, "repeats": options.repeats, "rows": []}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES[:-1]}
    for name, X, Y, loss, contenders in cases():
        for share in options.shares if options.only in name else []:
            row = measured(X, Y, share, loss, contenders, options.repeats)
            if options.adelie and Y.shape[1] == 1:
                row["adelie"] = by_adelie(options.adelie, X, Y, share, loss, options.repeats)
            results["rows"].append({"case": name, "share": share, **row})
            print(results["rows"][-1], flush=True)
            output.write(options.output, "results", results, markdown(results))
    print(markdown(results))


def cases():
    """Return correlated columns with one response, with several, and with two classes."""
    import celer
    import numpy as np
    import skglm
    from sklearn import linear_model

    from sparrot.linear_model import GroupLasso, MultiTaskLasso, SparseLogisticRegression

    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((ROWS, COLUMNS)))
    for j in range(1, COLUMNS):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * X[:, j]
    X /= np.sqrt((X**2).mean(0))
    used = rng.choice(COLUMNS, USED, replace=False)

    def responses(count):
        truth = np.zeros((COLUMNS, count))
        truth[used] = rng.choice([-1.0, 1.0], (USED, count))
        signal, noise = X @ truth, rng.standard_normal((ROWS, count))
        Y = signal + noise * np.linalg.norm(signal) / (10 * np.linalg.norm(noise))
        return np.asfortranarray(Y / Y.std())

    groups = {"groups": SIZE}
    weights = {"weights": np.ones(COLUMNS // SIZE)}
    yield (
        f"groups of {SIZE}",
        X,
        responses(1),
        Squares,
        {
            "sparrot": (GroupLasso, groups),
            "celer": (celer.GroupLasso, groups | {"max_iter": 1000}),
            "skglm": (skglm.GroupLasso, groups | weights | {"max_iter": 1000}),
        },
    )
    yield (
        f"{TASKS} responses",
        X,
        responses(TASKS),
        Squares,
        {
            "sparrot": (MultiTaskLasso, {}),
            "scikit-learn": (linear_model.MultiTaskLasso, {"max_iter": 10**5}),
            # celer's and skglm's call what scikit-learn 1.9 no longer has.
        },
    )
    signal = responses(1)
    noisy = signal + rng.logistic(size=signal.shape) / 2
    yield (
        f"two classes, groups of {SIZE}",
        X,
        np.where(noisy > 0, 1.0, -1.0),
        LogLoss,
        {
            "sparrot": (SparseLogisticRegression, groups),
            "skglm": (skglm_logistic, {}),
        },
    )


def skglm_logistic(alpha: float, *, fit_intercept: bool, tol: float):
    """Return skglm's estimator with its loss and penalty of groups."""
    import numpy as np
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import LogisticGroup
    from skglm.penalties import WeightedGroupL2
    from skglm.solvers import GroupProxNewton
    from skglm.utils.data import grp_converter

    indices, starts = grp_converter(SIZE, COLUMNS)
    return GeneralizedLinearEstimator(
        LogisticGroup(starts, indices),
        WeightedGroupL2(alpha, np.ones(COLUMNS // SIZE), starts, indices),
        GroupProxNewton(tol=tol, fit_intercept=fit_intercept, max_iter=200),
    )


class Squares:
    """Half the mean of the squares, and what the gap needs of it."""

    name = "gaussian"

    @staticmethod
    def pulls(Y, fitted):
        """Return what the gradient is of: the negative derivatives by the fitted values."""
        return Y - fitted

    @staticmethod
    def primal(Y, fitted) -> float:
        return ((Y - fitted) ** 2).sum() / 2

    @staticmethod
    def dual(Y, pulls) -> float:
        return ((Y**2).sum() - ((Y - pulls) ** 2).sum()) / 2


class LogLoss:
    """The same of the logistic loss."""

    name = "binomial"

    @staticmethod
    def pulls(Y, fitted):
        from scipy.special import expit

        return Y * expit(-Y * fitted)

    @staticmethod
    def primal(Y, fitted) -> float:
        import numpy as np

        return np.logaddexp(0, -Y * fitted).sum()

    @staticmethod
    def dual(Y, pulls) -> float:
        from scipy.special import xlogy

        share = Y * pulls
        return -(xlogy(share, share) + xlogy(1 - share, 1 - share)).sum()


def norms(products):
    """Return those of the groups: consecutive columns, or a column's several responses."""
    import numpy as np

    return np.linalg.norm(products.reshape(-1, SIZE if products.shape[1] == 1 else TASKS), axis=1)


def largest(X, Y, loss) -> float:
    return norms(X.T @ loss.pulls(Y, 0 * Y)).max() / len(Y)


def relative_gap(X, Y, loss, coef, alpha: float) -> float:
    n = len(Y)
    fitted = X @ coef
    pulls = loss.pulls(Y, fitted)
    share = min(1.0, alpha * n / norms(X.T @ pulls).max())
    primal = loss.primal(Y, fitted) + alpha * n * norms(coef).sum()
    return (primal - loss.dual(Y, share * pulls)) / loss.primal(Y, 0 * Y)


def measured(X, Y, share: int, loss, contenders: dict, repeats: int) -> dict:
    """Return the median milliseconds and the gap of each contender."""
    import numpy as np

    alpha = largest(X, Y, loss) / share
    target = Y[:, 0] if Y.shape[1] == 1 else Y
    row = {}
    for name, (estimator, options) in contenders.items():

        def fit(tol: float, estimator=estimator, options=options):
            start = time.perf_counter()
            model = estimator(alpha=alpha, fit_intercept=False, tol=tol, **options).fit(X, target)
            return time.perf_counter() - start, np.atleast_2d(model.coef_).T

        for tol in TOLERANCES:
            seconds, coef = fit(tol)
            gap = relative_gap(X, Y, loss, coef, alpha)
            if gap <= GAP:
                break
        count = repeats if seconds < LONG else 1
        row[name] = 1e3 * statistics.median(fit(tol)[0] for _ in range(count)), gap
    return row


BY_ADELIE = """
import json, statistics, sys, time
import adelie, numpy as np
given = np.load(sys.argv[1])
X, y, alpha, size = np.asfortranarray(given["X"]), given["y"], float(given["alpha"]), {size}
groups = np.arange(0, X.shape[1], size)
loss = adelie.glm.{loss}
glm = loss(y=np.maximum(y, 0)) if "{loss}" == "binomial" else loss(y=y)
def fit(tol):
    start = time.perf_counter()
    state = adelie.grpnet(X=X, glm=glm, groups=groups, lmda_path=[alpha],
        penalty=np.ones(len(groups)), intercept=False, tol=tol, irls_tol=tol, n_threads=1,
        max_iters=10**6,
        progress_bar=False, early_exit=False)
    return time.perf_counter() - start, np.asarray(state.betas.todense()).ravel()
fit(1e-4)
seconds, coef = fit(float(sys.argv[2]))
count = int(sys.argv[3]) if seconds < {long} else 1
np.save(sys.argv[4], coef)
print(json.dumps([1e3 * statistics.median(fit(float(sys.argv[2]))[0] for _ in range(count))]))
"""


def by_adelie(python: str, X, Y, share: int, loss, repeats: int) -> tuple[float, float]:
    """Return what :func:`measured` does, from a process of its own."""
    import numpy as np

    alpha = largest(X, Y, loss) / share
    code = BY_ADELIE.replace("{size}", str(SIZE)).replace("{long}", str(LONG))
    code = code.replace("{loss}", loss.name)
    with tempfile.TemporaryDirectory() as folder:
        data, found = f"{folder}/data.npz", f"{folder}/found.npy"
        np.savez(data, X=X, y=Y[:, 0], alpha=alpha)
        for tol in (1e-8, 1e-10, 1e-12, 1e-14, 1e-16):
            command = [python, "-c", code, data, str(tol), str(repeats), found]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            gap = relative_gap(X, Y, loss, np.load(found)[:, None], alpha)
            if gap <= GAP:
                break
    return json.loads(answer.splitlines()[-1])[0], gap


def markdown(results: dict) -> str:
    rows = []
    for row in results["rows"]:
        of = {name: row.get(name) for name in PACKAGES}
        best = min(of[name][0] for name in PACKAGES[1:] if of[name] and of[name][1] <= GAP)
        shown = [f"{output.figure(f[0])}{missed(f[1])}" if f else "-" for f in of.values()]
        ratio = output.figure(best / row["sparrot"][0])
        rows.append([f"{row['case']}, max/{row['share']}", *shown, ratio])
    titles = ["ms to a gap of 1e-6", *PACKAGES, "best peer / sparrot"]
    return f"{machine.headline(results)}\n\n{output.table(titles, rows)}\n"

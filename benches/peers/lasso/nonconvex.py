"""Time penalties that are not convex beside skglm, and subsets of a given size beside abess.

Their solutions differ, so that each is judged by its distance from the truth, and subsets by their
objective. Everybody at its defaults, with the same penalty or size; one process, one thread, no
intercept, after a first call that is not counted.
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

PACKAGES = ("sparrot", "scikit-learn", "skglm", "abess")
ROWS, COLUMNS, USED = 1000, 5000, 50
SNR = 9.0
"""The variance of the signal over that of the noise."""


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers nonconvex", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=output.RESULTS / "nonconvex")
    options = parser.parse_args(argv)
    if any(os.environ.get(name) != "1" for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, "-m", "peers", "nonconvex", *argv])
    warnings.simplefilter("ignore")
    results = machine.description() | {"threads": 1, "repeats": options.repeats, "rows": []}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES}
    for rho in (0.5, 0.9):
        for seed in range(options.seeds):
            results["rows"] += measured(rho, seed, options.repeats)
            output.write(options.output, "results", results, markdown(results))
        print(markdown(results), flush=True)


def example(rho: float, seed: int):
    """Return correlated columns of unit mean square, a response, and the coefficients."""
    import numpy as np

    rng = np.random.default_rng(seed)
    X = np.asfortranarray(rng.standard_normal((ROWS, COLUMNS)))
    for j in range(1, COLUMNS):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    X /= np.sqrt((X**2).mean(0))
    truth = np.zeros(COLUMNS)
    truth[rng.choice(COLUMNS, USED, replace=False)] = rng.choice([-1.0, 1.0], USED)
    signal, noise = X @ truth, rng.standard_normal(ROWS)
    y = signal + noise * np.linalg.norm(signal) / (np.sqrt(SNR) * np.linalg.norm(noise))
    return X, y, truth


def contenders(alpha: float) -> dict:
    import skglm
    from abess.linear import LinearRegression
    from sklearn import linear_model

    from sparrot.linear_model import L0Regression, Lasso, MCPRegression, SCADRegression

    def generalised(penalty):
        return skglm.GeneralizedLinearEstimator(
            skglm.datafits.Quadratic(), penalty, skglm.solvers.AndersonCD(fit_intercept=False)
        )

    return {
        "Lasso": {
            "sparrot": Lasso(alpha, fit_intercept=False),
            "scikit-learn": linear_model.Lasso(alpha, fit_intercept=False),
            "skglm": skglm.Lasso(alpha, fit_intercept=False),
        },
        "MCP": {
            "sparrot": MCPRegression(alpha, 3.0, fit_intercept=False),
            "skglm": skglm.MCPRegression(alpha, 3.0, fit_intercept=False),
        },
        "SCAD": {
            "sparrot": SCADRegression(alpha, 3.7, fit_intercept=False),
            "skglm": generalised(skglm.penalties.SCAD(alpha, 3.7)),
        },
        f"{USED} columns": {
            "sparrot": L0Regression(n_nonzero_coefs=USED, fit_intercept=False),
            "scikit-learn": linear_model.OrthogonalMatchingPursuit(
                n_nonzero_coefs=USED, fit_intercept=False
            ),
            "abess": LinearRegression(support_size=USED, fit_intercept=False, thread=1),
        },
    }


def measured(rho: float, seed: int, repeats: int) -> list[dict]:
    import numpy as np

    X, y, truth = example(rho, seed)
    alpha = np.abs(X.T @ y).max() / ROWS / 10
    rows = []
    for penalty, models in contenders(alpha).items():
        for package, model in models.items():
            # abess copies what is not in C order.
            data = np.ascontiguousarray(X) if package == "abess" else X
            model.fit(data, y)

            def seconds(model=model, data=data):
                start = time.perf_counter()
                model.fit(data, y)
                return time.perf_counter() - start

            spent = statistics.median(seconds() for _ in range(repeats))
            coef = np.ravel(model.coef_)
            both = np.count_nonzero(coef * truth)
            rows.append(
                {
                    "rho": rho,
                    "seed": seed,
                    "penalty": penalty,
                    "package": package,
                    "ms": 1e3 * spent,
                    "error": float(np.linalg.norm(coef - truth) / np.linalg.norm(truth)),
                    "f1": 2 * both / (np.count_nonzero(coef) + USED),
                    "loss": float(((y - X @ coef) ** 2).mean() / 2),
                }
            )
    return rows


def markdown(results: dict) -> str:
    """Return the medians over seeds; of errors their means."""
    kinds = output.unique((r["rho"], r["penalty"], r["package"]) for r in results["rows"])
    rows = []
    for kind in kinds:
        found = [r for r in results["rows"] if (r["rho"], r["penalty"], r["package"]) == kind]
        rho, penalty, package = kind
        mean = {key: statistics.fmean(r[key] for r in found) for key in ("error", "f1", "loss")}
        ms = output.figure(statistics.median(r["ms"] for r in found))
        figures = [f"{mean[key]:.3f}" for key in ("error", "f1")] + [f"{mean['loss']:.5f}"]
        rows.append([f"rho {rho}, {penalty}, {package}", ms, *figures])
    titles = ["", "ms", "error", "F1", "loss"]
    return f"{machine.headline(results)}\n\n{output.table(titles, rows)}\n"

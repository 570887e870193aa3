"""Measure one evaluation, and whole solves, beside POT; and k = n beside regot.

Everything in one process with one thread. POT's solver is L-BFGS-B on the dual and on the
semi-dual; what counts is the best value that either reaches, and the time of that one. Ours is
``solve_ksparse`` with its defaults: its dual value must be no worse.
"""

import argparse
import contextlib
import io
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from peers import machine, output

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SPARROT_NUM_THREADS")
PACKAGES = ("sparrot", "POT", "regot")
LONG = 1.0
"""Seconds from which on a peer's solve is not repeated."""


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers ksparse", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 500, 1000, 2000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=output.RESULTS / "ksparse")
    options = parser.parse_args(argv)
    if any(os.environ.get(name) != "1" for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(os.sys.executable, [os.sys.executable, "-m", "peers", "ksparse", *argv])
    from peers.ksparse.cases import problems

    results = machine.description() | {"threads": 1, "repeats": options.repeats, "rows": []}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES}
    for problem in problems(tuple(options.sizes)):
        row = measured(problem, options.repeats)
        results["rows"].append(row)
        print("  ".join(f"{key} {shown(value)}" for key, value in row.items()), flush=True)
        output.write(options.output, "results", results, markdown(results))
    results["quadratic"] = [quadratic(n, options.repeats) for n in options.sizes if n <= 1000]
    output.write(options.output, "results", results, markdown(results))


def measured(problem, repeats: int) -> dict:
    """Return times in seconds, values, and what the plan is like."""
    import numpy as np
    from ot import smooth

    from sparrot.transport import KSparseDual, solve_ksparse

    name, cost, a, b, gamma, k = problem
    rng = np.random.default_rng(1)
    alpha, beta = (0.05 * rng.normal(size=len(weights)) for weights in (a, b))
    theirs = smooth.SparsityConstrained(max_nz=k, gamma=gamma)
    row = {"case": name, "k": k, "gamma": gamma}
    ours = KSparseDual(cost, a, b, gamma=gamma, k=k)
    pairs = {
        "dual": (
            lambda: smooth.dual_obj_grad(alpha, beta, a, b, cost, theirs),
            lambda: ours.dual(alpha, beta),
        ),
        "semi": (
            lambda: smooth.semi_dual_obj_grad(alpha, a, b, cost, theirs),
            lambda: ours.semi_dual(alpha),
        ),
    }
    for kind, (peer, own) in pairs.items():
        row[f"{kind}_pot"], expected = median(silent(peer), max(repeats, 9))
        row[f"{kind}_own"], found = median(own, max(repeats, 31))
        differences = (
            np.max(np.abs(x - y)) / np.max(np.abs(x)) for x, y in zip(expected, found, strict=True)
        )
        row[f"{kind}_differs"] = max(float(d) for d in differences)
    best = (-np.inf, 0.0, 0.0)
    iterations = 500 if cost.size <= 10**6 else 100
    for solver in (smooth.smooth_ot_dual, smooth.smooth_ot_semi_dual):
        arguments = {
            "reg_type": "sparsity_constrained",
            "max_nz": k,
            "numItermax": iterations,
            "log": True,
        }

        def solve(solver=solver, arguments=arguments):
            return solver(a, b, cost, gamma, **arguments)

        seconds, (plan, log) = median(silent(solve), repeats, LONG)
        error = float(np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum())
        best = max(best, (-float(log["res"].fun), -seconds, error))
    row["pot_value"], row["pot_time"], row["pot_error"] = best[0], -best[1], best[2]
    start = time.perf_counter()
    solve_ksparse(cost, a, b, gamma=gamma, k=k)
    row["own_first"] = time.perf_counter() - start
    row["own_time"], result = median(lambda: solve_ksparse(cost, a, b, gamma=gamma, k=k), repeats)
    row["own_value"] = result.dual_value
    row["converged"] = result.converged
    row["gap"] = result.gap / abs(result.value)
    row["own_error"] = result.marginal_error
    row["per_line"] = result.nnz / cost.shape[1]
    row["max_nnz"] = result.max_nnz
    row["binding"] = result.n_binding
    return row


def quadratic(n: int, repeats: int) -> dict:
    """Return times and values of the squared norm alone, beside regot's solvers."""
    import numpy as np
    import regot

    from peers.transport.cases import colour
    from sparrot.transport import solve_quadratic

    cost, a, b = colour(n)
    gamma = 0.01 * n
    seconds, result = median(lambda: solve_quadratic(cost, a, b, gamma=gamma), repeats)
    row = {"case": f"colour-{n}", "gamma": gamma, "own": seconds, "gap": result.gap / result.value}
    layout = np.asfortranarray(cost)
    for method in ("grssn", "assn", "lbfgs_dual"):
        solver = getattr(regot, f"qrot_{method}", None)
        if solver is None:
            continue
        try:
            seconds, answer = median(
                lambda solver=solver: solver(layout, a, b, gamma, tol=1e-12, max_iter=5000),
                repeats,
                LONG,
            )
        except RuntimeError as error:
            row[method] = str(error)
            continue
        plan = np.asarray(answer.plan)
        error = np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum()
        row[method] = seconds
        row[f"{method}_error"] = float(error)
        row[f"{method}_differs"] = float(np.abs(plan - result.plan).max() / plan.max())
    print("  ".join(f"{key} {shown(value)}" for key, value in row.items()), flush=True)
    return row


def silent(call: Callable) -> Callable:
    """Keep what POT prints away from the terminal."""

    def quiet():
        with contextlib.redirect_stdout(io.StringIO()):
            return call()

    return quiet


def median(call: Callable, repeats: int, enough: float = float("inf")) -> tuple[float, object]:
    """Return the median time of the calls, or that of the first if it was long, and an answer."""
    times = []
    while len(times) < repeats and not (times and times[0] > enough):
        start = time.perf_counter()
        answer = call()
        times.append(time.perf_counter() - start)
    return statistics.median(times), answer


def shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def markdown(results: dict) -> str:
    titles = (
        *("case", "k", "gamma", "evaluation, dual", "semi-dual", "differ by"),
        *("POT, s", "ours, first call", "ours, s", "ratio", "ours higher by", "gap"),
        *("marginals, ours", "POT's"),
        *("entries a column", "most"),
    )
    rows = [
        (
            r["case"],
            str(r["k"]),
            f"{r['gamma']:g}",
            f"{r['dual_pot'] / r['dual_own']:.0f}x",
            f"{r['semi_pot'] / r['semi_own']:.0f}x",
            f"{max(r['dual_differs'], r['semi_differs']):.0e}",
            output.figure(r["pot_time"]),
            output.figure(r["own_first"]),
            output.figure(r["own_time"]),
            f"{r['pot_time'] / r['own_time']:.0f}x",
            f"{(r['own_value'] - r['pot_value']) / abs(r['pot_value']):.0e}",
            f"{r['gap']:.0e}",
            f"{r['own_error']:.0e}",
            f"{r['pot_error']:.0e}",
            f"{r['per_line']:.2f}",
            str(r["max_nnz"]),
        )
        for r in results["rows"]
    ]
    text = f"{machine.headline(results)}\n\n{output.table(titles, rows)}\n"
    if results.get("quadratic"):
        text += "\nThe squared norm alone (times in s, tolerance 1e-9 of the value):\n\n"
        for row in results["quadratic"]:
            text += "- " + ", ".join(f"{key} {shown(value)}" for key, value in row.items()) + "\n"
    return text

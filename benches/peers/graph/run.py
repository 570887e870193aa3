"""Time label propagation beside scipy's, qdldl's and pyamg's solvers of the same systems.

The others are given the system of the unlabelled nodes, whose assembly is not counted; sparrot is
given the graph and the labels. Residuals are measured by this script, in the 2-norm relative to the
right-hand side; all are at most 1e-8. One process, one thread, a first call that is not counted.
``--memory N`` shows, in processes of their own, what scikit-learn's estimators and ours take for
two moons of N points.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

from peers import machine, output

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SPARROT_NUM_THREADS")
PACKAGES = ("sparrot", "qdldl", "pyamg", "scikit-learn")
RESIDUAL = 1e-8
LONG = 5.0
"""Seconds from which on a solve is not repeated."""


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers graph", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--memory", type=int, metavar="N")
    parser.add_argument("--output", type=Path, default=output.RESULTS / "graph")
    options = parser.parse_args(argv)
    if any(os.environ.get(name) != "1" for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, "-m", "peers", "graph", *argv])
    if options.memory:
        show_memory(options.memory)
        return
    warnings.simplefilter("ignore")
    results = machine.description() | {"threads": 1, "repeats": options.repeats, "rows": []}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES}
    for name, W, labelled, values in cases():
        row = measured(W, labelled, values, options.repeats)
        results.setdefault("first", {k: v["first"] for k, v in row["times"].items()})
        results["rows"].append({"case": name, **row})
        print(results["rows"][-1], flush=True)
        output.write(options.output, "results", results, markdown(results))
    print(markdown(results))


def lattice(m: int):
    import numpy as np
    from scipy import sparse

    line = sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(m, m))
    W = sparse.csr_array(1e5 * sparse.kronsum(line, line))
    return sparse.csr_array((W.data, *(a.astype(np.int32) for a in (W.indices, W.indptr))))


def moons(n: int):
    """Return the symmetric 5-neighbour graph and the moon of each node."""
    import numpy as np
    from scipy import sparse
    from scipy.spatial import cKDTree
    from sklearn.datasets import make_moons

    X, truth = make_moons(n, noise=0.2, random_state=0)
    _, near = cKDTree(X).query(X, 6)
    pairs = (np.repeat(np.arange(n, dtype=np.int32), 5), near[:, 1:].ravel().astype(np.int32))
    W = sparse.coo_array((np.ones(5 * n), pairs), shape=(n, n)).tocsr()
    return sparse.csr_array(W.maximum(W.T)), truth


def cases():
    """Return the paper's kinds of graphs, with one label in 20 to 25 nodes, and with few."""
    import numpy as np

    rng = np.random.default_rng(0)
    for m, labels in ((50, 100), (300, 3600), (300, 300)):
        nodes = rng.choice(m * m, labels, replace=False)
        yield f"lattice {m}x{m}, {labels} labels", lattice(m), nodes, 10 * rng.normal(size=labels)
    for n, labels in ((2000, 100), (20_000, 1000), (200_000, 10_000), (200_000, 200)):
        W, truth = moons(n)
        nodes = rng.choice(n, labels, replace=False)
        yield f"moons {n}, {labels} labels", W, nodes, truth[nodes] + 1.0
        if n == 20_000:
            classes = np.eye(10)[rng.integers(0, 10, labels)]
            yield f"moons {n}, {labels} labels, 10 classes", W, nodes, classes


def system(W, labelled, values):
    """Return the nodes to solve for, their matrix and right-hand sides."""
    import numpy as np
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    _, component = connected_components(W, directed=False)
    is_free = np.isin(component, component[labelled])
    is_free[labelled] = False
    free = np.flatnonzero(is_free)
    L = sparse.csr_array(sparse.diags_array(W.sum(axis=1)) - W)
    return free, L[free][:, free], W[free][:, labelled] @ values


def contenders(W, labelled, values) -> dict:
    """Return what each does to its input, by name."""
    import numpy as np
    import pyamg
    import qdldl
    from scipy import sparse
    from scipy.sparse.linalg import cg, spsolve

    from sparrot.graph import laplacian_solve

    free, A, b = system(W, labelled, values)
    columns = A.tocsc()
    classic = sparse.csr_matrix(A)
    jacobi = sparse.diags_array(1 / A.diagonal())

    def each(solve):
        return solve(b) if b.ndim == 1 else np.stack([solve(c) for c in b.T], axis=1)

    def factored():
        solver = qdldl.Solver(sparse.csc_matrix(columns))
        return each(solver.solve)

    def multigrid():
        levels = pyamg.ruge_stuben_solver(classic)
        return each(lambda c: levels.solve(c, tol=0.9 * RESIDUAL, accel="cg"))

    return {
        "sparrot": lambda: laplacian_solve(W, labelled, values).x[free],
        "qdldl": factored,
        "scipy cg, Jacobi": lambda: each(
            lambda c: cg(A, c, rtol=0.9 * RESIDUAL, atol=0, M=jacobi)[0]
        ),
        "pyamg": multigrid,
        "scipy spsolve": lambda: spsolve(columns, b),
    }


def measured(W, labelled, values, repeats: int) -> dict:
    """Return the median milliseconds, the first call and the residual of each contender."""
    import numpy as np

    from sparrot.graph import laplacian_solve

    _, A, b = system(W, labelled, values)
    times = {}
    for name, solve in contenders(W, labelled, values).items():
        start = time.perf_counter()
        x = solve()
        first = time.perf_counter() - start
        residual = np.linalg.norm(A @ x - b, axis=0) / np.linalg.norm(b, axis=0)
        seconds = [first] if first > LONG else []
        for _ in range(repeats - len(seconds) if first <= LONG else 0):
            start = time.perf_counter()
            solve()
            seconds.append(time.perf_counter() - start)
        times[name] = {
            "median": 1e3 * statistics.median(seconds),
            "first": 1e3 * first,
            "residual": float(np.max(residual)),
        }
    return {"method": laplacian_solve(W, labelled, values).method, "times": times}


def markdown(results: dict) -> str:
    names = list(results["rows"][0]["times"])
    rows = []
    for row in results["rows"]:
        times = {name: row["times"][name]["median"] for name in names}
        best = min(times[name] for name in names[1:])
        marks = {n: "" if row["times"][n]["residual"] <= RESIDUAL else " (missed)" for n in names}
        rows.append(
            [
                row["case"],
                f"{output.figure(times['sparrot'])} ({row['method']}){marks['sparrot']}",
                *(f"{output.figure(times[name])}{marks[name]}" for name in names[1:]),
                output.figure(best / times["sparrot"]),
            ]
        )
    rows.append(["first call", *(output.figure(results["first"][name]) for name in names), ""])
    titles = ["ms to a residual of 1e-8", *names, "best other / sparrot"]
    return f"{machine.headline(results)}\n\n{output.table(titles, rows)}\n"


PROGRAM = """
import resource, time
import numpy as np
from sklearn.datasets import make_moons
from {module} import {name}
X, truth = make_moons({n}, noise=0.1, random_state=0)
y = np.full({n}, -1)
y[: {n} // 1000] = truth[: {n} // 1000]
start = time.perf_counter()
try:
    right = ({name}({options}).fit(X, y).transduction_ == truth).mean()
    end = f"{{right:.2%}} right"
except MemoryError as error:
    end = f"MemoryError: {{error}}"
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{{time.perf_counter() - start:.1f}} s, {{peak:.2f}} GiB, {{end}}")
"""


def show_memory(n: int) -> None:
    """Print time, memory and end of each estimator."""
    sklearn = "sklearn.semi_supervised"
    for module, name, arguments in (
        ("sparrot.graph", "LabelPropagation", "kernel='knn'"),
        ("sparrot.graph", "LabelPropagation", "min_weight=1e-3, gamma=50_000"),
        (sklearn, "LabelPropagation", "kernel='knn'"),
        (sklearn, "LabelSpreading", "kernel='knn'"),
        (sklearn, "LabelPropagation", ""),
        (sklearn, "LabelSpreading", ""),
    ):
        program = PROGRAM.format(module=module, name=name, options=arguments, n=n)
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            capture_output=True,
            text=True,
            check=False,
        )
        told = ran.stdout.strip() or f"ended by signal {-ran.returncode}: {ran.stderr[-200:]}"
        print(f"{module}.{name}({arguments}), {n} points: {told}", flush=True)

"""Time an iteration beside the authors' code, and greedy steps beside whole gradients.

Everything in one process with one thread. The authors' functions need dense data: they get the
same matrices, dense; ours gets them sparse where they are.
"""

import argparse
import os
import runpy
import statistics
import time
import warnings
from pathlib import Path

from peers import machine, output

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SPARROT_NUM_THREADS")
EXAMPLE = Path(__file__).parent.parent.parent.parent / "examples" / "plot_block_descent.py"

# Data, partition, selection, update, block size: rules of figures 4 to 7.
ITERATIONS = [
    ("A", "variable", "gs", "gradient", 5),
    ("A", "variable", "gsd", "matrix", 5),
    ("A", "variable", "gsd", "matrix", 100),
    ("A", "sorted", "gs", "gradient", 5),
    ("A", "sorted", "gsd", "matrix", 5),
    ("A, L1", "variable", "gsq", "two-metric", 5),
    ("A, L1", "variable", "gsq", "two-metric", 100),
    ("A, L1", "variable", "gsq", "projected gradient", 100),
    ("C", "variable", "gs", "gradient", 5),
    ("C", "variable", "gsd", "matrix", 5),
    ("D", "variable", "gs", "gradient", 5),
    ("D", "forest", "gs", "message-passing", -1),
    ("E", "variable", "gsd", "matrix", 5),
    ("E", "forest", "gs", "message-passing", -1),
]
KINDS = {
    "A": "least squares",
    "A, L1": "L1",
    "C": "multinomial",
    "D": "graph",
    "E": "graph",
}
L1 = 5e4


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers descent", description=__doc__)
    parser.add_argument("--authors", type=Path, help="a checkout of their repository")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=output.RESULTS / "descent")
    options = parser.parse_args(argv)
    if any(os.environ.get(name) != "1" for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(os.sys.executable, [os.sys.executable, "-m", "peers", "descent", *argv])
    warnings.simplefilter("ignore")
    results = machine.description() | {"threads": 1, "repeats": options.repeats}
    results["greedy"] = [greedy(*case, options.repeats) for case in SPARSE]
    results["iterations"] = []
    for case in ITERATIONS if options.authors else []:
        results["iterations"].append(beside_authors(case, options))
        print(results["iterations"][-1], flush=True)
    output.write(options.output, "results", results, markdown(results))
    print(markdown(results))


def data(name: str):
    """Return the data of the example: the matrix, the right-hand side, for quadratics their own."""
    example = runpy.run_path(str(EXAMPLE))
    if name.startswith("A"):
        return example["data_a"](1000, 10_000)
    if name == "C":
        return example["data_c"](1000, 50)
    return example["propagation"](
        *(example["data_d"](50) if name == "D" else example["data_e"](2000))
    )


def problem(name: str, A, b):
    import numpy as np

    from sparrot.descent import LeastSquares, Multinomial, Quadratic

    if name == "A, L1":
        return LeastSquares(A, b, l1=L1, bounds=(0, np.inf))
    return {"A": LeastSquares, "C": Multinomial}.get(name, Quadratic)(A, b)


def ours(made, partition, selection, update, size, count, repeats) -> float:
    """Return the seconds of an iteration: of a solve with many, less one with one."""
    from sparrot.descent import block_coordinate_descent

    def run(iterations: int) -> float:
        start = time.perf_counter()
        result = block_coordinate_descent(
            made,
            partition=partition,
            selection=selection,
            update="gradient" if update == "projected gradient" else update,
            block_size=None if size < 0 else size,
            max_iter=iterations,
            tol=0,
            rng=1,
        )
        return (time.perf_counter() - start) / (1 if iterations == 1 else result.n_iter - 1)

    def one() -> float:
        return (run(count) * (count - 1) - run(1)) / (count - 1)

    run(1)
    return statistics.median(one() for _ in range(repeats))


def beside_authors(case, options) -> dict:
    import numpy as np

    from peers.descent import authors

    name, partition, selection, update, size = case
    A, b = data(name)
    theirs = authors.modules(options.authors)
    target = np.eye(50)[b] if name == "C" else b
    times = authors.seconds_per_iteration(
        theirs,
        KINDS[name],
        np.asfortranarray(A.toarray()),
        target,
        partition,
        selection,
        update,
        size,
        options.repeats,
        L1 if name == "A, L1" else 0,
    )
    mine = ours(problem(name, A, b), partition, selection, update, size, 50, options.repeats)
    return {"case": case, "authors": statistics.median(times), "sparrot": mine}


# What is sparse, how many variables, block size.
SPARSE = [("graph", 20_000, 5), ("graph", 200_000, 5), ("design", 100_000, 5)]


def greedy(kind: str, n: int, size: int, repeats: int) -> dict:
    """Time greedy iterations, and the gradient with the selection that they replace."""
    import numpy as np
    from scipy import sparse

    if kind == "graph":
        example = runpy.run_path(str(EXAMPLE))
        A, b = example["propagation"](*example["data_e"](n))
        made = problem("E", A, b)
        entries = A.nnz
    else:
        A = sparse.random_array((n, n), density=5 / n, format="csc", rng=1)
        b = A @ np.random.default_rng(1).standard_normal(n)
        made = problem("A", A, b)
        entries = 2 * A.nnz
    mine = ours(made, "variable", "gsd", "matrix", size, 2000, repeats)
    transposed = A.T.tocsr()
    rows = A.tocsr()
    x = np.random.default_rng(2).standard_normal(A.shape[1])
    weights = 1 / np.sqrt(np.maximum(sparse.linalg.norm(A, axis=0), 1e-9))

    def whole() -> float:
        start = time.perf_counter()
        gradient = rows @ x - b if kind == "graph" else transposed @ (rows @ x - b)
        np.argpartition(-np.abs(gradient) * weights, size)[:size]
        return time.perf_counter() - start

    pass_seconds = statistics.median(whole() for _ in range(max(repeats, 11)))
    # A step reads the lines of its block, and those that these touch.
    degree = A.nnz / A.shape[1]
    touched = size * degree * (1 if kind == "graph" else 1 + A.nnz / A.shape[0])
    return {
        "case": f"{kind}, {A.shape[1]} variables",
        "iteration": mine,
        "whole": pass_seconds,
        "ratio": pass_seconds / mine,
        "entries": entries / touched,
    }


def markdown(results: dict) -> str:
    us = 1e6
    rows = [
        [
            f"{name}: {partition}, {selection}, {update}" + (f", {size}" if size > 0 else ""),
            output.figure(us * row["authors"]),
            output.figure(us * row["sparrot"]),
            output.figure(row["authors"] / row["sparrot"]),
        ]
        for row in results["iterations"]
        for name, partition, selection, update, size in [row["case"]]
    ]
    greedy_rows = [
        [
            row["case"],
            output.figure(us * row["iteration"]),
            output.figure(us * row["whole"]),
            output.figure(row["ratio"]),
            output.figure(row["entries"]),
        ]
        for row in results["greedy"]
    ]
    return "\n\n".join(
        [
            machine.headline(results),
            output.table(["microseconds per iteration", "authors", "sparrot", "ratio"], rows),
            output.table(
                ["greedy", "iteration", "gradient and selection", "ratio", "entries, ratio"],
                greedy_rows,
            ),
        ]
    )

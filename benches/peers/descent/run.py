"""Time an iteration beside the authors' code, greedy steps beside whole gradients, and solves.

Everything in one process with one thread. The authors' functions need dense data: they get the
same matrices, dense; ours gets them sparse where they are.
"""

import argparse
import functools
import os
import runpy
import statistics
import time
import warnings
from pathlib import Path

from peers import machine, output

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SPARROT_NUM_THREADS")
PACKAGES = ("sparrot", "scikit-learn")
EXAMPLE = Path(__file__).parent.parent.parent.parent / "examples" / "plot_block_descent.py"

# Data, partition, selection, update, block size: rules of figures 4 to 12. Left out is what needs a
# dense 10,000 x 10,000 matrix of the authors: GSL and GSQ on free blocks of A.
ITERATIONS = [
    *[("A", "variable", rule, "gradient", 5) for rule in ("random", "gs", "gsd")],
    *[("A", "sorted", rule, "gradient", 5) for rule in ("gs", "gsl")],
    ("A", "order", "gs", "backtracking", 50),
    *[("A", "variable", "gsd", "matrix", size) for size in (5, 100)],
    *[("A", "sorted", rule, "matrix", 5) for rule in ("gsl", "gsd")],
    ("B", "variable", "gs", "gradient", 5),
    *[("B", "variable", "gsd", "newton", size) for size in (5, 50)],
    ("B", "sorted", "gsl", "newton", 50),
    *[("C", "variable", rule, "gradient", 5) for rule in ("random", "gs")],
    ("C", "variable", "gsd", "matrix", 5),
    ("C", "sorted", "gsd", "matrix", 5),
    *[
        ("L1", "variable", "gsq", update, size)
        for size in (5, 50, 100)
        for update in ("matrix", "two-metric", "gradient")
    ],
    *[("L1", "sorted", "gsq", update, 50) for update in ("matrix", "two-metric", "gradient")],
    *[("E", "variable", rule, "gradient", 5) for rule in ("random", "gs", "gsl")],
    *[("E", "variable", rule, "matrix", 5) for rule in ("gs", "gsd", "gsq")],
    *[
        (name, *choices)
        for name in ("D", "E")
        for choices in (
            ("general", "gs", "exact", -1),
            ("red-black", "cyclic", "message-passing", -1),
            ("trees", "cyclic", "message-passing", -1),
            ("forest", "random", "message-passing", -1),
            ("forest", "gs", "message-passing", -1),
        )
    ],
]
KINDS = {
    "A": "least squares",
    "L1": "L1",
    "B": "logistic",
    "C": "multinomial",
    "D": "graph",
    "E": "graph",
}
L1 = 5e4
SIDE = 50


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
    from peers.descent import solves

    warnings.simplefilter("ignore")
    results = machine.description() | {"threads": 1, "repeats": options.repeats}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES}
    results["greedy"] = [greedy(*case, options.repeats) for case in SPARSE]
    results["iterations"] = []
    for case in ITERATIONS if options.authors else []:
        results["iterations"].append(beside_authors(case, options))
        print(results["iterations"][-1], flush=True)
        output.write(options.output, "results", results, markdown(results))
    results["solves"] = list(solves.measured(options.repeats))
    output.write(options.output, "results", results, markdown(results))
    print(markdown(results))


@functools.cache
def example() -> dict:
    return runpy.run_path(str(EXAMPLE))


@functools.cache
def data(name: str) -> tuple:
    """Return the matrix, the right-hand side, what the authors' rules know of a graph, blocks."""
    import numpy as np

    from peers.descent import authors

    if name in ("A", "L1"):
        return (*example()["data_a"](1000, 10_000), None, {})
    if name == "B":
        A, is_first = example()["data_b"](1000, 10_000)
        return A, np.where(is_first, 1.0, -1.0), None, {}
    if name == "C":
        return (*example()["data_c"](1000, 50), None, {})
    graph = example()["data_d"](SIDE) if name == "D" else example()["data_e"](2000)
    blocks = example()["lattice_blocks"](SIDE, graph[1]) if name == "D" else {}
    arguments = authors.graph_arguments(*graph, SIDE if name == "D" else None)
    return (*example()["propagation"](*graph), arguments, blocks)


def problem(name: str, A, b):
    import numpy as np

    from sparrot.descent import LeastSquares, Logistic, Multinomial, Quadratic

    if name == "L1":
        return LeastSquares(A, b, l1=L1, bounds=(0, np.inf))
    return {"A": LeastSquares, "B": Logistic, "C": Multinomial}.get(name, Quadratic)(A, b)


def ours(made, partition, selection, update, size, count, repeats) -> float:
    """Return the seconds of an iteration: of a solve with many, less one with one."""
    from sparrot.descent import block_coordinate_descent

    def run(iterations: int) -> tuple[float, int]:
        start = time.perf_counter()
        result = block_coordinate_descent(
            made,
            partition=partition,
            selection=selection,
            update=update,
            block_size=size,
            max_iter=iterations,
            tol=0,
            rng=1,
        )
        return time.perf_counter() - start, result.n_iter

    def one() -> float:
        (many, done), (single, _) = run(count), run(1)
        return (many - single) / (done - 1)

    run(1)
    return statistics.median(one() for _ in range(repeats))


def beside_authors(case, options) -> dict:
    import numpy as np

    from peers.descent import authors

    name, partition, selection, update, size = case
    A, b, graph, blocks = data(name)
    times = authors.seconds_per_iteration(
        authors.modules(options.authors),
        KINDS[name],
        np.asfortranarray(A.toarray()),
        np.eye(50)[b] if name == "C" else b,
        case[1:],
        options.repeats,
        L1 if name == "L1" else 0,
        graph,
    )
    if partition == "general":
        partition, size = "variable", int(A.shape[0] ** (1 / 3))
    partition = blocks.get({"red-black": "colours"}.get(partition, partition), partition)
    # With an L1 norm and large blocks there is nothing left to do after a few.
    count = options.repeats + 1 if name == "L1" and size > 5 else 50
    mine = ours(
        problem(name, A, b),
        partition,
        selection,
        update,
        size if size > 0 else None,
        count,
        3 * options.repeats,
    )
    return {"case": case, "authors": statistics.median(times), "sparrot": mine}


# What is sparse, how many variables, block size.
SPARSE = [("graph", 20_000, 5), ("graph", 200_000, 5), ("design", 100_000, 5)]


def greedy(kind: str, n: int, size: int, repeats: int) -> dict:
    """Time greedy iterations, and the gradient with the selection that they replace."""
    import numpy as np
    from scipy import sparse

    if kind == "graph":
        A, b = example()["propagation"](*example()["data_e"](n))
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
    solve_rows = [
        [
            row["case"],
            ", ".join(
                f"{name} {output.figure(1e3 * seconds) if seconds else 'not there'}"
                for name, seconds in row["seconds"].items()
            ),
        ]
        for row in results.get("solves", [])
    ]
    greedy_titles = ["greedy, microseconds", "iteration", "gradient and selection", "ratio"]
    parts = [
        machine.headline(results),
        output.table(["microseconds per iteration", "authors", "sparrot", "ratio"], rows),
        output.table([*greedy_titles, "entries of a pass / of a step"], greedy_rows),
        output.table(["milliseconds to", "each"], solve_rows),
    ]
    return "\n\n".join(parts) + "\n"

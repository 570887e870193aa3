"""
Block coordinate descent: which block, and what to do with it
=============================================================

Nutini, Laradji and Schmidt ("Let's Make Block Coordinate Descent Converge Faster", JMLR 23, 2022,
arXiv 1712.08859) compare rules that choose blocks of variables and steps that update them. This
script repeats their experiments on data made by their recipes, with
:func:`sparrot.descent.block_coordinate_descent`:

- gradient steps on small blocks (their figure 4): greedy rules are far ahead of random and cyclic
  ones, and free ("variable") blocks ahead of fixed ones;
- second-order steps (figure 5): a diagonal bound, which costs nothing, chooses as well as the whole
  matrix does;
- message passing on two graphs (figure 6): forests of thousands of variables are solved exactly in
  linear time, so that a few iterations do what blocks of a dense solve do not in hundreds;
- steps whose length is found by backtracking are no shorter than those from known constants
  (figure 9), and Newton steps on the logistic loss (figure 12) order the rules as before;
- an L1 norm with non-negative variables (figure 7): once a block can hold the support, a
  second-order step ends it.

All curves are of objectives above the minimum against iterations, not time; for times see
docs/block_descent.md.
"""  # noqa: D205, D400

import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from sparrot.descent import (
    LeastSquares,
    Logistic,
    Multinomial,
    Quadratic,
    block_coordinate_descent,
)
from sparrot.errors import ConvergenceWarning

# %%
# The data
# --------
# Recipes A to E of the paper. The lattice is drawn by NumPy's old generator with the seed of
# the authors' code, so that its minimum is theirs to all digits, -1045999575.2270696.

LATTICE_WEIGHT = 1e5
L1 = 5e4


def sparse_design(rng, n, p):
    """Return normal columns around 1, scaled by 10 N(0, 1), with few entries kept."""
    data = (rng.standard_normal((n, p)) + 1) * (10 * rng.standard_normal(p))
    return sparse.csc_array(data * (rng.random((n, p)) < 10 * np.log(n) / n))


def data_a(n, p):
    """Return a least-squares problem with a sparse truth."""
    rng = np.random.default_rng(1)
    A = sparse_design(rng, n, p)
    truth = rng.standard_normal(p) * (rng.random(p) < 0.1)
    return A, A @ truth + rng.standard_normal(n)


def data_b(n, p):
    """Return a problem with two classes, a tenth of the labels flipped."""
    rng = np.random.default_rng(1)
    A = sparse_design(rng, n, p)
    truth = rng.standard_normal(p) * (rng.random(p) < 0.1)
    return A, (A @ truth > 0) ^ (rng.random(n) < 0.1)


def data_c(n, classes):
    """Return a classification problem with as many features as rows."""
    rng = np.random.default_rng(1)
    A = sparse_design(rng, n, n)
    scores = A @ rng.standard_normal((n, classes)) + rng.standard_normal((n, classes))
    return A, scores.argmax(1)


def data_d(side):
    """Return a lattice with its weights, and which nodes are labelled with what."""
    # The generator and the seed of the authors' code.
    state = np.random.RandomState(1)
    n = side * side
    index = np.arange(n).reshape(side, side)
    ends = np.concatenate(
        [
            np.stack([index[:-1].ravel(), index[1:].ravel()]),
            np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()]),
        ],
        axis=1,
    )
    weights = sparse.coo_array((np.full(ends.shape[1], LATTICE_WEIGHT), ends), shape=(n, n))
    labelled = state.choice(n, n // 25, replace=False)
    return (weights + weights.T).tocsr(), labelled, 10 * state.randn(n // 25)


def data_e(n):
    """Return the nearest neighbours of two moons, and which nodes are labelled 1 or 2."""
    rng = np.random.default_rng(1)
    angle = np.pi * rng.random(n)
    second = np.arange(n) >= n // 2
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points[second] = [1, 0.5] - points[second] * [-1, 1]
    points += 0.2 * rng.standard_normal((n, 2))
    neighbours = cKDTree(points).query(points, k=6)[1][:, 1:]
    rows = np.repeat(np.arange(n), 5)
    edges = sparse.coo_array((np.ones(5 * n), (rows, neighbours.ravel())), shape=(n, n)).tocsr()
    labelled = rng.choice(n, n // 20, replace=False)
    return edges.maximum(edges.T), labelled, 1.0 + second[labelled]


def propagation(weights, labelled, values):
    """Return the quadratic whose minimum propagates labels, of the nodes that labels reach."""
    n = weights.shape[0]
    parts = csgraph.connected_components(weights, directed=False)[1]
    free = np.setdiff1d(np.flatnonzero(np.isin(parts, parts[labelled])), labelled)
    laplacian = (sparse.diags_array(weights.sum(1), shape=(n, n)) - weights).tocsr()
    return laplacian[free][:, free].tocsr(), weights[free][:, labelled] @ values


# %%
# Running the rules
# -----------------
# Without a tolerance, for a number of iterations. A curve ends where a rule has nothing left to do.


def curve(problem, iterations, **choices):
    """Return the objectives of the iterations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = block_coordinate_descent(problem, max_iter=iterations, tol=1e-15, rng=1, **choices)
    return result.trace["objective"], result


def compare(problem, iterations, rules):
    """Run each of the named choices."""
    return {name: curve(problem, iterations, **choices) for name, choices in rules.items()}


def small_blocks(update, selections, size):
    """Return free and fixed blocks with each of the rules."""
    return {
        f"{name.upper()} {short}": {
            "partition": partition,
            "selection": name,
            "update": update,
            "block_size": size,
        }
        for name in selections
        for partition, short in (("variable", "free"), ("sorted", "fixed"))
    }


def lattice_blocks(side, labelled):
    """Return two combs and the two colours of a chessboard, of the nodes without labels."""
    row, column = np.divmod(np.arange(side * side), side)
    last = side - 1
    # A spine on one edge and every second line from it; the rest is the mirror image.
    comb = (column == 0) | ((row % 2 == 1) & (column < last))
    is_free = np.ones(side * side, dtype=bool)
    is_free[labelled] = False
    place = np.cumsum(is_free) - 1
    halves = {"trees": comb, "colours": (row + column) % 2 == 0}
    return {name: [place[half & is_free], place[~half & is_free]] for name, half in halves.items()}


def step_lengths(size):
    """Return steps with constants that are known, and with constants that are found."""
    return {
        f"{rule.upper()} {name}": {
            "partition": "order",
            "selection": rule,
            "update": update,
            "block_size": size,
        }
        for rule in ("random", "gs")
        for name, update in (("known", "gradient"), ("backtracking", "backtracking"))
    }


def graph_blocks(n, trees="trees", colours="red-black"):
    """Return the ways to cut a graph into blocks, and one that does not look at it."""
    passing = {"selection": "cyclic", "update": "message-passing"}
    return {
        "general": {
            "selection": "gs",
            "update": "exact",
            "block_size": round(n ** (1 / 3)),
        },
        "red-black": {"partition": colours, **passing},
        "random forest": {"partition": "forest", "selection": "random"},
        "tree partition": {"partition": trees, **passing},
        "greedy forest": {"partition": "forest", "selection": "gs"},
    }


def constrained(size):
    """Return second-order and gradient steps with free and fixed blocks."""
    return {
        f"{name} {short}": {
            "partition": partition,
            "selection": "gsq",
            "update": update,
            "block_size": size,
        }
        for name, update in (
            ("proximal Newton", "matrix"),
            ("two-metric", "two-metric"),
            ("gradient", "gradient"),
        )
        for partition, short in (("variable", "free"), ("sorted", "fixed"))
    }


def experiments(n, p, classes, side, points, iterations):
    """Run everything: for each panel its title, and its curves above the minimum."""
    A, target = data_a(n, p)
    least_squares = LeastSquares(A, target)
    labels = data_c(n, classes)
    greedy = ("gs", "gsl", "gsd", "gsq")
    panels = {
        "A: gradient steps, blocks of 5": compare(
            least_squares,
            iterations,
            small_blocks("gradient", ("random", "cyclic", "lipschitz", "gs", "gsl"), 5),
        ),
        "A: matrix steps, blocks of 5": compare(
            least_squares, iterations, small_blocks("matrix", greedy, 5)
        ),
        "A: step lengths, blocks of 50": compare(
            least_squares, iterations, step_lengths(min(50, p))
        ),
        "B: Newton steps, blocks of 50": compare(
            Logistic(*data_b(n, p)),
            iterations,
            small_blocks("newton", ("gs", "gsl", "gsd"), min(50, p)),
        ),
        "C: gradient steps, blocks of 5": compare(
            Multinomial(*labels),
            iterations,
            small_blocks("gradient", ("random", "cyclic", "lipschitz", "gs", "gsl"), 5),
        ),
    }
    # The minima of A, B and C are 0 to all digits that matter here.
    shown = {
        title: {name: objectives for name, (objectives, _) in curves.items()}
        for title, curves in panels.items()
    }
    lattice = data_d(side)
    for name, graph, blocks in (
        ("D: lattice", lattice, lattice_blocks(side, lattice[1])),
        ("E: two moons", data_e(points), {}),
    ):
        matrix, b = propagation(*graph)
        solution = spsolve(matrix.tocsc(), b)
        least = solution @ (matrix @ solution) / 2 - b @ solution
        curves = compare(Quadratic(matrix, b), iterations, graph_blocks(matrix.shape[0], **blocks))
        shown[f"{name}, exact steps"] = {
            name: objectives - least for name, (objectives, _) in curves.items()
        }
    problem = LeastSquares(A, target, l1=L1 * n / 1000, bounds=(0, np.inf))
    best, found = curve(problem, 10_000, selection="gsd", update="matrix", block_size=min(p, 200))
    for size in (5, 100):
        curves = compare(problem, iterations, constrained(min(size, p)))
        shown[f"L1, x >= 0: {found.support.size} not 0, blocks of {size}"] = {
            name: objectives - best[-1] for name, (objectives, _) in curves.items()
        }
    return shown


# %%
# The picture
# -----------

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


def draw(panels):
    """Draw the panels: a colour for a rule, dashed for fixed blocks."""
    columns = 3
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5 * columns, 3.8 * rows), layout="constrained", squeeze=False
    )
    for ax, (title, curves) in zip(axes.flat, panels.items(), strict=False):
        bases = list(
            dict.fromkeys(name.removesuffix(" fixed").removesuffix(" free") for name in curves)
        )
        largest = max(objectives[0] for objectives in curves.values())
        # Below this the objectives' own rounding is all there is.
        floor = 1e-16 * largest
        least = min(objectives.min() for objectives in curves.values())
        for name, objectives in curves.items():
            base = name.removesuffix(" fixed").removesuffix(" free")
            ax.semilogy(
                np.maximum(objectives, floor),
                color=COLOURS[bases.index(base) % len(COLOURS)],
                linestyle="--" if name.endswith("fixed") else "-",
                label=name,
                linewidth=1.3,
            )
        ax.set(title=title, xlabel="iteration", ylabel="above the minimum")
        ax.set_ylim(bottom=max(least / 2, 10 * floor))
        ax.legend(fontsize="x-small", ncols=2)
        ax.grid(alpha=0.3)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    return figure


def main(argv=None):
    """Run the experiments, print where the rules are, save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--columns", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--side", type=int, default=50)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path("block_descent.png"))
    options = parser.parse_args(argv)
    panels = experiments(
        options.rows,
        options.columns,
        options.classes,
        options.side,
        options.points,
        options.iterations,
    )
    for title, curves in panels.items():
        print(title)
        for name, objectives in curves.items():
            print(f"  {name:<24} {objectives[-1]:10.2e} after {len(objectives) - 1} iterations")
    draw(panels).savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()

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
- an L1 norm with non-negative variables (figure 7): the support is found early, and once a block
  can hold it, second-order steps end it;
- steps whose length is found by backtracking are no shorter than those from known constants
  (figure 9), fixed blocks are best made of variables with like constants (figure 10), and Newton
  steps on the logistic loss (figure 12) order the rules as before.

All curves are of objectives above the minimum against iterations, not time; for times see
docs/block_descent.md.
"""  # noqa: D205, D400

import argparse
import warnings
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from sparrot.descent import (
    DescentResult,
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
# Quadratics are solved for the distance from their minimum, where the objective is 0: the steps are
# the same, and what is left of 1e9 in the end is not lost to rounding.


class Run(NamedTuple):
    """The objective above the minimum, after each iteration, and the result."""

    above: np.ndarray
    result: DescentResult


def run(problem, iterations, least=0.0, x0=None, **choices):
    """Follow one rule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = block_coordinate_descent(
            problem, x0=x0, max_iter=iterations, tol=1e-15, rng=1, **choices
        )
    return Run(result.trace["objective"] - least, result)


def compare(problem, iterations, rules, least=0.0, x0=None):
    """Run each of the named choices."""
    return {name: run(problem, iterations, least, x0, **choices) for name, choices in rules.items()}


def around_minimum(matrix, b):
    """Return a quadratic of the distance from its minimum, and how far 0 is from it."""
    return Quadratic(matrix, np.zeros_like(b)), -spsolve(matrix.tocsc(), b)


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
    choices = {"partition": "order", "block_size": size}
    return {
        f"{rule.upper()} {name}": choices | {"selection": rule, "update": update}
        for rule in ("random", "gs", "gsl")
        for name, update in (("found", "backtracking"), ("known", "gradient"))
    }


def partitions(size):
    """Return ways to make fixed blocks."""
    choices = {"update": "gradient", "block_size": size}
    return {
        f"{name} {rule.upper()}": choices | {"partition": name, "selection": rule}
        for name in ("sorted", "averaged", "order")
        for rule in ("gsl", "gs")
    }


def graph_blocks(n, trees="trees", colours="red-black"):
    """Return the ways to cut a graph into blocks, and one that does not look at it."""
    passing = {"selection": "cyclic", "update": "message-passing"}
    return {
        "general": {
            "selection": "gs",
            "update": "exact",
            "block_size": int(n ** (1 / 3)),
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
    """Run everything: for each panel its title, and its runs."""
    A, target = data_a(n, p)
    least_squares = LeastSquares(A, target)
    multinomial = Multinomial(*data_c(n, classes))
    lattice, moons = data_d(side), data_e(points)
    graphs = {
        "D: lattice": (propagation(*lattice), lattice_blocks(side, lattice[1])),
        "E: two moons": (propagation(*moons), {}),
    }
    moons, away = around_minimum(*graphs["E: two moons"][0])
    rules = small_blocks("gradient", ("random", "cyclic", "lipschitz", "gs", "gsl"), 5)
    panels = {
        "A: gradient steps, blocks of 5": compare(least_squares, iterations, rules),
        "C: gradient steps, blocks of 5": compare(multinomial, iterations, rules),
        "E: gradient steps, blocks of 5": compare(moons, iterations, rules, x0=away),
    }
    rules = small_blocks("matrix", ("gs", "gsl", "gsd", "gsq"), 5)
    panels |= {
        "A: matrix steps, blocks of 5": compare(least_squares, iterations, rules),
        "C: matrix steps, blocks of 5": compare(multinomial, iterations, rules),
        "E: matrix steps, blocks of 5": compare(moons, iterations, rules, x0=away),
    }
    for name, (system, blocks) in graphs.items():
        quadratic, away = around_minimum(*system)
        rules = graph_blocks(len(away), **blocks)
        panels[f"{name}, exact steps"] = compare(quadratic, iterations, rules, x0=away)
    logistic = Logistic(*data_b(n, p))
    rules = small_blocks("newton", ("gs", "gsl", "gsd", "gsq"), min(50, p))
    panels["B: Newton steps, blocks of 50"] = compare(logistic, iterations, rules)
    bounded = LeastSquares(A, target, l1=L1 * n / 1000, bounds=(0, np.inf))
    best = run(bounded, 10_000, selection="gsd", update="matrix", block_size=min(p, 200)).result
    for size in (5, 50, 100):
        rules = constrained(min(size, p))
        panels[f"L1, x >= 0, blocks of {size}"] = compare(
            bounded, iterations, rules, best.objective
        )
    panels["A: step lengths, blocks of 50"] = compare(
        least_squares, iterations, step_lengths(min(50, p))
    )
    panels["A: fixed blocks of 20"] = compare(least_squares, iterations, partitions(min(20, p)))
    return panels


# %%
# The picture
# -----------
# A colour for a rule, dashes for the second of two kinds. What lies on top of another curve is
# dotted, so that both are seen.

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#999999", "#cc79a7", "#e69f00")
ORDER = ("GS", "GSL", "GSD", "RANDOM", "CYCLIC", "LIPSCHITZ")  # in every panel the same
KINDS = ("free", "fixed"), ("found", "known"), ("GSL", "GS")
FLOOR = 1e-8  # there the authors stop


def split(name):
    """Return what is compared, and which of two kinds it is, if there are two."""
    first, _, last = name.rpartition(" ")
    for kinds in KINDS:
        if last in kinds:
            return first, kinds.index(last), kinds
    return name, 0, ()


def look(name, names):
    """Return the colour and the dashes of a curve."""
    base, kind, _ = split(name)
    bases = ORDER if base in ORDER else list(dict.fromkeys(split(other)[0] for other in names))
    colour = COLOURS[bases.index(base) % len(COLOURS)]
    is_on_top = base in ("GSQ", "two-metric")
    style = (0, (4, 2)) if kind else (0, (1, 1.5)) if is_on_top else "-"
    return {"color": "black" if is_on_top else colour, "linestyle": style, "linewidth": 1.4}


def legend(ax, names):
    """Say what colours and dashes mean."""
    handles = {split(name)[0]: look(name, names)["color"] for name in names}
    lines = [Line2D([], [], color=colour) for colour in handles.values()]
    kinds = split(names[0])[2]
    lines += [
        Line2D([], [], color="grey", linestyle=style)
        for _, style in zip(kinds, ("-", (0, (4, 2))), strict=False)
    ]
    ax.legend(lines, [*handles, *kinds], fontsize=7.5, ncols=2, labelspacing=0.25)


def draw(panels):
    """Draw the panels, and the supports of the last that has an L1 norm and small blocks."""
    rows = -(-(len(panels) + 1) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(12, 3.1 * rows), layout="constrained")
    for ax, (title, runs) in zip(axes.flat, panels.items(), strict=False):
        names = list(runs)
        for name, (above, _) in runs.items():
            ax.semilogy(np.maximum(above, FLOOR), **look(name, names))
        ax.set_xlim(0, max(len(above) for above, _ in runs.values()) - 1)
        ax.set_title(title, fontsize=10)
        legend(ax, names)
    ax = axes.flat[len(panels)]
    runs = panels["L1, x >= 0, blocks of 5"]
    for name, (_, result) in runs.items():
        ax.semilogx(result.trace["sparsity"][1:], **look(name, list(runs)))
    ax.set_title("L1, x >= 0, blocks of 5: variables that are not 0", fontsize=10)
    legend(ax, list(runs))
    for ax in axes.flat:
        ax.grid(alpha=0.3)
    for ax in axes[-1]:
        ax.set_xlabel("iterations")
    return figure


def print_tables(panels, iterations):
    """Say in numbers what the picture shows."""
    columns = [k for k in (10, 20, 50, 100, 200) if k < iterations] + [iterations]
    for title, runs in panels.items():
        print(f"{title}: above the minimum after")
        print(" " * 26 + "".join(f"{k:>9d}" for k in columns))
        for name, (above, result) in runs.items():
            line = "".join(f"{above[min(k, len(above) - 1)]:9.1e}" for k in columns)
            if title.startswith("L1"):
                # The last digits of the objective.
                done = np.flatnonzero(above <= 1e-14 * result.objective)
                line += f"  support {result.support.size} since {result.support_changed}, " + (
                    f"done after {done[0]}" if len(done) else "not done"
                )
            print(f"  {name:<24}{line}")


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
    print_tables(panels, options.iterations)
    draw(panels).savefig(options.output)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()

"""
Transport with few entries per column
=====================================

Entropic plans have no zeros, quadratic ones have as many entries as the regularisation happens to
leave, and k-sparse ones have about ``k`` per column, as Liu, Puigcerver and Blondel proposed
("Sparsity-constrained optimal transport", ICLR 2023, arXiv 2209.15466). The three rows of the
picture are what their paper shows, solved by sparrot:

- the plans between two densities on a line. The one that is computed from the potentials, as in the
  paper, has at most two entries per column but the wrong row sums; the one that
  :func:`sparrot.transport.solve_ksparse` returns by default has the right ones, for a third entry
  in some columns;
- what ``k`` does between two clouds of points: from transport without regularisation (``k = 1``) to
  quadratic regularisation (``k = n``) there are more entries, the cost of the plan rises, and the
  regularised optimum, known up to the certified gap, falls;
- how smooth the dual is: the larger ``k``, the fewer evaluations L-BFGS-B needs for the same
  accuracy. With small ``k`` the maximum is at a kink, where it makes no more headway and where the
  gradient, which is what the row sums are off by, does not tend to zero.
"""  # noqa: D205, D400

import argparse
import warnings
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

from sparrot import plot
from sparrot.errors import ConvergenceWarning
from sparrot.transport import KSparseDual, solve, solve_ksparse, solve_quadratic

# %%
# Plans between two densities
# ---------------------------
# Two Gaussians on a grid and the squared distance divided by its maximum. Entries are counted in
# the columns that hold more than 1e-4 of the mass: neither in the tails nor in the last column,
# which takes in what the grid cuts off. The zeros of the entropic plan are numbers too small to
# write.


def densities(n):
    """Return the cost between the points of a grid, and two densities on it."""
    grid = np.arange(n) * (100 / n)

    def gaussian(mean, std):
        weights = np.exp(-(((grid - mean) / std) ** 2) / 2)
        return weights / weights.sum()

    cost = (grid[:, None] - grid) ** 2
    return cost / cost.max(), gaussian(20, 5), gaussian(60, 10)


def plans(cost, a, b):
    """Solve the same problem four ways."""
    return {
        "entropic": solve(cost, a, b, reg=2e-3),
        "quadratic": solve_quadratic(cost, a, b, gamma=0.1, tol=1e-6),
        "k-sparse, k = 2": solve_ksparse(cost, a, b, gamma=0.1, k=2),
        "k-sparse, from potentials": solve_ksparse(cost, a, b, gamma=0.1, k=2, recover="dual"),
    }


def entries_per_column(result, least=1e-4):
    """Count the entries of the columns that hold more than ``least`` of the mass."""
    columns = result.plan[:, result.b > least * result.b.sum()]
    return np.count_nonzero(columns, axis=0)


# %%
# What k does
# -----------
# Two clouds in the plane whose points have unequal weights. With equal ones and ``k = 1`` this
# would be an assignment problem, whose solution does have one entry per column. The regularisation
# is a fifth of the largest cost, per mean mass of a column.


def clouds(n):
    """Return the cost between two clouds of points, and their weights."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, n, 2))
    second += [2, 1]
    a, b = rng.uniform(0.5, 1.5, size=(2, n))
    cost = ((first[:, None] - second) ** 2).sum(axis=2)
    return cost / cost.max(), a / a.sum(), b / b.sum()


def numbers_of_entries(n):
    """Return the values of k to try, the last of which limits nothing."""
    return [k for k in (1, 2, 4, 8, 16, 32) if 4 * k <= n] + [n]


def solve_by_k(cost, a, b):
    """Solve with each number of entries."""
    return {
        k: solve_ksparse(cost, a, b, gamma=0.2, gamma_scale="max", k=k, tol=1e-7)
        for k in numbers_of_entries(len(a))
    }


# %%
# How smooth the dual is
# ----------------------
# L-BFGS-B, from zero, on the semi-dual: a concave function of the potentials of the rows whose
# gradient is ``a - P.sum(1)`` for the plan ``P`` of these potentials. It is told not to stop before
# it has to.


class Climb(NamedTuple):
    """What an optimiser saw: how far from the optimum, as a share of it, and the row sums."""

    distance: np.ndarray
    marginal_error: float

    def evaluations(self, distance):
        """Return the number of evaluations to come as near as that, NaN if it never did."""
        near = np.flatnonzero(self.distance <= distance)
        return near[0] + 1 if len(near) else np.nan


def climb(cost, a, b, result, evaluations):
    """Maximise the semi-dual; compare with the result of ``solve_ksparse``."""
    problem = KSparseDual(cost, a, b, gamma=result.gamma, k=result.k)
    values, errors = [], []

    def negative(alpha):
        value, gradient = problem.semi_dual(alpha)
        values.append(value)
        errors.append(abs(gradient).sum() / a.sum())
        return -value, -gradient

    limits = {"maxiter": evaluations, "maxfun": evaluations, "ftol": 0, "gtol": 1e-9}
    minimize(negative, np.zeros(len(a)), jac=True, method="L-BFGS-B", options=limits)
    best = np.maximum.accumulate(values)[:evaluations]
    return Climb((result.dual_value - best) / result.dual_value, errors[np.argmax(values)])


# %%
# The picture
# -----------
# In the plans, the weights are shaded, and lines are what the rows and columns sum up to. A step of
# ``solve_ksparse`` is some tens of conjugate gradient iterations, each over the entries of the
# plan; an evaluation is over all of the cost.

LOOK = {"entries": "#0072b2", "second": "#d55e00", "third": "#009e73", "fourth": "#cc79a7"}


def draw_plan(ax, title, result):
    """Draw a plan with its marginals, and say how many entries a column has."""
    plot.plan(result, ax)
    n, m = result.shape
    rows, columns = np.arange(n), np.arange(m)
    for weights, sums, across in (
        (result.a, result.plan.sum(axis=1), True),
        (result.b, result.plan.sum(axis=0), False),
    ):
        size = 0.2 * n / weights.max()
        if across:
            ax.fill_betweenx(rows, 0, weights * size, color="white", alpha=0.35, linewidth=0)
            ax.plot(sums * size, rows, color="white", linewidth=1)
        else:
            ax.fill_between(columns, n, n - weights * size, color="white", alpha=0.35, linewidth=0)
            ax.plot(columns, n - sums * size, color="white", linewidth=1)
    ax.set_xlim(0, m - 1)
    ax.set_ylim(n - 1, 0)
    counts = entries_per_column(result)
    ax.set_title(
        f"{title}\nper column {counts.mean():.1f} entries, at most {counts.max()}\n"
        f"marginal error {result.marginal_error:.0e}",
        fontsize=10,
    )


def axis_of_k(ax, ks, title):
    """Label an axis with the values of k."""
    ax.set_xscale("log")
    ax.set_xticks(ks, [*map(str, ks[:-1]), f"n = {ks[-1]}"])
    ax.minorticks_off()
    ax.set_xlabel("k")
    ax.set_title(title, fontsize=10)
    ax.grid(alpha=0.3)


def draw_sparsity(axes, results):
    """Draw entries, cost and optimum over k."""
    entries, cost, optimum = axes
    ks = list(results)
    counts = [entries_per_column(result) for result in results.values()]
    entries.plot(ks, [c.max() for c in counts], "^--", color=LOOK["second"], label="most")
    entries.plot(ks, [c.mean() for c in counts], "o-", color=LOOK["entries"], label="mean")
    entries.plot(ks, ks, ":", color="grey", label="k")
    axis_of_k(entries, ks, "entries per column")
    entries.set_yscale("log")
    entries.legend()
    cost.plot(ks, [r.value_linear for r in results.values()], "o-", color=LOOK["entries"])
    axis_of_k(cost, ks, "cost of the plan, without regularisation")
    optimum.plot(ks, [r.dual_value for r in results.values()], "o-", color=LOOK["entries"])
    gap = max(result.gap / result.dual_value for result in results.values())
    axis_of_k(optimum, ks, f"regularised optimum, to a relative {gap:.0e}")


def draw_climbs(axes, results, climbs, evaluations):
    """Draw how the optimiser went, and where it left the row sums."""
    path, needed, left = axes
    ks = list(results)
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.88, len(ks)))
    for k, colour in zip(ks, colours, strict=True):
        # Nearer than the gap of the reference, it cannot tell.
        known = np.maximum(climbs[k].distance, results[k].gap / results[k].dual_value)
        path.loglog(
            np.arange(1, len(known) + 1), known, color=colour, label=f"k = {k}", linewidth=1.4
        )
    path.set_ylim(1e-8, 20)
    path.set_xlabel("evaluations by L-BFGS-B")
    path.set_title("distance from the optimum, as a share of it", fontsize=10)
    path.grid(alpha=0.3)
    path.legend(fontsize=8, loc="lower left", labelspacing=0.25)

    for distance, style, colour in ((1e-5, "o-", "entries"), (1e-3, "s--", "third")):
        needed.plot(
            ks,
            [climbs[k].evaluations(distance) for k in ks],
            style,
            color=LOOK[colour],
            label=f"L-BFGS-B, evaluations to {distance:.0e}",
        )
    needed.plot(
        ks,
        [result.n_iter for result in results.values()],
        "^:",
        color=LOOK["second"],
        label="solve_ksparse, Newton steps to 1e-07",
    )
    iterations = [result.n_cg for result in results.values()]
    needed.plot(
        ks, iterations, "v:", color=LOOK["fourth"], label="conjugate gradient iterations in them"
    )
    axis_of_k(needed, ks, f"what it takes (no point: more than {evaluations:,})")
    needed.set_yscale("log")
    needed.set_ylim(top=50 * max(iterations))  # room for the legend
    needed.legend(fontsize=8, loc="upper right")

    left.plot(
        ks, [climbs[k].marginal_error for k in ks], "o-", color=LOOK["entries"], label="L-BFGS-B"
    )
    left.plot(
        ks,
        [result.marginal_error for result in results.values()],
        "^:",
        color=LOOK["second"],
        label="solve_ksparse",
    )
    axis_of_k(left, ks, "marginal error in the end")
    left.set_yscale("log")
    left.legend(loc="center left")


def draw(solved, results, climbs, evaluations):
    """Draw all three rows."""
    figure = plt.figure(figsize=(12, 11.5), layout="constrained")
    rows = figure.subfigures(3, 1, height_ratios=(1.15, 1, 1.1))
    axes = rows[0].subplots(1, len(solved), sharey=True)
    for ax, (title, result) in zip(axes, solved.items(), strict=True):
        draw_plan(ax, title, result)
    for ax in axes[1:]:
        ax.set_ylabel("")
    draw_sparsity(rows[1].subplots(1, 3), results)
    draw_climbs(rows[2].subplots(1, 3), results, climbs, evaluations)
    return figure


def print_tables(solved, results, climbs):
    """Say in numbers what the picture shows."""
    print("two densities")
    for title, result in solved.items():
        counts = entries_per_column(result)
        print(
            f"  {title:<26}{counts.mean():6.2f} entries per column, at most {counts.max():3d}, "
            f"marginal error {result.marginal_error:.0e}"
        )
    print("two clouds: solve_ksparse")
    print("     k  entries  most      cost   optimum      gap  steps     CG  marginal error")
    for k, result in results.items():
        counts = entries_per_column(result)
        print(
            f"  {k:4d}  {counts.mean():7.2f}  {counts.max():4d}  {result.value_linear:8.6f}  "
            f"{result.dual_value:8.6f}  {result.gap:7.0e}  {result.n_iter:5d}  {result.n_cg:5d}  "
            f"{result.marginal_error:14.0e}"
        )
    print("two clouds: L-BFGS-B, evaluations to a distance of 1e-1, 1e-3 and 1e-5")
    for k, run in climbs.items():
        counts = "".join(f"{run.evaluations(distance):6.0f}" for distance in (1e-1, 1e-3, 1e-5))
        print(
            f"  {k:4d}  {counts}   in the end {max(run.distance[-1], 0):.0e}, "
            f"marginal error {run.marginal_error:.0e}"
        )


def main(arguments=None):
    """Solve, print the tables, write the picture."""
    parser = argparse.ArgumentParser(description="Transport with few entries per column.")
    parser.add_argument("--output", type=Path, default=Path("plot_ksparse_transport.png"))
    parser.add_argument("--grid", type=int, default=100, help="points of each density")
    parser.add_argument("--points", type=int, default=200, help="points of each cloud")
    parser.add_argument("--evaluations", type=int, default=1000, help="for L-BFGS-B, at most")
    options = parser.parse_args(arguments)

    problem = clouds(options.points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the tables say what was reached
        solved = plans(*densities(options.grid))
        results = solve_by_k(*problem)
    climbs = {k: climb(*problem, result, options.evaluations) for k, result in results.items()}
    print_tables(solved, results, climbs)
    draw(solved, results, climbs, options.evaluations).savefig(options.output)


if __name__ == "__main__":
    main()

"""
Marginal error against time
===========================

The certificate of a transport plan is its marginal error, the share of the mass that is not where
it should be. A result keeps it for each iteration in ``result.trace``, together with the time, so
that methods can be compared on one's own problem: here on colour transfer, where the plan is dense
enough to make the sparse Newton steps of ``"sns"`` slow, and on a random assignment problem, which
they are made for.
"""  # noqa: D205, D400

import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

from sparrot.errors import ConvergenceWarning
from sparrot.transport import solve, solve_sample

METHODS = ("auto", "sns", "sinkhorn")

# %%
# Two problems
# ------------
# Each is a function that solves it by a given method. A regularisation of a thousandth of the
# largest cost is usual for colours; 1/1200 for the assignment is that of the paper that introduced
# Sinkhorn-Newton-Sparse (arXiv 2401.12253).


def colour_problem(size):
    """Match pixels of two photographs."""
    rng = np.random.default_rng(0)
    images = load_sample_images().images
    first, second = (
        rng.choice(image.reshape(-1, 3) / 255.0, size, replace=False) for image in images
    )
    return lambda **settings: solve_sample(first, second, reg=1e-3, reg_scale="max", **settings)


def assignment_problem(size):
    """Match points whose costs are random numbers."""
    cost = np.random.default_rng(0).random((size, size))
    return lambda **settings: solve(cost, reg=1 / 1200, **settings)


# %%
# Solving them by each method
# ---------------------------
# A method that has not reached the tolerance when the time is up says so by a warning. The table
# below has its message instead.


def traces(problem, tol, seconds):
    """Solve by each method; return the results by method."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {method: problem(method=method, tol=tol, max_time=seconds) for method in METHODS}


# %%
# The picture
# -----------
# ``"auto"`` lowers the regularisation in steps: its error, measured at the step it is in, rises
# whenever it takes the next one.


def draw(results_by_problem, tol):
    """Draw the marginal error of each method over time, a panel for each problem."""
    figure, axes = plt.subplots(
        1, len(results_by_problem), figsize=(11, 4.2), layout="constrained", sharey=True
    )
    for ax, (title, results) in zip(axes, results_by_problem.items(), strict=True):
        for method, result in results.items():
            ax.semilogy(result.trace["time"], result.trace["certificate"], label=method)
        ax.axhline(tol, color="grey", linestyle=":")
        ax.set_title(title)
        ax.set_xlabel("time (s)")
        ax.grid(alpha=0.3)
        ax.legend()
    axes[0].set_ylabel("marginal error")
    return figure


def main(arguments=None):
    """Solve both problems by each method, print what they reached, write the picture."""
    parser = argparse.ArgumentParser(description="Marginal error against time.")
    parser.add_argument("--output", type=Path, default=Path("plot_error_against_time.png"))
    parser.add_argument("--colours", type=int, default=1000, help="pixels of each photograph")
    parser.add_argument("--points", type=int, default=500, help="points of the assignment")
    parser.add_argument("--tol", type=float, default=1e-9, help="marginal error to reach")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each solve, at most")
    options = parser.parse_args(arguments)

    problems = {
        f"colours, n = {options.colours}": colour_problem(options.colours),
        f"assignment, n = {options.points}": assignment_problem(options.points),
    }
    results_by_problem = {
        title: traces(problem, options.tol, options.seconds) for title, problem in problems.items()
    }
    for title, results in results_by_problem.items():
        print(title)
        for method, result in results.items():
            print(f"  {method:<9} {result.timings['solve']:6.2f} s  {result.message}")
    draw(results_by_problem, options.tol).savefig(options.output)


if __name__ == "__main__":
    main()

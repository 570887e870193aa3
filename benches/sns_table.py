"""Iterations of Sinkhorn-Newton-Sparse: the question of Table 1 of arXiv 2401.12253.

``python benches/sns_table.py`` solves every case once with every variant, to tolerance 0, and
reads from the trace when each marginal error was reached. The cases are those of
``peers.transport``.
"""

import argparse
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from peers.transport.cases import CASES, SEEDS, Problem
from sparrot.errors import ConvergenceWarning
from sparrot.transport import TransportResult, solve

ERRORS = (1e-3, 1e-6, 1e-9)
SHARES = (2, 3, 5, 15)
MAX_TIME = 60.0

GROUPS = {
    "assignment-500, ten seeds": [f"assignment-500-s{seed}" for seed in SEEDS],
    "digit28-W2": ["digit28-W2"],
    "digit28-W1": ["digit28-W1"],
}


class Variant(NamedTuple):
    title: str
    method: str
    share: int | None = None
    """``lambda * n``: the Hessian has ``(n + m)^2 * lambda`` entries. The default is 2."""
    n_sinkhorn: int | None = None

    def options(self, problem: Problem) -> dict | None:
        n, m = problem.cost.shape
        # The paper counts entries of the Hessian, which holds the plan twice; the option is a
        # share of the plan.
        density = {"density": self.share / n * (n + m) ** 2 / (2 * n * m)} if self.share else {}
        stage_one = {"n_sinkhorn": self.n_sinkhorn} if self.n_sinkhorn else {}
        return density | stage_one or None


class Steps(NamedTuple):
    """Iterations until an error was reached."""

    sinkhorn: float
    newton: float

    def text(self, method: str) -> str:
        if self == NEVER:
            return "never"
        return f"{self.sinkhorn:g}" + (f"+{self.newton:g}" if method != "sinkhorn" else "")


NEVER = Steps(np.inf, np.inf)


class Run(NamedTuple):
    """What one solve to tolerance 0 says."""

    reached: list[Steps]
    """For each of ERRORS, and for the limit."""
    limit: float
    """The error of the plan in the end."""
    status: str


def variants(group: str) -> list[Variant]:
    sns = [Variant(f"sns, lambda = {share}/n", "sns", share) for share in SHARES]
    if group == "digit28-W1":
        # The paper starts Newton's method late here.
        sns[-1] = Variant("sns, lambda = 15/n, N1 = 700", "sns", 15, 700)
    return [*sns, Variant("auto", "auto"), Variant("sinkhorn", "sinkhorn")]


def run(case: str, variant: Variant) -> Run:
    problem = CASES[case]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nothing converges to 0
        result = solve(
            problem.cost,
            problem.a,
            problem.b,
            reg=problem.reg,
            method=variant.method,
            tol=0,
            max_time=MAX_TIME,
            options=variant.options(problem),
        )
    # Where rounding dominates, the trace's own figures fall below what the plan has.
    limit = max(result.marginal_error, result.trace["certificate"].min())
    reached = [steps_to(result, error) for error in (*ERRORS, limit)]
    return Run(reached, limit, str(result.status))


def steps_to(result: TransportResult, error: float) -> Steps:
    """Return the iterations to the first recorded error within ``error``."""
    trace = result.trace
    within = np.flatnonzero(trace["certificate"] <= error)
    if not within.size:
        return NEVER
    until = within[0]
    newton = int((trace["phase"][: until + 1] == "newton").sum())
    return Steps(int(trace["iteration"][until]) - newton, newton)


def summary(reached: list[Steps], method: str) -> str:
    """Return the median over the runs and, if there are several, the range."""
    steps = sorted(reached, key=sum)
    text = Steps(*np.median(steps, axis=0)).text(method)
    if len(steps) == 1:
        return text
    return f"{text} ({steps[0].text(method)} to {steps[-1].text(method)})"


def table(group: str) -> str:
    titles = ["method", *(f"{error:.0e}" for error in ERRORS), "float64 limit", "its error", "end"]
    rows = [titles, ["---"] * len(titles)]
    for variant in variants(group):
        runs = [run(case, variant) for case in GROUPS[group]]
        columns = zip(*(r.reached for r in runs), strict=True)
        texts = [summary(list(column), variant.method) for column in columns]
        ends = ", ".join(sorted({r.status for r in runs}))
        rows.append([variant.title, *texts, f"{max(r.limit for r in runs):.1e}", ends])
        print(f"{group}: {variant.title}", file=sys.stderr)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="write the Markdown there as well")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    options = parser.parse_args()
    text = (
        "Iterations, Sinkhorn + Newton, to a marginal error (L1, both marginals). Several seeds: "
        "median (range), and of the errors the largest. Between records, every one to ten "
        "Sinkhorn iterations, counts are rounded up. *end*: how a solve to tolerance 0 ended, "
        f"within {MAX_TIME:.0f} s.\n"
    )
    for group in options.groups:
        text += f"\n## {group}\n\n{table(group)}\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()

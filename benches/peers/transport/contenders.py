"""The solvers: each imports its framework when it is prepared, and not before.

Preparing is not timed, so everybody gets the problem in the layout that suits them. The plan is
part of what is timed, as some return nothing less. Everybody has their default settings and
may iterate until the time limit.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from peers.machine import versions_text
from peers.transport.cases import Problem

MAX_ITER = 1_000_000


class Answer(NamedTuple):
    """A plan, and what the contender reports of the way there."""

    plan: np.ndarray
    iterations: int
    newton: int | None = None
    """Newton steps among the iterations, where there are two kinds."""


Solve = Callable[[float], Answer]
"""From the L1 tolerance, which the contender translates into one of its own kind."""


@dataclass(frozen=True)
class Contender:
    name: str
    method: str
    packages: tuple[str, ...]
    thread_variable: str
    prepare_method: Callable[[str, Problem], Solve]

    def prepare(self, problem: Problem) -> Solve:
        return self.prepare_method(self.method, problem)

    def version(self) -> str:
        return versions_text(self.packages)

    def threads(self) -> str:
        return f"{self.thread_variable}={os.environ.get(self.thread_variable, '')}"


CONTENDERS: dict[str, Contender] = {}
OURS = "sparrot-auto"


def contender(*packages: str, methods: tuple[str, ...], threads: str):
    """Register a family, by the name of the function, with a contender for every method."""

    def register(prepare):
        for method in methods:
            name = f"{prepare.__name__}-{method}"
            CONTENDERS[name] = Contender(name, method, packages, threads, prepare)
        return prepare

    return register


def is_peer(name: str) -> bool:
    return not name.startswith("sparrot-")


@contender("sparrot", methods=("auto", "sns", "sinkhorn"), threads="SPARROT_NUM_THREADS")
def sparrot(method: str, problem: Problem) -> Solve:
    from sparrot.transport import solve

    cost, a, b, reg = problem

    def run(tol):
        result = solve(cost, a, b, reg=reg, method=method, tol=tol, max_iter=MAX_ITER)
        newton = None if method == "sinkhorn" else result.n_newton
        return Answer(result.plan, result.n_iter, newton)

    return run


@contender(
    "POT",
    methods=("sinkhorn", "sinkhorn_log", "sinkhorn_stabilized"),
    threads="OPENBLAS_NUM_THREADS",
)
def pot(method: str, problem: Problem) -> Solve:
    import ot

    cost, a, b, reg = problem

    def run(tol):
        # Its tolerance is the L2 norm of the error of the columns.
        plan, log = ot.sinkhorn(
            a,
            b,
            cost,
            reg,
            method=method,
            stopThr=tol / np.sqrt(len(b)),
            numItermax=MAX_ITER,
            log=True,
            warn=False,
        )
        return Answer(plan, log["n_iter"] if "n_iter" in log else log["niter"])

    return run


@contender(
    "regot",
    methods=("bcd", "lbfgs_dual", "newton", "sparse_newton", "ssns", "splr"),
    threads="OMP_NUM_THREADS",
)
def regot(method: str, problem: Problem) -> Solve:
    import regot

    _, a, b, reg = problem
    cost = np.asfortranarray(problem.cost)  # else it copies at every call
    solve = getattr(regot, f"sinkhorn_{method}")

    def run(tol):
        # Its tolerance is the L2 norm of the gradient.
        result = solve(cost, a, b, reg, tol=tol / np.sqrt(len(a) + len(b)), max_iter=MAX_ITER)
        return Answer(result.plan, result.niter)

    return run


@contender("ott-jax", "jax", methods=("sinkhorn",), threads="XLA_FLAGS")
def ott(method: str, problem: Problem) -> Solve:
    import jax

    jax.config.update("jax_enable_x64", True)
    from ott.geometry.geometry import Geometry
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear.sinkhorn import Sinkhorn

    cost, a, b = (jax.device_put(array) for array in problem[:3])

    @jax.jit
    def solve(cost, a, b, tol):
        geometry = Geometry(cost_matrix=cost, epsilon=problem.reg)
        solver = Sinkhorn(threshold=tol, norm_error=1, max_iterations=MAX_ITER)
        out = solver(LinearProblem(geometry, a=a, b=b))
        return out.matrix, out.n_iters

    def run(tol):
        plan, iterations = jax.block_until_ready(solve(cost, a, b, tol))
        return Answer(np.asarray(plan), int(iterations))

    return run

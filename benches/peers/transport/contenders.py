"""The solvers: each imports its framework when it is prepared, and not before.

Preparing is not timed, so everybody gets the problem in the layout that suits them, and what is
compiled is compiled by then. The plan is part of what is timed, as some return nothing less.
Everybody has their default settings and may iterate until the time limit.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import NamedTuple

import numpy as np

from peers.machine import versions_text
from peers.transport.cases import Case, Problem

MAX_ITER = 1_000_000


class Answer(NamedTuple):
    """A plan, and what the contender reports of the way there: of a batch, the most of any."""

    plan: np.ndarray | list[np.ndarray]
    """The plans of a batch may come one by one."""
    iterations: int
    newton: int | None = None
    """Newton steps among the iterations, where there are two kinds."""
    cg: int | None = None
    """Iterations of conjugate gradients in those."""
    potentials: tuple[np.ndarray, np.ndarray] | None = None
    """Of an unbalanced plan, which is ``a b' exp((f + g - C) / reg)``."""


Solve = Callable[[float], Answer]
"""From the L1 tolerance, which the contender translates into one of its own kind."""


class Prepared(NamedTuple):
    solve: Solve
    compile_seconds: float = 0


@dataclass(frozen=True)
class Contender:
    name: str
    method: str
    packages: tuple[str, ...]
    thread_variable: str
    batches_only: bool
    balance: tuple[bool, ...]
    """Whether it takes unbalanced problems: both kinds, or one."""
    prepare_method: Callable[[str, Problem], Prepared]

    def takes(self, case: Case) -> bool:
        return (case.is_batch or not self.batches_only) and case.is_unbalanced in self.balance

    def prepare(self, problem: Problem) -> Prepared:
        return self.prepare_method(self.method, problem)

    def version(self) -> str:
        return versions_text(self.packages)

    def threads(self) -> str:
        return f"{self.thread_variable}={os.environ.get(self.thread_variable, '')}"


CONTENDERS: dict[str, Contender] = {}
OURS = "sparrot-auto"
OUR_SINKHORN = "sparrot-sinkhorn"
NOT_BY_DEFAULT = ("sparrot-sns", "regot-newton", "regot-sparse_newton")


def contender(
    *packages: str,
    methods: tuple[str, ...],
    threads: str,
    batches_only: bool = False,
    balance: tuple[bool, ...] = (False,),
):
    """Register a family, by the name of the function, with a contender for every method."""

    def register(prepare):
        for method in methods:
            name = f"{prepare.__name__}-{method}"
            CONTENDERS[name] = Contender(
                name, method, packages, threads, batches_only, balance, prepare
            )
        return prepare

    return register


def one_by_one(prepare):
    """Make who takes single problems take batches, too."""

    @wraps(prepare)
    def prepare_all(method: str, problem: Problem) -> Prepared:
        if not problem.is_batch:
            return prepare(method, problem)
        solves = [prepare(method, single).solve for single in problem.singles()]

        def run(tol):
            answers = [solve(tol) for solve in solves]
            return Answer([a.plan for a in answers], max(a.iterations for a in answers))

        return Prepared(run)

    return prepare_all


def is_peer(name: str) -> bool:
    return not name.startswith("sparrot-")


@contender("sparrot", methods=("sns", "sinkhorn"), threads="SPARROT_NUM_THREADS")
def sparrot(method: str, problem: Problem) -> Prepared:
    from sparrot import transport

    cost, a, b, reg, _ = problem

    def run(tol):
        settings = {"reg": reg, "method": method, "tol": tol, "max_iter": MAX_ITER}
        if problem.is_batch:  # its weights are uniform, the default
            result = transport.solve_batch(cost, **settings)
            plan = result.plans
        else:
            result = transport.solve(cost, a, b, **settings)
            plan = result.plan
        inner = () if method == "sinkhorn" else (result.n_newton, result.n_cg)
        return Answer(plan, *(int(np.max(count)) for count in (result.n_iter, *inner)))

    return Prepared(run)


def sparrot_auto(method: str, problem: Problem) -> Prepared:
    from sparrot import transport

    cost, a, b, reg, reg_m = problem
    if not problem.is_unbalanced:
        return sparrot(method, problem)

    def run(tol):
        result = transport.solve_unbalanced(
            cost, a, b, reg=reg, reg_m=reg_m, tol=tol, max_iter=MAX_ITER
        )
        counts = result.n_iter, result.n_newton, result.n_cg
        return Answer(result.plan, *counts, potentials=result.potentials)

    return Prepared(run)


CONTENDERS[OURS] = Contender(
    OURS, "auto", ("sparrot",), "SPARROT_NUM_THREADS", False, (False, True), sparrot_auto
)


@contender(
    "POT",
    methods=("sinkhorn", "sinkhorn_stabilized", "sinkhorn_translation_invariant"),
    threads="OPENBLAS_NUM_THREADS",
    balance=(True,),
)
def pot_unbalanced(method: str, problem: Problem) -> Prepared:
    import ot

    cost, a, b, reg, reg_m = problem

    def run(tol):
        # Its tolerance is the largest change of a scaling in one iteration, as a share: what the
        # marginals miss just before.
        plan, log = ot.unbalanced.sinkhorn_unbalanced(
            a,
            b,
            cost,
            reg,
            reg_m,
            method=method,
            stopThr=tol,
            numItermax=MAX_ITER,
            log=True,
        )
        potentials = reg * log["logu"], reg * log["logv"]
        return Answer(plan, len(log["err"]), potentials=potentials)

    return Prepared(run)


@contender(
    "POT",
    methods=("sinkhorn", "sinkhorn_log", "sinkhorn_stabilized"),
    threads="OPENBLAS_NUM_THREADS",
)
@one_by_one
def pot(method: str, problem: Problem) -> Prepared:
    import ot

    cost, a, b, reg, _ = problem

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

    return Prepared(run)


@contender(
    "POT",
    methods=("sinkhorn", "log_sinkhorn"),
    threads="OPENBLAS_NUM_THREADS",
    batches_only=True,
)
def pot_batch(method: str, problem: Problem) -> Prepared:
    from ot.batch import solve_batch

    cost, a, _, reg, _ = problem

    def run(tol):
        # Uniform weights are the default. Its tolerance is the largest L2 norm of an error of rows.
        result = solve_batch(
            cost, reg, method=method, tol=tol / np.sqrt(len(a)), max_iter=MAX_ITER, grad="detach"
        )
        return Answer(result.plan, result.log["n_iter"])

    return Prepared(run)


@contender(
    "regot",
    methods=("bcd", "lbfgs_dual", "newton", "sparse_newton", "ssns", "splr"),
    threads="OMP_NUM_THREADS",
)
@one_by_one
def regot(method: str, problem: Problem) -> Prepared:
    import regot

    _, a, b, reg, _ = problem
    cost = np.asfortranarray(problem.cost)  # else it copies at every call
    solve = getattr(regot, f"sinkhorn_{method}")

    def run(tol):
        # Its tolerance is the L2 norm of the gradient.
        result = solve(cost, a, b, reg, tol=tol / np.sqrt(len(a) + len(b)), max_iter=MAX_ITER)
        return Answer(result.plan, result.niter)

    return Prepared(run)


@contender("ott-jax", "jax", methods=("sinkhorn",), threads="XLA_FLAGS")
def ott(method: str, problem: Problem) -> Prepared:
    import jax

    jax.config.update("jax_enable_x64", True)
    from ott.geometry.geometry import Geometry
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear.sinkhorn import Sinkhorn

    # It keeps an error for every ten iterations allowed and, in a batch, copies them all each time.
    max_iter = MAX_ITER // 50 if problem.is_batch else MAX_ITER

    def solve(cost, a, b, tol):
        geometry = Geometry(cost_matrix=cost, epsilon=problem.reg)
        solver = Sinkhorn(threshold=tol, norm_error=1, max_iterations=max_iter)
        out = solver(LinearProblem(geometry, a=a, b=b))
        return out.matrix, out.n_iters

    if problem.is_batch:
        solve = jax.vmap(solve, in_axes=(0, None, None, None))
    arrays = [jax.device_put(array) for array in problem[:3]]
    start = time.perf_counter()
    compiled = jax.jit(solve).lower(*arrays, 1.0).compile()
    seconds = time.perf_counter() - start

    def run(tol):
        plan, iterations = jax.block_until_ready(compiled(*arrays, tol))
        return Answer(np.asarray(plan), int(iterations.max()))

    return Prepared(run, seconds)


DEFAULT = [name for name in CONTENDERS if name not in NOT_BY_DEFAULT]

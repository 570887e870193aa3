"""Whole solves beside what else solves the same problem, in seconds to the same accuracy.

Systems on graphs beside a factorisation and conjugate gradients, the same with bounds beside
L-BFGS-B, a label that changes, and the Lasso. The runner measures what everybody returns.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg, spsolve

from sparrot.descent import LeastSquares, Quadratic, block_coordinate_descent

TOLERANCES = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11)
LONG = 2.0
"""Seconds from which on a solve is not repeated."""
LIMIT = 10.0
"""Seconds that ours gets."""
FORESTS = {
    "forest": {"partition": "forest", "selection": "gs"},
    "trees": {"partition": "trees", "selection": "cyclic"},
}


def measured(repeats: int) -> Iterator[dict]:
    """Yield a row for each problem: what it is, and seconds by contender, None if not there."""
    from peers.descent.run import SIDE, example

    propagation, lattice, moons = (example()[n] for n in ("propagation", "data_d", "data_e"))
    graphs = {
        "D, 50 x 50": propagation(*lattice(SIDE)),
        "E, 2000 points": propagation(*moons(2000)),
        "lattice, 300 x 300": propagation(*lattice(300)),
        "moons, 200,000 points": propagation(*moons(200_000)),
    }
    for name, (A, b) in graphs.items():
        yield row(f"{name}: residual 1e-8", on_graph(A, b), repeats)
    for name in ("D, 50 x 50", "lattice, 300 x 300"):
        yield row(f"{name}, x >= 0: 1e-8 of the objective", bounded(*graphs[name]), repeats)
    name = "moons, 200,000 points"
    changes = changed(*graphs[name])
    yield row(f"{name}, one label changed: residual 1e-4 of what it was", changes, repeats)
    for share in (10, 100):
        yield row(f"A, Lasso, max/{share}: gap 1e-6", lasso(share), repeats)


Contender = tuple[Callable[[float], object], Callable[[object], bool]]


def row(name: str, contenders: dict[str, Contender], repeats: int) -> dict:
    found = {label: seconds(*contender, repeats) for label, contender in contenders.items()}
    print(name, found, flush=True)
    return {"case": name, "seconds": found}


def seconds(solve: Callable, is_there: Callable, repeats: int) -> float | None:
    """Return the median time with the loosest tolerance that is enough."""
    for tol in TOLERANCES:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = solve(tol)
        first = time.perf_counter() - start
        if is_there(answer):
            return first if first > LONG else statistics.median(again(solve, tol, repeats))
        if first > 0.9 * LIMIT:
            break
    return None


def again(solve: Callable, tol: float, repeats: int) -> list[float]:
    times = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(repeats):
            start = time.perf_counter()
            solve(tol)
            times.append(time.perf_counter() - start)
    return times


def descend(problem, x0=None, **choices):
    def solve(tol: float):
        return block_coordinate_descent(
            problem, x0=x0, tol=tol, max_iter=10**7, max_time=LIMIT, **choices
        ).x

    return solve


def jacobi(A, b, x0=None):
    inverse = 1 / A.diagonal()
    scaled = LinearOperator(A.shape, lambda r: inverse * r.ravel(), dtype=float)
    return lambda tol: cg(A, b, x0, rtol=0, atol=tol * np.linalg.norm(b), M=scaled)[0]


def on_graph(A, b) -> dict[str, Contender]:
    columns = A.tocsc()

    def is_there(x) -> bool:
        return np.linalg.norm(A @ x - b) <= 1e-8 * np.linalg.norm(b)

    solvers = {"spsolve": lambda tol: spsolve(columns, b), "CG, Jacobi": jacobi(A, b)}
    solvers |= {f"sparrot, {k}": descend(Quadratic(A, b), **c) for k, c in FORESTS.items()}
    return {name: (solve, is_there) for name, solve in solvers.items()}


def bounded(A, b) -> dict[str, Contender]:
    problem = Quadratic(A, b, bounds=(0, np.inf))

    def value(x) -> float:
        return x @ (A @ x) / 2 - b @ x

    best = value(descend(problem, **FORESTS["trees"])(1e-10))

    def quasi_newton(tol: float):
        options = {"maxiter": 10**6, "maxfun": 10**6, "ftol": 1e-3 * tol, "gtol": 0}
        return minimize(
            lambda x: (value(x), A @ x - b),
            np.zeros(len(b)),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * len(b),
            options=options,
        ).x

    def is_there(x) -> bool:
        return x.min() >= 0 and value(x) - best <= 1e-8 * abs(best)

    solvers = {"L-BFGS-B": quasi_newton}
    solvers |= {f"sparrot, {k}": descend(problem, **choices) for k, choices in FORESTS.items()}
    return {name: (solve, is_there) for name, solve in solvers.items()}


def changed(A, b) -> dict[str, Contender]:
    """Change the linear part of five variables next to each other, from the old solution."""
    old = jacobi(A, b)(1e-13)
    now = b.copy()
    place = int(np.flatnonzero(b)[0])
    now[A[[place]].indices] += 1
    before = np.linalg.norm(A @ old - now)

    def is_there(x) -> bool:
        return np.linalg.norm(A @ x - now) <= 1e-4 * before

    problem = Quadratic(A, now)
    small = {"selection": "gsd", "update": "matrix", "block_size": 16}
    solvers = {
        "CG, Jacobi": jacobi(A, now, old),
        "sparrot, forest": descend(problem, old, **FORESTS["forest"]),
        "sparrot, blocks of 16": descend(problem, old, **small),
    }
    return {name: (solve, is_there) for name, solve in solvers.items()}


def lasso(share: int) -> dict[str, Contender]:
    from sklearn.linear_model import Lasso

    from peers.descent.run import data
    from sparrot import linear_model

    A, b, *_ = data("A")
    penalty = np.abs(A.T @ b).max() / share
    n = len(b)
    problem = LeastSquares(A, b, l1=penalty)

    def gap(x) -> float:
        residual = b - A @ x
        dual = residual * min(1, penalty / np.abs(A.T @ residual).max())
        primal = residual @ residual / 2 + penalty * np.abs(x).sum()
        return primal - (b @ b - (b - dual) @ (b - dual)) / 2

    def is_there(x) -> bool:
        return gap(x) <= 1e-6 * (b @ b) / 2

    def estimator(of):
        def solve(tol: float):
            options = {"alpha": penalty / n, "fit_intercept": False, "tol": tol}
            return of(**options, max_iter=100_000).fit(sparse.csc_matrix(A), b).coef_

        return solve

    solvers = {
        "scikit-learn": estimator(Lasso),
        "sparrot.linear_model": estimator(linear_model.Lasso),
    }
    solvers |= {
        f"sparrot.descent, blocks of {size}": descend(problem, block_size=size)
        for size in (64, 512)
    }
    return {name: (solve, is_there) for name, solve in solvers.items()}

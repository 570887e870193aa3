"""Block coordinate descent."""

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._native import Status, simd_level
from sparrot._validation import as_choice, as_count, as_positive, as_seed, as_threads
from sparrot.descent._linear import LeastSquares
from sparrot.descent._problem import Problem
from sparrot.descent._quadratic import Quadratic
from sparrot.descent._result import DescentResult, DescentState
from sparrot.errors import ConvergenceWarning, InvalidInputError

FIXED = ("order", "sorted", "averaged", "row-sum-sorted", "row-sum-averaged")
GRAPH = ("trees", "red-black", "forest")
PARTITIONS = ("variable", *FIXED, *GRAPH)
SELECTIONS = ("random", "cyclic", "lipschitz", "gs", "gsl", "gsd", "gsq")
UPDATES = (
    "gradient",
    "backtracking",
    "matrix",
    "newton",
    "exact",
    "two-metric",
    "message-passing",
)
_BLOCK_SIZE = 32


def block_coordinate_descent(
    problem: Problem,
    *,
    partition: object = "variable",
    selection: str = "gsd",
    update: str = "auto",
    block_size: int | None = None,
    x0: object = None,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    max_time: float | None = None,
    rng: object = None,
    callback: Callable[[DescentState], object] | None = None,
    verbose: int = 0,
    n_threads: int | None = None,
) -> DescentResult:
    """Minimise a problem, one block of variables at a time [1]_.

    Parameters
    ----------
    problem : LeastSquares, Logistic, Multinomial, GeneralizedLinear or Quadratic
        What to minimise.
    partition : str or list of array_like of int, default="variable"
        Which blocks there are (sections 2 and 5.2 of [1]_).

        - "variable": any ``block_size`` variables; the rule finds them.
        - "order", "sorted", "averaged": consecutive runs of the variables as they are, sorted by
          Lipschitz constant, or taken alternately from the smallest and the largest constants;
          "row-sum-sorted" and "row-sum-averaged" do the same by row sums of the Hessian's bound.
        - "forest": any forest of a quadratic's graph; the rule finds a maximal one.
        - "trees": a partition of the graph into forests. "red-black": one into colours, without
          an edge inside a block.
        - a list of arrays: these blocks, disjoint and of all variables.

    selection : {"random", "cyclic", "lipschitz", "gs", "gsl", "gsd", "gsq"}, default="gsd"
        Which block is chosen (section 3). "random": uniformly. "cyclic": in turn. "lipschitz": at
        random, by Lipschitz constants. The greedy rules: "gs", the largest gradient; "gsl", the
        largest over the root of the block's Lipschitz constant; "gsd", over the roots of the
        variables' own constants; "gsq", the largest progress that the Hessian's bound guarantees,
        on free blocks approximately, by iterative hard thresholding, and with a penalty by what
        the variables promise by themselves.
    update : str, default="auto"
        What is done with a block (sections 4, 5.1 and 7).

        - "gradient", "backtracking": a gradient step with the block's Lipschitz constant, or with
          one found by doubling.
        - "matrix": the minimum of the model with the fixed upper bound of the Hessian.
        - "newton": the minimum of the model with the Hessian, and a line search. With a penalty
          both are proximal Newton steps.
        - "exact": Newton steps until the block is at its minimum.
        - "two-metric": Newton on the variables that are free to move, gradient steps to the bounds
          and kinks, projected.
        - "message-passing": the exact minimum of a quadratic over a forest in linear time; with a
          penalty, two-metric projection whose systems are solved that way.
        - "auto": "message-passing" for the partitions of a graph, else "matrix" for least squares
          and quadratics, else "newton".

    block_size : int, optional
        Variables of a block, where the partition does not say: 32 by default, and at most all.
    x0 : array_like, optional
        The first point, within the bounds: by default 0, or what is nearest to it.
    tol : float, default=1e-6
        The stationarity to reach: see :class:`DescentResult`.
    max_iter : int, default=10000
        Blocks to update, at most.
    max_time : float, optional
        Seconds after which to stop with the best answer so far.
    rng : int, numpy.random.Generator or alike, optional
        For the rules that choose at random: what :func:`numpy.random.default_rng` takes.
    callback : callable, optional
        Called with a :class:`DescentState` before the first and after every iteration; a true
        answer ends the solve.
    verbose : int, default=0
        1 prints a line for an iteration, at most ten times a second.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default. The result has the same bits for any
        number.

    Returns
    -------
    DescentResult
        With ``x``, its certificates, and the trace of objective and support.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described, choices do not go together, a block that should be a
        forest has a cycle, or the objective has no minimum.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the stationarity is above ``tol``; the result is returned with ``converged=False``.

    See Also
    --------
    sparrot.linear_model.Lasso : Least squares with an L1 norm, faster.

    Notes
    -----
    The gradient is kept from step to step: with sparse data a step costs the rows that its block
    touches, and the greedy rules find the next block among what has changed, in a tournament tree.

    References
    ----------
    .. [1] Nutini, Laradji, Schmidt, "Let's Make Block Coordinate Descent Converge Faster", JMLR 23
       (2022), arXiv 1712.08859.

    Examples
    --------
    Non-negative least squares; once the support is found, a step on a block that holds it ends:

    >>> import numpy as np
    >>> from sparrot.descent import LeastSquares, block_coordinate_descent
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(100, 300))
    >>> b = A[:, :20] @ rng.random(20)
    >>> problem = LeastSquares(A, b, l1=10.0, bounds=(0, np.inf))
    >>> result = block_coordinate_descent(problem, block_size=50, tol=1e-12)
    >>> result.converged, result.n_iter <= 10, result.support_changed <= result.n_iter
    (True, True, True)
    """
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    if not isinstance(problem, Problem):
        raise InvalidInputError(
            f"problem is {type(problem).__name__}: needs a LeastSquares, Logistic, Multinomial, "
            "GeneralizedLinear or Quadratic"
        )
    size = int(np.prod(problem.shape))
    blocks = _as_partition(partition, problem, size)
    selection = as_choice(selection, "selection", SELECTIONS)
    tol = as_positive(tol, "tol", zero=True)
    settings = {
        "partition": blocks,
        "selection": selection,
        "update": _as_update(update, blocks, problem),
        "block_size": _as_block_size(block_size, size),
        "tol": tol,
        "max_iter": as_count(max_iter, "max_iter", least=0),
        "seed": as_seed(rng),
    }
    if callback is not None and not callable(callback):
        raise InvalidInputError(f"callback is {callback!r}: needs a function")
    start = time.perf_counter()
    raw = _sparrot.descent_solve(
        problem._native,
        problem._penalty,
        problem._start(x0),
        settings,
        None if max_time is None else as_positive(max_time, "max_time", zero=True),
        _observer(callback, as_count(verbose, "verbose", least=0)),
        as_threads(n_threads),
    )
    result = _dressed(problem, raw, tol, time.perf_counter() - start)
    if not result.converged:
        warnings.warn(result.message, ConvergenceWarning, stacklevel=2)
    return result


def _as_partition(value: object, problem: Problem, size: int) -> str | list[list[int]]:
    if isinstance(value, str):
        name = as_choice(value, "partition", PARTITIONS)
        if name in GRAPH and not isinstance(problem, Quadratic):
            raise InvalidInputError(
                f"partition is {name!r}: needs a Quadratic, whose matrix is the graph"
            )
        return name
    try:
        blocks = [np.asarray(block) for block in value]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"partition is {value!r}: needs a name or a list of arrays"
        ) from None
    for k, block in enumerate(blocks):
        if block.ndim != 1 or block.dtype.kind not in "iu" or block.size == 0:
            raise InvalidInputError(
                f"partition[{k}] has shape {block.shape} and dtype {block.dtype}: needs a "
                "one-dimensional array of indices, not empty"
            )
    every = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int64)
    outside = (every < 0) | (every >= size)
    if outside.any():
        raise InvalidInputError(
            f"partition has the index {every[outside][0]}: needs indices from 0 to {size - 1}"
        )
    counts = np.bincount(every.astype(np.int64), minlength=size)
    if (counts != 1).any():
        i = int(np.flatnonzero(counts != 1)[0])
        raise InvalidInputError(
            f"partition has variable {i} in {counts[i]} blocks: needs each in one"
        )
    return [block.tolist() for block in blocks]


def _as_update(value: object, blocks: str | list[list[int]], problem: Problem) -> str:
    name = as_choice(value, "update", ("auto", *UPDATES))
    if name == "message-passing" and not isinstance(problem, Quadratic):
        raise InvalidInputError("update is 'message-passing': needs a Quadratic")
    if name != "auto":
        return name
    if isinstance(blocks, str) and blocks in GRAPH:
        return "message-passing"
    return "matrix" if isinstance(problem, Quadratic | LeastSquares) else "newton"


def _as_block_size(value: object, size: int) -> int:
    if value is None:
        return min(_BLOCK_SIZE, size)
    block_size = as_count(value, "block_size")
    if block_size > size:
        raise InvalidInputError(
            f"block_size is {block_size}: needs at most {size}, the number of variables"
        )
    return block_size


def _observer(
    callback: Callable[[DescentState], object] | None, verbose: int
) -> Callable[..., bool] | None:
    """Return what the solver calls after an iteration, if anybody is interested."""
    if callback is None and not verbose:
        return None
    next_line = 0.0

    def observe(*figures: Any) -> bool:
        nonlocal next_line
        state = DescentState(*figures[:5])
        if verbose and time.monotonic() >= next_line:
            next_line = time.monotonic() + 0.1
            sys.stdout.write(
                f"{state.iteration:>8d}  time {state.time:8.3f} s  "
                f"objective {state.objective:+17.10e}  stationarity {state.certificate:.3e}  "
                f"not zero {state.sparsity}\n"
            )
        return callback is not None and bool(callback(state))

    return observe


def _dressed(problem: Problem, raw: dict[str, Any], tol: float, seconds: float) -> DescentResult:
    status = Status(raw["status"])
    trace = {name: values for name, values in raw["trace"].items() if name != "phase"}
    x = raw["x"].reshape(problem.shape)
    return DescentResult(
        x=x,
        objective=raw["value"],
        stationarity=raw["stationarity"],
        gap=raw["gap"],
        converged=status is Status.CONVERGED,
        status=status,
        message=_message(status, raw["stationarity"], raw["n_iter"], tol),
        n_iter=raw["n_iter"],
        support=np.flatnonzero(x),
        support_changed=raw["support_changed"],
        tol=tol,
        trace=trace,
        timings={"solve": seconds},
    )


def _message(status: Status, stationarity: float, n_iter: int, tol: float) -> str:
    """Say how it ended and what to do about it."""
    reached = f"stationarity {stationarity:.3g} after {n_iter} iterations"
    if status is Status.CONVERGED:
        return f"converged: {reached}"
    advice = {
        Status.MAX_ITER: "allow more (max_iter), larger blocks (block_size), or a greedy rule with "
        "second-order updates",
        Status.MAX_TIME: "allow more (max_time)",
        Status.CALLBACK: "the callback asked to stop",
        Status.STALLED: "rounding allows no less",
    }[status]
    return f"not converged ({status.value}): {reached}, above tol={tol:g}: {advice}"

"""One call of sparrot's solver, with what POT's users expect to hear about it."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sparrot import Status, transport
from sparrot._validation import FloatArray, as_floats, as_points
from sparrot.errors import ConvergenceWarning
from sparrot.interop.pot._input import Limits, Start, numpy_only, tell
from sparrot.interop.pot._points import dist
from sparrot.transport import TransportResult

# As a share of the mass. Below it rounding decides, and a solver would only waste its time.
_LEAST_TOL = 1e-13

_NATIVE_METRICS = ("sqeuclidean", "euclidean", "cosine")


class Costs(NamedTuple):
    """Where the costs come from."""

    solve: Callable[..., TransportResult]
    """:func:`transport.solve` or :func:`transport.solve_sample` with its costs in place."""
    dtype: np.dtype[Any]


def costs_from_matrix(matrix: object) -> Costs:
    """Take a cost matrix.

    Costs at the largest number of their type forbid their edges: ``numpy.nan_to_num`` makes that
    of ``inf``, in POT's own modules too.
    """
    costs = as_floats(numpy_only(matrix, "M"), "M", ndim=2)
    largest = np.finfo(costs.dtype).max
    if costs.size and costs.max() == largest:
        costs = np.where(costs == largest, np.inf, costs).astype(costs.dtype)
    return Costs(partial(transport.solve, costs), costs.dtype)


def costs_from_points(x: FloatArray, y: FloatArray, metric: Any) -> Costs:
    """Take two sets of points; the metrics that the solver does not know become a matrix."""
    if metric in _NATIVE_METRICS:
        return Costs(partial(transport.solve_sample, x, y, metric=metric), np.result_type(x, y))
    return costs_from_matrix(dist(x, y, metric))


def points(value: object, name: str) -> FloatArray:
    """Take points of NumPy."""
    return as_points(numpy_only(value, name), name)


def run(
    costs: Costs,
    a: FloatArray | None,
    b: FloatArray | None,
    reg: Any,
    *,
    limits: Limits,
    init: Start,
    verbose: object,
    warn: object,
) -> TransportResult:
    """Solve until POT would be content, and warn as it does if that is not reached."""
    weights = a if a is not None else b
    mass = 1.0 if weights is None else float(weights.sum(dtype=np.float64))
    # Both marginals' absolute errors, together, are at least the 2-norm and the largest error of
    # either; the solver measures them as a share of the mass. An unusable mass is its to report.
    tol = limits.stop / mass if 0 < mass < np.inf else limits.stop
    with _quiet_solver():
        result = costs.solve(
            a,
            b,
            reg=reg,
            tol=min(max(tol, _LEAST_TOL), 2.0),
            max_iter=limits.max_iter,
            init=init,
            verbose=int(bool(verbose)),
        )
    if warn and not _content(result, limits.stop):
        tell(_message(result, limits))
    return result


def _content(result: TransportResult, stop: float) -> bool:
    """Return whether POT would stop here."""
    if result.marginal_error * result.a.sum() <= stop:
        return True
    if stop == 0:
        return False
    # The sum of absolute errors is above what POT asks of their 2-norm, which may be below.
    n, m = result.shape
    rows = result.apply(np.ones(m)) - result.a
    columns = result.apply(np.ones(n), transpose=True) - result.b
    return bool(max(np.linalg.norm(rows), np.linalg.norm(columns)) < stop)


def _message(result: TransportResult, limits: Limits) -> str:
    stop, max_iter = limits.names
    advice = (
        f"allow more ({max_iter}) or use a larger reg"
        if result.status is Status.MAX_ITER
        else "rounding allows no less, or forbidden edges leave no plan; use a larger reg"
    )
    error = result.marginal_error * result.a.sum()
    return (
        f"Sinkhorn did not converge: marginal error {error:.3g} after {result.n_iter} iterations, "
        f"above {stop}={limits.stop:g}: {advice}"
    )


_solving = 0
_solving_lock = threading.Lock()
_silence = ExitStack()


@contextmanager
def _quiet_solver() -> Iterator[None]:
    """Keep the solver's own warning from the user, to whom ``tol`` and ``max_iter`` mean nothing.

    ``warnings.catch_warnings`` puts back what it found. Of threads that overlap, each would put
    back the silence of another; so the first of them begins it and the last one ends it.
    """
    global _solving
    with _solving_lock:
        if _solving == 0:
            _silence.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", ConvergenceWarning)
        _solving += 1
    try:
        yield
    finally:
        with _solving_lock:
            _solving -= 1
            if _solving == 0:
                _silence.close()

"""Sketches and least squares of Dask arrays (needs dask).

================  ===========================================================================
:func:`lstsq`     least squares with proven bounds, each block read where it is
:func:`sketch`    ``S @ A`` for a random ``S`` of few rows
================  ===========================================================================

In each pass every block of rows becomes a state of a size that does not depend on its rows, on the
worker that holds it; states are merged by pairs, in an order that the blocks alone decide. So
results have the same bits for any number of workers, and what a lost worker had done is done again
by Dask.
"""

import importlib
import warnings
from typing import Any

try:
    # Not all of Dask is typed.
    dask: Any = importlib.import_module("dask")
    da: Any = importlib.import_module("dask.array")
except ImportError as error:
    raise ImportError("sparrot.interop.dask needs dask: pip install 'sparrot[dask]'") from error

import numpy as np

from sparrot._validation import FloatArray, as_choice, as_count, as_seed
from sparrot._warnings import convergence_warning
from sparrot.errors import InvalidInputError
from sparrot.sketching._looks import Look, Point
from sparrot.sketching._result import LeastSquaresResult
from sparrot.sketching._sketcher import KINDS, Sketcher
from sparrot.sketching._stream import LeastSquaresState

__all__ = ["lstsq", "sketch"]


def lstsq(
    A: Any,
    b: Any,
    *,
    ridge: float = 0.0,
    sample_weight: Any = None,
    fit_intercept: bool = False,
    rcond: float | None = None,
    tol: float = 1e-13,
    max_iter: int = 10,
) -> LeastSquaresResult:
    """Solve least squares for a Dask array, each block read where it is.

    One pass has all digits up to condition numbers of some 1e7; where that is not enough, further
    passes correct the coefficients: persist what is expensive to make. Computes at once, by the
    scheduler or cluster that is active.

    Parameters
    ----------
    A : dask.array.Array of shape (n, d)
        The matrix, in chunks of rows; columns in several chunks are brought together first.
    b : dask.array.Array or array_like of shape (n,) or (n, k)
        The right-hand sides; brought to the same chunks of rows.
    ridge : float, default=0.0
        The penalty, at least 0.
    sample_weight : dask.array.Array or array_like of shape (n,), optional
        Weights of the rows, at least 0. None for 1.
    fit_intercept : bool, default=False
        Whether there is an intercept, which has no penalty.
    rcond : float, optional
        See :meth:`sparrot.sketching.LeastSquaresState.finalize`.
    tol : float, default=1e-13
        The relative error to reach; see :func:`sparrot.sketching.lstsq`.
    max_iter : int, default=10
        Passes that correct the coefficients, at most.

    Returns
    -------
    sparrot.sketching.LeastSquaresResult
        As of :func:`sparrot.sketching.lstsq_blocks`. It has the same bits for any
        number of workers; other chunks change it within its bounds.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described or not finite; the message names the block and its first
        row.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the bounds are not within ``tol``.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sparrot.interop.dask import lstsq
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(10_000, 3))
    >>> result = lstsq(da.from_array(A, chunks=(2500, 3)), A @ [1.0, 2.0, 3.0])
    >>> result.x.round(6)
    array([1., 2., 3.])
    """
    matrix = _rows(A)
    rows = matrix.chunks[0]
    parts = [_along(b, "b", rows, (1, 2))]
    if sample_weight is not None:
        parts.append(_along(sample_weight, "sample_weight", rows, (1,)))
    targets = parts[0].shape[1] if parts[0].ndim == 2 else None
    empty = LeastSquaresState(matrix.shape[1], targets)
    columns = [matrix.to_delayed().ravel(), *(part.to_delayed().ravel() for part in parts)]
    states = [
        dask.delayed(_state, pure=True)(targets, place, start, *block)
        for place, (start, *block) in enumerate(zip(_starts(rows), *columns, strict=True))
    ]
    state: LeastSquaresState = dask.compute(_merged(states))[0] if states else empty

    def look(point: Point) -> Look:
        seen = [
            dask.delayed(_look, pure=True)(targets, point, *block)
            for block in zip(*columns, strict=True)
        ]
        all_seen: Look = dask.compute(_merged(seen))[0]
        return all_seen

    result = state._solve(ridge, fit_intercept, rcond, tol, max_iter, look)
    if not result.converged:
        warnings.warn(result.message, convergence_warning(), stacklevel=2)
    return result


def sketch(
    A: Any, size: int, *, kind: str = "sparse-sign", rng: object = None, nonzeros: int = 8
) -> FloatArray:
    """Sketch a Dask array, in one pass over its blocks.

    Computes at once, by the scheduler or cluster that is active.

    Parameters
    ----------
    A : dask.array.Array of shape (n, d)
        The matrix, in chunks of rows; columns in several chunks are brought together first.
    size : int
        The number of rows of the sketch.
    kind : {"sparse-sign", "countsketch", "gaussian"}, default="sparse-sign"
        See :func:`sparrot.sketching.sketch`, to which this is equal up to rounding.
    rng : int, numpy.random.Generator or alike, optional
        What :func:`numpy.random.default_rng` takes.
    nonzeros : int, default=8
        For "sparse-sign".

    Returns
    -------
    ndarray of shape (size, d)
        ``S @ A``, in float64, with the same bits for any number of workers.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described or not finite.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sparrot import sketching
    >>> from sparrot.interop.dask import sketch
    >>> A = np.random.default_rng(0).normal(size=(10_000, 3))
    >>> SA = sketch(da.from_array(A, chunks=(2500, 3)), 50, rng=7)
    >>> bool(abs(SA - sketching.sketch(A, 50, kind="sparse-sign", rng=7)).max() < 1e-12)
    True
    """
    matrix = _rows(A)
    options = {
        "size": as_count(size, "size"),
        "n_features": matrix.shape[1],
        "kind": as_choice(kind, "kind", KINDS),
        # Drawn once, for all blocks; an integer stays what it is, to give what it gives elsewhere.
        "rng": rng if isinstance(rng, int | np.integer) else as_seed(rng),
        "nonzeros": nonzeros,
    }
    Sketcher(**options)  # says what is wrong with them, here
    blocks = zip(_starts(matrix.chunks[0]), matrix.to_delayed().ravel(), strict=True)
    states = [dask.delayed(_sketched, pure=True)(options, start, block) for start, block in blocks]
    state: Sketcher = dask.compute(_merged(states))[0]
    return state.finalize()


def _rows(value: Any) -> Any:
    """Take an array in chunks of whole rows."""
    if not isinstance(value, da.Array):
        raise InvalidInputError(
            f"A is a {type(value).__name__}: needs a dask array; sparrot.sketching takes others"
        )
    if value.ndim != 2 or np.isnan(value.shape).any() or 0 in value.shape:
        raise InvalidInputError(f"A has shape {value.shape}: needs known (n, d), neither 0")
    return value.rechunk({1: -1})


def _along(value: Any, name: str, rows: tuple[int, ...], ndim: tuple[int, ...]) -> Any:
    """Take what belongs to the rows, in their chunks."""
    array = value if isinstance(value, da.Array) else da.from_array(np.asarray(value))
    n = sum(rows)
    if array.ndim not in ndim or array.shape[0] != n:
        raise InvalidInputError(f"{name} has shape {array.shape}: needs one for each of {n} rows")
    return array.rechunk({0: rows, 1: -1} if array.ndim == 2 else {0: rows})


def _starts(rows: tuple[int, ...]) -> list[int]:
    return [sum(rows[:place]) for place in range(len(rows))]


def _state(targets: int | None, place: int, start: int, A: Any, b: Any, *weights: Any) -> Any:
    state = LeastSquaresState(A.shape[1], targets)
    # What an error says of the block.
    state.n_blocks, state.n_rows = place, start
    state.update(A, b, *weights, n_threads=1)
    state.n_blocks = 1
    return state


def _look(targets: int | None, point: Point, A: Any, b: Any, *weights: Any) -> Look:
    block = LeastSquaresState(A.shape[1], targets)._block(A, b, *(weights or (None,)))
    return Look(point).update(*block, 1)


def _sketched(options: dict[str, Any], start: int, block: Any) -> Sketcher:
    return Sketcher(first=start, **options).update(block, n_threads=1)


def _merged(states: list[Any]) -> Any:
    """Merge by pairs, in an order that depends on nothing but their number."""
    while len(states) > 1:
        pairs = [states[place : place + 2] for place in range(0, len(states), 2)]
        states = [
            dask.delayed(_pair, pure=True)(*pair) if len(pair) > 1 else pair[0] for pair in pairs
        ]
    return states[0]


def _pair(one: Any, other: Any) -> Any:
    return one.copy().merge(other)

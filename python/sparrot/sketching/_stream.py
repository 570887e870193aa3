"""Least squares of rows that come one block after the other."""

import copy
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np

from sparrot import _sparrot
from sparrot._native import Status
from sparrot._validation import FloatArray, as_count, as_threads
from sparrot._warnings import convergence_warning
from sparrot.errors import InvalidInputError
from sparrot.sketching._looks import Look, Point, corrected
from sparrot.sketching._lstsq import (
    Settings,
    as_right_hand_sides,
    as_row_weights,
    reached,
    shaped,
    undetermined,
)
from sparrot.sketching._matrix import as_rows
from sparrot.sketching._result import LeastSquaresResult


class LeastSquaresState:
    """All that least squares need to know of rows that come in blocks.

    Of a size that does not depend on how many they are: the products of all columns, kept to twice
    the working precision, so that the coefficients have all their digits up to condition numbers of
    some 1e7, and a proven bound up to some 1e12. Blocks can have any length. Parts of the rows can
    be taken elsewhere and merged; states can be pickled. The penalty, and whether there is an
    intercept, are chosen at the end.

    Parameters
    ----------
    n_features : int
        The number of columns, d.
    n_targets : int, optional
        The number of right-hand sides, k, that come as columns. None for one, without columns.

    Attributes
    ----------
    n_rows : int
        How many rows have come.
    n_blocks : int
        In how many blocks.

    See Also
    --------
    lstsq : Of a matrix in memory.
    lstsq_blocks : Of an iterable of blocks.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sketching import LeastSquaresState, lstsq
    >>> rng = np.random.default_rng(0)
    >>> A, b = rng.normal(size=(10_000, 3)), rng.normal(size=10_000)
    >>> state = LeastSquaresState(3).update(A[:7000], b[:7000])
    >>> other = LeastSquaresState(3).update(A[7000:], b[7000:])
    >>> result = state.merge(other).finalize(fit_intercept=True)
    >>> bool(abs(result.x - lstsq(A, b, fit_intercept=True).x).max() < 1e-15)
    True
    """

    def __init__(self, n_features: int, n_targets: int | None = None) -> None:
        self._columns = as_count(n_features, "n_features")
        self._targets = None if n_targets is None else as_count(n_targets, "n_targets")
        self._moments: dict[str, Any] | None = None
        self.n_rows = 0
        self.n_blocks = 0

    def update(
        self, A: object, b: object, sample_weight: object = None, *, n_threads: int | None = None
    ) -> Self:
        """Take the next rows.

        Parameters
        ----------
        A : array_like or sparse matrix of shape (n, n_features)
            A block of any number of rows, as for :func:`lstsq`.
        b : array_like of shape (n,) or (n, n_targets)
            Their right-hand sides.
        sample_weight : float or array_like of shape (n,), optional
            Their weights, at least 0. None for 1.
        n_threads : int, optional
            See :func:`sparrot.get_num_threads`. The state has the same bits for any number.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If the block is not as described or not finite; the state is as before. The message
            names the block, the place of its first row, and the row within.
        MemoryError
            If there is no room.
        """
        threads = as_threads(n_threads)
        try:
            rows, targets, weights = self._block(A, b, sample_weight)
            self._add(_sparrot.sketching_moments(rows, targets, weights, threads))
        except InvalidInputError as error:
            place = f"block {self.n_blocks}, from row {self.n_rows} on"
            raise InvalidInputError(f"{error} ({place})") from error.__cause__
        self.n_blocks += 1
        return self

    def _block(
        self, A: object, b: object, sample_weight: object
    ) -> tuple[tuple[Any, ...], FloatArray, FloatArray | None]:
        """Validate the next rows."""
        rows, shape, _ = as_rows(A, "A")
        if shape[1] != self._columns:
            raise InvalidInputError(f"A has {shape[1]} columns: needs {self._columns}")
        targets, single = as_right_hand_sides(b, shape[0])
        if single != (self._targets is None) or targets.shape[1] != (self._targets or 1):
            given = targets.shape[:1] if single else targets.shape
            wanted = "(n,)" if self._targets is None else f"(n, {self._targets})"
            raise InvalidInputError(f"b has shape {given}: needs {wanted}")
        return rows, targets, as_row_weights(sample_weight, shape[0], zero=True)

    def _add(self, moments: dict[str, Any]) -> None:
        if self._moments is not None:
            moments = _sparrot.sketching_merged(_aligned(self._moments), _aligned(moments))
        self._moments = moments
        self.n_rows = moments["n_rows"]

    def copy(self) -> "LeastSquaresState":
        """Return a state of its own that has seen the same.

        Returns
        -------
        LeastSquaresState
            What this sees from now on it does not.
        """
        return copy.deepcopy(self)

    def merge(self, other: "LeastSquaresState") -> Self:
        """Add what another state has seen.

        Parameters
        ----------
        other : LeastSquaresState
            Of as many columns and right-hand sides, of other rows. It stays as it is.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If it is none, or of another shape.
        """
        if not isinstance(other, LeastSquaresState):
            kind = type(other).__name__
            raise InvalidInputError(f"other is a {kind}: needs a LeastSquaresState")
        for name, mine, theirs in (
            ("n_features", self._columns, other._columns),
            ("n_targets", self._targets, other._targets),
        ):
            if mine != theirs:
                raise InvalidInputError(f"other has {name}={theirs}: needs {mine}")
        if other._moments is not None:
            self._add(other._moments)
        self.n_blocks += other.n_blocks
        return self

    def finalize(
        self,
        *,
        ridge: float = 0.0,
        fit_intercept: bool = False,
        rcond: float | None = None,
        tol: float = 1e-13,
    ) -> LeastSquaresResult:
        """Solve for the rows that have come so far.

        Parameters
        ----------
        ridge : float, default=0.0
            The penalty, at least 0.
        fit_intercept : bool, default=False
            Whether there is an intercept, which has no penalty.
        rcond : float, optional
            When a column is taken to depend on others; see :func:`lstsq`. What the products do not
            resolve, about 1e-13, is always taken so.
        tol : float, default=1e-13
            The relative error to reach; see :func:`lstsq`.

        Returns
        -------
        LeastSquaresResult
            As of :func:`lstsq`, with proven bounds. ``residual_norm`` is right to some 1e-13 times
            the norm of ``b``.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If an argument is not as described, no rows have come, or a column's norm is not 0
            and not between 1e-120 and 1e120.

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If the bounds are not within ``tol``.
        """
        result = self._solve(ridge, fit_intercept, rcond, tol)
        if not result.converged:
            warnings.warn(result.message, convergence_warning(), stacklevel=2)
        return result

    def _solve(
        self,
        ridge: object,
        fit_intercept: object,
        rcond: object,
        tol: object,
        max_iter: object = 1,
        look: Callable[[Point], Look] | None = None,
    ) -> LeastSquaresResult:
        """Do the same without a warning; looking at the rows again, if that can be done."""
        started = time.perf_counter()
        settings = Settings.of(
            method="auto",
            ridge=ridge,
            fit_intercept=fit_intercept,
            rcond=rcond,
            tol=tol,
            max_iter=max_iter,
            rng=0,
            columns=self._columns,
        )
        if self._moments is None:
            raise InvalidInputError("no rows have come: call update first")
        if self._moments["largest"][self._columns] == 0:
            raise InvalidInputError("sample_weight was zero everywhere: needs a positive weight")
        moments = _aligned(self._moments)
        found = _sparrot.sketching_finalize(moments, settings.native(None))
        if look is not None:
            found = corrected(moments, found, settings, look)
        status = Status(found["status"])
        return LeastSquaresResult(
            **shaped(found, self._targets or 1, single=self._targets is None),
            rank=found["rank"],
            condition_estimate=found["condition_estimate"],
            converged=status is Status.CONVERGED,
            status=status,
            message=_message(status, found, settings, again=look is not None),
            method=found["method"],
            passes=found["passes"],
            sketch_rows=0,
            tol=settings.tol,
            timings={"solve": time.perf_counter() - started},
        )


def _aligned(moments: dict[str, Any]) -> dict[str, Any]:
    """Copy arrays that lie between words, as what comes over a network may."""
    return {
        name: np.require(value, requirements=["C", "A"]) if isinstance(value, np.ndarray) else value
        for name, value in moments.items()
    }


def _message(status: Status, found: dict[str, Any], settings: Settings, *, again: bool) -> str:
    if not np.isfinite(found["error"]):
        return (
            "nothing could be proven of the coefficients: the columns of A are dependent to nearly "
            "all digits; a larger rcond drops those that are, ridge= makes up for them"
        )
    told = undetermined(found, settings) + reached(found["error"])
    if status is Status.CONVERGED:
        return told
    told += f"; tol={settings.tol:g} asks for less"
    if not again:
        return (
            f"{told}, and one pass allows for no more: raise tol, or give the rows again, to "
            "lstsq_blocks or lstsq"
        )
    if status is Status.MAX_ITER:
        return f"{told}, and max_iter={settings.max_iter} is used up: raise either"
    return f"{told}, and rounding allows for no more: raise tol"


def lstsq_blocks(
    blocks: Iterable[tuple[Any, ...]],
    *,
    ridge: float = 0.0,
    fit_intercept: bool = False,
    rcond: float | None = None,
    tol: float = 1e-13,
    max_iter: int = 10,
    n_threads: int | None = None,
) -> LeastSquaresResult:
    """Solve least squares over blocks of rows, in memory that does not depend on how many they are.

    One pass has all digits up to condition numbers of some 1e7. Where that is not enough, and
    ``blocks`` can be iterated again, further passes correct the coefficients.

    Parameters
    ----------
    blocks : iterable of tuple
        ``(A, b)`` or ``(A, b, sample_weight)`` for some rows each, as for :func:`lstsq`: slices of
        a :class:`numpy.memmap`, batches of a file, a generator. A list, or an object that begins
        anew each time it is iterated and gives the same, allows for more than one pass; a generator
        does not.
    ridge : float, default=0.0
        The penalty, at least 0.
    fit_intercept : bool, default=False
        Whether there is an intercept, which has no penalty.
    rcond : float, optional
        See :meth:`LeastSquaresState.finalize`.
    tol : float, default=1e-13
        The relative error to reach; see :func:`lstsq`.
    max_iter : int, default=10
        Passes that correct the coefficients, at most.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Returns
    -------
    LeastSquaresResult
        As of :meth:`LeastSquaresState.finalize`.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described; the message names the block and its first row. If a
        later pass gives other rows.
    MemoryError
        If there is no room.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the bounds are not within ``tol``.

    See Also
    --------
    LeastSquaresState : The same step by step, mergeable.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sketching import lstsq_blocks
    >>> rng = np.random.default_rng(0)
    >>> def batches():
    ...     for _ in range(10):
    ...         A = rng.normal(size=(1000, 2))
    ...         yield A, A @ [1.0, 2.0] + 3
    >>> result = lstsq_blocks(batches(), fit_intercept=True)
    >>> result.x.round(6), round(result.intercept, 6)
    (array([1., 2.]), 3.0)
    """
    threads = as_threads(n_threads)
    try:
        is_once = iter(blocks) is blocks
    except TypeError:
        kind = type(blocks).__name__
        raise InvalidInputError(f"blocks is a {kind}: needs an iterable of (A, b)") from None
    state: LeastSquaresState | None = None
    for block in _blocks(blocks):
        if state is None:
            state = state_for(block[0], block[1])
        state.update(*block, n_threads=threads)
    if state is None:
        raise InvalidInputError("blocks has none: needs at least one (A, b)")

    def look(point: Point) -> Look:
        seen = Look(point)
        for block in _blocks(blocks):
            seen.update(*state._block(*block), threads)
        return seen

    again = None if is_once else look
    result = state._solve(ridge, fit_intercept, rcond, tol, max_iter, again)
    if not result.converged:
        warnings.warn(result.message, convergence_warning(), stacklevel=2)
    return result


def _blocks(blocks: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, Any, Any]]:
    """Give the blocks, each with weights or None."""
    for place, block in enumerate(blocks):
        if not isinstance(block, tuple | list) or len(block) not in (2, 3):
            found = f"a {type(block).__name__}"
            if isinstance(block, tuple | list):
                found += f" of {len(block)}"
            raise InvalidInputError(
                f"blocks has {found} as block {place}: needs (A, b) or (A, b, sample_weight)"
            )
        yield block[0], block[1], block[2] if len(block) == 3 else None


def state_for(A: object, b: Any) -> LeastSquaresState:
    """Make a state for blocks like these."""
    shape, targets = as_rows(A, "A")[1], np.shape(b)
    return LeastSquaresState(shape[1], targets[1] if len(targets) == 2 else None)

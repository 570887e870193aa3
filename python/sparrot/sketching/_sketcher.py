"""A sketch of rows that come one block after the other."""

import copy
from typing import Self

import numpy as np

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_choice, as_count, as_seed, as_threads
from sparrot.errors import InvalidInputError
from sparrot.sketching._matrix import as_rows
from sparrot.sketching._sketch import as_kind

KINDS = ("sparse-sign", "countsketch", "gaussian")
# Rows are numbered by 64-bit integers.
_MOST_ROWS = 2**62


class Sketcher:
    """The sketch of a matrix whose rows come in blocks, of a size that does not depend on them.

    Its numbers belong to the row's place in the matrix, so that blocks of any length give the same
    sketch as :func:`sketch` of the whole, up to rounding. Parts of a matrix can be sketched on
    their own, each from its ``first`` row, and merged. States can be pickled.

    Parameters
    ----------
    size : int
        The number of rows of the sketch.
    n_features : int
        The number of columns.
    kind : {"sparse-sign", "countsketch", "gaussian"}, default="sparse-sign"
        See :func:`sketch`. The others need all rows at once.
    first : int, default=0
        The place of the first row to come.
    rng : int, numpy.random.Generator or alike, optional
        What :func:`numpy.random.default_rng` takes; for parts to be merged the same integer.
    nonzeros : int, default=8
        For "sparse-sign".

    Attributes
    ----------
    n_rows : int
        How many rows have come.

    See Also
    --------
    sketch : Of a whole matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sketching import Sketcher, sketch
    >>> A = np.random.default_rng(0).normal(size=(1000, 3))
    >>> state = Sketcher(50, 3, rng=7).update(A[:600])
    >>> other = Sketcher(50, 3, rng=7, first=600).update(A[600:])
    >>> merged = state.merge(other).finalize()
    >>> bool(abs(merged - sketch(A, 50, kind="sparse-sign", rng=7)).max() < 1e-12)
    True
    """

    def __init__(
        self,
        size: int,
        n_features: int,
        *,
        kind: str = "sparse-sign",
        first: int = 0,
        rng: object = None,
        nonzeros: int = 8,
    ) -> None:
        rows, columns = as_count(size, "size"), as_count(n_features, "n_features")
        self._kind = as_kind(as_choice(kind, "kind", KINDS), None, None, nonzeros, 1)
        if rows < self._kind[1]:
            raise InvalidInputError(f"size is {rows}: needs at least the {nonzeros} nonzeros")
        start = as_count(first, "first", least=0)
        self._seed = as_seed(rng)
        self._sketch = np.zeros((rows, columns))
        # The rows that have come: from where to where.
        self._parts = [(start, start)]
        self.n_rows = 0

    def update(self, rows: object, *, n_threads: int | None = None) -> Self:
        """Take the next rows.

        Parameters
        ----------
        rows : array_like or sparse matrix of shape (n, n_features)
            A block of any number of rows, as for :func:`sketch`.
        n_threads : int, optional
            See :func:`sparrot.get_num_threads`.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If the block is not as described or not finite; the state is as before. The message
            names the row within the block and the place of the block's first row.
        """
        native, shape, _ = as_rows(rows, "rows")
        size, columns = self._sketch.shape
        if shape[1] != columns:
            raise InvalidInputError(f"rows has {shape[1]} columns: needs {columns}")
        start, end = self._parts[-1]
        if end + shape[0] > _MOST_ROWS:
            raise InvalidInputError(f"rows has {shape[0]} rows, the last beyond 2^62")
        _require_apart([(end, end + shape[0])], self._parts)
        threads = as_threads(n_threads)
        try:
            part = _sparrot.sketching_sketch(native, self._kind, size, self._seed, end, threads)
        except InvalidInputError as error:
            raise InvalidInputError(f"rows, a block from row {end} on: {error}") from None
        self._sketch += part.reshape(size, columns)
        self._parts[-1] = (start, end + shape[0])
        self.n_rows += shape[0]
        return self

    def copy(self) -> "Sketcher":
        """Return a state of its own that has seen the same.

        Returns
        -------
        Sketcher
            What this sees from now on it does not.
        """
        return copy.deepcopy(self)

    def merge(self, other: "Sketcher") -> Self:
        """Add what another state has seen.

        Parameters
        ----------
        other : Sketcher
            Of the same size, kind and seed, of other rows. It stays as it is.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If they do not belong together, or have rows in common.
        """
        if not isinstance(other, Sketcher):
            raise InvalidInputError(f"other is a {type(other).__name__}: needs a Sketcher")
        for name, mine, theirs in (
            ("shape", self._sketch.shape, other._sketch.shape),
            ("kind", self._kind, other._kind),
            ("seed, which rng= gives,", self._seed, other._seed),
        ):
            if mine != theirs:
                raise InvalidInputError(f"other has another {name} than this: {theirs}, not {mine}")
        _require_apart(other._parts, self._parts)
        self._sketch += other._sketch
        # The next rows come after the last of this.
        self._parts = [*other._parts, *self._parts]
        self.n_rows += other.n_rows
        return self

    def finalize(self) -> FloatArray:
        """Return the sketch of all rows so far.

        Returns
        -------
        ndarray of shape (size, n_features)
            A copy, in float64.
        """
        return self._sketch.copy()


def _require_apart(new: list[tuple[int, int]], known: list[tuple[int, int]]) -> None:
    """Raise if some rows are among those that have come."""
    for start, end in new:
        for first, last in known:
            if max(start, first) < min(end, last):
                raise InvalidInputError(
                    f"rows {start} to {end - 1} are to come where rows {first} to {last - 1} have: "
                    "those in common would count twice; say where each part begins with first="
                )

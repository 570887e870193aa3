"""The mergeable state of logsumexp and softmax."""

from typing import Any, Self

import numpy as np

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_choice, as_threads
from sparrot.errors import InvalidInputError
from sparrot.special._arguments import ALL_MASKED, as_axes, as_mask, as_out, as_values

_FIGURES = 6  # of a state: maximum, reference (shift, exponent), sums (of the maximum, rest, error)


class LogSumExp:
    """The logsumexp of values that come in blocks, and their softmax.

    Blocks are added with :meth:`update`, states (of other processes, say) with :meth:`merge`;
    :meth:`finalize` gives the logsumexp of all. However the values are split and in whatever order
    they come, the results differ by rounding only: each is within the error bound of
    :func:`logsumexp`. States can be pickled and copied.

    Parameters
    ----------
    axis : int or tuple of ints, optional
        What to sum over in each block, by default the whole block. The other axes are kept, and
        have the same lengths in all blocks.

    Attributes
    ----------
    count : int
        How many values of each kept position have been added.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not what it must be, or a block does not fit the ones before.

    Notes
    -----
    A state holds the maximum, the sum of the other exponentials relative to an integer power of
    two (or to the maximum itself, where it is large) and what rounding that sum has lost.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.special import LogSumExp, logsumexp
    >>> x = np.random.default_rng(0).normal(size=(3, 1000))
    >>> whole = LogSumExp(axis=1).update(x)
    >>> parts = LogSumExp(axis=1).update(x[:, :10]).merge(LogSumExp(axis=1).update(x[:, 10:]))
    >>> bool(np.allclose(parts.finalize(), logsumexp(x, axis=1), rtol=1e-15))
    True
    >>> p = parts.softmax(x[:, :10])  # the first ten probabilities of each row
    """

    def __init__(self, axis: int | tuple[int, ...] | None = None) -> None:
        self.axis = tuple(axis) if isinstance(axis, list) else axis
        self.count = 0
        self._states: FloatArray | None = None
        self._shape: tuple[int, ...] | None = None
        self._dtype: np.dtype[Any] | None = None

    def __repr__(self) -> str:
        """Return how much has been added."""
        return f"LogSumExp(axis={self.axis!r}): {self.count} values, kept shape {self._shape}"

    def update(self, x: Any, *, mask: Any = None, n_threads: int | None = None) -> Self:
        """Add a block of values.

        Parameters
        ----------
        x : array_like
            The values; see :func:`softmax`.
        mask : array_like of bool, optional
            True where a value counts.
        n_threads : int, optional
            How many threads to use at most.

        Returns
        -------
        LogSumExp
            The state itself.
        """
        values = as_values(x, "x")
        axes = as_axes(self.axis, values.ndim)
        states = _sparrot.special_run(
            values,
            None,
            axes,
            "nothing",
            "states",
            as_mask(mask, values),
            None,
            1.0,
            "nan",
            "auto",
            as_threads(n_threads),
        )
        assert states is not None
        kept, count = _split_shape(values, axes)
        self._add(states.reshape(-1, _FIGURES), kept, values.dtype, count)
        return self

    def merge(self, other: "LogSumExp") -> Self:
        """Add all the values that have been added to another state.

        Parameters
        ----------
        other : LogSumExp
            The other state, which stays as it is.

        Returns
        -------
        LogSumExp
            The state itself.
        """
        if not isinstance(other, LogSumExp):
            raise InvalidInputError(f"other is a {type(other).__name__}: needs a LogSumExp")
        if other._states is not None and other._shape is not None and other._dtype is not None:
            self._add(other._states, other._shape, other._dtype, other.count)
        return self

    def finalize(self) -> Any:
        """Return the logsumexp of all values added so far; more may follow.

        Returns
        -------
        ndarray or scalar
            Of the kept shape; ``-inf`` if there was nothing.
        """
        if self._states is None or self._shape is None:
            return np.float64(-np.inf)
        figures = _sparrot.special_finalize(self._states)
        with np.errstate(over="ignore"):
            return figures.reshape(self._shape).astype(self._dtype, copy=False)[()]

    def softmax(
        self,
        x: Any,
        *,
        out: FloatArray | None = None,
        all_masked: str = "nan",
        n_threads: int | None = None,
    ) -> FloatArray:
        """Return the probabilities of values among all those that have been added.

        Parameters
        ----------
        x : array_like
            Some of the values, of the same kept axes; none may exceed the largest one added.
        out : ndarray, optional
            Where to write; see :func:`softmax`.
        all_masked : {'nan', 'zero', 'uniform'}, default 'nan'
            What becomes of a row if nothing above ``-inf`` has been added.
        n_threads : int, optional
            How many threads to use at most.

        Returns
        -------
        ndarray
            ``exp(x) / sum(exp(all values))``, of the shape of ``x``.
        """
        values = as_values(x, "x")
        axes = as_axes(self.axis, values.ndim)
        kept, _ = _split_shape(values, axes)
        if self._states is None or kept != self._shape:
            raise InvalidInputError(f"x keeps shape {kept}: the values added kept {self._shape}")
        largest = values.max(axis=tuple(axes), initial=-np.inf).reshape(-1)
        if (largest > self._states[:, 0]).any():
            raise InvalidInputError("x has a value above all that were added: update with it first")
        place = as_out(out, values)
        _sparrot.special_normalise(
            values,
            place,
            axes,
            "softmax",
            self._states,
            as_choice(all_masked, "all_masked", ALL_MASKED),
            as_threads(n_threads),
        )
        return place

    def _add(
        self, states: FloatArray, shape: tuple[int, ...], dtype: np.dtype[Any], count: int
    ) -> None:
        if self._states is None or self._dtype is None:
            self._states, self._shape, self._dtype = states, shape, dtype
        else:
            if shape != self._shape:
                raise InvalidInputError(
                    f"x keeps shape {shape}: the values added kept {self._shape}"
                )
            merged = _sparrot.special_merge(self._states, states)
            self._states = merged.reshape(-1, _FIGURES)
            self._dtype = np.result_type(self._dtype, dtype)
        self.count += count


def _split_shape(values: FloatArray, axes: list[int]) -> tuple[tuple[int, ...], int]:
    kept = tuple(n for d, n in enumerate(values.shape) if d not in axes)
    return kept, int(np.prod([values.shape[d] for d in axes if d < values.ndim], dtype=np.int64))

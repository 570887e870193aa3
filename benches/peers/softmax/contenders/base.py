"""What a contender gets, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class UnsupportedError(Exception):
    """The contender has no such function, type or layout."""


class Task(NamedTuple):
    function: str
    base: np.ndarray
    """C-contiguous; what is computed is the function of ``x``, a view of it."""
    x: np.ndarray
    axis: int
    threads: int

    def contiguous(self) -> np.ndarray:
        if self.x is not self.base:
            raise UnsupportedError("contiguous arrays only")
        return self.x

    def output(self) -> np.ndarray:
        """Return an array for the result whose pages have all been touched."""
        shape = self.x.shape
        if self.function == "logsumexp":
            shape = shape[: self.axis] + shape[self.axis + 1 :]
        return np.full(shape, 0.5, dtype=self.x.dtype)


@dataclass(frozen=True)
class Calls:
    """What can be timed, by form; preparing it was not."""

    forms: dict[str, Callable[[], Any]]
    """``fresh`` returns a new array, ``out`` writes into one that there is."""
    to_numpy: Callable[[Any], np.ndarray] = np.asarray

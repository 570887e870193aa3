"""Fits that fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unchanged_by_failure(estimator: Any) -> Iterator[None]:
    """Give an estimator its attributes back if a fit ends before there is something new.

    Else the number of features of the new data would stand beside what was fitted to the old.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise

"""What is computed: a function of an array of some shape, along one of its axes."""

from typing import NamedTuple

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64}
PERIOD = 1_000_003
"""Random numbers drawn; longer arrays repeat them, as drawing 1e8 would take the longest."""


class Case(NamedTuple):
    function: str
    dtype: str
    rows: int
    columns: int
    layout: str = "last"
    """The axis: ``last``, ``first``, or ``strided``, the last one of every other column."""

    @property
    def name(self) -> str:
        suffix = {"last": "", "first": "-axis0", "strided": "-strided"}[self.layout]
        return f"{self.function}-{self.dtype}-{self.rows}x{count_text(self.columns)}{suffix}"

    @property
    def axis(self) -> int:
        return 0 if self.layout == "first" else 1

    @property
    def size(self) -> int:
        return self.rows * self.columns

    @property
    def bytes_moved(self) -> int:
        """The least that has to move: read once, and written once if there are as many results."""
        passes = 1 if self.function == "logsumexp" else 2
        return passes * self.size * np.dtype(DTYPES[self.dtype]).itemsize

    def base(self) -> np.ndarray:
        """Return the contiguous array that holds the data: twice as wide if ``strided``."""
        columns = 2 * self.columns if self.layout == "strided" else self.columns
        return normal((self.rows, columns), self.dtype)

    def view(self, base: np.ndarray) -> np.ndarray:
        return base[:, ::2] if self.layout == "strided" else base


def normal(shape: tuple[int, int], dtype: str) -> np.ndarray:
    """Return N(0, 16), as large as what leaves the last layer of a network."""
    rng = np.random.default_rng(0)
    period = min(PERIOD, shape[0] * shape[1])
    return np.resize(4 * rng.standard_normal(period, dtype=DTYPES[dtype]), shape)


def count_text(count: int) -> str:
    """Return powers of ten from 1e5 as such, and everything else in digits."""
    power = f"1e{len(str(count)) - 1}"
    return power if count >= 10**5 and float(power) == count else str(count)


SMALL = ((1, 1000), (64, 1000), (1, 10**5), (4096, 512))
LARGE = ((64, 50257), (32, 32000), (1, 10**6), (1, 10**7))
HUGE = (1, 10**8)
TRANSPOSED = ((512, 4096), (50257, 64))

ALL = [
    Case(function, dtype, *shape, layout)
    for function in ("softmax", "log_softmax", "logsumexp")
    for layout, shapes in (
        ("last", (*SMALL, *LARGE, HUGE)),
        ("first", TRANSPOSED),
        ("strided", (*SMALL, *LARGE)),
    )
    for shape in shapes
    for dtype in DTYPES
]
CASES = {case.name: case for case in ALL}
"""Whatever ``--cases`` may name; the default is less."""

_FEWER = {(64, 1000), (64, 50257), (1, 10**6), (50257, 64)}
_STRIDED = {(4096, 512), (1, 10**6)}
_QUICK = {(1, 1000), (64, 1000), (4096, 512), (1, 10**6), (512, 4096)}


def default_cases() -> list[str]:
    return [case.name for case in ALL if _in_default(case)]


def quick_cases() -> list[str]:
    """Return one or two cases of each kind, none of them large."""
    return [case.name for case in ALL if _in_quick(case)]


def _in_quick(case: Case) -> bool:
    shape = (case.rows, case.columns)
    if case.function == "softmax":
        return case.layout != "strided" and shape in _QUICK
    one = (1, 10**6) if case.function == "logsumexp" else (64, 1000)
    return case.layout == "last" and shape == one


def _in_default(case: Case) -> bool:
    shape = (case.rows, case.columns)
    if shape == HUGE and (case.dtype != "f32" or case.function == "log_softmax"):
        return False
    if case.layout == "strided":
        return case.function == "softmax" and shape in _STRIDED
    return case.function != "log_softmax" or shape in _FEWER

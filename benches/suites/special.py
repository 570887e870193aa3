"""How fast softmax and logsumexp are, in how much memory and how near to what they should be.

sparrot is imported in ``setup`` alone, so that a commit that cannot be imported fails in its
benchmarks and not in the discovery of them.
"""

from abc import ABC, abstractmethod

import numpy as np

DTYPES = ("float32", "float64")


class Special(ABC):
    """What is measured of every shape; being abstract, no benchmark itself."""

    params = (DTYPES,)
    param_names = ("dtype",)
    timeout = 60
    axis = -1

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def setup(self, dtype):
        from sparrot import special

        self.special = special
        self.x = (4 * np.random.default_rng(0).standard_normal(self.shape)).astype(dtype)
        self.out = np.ones_like(self.x)

    def time_softmax(self, dtype):
        self.special.softmax(self.x, axis=self.axis)

    def time_softmax_out(self, dtype):
        self.special.softmax(self.x, axis=self.axis, out=self.out)

    def time_log_softmax_out(self, dtype):
        self.special.log_softmax(self.x, axis=self.axis, out=self.out)

    def time_logsumexp(self, dtype):
        self.special.logsumexp(self.x, axis=self.axis)

    def peakmem_softmax_out(self, dtype):
        self.special.softmax(self.x, axis=self.axis, out=self.out)

    def track_error(self, dtype):
        """Return how far the largest sum is from 1, in epsilons."""
        sums = self.special.softmax(self.x, axis=self.axis).sum(self.axis, dtype=np.longdouble)
        return float(np.abs(sums - 1).max() / np.finfo(dtype).eps)

    track_error.unit = "epsilons"


class Small(Special):
    """One short row: the cost of a call."""

    shape = (1, 1000)


class Attention(Special):
    """Many short rows."""

    shape = (4096, 512)


class Vocabulary(Special):
    """A batch of long rows: what leaves the last layer of a language model."""

    shape = (64, 50257)


class Transposed(Special):
    """Along the first axis."""

    shape = (50257, 64)
    axis = 0


class Long(Special):
    """One row of 1e7, larger than most caches: the bandwidth of the memory."""

    shape = (1, 10**7)

"""The bandwidth of the memory: what moving the data takes that the others compute with.

Two ways to read and two to write, as none is the fastest at all sizes: ``copy`` bypasses the
caches when it is large, ``scale`` does not. The report takes the faster one.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from peers.softmax.contenders.base import Calls, Task

SPLIT_FROM = 2**20
"""Bytes; handing less to a second thread takes longer than it saves."""


def limit(task: Task) -> Calls:
    flat = task.x is task.base
    x = task.x.ravel() if flat else task.x
    factor = x.dtype.type(1)  # keeps the data as they are, however often
    workers = ThreadPoolExecutor(task.threads)

    def split(function, *arrays) -> Callable[[], None]:
        parts = task.threads if x.nbytes >= SPLIT_FROM else 1
        if parts == 1:
            return partial(function, *arrays)
        axis = int(np.argmax(x.shape))
        cut = [np.array_split(array, parts, axis) for array in arrays]
        calls = [partial(function, *pieces) for pieces in zip(*cut, strict=True)]

        def run():
            for future in [workers.submit(call) for call in calls]:
                future.result()

        return run

    reads = {"read": split(np.max, x)}
    if flat:
        reads["read-dot"] = split(lambda part: np.dot(part, part), x)
    if task.function == "logsumexp":
        return Calls(reads)
    y = np.full_like(x, 0.5)
    return Calls(
        reads
        | {
            "copy": split(lambda to, of: np.copyto(to, of), y, x),
            "scale": split(lambda of, to: np.multiply(of, factor, out=to), x, y),
            "in-place": split(lambda to: np.multiply(to, factor, out=to), y),
            "fresh": split(lambda of: np.multiply(of, factor), x),
        }
    )

"""The child: one contender for the whole of a run, doing what it is asked to.

``python -m peers.softmax.worker CONTENDER THREADS`` reads questions and prints answers, as lines
of JSON. A question is the name of a method of ``Worker`` under ``do``, and its arguments.
"""

import gc
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from itertools import repeat

import numpy as np

from peers.machine import version
from peers.softmax.cases import Case
from peers.softmax.contenders import CONTENDERS
from peers.softmax.contenders.base import Calls, Task, UnsupportedError

SAMPLE_SECONDS = 0.003
WARM_UP_BELOW = 0.3
"""Seconds of a call: what takes longer finds nothing in the caches that another one evicted."""


class Worker:
    def __init__(self, name: str, threads: int):
        self.name = name
        self.contender = CONTENDERS[name]
        self.threads = threads
        self.prepare_task = None
        self.calls: Calls | None = None
        self.counts: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    def start(self) -> dict:
        """Import; not part of a first call, which would be about the disk."""
        self.prepare_task = self.contender.prepare()
        return {"versions": {package: version(package) for package in self.contender.packages}}

    def prepare(self, case: list) -> dict:
        what = Case(*case)
        base = what.base()
        task = Task(what.function, base, what.view(base), what.axis, self.threads)
        self.calls = self.prepare_task(task)
        return {"forms": list(self.calls.forms)}

    def first(self, form: str) -> dict:
        """Time the first call, and find how many of them a sample takes."""
        call = self.calls.forms[form]
        first = seconds = timed(call, 1)
        count = 1
        while (seconds := min(seconds, timed(call, count) / count)) * count < SAMPLE_SECONDS:
            count = max(count + 1, round(min(SAMPLE_SECONDS / seconds * 1.2, 10 * count)))
        self.counts[form], self.seconds[form] = count, seconds
        return {"first": first}

    def sample(self, form: str) -> dict:
        call, count = self.calls.forms[form], self.counts[form]
        if self.seconds[form] < WARM_UP_BELOW:
            timed(call, count)  # as the processor may have slept, too
        cpu = time.process_time()
        seconds = timed(call, count)
        cpu = time.process_time() - cpu
        return {"seconds": seconds / count, "calls": count, "cpu_per_wall": cpu / seconds}

    def drop(self) -> dict:
        self.calls = None
        gc.collect()
        return {"dropped": True}

    def evaluate(self, function: str, source: str, targets: str) -> dict:
        """Compute the rows of one file into another, of this contender's own name."""
        x = np.load(source)
        calls = self.prepare_task(Task(function, x, x, 1, self.threads))
        form, call = next(iter(calls.forms.items()))
        np.save(f"{targets}/{self.name}.npy", calls.to_numpy(call()))
        return {"form": form}


def timed(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in repeat(None, count):
        call()
    return time.perf_counter() - start


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    if CONTENDERS[name].one_cpu and hasattr(os, "sched_setaffinity"):
        # Before any thread is started, as those inherit it.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    warnings.simplefilter("ignore")
    gc.disable()
    worker = Worker(name, threads)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"status": "ok"} | getattr(worker, question.pop("do"))(**question)
        except UnsupportedError as error:
            answer = {"status": "unsupported", "reason": str(error)}
        except Exception as error:  # whatever a contender raises is a finding
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            answer = {"status": "failed", "reason": reason[:300]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

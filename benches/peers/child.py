"""A module of this package in a process of its own, which talks in lines of JSON.

Contenders run in children: the threads they may use are set before anything is imported, and one
that crashes, hangs or eats the memory ends its own process and not the run.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

BENCHES = Path(__file__).parent.parent


class ChildEndedError(Exception):
    """The process has ended; the text says how."""


class ChildSilentError(ChildEndedError):
    """It said nothing in time, and was ended for it."""


class Child:
    """``python -m module words``, with everybody in it pinned to so many threads."""

    def __init__(self, module: str, *words: object, threads: int, **environment: str):
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, words)],
            cwd=BENCHES,
            env=os.environ | pinned(threads) | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        # A pipe cannot be read with a time limit, a queue can.
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._last_words: deque[str] = deque(maxlen=1)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def ask(self, question: dict, seconds: float) -> dict:
        self.send(question)
        return self.answer(seconds)

    def send(self, question: dict) -> None:
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended, which the attempt to read its answer will tell

    def answer(self, seconds: float) -> dict:
        """Return the next answer, or raise: in either case within the time given."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                self.close()
                raise ChildSilentError(f"no answer within {seconds:.0f} s") from None
            if line is None:
                raise ChildEndedError(self.ending())
            if line.startswith('{"'):  # frameworks may print, too
                return json.loads(line)

    def answers(self, seconds: float) -> Iterator[dict]:
        """Yield what it says until it ends; the exit status is the caller's to judge."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                yield self.answer(max(0, deadline - time.monotonic()))
        except ChildSilentError:
            raise
        except ChildEndedError:
            return

    def exit_status(self) -> int:
        return self._process.wait()

    def ending(self) -> str:
        status = self._process.wait()
        self._listener.join()
        return f"exit {status}: {''.join(self._last_words)}"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _listen(self) -> None:
        self._last_words.extend(line.strip() for line in self._process.stderr if line.strip())


def pinned(threads: int) -> dict[str, str]:
    """Return the environment that keeps everybody to so many threads."""
    variables = ("OMP", "OPENBLAS", "MKL", "SPARROT")
    many = "true" if threads > 1 else "false"
    xla = f"--xla_cpu_multi_thread_eigen={many} intra_op_parallelism_threads={threads}"
    return {f"{variable}_NUM_THREADS": str(threads) for variable in variables} | {
        "XLA_FLAGS": xla,
        "JAX_PLATFORMS": "cpu",
    }

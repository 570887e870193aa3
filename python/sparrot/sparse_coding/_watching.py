"""Iterations of the batch solvers as a user sees them: a callback, printed lines, a trace."""

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from sparrot._validation import as_count, as_flag
from sparrot.errors import InvalidInputError


class CodingState(NamedTuple):
    """What a callback sees of an iteration: all signals together, those that are done included."""

    iteration: int
    """Iterations done of the signals that are being worked on."""
    time: float
    """Seconds since the solve began."""
    objective: float
    """The sum of the objectives of all signals."""
    certificate: float
    """The largest gap or stationarity of any signal: measured on the codes of those that are done,
    of the others what the solver knows from the gradient at hand, with its rounding; of a
    stationarity before the first iteration nothing, ``inf``."""
    sparsity: int
    """How many numbers of all codes are not 0."""
    running: int
    """How many signals are being worked on."""


def as_watchers(callback: Any, verbose: Any) -> tuple[Callable[..., object] | None, bool]:
    """Check who is called, if anybody, and whether lines are printed."""
    if callback is not None and not callable(callback):
        raise InvalidInputError(f"callback is {callback!r}: needs a function")
    level = as_count(int(verbose) if isinstance(verbose, bool) else verbose, "verbose", least=0)
    return callback, level > 0


class Watching(NamedTuple):
    """Who wants to see iterations: checked."""

    callback: Callable[[CodingState], object] | None
    talks: bool
    is_on: bool
    """Whether iterations are recorded."""

    @classmethod
    def of(cls, callback: Any, verbose: Any, trace: object) -> "Watching":
        """Check each."""
        callback, talks = as_watchers(callback, verbose)
        keeps = as_flag(trace, "trace")
        return cls(callback, talks, keeps or talks or callback is not None)

    def observer(self, certificate: str) -> Callable[..., bool] | None:
        """Return what the solver calls, if anybody is interested."""
        if self.callback is None and not self.talks:
            return None
        next_line = 0.0

        def observe(*figures: Any) -> bool:
            nonlocal next_line
            state = CodingState(*figures)
            # The last line is always shown.
            if self.talks and (time.monotonic() >= next_line or state.running == 0):
                next_line = time.monotonic() + 0.1
                sys.stdout.write(
                    f"{state.iteration:>8d}  time {state.time:8.3f} s  "
                    f"objective {state.objective:+17.10e}  {certificate} {state.certificate:.3e}  "
                    f"not zero {state.sparsity:>8d}  running {state.running}\n"
                )
            return self.callback is not None and bool(self.callback(state))

        return observe

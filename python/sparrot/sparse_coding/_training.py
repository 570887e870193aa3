"""What a user sees of training while it goes on."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sparrot.sparse_coding._watching import as_watchers


class TrainingState(NamedTuple):
    """A pass over the signals, as a callback and ``history_`` know it."""

    epoch: int
    """Passes so far, over all stages."""
    n_layers: int
    """The layers that are trained in this stage."""
    loss: float
    """The mean loss of the pass, of the network as it is trained."""
    gradient: float
    """The largest derivative of the loss by a logarithm of what is learned, over the loss."""
    nonzeros: int
    """The mean number of non-zeros of a code."""
    time: float
    """Seconds since training began."""


def as_observer(callback: Any, verbose: Any) -> Callable[..., bool] | None:
    """Return what is called after each pass, if anybody wants to know."""
    callback, talks = as_watchers(callback, verbose)
    if callback is None and not talks:
        return None
    if talks:
        print(f"{'epoch':>6} {'layers':>6} {'loss':>12} {'gradient':>9} {'nnz':>6} {'s':>8}")

    def observe(
        epoch: int, time: float, loss: float, gradient: float, nonzeros: int, layers: int
    ) -> bool:
        state = TrainingState(epoch, layers, loss, gradient, nonzeros, time)
        if talks:
            figures = f"{loss:12.5e} {gradient:9.1e} {nonzeros:6d} {time:8.2f}"
            print(f"{epoch:6d} {layers:6d} {figures}", flush=True)
        return callback is not None and bool(callback(state))

    return observe

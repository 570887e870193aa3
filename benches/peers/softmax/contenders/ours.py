"""sparrot itself, by ``auto`` or by a given method."""

from functools import partial
from inspect import signature

from peers.softmax.contenders.base import Calls, Task, UnsupportedError


def sparrot(task: Task, method: str) -> Calls:
    import sparrot.special

    sparrot.set_num_threads(task.threads)
    function = getattr(sparrot.special, task.function)
    if method != "auto" and "method" not in signature(function).parameters:
        raise UnsupportedError(f"{task.function} has no choice of methods")
    # Who calls with the defaults does not spell them out.
    options = {} if method == "auto" else {"method": method}
    fresh = partial(function, task.x, axis=task.axis, **options)
    if task.function == "logsumexp":
        return Calls({"fresh": fresh})
    return Calls({"fresh": fresh, "out": partial(fresh, out=task.output())})

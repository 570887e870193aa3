"""The authors' functions, run as they are from a checkout of their repository.

github.com/IssamLaradji/BlockCoordinateDescent; its imports of names that SciPy has removed since
are answered here, and nothing else is changed.
"""

import sys
import time
import types
from pathlib import Path

import numpy as np
import scipy.sparse.linalg

LOSSES = {
    "least squares": "ls",
    "L1": "lsl1nn",
    "multinomial": "sf",
    "graph": "bp",
}
RULES = {
    ("variable", "gs"): "GS",
    ("variable", "gsl"): "GSDHb",
    ("variable", "gsd"): "GSD",
    ("variable", "gsq"): "GSQ-IHT",
    ("variable", "gsq-nn"): "gsq-nn",
    ("variable", "random"): "Random",
    ("sorted", "gs"): "GS",
    ("sorted", "gsl"): "GSL",
    ("sorted", "gsd"): "GSD",
    ("sorted", "gsq"): "GSQ",
    ("forest", "gs"): "GSTree",
}
UPDATES = {
    "gradient": "Lb",
    "matrix": "Hb",
    "two-metric": "TMP-NN",
    "projected gradient": "Lb-NN",
    "message-passing": "bpExact",
}


def modules(checkout: Path) -> types.SimpleNamespace:
    """Import their modules."""
    gone = types.ModuleType("scipy.sparse.linalg.eigen")
    arpack = types.ModuleType("scipy.sparse.linalg.eigen.arpack")
    arpack.eigsh = scipy.sparse.linalg.eigsh
    sys.modules |= {gone.__name__: gone, arpack.__name__: arpack}
    sys.path.insert(0, str(checkout))
    from src import losses
    from src.partition_rules import partition_rules
    from src.selection_rules import FB_selection_rules, VB_selection_rules
    from src.update_rules import update_rules

    return types.SimpleNamespace(
        losses=losses,
        partitions=partition_rules,
        fixed=FB_selection_rules,
        free=VB_selection_rules,
        updates=update_rules,
    )


def seconds_per_iteration(theirs, kind, A, b, partition, selection, update, size, count, l1):
    """Return the time of each of ``count`` iterations; what is cached is made before."""
    arguments = {"L2": 0, "L1": l1, "block_size": size, "update_rule": UPDATES[update]}
    loss = theirs.losses.create_lossObject(LOSSES[kind], A, b, arguments)
    rule = RULES[partition, "gsq-nn" if kind == "L1" else selection]
    is_fixed = partition == "sorted"
    blocks = theirs.partitions.get_partition(A, b, loss, size, "Sort") if is_fixed else None
    x = np.zeros(loss.n_params)
    times = []
    # Their first iteration of a forest tests itself: it is not counted, nor are first-time caches.
    for iteration in range(count + 1):
        start = time.perf_counter()
        if is_fixed:
            chosen, arguments = theirs.fixed.select(
                rule, x, A, b, loss, arguments, blocks, iteration
            )
        else:
            found = theirs.free.select(rule, x, A, b, loss, arguments, iteration)
            chosen, arguments = found
        x, arguments = theirs.updates.update(
            UPDATES[update], x, A, b, loss, arguments, chosen, iteration
        )
        loss.f_func(x, A, b)  # their loop computes it in every iteration, and so does ours
        times.append(time.perf_counter() - start)
    return times[1:]

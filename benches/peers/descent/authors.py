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
    "logistic": "lg",
    "multinomial": "sf",
    "graph": "bp",
}
RULES = {
    ("variable", "random"): "Random",
    ("variable", "gs"): "GS",
    ("variable", "gsl"): "GSDHb",
    ("variable", "gsd"): "GSD",
    ("variable", "gsq"): "GSQ-IHT",
    ("variable", "gsq-nn"): "gsq-nn",
    ("general", "gs"): "GSExactTree",
    ("forest", "gs"): "GSTree",
    ("forest", "random"): "RTree",
    ("trees", "cyclic"): "TreePartitions",
    ("red-black", "cyclic"): "RedBlackTree",
}
PARTITIONS = {"sorted": "Sort", "order": "Order"}
UPDATES = {
    "gradient": "Lb",
    "backtracking": "LA",
    "matrix": "Hb",
    "newton": "LS",
    "exact": "bpExact",
    "message-passing": "bpExact",
}
UPDATES_WITH_BOUNDS = {"gradient": "Lb-NN", "matrix": "qp-nn", "two-metric": "TMP-NN"}


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


def seconds_per_iteration(theirs, kind, A, b, choices, count, l1=0.0, graph=None):
    """Return the time of each of ``count`` iterations; what is cached is made before."""
    partition, selection, update, size = choices
    rule = "gsq-nn" if kind == "L1" else selection
    update = (UPDATES_WITH_BOUNDS if kind == "L1" else UPDATES)[update]
    arguments = {"L2": 0, "L1": l1, "block_size": size, "update_rule": update} | (graph or {})
    loss = theirs.losses.create_lossObject(LOSSES[kind], A, b, arguments)
    blocks = None
    if partition in PARTITIONS:
        blocks = theirs.partitions.get_partition(A, b, loss, size, PARTITIONS[partition])
        rule = rule if kind == "L1" else {"random": "Random"}.get(rule, rule.upper())
    else:
        rule = RULES[partition, rule]
    x = np.zeros(loss.n_params)
    times = []
    # From 1, since with 0 their graph rules test themselves; the first is not counted for what it
    # keeps.
    for iteration in range(1, count + 2):
        start = time.perf_counter()
        if blocks is not None:
            chosen, arguments = theirs.fixed.select(
                rule, x, A, b, loss, arguments, blocks, iteration
            )
        else:
            chosen, arguments = theirs.free.select(rule, x, A, b, loss, arguments, iteration)
        x, arguments = theirs.updates.update(update, x, A, b, loss, arguments, chosen, iteration)
        loss.f_func(x, A, b)  # their loop computes it in every iteration, and so does ours
        times.append(time.perf_counter() - start)
    return times[1:]


def graph_arguments(weights, labelled, values, side=None):
    """Return what their graph rules want to know of a graph."""
    labels = np.zeros(weights.shape[0])
    labels[labelled] = values
    return {
        "data_W": weights.toarray(),
        "data_y": labels,
        "data_lattice": side is not None,
        "data_nrows": side,
        "data_ncols": side,
    }

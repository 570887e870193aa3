"""The figure of the methods: a panel for each number of threads and type."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from peers import machine, output
from peers.softmax.cases import DTYPES
from peers.softmax.contenders import LIMIT, OUR_METHODS, OURS
from peers.softmax.methods import per_value

# Okabe and Ito's colours, told apart by the colour-blind too, and by markers without any colour.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
STYLES = {
    **{
        name: {"color": colour, "marker": marker, "label": name.removeprefix(f"{OURS}-")}
        for name, colour, marker in zip(OUR_METHODS, COLOURS, "osD^", strict=True)
    },
    OURS: {"color": "black", "linestyle": ":", "label": "auto"},
    LIMIT: {"color": "0.45", "linestyle": "--", "label": "copying x (limit)"},
}
TYPES = {"f32": "float32", "f64": "float64"}


def draw(cells: list[dict], results: dict, path: Path) -> None:
    threads = output.unique(cell["threads"] for cell in cells)
    dtypes = output.unique(cell["dtype"] for cell in cells)
    size = (4.6 * len(dtypes), 0.9 + 2.9 * len(threads))
    figure, axes = plt.subplots(
        len(threads), len(dtypes), figsize=size, squeeze=False, sharex=True, layout="constrained"
    )
    for row, count in zip(axes, threads, strict=True):
        for panel, dtype in zip(row, dtypes, strict=True):
            fill(panel, cells, dtype, count)
            mark_caches(panel, results["caches"], dtype, count)
            plural = "s" if count > 1 else ""
            panel.set_title(f"{TYPES[dtype]}, {count} thread{plural}", fontsize=10, pad=20)
    for panel in axes[-1]:
        panel.set_xlabel("values in the row, n")
    for row in axes:
        row[0].set_ylabel("time per value (ns)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def fill(panel, cells: list[dict], dtype: str, threads: int) -> None:
    top = 0.0
    for name in output.unique(cell["contender"] for cell in cells):
        found = per_value(cells, name, dtype, threads)
        style = {"linewidth": 1.4, "markersize": 4, **STYLES.get(name, {"label": name})}
        panel.plot(list(found), list(found.values()), **style)
        # Where a call costs more than its work, a few large figures would flatten the rest.
        top = max([top, *(value for n, value in found.items() if n >= 10**4)])
    panel.set_xscale("log")
    panel.set_ylim(0, 1.25 * top if top else None)
    panel.grid(axis="y", color="0.9")
    panel.spines[["top", "right"]].set_visible(False)


def mark_caches(panel, caches: dict[str, int], dtype: str, threads: int) -> None:
    """Mark where x and the result together fill each cache.

    The last one is shared by the cores; of the others, every thread has its own.
    """
    left, right = panel.get_xlim()
    for name, size in caches.items():
        shared = name == list(caches)[-1]
        n = size * (1 if shared else threads) / (2 * np.dtype(DTYPES[dtype]).itemsize)
        if left < n < right:
            panel.axvline(n, color="0.7", linewidth=0.8, zorder=0)
            text = f"{name}\n{machine.size_text(size)}"
            where = panel.get_xaxis_transform()
            panel.text(n, 1.0, text, transform=where, ha="center", va="bottom", fontsize=6.5)

"""
Coordinates of sketched least squares
=====================================

Least squares solved for a sketch of the rows, and how far the worst coefficient is from the exact
one, against the number of rows of the sketch. The error is
``max|x' - x| sqrt(d) smin(A) / |A x - b|``: that of each coordinate is to be small, not only their
sum of squares.

- With a Gaussian sketch of m rows the errors are normal given the sketch of ``A``, of about
  ``1 / sqrt(m - d)`` in each coordinate: the dotted line is what the largest of them then is on
  average if ``A`` has orthogonal columns. It falls like ``(m - d) ** -0.5``; what is printed as the
  slope is that exponent.
- Random and coherent data (a few heavy rows): every sketch obeys it.
- ``A = [I; 0]`` and right-hand sides outside its range, the counterexample of Price, Song and
  Woodruff (arXiv 1705.10723): dense sketches obey it as before. CountSketch does not: where one of
  its buckets has a row of ``I`` and a spike of ``b``, that coefficient is wrong by the spike,
  however many rows there are; with several entries in each column of the sketch it is wrong by a
  share of it. Shown are the largest errors over the draws and, thin, the medians.
"""  # noqa: D205, D400

import argparse
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from sparrot.sketching import lstsq

KINDS = ("srht", "circulant", "bgpt", "gaussian", "sparse-sign", "countsketch")
DENSE = KINDS[:4]


def problems(n: int, d: int) -> dict[str, tuple[Any, Any]]:
    """Return matrices and right-hand sides."""
    rng = np.random.default_rng(0)
    coherent = rng.normal(size=(n, d))
    coherent[rng.choice(n, 2 * d, replace=False)] *= 100
    counterexample = np.eye(n, d)
    found = {
        "random": (rng.normal(size=(n, d)), rng.normal(size=n)),
        "coherent": (coherent, rng.normal(size=n)),
    }
    for spikes in (4, 16):
        b = np.zeros(n)
        b[rng.choice(np.arange(d, n), spikes, replace=False)] = 1
        found[f"[I; 0], {spikes} spikes"] = counterexample, b
    return found


def errors(A: Any, b: Any, kind: str, size: int, draws: int) -> Any:
    """Return the error of the worst coordinate for each draw of a sketch."""
    exact = lstsq(A, b)
    smallest = np.linalg.svd(A, compute_uv=False)[-1]
    unit = exact.residual_norm / np.sqrt(A.shape[1]) / smallest
    options = {"method": "sketch-solve", "kind": kind, "size": size}
    found = (lstsq(A, b, rng=seed, **options).x for seed in range(draws))
    return np.array([abs(x - exact.x).max() / unit for x in found])


def predicted(d: int, size: int) -> float:
    """Return about the mean of the largest of d normal errors, for orthogonal columns."""
    normal = np.abs(np.random.default_rng(0).normal(size=(2000, d))).max(axis=1)
    return float(normal.mean() * np.sqrt(d / (size - d)))


def main(argv: list[str] | None = None) -> None:
    """Draw a panel for each problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("sketch_error.png"))
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024, 2048])
    options = parser.parse_args(argv)
    cases = problems(options.rows, options.columns)
    figure, axes = plt.subplots(1, len(cases), figsize=(14, 4), sharey=True, layout="constrained")
    for ax, (name, (A, b)) in zip(axes, cases.items(), strict=True):
        print(f"{name}: median and largest error")
        for kind in KINDS:
            draws = [errors(A, b, kind, size, options.draws) for size in options.sizes]
            middle = [float(np.median(found)) for found in draws]
            largest = [float(found.max()) for found in draws]
            cells = ", ".join(
                f"{size}: {m:.2f}/{w:.2f}"
                for size, m, w in zip(options.sizes, middle, largest, strict=True)
            )
            freedom = np.log(np.array(options.sizes) - options.columns)
            # CountSketch can be right by chance in all draws.
            slope = np.polyfit(freedom, np.log(np.maximum(largest, 1e-3)), 1)[0]
            print(f"{kind:>12} {cells}; slope {slope:.2f}")
            style = "-" if kind in DENSE else "--"
            (line,) = ax.loglog(options.sizes, largest, f"o{style}", label=kind, markersize=4)
            shown = np.where(np.array(middle) > 0, middle, np.nan)
            ax.loglog(options.sizes, shown, style, color=line.get_color(), linewidth=0.7)
        line = [predicted(options.columns, size) for size in options.sizes]
        ax.loglog(options.sizes, line, "k:", label="predicted mean")
        ax.set(title=name, xlabel="rows of the sketch", ylim=(0.1, 10))
        ax.set_xticks(options.sizes, labels=map(str, options.sizes), minor=False)
        ax.set_xticks([], minor=True)
    axes[0].set(ylabel="error of the worst coefficient")
    axes[0].legend(fontsize="small")
    figure.savefig(options.output, dpi=120)
    print(f"saved {options.output}")


if __name__ == "__main__":
    main()

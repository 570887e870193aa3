"""Error against time: a panel for each case, a line for each contender, a point for each tolerance.

The cells are those of an earlier ``python -m peers transport``.
"""

import argparse
import json
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from peers import choice, output
from peers.child import BENCHES
from peers.transport.contenders import CONTENDERS, OUR_SINKHORN, OURS

CASES = ("assignment-500-s0", "colour-1000-1e-2", "colour-1000-1e-3")
PICTURE = BENCHES.parent / "docs" / "transport_error_time.svg"

# Okabe and Ito's colours, one for a package; markers tell methods apart, with or without colour.
COLOURS = {"sparrot": "black", "pot": "#0072B2", "regot": "#E69F00", "ott": "#009E73"}
MARKERS = "osD^vP"
MISSED = "above its tolerance"


def main(argv: list[str]) -> None:
    options = arguments(argv)
    draw(json.loads(options.results.read_text()), options.cases, options.output)
    print(f"wrote {options.output}")


def draw(results: dict, cases: list[str], path: Path) -> None:
    size = (3.9 * len(cases), 4.6)
    figure, axes = plt.subplots(
        1, len(cases), figsize=size, squeeze=False, sharey=True, layout="constrained"
    )
    shown = set()
    for panel, case in zip(axes[0], cases, strict=True):
        shown |= fill(panel, [cell for cell in results["cells"] if cell["case"] == case])
        panel.set_title(case, fontsize=10)
    axes[0][0].set_ylabel("L1 error of the marginals")
    figure.legend(
        handles=[Line2D([], [], label=n, **style(n)) for n in (*CONTENDERS, MISSED) if n in shown],
        loc="outside lower center",
        ncols=1 + len(cases),
        frameon=False,
        fontsize=9,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same results make the same file.
    plt.rcParams["svg.hashsalt"] = path.stem
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def fill(panel, cells: list[dict]) -> set[str]:
    """Draw a case, and return what the legend has to explain."""
    shown, absent = set(), []
    for name in output.unique(cell["contender"] for cell in cells):
        mine = [cell for cell in cells if cell["contender"] == name]
        reached, missed = points(mine, "ok"), points(mine, "miss")
        if reached:
            panel.plot(*zip(*reached, strict=True), **style(name))
        if missed:
            hollow = style(MISSED) | {"color": style(name)["color"]}
            panel.plot(*zip(*missed, strict=True), **hollow)
        shown |= {name} if reached else set()
        shown |= {MISSED} if missed else set()
        if not reached:
            absent.append(name)
    panel.set(xscale="log", yscale="log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.grid(color="0.92")
    panel.spines[["top", "right"]].set_visible(False)
    nothing = textwrap.fill(f"not reached by {', '.join(absent)}", 60) if absent else ""
    panel.set_xlabel(f"time (s)\n{nothing}", fontsize=8)
    return shown


def points(cells: list[dict], status: str) -> list[tuple[float, float]]:
    """Return time and error of the cells, the loosest tolerance first."""
    found = sorted((c for c in cells if c["status"] == status), key=lambda c: -c["tol"])
    return [(cell["median"], cell["error"]) for cell in found]


def style(name: str) -> dict:
    if name == MISSED:
        return {"color": "0.5", "marker": "o", "linestyle": "", "markerfacecolor": "none"}
    package = next(package for package in COLOURS if name.startswith(package))
    family = [other for other in CONTENDERS if other.startswith(package)]
    return {
        "color": COLOURS[package],
        "marker": MARKERS[family.index(name) % len(MARKERS)],
        "markersize": 5,
        "linestyle": "--" if name == OUR_SINKHORN else "-",
        "linewidth": 2.2 if name == OURS else 1.2,
    }


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m peers transport-figure", description=__doc__)
    choice.add_cases(parser, "colour-1000-*")
    earlier = output.RESULTS / "transport" / "results.json"
    parser.add_argument("--results", type=Path, default=earlier, metavar="JSON")
    parser.add_argument("--output", type=Path, default=PICTURE, metavar="FILE")
    options = parser.parse_args(argv)
    cells = json.loads(options.results.read_text())["cells"]
    known = output.unique(cell["case"] for cell in cells)
    options.cases = choice.matching(parser, options.cases or CASES, known)
    return options

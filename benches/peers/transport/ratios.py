"""The fastest peer's time over ours, cell by cell, and where it is less than we want."""

from collections.abc import Callable
from typing import NamedTuple

from peers import output
from peers.output import figure
from peers.transport.cases import CASES
from peers.transport.contenders import OUR_SINKHORN, OURS, is_peer

TITLES = (
    "case",
    "tol",
    "best peer",
    "its time",
    "our time",
    "ratio",
    "iterations",
    "Newton",
    "CG",
    OUR_SINKHORN,
)


class Comparison(NamedTuple):
    """What we take to a tolerance, and what the fastest peer takes."""

    case: str
    tol: float
    ours: dict
    """Our cell."""
    sinkhorn: dict | None
    """The cell of our own Sinkhorn."""
    peer: str
    """Of those who get there the fastest; empty if none does."""
    seconds: float
    """Its time: if the limit came first, it is more than that."""
    stopped: bool

    @property
    def ratio(self) -> float | None:
        """The ratio, or what it is at least; None if we do not get there, or no peer does."""
        known = self.peer and self.ours["status"] == "ok"
        return self.seconds / self.ours["median"] if known else None

    @property
    def ratio_text(self) -> str:
        return "-" if self.ratio is None else f"{'>' * self.stopped}{figure(self.ratio)}x"

    @property
    def peer_text(self) -> str:
        return f"none in {self.seconds:g} s" if self.stopped else self.peer or "none"


WANTED, WANTED_OF_NEWTON = 2.5, 10
"""What the ratio should be, everywhere and where a small ``reg`` is hard for Sinkhorn."""


def for_newton(case: str) -> bool:
    return CASES[case].reg <= 1e-3 and CASES[case].family != "assignment"


def below(found: Comparison, wanted: float) -> bool:
    return found.ratio is not None and found.ratio < wanted and not found.stopped


def undecided(found: Comparison) -> bool:
    wanted = WANTED_OF_NEWTON if for_newton(found.case) else WANTED
    return found.ratio is not None and found.ratio < wanted and found.stopped


SHORTCOMINGS: dict[str, Callable[[Comparison], bool]] = {
    f"Below {WANTED}x": lambda found: below(found, WANTED),
    f"Below {WANTED_OF_NEWTON}x, at reg <= 1e-3, assignments apart": lambda found: (
        for_newton(found.case) and below(found, WANTED_OF_NEWTON)
    ),
    "Perhaps below that, the limit of the peers being too short to tell": undecided,
    "Not reached by us": lambda found: found.ours["status"] != "ok",
}


def ratios(cells: list[dict]) -> str:
    found = comparisons(cells)
    if not found:
        return ""
    lines = []
    for title, unwanted in SHORTCOMINGS.items():
        names = [cell_name(one) for one in found if unwanted(one)]
        lines.append(f"- {title}: {'; '.join(names) or 'none'}.")
    explained = (
        f"The fastest peer's time over that of {OURS}, times in ms. >: no peer was faster than its "
        "limit. Iterations are of all kinds, Newton steps among them, CG those within the steps."
    )
    table = output.table(TITLES, [row(one) for one in found])
    return "\n\n".join(["## Ratios", explained, table, "\n".join(lines)])


def comparisons(cells: list[dict]) -> list[Comparison]:
    found = []
    for case, tol in output.unique((cell["case"], cell["tol"]) for cell in cells):
        here = {c["contender"]: c for c in cells if (c["case"], c["tol"]) == (case, tol)}
        if OURS in here:
            peer = best_peer(here)
            found.append(Comparison(case, tol, here[OURS], here.get(OUR_SINKHORN), *peer))
    return found


def best_peer(cells: dict[str, dict]) -> tuple[str, float, bool]:
    """Return the fastest, its time, and whether that is only a limit it ran into."""
    times = []
    for name, cell in cells.items():
        if is_peer(name) and cell["status"] in ("ok", "limit"):
            stopped = cell["status"] == "limit"
            times.append((cell["limit"] if stopped else cell["median"], stopped, name))
    if not times:
        return "", 0.0, False
    seconds, stopped, name = min(times)
    return name, seconds, stopped


def row(found: Comparison) -> list[str]:
    ours = found.ours
    counts = [ours.get(key) for key in ("iterations", "newton", "cg")]
    return [
        found.case,
        f"{found.tol:.0e}",
        found.peer_text,
        "-" if found.stopped or not found.peer else figure(found.seconds * 1000),
        time_text(ours),
        found.ratio_text,
        *("-" if count is None else str(count) for count in counts),
        time_text(found.sinkhorn),
    ]


def time_text(cell: dict | None) -> str:
    if cell is None:
        return "-"
    return figure(cell["median"] * 1000) if cell["status"] == "ok" else cell["status"]


def cell_name(found: Comparison) -> str:
    text = f"{found.case} {found.tol:.0e}"
    if found.ratio is None:
        return f"{text} ({found.ours['status']})"
    return f"{text} {found.ratio_text} ({found.peer_text})"

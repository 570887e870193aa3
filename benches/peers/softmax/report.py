"""The times as text: a line for a cell, and tables by function, form and number of threads."""

from collections.abc import Iterable

from peers import machine, output
from peers.output import figure
from peers.softmax.contenders import CONTENDERS, LIMIT, OURS, is_peer

FORMS = {"fresh": "a new array for the result", "out": "into an array that there is"}
FASTEST = {"fresh": ("fresh",), "out": ("copy", "scale"), "logsumexp": ("read", "read-dot")}
"""Which patterns move what a form has to move; the fastest of them is the limit."""

EXPLAINED = """\
Times in ms, the median of {repeats} samples and in brackets the least of them. A sample is a mean
over as many calls as last 3 ms, after as many that are not timed. All contenders of a case take
their samples in turn, each in a process of its own, on the same data, N(0, 16). **Bold**: no peer
is faster, by the median. *best / ours*: the median of the fastest peer over ours. *limit*: the
bytes that have to move, x read once and the result written once, at the rate measured in the same
rounds with the same number of threads on arrays of the same size and strides (the fastest of two
ways to read, or of two to copy); *of it*: the share of that rate that we reach. -: the contender
has no such thing. numpy and scipy always have one thread; LiteRT and ONNX Runtime write into
memory of their own or bound beforehand; jax is compiled, and a first call includes that."""


def cell_line(cell: dict) -> str:
    line = f"{cell['case']:<30} {cell['threads']}  {cell['contender']:<16} {cell['form']:<9}"
    if cell["status"] != "ok":
        return f"{line} {cell['status']}: {cell['reason']}"
    return f"{line} {timing(cell):>22}  first {figure(cell['first'] * 1e3)}"


def timing(cell: dict) -> str:
    return f"{figure(cell['median'] * 1e3)} ({figure(cell['minimum'] * 1e3)})"


def markdown(results: dict) -> str:
    cells = results["cells"]
    parts = [
        "# Softmax, side by side",
        machine.headline(results),
        EXPLAINED.format(repeats=results["repeats"]),
    ]
    for threads in output.unique(cell["threads"] for cell in cells):
        mine = [cell for cell in cells if cell["threads"] == threads]
        parts.append(f"## {threads} thread{'s' if threads > 1 else ''}")
        parts.append(ratios(mine))
        for function in output.unique(cell["function"] for cell in mine):
            of_function = [cell for cell in mine if cell["function"] == function]
            parts += tables(function, of_function)
        parts += [overhead(mine), bandwidth(mine), first_calls(mine)]
    parts.append(remarks(cells))
    return "\n\n".join(part for part in parts if part) + "\n"


def ratios(cells: list[dict]) -> str:
    """Return how many times as long as we everybody takes, form by form."""
    peers = [name for name in contenders(cells) if is_peer(name)]
    ours = {(c["case"], c["form"]): c for c in cells if c["contender"] == OURS}
    shown = [(name, form) for name in peers for form in FORMS]
    shown = [key for key in shown if any((c["contender"], c["form"]) == key for c in cells)]
    medians = {
        (c["case"], c["contender"], c["form"]): c["median"] for c in cells if c["status"] == "ok"
    }
    rows = []
    for case in output.unique(cell["case"] for cell in cells):
        row = [case]
        for name, form in shown:
            mine, other = ours.get((case, form)), medians.get((case, name, form))
            known = mine and mine["status"] == "ok" and other
            row.append(f"{other / mine['median']:.2f}" if known else "-")
        rate = limit(case, FASTEST["logsumexp" if case.startswith("logsumexp") else "out"], cells)
        mine = ours.get((case, "out"), ours.get((case, "fresh")))
        row.append(f"{rate / mine['median']:.0%}" if rate and mine.get("median") else "-")
        rows.append(row)
    titles = ["case", *(f"{name}, {form}" for name, form in shown), "of the limit"]
    return f"### Their time over ours\n\n{output.table(titles, rows)}"


def tables(function: str, cells: list[dict]) -> list[str]:
    parts = []
    for form, about in FORMS.items():
        if any(cell["form"] == form and cell["contender"] != LIMIT for cell in cells):
            title = f"### {function}" + (f", {about}" if function != "logsumexp" else "")
            parts += [title, timing_table(function, form, cells)]
    return parts


def timing_table(function: str, form: str, cells: list[dict]) -> str:
    shown = contenders(c for c in cells if c["form"] in (form, ""))
    titles = ["case", *shown, "best / ours", "limit", "of it"]
    rows = []
    for case in output.unique(cell["case"] for cell in cells):
        found = {c["contender"]: c for c in cells if c["case"] == case and c["form"] in (form, "")}
        rate = limit(case, FASTEST["logsumexp" if function == "logsumexp" else form], cells)
        rows.append([case, *entries(found, shown), *comparison(found, rate)])
    return output.table(titles, rows)


def contenders(cells: Iterable[dict]) -> list[str]:
    """Return who has anything to show there."""
    able = output.unique(c["contender"] for c in cells if c["status"] != "unsupported")
    return [name for name in CONTENDERS if name in able and name != LIMIT]


def entries(found: dict[str, dict], shown: list[str]) -> list[str]:
    texts = []
    best = best_peer(found)
    for name in shown:
        cell = found.get(name)
        if cell is None or cell["status"] == "unsupported":
            texts.append("-")
        elif cell["status"] != "ok":
            texts.append("failed")
        elif name.startswith(OURS) and (best is None or cell["median"] <= best):
            texts.append(f"**{timing(cell)}**")
        else:
            texts.append(timing(cell))
    return texts


def best_peer(found: dict[str, dict]) -> float | None:
    medians = [c["median"] for name, c in found.items() if c["status"] == "ok" and is_peer(name)]
    return min(medians, default=None)


def comparison(found: dict[str, dict], rate: float | None) -> list[str]:
    """Return the best peer's time over ours, the limit, and how much of it we reach."""
    best, ours = best_peer(found), found.get(OURS, {}).get("median")
    return [
        f"{best / ours:.2f}" if best and ours else "",
        figure(rate * 1e3) if rate else "",
        f"{rate / ours:.0%}" if rate and ours else "",
    ]


def limit(case: str, patterns: tuple[str, ...], cells: list[dict]) -> float | None:
    """Return the time of the fastest way to move what the case has to move."""
    return min(
        (
            cell["median"]
            for cell in cells
            if cell["case"] == case
            and (cell["contender"], cell["status"]) == (LIMIT, "ok")
            and cell["form"] in patterns
        ),
        default=None,
    )


def overhead(cells: list[dict]) -> str:
    """Return what a call costs where the work is next to nothing."""
    small = [
        c
        for c in cells
        if (c["rows"], c["columns"], c["function"]) == (1, 1000, "softmax")
        and (c["form"], c["status"]) == ("out", "ok")
    ]
    if not small:
        return ""
    texts = [
        [c["case"], c["contender"], f"{c['median'] * 1e6:.2f}", f"{c['minimum'] * 1e6:.2f}"]
        for c in small
    ]
    table = output.table(["case", "contender", "median", "least"], texts)
    return f"### Cost of a call into an array that there is, in µs\n\n{table}"


def bandwidth(cells: list[dict]) -> str:
    measured = [c for c in cells if (c["contender"], c["status"]) == (LIMIT, "ok")]
    if not measured:
        return ""
    patterns = output.unique(c["form"] for c in measured)
    rates = {(c["case"], c["form"]): rate_text(c) for c in measured}
    rows = [
        [case, *(rates.get((case, pattern), "") for pattern in patterns)]
        for case in output.unique(c["case"] for c in measured)
    ]
    return f"### Bandwidth, in GB/s, read and written\n\n{output.table(['case', *patterns], rows)}"


def rate_text(cell: dict) -> str:
    passes = 1 if cell["form"].startswith("read") else 2
    moved = passes * cell["rows"] * cell["columns"] * int(cell["dtype"][1:]) // 8
    return figure(moved / cell["median"] / 1e9)


def first_calls(cells: list[dict]) -> str:
    """Return a table of first calls, in the first form that each contender has."""
    timed = [c for c in cells if c["status"] == "ok" and c["contender"] != LIMIT]
    found: dict[tuple, float] = {}
    for cell in timed:
        found.setdefault((cell["case"], cell["contender"]), cell["first"])
    shown = contenders(timed)
    rows = [
        [case, *(figure(found[case, n] * 1e3) if (case, n) in found else "-" for n in shown)]
        for case in output.unique(c["case"] for c in timed)
    ]
    return f"### First call of a case, in ms\n\n{output.table(['case', *shown], rows)}"


def remarks(cells: list[dict]) -> str:
    """Return what failed and why, and who used more threads than allowed."""
    lines = [
        f"- {c['contender']}, {c['case']}, {c['threads']} thread(s): {c['status']}: {c['reason']}"
        for c in cells
        if c["status"] == "failed"
    ]
    busy = [c for c in cells if c.get("cpu_per_wall", 0) > c["threads"] + 0.3]
    lines += [
        f"- {c['contender']}, {c['case']} {c['form']}: {c['cpu_per_wall']:.1f} processors busy, "
        f"{c['threads']} allowed"
        for c in busy
    ]
    return "## Remarks\n\n" + "\n".join(output.unique(lines)) if lines else ""

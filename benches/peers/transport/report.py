"""The results as text: a line for a cell, a Markdown table for a case, and our ratios."""

from peers import machine, output
from peers.transport.cases import CASES
from peers.transport.contenders import is_peer
from peers.transport.ratios import ratios

COLUMNS = ("first", "median", "iterations", "error")

EXPLAINED = """\
Times in ms: of the first call in a process (compiling + call for those who compile), and the median
of {repeats} further ones (more if they are short), or of as many as (in brackets) there was time
for; 0 means that the first call, without compiling, is all there is, as it is of peers that are far
from the fastest. The error is the L1 error of both marginals, measured on the plan returned, of a
batch the largest of all its problems; a peer that stops by another norm is given the tolerance in
it that corresponds. Iterations: in a+b, b are Newton steps; of a batch, the most that any of its
problems took. *miss*: above the tolerance, even after aiming four times closer. *>5000*: not there
within so many ms, at this tolerance or a looser one."""


def cell_line(cell: dict, repeats: int) -> str:
    first, median, iterations, error = cell_texts(cell, repeats)
    line = f"{cell['case']:<20} {cell['tol']:.0e}  {cell['contender']:<24} {median:>12}"
    if first:
        line += f"  first {first:>7}  iterations {iterations:>7}  error {error}"
    return f"{line}  {cell.get('reason', '')}".rstrip()


def cell_texts(cell: dict, repeats: int) -> tuple[str, str, str, str]:
    """Return what the table shows: first call and median in ms, iterations, measured error."""
    status = cell["status"]
    if status == "failed":
        return "", "failed", "", ""
    if status == "limit":
        return "", f">{cell['limit'] * 1000:.0f}", "", ""
    first = milliseconds(cell["first"] - cell["compile"])
    if cell["compile"]:
        first = f"{milliseconds(cell['compile'])} + {first}"
    iterations = str(cell["iterations"])
    if cell["newton"] is not None:
        iterations = f"{cell['iterations'] - cell['newton']}+{cell['newton']}"
    median = "miss"
    if status == "ok":
        median = milliseconds(cell["median"])
        if cell["n_timed"] < repeats:
            median += f" ({cell['n_timed']})"
    return first, median, iterations, f"{cell['error']:.1e}"


def milliseconds(seconds: float) -> str:
    return output.figure(seconds * 1000)


def markdown(results: dict) -> str:
    cells = results["cells"]
    versions = results["versions"] | {
        package: version
        for cell in cells
        for package, _, version in (v.partition(" ") for v in cell.get("version", "").split(", "))
        if package
    }
    parts = [
        "# Entropic transport, side by side",
        machine.headline(results | {"versions": versions}),
        dates(cells),
        EXPLAINED.format(repeats=results["repeats"]),
        ratios(cells),
    ]
    for case in output.unique(cell["case"] for cell in cells):
        of_case = [cell for cell in cells if cell["case"] == case]
        title = f"## {case}, reg {CASES[case].reg:.3g}"
        parts += [title, table(of_case, results["repeats"]), remarks(of_case, results["threads"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def dates(cells: list[dict]) -> str:
    """Return when ours and the peers were measured, as some cells may be of an earlier run."""
    texts = []
    for who, peers in (("sparrot", False), ("the peers", True)):
        found = sorted(cell["date"] for cell in cells if is_peer(cell["contender"]) == peers)
        if found:
            texts.append(f"{who} from {found[0]} to {found[-1]}")
    return f"Measured: {', '.join(texts)}."


def table(cells: list[dict], repeats: int) -> str:
    tolerances = output.unique(cell["tol"] for cell in cells)
    found = {(cell["contender"], cell["tol"]): cell for cell in cells}
    titles = ["contender", *(f"{column} {tol:.0e}" for tol in tolerances for column in COLUMNS)]
    rows = []
    for name in output.unique(cell["contender"] for cell in cells):
        row = [name]
        for tol in tolerances:
            cell = found.get((name, tol))
            row += cell_texts(cell, repeats) if cell else ["-"] * len(COLUMNS)
        rows.append(row)
    return output.table(titles, rows)


def remarks(cells: list[dict], threads: int) -> str:
    """Return what failed and why, and who used more threads than allowed."""
    lines = [f"- {c['contender']}: {c['reason']}" for c in cells if "reason" in c]
    lines += [
        f"- {c['contender']}: {c['cpu_per_wall']:.1f} processors busy, {threads} allowed"
        for c in cells
        if (c.get("cpu_per_wall") or 0) > threads + 0.3
    ]
    return "\n".join(output.unique(lines))

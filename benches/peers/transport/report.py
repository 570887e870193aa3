"""The results as text: a line for a cell, a Markdown table for a case."""

from peers import machine, output
from peers.transport.contenders import OURS, is_peer

COLUMNS = ("first", "median", "iterations", "error")


def cell_line(cell: dict, limit: float, repeats: int) -> str:
    first, median, iterations, error = cell_texts(cell, limit, repeats)
    line = f"{cell['case']:<18} {cell['tol']:.0e}  {cell['contender']:<24} {median:>12}"
    if first:
        line += f"  first {first:>7}  iterations {iterations:>7}  error {error}"
    return f"{line}  {cell.get('reason', '')}".rstrip()


def cell_texts(cell: dict, limit: float, repeats: int) -> tuple[str, str, str, str]:
    """Return what the table shows: first call and median in ms, iterations, measured error."""
    status = cell["status"]
    if status == "failed":
        return "", "failed", "", ""
    if status == "limit":
        return "", f">{limit * 1000:.0f}", "", ""
    iterations = str(cell["iterations"])
    if cell["newton"] is not None:
        iterations = f"{cell['iterations'] - cell['newton']}+{cell['newton']}"
    median = "miss"
    if status == "ok":
        median = milliseconds(cell["median"])
        if cell["n_timed"] < repeats:
            median += f" ({cell['n_timed']})"
    return milliseconds(cell["first"]), median, iterations, f"{cell['error']:.1e}"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds < 0.1 else f"{seconds * 1000:.0f}"


def markdown(results: dict) -> str:
    versions = results["versions"] | {
        package: version
        for cell in results["cells"]
        for package, _, version in (v.partition(" ") for v in cell.get("version", "").split(", "))
        if package
    }
    parts = [
        "# Entropic transport, side by side",
        machine.headline(results | {"versions": versions}),
        "Times in ms: of the first call in a process, and the median of "
        f"{results['repeats']} further ones, or of as many as (in brackets) there was time for; "
        "0 means that the first call is all there is. "
        "The error is the L1 error of both marginals, measured on the plan returned; a peer that "
        "stops by another norm is given the tolerance in it that corresponds. "
        "*miss*: above the tolerance, even after aiming four times closer. "
        f"*>{results['limit'] * 1000:.0f}*: over the time limit, at this tolerance or a looser "
        "one.",
    ]
    for case in output.unique(cell["case"] for cell in results["cells"]):
        cells = [cell for cell in results["cells"] if cell["case"] == case]
        parts += [f"## {case}", table(cells, results["limit"], results["repeats"])]
        reasons = output.unique(
            f"- {c['contender']}: {c['reason']}" for c in cells if "reason" in c
        )
        if reasons:
            parts.append("\n".join(reasons))
    return "\n\n".join(parts) + "\n"


def table(cells: list[dict], limit: float, repeats: int) -> str:
    tolerances = output.unique(cell["tol"] for cell in cells)
    found = {(cell["contender"], cell["tol"]): cell for cell in cells}
    titles = ["contender", *(f"{column} {tol:.0e}" for tol in tolerances for column in COLUMNS)]
    rows = []
    for name in output.unique(cell["contender"] for cell in cells):
        texts = (cell_texts(found[name, tol], limit, repeats) for tol in tolerances)
        rows.append([name, *(text for group in texts for text in group)])
    last = [f"best peer, and its time / {OURS}"]
    for tol in tolerances:
        last += ["", comparison([cell for cell in cells if cell["tol"] == tol]), "", ""]
    return output.table(titles, [*rows, last])


def comparison(cells: list[dict]) -> str:
    """Name the fastest peer that got there, and how many times our time it took."""
    reached = {cell["contender"]: cell["median"] for cell in cells if cell["status"] == "ok"}
    peers = [name for name in reached if is_peer(name)]
    if not peers:
        return "none"
    best = min(peers, key=reached.__getitem__)
    return f"{best} {reached[best] / reached[OURS]:.2g}x" if OURS in reached else best

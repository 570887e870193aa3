"""The files of a run, and Markdown tables."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def write(folder: Path, name: str, results: dict, text: str) -> None:
    """Write both forms, each by renaming: an interrupted run leaves the last whole ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, content in ((".json", json.dumps(results, indent=1) + "\n"), (".md", text)):
        draft = folder / f".{name}{suffix}"
        draft.write_text(content)
        draft.replace(folder / f"{name}{suffix}")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose first column is text and whose others are figures."""
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def unique(values: Iterable) -> list:
    return list(dict.fromkeys(values))


def figure(value: float) -> str:
    """Return three significant digits, without an exponent."""
    digits = 2 - int(f"{value:.2e}".partition("e")[2])
    return f"{value:.{max(0, digits)}f}"

"""Cases chosen on the command line, by shell patterns."""

import argparse
from collections.abc import Iterable
from fnmatch import fnmatchcase


def add_cases(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", help=f"such as {example!r}")


def matching(
    parser: argparse.ArgumentParser, patterns: list[str], names: Iterable[str]
) -> list[str]:
    """Return the names that match; a pattern that matches nothing is an error."""
    names = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            parser.error(f"no case is called {pattern!r}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]

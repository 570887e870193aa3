"""``python -m sparrot``: what is installed and whether it works; ``python -m sparrot demo``."""

import argparse
from pathlib import Path

from sparrot import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0 if all is well.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    int
    """
    parser = argparse.ArgumentParser(prog="sparrot", description=__doc__)
    parser.add_argument("--version", action="version", version=f"sparrot {__version__}")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("check", help="report version and processor, and solve a few problems")
    demo = commands.add_parser("demo", help="transfer the colours between two photographs")
    demo.add_argument("--output", type=Path, default=Path("demo.png"), help="the picture to write")
    demo.add_argument("--size", type=int, default=1000, help="pixels sampled from each photograph")
    demo.add_argument("--reg", type=float, default=1e-3, help="regularisation over largest cost")
    demo.add_argument("--tol", type=float, default=1e-9, help="marginal error to reach")
    options = parser.parse_args(arguments)
    if options.command == "demo":
        from sparrot import _demo

        return _demo.run(options.output, options.size, options.reg, options.tol)
    from sparrot import _selfcheck

    return _selfcheck.run()


if __name__ == "__main__":
    raise SystemExit(main())

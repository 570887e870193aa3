"""What is said of the machine and the packages in the head of every result."""

import os
import platform
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def description() -> dict:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "caches": caches(),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("numpy", "scipy")},
        },
    }


def headline(results: dict) -> str:
    """Return date, processor, caches, threads and versions as one line."""
    threads = results["threads"]
    stated = " and ".join(map(str, threads)) if isinstance(threads, list) else threads
    sizes = ", ".join(f"{name} {size_text(size)}" for name, size in results["caches"].items())
    versions = ", ".join(f"{package} {found}" for package, found in results["versions"].items())
    return (
        f"{results['date']}, {results['cpu']}, {results['cores']} cores"
        f"{f' ({sizes})' if sizes else ''}, {stated} thread(s) each; {versions}"
    )


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def caches() -> dict[str, int]:
    """Return the bytes of each data cache of the first core, by name; empty where not told."""
    found = {}
    for index in sorted(CACHES.glob("index*")):
        if (index / "type").read_text().strip() != "Instruction":
            level = (index / "level").read_text().strip()
            found[f"L{level}"] = byte_count((index / "size").read_text().strip())
    return found


def byte_count(text: str) -> int:
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def size_text(size: int) -> str:
    return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 2**10:g} KiB"


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # imported from a checkout
        return import_module(package).__version__


def versions_text(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{package} {version(package)}" for package in packages)

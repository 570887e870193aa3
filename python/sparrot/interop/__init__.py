"""The names of other packages, on sparrot's solvers, and ways to them.

============================  ==================================================================
:mod:`sparrot.interop.dask`   sketches and least squares of Dask arrays; needs dask
:mod:`sparrot.interop.pot`    entropic transport with the names and arguments of POT (``import ot``)
:mod:`sparrot.interop.torch`  trained unrolled networks as modules of torch; needs torch
============================  ==================================================================

Another package is imported where it is needed, when it is.
"""

import importlib
from types import ModuleType

__all__ = ["pot"]


def __getattr__(name: str) -> ModuleType:
    if name in {*__all__, "dask", "torch"}:
        return importlib.import_module(f"sparrot.interop.{name}")
    raise AttributeError(f"module 'sparrot.interop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

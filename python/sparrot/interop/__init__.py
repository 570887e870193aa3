"""The names of other packages, on sparrot's solvers.

==========================  ====================================================================
:mod:`sparrot.interop.pot`  entropic transport with the names and arguments of POT (``import ot``)
==========================  ====================================================================

Nothing here imports the package whose names it takes.
"""

import importlib
from types import ModuleType

__all__ = ["pot"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"sparrot.interop.{name}")
    raise AttributeError(f"module 'sparrot.interop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

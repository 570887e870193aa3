"""The contenders: each file imports its framework when it prepares a case, and not before."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module

from peers.softmax.contenders.base import Calls, Task

METHODS = ("two-pass", "recompute", "reload", "blocked")
OURS = "sparrot"
LIMIT = "limit"


@dataclass(frozen=True)
class Contender:
    packages: tuple[str, ...]
    place: str
    """Module of this package, and its function."""
    options: dict = field(default_factory=dict)
    one_cpu: bool = False
    """Whether only the affinity mask keeps it to one thread."""
    environment: dict = field(default_factory=dict)

    def prepare(self) -> Callable[[Task], Calls]:
        module, function = self.place.split(":")
        found = getattr(import_module(f"{__name__}.{module}"), function)
        return partial(found, **self.options)


CONTENDERS = {
    OURS: Contender(("sparrot",), "ours:sparrot", {"method": "auto"}),
    **{
        f"{OURS}-{method}": Contender(("sparrot",), "ours:sparrot", {"method": method})
        for method in METHODS
    },
    "scipy": Contender(("scipy",), "arrays:scipy"),
    "numpy": Contender(("numpy",), "arrays:numpy"),
    "torch": Contender(("torch",), "frameworks:torch"),
    "jax": Contender(("jax",), "frameworks:jax", one_cpu=True),
    "onnxruntime": Contender(("onnxruntime", "onnx"), "onnx_model:onnxruntime"),
    "litert": Contender(("ai-edge-litert",), "litert_model:litert"),
    # Its threads are its own; those of a BLAS would come on top.
    LIMIT: Contender(("numpy",), "limit:limit", environment={"OPENBLAS_NUM_THREADS": "1"}),
}
OUR_METHODS = [f"{OURS}-{method}" for method in METHODS]
DEFAULT = [name for name in CONTENDERS if name not in OUR_METHODS]


def is_peer(name: str) -> bool:
    return name != LIMIT and not name.startswith(OURS)

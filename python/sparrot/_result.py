"""What functions return: frozen, with attribute and mapping access."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


class Result(Mapping[str, Any]):
    """A frozen record: ``result.x`` and ``result["x"]`` are the same."""

    _fields: dict[str, Any]

    def __init__(self, **fields: Any) -> None:
        object.__setattr__(self, "_fields", fields)

    def __getattr__(self, name: str) -> Any:
        try:
            return object.__getattribute__(self, "_fields")[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be deleted")

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._fields})

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (type(self), self._fields))

    def __repr__(self) -> str:
        shown = {name: _brief(value) for name, value in self._fields.items()}
        width = max((len(name) for name in shown), default=0)
        lines = (f"{name:>{width}}: {text}" for name, text in shown.items())
        return "\n".join([type(self).__name__, *lines])


def _restore(cls: type[Result], fields: dict[str, Any]) -> Result:
    return cls(**fields)


def _brief(value: object) -> str:
    """Show a value on one line."""
    match value:
        case float():
            return f"{value:.6g}"
        case np.ndarray() if value.size > 6:
            return f"array of shape {value.shape}, {value.dtype}"
        case tuple() if any(isinstance(item, np.ndarray) for item in value):
            return "(" + ", ".join(_brief(item) for item in value) + ")"
        case Mapping():
            return "{" + ", ".join(f"{k}: {_brief(v)}" for k, v in value.items()) + "}"
        case _:
            return str(value)

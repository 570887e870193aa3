"""More passes over rows that come in blocks, where the products of one do not suffice."""

from collections.abc import Callable
from math import isfinite
from typing import Any, Self

from sparrot import _sparrot
from sparrot._native import Status
from sparrot._validation import FloatArray
from sparrot.errors import InvalidInputError
from sparrot.sketching._lstsq import Settings

# Coefficients of each right-hand side, the intercept last: high parts (k, p) and low ones.
Point = tuple[FloatArray, FloatArray]


class Look:
    """The residual and gradient at a point, through rows that come in blocks.

    To twice the working precision, with what it may be wrong by; of a size that does not depend on
    the rows, mergeable, picklable.
    """

    def __init__(self, point: Point) -> None:
        self.point = point
        self.found: dict[str, Any] | None = None

    def update(
        self,
        rows: tuple[Any, ...],
        targets: FloatArray,
        weights: FloatArray | None,
        threads: int | None,
    ) -> Self:
        """Take validated rows."""
        return self._add(_sparrot.sketching_look(rows, targets, weights, self.point, threads))

    def _add(self, found: dict[str, Any]) -> Self:
        if self.found is not None:
            found = _sparrot.sketching_looks_merged(self.found, found)
        self.found = found
        return self

    def copy(self) -> "Look":
        """Return one of its own."""
        other = Look(self.point)
        other.found = self.found
        return other

    def merge(self, other: "Look") -> Self:
        """Add what was seen elsewhere."""
        return self if other.found is None else self._add(other.found)


def corrected(
    moments: dict[str, Any],
    found: dict[str, Any],
    settings: Settings,
    look: Callable[[Point], Look],
) -> dict[str, Any]:
    """Look at the rows again, up to ``max_iter`` times, until the bounds are within ``tol``."""
    best, point, size, native = found, found["point"], float("inf"), settings.native(None)
    for looks in range(settings.max_iter):
        # Where nothing is proven of the products, no look changes that.
        if best["error"] <= settings.tol or not isfinite(best["error"]):
            break
        seen = look(point).found
        if seen is None or seen["n_rows"] != moments["n_rows"]:
            count = 0 if seen is None else seen["n_rows"]
            raise InvalidInputError(
                f"blocks gave {count} rows in pass {looks + 2}, {moments['n_rows']} in the first: "
                "needs the same each time; an iterator that ends can be read once only"
            )
        after = _sparrot.sketching_corrected(moments, native, point, seen, (looks, size))
        if not after["error"] > best["error"]:
            best = after
        best = {**best, "status": after["status"], "passes": after["passes"]}
        if after["next"] is None:
            break
        point, size = after["next"], after["size"]
    if best["error"] <= settings.tol:
        best = {**best, "status": Status.CONVERGED.value}
    return best

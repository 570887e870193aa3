"""Points as POT takes them: costs between them, weights, and plans that are not stored."""

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from sparrot._validation import FloatArray, as_points
from sparrot.errors import InvalidInputError
from sparrot.interop.pot._input import numpy_only


def unif(n: int, type_as: object = None) -> FloatArray:
    """Return uniform weights.

    Parameters
    ----------
    n : int
        How many.
    type_as : ndarray, optional
        An array of the type wanted; float64 by default.

    Returns
    -------
    ndarray of shape (n,)
        ``1 / n`` everywhere.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> pot.unif(4)
    array([0.25, 0.25, 0.25, 0.25])
    """
    like = np.float64 if type_as is None else np.asarray(numpy_only(type_as, "type_as")).dtype
    return np.full(n, 1 / n, dtype=like)


def dist(
    x1: object,
    x2: object = None,
    metric: Any = "sqeuclidean",
    p: float = 2,
    w: object = None,
    backend: str = "auto",
    nx: object = None,
    use_tensor: bool = False,
) -> FloatArray:
    """Return the cost matrix between two sets of points.

    Computed from differences by :func:`scipy.spatial.distance.cdist`, where POT subtracts inner
    products from squares, which loses what small distances between large coordinates are.

    Parameters
    ----------
    x1 : array_like of shape (n, d)
        The first points.
    x2 : array_like of shape (m, d), optional
        The second points; ``x1`` by default.
    metric : str or callable, default="sqeuclidean"
        Any metric of ``cdist``.
    p : float, default=2
        The exponent of "minkowski".
    w : array_like of shape (d,), optional
        The weights of the coordinates for "minkowski".
    backend : str, default="auto"
        Of no effect.
    nx : object, default=None
        Of no effect.
    use_tensor : bool, default=False
        Of no effect.

    Returns
    -------
    ndarray of shape (n, m)
        In float32 if all points are, else in float64.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If the points are not as described, or ``cdist`` does not know the metric.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> pot.dist([[0.0, 0.0]], [[3.0, 4.0], [1.0, 0.0]])
    array([[25., 1.]])
    """
    first = as_points(numpy_only(x1, "x1"), "x1")
    second = first if x2 is None else as_points(numpy_only(x2, "x2"), "x2")
    further: dict[str, Any] = {}
    if metric == "minkowski":
        further = {"p": p} if w is None else {"p": p, "w": w}
    elif w is not None:
        raise InvalidInputError(f"w is given but metric is {metric!r}: only 'minkowski' uses it")
    try:
        costs: FloatArray = cdist(first, second, metric, **further)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"metric is {metric!r} for points of shapes {first.shape} and {second.shape}: {error}"
        ) from error
    return costs.astype(np.result_type(first, second), copy=False)


class LazyPlan:
    """A plan that is computed where it is looked at, from points and potentials.

    ``plan[i, j]`` with integers, slices or index arrays is a two-dimensional block; ``plan[:]`` is
    the whole.

    Attributes
    ----------
    shape : tuple of int
        The shape of the plan.
    ndim : int
        2.
    """

    ndim = 2

    def __init__(
        self,
        points: tuple[FloatArray, FloatArray],
        metric: Any,
        log_scalings: tuple[FloatArray, FloatArray],
        reg: float,
    ) -> None:
        self._points = points
        self._metric = metric
        self._log_scalings = log_scalings
        self._reg = reg
        self.shape = (points[0].shape[0], points[1].shape[0])

    def __getitem__(self, key: Any) -> FloatArray:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        x, y = (
            np.atleast_2d(part[chosen])
            for part, chosen in zip(self._points, (rows, columns), strict=True)
        )
        f, g = (
            np.atleast_1d(part[chosen])
            for part, chosen in zip(self._log_scalings, (rows, columns), strict=True)
        )
        exponents = f[:, None] + g - dist(x, y, self._metric) / self._reg
        with np.errstate(under="ignore"):
            return np.asarray(np.exp(exponents))

    def __repr__(self) -> str:
        return f"LazyPlan(shape={self.shape}, metric={self._metric!r}, reg={self._reg:g})"

"""The target points of an estimator that maps one distribution onto another."""

import warnings

import numpy as np

from sparrot._validation import FloatArray, as_points
from sparrot.errors import InvalidInputError


def target_of(
    target: object, X: FloatArray, y: object, weights: FloatArray | None
) -> tuple[FloatArray, FloatArray | None]:
    """Return the target points and their weights, from a parameter and what ``fit`` got."""
    labels = y is not None and np.asarray(y).ndim == 1
    if labels and target is None:
        if X.shape[1] == 1:
            raise InvalidInputError(
                "X has 1 feature(s) (n_features = 1) and y is one-dimensional: pass target "
                "points as y.reshape(-1, 1), or labels together with the parameter target"
            )
        warnings.warn(
            "y is one-dimensional: taken for labels and not used; without the parameter "
            "target, X is transported onto itself",
            UserWarning,
            stacklevel=3,  # where the user called fit
        )
    given = target if y is None or labels else y
    if given is None:
        return X, weights
    points = as_points(given, "y")
    if points.shape[1] != X.shape[1]:
        raise InvalidInputError(
            f"y has {points.shape[1]} columns but X has {X.shape[1]}: points of both must "
            "have the same coordinates"
        )
    return points, None

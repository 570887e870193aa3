"""The layers of an unrolled network, which come from training, a file, or anybody."""

import numpy as np

from sparrot._validation import FloatArray

# Far more than networks have that anybody has trained this way.
MOST_LAYERS = 255


def fault_of(steps: FloatArray, penalties: FloatArray, names: tuple[str, str]) -> str | None:
    """Say what is wrong with steps and penalties, if anything is."""
    vectors = all(v.ndim == 1 and v.dtype == np.float64 for v in (steps, penalties))
    if not vectors or not 0 < len(steps) == len(penalties):
        return f"{names[0]} and {names[1]} are no two vectors of one length"
    if len(steps) > MOST_LAYERS:
        return f"{names[0]} has {len(steps)} layers: there are {MOST_LAYERS} at most"
    if not (np.isfinite(steps).all() and (steps >= 0).all()):
        return f"{names[0]} has a value that is no step"
    if not (penalties >= 0).all():  # infinite ones make all codes 0
        return f"{names[1]} has a value that is no penalty"
    return None

"""The class of the warning that something has not converged."""

import functools
import sys

from sparrot.errors import ConvergenceWarning


@functools.cache
def _shared(theirs: type[Warning]) -> type[Warning]:
    return type("ConvergenceWarning", (ConvergenceWarning, theirs), {"__module__": __name__})


def convergence_warning() -> type[Warning]:
    """Return our warning; where scikit-learn is in use, one that its filters know, too."""
    exceptions = sys.modules.get("sklearn.exceptions")
    return ConvergenceWarning if exceptions is None else _shared(exceptions.ConvergenceWarning)

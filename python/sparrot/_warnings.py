"""The warning that something has not converged: its class, and where it is shown."""

import functools
import sys
import warnings

from sparrot.errors import ConvergenceWarning


@functools.cache
def _shared(theirs: type[Warning]) -> type[Warning]:
    return type("ConvergenceWarning", (ConvergenceWarning, theirs), {"__module__": __name__})


def convergence_warning() -> type[Warning]:
    """Return our warning; where scikit-learn is in use, one that its filters know, too."""
    exceptions = sys.modules.get("sklearn.exceptions")
    return ConvergenceWarning if exceptions is None else _shared(exceptions.ConvergenceWarning)


def warn_the_caller(message: str) -> None:
    """Warn at the line of the user's: scikit-learn wraps methods, and calls them in pipelines."""
    level, frame = 1, sys._getframe()
    while frame.f_back and _package(frame.f_globals) in ("sparrot", "sklearn", "joblib"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, convergence_warning(), stacklevel=level)


def _package(module: dict[str, object]) -> str:
    return str(module.get("__name__", "")).partition(".")[0]

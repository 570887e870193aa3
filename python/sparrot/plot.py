"""Pictures of results, with matplotlib (``pip install 'sparrot[plot]'``).

Each function draws on ``ax``, or on the current axes, and returns them.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from sparrot.transport import TransportResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plan", "trace"]


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("sparrot.plot needs matplotlib: pip install 'sparrot[plot]'") from error
    return plt.gca()


def trace(result: TransportResult, ax: "Axes | None" = None, *, label: str = "") -> "Axes":
    """Draw the certificate of a solve over time.

    Parameters
    ----------
    result : TransportResult
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where; the current axes by default.
    label : str, optional
        For the legend; the method by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np, matplotlib
    >>> matplotlib.use("agg")
    >>> from sparrot import plot, transport
    >>> result = transport.solve(np.eye(4), reg=0.1)
    >>> plot.trace(result).get_yscale()
    'log'
    """
    axes: Axes = _axes(ax)
    seconds, error = result.trace["time"], result.trace["certificate"]
    newton = result.trace["phase"] == "newton"
    (line,) = axes.plot(seconds, error, label=label or result.method)
    axes.plot(seconds[newton], error[newton], "o", markersize=3, color=line.get_color())
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("time (s)")
    axes.set_ylabel("marginal error")
    return axes


def plan(result: TransportResult, ax: "Axes | None" = None) -> "Axes":
    """Draw a plan as an image, each entry relative to the largest, on a logarithmic scale.

    Parameters
    ----------
    result : TransportResult
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where; the current axes by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np, matplotlib
    >>> matplotlib.use("agg")
    >>> from sparrot import plot, transport
    >>> result = transport.solve(np.eye(4), reg=0.1)
    >>> len(plot.plan(result).images)
    1
    """
    axes: Axes = _axes(ax)
    entries = np.asarray(result.plan, dtype=np.float64)
    share = np.log10(np.maximum(entries / entries.max(), 1e-6))
    axes.imshow(share, cmap="magma", vmin=-6, vmax=0, interpolation="nearest", aspect="auto")
    axes.set_xlabel("target")
    axes.set_ylabel("source")
    return axes

"""Colour transfer between the two photographs that come with scikit-learn."""

import sys
import time
import warnings
from pathlib import Path

import numpy as np

from sparrot._native import get_num_threads, simd_level
from sparrot._validation import FloatArray
from sparrot.errors import ConvergenceWarning
from sparrot.transport import EntropicTransport, TransportResult, solve_sample

METHODS = {
    "auto": "annealing, Newton on the semi-dual",
    "sns": "Sinkhorn-Newton-Sparse, fixed density",
    "sinkhorn": "Sinkhorn",
}


def photographs() -> tuple[FloatArray, FloatArray]:
    """Return the temple and the flower, (height, width, 3) with colours from 0 to 1."""
    try:
        from sklearn.datasets import load_sample_images

        temple, flower = load_sample_images().images
    except ImportError as error:
        raise ImportError(
            "the demo needs scikit-learn, matplotlib and pillow: pip install 'sparrot[demo]'"
        ) from error
    return temple / 255.0, flower / 255.0


def sample_pixels(
    images: tuple[FloatArray, FloatArray], size: int, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Draw ``size`` pixels from each image, without replacement."""
    rng = np.random.default_rng(seed)
    pixels = (image.reshape(-1, 3) for image in images)
    first, second = (p[rng.choice(len(p), size, replace=False)] for p in pixels)
    return first, second


def run(output: Path, size: int, reg: float, tol: float) -> int:
    """Solve, print the table, write the picture."""
    images = photographs()
    source, target = sample_pixels(images, size)
    say = sys.stdout.write
    say(
        f"Colour transfer between two photographs of {images[0].shape[1]} x {images[0].shape[0]} "
        f"pixels: {size} pixels of each,\nsquared Euclidean cost, reg = {reg:g} of the largest "
        f"cost, tol = {tol:g}; {get_num_threads()} threads, {simd_level()}\n\n"
    )
    say(f"{'method':<42}{'iterations':>18}{'time':>10}{'marginal error':>17}{'gap':>10}  status\n")
    results = {}
    for method, title in METHODS.items():
        results[method] = result = _solve(source, target, method, reg, tol)
        steps = f"{result.n_iter - result.n_newton}"
        steps += f" + {result.n_newton}" if method != "sinkhorn" else ""
        seconds = sum(result.timings.values())
        say(
            f"{title:<42}{steps:>18}{seconds:>8.2f} s{result.marginal_error:>17.1e}"
            f"{result.gap:>10.1e}  {result.status}\n"
        )
    say("(iterations: Sinkhorn + Newton; time: solve and certificate)\n\n")

    start = time.perf_counter()
    there = _transfer(images[0], source, target, reg, tol)
    back = _transfer(images[1], target, source, reg, tol)
    say(f"both photographs mapped, every pixel, in {time.perf_counter() - start:.2f} s\n")
    _draw(output, images, (there, back), results)
    say(f"wrote {output}\n")
    return 0


def _solve(
    source: FloatArray, target: FloatArray, method: str, reg: float, tol: float
) -> TransportResult:
    with warnings.catch_warnings():
        # The table says it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solve_sample(
            source,
            target,
            reg=reg,
            reg_scale="max",
            method=method,
            tol=tol,
            max_iter=None if method != "sns" else 300,
        )


def _transfer(
    image: FloatArray, source: FloatArray, target: FloatArray, reg: float, tol: float
) -> FloatArray:
    """Give the image the colours of the target."""
    transport = EntropicTransport(reg=reg, reg_scale="max", tol=tol).fit(source, target)
    return np.clip(transport.transform(image.reshape(-1, 3)), 0, 1).reshape(image.shape)


def _draw(
    output: Path,
    images: tuple[FloatArray, FloatArray],
    transferred: tuple[FloatArray, FloatArray],
    results: dict[str, TransportResult],
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from sparrot import plot

    figure = Figure(figsize=(13, 9.6), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=[3, 3, 2])
    panels = [
        (images[0], "temple"),
        (images[1], "flower"),
        (transferred[0], "temple in the colours of the flower"),
        (transferred[1], "flower in the colours of the temple"),
    ]
    for k, (image, title) in enumerate(panels):
        axes = figure.add_subplot(grid[k // 2, k % 2])
        axes.imshow(image)
        axes.set_title(title)
        axes.set_axis_off()
    axes = figure.add_subplot(grid[2, :])
    for method, result in results.items():
        plot.trace(result, axes, label=METHODS[method])
    axes.legend()
    axes.grid(alpha=0.3)
    FigureCanvasAgg(figure)  # no window, whatever the user's default
    figure.savefig(output)

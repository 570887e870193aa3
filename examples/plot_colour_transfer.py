"""
Colour transfer between two photographs
=======================================

Two photographs are two clouds of points in the cube of colours. A plan that moves one cloud onto
the other at the least cost says which colour to replace by which; its entropic version extends to
every other colour, so that a thousand pixels of each are enough to repaint all of them. How
accurate the plan is, its certificate says: it is measured on the plan that is returned.
"""  # noqa: D205, D400

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

from sparrot.transport import EntropicTransport

# %%
# The photographs
# ---------------
# The temple and the flower that come with scikit-learn, and a sample of the pixels of each. A
# coarser picture (``step`` pixels apart) makes a quicker example.


def photographs(step=1):
    """Return both photographs, (height, width, 3), with colours from 0 to 1."""
    return [image[::step, ::step] / 255.0 for image in load_sample_images().images]


def sample_pixels(image, size, rng):
    """Draw ``size`` pixels without replacement."""
    pixels = image.reshape(-1, 3)
    return rng.choice(pixels, size, replace=False)


# %%
# The transfer
# ------------
# ``fit`` solves entropic transport between the samples, ``transform`` maps any colour. The
# regularisation is a thousandth of the largest cost: larger values wash the colours out, smaller
# ones follow the sample down to its noise.


def transfer(image, source, target, reg=1e-3):
    """Give an image the colours of the target; return it with the solved problem."""
    transport = EntropicTransport(reg=reg, reg_scale="max").fit(source, target)
    colours = transport.transform(image.reshape(-1, 3))
    return np.clip(colours, 0, 1).reshape(image.shape), transport.result_


def print_certificate(title, result):
    """Say how wrong a plan can be."""
    print(title)
    print(f"  {result.message}")
    print(f"  regularised cost above the optimum: at most {result.gap:.1e}")
    print(
        f"  transport cost without regularisation: from {result.lower_bound:.6f} "
        f"to {result.upper_bound:.6f}"
    )


# %%
# Both directions, side by side
# -----------------------------


def draw(pictures):
    """Draw pictures with their titles, two in a row."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.6), layout="constrained")
    for ax, (title, picture) in zip(axes.flat, pictures.items(), strict=True):
        ax.imshow(picture)
        ax.set_title(title)
        ax.set_axis_off()
    return figure


def main(arguments=None):
    """Transfer the colours both ways, print the certificates, write the picture."""
    parser = argparse.ArgumentParser(description="Colour transfer between two photographs.")
    parser.add_argument("--output", type=Path, default=Path("plot_colour_transfer.png"))
    parser.add_argument("--size", type=int, default=1000, help="pixels sampled of each")
    parser.add_argument("--step", type=int, default=1, help="pixels from one to the next")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(0)
    temple, flower = photographs(options.step)
    of_temple, of_flower = (sample_pixels(image, options.size, rng) for image in (temple, flower))
    there, result = transfer(temple, of_temple, of_flower)
    print_certificate("temple to flower", result)
    back, result = transfer(flower, of_flower, of_temple)
    print_certificate("flower to temple", result)
    figure = draw(
        {
            "temple": temple,
            "flower": flower,
            "temple in the colours of the flower": there,
            "flower in the colours of the temple": back,
        }
    )
    figure.savefig(options.output)


if __name__ == "__main__":
    main()

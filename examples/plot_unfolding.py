"""
Unrolled ISTA and IHT: with true codes, or without
==================================================

Nagahisa, Hayakawa and Iiguni ("Comparison between Supervised and Unsupervised Learning in Deep
Unfolded Sparse Signal Recovery", arXiv 2509.01331) unroll iterative soft and hard thresholding into
layers and train them, either supervised, for the mean squared error to true codes, or unsupervised,
for the objective of the algorithm itself. Their abstract says that

1. supervised ISTA has the smaller error in the end, but does not minimise the objective;
2. unsupervised ISTA comes to nearly the solution of ISTA in fewer iterations;
3. both kinds of IHT reach better local minima than plain IHT, similar ones;
4. away from the conditions of training unsupervised IHT still does well, supervised IHT less so.

This script puts these to the test with :class:`sparrot.sparse_coding.UnfoldedISTA` and
:class:`sparrot.sparse_coding.UnfoldedIHT`, on random combinations of random atoms. It learns steps
alone, which a summary of the paper says the authors do, then steps and thresholds. What comes out
is discussed in docs/unfolding.md; the set-up is ours, since we know the paper's abstracts only.
"""  # noqa: D205, D400

import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sparrot.errors import ConvergenceWarning
from sparrot.sparse_coding import UnfoldedIHT, UnfoldedISTA

FEATURES, ATOMS = 150, 300
DENSITY, SNR_DB = 0.05, 20.0
ALPHA = {"ISTA": 0.05, "IHT": 0.02}
ESTIMATORS = {"ISTA": UnfoldedISTA, "IHT": UnfoldedIHT}
LEARN = {"steps": ("step",), "steps and thresholds": ("step", "threshold")}
LOSSES = ("supervised", "unsupervised")

# %%
# The data
# --------
# Normal atoms, Bernoulli-Gaussian codes, white noise.

MATRIX = np.random.default_rng(0).normal(size=(FEATURES, ATOMS)) / np.sqrt(FEATURES)


def signals(count, seed, density=DENSITY, snr_db=SNR_DB):
    """Return signals and their codes."""
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(count, ATOMS)) * (rng.random((count, ATOMS)) < density)
    noise = np.sqrt(density * ATOMS / FEATURES * 10 ** (-snr_db / 10))
    measured = codes @ MATRIX.T + noise * rng.normal(size=(count, FEATURES))
    return measured.astype(np.float32), codes.astype(np.float32)


# %%
# The networks
# ------------
# All layers at once, from the plain algorithm, for a given number of passes over the signals.


def trained(name, loss, learn, data, layers, epochs):
    """Return a trained network."""
    model = ESTIMATORS[name](
        MATRIX,
        alpha=ALPHA[name],
        n_layers=layers,
        loss=loss,
        learn=learn,
        incremental=False,
        n_epochs=epochs,
        learning_rate=0.03,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("always", ConvergenceWarning)
        return model.fit(*data)


def plain(name, layers):
    """Return the algorithm itself, as a network that is not trained."""
    model = ESTIMATORS[name](MATRIX, alpha=ALPHA[name], n_layers=layers, n_epochs=1)
    model.fit(np.zeros((1, FEATURES), dtype=np.float32))  # zeros teach it nothing
    return model


def codes_after(model, measured, layers):
    """Return the codes after so many layers; that some are worse than 0 is what is shown here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.transform(measured, n_layers=layers)


def figures(name, codes, measured, truth):
    """Return the mean squared error and the mean objective."""
    codes = codes.astype(np.float64)
    squares = ((measured - codes @ MATRIX.T) ** 2).sum(1) / 2
    penalties = (np.abs(codes) if name == "ISTA" else codes != 0).sum(1)
    return ((codes - truth) ** 2).mean(), (squares + ALPHA[name] * penalties).mean()


def along_layers(name, model, measured, truth):
    """Return the figures of the codes after each layer."""
    depth = len(model.steps_)
    outputs = (codes_after(model, measured, t) for t in range(1, depth + 1))
    return np.array([figures(name, codes, measured, truth) for codes in outputs])


def settled(name, measured, truth, iterations):
    """Return the figures of the algorithm after many iterations; of ISTA, accelerated."""
    step = 1 / np.linalg.norm(MATRIX, 2) ** 2
    x = z = np.zeros((len(measured), ATOMS))
    t = 1.0
    for _ in range(iterations):
        v = z - step * ((z @ MATRIX.T - measured) @ MATRIX)
        if name == "ISTA":
            new = np.sign(v) * np.maximum(np.abs(v) - step * ALPHA[name], 0)
            after = (1 + np.sqrt(1 + 4 * t * t)) / 2
            z, x, t = new + (t - 1) / after * (new - x), new, after
        else:
            x = z = np.where(np.abs(v) > np.sqrt(2 * step * ALPHA[name]), v, 0)
    return figures(name, x, measured, truth)


# %%
# The picture
# -----------
# Errors and objectives along the layers; errors where the signals are not those of training.

COLOURS = {"supervised": "tab:orange", "unsupervised": "tab:blue"}
STYLES = {"steps": "--", "steps and thresholds": "-"}


def draw_layers(axes, name, curves, limit):
    """Draw errors and objectives along the layers."""
    for column, (ax, quantity) in enumerate(
        zip(axes, ("mean squared error", "objective"), strict=True)
    ):
        for (loss, learn), values in curves.items():
            layers = np.arange(1, len(values) + 1)
            if loss == "plain":
                ax.plot(layers, values[:, column], color="0.5", label="plain")
            else:
                label = f"{loss}, {learn}"
                colour, style = COLOURS[loss], STYLES[learn]
                ax.plot(layers, values[:, column], color=colour, linestyle=style, label=label)
        ax.axhline(limit[column], color="0.7", linestyle=":", label="plain, in the end")
        ax.set(xscale="log", yscale="log", xlabel="layers", ylabel=quantity, title=name)


def draw_mismatch(ax, name, quantity, places, curves):
    """Draw errors where signals are not those of training."""
    for (loss, learn), values in curves.items():
        if loss == "plain":
            ax.plot(places, values, color="0.5")
        else:
            ax.plot(places, values, color=COLOURS[loss], linestyle=STYLES[learn])
    ax.set(yscale="log", xlabel=quantity, ylabel="mean squared error", title=f"{name}, elsewhere")


def main(argv=None):
    """Train, measure, print and draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=15)
    parser.add_argument("--signals", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path("unfolding.png"))
    options = parser.parse_args(argv)
    data = signals(options.signals, 1)
    measured, truth = signals(500, 2)
    figure, axes = plt.subplots(2, 4, figsize=(17, 7.5), layout="constrained")
    densities, ratios = (0.02, 0.03, 0.05, 0.08, 0.12), (5, 10, 15, 20, 30, 40)
    for row, name in zip(axes, ESTIMATORS, strict=True):
        models = {("plain", ""): plain(name, min(255, 10 * options.layers))}
        for learn, parts in LEARN.items():
            for loss in LOSSES:
                models[loss, learn] = trained(
                    name, loss, parts, data, options.layers, options.epochs
                )
        limit = settled(name, measured, truth, options.iterations)
        curves = {key: along_layers(name, m, measured, truth) for key, m in models.items()}
        draw_layers(row[:2], name, curves, limit)
        at = options.layers - 1  # plain ones go further
        print(f"{name}, {options.layers} layers{'':22}{'error':>11}{'objective':>11}")
        print(f"  {'plain, in the end':38}{limit[0]:11.3e}{limit[1]:11.4f}")
        for (loss, learn), values in curves.items():
            print(f"  {f'{loss} {learn}':38}{values[at, 0]:11.3e}{values[at, 1]:11.4f}")
        sweeps = (
            ("density of the codes", densities, [signals(500, 3, density=d) for d in densities]),
            ("signal to noise, dB", ratios, [signals(500, 3, snr_db=s) for s in ratios]),
        )
        for ax, (quantity, places, sets) in zip(row[2:], sweeps, strict=True):
            print(f"  {quantity:38}" + "".join(f"{place:11g}" for place in places))
            elsewhere = {}
            for key, model in models.items():
                depth = min(options.layers, len(model.steps_))
                found = [(codes_after(model, y, depth), y, x) for y, x in sets]
                pairs = [figures(name, *one) for one in found]
                elsewhere[key] = [error for error, _ in pairs]
                title = " ".join(key)
                print(f"  {title:38}" + "".join(f"{error:11.2e}" for error, _ in pairs))
                print(
                    f"  {'  their objective':38}" + "".join(f"{value:11.4g}" for _, value in pairs)
                )
            draw_mismatch(ax, name, quantity, places, elsewhere)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.savefig(options.output, dpi=110)


if __name__ == "__main__":
    main()

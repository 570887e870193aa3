"""
Label propagation: what it finds, and where iterating it does not get
=====================================================================

Labels spread along a graph of the samples: every sample without one takes the weighted mean of its
neighbours' label distributions (Zhu, Ghahramani and Lafferty, ICML 2003).

- On two moons, two labelled points in each are enough on the graph of nearest neighbours: left, the
  probability of the second moon.
- On handwritten digits with the kernel ``exp(-gamma * |x - y|**2)`` the weights differ by hundreds
  of orders of magnitude as gamma grows. Iterating the means, as scikit-learn's estimator does, then
  stops long before its limit; :class:`sparrot.graph.LabelPropagation` solves for the limit by an
  elimination without a subtraction, which loses no digits: middle, the share of digits told right.
- Right, the certificate: the largest bound of the error of any probability.
"""  # noqa: D205, D400

import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_moons
from sklearn.semi_supervised import LabelPropagation as Iterated

from sparrot.graph import LabelPropagation

GAMMAS = np.geomspace(1e-3, 1.0, 7)
LABELLED = 60


def moons() -> tuple[np.ndarray, np.ndarray, LabelPropagation]:
    """Return points, labels and the fitted model."""
    X, truth = make_moons(1000, noise=0.05, random_state=0)
    y = np.full(1000, -1)
    for c in (0, 1):
        y[np.flatnonzero(truth == c)[:2]] = c
    return X, y, LabelPropagation(kernel="knn").fit(X, y)


def digits(gammas: np.ndarray, samples: int) -> dict[str, list[float]]:
    """Return, for each gamma, the shares told right and the largest error bound."""
    X, truth = (part[:samples] for part in load_digits(return_X_y=True))
    y = np.where(np.arange(samples) < LABELLED, truth, -1)
    found: dict[str, list[float]] = {"solved": [], "iterated": [], "bound": []}
    for gamma in gammas:
        model = LabelPropagation(gamma=gamma).fit(X, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it has not converged, or divides by 0
            iterated = Iterated(gamma=gamma).fit(X, y)
        for name, labels in (("solved", model), ("iterated", iterated)):
            found[name].append(float((labels.transduction_ == truth)[LABELLED:].mean()))
        found["bound"].append(float(model.result_.error_bound().max()))
    return found


def main(argv: list[str] | None = None) -> None:
    """Draw the three panels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("label_propagation.png"))
    parser.add_argument("--samples", type=int, default=600, help="digits")
    options = parser.parse_args(argv)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    X, y, model = moons()
    dots = left.scatter(*X.T, c=model.label_distributions_[:, 1], s=6, cmap="coolwarm")
    left.scatter(*X[y >= 0].T, c=y[y >= 0], s=90, marker="*", edgecolors="k", cmap="coolwarm")
    left.set(title="two labels in each moon", xticks=[], yticks=[])
    figure.colorbar(dots, ax=left, label="probability of the second")
    found = digits(GAMMAS, options.samples)
    middle.semilogx(GAMMAS, found["solved"], "o-", label="sparrot: solved")
    middle.semilogx(GAMMAS, found["iterated"], "s--", label="scikit-learn: iterated")
    middle.set(
        title=f"{options.samples} digits, {LABELLED} labelled",
        xlabel="gamma",
        ylabel="share told right",
    )
    middle.legend()
    right.loglog(GAMMAS, found["bound"], "o-")
    right.set(title="largest error of a probability", xlabel="gamma", ylabel="at most")
    figure.savefig(options.output, dpi=120)
    print(f"{'gamma':>8} {'solved':>8} {'iterated':>9} {'error at most':>14}")
    for row in zip(GAMMAS, *found.values(), strict=True):
        print("{:8.4g} {:8.3f} {:9.3f} {:14.1e}".format(*row))
    print(f"saved {options.output}")


if __name__ == "__main__":
    main()

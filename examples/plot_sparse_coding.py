"""
Sparse codes of digits, before a classifier
===========================================

A dictionary of samples, codes of few of its atoms, and a linear classifier on the codes instead of
the pixels.

- Left, the share of digits told right against the weight of the penalty, on the codes of
  :class:`sparrot.sparse_coding.SparseCoder` with L1 and with the minimax concave penalty, and on
  the pixels.
- Right, how many atoms a code has, and the certificate: the largest duality gap of any code.
"""  # noqa: D205, D400

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sparrot.sparse_coding import SparseCoder

ALPHAS = (0.01, 0.03, 0.1, 0.3)


def main(argv: list[str] | None = None) -> None:
    """Draw both panels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("sparse_coding.png"))
    parser.add_argument("--atoms", type=int, default=300)
    options = parser.parse_args(argv)
    X, y = load_digits(return_X_y=True)
    X = X / 16
    train, test = slice(0, 1000), slice(1000, None)
    picked = np.random.default_rng(0).choice(1000, options.atoms, replace=False)
    atoms = X[picked] / np.linalg.norm(X[picked], axis=1, keepdims=True)
    pixels = LogisticRegression(max_iter=2000).fit(X[train], y[train]).score(X[test], y[test])
    print(f"pixels: accuracy {pixels:.3f}")
    found: dict[str, list[tuple[float, float, float]]] = {}
    for penalty in ("l1", "mcp"):
        for alpha in ALPHAS:
            coder = SparseCoder(
                atoms, transform_algorithm="cd", penalty=penalty, transform_alpha=alpha, tol=1e-5
            )
            model = make_pipeline(coder, LogisticRegression(max_iter=2000))
            accuracy = model.fit(X[train], y[train]).score(X[test], y[test])
            result = model[0].encode(X[test])
            certificate = result.gap if penalty == "l1" else result.stationarity
            size = (result.codes != 0).sum(axis=1).mean()
            found.setdefault(penalty, []).append((accuracy, size, certificate.max()))
            print(
                f"{penalty:>4}, alpha {alpha:5.2f}: accuracy {accuracy:.3f}, "
                f"{size:5.1f} atoms in a code, certificate {certificate.max():.1e}"
            )
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for penalty, rows in found.items():
        left.semilogx(ALPHAS, [row[0] for row in rows], "o-", label=f"codes, {penalty}")
        right.loglog(ALPHAS, [row[1] for row in rows], "o-", label=f"atoms in a code, {penalty}")
    right.loglog(ALPHAS, [row[2] for row in found["l1"]], "s--", label="largest gap, l1")
    left.axhline(pixels, color="k", linestyle=":", label="pixels")
    left.set(xlabel="alpha", ylabel="share told right")
    right.set(xlabel="alpha")
    left.legend()
    right.legend()
    figure.savefig(options.output, dpi=120)
    print(f"saved {options.output}")


if __name__ == "__main__":
    main()

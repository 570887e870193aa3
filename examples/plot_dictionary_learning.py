"""
Dictionaries of image patches: L1 beside penalties that do not shrink
=====================================================================

Patches of a photograph are coded by few atoms of a dictionary, and the dictionary is learned for
the codes: codes by :class:`sparrot.sparse_coding.SparseCoder`, then each atom in turn by least
squares (Mairal, Bach, Ponce and Sapiro, J. Mach. Learn. Res. 11, 2010, algorithm 2), again and
again. That is done for L1, CEL0 and L0, each with several weights.

- Left, what is left of other patches than those learned from, against how many atoms a code has.
  L1 pays for sparsity with numbers that are too small; :func:`sparrot.sparse_coding.debias`
  corrects them, but not the choice of atoms. The comparison is that of "Beyond l1 sparse coding in
  V1" (PLoS Comput. Biol. 19, 2023).
- Right, the atoms that are used most, learned with CEL0.
"""  # noqa: D205, D400

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d

from sparrot.sparse_coding import SparseCoder, debias

SIDE = 8
# In units of a patch's size, and of its square; about the same numbers of atoms come out.
ALPHAS = {
    "l1": (0.03, 0.1, 0.2, 0.4),
    "cel0": (3e-3, 0.01, 0.03, 0.1),
    "l0": (1e-3, 3e-3, 0.01, 0.03),
}
# With atoms of norm 1 coordinate descent takes the same steps for CEL0 and L0; short ones differ.
ALGORITHMS = {"l1": "cd", "cel0": "ista", "l0": "iht"}
TOL = 1e-3


def patches(count: int) -> np.ndarray:
    """Return patches of a photograph without their means, in units of their mean deviation."""
    image = load_sample_image("china.jpg").mean(axis=2)
    found = extract_patches_2d(image, (SIDE, SIDE), max_patches=count, random_state=0)
    found = found.reshape(count, -1)
    found -= found.mean(axis=1, keepdims=True)
    return found / found.std()


def learn(signals: np.ndarray, n_atoms: int, coder: SparseCoder, rounds: int) -> np.ndarray:
    """Return atoms, in rows, learned from signals."""
    rng = np.random.default_rng(0)
    rich = signals[np.argsort(-signals.std(axis=1))[: 4 * n_atoms]]
    atoms = rich[rng.choice(len(rich), n_atoms, replace=False)]
    atoms = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
    for _ in range(rounds):
        codes = coder.set_params(dictionary=atoms).fit(signals).encode(signals).codes
        products, gram = codes.T @ signals, codes.T @ codes
        for j in np.flatnonzero(gram.diagonal() > 1e-10):
            atom = atoms[j] + (products[j] - gram[j] @ atoms) / gram[j, j]
            atoms[j] = atom / np.linalg.norm(atom)
    return atoms


def main(argv: list[str] | None = None) -> None:
    """Draw both panels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("dictionary_learning.png"))
    parser.add_argument("--patches", type=int, default=2000)
    parser.add_argument("--atoms", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(argv)
    signals = patches(2 * options.patches)
    known, new = signals[::2], signals[1::2]
    curves: dict[str, list[tuple[float, float]]] = {}
    shown = None
    for penalty, alphas in ALPHAS.items():
        for alpha in alphas:
            scaled = alpha * SIDE if penalty == "l1" else alpha * SIDE**2
            coder = SparseCoder(
                transform_algorithm=ALGORITHMS[penalty],
                transform_alpha=scaled,
                penalty="l1" if penalty == "l0" else penalty,
                tol=TOL,
                transform_max_iter=10_000,
            )
            atoms = learn(known, options.atoms, coder, options.rounds)
            coder.set_params(dictionary=atoms).fit(new)
            result = coder.encode(new)
            size = float((result.codes != 0).sum(axis=1).mean())
            refitted = debias(atoms.T, new, result.codes)
            for name, codes in ((penalty, result.codes), (f"{penalty}, refitted", refitted.codes)):
                error = float(((new - codes @ atoms) ** 2).sum() / (new**2).sum())
                curves.setdefault(name, []).append((size, error))
            certificate = result.gap if penalty == "l1" else result.stationarity
            print(
                f"{penalty:>4}, alpha {alpha:5.3f}: {size:5.1f} atoms, error "
                f"{curves[penalty][-1][1]:.4f}, refitted {error:.4f}, certificate "
                f"{certificate.max():.0e}"
            )
            if penalty == "cel0" and alpha == alphas[1]:
                used = np.argsort(-(result.codes != 0).sum(axis=0))
                shown = atoms[used[:64]]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for name, points in curves.items():
        if name == "l1, refitted" or "," not in name:
            left.loglog(*zip(*points, strict=True), "o--" if "," in name else "o-", label=name)
    left.set(xlabel="atoms in a code", ylabel="share of the squares left")
    left.legend()
    rows = int(np.ceil(len(shown) / 8))
    mosaic = np.full((rows * (SIDE + 1), 8 * (SIDE + 1)), np.nan)
    for k, atom in enumerate(shown):
        i, j = (SIDE + 1) * (k // 8), (SIDE + 1) * (k % 8)
        mosaic[i : i + SIDE, j : j + SIDE] = atom.reshape(SIDE, SIDE) / np.abs(atom).max()
    right.imshow(mosaic, cmap="gray")
    right.set(title="atoms, cel0", xticks=[], yticks=[])
    figure.savefig(options.output, dpi=120)
    print(f"saved {options.output}")


if __name__ == "__main__":
    main()

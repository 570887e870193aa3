"""Time sparse coding: 100 iterations of ISTA, codes to a relative gap of 1e-6, matching pursuit.

Everybody codes the same signals with the same dictionary and, for ISTA, the same step. Gaps are
measured by this script; the tolerance of whoever has one is lowered until they are reached. What
takes one signal at a time is timed on a few and scaled up. Medians, after a first call that is not
counted.

Pursuits are of two kinds, and are compared within each: scikit-learn's is orthogonal matching
pursuit, that of spams orthogonal least squares (whatever its name), whose residuals are smaller.
They take turns, and with one thread it is CPU time that is measured.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from peers import machine, output

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SPARROT_NUM_THREADS")
PACKAGES = ("sparrot", "torch", "numpy", "pylops", "pyproximal", "scikit-learn", "spams-bin")
GAP = 1e-6
ITERATIONS = 100
FEW = 20
"""Signals that those get who take one at a time."""
LONG = 5.0
"""Seconds from which on a call is not repeated."""
ATOMS_OF_A_PURSUIT = 10


class Case(NamedTuple):
    """A dictionary, by columns, and signals, by rows."""

    name: str
    A: Any
    Y: Any
    alpha: float


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers coding", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", nargs="+", default=["ista", "gap", "omp"])
    parser.add_argument("--output", type=Path, default=output.RESULTS / "coding")
    options = parser.parse_args(argv)
    count = str(options.threads)
    if any(os.environ.get(name) != count for name in THREADS):
        # They count only if they are there before NumPy is imported.
        os.environ.update(dict.fromkeys(THREADS, count))
        os.execv(os.sys.executable, [os.sys.executable, "-m", "peers", "coding", *argv])
    warnings.simplefilter("ignore")
    results = machine.description() | {
        "threads": options.threads,
        "repeats": options.repeats,
        "rows": [],
    }
    results["versions"] |= {package: machine.version(package) for package in PACKAGES}
    parts = {"ista": iterations, "gap": to_a_gap, "omp": pursuits}
    for case in cases():
        for part in options.parts:
            row = parts[part](case, options.threads, options.repeats)
            results["rows"].append({"part": part, "case": case.name, "alpha": case.alpha, **row})
            print(results["rows"][-1], flush=True)
            name = f"results-{count}"
            output.write(options.output, name, results, markdown(results))
    print(markdown(results))


def cases() -> Iterator[Case]:
    """Return Gaussian dictionaries with sparse truths, and patches of a photograph."""
    import numpy as np
    from sklearn.datasets import load_sample_image
    from sklearn.feature_extraction.image import extract_patches_2d

    for m, n, count in ((150, 300, 1000), (500, 1000, 1000)):
        rng = np.random.default_rng(0)
        A = rng.standard_normal((m, n)) / np.sqrt(m)
        X = rng.standard_normal((count, n)) * (rng.random((count, n)) < 0.05)
        clean = X @ A.T
        noise = rng.standard_normal(clean.shape) * np.sqrt((clean**2).mean() / 100)  # 20 dB
        for alpha in (0.1, 0.02):
            yield Case(f"{m}x{n}, {count} signals", A, clean + noise, alpha)
    image = load_sample_image("china.jpg").mean(axis=2) / 255
    patches = extract_patches_2d(image, (8, 8), max_patches=3000, random_state=0).reshape(-1, 64)
    patches -= patches.mean(axis=1, keepdims=True)
    patches = patches[patches.std(axis=1) > 1e-3]  # without contrast there is nothing to code
    atoms = patches[np.argsort(-patches.std(axis=1))[:512:2]].T
    yield Case("8x8 patches, 64x256", atoms / np.linalg.norm(atoms, axis=0), patches[:2000], 0.05)


def median(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the median milliseconds, after a call that is not counted, and the answer."""
    start = time.perf_counter()
    answer = call()
    if time.perf_counter() - start > LONG:
        repeats = 1
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        answer = call()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times), answer


def iterations(case: Case, threads: int, repeats: int) -> dict:
    """Return the milliseconds of ISTA, in float32, and the largest difference of the codes."""
    import numpy as np
    import pylops
    import pyproximal
    import torch

    from sparrot.sparse_coding import ista

    torch.set_num_threads(threads)
    step = float(1 / np.linalg.norm(case.A, 2) ** 2)
    A, Y = case.A.astype(np.float32), np.ascontiguousarray(case.Y, np.float32)
    t, cut = np.float32(step), np.float32(step * case.alpha)

    def sparrot():
        return ista(A, Y, case.alpha, step=step, tol=None, max_iter=ITERATIONS).codes

    def with_numpy():
        x, across = np.zeros((len(Y), A.shape[1]), np.float32), np.ascontiguousarray(A.T)
        for _ in range(ITERATIONS):
            v = x - t * ((x @ across - Y) @ A)
            x = v - np.clip(v, -cut, cut)
        return x

    dictionary, signals = torch.from_numpy(A), torch.from_numpy(Y)

    def with_torch():
        x, across = torch.zeros(len(Y), A.shape[1]), dictionary.T.contiguous()
        for _ in range(ITERATIONS):
            v = torch.addmm(x, torch.addmm(signals, x, across, beta=-1), dictionary, alpha=-step)
            x = torch.nn.functional.softshrink(v, step * case.alpha)
        return x.numpy()

    operator = pylops.MatrixMult(A, dtype=np.float32)

    def with_pylops():
        # Its penalty is half of eps times the L1 norm.
        options = {"niter": ITERATIONS, "eps": 2 * case.alpha, "alpha": step, "tol": 0.0}
        start = np.zeros(A.shape[1], np.float32)
        solve = pylops.optimization.sparsity.ista
        return np.stack([solve(operator, y, x0=start.copy(), **options)[0] for y in Y[:FEW]])

    def with_pyproximal():
        solve = pyproximal.optimization.primal.ProximalGradient
        penalty = pyproximal.L1(sigma=case.alpha)
        start = np.zeros(A.shape[1], np.float32)

        def code(y):
            loss = pyproximal.L2(Op=operator, b=y)
            return solve(loss, penalty, start.copy(), tau=step, niter=ITERATIONS)

        return np.stack([code(y) for y in Y[:FEW]])

    row, reference = {}, with_numpy()
    for name, call in {"sparrot": sparrot, "torch": with_torch, "numpy": with_numpy}.items():
        row[name] = median(call, repeats)
    for name, call in {"pylops": with_pylops, "pyproximal": with_pyproximal}.items():
        milliseconds, codes = median(call, 1)
        row[name] = milliseconds * len(Y) / FEW, codes
    return {
        name: (ms, float(np.abs(codes - reference[: len(codes)]).max()))
        for name, (ms, codes) in row.items()
    }


def largest_gap(case: Case, codes) -> float:
    """Return the largest relative duality gap, in double precision."""
    import numpy as np

    residuals = case.Y - codes @ case.A.T
    shares = np.minimum(1, case.alpha / np.abs(residuals @ case.A).max(axis=1))
    away = case.Y - shares[:, None] * residuals
    primal = (residuals**2).sum(1) / 2 + case.alpha * np.abs(codes).sum(1)
    zero = (case.Y**2).sum(1) / 2
    gaps = (primal - (zero - (away**2).sum(1) / 2)) / np.where(zero > 0, zero, 1)
    return float(gaps.max())


def to_a_gap(case: Case, threads: int, repeats: int) -> dict:
    """Return the milliseconds to a relative gap of 1e-6, and the gap."""
    import numpy as np
    import spams
    from sklearn.decomposition import sparse_encode

    from sparrot.sparse_coding import SparseCoder

    coder = SparseCoder(case.A.T, transform_algorithm="lasso_cd", transform_alpha=case.alpha)
    coder.set_params(tol=GAP).fit(case.Y)
    row = {}
    milliseconds, codes = median(lambda: coder.transform(case.Y), repeats)
    row["sparrot"] = milliseconds, largest_gap(case, codes)
    # scikit-learn has no tolerance here: the most iterations decide.
    atoms = np.ascontiguousarray(case.A.T)
    for most in (10, 20, 50, 100, 200, 500, 1000, 5000):

        def encode(most=most):
            options = {"algorithm": "lasso_cd", "alpha": case.alpha, "max_iter": most}
            return sparse_encode(case.Y, atoms, n_jobs=1, **options)

        start = time.perf_counter()
        gap = largest_gap(case, encode())
        if gap <= GAP or time.perf_counter() - start > 4 * LONG:
            break
    row["scikit-learn"] = median(encode, repeats)[0], gap

    def lars_of_scikit_learn():
        return sparse_encode(case.Y[:FEW], atoms, algorithm="lasso_lars", alpha=case.alpha)

    milliseconds, codes = median(lars_of_scikit_learn, 1)
    few = case._replace(Y=case.Y[:FEW])
    row["scikit-learn LARS"] = milliseconds * len(case.Y) / FEW, largest_gap(few, codes)
    columns, dictionary = np.asfortranarray(case.Y.T), np.asfortranarray(case.A)

    def lars_of_spams():
        options = {"lambda1": case.alpha, "mode": 2, "numThreads": threads}
        return spams.lasso(columns, dictionary, **options)

    milliseconds, codes = median(lars_of_spams, repeats)
    row["spams LARS"] = milliseconds, largest_gap(case, codes.toarray().T)
    return row


def pursuits(case: Case, threads: int, repeats: int) -> dict:
    """Return the milliseconds of pursuits, and how far residuals of a kind are apart at most."""
    import numpy as np
    import spams
    from sklearn.linear_model import orthogonal_mp_gram

    from sparrot.sparse_coding import SparseCoder

    A = np.asfortranarray(case.A / np.linalg.norm(case.A, axis=0))
    Y = case.Y
    columns = np.asfortranarray(Y.T)

    def of_sparrot(rule):
        coder = SparseCoder(A.T, transform_algorithm=rule)
        coder.set_params(transform_n_nonzero_coefs=ATOMS_OF_A_PURSUIT).fit(Y)
        return lambda: coder.transform(Y)

    def of_scikit_learn():
        gram, products = A.T @ A, A.T @ Y.T
        return orthogonal_mp_gram(gram, products, n_nonzero_coefs=ATOMS_OF_A_PURSUIT).T

    def of_spams():
        return spams.omp(columns, A, L=ATOMS_OF_A_PURSUIT, numThreads=threads).toarray().T

    kinds = {
        ("sparrot", of_sparrot("omp")): ("scikit-learn", of_scikit_learn),
        ("sparrot ols", of_sparrot("ols")): ("spams OMP", of_spams),
    }
    calls = dict(call for pair in kinds.items() for call in pair)
    clock = time.process_time if threads == 1 else time.perf_counter
    codes = {name: call() for name, call in calls.items()}
    times = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(1e3 * (clock() - start))
    norms = np.linalg.norm(Y, axis=1)
    left = {
        name: np.linalg.norm(Y - x @ A.T, axis=1) / np.where(norms > 0, norms, 1)
        for name, x in codes.items()
    }
    apart = {
        name: float(np.abs(left[ours] - left[theirs]).max())
        for (ours, _), (theirs, _) in kinds.items()
        for name in (ours, theirs)
    }
    return {name: (statistics.median(times[name]), apart[name]) for name in calls}


TITLES = {
    "ista": ("100 iterations of ISTA, ms (largest difference)", "ratio to torch and the others"),
    "gap": ("to a gap of 1e-6, ms (gap)", "ratio to scikit-learn, its LARS, spams"),
    "omp": ("10 atoms by pursuit, ms (residuals apart)", "ratio to scikit-learn, spams"),
}
RATIOS = {
    "ista": {"torch": "sparrot", "pylops": "sparrot", "pyproximal": "sparrot"},
    "gap": {"scikit-learn": "sparrot", "scikit-learn LARS": "sparrot", "spams LARS": "sparrot"},
    "omp": {"scikit-learn": "sparrot", "spams OMP": "sparrot ols"},
}


def markdown(results: dict) -> str:
    parts = [machine.headline(results)]
    for part, (title, ratio) in TITLES.items():
        rows = [row for row in results["rows"] if row["part"] == part]
        if not rows:
            continue
        names = [name for name in rows[0] if name not in ("part", "case", "alpha")]
        lines = []
        for row in rows:
            figures = [f"{output.figure(row[name][0])} ({row[name][1]:.0e})" for name in names]
            ratios = [
                output.figure(row[theirs][0] / row[ours][0])
                for theirs, ours in RATIOS[part].items()
            ]
            lines.append([f"{row['case']}, alpha {row['alpha']}", *figures, ", ".join(ratios)])
        parts.append(output.table([title, *names, ratio], lines))
    return "\n\n".join(parts) + "\n"

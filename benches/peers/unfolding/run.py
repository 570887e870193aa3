"""Time the training of unrolled ISTA and IHT beside torch: same network, loss, batches and steps.

All layers are trained at once, from the plain algorithm, by Adam with the same rates. The time is
the mean of all passes over the signals, ours with the Gram matrix; beside it, a pass's share of all
of fit, which also checks its input, and measures the gradient, the loss of what it returns and that
of the plain algorithm. The loss at the end, over all signals, is of the network as it is trained,
so that both are of the same function. torch's losses are of several seeds of the order of the
signals, ours of the same ones.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from peers import machine, output
from peers.child import Child

PACKAGES = ("sparrot", "torch")
DENSITY, NOISE_DB, RATE = 0.05, 20.0, 0.05
MODULE = "peers.unfolding.run"


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m peers unfolding", description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=["150x300", "250x1000", "500x1000"])
    parser.add_argument("--signals", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--alpha", type=float, default=0.02)
    parser.add_argument("--penalties", nargs="+", choices=["l1", "l0"], default=["l1", "l0"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=output.RESULTS / "unfolding")
    options = parser.parse_args(argv)
    results = machine.description() | {"threads": options.threads, "rows": []}
    results["versions"] |= {package: machine.version(package) for package in PACKAGES}
    for size in options.sizes:
        for penalty in options.penalties:
            for loss in ("supervised", "unsupervised"):
                for threads in options.threads:
                    case = {
                        "size": size,
                        "penalty": penalty,
                        "loss": loss,
                        "alpha": options.alpha,
                        "signals": options.signals,
                        "batch": options.batch,
                        "layers": options.layers,
                        "epochs": options.epochs,
                        "seeds": options.seeds,
                    }
                    with Child(MODULE, threads=threads) as child:
                        row = child.ask(case | {"threads": threads}, 600)
                    results["rows"].append(case | {"threads": threads} | row)
                    print(results["rows"][-1], flush=True)
                    output.write(options.output, "results", results, markdown(results))
    print(markdown(results))


def measured(case: dict) -> dict:
    """Return milliseconds of a pass and final losses, of both, seed by seed, in turns."""
    import numpy as np
    import torch

    from peers.unfolding.reference import Torch

    torch.set_num_threads(case["threads"])
    features, atoms = map(int, case["size"].split("x"))
    rng = np.random.default_rng(0)
    A = rng.normal(size=(features, atoms)) / np.sqrt(features)
    shape = case["signals"], atoms
    truth = rng.normal(size=shape) * (rng.random(shape) < DENSITY)
    noise = np.sqrt(DENSITY * atoms / features * 10 ** (-NOISE_DB / 10))
    Y = truth @ A.T + noise * rng.normal(size=(case["signals"], features))
    A, Y, truth = (array.astype(np.float32) for array in (A, Y, truth))
    found = {"sparrot": [], "torch": []}
    for seed in range(-1, case["seeds"]):
        pair = {"sparrot": ours(A, Y, truth, case, max(seed, 0))}
        settings = {name: case[name] for name in ("penalty", "loss", "alpha")}
        peer = Torch(A, Y, truth, n_layers=case["layers"], rate=RATE, **settings)
        order = torch.Generator().manual_seed(max(seed, 0))
        steps = -(-case["signals"] // case["batch"])
        start = time.perf_counter()
        for epoch in range(case["epochs"]):
            rows = torch.randperm(case["signals"], generator=order).split(case["batch"])
            peer.epoch(rows, epoch * steps, case["epochs"] * steps)
        seconds = time.perf_counter() - start
        milliseconds = 1e3 * seconds / case["epochs"]
        pair["torch"] = milliseconds, milliseconds, peer.final_loss()
        if seed >= 0:  # the first round warms up
            for name, figures in pair.items():
                found[name].append(figures)
    return {
        name: {
            "ms": statistics.median(ms for ms, _, _ in rounds),
            "whole": statistics.median(ms for _, ms, _ in rounds),
            "losses": [loss for _, _, loss in rounds],
        }
        for name, rounds in found.items()
    }


def ours(A, Y, truth, case: dict, seed: int) -> tuple[float, float, float]:
    from sparrot.sparse_coding import UnfoldedIHT, UnfoldedISTA

    estimator = {"l1": UnfoldedISTA, "l0": UnfoldedIHT}[case["penalty"]]
    model = estimator(
        A,
        alpha=case["alpha"],
        n_layers=case["layers"],
        loss=case["loss"],
        incremental=False,
        n_epochs=case["epochs"],
        batch_size=case["batch"],
        learning_rate=RATE,
        random_state=seed,
    )
    start = time.perf_counter()
    model.fit(Y, truth)
    whole = time.perf_counter() - start
    passes = model.history_["time"][-1]
    loss = model.loss_and_gradient(Y, truth)[0]
    return 1e3 * passes / case["epochs"], 1e3 * whole / case["epochs"], loss


def markdown(results: dict) -> str:
    rows = []
    for row in results["rows"]:
        ms = {name: row[name]["ms"] for name in PACKAGES}
        rows.append(
            [
                f"{row['size']} {'ISTA' if row['penalty'] == 'l1' else 'IHT'}, {row['loss']}, "
                f"{row['alpha']:g}",
                str(row["threads"]),
                *(output.figure(ms[name]) for name in PACKAGES),
                output.figure(row["sparrot"]["whole"]),
                output.figure(ms["torch"] / ms["sparrot"]),
                *(spread(row[name]["losses"]) for name in PACKAGES),
            ]
        )
    titles = [
        "ms for a pass",
        "threads",
        *PACKAGES,
        "of all of fit",
        "ratio",
        "our loss",
        "torch's loss",
    ]
    return f"{machine.headline(results)}\n\n{output.table(titles, rows)}\n"


def spread(losses: list[float]) -> str:
    deviation = statistics.stdev(losses) if len(losses) > 1 else 0.0
    return f"{statistics.mean(losses):.4g} ± {deviation:.1g}"


if __name__ == "__main__":
    print(json.dumps(measured(json.loads(sys.stdin.readline()))), flush=True)

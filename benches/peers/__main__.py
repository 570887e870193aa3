"""``python -m peers COMMAND``: each command is a module of its suite, imported when asked for."""

import argparse
from importlib import import_module

COMMANDS = {
    "transport": ("peers.transport.run", "entropic transport against POT, regot and OTT-JAX"),
    "transport-figure": ("peers.transport.figure", "errors against times, of an earlier run"),
    "ksparse": ("peers.ksparse.run", "k-sparse transport against POT, quadratic against regot"),
    "descent": ("peers.descent.run", "block coordinate descent beside its authors' code"),
    "graph": ("peers.graph.run", "label propagation against sparse factors, CG, multigrid"),
    "lasso": ("peers.lasso.run", "the Lasso against scikit-learn, celer and skglm"),
    "memory": ("peers.lasso.memory", "memory that fits of the Lasso take, beside the same"),
    "paths": ("peers.lasso.paths", "paths and cross-validation, against adelie and glmnet, too"),
    "logistic": ("peers.lasso.logistic", "sparse logistic regression against the same"),
    "classes": ("peers.lasso.classes", "more than two classes, against scikit-learn's saga"),
    "groups": ("peers.lasso.groups", "group and multi-task Lasso against the same and adelie"),
    "nonconvex": ("peers.lasso.nonconvex", "penalties that are not convex against skglm, abess"),
    "unfolding": ("peers.unfolding.run", "training of unrolled ISTA and IHT against torch"),
    "coding": (
        "peers.coding.run",
        "sparse codes against torch, pylops, scikit-learn, spams, others",
    ),
    "least-squares": ("peers.least_squares.run", "tall least squares against nine others"),
    "sketches": ("peers.least_squares.sketches", "sketches against the Gram product and scipy's"),
    "softmax": ("peers.softmax.run", "softmax and logsumexp against seven others: times"),
    "softmax-accuracy": ("peers.softmax.accuracy", "their errors, in units in the last place"),
    "softmax-methods": ("peers.softmax.methods", "our own methods against the length of a row"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m peers",
        description=__doc__,
        epilog="\n".join(f"{name:<18}{about}" for name, (_, about) in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("options", nargs=argparse.REMAINDER, help="COMMAND --help lists them")
    chosen = parser.parse_args()
    import_module(COMMANDS[chosen.command][0]).main(chosen.options)


if __name__ == "__main__":
    main()

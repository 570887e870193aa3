"""Run as a program: fits on clusters of worker processes, prints what came of it as JSON."""

import json
import os
import pathlib
import sys

import dask.array as da
import numpy as np

from sparrot.interop.dask import lstsq, sketch

N, D, ROWS = 20_000, 12, 1500


def block(start, stop):
    return np.random.default_rng(start).normal(size=(stop - start, D)) + 1


def deadly(values, flag=None):
    """Kill the worker that comes here first."""
    if values.shape[0] == ROWS:  # not for Dask's look at what it returns
        try:
            pathlib.Path(flag).touch(exist_ok=False)
        except FileExistsError:
            return values
        os._exit(1)
    return values


def answer(A, b):
    # The second matrix is so nearly dependent that one pass does not suffice.
    near = da.concatenate([A, A[:, :1] + 1e-9 * A[:, 1:2] * A[:, 2:3]], axis=1)
    results = [lstsq(matrix, b, fit_intercept=True) for matrix in (A, near)]
    return {
        "x": [v.hex() for result in results for v in result.x.tolist()],
        "bound": [v.hex() for result in results for v in result.coef_bound.tolist()],
        "intercept": [result.intercept.hex() for result in results],
        "passes": [result.passes for result in results],
        "converged": all(result.converged for result in results),
        "sketch": [v.hex() for v in sketch(A, 40, rng=1).ravel().tolist()],
    }


def main(folder):
    from distributed import Client, LocalCluster

    values = np.concatenate([block(s, min(s + ROWS, N)) for s in range(0, N, ROWS)])
    A = da.from_array(values, chunks=(ROWS, D))
    b = values @ np.arange(D) + np.random.default_rng(99).normal(size=N)
    found = {"threads": answer(A, b)}
    options = {"threads_per_worker": 1, "dashboard_address": None}
    for workers in (1, 2, 4):
        with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster):
            found[str(workers)] = answer(A, b)
    flag = os.path.join(folder, "died")
    with LocalCluster(n_workers=2, **options) as cluster, Client(cluster):
        found["killed"] = answer(A.map_blocks(deadly, flag=flag, dtype=A.dtype), b)
    found["died"] = os.path.exists(flag)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])

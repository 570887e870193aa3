"""Ctrl-C ends solves on graphs, a large graph takes memory linear in its edges."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from sparrot.graph import ForestSmoother, laplacian_solve


def cube(m):
    line = sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(m, m))
    return sparse.csr_array(sparse.kronsum(sparse.kronsum(line, line), line))


CUBE = cube(40)
MANY = np.random.default_rng(0).normal(size=(2, 300))
SMOOTHER = ForestSmoother(CUBE + 7 * sparse.eye_array(64_000))

ENDLESS = {
    "cg": lambda: laplacian_solve(CUBE, [0, 1], MANY, method="cg", tol=0, max_iter=10**9),
    # Its factor takes more than ten seconds.
    "cholesky": lambda: laplacian_solve(CUBE, [0, 1], MANY, method="cholesky"),
    "dense": lambda: laplacian_solve(CUBE[:9000][:, :9000], [0], [1.0], method="dense"),
    "forest": lambda: laplacian_solve(CUBE, [0, 1], MANY, method="forest", tol=0),
    "forest_cg": lambda: laplacian_solve(CUBE, [0, 1], MANY, method="forest_cg", tol=0),
    "smoother": lambda: SMOOTHER.smooth(np.ones(64_000), n_sweeps=10**9),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c(name, threads, ends_at_ctrl_c):
    ends_at_ctrl_c(ENDLESS[name], threads)


MILLION = """
from pathlib import Path
import numpy as np
from scipy import sparse
from sparrot.graph import laplacian_solve

def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

m = 1000
line = sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(m, m))
W = sparse.csr_array(sparse.kronsum(line, line))
W = sparse.csr_array((W.data, W.indices.astype(np.int32), W.indptr.astype(np.int32)), W.shape)
labelled = np.random.default_rng(0).choice(m * m, 50_000, replace=False)
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
before = kilobytes("VmRSS")
result = laplacian_solve(W, labelled, np.sin(labelled), method="auto")
assert result.converged and result.method == "cg" and result.unreached.size == 0
print((kilobytes("VmHWM") - before) * 1024 / W.nnz)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux's /proc")
def test_a_million_nodes_in_memory_linear_in_the_edges():
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", MILLION], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    # Bytes for each entry of W, which itself has 12: measured 39. A dense matrix would have
    # two million.
    assert float(ran.stdout) < 60


def test_what_does_not_fit_is_a_memory_error():
    n = 3_000_000  # n^2 doubles are 72 TB
    line = sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(n, n))
    W = sparse.csr_array(line)
    with pytest.raises(MemoryError, match="the weights of the graph"):
        laplacian_solve(W, [0], [1.0], method="dense")

"""Graphs that several tests use."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.datasets import make_moons


def lattice(m, weight=1.0):
    """The m x m lattice."""
    line = sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(m, m))
    return sparse.csr_array(weight * sparse.kronsum(line, line))


def moons(n, seed=0):
    """The 5-neighbour graph of two moons, and which moon each node is in."""
    X, truth = make_moons(n, noise=0.1, random_state=seed)
    _, near = cKDTree(X).query(X, 6)
    W = sparse.coo_array((np.ones(5 * n), (np.repeat(np.arange(n), 5), near[:, 1:].ravel())))
    W = W.tocsr()
    return sparse.csr_array(W.maximum(W.T)), truth


def random_graph(rng, n, density=0.4, spread=0.0):
    """A graph with weights between 10^-spread and 10^spread."""
    weights = 10.0 ** rng.uniform(-spread, spread, (n, n)) * (rng.random((n, n)) < density)
    weights = np.triu(weights, 1)
    return weights + weights.T


def laplacian(W):
    dense = np.asarray(W.todense() if sparse.issparse(W) else W, dtype=float)
    return np.diag(dense.sum(1)) - dense


def reached(W, held):
    """Nodes from which a path leads to one that is held, by search."""
    dense = np.asarray(W.todense() if sparse.issparse(W) else W)
    found = held.copy()
    while True:
        more = found | (dense[:, found] > 0).any(axis=1)
        if (more == found).all():
            return found
        found = more


def exact(W, labelled, values, diagonal=None, source=None):
    """The solution in rational arithmetic, of the weights as they are; all nodes reached."""
    n = len(W)
    free = [i for i in range(n) if i not in set(labelled)]
    given = dict(zip(labelled, values, strict=True))
    rows = []
    for i in free:
        c = Fraction(0) if diagonal is None else Fraction(float(diagonal[i]))
        total = c + sum(Fraction(float(W[i, j])) for j in range(n) if j != i)
        row = [-Fraction(float(W[i, j])) for j in free]
        row[free.index(i)] = total
        rhs = Fraction(0) if source is None else Fraction(float(source[i]))
        rhs += sum(Fraction(float(W[i, j])) * Fraction(float(v)) for j, v in given.items())
        rows.append([*row, rhs])
    size = len(free)
    for p in range(size):
        q = next(q for q in range(p, size) if rows[q][p] != 0)
        rows[p], rows[q] = rows[q], rows[p]
        for i in range(p + 1, size):
            share = rows[i][p] / rows[p][p]
            if share:
                rows[i] = [x - share * y for x, y in zip(rows[i], rows[p], strict=True)]
    x = [Fraction(float(given.get(i, 0))) for i in range(n)]
    for p in reversed(range(size)):
        known = sum(rows[p][q] * x[free[q]] for q in range(p + 1, size))
        x[free[p]] = (rows[p][size] - known) / rows[p][p]
    return x


@pytest.fixture
def chain():
    return sparse.csr_array(sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(101, 101)))

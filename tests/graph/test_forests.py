"""Forests, systems on them, and sweeps, against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg

from sparrot.errors import InvalidInputError
from sparrot.graph import ForestSmoother, forest_partition, greedy_forest, message_passing_solve
from tests.graph.conftest import laplacian, lattice, random_graph


def is_forest(W, nodes):
    """By counting: as many edges as nodes less components."""
    block = sparse.csr_array(W)[nodes][:, nodes]
    components, _ = connected_components(block, directed=False)
    edges = sparse.triu(block, 1).nnz
    return edges == len(nodes) - components


def definite(rng, n, density=0.3):
    W = random_graph(rng, n, density)
    signs = rng.choice([-1.0, 1.0], (n, n))
    W *= np.triu(signs) + np.triu(signs, 1).T
    return W + np.diag(np.abs(W).sum(1) + rng.random(n) + 0.1)


@given(seed=st.integers(0, 10**6))
def test_partitions_are_first_fit_and_greedy_forests_maximal(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 25))
    A = definite(rng, n)
    forests = forest_partition(A)
    assert sorted(np.concatenate(forests).tolist()) == list(range(n))
    order = np.argsort(-np.diag(A), kind="stable")
    grown = []
    for node in order:
        home = next((f for f in grown if is_forest(A, [*f, node])), None)
        if home is None:
            grown.append([node])
        else:
            home.append(node)
    assert [forest.tolist() for forest in forests] == grown
    score = rng.integers(0, 5, n)
    expected = []
    for node in np.argsort(-score, kind="stable"):
        if is_forest(A, [*expected, node]):
            expected.append(node)
    assert greedy_forest(A, score).tolist() == expected


def test_a_lattice_is_two_forests():
    assert len(forest_partition(lattice(20))) == 2


@given(seed=st.integers(0, 10**6))
def test_message_passing_is_a_dense_solve(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    A = definite(rng, n)
    block = greedy_forest(A, rng.random(n))
    b = rng.normal(size=(n, 3))
    x = message_passing_solve(A, b, block)
    expected = np.zeros((n, 3))
    expected[block] = np.linalg.solve(A[np.ix_(block, block)], b[block])
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    mask = np.zeros(n, bool)
    mask[block] = True
    by_mask = message_passing_solve(sparse.csr_array(A), b, mask)
    np.testing.assert_allclose(by_mask, x, rtol=0, atol=1e-12 * np.abs(x).max())
    np.testing.assert_array_equal(message_passing_solve(A, b[:, 0], block), x[:, 0])


@pytest.mark.parametrize("shape", ["path", "star", "tree"])
def test_a_million_nodes(shape, rng):
    n = 1_000_000
    child = np.arange(1, n)
    parent = {
        "path": child - 1,
        "star": np.zeros(n - 1, dtype=int),
        "tree": (child * rng.random(n - 1)).astype(int),
    }[shape]
    edges = sparse.coo_array((-rng.random(n - 1), (child, parent)), shape=(n, n))
    A = sparse.csr_array(edges + edges.T)
    A.setdiag(1.1 - np.asarray(A.sum(axis=1)).ravel())
    x = rng.normal(size=n)
    np.testing.assert_allclose(message_passing_solve(A, A @ x), x, rtol=0, atol=1e-9)


def test_what_is_no_forest_or_not_definite_is_named():
    triangle = np.ones((3, 3)) + 2 * np.eye(3)
    with pytest.raises(InvalidInputError, match=r"A: node \d lies on a cycle.*forest_partition"):
        message_passing_solve(triangle, np.ones(3))
    with pytest.raises(InvalidInputError, match=r"pivot of node \d .*positive definite"):
        message_passing_solve(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones(2))
    with pytest.raises(InvalidInputError, match=r"pivot of node \d .*positive definite"):
        ForestSmoother(np.array([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (forest_partition, (np.ones((2, 3)),), "A has shape"),
        (forest_partition, (np.array([[1.0, 2], [3, 1]]),), r"A: entry \(0, 1\) is 2 but"),
        (forest_partition, (np.eye(2), [1.0]), "score has 1 values for 2 nodes"),
        (greedy_forest, (np.eye(2), [1.0, np.nan]), r"score\[1\] is nan"),
        (greedy_forest, (np.eye(2), "ab"), "score has dtype"),
        (message_passing_solve, (np.eye(2), [1.0]), "b has 1 rows for 2 nodes"),
        (message_passing_solve, (np.eye(2), [np.inf, 1]), "b contains inf"),
        (message_passing_solve, (np.eye(2), [1.0, 2], [0, 0]), "block has node 0 2 times"),
        (ForestSmoother, (np.array([[np.nan]]),), "A: entry .* is NaN"),
        (ForestSmoother(np.eye(2)).smooth, ([1.0, 2, 3],), "b has 3 rows for 2"),
        (ForestSmoother(np.eye(2)).smooth, ([1.0, 2], [[1.0, 2], [3, 4]]), "x has shape"),
    ],
)
def test_bad_input_is_named(function, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        function(*arguments)


def test_empty_blocks():
    np.testing.assert_array_equal(message_passing_solve(np.eye(2), [1.0, 2.0], []), 0)


def test_sweeps_are_block_gauss_seidel(rng):
    A = definite(rng, 40)
    b, start = rng.normal(size=(2, 40, 2))
    smoother = ForestSmoother(A)
    forests = forest_partition(A)
    assert smoother.n_forests == len(forests) > 2

    def swept(x, order):
        x = x.copy()
        for forest in order:
            residual = b[forest] - A[forest] @ x
            x[forest] += np.linalg.solve(A[np.ix_(forest, forest)], residual)
        return x

    forward = swept(start, forests)
    backward = swept(start, forests[::-1])
    both = swept(forward, forests[::-1])
    for direction, expected in [
        ("forward", forward),
        ("backward", backward),
        ("symmetric", both),
    ]:
        found = smoother.smooth(b, start, direction=direction)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    twice = smoother.smooth(b, smoother.smooth(b, start))
    np.testing.assert_array_equal(smoother.smooth(b, start, n_sweeps=2), twice)
    np.testing.assert_array_equal(smoother.smooth(b, start, n_sweeps=0), start)


def test_a_symmetric_sweep_is_a_preconditioner(rng):
    A = definite(rng, 40)
    M = ForestSmoother(A).as_preconditioner()
    dense = M @ np.eye(40)
    np.testing.assert_allclose(dense, dense.T, atol=1e-14)
    assert np.linalg.eigvalsh((dense + dense.T) / 2).min() > 0
    W = lattice(40)
    L = sparse.csr_array(sparse.diags_array(W.sum(axis=1) + 1e-3) - W)
    b = rng.normal(size=1600)

    def iterations(M):
        seen = []
        x, info = cg(L, b, rtol=1e-10, M=M, callback=lambda _: seen.append(1))
        assert info == 0
        np.testing.assert_allclose(L @ x, b, atol=1e-7)
        return len(seen)

    jacobi = sparse.diags_array(1 / L.diagonal())
    assert iterations(ForestSmoother(L).as_preconditioner()) < 0.6 * iterations(jacobi)


def test_sweeps_smooth(rng):
    # What multigrid asks of a smoother: rough errors fall fast, whatever smooth ones do.
    A = laplacian(lattice(16)) + 0.01 * np.eye(256)
    vectors = np.linalg.eigh(A)[1]
    smoother = ForestSmoother(A)

    rough = vectors[:, 128:]

    def left(error):
        return np.linalg.norm(rough.T @ smoother.smooth(np.zeros(256), error))

    assert max(left(vector) for vector in rough.T) < 0.25
    smooth = vectors[:, 0]
    assert smooth @ smoother.smooth(np.zeros(256), smooth) > 0.9

"""Forests of a graph, and systems whose graph is one."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sparrot import _sparrot
from sparrot._validation import FloatArray
from sparrot.graph._matrix import as_columns, as_nodes, as_square, by_score, native

Nodes = npt.NDArray[np.int64]


def forest_partition(A: object, score: object = None) -> list[Nodes]:
    """Cut the graph of a symmetric matrix into forests.

    Each node, by decreasing score, goes into the first forest that stays without a cycle (tree
    partitions [1]_). Costs little more than a reading of the matrix.

    Parameters
    ----------
    A : sparse matrix or array_like of shape (n, n)
        A symmetric matrix; entries other than 0 off the diagonal are edges.
    score : array_like of shape (n,), optional
        By default the diagonal of A: nodes by decreasing Lipschitz constant.

    Returns
    -------
    list of ndarray of int64
        The nodes of each forest, in the order in which they joined it.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If A is not square, finite and symmetric, or score does not fit it.

    See Also
    --------
    greedy_forest : One forest, of the nodes with the largest scores.
    message_passing_solve : Systems on a forest.

    References
    ----------
    .. [1] J. Nutini, I. Laradji, M. Schmidt, "Let's Make Block Coordinate Descent Converge
       Faster", JMLR 23 (2022), arXiv 1712.08859, section 5.2.

    Examples
    --------
    A cycle needs two:

    >>> import numpy as np
    >>> from sparrot.graph import forest_partition
    >>> W = np.roll(np.eye(4), 1, axis=0)
    >>> [forest.tolist() for forest in forest_partition(W + W.T)]
    [[0, 1, 2], [3]]
    """
    matrix = as_square(A, "A")
    order = by_score(score, "score", matrix.shape[0], default=matrix.diagonal())
    return _sparrot.graph_forest_partition(native(matrix), order)


def greedy_forest(A: object, score: object) -> Nodes:
    """Find the forest that takes each node, by decreasing score, unless it closes a cycle.

    It is maximal: no other node can join it. By union-find [1]_, at little more than the cost of a
    reading of the matrix.

    Parameters
    ----------
    A : sparse matrix or array_like of shape (n, n)
        A symmetric matrix; entries other than 0 off the diagonal are edges.
    score : array_like of shape (n,)
        The scores, such as ``abs(gradient)``. Of equal ones the first comes first.

    Returns
    -------
    ndarray of int64
        Its nodes, by decreasing score.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If A is not square, finite and symmetric, or score does not fit it.

    See Also
    --------
    forest_partition : All nodes, in several forests.
    message_passing_solve : Systems on a forest.

    References
    ----------
    .. [1] J. Nutini, I. Laradji, M. Schmidt, "Let's Make Block Coordinate Descent Converge
       Faster", JMLR 23 (2022), arXiv 1712.08859, section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.graph import greedy_forest
    >>> W = np.roll(np.eye(4), 1, axis=0)
    >>> greedy_forest(W + W.T, [1.0, 4.0, 3.0, 2.0]).tolist()
    [1, 2, 3]
    """
    matrix = as_square(A, "A")
    order = by_score(score, "score", matrix.shape[0], default=np.empty(0))
    return _sparrot.graph_greedy_forest(native(matrix), order)


def message_passing_solve(A: object, b: object, block: object = None) -> FloatArray:
    """Solve ``A x = b`` where the graph of A is a forest, by message passing in linear time.

    Messages go from the leaves to the roots and back: Gaussian elimination without fill, which is
    Gaussian belief propagation on a forest [1]_. 1e6 nodes take a fraction of a second.

    Parameters
    ----------
    A : sparse matrix or array_like of shape (n, n)
        A symmetric positive definite matrix without cycles among the nodes of ``block``.
    b : array_like of shape (n,) or (n, k)
        Right-hand sides.
    block : array_like of shape (m,) or (n,), optional
        The nodes to solve for, all others being 0: distinct indices or a mask. By default all.

    Returns
    -------
    ndarray of the shape of b
        The solution in float64: ``A[block, block] x[block] = b[block]``, and 0 elsewhere.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described, the graph has a cycle or the matrix is not positive
        definite; the message names a node.

    See Also
    --------
    forest_partition, greedy_forest : Blocks for it.
    ForestSmoother : Sweeps over all forests of a matrix.

    References
    ----------
    .. [1] J. Nutini, I. Laradji, M. Schmidt, "Let's Make Block Coordinate Descent Converge
       Faster", JMLR 23 (2022), arXiv 1712.08859, section 5.1.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sparrot.graph import message_passing_solve
    >>> A = sparse.diags_array([-1.0, 2.1, -1.0], offsets=[-1, 0, 1], shape=(500, 500))
    >>> b = np.random.default_rng(0).normal(size=500)
    >>> bool(np.abs(A @ message_passing_solve(A, b) - b).max() < 1e-12)
    True
    """
    matrix = as_square(A, "A")
    n = matrix.shape[0]
    x, is_vector = as_columns(b, "b", n, "nodes")
    if block is None:
        _sparrot.graph_message_passing(native(matrix), x)
    else:
        nodes = as_nodes(block, "block", n)
        part: Any = x[nodes]
        if len(nodes) > 0:
            _sparrot.graph_message_passing(native(as_square(matrix[nodes][:, nodes], "A")), part)
        x[:] = 0
        x[nodes] = part
    return x[:, 0] if is_vector else x

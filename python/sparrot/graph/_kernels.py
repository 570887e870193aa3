"""Graphs on points, by their kernels."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.metrics import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from sparrot._validation import FloatArray, as_array
from sparrot.errors import InvalidInputError
from sparrot.special import softmax

# Entries of a block of distances to new points: 128 MB.
BLOCK = 1 << 24

# Weights below this share of the largest are none: double precision cannot eliminate with both.
LEAST = 1e-299


def rbf_graph(X: Any, gamma: float, min_weight: float) -> Any:
    """Return the weights ``exp(-gamma * |x - y|**2)`` of all pairs, or those from a size on."""
    if min_weight == 0:
        weights = np.exp(-gamma * _squared(X, X))
        np.fill_diagonal(weights, 0)
        weights[weights < LEAST * weights.max()] = 0
        return sparse.csr_array(weights)
    radius = math.sqrt(-math.log(min_weight) / gamma)
    graph = NearestNeighbors(radius=radius).fit(X).radius_neighbors_graph(mode="distance")
    # Before anything that would drop distances of 0.
    graph.data = np.exp(-gamma * graph.data**2)
    return _symmetric(sparse.csr_array(graph))


def knn_graph(X: Any, n_neighbors: int) -> Any:
    """Return weights 1 between points of which one is among the other's nearest."""
    if n_neighbors >= X.shape[0]:
        raise InvalidInputError(
            f"n_neighbors is {n_neighbors}: needs less than the {X.shape[0]} samples"
        )
    graph = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors_graph()
    return sparse.csr_array(graph.maximum(graph.T))


def callable_graph(X: Any, kernel: Callable[..., Any]) -> Any:
    """Return the weights that a function of two sets of points gives."""
    return _symmetric(sparse.csr_array(_weights(kernel, X, X)))


def rbf_means(new: Any, X: Any, gamma: float, values: FloatArray) -> FloatArray:
    """Return the means of values at new points, weighted by the kernel."""
    means = [
        # Weights that all underflow have a ratio all the same.
        softmax(-gamma * _squared(new[rows], X), axis=1) @ values
        for rows in _blocks(new.shape[0], X.shape[0])
    ]
    return np.concatenate(means)


def knn_means(new: Any, X: Any, n_neighbors: int, values: FloatArray) -> FloatArray:
    """Return the means of the values of the nearest points."""
    found = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors(new, return_distance=False)
    means: FloatArray = values[found].mean(axis=1)
    return means


def weighted_means(weights: Any, values: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Return means of values, one for each row of weights; another one for rows of zeros."""
    sums = np.asarray(weights.sum(axis=1), dtype=np.float64).reshape(-1, 1)
    totals = np.asarray(weights @ values)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: FloatArray = np.where(sums > 0, totals / sums, otherwise)
    return means


def callable_weights(new: Any, X: Any, kernel: Callable[..., Any]) -> Any:
    """Return the weights between new points and the others."""
    weights = _weights(kernel, new, X)
    smallest = weights.min() if weights.shape[0] else 0
    if not smallest >= 0:
        raise InvalidInputError(f"kernel gives {smallest}: needs non-negative weights")
    return weights


def _weights(kernel: Callable[..., Any], new: Any, X: Any) -> Any:
    weights = kernel(new, X)
    if not (hasattr(weights, "tocsr") and hasattr(weights, "nnz")):
        weights = as_array(weights, "kernel(X, Y)")
    expected = (new.shape[0], X.shape[0])
    if weights.shape != expected:
        raise InvalidInputError(f"kernel gives shape {weights.shape}: needs {expected}")
    return weights


def _squared(new: Any, X: Any) -> FloatArray:
    if sparse.issparse(new) or sparse.issparse(X):
        squares: FloatArray = euclidean_distances(new, X, squared=True)
        return (squares + squares.T) / 2 if new is X else squares
    distances: FloatArray = cdist(new, X, "sqeuclidean")
    return distances


def _symmetric(graph: Any) -> Any:
    # What is left is rounding, or a kernel's own business.
    return (graph + graph.T) / 2


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, BLOCK // columns)
    return (slice(first, first + step) for first in range(0, rows, step))

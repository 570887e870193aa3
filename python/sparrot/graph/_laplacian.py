"""Values for all nodes of a graph from those of some."""

import math
import warnings
from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._native import Status
from sparrot._validation import (
    FloatArray,
    as_choice,
    as_count,
    as_floats,
    as_number,
    as_positive,
    as_threads,
    require_finite,
)
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.graph._matrix import as_columns, as_nodes, as_square, native
from sparrot.graph._result import LaplacianResult

# Squares of values up to this, and sums of them, are finite, and so is their mean.
LARGEST = 1e150

METHODS = ("auto", "cg", "cholesky", "dense", "forest", "forest_cg")


def laplacian_solve(
    W: object,
    labelled: object = None,
    values: object = None,
    *,
    diagonal: object = None,
    source: object = None,
    fill_value: float | None = None,
    method: str = "auto",
    tol: float = 1e-8,
    max_iter: int = 100_000,
    max_time: float | None = None,
    n_threads: int | None = None,
) -> LaplacianResult:
    """Extend values from some nodes of a weighted graph to all: the harmonic extension.

    Minimises ``sum(w_ij * (x_i - x_j)**2) / 2 + sum(c_i * x_i**2) / 2 - sum(b_i * x_i)``, the
    first sum over edges, subject to ``x[labelled] == values`` [1]_ [2]_. Without ``diagonal`` (c)
    and ``source`` (b) every other node gets the weighted mean of its neighbours, and so values
    between the smallest and the largest one given. Memory is linear in the edges (but for "dense"
    and for factors).

    Parameters
    ----------
    W : sparse matrix or array_like of shape (n, n)
        Non-negative weights of the edges, symmetric. The diagonal has no effect. float32 is taken
        as it is. CSR with 32-bit indices is not copied.
    labelled : array_like of shape (m,) or (n,), optional
        The nodes that have a value: distinct indices, or a mask. None for none.
    values : array_like of shape (m,) or (m, k), optional
        Their values, in the order of ``labelled`` (of the nodes, for a mask), of magnitudes up to
        1e150. k columns are solved for side by side.
    diagonal : array_like of shape (n,), optional
        Non-negative numbers c: pulls values to 0 or, with ``source = c * y``, to y. By default 0.
    source : array_like of shape (n,) or (n, k), optional
        The linear part b, by default 0. Has no effect at labelled nodes.
    fill_value : float, optional
        The value of nodes from which no path leads to a labelled node or to a positive
        ``diagonal``; without it the mean of ``values``, or 0 where there are none.
    method : {"auto", "cg", "cholesky", "dense", "forest", "forest_cg"}, default="auto"
        "cg" is conjugate gradients with an incomplete factor, eight columns at a time; "cholesky"
        a sparse factor; "dense" an elimination that only adds, n^3 / 6 products, whose error is a
        share of about n^3 1e-16 at worst even where weights differ by hundreds of orders of
        magnitude [3]_; "forest" block descent by message passing [4]_; "forest_cg" the same as
        preconditioner. "auto" takes "dense" for up to 5,792 unknowns with more than a quarter of
        all edges or with weights that differ by a factor of more than 1e12, else "cg", and goes
        over to "cholesky" where iterations predict that it is faster.
    tol : float, default=1e-8
        The residual to reach: see :class:`LaplacianResult`. Scale-free.
    max_iter : int, default=100000
        Iterations or sweeps, at most.
    max_time : float, optional
        Seconds after which iterations stop with the best answer so far.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default. The result has the same bits for any
        number.

    Returns
    -------
    LaplacianResult
        With ``x`` in float64, its residual, and ``error_bound()``, a bound for each value.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described: W is not symmetric or has a negative weight, a source
        is not 0 where nothing holds the values.
    MemoryError
        If there is not enough memory for a factor.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If the residual is above ``tol``; the result is returned with ``converged=False``.

    See Also
    --------
    LabelPropagation : Classification by it.
    message_passing_solve : Systems whose graph is a forest.
    sparrot.descent.block_coordinate_descent : Quadratics on graphs with bounds or L1 norms.

    Notes
    -----
    A residual says how well the equations are satisfied. Where a part of the graph hangs on the
    rest by weights that are small beside its own, values can be far off all the same: ask
    ``error_bound()``, and use "dense" there.

    References
    ----------
    .. [1] X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and
       harmonic functions", ICML 2003.
    .. [2] J. Nutini, I. Laradji, M. Schmidt, "Let's Make Block Coordinate Descent Converge
       Faster", JMLR 23 (2022), arXiv 1712.08859: data sets D and E.
    .. [3] W. Grassmann, M. Taksar, D. Heyman, Operations Research 33 (1985).
    .. [4] As [2]_, section 5.

    Examples
    --------
    Heat along a rod whose ends are held, and an isolated node:

    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sparrot.graph import laplacian_solve
    >>> rod = sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(5, 5))
    >>> W = sparse.block_diag([rod, [[0.0]]], format="csr")
    >>> result = laplacian_solve(W, [0, 4], [0.0, 1.0], fill_value=-1.0)
    >>> print(result.x.round(6), result.unreached)
    [ 0.    0.25  0.5   0.75  1.   -1.  ] [5]
    """
    matrix = as_square(W, "W")
    n = matrix.shape[0]
    nodes = as_nodes([] if labelled is None else labelled, "labelled", n)
    given, loads, is_vector = _columns(nodes, values, source, n)
    mask = np.zeros(n, dtype=bool)
    mask[nodes] = True
    k = next(columns.shape[1] for columns in (given, loads) if columns is not None)
    x = np.full((n, k), _fill(fill_value, given))
    if given is not None:
        x[nodes] = given
    problem = {
        "weights": native(matrix),
        "fixed": mask,
        "diagonal": _as_diagonal(diagonal, n),
        "source": loads,
        "n_threads": as_threads(n_threads),
    }
    tol = as_positive(tol, "tol", zero=True)
    raw = _sparrot.graph_solve(
        problem,
        x,
        as_choice(method, "method", METHODS),
        tol,
        as_count(max_iter, "max_iter", least=0),
        None if max_time is None else as_positive(max_time, "max_time", zero=True),
    )
    result = _dressed(problem, raw, x[:, 0] if is_vector else x, tol)
    if not result.converged:
        warnings.warn(result.message, ConvergenceWarning, stacklevel=2)
    return result


def _columns(
    nodes: Any, values: object, source: object, n: int
) -> tuple[FloatArray | None, FloatArray | None, bool]:
    """Return values and sources with the same number of columns, and if they are vectors."""
    given = loads = None
    vectors = []
    if len(nodes) > 0 and values is None:
        raise InvalidInputError(f"values is None: needs those of the {len(nodes)} labelled nodes")
    if values is not None:
        given, is_vector = as_columns(values, "values", len(nodes), "labelled nodes")
        if (np.abs(given) > LARGEST).any():
            largest = given.flat[np.abs(given).argmax()]
            raise InvalidInputError(
                f"values has {largest}: needs magnitudes up to {LARGEST}, as squares overflow; "
                "divide all by a number, and multiply the result by it"
            )
        vectors.append(is_vector)
    if source is not None:
        loads, is_vector = as_columns(source, "source", n, "nodes")
        vectors.append(is_vector)
    if not vectors:
        raise InvalidInputError("labelled, values and source are None: there is nothing to extend")
    if given is not None and loads is not None and given.shape[1] != loads.shape[1]:
        raise InvalidInputError(
            f"source has {loads.shape[1]} columns but values has {given.shape[1]}: needs the same"
        )
    return given, loads, all(vectors)


def _as_diagonal(value: object, n: int) -> FloatArray | None:
    if value is None:
        return None
    array = as_floats(value, "diagonal", ndim=1)
    if array.shape[0] != n:
        raise InvalidInputError(f"diagonal has {array.shape[0]} values for {n} nodes")
    require_finite(array, "diagonal")
    if (array < 0).any():
        i = int(np.flatnonzero(array < 0)[0])
        raise InvalidInputError(f"diagonal[{i}] is {array[i]}: needs numbers of at least 0")
    return np.ascontiguousarray(array, dtype=np.float64)


def _fill(value: float | None, given: FloatArray | None) -> Any:
    if value is None:
        return 0.0 if given is None or len(given) == 0 else given.mean(axis=0)
    number = as_number(value, "fill_value")
    if not math.isfinite(number):
        raise InvalidInputError(f"fill_value is {number}: needs a finite number")
    return number


def _dressed(
    problem: dict[str, Any], raw: dict[str, Any], x: FloatArray, tol: float
) -> LaplacianResult:
    status = Status(raw["status"])
    residuals = raw["residuals"]
    residual = float(residuals.max())
    advice = {
        Status.CONVERGED: f"residual {residual:.2g} <= tol"
        if residual <= tol
        else f"residual {residual:.2g} is that of a solution rounded to double precision",
        Status.MAX_ITER: f"max_iter reached with residual {residual:.2g} > tol = {tol:g}: raise "
        "max_iter, or use method='cholesky'",
        Status.MAX_TIME: f"max_time reached with residual {residual:.2g} > tol = {tol:g}: give it "
        "more time",
        Status.STALLED: f"residual {residual:.2g} > tol = {tol:g} is what rounding allows: raise "
        "tol, or use method='dense'",
    }
    return LaplacianResult(
        problem,
        x=x,
        residual=residual,
        residuals=residuals,
        converged=status is Status.CONVERGED,
        status=status,
        message=advice[status],
        method=raw["method"],
        n_iter=raw["n_iter"],
        unreached=raw["unreached"],
        tol=tol,
        timings={"solve": raw["seconds"]},
    )

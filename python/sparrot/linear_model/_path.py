"""Regularisation paths."""

from typing import Any

import numpy as np

from sparrot._design import as_design, as_targets
from sparrot._validation import FloatArray, as_count, as_floats, as_positive, require_finite
from sparrot.errors import InvalidInputError
from sparrot.linear_model._bounds import as_bounds
from sparrot.linear_model._solve import (
    Settings,
    as_sample_weight,
    as_share,
    as_weights,
    is_single,
    solve,
    warn_unless_converged,
)

# More would be a slip: neighbours on a grid from 1 to 1e-3 differ by less than 1e-4 of them.
MOST_ALPHAS = 100_000


def lasso_path(
    X: object,
    y: object,
    *,
    eps: float = 1e-3,
    n_alphas: int = 100,
    alphas: object = None,
    fit_intercept: bool = False,
    sample_weight: object = None,
    weights: object = None,
    positive: bool = False,
    bounds: object = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
    max_time: float | None = None,
    return_n_iter: bool = False,
    n_threads: int | None = None,
) -> tuple[Any, ...]:
    """Compute the Lasso for a sequence of penalties.

    Parameters
    ----------
    X : array_like or sparse matrix of shape (n, p)
        The data: float32 or float64, contiguous or CSC to be read without a copy.
    y : array_like of shape (n,)
        The response.
    eps : float, default=1e-3
        The smallest penalty over the largest, the one at which all coefficients become 0.
    n_alphas : int, default=100
        Penalties, evenly spaced on a logarithmic scale; at most 100,000.
    alphas : int or array_like, optional
        How many there are, instead of ``n_alphas``, or the penalties themselves, above 0; solved in
        descending order.
    fit_intercept : bool, default=False
        Whether there is an intercept, which is not returned. As in scikit-learn there is none by
        default, so that centred data is expected.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows.
    weights : array_like of shape (p,), optional
        Weights of the coefficients in the penalty: 0 for those without, ``inf`` for columns to
        leave out.
    positive : bool, default=False
        Whether coefficients must not be negative.
    bounds : tuple of float or of array_like of shape (p,), optional
        ``(lower, upper)`` of the coefficients, with ``lower <= 0 <= upper``, which may be infinite.
        Not with ``positive``, which is ``(0, inf)``.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
    max_iter : int, default=1000
        Passes over the columns for each penalty, at most.
    max_time : float, optional
        Seconds for all of it, at most: penalties that have not been reached are left out.
    return_n_iter : bool, default=False
        Whether to return the passes as well.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        The penalties, descending.
    coefs : ndarray of shape (p, n_alphas)
        The coefficients; float32 if ``X`` is.
    dual_gaps : ndarray of shape (n_alphas,)
        By how much the objective of each is above the optimum, at most.
    n_iters : list of int
        Passes over the columns; only if asked for.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If a gap is above ``tol``.

    See Also
    --------
    enet_path : With a squared L2 penalty.
    Lasso : One penalty, as an estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import lasso_path
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 200))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] + 0.1 * rng.normal(size=50)
    >>> alphas, coefs, dual_gaps = lasso_path(X, y, n_alphas=5)
    >>> coefs.shape, int((coefs[:, 0] != 0).sum())
    ((200, 5), 0)
    >>> bool((dual_gaps <= 1e-6 * (y**2).mean() / 2).all())
    True
    """
    return _path(
        X,
        y,
        1.0,
        grid=(eps, n_alphas),
        alphas=alphas,
        fit_intercept=fit_intercept,
        sample_weight=sample_weight,
        weights=weights,
        positive=positive,
        bounds=bounds,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        return_n_iter=return_n_iter,
        n_threads=n_threads,
    )


def enet_path(
    X: object,
    y: object,
    *,
    l1_ratio: float = 0.5,
    eps: float = 1e-3,
    n_alphas: int = 100,
    alphas: object = None,
    fit_intercept: bool = False,
    sample_weight: object = None,
    weights: object = None,
    positive: bool = False,
    bounds: object = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
    max_time: float | None = None,
    return_n_iter: bool = False,
    n_threads: int | None = None,
) -> tuple[Any, ...]:
    """Compute the elastic net for a sequence of penalties.

    Parameters
    ----------
    X : array_like or sparse matrix of shape (n, p)
        The data.
    y : array_like of shape (n,)
        The response.
    l1_ratio : float, default=0.5
        The share of the L1 penalty, above 0 and at most 1.
    eps : float, default=1e-3
        The smallest penalty over the largest.
    n_alphas : int, default=100
        Penalties, evenly spaced on a logarithmic scale; at most 100,000.
    alphas : int or array_like, optional
        How many there are, instead of ``n_alphas``, or the penalties themselves, above 0; solved in
        descending order.
    fit_intercept : bool, default=False
        Whether there is an intercept, which is not returned.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows.
    weights : array_like of shape (p,), optional
        Weights of the coefficients in the L1 penalty.
    positive : bool, default=False
        Whether coefficients must not be negative.
    bounds : tuple of float or of array_like of shape (p,), optional
        ``(lower, upper)`` of the coefficients, with ``lower <= 0 <= upper``, which may be infinite.
        Not with ``positive``, which is ``(0, inf)``.
    tol : float, default=1e-6
        The duality gap to reach, as a share of the objective at 0.
    max_iter : int, default=1000
        Passes over the columns for each penalty, at most.
    max_time : float, optional
        Seconds for all of it, at most: penalties that have not been reached are left out.
    return_n_iter : bool, default=False
        Whether to return the passes as well.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads`.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        The penalties, descending.
    coefs : ndarray of shape (p, n_alphas)
        The coefficients.
    dual_gaps : ndarray of shape (n_alphas,)
        By how much the objective of each is above the optimum, at most.
    n_iters : list of int
        Passes over the columns; only if asked for.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If a gap is above ``tol``.

    See Also
    --------
    lasso_path : Without the squared L2 penalty; says more about the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import enet_path
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(50, 80)), rng.normal(size=50)
    >>> alphas, coefs, dual_gaps = enet_path(X, y, l1_ratio=0.7, n_alphas=4)
    >>> coefs.shape
    (80, 4)
    """
    return _path(
        X,
        y,
        as_share(l1_ratio, "l1_ratio"),
        grid=(eps, n_alphas),
        alphas=alphas,
        fit_intercept=fit_intercept,
        sample_weight=sample_weight,
        weights=weights,
        positive=positive,
        bounds=bounds,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        return_n_iter=return_n_iter,
        n_threads=n_threads,
    )


def _path(
    X: object,
    y: object,
    l1_ratio: float,
    *,
    grid: tuple[object, object],
    alphas: object,
    sample_weight: object,
    weights: object,
    positive: object,
    bounds: object,
    return_n_iter: bool,
    **settings: Any,
) -> tuple[Any, ...]:
    design, (n, p) = as_design(X, "X", check_finite=False, by_rows=True)
    chosen = Settings.of(l1_ratio=l1_ratio, **settings)
    penalties = as_alphas(grid, alphas)
    points = solve(
        design,
        as_targets(y, "y", n, "X")[None, :],
        penalties,
        chosen,
        sample_weight=as_sample_weight(sample_weight, n),
        weights=as_weights(weights, p),
        bounds=as_bounds(bounds, positive, p),
    )
    unreached = count(penalties) - len(points)
    warn_unless_converged(points, chosen.tol, unreached=unreached, stacklevel=3)
    dtype = np.float32 if is_single(design) else np.float64
    coefs = np.zeros((p, len(points)), dtype=dtype, order="F")
    for k, point in enumerate(points):
        coefs[point.columns, k] = point.coefficients[:, 0]
    found = (
        np.array([point.alpha for point in points]),
        coefs,
        np.array([point.certificate for point in points]),
    )
    return (*found, [point.n_iter for point in points]) if return_n_iter else found


def as_alphas(grid: tuple[object, object], alphas: object) -> list[float] | tuple[float, int]:
    """Take penalties, descending, or what makes a grid of them."""
    if alphas is None:
        return as_grid(*grid, "n_alphas")
    if np.ndim(alphas) == 0:  # type: ignore[arg-type]
        return as_grid(grid[0], alphas, "alphas")
    given: FloatArray = as_floats(alphas, "alphas", ndim=1)
    require_finite(given, "alphas")
    if given.size == 0 or not (given > 0).all():
        shown = "empty" if given.size == 0 else f"{given.min()} at its smallest"
        raise InvalidInputError(f"alphas is {shown}: needs penalties above 0")
    descending: list[float] = np.sort(given.astype(np.float64))[::-1].tolist()
    return descending


def count(penalties: list[float] | tuple[float, int]) -> int:
    """Return how many there are."""
    return penalties[1] if isinstance(penalties, tuple) else len(penalties)


def as_grid(eps: object, count: object, name: str) -> tuple[float, int]:
    """Take the smallest penalty over the largest, and how many there are, an argument so named."""
    smallest = as_positive(eps, "eps")
    if smallest >= 1:
        raise InvalidInputError(f"eps is {smallest}: needs a number below 1")
    size = as_count(count, name)
    if size > MOST_ALPHAS:
        raise InvalidInputError(f"{name} is {size}: needs an integer of at most {MOST_ALPHAS}")
    return smallest, size

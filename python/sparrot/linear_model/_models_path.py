"""The path of any of the models."""

from typing import Any

import numpy as np
from sklearn.base import clone

from sparrot._native import Status
from sparrot._result import Result
from sparrot._validation import as_max_time
from sparrot.errors import InvalidInputError
from sparrot.linear_model._model import SparseModel
from sparrot.linear_model._nonconvex import L0Regression
from sparrot.linear_model._path import as_alphas, count


class RegularizationPath(Result):
    """The solutions of a model for a sequence of penalties: see :func:`regularization_path`."""


def regularization_path(
    model: Any,
    X: object,
    y: object,
    *,
    eps: float = 1e-3,
    n_alphas: int = 100,
    alphas: object = None,
    sample_weight: object = None,
) -> RegularizationPath:
    """Solve a model for a sequence of penalties, each from the solution before.

    Parameters
    ----------
    model : estimator of this module
        Which model: its parameters but ``alpha`` count. Itself it is left as it is. Not
        :class:`L0Regression`.
    X : array_like or sparse matrix of shape (n, p)
        The data: float32 or float64, contiguous or CSC to be read without a copy.
    y : array_like of shape (n,) or (n, n_targets)
        What the model is of: responses, counts or classes.
    eps : float, default=1e-3
        The smallest penalty over the largest, the one at which all coefficients become 0.
    n_alphas : int, default=100
        Penalties, evenly spaced on a logarithmic scale; at most 100,000.
    alphas : int or array_like, optional
        How many there are, instead of ``n_alphas``, or the penalties themselves, above 0; solved in
        descending order.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    RegularizationPath
        ``alphas`` of shape (n_alphas,), descending; ``coefs`` and ``intercepts``, of the shapes of
        ``coef_`` and ``intercept_`` with an axis of penalties last; ``objectives``; ``dual_gaps``,
        by how much each is above its optimum, at most, or ``stationarities`` if the penalty is not
        convex; ``n_iters``, passes over the columns; ``converged``, whether all are within the
        model's ``tol``; ``status``, "converged" or that of the first that is not. Penalties that
        the model's ``max_time``, which is for all of them, was too short for are left out; the
        status is then "max_time".

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument, or a parameter of the model, is not as described.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If a certificate is above ``tol``.

    See Also
    --------
    lasso_path : As scikit-learn's function.
    GroupLassoCV : One of those that choose from such a path by cross-validation.

    Notes
    -----
    Where the penalty is not convex each starts at a Lasso of its own, as the model does by itself.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.linear_model import GroupLasso, regularization_path
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 60))
    >>> y = X[:, :3] @ [3.0, -2.0, 1.0] + 0.1 * rng.normal(size=50)
    >>> path = regularization_path(GroupLasso(groups=3), X, y, n_alphas=5)
    >>> path.coefs.shape, path.converged
    ((60, 5), True)
    >>> np.count_nonzero(path.coefs, axis=0)[:3]
    array([0, 3, 3])
    """
    if not isinstance(model, SparseModel) or isinstance(model, L0Regression):
        raise InvalidInputError(
            f"model is {model!r}: needs an estimator of sparrot.linear_model, not L0Regression"
        )
    fitted = clone(model)
    task = fitted._read(X, y, sample_weight)
    grid = as_alphas((eps, n_alphas), alphas)
    points = fitted._solve(
        task,
        grid,
        task.sample,
        max_time=as_max_time(fitted.max_time),
        n_threads=fitted.n_threads,
    )
    unreached = count(grid) - len(points)
    fitted._warn(points, unreached=unreached, stacklevel=3)
    coefs, intercepts, certificates = [], [], []
    for point in points:
        fitted._take(task, point)
        coefs.append(fitted.coef_)
        intercepts.append(fitted.intercept_)
        certificates.append(fitted._certified(point))
    ends = [point.status for point in points if point.status is not Status.CONVERGED]
    status = Status.MAX_TIME if unreached else (ends or [Status.CONVERGED])[0]
    plural = {"dual_gap": "dual_gaps", "stationarity": "stationarities"}[fitted._certificate]
    return RegularizationPath(
        alphas=np.array([point.alpha for point in points]),
        coefs=np.stack(coefs, axis=-1),
        intercepts=np.stack(intercepts, axis=-1),
        objectives=np.array([point.objective for point in points]),
        **{plural: np.array(certificates)},
        n_iters=np.array([point.n_iter for point in points]),
        converged=status is Status.CONVERGED,
        status=status,
    )

"""Rounding of a plan to exact marginals."""

import numpy as np

from sparrot import _sparrot
from sparrot._validation import (
    FloatArray,
    as_floats,
    as_threads,
    as_weight_pair,
    require_finite,
)
from sparrot.errors import InvalidInputError
from sparrot.transport._mass import Mass


def round_plan(
    plan: object,
    a: object = None,
    b: object = None,
    *,
    n_threads: int | None = None,
) -> FloatArray:
    """Round a plan to exact marginals.

    Rows, then columns, are scaled down to at most their weight, and what is then missing is added
    as a plan of rank one (Algorithm 2 of [1]_). The result differs from ``plan`` by at most twice
    its marginal error, in the sum of absolute values.

    Parameters
    ----------
    plan : array_like of shape (n, m)
        Non-negative and finite.
    a : array_like of shape (n,), optional
        Weights of the rows; uniform by default.
    b : array_like of shape (m,), optional
        Weights of the columns, of the same sum; uniform by default.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads` for the default.

    Returns
    -------
    ndarray of shape (n, m)
        In float64, with ``sum(1) == a`` and ``sum(0) == b`` up to rounding.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.

    References
    ----------
    .. [1] Altschuler, Weed, Rigollet, "Near-linear time approximation algorithms for optimal
       transport via Sinkhorn iteration", NeurIPS 2017, arXiv 1705.09634.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import round_plan
    >>> round_plan([[0.3, 0.1], [0.2, 0.3]], [0.5, 0.5], [0.5, 0.5])
    array([[0.3, 0.2],
           [0.2, 0.3]])
    """
    array = as_floats(plan, "plan", ndim=2)
    if 0 in array.shape:
        raise InvalidInputError(f"plan has shape {array.shape}: needs a row and a column")
    require_finite(array, "plan")
    if (array < 0).any():
        i, j = (int(k) for k in np.argwhere(array < 0)[0])
        raise InvalidInputError(f"plan[{i}, {j}] is {array[i, j]}: needs non-negative entries")
    weights = as_weight_pair(a, b, (array.shape[0], array.shape[1]))
    mass = Mass.of(weights[0])
    rounded = np.ascontiguousarray(np.ldexp(array.astype(np.float64), -mass.exponent))
    scaled_a, scaled_b = (mass.divide(weight) for weight in weights)
    _sparrot.transport_round(rounded, scaled_a, scaled_b, as_threads(n_threads))
    return mass.multiply(rounded)

"""Leverage scores."""

import math

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_positive, as_threads
from sparrot.errors import InvalidInputError
from sparrot.sketching._lstsq import Settings, as_row_weights
from sparrot.sketching._matrix import as_rows

# The chance that some estimated score is further off than eps.
_DELTA = 1e-3


def leverage_scores(
    A: object,
    *,
    eps: float | None = None,
    ridge: float = 0.0,
    sample_weight: object = None,
    fit_intercept: bool = False,
    rcond: float | None = None,
    rng: object = None,
    n_threads: int | None = None,
) -> FloatArray:
    """Say how much each row alone decides its fitted value in least squares.

    The diagonal of ``A @ pinv(A)``, the hat matrix: between 0 and 1, with the rank as their sum.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n, d)
        The matrix, as for :func:`lstsq`.
    eps : float, optional
        Estimate each score within a factor of ``1 - eps`` to ``1 + eps``, all of them at once with
        probability 0.999, by random directions; that is less work for many columns. None for exact
        scores, up to rounding.
    ridge : float, default=0.0
        The penalty: scores of ridge regression, whose sum is its degrees of freedom.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows, at least 0.
    fit_intercept : bool, default=False
        Whether there is an intercept.
    rcond : float, optional
        See :func:`lstsq`.
    rng : int, numpy.random.Generator or alike, optional
        What :func:`numpy.random.default_rng` takes.
    n_threads : int, optional
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Returns
    -------
    ndarray of shape (n,)
        The scores, in float64.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described or not finite.
    MemoryError
        If there is no room.

    See Also
    --------
    lstsq : The coefficients.

    References
    ----------
    .. [1] P. Drineas, M. Magdon-Ismail, M. Mahoney, D. Woodruff, "Fast approximation of matrix
       coherence and statistical leverage", JMLR 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sketching import leverage_scores
    >>> A = np.random.default_rng(0).normal(size=(1000, 4))
    >>> A[17] *= 100
    >>> scores = leverage_scores(A)
    >>> int(scores.argmax()), round(float(scores.sum()), 6)
    (17, 4.0)
    """
    rows, shape, _ = as_rows(A, "A")
    settings = Settings.of(
        method="auto",
        ridge=ridge,
        fit_intercept=fit_intercept,
        rcond=rcond,
        tol=1.0,
        max_iter=1,
        rng=rng,
        columns=shape[1],
    )
    weights = as_row_weights(sample_weight, shape[0])
    threads = as_threads(n_threads)
    directions = None
    if eps is not None:
        accuracy = as_positive(eps, "eps")
        if not accuracy < 1:
            raise InvalidInputError(f"eps is {eps!r}: needs a number between 0 and 1")
        # Tails of chi^2 with k degrees of freedom (Dasgupta and Gupta, 2003), n scores, both sides.
        exponent = accuracy**2 / 4 - accuracy**3 / 6
        wanted = math.log(2 * shape[0] / _DELTA) / exponent
        directions = math.ceil(wanted) if wanted < shape[1] else None
    scores: FloatArray = _sparrot.sketching_leverage(
        rows, settings.native(weights), directions, threads
    )
    return scores

"""Iterative hard thresholding on batches of signals."""

from collections.abc import Callable

from sparrot._validation import as_count, as_positive
from sparrot.errors import InvalidInputError
from sparrot.sparse_coding._penalty import Penalty
from sparrot.sparse_coding._result import CodingResult
from sparrot.sparse_coding._solve import Options, solve
from sparrot.sparse_coding._watching import CodingState


def iht(
    A: object,
    Y: object,
    alpha: float | None = None,
    *,
    n_nonzero_coefs: int | None = None,
    positive: bool = False,
    step: float | str | None = None,
    first_step: float | None = None,
    init: object = None,
    tol: float | str | None = "auto",
    max_iter: int = 10_000,
    max_time: float | None = None,
    callback: Callable[[CodingState], object] | None = None,
    verbose: int = 0,
    trace: bool = False,
    check_finite: bool = True,
    n_threads: int | None = None,
) -> CodingResult:
    """Code signals by iterative hard thresholding.

    Descends on ``((y - A @ x)**2).sum() / 2 + alpha * (x != 0).sum()``, or on the squares alone
    among codes of which at most ``n_nonzero_coefs`` numbers are not 0, for every row ``y`` of
    ``Y``, to a point that a step does not move.

    Parameters
    ----------
    A : array_like, sparse matrix, LinearOperator or pair of functions
        The dictionary, (n_features, n_atoms): see :func:`ista`.
    Y : array_like of shape (n_signals, n_features)
        The signals, one in each row; or a single one, of shape (n_features,).
    alpha : float, default=None
        The price of a number that is not 0, above 0. Either this or ``n_nonzero_coefs``.
    n_nonzero_coefs : int, default=None
        How many numbers of a code are not 0, at most.
    positive : bool, default=False
        Whether codes must not be negative.
    step : float, "adaptive", "backtracking" or None, default=None
        The step: see :func:`ista`. A larger step has fewer fixed points.
    first_step : float, default=None
        Where "backtracking" starts: see :func:`ista`.
    init : array_like of shape (n_signals, n_atoms), default=None
        Where the codes start; at 0 by default.
    tol : float, "auto" or None, default="auto"
        The stationarity to reach; "auto" is 1e-6, and 1e-5 in float32; None or 0 for exactly
        ``max_iter`` iterations.
    max_iter : int, default=10000
        Iterations of each signal, at most.
    max_time : float, default=None
        Seconds after which every signal gets the best code so far.
    callback : callable, default=None
        Called with a :class:`CodingState` after every five iterations: see :func:`ista`.
    verbose : int, default=0
        1 prints a line for such a state, at most ten times a second.
    trace : bool, default=False
        Whether the states are recorded in ``trace``: see :func:`ista`.
    check_finite : bool, default=True
        Whether to look for NaN and infinity in ``A`` and ``Y``.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Returns
    -------
    CodingResult
        With ``codes``, ``stationarity``, ``n_iter`` of each signal, ``converged``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If a stationarity is above ``tol``, or the step was so large that iterates grew without
        bound.

    See Also
    --------
    ista : With ``penalty="cel0"``: the minima of L0, and fewer fixed points.

    Notes
    -----
    T. Blumensath, M. Davies, "Iterative thresholding for sparse approximations", J. Fourier Anal.
    Appl. 14, 2008, equations 2.2 and 3.2. Steps of 1 over the squared norm of ``A`` make the
    objective fall.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sparse_coding import iht
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(40, 60)) / np.sqrt(40)
    >>> X = np.where(rng.random((50, 60)) < 0.05, 3.0, 0.0)
    >>> result = iht(A, X @ A.T, alpha=0.1)
    >>> is_found = np.abs(result.codes - X).max(axis=1) < 1e-3
    >>> print(f"{is_found.mean():.0%}")
    98%
    """
    if (alpha is None) == (n_nonzero_coefs is None):
        raise InvalidInputError(
            f"alpha is {alpha!r} and n_nonzero_coefs is {n_nonzero_coefs!r}: needs one of them"
        )
    if n_nonzero_coefs is None:
        chosen = Penalty("l0", 0.0, as_positive(alpha, "alpha"))
    else:
        chosen = Penalty("largest", as_count(n_nonzero_coefs, "n_nonzero_coefs"), 0.0)
    options = Options(
        positive=positive,
        step=step,
        first_step=first_step,
        init=init,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        callback=callback,
        verbose=verbose,
        trace=trace,
        check_finite=check_finite,
        n_threads=n_threads,
    )
    return solve(A, Y, chosen, "none", options)

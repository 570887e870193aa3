"""Proximal gradient methods on batches of signals."""

from collections.abc import Callable

from sparrot._validation import as_flag
from sparrot.sparse_coding._penalty import Penalty
from sparrot.sparse_coding._result import CodingResult
from sparrot.sparse_coding._solve import Options, solve
from sparrot.sparse_coding._watching import CodingState


def ista(
    A: object,
    Y: object,
    alpha: float,
    *,
    penalty: str = "l1",
    gamma: float = 3.0,
    a: float = 3.7,
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
    """Code signals by iterative shrinkage and thresholding, each to its own certificate.

    Minimises ``((y - A @ x)**2).sum() / 2 + alpha * penalty(x).sum()`` for every row ``y`` of ``Y``
    by ``x <- prox(x - step * A.T @ (A @ x - y))``.

    Parameters
    ----------
    A : array_like, sparse matrix, LinearOperator or pair of functions
        The dictionary, (n_features, n_atoms): atoms are its columns. Of a pair ``(forward,
        adjoint)`` the first makes (n_features, k) of (n_atoms, k), as ``LinearOperator.matmat``,
        and the second is its adjoint: that is tried with a few random vectors and signals.
    Y : array_like of shape (n_signals, n_features)
        The signals, one in each row; or a single one, of shape (n_features,).
    alpha : float
        The weight of the penalty, above 0: as in scikit-learn's ``sparse_encode``, and half of
        ``eps`` in pylops.
    penalty : {"l1", "l0", "cel0", "mcp", "scad", "l1/2", "l2/3"}, default="l1"
        The penalty; "cel0" takes the norms of the atoms from ``A``, which must be a matrix.
    gamma : float, default=3.0
        Of "mcp": how fast it levels off, above 0.
    a : float, default=3.7
        Of "scad": where it is level, in units of ``alpha``; above 2.
    positive : bool, default=False
        Whether codes must not be negative.
    step : float, "adaptive", "backtracking" or None, default=None
        The step. None is 1 over a certified bound of the squared norm of ``A``; for an operator,
        and matrices both of whose sides are above 2048, "adaptive": it starts from the curvature
        along the first gradient and is made smaller whenever a move has met more than it allows.
        "backtracking" takes such a move back and does it again with a shorter step.
    first_step : float, default=None
        Where "backtracking" starts, above 0: far from right costs a few gradients. By default from
        the curvature along the first gradient.
    init : array_like of shape (n_signals, n_atoms), default=None
        Where the codes start; at 0 by default.
    tol : float, "auto" or None, default="auto"
        The certificate to reach: the gap, or the stationarity. "auto" is 1e-6, and 1e-5 in float32,
        whose steps end at gaps of up to about 3e-6. None or 0 for exactly ``max_iter`` iterations.
    max_iter : int, default=10000
        Iterations of each signal, at most.
    max_time : float, default=None
        Seconds after which every signal gets the best code so far.
    callback : callable, default=None
        Called with a :class:`CodingState` before the first iteration and after every five, for all
        signals together; a true answer ends the solve, with the codes there are.
    verbose : int, default=0
        1 prints a line for such a state, at most ten times a second.
    trace : bool, default=False
        Whether the states are recorded in ``trace``, as they are with a callback or ``verbose``.
        All signals are then worked on side by side, in memory for about eight arrays of their
        codes; these have the same bits.
    check_finite : bool, default=True
        Whether to look for NaN and infinity in ``A`` and ``Y``.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Returns
    -------
    CodingResult
        With ``codes``, ``gap`` (or ``stationarity``), ``n_iter`` of each signal, ``converged``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If a certificate is above ``tol``, or the step was so large that iterates grew without
        bound.

    See Also
    --------
    fista : Needs fewer iterations.
    SparseCoder : To a certificate, L1 is faster by coordinate descent.

    Notes
    -----
    I. Daubechies, M. Defrise, C. De Mol, "An iterative thresholding algorithm for linear inverse
    problems with a sparsity constraint", Comm. Pure Appl. Math. 57, 2004, equation 1.5. Gradients
    are taken from rows of ``A.T @ A`` where codes are so sparse that this has fewer operations than
    products with ``A``. Computes in the type of the input, certificates in double precision.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sparse_coding import ista
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(20, 40)) / np.sqrt(20)
    >>> Y = rng.normal(size=(100, 20))
    >>> result = ista(A, Y, alpha=0.5)
    >>> result.codes.shape, result.converged, bool(result.gap.max() <= 1e-6)
    ((100, 40), True, True)
    """
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
    return solve(A, Y, Penalty.of(penalty, alpha, gamma, a), "none", options)


def fista(
    A: object,
    Y: object,
    alpha: float,
    *,
    penalty: str = "l1",
    gamma: float = 3.0,
    a: float = 3.7,
    positive: bool = False,
    step: float | str | None = None,
    first_step: float | None = None,
    restart: bool = True,
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
    """Code signals by iterative shrinkage and thresholding with momentum.

    As :func:`ista`, with steps from a point ahead of the code (Beck and Teboulle).

    Parameters
    ----------
    A : array_like, sparse matrix, LinearOperator or pair of functions
        The dictionary, (n_features, n_atoms): see :func:`ista`.
    Y : array_like of shape (n_signals, n_features)
        The signals, one in each row; or a single one, of shape (n_features,).
    alpha : float
        The weight of the penalty, above 0.
    penalty : {"l1", "l0", "cel0", "mcp", "scad", "l1/2", "l2/3"}, default="l1"
        The penalty. Only for "l1" is momentum known to converge.
    gamma : float, default=3.0
        Of "mcp": how fast it levels off, above 0.
    a : float, default=3.7
        Of "scad": where it is level, in units of ``alpha``; above 2.
    positive : bool, default=False
        Whether codes must not be negative.
    step : float, "adaptive", "backtracking" or None, default=None
        The step: see :func:`ista`.
    first_step : float, default=None
        Where "backtracking" starts: see :func:`ista`.
    restart : bool, default=True
        Whether momentum starts anew where it points uphill.
    init : array_like of shape (n_signals, n_atoms), default=None
        Where the codes start; at 0 by default.
    tol : float, "auto" or None, default="auto"
        The certificate to reach; "auto" is 1e-6, and 1e-5 in float32; None or 0 for exactly
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
        With ``codes``, ``gap`` (or ``stationarity``), ``n_iter`` of each signal, ``converged``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If a certificate is above ``tol``, or the step was so large that iterates grew without
        bound.

    See Also
    --------
    ista : Says more about the arguments.

    Notes
    -----
    A. Beck, M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse
    problems", SIAM J. Imaging Sci. 2, 2009, equations 4.1 to 4.3; the restart is the gradient
    scheme of B. O'Donoghue, E. Candes, "Adaptive restart for accelerated gradient schemes",
    Found. Comput. Math. 15, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sparse_coding import fista, ista
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(20, 40)) / np.sqrt(20)
    >>> Y = rng.normal(size=(100, 20))
    >>> fast, slow = fista(A, Y, alpha=0.5), ista(A, Y, alpha=0.5)
    >>> bool(fast.n_iter.mean() < slow.n_iter.mean() / 2)
    True
    """
    momentum = "restarted" if as_flag(restart, "restart") else "always"
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
    return solve(A, Y, Penalty.of(penalty, alpha, gamma, a), momentum, options)

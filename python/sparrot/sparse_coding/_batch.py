"""Proximal gradient methods on batches of signals."""

from typing import Any

import numpy as np

from sparrot import _sparrot
from sparrot._native import simd_level
from sparrot._validation import (
    FloatArray,
    as_choice,
    as_count,
    as_flag,
    as_floats,
    as_positive,
    as_threads,
    require_finite,
)
from sparrot.errors import InvalidInputError
from sparrot.sparse_coding._dictionary import Problem, as_problem
from sparrot.sparse_coding._penalty import Penalty
from sparrot.sparse_coding._result import CodingResult, result_of, warn_unless_converged


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
    init: object = None,
    tol: float | None = 1e-6,
    max_iter: int = 10_000,
    max_time: float | None = None,
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
        and the second is its adjoint.
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
    step : float, "adaptive" or None, default=None
        The step. None is 1 over a certified bound of the squared norm of ``A``; for an operator,
        and matrices both of whose sides are above 2048, "adaptive": it starts from the curvature
        along the first gradient and is made smaller whenever a move meets more than it allows.
    init : array_like of shape (n_signals, n_atoms), default=None
        Where the codes start; at 0 by default.
    tol : float or None, default=1e-6
        The certificate to reach: the gap, or the stationarity. None or 0 for exactly ``max_iter``
        iterations.
    max_iter : int, default=10000
        Iterations of each signal, at most.
    max_time : float, default=None
        Seconds after which every signal gets the best code so far.
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
    chosen = Penalty.of(penalty, alpha, gamma, a)
    problem = as_problem(A, Y, check_finite=as_flag(check_finite, "check_finite"))
    settings = _settings("none", positive, step, tol, max_iter)
    return _solve(problem, chosen, settings, init, max_time, n_threads)


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
    restart: bool = True,
    init: object = None,
    tol: float | None = 1e-6,
    max_iter: int = 10_000,
    max_time: float | None = None,
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
    step : float, "adaptive" or None, default=None
        The step: see :func:`ista`.
    restart : bool, default=True
        Whether momentum starts anew where it points uphill.
    init : array_like of shape (n_signals, n_atoms), default=None
        Where the codes start; at 0 by default.
    tol : float or None, default=1e-6
        The certificate to reach; None or 0 for exactly ``max_iter`` iterations.
    max_iter : int, default=10000
        Iterations of each signal, at most.
    max_time : float, default=None
        Seconds after which every signal gets the best code so far.
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
    chosen = Penalty.of(penalty, alpha, gamma, a)
    problem = as_problem(A, Y, check_finite=as_flag(check_finite, "check_finite"))
    momentum = "restarted" if as_flag(restart, "restart") else "always"
    settings = _settings(momentum, positive, step, tol, max_iter)
    return _solve(problem, chosen, settings, init, max_time, n_threads)


def iht(
    A: object,
    Y: object,
    alpha: float | None = None,
    *,
    n_nonzero_coefs: int | None = None,
    positive: bool = False,
    step: float | str | None = None,
    init: object = None,
    tol: float | None = 1e-6,
    max_iter: int = 10_000,
    max_time: float | None = None,
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
    step : float, "adaptive" or None, default=None
        The step: see :func:`ista`. A larger step has fewer fixed points.
    init : array_like of shape (n_signals, n_atoms), default=None
        Where the codes start; at 0 by default.
    tol : float or None, default=1e-6
        The stationarity to reach; None or 0 for exactly ``max_iter`` iterations.
    max_iter : int, default=10000
        Iterations of each signal, at most.
    max_time : float, default=None
        Seconds after which every signal gets the best code so far.
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
    problem = as_problem(A, Y, check_finite=as_flag(check_finite, "check_finite"))
    if n_nonzero_coefs is None:
        chosen = Penalty("l0", 0.0, as_positive(alpha, "alpha"))
    else:
        chosen = Penalty("largest", float(as_count(n_nonzero_coefs, "n_nonzero_coefs")), 0.0)
    settings = _settings("none", positive, step, tol, max_iter)
    return _solve(problem, chosen, settings, init, max_time, n_threads)


def _settings(
    momentum: str, positive: object, step: object, tol: object, max_iter: object
) -> dict[str, Any]:
    return {
        "momentum": momentum,
        "positive": as_flag(positive, "positive"),
        "step": as_step(step),
        "tol": 0.0 if tol is None else as_positive(tol, "tol", zero=True),
        "max_iter": as_count(max_iter, "max_iter"),
    }


def as_step(step: object) -> float | None:
    """Take a step: 0 is adaptive."""
    if step is None:
        return None
    if isinstance(step, str):
        as_choice(step, "step", ("adaptive",))
        return 0.0
    return as_positive(step, "step")


def _solve(
    problem: Problem,
    penalty: Penalty,
    settings: dict[str, Any],
    init: object,
    max_time: object,
    n_threads: object,
) -> CodingResult:
    if problem.is_operator and penalty.name == "cel0":
        raise InvalidInputError('penalty is "cel0" and A an operator: needs A as a matrix')
    shape = (len(problem.signals), problem.atoms)
    codes = _start(init, shape, problem)
    _require_feasible(codes, penalty, settings["positive"])
    simd_level()  # raises if SPARROT_SIMD asks for what there is not
    raw = _sparrot.coding_solve(
        problem.dictionary,
        problem.signals,
        codes,
        init is not None,
        {"penalty": penalty.name, "shape": penalty.shape, "alpha": penalty.alpha, **settings},
        None if max_time is None else as_positive(max_time, "max_time", zero=True),
        as_threads(n_threads),
    )
    found = codes[0] if problem.is_single else codes
    result = result_of(raw, found, penalty.is_convex, settings["tol"])
    warn_unless_converged(result, settings["tol"], stacklevel=3)
    return result


def _start(init: object, shape: tuple[int, int], problem: Problem) -> FloatArray:
    dtype = problem.signals.dtype
    if init is None:
        return np.zeros(shape, dtype=dtype)
    given = as_floats(init, "init", ndim=1 if problem.is_single else 2)
    needed = shape[1:] if problem.is_single else shape
    if given.shape != needed:
        raise InvalidInputError(f"init has shape {given.shape}: needs {needed}")
    require_finite(given, "init")
    largest = np.abs(given).max()
    if largest > np.sqrt(np.finfo(dtype).max):
        raise InvalidInputError(
            f"init contains {largest}, whose square overflows {dtype}: scale it"
        )
    return np.array(np.atleast_2d(given), dtype=dtype, order="C")


def _require_feasible(codes: FloatArray, penalty: Penalty, positive: bool) -> None:
    """Refuse to start from what must not be returned: it is if there is no time to leave it."""
    if positive and (codes < 0).any():
        raise InvalidInputError(f"init contains {codes.min()}: positive=True needs none below 0")
    most = np.count_nonzero(codes, axis=1).max()
    if penalty.name == "largest" and most > penalty.shape:
        raise InvalidInputError(
            f"init has a code with {most} numbers that are not 0: needs at most n_nonzero_coefs, "
            f"{int(penalty.shape)}"
        )

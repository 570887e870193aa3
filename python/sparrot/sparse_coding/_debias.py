"""Least squares on the support of codes."""

import numpy as np

from sparrot._validation import as_flag, as_floats, as_threads, require_finite
from sparrot.errors import InvalidInputError
from sparrot.sparse_coding._dictionary import as_problem
from sparrot.sparse_coding._encode import refit
from sparrot.sparse_coding._result import CodingResult


def debias(
    A: object,
    Y: object,
    codes: object,
    *,
    check_finite: bool = True,
    n_threads: int | None = None,
) -> CodingResult:
    """Refit codes by least squares, each with the atoms it uses.

    A penalty such as L1 finds the atoms of a signal, but pulls their numbers towards 0. Without the
    penalty, on the same atoms, the squared residual is the smallest these can give.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n_features, n_atoms)
        The dictionary.
    Y : array_like of shape (n_signals, n_features)
        The signals, one in each row; or a single one, of shape (n_features,).
    codes : array_like of shape (n_signals, n_atoms)
        The codes, of which is used where they are not 0; or a single one, of shape (n_atoms,).
    check_finite : bool, default=True
        Whether to look for NaN and infinity.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Returns
    -------
    CodingResult
        With the new ``codes``; ``objective``, half the squared residual of each; and as
        ``stationarity`` the largest correlation of an atom in use with the residual, over the norms
        of atom and signal: 0 but for rounding. An atom that depends on others in use gets a 0.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    See Also
    --------
    ista, SparseCoder : Find codes.

    Notes
    -----
    M. Figueiredo, R. Nowak, S. Wright, "Gradient projection for sparse reconstruction", IEEE J.
    Sel. Top. Signal Process. 1, 2007, section III.D, do the same by conjugate gradients; here it is
    by a Cholesky factor for each support. Signs may change.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sparse_coding import debias, fista
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(40, 60)) / np.sqrt(40)
    >>> truth = np.where(rng.random((50, 60)) < 0.05, 3.0, 0.0)
    >>> Y = truth @ A.T + 0.01 * rng.normal(size=(50, 40))
    >>> shrunk = fista(A, Y, alpha=0.3).codes
    >>> result = debias(A, Y, shrunk)
    >>> print(f"{np.abs(shrunk - truth).max():.2f} {np.abs(result.codes - truth).max():.2f}")
    1.27 0.04
    """
    problem = as_problem(A, Y, check_finite=as_flag(check_finite, "check_finite"))
    if problem.is_operator:
        raise InvalidInputError("A is an operator: needs a matrix, for products of its columns")
    given = as_floats(codes, "codes", ndim=1 if problem.is_single else 2)
    shape = (len(problem.signals), problem.atoms)
    needed = shape[1:] if problem.is_single else shape
    if given.shape != needed:
        raise InvalidInputError(f"codes has shape {given.shape}: needs {needed}")
    if check_finite:
        require_finite(given, "codes")
    # Only the support counts: numbers could over- or underflow in the type of the signals.
    start = np.array(np.atleast_2d(given) != 0, dtype=problem.signals.dtype, order="C")
    return refit(problem, start, n_threads=as_threads(n_threads))

"""Linear models: a loss of each row of ``A @ x``."""

from collections.abc import Callable

import numpy as np

from sparrot._design import as_design, as_targets
from sparrot._validation import FloatArray, as_array, as_positive
from sparrot.descent._problem import Problem
from sparrot.errors import InvalidInputError

Bounds = tuple[object, object]
UNBOUNDED: Bounds = (-np.inf, np.inf)


class LeastSquares(Problem):
    """Half the squared residual, ``((A @ x - b)**2).sum() / 2``.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n, p)
        The data. float32 and float64 are used as they are; a dense array in C order is copied to
        Fortran order, a sparse matrix in another format than CSC to that one.
    b : array_like of shape (n,)
        The targets.
    l1 : float or array_like of shape (p,), default=0.0
        The weight of ``|x|``, one for all variables or one for each.
    bounds : tuple, default=(-inf, inf)
        Lower and upper bounds of x, each a number or one for each variable: ``(0, np.inf)`` for
        non-negative x.

    Attributes
    ----------
    shape : tuple of int
        The shape of x, (p,).

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    See Also
    --------
    block_coordinate_descent

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.descent import LeastSquares, block_coordinate_descent
    >>> rng = np.random.default_rng(0)
    >>> A, b = rng.normal(size=(50, 200)), rng.normal(size=50)
    >>> problem = LeastSquares(A, b, l1=0.3 * np.abs(A.T @ b).max())
    >>> result = block_coordinate_descent(problem, block_size=10, tol=1e-10)
    >>> result.converged, bool(result.gap <= 1e-8 * result.objective)
    (True, True)
    """

    def __init__(
        self, A: object, b: object, *, l1: object = 0.0, bounds: Bounds = UNBOUNDED
    ) -> None:
        design, (n, p) = as_design(A, "A")
        self.shape = (p,)
        self._native = (design, ("least-squares", as_targets(b, "b", n, "A")))
        self._set_penalty(l1, bounds)


class Logistic(Problem):
    """The negative log-likelihood of two classes, ``log(1 + exp(-y * (A @ x))).sum()``.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n, p)
        The data: see :class:`LeastSquares`. There is no intercept unless a column of ones is there.
    y : array_like of shape (n,)
        The classes: -1 and 1, 0 and 1, or booleans.
    l1 : float or array_like of shape (p,), default=0.0
        The weight of ``|x|``.
    bounds : tuple, default=(-inf, inf)
        Lower and upper bounds of x.

    Attributes
    ----------
    shape : tuple of int
        The shape of x, (p,).

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.

    See Also
    --------
    Multinomial : Several classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.descent import Logistic, block_coordinate_descent
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(100, 20))
    >>> problem = Logistic(A, A[:, 0] + rng.normal(size=100) > 0, l1=2.0)
    >>> result = block_coordinate_descent(problem, update="newton", block_size=5, tol=1e-9)
    >>> result.converged, bool(result.x[0] > 0.5)
    (True, True)
    """

    def __init__(
        self, A: object, y: object, *, l1: object = 0.0, bounds: Bounds = UNBOUNDED
    ) -> None:
        design, (n, p) = as_design(A, "A")
        self.shape = (p,)
        signs = as_targets(y, "y", n, "A")
        found = np.unique(signs)
        if not (np.isin(found, (-1, 1)).all() or np.isin(found, (0, 1)).all()):
            shown = ", ".join(f"{value:g}" for value in found[:5])
            raise InvalidInputError(
                f"y has the values {shown}: needs -1 and 1, 0 and 1, or booleans; "
                "Multinomial takes any labels"
            )
        self._native = (design, ("logistic", np.where(signs > 0, 1.0, -1.0)))
        self._set_penalty(l1, bounds)


class Multinomial(Problem):
    """The negative log-likelihood of several classes.

    ``logsumexp(z, axis=1).sum() - z[range(n), y].sum()`` with ``z = A @ x``.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n, p)
        The data: see :class:`LeastSquares`.
    y : array_like of shape (n,)
        The labels, of any kind that can be sorted.
    l1 : float or array_like of shape (p, k), default=0.0
        The weight of ``|x|``.
    bounds : tuple, default=(-inf, inf)
        Lower and upper bounds of x.

    Attributes
    ----------
    shape : tuple of int
        The shape of x, (p, k): a column for each class.
    classes : ndarray of shape (k,)
        The labels in the order of the columns.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described, or there is only one class.

    See Also
    --------
    Logistic : Two classes, with half the variables.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.descent import Multinomial, block_coordinate_descent
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(90, 6))
    >>> y = np.array(["a", "b", "c"])[A[:, :3].argmax(1)]
    >>> problem = Multinomial(A, y, l1=1.0)
    >>> result = block_coordinate_descent(problem, update="newton", block_size=6)
    >>> result.x.shape, bool((problem.classes[(A @ result.x).argmax(1)] == y).mean() > 0.9)
    ((6, 3), True)
    """

    def __init__(
        self, A: object, y: object, *, l1: object = 0.0, bounds: Bounds = UNBOUNDED
    ) -> None:
        design, (n, p) = as_design(A, "A")
        given = as_array(y, "y")
        if given.shape != (n,):
            raise InvalidInputError(
                f"y has shape {given.shape}: needs a label for each of {n} rows"
            )
        if given.dtype.kind == "f" and not np.isfinite(given).all():
            raise InvalidInputError("y contains NaN or inf: needs labels")
        try:
            self.classes, labels = np.unique(given, return_inverse=True)
        except TypeError as error:
            raise InvalidInputError(f"y has labels that cannot be sorted: {error}") from None
        k = self.classes.size
        if k < 2:
            raise InvalidInputError(f"y has one class, {self.classes[0]!r}: needs at least two")
        if p * k >= 2**31:
            raise InvalidInputError(f"x has {p} x {k} variables: needs less than 2^31")
        self.shape = (p, k)
        self._native = (design, (labels.astype(np.uint32), k))
        self._set_penalty(l1, bounds)


class GeneralizedLinear(Problem):
    """A loss of your own, ``value(A @ x, rows).sum()``.

    The functions take an array ``z`` of predictions and an array ``rows`` that says which rows of
    ``A`` they are of, and return an array of the same shape: a step of a block asks only for the
    rows that it touches.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n, p)
        The data: see :class:`LeastSquares`.
    value : callable
        ``value(z, rows)``, the loss of each, convex in z.
    derivative : callable
        ``derivative(z, rows)``, the first derivative in z.
    second_derivative : callable
        ``second_derivative(z, rows)``. Needed by the updates "newton", "exact" and "two-metric".
    curvature : float
        An upper bound of the second derivative, above 0.
    l1 : float or array_like of shape (p,), default=0.0
        The weight of ``|x|``.
    bounds : tuple, default=(-inf, inf)
        Lower and upper bounds of x.

    Attributes
    ----------
    shape : tuple of int
        The shape of x, (p,).

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described. What the functions raise ends the solve.

    See Also
    --------
    LeastSquares, Logistic

    Notes
    -----
    The solver knows no dual of such a loss: ``gap`` is nan.

    Examples
    --------
    The Huber loss:

    >>> import numpy as np
    >>> from sparrot.descent import GeneralizedLinear, block_coordinate_descent
    >>> rng = np.random.default_rng(0)
    >>> A, b = rng.normal(size=(60, 5)), rng.normal(size=60)
    >>> problem = GeneralizedLinear(
    ...     A,
    ...     lambda z, i: np.where(abs(z - b[i]) < 1, (z - b[i])**2 / 2, abs(z - b[i]) - 0.5),
    ...     lambda z, i: np.clip(z - b[i], -1, 1),
    ...     lambda z, i: (abs(z - b[i]) < 1).astype(float),
    ...     curvature=1.0,
    ... )
    >>> result = block_coordinate_descent(problem, update="matrix", block_size=5, tol=1e-10)
    >>> residual = np.clip(A @ result.x - b, -1, 1)
    >>> bool(np.abs(A.T @ residual).max() < 1e-8)
    True
    """

    def __init__(
        self,
        A: object,
        value: Callable[[FloatArray, FloatArray], object],
        derivative: Callable[[FloatArray, FloatArray], object],
        second_derivative: Callable[[FloatArray, FloatArray], object],
        *,
        curvature: float,
        l1: object = 0.0,
        bounds: Bounds = UNBOUNDED,
    ) -> None:
        design, (_, p) = as_design(A, "A")
        self.shape = (p,)
        functions = {
            "value": value,
            "derivative": derivative,
            "second_derivative": second_derivative,
        }
        for name, function in functions.items():
            if not callable(function):
                raise InvalidInputError(f"{name} is {function!r}: needs a function of (z, rows)")
        checked = (_checked(function, name) for name, function in functions.items())
        self._native = (design, (*checked, as_positive(curvature, "curvature")))
        self._set_penalty(l1, bounds)


def _checked(
    function: Callable[[FloatArray, FloatArray], object], name: str
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Wrap a function of the user's so that only what is asked for comes back."""

    def call(z: FloatArray, rows: FloatArray) -> FloatArray:
        answer = np.ascontiguousarray(function(z, rows), dtype=np.float64)
        if answer.shape != z.shape:
            raise InvalidInputError(
                f"{name} returned shape {answer.shape} for {z.shape}: needs one number for each z"
            )
        # The loss may be inf where a trial step goes too far; its derivatives are asked for only
        # where the solver stands.
        is_wrong = np.isnan(answer) if name == "value" else ~np.isfinite(answer)
        if is_wrong.any():
            i = int(np.flatnonzero(is_wrong)[0])
            raise InvalidInputError(f"{name} returned {answer[i]} for row {rows[i]} at z = {z[i]}")
        return answer

    return call

"""A scikit-learn estimator that maps every point onto an average of few targets."""

from typing import Any, Self

import numpy as np
from scipy import sparse

try:
    from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "sparrot.transport.KSparseTransport needs scikit-learn 1.6 or later: "
        "pip install 'sparrot[sklearn]'"
    ) from error

import warnings

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_count, as_threads
from sparrot.errors import ConvergenceWarning
from sparrot.transport._cost import cost_from_points
from sparrot.transport._lines import SparseProblem, solve_lines
from sparrot.transport._target import target_of


class KSparseTransport(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Map the points of one distribution onto another, each to an average of few targets.

    ``fit(Xs, Xt)`` solves transport with at most ``k`` targets per source point [1]_;
    ``transform`` sends any point of the source space to the average of the at most ``k`` targets
    that the fitted potentials choose for it. Unlike the entropic map, which averages over all
    targets, it does not blur: with ``k=1`` every point goes to one target. All points have the same
    weight: one with twice the weight is not two equal ones, which take up two of ``k`` places.

    Parameters
    ----------
    k : int, default=4
        Targets that a point is averaged over, at most.
    gamma : float, default=0.1
        The weight of the squared norm, in units of ``gamma_scale``: small values put most weight
        on the nearest targets, large ones spread it evenly over all ``k``.
    gamma_scale : {"mean", "max", "absolute"}, default="mean"
        The unit of ``gamma``: see :func:`sparrot.transport.solve_ksparse`.
    metric : {"sqeuclidean", "euclidean", "cosine"}, default="sqeuclidean"
        The cost of moving a point.
    tol : float, default=1e-6
        The gap to reach, as a share of the value.
    max_iter : int, default=None
        Newton steps at most; None for 5,000.
    target : array_like of shape (m, n_features), default=None
        The target points, for use in a ``Pipeline``, which passes labels as the second argument
        of ``fit``.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`.

    Attributes
    ----------
    result_ : SparseTransportResult
        The solved problem, with its certificate. Its plan has exact marginals, and some points with
        more than ``k`` targets.
    target_ : ndarray of shape (m, n_features)
        The target points.
    potential_ : ndarray of shape (m,)
        The dual potential of the targets, which defines the map.
    gamma_ : float
        The weight of the squared norm, in the units of the cost over mass.
    n_iter_ : int
        Newton steps.
    n_features_in_ : int
        Coordinates of the points.
    feature_names_in_ : ndarray of str
        Names of the coordinates, if ``X`` has them.

    See Also
    --------
    sparrot.transport.solve_ksparse : The function behind ``fit``.
    sparrot.transport.EntropicTransport : Averages over all targets.

    References
    ----------
    .. [1] Liu, Puigcerver, Blondel, "Sparsity-constrained optimal transport", ICLR 2023, arXiv
       2209.15466.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import KSparseTransport
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + [5, 0]
    >>> transport = KSparseTransport(k=2).fit(Xs, Xt)
    >>> bool(np.abs(transport.transform(Xs).mean(0) - Xt.mean(0)).max() < 0.1)
    True
    >>> bool(np.diff(transport.targets(Xs).indptr).max() <= 2)
    True
    """

    def __init__(
        self,
        k: int = 4,
        *,
        gamma: float = 0.1,
        gamma_scale: str = "mean",
        metric: str = "sqeuclidean",
        tol: float = 1e-6,
        max_iter: int | None = None,
        target: object = None,
        n_threads: int | None = None,
    ) -> None:
        self.k = k
        self.gamma = gamma
        self.gamma_scale = gamma_scale
        self.metric = metric
        self.tol = tol
        self.max_iter = max_iter
        self.target = target
        self.n_threads = n_threads

    def fit(self, X: object, y: object = None) -> Self:
        """Solve the transport problem from ``X`` to ``y``.

        Parameters
        ----------
        X : array_like of shape (n, n_features)
            The source points.
        y : array_like of shape (m, n_features), optional
            The target points, by default ``target``. One-dimensional ``y`` is taken for the labels
            that a ``Pipeline`` hands to each of its steps, and is not used. Without any target,
            ``X`` is transported onto itself.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If an argument is not as described.

        Warns
        -----
        UserWarning
            If ``y`` is one-dimensional and there is no ``target``.
        sparrot.errors.ConvergenceWarning
            If the gap is above ``tol``.
        """
        points: FloatArray = validate_data(self, X, dtype=[np.float64, np.float32])
        target, _ = target_of(self.target, points, y, None)
        cost = cost_from_points(points, target, self.metric, check_finite=True)
        result = solve_lines(
            SparseProblem.of(
                cost, None, None, self.gamma, self.gamma_scale, as_count(self.k, "k"), 1
            ),
            recover="polish",
            tol=self.tol,
            max_iter=self.max_iter,
            max_time=None,
            init=None,
            callback=None,
            verbose=0,
            check_finite=False,
            n_threads=self.n_threads,
        )
        if not result.converged:
            warnings.warn(result.message, ConvergenceWarning, stacklevel=2)
        self.result_ = result
        self.target_ = target
        self.potential_ = result.potentials[1]
        self.gamma_ = result.gamma
        self.n_iter_ = max(1, result.n_iter)
        return self

    def targets(self, X: object) -> sparse.csr_array:
        """Say which targets points of the source space go to, and with what weights.

        Parameters
        ----------
        X : array_like of shape (r, n_features)
            Any points, not only those of ``fit``.

        Returns
        -------
        scipy.sparse.csr_array of shape (r, m)
            At most ``k`` entries per row, which sums to 1.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If ``X`` is not finite.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        return self._targets(validate_data(self, X, dtype=[np.float64, np.float32], reset=False))

    def _targets(self, points: FloatArray) -> sparse.csr_array:
        cost = cost_from_points(points, self.target_, self.metric, check_finite=False)
        count, m = cost.shape
        # A new point has the mass that one of those of `fit` has on average: 1 here.
        problem = {
            "cost": cost.native,
            "lines": 1,
            "a": self.result_.b,
            "b": np.ones(count),
            "gamma": self.gamma_ * float(self.result_.a.mean()),
            "k": min(self.result_.k or m, m),
            "n_threads": as_threads(self.n_threads),
        }
        weights, chosen, starts = _sparrot.transport_ksparse_plan(problem, self.potential_, None)
        return sparse.csr_array((weights, chosen, starts), shape=cost.shape)

    def transform(self, X: object) -> FloatArray:
        """Map points of the source space to the target.

        Parameters
        ----------
        X : array_like of shape (r, n_features)
            Any points, not only those of ``fit``.

        Returns
        -------
        ndarray of shape (r, n_features)
            Averages of at most ``k`` targets; float32 if ``X`` is, else float64.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If ``X`` is not finite.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        points: FloatArray = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        mapped: FloatArray = self._targets(points) @ self.target_.astype(np.float64, copy=False)
        return mapped.astype(points.dtype, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

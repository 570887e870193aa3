"""A scikit-learn estimator that maps the points of one distribution onto another."""

from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "sparrot.transport.EntropicTransport needs scikit-learn 1.6 or later: "
        "pip install 'sparrot[sklearn]'"
    ) from error

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_threads
from sparrot.transport._cost import cost_from_points
from sparrot.transport._solve import solve_sample
from sparrot.transport._target import target_of


class EntropicTransport(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Map the points of one distribution onto another by entropic optimal transport.

    ``fit(Xs, Xt)`` solves entropic transport between two sets of points; ``transform`` sends any
    point of the source space to the average of the targets, weighted by where the fitted plan
    would send it (the entropic map, equation 8 of [1]_; on ``Xs`` itself, the barycentric
    projection of the plan). Use it to move data from one domain to another before a classifier, to
    transfer colours, or to align batches.

    Parameters
    ----------
    reg : float, default=0.1
        The regularisation, in units of ``reg_scale``. Small values follow the data closely, large
        ones send every point towards the mean of the targets.
    reg_scale : {"mean", "max", "absolute"}, default="mean"
        The unit of ``reg``: the mean cost, the largest cost, or the unit of the cost.
    metric : {"sqeuclidean", "euclidean", "cosine"}, default="sqeuclidean"
        The cost of moving a point.
    method : {"auto", "sns", "sinkhorn"}, default="auto"
        See :func:`sparrot.transport.solve`.
    tol : float, default=1e-11
        The marginal error to reach, as a share of the mass. It is small because where the plan
        falls into nearly separate parts, the map between them follows only once it is.
    max_iter : int, default=None
        Iterations at most; None for the method's default.
    target : array_like of shape (m, n_features), default=None
        The target points, for use in a ``Pipeline``, which passes labels as the second argument
        of ``fit``.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`.

    Attributes
    ----------
    result_ : TransportResult
        The solved problem, with its certificate.
    target_ : ndarray of shape (m, n_features)
        The target points.
    potential_ : ndarray of shape (m,)
        The dual potential of the targets, which defines the map.
    reg_ : float
        The regularisation in the units of the cost.
    n_iter_ : int
        Iterations of all kinds.
    n_features_in_ : int
        Coordinates of the points.
    feature_names_in_ : ndarray of str
        Names of the coordinates, if ``X`` has them.

    See Also
    --------
    sparrot.transport.solve_sample : The function behind ``fit``.

    References
    ----------
    .. [1] Pooladian, Niles-Weed, "Entropic estimation of optimal transport maps", 2021,
       arXiv 2109.12004.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import EntropicTransport
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(size=(200, 2)), rng.normal(size=(300, 2)) + [5, 0]
    >>> mapped = EntropicTransport(reg=0.01).fit(Xs, Xt).transform(Xs)
    >>> bool(np.abs(mapped.mean(0) - Xt.mean(0)).max() < 1e-6)
    True
    """

    def __init__(
        self,
        reg: float = 0.1,
        *,
        reg_scale: str = "mean",
        metric: str = "sqeuclidean",
        method: str = "auto",
        tol: float = 1e-11,
        max_iter: int | None = None,
        target: object = None,
        n_threads: int | None = None,
    ) -> None:
        self.reg = reg
        self.reg_scale = reg_scale
        self.metric = metric
        self.method = method
        self.tol = tol
        self.max_iter = max_iter
        self.target = target
        self.n_threads = n_threads

    def fit(self, X: object, y: object = None, sample_weight: object = None) -> Self:
        """Solve the transport problem from ``X`` to ``y``.

        Parameters
        ----------
        X : array_like of shape (n, n_features)
            The source points.
        y : array_like of shape (m, n_features), optional
            The target points, by default ``target``. One-dimensional ``y`` is taken for the labels
            that a ``Pipeline`` hands to each of its steps, and is not used. Without any target,
            ``X`` is transported onto itself, which smooths it.
        sample_weight : array_like of shape (n,), optional
            Weights of ``X`` (and of the target, if that is ``X`` itself); uniform by default.

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
            If the marginal error is above ``tol``.
        """
        points: FloatArray = validate_data(self, X, dtype=[np.float64, np.float32])
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(
                sample_weight, points, dtype=np.float64, ensure_non_negative=True
            )
            weights = weights / weights.sum()
        target, target_weights = target_of(self.target, points, y, weights)
        result = solve_sample(
            points,
            target,
            weights,
            target_weights,
            metric=self.metric,
            reg=self.reg,
            reg_scale=self.reg_scale,
            method=self.method,
            tol=self.tol,
            max_iter=self.max_iter,
            n_threads=self.n_threads,
        )
        self.result_ = result
        self.target_ = target
        self.potential_ = result.potentials[1]
        self.reg_ = result.reg
        self.n_iter_ = max(1, result.n_iter)
        return self

    def transform(self, X: object) -> FloatArray:
        """Map points of the source space to the target.

        Parameters
        ----------
        X : array_like of shape (k, n_features)
            Any points, not only those of ``fit``.

        Returns
        -------
        ndarray of shape (k, n_features)
            Averages of the targets; float32 if ``X`` is, else float64.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If ``X`` is not finite, or a point cannot be mapped.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        points: FloatArray = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        cost = cost_from_points(points, self.target_, self.metric, check_finite=False)
        by_coordinate = np.ascontiguousarray(self.target_.T, dtype=np.float64)
        mapped = _sparrot.transport_map(
            cost.native, self.potential_, self.reg_, by_coordinate, as_threads(self.n_threads)
        )
        return mapped.reshape(points.shape).astype(points.dtype, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

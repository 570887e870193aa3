"""Label propagation as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "LabelPropagation needs scikit-learn 1.6 or later: pip install 'sparrot[sklearn]'"
    ) from error

from sparrot._validation import FloatArray, as_choice, as_count, as_positive
from sparrot.errors import InvalidInputError
from sparrot.graph import _kernels as kernels
from sparrot.graph._laplacian import laplacian_solve

KERNELS = ("rbf", "knn", "precomputed")
UNLABELLED = -1


class LabelPropagation(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Semi-supervised classification by harmonic functions on a graph of the samples.

    Labels that are given stay as they are; every other sample gets the weighted mean of its
    neighbours' label distributions. That is where scikit-learn's estimator of this name ends after
    infinitely many iterations on a symmetric graph; here it is solved for, on sparse graphs in
    memory linear in their edges.

    Parameters
    ----------
    kernel : {"rbf", "knn", "precomputed"} or callable, default="rbf"
        The weights of the graph. "rbf" is ``exp(-gamma * |x - y|**2)``, between all pairs (those
        below 1e-299 of the largest count as 0) or, for large data, those from ``min_weight`` on;
        "knn" is 1 where either is among the other's ``n_neighbors`` nearest, itself not counted;
        "precomputed" takes ``X`` as the symmetric
        (n, n) matrix of weights, sparse or dense. A function ``kernel(X, Y)`` returns the
        (len(X), len(Y)) non-negative weights, dense or sparse; of ``kernel(X, X)`` the symmetric
        part is used.
    gamma : float, default=20
        Of "rbf": above 0.
    n_neighbors : int, default=7
        Of "knn".
    min_weight : float, default=0.0
        Of "rbf": pairs of less weight are not joined. Below 1; 0 for all pairs.
    method : str, default="auto"
        See :func:`laplacian_solve`.
    tol : float, default=1e-8
        The residual to reach: see :class:`LaplacianResult`.
    max_iter : int, default=100000
        Iterations of the solver, at most.
    max_time : float, default=None
        Seconds after which the solver stops with the best answer so far.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels that occur, without -1.
    label_distributions_ : ndarray of shape (n_samples, n_classes)
        A distribution over the classes for each sample.
    transduction_ : ndarray of shape (n_samples,)
        The most likely class of each sample.
    unreached_ : ndarray of int64
        Samples that no path joins to a labelled one. They get the shares of the classes among the
        labelled samples, and so the most frequent class.
    result_ : LaplacianResult
        The solution, all classes but the last by columns, with ``error_bound()``.
    residual_ : float
        Its residual.
    converged_ : bool
        Whether that is within ``tol``.
    n_iter_ : int
        Iterations of the solver.
    X_ : ndarray, sparse matrix
        The samples; None for "precomputed".
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    laplacian_solve : The solver, for any values.
    sklearn.semi_supervised.LabelPropagation : The same by iteration.

    References
    ----------
    .. [1] X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and
       harmonic functions", ICML 2003.

    Examples
    --------
    Two moons, two labels in each:

    >>> import numpy as np
    >>> from sklearn.datasets import make_moons
    >>> from sparrot.graph import LabelPropagation
    >>> X, truth = make_moons(400, noise=0.05, random_state=0)
    >>> y = np.full(400, -1)
    >>> for c in (0, 1):
    ...     y[np.flatnonzero(truth == c)[:2]] = c
    >>> model = LabelPropagation(kernel="knn").fit(X, y)
    >>> float((model.transduction_ == truth).mean()), model.converged_
    (1.0, True)
    """

    def __init__(
        self,
        kernel: object = "rbf",
        *,
        gamma: float = 20,
        n_neighbors: int = 7,
        min_weight: float = 0.0,
        method: str = "auto",
        tol: float = 1e-8,
        max_iter: int = 100_000,
        max_time: float | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.gamma = gamma
        self.n_neighbors = n_neighbors
        self.min_weight = min_weight
        self.method = method
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_threads = n_threads

    def fit(self, X: object, y: object) -> Self:
        """Find the label distributions of all samples.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            The samples, or the (n_samples, n_samples) weights for "precomputed".
        y : array_like of shape (n_samples,)
            Their labels; -1 marks those without.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If a parameter is not as described, no sample is labelled, or the weights are not
            symmetric and non-negative.
        ValueError
            If the data are not finite or do not fit each other.

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If the residual is above ``tol``.
        """
        if not callable(self.kernel):
            as_choice(self.kernel, "kernel", KERNELS)
        data, labels = validate_data(self, X, y, accept_sparse="csr")
        labelled = np.flatnonzero(labels != UNLABELLED)
        if len(labelled) == 0:
            raise InvalidInputError("y is -1 everywhere: needs at least one label")
        check_classification_targets(labels[labelled])
        self.classes_, codes = np.unique(labels[labelled], return_inverse=True)
        graph = self._graph(data)
        # Distributions sum to 1: one class less is to be solved for.
        count = len(self.classes_)
        values = np.zeros((len(labelled), max(1, count - 1)))
        is_solved = codes < values.shape[1]
        values[is_solved, codes[is_solved]] = 1
        self.result_ = self._solve(graph, labelled, values)
        solved = self.result_.x.clip(0, 1)
        last = (1 - solved.sum(axis=1, keepdims=True)).clip(0)
        self.label_distributions_ = np.hstack([solved, last])[:, :count]
        self.label_distributions_ /= self.label_distributions_.sum(axis=1, keepdims=True)
        self.transduction_ = self.classes_[self.label_distributions_.argmax(axis=1)]
        self._shares = np.bincount(codes, minlength=count) / len(codes)
        self.unreached_ = self.result_.unreached
        self.residual_ = self.result_.residual
        self.converged_ = self.result_.converged
        self.n_iter_ = max(1, self.result_.n_iter)
        self.X_ = None if self.kernel == "precomputed" else data
        return self

    def _graph(self, data: Any) -> Any:
        if self.kernel == "precomputed":
            return data
        if self.kernel == "rbf":
            return kernels.rbf_graph(data, self._gamma(), self._min_weight())
        if self.kernel == "knn":
            return kernels.knn_graph(data, as_count(self.n_neighbors, "n_neighbors"))
        return kernels.callable_graph(data, self.kernel)  # type: ignore[arg-type]

    def _gamma(self) -> float:
        return as_positive(self.gamma, "gamma")

    def _min_weight(self) -> float:
        least = as_positive(self.min_weight, "min_weight", zero=True)
        if least >= 1:
            raise InvalidInputError(f"min_weight is {least}: needs a number below 1")
        return least

    def _solve(self, graph: Any, labelled: Any, values: FloatArray) -> Any:
        try:
            return laplacian_solve(
                graph,
                labelled,
                values,
                method=self.method,
                tol=self.tol,
                max_iter=self.max_iter,
                max_time=self.max_time,
                n_threads=self.n_threads,
            )
        except InvalidInputError as error:
            given = "X" if self.kernel == "precomputed" else "kernel(X, X)"
            message = str(error)
            if message.startswith("W"):
                raise InvalidInputError(given + message[1:]) from None
            raise

    def predict_proba(self, X: object) -> FloatArray:
        """Predict the label distributions of samples, new ones or those of ``fit``.

        They are means of ``label_distributions_``, weighted by the kernel: for "knn" those of the
        ``n_neighbors`` nearest samples. The graph is not changed.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n, n_features)
            The samples; for "precomputed" their (n, n_samples) weights to those of ``fit``. A
            sample without any weight gets the shares of the classes among the labelled samples.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Distributions, in the order of ``classes_``.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        data = validate_data(self, X, accept_sparse="csr", reset=False)
        values = self.label_distributions_
        if self.kernel == "rbf":
            means = kernels.rbf_means(data, self.X_, self._gamma(), values)
        elif self.kernel == "knn":
            means = kernels.knn_means(
                data, self.X_, as_count(self.n_neighbors, "n_neighbors"), values
            )
        elif self.kernel == "precomputed":
            smallest = data.min()
            if smallest < 0:
                raise InvalidInputError(f"X contains {smallest}: needs non-negative weights")
            means = kernels.weighted_means(data, values, self._shares)
        else:
            weights = kernels.callable_weights(data, self.X_, self.kernel)  # type: ignore[arg-type]
            means = kernels.weighted_means(weights, values, self._shares)
        means /= means.sum(axis=1, keepdims=True)
        return means

    def predict(self, X: object) -> Any:
        """Predict the classes of samples: the most likely of each.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n, n_features)
            The samples, as in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n,)
            Their classes.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags

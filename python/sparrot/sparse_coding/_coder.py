"""Sparse coding as a scikit-learn transformer."""

import copy
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "SparseCoder needs scikit-learn 1.6 or later: pip install 'sparrot[sklearn]'"
    ) from error

from sparrot._validation import (
    FloatArray,
    as_above,
    as_choice,
    as_count,
    as_flag,
    as_floats,
    as_positive,
    as_threads,
    require_finite,
)
from sparrot.errors import InvalidInputError
from sparrot.sparse_coding._batch import fista, ista
from sparrot.sparse_coding._dictionary import as_problem, in_type
from sparrot.sparse_coding._encode import descend, pursue
from sparrot.sparse_coding._failing import unchanged_by_failure
from sparrot.sparse_coding._hard import iht
from sparrot.sparse_coding._penalty import PENALTIES, Penalty
from sparrot.sparse_coding._result import CodingResult
from sparrot.sparse_coding._solve import as_tol

ALGORITHMS = ("omp", "ols", "lasso_cd", "lasso_lars", "cd", "threshold", "ista", "fista", "iht")


class SparseCoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Sparse codes of samples by a given dictionary.

    Finds, for every row ``y`` of ``X``, few atoms whose combination ``code @ dictionary`` is near
    it. Takes the parameters of scikit-learn's estimator of this name, and more. As there, a given
    dictionary codes without a call of ``fit``. What differs is in the notes.

    Parameters
    ----------
    dictionary : array_like of shape (n_components, n_features), default=None
        The atoms, one in each row. They are used as they are: for "omp" and "threshold" they are
        usually of norm 1. None takes the samples given to ``fit``, each over its norm, without
        those that are 0.
    transform_algorithm : str, default="omp"
        How to code:

        - "omp": orthogonal matching pursuit: the atom that joins is the one most correlated with
          the residual;
        - "ols": orthogonal least squares: it is the one with which the residual becomes smallest.
          This is what ``omp`` of spams does;
        - "lasso_cd": the minimum of ``((y - code @ dictionary)**2).sum() / 2 + alpha *
          |code|.sum()`` to a certified gap, by coordinate descent; "lasso_lars" is the same
          minimum, and the same method;
        - "cd": the same with ``penalty``;
        - "ista", "fista": see :func:`ista` and :func:`fista`, with ``penalty``;
        - "iht": see :func:`iht`;
        - "threshold": soft thresholding of the products with the atoms.
    transform_n_nonzero_coefs : int, default=None
        Of "omp", "ols" and "iht": the number of atoms in a code, at most; by default a tenth of the
        features, and at least 1. With "omp" and "ols" ``transform_alpha`` overrides it; with "iht"
        it overrides ``transform_alpha``.
    transform_alpha : float, default=None
        The weight of the penalty, above 0; 1 by default. Of "omp" and "ols" the squared norm of
        the residual to reach, with as many atoms as that takes.
    split_sign : bool, default=False
        Whether codes are split into their positive and their negative parts, side by side.
    n_jobs : int, default=None
        Ignored, for scikit-learn's name: samples are shared among ``n_threads``.
    positive_code : bool, default=False
        Whether codes must not be negative.
    transform_max_iter : int, default=1000
        Iterations, at most: of "lasso_cd" and "cd", looks at all atoms.
    penalty : {"l1", "l0", "cel0", "mcp", "scad", "l1/2", "l2/3"}, default="l1"
        Of "cd", "ista" and "fista": the penalty.
    gamma : float, default=3.0
        Of "mcp": how fast it levels off, above 0.
    a : float, default=3.7
        Of "scad": where it is level, in units of ``transform_alpha``; above 2.
    tol : float, "auto" or None, default="auto"
        The certificate to reach: the relative duality gap or the stationarity; see
        :class:`CodingResult`. "auto" is 1e-6, and with "ista", "fista" and "iht" on float32 1e-5.
        None, with these three, for exactly ``transform_max_iter`` iterations.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. The codes have the same bits for any number.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The dictionary in use.
    n_components_ : int
        The number of atoms.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if ``X`` has them.

    See Also
    --------
    sklearn.decomposition.SparseCoder : Without certificates.

    Notes
    -----
    What differs from scikit-learn: "lars" is not offered. "lasso_lars" is coordinate descent.
    ``transform_alpha`` of "omp" is what is documented there, the squared residual to reach, which
    overrides ``transform_n_nonzero_coefs``; version 1.9 ignores it. "omp" ends earlier where what
    is left of a sample is rounding. ``positive_code`` works with all algorithms. Of float32 samples
    codes are float32, whatever the type of the dictionary.

    Coordinate descent works on rows of the Gram matrix of the atoms: a greedy start, cycles over
    the atoms in use, and with L1 the minimum for the signs found. :meth:`encode` returns codes
    with their certificates.

    References
    ----------
    .. [1] H. Lee, A. Battle, R. Raina, A. Y. Ng, "Efficient sparse coding algorithms", NIPS 2006.
    .. [2] R. Rubinstein, M. Zibulevsky, M. Elad, "Efficient implementation of the K-SVD algorithm
       using batch orthogonal matching pursuit", Technion, 2008.
    .. [3] S. Chen, S. A. Billings, W. Luo, "Orthogonal least squares methods and their application
       to non-linear system identification", Int. J. Control 50, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sparse_coding import SparseCoder
    >>> rng = np.random.default_rng(0)
    >>> dictionary = rng.normal(size=(40, 20)) / np.sqrt(20)
    >>> X = rng.normal(size=(100, 20))
    >>> coder = SparseCoder(dictionary, transform_algorithm="lasso_cd", transform_alpha=0.5)
    >>> coder.fit_transform(X).shape
    (100, 40)
    >>> bool(coder.encode(X).gap.max() <= 1e-6)
    True
    """

    def __init__(
        self,
        dictionary: object = None,
        *,
        transform_algorithm: str = "omp",
        transform_n_nonzero_coefs: int | None = None,
        transform_alpha: float | None = None,
        split_sign: bool = False,
        n_jobs: int | None = None,
        positive_code: bool = False,
        transform_max_iter: int = 1000,
        penalty: str = "l1",
        gamma: float = 3.0,
        a: float = 3.7,
        tol: float | str | None = "auto",
        n_threads: int | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.transform_algorithm = transform_algorithm
        self.transform_n_nonzero_coefs = transform_n_nonzero_coefs
        self.transform_alpha = transform_alpha
        self.split_sign = split_sign
        self.n_jobs = n_jobs
        self.positive_code = positive_code
        self.transform_max_iter = transform_max_iter
        self.penalty = penalty
        self.gamma = gamma
        self.a = a
        self.tol = tol
        self.n_threads = n_threads

    def fit(self, X: object, y: object = None) -> Self:
        """Check the parameters, and take the samples for a dictionary if there is none.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The samples.
        y : object, default=None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If a parameter is not as described.
        ValueError
            If the data are not finite.
        """
        del y
        as_choice(self.transform_algorithm, "transform_algorithm", ALGORITHMS)
        as_choice(self.penalty, "penalty", PENALTIES)
        as_count(self.transform_max_iter, "transform_max_iter")
        if self.transform_alpha is not None:
            self._alpha()
        if self.transform_n_nonzero_coefs is not None:
            self._count()
        as_tol(self.tol, np.float64)
        as_above(self.gamma, "gamma", 0)
        as_above(self.a, "a", 2)
        as_flag(self.positive_code, "positive_code")
        as_flag(self.split_sign, "split_sign")
        as_threads(self.n_threads)
        with unchanged_by_failure(self):
            data = validate_data(self, X, dtype=[np.float64, np.float32], order="C")
            atoms = _normalised(data) if self.dictionary is None else self._given(data)
        self.components_ = atoms
        self.n_components_ = len(atoms)
        return self

    def _given(self, data: FloatArray) -> FloatArray:
        given = as_floats(self.dictionary, "dictionary", ndim=2)
        atoms = np.array(given)  # a copy: it may be changed by its owner
        if 0 in atoms.shape:
            raise InvalidInputError(f"dictionary has shape {atoms.shape}: needs at least one atom")
        require_finite(atoms, "dictionary")
        if atoms.shape[1] != data.shape[1]:
            raise InvalidInputError(
                f"dictionary has shape {atoms.shape} and X {data.shape}: needs as many columns in "
                "both"
            )
        return atoms

    def _fitted(self, samples: object) -> Self:
        """Return the estimator; or a copy made ready, if all that takes is the dictionary."""
        if self.dictionary is not None and not hasattr(self, "components_"):
            return copy.copy(self).fit(samples)
        check_is_fitted(self)
        return self

    def transform(self, X: object) -> FloatArray:
        """Code samples.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Their codes; of twice as many columns with ``split_sign``.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``, without a dictionary.

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If a certificate is above ``tol``, or "omp" or "ols" does not reach
            ``transform_alpha``.
        """
        codes = self._fitted(X)._encode(X)
        found: FloatArray = codes if isinstance(codes, np.ndarray) else codes.codes
        if as_flag(self.split_sign, "split_sign"):
            found = np.hstack([np.maximum(found, 0), np.maximum(-found, 0)])
        return found

    def encode(self, X: object) -> CodingResult:
        """Code samples, with a certificate for each.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        CodingResult
            The codes and their certificates. Of "omp" and "ols" ``stationarity`` is the largest
            correlation of an atom in use with the residual, over both norms. Not for "threshold",
            which minimises nothing.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If ``transform_algorithm`` is "threshold".
        ValueError
            If ``X`` is not finite or has another number of columns than in ``fit``.
        sklearn.exceptions.NotFittedError
            Before ``fit``, without a dictionary.

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If a certificate is above ``tol``, or "omp" or "ols" does not reach
            ``transform_alpha``.
        """
        result: CodingResult | FloatArray = self._fitted(X)._encode(X)
        if isinstance(result, np.ndarray):
            raise InvalidInputError('transform_algorithm is "threshold": needs one that minimises')
        return result

    def inverse_transform(self, X: object) -> FloatArray:
        """Combine atoms by codes.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_components)
            The codes; of twice as many columns with ``split_sign``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            ``codes @ components_``.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If the codes are not finite, or have another number of columns.
        sklearn.exceptions.NotFittedError
            Before ``fit``, without a dictionary.
        """
        atoms = self._fitted(self.dictionary).components_
        codes = as_floats(X, "X", ndim=2)
        require_finite(codes, "X")
        split = as_flag(self.split_sign, "split_sign")
        needed = len(atoms) * (2 if split else 1)
        if codes.shape[1] != needed:
            raise InvalidInputError(f"X has {codes.shape[1]} columns: needs {needed}")
        if split:
            codes = codes[:, : len(atoms)] - codes[:, len(atoms) :]
        found: FloatArray = codes @ atoms
        return found

    def _encode(self, X: object) -> Any:
        data = validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=False)
        positive = as_flag(self.positive_code, "positive_code")
        max_iter = as_count(self.transform_max_iter, "transform_max_iter")
        threads = as_threads(self.n_threads)
        algorithm = as_choice(self.transform_algorithm, "transform_algorithm", ALGORITHMS)
        atoms = in_type(self.components_, data.dtype, "dictionary").T
        if algorithm == "threshold":
            return self._thresholded(data, atoms, positive)
        options: dict[str, Any] = {
            "positive": positive,
            "tol": self.tol,
            "max_iter": max_iter,
            "n_threads": threads,
            "check_finite": False,
        }
        if algorithm == "iht":
            counts = self.transform_alpha is None or self.transform_n_nonzero_coefs is not None
            count, alpha = (self._count(), None) if counts else (None, self._alpha())
            return iht(atoms, data, alpha, n_nonzero_coefs=count, **options)
        if algorithm in ("ista", "fista"):
            solver = ista if algorithm == "ista" else fista
            return solver(
                atoms,
                data,
                self._alpha(),
                penalty=self.penalty,
                gamma=self.gamma,
                a=self.a,
                **options,
            )
        if self.tol is None:
            raise InvalidInputError(f'tol is None with "{algorithm}": needs a certificate to reach')
        problem = as_problem(atoms, data, check_finite=False)
        if algorithm in ("omp", "ols"):
            counts = self.transform_alpha is None
            return pursue(
                problem,
                algorithm,
                count=self._count() if counts else self.n_components_,
                squares=0.0 if counts else self._alpha(),
                positive=positive,
                n_threads=threads,
            )
        return descend(
            problem,
            Penalty.of(
                self.penalty if algorithm == "cd" else "l1", self._alpha(), self.gamma, self.a
            ),
            positive=positive,
            # Also of float32: codes are found in double precision.
            tol=as_tol(self.tol, np.float64),
            max_iter=max_iter,
            n_threads=threads,
        )

    def _count(self) -> int:
        if self.transform_n_nonzero_coefs is None:
            return max(1, int(self.n_features_in_) // 10)
        return as_count(self.transform_n_nonzero_coefs, "transform_n_nonzero_coefs")

    def _alpha(self) -> float:
        if self.transform_alpha is None:
            return 1.0
        return as_positive(self.transform_alpha, "transform_alpha")

    def _thresholded(self, data: FloatArray, atoms: FloatArray, positive: bool) -> FloatArray:
        with np.errstate(over="ignore", invalid="ignore"):
            products = data @ atoms
        if not np.isfinite(products).all():
            raise InvalidInputError("X: its products with the dictionary overflow: scale either")
        sizes = products if positive else np.abs(products)
        shrunk: FloatArray = np.sign(products) * np.maximum(sizes - self._alpha(), 0) + 0.0
        return shrunk

    @property
    def _n_features_out(self) -> int:
        return len(self._fitted(self.dictionary).components_) * (2 if self.split_sign else 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _normalised(data: FloatArray) -> FloatArray:
    """Return the rows that are not 0, over their norms."""
    kept = data[data.any(axis=1)]
    if not len(kept):
        return data[:1].copy()
    # Scaled by a power of 2, which rounds nothing, so that squares neither over- nor underflow.
    exponents = np.frexp(np.abs(kept).max(axis=1, keepdims=True))[1]
    scaled = np.ldexp(kept, -exponents)
    atoms: FloatArray = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return atoms

"""A router of tokens to experts with capacities, as a scikit-learn estimator."""

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt

try:
    from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "sparrot.transport.TopKRouter needs scikit-learn 1.6 or later: "
        "pip install 'sparrot[sklearn]'"
    ) from error

from sparrot import _sparrot
from sparrot._native import simd_level
from sparrot._validation import (
    FloatArray,
    as_array,
    as_choice,
    as_count,
    as_floats,
    as_positive,
    as_threads,
    require_finite,
)
from sparrot.errors import InvalidInputError
from sparrot.special import softmax
from sparrot.transport._routing_result import RoutingResult

OBJECTIVES = ("softmax", "logits")

# Sums of prices and scores over all tokens have to stay finite.
LARGEST = 1e250

# Digits that a number of places is rounded to before it is rounded up, so that a factor of 1.1
# gives 10 tokens for one expert 11 places, and not 12 for the last digit of 11.000000000000002.
DIGITS = 9


class TopKRouter(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Route tokens to experts with capacities, optimally: a mixture of experts' router.

    ``route(logits)`` gives every token at most ``top_k`` experts and every expert at most as many
    tokens as its capacity. It leaves as few slots empty as the capacities allow, and among all
    such routings it has the highest total score. This is the transport problem behind the router
    of [1]_, which solves it approximately for a sparse plan; here it is solved exactly. Neither
    learns anything: no ``fit`` is needed.

    ``fit`` and ``transform`` turn the routing of one batch into a rule for single tokens: each
    goes to its best ``top_k`` experts by score less the price that the batch has set. **Only**
    ``route`` **keeps capacities**: what ``transform`` does with a token does not depend on the
    others, so it evens out the loads of data like that of ``fit`` but cannot bound them.

    Parameters
    ----------
    top_k : int, default=1
        Experts of each token, at most.
    capacity_factor : float, default=1.0
        Each expert takes ``ceil(capacity_factor * n * top_k / E)`` of the n tokens of a problem:
        with 1.0 there is just room for all.
    capacity : int or array_like of E ints, default=None
        Tokens that each expert takes at most, in place of ``capacity_factor``. An expert of
        capacity 0 is closed.
    objective : {"softmax", "logits"}, default="softmax"
        The score, whose total is maximised: the softmax of a token's logits, as in [1]_, or the
        logits themselves.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`. Each problem of a batch is solved by one thread; the
        result has the same bits for any number.

    Attributes
    ----------
    result_ : RoutingResult
        The routing of the batch of ``fit``.
    prices_ : ndarray of shape (E,)
        Its prices of the experts.
    capacity_ : ndarray of int64, shape (E,)
        Tokens that each expert could take in ``fit``.
    n_features_in_ : int
        The number E of experts.
    feature_names_in_ : ndarray of str
        Names of the experts, if ``X`` has them.

    See Also
    --------
    sparrot.special.topk_softmax : The router without capacities.

    Notes
    -----
    The linear program has an integral solution, found by coordinate descent on the prices and
    shortest augmenting paths between experts. The bound of the dual certifies it: see
    :class:`RoutingResult`. Of equally good choices, those of the lower tokens and experts tend to
    be taken; the result is the same on every run.

    References
    ----------
    .. [1] Liu, Puigcerver, Blondel, "Sparsity-Constrained Optimal Transport", ICLR 2023,
       arXiv 2209.15466.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.transport import TopKRouter
    >>> logits = np.random.default_rng(0).normal(size=(512, 16)) + np.linspace(0, 2, 16)
    >>> routing = TopKRouter(top_k=2).route(logits)
    >>> routing.experts.shape, routing.load.tolist() == [64] * 16, routing.n_dropped
    ((512, 2), True, 0)
    >>> bool(routing.gap <= 1e-12 * routing.value)
    True
    """

    def __init__(
        self,
        top_k: int = 1,
        *,
        capacity_factor: float = 1.0,
        capacity: object = None,
        objective: str = "softmax",
        n_threads: int | None = None,
    ) -> None:
        self.top_k = top_k
        self.capacity_factor = capacity_factor
        self.capacity = capacity
        self.objective = objective
        self.n_threads = n_threads

    def route(self, logits: object) -> RoutingResult:
        """Route the tokens of one problem, or of each of a batch.

        Parameters
        ----------
        logits : array_like of shape (n, E) or (B, n, E)
            The finite logits of n tokens at E experts. float32 and float64 are used as they are,
            without a copy if C-contiguous.

        Returns
        -------
        RoutingResult
            Experts and combine weights of the tokens, loads, total score and its bound. The
            weights are those of [1]_: the plan decides where a token goes, and the softmax of all
            its logits how much each of its experts counts.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If an argument or a parameter of the router is not as described.
        """
        array = np.ascontiguousarray(as_floats(logits, "logits", ndim=(2, 3)))
        if 0 in array.shape:
            raise InvalidInputError(
                f"logits has shape {array.shape}: needs at least one token and one expert"
            )
        require_finite(array, "logits")
        return self._route(array)

    def _route(self, logits: FloatArray) -> RoutingResult:
        """Route finite, C-contiguous logits."""
        simd_level()  # raises if SPARROT_SIMD asks for what there is not
        *batch, n, count = logits.shape
        top_k = self._top_k(count)
        capacity = self._capacity(n, count, top_k)
        objective = as_choice(self.objective, "objective", OBJECTIVES)
        n_threads = as_threads(self.n_threads)
        if objective == "logits":
            _require_range(logits)
        probabilities: FloatArray = softmax(logits, axis=-1, n_threads=n_threads)
        scores = probabilities if objective == "softmax" else logits
        native = _sparrot.transport_route(
            scores.reshape(-1, n, count), np.minimum(capacity, n), top_k, n_threads
        )
        experts = native["experts"].reshape(*batch, n, top_k)
        is_empty = experts < 0
        weights = np.take_along_axis(probabilities, np.where(is_empty, 0, experts), -1)
        weights[is_empty] = 0
        load, n_dropped = _loads(experts.reshape(-1, n * top_k), count)
        figures = {name: native[name] for name in ("value", "bound", "gap")}
        if not batch:
            figures = {name: float(values[0]) for name, values in figures.items()}
        return RoutingResult(
            experts=experts,
            weights=weights,
            load=load.reshape(*batch, count),
            capacity=capacity,
            n_dropped=n_dropped if batch else int(n_dropped[0]),
            prices=native["prices"].reshape(*batch, count),
            converged=True,
            **figures,
        )

    def fit(self, X: object, y: object = None) -> Self:
        """Route one batch of tokens, for the prices of the experts.

        Parameters
        ----------
        X : array_like of shape (n, E)
            The logits of n tokens at E experts.
        y : object, optional
            Not used: what a ``Pipeline`` hands to each of its steps.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If a parameter is not as described, or ``X`` is too large for its sums.
        """
        logits: FloatArray = validate_data(self, X, dtype=[np.float64, np.float32], order="C")
        self.result_ = self._route(logits)
        self.prices_ = self.result_.prices
        self.capacity_ = self.result_.capacity
        return self

    def transform(self, X: object) -> FloatArray:
        """Compute the gates of tokens: the rule for single tokens, which bounds no load.

        A token is where its scores less ``prices_`` are highest, whatever the others do. On the
        tokens of ``fit`` that is where ``route`` has them, but for those that are indifferent
        between two experts at the prices, and for slots left empty, which this rule fills.

        Parameters
        ----------
        X : array_like of shape (n, E)
            The logits of any tokens, not only those of ``fit``.

        Returns
        -------
        ndarray of shape (n, E)
            The softmax of the logits at the best ``top_k`` experts of each token that are not
            closed, and 0 elsewhere; float32 if ``X`` is, else float64.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If a parameter is not as described, or ``X`` is too large for its sums.
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        logits: FloatArray = validate_data(
            self, X, dtype=[np.float64, np.float32], order="C", reset=False
        )
        objective = as_choice(self.objective, "objective", OBJECTIVES)
        top_k = self._top_k(logits.shape[1])
        if objective == "logits":
            _require_range(logits)
        probabilities: FloatArray = softmax(logits, axis=1, n_threads=as_threads(self.n_threads))
        worth = (probabilities if objective == "softmax" else logits) - self.prices_
        is_closed = self.capacity_ == 0
        worth[:, is_closed] = -np.inf
        # Stable, so that the lower of two equal experts is taken.
        best = np.argsort(-worth, axis=1, kind="stable")[:, : min(top_k, int((~is_closed).sum()))]
        gates = np.zeros_like(probabilities)
        np.put_along_axis(gates, best, np.take_along_axis(probabilities, best, 1), 1)
        return gates

    def _top_k(self, count: int) -> int:
        """Return the experts of each token."""
        top_k = as_count(self.top_k, "top_k")
        if top_k > count:
            raise InvalidInputError(
                f"top_k is {top_k}: needs at most {count}, the number of experts (columns)"
            )
        return top_k

    def _capacity(self, n: int, count: int, top_k: int) -> npt.NDArray[np.int64]:
        """Return the places at each expert."""
        if self.capacity is None:
            factor = as_positive(self.capacity_factor, "capacity_factor")
            # More places than tokens are of no use; and a factor may be very large.
            places = min(factor * (n * top_k / count), float(n))
            return np.full(count, max(1, math.ceil(round(places, DIGITS))))
        given = as_array(self.capacity, "capacity")
        if given.ndim == 0:
            return np.full(count, as_count(given.item(), "capacity", least=0))
        if given.shape != (count,):
            raise InvalidInputError(
                f"capacity has shape {given.shape}: needs an integer or one for each of the "
                f"{count} experts"
            )
        if given.dtype.kind not in "iu":
            raise InvalidInputError(f"capacity has dtype {given.dtype}: needs integers")
        each = [as_count(int(c), f"capacity[{j}]", least=0) for j, c in enumerate(given)]
        return np.array(each, dtype=np.int64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _require_range(logits: FloatArray) -> None:
    """Raise if sums of logits could overflow."""
    largest = float(np.abs(logits).max())
    if largest > LARGEST:
        raise InvalidInputError(
            f"logits has an absolute value of {largest:.3g}: needs at most {LARGEST:g} for them "
            "to be summed"
        )


def _loads(
    experts: npt.NDArray[np.int64], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the tokens of each expert and the empty slots, for each row of ``experts``."""
    problems = len(experts)
    nodes = experts + 1 + (count + 1) * np.arange(problems)[:, None]
    counts = np.bincount(nodes.ravel(), minlength=problems * (count + 1))
    counts = counts.reshape(problems, count + 1)
    return counts[:, 1:], counts[:, 0]

"""What trained unrolled networks have in common: data in, attributes out."""

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.base import ClassNamePrefixFeaturesOutMixin as PrefixMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "the estimators of sparrot.sparse_coding need scikit-learn 1.6 or later: "
        "pip install 'sparrot[sklearn]'"
    ) from error

from sparrot import _sparrot
from sparrot._validation import (
    FloatArray,
    as_choice,
    as_count,
    as_flag,
    as_floats,
    as_max_time,
    as_positive,
    as_threads,
    require_finite,
)
from sparrot._warnings import warn_the_caller
from sparrot.errors import InvalidInputError
from sparrot.sparse_coding._dictionary import in_type
from sparrot.sparse_coding._failing import unchanged_by_failure
from sparrot.sparse_coding._training import TrainingState, as_observer
from sparrot.sparse_coding._unfolded_file import read, write
from sparrot.sparse_coding._unfolded_layers import MOST_LAYERS, fault_of

LEARNED = ("step", "threshold")

# So much above the loss of the plain algorithm, relatively, may be the noise of the last batches.
NOISE = 1e-2


class UnfoldedNetwork(PrefixMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Everything but the penalty."""

    _penalty = ""

    dictionary: object
    alpha: float
    n_layers: int
    loss: str
    learn: object
    incremental: bool
    n_epochs: int
    batch_size: int
    learning_rate: float
    decay: bool
    random_state: object
    max_time: float | None
    callback: Callable[[TrainingState], object] | None
    verbose: int
    n_threads: int | None

    def fit(self, X: object, y: object = None) -> Self:
        """Train the layers.

        Ctrl-C, or an exception of the callback, leaves the network as trained so far, ready for
        use, with ``status_`` "interrupted", and is raised.

        Parameters
        ----------
        X : array_like of shape (n_signals, n_features)
            The signals, in rows.
        y : array_like of shape (n_signals, n_atoms), default=None
            The true codes; needed with ``loss="supervised"``, else ignored.

        Returns
        -------
        self

        Raises
        ------
        sparrot.errors.InvalidInputError
            If a parameter or an argument is not as described.

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If training diverged, or ended with a loss clearly above the plain algorithm's, whose
            parameters are then kept.
        """
        with unchanged_by_failure(self):
            signals = self._signals(X, reset=True)
            model = self._model()
            schedule = self._schedule()
            dictionary = self._dictionary(signals)
            found, interruption = _sparrot.unfolding_train(
                (np.ascontiguousarray(dictionary.T), signals, self._codes(y, signals, dictionary)),
                model,
                schedule,
                as_max_time(self.max_time),
                as_observer(self.callback, self.verbose),
                as_threads(self.n_threads),
            )
        self._take(found, dictionary)
        if interruption is not None:
            raise interruption
        self._warn(found)
        return self

    def transform(self, X: object, *, n_layers: int | None = None) -> FloatArray:
        """Find the codes of signals, with exact thresholds.

        Parameters
        ----------
        X : array_like of shape (n_signals, n_features)
            The signals, in rows.
        n_layers : int, default=None
            How many of the layers to go through, from the first; all by default.

        Returns
        -------
        ndarray of shape (n_signals, n_atoms)
            The codes; float32 if ``X`` is.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If an argument is not as described, or codes overflow.

        Warns
        -----
        sparrot.errors.ConvergenceWarning
            If codes leave residuals larger than their signals: nothing bounds what trained steps do
            to signals unlike those of training.
        """
        check_is_fitted(self)
        log_steps, log_alphas = self._logarithms()
        depth = len(log_steps)
        used = depth if n_layers is None else as_count(n_layers, "n_layers")
        if used > depth:
            raise InvalidInputError(f"n_layers is {used}: the network has {depth}")
        signals = self._signals(X, reset=False)
        codes, finite, worse = _sparrot.unfolding_transform(
            (self._atoms(signals), signals, None),
            self._penalty,
            log_steps[:used].tolist(),
            log_alphas[:used].tolist(),
            as_threads(self.n_threads),
        )
        if not finite:
            raise InvalidInputError(
                "codes overflow on their way through the layers: the steps are too large for "
                "signals like these; train with a smaller learning_rate, or on signals like these"
            )
        if worse:
            warn_the_caller(
                f"the codes of {worse} of {len(signals)} signals leave a residual larger than the "
                "signal, and are worse than the code 0: the layers do not suit these signals; "
                "bring them to the size of those of training, train on signals like these, or use "
                "ista"
            )
        return np.asarray(codes)

    def score(self, X: object, y: object = None) -> float:
        """Return minus the loss of the codes found for signals: the larger, the better.

        Parameters
        ----------
        X : array_like of shape (n_signals, n_features)
            The signals, in rows.
        y : array_like of shape (n_signals, n_atoms), default=None
            The true codes; needed with ``loss="supervised"``.

        Returns
        -------
        float
            Minus the mean squared error to the true codes, or minus the mean objective.
        """
        model = self._model()
        codes = self.transform(X).astype(np.float64)
        signals = self._signals(X, reset=False)
        if model["supervised"]:
            truth = self._codes(y, signals, self.dictionary_)
            return -float(np.square(codes - np.asarray(truth)).mean())
        residuals = signals - codes @ self.dictionary_.astype(np.float64).T
        penalties = np.abs(codes) if self._penalty == "l1" else codes != 0
        squares = (residuals**2).sum(1)
        return -float((squares / 2 + model["alpha"] * penalties.sum(1)).mean())

    def loss_and_gradient(
        self, X: object, y: object = None
    ) -> tuple[float, FloatArray, FloatArray]:
        """Return the loss that training minimises, and its gradient.

        For an optimiser of your own: set ``steps_`` and ``penalties_`` between calls.

        Parameters
        ----------
        X : array_like of shape (n_signals, n_features)
            The signals, in rows.
        y : array_like of shape (n_signals, n_atoms), default=None
            The true codes; needed with ``loss="supervised"``.

        Returns
        -------
        loss : float
            The mean over the signals, of the network with smoothed thresholds and counts.
        by_steps : ndarray of shape (n_layers,)
            The derivatives by ``log(steps_)``.
        by_penalties : ndarray of shape (n_layers,)
            The derivatives by ``log(penalties_)``.
        """
        check_is_fitted(self)
        signals = self._signals(X, reset=False)
        codes = self._codes(y, signals, self.dictionary_)
        log_steps, log_alphas = self._logarithms()
        loss, by_steps, by_penalties = _sparrot.unfolding_gradient(
            (self._atoms(signals), signals, codes),
            self._model(),
            log_steps.tolist(),
            log_alphas.tolist(),
            as_threads(self.n_threads),
        )
        return loss, np.array(by_steps), np.array(by_penalties)

    def save(self, path: Any) -> None:
        """Write the trained network to a file: an ``.npz`` archive of plain arrays.

        What is not plain, ``callback`` and a ``random_state`` that is no integer, is left out.

        Parameters
        ----------
        path : str or path-like
            Where; no ending is appended.
        """
        check_is_fitted(self)
        write(path, self)

    @classmethod
    def load(cls, path: Any) -> Self:
        """Read a network that was written by :meth:`save`.

        Nothing in the file is executed.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        estimator
            A trained network of this class.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If the file is not one of this class, or is damaged; the message says what is wrong.
        OSError
            If it cannot be read.
        """
        network: Self = read(path, cls)
        return network

    @property
    def thresholds_(self) -> FloatArray:
        """What is cut off in each layer, made of its step and its penalty."""
        if self._penalty == "l1":
            return np.asarray(self.steps_ * self.penalties_)
        return np.asarray(np.sqrt(2 * self.steps_ * self.penalties_))

    @property
    def _n_features_out(self) -> int:
        return int(self.dictionary_.shape[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = self.loss == "supervised"
        return tags

    def _atoms(self, signals: FloatArray) -> FloatArray:
        """Return the dictionary as the native functions take it."""
        return np.ascontiguousarray(in_type(self.dictionary_, signals.dtype, "dictionary_").T)

    def _signals(self, X: object, *, reset: bool) -> FloatArray:
        return np.asarray(
            validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=reset)
        )

    def _dictionary(self, signals: FloatArray) -> FloatArray:
        n_features = signals.shape[1]
        if self.dictionary is None:
            return np.eye(n_features, dtype=signals.dtype)
        dictionary = as_floats(self.dictionary, "dictionary", ndim=2)
        if dictionary.shape[0] != n_features or dictionary.shape[1] == 0:
            raise InvalidInputError(
                f"dictionary has shape {dictionary.shape}, and X {n_features} features: needs "
                f"({n_features}, n_atoms), with atoms in columns"
            )
        require_finite(dictionary, "dictionary")
        # A copy: it may be changed by its owner.
        return np.array(in_type(dictionary, signals.dtype, "dictionary"), order="C")

    def _codes(self, y: object, signals: FloatArray, dictionary: FloatArray) -> FloatArray | None:
        if self.loss != "supervised":
            return None
        if y is None:
            raise InvalidInputError(
                "y is None: loss='supervised' needs the true codes; use loss='unsupervised' "
                "without them"
            )
        codes = as_floats(y, "y", ndim=2)
        needed = signals.shape[0], dictionary.shape[1]
        if codes.shape != needed:
            raise InvalidInputError(
                f"y has shape {codes.shape}: needs a code for each signal, {needed}"
            )
        require_finite(codes, "y")
        return np.ascontiguousarray(in_type(codes, signals.dtype, "y"))

    def _smoothing(self) -> tuple[tuple[str, float], tuple[str, float]]:
        """Return gate and count, each with its width."""
        return ("exact", 1.0), ("exact", 1.0)

    def _model(self) -> dict[str, Any]:
        loss = as_choice(self.loss, "loss", ("unsupervised", "supervised"))
        gate, count = self._smoothing()
        return {
            "penalty": self._penalty,
            "alpha": as_positive(self.alpha, "alpha", zero=True),
            "supervised": loss == "supervised",
            "gate": gate,
            "count": count,
        }

    def _schedule(self) -> dict[str, Any]:
        given = (self.learn,) if isinstance(self.learn, str) else self.learn
        learn = list(given) if isinstance(given, tuple | list | set | frozenset) else []
        if not learn or not all(isinstance(name, str) and name in LEARNED for name in learn):
            raise InvalidInputError(
                f"learn is {self.learn!r}: needs 'step', 'threshold', or both in a tuple"
            )
        depth = as_count(self.n_layers, "n_layers")
        if depth > MOST_LAYERS:
            raise InvalidInputError(f"n_layers is {depth}: needs at most {MOST_LAYERS}")
        return {
            "n_layers": depth,
            "incremental": as_flag(self.incremental, "incremental"),
            "epochs": as_count(self.n_epochs, "n_epochs"),
            "batch": as_count(self.batch_size, "batch_size"),
            "rate": as_positive(self.learning_rate, "learning_rate"),
            "decays": as_flag(self.decay, "decay"),
            "steps": "step" in learn,
            "alphas": "threshold" in learn,
            "seed": int(check_random_state(self.random_state).randint(2**31)),
        }

    def _take(self, found: dict[str, Any], dictionary: FloatArray) -> None:
        trace = found["trace"]
        self.dictionary_ = dictionary
        self.steps_ = np.exp(found["log_steps"])
        self.penalties_ = np.exp(found["log_alphas"])
        self.history_ = {
            "epoch": trace["iteration"],
            "n_layers": trace["phase"].astype(np.int64),
            "loss": trace["objective"],
            "gradient": trace["certificate"],
            "nonzeros": trace["sparsity"],
            "time": trace["time"],
        }
        self.n_iter_ = max(1, len(trace["iteration"]))
        self.status_ = found.get("ending", "interrupted")
        self.loss_ = found.get("loss", math.nan)
        self.plain_loss_ = found.get("plain_loss", math.nan)
        self.stationarity_ = found.get("stationarity", math.nan)

    def _warn(self, found: dict[str, Any]) -> None:
        trained, plain = found["trained_loss"], self.plain_loss_
        if self.status_ == "diverged":
            kept = "the plain algorithm's" if found["is_plain"] else "the best before"
            text = (
                f"training diverged in pass {len(self.history_['epoch']) + 1}: {kept} parameters "
                f"are kept, of loss {self.loss_:.3g} (plain algorithm: {plain:.3g})"
            )
        elif found["is_plain"] and not trained <= plain * (1 + NOISE):
            loss = "that overflows" if math.isnan(trained) else f"of {trained:.3g}"
            text = (
                f"training ended with a loss {loss}, above the plain algorithm's {plain:.3g}, "
                "whose parameters are kept"
            )
        else:
            return
        warn_the_caller(
            f"{text}: lower learning_rate, which is {self.learning_rate}, or raise n_epochs"
        )

    def _logarithms(self) -> tuple[FloatArray, FloatArray]:
        """Return those of steps and penalties, which anybody may have set."""
        steps, penalties = (
            as_floats(getattr(self, name), name, ndim=1).astype(np.float64)
            for name in ("steps_", "penalties_")
        )
        fault = fault_of(steps, penalties, ("steps_", "penalties_"))
        if fault is not None:
            raise InvalidInputError(f"{fault}: needs one of each for every layer")
        with np.errstate(divide="ignore"):
            return np.log(steps), np.log(penalties)

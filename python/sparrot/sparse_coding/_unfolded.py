"""Unrolled ISTA and IHT as scikit-learn transformers."""

from collections.abc import Callable

from sparrot._validation import as_choice, as_positive
from sparrot.errors import InvalidInputError
from sparrot.sparse_coding._training import TrainingState
from sparrot.sparse_coding._unfolded_network import LEARNED, UnfoldedNetwork


class UnfoldedISTA(UnfoldedNetwork):
    """Sparse codes by iterative soft thresholding, unrolled into layers that are trained.

    A layer is ``x = soft(x - step * A.T @ (A @ x - y), step * penalty)``, from ``x = 0``. With
    ``step = 1 / norm(A, 2)**2`` and ``penalty = alpha`` in all layers this is ISTA for
    ``norm(y - A @ x)**2 / 2 + alpha * abs(x).sum()``, and there training starts.

    Parameters
    ----------
    dictionary : array_like of shape (n_features, n_atoms), default=None
        The atoms, in columns. None for the identity: signals that are sparse themselves.
    alpha : float, default=0.1
        The penalty of the objective, at least 0.
    n_layers : int, default=10
        How many layers there are, at most 255.
    loss : {"unsupervised", "supervised"}, default="unsupervised"
        What training minimises: the mean objective, or the mean squared error to true codes.
    learn : tuple of {"step", "threshold"}, default=("step", "threshold")
        What is learned of each layer: its step; "threshold" for its penalty, which with the step
        makes its threshold; or both. What is not keeps the value of the plain algorithm: with
        "step" alone penalties stay, and thresholds follow the steps.
    incremental : bool, default=True
        Whether layers are added one by one, those before being trained on; else all are trained
        from the start.
    n_epochs : int, default=10
        Passes over the signals in each stage: one stage for each layer, or a single one.
    batch_size : int, default=200
        Signals between steps of the parameters.
    learning_rate : float, default=0.05
        By how much, relatively, a step changes a parameter at first.
    decay : bool, default=True
        Whether in each stage the rate falls to 0, along half a cosine.
    random_state : int, RandomState instance or None, default=0
        Of the order of the signals. The same bits come out for any number of threads.
    max_time : float, default=None
        Seconds after which training ends with what it has. What is needed in any case comes on
        top: the Gram matrix and the products of signals and atoms before, ``loss_``,
        ``plain_loss_`` and ``stationarity_`` after.
    callback : callable, default=None
        Called with a :class:`TrainingState` after each pass over the signals; training ends if it
        returns True.
    verbose : int, default=0
        Whether to print a line for each pass.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`.

    Attributes
    ----------
    steps_ : ndarray of shape (n_layers,)
        The step of each layer.
    penalties_ : ndarray of shape (n_layers,)
        The penalty of each layer.
    thresholds_ : ndarray of shape (n_layers,)
        What a layer cuts off: ``steps_ * penalties_``.
    dictionary_ : ndarray of shape (n_features, n_atoms)
        The dictionary that was trained for.
    history_ : dict of ndarray
        Of each pass over the signals: "epoch", "n_layers", "loss", "gradient", "nonzeros" and
        "time", as in :class:`TrainingState`.
    loss_ : float
        The mean loss over the signals trained on, of what :meth:`transform` does.
    plain_loss_ : float
        The same of as many iterations of the plain algorithm.
    stationarity_ : float
        How far training is from a stationary point: the largest derivative of the loss it minimises
        by the logarithm of what is learned, relative to that loss.
    status_ : str
        How training ended: "finished", "max_time", "callback", "diverged", "interrupted", or
        "no_gain" if all passes are done and the plain algorithm has the smaller loss. Where it has,
        its parameters are kept, however training ended: ``loss_`` is then ``plain_loss_``.
    n_iter_ : int
        Passes over the signals.
    n_features_in_ : int
        The length of a signal.
    feature_names_in_ : ndarray of str
        The names of its entries, if ``X`` had them.

    See Also
    --------
    UnfoldedIHT : The same for the number of non-zeros.
    sparrot.interop.torch : The trained network as a module of torch.

    Notes
    -----
    The two losses are compared by Nagahisa, Hayakawa and Iiguni (arXiv 2509.01331), whose full text
    we have not seen; the layer, its parameters, their logarithms in which training is done, and the
    schedule are stated in docs/unfolding.md. Training is by Adam (Kingma and Ba, 2015), with
    gradients by hand. It ends after a number of passes, not at a tolerance: ``stationarity_`` says
    how far it has come. Needed besides the data: ``n_atoms**2`` numbers for the Gram matrix,
    ``n_signals * n_atoms`` for the products of signals and atoms.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sparse_coding import UnfoldedISTA
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(30, 60)) / np.sqrt(30)
    >>> codes = rng.normal(size=(1000, 60)) * (rng.random((1000, 60)) < 0.05)
    >>> signals = codes @ A.T + 0.02 * rng.normal(size=(1000, 30))
    >>> model = UnfoldedISTA(A, alpha=0.05, n_layers=5).fit(signals)
    >>> model.loss_ < model.plain_loss_
    True
    >>> model.transform(signals).shape
    (1000, 60)
    """

    _penalty = "l1"

    def __init__(
        self,
        dictionary: object = None,
        *,
        alpha: float = 0.1,
        n_layers: int = 10,
        loss: str = "unsupervised",
        learn: object = LEARNED,
        incremental: bool = True,
        n_epochs: int = 10,
        batch_size: int = 200,
        learning_rate: float = 0.05,
        decay: bool = True,
        random_state: object = 0,
        max_time: float | None = None,
        callback: Callable[[TrainingState], object] | None = None,
        verbose: int = 0,
        n_threads: int | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.alpha = alpha
        self.n_layers = n_layers
        self.loss = loss
        self.learn = learn
        self.incremental = incremental
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay = decay
        self.random_state = random_state
        self.max_time = max_time
        self.callback = callback
        self.verbose = verbose
        self.n_threads = n_threads


class UnfoldedIHT(UnfoldedNetwork):
    """Sparse codes by iterative hard thresholding, unrolled into layers that are trained.

    A layer is ``x = hard(x - step * A.T @ (A @ x - y), sqrt(2 * step * penalty))``, from ``x = 0``.
    With ``step = 1 / norm(A, 2)**2`` and ``penalty = alpha`` in all layers this is IHT for the
    objective ``norm(y - A @ x)**2 / 2 + alpha * (x != 0).sum()``, and there training starts.

    Parameters
    ----------
    dictionary : array_like of shape (n_features, n_atoms), default=None
        The atoms, in columns. None for the identity: signals that are sparse themselves.
    alpha : float, default=0.1
        The penalty of the objective, at least 0.
    n_layers : int, default=10
        How many layers there are, at most 255.
    loss : {"unsupervised", "supervised"}, default="unsupervised"
        What training minimises: the mean objective, or the mean squared error to true codes.
    learn : tuple of {"step", "threshold"}, default=("step", "threshold")
        What is learned of each layer: its step; "threshold" for its penalty, which with the step
        makes its threshold; or both. What is not keeps the value of the plain algorithm: with
        "step" alone penalties stay, and thresholds follow the steps.
    gate : {"smoothstep", "sigmoid", "exact"}, default="smoothstep"
        The threshold while training: a gate that opens by a cubic around it, one that opens by a
        logistic function, or the exact one, which has no derivative by its threshold.
        :meth:`transform` always uses the exact one.
    gate_width : float, default=0.5
        How wide it is, relative to the threshold; at most 1 for "smoothstep".
    count : {"cel0", "exponential", "exact"}, default="cel0"
        What stands for the number of non-zeros while training without true codes: its continuous
        relaxation CEL0; ``1 - exp(-|x| / tau)``; or nothing, so that squares alone are descended.
    count_width : float, default=0.5
        ``tau``, relative to the size from which CEL0 counts in full.
    incremental : bool, default=True
        Whether layers are added one by one, those before being trained on; else all are trained
        from the start.
    n_epochs : int, default=10
        Passes over the signals in each stage: one stage for each layer, or a single one.
    batch_size : int, default=200
        Signals between steps of the parameters.
    learning_rate : float, default=0.05
        By how much, relatively, a step changes a parameter at first.
    decay : bool, default=True
        Whether in each stage the rate falls to 0, along half a cosine, and the gate narrows to a
        tenth.
    random_state : int, RandomState instance or None, default=0
        Of the order of the signals. The same bits come out for any number of threads.
    max_time : float, default=None
        Seconds after which training ends with what it has. What is needed in any case comes on
        top: the Gram matrix and the products of signals and atoms before, ``loss_``,
        ``plain_loss_`` and ``stationarity_`` after.
    callback : callable, default=None
        Called with a :class:`TrainingState` after each pass over the signals; training ends if it
        returns True.
    verbose : int, default=0
        Whether to print a line for each pass.
    n_threads : int, default=None
        See :func:`sparrot.get_num_threads`.

    Attributes
    ----------
    steps_ : ndarray of shape (n_layers,)
        The step of each layer.
    penalties_ : ndarray of shape (n_layers,)
        The penalty of each layer.
    thresholds_ : ndarray of shape (n_layers,)
        What a layer cuts off: ``sqrt(2 * steps_ * penalties_)``.
    dictionary_ : ndarray of shape (n_features, n_atoms)
        The dictionary that was trained for.
    history_ : dict of ndarray
        Of each pass over the signals: "epoch", "n_layers", "loss", "gradient", "nonzeros" and
        "time", as in :class:`TrainingState`.
    loss_ : float
        The mean loss over the signals trained on, of what :meth:`transform` does.
    plain_loss_ : float
        The same of as many iterations of the plain algorithm.
    stationarity_ : float
        How far training is from a stationary point: the largest derivative of the loss it minimises
        by the logarithm of what is learned, relative to that loss.
    status_ : str
        How training ended: "finished", "max_time", "callback", "diverged", "interrupted", or
        "no_gain" if all passes are done and the plain algorithm has the smaller loss. Where it has,
        its parameters are kept, however training ended: ``loss_`` is then ``plain_loss_``.
    n_iter_ : int
        Passes over the signals.
    n_features_in_ : int
        The length of a signal.
    feature_names_in_ : ndarray of str
        The names of its entries, if ``X`` had them.

    See Also
    --------
    UnfoldedISTA : The same for the L1 norm; its notes hold here, too.
    sparrot.interop.torch : The trained network as a module of torch.

    Notes
    -----
    A hard threshold has no derivative by the threshold, and a number of non-zeros none at all: the
    network is trained with smooth ones, and used with the exact ones. ``loss_`` and ``plain_loss_``
    are of the exact ones. CEL0 is due to Soubies, Blanc-Feraud and Aubert (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sparse_coding import UnfoldedIHT
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(30, 60)) / np.sqrt(30)
    >>> codes = rng.normal(size=(1000, 60)) * (rng.random((1000, 60)) < 0.05)
    >>> signals = codes @ A.T + 0.02 * rng.normal(size=(1000, 30))
    >>> model = UnfoldedIHT(A, alpha=0.02, n_layers=5, loss="supervised").fit(signals, codes)
    >>> model.loss_ < model.plain_loss_
    True
    """

    _penalty = "l0"

    def __init__(
        self,
        dictionary: object = None,
        *,
        alpha: float = 0.1,
        n_layers: int = 10,
        loss: str = "unsupervised",
        learn: object = LEARNED,
        gate: str = "smoothstep",
        gate_width: float = 0.5,
        count: str = "cel0",
        count_width: float = 0.5,
        incremental: bool = True,
        n_epochs: int = 10,
        batch_size: int = 200,
        learning_rate: float = 0.05,
        decay: bool = True,
        random_state: object = 0,
        max_time: float | None = None,
        callback: Callable[[TrainingState], object] | None = None,
        verbose: int = 0,
        n_threads: int | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.alpha = alpha
        self.n_layers = n_layers
        self.loss = loss
        self.learn = learn
        self.gate = gate
        self.gate_width = gate_width
        self.count = count
        self.count_width = count_width
        self.incremental = incremental
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay = decay
        self.random_state = random_state
        self.max_time = max_time
        self.callback = callback
        self.verbose = verbose
        self.n_threads = n_threads

    def _smoothing(self) -> tuple[tuple[str, float], tuple[str, float]]:
        gate = as_choice(self.gate, "gate", ("smoothstep", "sigmoid", "exact"))
        count = as_choice(self.count, "count", ("cel0", "exponential", "exact"))
        width = as_positive(self.gate_width, "gate_width")
        if gate == "smoothstep" and width > 1:
            raise InvalidInputError(f"gate_width is {width}: gate='smoothstep' needs at most 1")
        return (gate, width), (count, as_positive(self.count_width, "count_width"))

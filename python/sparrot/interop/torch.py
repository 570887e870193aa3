"""Trained networks as modules of torch (needs torch).

=====================  =========================================================================
:func:`unfolded`       the layers of an ``UnfoldedISTA`` or ``UnfoldedIHT``, with its parameters
=====================  =========================================================================
"""

from typing import Any

import numpy as np

try:
    import torch
except ImportError as error:
    raise ImportError("sparrot.interop.torch needs torch: pip install torch") from error

from sparrot.errors import InvalidInputError

__all__ = ["Unfolded", "unfolded"]


class Unfolded(torch.nn.Module):  # type: ignore[misc]
    """The layers of an unrolled network, to go on with in torch.

    Parameters
    ----------
    dictionary : torch.Tensor of shape (n_features, n_atoms)
        The atoms, in columns: a buffer.
    log_steps, log_penalties : torch.Tensor of shape (n_layers,)
        The logarithms of what is learned: parameters.
    soft : bool
        Whether thresholds are soft, those of ISTA.
    """

    def __init__(self, dictionary: Any, log_steps: Any, log_penalties: Any, *, soft: bool) -> None:
        super().__init__()
        self.register_buffer("dictionary", dictionary)
        self.log_steps = torch.nn.Parameter(log_steps)
        self.log_penalties = torch.nn.Parameter(log_penalties)
        self.soft = soft

    def forward(self, signals: Any) -> Any:
        """Find the codes of signals.

        Parameters
        ----------
        signals : torch.Tensor of shape (n_signals, n_features)
            The signals, in rows.

        Returns
        -------
        torch.Tensor of shape (n_signals, n_atoms)
            Their codes. A hard threshold passes derivatives on where codes are not 0, and has none
            by its own size.
        """
        codes = signals.new_zeros(signals.shape[0], self.dictionary.shape[1])
        for log_step, log_penalty in zip(self.log_steps, self.log_penalties, strict=True):
            step, penalty = log_step.exp(), log_penalty.exp()
            inner = codes - step * ((codes @ self.dictionary.T - signals) @ self.dictionary)
            if self.soft:
                codes = torch.sign(inner) * torch.relu(inner.abs() - step * penalty)
            else:
                kept = inner.abs() > torch.sqrt(2 * step * penalty)
                codes = torch.where(kept, inner, torch.zeros_like(inner))
        return codes


def unfolded(network: Any) -> Unfolded:
    """Return a trained network as a module.

    Parameters
    ----------
    network : UnfoldedISTA or UnfoldedIHT
        The network, trained.

    Returns
    -------
    Unfolded
        A module of the dictionary's precision.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If it is no such network, or has not been trained.
    """
    from sparrot.sparse_coding import UnfoldedIHT, UnfoldedISTA

    if not isinstance(network, UnfoldedISTA | UnfoldedIHT) or not hasattr(network, "steps_"):
        raise InvalidInputError(
            f"network is {network!r}: needs an UnfoldedISTA or UnfoldedIHT that has been trained"
        )
    dictionary = torch.from_numpy(np.array(network.dictionary_))
    logs = network._logarithms()
    log_steps, log_penalties = (torch.from_numpy(log).to(dictionary.dtype) for log in logs)
    return Unfolded(dictionary, log_steps, log_penalties, soft=isinstance(network, UnfoldedISTA))

"""The result of routing tokens to experts."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sparrot._result import Result
from sparrot._validation import FloatArray, as_count
from sparrot.errors import InvalidInputError


class RoutingResult(Result):
    """Where each token goes, and that nothing better is possible.

    Frozen; fields can be read as attributes or as items. For a batch, arrays have a first axis of
    length B, and what is a number for one problem is an array of shape (B,).

    Attributes
    ----------
    experts : ndarray of int64, shape (n, top_k) or (B, n, top_k)
        The experts of each token, the highest score first; -1 for a slot left empty.
    weights : ndarray of the shape of ``experts``
        The softmax of the logits at those experts, 0 at empty slots; float32 if the logits are,
        else float64. They are not made to sum to 1.
    load : ndarray of int64, shape (E,) or (B, E)
        The tokens of each expert: never more than ``capacity``.
    capacity : ndarray of int64, shape (E,)
        The tokens that each expert could take.
    n_dropped : int or ndarray of int64
        Slots left empty: as few as the capacities allow.
    value : float or ndarray
        The total score of all tokens at their experts.
    bound : float or ndarray
        No routing with as many slots filled has a higher total.
    gap : float or ndarray
        ``bound - value``, summed from what each token and each expert adds to it: 0 up to
        rounding, since the routing is optimal.
    prices : ndarray of shape (E,) or (B, E)
        The dual solution that ``bound`` is computed from: what one more place at an expert would
        add to the total. Every token is at the experts with the highest score less price. At
        least 0 if every slot is filled; otherwise an empty slot is worth 0.
    converged : bool
        True: the solver is exact.

    See Also
    --------
    TopKRouter
    """

    experts: npt.NDArray[np.int64]
    weights: FloatArray
    load: npt.NDArray[np.int64]
    capacity: npt.NDArray[np.int64]
    n_dropped: Any
    value: Any
    bound: Any
    gap: Any
    prices: FloatArray
    converged: bool

    def dispatch(self, expert: int) -> Any:
        """List the tokens of an expert.

        Parameters
        ----------
        expert : int
            Which, from 0 to E - 1.

        Returns
        -------
        ndarray of int64 or list of ndarray
            The indices of its tokens, ascending; for a batch, an array for each problem.

        Raises
        ------
        sparrot.errors.InvalidInputError
            If there is no such expert.
        """
        count = self.capacity.size
        index = as_count(expert, "expert", least=0)
        if index >= count:
            raise InvalidInputError(f"expert is {index}: needs an integer from 0 to {count - 1}")
        is_there = (self.experts == index).any(-1)
        if is_there.ndim == 1:
            return np.flatnonzero(is_there)
        return [np.flatnonzero(problem) for problem in is_there]

"""The exceptions and warnings of sparrot.

Each is also a standard exception, so that code which knows nothing of sparrot catches it:

================================  ==================  ==========================================
name                              also a              when
================================  ==================  ==========================================
:class:`InvalidInputError`        ``ValueError``      an argument is not what it must be
:class:`MassMismatchError`        ``ValueError``      the two weights have different sums
:class:`InfeasibleProblemError`   ``ValueError``      no plan satisfies the constraints
:class:`InternalError`            ``RuntimeError``    a defect in sparrot: please report it
:class:`ConvergenceWarning`       ``UserWarning``     a result has not reached its tolerance
================================  ==================  ==========================================
"""

__all__ = [
    "ConvergenceWarning",
    "InfeasibleProblemError",
    "InternalError",
    "InvalidInputError",
    "MassMismatchError",
    "SparrotError",
]


class SparrotError(Exception):
    """The base of every exception that sparrot defines."""


class InvalidInputError(SparrotError, ValueError):
    """An argument is not what it must be; the message names it, what was found and what to do."""


class MassMismatchError(InvalidInputError):
    """The weights of the two sides have different sums; the message shows both."""


class InfeasibleProblemError(InvalidInputError):
    """No plan satisfies the constraints, for example a point that cannot be reached."""


class InternalError(SparrotError, RuntimeError):
    """A defect in sparrot. Please report it with the call that led to it."""


class ConvergenceWarning(UserWarning):
    """A result has not reached its tolerance; the message says how far it got and what to do."""

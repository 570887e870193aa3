"""The native library's system side: threads, instruction set, status."""

import enum
import importlib.util
import sys

from sparrot import _sparrot
from sparrot._sparrot import get_num_threads as _get_num_threads
from sparrot._sparrot import set_num_threads as _set_num_threads
from sparrot._sparrot import simd_level as _simd_level


class Status(enum.StrEnum):
    """How a solve ended.

    Everything but ``CONVERGED`` comes with the best answer found, its honest certificate and a
    :class:`~sparrot.errors.ConvergenceWarning`.
    """

    CONVERGED = "converged"
    """The certificate is within the tolerance."""
    MAX_ITER = "max_iter"
    """The iterations allowed were used up."""
    MAX_TIME = "max_time"
    """The time allowed was used up."""
    CALLBACK = "callback"
    """The callback asked to stop."""
    STALLED = "stalled"
    """No further progress: ``tol`` is below what rounding allows, or there is no solution."""


def get_num_threads() -> int:
    """How many threads a solve uses when it is not given ``n_threads``.

    The limit of :func:`set_num_threads` or of ``threadpoolctl.threadpool_limits``, else the
    environment's ``SPARROT_NUM_THREADS``, else its ``OMP_NUM_THREADS``, else the number of
    processors this process may run on.

    Returns
    -------
    int

    Examples
    --------
    >>> import sparrot
    >>> sparrot.get_num_threads() >= 1
    True
    """
    return _get_num_threads()


def set_num_threads(limit: int) -> None:
    """Limit the threads of every solve that is not given ``n_threads``.

    Parameters
    ----------
    limit : int
        The most threads to use; 0 lifts the limit.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If ``limit`` is not a non-negative integer.

    Examples
    --------
    >>> import sparrot
    >>> sparrot.set_num_threads(1)
    >>> sparrot.get_num_threads()
    1
    >>> sparrot.set_num_threads(0)
    """
    from sparrot._validation import as_count

    _set_num_threads(as_count(limit, "limit", least=0))


def simd_level() -> str:
    """Name the instruction set in use: ``baseline``, ``avx2``, ``avx512`` or ``neon``.

    The best one the processor has, or the one that ``SPARROT_SIMD`` names.

    Returns
    -------
    str

    Raises
    ------
    sparrot.errors.InvalidInputError
        If ``SPARROT_SIMD`` names an instruction set this machine lacks.

    Examples
    --------
    >>> import sparrot
    >>> sparrot.simd_level() in {"baseline", "avx2", "avx512", "neon"}
    True
    """
    return _simd_level()


def _register_with_threadpoolctl() -> None:
    """Let ``threadpoolctl`` see and limit the threads of this package."""
    import threadpoolctl

    class SparrotController(threadpoolctl.LibController):  # type: ignore[misc]
        user_api = "sparrot"
        internal_api = "sparrot"
        filename_prefixes = ("_sparrot",)
        check_symbols = ("sparrot_get_num_threads", "sparrot_set_num_threads")

        def get_num_threads(self) -> int:
            return int(self.dynlib.sparrot_get_num_threads())

        def set_num_threads(self, num_threads: int) -> None:
            self.dynlib.sparrot_set_num_threads(num_threads)

        def get_version(self) -> str:
            return _sparrot.version()

        def set_additional_attributes(self) -> None:
            pass

    threadpoolctl.register(SparrotController)


if "threadpoolctl" in sys.modules or importlib.util.find_spec("threadpoolctl"):
    _register_with_threadpoolctl()

"""Sketches of tall matrices."""

from sparrot import _sparrot
from sparrot._validation import FloatArray, as_choice, as_count, as_seed, as_threads
from sparrot.errors import InvalidInputError
from sparrot.sketching._matrix import as_rows

KINDS = ("srht", "bgpt", "circulant", "gaussian", "sparse-sign", "countsketch")
# The most nonzeros in a column of a sparse sketch; more than a few dozen serve nobody.
MOST_NONZEROS = 1024


def sketch(
    A: object,
    size: int,
    *,
    kind: str = "srht",
    rng: object = None,
    block: int | None = None,
    padding: int | None = None,
    nonzeros: int = 8,
    n_threads: int | None = None,
) -> FloatArray:
    """Compress the rows of a tall matrix: ``S @ A`` for a random ``S`` of few rows.

    ``S`` preserves inner products on average, ``E[S.T @ S] = I``, and is never formed. Its entries
    depend on the seed, the row and the column alone.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n, d)
        The matrix: float32 or float64, C or Fortran order, or CSR; these are read where they are.
        Other layouts are copied.
    size : int
        The number of rows of ``S``.
    kind : {"srht", "bgpt", "circulant", "gaussian", "sparse-sign", "countsketch"}, default="srht"
        "srht": random signs, a fast Hadamard transform, a sample of its rows; dense, and as good
        as "gaussian" in all our experiments. "bgpt": the balanced Gaussian-pooled transform, which
        has the best proven bound of each coordinate of sketched least squares; takes more memory.
        "circulant": random signs, a circulant matrix of random signs, a sample of its rows [3]_,
        by fast Fourier transforms; takes more time and memory. "gaussian": independent normal
        numbers, for reference; slow. "sparse-sign": ``nonzeros`` entries in each column of ``S``,
        fast, made for preconditioning. "countsketch": one entry, fastest; single coordinates of
        sketched least squares can go wrong however large it is.
    rng : int, numpy.random.Generator or alike, optional
        What :func:`numpy.random.default_rng` takes.
    block : int, optional
        For "srht": transform blocks of so many rows on their own, a power of 2, with a share of
        the sketch for each. None for all rows together.
    padding : int, optional
        For "bgpt": the number of rows to fill up to with zeros, a power of 2, at least ``n``. None
        for the next one. The theorem asks for about ``size * d``.
    nonzeros : int, default=8
        For "sparse-sign".
    n_threads : int, optional
        See :func:`sparrot.get_num_threads`. The result has the same bits for any number.

    Returns
    -------
    ndarray of shape (size, d)
        ``S @ A``, of the type of ``A``, computed in float64.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described, or ``A`` is not finite.
    MemoryError
        If there is no room.

    See Also
    --------
    lstsq : Least squares on top of it.

    References
    ----------
    .. [1] E. Price, Z. Song, D. Woodruff, "Fast regression with an l_inf guarantee", ICALP 2017,
       arXiv 1705.10723.
    .. [2] Z. Song, L. Zhang, "Hadamard flattening and Gaussian pooling sketch for least squares
       with coordinate-wise guarantee", 2026.
    .. [3] A. Hinrichs, J. Vybiral, "Johnson-Lindenstrauss lemma for circulant matrices", Random
       Structures & Algorithms 2011, arXiv 1001.4919.

    Examples
    --------
    >>> import numpy as np
    >>> from sparrot.sketching import sketch
    >>> A = np.random.default_rng(0).normal(size=(10_000, 5))
    >>> SA = sketch(A, 500, rng=0)
    >>> bool(np.linalg.norm(SA.T @ SA - A.T @ A, 2) < 0.3 * np.linalg.norm(A, 2) ** 2)
    True
    """
    rows, shape, dtype = as_rows(A, "A")
    count = as_count(size, "size")
    native = as_kind(kind, block, padding, nonzeros, shape[0])
    threads = as_threads(n_threads)
    flat = _sparrot.sketching_sketch(rows, native, count, as_seed(rng), 0, threads)
    result: FloatArray = flat.reshape(count, shape[1]).astype(dtype, copy=False)
    return result


def as_kind(
    kind: object, block: object, padding: object, nonzeros: object, n: int
) -> tuple[str, int]:
    """Take a kind and what belongs to it."""
    name = as_choice(kind, "kind", KINDS)
    for value, argument, owner in ((block, "block", "srht"), (padding, "padding", "bgpt")):
        if value is not None and name != owner:
            raise InvalidInputError(f"{argument} is {value!r}: only kind={owner!r} takes it")
    if name == "countsketch":
        return "sparse-sign", 1
    if name == "sparse-sign":
        count = as_count(nonzeros, "nonzeros")
        if count > MOST_NONZEROS:
            raise InvalidInputError(f"nonzeros is {count}: needs at most {MOST_NONZEROS}")
        return name, count
    if block is not None:
        return name, _as_power_of_two(block, "block", 1, 2**20)
    if padding is not None:
        return name, _as_power_of_two(padding, "padding", n, 2**31)
    return name, 0


def _as_power_of_two(value: object, name: str, least: int, most: int) -> int:
    power = as_count(value, name)
    if power & (power - 1) or not least <= power <= most:
        raise InvalidInputError(f"{name} is {power}: needs a power of 2, {least} to {most}")
    return power

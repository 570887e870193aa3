"""Sketches against their definition, written anew with NumPy's Philox."""

import numpy as np
import pytest
from scipy import sparse

from sparrot.errors import InvalidInputError
from sparrot.sketching import sketch
from tests.sketching import reference

SEED = 5
# What `rng=SEED` becomes.
KEY = int(np.random.default_rng(SEED).integers(2**63))
N, D = 300, 19
A = np.random.default_rng(0).normal(size=(N, D))

KINDS = {
    "srht": ({"kind": "srht"}, lambda n: reference.srht(KEY, n, 40)),
    "blocked": ({"kind": "srht", "block": 64}, lambda n: reference.blocked_srht(KEY, n, 40, 64)),
    "bgpt": ({"kind": "bgpt"}, lambda n: reference.bgpt(KEY, n, 40)),
    "padded": ({"kind": "bgpt", "padding": 1024}, lambda n: reference.bgpt(KEY, n, 40, 1024)),
    "circulant": ({"kind": "circulant"}, lambda n: reference.circulant(KEY, n, 40)),
    "gaussian": ({"kind": "gaussian"}, lambda n: reference.gaussian(KEY, n, 40)),
    "sparse": (
        {"kind": "sparse-sign", "nonzeros": 6},
        lambda n: reference.sparse_sign(KEY, n, 40, 6),
    ),
    "count": ({"kind": "countsketch"}, lambda n: reference.sparse_sign(KEY, n, 40, 1)),
}


@pytest.mark.parametrize("name", KINDS)
def test_is_the_matrix_of_its_definition(name):
    options, make = KINDS[name]
    S = make(N)
    for n in (N, 1, 65):
        if name == "blocked" and n != N:
            continue
        if n < 40 and name in ("srht", "bgpt", "circulant"):
            continue
        found = sketch(A[:n], 40, rng=SEED, **options)
        expected = (S if n == N else make(n)) @ A[:n]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", KINDS)
def test_layouts_types_and_threads(name):
    options = {"rng": SEED, **KINDS[name][0]}
    found = sketch(A, 40, **options)
    assert found.dtype == np.float64
    for other in (np.asfortranarray(A), A[::-1][::-1], np.repeat(A, 2, axis=1)[:, ::2]):
        assert np.array_equal(sketch(other, 40, **options), found)
    read_only = A.copy()
    read_only.flags.writeable = False
    for threads in (1, 3):
        assert np.array_equal(sketch(read_only, 40, n_threads=threads, **options), found)
    single = sketch(A.astype(np.float32), 40, **options)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, found, rtol=0, atol=1e-5)
    holes = np.where(A > 0.5, A, 0.0)
    for matrix in (sparse.csr_array(holes), sparse.csc_matrix(holes)):
        expected = sketch(holes, 40, **options)
        np.testing.assert_allclose(sketch(matrix, 40, **options), expected, rtol=0, atol=1e-14)
    whole = np.arange(N * 2).reshape(N, 2)
    assert np.array_equal(sketch(whole, 40, **options), sketch(whole * 1.0, 40, **options))


@pytest.mark.parametrize("name", ["srht", "bgpt"])
def test_many_blocks(name):
    # Of rows that are transformed together; the transform across blocks.
    n = 20_000
    values = np.random.default_rng(1).normal(size=(n, 3))
    found = sketch(values, 200, kind=name, rng=SEED)
    # With signs undone: H transforms fast, too.
    padded = np.zeros((32768, 3))
    padded[:n] = values * reference.signs(KEY, n)[:, None]
    h = 1
    while h < 32768:
        x = padded.reshape(-1, 2, h, 3)
        padded = np.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], axis=1).reshape(32768, 3)
        h *= 2
    if name == "srht":
        sample = reference.Stream(KEY, reference.SAMPLE).sample(32768, 200)
        expected = padded[sample] / np.sqrt(200)
    else:
        stream, order = reference.Stream(KEY, reference.ORDER), list(range(32768))
        for i in range(32768):
            other = i + stream.below(32768 - i)
            order[i], order[other] = order[other], order[i]
        weights = np.concatenate([reference.normals(KEY, q) for q in range(8192)])
        pooled = weights[:, None] * padded[order] / np.sqrt(32768)
        bounds = np.arange(201) * 32768 // 200
        expected = np.add.reduceat(pooled, bounds[:-1], axis=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [4096, 10_000, 6561, 15_625, 23_167])
def test_circulant_is_a_cyclic_convolution(n):
    # Of powers of a prime alone, of several, and of a number that must be filled up.
    length = {23_167: 23_328}.get(n, n)
    # Columns of very different sizes, each right to its own rounding.
    scales = np.array([1e-30, 1, 1e30] * 3 + [1.0])
    values = np.random.default_rng(2).normal(size=(n, 10)) * scales
    found = sketch(values, 500, kind="circulant", rng=SEED)
    padded = np.zeros((length, 10))
    padded[:n] = values * reference.signs(KEY, n)[:, None]
    generator = reference.signs(KEY, length, reference.GENERATOR)
    spectrum = np.fft.rfft(padded, axis=0) * np.fft.rfft(generator)[:, None]
    sample = reference.Stream(KEY, reference.SAMPLE).sample(length, 500)
    expected = np.fft.irfft(spectrum, length, axis=0)[sample] / np.sqrt(500)
    size = np.linalg.norm(values, axis=0)
    assert (abs(found - expected) <= 1e-14 * size).all()
    for threads in (1, 3):
        again = sketch(values, 500, kind="circulant", rng=SEED, n_threads=threads)
        assert np.array_equal(again, found)


@pytest.mark.parametrize("name", KINDS)
def test_preserves_inner_products_on_average(name):
    options = KINDS[name][0]
    x = A[:, :2]
    products = [(SA := sketch(x, 40, **{**options, "rng": seed})).T @ SA for seed in range(400)]
    exact = x.T @ x
    spread = np.std(products, axis=0) / np.sqrt(400)
    assert (abs(np.mean(products, axis=0) - exact) <= 5 * spread + 1e-10).all()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("value", ["NaN", "inf", "-inf"])
def test_names_what_is_not_finite(name, value):
    bad = A.copy()
    bad[271, 17] = float(value)
    with pytest.raises(InvalidInputError, match=rf"A: contains {value} at index \(271, 17\)"):
        sketch(bad, 40, **KINDS[name][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"A": A[:, 0]}, "A has shape"),
        ({"A": A[:0]}, "A has shape"),
        ({"A": A.astype(complex)}, "A has dtype complex128"),
        ({"A": np.full((N, D), 1e308)}, "A: has entries whose sums overflow"),
        ({"size": 0}, "size is 0"),
        ({"size": 2.5}, "size is 2.5"),
        ({"size": 513}, "size: is 513: needs at most 512"),
        ({"kind": "circulant", "size": 301}, "size: is 301: needs at most 300"),
        ({"kind": "bgpt", "size": 513}, "size: is 513: needs at most 512"),
        ({"kind": "srht", "block": 64, "size": 4}, "size: is 4: needs 5 to 320"),
        ({"kind": "sparse-sign", "size": 7}, "size: is 7: needs at least the 8 nonzeros"),
        ({"kind": "fourier"}, "kind is 'fourier'"),
        ({"block": 63}, "block is 63: needs a power of 2"),
        ({"kind": "bgpt", "padding": 256}, "padding is 256: needs a power of 2, 300"),
        ({"kind": "bgpt", "block": 64}, "block is 64: only kind='srht'"),
        ({"padding": 512}, "padding is 512: only kind='bgpt'"),
        ({"kind": "sparse-sign", "nonzeros": 0}, "nonzeros is 0"),
        ({"rng": "dice"}, "rng is 'dice'"),
        ({"n_threads": 0}, "n_threads is 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        sketch(**{"A": A, "size": 40, **arguments})

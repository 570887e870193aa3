"""The sketches as dense matrices, written anew from their description with NumPy's Philox."""

import itertools

import numpy as np
from scipy.fft import next_fast_len
from scipy.linalg import circulant as circulant_matrix
from scipy.linalg import hadamard

SIGNS, SAMPLE, PLACES, NORMALS, ORDER, GENERATOR = 1, 2, 3, 4, 5, 6


def words(seed, purpose, a, b=0):
    """The four words of a counter; NumPy counts before it draws."""
    counter = (a + (b << 64) - 1) % 2**256
    return np.random.Philox(key=seed + (purpose << 64), counter=counter).random_raw(4)


class Stream:
    def __init__(self, seed, purpose, part=0):
        self.bits = np.random.Philox(key=seed + ((purpose + (part << 8)) << 64))

    def below(self, n):
        while True:
            product = int(self.bits.random_raw()) * n
            if product % 2**64 >= 2**64 % n:
                return product >> 64

    def sample(self, n, count):
        taken = []
        for top in range(n - count, n):
            first = self.below(top + 1)
            taken.append(top if first in taken else first)
        return taken


def signs(seed, n, purpose=SIGNS):
    out = []
    for block in range(-(-n // 256)):
        for word in words(seed, purpose, block):
            out += [1.0 - 2.0 * (int(word) >> i & 1) for i in range(64)]
    return np.array(out[:n])


def power_of_two(n):
    return 1 << (n - 1).bit_length()


def srht(seed, n, size):
    padded = power_of_two(n)
    sample = Stream(seed, SAMPLE).sample(padded, size)
    return hadamard(padded)[sample, :n] * signs(seed, n) / np.sqrt(size)


def blocked_srht(seed, n, size, block):
    blocks = -(-n // block)
    S = np.zeros((size, n))
    sign = signs(seed, n)
    for k in range(blocks):
        rows = range(k * size // blocks, (k + 1) * size // blocks)
        columns = slice(k * block, min(n, (k + 1) * block))
        sample = Stream(seed, SAMPLE, k + 1).sample(block, len(rows))
        transform = hadamard(block)[sample, : columns.stop - columns.start]
        S[rows.start : rows.stop, columns] = transform * sign[columns] / np.sqrt(len(rows))
    return S


def normals(seed, a, b=0):
    w = words(seed, NORMALS, a, b)
    u = ((w[0::2] >> np.uint64(11)).astype(float) + 1) * 2.0**-53
    v = (w[1::2] >> np.uint64(11)).astype(float) * 2.0**-53
    radius = np.sqrt(-2 * np.log(u))
    pairs = np.stack([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)], axis=1)
    return pairs.ravel()


def gaussian(seed, n, size):
    quarters = -(-size // 4)
    columns = [np.concatenate([normals(seed, i, q) for q in range(quarters)]) for i in range(n)]
    return np.stack(columns, axis=1)[:size] / np.sqrt(size)


def bgpt(seed, n, size, padded=None):
    padded = padded or power_of_two(n)
    order = list(range(padded))
    stream = Stream(seed, ORDER)
    for i in range(padded):
        other = i + stream.below(padded - i)
        order[i], order[other] = order[other], order[i]
    transform = hadamard(padded)[:, :n] * signs(seed, n) / np.sqrt(padded)
    weights = np.concatenate([normals(seed, q) for q in range(-(-padded // 4))])[:padded]
    pooled = weights[:, None] * transform[order]
    bounds = [g * padded // size for g in range(size + 1)]
    return np.stack([pooled[a:b].sum(axis=0) for a, b in itertools.pairwise(bounds)])


def circulant(seed, n, size):
    length = next_fast_len(n, real=True)
    sample = Stream(seed, SAMPLE).sample(length, size)
    matrix = circulant_matrix(signs(seed, length, GENERATOR))
    return matrix[sample, :n] * signs(seed, n) / np.sqrt(size)


def sparse_sign(seed, n, size, nonzeros):
    S = np.zeros((size, n))
    for i in range(n):
        for k in range(nonzeros):
            word = int(words(seed, PLACES, i, k // 4)[k % 4])
            start, end = k * size // nonzeros, (k + 1) * size // nonzeros
            S[start + (word * (end - start) >> 64), i] = 1.0 - 2.0 * (word & 1)
    return S / np.sqrt(nonzeros)

"""Matching pursuits, atom by atom, against the algorithms as they are defined."""

import numpy as np
import pytest

from sparrot.sparse_coding import SparseCoder

TIE = 1e-9


def worths(rule, A, used, residual, positive):
    """What each atom is worth to a rule; of those in the span nothing."""
    if used:
        basis, _ = np.linalg.qr(A[:, used])
        outside = A - basis @ (basis.T @ A)
    else:
        outside = A
    norms, sizes = np.linalg.norm(outside, axis=0), np.linalg.norm(A, axis=0)
    products = A.T @ residual if positive else np.abs(A.T @ residual)
    is_outside = norms > 1e-7 * sizes
    found = products if rule == "omp" else products / np.where(is_outside, norms, 1)
    return np.where(is_outside, found, 0)


def follow(rule, A, y, codes, *, positive=False):
    """Count the atoms that the definition picks as the codes of 1, 2, ... atoms do, ties aside."""
    used, residual, followed = [], y, 0
    for x in codes:
        worth = worths(rule, A, used, residual, positive)
        new = set(np.flatnonzero(x)) - set(used)
        assert len(new) == 1
        picked = new.pop()
        assert worth[picked] >= worth.max() * (1 - TIE)
        used.append(picked)
        best, *_ = np.linalg.lstsq(A[:, used], y, rcond=None)
        np.testing.assert_allclose(x[used], best, atol=1e-9 * np.abs(best).max())
        residual = y - A[:, used] @ best
        followed += 1
    return followed


def dictionaries():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(30, 70))
    yield "of norm 1", normal / np.linalg.norm(normal, axis=0)
    yield "of any norm", normal * 10.0 ** rng.uniform(-2, 2, 70)
    yield "alike", normal[:, :1] + 0.3 * normal
    copies = normal.copy()
    copies[:, 40:60] = 2 * copies[:, :20]
    copies[:, 60:] = 0
    yield "with multiples and zeros", copies


@pytest.mark.parametrize("rule", ["omp", "ols"])
@pytest.mark.parametrize(("kind", "A"), list(dictionaries()))
def test_every_atom_is_the_one_the_rule_asks_for(rule, kind, A):
    del kind
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(40, A.shape[1])) * (rng.random((40, A.shape[1])) < 0.2)
    Y = truth @ A.T + 0.01 * rng.normal(size=(40, A.shape[0]))
    coder = SparseCoder(A.T, transform_algorithm=rule)
    counts = range(1, 13)
    codes = [coder.set_params(transform_n_nonzero_coefs=k).fit_transform(Y) for k in counts]
    for y, growing in zip(Y, np.swapaxes(codes, 0, 1), strict=True):
        assert follow(rule, A, y, growing) == len(counts)


def test_least_squares_leaves_less_on_the_whole():
    rng = np.random.default_rng(2)
    A, Y = rng.normal(size=(30, 70)), rng.normal(size=(200, 30))
    left = {}
    for rule in ("omp", "ols"):
        coder = SparseCoder(A.T, transform_algorithm=rule, transform_n_nonzero_coefs=10)
        left[rule] = np.linalg.norm(Y - coder.fit_transform(Y) @ A.T, axis=1)
    assert left["ols"].mean() < 0.97 * left["omp"].mean()


@pytest.mark.parametrize("rule", ["omp", "ols"])
def test_a_signal_of_few_atoms_has_no_more(rule):
    rng = np.random.default_rng(3)
    A = rng.normal(size=(50, 80)) * 10.0 ** rng.uniform(-3, 3, 80)
    truth = np.zeros((20, 80))
    for x in truth:
        x[rng.choice(80, 2, replace=False)] = 1
    A /= np.linalg.norm(A, axis=0)
    codes = SparseCoder(A.T, transform_algorithm=rule, transform_n_nonzero_coefs=20).fit_transform(
        truth @ A.T
    )
    assert ((codes != 0).sum(1) <= 3).all()
    np.testing.assert_allclose(codes, truth, atol=1e-12)


@pytest.mark.parametrize("rule", ["omp", "ols"])
def test_a_small_second_atom_is_found(rule):
    rng = np.random.default_rng(4)
    A = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    for small in (1e-6, 1e-10, 1e-13):
        y = A[:, 3] + small * A[:, 17]
        x = SparseCoder(A.T, transform_algorithm=rule, transform_n_nonzero_coefs=2).fit_transform(
            y[None]
        )[0]
        assert set(np.flatnonzero(x)) == {3, 17}
        assert x[17] == pytest.approx(small, rel=1e-2)


@pytest.mark.parametrize("rule", ["omp", "ols"])
def test_codes_that_must_not_be_negative(rule):
    rng = np.random.default_rng(5)
    A, Y = rng.normal(size=(30, 70)), rng.normal(size=(50, 30))
    coder = SparseCoder(
        A.T, transform_algorithm=rule, transform_n_nonzero_coefs=8, positive_code=True
    )
    result = coder.fit(Y).encode(Y)
    assert (result.codes >= 0).all()
    assert ((result.codes > 0).sum(1) > 3).all()
    assert result.stationarity.max() < 1e-12


@pytest.mark.parametrize("rule", ["omp", "ols"])
def test_residuals_are_reached(rule):
    rng = np.random.default_rng(6)
    A, Y = rng.normal(size=(30, 70)), rng.normal(size=(50, 30))
    coder = SparseCoder(A.T, transform_algorithm=rule, transform_alpha=0.5)
    result = coder.fit(Y).encode(Y)
    assert result.converged
    assert (2 * result.objective <= 0.5).all()

"""Certificates and bounds under input that had got past them."""

import numpy as np
import pytest

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.sparse_coding import SparseCoder, debias, fista, iht, ista

rng = np.random.default_rng(0)
A = rng.normal(size=(20, 40))
Y = rng.normal(size=(5, 20))


def test_atoms_of_very_different_norms_are_coded_to_the_certificate():
    for seed in range(5):
        random = np.random.default_rng(seed)
        scaled = random.normal(size=(29, 50)) * 10.0 ** random.uniform(-8, 0, 50)
        signals = random.normal(size=(12, 29))
        alpha = 1e-8 * np.abs(signals @ scaled).max()
        coder = SparseCoder(scaled.T, transform_algorithm="lasso_cd", transform_alpha=alpha)
        assert coder.fit(signals).encode(signals).gap.max() <= 1e-6


def test_an_adjoint_of_nan_is_no_certificate():
    calls = []

    def late(R):
        calls.append(R)
        return A.T @ R * (1.0 if len(calls) == 1 else np.nan)

    with pytest.raises(InvalidInputError, match="the adjoint made NaN"):
        fista((lambda X: A @ X, lambda R: A.T @ R * np.nan), Y, 1.0)
    with pytest.warns(ConvergenceWarning):
        result = fista((lambda X: A @ X, late), Y, 1.0, max_iter=20)
    assert not result.converged
    assert not np.isfinite(result.gap).any()


def test_an_adjoint_that_writes_to_its_argument_leaves_the_signals():
    def adjoint(R):
        made = A.T @ R
        R[:] = 0
        return made

    signals = Y.copy()
    result = fista((lambda X: A @ X, adjoint), signals, 1.0)
    np.testing.assert_array_equal(signals, Y)
    np.testing.assert_allclose(result.objective, fista(A, Y, 1.0).objective, rtol=1e-5)


def test_a_start_that_must_not_be_returned_is_refused():
    with pytest.raises(InvalidInputError, match=r"init contains -0\.9: positive=True"):
        fista([[1.0]], [-1.0], 0.1, init=[-0.9], positive=True, max_time=0)
    with pytest.raises(InvalidInputError, match="init has a code with 40 numbers"):
        iht(A, Y, n_nonzero_coefs=3, init=np.ones((5, 40)))
    with pytest.raises(InvalidInputError, match="overflows float32"):
        fista(A.astype("f4"), Y.astype("f4"), 1.0, init=np.full((5, 40), 1e300))


def test_only_the_support_counts_in_debias():
    single = A.astype("f4"), Y.astype("f4")
    support = np.where(np.arange(40) < 5, 1.0, 0.0) * np.ones((5, 1))
    expected = debias(*single, support).codes
    assert expected.any()
    for size in (1e-60, 1e60):
        np.testing.assert_array_equal(debias(*single, support * size).codes, expected)


def test_pursuit_has_reached_its_residual_as_measured():
    coder = SparseCoder(A.T, transform_alpha=1e-25).fit(Y)
    with pytest.warns(ConvergenceWarning, match="squares of the residual above 1e-25"):
        result = coder.encode(1e3 * Y)
    reached = result.signal_status == "converged"
    np.testing.assert_array_equal(reached, 2 * result.objective <= 1e-25)


@pytest.mark.parametrize("penalty", ["mcp", "scad"])
def test_a_step_far_too_short_is_not_taken_for_a_fixed_point(penalty):
    rng = np.random.default_rng(0)
    A, Y = rng.normal(size=(10, 20)), rng.normal(size=(5, 10))
    with pytest.warns(ConvergenceWarning):
        result = ista(A, Y, 0.1, penalty=penalty, step=1e-14, max_iter=20)
    assert not result.converged
    assert result.stationarity.min() > 1e-2
    for unit in (1e-3, 1e3):  # the same without a scale
        with pytest.warns(ConvergenceWarning):
            scaled = ista(
                unit * A, Y, 0.1 * unit, penalty=penalty, step=1e-14 / unit**2, max_iter=20
            )
        np.testing.assert_allclose(scaled.stationarity, result.stationarity, rtol=1e-3)


@pytest.mark.parametrize("wrong", [{"transform_alpha": -1}, {"tol": -3}, {"transform_max_iter": 0}])
def test_a_coder_checks_its_parameters_in_fit(wrong):
    rng = np.random.default_rng(0)
    coder = SparseCoder(rng.normal(size=(6, 4)), transform_algorithm="lasso_cd").set_params(**wrong)
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        coder.fit(rng.normal(size=(5, 4)))


@pytest.mark.parametrize("penalty", ["mcp", "scad"])
def test_nor_is_that_of_an_operator(penalty):
    options = {"penalty": penalty, "step": 1e-14, "max_iter": 20}
    pair = (lambda x: A @ x, lambda r: A.T @ r)
    for solver in (ista, fista):
        with pytest.warns(ConvergenceWarning):
            result = solver(pair, Y, 0.1, **options)
        assert not result.converged
        assert result.stationarity.min() > 1e-2
    # A step that is not short is measured as with a matrix.
    options = {"penalty": penalty, "step": 1 / np.linalg.norm(A, 2) ** 2}
    options |= {"tol": None, "max_iter": 50}
    found, expected = ista(pair, Y, 0.1, **options), ista(A, Y, 0.1, **options)
    np.testing.assert_allclose(found.stationarity, expected.stationarity, rtol=1e-3)


def test_descent_is_judged_by_the_step_of_each_atom():
    random = np.random.default_rng(19)
    atoms = random.normal(size=(10, 20))
    atoms[:, :10] *= 1e-3
    atoms[:, 10:] *= 1e3
    signals = random.normal(size=(3, 10))
    coder = SparseCoder(atoms.T, transform_algorithm="cd", penalty="l0", transform_alpha=0.18963205)
    coder.fit(signals)
    done = coder.encode(signals)
    coder.set_params(transform_max_iter=1)
    with pytest.warns(
        ConvergenceWarning, match=r"1 of 3 .*more iterations \(transform_max_iter\)$"
    ):
        once = coder.encode(signals)
    assert once.signal_status[0] == "max_iter"
    assert once.stationarity[0] > 0.1
    assert done.converged
    assert done.objective[0] < 0.9 * once.objective[0]
    # The moves of all numbers, in the norms of their atoms.
    for y, x, told in zip(signals, once.codes, once.stationarity, strict=True):
        squares = (atoms**2).sum(0)
        towards = x + atoms.T @ (y - atoms @ x) / squares
        to = np.where(np.abs(towards) > np.sqrt(2 * 0.18963205 / squares), towards, 0)
        moved = np.sqrt((squares * (to - x) ** 2).sum()) / np.linalg.norm(y)
        assert told == pytest.approx(moved, abs=1e-9)

"""Steps found by backtracking."""

import numpy as np
import pytest

from sparrot.errors import InvalidInputError
from sparrot.sparse_coding import fista, iht, ista
from tests.sparse_coding.conftest import make_problem
from tests.sparse_coding.reference import objective, relative_gap

SOLVERS = {"ista": ista, "fista": fista}
FIRST = (None, 1e-300, 1e-12, 1e-3, 1.0, 1e3, 1e12, 1e300)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_first_step_ends_at_the_same_minimum(name, first, dtype):
    A, Y = make_problem(dtype=dtype)
    tol = 1e-4 if dtype is np.float32 else 1e-8
    result = SOLVERS[name](
        A, Y, 0.1, step="backtracking", first_step=first, tol=tol, max_iter=20_000
    )
    assert result.converged
    assert result.codes.dtype == dtype
    for y, x, gap in zip(Y, result.codes, result.gap, strict=True):
        assert gap == pytest.approx(relative_gap(A, y, x, 0.1), abs=1e-12)
    largest = np.linalg.norm(A.astype(float), 2) ** 2
    assert (result.step >= 0.47 / largest).all()
    plain = SOLVERS[name](A, Y, 0.1, tol=tol, max_iter=20_000)
    doublings = 0 if first is None else -np.log2(max(first, 1e-140))
    assert result.n_iter.mean() <= plain.n_iter.mean() + 50 + max(doublings, 0)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("first", [None, 1e-6, 1e6])
def test_steps_keep_what_is_promised_of_them(name, first):
    # f(x) <= f(z) + <g(z), x - z> + |x - z|^2 / (2 t) of every step, as seen from outside.
    A, Y = make_problem(signals=1)
    codes, steps = [np.zeros(60)], []
    for k in range(1, 25):
        result = SOLVERS[name](
            A, Y[0], 0.1, step="backtracking", first_step=first, tol=None, max_iter=k,
            **({"restart": False} if name == "fista" else {}),
        )  # fmt: skip
        codes.append(result.codes)
        steps.append(result.step[0])
    theta, old, before = 1.0, codes[0], steps[0]
    for x, new, t in zip(codes, codes[1:], steps, strict=False):
        z = x
        if name == "fista":
            ratio = 1.0 if theta == 1 else before / t
            following = (1 + np.sqrt(1 + 4 * theta**2 * ratio)) / 2
            z = x + (theta - 1) / following * (x - old)
            theta = following
        v = z - t * A.T @ (A @ z - Y[0])
        np.testing.assert_allclose(new, np.sign(v) * np.maximum(np.abs(v) - 0.1 * t, 0), atol=1e-9)
        d = new - z
        assert t * np.square(A @ d).sum() <= d @ d * (1 + 1e-9)
        old, before = x, t


def test_objectives_fall(problem):
    A, Y = problem
    for penalty in ("l1", "l0", "cel0", "scad"):
        before = np.full(len(Y), np.inf)
        for k in (1, 2, 3, 5, 10, 30):
            result = ista(
                A, Y, 0.05, penalty=penalty, step="backtracking", first_step=1e-2, tol=None,
                max_iter=k,
            )  # fmt: skip
            assert (result.objective <= before * (1 + 1e-12)).all()
            before = result.objective


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("first", [None, 1e-9, 1e9])
def test_operators(dtype, first):
    A, Y = make_problem(dtype=dtype)
    pair = (lambda x: A @ x, lambda r: A.T @ r)
    for solver in (ista, fista):
        result = solver(pair, Y, 0.1, step="backtracking", first_step=first, tol=1e-4)
        assert result.converged
        for y, x, gap in zip(Y, result.codes, result.gap, strict=True):
            # What an operator makes of float64 is in the type of its matrix at least.
            assert gap == pytest.approx(relative_gap(A, y, x, 0.1), abs=1e-6)


@pytest.mark.parametrize("largest", [None, 4])
def test_hard_thresholding(largest, problem):
    A, Y = problem
    options = {"n_nonzero_coefs": largest} if largest else {"alpha": 0.05}
    result = iht(A, Y, **options, step="backtracking", first_step=1e4, tol=1e-9, max_iter=50_000)
    assert result.converged
    for y, x, value in zip(Y, result.codes, result.objective, strict=True):
        paid = 0 if largest else 0.05 * np.count_nonzero(x)
        assert value == pytest.approx(np.square(y - A @ x).sum() / 2 + paid, rel=1e-12)
        assert value <= y @ y / 2 * (1 + 1e-12)


def test_the_same_bits_for_any_number_of_threads():
    A, Y = make_problem(signals=500, dtype=np.float32)
    results = [
        fista(A, Y, 0.05, n_threads=k, tol=1e-4, step="backtracking", first_step=1e3)
        for k in (1, 2, 5)
    ]
    for other in results[1:]:
        for field in ("codes", "gap", "step", "n_iter"):
            np.testing.assert_array_equal(results[0][field], other[field])


def test_degenerate_signals_and_atoms(problem):
    A, Y = problem
    A, Y = A.copy(), Y.copy()
    A[:, 3] = 0
    A[:, 7] = A[:, 8]
    Y[0] = 0
    for solver in SOLVERS.values():
        result = solver(A, Y, 0.1, step="backtracking", first_step=1e5, max_iter=20_000)
        assert result.converged
        assert not result.codes[0].any()
    # Nothing bends anywhere.
    nothing = ista(np.zeros((4, 3)), Y[:2, :4], 0.1, step="backtracking")
    assert nothing.converged
    # Thresholds all but a hair of the largest product: what is left of a step is rounding.
    alpha = float(np.abs(A.T @ Y[1]).max())
    near = fista(A, Y[1], np.nextafter(alpha, 0), step="backtracking", first_step=1e6)
    assert near.converged


@pytest.mark.parametrize("scale", [1e-60, 1e-20, 1e20, 1e60])
def test_scale_changes_nothing(scale, problem):
    A, Y = problem
    base = fista(A, Y, 0.1, step="backtracking")
    other = fista(scale * A, Y / scale, 0.1, step="backtracking")
    np.testing.assert_allclose(other.objective * scale**2, base.objective, rtol=1e-6)
    for y, x in zip(Y[:3], base.codes, strict=False):
        assert objective(A, y, x, "l1", 0.1) > 0


def test_a_first_step_is_for_backtracking(problem):
    A, Y = problem
    for solver in (ista, fista, iht):
        for step in (None, "adaptive", 0.1):
            with pytest.raises(InvalidInputError, match="only step='backtracking' starts from"):
                solver(A, Y, 0.1, step=step, first_step=0.1)
        with pytest.raises(InvalidInputError, match="first_step is 0"):
            solver(A, Y, 0.1, step="backtracking", first_step=0)

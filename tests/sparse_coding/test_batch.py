"""ISTA, FISTA and IHT: their iterates, their certificates, and any dictionary."""

import itertools
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

import sparrot
from sparrot.errors import ConvergenceWarning
from sparrot.sparse_coding import fista, iht, ista, prox
from tests.sparse_coding.conftest import make_problem
from tests.sparse_coding.reference import (
    objective,
    plain_fista,
    plain_ista,
    relative_gap,
)

NONCONVEX = ("l0", "cel0", "mcp", "scad", "l1/2", "l2/3")
SOLVERS = {"ista": ista, "fista": fista}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.02, 0.5])
@pytest.mark.parametrize("shape", [(30, 60), (60, 30), (5, 200)])
def test_a_number_of_iterations_gives_the_iterates_of_the_algorithm(dtype, alpha, shape):
    A, Y = make_problem(*shape, dtype=dtype)
    step = dtype(1 / np.linalg.norm(A, 2) ** 2)
    tolerance = 2e-5 if dtype is np.float32 else 1e-12
    for count in (1, 2, 37):
        for solver, plain in ((ista, plain_ista), (fista, plain_fista)):
            options = {"restart": False} if solver is fista else {}
            result = solver(A, Y, alpha, step=float(step), tol=None, max_iter=count, **options)
            expected = plain(A, Y, dtype(alpha), step, count)
            assert result.codes.dtype == dtype
            np.testing.assert_allclose(result.codes, expected, atol=tolerance)
            assert (result.n_iter == count).all()
            assert result.status is sparrot.Status.MAX_ITER


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("name", SOLVERS)
def test_gaps_are_what_they_say(name, positive, problem):
    A, Y = problem
    result = SOLVERS[name](A, Y, 0.1, positive=positive, max_iter=20_000, tol=1e-8)
    assert result.converged
    assert (result.codes >= 0).all() or not positive
    for y, x, gap, value in zip(Y, result.codes, result.gap, result.objective, strict=True):
        assert gap == pytest.approx(relative_gap(A, y, x, 0.1, positive=positive), abs=1e-13)
        assert value == pytest.approx(objective(A, y, x, "l1", 0.1), rel=1e-12)
    assert result.gap.max() <= 1e-8
    assert len(set(result.n_iter)) > 3  # each signal stops by itself


def test_gaps_are_measured_on_float32_codes_in_double_precision():
    A, Y = make_problem(dtype=np.float32)
    result = fista(A, Y, 0.1, tol=1e-5)
    assert result.converged
    for y, x, gap in zip(Y, result.codes, result.gap, strict=True):
        assert gap == pytest.approx(relative_gap(A, y, x, 0.1), abs=1e-12)


@pytest.mark.parametrize("shape", [(30, 60), (64, 256), (150, 300)])
@pytest.mark.parametrize("alpha", [0.5, 0.1, 0.02, 0.005])
def test_float32_reaches_its_default_tol(shape, alpha):
    A, Y = make_problem(*shape, signals=100, dtype=np.float32)
    for step in (None, "adaptive", "backtracking"):
        result = fista(A, Y, alpha, step=step)
        assert result.converged  # nor was there a warning
        exact = max(relative_gap(A, y, x, alpha) for y, x in zip(Y, result.codes, strict=True))
        assert exact <= 1e-5
    if alpha >= 0.1:
        assert iht(A, Y, alpha).converged
        assert ista(A, Y, alpha, penalty="mcp").converged
    assert fista(A.astype(float), Y.astype(float), alpha).gap.max() <= 1e-6


@pytest.mark.parametrize("penalty", NONCONVEX)
@pytest.mark.parametrize("step", [None, "adaptive", "backtracking"])
def test_nonconvex_penalties_end_at_fixed_points(penalty, step, problem):
    A, Y = problem
    result = ista(A, Y, 0.05, penalty=penalty, tol=1e-9, max_iter=50_000, step=step)
    assert result.converged
    norms = np.linalg.norm(A, axis=0)
    for y, x, value, t in zip(Y, result.codes, result.objective, result.step, strict=True):
        assert value == pytest.approx(objective(A, y, x, penalty, 0.05), rel=1e-12)
        assert value <= y @ y / 2 * (1 + 1e-12)
        v = x + t * A.T @ (y - A @ x)
        moved = [
            float(prox(penalty, u, 0.05, step=t, column_norm=n))
            for u, n in zip(v, norms, strict=True)
        ]
        assert np.linalg.norm(moved - x) <= 1.01e-9 * np.sqrt(t) * np.linalg.norm(y) + 1e-15


def test_objectives_of_hard_thresholding_fall(problem):
    A, Y = problem
    found = [iht(A, Y, 0.05, tol=None, max_iter=k).objective for k in (1, 2, 5, 20, 100)]
    for before, after in itertools.pairwise(found):
        assert (after <= before * (1 + 1e-12)).all()


def test_a_number_of_atoms(problem):
    A, Y = problem
    result = iht(A, Y, n_nonzero_coefs=4, tol=1e-9, max_iter=20_000)
    assert ((result.codes != 0).sum(1) <= 4).all()
    assert result.converged
    for y, x in zip(Y, result.codes, strict=True):
        used = np.flatnonzero(x)
        best, *_ = np.linalg.lstsq(A[:, used], y, rcond=None)
        np.testing.assert_allclose(x[used], best, atol=1e-6)


def test_restarts_pay(problem):
    A, Y = problem
    slow = fista(A, Y, 0.01, tol=1e-10, max_iter=100_000, restart=False)
    fast = fista(A, Y, 0.01, tol=1e-10, max_iter=100_000)
    assert slow.converged
    assert fast.converged
    assert fast.n_iter.sum() < 0.8 * slow.n_iter.sum()


@pytest.mark.parametrize("penalty", ["l1", "mcp"])
def test_any_form_of_a_dictionary_gives_the_same_codes(penalty, problem):
    A, Y = problem
    thin = np.where(np.abs(A) > 0.1, A, 0)
    options = {"penalty": penalty, "tol": 1e-10, "max_iter": 50_000, "step": 0.15}
    expected = ista(thin, Y, 0.1, **options)
    forms = [
        sparse.csc_array(thin),
        sparse.csr_matrix(thin),
        np.asfortranarray(thin),
        aslinearoperator(thin),
        (lambda x: thin @ x, lambda r: thin.T @ r),
    ]
    for form in forms:
        result = ista(form, Y, 0.1, **options)
        assert result.converged
        np.testing.assert_allclose(result.objective, expected.objective, rtol=1e-8)
        if penalty == "l1":
            np.testing.assert_allclose(result.codes, expected.codes, atol=1e-4)


def test_sparse_dictionaries_without_a_gram_matrix():
    rng = np.random.default_rng(0)
    A = sparse.random_array((50, 400), density=0.05, rng=rng, format="csc")
    Y = rng.normal(size=(1, 50))
    for matrix in (A, A.toarray()):
        result = ista(matrix, Y, 0.1, tol=None, max_iter=30, step=0.1)
        expected = plain_ista(A.toarray(), Y, 0.1, 0.1, 30)
        np.testing.assert_allclose(result.codes, expected, atol=1e-12)


def test_adaptive_steps_need_no_norm(problem):
    A, Y = problem
    for name, solver in SOLVERS.items():
        result = solver(A, Y, 0.1, step="adaptive", max_iter=20_000)
        assert result.converged, name
        assert (result.step >= 0.9 / np.linalg.norm(A, 2) ** 2).all()


def test_steps_that_are_given_or_not(problem):
    A, Y = problem
    largest = np.linalg.norm(A, 2) ** 2
    step = ista(A, Y, 0.1).step
    assert (step <= 1 / largest).all()
    assert (step >= 0.9 / largest).all()
    assert (ista(A, Y, 0.1, step=0.01, tol=None, max_iter=3).step == 0.01).all()


@pytest.mark.parametrize("solver", [ista, fista])
@pytest.mark.parametrize("tol", [None, 1e-6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_too_large_is_told(solver, tol, dtype):
    A, Y = make_problem(dtype=dtype)
    with pytest.warns(ConvergenceWarning, match="step is too large for 40 of 40 signals"):
        result = solver(A, Y, 1e-3, step=10.0, tol=tol, max_iter=3000)
    assert result.diverged.all()
    assert not result.converged
    assert result.status is sparrot.Status.STALLED
    assert np.isfinite(result.gap).all()
    assert not result.codes.any()
    np.testing.assert_allclose(result.objective, (Y.astype(float) ** 2).sum(1) / 2)


def test_a_start_near_the_end_saves_iterations(problem):
    A, Y = problem
    first = ista(A, Y, 0.1, tol=1e-8, max_iter=20_000)
    again = ista(A, Y, 0.1, tol=1e-7, init=first.codes)
    assert again.n_iter.max() <= 5
    np.testing.assert_array_equal(ista(A, Y, 0.1, init=first.codes, tol=1e-7).codes, again.codes)


def test_one_signal(problem):
    A, Y = problem
    result = ista(A, Y[0], 0.1)
    assert result.codes.shape == (60,)
    np.testing.assert_array_equal(result.codes, ista(A, Y[:1], 0.1).codes[0])


def test_the_same_bits_for_any_number_of_threads():
    A, Y = make_problem(signals=500, dtype=np.float32)
    for solver in (ista, fista):
        results = [solver(A, Y, 0.05, n_threads=k, tol=1e-4) for k in (1, 2, 5)]
        for other in results[1:]:
            np.testing.assert_array_equal(results[0].codes, other.codes)
            np.testing.assert_array_equal(results[0].gap, other.gap)


def test_degenerate_signals_and_atoms(problem):
    A, Y = problem
    A, Y = A.copy(), Y.copy()
    A[:, 3] = 0
    A[:, 7] = A[:, 8]
    A[:, 9] = -A[:, 8]
    Y[0] = 0
    for solver in (ista, fista):
        result = solver(A, Y, 0.1, max_iter=20_000)
        assert result.converged
        assert not result.codes[0].any()
        assert result.gap[0] == 0
        assert not result.codes[:, 3].any()
    for penalty in NONCONVEX:
        result = ista(A, Y, 0.1, penalty=penalty, max_iter=50_000)
        assert np.isfinite(result.codes).all()
        assert result.converged
        assert not result.codes[:, 3].any()
    nothing = ista(np.zeros((4, 3)), Y[:2, :4], 0.1)
    assert nothing.converged
    assert not nothing.codes.any()


def test_a_large_alpha_gives_zeros_at_once(problem):
    A, Y = problem
    result = ista(A, Y, 1.0001 * np.abs(Y @ A).max())
    assert not result.codes.any()
    assert result.converged
    assert (result.n_iter <= 5).all()


@pytest.mark.parametrize("exponent", [-150, -100, -30, 30, 100, 150])
@pytest.mark.parametrize("which", ["A", "Y", "both"])
def test_scale_changes_nothing_or_is_an_error(exponent, which, problem):
    A, Y = problem
    base = ista(A, Y, 0.1, max_iter=5000)
    a = 10.0**exponent if which in ("A", "both") else 1.0
    b = 10.0**exponent if which in ("Y", "both") else 1.0
    try:
        result = ista(a * A, b * Y, 0.1 * a * b, max_iter=5000)
    except sparrot.errors.InvalidInputError as error:
        message = str(error)
    else:
        message = None
        assert result.converged
        np.testing.assert_allclose(result.codes * (a / b), base.codes, atol=2e-3)
    assert message is None or ("squares" in message and abs(exponent) >= 150)


def test_what_does_not_converge_is_told(problem):
    A, Y = problem
    with pytest.warns(ConvergenceWarning, match=r"signals have a gap above tol=1e-10.*max_iter"):
        result = ista(A, Y, 0.01, tol=1e-10, max_iter=10)
    assert not result.converged
    assert result.status is sparrot.Status.MAX_ITER
    with pytest.warns(ConvergenceWarning, match="max_time"):
        late = ista(A, Y, 0.01, tol=1e-10, max_time=0)
    assert late.status is sparrot.Status.MAX_TIME
    assert not late.codes.any()
    with pytest.warns(ConvergenceWarning, match=r"rounding allows no less"):
        stalled = ista(A, Y, 0.1, tol=1e-300, max_iter=100_000)
    assert stalled.gap.max() < 1e-13


def test_functions_that_raise_are_heard(problem):
    A, Y = problem
    calls = []

    def forward(x):
        calls.append(x.shape)
        if len(calls) > 3:
            raise RuntimeError("broken")
        return A @ x

    with pytest.raises(RuntimeError, match="broken"):
        ista((forward, lambda r: A.T @ r), Y, 0.1)
    with pytest.raises(ValueError, match=r"forward function made an array of shape \(29, "):
        ista((lambda x: (A @ x)[:29], lambda r: A.T @ r), Y, 0.1)


def test_operators_see_all_signals_at_once(problem):
    A, Y = problem
    shapes = []

    def forward(x):
        shapes.append(x.shape)
        return A @ x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ista((forward, lambda r: A.T @ r), Y, 0.1, tol=None, max_iter=7)
    assert shapes[0] == (60, 8)  # random vectors, with which the pair is tried out
    assert shapes[1] == (60, 40)
    assert len(shapes) <= 11


def test_signals_longer_than_what_a_cache_holds():
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(9000, 6)) / 95, np.array([[1.0, 0, 0, -2, 0, 0]])
    for dtype in (np.float32, np.float64):
        result = ista(A.astype(dtype), (x @ A.T).astype(dtype), 1e-3, tol=1e-5)
        assert result.converged
        np.testing.assert_allclose(result.codes, x, atol=1e-2)

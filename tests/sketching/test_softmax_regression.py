"""Softmax regression: its formulas, its certificate, and points that are no minima."""

import warnings

import mpmath
import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.sketching import softmax_regression

RNG = np.random.default_rng(0)
N, D = 3000, 6
A = RNG.normal(size=(N, D)) * [1, 2, 0.5, 1, 1, 3] + 4
TRUTH = RNG.normal(size=D)
Wide = np.longdouble


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def loss(x, A, b, ridge=0.0):
    """In extended precision, from the definition."""
    f = softmax(A.astype(Wide) @ np.asarray(x, Wide))
    return ((f - b) ** 2).sum() / 2 + Wide(ridge) * (np.asarray(x, Wide) ** 2).sum() / 2


def derivatives(x, A, b, ridge=0.0):
    """The gradient and Hessian by central differences of the loss, in extended precision."""
    d, h = len(x), Wide(1e-4)
    x, steps = np.asarray(x, Wide), np.eye(len(x), dtype=Wide) * Wide(1e-4)

    def at(v):
        return loss(v, A, b, ridge)

    gradient = np.array([(at(x + s) - at(x - s)) / (2 * h) for s in steps])
    hessian = np.empty((d, d))
    for i in range(d):
        for j in range(d):
            p, m = steps[i] + steps[j], steps[i] - steps[j]
            hessian[i, j] = (at(x + p) - at(x + m) - at(x - m) + at(x - p)) / (4 * h * h)
    return gradient.astype(float), hessian


def exactly(x, A, b, ridge):
    """The gradient, its scaled size and the Hessian by their formulas, to 60 digits."""
    with mpmath.workdps(60):
        rows = [[mpmath.mpf(float(v)) for v in row] for row in A]
        x, b = [mpmath.mpf(float(v)) for v in x], [mpmath.mpf(float(v)) for v in b]
        n, d = len(rows), len(x)
        z = [mpmath.fdot(row, x) for row in rows]
        f = [mpmath.exp(v - max(z)) for v in z]
        total = mpmath.fsum(f)
        f = [v / total for v in f]
        s = mpmath.fsum(f[i] * (f[i] - b[i]) for i in range(n))
        centre = [mpmath.fsum(f[i] * rows[i][j] for i in range(n)) for j in range(d)]
        e = [[rows[i][j] - centre[j] for j in range(d)] for i in range(n)]
        hessian = mpmath.matrix(d, d)
        for j in range(d):
            for k in range(d):
                terms = (f[i] * (2 * f[i] - b[i] - s) * e[i][j] * e[i][k] for i in range(n))
                hessian[j, k] = mpmath.fsum(terms) + (ridge if j == k else 0)
        size = mpmath.norm(f) + mpmath.norm(b)
        shares = []
        for j in range(d):
            terms = (f[i] * (f[i] - b[i]) * e[i][j] for i in range(n))
            most = size * mpmath.norm([f[i] * e[i][j] for i in range(n)]) + ridge * abs(x[j])
            g = mpmath.fsum(terms) + ridge * x[j]
            shares.append(abs(g) / most if most else mpmath.mpf(0))
        least = min(mpmath.eigsy(hessian, eigvals_only=True))
        return float(max(shares)), least


@pytest.mark.parametrize("seed", range(100, 104))
def test_what_is_claimed_is_true_of_random_problems(seed):
    rng = np.random.default_rng(seed)
    claimed = 0
    for _ in range(40):
        n, d = rng.integers(2, 15), rng.integers(1, 5)
        values = rng.normal(size=(n, d)) * 10 ** rng.uniform(-3, 2, size=d) + rng.normal() * 10
        if rng.random() < 0.3:
            values[:, -1] = values[:, 0] * (1 + 10 ** rng.uniform(-16, -2) * rng.normal(size=n))
        b = rng.normal(size=n) * 10 ** rng.uniform(-2, 1) if rng.random() < 0.5 else None
        b = softmax(values @ rng.normal(size=d)) if b is None else b
        ridge = 0.0 if rng.random() < 0.5 else float(10 ** rng.uniform(-8, 0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            result = softmax_regression(values, b, ridge=ridge, max_iter=int(rng.integers(1, 60)))
        share, least = exactly(result.x, values, b, ridge)
        # Never less than the truth, and little more where coefficients do not explode.
        assert result.stationarity >= share
        if abs(result.x).max() < 1e3:
            assert result.stationarity <= (1 + 1e-6) * share + 1e-9
        assert result.converged == (result.stationarity <= 1e-8)
        if result.positive_definite:
            assert least > 0
            claimed += 1
    assert claimed > 15


def noisy(scale=0.3):
    b = softmax(A @ TRUTH) * np.exp(scale * np.random.default_rng(1).normal(size=N))
    return b / b.sum()


@pytest.mark.parametrize("hessian", ["exact", "sketched"])
def test_what_is_the_softmax_of_coefficients_gives_them_back(hessian):
    result = softmax_regression(A, softmax(A @ TRUTH), hessian=hessian, size=200, rng=0)
    np.testing.assert_allclose(result.x, TRUTH, rtol=1e-5)
    assert result.positive_definite
    assert result.objective < 1e-15
    assert (result.hessian, result.sketch_rows) == (
        ("exact", 0) if hessian == "exact" else ("sketched", 200)
    )


@pytest.mark.parametrize("ridge", [0.0, 1e-5])
def test_ends_where_the_gradient_vanishes_and_the_hessian_is_positive(ridge):
    b = noisy()
    result = softmax_regression(A, b, ridge=ridge, tol=1e-11)
    gradient, hessian = derivatives(result.x, A, b, ridge)
    assert result.objective == pytest.approx(float(loss(result.x, A, b, ridge)), rel=1e-12)
    f = softmax(A @ result.x)
    assert result.residual_norm == pytest.approx(np.linalg.norm(f - b), rel=1e-12)
    e = f[:, None] * (A - f @ A)
    sizes = np.linalg.norm(e, axis=0)
    most = sizes * (np.linalg.norm(f) + np.linalg.norm(b))
    assert (abs(gradient) <= 1e-7 * most).all()  # of the differences
    scale = 1 / np.sqrt(sizes**2 + ridge)
    least = np.linalg.eigvalsh(scale[:, None] * hessian * scale).min()
    assert result.curvature == pytest.approx(least, rel=1e-4)
    assert result.positive_definite
    assert result.n_iter == len(result.trace["objective"]) - 1
    assert (np.diff(result.trace["objective"]) <= 1e-15).all()
    assert result.trace["stationarity"][-1] == result.stationarity <= 1e-11
    # And a general-purpose method goes no lower from there.
    other = minimize(lambda x: float(loss(x, A, b, ridge)), result.x, method="Nelder-Mead")
    assert other.fun >= result.objective * (1 - 1e-9)


def test_stationarity_is_the_scaled_gradient():
    # At a point that is none: told of the start, after no step that helps.
    b, x = noisy(), 0.1 * TRUTH
    with pytest.warns(ConvergenceWarning, match="max_iter=1 is used up"):
        result = softmax_regression(A, b, init=x, ridge=1e-3, max_iter=1, tol=1e-14)
    f = softmax(A @ x)
    gradient, _ = derivatives(x, A, b, 1e-3)
    sizes = np.linalg.norm(f[:, None] * (A - f @ A), axis=0)
    most = sizes * (np.linalg.norm(f) + np.linalg.norm(b)) + 1e-3 * abs(x)
    assert result.trace["stationarity"][0] == pytest.approx(max(abs(gradient) / most), rel=1e-6)
    assert not result.converged


def test_a_maximum_is_not_taken_for_a_minimum():
    # By symmetry the gradient is 0 at 0; one of the first two probabilities would better be 1.
    values = np.array([[-1.0], [1.0], [0.0]])
    b = np.array([2.0, 2.0, -2.0])
    result = softmax_regression(values, b)
    assert result.x == 0
    assert result.converged
    assert result.curvature < 0
    assert not result.positive_definite
    assert "perhaps no minimum" in result.message
    # From beside it there is a minimum.
    away = softmax_regression(values, b, init=[0.01], ridge=1e-3)
    assert away.objective < result.objective
    assert away.positive_definite


def test_a_plateau_is_not_taken_for_a_minimum():
    # All weight is on a row that should have none: the gradient underflows.
    values = np.array([[1000.0], [0.0], [-1.0]])
    result = softmax_regression(values, np.array([0.0, 0.5, 0.5]), init=[1.0])
    assert not result.positive_definite


@pytest.mark.parametrize("hessian", ["exact", "sketched"])
def test_scales_shifts_layouts_and_threads(hessian):
    b, options = noisy(), {"hessian": hessian, "rng": 3, "size": 300, "tol": 1e-10}
    result = softmax_regression(A, b, **options)
    for threads in (1, 3):
        again = softmax_regression(np.asfortranarray(A), b, n_threads=threads, **options)
        assert np.array_equal(again.x, result.x)
        assert np.array_equal(again.trace["objective"], result.trace["objective"])
    powers = 2.0 ** np.array([-100, 60, 0, 3, -7, 20])
    scaled = softmax_regression(A * powers, b, **options)
    np.testing.assert_allclose(scaled.x * powers, result.x, rtol=1e-9)
    assert scaled.n_iter == result.n_iter
    shifted = softmax_regression(A + 64.0, b, **options)
    np.testing.assert_allclose(shifted.x, result.x, rtol=1e-6)
    holes = np.where(A > 5, A, 0)
    dense = softmax_regression(holes, b, **options)
    compressed = softmax_regression(sparse.csr_array(holes), b, **options)
    np.testing.assert_allclose(compressed.x, dense.x, rtol=1e-9)


def test_many_rows_and_kinds_of_sketches():
    rng = np.random.default_rng(5)
    values, x = rng.normal(size=(40_000, 12)), rng.normal(size=12) / 4
    b = softmax(values @ x) * rng.uniform(0.5, 1.5, size=40_000)
    exact = softmax_regression(values, b, tol=1e-10)
    assert exact.n_iter < 12
    for kind in ("srht", "circulant", "bgpt", "gaussian", "sparse-sign", "countsketch"):
        result = softmax_regression(
            values, b, tol=1e-10, hessian="sketched", kind=kind, size=1000, rng=6
        )
        np.testing.assert_allclose(result.x, exact.x, rtol=1e-7)
        assert result.positive_definite
    # Where a sketch would be no smaller.
    assert softmax_regression(values[:100], b[:100], hessian="sketched", tol=1e-3).sketch_rows == 0


def test_constant_and_dependent_columns():
    b = noisy()
    values = np.column_stack([A, np.full(N, 7.0)])
    result = softmax_regression(values, b)
    assert result.x[-1] == 0
    assert not result.positive_definite
    np.testing.assert_allclose(result.x[:-1], softmax_regression(A, b).x, rtol=1e-6)
    twice = softmax_regression(np.column_stack([A, A[:, 0]]), b)
    assert not twice.positive_definite
    assert twice.objective == pytest.approx(result.objective, rel=1e-9)
    assert softmax_regression(values, b, ridge=1e-6).positive_definite


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"A": A[:, 0]}, "A has shape"),
        ({"A": np.where(A > 9, np.nan, A)}, r"A: contains NaN at index"),
        ({"A": np.where(A > 9, np.inf, A)}, r"A: contains inf at index"),
        ({"A": A * 1e200}, "A: has entries whose sums overflow"),
        ({"A": A * 1e120}, "A: has a column, 0, whose entries differ"),
        ({"A": A * 1e-200}, "A: has a column, 0, whose entries differ"),
        ({"b": np.zeros(5)}, "b has 5 entries for 3000 rows"),
        ({"b": np.full(N, np.nan)}, "b"),
        ({"b": np.full(N, 1e200)}, "b has a largest magnitude of 1e"),
        ({"ridge": -1.0}, "ridge is -1"),
        ({"ridge": 1e-200}, "ridge is 1e-200"),
        ({"tol": 0.0}, "tol is 0"),
        ({"max_iter": 0}, "max_iter is 0"),
        ({"hessian": "none"}, "hessian is 'none'"),
        ({"kind": "fourier"}, "kind is 'fourier'"),
        ({"size": 6}, "size is 6: needs more rows than the 6 columns"),
        ({"init": np.zeros(2)}, "init has 2 entries for 6 columns"),
        ({"n_threads": 0}, "n_threads is 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        softmax_regression(**{"A": A, "b": np.full(N, 1 / N), **arguments})

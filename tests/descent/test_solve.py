"""Solutions are those of independent solvers, whatever the choices."""

import itertools

import numpy as np
import pytest
from scipy import optimize, sparse
from sklearn.linear_model import Lasso

from sparrot.descent import (
    GeneralizedLinear,
    LeastSquares,
    Logistic,
    Multinomial,
    Quadratic,
    block_coordinate_descent,
)
from sparrot.errors import ConvergenceWarning, InvalidInputError

PARTITIONS = ["variable", "order", "sorted", "averaged", "row-sum-sorted", "row-sum-averaged"]
SELECTIONS = ["random", "cyclic", "lipschitz", "gs", "gsl", "gsd", "gsq"]
UPDATES = ["gradient", "backtracking", "matrix", "newton", "exact", "two-metric"]


@pytest.fixture
def data(rng):
    A = rng.normal(size=(30, 12))
    return A, A[:, :4].sum(1) + rng.normal(size=30)


@pytest.mark.parametrize(
    ("partition", "selection", "update"),
    list(itertools.product(PARTITIONS, SELECTIONS, UPDATES)),
)
def test_every_choice_ends_at_the_minimum(partition, selection, update, data):
    A, b = data
    choices = {"partition": partition, "selection": selection, "update": update, "block_size": 4}
    result = block_coordinate_descent(
        LeastSquares(A, b), tol=1e-9, rng=0, max_iter=100_000, **choices
    )
    np.testing.assert_allclose(result.x, np.linalg.lstsq(A, b)[0], atol=1e-6)
    bounded = block_coordinate_descent(
        LeastSquares(A, b, bounds=(0, np.inf)), tol=1e-9, rng=0, max_iter=100_000, **choices
    )
    np.testing.assert_allclose(bounded.x, optimize.nnls(A, b)[0], atol=1e-6)
    assert (bounded.x >= 0).all()


@pytest.mark.parametrize("form", [np.asfortranarray, np.ascontiguousarray, sparse.csc_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_lasso(form, dtype, data):
    A, b = data
    A = A.astype(dtype)
    expected = Lasso(alpha=0.2, fit_intercept=False, tol=1e-14).fit(A.astype(float), b).coef_
    problem = LeastSquares(form(A), b, l1=0.2 * 30)
    result = block_coordinate_descent(problem, block_size=4, tol=1e-12)
    np.testing.assert_allclose(result.x, expected, atol=1e-9)
    np.testing.assert_array_equal(result.support, np.flatnonzero(expected))
    residual = b - A.astype(float) @ result.x
    objective = residual @ residual / 2 + 6 * np.abs(result.x).sum()
    assert abs(result.objective - objective) < 1e-12 * objective
    assert 0 <= result.gap < 1e-9 * objective


@pytest.mark.parametrize("update", ["gradient", "matrix", "newton", "two-metric"])
def test_logistic(update, data):
    A, b = data
    y = np.where(b > 0, 1.0, -1.0)
    result = block_coordinate_descent(
        Logistic(A, y, l1=0.5), update=update, block_size=4, tol=1e-9, max_iter=100_000
    )
    slope = -A.T @ (y / (1 + np.exp(y * (A @ result.x))))
    is_there = result.x != 0
    np.testing.assert_allclose(slope[is_there], -0.5 * np.sign(result.x[is_there]), atol=1e-6)
    assert (np.abs(slope[~is_there]) <= 0.5 + 1e-6).all()
    own = GeneralizedLinear(
        A,
        lambda z, i: np.logaddexp(0, -y[i] * z),
        lambda z, i: -y[i] / (1 + np.exp(y[i] * z)),
        lambda z, i: 0.25 / np.cosh(z / 2) ** 2,
        curvature=0.25,
        l1=0.5,
    )
    same = block_coordinate_descent(own, update=update, block_size=4, tol=1e-8, max_iter=100_000)
    np.testing.assert_allclose(same.x, result.x, atol=1e-6)
    assert np.isnan(same.gap)


def test_two_classes_of_many_are_the_logistic_loss(data):
    A, b = data
    two = block_coordinate_descent(Multinomial(A, b > 0, l1=0.3), block_size=6, tol=1e-9)
    one = block_coordinate_descent(Logistic(A, b > 0, l1=0.3), block_size=4, tol=1e-9)
    # The difference of the columns is the coefficient, and one of each pair is 0.
    np.testing.assert_allclose(two.x[:, 1] - two.x[:, 0], one.x, atol=1e-6)
    assert abs(two.objective - one.objective) < 1e-9


@pytest.mark.parametrize("partition", ["forest", "trees", "red-black"])
@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0, 0.5)])
def test_graphs(partition, bounds, rng):
    n = 60
    ends = rng.integers(n, size=(2, 120))
    W = sparse.coo_array((np.ones(120), ends), shape=(n, n)).tocsr()
    W = W + W.T
    W.setdiag(0)
    A = sparse.diags_array(W.sum(1) + 0.1) - W
    b = rng.normal(size=n)
    selection = "random" if partition == "forest" else "cyclic"
    result = block_coordinate_descent(
        Quadratic(A, b, bounds=bounds), partition=partition, selection=selection, rng=0, tol=1e-9
    )
    root = np.linalg.cholesky(A.toarray()).T
    expected = optimize.lsq_linear(root, np.linalg.solve(root.T, b), bounds, tol=1e-14)
    np.testing.assert_allclose(result.x, expected.x, atol=1e-5)
    assert result.converged


@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
def test_the_same_bits_for_any_number_of_threads_and_seed(rng):
    A, b = rng.normal(size=(400, 900)), rng.normal(size=400)
    problem = LeastSquares(A, b, l1=20.0)
    one, two = (
        block_coordinate_descent(problem, selection="random", rng=3, max_iter=200, n_threads=n)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one.x, two.x)
    with pytest.raises(AttributeError, match="frozen"):
        one.x = 0


def test_callbacks_and_limits(data):
    A, b = data
    seen = []
    problem = LeastSquares(A, b, l1=1.0)
    with pytest.warns(ConvergenceWarning, match="callback"):
        result = block_coordinate_descent(
            problem, block_size=1, callback=lambda s: seen.append(s) or s.iteration == 3
        )
    assert [state.iteration for state in seen] == [0, 1, 2, 3]
    assert result.status == "callback"
    assert seen[-1].objective < seen[0].objective
    with pytest.raises(ZeroDivisionError):
        block_coordinate_descent(problem, callback=lambda s: 1 / 0)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        start = block_coordinate_descent(problem, max_iter=0)
    assert not start.x.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda A, b: LeastSquares(A, b[:-1]), "b has 29 values for 30 rows of A"),
        (lambda A, b: Logistic(A, b[:-1] > 0), "y has 29 values for 30 rows of A"),
        (lambda A, b: Quadratic(np.eye(3), b[:2]), "b has 2 values for 3 rows of A"),
        (lambda A, b: LeastSquares(np.where(A > 2, np.nan, A), b), "A contains nan"),
        (lambda A, b: LeastSquares(A, b, l1=-1.0), "l1 has a value of -1"),
        (lambda A, b: LeastSquares(A, b, bounds=(1, 0)), "no number lies between"),
        (lambda A, b: LeastSquares(A[:0], b[:0]), "at least one row"),
        (lambda A, b: Logistic(A, b), "needs -1 and 1"),
        (lambda A, b: Multinomial(A, np.ones(30)), "one class"),
        (lambda A, b: Quadratic(A, b), "square"),
        (lambda A, b: Quadratic(np.array([[1.0, 2], [0, 1]]), b[:2]), "symmetric"),
        (lambda A, b: Quadratic(-np.eye(3), b[:3]), "positive semi-definite"),
    ],
)
def test_bad_problems(make, message, data):
    with pytest.raises(InvalidInputError, match=message):
        make(*data)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("indices", [0, 3, 2], r"A.indices has 3 at index 1: .*, 0 to 2"),
        ("indices", [0, -1, 2], r"A.indices has -1 at index 1"),
        ("indices", [0, 1, 2**32 + 2], rf"A.indices has {2**32 + 2} at index 2"),
        ("indptr", [0, 2, 1, 3], "A.indptr has 2 and then 1 at index 2"),
        ("indptr", [0, 1, 2, 4], "A.indptr goes from 0 to 4 for 3 indices"),
    ],
)
def test_entries_in_no_place_are_refused(form, part, values, message):
    matrix = form(np.eye(3))
    setattr(matrix, part, np.array(values))
    for problem in (LeastSquares, Quadratic):
        with pytest.raises(InvalidInputError, match=message):
            problem(matrix, np.ones(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"partition": "none"}, "partition is 'none'"),
        ({"partition": "forest"}, "needs a Quadratic"),
        ({"partition": [[0, 1], [1, 2]]}, "in 2 blocks|in 0 blocks"),
        ({"partition": [[0, 99]]}, "the index 99"),
        ({"selection": "best"}, "selection is 'best'"),
        ({"update": "message-passing"}, "needs a Quadratic"),
        ({"block_size": 13}, "at most 12"),
        ({"tol": -1.0}, "tol is -1.0"),
        ({"x0": np.ones(3)}, "x0 has shape"),
        ({"rng": "seed"}, "rng is 'seed'"),
        ({"callback": 1}, "callback is 1"),
    ],
)
def test_bad_arguments(arguments, message, data):
    with pytest.raises(InvalidInputError, match=message):
        block_coordinate_descent(LeastSquares(*data), **arguments)


def test_what_only_the_solver_sees(rng):
    ring = sparse.diags_array([3.0, -1, -1, -1, -1], offsets=[0, 1, -1, 4, -4], shape=(5, 5))
    with pytest.raises(InvalidInputError, match="cycle"):
        block_coordinate_descent(
            Quadratic(ring, np.ones(5)), partition=[np.arange(5)], update="message-passing"
        )
    indefinite = np.array([[1.0, 3.0], [3.0, 1.0]])
    with pytest.raises(InvalidInputError, match="no minimum"):
        block_coordinate_descent(
            Quadratic(indefinite, np.array([1.0, -1.0])), update="gradient", max_iter=10_000
        )
    failing = GeneralizedLinear(
        rng.normal(size=(4, 2)), lambda z, i: z[:1], lambda z, i: z, lambda z, i: z, curvature=1.0
    )
    with pytest.raises(InvalidInputError, match="value returned shape"):
        block_coordinate_descent(failing)


@pytest.mark.parametrize("unit", [1e154, 1e-170])
def test_data_out_of_range_is_refused(unit, data):
    A, b = data
    for target in (b, unit * b):
        with pytest.raises(InvalidInputError, match=r"scale the data|overflow"):
            block_coordinate_descent(LeastSquares(A * unit, target))


def test_linear_variables_are_refused():
    for A, b in (([[0.0]], [1.0]), ([[1.0, 0.0], [0.0, 0.0]], [1.0, 5.0])):
        with pytest.raises(InvalidInputError, match="A has a row of zeros"):
            Quadratic(A, b, bounds=(0, 1))


def test_derivatives_that_are_not_finite_are_named(data):
    A, _ = data
    problem = GeneralizedLinear(
        A, lambda z, i: z**2, lambda z, i: z + np.inf, lambda z, i: 0 * z + 2, curvature=2.0
    )
    with pytest.raises(InvalidInputError, match="derivative returned inf for row"):
        block_coordinate_descent(problem)


@pytest.mark.parametrize("selection", ["gsd", "cyclic", "random"])
def test_less_than_rounding_allows_is_stalled(selection, data):
    A, b = data
    with pytest.warns(ConvergenceWarning, match="stalled"):
        result = block_coordinate_descent(
            LeastSquares(A, b), selection=selection, tol=0, block_size=6, rng=0
        )
    assert result.status == "stalled"
    assert result.stationarity < 1e-14


@pytest.mark.parametrize("update", ["newton", "exact"])
def test_where_the_hessian_is_zero_the_gradient_leads_away(update, data):
    far = block_coordinate_descent(
        Logistic(np.ones((4, 1)), [0, 0, 0, 1]), update=update, x0=[50.0], tol=1e-8
    )
    np.testing.assert_allclose(far.x, -np.log(3), atol=1e-6)
    A, b = data
    huber = GeneralizedLinear(
        A,
        lambda z, i: np.where(abs(z - b[i]) < 1, (z - b[i]) ** 2 / 2, abs(z - b[i]) - 0.5),
        lambda z, i: np.clip(z - b[i], -1, 1),
        lambda z, i: (abs(z - b[i]) < 1).astype(float),
        curvature=1.0,
    )
    result = block_coordinate_descent(huber, update=update, x0=np.full(12, 100.0), tol=1e-6)
    assert np.abs(A.T @ np.clip(A @ result.x - b, -1, 1)).max() < 1e-4


@pytest.mark.parametrize("size", [5, 50])
def test_exact_blocks_with_bounds_end(size, rng):
    A = rng.normal(size=(100, 400)) * 100
    b = A[:, :10].sum(1)
    problem = LeastSquares(A, b, l1=1e4, bounds=(0, np.inf))
    result = block_coordinate_descent(
        problem, selection="gsq", update="exact", block_size=size, tol=1e-12
    )
    assert result.converged
    assert result.gap < 1e-10 * result.objective


@pytest.mark.parametrize(
    "call",
    [
        lambda A, b: LeastSquares(A, b, l1=[[1], [1, 2]]),
        lambda A, b: block_coordinate_descent(LeastSquares(A, b), partition=[[[0, 1], [2]]]),
    ],
)
def test_ragged_arguments_are_named(call, data):
    with pytest.raises(InvalidInputError, match=r"l1 cannot be read|partition is"):
        call(*data)

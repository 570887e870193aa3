"""Harmonic extensions: right by every method, bounded, and never silent."""

import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sparrot import Status
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.graph import laplacian_solve
from tests.graph.conftest import exact, laplacian, lattice, moons, random_graph, reached

METHODS = ["auto", "cg", "cholesky", "dense", "forest", "forest_cg"]


def reference(W, labelled, values, diagonal=None, source=None):
    """By a dense solve; nan where nothing is known."""
    n, k = W.shape[0], values.shape[1]
    A = laplacian(W) + np.diag(np.zeros(n) if diagonal is None else diagonal)
    b = np.zeros((n, k)) if source is None else source
    held = np.zeros(n, bool) if diagonal is None else diagonal > 0
    held[labelled] = True
    x = np.full((n, k), np.nan)
    x[labelled] = values
    free = np.setdiff1d(np.flatnonzero(reached(W, held)), labelled)
    x[free] = np.linalg.solve(A[np.ix_(free, free)], b[free] - A[np.ix_(free, labelled)] @ values)
    return x


@pytest.mark.parametrize("k", [1, 2, 3, 7, 8, 9, 17])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_solution(method, k, rng):
    W = random_graph(rng, 60, density=0.08, spread=1.0)
    labelled = rng.choice(60, 7, replace=False)
    values = rng.normal(size=(7, k))
    expected = reference(W, labelled, values)
    result = laplacian_solve(sparse.csr_array(W), labelled, values, method=method, tol=1e-12)
    known = ~np.isnan(expected[:, 0])
    np.testing.assert_allclose(result.x[known], expected[known], rtol=0, atol=1e-10)
    np.testing.assert_array_equal(result.unreached, np.flatnonzero(~known))
    assert result.converged
    assert result.method == method or method == "auto"
    np.testing.assert_array_equal(result.x[labelled], values)


@given(seed=st.integers(0, 10**6), method=st.sampled_from(METHODS))
def test_sources_diagonals_and_components(seed, method):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    W = random_graph(rng, n, density=rng.uniform(0, 0.3), spread=2.0)
    labelled = np.flatnonzero(rng.random(n) < 0.2)
    values = rng.normal(size=(len(labelled), 2))
    diagonal = rng.random(n) * (rng.random(n) < 0.2)
    held = diagonal > 0
    held[labelled] = True
    known = reached(W, held)
    source = rng.normal(size=(n, 2)) * known[:, None]
    expected = reference(W, labelled, values, diagonal, source)
    result = laplacian_solve(
        W, labelled, values, diagonal=diagonal, source=source, method=method, tol=1e-9
    )
    scale = 1 + np.abs(expected[known]).max(initial=0)
    np.testing.assert_allclose(result.x[known], expected[known], rtol=0, atol=1e-5 * scale)
    np.testing.assert_array_equal(result.unreached, np.flatnonzero(~known))
    fill = values.mean(0) if len(labelled) else np.zeros(2)
    np.testing.assert_array_equal(result.x[~known], np.broadcast_to(fill, ((~known).sum(), 2)))
    # The bound, far below that, holds where the reference is good to far less than it.
    bound = result.error_bound()
    slack = 1e-12 * scale
    assert (np.abs(result.x - expected)[known] <= bound[known] + slack).all()
    assert np.isfinite(bound).all()
    assert (bound[~known] == 0).all()


def test_the_residual_is_the_one_described(rng):
    W, _ = moons(500)
    labelled = np.arange(30)
    values = rng.normal(size=(30, 2))
    result = laplacian_solve(W, labelled, values, tol=1e-4)
    free = np.setdiff1d(np.arange(500), np.concatenate([labelled, result.unreached]))
    A = laplacian(W)
    b = -A[np.ix_(free, labelled)] @ values
    r = b - A[np.ix_(free, free)] @ result.x[free]
    d = np.diag(A)[free, None]
    whole = np.linalg.norm(r, axis=0) / np.linalg.norm(b, axis=0)
    node = np.abs(r / d).max(0) / np.abs(b / d).max(0)
    np.testing.assert_allclose(result.residuals, np.maximum(whole, node), rtol=1e-6)
    assert result.residual == result.residuals.max() <= 1e-4


def test_data_set_d_of_the_paper():
    # 50 x 50 lattice, weights 1e5, labels chosen and then drawn from NumPy's legacy generator.
    legacy = np.random.RandomState(1)
    labelled = legacy.choice(2500, 100, replace=False)
    values = legacy.randn(100) * 10
    W = lattice(50, 1e5)
    result = laplacian_solve(W, labelled, values, tol=1e-12)
    A = laplacian(W)
    free = np.setdiff1d(np.arange(2500), labelled)
    x = result.x[free]
    b = -A[np.ix_(free, labelled)] @ values
    objective = x @ A[np.ix_(free, free)] @ x / 2 - b @ x
    assert objective == pytest.approx(-1045999575.2270696, rel=1e-13)


@pytest.mark.parametrize("method", ["cg", "cholesky", "dense"])
@pytest.mark.parametrize("power", [-250, -100, 0, 100, 250])
def test_units_do_not_matter(method, power, rng):
    W = random_graph(rng, 40)
    values = rng.normal(size=5)
    one = laplacian_solve(W, range(5), values, method=method, tol=1e-10)
    factor = 2.0**power
    other = laplacian_solve(factor * W, range(5), values / factor, method=method, tol=1e-10)
    assert one.converged
    assert other.converged
    np.testing.assert_allclose(other.x * factor, one.x, rtol=1e-9)
    # Powers of two are exact.
    assert other.residual == pytest.approx(one.residual, rel=1e-6, abs=1e-16)


@given(seed=st.integers(0, 10**6), spread=st.sampled_from([0, 2, 8, 60]))
def test_dense_elimination_is_right_to_the_last_digits_and_bounds_hold(seed, spread):
    rng = np.random.default_rng(seed)
    n = 12
    W = random_graph(rng, n, density=1.0, spread=spread)
    values = rng.random(2)
    solution = exact(W, [0, 1], values)
    result = laplacian_solve(W, [0, 1], values, method="dense")
    truth = np.array([float(x) for x in solution])
    np.testing.assert_allclose(result.x, truth, rtol=1e-13)
    for method in ("cg", "dense"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # by "cg"
            answer = laplacian_solve(W, [0, 1], values, method=method, tol=1e-6)
        assert method == "cg" or answer.converged
        bound = answer.error_bound()
        for x, b, s in zip(answer.x, bound, solution, strict=True):
            assert abs(float(x) - s) <= b
    # Weights that differ are no reason for a bound without meaning.
    assert bound.max() < 1e-11


def test_bounds_allow_for_sums_over_many_fixed_neighbours(rng):
    # Two unknowns, tied to each other by 1e20 times what ties them to the 300 others.
    n = 302
    W = np.zeros((n, n))
    W[:2, 2:] = rng.random((2, 300))
    W[0, 1] = 1e20
    W = np.maximum(W, W.T)
    labelled, values = list(range(2, n)), rng.normal(size=300)
    solution = exact(W, labelled, values)
    result = laplacian_solve(W, labelled, values, method="dense")
    bound = result.error_bound()
    # As much as the sums alone may be off by, and not much more.
    assert (bound[:2] >= 300 * 2.0**-53 * np.abs(values).mean()).all()
    assert bound.max() < 1e-11
    for i in (0, 1):
        assert abs(float(solution[i] - Fraction(float(result.x[i])))) <= bound[i]


def test_a_cluster_on_a_thread(rng):
    # The thread is lost in the sums of the weights: 1 + 1 + 1e-30 = 2.
    W = random_graph(rng, 30, density=1.0)
    W[0, :] = W[:, 0] = 0
    W[0, 5] = W[5, 0] = 1e-30
    dense = laplacian_solve(W, [0], [3.0], method="dense")
    np.testing.assert_allclose(dense.x, 3.0, rtol=1e-12)
    assert dense.error_bound().max() < 1e-10
    # Nothing else can find it, and says so.
    for method in ("cg", "forest_cg"):
        with pytest.warns(ConvergenceWarning, match="use method='dense'"):
            result = laplacian_solve(W, [0], [3.0], method=method)
        assert not result.converged
        assert np.isfinite(result.x).all()
        assert (np.abs(result.x - 3) <= result.error_bound()).all()
    with pytest.raises(InvalidInputError, match="use method='dense'"):
        laplacian_solve(W, [0], [3.0], method="cholesky")


def test_weights_at_the_ends_of_the_range(rng):
    # Subnormal weights, which have few digits, are taken as they are.
    W = random_graph(rng, 12, density=1.0) * 1e-318
    W[0, :] = W[:, 0] = 0
    W[0, 5] = W[5, 0] = 1e-322
    truth = np.array([float(x) for x in exact(W, [0, 1], [1.0, 2.0])])
    result = laplacian_solve(W, [0, 1], [1.0, 2.0], method="dense")
    np.testing.assert_allclose(result.x, truth, rtol=1e-13)
    huge = random_graph(rng, 12, density=1.0) * 1e300
    np.testing.assert_allclose(
        laplacian_solve(huge, [0, 1], [1.0, 2.0], method="dense").x,
        laplacian_solve(huge / 2**500, [0, 1], [1.0, 2.0], method="dense").x,
        rtol=1e-13,
    )
    apart = random_graph(rng, 12, density=1.0)
    apart[0, :] = apart[:, 0] = 0
    apart[0, 5] = apart[5, 0] = 1e-310
    with pytest.raises(InvalidInputError, match=r"W: node .* below 1e-300 of the largest"):
        laplacian_solve(apart, [0], [1.0], method="dense")


def test_values_stay_within_those_given(rng):
    W, _ = moons(2000)
    labelled = rng.choice(2000, 20, replace=False)
    values = rng.normal(size=20)
    result = laplacian_solve(W, labelled, values, tol=1e-10)
    bound = result.error_bound()
    assert (result.x <= values.max() + bound).all()
    assert (result.x >= values.min() - bound).all()
    assert bound.max() < 1e-7


@pytest.mark.parametrize("method", ["auto", "cg", "cholesky", "dense"])
def test_threads_do_not_change_a_bit(method, rng):
    W, _ = moons(1500)
    values = rng.normal(size=(60, 30))
    one, two = (
        laplacian_solve(W, np.arange(60), values, method=method, n_threads=threads)
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_array_equal(one.error_bound(), two.error_bound())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(
    "form", [sparse.csr_array, sparse.csc_array, sparse.coo_matrix, np.asarray, np.asfortranarray]
)
def test_forms_of_the_graph(form, dtype, rng):
    dense = np.round(4 * random_graph(rng, 50)).astype(dtype)
    W = form(dense)
    result = laplacian_solve(W, [0, 1, 2], [1.0, 2.0, 4.0])
    expected = laplacian_solve(dense.astype(float), [0, 1, 2], [1.0, 2.0, 4.0])
    np.testing.assert_array_equal(result.x, expected.x)
    assert result.x.dtype == np.float64


def test_masks_are_in_the_order_of_nodes(chain):
    mask = np.zeros(101, bool)
    mask[[0, 100]] = True
    by_mask = laplacian_solve(chain, mask, [0.0, 1.0])
    by_index = laplacian_solve(chain, [100, 0], [1.0, 0.0])
    np.testing.assert_array_equal(by_mask.x, by_index.x)
    np.testing.assert_allclose(by_mask.x, np.linspace(0, 1, 101), atol=1e-12)


def test_nothing_to_solve_for():
    everything = laplacian_solve(np.ones((3, 3)), [0, 1, 2], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(everything.x, [1, 2, 3])
    assert everything.converged
    nothing = laplacian_solve(np.zeros((3, 3)), [0], [5.0])
    np.testing.assert_array_equal(nothing.x, [5, 5, 5])
    np.testing.assert_array_equal(nothing.unreached, [1, 2])
    filled = laplacian_solve(np.zeros((3, 3)), [0], [5.0], fill_value=-1)
    np.testing.assert_array_equal(filled.x, [5, -1, -1])
    np.testing.assert_array_equal(filled.error_bound(), 0)


def test_results_are_mappings_and_pickle(chain):
    result = laplacian_solve(chain, [0], [1.0])
    copy = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(copy.x, result["x"])
    np.testing.assert_array_equal(copy.error_bound(), result.error_bound())
    assert "residual" in repr(result)


@pytest.mark.parametrize("method", ["cg", "forest", "forest_cg"])
def test_ending_early_is_told(method):
    W = lattice(60)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        result = laplacian_solve(W, [0, 3599], [0.0, 1.0], method=method, max_iter=3)
    assert result.status is Status.MAX_ITER
    assert not result.converged
    assert result.residual > 1e-8
    assert result.n_iter == 3
    with pytest.warns(ConvergenceWarning, match="max_time"):
        result = laplacian_solve(W, [0, 3599], [0.0, 1.0], method=method, max_time=0)
    assert result.status is Status.MAX_TIME
    with pytest.warns(ConvergenceWarning, match="rounding|max_iter"):
        result = laplacian_solve(W, [0, 3599], [0.0, 1.0], method=method, tol=0, max_iter=2000)
    assert result.status in (Status.STALLED, Status.MAX_ITER)


def test_auto_goes_over_to_a_factor_when_that_is_faster(rng):
    W = lattice(150)
    hard = laplacian_solve(W, [0, 22499], rng.normal(size=(2, 100)))
    assert hard.method == "cholesky"
    labelled = rng.choice(22500, 2000, replace=False)
    easy = laplacian_solve(W, labelled, rng.normal(size=2000))
    assert easy.method == "cg"


ONES = np.ones((3, 3))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones((2, 3)), [0], [1.0]), {}, r"W has shape \(2, 3\): needs a square"),
        ((np.ones((0, 0)), [0], [1.0]), {}, "W has shape"),
        ((np.ones(3), [0], [1.0]), {}, "W has shape"),
        ((ONES * 1j, [0], [1.0]), {}, "W has dtype complex128"),
        ((np.array([[0, 1.0], [2, 0]]), [0], [1.0]), {}, r"\(0, 1\) is 1 but .*\(1, 0\) is 2"),
        ((np.array([[0, -1.0], [-1, 0]]), [0], [1.0]), {}, r"\(0, 1\) is -1: .*non-negative"),
        ((np.array([[0, np.nan], [np.nan, 0]]), [0], [1.0]), {}, r"\(0, 1\) is NaN: .*finite"),
        ((np.array([[0, np.inf], [np.inf, 0]]), [0], [1.0]), {}, r"\(0, 1\) is inf: .*finite"),
        ((ONES, [3], [1.0]), {}, r"labelled\[0\] is 3: needs the index of a node, 0 to 2"),
        ((ONES, [-1], [1.0]), {}, r"labelled\[0\] is -1"),
        ((ONES, [1, 1], [1.0, 2.0]), {}, "labelled has node 1 2 times"),
        ((ONES, [0.5], [1.0]), {}, "labelled has dtype float64"),
        ((ONES, [[0]], [1.0]), {}, "labelled has shape"),
        ((ONES, [True, False], [1.0]), {}, "labelled has 2 values for 3 nodes"),
        ((ONES, [0], [1.0, 2.0]), {}, "values has 2 rows for 1 labelled"),
        ((ONES, [0], [np.nan]), {}, "values contains nan"),
        ((ONES, [0], [-np.inf]), {}, "values contains -inf"),
        ((ONES, [0], [-2e150]), {}, r"values has -2e\+150: needs magnitudes up to 1e\+150"),
        ((ONES, [0], [[]]), {}, "values has shape"),
        ((sparse.csr_array(np.ones(3)), [0], [1.0]), {}, r"W has shape \(3,\): needs 2"),
        ((ONES, [0], None), {}, "values is None"),
        ((ONES,), {}, "nothing to extend"),
        ((ONES, [0], [1.0]), {"diagonal": [1.0, -1.0, 0]}, r"diagonal\[1\] is -1.0"),
        ((ONES, [0], [1.0]), {"diagonal": [1.0]}, "diagonal has 1 values for 3 nodes"),
        ((ONES, [0], [1.0]), {"source": [1.0]}, "source has 1 rows for 3 nodes"),
        ((ONES, [0], [1.0]), {"source": np.ones((3, 2))}, "source has 2 columns"),
        ((np.zeros((3, 3)), [0], [1.0]), {"source": np.ones(3)}, "source: is not 0 at node 1"),
        ((ONES, [0], [1.0]), {"method": "amg"}, "method is 'amg'"),
        ((ONES, [0], [1.0]), {"tol": -1}, "tol is -1"),
        ((ONES, [0], [1.0]), {"max_iter": 1.5}, "max_iter is 1.5"),
        ((ONES, [0], [1.0]), {"max_time": -1}, "max_time is -1"),
        ((ONES, [0], [1.0]), {"n_threads": 0}, "n_threads is 0"),
        ((ONES, [0], [1.0]), {"fill_value": np.nan}, "fill_value is nan"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(InvalidInputError, match=message):
        laplacian_solve(*arguments, **options)


@pytest.mark.parametrize("method", METHODS)
def test_values_whose_squares_overflow_are_refused(method):
    W = sparse.csr_array(sparse.diags_array([10.0, 10.0], offsets=[-1, 1], shape=(6, 6)))
    for largest in (1.7e308, -1e160):
        with pytest.raises(InvalidInputError, match=r"values has .*, as squares overflow"):
            laplacian_solve(W, [0, 5], [0.0, largest], method=method)
    result = laplacian_solve(W, [0, 5], [0.0, 1e150], method=method)
    np.testing.assert_allclose(result.x / 1e150, np.arange(6) / 5, atol=1e-7)
    assert (result.error_bound() < 1e143).all()


def test_the_mean_at_unreached_nodes_is_finite():
    nothing = sparse.csr_array((3, 3))
    with pytest.raises(InvalidInputError, match=r"values has 1\.7e\+308"):
        laplacian_solve(nothing, [0, 1], [1.7e308, 1.7e308])
    result = laplacian_solve(nothing, [0, 1], [1e150, 1e150])
    np.testing.assert_allclose(result.x, 1e150)


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("indices", [1, 2, 3, 1], r"W.indices has 3 at index 2: .* column, 0 to 2"),
        ("indices", [1, -1, 2, 1], "W.indices has -1 at index 1"),
        ("indices", [1, 0, 2, 2**32 + 1], rf"W.indices has {2**32 + 1} at index 3"),
        ("indptr", [0, 3, 2, 4], "W.indptr has 3 and then 2 at index 2"),
        ("indptr", [0, 1, 3, 5], "W.indptr goes from 0 to 5 for 4 indices"),
    ],
)
def test_entries_in_no_place_are_refused(part, values, message):
    W = sparse.csr_array(sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(3, 3)))
    setattr(W, part, np.array(values))
    with pytest.raises(InvalidInputError, match=message):
        laplacian_solve(W, [0], [1.0])


def test_input_is_left_alone(chain, rng):
    chain.data.flags.writeable = False
    values = np.array([0.0, 1.0])
    values.flags.writeable = False
    W = sparse.csr_array(random_graph(rng, 20))
    before = W.copy()
    laplacian_solve(W, [0, 1], values)
    laplacian_solve(chain, [0, 100], values)
    assert (before != W).nnz == 0


def test_repeated_and_unsorted_entries_are_summed():
    W = sparse.csr_array(
        (np.array([1.0, 1.0, 2.0, 3.0, 3.0]), np.array([2, 1, 0, 0, 0]), np.array([0, 2, 3, 5]))
    )
    # Row 2 has (2, 0) twice, 3 + 3; row 0 has 1 at (0, 2).
    with pytest.raises(InvalidInputError, match=r"\(0, 1\) is 1 but .*\(1, 0\) is 2"):
        laplacian_solve(W, [0], [1.0])


@pytest.mark.parametrize("k", [1, 8, 9, 20])
def test_auto_ending_early_has_all_columns(k, rng):
    W = random_graph(rng, 1000, density=0.008)  # whose factor would be full
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        result = laplacian_solve(W, [0, 1], rng.normal(size=(2, k)), max_iter=2)
    assert result.method == "cg"
    assert result.x.shape == (1000, k)
    assert np.isfinite(result.residuals).all()

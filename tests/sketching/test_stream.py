"""Least squares of blocks of rows: any blocks, merged in any way, give the answer of the whole."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sparrot import Status
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.sketching import (
    LeastSquaresState,
    SketchedRegression,
    SketchedRidge,
    lstsq,
    lstsq_blocks,
)
from tests.sketching.test_lstsq import problem, require_bounds


def cut(rng, n):
    """Some places to cut n rows at, empty blocks excluded."""
    places = rng.choice(np.arange(1, n), size=int(rng.integers(0, min(n - 1, 6))), replace=False)
    return [0, *sorted(int(place) for place in places), n]


def blocks(A, b, weights, places):
    for start, end in itertools.pairwise(places):
        part = (A[start:end], b[start:end])
        yield part if weights is None else (*part, weights[start:end])


@pytest.mark.parametrize("part", range(4))
def test_bounds_hold_on_random_problems(part):
    rng = np.random.default_rng(200 + part)
    digits = []
    for _ in range(100):
        d = int(rng.integers(1, 8))
        n = int(rng.integers(d + 2, 120))
        condition = 10.0 ** rng.uniform(0, 12)
        A, b = problem(rng, n, d, condition, 10.0 ** rng.uniform(-8, 2))
        A = A * 10.0 ** rng.uniform(-6, 6, size=d)
        keywords = {}
        if rng.random() < 0.3:
            keywords["ridge"] = float(10.0 ** rng.uniform(-8, 2) * np.linalg.norm(A, 2) ** 2)
        if rng.random() < 0.4:
            # Within one run of rows they differ by as much as can be.
            keywords["weights"] = rng.random(n) * 10.0 ** rng.uniform(-12, 12, size=n)
            keywords["weights"][rng.random(n) < 0.1] = 0
        if rng.random() < 0.4:
            keywords["intercept"] = True
            A = A + rng.normal(size=d) * abs(A).max() * 10.0 ** rng.uniform(-3, 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            result = lstsq_blocks(
                blocks(A, b, keywords.get("weights"), cut(rng, n)),
                ridge=keywords.get("ridge", 0.0),
                fit_intercept=keywords.get("intercept", False),
            )
        if np.isfinite(result.coef_bound).all():
            _, x = require_bounds_but_the_residual(result, A, b, **keywords)
            size = max(abs(float(v)) for v in x)
            digits.append(result.coef_bound.max() / size if size else 0.0)
    assert len(digits) >= 80
    assert np.median(digits) < 1e-8


def require_bounds_but_the_residual(result, A, b, **keywords):
    """Of one pass the norm of the residual is right to rounding of the norm of b alone."""
    from tests.sketching import exact

    x, intercept, _ = exact.solve(A, b, **keywords)
    distance = exact.errors(result.x, x)
    assert (distance <= result.coef_bound).all()
    assert exact.errors([result.intercept], [intercept])[0] <= result.intercept_bound
    return distance, x


@pytest.mark.parametrize("condition", [1e0, 1e4, 1e7, 1e11])
def test_one_pass_has_the_digits_that_are_promised(condition):
    rng = np.random.default_rng(1)
    A, b = problem(rng, 3000, 20, condition)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = lstsq_blocks(blocks(A, b, None, [0, 500, 501, 2000, 3000]))
    distance, x = require_bounds(result, A, b)
    largest = max(abs(float(v)) for v in x)
    assert result.converged == (condition < 1e6) or condition == 1e7
    assert result.coef_bound.max() / largest <= max(1e-13, 1e-26 * condition**2)
    assert distance.max() <= result.coef_bound.max()
    assert result.method == "twofold-gram"
    assert result.passes == 1


@pytest.mark.parametrize("condition", [1e4, 1e9, 1e12])
def test_blocks_that_come_again_have_all_digits(condition):
    rng = np.random.default_rng(9)
    A, b = problem(rng, 3000, 20, condition)
    result = lstsq_blocks(list(blocks(A, b, None, [0, 500, 501, 2000, 3000])))
    distance, x = require_bounds(result, A, b)
    assert result.converged
    assert distance.max() <= 1e-13 * max(abs(float(v)) for v in x)
    # No more passes than are needed.
    assert result.passes == {1e4: 1, 1e9: 2, 1e12: 3}[condition]


@pytest.mark.parametrize("part", range(2))
def test_bounds_hold_on_random_problems_read_again(part):
    rng = np.random.default_rng(300 + part)
    digits = []
    for _ in range(100):
        d = int(rng.integers(1, 7))
        n = int(rng.integers(d + 2, 100))
        A, b = problem(rng, n, d, 10.0 ** rng.uniform(4, 13), 10.0 ** rng.uniform(-8, 2))
        A = A * 10.0 ** rng.uniform(-4, 4, size=d)
        keywords = {}
        if rng.random() < 0.3:
            keywords["ridge"] = float(10.0 ** rng.uniform(-25, -10) * np.linalg.norm(A, 2) ** 2)
        if rng.random() < 0.4:
            keywords["weights"] = rng.random(n) * 10.0 ** rng.uniform(-6, 6, size=n)
            keywords["weights"][rng.random(n) < 0.1] = 0
        if rng.random() < 0.4:
            keywords["intercept"] = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            result = lstsq_blocks(
                list(blocks(A, b, keywords.get("weights"), cut(rng, n))),
                ridge=keywords.get("ridge", 0.0),
                fit_intercept=keywords.get("intercept", False),
                tol=10.0 ** rng.uniform(-30, -8),
            )
        if np.isfinite(result.coef_bound).all():
            _, x = require_bounds_but_the_residual(result, A, b, **keywords)
            size = max(abs(float(v)) for v in x)
            digits.append(result.coef_bound.max() / size if size else 0.0)
    assert len(digits) >= 80
    assert np.median(digits) < 1e-12


def test_several_right_hand_sides_read_again():
    rng = np.random.default_rng(10)
    A, b = problem(rng, 500, 5, 1e10)
    B = np.column_stack([b, np.zeros(500), rng.normal(size=500)])
    parts = [(A[:200], B[:200]), (A[200:], B[200:])]
    result = lstsq_blocks(parts, fit_intercept=True)
    assert result.converged
    assert result.passes == 2
    assert (result.x[:, 1] == 0).all()
    assert result.intercept[1] == 0
    for t in (0, 2):
        alone = lstsq(A, B[:, t], fit_intercept=True)
        limit = result.coef_bound[:, t] + alone.coef_bound
        assert (abs(result.x[:, t] - alone.x) <= limit).all()
        assert np.isfinite(limit).all()
    few = lstsq_blocks(parts, fit_intercept=True, n_threads=1)
    assert np.array_equal(few.x, result.x)


def test_what_can_be_read_once_only_is_told():
    rng = np.random.default_rng(11)
    A, b = problem(rng, 300, 4, 1e10)
    parts = [(A[:100], b[:100]), (A[100:], b[100:])]
    with pytest.warns(ConvergenceWarning, match="give the rows again, to lstsq_blocks"):
        once = lstsq_blocks(iter(parts))
    assert (once.passes, once.status) == (1, Status.STALLED)

    class Shrinking:
        passes = 0

        def __iter__(self):
            # The check that it begins anew, then the passes.
            self.passes += 1
            return iter(parts if self.passes <= 2 else parts[:1])

    with pytest.raises(InvalidInputError, match="blocks gave 100 rows in pass 2, 300 in the first"):
        lstsq_blocks(Shrinking())
    with pytest.warns(
        ConvergenceWarning, match="max_iter=1 is used up|rounding allows for no more"
    ):
        cut_short = lstsq_blocks(parts, tol=1e-40, max_iter=1)
    assert cut_short.passes == 2
    with pytest.raises(InvalidInputError, match="max_iter"):
        lstsq_blocks(parts, max_iter=0)


def test_states_are_merged_in_any_order_pickled_and_copied():
    rng = np.random.default_rng(2)
    A, b = problem(rng, 5000, 6, 1e3)
    B = np.column_stack([b, rng.normal(size=5000)])
    weights = rng.random(5000)
    weights[1000:2000] = 0
    whole = lstsq(A, B, sample_weight=weights, fit_intercept=True, ridge=0.1)
    states = [
        LeastSquaresState(6, 2).update(A[s : s + 1000], B[s : s + 1000], weights[s : s + 1000])
        for s in range(0, 5000, 1000)
    ]
    sizes = {len(pickle.dumps(state)) for state in states}
    assert max(sizes) < 4000
    before = states[3].copy()
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        state = states[order[0]].copy()
        for place in order[1:]:
            state.merge(pickle.loads(pickle.dumps(states[place])))
        assert (state.n_rows, state.n_blocks) == (5000, 5)
        result = state.finalize(fit_intercept=True, ridge=0.1)
        np.testing.assert_allclose(result.x, whole.x, rtol=1e-14)
        np.testing.assert_allclose(result.intercept, whole.intercept, rtol=1e-14)
        np.testing.assert_allclose(result.residual_norm, whole.residual_norm, rtol=1e-12)
    assert states[3].n_rows == 1000
    assert np.array_equal(before.finalize().x, states[3].finalize().x)
    # Whether there is an intercept, and the penalty, are chosen afterwards.
    plain = state.finalize()
    np.testing.assert_allclose(plain.x, lstsq(A, B, sample_weight=weights).x, rtol=1e-13)


def test_layouts_and_threads_give_the_same_bits():
    rng = np.random.default_rng(3)
    A, b = problem(rng, 20_000, 9, 1e3)
    first = LeastSquaresState(9).update(A, b, n_threads=1).finalize()
    for other in (np.asfortranarray(A), sparse.csr_array(A)):
        found = LeastSquaresState(9).update(other, b, n_threads=3).finalize()
        assert np.array_equal(found.x, first.x)
        assert np.array_equal(found.coef_bound, first.coef_bound)
    narrow = LeastSquaresState(9).update(A.astype(np.float32), b).finalize()
    require_bounds(narrow, A.astype(np.float32)[:20_000], b)


def test_dependent_columns_have_minimum_norm_and_no_bound():
    rng = np.random.default_rng(4)
    A = rng.normal(size=(400, 5))
    A = np.column_stack([A, A[:, 1], np.zeros(400), np.full(400, 3.0)])
    b = rng.normal(size=400)
    for intercept in (False, True):
        result = LeastSquaresState(8).update(A, b).finalize(fit_intercept=intercept)
        other = lstsq(A, b, fit_intercept=intercept, rng=0)
        assert result.rank == other.rank == 6 - intercept
        np.testing.assert_allclose(result.x, other.x, atol=1e-12)
        np.testing.assert_allclose(result.intercept, other.intercept, atol=1e-12)
        assert result.x[6] == 0
        assert result.coef_bound[6] == 0
        assert np.isinf(result.coef_bound[[0, 1, 5]]).all()
        assert "have rank" in result.message


def test_a_bad_block_is_named_and_leaves_the_state_as_it_was():
    rng = np.random.default_rng(5)
    A, b = rng.normal(size=(600, 3)), rng.normal(size=600)
    state = LeastSquaresState(3).update(A, b).update(A, b)
    known = state.finalize().x
    bad = A.copy()
    bad[311, 2] = np.nan
    place = r" \(block 2, from row 1200 on\)"
    for block, message in (
        ((bad, b), r"A: contains NaN at index \(311, 2\): needs finite values"),
        ((A, np.where(np.arange(600) == 7, np.inf, b)), "b contains inf at index 7"),
        ((A[:, :2], b), "A has 2 columns: needs 3"),
        ((A, b[:-1]), "b has 599 rows for 600 rows of A"),
        ((A, b[:, None]), r"b has shape \(600, 1\): needs \(n,\)"),
        ((A, b, -np.ones(600)), "sample_weight.*-1"),
        ((A, b, np.ones(599)), "sample_weight has"),
        ((A[:0], b[:0]), "A has shape"),
    ):
        with pytest.raises(InvalidInputError, match=message + ".*" + place):
            state.update(*block)
        assert (state.n_rows, state.n_blocks) == (1200, 2)
        assert np.array_equal(state.finalize().x, known)


def test_what_is_no_block_and_what_does_not_belong_together():
    A, b = np.eye(3), np.ones(3)
    for given, message in (
        (7, "blocks is a int: needs an iterable"),
        ([], "blocks has none"),
        ([(A, b), A], "blocks has a ndarray as block 1"),
        ([(A,)], "blocks has a tuple of 1 as block 0"),
        ([(A, b), (A[:, :2], b)], r"A has 2 columns: needs 3 \(block 1, from row 3 on\)"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            lstsq_blocks(given)
    state = LeastSquaresState(3)
    with pytest.raises(InvalidInputError, match="no rows have come"):
        state.finalize()
    for other, message in (
        (LeastSquaresState(2), "n_features=2: needs 3"),
        (LeastSquaresState(3, 1), "n_targets=1: needs None"),
        (3, "other is a int"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            state.merge(other)
    state.update(A, b, np.zeros(3))
    with pytest.raises(InvalidInputError, match="sample_weight was zero everywhere"):
        state.finalize()
    with pytest.raises(InvalidInputError, match="has a column, 1, of norm"):
        LeastSquaresState(2).update(np.array([[1.0, 1e-170], [2.0, 3e-170]]), b[:2]).finalize()
    with pytest.raises(InvalidInputError, match="n_features"):
        LeastSquaresState(0)


def test_a_zero_right_hand_side_is_solved_exactly():
    A = np.random.default_rng(6).normal(size=(50, 3))
    result = LeastSquaresState(3).update(A, np.zeros(50)).finalize(fit_intercept=True)
    assert (result.x == 0).all()
    assert (result.coef_bound == 0).all()
    assert result.residual_norm == 0
    assert result.status is Status.CONVERGED


def test_from_a_file(tmp_path):
    rng = np.random.default_rng(7)
    path, n, d = tmp_path / "A.bin", 10_000, 7
    A = np.memmap(path, np.float32, "w+", shape=(n, d))
    A[:] = rng.normal(size=(n, d))
    A.flush()
    b = A.astype(float) @ np.arange(d) + rng.normal(size=n)
    read_only = np.memmap(path, np.float32, "r", shape=(n, d))
    result = lstsq_blocks((read_only[s : s + 999], b[s : s + 999]) for s in range(0, n, 999))
    np.testing.assert_allclose(result.x, lstsq(read_only, b).x, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("model", [SketchedRegression(), SketchedRidge(3.0, fit_intercept=False)])
def test_partial_fit(model):
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(900, 4)) + 2, rng.normal(size=(900, 2))
    weights = rng.random(900)
    whole = clone(model).fit(X, y, weights)
    parts = clone(model)
    for start in range(0, 900, 300):
        part = slice(start, start + 300)
        assert parts.partial_fit(X[part], y[part], weights[part]) is parts
        parts = pickle.loads(pickle.dumps(parts))
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-13)
    np.testing.assert_allclose(parts.intercept_, whole.intercept_, rtol=1e-13)
    assert parts.coef_bound_.shape == (2, 4)
    assert parts.coef_bound_.max() < 1e-13
    X[3, 1] = np.nan
    with pytest.raises(InvalidInputError, match=r"X: contains NaN .*block 3, from row 900 on"):
        parts.partial_fit(X, y)
    with pytest.raises(InvalidInputError, match="method is 'sketch-solve'"):
        clone(model).set_params(method="sketch-solve").partial_fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features"):
        parts.partial_fit(X[:, :3], y)
    # fit keeps nothing of its rows, and is not added to.
    parts.fit(X[10:500], y[10:500])
    with pytest.warns(UserWarning, match="partial_fit begins anew: fit keeps nothing"):
        parts.partial_fit(X[500:], y[500:])
    np.testing.assert_allclose(parts.coef_, clone(model).fit(X[500:], y[500:]).coef_, rtol=1e-13)
    parts.partial_fit(X[10:500], y[10:500])
    np.testing.assert_allclose(parts.coef_, clone(model).fit(X[10:], y[10:]).coef_, rtol=1e-13)

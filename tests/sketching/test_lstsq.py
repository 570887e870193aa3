"""Least squares against exact solutions in rational arithmetic."""

import warnings

import numpy as np
import pytest
import scipy.linalg
from scipy import sparse

from sparrot import Status
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.sketching import lstsq
from tests.sketching import exact


def problem(rng, n, d, condition, residual=1e-3):
    """A matrix of that condition number, and a right-hand side that it nearly explains."""
    U = np.linalg.qr(rng.normal(size=(n, d)))[0]
    V = np.linalg.qr(rng.normal(size=(d, d)))[0]
    A = U * np.geomspace(1, 1 / condition, d) @ V
    fitted = A @ rng.normal(size=d)
    noise = rng.normal(size=n)
    return A, fitted + residual * np.linalg.norm(fitted) / np.linalg.norm(noise) * noise


def require_bounds(result, A, b, **keywords):
    x, intercept, residual = exact.solve(A, b, **keywords)
    distance = exact.errors(result.x, x)
    assert (distance <= result.coef_bound).all()
    assert exact.errors([result.intercept], [intercept])[0] <= result.intercept_bound
    # As far as the coefficients allow for, and rounding.
    root = 1.0 if keywords.get("weights") is None else np.sqrt(keywords["weights"])[:, None]
    reach = np.linalg.norm(A * root, axis=0) @ result.coef_bound
    reach += np.linalg.norm(np.ones((len(A), 1)) * root) * result.intercept_bound
    assert abs(result.residual_norm - float(residual)) <= 1e-6 * float(residual) + reach
    return distance, x


@pytest.mark.parametrize("part", range(5))
def test_bounds_hold_on_random_problems(part):
    # Of all shapes, scales and condition numbers, with everything that a problem may have.
    rng = np.random.default_rng(100 + part)
    proven = 0
    count = 200
    for _ in range(count):
        d = int(rng.integers(1, 6))
        n = int(rng.integers(d + 2, 80))
        A, b = problem(rng, n, d, 10.0 ** rng.uniform(0, 12), 10.0 ** rng.uniform(-8, 2))
        A = A * 10.0 ** rng.uniform(-6, 6, size=d) * 10.0 ** rng.uniform(-6, 6)
        keywords = {}
        if rng.random() < 0.3:
            keywords["ridge"] = float(10.0 ** rng.uniform(-8, 2) * np.linalg.norm(A, 2) ** 2)
        if rng.random() < 0.3:
            keywords["weights"] = rng.random(n) * 10.0 ** rng.uniform(-3, 3, size=n)
        if rng.random() < 0.3:
            keywords["intercept"] = True
            A = A + rng.normal(size=d) * abs(A).max() * 10.0 ** rng.uniform(-3, 3)
        options = {
            "ridge": keywords.get("ridge", 0.0),
            "sample_weight": keywords.get("weights"),
            "fit_intercept": keywords.get("intercept", False),
            "method": ["auto", "precondition"][int(rng.integers(2))],
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            result = lstsq(A, b, rng=rng, tol=1e-9, **options)
        require_bounds(result, A, b, **keywords)
        proven += bool(np.isfinite(result.coef_bound).all())
    # A bound that proves nothing holds, too: most must prove something.
    assert proven >= 0.95 * count


@pytest.mark.parametrize("condition", [1e0, 1e2, 1e4, 1e8, 1e12])
@pytest.mark.parametrize("method", ["auto", "precondition"])
def test_all_digits_at_any_condition(condition, method):
    rng = np.random.default_rng(7)
    A, b = problem(rng, 600, 12, condition)
    result = lstsq(A, b, method=method, rng=0)
    assert result.converged
    assert result.status is Status.CONVERGED
    assert result.rank == 12
    # Some of the rows tell enough: there is no pass to sketch them.
    assert result.sketch_rows == 48
    assert result.passes <= (2 if condition <= 1e4 else 4)
    assert result.method == ("gram" if method == "auto" and condition <= 1e4 else "cholesky-qr")
    assert 0.1 * condition <= result.condition_estimate <= 10 * condition
    distance, x = require_bounds(result, A, b)
    ours = distance.max() / max(abs(float(v)) for v in x)
    assert ours <= 1e-13
    theirs = exact.errors(scipy.linalg.lstsq(A, b)[0], x).max() / max(abs(float(v)) for v in x)
    assert ours <= 10 * theirs + 1e-15


def test_the_bound_is_not_far_from_the_error_where_refinement_is_cut_short():
    rng = np.random.default_rng(8)
    A, b = problem(rng, 400, 8, 1e10)
    with pytest.warns(ConvergenceWarning, match="max_iter=1 is used up"):
        result = lstsq(A, b, rng=0, max_iter=1, tol=1e-15)
    assert result.status is Status.MAX_ITER
    distance, _ = require_bounds(result, A, b)
    # What one look leads to is bounded by what rounding may do to A X, which it mostly does not.
    assert result.coef_bound.max() <= 1e5 * distance.max()
    with pytest.warns(ConvergenceWarning, match="max_iter=2 is used up"):
        result = lstsq(A, b, rng=0, max_iter=2, tol=1e-18)
    distance, _ = require_bounds(result, A, b)
    # The second look measures that.
    assert result.coef_bound.max() <= 10 * distance.max()


def test_a_tolerance_below_rounding():
    rng = np.random.default_rng(9)
    A, b = problem(rng, 400, 8, 1e6)
    with pytest.warns(ConvergenceWarning, match="rounding allows for no more: raise tol"):
        result = lstsq(A, b, rng=0, tol=1e-40)
    assert result.status is Status.STALLED
    _distance, _ = require_bounds(result, A, b)
    assert result.coef_bound.max() <= 1e-14


def test_layouts_types_right_hand_sides_and_threads():
    rng = np.random.default_rng(10)
    A, b = problem(rng, 9000, 7, 1e3)
    B = np.column_stack([b, rng.normal(size=9000), np.zeros(9000)])
    weights = rng.random(9000)
    options = {"sample_weight": weights, "fit_intercept": True, "ridge": 0.1, "rng": 1}
    result = lstsq(A, B, n_threads=1, **options)
    assert result.x.shape == result.coef_bound.shape == (7, 3)
    assert (result.x[:, 2] == 0).all()
    for other in (np.asfortranarray(A), A[::-1][::-1], np.repeat(A, 2, axis=1)[:, ::2]):
        found = lstsq(other, B, n_threads=3, **options)
        for name in ("x", "coef_bound", "intercept", "intercept_bound", "residual_norm"):
            assert np.array_equal(found[name], result[name])
    found = lstsq(sparse.csr_array(A), np.asfortranarray(B), **options)
    np.testing.assert_allclose(found.x, result.x, rtol=1e-14, atol=1e-300)
    alone = lstsq(A, b, **options)
    assert alone.x.shape == (7,)
    assert isinstance(alone.intercept, float)
    np.testing.assert_allclose(alone.x, result.x[:, 0], rtol=1e-14)
    single = lstsq(A.astype(np.float32), b, rng=0)
    require_bounds(single, A.astype(np.float32), b)
    assert single.x.dtype == np.float64
    assert "coef_bound" in repr(result)


def test_is_ridge_regression():
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(11)
    A, b = problem(rng, 500, 6, 1e2)
    weights = rng.random(500)
    model = Ridge(alpha=0.01).fit(A + 3, b, sample_weight=weights)
    result = lstsq(A + 3, b, ridge=0.01, sample_weight=weights, fit_intercept=True, rng=0)
    np.testing.assert_allclose(result.x, model.coef_, rtol=1e-9)
    np.testing.assert_allclose(result.intercept, model.intercept_, rtol=1e-9)


@pytest.mark.parametrize("n", [30, 2000])
@pytest.mark.parametrize("intercept", [False, True])
def test_dependent_columns_give_the_solution_of_minimum_norm(n, intercept):
    rng = np.random.default_rng(12)
    A = rng.normal(size=(n, 4)) @ rng.normal(size=(4, 7))
    b = rng.normal(size=n)
    result = lstsq(A, b, fit_intercept=intercept, rng=0)
    centred = A - A.mean(axis=0) * intercept, b - b.mean() * intercept
    expected, _, rank, _ = scipy.linalg.lstsq(*centred, cond=1e-10)
    assert result.rank == rank == 4
    assert result.converged
    assert np.isinf(result.coef_bound).all()
    np.testing.assert_allclose(result.x, expected, atol=1e-12)
    residual = centred[1] - centred[0] @ expected
    assert result.residual_norm == pytest.approx(np.linalg.norm(residual), rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-31, 1e-100])
def test_dependent_columns_of_any_scale_beside_an_intercept(scale):
    rng = np.random.default_rng(18)
    A = rng.normal(size=(39, 3)) + 5
    A[:, 1] = A[:, 0]
    b = rng.normal(size=39)
    result = lstsq(A * scale, b, fit_intercept=True, rng=0)
    expected = scipy.linalg.lstsq(A - A.mean(axis=0), b - b.mean(), cond=1e-10)[0]
    assert result.rank == 2
    np.testing.assert_allclose(result.x * scale, expected, rtol=1e-10)
    # The intercept goes by coefficients that are not determined.
    assert np.isinf(result.coef_bound).all()
    assert np.isinf(result.intercept_bound)
    assert "rank 2" in result.message


def test_a_right_hand_side_that_is_zero_in_the_rows_that_count():
    rng = np.random.default_rng(19)
    A, b, weights = rng.normal(size=(100, 3)), np.zeros(100), np.ones(100)
    b[0], weights[0] = 1.0, 0.0
    result = lstsq(A, b, sample_weight=weights, rng=0)
    assert result.converged
    assert (result.x == 0).all()
    assert (result.coef_bound == 0).all()


@pytest.mark.parametrize("method", ["auto", "precondition"])
def test_one_pass_of_refinement_proves_what_it_leads_to(method):
    # The first pass measures the first coefficients; those it corrects are not measured again.
    rng = np.random.default_rng(20)
    A, b = problem(rng, 5000, 6, 1e3)
    result = lstsq(A, b, method=method, rng=0, max_iter=1)
    assert result.converged
    assert result.passes == 2
    _, x = require_bounds(result, A, b)
    assert result.coef_bound.max() <= 4e-16 * max(abs(float(v)) for v in x)
    # A right-hand side that is explained to all digits: the residual is looked at again.
    whole = np.round(A * 1e6)
    result = lstsq(whole, whole @ np.arange(6.0), method=method, rng=0)
    assert result.converged
    assert result.residual_norm <= 1e-14 * np.linalg.norm(whole)
    assert (abs(result.x - np.arange(6.0)) <= result.coef_bound).all()


def test_a_ridge_makes_up_for_dependent_columns():
    rng = np.random.default_rng(21)
    A, b = rng.normal(size=(300, 4)), rng.normal(size=300)
    A[:, 2] = A[:, 1]
    result = lstsq(A, b, ridge=2.0, rng=0)
    stacked = np.vstack([A, np.sqrt(2.0) * np.eye(4)])
    assert result.rank == 4
    assert 0.5 <= result.condition_estimate / np.linalg.cond(stacked) <= 2
    require_bounds(result, A, b, ridge=2.0)
    assert lstsq(A, b, rng=0).rank == 3
    # One that explains away all but nothing: the message does not promise digits of the largest.
    huge = lstsq(A, b, ridge=1e30, rng=0)
    assert huge.converged
    assert "or to 1e-8 of b" in huge.message
    require_bounds(huge, A, b, ridge=1e30)


@pytest.mark.parametrize("n", [30, 3000])
def test_what_cannot_be_proven_is_a_result_and_says_so(n):
    rng = np.random.default_rng(22)
    A, b = rng.normal(size=(n, 4)), rng.normal(size=n)
    A[:, 3] = A[:, :3] @ [1.0, 2.0, 3.0]
    with pytest.warns(ConvergenceWarning, match="nothing could be proven"):
        result = lstsq(A, b, rng=0, rcond=0.0)
    assert result.status is Status.STALLED
    assert result.rank == 4
    assert np.isinf(result.coef_bound).all()
    assert np.isfinite(result.x).all()


def test_fewer_rows_than_columns():
    rng = np.random.default_rng(13)
    A, b = rng.normal(size=(5, 9)), rng.normal(size=5)
    result = lstsq(A, b)
    assert result.rank == 5
    np.testing.assert_allclose(result.x, np.linalg.pinv(A) @ b, atol=1e-13)
    assert result.residual_norm <= 1e-13
    ridge = lstsq(A, b, ridge=0.5)
    require_bounds(ridge, A, b, ridge=0.5)
    assert np.isfinite(ridge.coef_bound).all()


def test_zero_and_constant_columns():
    rng = np.random.default_rng(14)
    A, b = problem(rng, 3000, 5, 10)
    A[:, 1] = 0
    result = lstsq(A, b, rng=0)
    assert result.rank == 4
    assert result.x[1] == result.coef_bound[1] == 0
    assert np.isfinite(result.coef_bound).all()
    A[:, 3] = 0.1  # whose sum is rounded
    result = lstsq(A, b, fit_intercept=True, rng=0)
    assert result.rank == 3
    assert result.x[1] == result.x[3] == 0
    keep = [0, 2, 4]
    x, intercept, _ = exact.solve(A[:, keep], b, intercept=True)
    assert (exact.errors(result.x[keep], x) <= result.coef_bound[keep]).all()
    assert exact.errors([result.intercept], [intercept])[0] <= result.intercept_bound
    nothing = lstsq(np.zeros((10, 3)), b[:10])
    assert nothing.rank == 0
    assert (nothing.x == 0).all()
    assert (nothing.coef_bound == 0).all()
    assert nothing.residual_norm == pytest.approx(np.linalg.norm(b[:10]))


@pytest.mark.parametrize("spread", [1e-100, 1e-10, 1e10, 1e100])
def test_scale_does_not_matter(spread):
    rng = np.random.default_rng(15)
    A, b = problem(rng, 500, 4, 1e3)
    scales = np.array([1.0, spread, 1.0, spread])
    result = lstsq(A * scales, b, rng=0)
    assert result.rank == 4
    assert result.converged
    require_bounds(result, A * scales, b)


def test_a_nearly_constant_column_far_from_0():
    rng = np.random.default_rng(16)
    A = 1e6 + rng.normal(size=(2000, 3)) * [1.0, 1e-3, 1e3]
    b = rng.normal(size=2000) + 5
    result = lstsq(A, b, fit_intercept=True, rng=0)
    assert result.converged
    require_bounds(result, A, b, intercept=True)


@pytest.mark.parametrize("intercept", [False, True])
def test_names_what_is_not_finite(intercept):
    rng = np.random.default_rng(17)
    for n in (30, 20_000):
        A, b = problem(rng, n, 5, 10)
        A[n - 3, 4] = np.nan
        with pytest.raises(InvalidInputError, match=rf"A: contains NaN at index \({n - 3}, 4\)"):
            lstsq(A, b, fit_intercept=intercept)


A0, B0 = np.eye(6)[:, :2] + 1.0, np.arange(6.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"A": np.ones(3)}, "A has shape"),
        ({"A": np.ones((3, 0)), "b": np.ones(3)}, "A has shape"),
        ({"b": B0[:5]}, "b has 5 rows for 6 rows of A"),
        ({"b": np.ones((6, 0))}, "b has shape"),
        ({"b": np.full(6, np.nan)}, "b contains nan at index 0"),
        ({"b": B0 * 1e-130}, "b has a largest magnitude"),
        ({"b": B0 * 1e130}, "b has a largest magnitude"),
        ({"A": A0 * 1e-130}, "A: has a column, 0, of norm"),
        ({"A": A0 * 1e130}, "A: has a column, 0, of norm"),
        ({"method": "qr"}, "method is 'qr'"),
        ({"ridge": -1.0}, "ridge is -1.0"),
        ({"ridge": np.inf}, "ridge is inf"),
        ({"rcond": 1.0}, "rcond is 1.0"),
        ({"rcond": -1e-3}, "rcond is -0.001"),
        ({"tol": 0.0}, "tol is 0.0"),
        ({"max_iter": 0}, "max_iter is 0"),
        ({"fit_intercept": 1}, "fit_intercept is 1"),
        ({"sample_weight": -np.ones(6)}, r"sample_weight\[0\] is -1.0"),
        ({"sample_weight": np.zeros(6)}, "sample_weight is zero everywhere"),
        ({"sample_weight": np.ones(5)}, "sample_weight has 5 weights"),
        ({"rng": "dice"}, "rng is 'dice'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        lstsq(**{"A": A0, "b": B0, **arguments})

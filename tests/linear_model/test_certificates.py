"""Certificates on adversarial data: a gap may be large, but never below the true one."""

import numpy as np
import pytest
from scipy import sparse

from sparrot.errors import InvalidInputError
from sparrot.linear_model import (
    ElasticNet,
    Lasso,
    LassoCV,
    SparseLogisticRegression,
    SparsePoissonRegression,
    lasso_path,
)

NEVER_CONVERGES = "ignore::sparrot.errors.ConvergenceWarning"


def example(rng, n=50, p=4):
    X = rng.normal(size=(n, p))
    return X, X[:, 0] + 0.5 * X[:, 1] + 0.1 * rng.normal(size=n)


@pytest.mark.filterwarnings(NEVER_CONVERGES)
@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10])
@pytest.mark.parametrize("positive", [True, False])
def test_nearly_dependent_columns_without_a_penalty(distance, positive, rng):
    x, z = rng.normal(size=(2, 50))
    # z is (x + distance z - x) / distance: nothing is left, but the coefficients are large.
    X = np.column_stack([x, x + distance * z])
    model = Lasso(0.1, weights=[0, 0], fit_intercept=False, positive=positive).fit(X, z)
    direct = np.linalg.lstsq(X, z, rcond=None)[0]
    least = 0.0 if not positive else 0.5 * np.mean((z - x * max(0, x @ z / (x @ x))) ** 2)
    if not positive:
        least = 0.5 * np.mean((z - X @ direct) ** 2)
    assert model.objective_ - least <= model.dual_gap_ * (1 + 1e-6) + 1e-12
    if distance >= 1e-4 and not positive:
        assert model.converged_


@pytest.mark.parametrize("unit", [2.0**-250, 2.0**250])
def test_units_of_everything(unit, rng):
    X, y = example(rng)
    weights = [0, 1, 1, 1]
    model = Lasso(0.1, weights=weights).fit(X, y)
    scaled = Lasso(0.1 * unit, weights=weights).fit(X, unit * y)
    np.testing.assert_allclose(scaled.coef_, unit * model.coef_, rtol=1e-12)
    scaled = Lasso(0.1 * unit, weights=weights).fit(unit * X, y)
    np.testing.assert_allclose(scaled.coef_, model.coef_ / unit, rtol=1e-12)
    for loss in (Lasso, SparsePoissonRegression):
        target = y if loss is Lasso else np.round(np.exp(y))
        one = loss(0.1, weights=weights).fit(X, target, np.ones(50))
        heavy = loss(0.1, weights=weights).fit(X, target, np.full(50, unit**4))
        np.testing.assert_array_equal(heavy.coef_, one.coef_)


@pytest.mark.parametrize("unit", [1e-170, 1e160])
def test_what_cannot_be_squared_is_refused(unit, rng):
    X, y = example(rng)
    with pytest.raises(InvalidInputError, match="y: has squares that over- or underflow"):
        Lasso(0.1 * min(unit, 1e100)).fit(X, unit * y)
    with pytest.raises(InvalidInputError, match="X: has a column, 0, whose squares over- or under"):
        Lasso(0.1).fit(unit * X, y)
    with pytest.raises(InvalidInputError, match="X: has a column, 0, whose squares over- or under"):
        SparseLogisticRegression(0.1).fit(unit * X, y > 0)


def test_a_huge_penalty(rng):
    X, y = example(rng)
    model = ElasticNet(1e300).fit(X, y)
    assert model.converged_
    assert not model.coef_.any()
    assert np.isfinite(model.objective_)
    with pytest.raises(InvalidInputError, match="alpha: is 1e308"):
        ElasticNet(1e308).fit(X, y)


@pytest.mark.parametrize("weight", [1e-310, 1e-100, 1e-16, 1e-8])
def test_tiny_weights_are_like_none(weight, rng):
    X, y = example(rng)
    model = Lasso(0.1, weights=[weight, 1, 1, 1]).fit(X, y)
    free = Lasso(0.1, weights=[0, 1, 1, 1]).fit(X, y)
    assert model.converged_
    assert model.n_iter_ < 20
    np.testing.assert_allclose(model.coef_, free.coef_, atol=1e-6)


def test_a_tiny_penalty_on_noiseless_data_ends(rng):
    X = rng.normal(size=(50, 4))
    model = Lasso(1e-16).fit(X, X[:, 0])
    assert model.n_iter_ < 100
    np.testing.assert_allclose(model.coef_, [1, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("estimator", [Lasso, SparseLogisticRegression, SparsePoissonRegression])
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_constant_columns_are_no_part_of_the_model(estimator, form, rng):
    X, y = example(rng)
    y = {Lasso: y, SparseLogisticRegression: y > 0.3, SparsePoissonRegression: np.exp(y) // 1}[
        estimator
    ]
    expected = estimator(0.02).fit(form(X), y)
    for value in (1.0, 0.1, 1e6):
        wide = form(np.column_stack([X, np.full(50, value)]))
        model = estimator(0.02, weights=[1, 1, 1, 1, 0]).fit(wide, y)
        assert model.converged_
        found = np.ravel(model.coef_)
        assert found[4] == 0
        np.testing.assert_allclose(found[:4], np.ravel(expected.coef_), atol=1e-6)


@pytest.mark.parametrize("size", [1e8, 1e12, 1e16])
@pytest.mark.parametrize("estimator", [Lasso, SparseLogisticRegression])
def test_rows_without_a_weight_are_not_read(size, estimator, rng):
    X, y = example(rng)
    target = y if estimator is Lasso else y > 0
    Z, sample_weight = X.copy(), np.ones(50)
    Z[0] *= size
    sample_weight[0] = 0
    model = estimator(0.01, tol=1e-10).fit(Z, target, sample_weight)
    expected = estimator(0.01, tol=1e-10).fit(X[1:], target[1:])
    assert model.converged_
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-8)


def test_poisson_with_counts_of_all_sizes(rng):
    n = 2000
    X = rng.normal(size=(n, 20))
    large = (rng.random(n) < 0.01) * 1.0
    counts = rng.poisson(np.exp(0.5 * X[:, 1] + 11 * large))
    model = SparsePoissonRegression(1e-3).fit(np.column_stack([large, X]), counts)
    assert model.converged_
    tight = SparsePoissonRegression(1e-3, tol=1e-10).fit(np.column_stack([large, X]), counts)
    assert tight.converged_
    assert abs(tight.coef_[2] - 0.5) < 0.1


@pytest.mark.parametrize("positive", [True, False])
def test_gaps_of_models_with_unpenalised_columns(positive, rng):
    for _ in range(100):
        X, y = example(rng, 60, 6)
        weights = rng.choice([0.0, 1.0, 2.0], size=6)
        for estimator, target in (
            (Lasso, y),
            # Not separable: there would be no solution without a penalty.
            (SparseLogisticRegression, y + rng.normal(size=60) > 0.2),
            (SparsePoissonRegression, np.round(np.exp(y))),
        ):
            options = {"alpha": 0.05, "weights": weights, "positive": positive}
            model = estimator(tol=1e-3, **options).fit(X, target)
            best = estimator(tol=1e-11, **options).fit(X, target)
            assert model.converged_
            assert model.objective_ - best.objective_ <= model.dual_gap_ + 1e-14
            assert best.dual_gap_ <= 1e-11 * max(1.0, 0.5 * np.var(target))


def test_paths_start_where_all_penalised_coefficients_are_0(rng):
    z, x = rng.normal(size=(2, 60))
    X = np.column_stack([z, 3 * z + x])
    for y in (x, z + 1e-3 * x):
        alphas, coefs, _ = lasso_path(X, y, weights=[0, 1], n_alphas=3, eps=0.1, tol=1e-12)
        assert abs(coefs[1, 0]) < 1e-9
        assert abs(coefs[1, 1]) > 1e-5
        residual = y - z * (z @ y) / (z @ z)
        np.testing.assert_allclose(alphas[0], abs(X[:, 1] @ residual) / 60, rtol=1e-6)


def test_float32_keeps_the_intercept_and_refuses_what_it_cannot_hold(rng):
    X, y = example(rng)
    model = Lasso(0.01).fit(X.astype(np.float32), y + 1e6)
    exact = Lasso(0.01).fit(X.astype(np.float32).astype(np.float64), y + 1e6)
    assert isinstance(model.intercept_, float)
    np.testing.assert_allclose(model.intercept_, exact.intercept_, rtol=1e-15)
    with pytest.raises(InvalidInputError, match="X has columns so small"):
        Lasso(1e-40).fit((X * 1e-39).astype(np.float32), y)


def test_folds_where_a_column_is_constant(rng):
    X, y = example(rng, 60)
    X[:, 3] = 0
    X[:12, 3] = 1  # constant in all training sets of the first fold
    model = LassoCV(alphas=[0.02], cv=5, weights=[1, 1, 1, 0]).fit(X, y)
    assert np.isfinite(model.mse_path_).all()
    assert (model.mse_path_ < y.var()).all()


@pytest.mark.parametrize("estimator", [Lasso, SparsePoissonRegression])
def test_as_many_columns_without_a_penalty_as_rows(estimator, rng):
    X, y = rng.normal(size=(20, 30)), rng.normal(size=20)
    target = y if estimator is Lasso else np.exp(y) // 1 + 1
    model = estimator(0.1, weights=np.zeros(30), tol=1e-4).fit(X, target)
    # Least squares without a residual: nothing is below 0.
    assert model.converged_
    least = 0.0 if estimator is Lasso else np.mean(target - target * np.log(target))
    np.testing.assert_allclose(model.objective_, least, atol=1e-3)

"""The square-root Lasso: its solution, its certificate, and what it is for."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import InvalidInputError
from sparrot.linear_model import Lasso, SqrtLasso


@parametrize_with_checks(
    [SqrtLasso(), SqrtLasso(alpha=0.05, positive=True, fit_intercept=False)], xfail_strict=True
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def example(rng, n=60, p=100, noise=0.5):
    X = rng.normal(size=(n, p))
    return X, X[:, :3] @ [2.0, -1.0, 1.0] + noise * rng.normal(size=n) + 3


@pytest.mark.parametrize("alpha", [0.5, 0.3, 0.2])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_it_is_the_lasso_of_its_own_noise(form, positive, alpha, rng):
    X, y = example(rng)
    weights = np.where(np.arange(100) == 5, 0, rng.random(100) + 0.5)
    counts = rng.integers(0, 3, size=60)
    options = {"weights": weights, "positive": positive, "tol": 1e-10}
    model = SqrtLasso(alpha, **options).fit(form(X), y, counts)
    assert model.converged_
    assert model.sigma_ > 0.002 * y.std()
    lasso = Lasso(alpha * model.sigma_, **options).fit(X, y, counts)
    np.testing.assert_allclose(model.coef_, lasso.coef_, atol=1e-5)
    penalty = alpha * (weights * np.abs(model.coef_)).sum()
    np.testing.assert_allclose(model.objective_, model.sigma_ + penalty, rtol=1e-10)


def test_gaps_are_never_below_the_true_ones(rng):
    for _ in range(500):
        n, p = rng.integers(3, 12, size=2)
        X, y = rng.normal(size=(n, p)), rng.normal(size=n)
        options = {"alpha": rng.choice([0.7, 0.2, 0.02]), "fit_intercept": bool(rng.integers(2))}
        tol = rng.choice([1e-2, 1e-5])
        model = SqrtLasso(tol=tol, **options).fit(X, y)
        best = SqrtLasso(tol=1e-8, **options).fit(X, y)
        assert model.objective_ - best.objective_ <= model.dual_gap_ + 1e-13
        unit = y.std() if options["fit_intercept"] else np.sqrt(np.mean(y**2))
        assert model.dual_gap_ <= tol * unit


def test_the_support_does_not_depend_on_the_noise(rng):
    found = []
    for noise in (1e-6, 1e-3, 1.0, 1e3):
        X = rng.normal(size=(200, 1000))
        y = noise * (X[:, :3] @ [3.0, -2.0, 1.0] + rng.normal(size=200))
        model = SqrtLasso().fit(X, y)
        assert model.converged_
        assert {0, 1, 2} <= set(np.flatnonzero(model.coef_).tolist())
        found.append((model.coef_ != 0).sum())
        assert abs(model.sigma_ / noise - 1) < 0.4
    assert max(found) <= 6
    model = SqrtLasso().fit(X, rng.normal(size=200))
    assert not model.coef_.any()


def test_without_noise_there_is_a_floor(rng):
    X, y = example(rng, noise=0.0)
    model = SqrtLasso(0.01).fit(X, y)
    assert model.converged_
    np.testing.assert_allclose(model.coef_[:3], [2.0, -1.0, 1.0], atol=1e-3)
    zero = SqrtLasso().fit(X, np.zeros(60))
    assert zero.converged_
    assert not zero.coef_.any()


@pytest.mark.parametrize("value", [0.1, -7.3, 1e200, 1e-200])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_response_that_is_constant_has_nothing_to_explain(value, weighted, rng):
    X, _ = example(rng, n=41, p=8)
    y = np.full(41, value)
    weights = rng.random(41) * (np.arange(41) > 0) if weighted else None
    y[0] = 2 * value if weighted else value
    for model in (SqrtLasso(), Lasso(1e-3)):
        model.fit(X, y, weights)
        assert model.converged_
        assert not model.coef_.any()
        assert model.intercept_ == value
        assert model.objective_ == 0


def test_it_starts_from_the_last_fit(rng):
    X, y = example(rng)
    cold = SqrtLasso(0.2, tol=1e-9).fit(X, y)
    warm = SqrtLasso(0.2, tol=1e-9, warm_start=True).fit(X, y)
    assert warm.n_iter_ == cold.n_iter_
    warm.fit(X, y)
    assert warm.n_iter_ < cold.n_iter_
    assert len(warm.trace_["time"]) < len(cold.trace_["time"])
    np.testing.assert_allclose(warm.coef_, cold.coef_, atol=1e-7)
    warm.set_params(alpha=0.15).fit(X, y)
    expected = SqrtLasso(0.15, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(warm.coef_, expected.coef_, atol=1e-7)
    np.testing.assert_allclose(warm.objective_, expected.objective_, rtol=1e-8)
    # A perfect fit before is below the floor of the scale.
    warm.fit(X, X @ warm.coef_ + warm.intercept_)
    assert warm.converged_
    with pytest.raises(InvalidInputError, match="warm_start: coef_ has shape"):
        warm.fit(X[:, 1:], y)


def test_the_scale_takes_no_copy_of_x(rng):
    X = np.asfortranarray(rng.normal(size=(500, 800)), dtype=np.float32)
    y = X[:, 0] + 0.1 * rng.normal(size=500)
    SqrtLasso().fit(X, y)
    tracemalloc.start()
    try:
        SqrtLasso().fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * X.nbytes


def test_units_change_nothing(rng):
    X, y = example(rng)
    model = SqrtLasso().fit(X, y)
    scaled = SqrtLasso().fit(X, 2.0**40 * y)
    np.testing.assert_array_equal(scaled.coef_, 2.0**40 * model.coef_)


def test_on_real_data():
    X, y = load_diabetes(return_X_y=True)
    model = SqrtLasso().fit(X * np.sqrt(442), y)
    assert 3 <= (model.coef_ != 0).sum() <= 8
    assert model.score(X * np.sqrt(442), y) > 0.4


def test_bad_input(rng):
    X, y = example(rng)
    with pytest.raises(InvalidInputError, match="alpha is 0"):
        SqrtLasso(0).fit(X, y)
    with pytest.raises(InvalidInputError, match="weights has 2 values"):
        SqrtLasso(weights=[1, 2]).fit(X, y)

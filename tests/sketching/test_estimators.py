"""The estimators, by scikit-learn's checks and against its own."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import InvalidInputError
from sparrot.sketching import SketchedRegression, SketchedRidge


@parametrize_with_checks([SketchedRegression(), SketchedRidge()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def data(n=2000, d=6, targets=None):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) + 3
    shape = n if targets is None else (n, targets)
    return (
        X,
        rng.normal(size=shape) + X[:, :1].reshape(n, *[1] * (targets is not None)),
        rng.random(n),
    )


@pytest.mark.parametrize("targets", [None, 3])
@pytest.mark.parametrize("intercept", [False, True])
def test_agrees_with_scikit_learn(targets, intercept):
    X, y, weights = data(targets=targets)
    for ours, theirs in (
        (SketchedRegression, LinearRegression),
        (lambda **k: SketchedRidge(7.0, **k), lambda **k: Ridge(7.0, **k)),
    ):
        model = ours(fit_intercept=intercept).fit(X, y, sample_weight=weights)
        other = theirs(fit_intercept=intercept).fit(X, y, sample_weight=weights)
        np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(model.intercept_, other.intercept_, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=1e-9)
        assert model.coef_bound_.shape == model.coef_.shape
        assert model.coef_bound_.max() < 1e-12
        assert model.rank_ == 6
        assert model.converged_
        thin = ours(fit_intercept=intercept).fit(sparse.csr_array(X), y, sample_weight=weights)
        np.testing.assert_allclose(thin.coef_, model.coef_, rtol=1e-12, atol=1e-15)


def test_in_a_pipeline_and_a_search():
    X, y, _ = data()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), SketchedRidge()),
        {"sketchedridge__alpha": [0.1, 1e5]},
        cv=3,
    ).fit(X, y)
    assert search.best_params_ == {"sketchedridge__alpha": 0.1}


def test_sketched():
    X, y, _ = data(20_000)
    model = SketchedRegression(method="sketch-solve").fit(X, y)
    exact = SketchedRegression().fit(X, y)
    assert abs(model.coef_ - exact.coef_).max() > 0
    assert (abs(model.coef_ - exact.coef_) <= model.coef_bound_).all()


@pytest.mark.parametrize(
    ("model", "bad", "message"),
    [
        (
            SketchedRegression(),
            {"X": np.array([[1.0], [np.inf]])},
            r"X: contains inf at index \(1, 0\)",
        ),
        (SketchedRidge(-1.0), {}, "alpha is -1.0"),
        (SketchedRegression(tol=0), {}, "tol is 0"),
        (SketchedRegression(), {"y": np.full(2, 1e200)}, "y has a largest magnitude"),
    ],
)
def test_bad_arguments_have_their_names(model, bad, message):
    arguments = {"X": np.array([[1.0], [2.0]]), "y": np.ones(2), **bad}
    with pytest.raises(InvalidInputError, match=message):
        model.fit(**arguments)

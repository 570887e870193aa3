"""Dense data by rows, NumPy's order, are read as they are and give the same models."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparrot.errors import InvalidInputError
from sparrot.linear_model import (
    ElasticNet,
    GroupLasso,
    Lasso,
    LassoCV,
    MCPRegression,
    MultiTaskLasso,
    SparseHuberRegression,
    SparseLogisticRegression,
    SparsePoissonRegression,
    SqrtLasso,
    lasso_path,
)

# Several strips of columns; several blocks of rows; rows that a set keeps arranged, and not.
SHAPES = [(40, 1300), (301, 40), (2500, 30)]


def data(n, p, *, offset=0.0, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + offset * rng.standard_normal(p)
    X[:, 3] = X[:, 2] + 0.1 * X[:, 3]
    signal = X[:, :5] @ [1.0, -1.0, 0.5, 0.0, 2.0]
    return X.astype(dtype), (signal - signal.mean() + rng.standard_normal(n)).astype(dtype)


def top(X, y):
    centred = y - y.mean()
    return np.abs(X.T @ centred).max() / len(y)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_lasso_is_the_same(shape, offset, weighted):
    X, y = data(*shape, offset=offset)
    weights = np.random.default_rng(1).integers(0, 3, len(y)) if weighted else None
    models = [
        Lasso(top(X - X.mean(0), y) / 30, tol=1e-12).fit(ordered, y, weights)
        for ordered in (X, np.asfortranarray(X))
    ]
    assert np.count_nonzero(models[0].coef_) > 3
    assert_allclose(models[0].coef_, models[1].coef_, rtol=0, atol=1e-9)
    assert_allclose(models[0].intercept_, models[1].intercept_, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize(
    "model",
    [
        ElasticNet(0.05, tol=1e-12),
        SqrtLasso(0.1, tol=1e-11),
        MCPRegression(0.1, tol=1e-9),
        GroupLasso(5, alpha=0.05, tol=1e-12),
        LassoCV(cv=3, alphas=10, tol=1e-12),
        SparseHuberRegression(0.02, tol=1e-11),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("shape", [(60, 1300), (300, 40)])
def test_other_models_are_the_same(model, shape):
    X, y = data(*shape)
    coefs = [model.fit(ordered, y).coef_ for ordered in (X, np.asfortranarray(X))]
    assert coefs[0].any()
    assert_allclose(coefs[0], coefs[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(100, 1300), (2500, 30)])
@pytest.mark.parametrize("alpha", [0.1, 0.01])
def test_models_of_classes_and_counts_are_the_same(shape, alpha):
    X, y = data(*shape)
    for model, target in (
        (SparseLogisticRegression(alpha, tol=1e-10), y > 0),
        (SparseLogisticRegression(alpha, tol=1e-10), np.digitize(y, [-1.0, 1.0])),
        (SparsePoissonRegression(alpha, tol=1e-10), np.round(np.exp(y / 4))),
    ):
        coefs = [model.fit(ordered, target).coef_ for ordered in (X, np.asfortranarray(X))]
        assert coefs[0].any()
        assert_allclose(coefs[0], coefs[1], rtol=0, atol=1e-5)


def test_several_responses_and_paths_are_the_same():
    X, y = data(200, 700)
    Y = np.column_stack([y, X[:, 7] - y])
    models = [MultiTaskLasso(0.1, tol=1e-12).fit(x, Y) for x in (X, np.asfortranarray(X))]
    assert_allclose(models[0].coef_, models[1].coef_, rtol=0, atol=1e-8)
    paths = [lasso_path(x, y, alphas=20, tol=1e-10)[1] for x in (X, np.asfortranarray(X))]
    assert_allclose(paths[0], paths[1], rtol=0, atol=1e-6)


def test_single_precision_is_the_same():
    X, y = data(301, 90, dtype=np.float32)
    models = [Lasso(0.05, tol=1e-9).fit(x, y) for x in (X, np.asfortranarray(X))]
    assert models[0].coef_.dtype == np.float32
    assert_allclose(models[0].coef_, models[1].coef_, rtol=0, atol=1e-6)


def test_views_that_are_in_no_order_are_copied():
    X, y = data(300, 40)
    wide = np.repeat(X, 2, axis=1)
    views = [wide[:, ::2], wide[::-1][:, ::2][::-1], X[:, ::-1][:, ::-1]]
    expected = Lasso(0.05, tol=1e-12).fit(np.asfortranarray(X), y).coef_
    for view in views:
        found = Lasso(0.05, tol=1e-12).fit(view, y).coef_
        assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_read_only_rows_are_read():
    X, y = data(50, 8)
    X.setflags(write=False)
    assert Lasso(0.05).fit(X, y).coef_.any()


@pytest.mark.parametrize("place", [(0, 0), (49, 7), (20, 3)])
def test_what_is_not_finite_is_named(place):
    X, y = data(50, 8)
    X[place] = np.nan
    with pytest.raises(
        InvalidInputError, match=rf"contains NaN at index \({place[0]}, {place[1]}\)"
    ):
        Lasso(0.05).fit(X, y)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("model", [Lasso, SparseLogisticRegression], ids=lambda m: m.__name__)
def test_data_are_not_copied(model, order):
    X, y = data(2000, 500)
    X, target = np.asarray(X, order=order), y if model is Lasso else y > 0
    model(0.1).fit(X[:50], target[:50])  # what is imported when first needed
    tracemalloc.start()
    try:
        model(0.1).fit(X, target)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * X.nbytes

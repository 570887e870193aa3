"""The estimator: scikit-learn's contract, its limit, and what it cannot do."""

import contextlib
import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.metrics.pairwise import laplacian_kernel
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelPropagation as Iterated
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.graph import LabelPropagation, laplacian_solve


@parametrize_with_checks([LabelPropagation(), LabelPropagation(kernel="knn", n_neighbors=3)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture
def iris():
    data = load_iris()
    y = data.target.copy()
    y[np.random.default_rng(0).random(150) < 0.8] = -1
    return data.data, y, data.target


def test_it_is_where_scikit_learns_iteration_ends(iris):
    X, y, _ = iris
    model = LabelPropagation(gamma=2.0).fit(X, y)
    iterated = Iterated(gamma=2.0, tol=1e-13, max_iter=100_000).fit(X, y)
    # Its last step renormalises; its labels are held as ours are.
    np.testing.assert_allclose(model.label_distributions_, iterated.label_distributions_, atol=1e-9)
    np.testing.assert_array_equal(model.transduction_, iterated.transduction_)
    np.testing.assert_array_equal(model.classes_, iterated.classes_)
    np.testing.assert_allclose(model.predict_proba(X), iterated.predict_proba(X), atol=1e-9)


def test_weights_that_differ_by_hundreds_of_orders_of_magnitude():
    # exp(-d^2 / 4) on digits: from 1e-15 to 1e-300 and less. The iteration stops at once.
    X, truth = load_digits(return_X_y=True)
    X, truth = X[:600], truth[:600]
    y = truth.copy()
    y[60:] = -1
    model = LabelPropagation(gamma=0.25).fit(X, y)
    assert model.converged_
    assert model.result_.method == "dense"
    assert model.result_.error_bound().max() < 1e-6
    iterated = Iterated(gamma=0.25).fit(X, y)

    def share(labels):
        return (labels == truth)[60:].mean()

    assert share(model.transduction_) > share(iterated.transduction_) + 0.02 > 0.85


@pytest.mark.parametrize("gamma", [1e-3, 1.0, 5.0, 100.0])
def test_no_gamma_gives_nan(gamma):
    # At 1 some weights are subnormal and most are 0, at 100 all.
    X, truth = load_digits(return_X_y=True)
    y = np.where(np.arange(400) < 40, truth[:400], -1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LabelPropagation(gamma=gamma).fit(X[:400], y)
    assert np.isfinite(model.label_distributions_).all()
    assert np.isfinite(model.result_.error_bound()).all()
    assert np.isfinite(model.predict_proba(X[400:500])).all()
    assert (model.unreached_.size > 0) == (gamma >= 1)
    for method in ("cg", "cholesky", "forest_cg"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            with contextlib.suppress(InvalidInputError):
                model = LabelPropagation(gamma=gamma, method=method).fit(X[:400], y)
                assert np.isfinite(model.label_distributions_).all()


def test_distributions_are_columns_of_laplacian_solve(iris):
    X, y, _ = iris
    model = LabelPropagation(kernel="knn").fit(X, y)
    labelled = np.flatnonzero(y != -1)
    one_hot = (y[labelled, None] == np.arange(3)).astype(float)
    W = model._graph(X)
    expected = laplacian_solve(W, labelled, one_hot).x
    np.testing.assert_allclose(model.label_distributions_, expected, atol=1e-7)
    np.testing.assert_array_equal(model.label_distributions_[labelled], one_hot)
    np.testing.assert_allclose(model.label_distributions_.sum(1), 1, atol=1e-15)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csr_matrix])
def test_precomputed_graphs(form, iris):
    X, y, _ = iris
    by_kernel = LabelPropagation(kernel="knn").fit(X, y)
    W = form(by_kernel._graph(X).toarray())
    model = LabelPropagation(kernel="precomputed").fit(W, y)
    np.testing.assert_allclose(
        model.label_distributions_, by_kernel.label_distributions_, atol=1e-9
    )
    weights = np.zeros((3, 150))
    weights[0, 7] = weights[1, 3] = weights[1, 60] = 2
    values = model.label_distributions_
    found = model.predict_proba(form(weights))
    shares = np.bincount(y[y >= 0]) / (y >= 0).sum()
    np.testing.assert_allclose(found, [values[7], (values[3] + values[60]) / 2, shares])
    with pytest.raises(InvalidInputError, match=r"X contains -1\.0: needs non-negative"):
        model.predict(-np.ones((1, 150)))


def test_graphs_from_a_function(iris):
    X, y, _ = iris

    def kernel(X, Y):
        return laplacian_kernel(X, Y, gamma=3.0)

    model = LabelPropagation(kernel=kernel).fit(X, y)
    expected = LabelPropagation(kernel="precomputed").fit(kernel(X, X), y)
    np.testing.assert_allclose(model.label_distributions_, expected.label_distributions_, atol=1e-9)
    np.testing.assert_allclose(
        model.predict_proba(X[:5]), expected.predict_proba(kernel(X[:5], X)), atol=1e-9
    )
    with pytest.raises(InvalidInputError, match=r"kernel gives shape \(150, 3\)"):
        LabelPropagation(kernel=lambda X, Y: np.ones((len(X), 3))).fit(X, y)
    with pytest.raises(InvalidInputError, match=r"kernel\(X, X\): entry .* is -1: needs non-neg"):
        LabelPropagation(kernel=lambda X, Y: -np.ones((len(X), len(Y)))).fit(X, y)


def test_truncated_kernels_are_close_to_whole_ones(iris):
    X, y, _ = iris
    whole = LabelPropagation(gamma=5.0).fit(X, y)
    cut = LabelPropagation(gamma=5.0, min_weight=1e-40).fit(X, y)
    assert cut._graph(X).nnz < 0.9 * whole._graph(X).nnz
    np.testing.assert_allclose(cut.label_distributions_, whole.label_distributions_, atol=1e-6)
    coarse = LabelPropagation(gamma=5.0, min_weight=0.5).fit(X, y)
    assert coarse.unreached_.size > 0


@pytest.mark.parametrize("kernel", ["rbf", "knn"])
def test_samples_out_of_reach_get_the_shares_of_the_classes(kernel):
    near, far = np.random.default_rng(0).random((2, 30, 2))
    X = np.concatenate([near, far[:8] + 1e3])
    y = np.full(38, -1)
    y[:4] = [5, 5, 5, 9]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LabelPropagation(kernel=kernel, n_neighbors=6).fit(X, y)
    np.testing.assert_array_equal(model.unreached_, np.arange(30, 38))
    np.testing.assert_array_equal(model.label_distributions_[30:], [[0.75, 0.25]] * 8)
    np.testing.assert_array_equal(model.transduction_[30:], 5)
    # A new point far from everything still has neighbours that are nearer than others.
    proba = model.predict_proba([[-1e6, 0.0]])
    assert np.isfinite(proba).all()


def test_labels_of_any_kind(iris):
    X, y, _ = iris
    names = np.array(["setosa", "versicolor", "virginica", -1], dtype=object)
    by_name = LabelPropagation(kernel="knn").fit(X, names[y])
    by_number = LabelPropagation(kernel="knn").fit(X, y)
    np.testing.assert_array_equal(by_name.classes_, ["setosa", "versicolor", "virginica"])
    np.testing.assert_array_equal(by_name.transduction_, names[by_number.transduction_])
    one = LabelPropagation(kernel="knn").fit(X, np.where(y == 0, 7, -1))
    np.testing.assert_array_equal(one.predict(X), 7)


def test_pipelines_searches_clones_and_pickles(iris):
    X, y, truth = iris
    model = make_pipeline(StandardScaler(), LabelPropagation(kernel="knn"))
    search = GridSearchCV(model, {"labelpropagation__n_neighbors": [3, 7, 15]}, cv=3)
    search.fit(X, truth)
    assert search.best_score_ > 0.9
    model.fit(X, y)
    assert (model.predict(X) == truth).mean() > 0.9
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    clone(model)


def test_sparse_samples(iris):
    X, y, _ = iris
    dense = LabelPropagation(gamma=2.0).fit(X, y)
    model = LabelPropagation(gamma=2.0).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(model.label_distributions_, dense.label_distributions_, atol=1e-8)
    np.testing.assert_allclose(
        model.predict_proba(sparse.csr_array(X)), dense.predict_proba(X), atol=1e-8
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "poly"}, "kernel is 'poly'"),
        ({"gamma": 0}, "gamma is 0"),
        ({"kernel": "knn", "n_neighbors": 0}, "n_neighbors is 0"),
        ({"kernel": "knn", "n_neighbors": 150}, "n_neighbors is 150: needs less than the 150"),
        ({"min_weight": 1.0}, "min_weight is 1.0"),
        ({"method": "amg"}, "method is 'amg'"),
        ({"tol": "x"}, "tol is 'x'"),
    ],
)
def test_bad_parameters_are_named(options, message, iris):
    X, y, _ = iris
    with pytest.raises(InvalidInputError, match=message):
        LabelPropagation(**options).fit(X, y)


def test_bad_data_is_named(iris):
    X, y, _ = iris
    with pytest.raises(InvalidInputError, match="y is -1 everywhere"):
        LabelPropagation().fit(X, np.full(150, -1))
    W = np.ones((150, 150))
    W[3, 4] = 2
    with pytest.raises(InvalidInputError, match=r"X: entry \(3, 4\) is 2 but entry \(4, 3\) is 1"):
        LabelPropagation(kernel="precomputed").fit(W, y)
    with pytest.raises(InvalidInputError, match="has shape"):
        LabelPropagation(kernel="precomputed").fit(X, y)


def test_ending_early_is_told(iris):
    X, y = make_moons(3000, noise=0.1, random_state=0)
    y[20:] = -1
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = LabelPropagation(kernel="knn", max_iter=2).fit(X, y)
    assert not model.converged_
    assert model.residual_ > 1e-8

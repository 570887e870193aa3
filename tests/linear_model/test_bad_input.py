"""What is not as described is refused, by a message that names it."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import d2_tweedie_score

from sparrot.errors import InvalidInputError
from sparrot.linear_model import (
    ElasticNetCV,
    GroupLasso,
    Lasso,
    LassoCV,
    MultiTaskLasso,
    SparseLogisticRegression,
    SparsePoissonRegression,
    enet_path,
    lasso_path,
)
from sparrot.linear_model._path import as_alphas


@pytest.fixture
def data(rng):
    X = rng.normal(size=(30, 5))
    return X, X[:, 0] + 0.1 * rng.normal(size=30)


@pytest.mark.parametrize("count", [10**15, 100_001])
def test_grids_have_a_largest_size(count, data):
    for path in (lasso_path, enet_path):
        with pytest.raises(InvalidInputError, match=rf"n_alphas is {count}: .* at most 100000"):
            path(*data, n_alphas=count)
    for estimator in (LassoCV, ElasticNetCV):
        with pytest.raises(InvalidInputError, match=rf"^alphas is {count}: .* at most 100000"):
            estimator(alphas=count).fit(*data)
        with pytest.raises(InvalidInputError, match=r"eps is 1\.0: needs a number below 1"):
            estimator(eps=1.0).fit(*data)


def test_a_grid_of_that_size_is_taken():
    assert as_alphas((1e-3, 100_000), None) == (1e-3, 100_000)


@pytest.mark.parametrize("cv", [[], iter([])])
def test_no_folds(cv, data):
    with pytest.raises(InvalidInputError, match="cv has no folds"):
        LassoCV(cv=cv).fit(*data)


def test_targets_are_counted_against_the_rows_of_x(data):
    X, y = data
    with pytest.raises(InvalidInputError, match="y has 29 values for 30 rows of X"):
        lasso_path(X, y[:-1])


@pytest.fixture
def poisson(rng):
    X = rng.normal(size=(60, 4))
    y = rng.poisson(np.exp(X[:, 0]))
    return SparsePoissonRegression(0.01).fit(X, y), X, y


def test_scores_are_shares_of_deviance(poisson, rng):
    model, X, y = poisson
    weights = rng.random(60)
    for given in (None, weights):
        expected = d2_tweedie_score(y, model.predict(X), sample_weight=given, power=1)
        assert model.score(X, y, given) == pytest.approx(expected, rel=1e-12)
    assert model.score(X, y, 1e308 * weights) == pytest.approx(model.score(X, y, weights))
    assert model.score(X, y, np.full(60, 3.0)) == pytest.approx(model.score(X, y))
    with pytest.warns(DataConversionWarning, match="column-vector"):
        assert model.score(X, y[:, None]) == model.score(X, y)


def test_rows_without_weight_do_not_count_in_scores(poisson):
    model, X, y = poisson
    weights = np.ones(60)
    weights[:5] = 0
    assert model.score(X, y, weights) == pytest.approx(model.score(X[5:], y[5:]), rel=1e-12)
    changed = np.where(np.arange(60) < 5, 10**6, y)
    assert model.score(X, changed, weights) == model.score(X, y, weights)


def test_scores_of_counts_that_are_all_the_same():
    X = np.array([[0.0], [1.0], [0.0]])
    model = SparsePoissonRegression(10.0).fit(X, [3, 3, 3])
    model.intercept_, model.coef_ = np.log(0.3), np.zeros(1)
    assert model.score(X, [0.3, 0.3, 0.3]) == 1.0
    assert model.score(X, [0.3, 0.3, 0.3], [0.1, 0.7, 0.3]) == 1.0
    assert model.score(X, [2, 2, 2]) == 0.0
    assert model.score(X, [0, 0, 0]) == 0.0
    assert model.score(X[:1], [2]) == 0.0
    assert model.score(X, [0.3, 7, 0.3], [1, 0, 1]) == 1.0
    model.intercept_ = -1000.0  # predicts 0
    assert model.score(X, [0, 0, 0]) == 1.0
    assert model.score(X, [0, 1, 0]) == -np.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y[:-1]), "y has 59 values for 60 rows of X"),
        (lambda X, y: (X, np.where(np.arange(60) == 7, -1, y)), r"y\[7\] is -1.0: .*non-negative"),
        (lambda X, y: (X, np.where(np.arange(60) == 7, np.nan, y)), "y contains nan at index 7"),
        (lambda X, y: (X, np.where(np.arange(60) == 7, np.inf, y)), "y contains inf at index 7"),
        (lambda X, y: (X, y.astype(str)), "y has dtype"),
        (lambda X, y: (X, y, np.ones(59)), r"sample_weight has shape \(59,\)"),
        (lambda X, y: (X, y, np.ones((60, 1))), r"sample_weight has shape \(60, 1\)"),
        (lambda X, y: (X, y, np.full(60, np.nan)), r"sample_weight\[0\] is nan"),
        (lambda X, y: (X, y, np.full(60, -1.0)), r"sample_weight\[0\] is -1"),
        (lambda X, y: (X, y, np.zeros(60)), "sample_weight is zero everywhere"),
    ],
)
def test_bad_arguments_of_scores(change, message, poisson):
    model, X, y = poisson
    with pytest.raises(InvalidInputError, match=message):
        model.score(*change(X, y))


def test_scores_are_of_one_column(poisson):
    model, X, y = poisson
    with pytest.raises(ValueError, match="1d array"):
        model.score(X, np.column_stack([y, y]))


def broken(part, values, form=sparse.csc_array):
    """A matrix of shape (4, 3), one array of which is replaced once it has been made."""
    matrix = form(
        (np.arange(1.0, 6.0), np.array([0, 1, 3, 0, 2]), np.array([0, 2, 3, 5])), shape=(4, 3)
    )
    setattr(matrix, part, np.asarray(values))
    return matrix


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("indices", [0, 4, 3, 0, 2], r"X.indices has 4 at index 1: .* row, 0 to 3"),
        ("indices", [0, 1, -1, 0, 2], r"X.indices has -1 at index 2"),
        ("indices", [0, 1, 3, 0, 2**32 + 1], rf"X.indices has {2**32 + 1} at index 4"),
        ("indices", [0, 1, 3, 0, 2**31], rf"X.indices has {2**31} at index 4"),
        ("indices", [0.0, 1.5, 3.0, 0.0, 2.0], "X.indices has dtype float64: needs integers"),
        ("indices", [0, 1, 3, 0], "X.indptr goes from 0 to 5 for 4 indices and 5 entries"),
        ("data", np.ones(6), "X.indptr goes from 0 to 5 for 5 indices and 6 entries"),
        ("indptr", [0, 2, 1, 5], r"X.indptr has 2 and then 1 at index 2"),
        ("indptr", [0, 2**31 - 1, -(2**31), 5], "X.indptr has 2147483647 and then -2147483648"),
        ("indptr", [-1, 2, 3, 5], "X.indptr goes from -1 to 5"),
        ("indptr", [1, 2, 3, 5], "X.indptr goes from 1 to 5"),
        ("indptr", [0, 2, 3, 6], "X.indptr goes from 0 to 6 for 5 indices"),
        ("indptr", [0, 2, 3, 2**32 + 5], rf"X.indptr goes from 0 to {2**32 + 5}"),
        ("indptr", [0, 2, 5], r"X.indptr has 3 values for shape \(4, 3\): needs 4"),
    ],
)
def test_entries_in_no_place_are_refused(part, values, message):
    with pytest.raises(InvalidInputError, match=message):
        lasso_path(broken(part, values), np.ones(4))


def test_entries_in_no_place_are_refused_before_a_conversion():
    matrix = sparse.csr_array((np.ones(3), np.array([0, 1, 2]), np.array([0, 1, 2, 3, 3])), (4, 3))
    matrix.indices = np.array([0, 3, 2], dtype=np.int32)
    with pytest.raises(InvalidInputError, match=r"X.indices has 3 at index 1: .* column, 0 to 2"):
        lasso_path(matrix, np.ones(4))
    with pytest.raises(InvalidInputError, match=r"X has shape \(5,\): needs 2 dimensions"):
        lasso_path(sparse.csr_array(np.ones(5)), np.ones(5))


def test_entries_in_no_place_are_refused_by_estimators():
    with pytest.raises(InvalidInputError, match=r"X.indices has 4 at index 1"):
        Lasso().fit(broken("indices", [0, 4, 3, 0, 2]), np.arange(4.0))


@pytest.mark.parametrize("flag", ["has_sorted_indices", "has_canonical_format"])
def test_a_flag_that_is_out_of_date_is_not_believed(flag):
    y = np.array([1.0, -2.0, 0.5, 3.0])
    # Column 0 falls, column 1 is empty, column 2 has a row twice.
    matrix = sparse.csc_array(
        (np.array([1.0, 2.0, 1.0, 5.0, 2.0]), np.array([3, 0, 2, 1, 2]), np.array([0, 2, 2, 5])),
        shape=(4, 3),
    )
    dense = matrix.toarray()
    setattr(matrix, flag, True)
    expected = lasso_path(dense, y, n_alphas=5, tol=1e-12)
    found = lasso_path(matrix, y, n_alphas=5, tol=1e-12)
    for mine, theirs in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-10)
    # What was given is as it was.
    np.testing.assert_array_equal(matrix.indices, [3, 0, 2, 1, 2])


def test_indices_of_64_bits_are_taken(data):
    X, y = data
    matrix = sparse.csc_array(X)
    wide = matrix.copy()
    wide.indices, wide.indptr = (a.astype(np.int64) for a in (matrix.indices, matrix.indptr))
    np.testing.assert_array_equal(
        lasso_path(wide, y, n_alphas=4)[1], lasso_path(matrix, y, n_alphas=4)[1]
    )


MODELS = [Lasso(), GroupLasso(), MultiTaskLasso(), SparseLogisticRegression(), LassoCV(cv=2)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_masks_are_refused(model, data):
    X, y = data
    model = clone(model)
    y = np.sign(y) if isinstance(model, SparseLogisticRegression) else y
    y = np.stack([y, y], axis=1) if isinstance(model, MultiTaskLasso) else y
    masked = np.ma.masked_array(X, X > 1)
    with pytest.raises(InvalidInputError, match="X is a masked array"):
        model.fit(masked, y)
    with pytest.raises(InvalidInputError, match="y is a masked array"):
        model.fit(X, np.ma.masked_array(y, y > 0))
    with pytest.raises(InvalidInputError, match="sample_weight is a masked array"):
        model.fit(X, y, np.ma.masked_array(np.ones(30), X[:, 0] > 1))
    with pytest.raises(InvalidInputError, match="X is a masked array"):
        model.fit(X, y).predict(masked)


def test_masks_of_counts_are_refused_in_scores(poisson):
    model, X, y = poisson
    with pytest.raises(InvalidInputError, match="y is a masked array"):
        model.score(X, np.ma.masked_array(y, y > 3))


def test_groups_that_are_a_matrix(data):
    with pytest.raises(InvalidInputError, match="groups: needs a size, sizes, or lists"):
        GroupLasso(sparse.eye(5)).fit(*data)


def state(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_")}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("wrong", [{"alpha": 0}, {"tol": -1}, {"n_threads": 0}, {}])
def test_a_fit_that_is_refused_leaves_the_one_before(model, wrong, data):
    X, y = data
    model = clone(model)
    names = np.where(y > 0, "yes", "no")
    y = names if isinstance(model, SparseLogisticRegression) else y
    y = np.stack([y, y], axis=1) if isinstance(model, MultiTaskLasso) else y
    model.fit(X, y)
    before, predicted = state(model), model.predict(X)
    if isinstance(model, LassoCV):
        wrong = {"alphas" if name == "alpha" else name: value for name, value in wrong.items()}
    given = model.get_params()
    other = np.arange(30) % 3 if y is names else y[::-1]
    # Of another width, with names, and, where no parameter is wrong, with an infinite number.
    wider = pd.DataFrame(np.column_stack([X, X[:, 0]])).rename(columns=str)
    if not wrong:
        wider.iloc[3, 2] = np.inf
    with pytest.raises(InvalidInputError):
        model.set_params(**wrong).fit(wider, other)
    after = state(model.set_params(**given))
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    np.testing.assert_array_equal(model.predict(X), predicted)

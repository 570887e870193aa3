"""Several classes told apart together: optimal by their conditions, certified, as others do it."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning as TheirConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.linear_model import SparseLogisticRegression, regularization_path


@parametrize_with_checks(
    [
        SparseLogisticRegression(alpha=0.01),
        SparseLogisticRegression(alpha=0.01, l1_ratio=0.5, warm_start=True),
    ],
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def of_classes(model, y):
    return (y[:, None] == model.classes_).astype(float)


def objective(model, X, y, s=None, v=None):
    coef = model.coef_.astype(float)
    logs = log_softmax(X @ coef.T + model.intercept_, axis=1)
    loss = -np.average((logs * of_classes(model, y)).sum(1), weights=s)
    used = coef.any(axis=0)
    l1 = np.abs(coef[:, used]) * (1 if v is None else np.asarray(v)[used])
    ridge = (1 - model.l1_ratio) / 2 * (coef**2).sum()
    return loss + model.alpha * (model.l1_ratio * l1.sum() + ridge)


def gain(model, X, y, s=None, v=None):
    """By how much a step of one coefficient, or intercept, lowers the objective at least.

    With second derivatives of at most L a proximal step d gains L d**2 / 2: no more than the gap.
    """
    s = np.ones(len(y)) if s is None else s
    s = s / s.sum()
    v = np.ones(X.shape[1]) if v is None else np.asarray(v, dtype=float)
    coef = model.coef_.astype(float)
    slopes = (softmax(X @ coef.T + model.intercept_, axis=1) - of_classes(model, y)) * s[:, None]
    mu = model.alpha * (1 - model.l1_ratio)
    allowed = np.isfinite(v) & X.any(axis=0)
    X, coef, v = X[:, allowed], coef[:, allowed], v[allowed]
    L = s @ X**2 / 4 + mu
    u = coef - (slopes.T @ X + mu * coef) / L
    size = u if model.positive else np.abs(u)
    to = np.sign(u) * np.maximum(size - model.alpha * model.l1_ratio * v / L, 0)
    gains = (L * (to - coef) ** 2 / 2).max(initial=0)
    return max(gains, 2 * (slopes.sum(0) ** 2).max()) if model.fit_intercept else gains


def drawn(rng, linear):
    """Classes by the largest of linear values with noise, each of them there."""
    y = (linear + rng.gumbel(size=linear.shape)).argmax(1)
    y[: linear.shape[1]] = np.arange(linear.shape[1])
    return y


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    count = int(rng.integers(3, 6))
    n, p = int(rng.integers(12, 60)), int(rng.integers(1, 60))
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-1, 1, p) + rng.normal(size=p)
    linear = X @ (rng.normal(size=(p, count)) * (rng.random((p, count)) < 0.3))
    if draw(st.booleans()):  # ordered: each is confused with its neighbours only
        at = linear[:, 0] / max(linear[:, 0].std(), 1e-9)
        linear = -2 * (at[:, None] - np.linspace(-2, 2, count)) ** 2
    y = drawn(rng, 1.5 * linear / max(linear.std(), 1e-9))
    options = {
        "fit_intercept": draw(st.booleans()),
        "positive": draw(st.booleans()),
        "l1_ratio": draw(st.sampled_from([1.0, 1.0, 0.6, 0.01])),
    }
    centred = np.eye(count)[y] - np.eye(count)[y].mean(0)
    largest = np.abs(X.T @ centred).max() / n / options["l1_ratio"]
    alpha = largest * draw(st.sampled_from([2.0, 0.5, 0.1, 0.01]))
    s = rng.random(n) * (rng.random(n) < 0.9) if draw(st.booleans()) else None
    if s is not None:
        s[:count] = 0.5
    v = rng.choice([0.5, 1.0, 3.0, np.inf], p) if draw(st.booleans()) else None
    return X, y, alpha, options, s, v


@given(problem=problems(), form=st.sampled_from([np.asarray, sparse.csc_array]))
def test_conditions_of_optimality(problem, form):
    X, y, alpha, options, s, v = problem
    model = SparseLogisticRegression(alpha, weights=v, tol=1e-12, **options)
    model.fit(form(X), y, sample_weight=s)
    assert model.converged_
    assert gain(model, X, y, s, v) <= model.dual_gap_ + 1e-15
    assert model.objective_ == pytest.approx(objective(model, X, y, s, v), rel=1e-9)
    assert abs(model.intercept_.sum()) < 1e-9
    if v is not None:
        assert not model.coef_[:, np.isinf(v)].any()


@settings(max_examples=300)
@given(problem=problems(), tol=st.sampled_from([0.5, 1e-1, 1e-3, 1e-6]))
def test_the_gap_is_not_below_the_true_one(problem, tol):
    X, y, alpha, options, s, v = problem
    loose = SparseLogisticRegression(alpha, weights=v, tol=tol, **options).fit(X, y, s)
    tight = SparseLogisticRegression(alpha, weights=v, tol=1e-12, **options).fit(X, y, s)
    excess = objective(loose, X, y, s, v) - objective(tight, X, y, s, v)
    assert loose.dual_gap_ >= excess - 1e-13
    # In the units of tol: the objective at 0.
    shares = np.bincount(y, weights=s) / (len(y) if s is None else s.sum())
    null = -(shares * np.log(shares)).sum() if options["fit_intercept"] else np.log(len(shares))
    assert loose.dual_gap_ <= tol * null * (1 + 1e-9)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_solutions_are_scikit_learns(l1_ratio):
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    weights = 0.5 + np.arange(len(y)) % 3
    for alpha in (0.05, 0.01):
        for s in (None, weights):
            ours = SparseLogisticRegression(alpha, l1_ratio=l1_ratio, tol=1e-13).fit(X, y, s)
            total = len(y) if s is None else s.sum()
            theirs = LogisticRegression(
                solver="saga", l1_ratio=l1_ratio, C=1 / (alpha * total), tol=1e-10, max_iter=10**5
            ).fit(X, y, s)
            theirs.alpha, theirs.l1_ratio = alpha, l1_ratio
            found, expected = objective(ours, X, y, s), objective(theirs, X, y, s)
            assert found == pytest.approx(expected, abs=1e-8)
            assert found <= expected + 1e-13
            np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
            np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_real_classes():
    X, y = load_digits(return_X_y=True)
    X = X[:, X.std(0) > 0]
    model = SparseLogisticRegression(0.05).fit(X, y)
    assert model.converged_
    assert model.coef_.shape == model.sparse_coef_.shape == (10, 61)
    assert model.score(X, y) > 0.95
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheirConvergenceWarning)
        theirs = LogisticRegression(solver="saga", l1_ratio=1.0, C=20 / len(y), max_iter=50)
        theirs.fit(X, y)
    theirs.alpha, theirs.l1_ratio = 0.05, 1.0
    # What a method without a certificate finds is above the lower bound.
    assert objective(theirs, X, y) >= model.objective_ - model.dual_gap_
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.log(proba), model.predict_log_proba(X), rtol=1e-9)


def example(rng, n=90, p=120, count=4):
    X = rng.normal(size=(n, p))
    return X, drawn(rng, 2 * X[:, :count])


def test_weights_are_repeated_rows(rng):
    X, y = example(rng)
    counts = rng.integers(0, 4, len(y))
    counts[:4] = 1
    weighted = SparseLogisticRegression(0.03, tol=1e-12).fit(X, y, counts)
    repeated = SparseLogisticRegression(0.03, tol=1e-12).fit(X.repeat(counts, 0), y.repeat(counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, atol=1e-6)


def test_single_precision_and_threads(rng):
    X, y = example(rng, p=3000)
    one, two = (SparseLogisticRegression(0.03, n_threads=threads).fit(X, y) for threads in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    single = SparseLogisticRegression(0.03).fit(X.astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, one.coef_, atol=1e-2)


def test_large_means_of_sparse_columns_cost_no_digits(rng):
    X, y = example(rng, p=8)
    X = np.round(X * 2**10) / 2**10
    # What rounding leaves of the gap of the moved ones is some 1e-9.
    model = SparseLogisticRegression(0.02, tol=1e-8).fit(X, y)
    moved = SparseLogisticRegression(0.02, tol=1e-8).fit(sparse.csc_array(X + 1e4), y)
    np.testing.assert_allclose(moved.coef_, model.coef_, atol=1e-4)


def test_a_warm_start_goes_on(rng):
    X, y = example(rng)
    model = SparseLogisticRegression(0.01, warm_start=True, tol=1e-8).fit(X, y)
    assert model.n_iter_ > 1
    coef = model.coef_
    np.testing.assert_allclose(model.fit(X, y).coef_, coef, atol=1e-4)
    assert model.n_iter_ == 1
    changed = model.set_params(positive=True, weights=np.where(np.arange(120) == 0, np.inf, 1))
    fresh = SparseLogisticRegression(0.01, tol=1e-8, positive=True, weights=changed.weights)
    np.testing.assert_allclose(changed.fit(X, y).coef_, fresh.fit(X, y).coef_, atol=1e-3)
    with pytest.raises(InvalidInputError, match="warm_start: coef_ has shape"):
        model.fit(X, np.minimum(y, 2))


def test_paths_start_where_all_is_0(rng):
    X, y = example(rng)
    path = regularization_path(SparseLogisticRegression(tol=1e-9), X, y, n_alphas=6, eps=0.05)
    assert path.coefs.shape == (4, 120, 6)
    assert path.intercepts.shape == (4, 6)
    assert not path.coefs[..., 0].any()
    assert path.coefs[..., 1].any()
    for k in (0, 3, 5):
        single = SparseLogisticRegression(path.alphas[k], tol=1e-9).fit(X, y)
        assert path.objectives[k] == pytest.approx(single.objective_, abs=1e-8)
    below = SparseLogisticRegression(path.alphas[0] * (1 - 1e-6), tol=0, max_iter=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert below.fit(X, y).coef_.any()


def test_separable_classes_and_a_small_penalty(rng):
    X = rng.normal(size=(150, 300))
    y = X[:, :3].argmax(1)
    model = SparseLogisticRegression(1e-5).fit(X, y)
    assert model.converged_
    assert model.score(X, y) == 1.0


def test_values_far_apart(rng):
    X, y = example(rng, p=6)
    for unit in (2.0**-40, 2.0**40):
        scaled = SparseLogisticRegression(0.02 * unit, tol=1e-10).fit(unit * X, y)
        model = SparseLogisticRegression(0.02, tol=1e-10).fit(X, y)
        np.testing.assert_allclose(scaled.coef_ * unit, model.coef_, rtol=1e-6, atol=1e-9)


def test_ending_early_is_told(rng):
    X, y = example(rng)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = SparseLogisticRegression(1e-3, max_iter=1).fit(X, y)
    best = SparseLogisticRegression(1e-3, tol=1e-9).fit(X, y)
    assert model.dual_gap_ >= model.objective_ - best.objective_ > 0


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("intercept", [True, False])
def test_columns_without_a_penalty(intercept, form, rng):
    X, y = example(rng, p=30)
    X[:, 1] += 5
    weights = np.where(np.arange(30) < 2, 0, 1.0)
    weights[7] = np.inf
    options = {"weights": weights, "fit_intercept": intercept}
    for alpha in (0.05, 0.01):
        tight = SparseLogisticRegression(alpha, tol=1e-11, **options).fit(form(X), y)
        assert tight.converged_
        assert gain(tight, X, y, v=weights) <= tight.dual_gap_ + 1e-15
        for tol in (1e-1, 1e-2, 1e-4):
            loose = SparseLogisticRegression(alpha, tol=tol, **options).fit(form(X), y)
            assert loose.converged_
            excess = objective(loose, X, y, v=weights) - objective(tight, X, y, v=weights)
            assert loose.dual_gap_ >= excess - 1e-13
    path = regularization_path(SparseLogisticRegression(**options), form(X), y, n_alphas=3)
    assert not path.coefs[:, 2:, 0].any()
    assert path.coefs[:, :2, 0].any()
    with pytest.raises(InvalidInputError, match=r"weights\[0\] is 0: with positive=True"):
        SparseLogisticRegression(positive=True, **options).fit(X, y)
    model = SparseLogisticRegression(0.02, l1_ratio=0.5, tol=1e-11, **options).fit(X, y)
    assert gain(model, X, y, v=weights) <= model.dual_gap_ + 1e-15


@pytest.mark.parametrize("unit", [1.0, 1.1, 1e-3])
@pytest.mark.parametrize("names", [[0, 1, 2], [1, 2, 0], [2, 0, 1]])
def test_columns_without_a_penalty_enter(names, unit):
    X = unit * np.array([[0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1.0]]).T
    y = np.array(names)[[0, 1, 2, 0, 2, 0, 2, 1, 0, 2, 2, 1]]
    model = SparseLogisticRegression(weights=[0], tol=1e-10).fit(X, y)
    # Both numbers of the column have the shares of the classes there.
    for value in (0, unit):
        shares = np.bincount(y[X[:, 0] == value]) / (X[:, 0] == value).sum()
        np.testing.assert_allclose(model.predict_proba([[value]])[0], shares, atol=1e-5)
    np.testing.assert_allclose(model.objective_, log_loss(y, model.predict_proba(X)), rtol=1e-10)


def test_classes_without_weight_are_named(rng):
    X, y = example(rng, p=3)
    with pytest.raises(InvalidInputError, match="sample_weight is zero for class 2"):
        SparseLogisticRegression().fit(X, y, (y != 2).astype(float))

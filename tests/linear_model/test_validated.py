"""Penalties chosen by cross-validation, and paths: what a loop over single fits would find."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model as theirs
from sklearn.base import clone
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.linear_model import (
    BridgeRegression,
    CEL0Regression,
    ElasticNet,
    GroupLasso,
    GroupLassoCV,
    L0Regression,
    Lasso,
    LassoCV,
    MCPRegression,
    MCPRegressionCV,
    MultiTaskLasso,
    MultiTaskLassoCV,
    SCADRegression,
    SCADRegressionCV,
    SparseGroupLasso,
    SparseGroupLassoCV,
    SparseHuberRegression,
    SparseLogisticRegression,
    SparseLogisticRegressionCV,
    SparsePoissonRegression,
    SparsePoissonRegressionCV,
    SqrtLasso,
    lasso_path,
    regularization_path,
)


@parametrize_with_checks(
    [
        GroupLassoCV(alphas=4, cv=3, tol=1e-12),
        SparseGroupLassoCV(alphas=4, cv=3, tol=1e-12),
        MultiTaskLassoCV(alphas=4, cv=3, tol=1e-12),
        MCPRegressionCV(alphas=4, cv=3),
        SCADRegressionCV(alphas=4, cv=3),
        SparseLogisticRegressionCV(alphas=4, cv=3),
        SparsePoissonRegressionCV(alphas=4, cv=3, l1_ratio=[0.5, 1.0], tol=1e-10),
    ],
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def linear(rng, n=60, p=12):
    X = rng.normal(size=(n, p))
    for j in range(1, p):
        X[:, j] = 0.5 * X[:, j - 1] + X[:, j]
    return X, X[:, :3] @ [1.0, -1.0, 0.5] + 0.5 * rng.normal(size=n) + 2


def numbers(y, rng):
    return y


def two(y, rng):
    return np.stack([y, y[::-1] + rng.normal(size=len(y))], axis=1)


def counts(y, rng):
    return rng.poisson(np.exp(y / 3))


def halves(y, rng):
    return np.where(y + rng.normal(size=len(y)) > 2, "high", "low")


def thirds(y, rng):
    return np.digitize(y + rng.normal(size=len(y)), [1.2, 2.8])


# The one that chooses, the one that is chosen, and what of: y, and the error of a fit on rows.
CHOICES = {
    "lasso": (LassoCV(), Lasso(), numbers, "mse_path_"),
    "groups": (
        GroupLassoCV(3, weights="sqrt"),
        GroupLasso(3, weights="sqrt"),
        numbers,
        "mse_path_",
    ),
    "sparse": (SparseGroupLassoCV(4), SparseGroupLasso(4), numbers, "mse_path_"),
    "tasks": (MultiTaskLassoCV(), MultiTaskLasso(), two, "mse_path_"),
    "mcp": (MCPRegressionCV(4.0), MCPRegression(gamma=4.0), numbers, "mse_path_"),
    "scad": (SCADRegressionCV(), SCADRegression(), numbers, "mse_path_"),
    "poisson": (SparsePoissonRegressionCV(), SparsePoissonRegression(), counts, "deviance_path_"),
    "logistic": (SparseLogisticRegressionCV(), SparseLogisticRegression(), halves, "loss_path_"),
    "classes": (SparseLogisticRegressionCV(), SparseLogisticRegression(), thirds, "loss_path_"),
}


def error(model, X, y, s):
    if isinstance(model, SparseLogisticRegression):
        return log_loss(y, model.predict_proba(X), sample_weight=s, labels=model.classes_)
    if isinstance(model, SparsePoissonRegression):
        return mean_poisson_deviance(y, model.predict(X), sample_weight=s)
    return mean_squared_error(y, model.predict(X), sample_weight=s)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("name", CHOICES)
def test_it_is_a_loop_over_folds_and_penalties(name, form, weighted, rng):
    chooser, chosen, targets, errors = CHOICES[name]
    X, y = linear(rng)
    y = targets(y, rng)
    s = rng.integers(0, 3, len(y)) + 0.5 if weighted else np.ones(len(y))
    alphas = [0.3, 0.1, 0.02]
    model = clone(chooser).set_params(alphas=alphas, cv=4, tol=1e-11)
    model.fit(form(X), y, s if weighted else None)
    classes = "Logistic" in type(model).__name__
    folds = (StratifiedKFold if classes else KFold)(4).split(X, y)
    single = clone(chosen).set_params(tol=1e-11)
    expected = np.empty((3, 4))
    for fold, (train, test) in enumerate(folds):
        for k, alpha in enumerate(alphas):
            single.set_params(alpha=alpha).fit(X[train], y[train], s[train])
            expected[k, fold] = error(single, X[test], y[test], s[test])
    found = getattr(model, errors)
    np.testing.assert_allclose(found, expected, rtol=2e-4)
    np.testing.assert_array_equal(model.alphas_, alphas)
    assert model.alpha_ == alphas[expected.mean(1).argmin()]
    best = single.set_params(alpha=model.alpha_).fit(X, y, s)
    np.testing.assert_allclose(model.coef_, best.coef_, atol=1e-4)
    np.testing.assert_allclose(model.intercept_, best.intercept_, atol=1e-4)
    assert model.score(X, y) == pytest.approx(best.score(X, y), abs=1e-3)


@pytest.mark.parametrize("name", CHOICES)
def test_grids_start_where_all_is_0_and_threads_change_no_bit(name, rng):
    chooser, chosen, targets, errors = CHOICES[name]
    X, y = linear(rng)
    y = targets(y, rng)
    one, two_ = (
        clone(chooser).set_params(alphas=7, eps=0.01, cv=3, n_threads=k).fit(X, y) for k in (1, 2)
    )
    np.testing.assert_array_equal(one.coef_, two_.coef_)
    np.testing.assert_array_equal(getattr(one, errors), getattr(two_, errors))
    assert getattr(one, errors).shape == (7, 3)
    np.testing.assert_allclose(one.alphas_, one.alphas_[0] * np.geomspace(1, 0.01, 7), rtol=1e-12)
    for factor, is_0 in ((1.0, True), (0.999, False)):
        single = clone(chosen).set_params(alpha=factor * one.alphas_[0], tol=1e-12).fit(X, y)
        assert single.coef_.any() != is_0
    # Where there is nothing to explain there is no largest.
    if name not in ("logistic", "classes"):
        flat = clone(chooser).set_params(alphas=3, cv=3).fit(X, np.ones_like(y))
        assert not flat.coef_.any()
        assert (flat.alphas_ > 0).all()


def test_tasks_as_scikit_learn_chooses(rng):
    X, y = linear(rng)
    Y = two(y, rng)
    ours = MultiTaskLassoCV(alphas=10, cv=4, tol=1e-12).fit(X, Y)
    expected = theirs.MultiTaskLassoCV(alphas=10, cv=4, tol=1e-12, max_iter=10**6).fit(X, Y)
    np.testing.assert_allclose(ours.alphas_, expected.alphas_, rtol=1e-9)
    np.testing.assert_allclose(ours.mse_path_, expected.mse_path_, rtol=1e-6)
    assert ours.alpha_ == pytest.approx(expected.alpha_)
    np.testing.assert_allclose(ours.coef_, expected.coef_, atol=1e-6)


@pytest.mark.parametrize("shares", [0.5, [0.5], [0.3, 1.0]])
def test_shares_of_losses_are_chosen_from(shares, rng):
    X, y = linear(rng)
    model = SparseLogisticRegressionCV(alphas=5, l1_ratio=shares, cv=3).fit(X, thirds(y, rng))
    several = np.size(shares) > 1
    assert model.loss_path_.shape == ((2, 5, 3) if several else (5, 3))
    assert model.alphas_.shape == ((2, 5) if several else (5,))
    assert model.l1_ratio_ in np.atleast_1d(shares)
    assert not hasattr(LassoCV(alphas=3, cv=3).fit(X, y), "l1_ratio_")


@pytest.mark.parametrize("weights", [[0, 1, 1, 1], [np.inf, 0, 1, 1]])
def test_grids_beside_groups_without_a_penalty(weights, rng):
    X, y = linear(rng)
    X[:, 3:] += X[:, :1]
    model = GroupLassoCV(3, alphas=5, weights=weights, cv=3, tol=1e-8).fit(X, y)
    free = np.repeat(np.asarray(weights) == 0, 3)
    for factor, is_0 in ((1.001, True), (0.999, False)):
        single = GroupLasso(3, factor * model.alphas_[0], weights=weights, tol=1e-12).fit(X, y)
        assert single.coef_[~free].any() != is_0
        assert single.coef_[free].all()


def test_folds_that_cannot_be_fitted_are_named(rng):
    X, y = linear(rng, n=12)
    classes = np.repeat([0, 1, 2], 4)
    split = [(np.arange(8), np.arange(8, 12))]
    with pytest.raises(InvalidInputError, match="fold 0 has no row of class 2 to train on"):
        SparseLogisticRegressionCV(cv=split).fit(X, classes)
    with pytest.raises(InvalidInputError, match="fold 0 has only counts of 0 to train on"):
        SparsePoissonRegressionCV(cv=split).fit(X, classes // 2)
    for model in (GroupLassoCV, MCPRegressionCV, MultiTaskLassoCV):
        of = two(y, rng) if model is MultiTaskLassoCV else y
        with pytest.raises(InvalidInputError, match="cv has no folds"):
            model(cv=[]).fit(X, of)
        with pytest.raises(InvalidInputError, match="alphas is 0"):
            model(alphas=0).fit(X, of)


@pytest.mark.parametrize("entry", [0, 5000, -5000])
def test_rows_without_weight_do_not_judge(entry):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 5))
    y = rng.poisson(np.exp(X[:, 0]))
    weights = (np.arange(60) != 7).astype(float)
    X[7, 0] = entry  # exp of what is predicted there overflows
    model = SparsePoissonRegressionCV(alphas=10, cv=3, eps=0.01).fit(X, y, weights)
    X[7] = 0
    expected = SparsePoissonRegressionCV(alphas=10, cv=3, eps=0.01).fit(X, y, weights)
    assert np.isfinite(model.deviance_path_).all()
    assert model.alpha_ == expected.alpha_ < model.alphas_[0]
    np.testing.assert_allclose(model.deviance_path_, expected.deviance_path_)


def test_predictions_that_overflow_are_the_worst(rng):
    X = rng.normal(size=(60, 5))
    y = rng.poisson(np.exp(X[:, 0]))
    X[7, 0] = 5000
    model = SparsePoissonRegressionCV(alphas=4, cv=KFold(3), tol=1e-4).fit(X, y)
    # The fold that is judged by that row rules out the penalties that let the column in.
    is_out = np.isinf(model.deviance_path_).any(axis=1)
    assert np.isfinite(model.deviance_path_[:, 1:]).all()
    np.testing.assert_array_equal(is_out, [False, False, True, True])
    assert not is_out[list(model.alphas_).index(model.alpha_)]


def test_penalties_that_some_fold_has_not_reached_are_not_chosen(rng, monkeypatch):
    X, y = linear(rng)
    folds = KFold(3)
    full = LassoCV(alphas=6, cv=folds, n_threads=1).fit(X, y)
    solve, calls = Lasso._solve, []

    def hurried(self, task, alphas, *args, **options):
        points = solve(self, task, alphas, *args, **options)
        calls.append(len(alphas))
        return points[:2] if len(calls) == 3 else points  # of the second fold

    monkeypatch.setattr(Lasso, "_solve", hurried)
    with pytest.warns(ConvergenceWarning, match="4 of 19 penalties have not been reached"):
        model = LassoCV(alphas=6, cv=folds, n_threads=1).fit(X, y)
    assert model.status_ == "max_time"
    assert full.alpha_ < model.alpha_ == full.alphas_[1]
    np.testing.assert_array_equal(np.isnan(model.mse_path_[:, 1]), [0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(model.mse_path_[:2], full.mse_path_[:2])


@pytest.mark.parametrize("form", [np.asfortranarray, sparse.csc_array])
def test_x_is_not_copied(form, rng):
    X = form(rng.normal(size=(600, 1000)))
    y = X[:, [0]].sum(axis=1) + 0.1 * rng.normal(size=600)
    LassoCV(alphas=3, cv=3, eps=0.3).fit(X, y)
    tracemalloc.start()
    try:
        LassoCV(alphas=3, cv=3, eps=0.3).fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * 8 * X.size if form is np.asfortranarray else 1.5 * 12 * X.nnz


@pytest.mark.parametrize("name", CHOICES)
def test_rows_of_a_group_stay_together(name, rng):
    chooser, _, targets, errors = CHOICES[name]
    X, y = linear(rng)
    y, labels = targets(y, rng), rng.permutation(np.repeat(list("abcdef"), 10))
    model = clone(chooser).set_params(alphas=4, cv=GroupKFold(3)).fit(X, y, split_groups=labels)
    splits = list(GroupKFold(3).split(X, y, labels))
    expected = clone(chooser).set_params(alphas=4, cv=splits).fit(X, y)
    np.testing.assert_array_equal(getattr(model, errors), getattr(expected, errors))
    with pytest.raises(ValueError, match="groups"):
        model.fit(X, y)
    with pytest.raises(InvalidInputError, match=r"split_groups has shape \(59,\): .* 60 rows"):
        model.fit(X, y, split_groups=labels[:-1])


def test_the_worst_of_all_fits_is_told(rng):
    X, y = rng.normal(size=(50, 100)), rng.normal(size=50)
    with pytest.warns(ConvergenceWarning, match="of 11 penalties, the worst at alpha") as caught:
        GroupLassoCV(5, alphas=5, cv=2, max_iter=1, tol=1e-12).fit(X, y)
    assert caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="stationarity") as caught:
        regularization_path(MCPRegression(max_iter=1, tol=1e-12), X, y, n_alphas=5)
    assert caught[0].filename == __file__


PATHS = {
    "enet": (ElasticNet(l1_ratio=0.4), numbers),
    "sqrt": (SqrtLasso(), numbers),
    "huber": (SparseHuberRegression(), numbers),
    "bridge": (BridgeRegression(), numbers),
    "cel0": (CEL0Regression(), numbers),
    **{name: (chosen, targets) for name, (_, chosen, targets, _) in CHOICES.items()},
}


@pytest.mark.parametrize("name", PATHS)
def test_paths_are_of_single_fits(name, rng):
    model, targets = PATHS[name]
    X, y = linear(rng)
    y = targets(y, rng)
    s = rng.random(len(y)) + 0.5
    model = clone(model).set_params(tol=1e-10)
    path = regularization_path(model, X, y, eps=0.02, n_alphas=5, sample_weight=s)
    assert path.converged
    assert not hasattr(model, "coef_")
    is_convex = name not in ("mcp", "scad", "bridge", "cel0")
    certificates = path.dual_gaps if is_convex else path.stationarities
    for k, alpha in enumerate(path.alphas):
        single = clone(model).set_params(alpha=alpha).fit(X, y, s)
        assert path.coefs[..., k].shape == single.coef_.shape
        np.testing.assert_allclose(path.coefs[..., k], single.coef_, atol=1e-3)
        np.testing.assert_allclose(path.intercepts[..., k], single.intercept_, atol=1e-3)
        assert path.objectives[k] == pytest.approx(single.objective_, rel=1e-7)
        assert 0 <= certificates[k] < 1e-8
    assert not path.coefs[..., 0].any()
    assert path.coefs[..., -1].any()


def test_what_is_found_does_not_depend_on_the_grid(rng):
    X, y = linear(rng, n=50, p=100)
    all_ = regularization_path(MCPRegression(tol=1e-9), X, y, n_alphas=9, eps=0.05)
    some = regularization_path(MCPRegression(tol=1e-9), X, y, alphas=all_.alphas[[2, 5, 8]])
    np.testing.assert_allclose(some.coefs, all_.coefs[:, [2, 5, 8]], atol=1e-7)


def test_paths_are_lasso_paths(rng):
    X, y = linear(rng)
    alphas, coefs, gaps = lasso_path(X, y, n_alphas=8)
    path = regularization_path(Lasso(fit_intercept=False), X, y, n_alphas=8)
    np.testing.assert_array_equal(path.alphas, alphas)
    np.testing.assert_array_equal(path.coefs, coefs)
    np.testing.assert_array_equal(path.dual_gaps, gaps)
    single = regularization_path(Lasso(), X.astype(np.float32), y, n_alphas=3)
    assert single.coefs.dtype == np.float32


@pytest.mark.parametrize("model", [L0Regression(), theirs.Lasso(), None])
def test_models_that_have_no_path(model, rng):
    with pytest.raises(InvalidInputError, match="model is"):
        regularization_path(model, *linear(rng))

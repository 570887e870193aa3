"""KSparseTransport as a citizen of scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.transport import KSparseDual, KSparseTransport, solve_ksparse

# scikit-learn's checks pass labels and no target, which deserves the warning it gets.
LABELS = "ignore:y is one-dimensional:UserWarning"


@parametrize_with_checks(
    [
        KSparseTransport(),
        KSparseTransport(k=1, metric="euclidean"),
        KSparseTransport(k=2, gamma=1.0, gamma_scale="max"),
        KSparseTransport(k=100, gamma_scale="absolute"),
    ],
    xfail_strict=True,
)
@pytest.mark.filterwarnings(LABELS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def domains(rng):
    source = rng.normal(size=(150, 3))
    target = rng.normal(size=(180, 3)) @ np.diag([2.0, 1.0, 0.5]) + [4, -1, 0]
    return source, target


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 2, 5, 180, 1000])
def test_every_point_goes_to_an_average_of_at_most_k(k, metric, domains, rng):
    source, target = domains
    model = KSparseTransport(k=k, metric=metric).fit(source, target)
    assert model.result_.converged
    for points in (source, 3 * rng.normal(size=(70, 3)), source[:1]):
        chosen = model.targets(points)
        assert isinstance(chosen, sparse.csr_array)
        assert chosen.shape == (len(points), 180)
        assert (chosen.data > 0).all()
        assert np.diff(chosen.indptr).max() <= k
        # Weights are differences of scores of the size of the cost, over gamma per point.
        scale = cdist(points, target, metric).max() / (model.gamma_ / 150)
        np.testing.assert_allclose(chosen.sum(1), 1, rtol=1e-15 * scale + 1e-14)
        np.testing.assert_allclose(model.transform(points), chosen @ target, rtol=1e-13, atol=1e-13)


def test_with_one_target_points_go_to_targets(domains):
    source, target = domains
    model = KSparseTransport(k=1).fit(source, target)
    chosen = model.targets(source)
    np.testing.assert_array_equal(np.diff(chosen.indptr), 1)
    np.testing.assert_allclose(model.transform(source), target[chosen.indices], rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 30.0])
def test_where_k_does_not_bind_points_go_where_the_plan_sends_them(gamma, domains):
    source, target = domains
    model = KSparseTransport(k=180, gamma=gamma, tol=1e-10).fit(source, target)
    result = model.result_
    assert result.n_binding == 0
    plan = result.plan
    expected = plan @ target / plan.sum(1, keepdims=True)
    # The plan is 1e-9 of its mass off at most, of points within 10 of the origin.
    np.testing.assert_allclose(model.transform(source), expected, atol=1e-6)
    np.testing.assert_allclose(model.targets(source).toarray() / 150, plan, atol=1e-9)


def test_targets_are_the_dual_plan(domains):
    source, target = domains
    model = KSparseTransport(k=3, gamma=0.5).fit(source, target)
    cost = cdist(source, target, "sqeuclidean")
    same = solve_ksparse(cost, gamma=0.5, gamma_scale="mean", k=3, axis=1, recover="dual")
    assert model.gamma_ == pytest.approx(same.gamma, rel=1e-12)
    assert model.n_iter_ == model.result_.n_iter
    # Two solves of one problem, whose maximum is a kink: values agree to the gaps.
    slack = same.gap + model.result_.gap
    assert abs(same.dual_value - model.result_.dual_value) <= slack
    np.testing.assert_array_equal(model.potential_, model.result_.potentials[1])
    dual = KSparseDual(cost, gamma=model.gamma_, k=3, axis=1)
    np.testing.assert_allclose(
        dual.plan(model.potential_).toarray() * 150, model.targets(source).toarray(), atol=1e-11
    )


def test_a_point_is_mapped_alike_in_any_company(domains, rng):
    source, target = domains
    model = KSparseTransport(k=3).fit(source, target)
    points = rng.normal(size=(90, 3))
    together = model.transform(points)
    order = rng.permutation(90)
    np.testing.assert_allclose(model.transform(points[order]), together[order], rtol=1e-12)
    alone = np.vstack([model.transform(point[None]) for point in points])
    np.testing.assert_allclose(alone, together, rtol=1e-12)


def test_float32_stays_and_frames_keep_names(domains):
    source, target = domains
    model = KSparseTransport().fit(source.astype(np.float32), target)
    assert model.transform(source.astype(np.float32)).dtype == np.float32
    assert model.transform(source).dtype == np.float64
    single = KSparseTransport().fit(source.astype(np.float32), target.astype(np.float32))
    assert single.target_.dtype == np.float32
    # What float32 coordinates are rounded to, times what that makes of weights.
    np.testing.assert_allclose(
        single.transform(source), KSparseTransport().fit(source, target).transform(source), atol=0.1
    )
    frame = pd.DataFrame(source, columns=["r", "g", "b"])
    model = KSparseTransport().set_output(transform="pandas").fit(frame, target)
    moved = model.transform(frame)
    assert list(moved.columns) == ["r", "g", "b"]
    assert list(model.feature_names_in_) == ["r", "g", "b"]
    assert list(model.get_feature_names_out()) == ["r", "g", "b"]
    np.testing.assert_array_equal(
        moved.to_numpy(), KSparseTransport().fit(source, target).transform(source)
    )


def test_the_same_bits_for_any_number_of_threads(domains):
    source, target = domains
    one, three = (KSparseTransport(k=2, n_threads=count).fit(source, target) for count in (1, 3))
    np.testing.assert_array_equal(one.potential_, three.potential_)
    np.testing.assert_array_equal(one.transform(source), three.transform(source))


def test_cloning_and_pickling(domains):
    source, target = domains
    model = clone(KSparseTransport(k=2, gamma=0.3, target=target)).fit(source)
    assert model.get_params()["gamma"] == 0.3
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.transform(source), model.transform(source))
    assert copy.result_.gap == model.result_.gap
    with pytest.raises(NotFittedError):
        clone(model).transform(source)
    with pytest.raises(NotFittedError):
        clone(model).targets(source)


def test_in_a_pipeline_and_a_grid_search(domains):
    source, target = domains
    y = (source[:, 0] > 0).astype(int)
    pipeline = make_pipeline(KSparseTransport(target=target), LogisticRegression())
    search = GridSearchCV(
        pipeline, {"ksparsetransport__k": [1, 4], "ksparsetransport__gamma": [0.1, 1.0]}, cv=3
    )
    search.fit(source, y)
    assert search.best_score_ > 0.85


@pytest.mark.filterwarnings(LABELS)
def test_labels_are_not_targets(domains):
    source, target = domains
    with pytest.warns(UserWarning, match="transported onto itself") as caught:
        model = KSparseTransport().fit(source, np.zeros(150))
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(model.target_, source)
    model = KSparseTransport(target=target).fit(source, np.zeros(150))
    np.testing.assert_array_equal(model.target_, target)
    with pytest.raises(InvalidInputError, match="y is one-dimensional"):
        KSparseTransport().fit(source[:, :1], np.ones(150))


def test_points_onto_themselves_stay(domains):
    source, _ = domains
    model = KSparseTransport(k=4, gamma=1e-3).fit(source)
    np.testing.assert_allclose(model.transform(source), source, atol=1e-8)


def test_not_converged_is_told(domains):
    source, target = domains
    with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
        model = KSparseTransport(k=2, max_iter=1).fit(source, target)
    assert caught[0].filename == __file__
    assert not model.result_.converged
    moved = model.transform(source)
    assert np.isfinite(moved).all()
    assert np.diff(model.targets(source).indptr).max() <= 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": 2.0}, r"k is 2.0 \(float\)"),
        ({"gamma": 0.0}, "gamma is 0.0"),
        ({"gamma": np.nan}, "gamma is nan"),
        ({"gamma_scale": "median"}, "gamma_scale is 'median'"),
        ({"metric": "cityblock"}, "metric is 'cityblock'"),
        ({"tol": -1.0}, "tol is -1.0"),
        ({"max_iter": 0}, "max_iter is 0"),
        ({"n_threads": 0}, "n_threads is 0"),
        ({"target": np.ones((4, 2))}, "y has 2 columns but X has 3"),
        ({"target": np.full((4, 3), np.nan)}, r"y contains nan at index \(0, 0\)"),
    ],
)
def test_bad_settings_are_named_by_fit(settings, message, domains):
    with pytest.raises(InvalidInputError, match=message):
        KSparseTransport(**settings).fit(domains[0])


def test_bad_points(domains):
    source, target = domains
    model = KSparseTransport().fit(source, target)
    for call in (model.transform, model.targets):
        with pytest.raises(ValueError, match="NaN"):
            call(np.full((2, 3), np.nan))
        with pytest.raises(ValueError, match="infinity"):
            call(np.full((2, 3), np.inf))
        with pytest.raises(ValueError, match=r"2 features.*expecting 3"):
            call(np.ones((2, 2)))
        with pytest.raises(InvalidInputError, match="largest coordinate"):
            call(np.full((2, 3), 1e200))
    with pytest.raises(InvalidInputError, match="y has 2 columns but X has 3"):
        model.fit(source, np.ones((4, 2)))
    zero = source.copy()
    zero[2] = 0
    with pytest.raises(InvalidInputError, match="row 2 is all zeros"):
        KSparseTransport(metric="cosine").fit(zero, target)


def test_far_points_go_to_targets_too(domains):
    source, target = domains
    for k in (1, 4):
        model = KSparseTransport(k=k).fit(source, target)
        for distance in (1e3, 1e6, 1e9):
            points = [[distance, 0.0, 0.0], [-distance, distance, 0.0]]
            np.testing.assert_allclose(model.targets(points).sum(1), 1, rtol=1e-12)
            far = model.transform(points)
            assert (far >= target.min(0) - 1e-12).all()
            assert (far <= target.max(0) + 1e-12).all()

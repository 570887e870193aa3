"""EntropicTransport as a citizen of scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.transport import EntropicTransport

# scikit-learn's checks pass labels and no target, which deserves the warning it gets.
LABELS = "ignore:y is one-dimensional:UserWarning"


@parametrize_with_checks(
    [
        EntropicTransport(),
        EntropicTransport(reg=0.5, method="sinkhorn", metric="euclidean"),
        EntropicTransport(reg=0.2, reg_scale="max"),
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


def test_training_points_go_where_the_plan_sends_them(domains):
    source, target = domains
    model = EntropicTransport(reg=0.02).fit(source, target)
    plan = model.result_.plan
    expected = plan @ target / plan.sum(1, keepdims=True)
    np.testing.assert_allclose(model.transform(source), expected, atol=1e-12)
    np.testing.assert_allclose(
        model.fit_transform(source, target), model.transform(source), atol=1e-12
    )


def test_new_points_go_to_the_target(domains, rng):
    source, target = domains
    model = EntropicTransport(reg=0.02).fit(source, target)
    moved = model.transform(rng.normal(size=(2000, 3)))
    np.testing.assert_allclose(moved.mean(0), target.mean(0), atol=0.2)
    far = model.transform([[1e3, 0.0, 0.0]])
    assert np.isfinite(far).all()
    assert (far >= target.min(0)).all()
    assert (far <= target.max(0)).all()


def test_float32_stays_and_frames_keep_names(domains):
    source, target = domains
    model = EntropicTransport().fit(source.astype(np.float32), target)
    assert model.transform(source.astype(np.float32)).dtype == np.float32
    assert model.transform(source).dtype == np.float64
    frame = pd.DataFrame(source, columns=["r", "g", "b"])
    model = EntropicTransport().set_output(transform="pandas").fit(frame, target)
    assert list(model.transform(frame).columns) == ["r", "g", "b"]
    assert list(model.feature_names_in_) == ["r", "g", "b"]


def test_weights_are_repetitions(domains):
    source, target = domains
    counts = np.arange(150) % 4
    weighted = EntropicTransport(tol=1e-12).fit(source, target, sample_weight=counts)
    repeated = EntropicTransport(tol=1e-12).fit(np.repeat(source, counts, axis=0), target)
    np.testing.assert_allclose(weighted.transform(source), repeated.transform(source), rtol=1e-7)
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        EntropicTransport().fit(source, target, sample_weight=-counts)


def test_cloning_and_pickling(domains):
    source, target = domains
    model = clone(EntropicTransport(reg=0.1, target=target)).fit(source)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.transform(source), model.transform(source))
    assert copy.result_.gap == model.result_.gap


def test_moving_digits_back_to_the_domain_of_a_classifier(rng):
    X, y = load_digits(return_X_y=True)
    reference, trained_on = X[:400], y[:400]
    X, y = X[400:1000], y[400:1000]
    shifted = 0.3 * X + rng.random(64) * 8  # a scanner with less contrast and a dirty glass
    classifier = LogisticRegression(max_iter=2000).fit(reference, trained_on)
    as_they_are = classifier.score(shifted, y)
    moved = EntropicTransport(reg=0.02, tol=1e-6).fit(shifted, reference).transform(shifted)
    assert classifier.score(moved, y) > as_they_are + 0.1


def test_in_a_pipeline_and_a_grid_search(domains):
    source, target = domains
    y = (source[:, 0] > 0).astype(int)
    pipeline = make_pipeline(EntropicTransport(target=target), LogisticRegression())
    search = GridSearchCV(pipeline, {"entropictransport__reg": [0.02, 0.1]}, cv=3)
    search.fit(source, y)
    assert search.best_score_ > 0.9


@pytest.mark.filterwarnings(LABELS)
def test_labels_are_not_targets(domains):
    source, _ = domains
    with pytest.warns(UserWarning, match="transported onto itself"):
        model = EntropicTransport().fit(source, np.zeros(150))
    np.testing.assert_array_equal(model.target_, source)


def test_not_converged_is_told(domains):
    source, target = domains
    with pytest.warns(ConvergenceWarning):
        model = EntropicTransport(reg=1e-3, max_iter=5).fit(source, target)
    assert not model.result_.converged
    assert np.isfinite(model.transform(source)).all()


def test_a_point_that_reaches_no_target_is_named(domains):
    source, target = domains
    model = EntropicTransport().fit(1e-30 * source, 1e-30 * target)
    with pytest.raises(InvalidInputError, match="row 1: no target"):
        model.transform([[0.0, 0.0, 0.0], [1e139, 0.0, 0.0]])

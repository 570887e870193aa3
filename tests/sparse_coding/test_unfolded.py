"""Unrolled ISTA and IHT as estimators: training, certificates, interruption, bad input."""

import os
import signal
import threading
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.sparse_coding import TrainingState, UnfoldedIHT, UnfoldedISTA
from tests.sparse_coding import unfolded_reference as reference

BOTH = [UnfoldedISTA, UnfoldedIHT]
LOSSES = ["supervised", "unsupervised"]
ALPHA = 0.02


def problem(count, seed, features=50, atoms=100):
    rng = np.random.default_rng(seed)
    A = np.random.default_rng(99).normal(size=(features, atoms)) / np.sqrt(features)
    truth = rng.normal(size=(count, atoms)) * (rng.random((count, atoms)) < 0.05)
    return A, truth @ A.T + 0.02 * rng.normal(size=(count, features)), truth


@pytest.fixture(scope="module")
def data():
    return problem(1000, 1)


# A supervised loss needs codes of as many atoms for y, which the checks do not have.
@parametrize_with_checks(
    [
        UnfoldedISTA(n_layers=3, n_epochs=2),
        UnfoldedISTA(n_layers=3, n_epochs=2, incremental=False, learn="step"),
        UnfoldedIHT(n_layers=3),
    ]
)
def test_sklearn(estimator, check):
    check(estimator)


# Supervised IHT leaves more than it found of 3 of the 500 new signals, and says so.
@pytest.mark.filterwarnings("ignore:the codes of [13] of")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("estimator", BOTH)
def test_ten_trained_layers_beat_ten_plain_ones_on_new_signals(data, estimator, loss, dtype):
    A, Y, truth = (array.astype(dtype) for array in data)
    model = estimator(A, alpha=ALPHA, loss=loss).fit(Y, truth)
    _, new, codes = problem(500, 2)
    plain = clone(model)
    plain.dictionary_, plain.n_features_in_ = model.dictionary_, model.n_features_in_
    plain.steps_ = np.full(10, 1 / np.linalg.norm(A.astype(float), 2) ** 2)
    plain.penalties_ = np.full(10, ALPHA)
    trained, untrained = -model.score(new, codes), -plain.score(new, codes)
    factor = {"supervised": 0.1, "unsupervised": 0.7}[loss]
    assert trained < factor * untrained
    assert model.plain_loss_ == pytest.approx(-plain.score(Y, truth), rel=1e-4)
    assert model.loss_ == pytest.approx(-model.score(Y, truth), rel=1e-4)
    assert model.status_ == "finished"
    assert model.transform(Y).dtype == dtype


@pytest.mark.parametrize("estimator", BOTH)
def test_codes_are_those_of_the_formula(data, estimator):
    A, Y, _ = data
    model = estimator(A, alpha=ALPHA, n_layers=4, n_epochs=1, random_state=3).fit(Y)
    for used in (1, 3, 4):
        logs = np.log(model.steps_[:used]), np.log(model.penalties_[:used])
        expected = reference.codes(A, Y, *logs, model._penalty)
        np.testing.assert_allclose(model.transform(Y, n_layers=used), expected, atol=1e-12)
    if estimator is UnfoldedISTA:
        np.testing.assert_array_equal(model.thresholds_, model.steps_ * model.penalties_)
    else:
        np.testing.assert_allclose(model.thresholds_**2, 2 * model.steps_ * model.penalties_)


def test_with_steps_alone_the_penalties_stay(data):
    A, Y, _ = data
    model = UnfoldedISTA(A, alpha=ALPHA, learn="step", n_layers=4, n_epochs=3).fit(Y)
    np.testing.assert_allclose(model.penalties_, ALPHA, rtol=1e-12)
    assert model.loss_ < model.plain_loss_
    steps = UnfoldedISTA(A, alpha=ALPHA, learn=["threshold"], n_layers=4, n_epochs=3).fit(Y).steps_
    np.testing.assert_allclose(steps, 1 / np.linalg.norm(A, 2) ** 2, rtol=1e-12)


@pytest.mark.parametrize("incremental", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("estimator", BOTH)
def test_the_same_bits_for_any_number_of_threads(data, estimator, dtype, incremental):
    A, Y = (array.astype(dtype) for array in data[:2])
    options = {"n_layers": 4, "n_epochs": 2, "alpha": ALPHA, "incremental": incremental}
    models = [
        estimator(A, **options, batch_size=70, n_threads=threads).fit(Y) for threads in (1, 2, 5)
    ]
    for other in models[1:]:
        for name in ("steps_", "penalties_", "loss_", "stationarity_"):
            assert np.array_equal(getattr(models[0], name), getattr(other, name))
        assert np.array_equal(models[0].history_["loss"], other.history_["loss"])
        assert np.array_equal(models[0].transform(Y), other.transform(Y))


def test_the_seed_matters(data):
    A, Y, _ = data
    steps = [UnfoldedISTA(A, n_layers=2, n_epochs=2, random_state=s).fit(Y).steps_ for s in (1, 2)]
    assert not np.array_equal(*steps)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("estimator", BOTH)
def test_no_scale_matters(data, estimator, loss):
    A, Y, truth = data
    options = {"n_layers": 3, "n_epochs": 2, "loss": loss}
    model = estimator(A, alpha=ALPHA, **options).fit(Y, truth)
    by = 2.0**20
    # ISTA's penalty has the unit of A'y, IHT's that of y squared.
    larger = ALPHA * (by if estimator is UnfoldedISTA else by**2)
    scaled = estimator(A, alpha=larger, **options).fit(by * Y, by * truth)
    np.testing.assert_allclose(scaled.steps_, model.steps_, rtol=1e-6)
    np.testing.assert_allclose(scaled.transform(by * Y), by * model.transform(Y), rtol=1e-4)


def test_history_and_stationarity(data):
    A, Y, _ = data
    model = UnfoldedISTA(A, alpha=ALPHA, n_layers=3, n_epochs=4).fit(Y)
    history = model.history_
    assert history["n_layers"].tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert history["epoch"].tolist() == list(range(1, 13))
    assert (np.diff(history["time"]) >= 0).all()
    assert history["loss"][-1] < history["loss"][0]
    loss, *gradient = model.loss_and_gradient(Y)
    assert model.stationarity_ == pytest.approx(np.abs(gradient).max() / loss, rel=1e-9)
    options = {"n_layers": 3, "n_epochs": 400, "batch_size": 1000, "incremental": False}
    longer = UnfoldedISTA(A, alpha=ALPHA, **options).fit(Y)
    assert longer.stationarity_ < 1e-2


@pytest.mark.parametrize("estimator", BOTH)
def test_degenerate_input_is_never_nan(data, estimator):
    A, Y, truth = data
    A, Y, truth = A.copy(), Y.copy(), truth.copy()
    A[:, 3] = 0
    A[:, 5] = A[:, 6]
    Y[:300] = 0
    truth[:300] = 0
    for loss in LOSSES:
        for dictionary, signals in ((A, Y), (A, 0 * Y), (0 * A, Y)):
            model = estimator(dictionary, n_layers=3, n_epochs=2, loss=loss).fit(signals, truth)
            found = model.transform(signals)
            for figures in (found, model.steps_, model.penalties_, model.history_["loss"]):
                assert np.isfinite(figures).all()
            assert np.isfinite([model.loss_, model.plain_loss_, model.stationarity_]).all()
            assert not found[:, 3].any()


@pytest.mark.parametrize("penalty", [0.0, 1e6])
@pytest.mark.parametrize("estimator", BOTH)
def test_extreme_penalties(data, estimator, penalty):
    A, Y, _ = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = estimator(A, alpha=penalty, n_layers=3, n_epochs=2).fit(Y)
    assert np.isfinite(model.transform(Y)).all()
    assert np.isfinite(model.loss_)
    assert model.transform(Y).any() == (penalty == 0)


@pytest.mark.parametrize("rate", [3.0, 50.0, 1e4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("estimator", BOTH)
def test_a_huge_learning_rate_is_told(data, estimator, dtype, rate):
    A, Y, truth = (array.astype(dtype) for array in data)
    model = estimator(A, n_layers=4, n_epochs=2, loss="supervised", learning_rate=rate)
    with pytest.warns(ConvergenceWarning, match="lower learning_rate"):
        model.fit(Y, truth)
    assert np.isfinite(model.steps_).all()
    try:
        assert np.isfinite(model.transform(Y)).all()
    except InvalidInputError as error:
        assert "overflow" in str(error)  # noqa: PT017 (either is right, NaN is not)


def test_signals_too_large_for_single_precision(data):
    A, Y, _ = (array.astype(np.float32) for array in data)
    with pytest.raises(InvalidInputError, match=r"X: has a row, 0, whose squares add up to .*e7"):
        UnfoldedISTA(A, n_layers=2).fit(Y * np.float32(1e36))
    model = UnfoldedISTA(A, n_layers=2, n_epochs=1).fit(Y)
    model.steps_[:] = 1e30
    with pytest.raises(InvalidInputError, match="codes overflow"):
        model.transform(Y)


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_leaves_a_usable_network(data, threads):
    A, Y, _ = data
    model = UnfoldedISTA(A, alpha=ALPHA, n_layers=5, n_epochs=10**6, n_threads=threads)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(Y)
    finally:
        timer.cancel()
    assert model.status_ == "interrupted"
    assert len(model.history_["loss"]) > 0
    assert np.isnan(model.loss_)
    plain = 1 / np.linalg.norm(A, 2) ** 2
    assert model.steps_[0] != pytest.approx(plain, rel=1e-3)
    assert model.steps_[-1] == pytest.approx(plain)
    assert -model.score(Y) < 0.9 * (Y**2).sum(1).mean() / 2


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_is_quick(data, threads, ends_at_ctrl_c):
    A, Y, _ = data
    model = UnfoldedIHT(A, n_epochs=10**6, batch_size=1000)
    ends_at_ctrl_c(lambda: model.fit(Y), threads)


def test_callbacks_see_and_end_training(data, capsys):
    A, Y, _ = data
    seen = []

    def third(state):
        seen.append(state)
        return state.epoch == 3

    model = UnfoldedISTA(A, n_layers=4, n_epochs=2, callback=third, verbose=1).fit(Y)
    assert model.status_ == "callback"
    assert isinstance(seen[0], TrainingState)
    assert [state.n_layers for state in seen] == [1, 1, 2]
    assert [state.loss for state in seen] == model.history_["loss"].tolist()
    assert len(capsys.readouterr().out.splitlines()) == 4

    def fails(state):
        raise ZeroDivisionError

    model = UnfoldedISTA(A, n_layers=4, n_epochs=2, callback=fails)
    with pytest.raises(ZeroDivisionError):
        model.fit(Y)
    assert model.status_ == "interrupted"
    assert model.transform(Y).shape == (1000, 100)


def test_max_time(data):
    A, Y, _ = data
    model = UnfoldedISTA(A, n_epochs=10**6, max_time=0.2).fit(Y)
    assert model.status_ == "max_time"


def test_in_a_pipeline_and_a_search(data):
    A, Y, truth = data
    pipe = make_pipeline(
        FunctionTransformer(feature_names_out="one-to-one"),
        UnfoldedISTA(A, n_layers=2, n_epochs=1),
    )
    assert pipe.fit(Y).transform(Y).shape == truth.shape
    names = pipe.get_feature_names_out([f"y{k}" for k in range(50)])
    assert names[:2].tolist() == ["unfoldedista0", "unfoldedista1"]
    model = UnfoldedISTA(A, alpha=ALPHA, loss="supervised", n_layers=2, n_epochs=2)
    search = GridSearchCV(model, {"n_layers": [1, 3]}, cv=2).fit(Y, truth)
    assert search.best_params_ == {"n_layers": 3}


# Hard thresholds of atoms as alike as digits are leave too much of a few, and say so.
@pytest.mark.filterwarnings("ignore:the codes of")
@pytest.mark.parametrize("estimator", BOTH)
def test_before_a_classifier(estimator):
    X, y = load_digits(return_X_y=True)
    X = X / 16
    atoms = X[np.random.default_rng(0).choice(600, 100, replace=False)].T
    coder = estimator(atoms / np.linalg.norm(atoms, axis=0), alpha=0.05, n_layers=5, n_epochs=3)
    model = make_pipeline(coder, LogisticRegression(max_iter=1000))
    assert cross_val_score(model, X[:600], y[:600], cv=3).mean() > 0.75
    model.fit(X[:1000], y[:1000])
    assert model.score(X[1000:], y[1000:]) > 0.85


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1}, "alpha is -1: needs a finite number at least 0"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"n_layers": 256}, "n_layers is 256: needs at most 255"),
        ({"loss": "mse"}, "loss is 'mse'"),
        ({"learn": ()}, "learn is"),
        ({"learn": "steps"}, "learn is 'steps'"),
        ({"n_epochs": 1.5}, "n_epochs is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"max_time": -1}, "max_time is -1"),
        ({"incremental": "no"}, "incremental is 'no': needs True or False"),
        ({"decay": 1}, "decay is 1: needs True or False"),
        ({"callback": 3}, "callback is 3: needs a function"),
        ({"verbose": -1}, "verbose is -1"),
        ({"learn": [["step"]]}, "learn is"),
        ({"gate": "hard"}, "gate is 'hard'"),
        ({"gate_width": 2.0}, "gate_width is 2.0"),
        ({"count": "l0"}, "count is 'l0'"),
        ({"count_width": -1}, "count_width is -1"),
        ({"dictionary": np.ones((3, 4))}, r"dictionary has shape \(3, 4\), and X 50 features"),
        ({"dictionary": np.ones((50, 0))}, "dictionary has shape"),
        ({"dictionary": np.full((50, 2), np.nan)}, r"dictionary contains nan at index \(0, 0\)"),
        ({"dictionary": np.full((50, 2), 1e300)}, "dictionary: has an atom, 0, whose squares"),
        ({"dictionary": [["a"]]}, "dictionary has dtype"),
        ({"loss": "supervised"}, "y is None"),
    ],
)
def test_bad_parameters(data, options, message):
    model = UnfoldedIHT(**({"dictionary": data[0]} | options))
    with pytest.raises(InvalidInputError, match=message):
        model.fit(data[1])


def test_bad_codes(data):
    A, Y, truth = data
    model = UnfoldedISTA(A, loss="supervised", n_layers=1, n_epochs=1)
    with pytest.raises(InvalidInputError, match=r"y has shape \(1000, 99\).*\(1000, 100\)"):
        model.fit(Y, truth[:, 1:])
    bad = truth.copy()
    bad[2, 1] = np.inf
    with pytest.raises(InvalidInputError, match=r"y contains inf at index \(2, 1\)"):
        model.fit(Y, bad)
    model.fit(Y, truth)
    with pytest.raises(InvalidInputError, match="n_layers is 2: the network has 1"):
        model.transform(Y, n_layers=2)


def test_layouts_do_not_matter(data):
    A, Y, _ = data
    model = UnfoldedISTA(A, n_layers=2, n_epochs=1).fit(Y)
    padded = np.zeros((2000, 150))
    padded[::2, ::3] = Y
    frozen = np.asfortranarray(A)
    frozen.flags.writeable = False
    same = UnfoldedISTA(frozen, n_layers=2, n_epochs=1).fit(padded[::2, ::3])
    np.testing.assert_array_equal(same.transform(np.asfortranarray(Y)), model.transform(Y))

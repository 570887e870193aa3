"""Unrolled networks that are refitted, changed by hand, or used on signals unlike any they saw."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning as Theirs

from sparrot import _sparrot
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.sparse_coding import UnfoldedIHT, UnfoldedISTA
from tests.sparse_coding.conftest import make_problem

BOTH = [UnfoldedISTA, UnfoldedIHT]


@pytest.fixture(scope="module")
def data():
    return make_problem(20, 40, 50)


@pytest.fixture
def network(data):
    A, Y = data
    return UnfoldedISTA(A, n_layers=3, n_epochs=1).fit(Y)


@pytest.mark.parametrize("columns", [1, 4])
def test_a_refit_that_fails_leaves_the_network_there_was(columns):
    network = UnfoldedISTA(np.eye(2), n_layers=2, n_epochs=1).fit(np.ones((3, 2)))
    before = network.transform(np.ones((3, 2)))
    with pytest.raises(InvalidInputError, match="dictionary has shape"):
        network.fit(np.ones((3, columns)))
    with pytest.raises(ValueError, match="is expecting 2 features"):
        network.transform(np.ones((3, columns)))
    np.testing.assert_array_equal(network.transform(np.ones((3, 2))), before)


@pytest.mark.parametrize("shapes", [((2, 2), (3, 4)), ((2, 2), (4, 1)), ((0, 2), (3, 2))])
def test_arrays_that_do_not_belong_together_are_refused_before_they_are_read(shapes):
    dictionary, signals = map(np.ones, shapes)
    with pytest.raises(InvalidInputError, match="needs signals of as many features"):
        _sparrot.unfolding_transform((dictionary, signals, None), "l1", [0.0], [0.0], None)
    with pytest.raises(InvalidInputError, match="steps_ has 2 layers and penalties_ 1"):
        _sparrot.unfolding_transform((np.eye(2),) * 2 + (None,), "l1", [0.0, 0.0], [0.0], None)


@pytest.mark.parametrize("estimator", BOTH)
def test_codes_that_are_worse_than_none_are_told(estimator):
    rng = np.random.default_rng(1)
    A = rng.normal(size=(50, 100)) / np.sqrt(50)
    codes = rng.normal(size=(1000, 100)) * (rng.random((1000, 100)) < 0.05)
    Y = codes @ A.T + 0.02 * rng.normal(size=(1000, 50))
    network = estimator(A, alpha=0.02, loss="supervised").fit(Y, codes)
    with pytest.warns(ConvergenceWarning, match="worse than the code 0") as told:
        found = network.transform(10 * Y)
    squares = ((10 * Y - found @ A.T) ** 2).sum(1)
    worse = int((squares > 100 * (Y**2).sum(1)).sum())
    assert str(told[0].message).startswith(f"the codes of {worse} of 1000 signals")
    assert told[0].filename == __file__


def test_exact_codes_and_zeros_are_not_worse_than_none():
    network = UnfoldedISTA(alpha=0.0, n_layers=1, n_epochs=1).fit(np.ones((3, 2)))
    network.steps_[:], network.penalties_[:] = 2.0, 0.0  # as far beyond the signal as 0 is below
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(network.transform(np.full((3, 2), 0.1, dtype))[0], dtype(0.2))
        assert not network.transform(np.zeros((3, 2), dtype)).any()


def test_what_overflows_is_no_loss_of_0(data):
    signals, codes = np.ones((3, 2), np.float32), np.full((3, 2), 1e39)
    network = UnfoldedISTA(np.eye(2), loss="supervised", n_layers=1, n_epochs=1)
    with pytest.raises(InvalidInputError, match="y, as float32 like X, contains inf"):
        network.fit(signals, codes)
    with pytest.raises(InvalidInputError, match=r"y: has a row, 0, whose squares .*inf"):
        network.fit(np.ones((3, 2)), np.full((3, 2), 1e200))
    A, Y = data
    with pytest.warns(ConvergenceWarning, match="diverged in pass 2: the plain algorithm's param"):
        network = UnfoldedISTA(A, learning_rate=1e3, n_layers=5, n_epochs=5).fit(Y)
    assert network.loss_ == network.plain_loss_ > 0


@pytest.mark.parametrize("size", [1e-170, 1e170])
def test_signals_whose_squares_are_out_of_range_are_refused(size):
    network = UnfoldedISTA(np.eye(2), alpha=1e-200, n_layers=1, n_epochs=1)
    with pytest.raises(InvalidInputError, match="X: has a row, 0, whose squares"):
        network.fit(np.full((3, 2), size))


def test_what_rounding_leaves_of_a_signal_is_one(data):
    A, Y = (array.astype(np.float32) for array in data)
    Y[3] *= 1e-17
    assert UnfoldedISTA(A, n_layers=2).fit(Y).status_ == "finished"


def test_time_that_is_over_before_training_leaves_the_plain_algorithm(data):
    A, Y = data
    network = UnfoldedISTA(A, n_layers=3, max_time=0).fit(Y)
    assert network.status_ == "max_time"
    assert len(network.history_["loss"]) == 0
    np.testing.assert_allclose(network.steps_, 1 / np.linalg.norm(A, 2) ** 2)
    assert network.loss_ == network.plain_loss_


def test_why_training_ended_is_kept_where_the_plain_algorithm_is(data):
    A, Y = data
    options = {"learning_rate": 1e3, "n_layers": 5, "n_epochs": 50}
    network = UnfoldedISTA(A, **options, callback=lambda state: state.epoch == 1)
    with pytest.warns(ConvergenceWarning, match="a loss that overflows, above the plain"):
        network.fit(Y)
    assert network.status_ == "callback"
    assert network.loss_ == network.plain_loss_
    assert "plain_loss_" in UnfoldedISTA.__doc__


def test_scikit_learns_filters_know_the_warning_and_it_is_the_users_line(data):
    A, Y = data
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", Theirs)
        UnfoldedISTA(A, learning_rate=1e3, n_layers=5, n_epochs=5).fit(Y)
    assert [one.filename for one in told] == [__file__]


@pytest.mark.parametrize(
    ("steps", "penalties", "message"),
    [
        ([1.0], [1.0, 1.0], "steps_ and penalties_ are no two vectors of one length"),
        ([], [], "steps_ and penalties_ are no two vectors of one length"),
        ([[1.0]], [1.0], "steps_ has shape"),
        ([np.nan], [1.0], "steps_ has a value that is no step"),
        ([np.inf], [1.0], "steps_ has a value that is no step"),
        ([1.0], [-1.0], "penalties_ has a value that is no penalty"),
        ([1.0], ["one"], "penalties_ has dtype"),
    ],
)
def test_layers_set_by_hand_are_checked(network, data, steps, penalties, message):
    network.steps_, network.penalties_ = np.array(steps), np.array(penalties)
    for call in (network.transform, network.score, network.loss_and_gradient):
        with pytest.raises(InvalidInputError, match=message):
            call(data[1])


def test_a_dictionary_set_by_hand_is_checked(network, data):
    network.dictionary_ = np.ones((19, 40))
    with pytest.raises(InvalidInputError, match="needs signals of as many features"):
        network.transform(data[1])
    network.dictionary_ = np.full((20, 40), 1e300)
    with pytest.raises(InvalidInputError, match="dictionary_, as float32 like X, contains inf"):
        network.transform(data[1].astype(np.float32))


@pytest.mark.parametrize(("name", "value"), [("loss", "x"), ("alpha", -5)])
def test_scores_are_of_checked_parameters(network, data, name, value):
    network.set_params(**{name: value})
    with pytest.raises(InvalidInputError, match=f"{name} is"):
        network.score(data[1])


def test_more_passes_than_integers_count(data):
    A, Y = data
    network = UnfoldedISTA(A, n_layers=3, n_epochs=2**61, batch_size=7, max_time=0.2).fit(Y)
    assert network.status_ == "max_time"
    assert network.loss_ < network.plain_loss_


def test_the_dictionary_is_a_copy(data):
    A, Y = data[0].copy(), data[1]
    network = UnfoldedISTA(A, n_layers=2, n_epochs=1).fit(Y)
    before = network.transform(Y)
    A *= 2
    np.testing.assert_array_equal(network.transform(Y), before)

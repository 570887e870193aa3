"""Trained networks in files, in pickles and in torch."""

import contextlib
import json
import pickle
import warnings
import zipfile

import numpy as np
import pytest
from sklearn.base import clone

from sparrot.errors import InvalidInputError
from sparrot.sparse_coding import UnfoldedIHT, UnfoldedISTA

rng = np.random.default_rng(0)
A = rng.normal(size=(12, 20)) / np.sqrt(12)
TRUTH = rng.normal(size=(60, 20)) * (rng.random((60, 20)) < 0.2)
Y = TRUTH @ A.T


@pytest.fixture(params=[UnfoldedISTA, UnfoldedIHT])
def network(request):
    return request.param(A, alpha=0.03, n_layers=3, n_epochs=2, learn="step").fit(Y)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.sparrot"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip(network, path, dtype):
    network.fit(Y.astype(dtype))
    network.save(path)
    again = type(network).load(path)
    np.testing.assert_array_equal(again.transform(Y), network.transform(Y))
    for name in ("steps_", "penalties_", "loss_", "plain_loss_", "stationarity_", "status_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(network, name))
    assert again.dictionary_.dtype == dtype
    for key, values in network.history_.items():
        np.testing.assert_array_equal(again.history_[key], values)
    ours, theirs = network.get_params(), again.get_params()
    assert (ours.pop("learn"), theirs.pop("learn")) == ("step", ("step",))
    del ours["dictionary"]
    np.testing.assert_array_equal(theirs.pop("dictionary"), network.dictionary_)
    assert ours == theirs
    retrained = clone(again).fit(Y.astype(dtype))
    np.testing.assert_array_equal(retrained.steps_, network.steps_)


def test_without_a_dictionary_and_with_names(path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(Y, columns=[f"y{k}" for k in range(12)])
    network = UnfoldedISTA(n_layers=1, n_epochs=1, random_state=np.random.RandomState(0))
    network.fit(frame).save(path)
    again = UnfoldedISTA.load(str(path))
    assert again.dictionary is None
    assert again.feature_names_in_.tolist() == list(frame.columns)
    assert again.get_feature_names_out()[0] == "unfoldedista0"
    np.testing.assert_array_equal(again.transform(frame), network.transform(frame))


def damaged(path, network, **changes):
    network.save(path)
    with np.load(path) as archive:
        contents = dict(archive)
    for name, value in changes.items():
        if value is None:
            del contents[name]
        else:
            contents[name] = value
    with open(path, "wb") as file:
        np.savez(file, **contents)


def state(**changes):
    return np.array(json.dumps({"status": "finished", "default": False} | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None}, "has no 'steps'"),
        ({"steps": np.array([1.0, np.nan, 1.0])}, "'steps' has a value that is no step"),
        ({"steps": np.array([1.0, -1.0, 1.0])}, "'steps' has a value that is no step"),
        ({"steps": np.ones(2)}, "no two vectors of one length"),
        ({"penalties": np.full(3, -1.0)}, "'penalties' has a value that is no penalty"),
        ({"dictionary": np.ones(3)}, "'dictionary' is no matrix of floats"),
        ({"dictionary": np.full((3, 3), np.inf)}, "'dictionary' is empty or not finite"),
        ({"figures": np.ones(1)}, "'figures' has another shape"),
        ({"format": np.array("sparrot unfolded network, version 9")}, "version 9"),
        ({"format": np.array(3)}, "'format' is no text"),
        ({"class": np.array("Lasso")}, "holds 'Lasso'"),
        ({"parameters": np.array("{")}, "'parameters' is no JSON"),
        ({"parameters": np.array("[]")}, "'parameters' is no mapping"),
        ({"parameters": np.array(json.dumps({"depth": 3}))}, "its parameters are wrong"),
        *(
            ({"parameters": np.array(json.dumps({"learn": learn}))}, "learn is .*: needs a list")
            for learn in (3, None, "step", {"step": 1}, [1])
        ),
        *(
            ({"state": state(feature_names=names)}, "'feature_names' is no list of 12")
            for names in (3, ["y"], [1] * 12)
        ),
        ({"state": state(status=[1])}, "no status"),
        ({"state": state(status="done")}, "no status"),
        ({"state": state(default=3)}, "no 'default'"),
        ({"state": np.array([object()])}, "not a file of save"),
        ({"parameters": np.array("[" * 100_000)}, "'parameters' is no JSON"),
        ({"figures": np.array(["a", "b", "c"])}, "'figures' has another shape or type"),
        ({"history_epoch": np.array(3)}, "'history' is not made of numbers"),
        ({"history_loss": np.array(["a", "b", "c"])}, "'history' is not made of numbers"),
        ({"history_loss": np.ones(7)}, "'history' is not made of numbers"),
        (
            {"steps": np.ones(500), "penalties": np.ones(500)},
            "'steps' has 500 layers: there are 255 at most",
        ),
    ],
)
def test_damaged_files(path, changes, message):
    network = UnfoldedISTA(A, n_layers=3, n_epochs=1).fit(Y)
    damaged(path, network, **changes)
    with pytest.raises(InvalidInputError, match=message):
        UnfoldedISTA.load(path)


def test_other_files(network, path):
    with pytest.raises(FileNotFoundError):
        type(network).load(path)
    path.write_bytes(b"")
    with pytest.raises(InvalidInputError, match="not a file of save"):
        type(network).load(path)
    path.write_bytes(b"hello, world")
    with pytest.raises(InvalidInputError, match="not a file of save"):
        type(network).load(path)
    with open(path, "wb") as file:
        np.save(file, A)
    with pytest.raises(InvalidInputError, match="single array"):
        type(network).load(path)
    network.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InvalidInputError, match="not a file of save"):
        type(network).load(path)
    path.write_bytes(pickle.dumps(network))
    with pytest.raises(InvalidInputError, match="not a file of save"):
        type(network).load(path)
    network.save(path)
    other = UnfoldedIHT if isinstance(network, UnfoldedISTA) else UnfoldedISTA
    with pytest.raises(InvalidInputError, match=f"needs '{other.__name__}'"):
        other.load(path)


def with_member(path, network, name, content):
    """Save a network, with a member of the archive that is just these bytes."""
    network.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in (members | {name: content}).items():
            archive.writestr(member, data)


def header(shape):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117)
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text + b"\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no array", "'steps' is no array"),
        (header("(1000000000000000,)"), "not a file of save"),
        (header(f"({2**70},)"), "not a file of save"),
        (header("(3,)"), "not a file of save"),
        (header("(3"), "not a file of save"),
        (header("(-3,)"), "not a file of save"),
        (b"\x93NUMPY\x09\x09" + 100 * b"x", "not a file of save"),
    ],
)
def test_damaged_members(network, path, content, message):
    with_member(path, network, "steps.npy", content)
    with pytest.raises(InvalidInputError, match=message):
        type(network).load(path)


def test_any_bytes_are_refused(network, path):
    network.save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 200)):
            data[place] = random.integers(256)
        path.write_bytes(bytes(data))
        with contextlib.suppress(InvalidInputError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert type(network).load(path).transform(Y).shape == (60, 20)


@pytest.mark.parametrize("seed", [7, np.int64(7), np.uint8(7)])
def test_a_seed_that_is_an_integer_is_kept(path, seed):
    UnfoldedISTA(A, n_layers=1, n_epochs=1, random_state=seed).fit(Y).save(path)
    again = UnfoldedISTA.load(path)
    assert again.random_state == 7
    assert type(again.random_state) is int


def test_pickle(network):
    again = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(again.transform(Y), network.transform(Y))


def test_torch(network):
    torch = pytest.importorskip("torch")
    from sparrot.interop.torch import unfolded

    module = unfolded(network)
    codes = module(torch.tensor(Y)).detach().numpy()
    np.testing.assert_allclose(codes, network.transform(Y), atol=1e-12)
    assert {name for name, _ in module.named_parameters()} == {"log_steps", "log_penalties"}
    ((module(torch.tensor(Y)) - torch.tensor(TRUTH)) ** 2).mean().backward()
    network.loss = "supervised"
    if isinstance(network, UnfoldedIHT):
        network.gate = "exact"
    _, by_steps, _ = network.loss_and_gradient(Y, TRUTH)
    np.testing.assert_allclose(module.log_steps.grad.numpy(), by_steps, rtol=1e-6, atol=1e-12)
    with pytest.raises(InvalidInputError, match="needs an UnfoldedISTA or UnfoldedIHT"):
        unfolded(UnfoldedISTA(A))

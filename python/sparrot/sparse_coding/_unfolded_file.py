"""Trained networks in files: an ``.npz`` archive of plain arrays, without pickle."""

import io
import json
import numbers
from pathlib import Path
from typing import Any

import numpy as np

from sparrot._validation import FloatArray
from sparrot.errors import InvalidInputError
from sparrot.sparse_coding._unfolded_layers import fault_of

FORMAT = "sparrot unfolded network, version 1"
HISTORY = ("epoch", "n_layers", "loss", "gradient", "nonzeros", "time")
FIGURES = ("loss_", "plain_loss_", "stationarity_")
ARRAYS = ("dictionary", "steps", "penalties", "figures", *(f"history_{key}" for key in HISTORY))
TEXTS = ("format", "class", "parameters", "state")
STATUSES = ("finished", "max_time", "callback", "diverged", "no_gain", "interrupted")


def write(path: Any, network: Any) -> None:
    """Write everything that is plain."""
    parameters = network.get_params(deep=False)
    parameters["learn"] = _learned(parameters["learn"])
    if not isinstance(parameters["random_state"], numbers.Integral):
        parameters["random_state"] = None
    for name in ("dictionary", "callback"):
        del parameters[name]
    state = {"status": network.status_, "default": network.dictionary is None}
    names = getattr(network, "feature_names_in_", None)
    if names is not None:
        state["feature_names"] = list(names)
    arrays: dict[str, Any] = {
        "format": FORMAT,
        "class": type(network).__name__,
        "parameters": json.dumps(parameters, default=_plain),
        "state": json.dumps(state),
        "dictionary": network.dictionary_,
        "steps": network.steps_,
        "penalties": network.penalties_,
        "figures": [getattr(network, name) for name in FIGURES],
        **{f"history_{key}": network.history_[key] for key in HISTORY},
    }
    with open(path, "wb") as file:  # np.savez would append an ending to a name
        np.savez(file, **arrays)


def read(path: Any, cls: Any) -> Any:
    """Read a network of the class, or say what is wrong with the file."""
    contents = _contents(path)
    found = contents["format"].item(), contents["class"].item()
    if found != (FORMAT, cls.__name__):
        raise InvalidInputError(
            f"{path} holds {found[1]!r} ({found[0]}): needs {cls.__name__!r} ({FORMAT})"
        )
    parameters, state = (_mapping(path, name, contents[name]) for name in ("parameters", "state"))
    dictionary = contents["dictionary"]
    learn = parameters.get("learn", [])
    if not (isinstance(learn, list) and all(isinstance(name, str) for name in learn)):
        raise InvalidInputError(
            f"{path} is damaged: its parameter learn is {learn!r}: needs a list of names"
        )
    if state.get("status") not in STATUSES or not isinstance(state.get("default"), bool):
        raise InvalidInputError(f"{path} is damaged: its 'state' has no status, or no 'default'")
    parameters["learn"] = tuple(learn)
    parameters["dictionary"] = None if state["default"] else dictionary
    try:
        network = cls(**parameters)
    except TypeError as error:
        raise InvalidInputError(f"{path} is damaged: its parameters are wrong: {error}") from error
    _require_arrays(path, contents)
    network.dictionary_ = dictionary
    network.steps_, network.penalties_ = contents["steps"], contents["penalties"]
    network.history_ = {key: contents[f"history_{key}"] for key in HISTORY}
    network.n_iter_ = max(1, len(network.history_["epoch"]))
    network.status_ = state["status"]
    for name, figure in zip(FIGURES, contents["figures"].tolist(), strict=True):
        setattr(network, name, figure)
    network.n_features_in_ = dictionary.shape[0]
    if "feature_names" in state:
        names = state["feature_names"]
        is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not (is_list and len(names) == network.n_features_in_):
            raise InvalidInputError(
                f"{path} is damaged: 'feature_names' is no list of {network.n_features_in_} names"
            )
        network.feature_names_in_ = np.array(names, dtype=object)
    return network


def _contents(path: Any) -> dict[str, FloatArray]:
    data = Path(path).read_bytes()
    try:
        archive = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InvalidInputError(f"{path} holds a single array: needs a file of save()")
        missing = [name for name in (*TEXTS, *ARRAYS) if name not in archive.files]
        if missing:
            raise InvalidInputError(f"{path} has no {missing[0]!r}: needs a file of save(), whole")
        contents = {name: archive[name] for name in (*TEXTS, *ARRAYS)}
    except InvalidInputError:
        raise
    except Exception as error:  # of bytes that are anything, NumPy and zipfile raise anything
        raise InvalidInputError(f"{path} is not a file of save(), or damaged: {error}") from error
    for name, value in contents.items():
        if not isinstance(value, np.ndarray):  # as bytes, if they are not of an array
            raise InvalidInputError(f"{path} is damaged: {name!r} is no array")
    for name in TEXTS:
        if contents[name].dtype.kind != "U" or contents[name].ndim != 0:
            raise InvalidInputError(f"{path} is damaged: {name!r} is no text")
    return contents


def _mapping(path: Any, name: str, text: FloatArray) -> dict[str, Any]:
    try:
        value = json.loads(text.item())
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} is damaged: {name!r} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"{path} is damaged: {name!r} is no mapping")
    return value


def _require_arrays(path: Any, contents: dict[str, FloatArray]) -> None:
    dictionary, steps, penalties = (contents[k] for k in ("dictionary", "steps", "penalties"))
    if dictionary.ndim != 2 or dictionary.dtype not in (np.float32, np.float64):
        raise InvalidInputError(f"{path} is damaged: 'dictionary' is no matrix of floats")
    if dictionary.size == 0 or not np.isfinite(dictionary).all():
        raise InvalidInputError(f"{path} is damaged: 'dictionary' is empty or not finite")
    fault = fault_of(steps, penalties, ("'steps'", "'penalties'"))
    if fault is not None:
        raise InvalidInputError(f"{path} is damaged: {fault}")
    if contents["figures"].shape != (len(FIGURES),) or contents["figures"].dtype != np.float64:
        raise InvalidInputError(f"{path} is damaged: 'figures' has another shape or type")
    history = [contents[f"history_{key}"] for key in HISTORY]
    vectors = all(column.ndim == 1 and column.dtype.kind in "if" for column in history)
    if not vectors or len({len(column) for column in history}) > 1:
        raise InvalidInputError(
            f"{path} is damaged: its 'history' is not made of numbers in vectors of one length"
        )


def _learned(learn: Any) -> list[str]:
    return [learn] if isinstance(learn, str) else sorted(learn)


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers into Python's."""
    return value.item()

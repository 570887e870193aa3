"""Gradients of the unrolled networks, against complex steps, differences and torch."""

import numpy as np
import pytest

from sparrot.sparse_coding import UnfoldedIHT, UnfoldedISTA
from tests.sparse_coding import unfolded_reference as reference

M, N, SIGNALS, LAYERS, ALPHA = 11, 19, 37, 5, 0.07

SMOOTHINGS = [
    (("smoothstep", 0.5), ("cel0", 1.0)),
    (("smoothstep", 1.0), ("exponential", 0.3)),
    (("sigmoid", 0.25), ("exponential", 0.5)),
    (("sigmoid", 0.25), ("cel0", 1.0)),
    (("exact", 1.0), ("exact", 1.0)),
]
CASES = [("l1", ("exact", 1.0), ("exact", 1.0)), *(("l0", *pair) for pair in SMOOTHINGS)]
LOSSES = ["supervised", "unsupervised"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    A = rng.normal(size=(M, N)) / np.sqrt(M)
    truth = rng.normal(size=(SIGNALS, N)) * (rng.random((SIGNALS, N)) < 0.2)
    return A, truth @ A.T + 0.05 * rng.normal(size=(SIGNALS, M)), truth


def network(A, penalty, gate, count, loss, dtype=np.float64):
    """Return an estimator of random parameters, not trained."""
    options = {"alpha": ALPHA, "n_layers": LAYERS, "loss": loss}
    if penalty == "l1":
        model = UnfoldedISTA(A, **options)
    else:
        names = dict(zip(("gate", "gate_width", "count", "count_width"), gate + count, strict=True))
        model = UnfoldedIHT(A, **options, **names)
    rng = np.random.default_rng(2)
    plain = 1 / np.linalg.norm(A, 2) ** 2
    model.dictionary_ = A.astype(dtype)
    model.steps_ = plain * np.exp(0.3 * rng.normal(size=LAYERS) + 0.3)
    model.penalties_ = ALPHA * np.exp(0.3 * rng.normal(size=LAYERS))
    model.n_features_in_ = M
    return model


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("penalty", "gate", "count"), CASES)
def test_gradients_are_those_of_complex_steps(data, penalty, gate, count, loss):
    A, Y, truth = data
    model = network(A, penalty, gate, count, loss)
    value, by_steps, by_penalties = model.loss_and_gradient(Y, truth)
    targets = truth if loss == "supervised" else None
    logs = np.log(model.steps_), np.log(model.penalties_)
    arguments = (A, Y, targets, *logs, penalty, ALPHA, gate, count)
    assert value == pytest.approx(reference.loss(*arguments), rel=1e-12)
    expected = reference.gradient(*arguments)
    scale = np.abs(expected).max()
    assert scale > 1e-3 * value  # there is something to compare
    np.testing.assert_allclose(by_steps, expected[0], rtol=0, atol=1e-11 * scale)
    np.testing.assert_allclose(by_penalties, expected[1], rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("penalty", "gate", "count"), CASES[:4])
def test_gradients_are_those_of_differences_of_our_own_losses(data, penalty, gate, count, loss):
    A, Y, truth = data
    model = network(A, penalty, gate, count, loss)
    _, *gradient = model.loss_and_gradient(Y, truth)
    scale = np.abs(gradient).max()
    h = 1e-5
    for name, derivatives in zip(("steps_", "penalties_"), gradient, strict=True):
        for t in range(LAYERS):
            kept, values = getattr(model, name).copy(), []
            for move in (-2 * h, -h, h, 2 * h):
                moved = kept.copy()
                moved[t] *= np.exp(move)
                setattr(model, name, moved)
                values.append(model.loss_and_gradient(Y, truth)[0])
            setattr(model, name, kept)
            slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
            assert derivatives[t] == pytest.approx(slope, rel=0, abs=1e-6 * scale)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("penalty", "gate", "count"), CASES)
def test_single_precision_agrees_with_double(data, penalty, gate, count, loss):
    A, Y, truth = (array.astype(np.float32) for array in data)
    single = network(A, penalty, gate, count, loss, np.float32).loss_and_gradient(Y, truth)
    wide = (array.astype(np.float64) for array in (Y, truth))
    double = network(A.astype(np.float64), penalty, gate, count, loss).loss_and_gradient(*wide)
    assert single[0] == pytest.approx(double[0], rel=1e-5)
    scale = np.abs(double[1:]).max()
    np.testing.assert_allclose(single[1:], double[1:], rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("penalty", "gate", "count"), CASES)
def test_gradients_are_those_of_torch(data, penalty, gate, count, loss):
    torch = pytest.importorskip("torch")
    A, Y, truth = (torch.tensor(array) for array in data)
    model = network(data[0], penalty, gate, count, loss)
    value, *gradient = model.loss_and_gradient(*data[1:])
    logs = [torch.tensor(np.log(p), requires_grad=True) for p in (model.steps_, model.penalties_)]
    X = torch.zeros(SIGNALS, N, dtype=torch.float64)
    for t in range(LAYERS):
        step, alpha = logs[0][t].exp(), logs[1][t].exp()
        V = X - step * ((X @ A.T - Y) @ A)
        if penalty == "l1":
            X = torch.sign(V) * torch.relu(V.abs() - step * alpha)
            continue
        ratio = V.abs() / torch.sqrt(2 * step * alpha)
        if gate[0] == "exact":
            X = torch.where(ratio > 1, V, torch.zeros_like(V))
        elif gate[0] == "sigmoid":
            X = V * torch.sigmoid((ratio - 1) / gate[1])
        else:
            u = torch.clamp((ratio - 1 + gate[1]) / (2 * gate[1]), 0, 1)
            X = V * u * u * (3 - 2 * u)
    if loss == "supervised":
        total = ((X - truth) ** 2).mean()
    else:
        squares = (A**2).sum(0)
        knee = torch.sqrt(2 * ALPHA / squares)
        size = X.abs()
        penalties = {
            "l1": ALPHA * size,
            "exact": ALPHA * (X != 0).double(),
            "exponential": ALPHA * (1 - torch.exp(-size / (count[1] * knee))),
            "cel0": ALPHA - squares / 2 * torch.relu(knee - size) ** 2,
        }["l1" if penalty == "l1" else count[0]]
        total = (((Y - X @ A.T) ** 2).sum(1) / 2 + penalties.sum(1)).mean()
    total.backward()
    assert value == pytest.approx(total.item(), rel=1e-12)
    for ours, theirs in zip(gradient, logs, strict=True):
        expected = np.zeros(LAYERS) if theirs.grad is None else theirs.grad.numpy()
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dense_codes_of_many_atoms(loss, dtype):
    """Products go through the dictionary there, and not the Gram matrix."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(7, 75)) / np.sqrt(7)
    Y, truth = rng.normal(size=(SIGNALS, 7)), rng.normal(size=(SIGNALS, 75))
    A, Y, truth = (array.astype(dtype) for array in (A, Y, truth))
    model = UnfoldedISTA(A, alpha=1e-4, n_layers=LAYERS, loss=loss, n_epochs=1)
    model.fit(Y, truth)
    value, *gradient = model.loss_and_gradient(Y, truth)
    assert (model.transform(Y) != 0).mean() > 0.9
    wide = [array.astype(np.float64) for array in (A, Y, truth)]
    logs = np.log(model.steps_), np.log(model.penalties_)
    found = reference.codes(*wide[:2], *logs, "l1")
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(model.transform(Y), found, rtol=0, atol=tolerance)
    targets = wide[2] if loss == "supervised" else None
    exact = ("exact", 1.0)
    arguments = (*wide[:2], targets, *logs, "l1", 1e-4, exact, exact)
    # The loss is what is left of the squares of the signals: it is known to a rounding of those.
    unit = np.finfo(dtype).eps / 2 * (wide[1] ** 2).sum(axis=1).mean() / 2
    rounding = unit if loss == "unsupervised" else 0.0
    assert value == pytest.approx(reference.loss(*arguments), rel=tolerance, abs=rounding)
    expected = np.array(reference.gradient(*arguments))
    bound = tolerance * max(np.abs(expected).max(), 0.1 * value)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=bound)

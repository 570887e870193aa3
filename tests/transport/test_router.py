"""TopKRouter: optimal, within its capacities, and a citizen of scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.optimize import linear_sum_assignment, linprog
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import InvalidInputError
from sparrot.transport import RoutingResult, TopKRouter


def check(routing, scores, capacity, top_k):
    """Everything that must hold of the routing of one problem, measured without sparrot."""
    n, count = scores.shape
    chosen = np.zeros((n, count), dtype=int)
    rows, slots = np.nonzero(routing.experts >= 0)
    np.add.at(chosen, (rows, routing.experts[rows, slots]), 1)
    assert chosen.max(initial=0) <= 1
    np.testing.assert_array_equal(routing.load, chosen.sum(0))
    assert (routing.load <= capacity).all()
    filled = min(n * top_k, int(np.minimum(capacity, n).sum()))
    assert chosen.sum() == filled
    assert routing.n_dropped == n * top_k - filled
    scores = scores.astype(np.float64)
    assert routing.value == pytest.approx((chosen * scores).sum(), rel=1e-12)
    # The bound as the dual has it.
    worth = -np.sort(-(scores - routing.prices), axis=1)[:, :top_k]
    if routing.n_dropped:
        worth = worth.clip(0)
    else:
        assert (routing.prices >= 0).all()
    bound = np.minimum(capacity, n) @ routing.prices + worth.sum()
    size = np.abs(scores).sum() + n * np.abs(routing.prices).sum()
    assert routing.bound == pytest.approx(bound, rel=1e-12, abs=1e-14 * size)
    assert -1e-12 <= routing.gap <= 1e-9 * max(1e-3, abs(routing.value))
    assert routing.bound - routing.value == pytest.approx(routing.gap, abs=1e-14 * size)


def best_assignment(scores, capacity):
    """Return the highest total for one expert per token."""
    repeated = np.repeat(scores, capacity, axis=1)
    return repeated[linear_sum_assignment(repeated, maximize=True)].sum()


def best_plan(scores, capacity, top_k):
    """Return the highest total with as many slots filled as possible, by linear programming."""
    n, count = scores.shape
    token = np.kron(np.eye(n), np.ones(count))
    expert = np.kron(np.ones(n), np.eye(count))
    filled = min(n * top_k, int(np.minimum(capacity, n).sum()))
    solved = linprog(
        -scores.ravel(),
        A_ub=np.vstack([token, expert]),
        b_ub=np.concatenate([np.full(n, top_k), capacity]),
        A_eq=np.ones((1, n * count)),
        b_eq=[filled],
        bounds=(0, 1),
    )
    return -solved.fun


def logits_of(rng, kind, n, count):
    """Return logits, by what is awkward about them."""
    match kind:
        case "normal":
            return rng.normal(size=(n, count))
        case "skewed":  # everyone likes the same experts
            return rng.normal(size=(n, count)) + np.linspace(0, 4, count)
        case "integer":
            return rng.integers(-2, 3, size=(n, count)).astype(float)
        case "twins":
            return np.repeat(rng.normal(size=(n // 4 + 1, count)), 4, axis=0)[:n]
        case "same":
            return np.tile(rng.normal(size=count), (n, 1))
        case _:
            return np.zeros((n, count))


KINDS = ["normal", "skewed", "integer", "twins", "same", "zero"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("objective", ["softmax", "logits"])
def test_one_expert_per_token_is_the_best_assignment(rng, kind, objective):
    for n, count in [(1, 1), (1, 4), (30, 5), (64, 8), (50, 13)]:
        logits = logits_of(rng, kind, n, count)
        scores = softmax(logits, axis=1) if objective == "softmax" else logits
        even = -(-n // count)
        for capacity in (
            np.full(count, even),
            np.full(count, 2 * even),
            np.full(count, max(1, even // 2)),
            rng.integers(0, 2 * even + 1, count) + (np.arange(count) == 0),
        ):
            routing = TopKRouter(capacity=capacity, objective=objective).route(logits)
            check(routing, scores, capacity, 1)
            assert routing.value == pytest.approx(
                best_assignment(scores, capacity), rel=1e-12, abs=1e-12
            )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top_k", [2, 3])
def test_several_experts_per_token_are_the_best_plan(rng, kind, top_k):
    for n, count in [(1, 3), (20, 3), (24, 6)]:
        logits = logits_of(rng, kind, n, count)
        even = -(-n * top_k // count)
        for capacity in (
            np.full(count, even),
            np.full(count, even // 2 + 1),
            rng.integers(0, 2 * even + 1, count),
        ):
            router = TopKRouter(top_k, capacity=capacity, objective="logits")
            routing = router.route(logits)
            check(routing, logits, capacity, top_k)
            best = best_plan(logits, capacity, top_k)
            assert routing.value == pytest.approx(best, rel=1e-9, abs=1e-9)


def test_capacities_hold_whatever_they_are(rng):
    for trial in range(300):
        n, count = rng.integers(1, 80), rng.integers(1, 12)
        top_k = int(rng.integers(1, count + 1))
        kind = KINDS[trial % len(KINDS)]
        logits = rng.choice([1e-3, 1, 30]) * logits_of(rng, kind, n, count)
        capacity = rng.integers(0, rng.integers(1, 2 * n + 2), count)
        routing = TopKRouter(top_k, capacity=capacity, objective="logits").route(logits)
        check(routing, logits, capacity, top_k)


@pytest.mark.parametrize(
    ("n", "count", "top_k", "factor"),
    [
        (3136, 32, 1, 1.0),
        (3136, 32, 2, 1.0),
        (512, 16, 1, 1.0),
        (512, 16, 2, 1.25),
        (512, 16, 2, 0.5),
    ],
)
def test_vision_models(rng, n, count, top_k, factor):
    logits = rng.normal(size=(n, count)) + rng.normal(size=count)
    routing = TopKRouter(top_k, capacity_factor=factor).route(logits)
    expected = np.ceil(factor * n * top_k / count)
    np.testing.assert_array_equal(routing.capacity, np.full(count, expected))
    check(routing, softmax(logits, axis=1), routing.capacity, top_k)
    if top_k == 1:
        best = best_assignment(softmax(logits, axis=1), routing.capacity)
        assert routing.value == pytest.approx(best, rel=1e-12)


def test_weights_are_those_of_the_chosen_experts(rng):
    logits = rng.normal(size=(40, 6))
    routing = TopKRouter(2, capacity=[20, 5, 5, 5, 5, 5]).route(logits)
    assert routing.n_dropped == 35
    probabilities = softmax(logits, axis=1)
    for i, (experts, weights) in enumerate(zip(routing.experts, routing.weights, strict=True)):
        there = experts >= 0
        np.testing.assert_allclose(weights[there], probabilities[i, experts[there]], rtol=1e-14)
        assert (weights[~there] == 0).all()
        assert (np.diff(weights) <= 0).all()
    for j in range(6):
        tokens = routing.dispatch(j)
        np.testing.assert_array_equal(tokens, np.nonzero(routing.experts == j)[0])
        assert len(tokens) == routing.load[j]


def test_a_batch_is_its_problems_with_the_same_bits_for_any_threads(rng):
    logits = rng.normal(size=(23, 96, 8)) + np.linspace(0, 2, 8)
    router = TopKRouter(2, capacity_factor=0.9)
    batch = router.route(logits)
    assert batch.experts.shape == batch.weights.shape == (23, 96, 2)
    assert batch.load.shape == batch.prices.shape == (23, 8)
    assert batch.value.shape == batch.bound.shape == batch.gap.shape == (23,)
    assert batch.n_dropped.shape == (23,)
    for n_threads in (1, 2, 5):
        again = clone(router).set_params(n_threads=n_threads).route(logits)
        for name in batch:
            np.testing.assert_array_equal(again[name], batch[name])
    for k, problem in enumerate(logits):
        alone = router.route(problem)
        for name in ("experts", "weights", "load", "n_dropped", "value", "bound", "gap", "prices"):
            np.testing.assert_array_equal(alone[name], batch[name][k])
    np.testing.assert_array_equal(batch.dispatch(3)[4], router.route(logits[4]).dispatch(3))


def test_single_precision(rng):
    logits = rng.normal(size=(200, 8)).astype(np.float32)
    routing = TopKRouter(2).route(logits)
    assert routing.weights.dtype == np.float32
    assert routing.prices.dtype == np.float64
    assert (routing.load <= routing.capacity).all()
    assert routing.gap <= 1e-12
    wide = TopKRouter(2, objective="logits").route(logits.astype(np.float64))
    narrow = TopKRouter(2, objective="logits").route(logits)
    np.testing.assert_array_equal(narrow.experts, wide.experts)
    assert narrow.value == wide.value


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: x.astype(">f8"),
        lambda x: np.lib.stride_tricks.as_strided(x, writeable=False),
        lambda x: x.tolist(),
    ],
    ids=["Fortran", "every other", "backwards", "byte-swapped", "read-only", "list"],
)
def test_the_memory_layout_does_not_matter(rng, view):
    logits = rng.normal(size=(60, 7))
    kept = logits.copy()
    expected, given = TopKRouter(2).route(logits), TopKRouter(2).route(view(logits))
    for name in expected:
        np.testing.assert_array_equal(given[name], expected[name])
    np.testing.assert_array_equal(logits, kept)


def test_extremes():
    routing = TopKRouter(3, capacity=10**15).route([[1.0, 3.0, 2.0]])
    np.testing.assert_array_equal(routing.experts, [[1, 2, 0]])
    assert routing.gap == 0
    routing = TopKRouter(capacity=0).route(np.ones((4, 3)))
    assert (routing.experts == -1).all()
    assert (routing.weights == 0).all()
    assert routing.n_dropped == 4
    assert routing.value == routing.bound == 0
    routing = TopKRouter(capacity=2, objective="logits").route(1e250 * np.eye(6)[:, :3])
    assert routing.value == 3e250
    assert np.isfinite(routing.bound)
    # 1.1 times 100 / 10 is 11.000000000000002 in floating point.
    assert (TopKRouter(capacity_factor=1.1).route(np.ones((100, 10))).capacity == 11).all()
    assert (TopKRouter(capacity_factor=1e-20).route(np.ones((9, 3))).capacity == 1).all()
    assert (TopKRouter(capacity_factor=1e300).route(np.ones((9, 3))).capacity == 9).all()


def test_the_result_is_a_frozen_record(rng):
    routing = TopKRouter().route(rng.normal(size=(60, 5)))
    assert isinstance(routing, RoutingResult)
    assert routing.converged is True
    assert routing["value"] == routing.value
    assert "gap" in repr(routing)
    assert "RoutingResult" in repr(routing)
    with pytest.raises(AttributeError, match="frozen"):
        routing.value = 0
    copy = pickle.loads(pickle.dumps(routing))
    np.testing.assert_array_equal(copy.experts, routing.experts)
    with pytest.raises(InvalidInputError, match=r"expert is 5: needs an integer from 0 to 4"):
        routing.dispatch(5)
    with pytest.raises(InvalidInputError, match="expert is -1"):
        routing.dispatch(-1)


LOGITS = np.random.default_rng(0).normal(size=(6, 4))


def with_value(value):
    array = LOGITS.copy()
    array[2, 1] = value
    return array


BAD_LOGITS = {
    "NaN": (with_value(np.nan), r"nan at index \(2, 1\)"),
    "inf": (with_value(np.inf), r"inf at index \(2, 1\)"),
    "-inf": (with_value(-np.inf), r"-inf at index \(2, 1\)"),
    "vector": (np.ones(4), r"shape \(4,\)"),
    "four dimensions": (np.ones((1, 1, 2, 2)), r"shape \(1, 1, 2, 2\)"),
    "no tokens": (np.ones((0, 4)), r"\(0, 4\)"),
    "no experts": (np.ones((4, 0)), r"\(4, 0\)"),
    "no problems": (np.ones((0, 4, 4)), r"\(0, 4, 4\)"),
    "strings": ([["a", "b"]], "dtype <U1"),
    "complex": (LOGITS + 0j, "dtype complex128"),
    "ragged": ([[1, 2], [3]], "cannot be read as an array"),
    "sparse": (sparse.csr_array(LOGITS), "sparse csr_array"),
}


@pytest.mark.parametrize("name", BAD_LOGITS)
def test_bad_logits(name):
    logits, message = BAD_LOGITS[name]
    with pytest.raises(InvalidInputError, match=f"logits.*{message}"):
        TopKRouter().route(logits)


BAD_PARAMETERS = [
    ({"top_k": 0}, "top_k is 0: needs an integer of at least 1"),
    ({"top_k": 5}, "top_k is 5: needs at most 4"),
    ({"top_k": 1.0}, r"top_k is 1.0 \(float\): needs an integer"),
    ({"top_k": True}, "top_k is True"),
    ({"capacity": -1}, "capacity is -1: needs an integer of at least 0"),
    ({"capacity": 1.5}, r"capacity is 1.5 \(float\): needs an integer"),
    ({"capacity": "all"}, r"capacity is 'all' \(str\): needs an integer"),
    ({"capacity": 2**63}, "capacity is 9223372036854775808"),
    ({"capacity": [1, 2]}, r"capacity has shape \(2,\): needs an integer or one for each of the 4"),
    ({"capacity": [[1, 2, 3, 4]]}, r"capacity has shape \(1, 4\)"),
    ({"capacity": [1, 2, -3, 4]}, r"capacity\[2\] is -3: needs an integer of at least 0"),
    ({"capacity": [1.0, 2.0, 3.0, 4.0]}, "capacity has dtype float64: needs integers"),
    ({"capacity": [True, True, False, True]}, "capacity has dtype bool: needs integers"),
    ({"capacity_factor": 0}, "capacity_factor is 0: needs a finite number above 0"),
    ({"capacity_factor": -1.0}, "capacity_factor is -1.0"),
    ({"capacity_factor": np.inf}, "capacity_factor is inf"),
    ({"capacity_factor": "1"}, "capacity_factor is '1'"),
    ({"objective": "cosine"}, "objective is 'cosine': needs one of 'softmax', 'logits'"),
    ({"n_threads": 0}, "n_threads is 0"),
]


@pytest.mark.parametrize(("parameters", "message"), BAD_PARAMETERS)
def test_bad_parameters(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        TopKRouter(**parameters).route(LOGITS)
    with pytest.raises(InvalidInputError, match=message):
        TopKRouter(**parameters).fit(LOGITS)


def test_logits_that_cannot_be_summed():
    router = TopKRouter(objective="logits")
    with pytest.raises(
        InvalidInputError, match=r"absolute value of 1e\+300: needs at most 1e\+250"
    ):
        router.route(1e300 * np.eye(3))
    with pytest.raises(InvalidInputError, match=r"absolute value of 1e\+300"):
        router.fit(np.eye(3)).transform(1e300 * np.eye(3))
    assert TopKRouter().route(1e300 * np.eye(3)).value == 3


@parametrize_with_checks(
    [
        TopKRouter(),
        TopKRouter(capacity_factor=1.25, objective="logits"),
        TopKRouter(capacity=1),
    ],
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_the_prices_of_a_batch_are_a_rule_for_its_tokens(rng):
    logits = rng.normal(size=(800, 10)) + np.linspace(0, 2, 10)
    model = TopKRouter(2).fit(logits)
    routing = model.result_
    gates = model.transform(logits)
    np.testing.assert_array_equal((gates > 0).sum(1), np.full(800, 2))
    agree = np.mean(np.take_along_axis(gates, routing.experts, 1) == routing.weights)
    assert agree > 0.95
    assert np.array_equal(model.fit_transform(logits), gates)
    # New tokens: loads are much more even than without prices, and not bounded.
    fresh = rng.normal(size=(800, 10)) + np.linspace(0, 2, 10)
    load = (model.transform(fresh) > 0).sum(0)
    free = np.bincount(np.argsort(-fresh, axis=1)[:, :2].ravel(), minlength=10)
    assert load.max() < free.max() / 2
    assert load.max() > routing.capacity[0]


def test_a_closed_expert_gets_no_token(rng):
    logits = rng.normal(size=(30, 4)) + np.array([5, 0, 0, 0])
    model = TopKRouter(2, capacity=[0, 30, 0, 30]).fit(logits)
    assert (model.result_.load == [0, 30, 0, 30]).all()
    np.testing.assert_array_equal(model.transform(logits) > 0, np.tile([0, 1, 0, 1], (30, 1)))
    model = TopKRouter(2, capacity=[0, 0, 0, 30]).fit(logits)
    assert ((model.transform(logits) > 0).sum(1) == 1).all()


def test_float32_stays_and_frames_keep_names(rng):
    logits = rng.normal(size=(50, 3))
    model = TopKRouter().fit(logits.astype(np.float32))
    assert model.transform(logits.astype(np.float32)).dtype == np.float32
    assert model.transform(logits).dtype == np.float64
    frame = pd.DataFrame(logits, columns=["left", "middle", "right"])
    model = TopKRouter().set_output(transform="pandas").fit(frame)
    assert list(model.transform(frame).columns) == ["left", "middle", "right"]
    copy = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(copy.transform(frame), model.transform(frame))


def test_in_a_pipeline_and_a_grid_search(rng):
    logits = rng.normal(size=(200, 5))
    y = (logits[:, 0] > 0).astype(int)
    search = GridSearchCV(
        make_pipeline(TopKRouter(), LogisticRegression()), {"topkrouter__top_k": [1, 5]}, cv=3
    )
    assert search.fit(logits, y).best_params_ == {"topkrouter__top_k": 5}

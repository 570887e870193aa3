"""Leverage scores against the hat matrix."""

import numpy as np
import pytest
from scipy import sparse

from sparrot.errors import InvalidInputError
from sparrot.sketching import leverage_scores


def hat(A, weights=None, intercept=False, ridge=0.0):
    M = np.column_stack([A, np.ones(len(A))]) if intercept else A
    root = np.ones(len(A)) if weights is None else np.sqrt(weights)
    M = M * root[:, None]
    penalty = np.zeros(M.shape[1])
    penalty[: A.shape[1]] = np.sqrt(ridge)
    Q = np.linalg.qr(np.vstack([M, np.diag(penalty)]))[0]
    return (Q[: len(A)] ** 2).sum(axis=1)


@pytest.mark.parametrize("n", [50, 3000])
@pytest.mark.parametrize("condition", [1, 1e8])
def test_is_the_diagonal_of_the_hat_matrix(n, condition):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(n, 5)) @ np.diag(np.geomspace(1, condition, 5)) @ rng.normal(size=(5, 5))
    A[7] *= 50
    weights = rng.random(n)
    for options in (
        {},
        {"weights": weights},
        {"intercept": True},
        {"weights": weights, "intercept": True, "ridge": 3.0},
    ):
        expected = hat(A, **options)
        names = {"weights": "sample_weight", "intercept": "fit_intercept", "ridge": "ridge"}
        keywords = {names[key]: value for key, value in options.items()}
        for matrix in (A, np.asfortranarray(A), sparse.csr_array(A)):
            found = leverage_scores(matrix, rng=0, **keywords)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-14 * condition)
        alone = leverage_scores(A, n_threads=3, rng=0, **keywords)
        assert np.array_equal(alone, leverage_scores(A, n_threads=1, rng=0, **keywords))


def test_sums_to_the_rank():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 6))
    scores = leverage_scores(A)
    assert scores.sum() == pytest.approx(3)
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert (leverage_scores(np.zeros((10, 3))) == 0).all()
    np.testing.assert_allclose(leverage_scores(rng.normal(size=(4, 9))), 1)


def test_estimates_are_within_eps():
    rng = np.random.default_rng(2)
    A = rng.normal(size=(3000, 400)) * rng.random(3000)[:, None]
    exact = leverage_scores(A, rng=0)
    found = leverage_scores(A, eps=0.6, rng=0)
    assert not np.array_equal(found, exact)
    assert abs(found / exact - 1).max() <= 0.6
    # Where that would be more work it is not done.
    assert np.array_equal(leverage_scores(A, eps=0.01, rng=0), exact)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"A": np.ones(3)}, "A has shape"),
        ({"A": np.array([[1.0], [np.nan]])}, r"A: contains NaN at index \(1, 0\)"),
        ({"eps": 1.0}, "eps is 1.0"),
        ({"eps": -1.0}, "eps is -1.0"),
        ({"ridge": -1.0}, "ridge is -1.0"),
        ({"sample_weight": np.ones(2)}, "sample_weight has 2 weights"),
        ({"rng": "dice"}, "rng is 'dice'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        leverage_scores(**{"A": np.eye(3), **arguments})

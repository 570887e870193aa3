"""Certificates and bounds under input that had got past them."""

import numpy as np
import pytest

from sparrot.errors import InvalidInputError
from sparrot.sparse_coding import debias, fista, iht

rng = np.random.default_rng(0)
A = rng.normal(size=(20, 40))
Y = rng.normal(size=(5, 20))


def test_an_adjoint_that_writes_to_its_argument_leaves_the_signals():
    def adjoint(R):
        made = A.T @ R
        R[:] = 0
        return made

    signals = Y.copy()
    result = fista((lambda X: A @ X, adjoint), signals, 1.0)
    np.testing.assert_array_equal(signals, Y)
    np.testing.assert_allclose(result.objective, fista(A, Y, 1.0).objective, rtol=1e-5)


def test_a_start_that_must_not_be_returned_is_refused():
    with pytest.raises(InvalidInputError, match=r"init contains -0\.9: positive=True"):
        fista([[1.0]], [-1.0], 0.1, init=[-0.9], positive=True, max_time=0)
    with pytest.raises(InvalidInputError, match="init has a code with 40 numbers"):
        iht(A, Y, n_nonzero_coefs=3, init=np.ones((5, 40)))
    with pytest.raises(InvalidInputError, match="overflows float32"):
        fista(A.astype("f4"), Y.astype("f4"), 1.0, init=np.full((5, 40), 1e300))


def test_only_the_support_counts_in_debias():
    single = A.astype("f4"), Y.astype("f4")
    support = np.where(np.arange(40) < 5, 1.0, 0.0) * np.ones((5, 1))
    expected = debias(*single, support).codes
    assert expected.any()
    for size in (1e-60, 1e60):
        np.testing.assert_array_equal(debias(*single, support * size).codes, expected)

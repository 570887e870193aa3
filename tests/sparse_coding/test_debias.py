"""Least squares on the atoms that codes use."""

import numpy as np
import pytest
import scipy.sparse

from sparrot.errors import InvalidInputError
from sparrot.sparse_coding import debias, fista


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(30, 50)) / np.sqrt(30)
    return A, rng.normal(size=(40, 30))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_it_is_numpys_least_squares_of_the_atoms_in_use(data, dtype, form):
    A, Y = (array.astype(dtype) for array in data)
    codes = fista(A, Y, 0.3).codes
    result = debias(form(A), Y, codes)
    assert result.codes.dtype == dtype
    assert ((result.codes != 0) == (codes != 0)).all()
    for y, found, objective in zip(Y, result.codes, result.objective, strict=True):
        used = found != 0
        expected = np.linalg.lstsq(A[:, used].astype(float), y.astype(float), rcond=None)[0]
        scale = np.abs(expected).max(initial=1)
        np.testing.assert_allclose(found[used], expected, atol=50 * np.finfo(dtype).eps * scale)
        residual = y.astype(float) - A.astype(float) @ found.astype(float)
        assert objective == pytest.approx(residual @ residual / 2, rel=1e-12)
    assert result.converged
    assert result.stationarity.max() < (1e-13 if dtype is np.float64 else 1e-6)


def test_a_single_signal_and_nothing_in_use(data):
    A, Y = data
    code = np.zeros(50)
    assert (debias(A, Y[0], code).codes == 0).all()
    code[3] = -1.0
    found = debias(A, Y[0], code).codes
    assert found.shape == (50,)
    assert found[3] == pytest.approx(A[:, 3] @ Y[0] / (A[:, 3] @ A[:, 3]), rel=1e-13)


def test_atoms_that_depend_on_others_get_0_and_the_residual_is_the_smallest(data):
    A, Y = data
    twins = np.column_stack([A[:, :5], A[:, :5], A[:, :1] + A[:, 1:2], np.zeros(30)])
    result = debias(twins, Y, np.ones((40, 12)))
    best = debias(A[:, :5], Y, np.ones((40, 5)))
    np.testing.assert_allclose(result.objective, best.objective, rtol=1e-12)
    assert (np.count_nonzero(result.codes, axis=1) == 5).all()
    assert result.stationarity.max() < 1e-13


def test_more_atoms_than_features_fit_exactly(data):
    A, Y = data
    result = debias(A, Y, np.ones((40, 50)))
    assert np.isfinite(result.codes).all()
    assert (result.objective < 1e-16 * (Y**2).sum(axis=1)).all()


def test_threads_give_the_same_bits(data):
    A, Y = data
    codes = np.where(np.random.default_rng(1).random((40, 50)) < 0.2, 1.0, 0.0)
    one, two = (debias(A, Y, codes, n_threads=n).codes for n in (1, 2))
    assert (one == two).all()
    assert ((codes == 0) | (codes == 1)).all()  # what is given stays as it is


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.ones((40, 49))}, r"codes has shape \(40, 49\): needs \(40, 50\)"),
        ({"codes": np.full((40, 50), np.nan)}, r"codes contains nan at index \(0, 0\)"),
        ({"Y": np.ones((40, 29))}, "Y has shape"),
        ({"A": (np.asarray, np.asarray)}, "A"),
        ({"A": 1e200 * np.ones((30, 50))}, "squares"),
    ],
)
def test_bad_input(data, change, message):
    A, Y = data
    given = {"A": A, "Y": Y, "codes": np.ones((40, 50))} | change
    with pytest.raises(InvalidInputError, match=message):
        debias(given["A"], given["Y"], given["codes"])

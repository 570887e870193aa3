"""Dask arrays: the bits do not depend on the workers, and agree with one machine."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from sparrot.errors import InvalidInputError
from sparrot.sketching import lstsq, sketch
from tests.sketching.test_lstsq import problem

da = pytest.importorskip("dask.array")
interop = pytest.importorskip("sparrot.interop.dask")


def data(n=3000, d=5):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)) + 1, rng.normal(size=(n, 2)), rng.random(n)


@pytest.mark.parametrize("rows", [3000, 1000, 7, (1, 2000, 999)])
def test_agrees_with_one_machine_for_any_chunks(rows):
    A, b, weights = data()
    chunks = (rows, 2)
    options = {"fit_intercept": True, "ridge": 0.3}
    found = interop.lstsq(da.from_array(A, chunks=chunks), b, sample_weight=weights, **options)
    whole = lstsq(A, b, sample_weight=weights, **options)
    np.testing.assert_allclose(found.x, whole.x, rtol=1e-12)
    np.testing.assert_allclose(found.intercept, whole.intercept, rtol=1e-12)
    assert (abs(found.x - whole.x) <= found.coef_bound + whole.coef_bound).all()
    single = interop.lstsq(da.from_array(A, chunks=chunks), da.from_array(b[:, 0], chunks=100))
    np.testing.assert_allclose(single.x, lstsq(A, b[:, 0]).x, rtol=1e-12)
    for kind in ("sparse-sign", "countsketch", "gaussian"):
        found = interop.sketch(da.from_array(A, chunks=chunks), 30, kind=kind, rng=2)
        np.testing.assert_allclose(found, sketch(A, 30, kind=kind, rng=2), rtol=0, atol=1e-11)


def test_passes_that_correct_the_coefficients_agree_with_one_machine():
    rng = np.random.default_rng(1)
    A, b = problem(rng, 2000, 6, 1e11)
    for rows in (2000, 300):
        found = interop.lstsq(da.from_array(A, chunks=(rows, 6)), b, fit_intercept=True)
        whole = lstsq(A, b, fit_intercept=True)
        assert found.converged
        assert 2 <= found.passes <= 3  # by how the data are rounded
        np.testing.assert_allclose(found.x, whole.x, rtol=1e-12)
        assert (abs(found.x - whole.x) <= found.coef_bound + whole.coef_bound).all()


def test_bad_input_is_named():
    A, b, _ = data()
    array = da.from_array(A, chunks=(1000, 5))
    bad = A.copy()
    bad[2345, 3] = np.nan
    place = r"A: contains NaN at index \(345, 3\).*\(block 2, from row 2000 on\)"
    with pytest.raises(InvalidInputError, match=place):
        interop.lstsq(da.from_array(bad, chunks=(1000, 5)), b)
    for given, message in (
        ((A, b), "A is a ndarray: needs a dask array"),
        ((array, b[:-1]), r"b has shape \(2999, 2\)"),
        ((array[0], b), "A has shape"),
        ((array[array[:, 0] > 0], b), "A has shape"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            interop.lstsq(*given)
    with pytest.raises(InvalidInputError, match=r"sample_weight has shape \(3,\)"):
        interop.lstsq(array, b, sample_weight=np.ones(3))
    with pytest.raises(InvalidInputError, match="kind"):
        interop.sketch(array, 30, kind="srht")


def test_the_same_bits_for_any_workers_and_when_one_is_killed(tmp_path):
    pytest.importorskip("distributed")
    program = pathlib.Path(__file__).with_name("dask_cluster.py")
    # In a process of its own: what the cluster warns of as it loses a worker is not ours.
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("died")
    assert all(answer == found["1"] for answer in found.values())
    assert found["1"]["converged"]
    # Near dependence: a second pass.
    assert found["1"]["passes"] == [1, 2]

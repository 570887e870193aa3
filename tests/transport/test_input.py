"""Bad input is a named error; unusual but good input gives the usual answer."""

import numpy as np
import pytest
from scipy import sparse

from sparrot.errors import InvalidInputError, MassMismatchError, SparrotError
from sparrot.transport import EntropicTransport, round_plan, solve, solve_sample

COST = np.random.default_rng(0).random((4, 5))
POINTS = np.random.default_rng(1).random((4, 2))


def with_value(array, value, index=(2, 1)):
    array = np.array(array, dtype=float)
    array[index] = value
    return array


BAD_MATRICES = {
    "NaN": (with_value(COST, np.nan), r"nan at index \(2, 1\)"),
    "-inf": (with_value(COST, -np.inf), r"-inf at index \(2, 1\)"),
    "vector": (np.ones(3), r"shape \(3,\)"),
    "three dimensions": (np.ones((2, 2, 2)), r"shape \(2, 2, 2\)"),
    "number": (1.0, r"shape \(\)"),
    "no rows": (np.ones((0, 3)), r"\(0, 3\)"),
    "no columns": (np.ones((3, 0)), r"\(3, 0\)"),
    "objects": (np.array([[None, 1], [2, 3]]), "dtype object"),
    "strings": ([["a", "b"]], "dtype <U1"),
    "complex": (COST + 0j, "dtype complex128"),
    "dates": (np.array([["2026-01-01"]], dtype="M8[D]"), r"dtype datetime64"),
    "ragged": ([[1, 2], [3]], "cannot be read as an array"),
    "masked": (np.ma.masked_array(COST, COST > 0.5), "masked array"),
    "sparse": (sparse.csr_array(COST), r"sparse csr_array"),
    "sparse matrix": (sparse.coo_matrix(COST), r"sparse coo_matrix"),
    "too precise": (COST.astype(np.longdouble), "dtype"),
    "nothing": (None, "dtype object"),
}


@pytest.mark.parametrize("name", BAD_MATRICES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_bad_costs(name, order):
    cost, message = BAD_MATRICES[name]
    if type(cost) is np.ndarray:
        cost = np.array(cost, order=order)
    with pytest.raises(InvalidInputError, match=f"cost.*{message}") as caught:
        solve(cost, reg=0.1)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SparrotError)


@pytest.mark.parametrize("name", [name for name in BAD_MATRICES if name != "-inf"])
def test_bad_plans_to_round(name):
    plan, message = BAD_MATRICES[name]
    with pytest.raises(InvalidInputError, match=f"plan.*{message}"):
        round_plan(plan)


BAD_POINTS = {name: case for name, case in BAD_MATRICES.items() if name not in ("NaN", "-inf")} | {
    "NaN": (with_value(POINTS, np.nan), r"nan at index \(2, 1\)"),
    "inf": (with_value(POINTS, np.inf), r"inf at index \(2, 1\)"),
}


@pytest.mark.parametrize("name", BAD_POINTS)
def test_bad_points(name):
    points, message = BAD_POINTS[name]
    with pytest.raises(InvalidInputError, match=f"Y.*{message}"):
        solve_sample(POINTS, points, reg=0.1)
    with pytest.raises(InvalidInputError, match=f"X.*{message}"):
        solve_sample(points, POINTS, reg=0.1)


BAD_WEIGHTS = {
    "NaN": ([0.5, np.nan, 0.25, 0.25], "nan at index 1"),
    "inf": ([0.5, np.inf, 0.25, 0.25], "inf at index 1"),
    "negative": ([0.5, 0.5, -0.25, 0.25], r"\[2\] is -0.25"),
    "too few": ([0.5, 0.5], "2 weights for 4 points"),
    "too many": (np.full(5, 0.2), "5 weights for 4 points"),
    "empty": ([], "0 weights for 4 points"),
    "two dimensions": (np.full((4, 1), 0.25), r"shape \(4, 1\)"),
    "no mass": (np.zeros(4), "sums to 0.0"),
    "infinite mass": (np.full(4, 1e308), "sums to inf"),
    "objects": (np.array([None] * 4), "dtype object"),
    "complex": (np.full(4, 0.25j), "dtype complex128"),
    "masked": (np.ma.masked_array(np.full(4, 0.25), [0, 0, 1, 0]), "masked array"),
    "number": (1.0, r"shape \(\)"),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_bad_weights(name):
    weights, message = BAD_WEIGHTS[name]
    for call in (
        lambda **w: solve(COST, reg=0.1, **w),
        lambda **w: solve_sample(POINTS, POINTS, reg=0.1, **w),
        lambda **w: round_plan(COST, **w),
    ):
        with pytest.raises(InvalidInputError, match=f"a.*{message}"):
            call(a=weights)
    with pytest.raises(InvalidInputError, match="b"):
        solve(COST.T, b=weights, reg=0.1)


def test_mismatched_mass_shows_both_sums():
    with pytest.raises(MassMismatchError, match=r"a sums to 1\.0 but b sums to 1\.25"):
        solve(COST, np.full(4, 0.25), np.full(5, 0.25), reg=0.1)
    with pytest.raises(MassMismatchError):
        round_plan(COST, np.full(4, 0.25), np.full(5, 0.2 * (1 + 1e-7)))
    slightly = solve(COST, np.full(4, 0.25), np.full(5, 0.2 * (1 + 1e-9)), reg=0.1, tol=1e-12)
    assert slightly.converged
    assert slightly.b.sum() == pytest.approx(1.0, rel=1e-15)


BAD_SETTINGS = {
    "reg zero": ({"reg": 0}, "reg is 0: needs a finite number above 0"),
    "reg negative": ({"reg": -1.0}, "reg is -1.0"),
    "reg NaN": ({"reg": np.nan}, "reg is nan"),
    "reg inf": ({"reg": np.inf}, "reg is inf"),
    "reg text": ({"reg": "small"}, "reg is 'small'.*needs a number"),
    "reg True": ({"reg": True}, "reg is True"),
    "reg None": ({"reg": None}, "reg is None"),
    "reg vector": ({"reg": np.ones(2)}, "reg is array"),
    "reg too small": ({"reg": 1e-300}, "reg is 1e-300: needs a number between"),
    "reg too large": ({"reg": 1e300}, "reg is 1e[+]300: needs a number between"),
    "reg too large for a float": ({"reg": 10**400}, "reg is too large"),
    "reg_scale": ({"reg_scale": "median"}, "reg_scale is 'median': needs one of 'absolute'"),
    "method": ({"method": "newton"}, "method is 'newton': needs one of 'auto', 'sns'"),
    "tol negative": ({"tol": -1e-3}, "tol is -0.001"),
    "tol NaN": ({"tol": np.nan}, "tol is nan"),
    "max_iter zero": ({"max_iter": 0}, "max_iter is 0"),
    "max_iter fraction": ({"max_iter": 1.5}, "max_iter is 1.5.*needs an integer"),
    "max_iter huge": ({"max_iter": 2**70}, "max_iter is"),
    "max_time negative": ({"max_time": -1}, "max_time is -1"),
    "n_threads zero": ({"n_threads": 0}, "n_threads is 0"),
    "n_threads text": ({"n_threads": "all"}, "n_threads is 'all'"),
    "verbose": ({"verbose": -1}, "verbose is -1"),
    "callback": ({"callback": 3}, "callback is 3"),
    "options not a dict": ({"options": [1]}, r"options is \[1\]"),
    "options unknown": (
        {"method": "sns", "options": {"N1": 5}},
        "options has 'N1': this method knows 'n_sinkhorn'",
    ),
    "options value": (
        {"method": "sns", "options": {"density": 2}},
        r"options\['density'\] is 2",
    ),
    "options growth": (
        {"method": "sns", "options": {"growth": 0.5}},
        r"options\['growth'\] is 0.5",
    ),
    "options n_sinkhorn": (
        {"method": "sns", "options": {"n_sinkhorn": 0}},
        r"options\['n_sinkhorn'\] is 0",
    ),
    "options of another": (
        {"method": "sinkhorn", "options": {"density": 0.1}},
        "options has 'density': this method knows none",
    ),
    "options of auto": (
        {"method": "auto", "options": {"growth": 4}},
        "options has 'growth': this method knows none",
    ),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings(name):
    settings, message = BAD_SETTINGS[name]
    with pytest.raises(InvalidInputError, match=message):
        solve(COST, **({"reg": 0.1} | settings))
    with pytest.raises(InvalidInputError, match=message):
        solve_sample(POINTS, POINTS + 1, **({"reg": 0.1} | settings))


def test_other_bad_settings():
    with pytest.raises(InvalidInputError, match="X has 2 columns but Y has 3"):
        solve_sample(POINTS, np.ones((3, 3)), reg=0.1)
    with pytest.raises(InvalidInputError, match="metric is 'cityblock': needs one of"):
        solve_sample(POINTS, POINTS, metric="cityblock", reg=0.1)
    with pytest.raises(InvalidInputError, match="X: row 2 is all zeros"):
        solve_sample(with_value(POINTS, 0, 2), POINTS, metric="cosine", reg=0.1)
    with pytest.raises(InvalidInputError, match="reg_scale is 'max' but the max of cost is -1"):
        solve(np.full((2, 2), -1.0), reg=0.1, reg_scale="max")
    result = solve(COST, reg=0.1)
    with pytest.raises(InvalidInputError, match=r"vectors has shape \(4,\)"):
        result.apply(np.ones(4))
    with pytest.raises(InvalidInputError, match=r"vectors contains nan at index 1"):
        result.apply([1, np.nan, 1, 1, 1])
    with pytest.raises(InvalidInputError, match="threshold is -1"):
        result.to_sparse(-1)
    with pytest.raises(InvalidInputError, match=r"plan\[1, 0\] is -1.0"):
        round_plan([[1, 1], [-1.0, 1]])
    with pytest.raises(InvalidInputError, match="y has 3 columns but X has 2"):
        EntropicTransport().fit(POINTS, np.ones((4, 3)))
    with pytest.raises(InvalidInputError, match="y is one-dimensional"):
        EntropicTransport().fit(POINTS[:, :1], np.ones(4))


def test_more_than_memory_is_an_error_before_anything_is_read():
    huge = np.broadcast_to(0.0, (2**22, 2**22))
    with pytest.raises(MemoryError, match="allocate"):
        solve(huge, reg=0.1)
    wide = np.broadcast_to(np.zeros(2**26), (2**22, 2**26))  # contiguous rows, all the same
    with pytest.raises(MemoryError, match="cannot allocate 2251799813685248 bytes for the tran"):
        solve(wide, reg=0.1)
    with pytest.raises(MemoryError, match="cannot allocate"):
        solve(wide, reg=0.1, check_finite=False)
    points = np.zeros((2**22, 1))
    with pytest.raises(MemoryError, match="cannot allocate"):
        solve_sample(points, points, reg=0.1, method="sinkhorn")  # "auto" needs no such plan


def strided(array):
    spaced = np.full((2 * array.shape[0], 3 * array.shape[1]), np.nan)
    spaced[::2, ::3] = array
    return spaced[::2, ::3]


def structured(array):
    records = np.zeros(array.shape, dtype=[("flag", "i1"), ("value", "f8")])
    records["value"] = array
    return records["value"]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


class OnlyDLPack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


SAME = {
    "list": np.ndarray.tolist,
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "strided by columns": lambda array: strided(array.T).T,
    "backwards": lambda array: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "columns backwards": lambda array: np.asfortranarray(array[::-1, ::-1])[::-1, ::-1],
    "read-only": read_only,
    "big-endian": lambda array: array.astype(">f8"),
    "misaligned": structured,
    "np.matrix": np.asmatrix,
    "DLPack": OnlyDLPack,
    "pandas": lambda array: __import__("pandas").DataFrame(array),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_unusual_arrays_give_the_usual_answer(name, rng):
    cost = rng.random((30, 20))
    expected = solve(cost, reg=0.05, tol=1e-12)
    result = solve(SAME[name](cost), reg=0.05, tol=1e-12)
    np.testing.assert_allclose(result.plan, expected.plan, rtol=1e-8)
    points = rng.random((20, 4))
    usual = solve_sample(points, points + 1, reg=0.05, tol=1e-12)
    unusual = solve_sample(SAME[name](points), SAME[name](points + 1), reg=0.05, tol=1e-12)
    np.testing.assert_array_equal(unusual.potentials[0], usual.potentials[0])


@pytest.mark.parametrize("dtype", ["i1", "u8", "i4", "?", "f2"])
def test_other_number_types_are_converted(dtype, rng):
    cost = rng.integers(0, 2, (6, 8)).astype(dtype)
    result = solve(cost, reg=0.1, tol=1e-10)
    expected = solve(cost.astype(float), reg=0.1, tol=1e-10)
    assert result.plan.dtype == (np.float32 if dtype == "f2" else np.float64)
    np.testing.assert_array_equal(result.potentials[1], expected.potentials[1])


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("auto", None),
        ("sns", {"n_sinkhorn": 1}),
        ("sns", {"n_sinkhorn": 20}),
        ("sinkhorn", None),
    ],
)
def test_points_without_weight_get_nothing(method, options, rng):
    cost = rng.random((30, 25))
    a, b = rng.random(30), rng.random(25)
    a[[0, 7, 29]] = b[[3, 24]] = 0
    a, b = a / a.sum(), b / b.sum()
    result = solve(cost, a, b, reg=0.02, method=method, tol=1e-10, options=options)
    assert (result.plan[a == 0] == 0).all()
    assert (result.plan[:, b == 0] == 0).all()
    assert np.isneginf(result.potentials[0][a == 0]).all()
    without = solve(cost[a > 0][:, b > 0], a[a > 0], b[b > 0], reg=0.02, method=method, tol=1e-10)
    np.testing.assert_allclose(result.plan[a > 0][:, b > 0], without.plan, rtol=1e-6)
    assert result.gap == pytest.approx(without.gap, abs=1e-9)
    assert np.isfinite(result.lower_bound)


def test_the_cost_is_not_copied_nor_changed(rng):
    cost = rng.random((40, 40))
    before = cost.copy()
    result = solve(cost, reg=0.05)
    assert result.plan.shape == (40, 40)
    np.testing.assert_array_equal(cost, before)
    assert result._cost.native is cost


def test_costs_too_large_for_reg_are_told_apart_from_forbidden_edges():
    with pytest.raises(InvalidInputError, match="cost / reg overflows"):
        solve([[0.0, 1e200], [1e200, 0.0]], reg=1e-120)
    with pytest.raises(InvalidInputError, match="largest coordinate"):
        solve_sample([[1e200], [0.0]], [[0.0], [1.0]], reg=1.0)
    with pytest.raises(InvalidInputError, match="largest coordinate"):
        solve_sample([[1e-170], [0.0]], [[0.0], [1e-170]], metric="euclidean", reg=1e-170)


def test_results_keep_copies_of_the_weights(rng):
    a = np.full(4, 0.25)
    result = solve(COST, a, reg=0.1)
    a[:] = 7
    assert result.a.sum() == 1
    with pytest.raises(ValueError, match="read-only"):
        result.a[0] = 7
    with pytest.raises(ValueError, match="read-only"):
        result.potentials[0][0] = 7


def test_unchecked_costs_are_the_callers_promise():
    result = solve(COST, reg=0.1, check_finite=False)
    np.testing.assert_array_equal(result.plan, solve(COST, reg=0.1).plan)

"""Bad input to transport with few entries per line is a named error; unusual input is not."""

import numpy as np
import pytest
from scipy import sparse

from sparrot.errors import (
    InfeasibleProblemError,
    InvalidInputError,
    MassMismatchError,
    SparrotError,
)
from sparrot.transport import KSparseDual, solve_ksparse, solve_quadratic

COST = np.random.default_rng(0).random((4, 5))


def with_value(array, value, index=(2, 1)):
    array = np.array(array, dtype=float)
    array[index] = value
    return array


CALLS = {
    "solve_ksparse": lambda cost, *weights, **settings: solve_ksparse(
        cost, *weights, **({"gamma": 0.1, "k": 2} | settings)
    ),
    "solve_quadratic": lambda cost, *weights, **settings: solve_quadratic(
        cost, *weights, **({"gamma": 0.1} | settings)
    ),
    "KSparseDual": lambda cost, *weights, **settings: KSparseDual(
        cost, *weights, **({"gamma": 0.1, "k": 2} | settings)
    ),
}
SOLVES = [name for name in CALLS if name.startswith("solve")]

BAD_MATRICES = {
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


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", BAD_MATRICES)
def test_bad_costs(name, call):
    cost, message = BAD_MATRICES[name]
    with pytest.raises(InvalidInputError, match=f"cost.*{message}") as caught:
        CALLS[call](cost)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SparrotError)


BAD_VALUES = {
    "NaN": (np.nan, r"cost contains nan at index \(2, 1\)"),
    "-inf": (-np.inf, r"cost contains -inf at index \(2, 1\)"),
}
TOO_LARGE = {
    "large": (1e200, r"cost has values from .* to 1e[+]200, whose squares overflow"),
    "very negative": (-1e200, r"cost has values from -1e[+]200 to .*, whose squares overflow"),
}


@pytest.mark.parametrize("call", SOLVES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BAD_VALUES)
def test_bad_values(name, dtype, order, call):
    value, message = BAD_VALUES[name]
    with pytest.raises(InvalidInputError, match=message):
        CALLS[call](with_value(COST, value).astype(dtype, order=order))


@pytest.mark.parametrize("call", SOLVES)
@pytest.mark.parametrize("name", TOO_LARGE)
def test_costs_whose_squares_overflow(name, call):
    value, message = TOO_LARGE[name]
    with pytest.raises(InvalidInputError, match=message):
        CALLS[call](with_value(COST, value))


BAD_WEIGHTS = {
    "NaN": ([0.5, np.nan, 0.25, 0.25], " contains nan at index 1"),
    "inf": ([0.5, np.inf, 0.25, 0.25], " contains inf at index 1"),
    "negative": ([0.5, 0.5, -0.25, 0.25], r"\[2\] is -0.25"),
    "too few": ([0.5, 0.5], " has 2 weights for 4 points"),
    "too many": (np.full(5, 0.2), " has 5 weights for 4 points"),
    "empty": ([], " has 0 weights for 4 points"),
    "two dimensions": (np.full((4, 1), 0.25), r" has shape \(4, 1\)"),
    "no mass": (np.zeros(4), " sums to 0.0"),
    "objects": (np.array([None] * 4), " has dtype object"),
    "complex": (np.full(4, 0.25j), " has dtype complex128"),
    "masked": (np.ma.masked_array(np.full(4, 0.25), [0, 0, 1, 0]), " is a masked array"),
    "number": (1.0, r" has shape \(\)"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_bad_weights(name, call):
    weights, message = BAD_WEIGHTS[name]
    with pytest.raises(InvalidInputError, match=f"^a{message}"):
        CALLS[call](COST, weights)
    with pytest.raises(InvalidInputError, match=f"^b{message}"):
        CALLS[call](COST.T, None, weights)


@pytest.mark.parametrize("call", CALLS)
def test_mismatched_mass_shows_both_sums(call):
    with pytest.raises(MassMismatchError, match=r"a sums to 1\.0 but b sums to 1\.25"):
        CALLS[call](COST, np.full(4, 0.25), np.full(5, 0.25))


BAD_PROBLEMS = {
    "gamma zero": ({"gamma": 0}, "gamma is 0: needs a finite number above 0"),
    "gamma negative": ({"gamma": -1.0}, "gamma is -1.0"),
    "gamma NaN": ({"gamma": np.nan}, "gamma is nan"),
    "gamma inf": ({"gamma": np.inf}, "gamma is inf"),
    "gamma text": ({"gamma": "small"}, "gamma is 'small'.*needs a number"),
    "gamma True": ({"gamma": True}, "gamma is True"),
    "gamma None": ({"gamma": None}, "gamma is None"),
    "gamma vector": ({"gamma": np.ones(2)}, "gamma is array"),
    "gamma too small": ({"gamma": 1e-300}, "gamma is 1e-300: needs a number between"),
    "gamma too large": ({"gamma": 1e300}, "gamma is 1e[+]300: needs a number between"),
    "gamma too large for a float": ({"gamma": 10**400}, "gamma is too large"),
    "n_threads zero": ({"n_threads": 0}, "n_threads is 0"),
    "n_threads text": ({"n_threads": "all"}, "n_threads is 'all'"),
}
BAD_LINES = {
    "k zero": ({"k": 0}, "k is 0: needs an integer of at least 1"),
    "k negative": ({"k": -3}, "k is -3: needs an integer of at least 1"),
    "k fraction": ({"k": 1.0}, r"k is 1.0 \(float\): needs an integer"),
    "k True": ({"k": True}, r"k is True \(bool\): needs an integer"),
    "k text": ({"k": "2"}, r"k is '2' \(str\): needs an integer"),
    "axis 2": ({"axis": 2}, r"axis is 2: needs 0 \(columns\) or 1 \(rows\)"),
    "axis -1": ({"axis": -1}, "axis is -1: needs"),
    "axis fraction": ({"axis": 0.0}, r"axis is 0.0 \(float\)"),
    "axis None": ({"axis": None}, "axis is None"),
    "axis True": ({"axis": True}, "axis is True"),
}
BAD_SETTINGS = {
    "gamma_scale": ({"gamma_scale": "median"}, "gamma_scale is 'median': needs one of 'absolute'"),
    "tol negative": ({"tol": -1e-3}, "tol is -0.001"),
    "tol NaN": ({"tol": np.nan}, "tol is nan"),
    "tol inf": ({"tol": np.inf}, "tol is inf"),
    "max_iter zero": ({"max_iter": 0}, "max_iter is 0"),
    "max_iter fraction": ({"max_iter": 1.5}, "max_iter is 1.5.*needs an integer"),
    "max_iter huge": ({"max_iter": 2**70}, "max_iter is"),
    "max_time negative": ({"max_time": -1}, "max_time is -1"),
    "max_time NaN": ({"max_time": np.nan}, "max_time is nan"),
    "verbose": ({"verbose": -1}, "verbose is -1"),
    "verbose text": ({"verbose": "much"}, "verbose is 'much'"),
    "callback": ({"callback": 3}, "callback is 3"),
    "init number": ({"init": 3.0}, "init is a float: needs a pair"),
    "init of one": ({"init": (np.zeros(4),)}, "init is a tuple: needs a pair"),
    "init numbers": ({"init": (1, 2)}, r"init\[0\] has shape \(\)"),
    "init too short": ({"init": (np.zeros(3), np.zeros(5))}, r"init\[0\] has 3 potentials for 4"),
    "init other side": ({"init": (np.zeros(4), np.zeros(4))}, r"init\[1\] has 4 potentials for 5"),
    "init NaN": ({"init": (with_value(np.zeros(4), np.nan, 2), np.zeros(5))}, r"init\[0\]\[2\] is"),
    "init inf": ({"init": (np.zeros(4), with_value(np.zeros(5), np.inf, 3))}, r"init\[1\]\[3\] is"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", BAD_PROBLEMS)
def test_bad_problems(name, call):
    settings, message = BAD_PROBLEMS[name]
    with pytest.raises(InvalidInputError, match=message):
        CALLS[call](COST, **settings)


@pytest.mark.parametrize("call", ["solve_ksparse", "KSparseDual"])
@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_lines(name, call):
    settings, message = BAD_LINES[name]
    with pytest.raises(InvalidInputError, match=message):
        CALLS[call](COST, **settings)


@pytest.mark.parametrize("call", SOLVES)
@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings(name, call):
    settings, message = BAD_SETTINGS[name]
    with pytest.raises(InvalidInputError, match=message):
        CALLS[call](COST, **settings)


@pytest.mark.parametrize("recover", ["best", "Polish", None, 1])
def test_bad_recoveries(recover):
    with pytest.raises(InvalidInputError, match=f"recover is {recover!r}: needs one of 'polish'"):
        CALLS["solve_ksparse"](COST, recover=recover)


@pytest.mark.parametrize("scale", ["max", "mean"])
def test_a_negative_unit(scale):
    with pytest.raises(
        InvalidInputError, match=f"gamma_scale is '{scale}' but the {scale} of cost is -"
    ):
        CALLS["solve_ksparse"](-1 - COST, gamma_scale=scale)


def infeasible():
    row = COST.copy()
    row[1] = np.inf
    few = np.array([[0.0, np.inf], [1.0, 0.0]])
    return {
        "row": (row, None, None),
        "all": (np.full((4, 3), np.inf), None, None),
        "equal": (np.array([[0.0, np.inf], [0.0, 0.0]]), [0.9, 0.1], [0.5, 0.5]),
        "column": (np.ascontiguousarray(row.T), None, None),
        "capacity": (few, [0.9, 0.1], [0.5, 0.5]),
    }


@pytest.mark.parametrize("call", SOLVES)
@pytest.mark.parametrize("name", infeasible())
def test_forbidden_edges_that_leave_no_plan(name, call):
    cost, a, b = infeasible()[name]
    with pytest.raises(InfeasibleProblemError, match="no plan can"):
        CALLS[call](cost, a, b)
    with pytest.raises(InfeasibleProblemError, match="no plan can"):
        CALLS[call](np.asfortranarray(cost), a, b)
    with pytest.raises(InfeasibleProblemError, match="no plan can"):
        CALLS[call](cost, a, b, init=tuple(np.zeros(count) for count in cost.shape))


@pytest.mark.parametrize("axis", [0, 1])
def test_points_that_no_edge_leads_to_are_named(axis):
    row, column = (infeasible()[name][0] for name in ("row", "column"))
    with pytest.raises(InfeasibleProblemError, match="row 1"):
        CALLS["solve_ksparse"](row, axis=axis)
    with pytest.raises(InfeasibleProblemError, match="column 1"):
        CALLS["solve_ksparse"](column, axis=axis)


@pytest.mark.parametrize(("mass", "gamma"), [(1e200, 1e200), (1e-200, 1e-200)])
def test_products_out_of_range(mass, gamma):
    weights = np.full(4, mass / 4), np.full(5, mass / 5)
    with pytest.raises(InvalidInputError, match="gamma is"):
        CALLS["solve_ksparse"](COST, *weights, gamma=gamma)


def test_forbidden_edges_of_points_without_weight_do_not_matter():
    cost = COST.copy()
    cost[1] = np.inf
    a = [0.5, 0, 0.25, 0.25]
    for call in SOLVES:
        result = CALLS[call](cost, a)
        assert result.converged
        assert (result.plan[1] == 0).all()


class TestPotentials:
    """What KSparseDual is asked about."""

    problem = KSparseDual(COST, gamma=0.1, k=2)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, value):
        good, bad = np.zeros(4), with_value(np.zeros(4), value, 2)
        lines, bad_lines = np.zeros(5), with_value(np.zeros(5), value, 2)
        for name, call in (
            ("alpha", lambda: self.problem.semi_dual(bad)),
            ("alpha", lambda: self.problem.plan(bad)),
            ("alpha", lambda: self.problem.plan(bad, lines)),
            ("beta", lambda: self.problem.plan(good, bad_lines)),
            ("alpha", lambda: self.problem.dual(bad, lines)),
            ("beta", lambda: self.problem.dual(good, bad_lines)),
        ):
            with pytest.raises(InvalidInputError, match=rf"{name}\[2\] is {value}: needs a finite"):
                call()

    @pytest.mark.parametrize(
        ("alpha", "message"),
        [
            (np.zeros(3), r"alpha has shape \(3,\): needs \(4,\)"),
            (np.zeros((4, 1)), r"alpha has shape \(4, 1\)"),
            (np.zeros(0), r"alpha has shape \(0,\)"),
            (0.0, r"alpha has shape \(\)"),
            (np.zeros(4) + 0j, "alpha has dtype complex128"),
            (["a", "b", "c", "d"], "alpha has dtype <U1"),
            (None, "alpha has dtype object"),
            (np.ma.masked_array(np.zeros(4), [1, 0, 0, 0]), "alpha is a masked array"),
        ],
    )
    def test_not_potentials(self, alpha, message):
        for call in (
            lambda: self.problem.semi_dual(alpha),
            lambda: self.problem.plan(alpha),
            lambda: self.problem.dual(alpha, np.zeros(5)),
        ):
            with pytest.raises(InvalidInputError, match=message):
                call()
        other = KSparseDual(COST.T, gamma=0.1, k=2)
        with pytest.raises(InvalidInputError, match=message.replace("alpha", "beta")):
            other.dual(np.zeros(5), alpha)

    def test_the_rows_have_the_points_with_axis_1(self):
        problem = KSparseDual(COST, gamma=0.1, k=2, axis=1)
        assert problem.semi_dual(np.zeros(5))[1].shape == (5,)
        assert [g.shape for g in problem.dual(np.zeros(4), np.zeros(5))[1:]] == [(4,), (5,)]
        with pytest.raises(InvalidInputError, match=r"alpha has shape \(4,\): needs \(5,\)"):
            problem.semi_dual(np.zeros(4))


def test_vectors_to_apply_a_plan_to():
    result = solve_ksparse(COST, gamma=0.1, k=2)
    with pytest.raises(InvalidInputError, match=r"vectors has shape \(4,\).*needs \(5,\)"):
        result.apply(np.ones(4))
    with pytest.raises(InvalidInputError, match=r"vectors has shape \(5,\).*needs \(4,\)"):
        result.apply(np.ones(5), transpose=True)
    with pytest.raises(InvalidInputError, match=r"vectors contains nan at index 1"):
        result.apply([1, np.nan, 1, 1, 1])
    with pytest.raises(InvalidInputError, match=r"vectors has shape \(5, 0\)"):
        result.apply(np.ones((5, 0)))


UNUSUAL = {
    "list": np.ndarray.tolist,
    "Fortran order": np.asfortranarray,
    "strided": lambda array: np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda array: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "big-endian": lambda array: array.astype(">f8"),
    "pandas": lambda array: pytest.importorskip("pandas").DataFrame(array),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_arrays_give_the_usual_answer(name, rng):
    cost = rng.random((30, 20))
    expected = solve_ksparse(cost, gamma=1.0, k=2, tol=1e-9)
    result = solve_ksparse(UNUSUAL[name](cost), gamma=1.0, k=2, tol=1e-9)
    assert result.converged
    # Both know the optimum to their gaps; marginals are right to 1e-9.
    assert abs(result.value - expected.value) <= result.gap + expected.gap + 1e-9
    alpha = rng.random(30)
    value, gradient = KSparseDual(UNUSUAL[name](cost), gamma=1.0, k=2).semi_dual(alpha)
    usual, usual_gradient = KSparseDual(cost, gamma=1.0, k=2).semi_dual(alpha)
    assert value == pytest.approx(usual, rel=1e-14)
    np.testing.assert_allclose(gradient, usual_gradient, atol=1e-15)


@pytest.mark.parametrize("dtype", ["i1", "u8", "i4", "?", "f2"])
def test_other_number_types_are_converted(dtype, rng):
    cost = rng.integers(0, 2, (6, 8)).astype(dtype)
    result = solve_ksparse(cost, gamma=1.0, k=2)
    expected = solve_ksparse(cost.astype(float), gamma=1.0, k=2)
    assert result.plan.dtype == (np.float32 if dtype == "f2" else np.float64)
    np.testing.assert_array_equal(result.potentials[1], expected.potentials[1])


def test_more_entries_than_points_are_all_of_them(rng):
    cost = rng.random((6, 8))
    for axis in (0, 1):
        result = solve_ksparse(cost, gamma=1.0, k=2**40, axis=axis)
        assert result.k == cost.shape[axis]
        assert result.n_binding == 0


def test_numpy_scalars_are_numbers():
    plain = solve_ksparse(COST, gamma=0.5, k=2, axis=1)
    other = solve_ksparse(COST, gamma=np.float32(0.5), k=np.int8(2), axis=np.uint64(1))
    np.testing.assert_array_equal(plain.plan, other.plan)


def test_unchecked_costs_are_the_callers_promise():
    result = solve_ksparse(COST, gamma=0.1, k=2, check_finite=False)
    np.testing.assert_array_equal(result.plan, solve_ksparse(COST, gamma=0.1, k=2).plan)


def test_more_than_memory_is_an_error_before_anything_is_read():
    huge = np.broadcast_to(0.0, (2**22, 2**22))
    with pytest.raises(MemoryError, match="allocate"):
        solve_ksparse(huge, gamma=1.0, k=2)

"""Callback, trace and verbose of the batch solvers."""

import numpy as np
import pytest

from sparrot import Status
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.sparse_coding import CodingState, fista, iht, ista
from tests.sparse_coding.conftest import make_problem
from tests.sparse_coding.reference import objective, relative_gap

SOLVERS = {
    "ista": lambda A, Y, **options: ista(A, Y, 0.1, **options),
    "fista": lambda A, Y, **options: fista(A, Y, 0.1, **options),
    "mcp": lambda A, Y, **options: fista(A, Y, 0.1, penalty="mcp", **options),
    "iht": lambda A, Y, **options: iht(A, Y, 0.05, **options),
    "largest": lambda A, Y, **options: iht(A, Y, n_nonzero_coefs=4, **options),
}
CERTIFICATE = {"ista": "gap", "fista": "gap"}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("step", [None, "adaptive", "backtracking"])
def test_being_watched_changes_no_bit(name, step):
    A, Y = make_problem(signals=500)  # of several blocks
    options = {"step": step, "tol": 1e-4}
    alone = SOLVERS[name](A, Y, **options)
    watched = [SOLVERS[name](A, Y, **options, trace=True, n_threads=k) for k in (1, 2)]
    assert alone.trace is None
    for result in watched:
        for field in ("codes", "objective", "n_iter", "step", "signal_status"):
            np.testing.assert_array_equal(result[field], alone[field])
    for column in ("iteration", "objective", "certificate", "sparsity", "running"):
        np.testing.assert_array_equal(watched[0].trace[column], watched[1].trace[column])


@pytest.mark.parametrize("name", SOLVERS)
def test_a_trace_ends_with_what_is_returned(name):
    A, Y = make_problem(signals=300)
    result = SOLVERS[name](A, Y, trace=True, max_iter=30_000)
    trace = result.trace
    assert set(trace) == {
        "iteration", "time", "objective", "certificate", "sparsity", "running"
    }  # fmt: skip
    assert trace["iteration"][0] == 0
    assert (np.diff(trace["iteration"])[:-1] == 5).all()
    assert (np.diff(trace["time"]) >= 0).all()
    assert trace["iteration"][-1] == result.n_iter.max()
    assert trace["running"][0] == 300
    assert (np.diff(trace["running"]) <= 0).all()
    assert trace["running"][-1] == 0
    assert trace["sparsity"][0] == 0
    assert trace["sparsity"][-1] == np.count_nonzero(result.codes)
    assert trace["objective"][0] == pytest.approx((Y**2).sum() / 2, rel=1e-12)
    assert trace["objective"][-1] == pytest.approx(result.objective.sum(), rel=1e-12)
    certificate = result[CERTIFICATE.get(name, "stationarity")]
    assert trace["certificate"][-1] == certificate.max()


def test_figures_on_the_way_are_those_of_the_codes_there():
    A, Y = make_problem(signals=200)
    watched = ista(A, Y, 0.1, trace=True, tol=1e-8, max_iter=20_000).trace
    for k in (1, 4, 10):
        there = ista(A, Y, 0.1, tol=None, max_iter=5 * k)
        assert watched["iteration"][k] == 5 * k
        assert watched["objective"][k] == pytest.approx(there.objective.sum(), rel=1e-9)
        assert watched["certificate"][k] == pytest.approx(there.gap.max(), rel=1e-6)
        assert watched["sparsity"][k] == np.count_nonzero(there.codes)
        running = [relative_gap(A, y, x, 0.1) for y, x in zip(Y, there.codes, strict=True)]
        assert watched["running"][k] == sum(gap > 1e-8 for gap in running)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("operator", [False, True])
def test_a_callback_ends_the_solve_with_the_codes_there_are(name, operator):
    A, Y = make_problem(signals=200)
    dictionary = (lambda x: A @ x, lambda r: A.T @ r) if operator else A
    seen = []

    def callback(state):
        assert isinstance(state, CodingState)
        seen.append(state)
        return state.iteration >= 10

    with pytest.warns(ConvergenceWarning, match="the callback asked to stop"):
        result = SOLVERS[name](dictionary, Y, callback=callback, tol=1e-14)
    assert result.status is Status.CALLBACK
    assert not result.converged
    assert [state.iteration for state in seen] == [0, 5, 10]
    is_ended = result.signal_status == "callback"
    assert (result.n_iter[is_ended] == 10).all()
    # With hard thresholds the code of a few is 0 at once, and stays so.
    assert is_ended.mean() > 0.9
    assert (result.signal_status[~is_ended] == "converged").all()
    kind = {"ista": "l1", "fista": "l1", "mcp": "mcp", "iht": "l0"}
    if name in kind:
        alpha = 0.05 if name == "iht" else 0.1
        for y, x, value in zip(Y, result.codes, result.objective, strict=True):
            assert value == pytest.approx(objective(A, y, x, kind[name], alpha), rel=1e-12)
    np.testing.assert_array_equal(result.trace["time"], [state.time for state in seen])


def test_a_callback_may_end_it_before_the_first_iteration(problem):
    A, Y = problem
    with pytest.warns(ConvergenceWarning, match="callback"):
        result = ista(A, Y, 0.1, callback=lambda state: True)
    assert not result.codes.any()
    assert (result.n_iter == 0).all()


def test_what_a_callback_raises_is_raised(problem):
    A, Y = problem

    def callback(state):
        if state.iteration == 5:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fista(A, Y, 0.1, callback=callback)


def test_a_number_of_iterations_is_recorded_too(problem):
    A, Y = problem
    result = fista(A, Y, 0.1, tol=None, max_iter=12, trace=True)
    assert result.trace["iteration"].tolist() == [0, 5, 10, 12]
    assert result.trace["running"].tolist() == [40, 40, 40, 0]
    assert result.trace["certificate"][-1] == result.gap.max()


def test_signals_of_zeros_and_those_that_diverge_are_counted():
    A, Y = make_problem(signals=60)
    Y[7] = 0
    result = iht(A, np.zeros_like(Y), 0.05, trace=True)
    assert (result.trace["certificate"] == 0).all()
    with pytest.warns(ConvergenceWarning, match="step is too large"):
        result = ista(A, Y, 1e-3, step=10.0, max_iter=3000, trace=True)
    assert result.trace["running"][-1] == 0
    assert result.trace["sparsity"][-1] == np.count_nonzero(result.codes)
    assert not np.isnan(result.trace["certificate"]).any()


def test_lines_are_printed(problem, capsys):
    A, Y = problem
    result = ista(A, Y, 0.1, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert "gap" in lines[0]
    assert lines[-1].endswith("running 0")
    assert f"not zero {np.count_nonzero(result.codes):>8d}" in lines[-1]
    iht(A, Y, 0.1, verbose=True)
    assert "stationarity" in capsys.readouterr().out
    ista(A, Y, 0.1)
    assert capsys.readouterr().out == ""


def test_what_is_no_callback_is_refused(problem):
    A, Y = problem
    for change, message in [
        ({"callback": 3}, "callback is 3: needs a function"),
        ({"verbose": -1}, "verbose is -1"),
        ({"trace": "yes"}, "trace is 'yes'"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            iht(A, Y, 0.1, **change)

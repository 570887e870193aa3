"""Unbalanced transport: arguments, starts, prices at the edge of what there is."""

import numpy as np
import pytest

from sparrot import Status
from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.transport import solve_unbalanced
from tests.transport.test_unbalanced import KINDS, objective, reference, remeasured


@pytest.fixture
def problem(rng):
    """(cost, a, b), of masses 15.5 and 3.0."""
    a, b = rng.random(30) + 0.01, rng.random(25) + 0.01
    return rng.random((30, 25)), a / a.sum() * 15.5, b / b.sum() * 3


def test_a_solution_is_found_again_at_once(problem):
    cost, a, b = problem
    for reg_m in [(0.3, 0.1), (1e5, 1e5), (np.inf, 0.3)]:
        arguments = {"reg": 0.005, "reg_m": reg_m, "tol": 1e-8}
        first = solve_unbalanced(cost, a, b, **arguments)
        again = solve_unbalanced(cost, a, b, **arguments, init=first)
        assert again.converged
        assert again.n_iter <= 2


def test_unknown_potentials_are_looked_for(problem):
    cost, a, b = problem
    cost[3] = np.inf
    arguments = {"reg": 0.01, "reg_m": (0.3, 0.1), "tol": 1e-9}
    first = solve_unbalanced(cost, a, b, **arguments)
    again = solve_unbalanced(cost, a, b, **arguments, init=first.potentials)
    assert first.potentials[0][3] == -np.inf
    assert again.n_iter <= 2
    np.testing.assert_allclose(again.plan, first.plan, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_starts_from_elsewhere(kind, problem):
    """Far off, at other prices, or of uneven weights: the answer is the same."""
    cost, a, b = problem
    a, b = a**6, b**6
    arguments = {"reg": 0.05, "reg_m": (0.002, 0.3), "reg_type": kind, "tol": 1e-9}
    plain = solve_unbalanced(cost, a, b, **arguments)
    assert plain.converged
    dear = solve_unbalanced(cost, a, b, reg=0.01, reg_m=1e3, reg_type=kind)
    ragged = (np.linspace(-5, 5, 30), np.linspace(30, -30, 25))
    for start in [dear, ragged, (np.full(30, 1e5), np.zeros(25))]:
        other = solve_unbalanced(cost, a, b, **arguments, init=start)
        assert other.converged
        assert remeasured(other) <= 1.1e-9
        assert other.value == pytest.approx(plain.value, rel=1e-7)


def test_a_result_of_another_kind_is_refused(problem):
    cost, a, b = problem
    other = solve_unbalanced(cost, a, b, reg=0.1, reg_m=1.0, reg_type="entropy")
    with pytest.raises(InvalidInputError, match="init has reg_type 'entropy', not 'kl'"):
        solve_unbalanced(cost, a, b, reg=0.1, reg_m=1.0, init=other)


def test_callbacks_and_time(problem):
    cost, a, b = problem
    seen = []
    arguments = {"reg": 1e-4, "reg_m": (0.5, 2.0), "tol": 1e-12}
    plan, *_ = reference(cost, a, b, 0.01, (0.5, 2.0), "kl")
    best = objective(plan, cost, a, b, 0.01, (0.5, 2.0), "kl")
    result = solve_unbalanced(cost, a, b, reg=0.01, reg_m=(0.5, 2.0), callback=seen.append)
    known = [state.objective for state in seen if np.isfinite(state.objective)]
    assert known
    assert all(value <= best + 1e-10 for value in known)
    assert known[-1] == pytest.approx(result.dual_value, rel=1e-6)
    with pytest.warns(ConvergenceWarning, match="the callback asked to stop"):
        stopped = solve_unbalanced(cost, a, b, **arguments, callback=lambda state: True)
    assert stopped.status is Status.CALLBACK
    with pytest.warns(ConvergenceWarning, match="max_time"):
        late = solve_unbalanced(cost, a, b, **arguments, max_time=0)
    assert late.status is Status.MAX_TIME
    assert np.isfinite([late.gap, stopped.gap, late.value, stopped.value]).all()


BAD = {
    "no price": ({"reg_m": 0.0}, r"reg_m is 0.0: needs a finite number above 0"),
    "negative": ({"reg_m": (1.0, -2.0)}, r"reg_m\[1\] is -2.0: needs a finite number above 0"),
    "nan": ({"reg_m": np.nan}, "reg_m is nan"),
    "both fixed": ({"reg_m": np.inf}, "reg_m is inf for both marginals: use solve"),
    "tiny": ({"reg_m": 1e-300}, "reg_m is 1e-300: needs inf or a number between"),
    "three": ({"reg_m": (1, 2, 3)}, "reg_m has 3 prices"),
    "text": ({"reg_m": "high"}, r"reg_m is 'high' \(str\): needs a number"),
    "kind": ({"reg_type": "l2"}, "reg_type is 'l2'"),
    "reg": ({"reg": -1.0}, "reg is -1.0"),
    "weights": ({"a": -np.ones(30)}, r"a\[0\] is -1.0: weights must be non-negative"),
    "too few": ({"b": np.ones(3)}, "b has 3 weights for 25 points"),
    "nan cost": ({"cost": np.full((30, 25), np.nan)}, "cost contains nan"),
    "start": ({"init": 3}, "init is a int: needs a pair"),
    "inf start": ({"init": (np.full(30, np.inf), np.zeros(25))}, r"init\[0\]\[0\] is inf"),
    "far from reg": ({"reg": 1e150, "reg_m": 1e-150}, "reg_m is 1e-150 for a reg of 1e.150"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name, problem):
    cost, a, b = problem
    changed, message = BAD[name]
    arguments = {"cost": cost, "a": a, "b": b, "reg": 0.1, "reg_m": 1.0} | changed
    with pytest.raises(InvalidInputError, match=message):
        solve_unbalanced(**arguments)

"""The figures of arXiv 1712.08859: which rule is ahead of which, on data made by its recipes."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from sparrot.descent import (
    LeastSquares,
    Logistic,
    Multinomial,
    Quadratic,
    block_coordinate_descent,
)

pytest.importorskip("matplotlib.pyplot")
GALLERY = Path(__file__).parent.parent.parent / "examples"

pytestmark = pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(GALLERY / "plot_block_descent.py"))


@pytest.fixture(scope="module")
def data_a(example):
    return example["data_a"](1000, 10_000)


def after(problem, iterations, **choices):
    result = block_coordinate_descent(problem, max_iter=iterations, tol=0, rng=1, **choices)
    return result.objective


def free(selection, update, size=5):
    return {"selection": selection, "update": update, "block_size": size}


def fixed(selection, update, size=5):
    return {"partition": "sorted", **free(selection, update, size)}


def test_gradient_steps_on_data_a(data_a):
    """Figure 4a, whose curves end at 2e6, 1.6e5, 3.5e4 and 8e3."""
    problem = LeastSquares(*data_a)
    blind = [
        after(problem, 500, **choice(rule, "gradient"))
        for choice in (free, fixed)
        for rule in ("random", "cyclic", "lipschitz")
    ]
    gs, gs_fixed = (after(problem, 500, **choice("gs", "gradient")) for choice in (free, fixed))
    gsl, gsl_fixed = (after(problem, 500, **choice("gsl", "gradient")) for choice in (free, fixed))
    assert gs_fixed < min(blind) / 2
    assert gs < gs_fixed / 2
    assert max(gsl, gsl_fixed) < gs / 2


def test_matrix_steps_on_data_a(data_a):
    """Figure 5a, whose curves end at 1.3e5, 3e3 to 5e3, 7e1, 8e-2 and 3e-2."""
    problem = LeastSquares(*data_a)
    gradient = after(problem, 500, **free("gsd", "gradient"))
    gs, gsl, gsd, gsq = (
        after(problem, 500, **free(rule, "matrix")) for rule in ("gs", "gsl", "gsd", "gsq")
    )
    bests = [after(problem, 500, **fixed(rule, "matrix")) for rule in ("gsl", "gsd", "gsq")]
    assert gsd < 1e-3 * gradient
    assert max(gsd, gsq) < 1e-2 * gsl < 1e-2 * gs
    assert max(gsd, gsq) < 1e-4 * min(bests)
    assert max(bests) < after(problem, 500, **fixed("gs", "matrix")) / 10


@pytest.fixture(scope="module")
def data_c(example):
    return Multinomial(*example["data_c"](1000, 50))


@pytest.fixture(scope="module")
def data_e(example):
    """The quadratic of the distance from its minimum, whose objective is 0 there."""
    return example["around_minimum"](*example["propagation"](*example["data_e"](2000)))


def test_gradient_steps_on_data_c(data_c):
    """Figure 4b: several classes."""
    start = 1000 * np.log(50)
    blind = [
        start - after(data_c, 200, **choice(rule, "gradient"))
        for choice in (free, fixed)
        for rule in ("random", "cyclic", "lipschitz")
    ]
    for rule in ("gs", "gsl"):
        gained, gained_fixed = (
            start - after(data_c, 200, **choice(rule, "gradient")) for choice in (free, fixed)
        )
        assert gained > 1.4 * gained_fixed
        assert gained_fixed > 2 * max(blind)


def test_gradient_steps_on_data_e(data_e):
    """Figure 4c: all variables are alike, and greedy rules are ahead all the same."""
    problem, x0 = data_e
    blind = [
        after(problem, 500, x0=x0, **choice(rule, "gradient"))
        for choice in (free, fixed)
        for rule in ("random", "cyclic", "lipschitz")
    ]
    for rule in ("gs", "gsl"):
        free_blocks, fixed_blocks = (
            after(problem, 500, x0=x0, **choice(rule, "gradient")) for choice in (free, fixed)
        )
        assert 1.1 * free_blocks < fixed_blocks < 0.9 * min(blind)


@pytest.mark.parametrize("name", ["A", "C", "E"])
def test_matrix_steps_are_ahead_of_gradient_steps_and_free_blocks_of_fixed(name, request):
    """Figures 4 and 5, where both have the rule: what is above the minimum."""
    if name == "A":
        problem, x0 = LeastSquares(*request.getfixturevalue("data_a")), None
    elif name == "C":
        problem, x0 = request.getfixturevalue("data_c"), None
    else:
        problem, x0 = request.getfixturevalue("data_e")
    ends = {}
    for rule in ("gs", "gsl", "gsd", "gsq"):
        for choice in (free, fixed):
            ends[rule, choice] = after(problem, 300, x0=x0, **choice(rule, "matrix"))
        assert ends[rule, free] < 0.9 * ends[rule, fixed]
        assert ends[rule, free] < 0.95 * after(problem, 300, x0=x0, **free(rule, "gradient"))
    # GSD chooses as well as GSQ, which looks for the best block, does on E nearly.
    assert ends["gsd", free] < 1.2 * ends["gsq", free]
    assert ends["gsq", fixed] < ends["gs", fixed]


def above(matrix, b, iterations, **choices):
    """Return half the squared distance in the norm of the matrix, which cancels nothing."""
    result = block_coordinate_descent(
        Quadratic(matrix, b), max_iter=iterations, tol=0, rng=1, **choices
    )
    away = result.x - spsolve(matrix.tocsc(), b)
    return away @ (matrix @ away) / 2


@pytest.mark.parametrize("name", ["lattice", "moons"])
def test_message_passing_on_graphs(name, example):
    """Figure 6. D: 1e8, 2e1, 1e-1, 1e-5, 1e-5. E: 1.5e2, 2, 4e-2, 1.7e-3, 8e-5."""
    if name == "lattice":
        lattice = example["data_d"](50)
        matrix, b = example["propagation"](*lattice)
        blocks = example["lattice_blocks"](50, lattice[1])
    else:
        matrix, b = example["propagation"](*example["data_e"](2000))
        blocks = {}
    assert matrix.shape[0] == {"lattice": 2400, "moons": matrix.shape[0]}[name]
    rules = example["graph_blocks"](matrix.shape[0], **blocks)
    ends = {rule: above(matrix, b, 500, **choices) for rule, choices in rules.items()}
    assert ends["greedy forest"] < ends["tree partition"] < ends["random forest"] / 5
    assert ends["random forest"] < ends["red-black"] / 5
    assert ends["red-black"] < ends["general"] / 10


def test_the_lattice_is_the_authors(example):
    matrix, b = example["propagation"](*example["data_d"](50))
    result = block_coordinate_descent(
        Quadratic(matrix, b), partition="forest", selection="gs", tol=1e-12
    )
    assert result.converged
    assert abs(result.objective / -1045999575.2270696 - 1) < 1e-14


@pytest.fixture(scope="module")
def bounded(data_a):
    """The problem of figure 7 with its minimum, and the gradient there."""
    problem = LeastSquares(*data_a, l1=5e4, bounds=(0, np.inf))
    best = block_coordinate_descent(problem, block_size=200, tol=1e-14)
    A, b = data_a
    # Its support is solved for once more: x has all its digits then.
    x = np.zeros(A.shape[1])
    kept = A[:, best.support].toarray()
    x[best.support] = np.linalg.solve(kept.T @ kept, kept.T @ b - 5e4)
    gradient = A.T @ (A @ x - b) + 5e4
    assert x.min() >= 0
    assert abs(gradient[best.support]).max() < 1e-12 * abs(A.T @ b).max()
    gradient[best.support] = 0
    assert gradient.min() >= 0
    return problem, x, gradient


def above_bounded(result, A, x, gradient):
    """The objective of 5e6 less its minimum, to all digits: it is quadratic."""
    away = result.x - x
    return ((A @ away) ** 2).sum() / 2 + gradient @ away


@pytest.mark.parametrize("selection", ["gsq", "gsd"])
@pytest.mark.parametrize("update", ["matrix", "two-metric"])
def test_blocks_that_hold_the_support_end_it(update, selection, bounded, data_a):
    """Figure 7: second-order steps on free blocks of 100 need about ten iterations to 1e-8.

    That is absolute, and 2e-15 of the objective: it is computed from the distance to the minimum.
    """
    problem, x, gradient = bounded
    result = block_coordinate_descent(
        problem, selection=selection, update=update, block_size=100, max_iter=15, tol=1e-14
    )
    assert 0 <= above_bounded(result, data_a[0], x, gradient) < 1e-8
    assert result.converged
    assert 30 < result.support.size < 100
    np.testing.assert_array_equal(result.support, np.flatnonzero(x))
    # With two-metric steps the iteration that finds the support is the last one.
    assert result.support_changed <= 5


def test_other_steps_need_many_more(bounded, data_a):
    """Figure 7: gradient steps, fixed blocks, and blocks that the support does not fit into."""
    problem, x, gradient = bounded

    def left(iterations, **choices):
        result = block_coordinate_descent(
            problem, selection="gsq", max_iter=iterations, tol=0, **choices
        )
        return above_bounded(result, data_a[0], x, gradient)

    assert left(15, update="gradient", block_size=100) > 1e2
    assert left(100, update="gradient", block_size=100) > 1e-6
    assert left(50, update="matrix", block_size=100, partition="sorted") > 1e-3
    assert left(15, update="matrix", block_size=5) > 1e-2
    assert left(100, update="matrix", block_size=5) < 1e-8


def test_the_support_is_found_long_before_the_end(bounded):
    """With blocks of 5, ten times smaller than the support."""
    problem, x, _ = bounded
    result = block_coordinate_descent(
        problem, selection="gsq", update="matrix", block_size=5, tol=1e-14
    )
    assert result.converged
    assert result.support.size == np.count_nonzero(x)
    assert 2 * result.support_changed < result.n_iter


def test_fixed_blocks_are_best_made_of_like_constants(data_a):
    """Figure 10, and figure 9: steps whose length is found are as good as known ones."""
    problem = LeastSquares(*data_a)
    choices = {"selection": "gsl", "block_size": 20}
    ends = {
        name: after(problem, 500, partition=name, update="gradient", **choices)
        for name in ("sorted", "averaged", "order")
    }
    assert 10 * ends["sorted"] < ends["averaged"] < ends["order"] / 10
    found = after(problem, 500, partition="order", update="backtracking", **choices)
    assert found < 1.1 * ends["order"]


def test_newton_steps_on_data_b(example):
    """Figure 12: the logistic loss, whose minimum is 0 here."""
    problem = Logistic(*example["data_b"](1000, 10_000))
    ends = {
        (rule, choice): after(problem, 100, **choice(rule, "newton", 50))
        for choice in (free, fixed)
        for rule in ("gs", "gsl", "gsd", "gsq")
    }
    assert max(ends["gsd", free], ends["gsq", free]) < ends["gsl", free] / 5
    assert ends["gsl", free] < ends["gs", free] / 2
    assert all(10 * ends["gsd", free] < ends[rule, fixed] for rule in ("gs", "gsl", "gsd", "gsq"))

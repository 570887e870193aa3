"""The scripts of the gallery run, say what they should and write their picture."""

import itertools
import runpy
from pathlib import Path

import pytest

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("sklearn")
pytest.importorskip("PIL")

EXAMPLES = Path(__file__).parent.parent / "examples"

# The arguments that make each a matter of seconds, and words of what it prints.
SMALL = {
    "plot_block_descent": (
        ["--rows", "100", "--columns", "200", "--classes", "5", "--side", "12", "--points", "200"],
        ["A: matrix steps", "D: lattice", "greedy forest", "L1, x >= 0", "two-metric", "support"],
    ),
    "plot_colour_transfer": (["--size", "100", "--step", "4"], ["temple to flower", "converged"]),
    "plot_error_against_time": (
        ["--colours", "80", "--points", "60", "--seconds", "1"],
        ["colours, n = 80", "assignment, n = 60", "auto", "sns", "sinkhorn"],
    ),
    "plot_label_propagation": (["--samples", "300"], ["gamma", "solved", "iterated", "at most"]),
    "plot_unfolding": (
        ["--layers", "2", "--signals", "100", "--epochs", "1", "--iterations", "20"],
        ["ISTA, 2 layers", "IHT, 2 layers", "supervised steps", "density of the codes", "dB"],
    ),
    "plot_dictionary_learning": (
        ["--patches", "150", "--atoms", "32", "--rounds", "1"],
        ["l1, alpha", "cel0, alpha", "l0, alpha", "refitted", "certificate"],
    ),
    "plot_sparse_coding": (["--atoms", "60"], ["pixels", "accuracy", "atoms in a code", "mcp"]),
    "plot_sketch_error": (
        ["--rows", "256", "--columns", "8", "--draws", "3", "--sizes", "32", "64"],
        ["random: median", "coherent: ", "[I; 0], 4 spikes", "countsketch", "slope"],
    ),
    "plot_ksparse_transport": (
        ["--grid", "50", "--points", "40", "--evaluations", "100"],
        ["entropic", "quadratic", "k-sparse", "two clouds: solve_ksparse", "L-BFGS-B"],
    ),
}


@pytest.fixture(autouse=True)
def _no_window():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_every_example_is_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_example(name, tmp_path, capsys):
    arguments, words = SMALL[name]
    picture = tmp_path / "picture.png"
    example = runpy.run_path(str(EXAMPLES / f"{name}.py"))  # not as __main__: nothing runs yet
    example["main"]([*arguments, "--output", str(picture)])
    printed = capsys.readouterr().out
    assert all(word in printed for word in words)
    pixels = plt.imread(picture)
    assert pixels.shape[0] > 300
    assert pixels[..., :3].std() > 0.02


@pytest.mark.parametrize("name", SMALL)
def test_examples_open_as_a_page_of_the_gallery(name):
    title, underline, *_ = (EXAMPLES / f"{name}.py").read_text().removeprefix('"""\n').splitlines()
    assert underline == "=" * len(title)


@pytest.fixture(scope="module")
def ksparse():
    return runpy.run_path(str(EXAMPLES / "plot_ksparse_transport.py"))


@pytest.fixture(scope="module")
def clouds(ksparse):
    problem = ksparse["clouds"](80)
    return problem, ksparse["solve_by_k"](*problem)


def test_plans_have_fewer_entries_per_column_from_entropic_to_quadratic_to_ksparse(ksparse):
    solved = ksparse["plans"](*ksparse["densities"](100))
    entropic, quadratic, polished, dual = map(ksparse["entries_per_column"], solved.values())
    assert entropic.min() > 90  # of 100: the others underflow
    assert entropic.mean() > quadratic.mean() > polished.mean() > dual.mean()
    assert polished.max() > dual.max() == 2
    *exact, of_potentials = (result.marginal_error for result in solved.values())
    assert max(exact) < 1e-5
    assert of_potentials > 1e-2  # what the paper's plan misses where k is binding


def test_entries_and_cost_of_a_plan_rise_with_k_and_the_optimum_falls(ksparse, clouds):
    _, results = clouds
    results = list(results.values())
    entries = [ksparse["entries_per_column"](result).mean() for result in results]
    assert entries == sorted(entries)
    assert entries[-1] > 4 * entries[0]
    for smaller, larger in itertools.pairwise(results):
        assert larger.dual_value <= smaller.dual_value + smaller.gap
        assert larger.value_linear >= results[0].value_linear - results[0].gap
    assert results[-1].dual_value < 0.9 * results[0].dual_value


def test_a_quasi_newton_method_gets_nearer_the_optimum_the_larger_k_is(ksparse, clouds):
    problem, results = clouds
    runs = {k: ksparse["climb"](*problem, results[k], 300) for k in (1, 4, 16, 80)}
    for distance in (1e-2, 1e-3):
        evaluations = [runs[k].evaluations(distance) for k in (1, 4, 16)]
        assert evaluations[0] > evaluations[1] > evaluations[2]
        assert runs[80].evaluations(distance) < evaluations[1]
    for smaller, larger in itertools.pairwise(runs.values()):
        assert larger.distance[-1] < smaller.distance[-1]
        assert larger.marginal_error < smaller.marginal_error / 2
    assert runs[1].marginal_error > 0.1  # a kink
    assert runs[80].marginal_error < 1e-5
    assert all(result.marginal_error < 1e-9 for result in results.values())

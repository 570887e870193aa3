"""The scripts of the gallery run, say what they should and write their picture."""

import runpy
from pathlib import Path

import pytest

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("sklearn")
pytest.importorskip("PIL")

EXAMPLES = Path(__file__).parent.parent / "examples"

# The arguments that make each a matter of seconds, and words of what it prints.
SMALL = {
    "plot_colour_transfer": (["--size", "100", "--step", "4"], ["temple to flower", "converged"]),
    "plot_error_against_time": (
        ["--colours", "80", "--points", "60", "--seconds", "1"],
        ["colours, n = 80", "assignment, n = 60", "auto", "sns", "sinkhorn"],
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

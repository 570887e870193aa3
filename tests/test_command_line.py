"""``python -m sparrot``."""

import matplotlib.image
import numpy as np
import pytest

import sparrot
from sparrot import _selfcheck
from sparrot.__main__ import main


def test_the_report_names_what_is_in_use(capsys):
    assert main([]) == 0
    report = capsys.readouterr().out
    assert f"sparrot {sparrot.__version__}" in report
    assert f"instruction set: {sparrot.simd_level()}" in report
    assert report.count("  ok ") == len(_selfcheck.CHECKS)
    assert report.endswith("all is well\n")


def test_a_failed_check_is_told(capsys, monkeypatch):
    def broken():
        """Something that does not work."""
        raise AssertionError("difference 1")

    monkeypatch.setattr(_selfcheck, "CHECKS", (broken,))
    assert main(["check"]) == 1
    report = capsys.readouterr().out
    assert "FAILED Something that does not work: AssertionError: difference 1" in report
    assert report.endswith("1 of 1 checks failed\n")


def test_demo_writes_a_picture_and_a_table(tmp_path, capsys):
    picture = tmp_path / "demo.png"
    assert main(["demo", "--size", "120", "--output", str(picture)]) == 0
    table = capsys.readouterr().out
    assert "Colour transfer between two photographs of 640 x 427 pixels: 120 pixels" in table
    for word in ("iterations", "marginal error", "gap", "Newton", "Sinkhorn  ", "converged"):
        assert word in table
    pixels = matplotlib.image.imread(picture)
    assert pixels.shape[0] > 500
    assert np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0).shape[0] > 10_000


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"sparrot {sparrot.__version__}\n"

"""Every instruction set gives the same answer, to a unit in the last place."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from sparrot import _sparrot
from sparrot.special import log_softmax, logsumexp, softmax
from tests.special.reference import DATA, LAYOUTS, ulps_apart

LEVELS = _sparrot.simd_levels()
FUNCTIONS = {"softmax": softmax, "log_softmax": log_softmax, "logsumexp": logsumexp}
LENGTHS = (5, 48, 300, 4097, 70_001)  # short, rows, blocks, parts

PROGRAM = """
import sys
from sparrot import _sparrot
from tests.special.test_levels import answers
import numpy as np
assert _sparrot.simd_level() == sys.argv[1]
np.savez(sys.argv[2], **answers())
"""


def answers():
    """What each function makes of the same data, by name."""
    results = {}
    for data, make in DATA.items():
        for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
            for n in LENGTHS:
                rows = make(np.random.default_rng(n), (min(max(1500 // n, 1), 40), n), dtype)
                layouts = ("last axis", "first axis", "strided")
                for layout in layouts if n < LENGTHS[-1] else layouts[:1]:
                    place, axis, _ = LAYOUTS[layout]
                    for name, function in FUNCTIONS.items():
                        key = f"{name} of {data}, {dtype}, {n}, {layout}"
                        results[key] = function(place(rows), axis)
                if n in (300, 4097):
                    for method in ("two-pass", "recompute", "reload", "blocked"):
                        key = f"softmax of {data}, {dtype}, {n}, {method}"
                        results[key] = softmax(rows, 1, method=method)
    return results


@pytest.fixture(scope="module")
def by_level(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels")
    found = {}
    for level in LEVELS:
        file = folder / f"{level}.npz"
        subprocess.run(
            [sys.executable, "-c", PROGRAM, level, str(file)],
            env=os.environ | {"SPARROT_SIMD": level},
            check=True,
            timeout=100,
        )
        found[level] = np.load(file)
    return found


@pytest.mark.skipif(len(LEVELS) < 2, reason="this processor has one instruction set")
def test_levels_agree(by_level):
    for level, other in itertools.pairwise(LEVELS):
        bad = {}
        for key in by_level[level]:
            apart = ulps_apart(by_level[level][key], by_level[other][key])
            if apart > 1:
                bad[key] = apart
        assert not bad, f"units in the last place between {level} and {other}"

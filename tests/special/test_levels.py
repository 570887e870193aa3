"""Every instruction set gives the same answer, but for the last place."""

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

# In units in the last place, measured. Levels with fused multiply-adds (avx2, avx512) run the same
# operations on vectors of different lengths, so that only the order of sums differs; the aim is 1,
# which takes sums that do not depend on their order.
FUSED_APART = 3
# Measured: the baseline rounds products before it adds to them, and both are within 4 of the truth.
BASELINE_APART = 4

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
        bound = BASELINE_APART if level == LEVELS[0] else FUSED_APART
        bad = {}
        for key in by_level[level]:
            apart = ulps_apart(by_level[level][key], by_level[other][key])
            if apart > bound:
                bad[key] = apart
        assert not bad, f"units in the last place between {level} and {other}"

"""POT's own tests, run with sparrot's functions in the place of POT's.

    python tests/contract/pot_own_tests.py PATH_OF_A_POT_CHECKOUT

Needs POT installed, for all that is not replaced, and pytest. Runs POT's whole test suite twice,
as it is and with the functions replaced wherever POT has them, in its other modules too, and counts
the tests that call them. Ends with 0 if those that fail then, and did not before, are just those of
``DIFFERENCES``. Not collected by pytest: the tests are POT's and stay in its repository. Written
for POT 0.9.7.
"""

import os
import sys
from importlib import metadata
from pathlib import Path

from own_tests import Tally, compare, twice

from sparrot.interop import pot

NAMES = ("sinkhorn", "sinkhorn2", "solve", "solve_sample")

# Ours take NumPy's arrays; POT's tests skip what needs other backends.
BACKENDS = ("PYTORCH", "JAX", "CUPY", "TENSORFLOW")

# Of tests on subjects that are not offered, and of how POT is compiled.
LEFT_OUT = ("gromov/test_fugw.py", "test_ucoot.py", "test_helpers.py")

# Where we differ on purpose: a pattern of test names, and the reason.
DIFFERENCES = {
    r"test_nan_warning": "reg=0 is an error that says so; POT warns and returns NaN",
    r"test_solve\[": "calls solve without reg: exact transport is not offered",
    r"test_solve_sample\[": "calls solve_sample without reg",
    r"test_solve_sample_lazy_emd": "exact transport is not offered",
    r"test_solve_sample_methods": "methods for other problems are not offered",
    r"test_unbalanced_relaxation_parameters\[.*-inf\]": "infinite prices and weights of different "
    "sums leave no plan, which is an error; POT returns something",
    r"test_unbalanced_relaxation_parameters_pair\[.*-inf-inf\]": "likewise",
}


def put_ours_in_place(tally: Tally) -> None:
    import ot

    pairs = {getattr(ot, name): getattr(pot, name) for name in NAMES}
    for module in ("bregman", "smooth", "unbalanced"):
        theirs, own = getattr(ot, module), getattr(pot, module)
        pairs |= {getattr(theirs, name): getattr(own, name) for name in own.__all__}
    ours = {theirs: tally.recording(own) for theirs, own in pairs.items()}
    for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "ot"]:
        for name, value in list(vars(module).items()):
            if callable(value) and value.__hash__ and value in ours:
                setattr(module, name, ours[value])
    pot.OTResult._backend = None  # POT's tests look for it


def run(tests: Path, replaced: bool) -> Tally:
    tally = Tally()
    os.environ |= {f"POT_BACKEND_DISABLE_{backend}": "1" for backend in BACKENDS}
    if replaced:
        put_ours_in_place(tally)
    tally.run(
        *("-p", "no:warnings", f"--rootdir={tests}", str(tests)),
        *(f"--ignore={tests / name}" for name in LEFT_OUT),
    )
    return tally


def main(checkout: str) -> int:
    tests = Path(checkout, "test").resolve()
    before, after = twice(run, tests)
    return compare(before, after, DIFFERENCES, f"POT {metadata.version('POT')}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))

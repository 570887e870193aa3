"""scikit-learn's own tests, run with sparrot's estimators in the place of scikit-learn's.

    python tests/contract/sklearn_own_tests.py

Needs scikit-learn, which brings its tests along, and pytest; from a checkout, with
PYTHONPATH=python. Runs the tests of coordinate descent twice, as they are and with the estimators
and paths replaced in what they import, and counts the tests that call them. Ends with 0 if those
that fail then, and did not before, are just those of ``DIFFERENCES``. Not collected by pytest: the
tests are scikit-learn's. Written for scikit-learn 1.9.1.
"""

import sys
from importlib import metadata
from pathlib import Path

import sklearn.linear_model
from own_tests import Tally, compare, twice

from sparrot import linear_model

NAMES = ("ElasticNet", "ElasticNetCV", "Lasso", "LassoCV", "MultiTaskLasso", "MultiTaskLassoCV")
NAMES += ("enet_path", "lasso_path")

MODULES = ("test_coordinate_descent.py", "test_sparse_coordinate_descent.py")

# Where we differ: a pattern of test names, and the reason, with what would be next after a
# parameter that is not offered.
DIFFERENCES = {
    # Parameters that are not offered.
    r"::test_elasticnet_precompute_": "no precompute: the Gram matrix is of the working set",
    r"::test_(enet_float_precision|lassoCV_does_not_set_precompute)": "no precompute",
    r"::test_(lasso_cv|lasso_positive_constraint)$": "no precompute",
    r"::test_enet_(cv_)?sample_weight_consistency(?!.*-MultiTaskLassoCV-)": "no precompute",
    r"::test_enet_ridge_consistency": "no precompute, and no l1_ratio=0: ridge is not offered",
    r"::test_enet_ols_consistency": "no precompute, and no alpha=0: least squares is not offered",
    r"sparse_coordinate_descent.py::test_enet_multitarget": "no precompute, and one response",
    r"::test_(lasso|enet)_cv_positive_constraint": "no n_jobs: n_threads is its counterpart",
    r"::test_linear_models_cv_fit_with_loky": "no n_jobs: the folds are shared among threads",
    r"::test_warm_start_convergence\[": "counts iterations, which are passes of ours",
    r"::test_warm_start_convergence_with_reg": "wants more iterations with less of a penalty, and "
    "few passes of ours are enough for either",
    r"::test_(enet|sparse_enet)_coordinate_descent": "wants so many iterations to be too few, and "
    "our passes are not",
    r"::test_random_descent": "no selection or random_state: nothing is random",
    r"::test_overridden_gram_matrix": "no selection or precompute",
    r"::test_check_input_false": "no selection or check_input, and one response",
    r"::test_enet_copy_X_": "no copy_X: X is never overwritten",
    r"::test_sparse_read_only_buffer": "no copy_X or random_state",
    r"::test_enet_sample_weight_does_not_overwrite": "no check_input: X and y are always checked",
    r"::test_enet_path_check_input_false": "no check_input",
    r"::test_enet_l1_ratio": "no random_state, and no l1_ratio=0",
    r"::test_cv_estimators_reject_params": "no metadata routing: groups are a TypeError",
    r"::test_path_unknown_parameter": "paths take no **params: what is unknown is a TypeError",
    # Values that are not offered.
    r"::test_sparse_dense_equality\[.*-0-(True|False)-ElasticNet\]": "no l1_ratio=0",
    r"::test_enet_toy_(list|explicit_sparse)_input": "alpha=0 is an error",
    r"::test_lasso_alpha_warning": "alpha=0 is an error; scikit-learn warns",
    r"::test_enet_alpha_max": "eps=1 is an error: a grid has a smallest penalty below its largest",
    r"test_coordinate_descent.py::test_enet_multitarget": "one response: no y of 2 dimensions",
    r"::test_same_multiple_output_sparse_dense": "one response: no y of 2 dimensions",
    r"::test_sparse_dense_descent_paths\[.*-2-": "one response: no y of 2 dimensions",
    # Attributes, errors and warnings.
    r"::test_enet_path$": "no precompute",
    r"::test_uniform_targets": "alphas_ for a constant y goes down from 1; scikit-learn's is 1e-15",
    r"::test_path_function_deprecated_n_alphas": "paths have n_alphas without a warning",
    r"::test_lassocv_alphas_validation\[alphas[01]-": "another message for negative alphas",
    r"::test_lassocv_alphas_validation\[alphas2-": "a str in alphas is a ValueError, no TypeError",
    r"::test_enet_nonfinite_params": "another message, as the overflow is found before iterating",
    # Numbers.
    r"::test_enet_toy": "no precompute",
    r"::test_lasso_dual_gap": "a gap of 1e-13 of 0.2 is compared to 7 digits, beyond rounding",
    r"::test_1d_multioutput_enet_": "compared to 7 digits with theirs at its tol=1e-4, which is "
    "off by 1e-4",
}


def put_ours_in_place(tally: Tally) -> None:
    """Replace what the test modules are about to import."""
    for name in NAMES:
        own = getattr(linear_model, name)
        if isinstance(own, type):
            # Still a class, as tests have subclasses of it.
            own.__init__ = tally.recording(own.__init__)
        else:
            own = tally.recording(own)
        setattr(sklearn.linear_model, name, own)


def run(tests: Path, replaced: bool) -> Tally:
    tally = Tally()
    if replaced:
        put_ours_in_place(tally)
    # Warnings stay on: some tests make them errors.
    tally.run("--disable-warnings", f"--rootdir={tests}", *(str(tests / name) for name in MODULES))
    return tally


def main() -> int:
    tests = Path(sklearn.linear_model.__file__).with_name("tests")
    before, after = twice(run, tests)
    version = f"scikit-learn {metadata.version('scikit-learn')}"
    return compare(before, after, DIFFERENCES, version, exact=True)


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    sys.exit(main())

"""The estimator: against scikit-learn's, by certificates, and in pipelines."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import SparseCoder as Theirs
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparrot.errors import ConvergenceWarning, InvalidInputError
from sparrot.sparse_coding import SparseCoder, prox
from tests.sparse_coding.conftest import make_problem
from tests.sparse_coding.reference import objective, relative_gap

NONCONVEX = ("l0", "cel0", "mcp", "scad", "l1/2", "l2/3")


@parametrize_with_checks(
    [
        SparseCoder(),
        SparseCoder(transform_algorithm="lasso_cd", transform_alpha=0.1),
        SparseCoder(transform_algorithm="fista", transform_alpha=0.1, tol=None),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# Atoms of the checks' data are nearly parallel: descent on MCP is slow there, and says so.
@pytest.mark.filterwarnings("ignore::sparrot.errors.ConvergenceWarning")
@parametrize_with_checks(
    [SparseCoder(transform_algorithm="cd", penalty="mcp", transform_alpha=0.1, split_sign=True)]
)
def test_scikit_learns_checks_of_a_penalty_that_is_not_convex(estimator, check):
    check(estimator)


@pytest.fixture
def atoms(problem):
    A, _ = problem
    return (A / np.linalg.norm(A, axis=0)).T


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("algorithm", ["lasso_cd", "threshold", "omp"])
def test_codes_are_those_of_scikit_learn(algorithm, positive, atoms, problem):
    _, Y = problem
    if algorithm == "omp" and positive:
        pytest.skip("scikit-learn has no positive pursuit")
    options = {"transform_algorithm": algorithm, "positive_code": positive}
    if algorithm != "omp":
        options["transform_alpha"] = 0.05
    else:
        options["transform_n_nonzero_coefs"] = 5
    expected = Theirs(atoms, **options, transform_max_iter=10_000).fit(Y).transform(Y)
    if algorithm == "lasso_cd":
        options["tol"] = 1e-12
    found = SparseCoder(atoms, **options).fit(Y).transform(Y)
    np.testing.assert_allclose(found, expected, atol=2e-3 if algorithm == "lasso_cd" else 1e-9)
    split = SparseCoder(atoms, split_sign=True, **options).fit(Y)
    np.testing.assert_array_equal(split.transform(Y)[:, :60] - split.transform(Y)[:, 60:], found)


@pytest.mark.parametrize("shape", [(30, 60), (60, 30), (10, 200)])
@pytest.mark.parametrize("alpha", [0.3, 0.01, 1e-4])
@pytest.mark.parametrize("positive", [False, True])
def test_gaps_are_reached_and_are_what_they_say(shape, alpha, positive):
    A, Y = make_problem(*shape)
    coder = SparseCoder(
        A.T, transform_algorithm="lasso_cd", transform_alpha=alpha, tol=1e-9, positive_code=positive
    ).fit(Y)
    result = coder.encode(Y)
    assert result.converged
    assert result.gap.max() <= 1e-9
    assert (result.codes >= 0).all() or not positive
    for y, x, gap, value in zip(Y, result.codes, result.gap, result.objective, strict=True):
        assert gap == pytest.approx(relative_gap(A, y, x, alpha, positive=positive), abs=1e-13)
        assert value == pytest.approx(objective(A, y, x, "l1", alpha), rel=1e-12)


@pytest.mark.parametrize("penalty", NONCONVEX)
def test_no_single_number_can_be_made_better(penalty, problem):
    A, Y = problem
    coder = SparseCoder(
        A.T, transform_algorithm="cd", penalty=penalty, transform_alpha=0.05, tol=1e-10
    ).fit(Y)
    result = coder.encode(Y)
    assert result.converged
    norms = np.linalg.norm(A, axis=0)
    for y, x, value in zip(Y[:10], result.codes, result.objective, strict=False):
        assert value == pytest.approx(objective(A, y, x, penalty, 0.05), rel=1e-12)
        assert value <= y @ y / 2 * (1 + 1e-12)
        q = A.T @ (y - A @ x)
        for j, norm in enumerate(norms):
            best = prox(penalty, x[j] + q[j] / norm**2, 0.05, step=1 / norm**2, column_norm=norm)
            assert float(best) == pytest.approx(x[j], abs=1e-7)


def test_pursuits_are_of_least_squares(atoms, problem):
    _, Y = problem
    coder = SparseCoder(atoms, transform_n_nonzero_coefs=6).fit(Y)
    result = coder.encode(Y)
    assert ((result.codes != 0).sum(1) == 6).all()
    assert result.stationarity.max() < 1e-12
    residuals = Y - result.codes @ atoms
    for residual, x in zip(residuals, result.codes, strict=True):
        assert np.abs(atoms[x != 0] @ residual).max() < 1e-12


def test_pursuits_to_a_residual(atoms, problem):
    _, Y = problem
    codes = SparseCoder(atoms, transform_alpha=0.2).fit(Y).transform(Y)
    assert (((Y - codes @ atoms) ** 2).sum(1) <= 0.2).all()
    fewer = SparseCoder(atoms, transform_alpha=2.0).fit(Y).transform(Y)
    assert (fewer != 0).sum() < (codes != 0).sum()


def test_degenerate_atoms_and_samples(problem):
    A, Y = problem
    A, Y = A.copy(), Y.copy()
    A[:, 3], A[:, 7], A[:, 9] = 0, A[:, 8], -A[:, 8]
    Y[0] = 0
    for algorithm in ("lasso_cd", "cd", "omp", "threshold", "iht", "fista"):
        coder = SparseCoder(A.T, transform_algorithm=algorithm, transform_n_nonzero_coefs=10)
        if algorithm not in ("omp", "iht"):
            coder.set_params(transform_alpha=0.01, transform_n_nonzero_coefs=None)
        codes = coder.fit(Y).transform(Y)
        assert np.isfinite(codes).all(), algorithm
        assert not codes[0].any(), algorithm
        assert not codes[:, 3].any(), algorithm
    # More atoms than there are dimensions.
    assert np.isfinite(SparseCoder(A.T, transform_n_nonzero_coefs=60).fit_transform(Y)).all()


def test_float32_is_kept_and_certified():
    A, Y = make_problem(dtype=np.float32)
    coder = SparseCoder(A.T, transform_algorithm="lasso_cd", transform_alpha=0.05).fit(Y)
    result = coder.encode(Y)
    assert result.codes.dtype == np.float32
    assert result.converged
    for y, x, gap in zip(Y, result.codes, result.gap, strict=True):
        assert gap == pytest.approx(relative_gap(A, y, x, 0.05), abs=1e-12)


def test_the_same_bits_for_any_number_of_threads():
    A, Y = make_problem(signals=300)
    for algorithm in ("lasso_cd", "omp", "cd", "fista"):
        codes = [
            SparseCoder(
                A.T,
                transform_algorithm=algorithm,
                transform_alpha=0.05,
                penalty="mcp" if algorithm == "cd" else "l1",
                n_threads=k,
            ).fit_transform(Y)
            for k in (1, 2, 5)
        ]
        np.testing.assert_array_equal(codes[0], codes[1])
        np.testing.assert_array_equal(codes[0], codes[2])


def test_the_way_back(atoms, problem):
    _, Y = problem
    for split in (False, True):
        coder = SparseCoder(
            atoms, transform_algorithm="lasso_cd", transform_alpha=1e-3, split_sign=split
        ).fit(Y)
        assert np.abs(coder.inverse_transform(coder.transform(Y)) - Y).max() < 0.01
        with pytest.raises(InvalidInputError, match=r"X has 3 columns: needs"):
            coder.inverse_transform(np.ones((2, 3)))


def test_samples_are_the_dictionary_if_there_is_none(problem):
    _, Y = problem
    Y = np.vstack([Y, np.zeros(30)])
    coder = SparseCoder(transform_n_nonzero_coefs=1).fit(Y)
    assert coder.components_.shape == (40, 30)
    codes = coder.transform(Y[:40])
    np.testing.assert_array_equal(np.argmax(np.abs(codes), axis=1), np.arange(40))


def test_in_a_pipeline(problem):
    X, y = load_digits(return_X_y=True)
    X = X / 16
    chosen = np.random.default_rng(0).choice(600, 100, replace=False)
    atoms = X[chosen] / np.linalg.norm(X[chosen], axis=1, keepdims=True)
    coder = SparseCoder(atoms, transform_algorithm="lasso_cd", transform_alpha=0.1)
    model = clone(make_pipeline(coder, LogisticRegression(max_iter=1000)))
    model.fit(X[:1000], y[:1000])
    assert model.score(X[1000:], y[1000:]) > 0.85
    assert model[0].get_feature_names_out()[0] == "sparsecoder0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transform_algorithm": "lars"}, "transform_algorithm is 'lars': needs one of 'omp'"),
        ({"penalty": "l9"}, "penalty is 'l9'"),
        ({"dictionary": np.ones((3, 4))}, r"dictionary has shape \(3, 4\) and X \(40, 30\)"),
        ({"dictionary": np.full((3, 30), np.nan)}, "dictionary contains nan"),
        ({"dictionary": np.ones((0, 30))}, r"dictionary has shape \(0, 30\)"),
        ({"transform_alpha": -1.0}, "transform_alpha is -1.0"),
        ({"transform_n_nonzero_coefs": 0}, "transform_n_nonzero_coefs is 0"),
        ({"transform_max_iter": 0}, "transform_max_iter is 0"),
        ({"tol": None}, "tol is None"),
        ({"tol": -1}, "tol is -1"),
    ],
)
def test_bad_parameters(change, message, problem):
    A, Y = problem
    coder = SparseCoder(A.T).set_params(**change)
    with pytest.raises(InvalidInputError, match=message):
        coder.fit(Y).transform(Y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("positive_code", 2),
        ("split_sign", "no"),
        ("n_threads", 0),
        ("n_threads", -1),
        ("gamma", -1),
        ("a", 2),
    ],
)
def test_parameters_are_checked_before_there_is_something_to_code(name, value, problem):
    A, Y = problem
    with pytest.raises(InvalidInputError, match=f"{name} is {value!r}"):
        SparseCoder(A.T, **{name: value}).fit(Y)


def test_what_does_not_converge_is_told(problem):
    A, Y = problem
    coder = SparseCoder(A.T, transform_algorithm="lasso_cd", transform_alpha=0.01)
    coder.set_params(tol=1e-300).fit(Y)
    with pytest.warns(ConvergenceWarning, match="rounding allows no less"):
        result = coder.encode(Y)
    assert result.gap.max() < 1e-13
    with pytest.raises(InvalidInputError, match="threshold"):
        SparseCoder(A.T, transform_algorithm="threshold").fit(Y).encode(Y)


def test_objectives_are_no_worse_than_scikit_learns(problem):
    A, Y = problem
    theirs = sparse_encode(Y, A.T, algorithm="lasso_cd", alpha=0.02, max_iter=10_000)
    mine = SparseCoder(A.T, transform_algorithm="lasso_cd", transform_alpha=0.02).fit(Y).encode(Y)
    for y, x, value in zip(Y, theirs, mine.objective, strict=True):
        assert value <= objective(A, y, x, "l1", 0.02) * (1 + 1e-6)


@pytest.mark.parametrize("algorithm", ["omp", "ols"])
def test_the_residual_to_reach_overrides_the_number_of_atoms(algorithm, atoms, problem):
    _, Y = problem
    options = {"transform_algorithm": algorithm, "transform_alpha": 0.2}
    alone = SparseCoder(atoms, **options).fit(Y).transform(Y)
    both = SparseCoder(atoms, **options, transform_n_nonzero_coefs=1).fit(Y).transform(Y)
    np.testing.assert_array_equal(both, alone)
    assert (((Y - both @ atoms) ** 2).sum(1) <= 0.2).all()


@pytest.mark.parametrize("split", [False, True])
def test_a_given_dictionary_codes_without_fit(split, atoms, problem):
    pandas = pytest.importorskip("pandas")
    _, Y = problem
    coder = SparseCoder(atoms, transform_n_nonzero_coefs=3, split_sign=split)
    codes = coder.transform(Y)
    back = coder.inverse_transform(codes)
    assert not hasattr(coder, "components_")
    frame = pandas.DataFrame(Y, columns=[f"y{k}" for k in range(30)])
    np.testing.assert_array_equal(coder.transform(frame), codes)
    named = clone(coder).set_output(transform="pandas").transform(frame)
    assert named.columns[0] == "sparsecoder0"
    np.testing.assert_array_equal(coder.encode(Y).codes, clone(coder).fit(Y).encode(Y).codes)
    np.testing.assert_array_equal(coder.fit(Y).transform(Y), codes)
    np.testing.assert_array_equal(coder.inverse_transform(codes), back)
    with pytest.raises(InvalidInputError, match=r"dictionary has shape \(60, 30\) and X \(2, 3\)"):
        clone(coder).transform(np.ones((2, 3)))
    for call in (SparseCoder().transform, SparseCoder().inverse_transform, SparseCoder().encode):
        with pytest.raises(NotFittedError):
            call(Y)


@pytest.mark.parametrize("algorithm", ["omp", "ols", "lasso_cd", "cd", "threshold", "fista", "iht"])
def test_the_type_of_samples_is_kept(algorithm, atoms, problem):
    _, Y = problem
    coder = SparseCoder(atoms, transform_algorithm=algorithm, transform_alpha=0.1).fit(Y)
    codes = coder.transform(Y)
    assert codes.dtype == np.float64
    single = coder.transform(Y.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, codes, atol=2e-2)
    with pytest.raises(InvalidInputError, match="dictionary, as float32 like X, contains -inf"):
        SparseCoder(1e39 * atoms).fit(Y).transform(Y.astype(np.float32))


def test_a_refit_that_fails_leaves_the_coder_there_was(atoms, problem):
    _, Y = problem
    coder = SparseCoder(atoms, transform_n_nonzero_coefs=3).fit(Y)
    before = coder.transform(Y)
    with pytest.raises(InvalidInputError, match="dictionary has shape"):
        coder.fit(np.ones((3, 4)))
    assert coder.n_features_in_ == 30
    np.testing.assert_array_equal(coder.transform(Y), before)


def test_the_dictionary_is_a_copy(atoms, problem):
    _, Y = problem
    for given, samples in ((atoms.copy(), Y), (None, np.zeros((3, 30)))):
        coder = SparseCoder(given).fit(samples)
        before = coder.components_.copy()
        (samples if given is None else given)[:] = 7
        np.testing.assert_array_equal(coder.components_, before)


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e308, 5e-324])
def test_samples_of_any_size_are_atoms_of_norm_1(size):
    atoms = SparseCoder().fit([[size, size], [0, 0], [1, 0]]).components_
    np.testing.assert_allclose(atoms, [[np.sqrt(0.5), np.sqrt(0.5)], [1, 0]], rtol=1e-15)


def test_warnings_are_at_the_users_line(problem):
    A, Y = problem
    for algorithm in ("lasso_cd", "fista", "iht", "omp"):
        options = {"transform_alpha": 1e-30 if algorithm == "omp" else 1e-4}
        if algorithm != "omp":
            options |= {"transform_max_iter": 1, "tol": 1e-12}
        coder = SparseCoder(A.T, transform_algorithm=algorithm, **options)
        pipe = make_pipeline(coder)
        for call in (coder.fit(Y).transform, coder.encode, coder.fit_transform, pipe.fit_transform):
            with pytest.warns(ConvergenceWarning, match="not converged") as told:
                call(Y)
            assert [one.filename for one in told] == [__file__]


def test_what_is_not_finite_is_refused_and_not_made(atoms, problem):
    _, Y = problem
    coder = SparseCoder(atoms, transform_algorithm="threshold").fit(Y)
    with pytest.raises(InvalidInputError, match=r"X contains nan at index \(0, 0\)"):
        coder.inverse_transform(np.full((2, 60), np.nan))
    with pytest.raises(InvalidInputError, match="X: its products with the dictionary overflow"):
        SparseCoder(1e200 * atoms, transform_algorithm="threshold").fit(Y).transform(1e200 * Y)

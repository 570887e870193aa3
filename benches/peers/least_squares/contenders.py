"""Who solves least squares, each as a function of A and b that returns coefficients."""

import os
from collections.abc import Callable
from typing import Any

Solve = Callable[[Any, Any], Any]
ITERATIONS = 200
"""Of lsqr and lsmr, at most: one reads A twice."""


class MissingError(Exception):
    """A package is not there."""


def sparrot() -> Solve:
    from sparrot.sketching import lstsq

    return lambda A, b: lstsq(A, b, rng=0).x


def scipy_driver(driver: str) -> Solve:
    from scipy.linalg import lstsq

    # Its cut-off is the machine's precision, so that nothing of these cases is cut.
    return lambda A, b: lstsq(A, b, lapack_driver=driver, check_finite=False)[0]


def numpy() -> Solve:
    import numpy as np

    return lambda A, b: np.linalg.lstsq(A, b, rcond=None)[0]


def linear_regression() -> Solve:
    from sklearn.linear_model import LinearRegression

    return lambda A, b: LinearRegression(fit_intercept=False).fit(A, b).coef_


def ridge() -> Solve:
    from sklearn.linear_model import Ridge

    return lambda A, b: Ridge(alpha=0.0, fit_intercept=False, solver="cholesky").fit(A, b).coef_


def intelex() -> Solve:
    try:
        from sklearnex.linear_model import LinearRegression
    except ImportError:
        raise MissingError("scikit-learn-intelex") from None
    return lambda A, b: LinearRegression(fit_intercept=False).fit(A, b).coef_


def count_sketch() -> Solve:
    """Approximately: the solution of a sketch, as far as scipy goes."""
    import numpy as np
    from scipy.linalg import clarkson_woodruff_transform, lstsq

    def solve(A, b):
        # Of d^2 rows, as its theory asks for, as long as that is less than half of them.
        size = min(A.shape[1] ** 2, A.shape[0] // 2)
        small = clarkson_woodruff_transform(np.column_stack([A, b]), size, seed=0)
        return lstsq(small[:, :-1], small[:, -1], lapack_driver="gelsy")[0]

    return solve


def normal_equations() -> Solve:
    from scipy.linalg import cho_factor, cho_solve

    return lambda A, b: cho_solve(cho_factor(A.T @ A), A.T @ b)


def torch() -> Solve:
    try:
        import torch
    except ImportError:
        raise MissingError("torch") from None
    # Set by child.pinned, but torch has threads of its own besides.
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def solve(A, b):
        given = torch.from_numpy(A), torch.from_numpy(b)[:, None]
        return torch.linalg.lstsq(*given, driver="gelsy").solution[:, 0].numpy()

    return solve


def lsqr() -> Solve:
    from scipy.sparse.linalg import lsqr

    return lambda A, b: lsqr(A, b, atol=1e-14, btol=1e-14, conlim=0, iter_lim=ITERATIONS)[0]


def lsmr() -> Solve:
    from scipy.sparse.linalg import lsmr

    return lambda A, b: lsmr(A, b, atol=1e-14, btol=1e-14, conlim=0, maxiter=ITERATIONS)[0]


CONTENDERS: dict[str, Callable[[], Solve]] = {
    "sparrot": sparrot,
    "scipy gelsd": lambda: scipy_driver("gelsd"),
    "scipy gelsy": lambda: scipy_driver("gelsy"),
    "numpy lstsq": numpy,
    "LinearRegression": linear_regression,
    "Ridge(alpha=0)": ridge,
    "scikit-learn-intelex": intelex,
    "normal equations": normal_equations,
    "CountSketch, gelsy": count_sketch,
    "torch gelsy": torch,
    "scipy lsqr": lsqr,
    "scipy lsmr": lsmr,
}

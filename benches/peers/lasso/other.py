"""Time a path of adelie or glmnet: run by ``paths.py`` in an interpreter that has them.

Arguments: the package, a folder with the data, the tolerance, repeats, folds (0 for none), threads.
Leaves the path's coefficients in the folder and prints the median milliseconds as JSON.
"""

import json
import os
import statistics
import sys
import time

package, folder, tol, repeats, folds, threads = sys.argv[1:]
tol, repeats, folds, threads = float(tol), int(repeats), int(folds), int(threads)
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(threads)

import numpy as np  # noqa: E402
from scipy import sparse  # noqa: E402

is_sparse = os.path.exists(f"{folder}/X.npz")
X = (
    sparse.load_npz(f"{folder}/X.npz")
    if is_sparse
    else np.asfortranarray(np.load(f"{folder}/X.npy"))
)
given = np.load(f"{folder}/y.npz")
y, alphas = given["y"], given["alphas"]

if package == "adelie":
    import adelie

    matrix = (
        adelie.matrix.sparse(X, method="naive", n_threads=threads)
        if is_sparse
        else adelie.matrix.dense(X, method="naive", n_threads=threads)
    )
    options = {
        "X": matrix,
        "glm": adelie.glm.gaussian(y=y),
        "lmda_path": alphas,
        "intercept": False,
        "tol": tol,
        "n_threads": threads,
        "max_iters": 10**6,
        "progress_bar": False,
        "early_exit": False,
    }

    def path():
        return np.asarray(adelie.grpnet(**options).betas.todense()).T

    def validated():
        # Which makes the same penalties, and a few more for each fold.
        own = {key: value for key, value in options.items() if key != "lmda_path"}
        share, count = alphas[-1] / alphas[0], len(alphas)
        adelie.cv_grpnet(n_folds=folds, min_ratio=share, lmda_path_size=count, **own)

else:
    from glmnet import ElasticNet

    options = {
        "alpha": 1,
        "lambda_path": alphas,
        "fit_intercept": False,
        "standardize": False,
        "tol": tol,
        "max_iter": 10**7,
    }

    def path():
        return ElasticNet(n_splits=0, **options).fit(X, y).coef_path_

    def validated():
        ElasticNet(n_splits=folds, n_jobs=threads, **options).fit(X, y)


def median(work):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


np.save(f"{folder}/{package}.npy", path())
found = {"path": median(path)}
if folds:
    validated()
    found["cv"] = median(validated)
print(json.dumps(found))

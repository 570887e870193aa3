"""Sparse linear models with a certificate: Lasso, elastic net, logistic and Poisson regression.

``minimise sum(w * (y - X @ coef - b)**2) / (2 * sum(w)) + alpha * l1_ratio * sum(v * |coef|)
+ alpha * (1 - l1_ratio) / 2 * sum(coef**2)``, with scikit-learn's names and meaning: sample weights
``w``, an intercept ``b`` or none, weights ``v`` of the coefficients.

=================================  ========================================================
:class:`Lasso`                     L1 penalty
:class:`ElasticNet`                L1 and squared L2 penalty
:class:`LassoCV`                   the Lasso with its penalty chosen by cross-validation
:class:`ElasticNetCV`              the elastic net, likewise
:func:`lasso_path`                 the Lasso for a sequence of penalties
:func:`enet_path`                  the elastic net, likewise
:class:`SparseLogisticRegression`  the same penalties with the logistic loss, for classes
:class:`SparsePoissonRegression`   the same penalties with Poisson's likelihood, for counts
=================================  ========================================================

Every fit takes ``sample_weight``, sparse ``X`` (also with an intercept) and float32, reads ``X``
where it is, and reports ``dual_gap_``, a bound of how far its objective is above the optimum.
"""

from typing import TYPE_CHECKING, Any

from sparrot.linear_model._path import enet_path, lasso_path

if TYPE_CHECKING:
    from sparrot.linear_model._estimators import ElasticNet, Lasso
    from sparrot.linear_model._logistic import SparseLogisticRegression
    from sparrot.linear_model._poisson import SparsePoissonRegression
    from sparrot.linear_model._validated import ElasticNetCV, LassoCV

__all__ = [
    "ElasticNet",
    "ElasticNetCV",
    "Lasso",
    "LassoCV",
    "SparseLogisticRegression",
    "SparsePoissonRegression",
    "enet_path",
    "lasso_path",
]


def __getattr__(name: str) -> Any:
    # Only these need scikit-learn.
    if name in ("ElasticNet", "Lasso"):
        from sparrot.linear_model import _estimators

        return getattr(_estimators, name)
    if name == "SparseLogisticRegression":
        from sparrot.linear_model._logistic import SparseLogisticRegression

        return SparseLogisticRegression
    if name == "SparsePoissonRegression":
        from sparrot.linear_model._poisson import SparsePoissonRegression

        return SparsePoissonRegression
    if name in ("ElasticNetCV", "LassoCV"):
        from sparrot.linear_model import _validated

        return getattr(_validated, name)
    raise AttributeError(f"module 'sparrot.linear_model' has no attribute {name!r}")

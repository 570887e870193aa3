"""Sparse linear models with a certificate.

``minimise sum(w * (y - X @ coef - b)**2) / (2 * sum(w)) + penalty(coef)``, with scikit-learn's
names and meaning: sample weights ``w``, an intercept ``b`` or none.

=================================  ==========================================================
:class:`Lasso`                     L1 penalty
:class:`ElasticNet`                L1 and squared L2 penalty
:class:`SqrtLasso`                 the Lasso with a penalty that does not depend on the noise
:class:`GroupLasso`                the norms of groups of coefficients
:class:`SparseGroupLasso`          the same, and L1
:class:`MultiTaskLasso`            the norms of a column's coefficients for several responses
:class:`MCPRegression`             the minimax concave penalty
:class:`SCADRegression`            smoothly clipped absolute deviations
:class:`BridgeRegression`          powers below 1
:class:`CEL0Regression`            the continuous relaxation of their number
:class:`L0Regression`              the number of coefficients
:class:`SparseLogisticRegression`  L1 and squared L2 penalty, for two or more classes
:class:`SparsePoissonRegression`   the same with Poisson's likelihood, for counts
:class:`SparseHuberRegression`     the same with Huber's loss, for outliers
:func:`lasso_path`                 the Lasso for a sequence of penalties
:func:`enet_path`                  the elastic net, likewise
:func:`regularization_path`        any of these models, likewise
=================================  ==========================================================

The models of classes (two of them), counts and outliers take ``groups``, whose norms then take the
place of the L1 norm.

``LassoCV``, ``ElasticNetCV``, ``GroupLassoCV``, ``SparseGroupLassoCV``, ``MultiTaskLassoCV``,
``MCPRegressionCV``, ``SCADRegressionCV``, ``SparseLogisticRegressionCV`` and
``SparsePoissonRegressionCV`` choose the penalty by cross-validation.

Every fit takes ``sample_weight``, weights of the coefficients, sparse ``X`` (also with an
intercept) and float32, reads ``X`` where it is, and reports ``dual_gap_``, a bound of how far its
objective is above the optimum; where the penalty is not convex ``stationarity_``, how far it is
from a point that no change of one coefficient makes better. Those with L1 and squared L2 penalties
take ``bounds`` of the coefficients.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sparrot.linear_model._path import enet_path, lasso_path

if TYPE_CHECKING:
    from sparrot.linear_model._cel0 import CEL0Regression
    from sparrot.linear_model._estimators import ElasticNet, Lasso
    from sparrot.linear_model._groups import GroupLasso, SparseGroupLasso
    from sparrot.linear_model._huber import SparseHuberRegression
    from sparrot.linear_model._logistic import SparseLogisticRegression
    from sparrot.linear_model._models_path import regularization_path
    from sparrot.linear_model._multitask import MultiTaskLasso
    from sparrot.linear_model._nonconvex import (
        BridgeRegression,
        L0Regression,
        MCPRegression,
        SCADRegression,
    )
    from sparrot.linear_model._poisson import SparsePoissonRegression
    from sparrot.linear_model._sqrt import SqrtLasso
    from sparrot.linear_model._validated import ElasticNetCV, LassoCV
    from sparrot.linear_model._validated_groups import (
        GroupLassoCV,
        MultiTaskLassoCV,
        SparseGroupLassoCV,
    )
    from sparrot.linear_model._validated_losses import (
        SparseLogisticRegressionCV,
        SparsePoissonRegressionCV,
    )
    from sparrot.linear_model._validated_nonconvex import MCPRegressionCV, SCADRegressionCV

__all__ = [
    "BridgeRegression",
    "CEL0Regression",
    "ElasticNet",
    "ElasticNetCV",
    "GroupLasso",
    "GroupLassoCV",
    "L0Regression",
    "Lasso",
    "LassoCV",
    "MCPRegression",
    "MCPRegressionCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "SCADRegression",
    "SCADRegressionCV",
    "SparseGroupLasso",
    "SparseGroupLassoCV",
    "SparseHuberRegression",
    "SparseLogisticRegression",
    "SparseLogisticRegressionCV",
    "SparsePoissonRegression",
    "SparsePoissonRegressionCV",
    "SqrtLasso",
    "enet_path",
    "lasso_path",
    "regularization_path",
]

# Where those are that need scikit-learn.
_MODELS = {
    "BridgeRegression": "_nonconvex",
    "CEL0Regression": "_cel0",
    "ElasticNet": "_estimators",
    "ElasticNetCV": "_validated",
    "GroupLasso": "_groups",
    "GroupLassoCV": "_validated_groups",
    "L0Regression": "_nonconvex",
    "Lasso": "_estimators",
    "LassoCV": "_validated",
    "MCPRegression": "_nonconvex",
    "MCPRegressionCV": "_validated_nonconvex",
    "MultiTaskLasso": "_multitask",
    "MultiTaskLassoCV": "_validated_groups",
    "SCADRegression": "_nonconvex",
    "SCADRegressionCV": "_validated_nonconvex",
    "SparseGroupLasso": "_groups",
    "SparseGroupLassoCV": "_validated_groups",
    "SparseHuberRegression": "_huber",
    "SparseLogisticRegression": "_logistic",
    "SparseLogisticRegressionCV": "_validated_losses",
    "SparsePoissonRegression": "_poisson",
    "SparsePoissonRegressionCV": "_validated_losses",
    "SqrtLasso": "_sqrt",
    "regularization_path": "_models_path",
}


def __getattr__(name: str) -> Any:
    if name in _MODELS:
        return getattr(import_module(f"{__name__}.{_MODELS[name]}"), name)
    raise AttributeError(f"module 'sparrot.linear_model' has no attribute {name!r}")

"""Block coordinate descent: greedy rules, message passing, and their certificates.

``minimise f(x) + sum(l1 * |x|)`` with ``lower <= x <= upper``, a block of variables at a time.
Which blocks there are, which one is chosen and what is done with it are three independent choices,
those of Nutini, Laradji and Schmidt, "Let's Make Block Coordinate Descent Converge Faster", JMLR 23
(2022), arXiv 1712.08859.

=================================  ========================================================
:func:`block_coordinate_descent`   the solver
:class:`LeastSquares`              half the squared residual
:class:`Logistic`                  log-likelihood of two classes
:class:`Multinomial`               log-likelihood of several classes
:class:`GeneralizedLinear`         a loss of your own, by three functions
:class:`Quadratic`                 a quadratic with a sparse matrix: blocks may be forests
:class:`DescentResult`             what the solver returns
:class:`DescentState`              what a callback sees
=================================  ========================================================

**When to use it.** To study the rules; where only few variables have to move, so that greedy steps
touch little of the data. A linear system on a graph is solved faster by a sparse factorisation or
conjugate gradients, one with bounds at the nodes by L-BFGS-B where that was tried, and a Lasso by
:class:`sparrot.linear_model.Lasso`. docs/block_descent.md has the figures.
"""

from sparrot.descent._linear import GeneralizedLinear, LeastSquares, Logistic, Multinomial
from sparrot.descent._quadratic import Quadratic
from sparrot.descent._result import DescentResult, DescentState
from sparrot.descent._solve import block_coordinate_descent

__all__ = [
    "DescentResult",
    "DescentState",
    "GeneralizedLinear",
    "LeastSquares",
    "Logistic",
    "Multinomial",
    "Quadratic",
    "block_coordinate_descent",
]

"""POT's ``ot.smooth``: transport with sparse plans.

===========================  ====================================================================
:func:`smooth_ot_dual`       the plan, with the potentials of both sides in the log
:func:`smooth_ot_semi_dual`  the same plan, with the potentials of the rows
===========================  ====================================================================

They are solved by :func:`sparrot.transport.solve_quadratic`,
:func:`sparrot.transport.solve_ksparse` and, for an entropy, :func:`sparrot.transport.solve`. What
to know when you move code here:

* POT climbs the dual with L-BFGS and returns the plan of the potentials it ends at, without a word
  on how far that is from the maximum: at its default ``stopThr`` the marginals are wrong by about
  1e-4 of the mass, and by more where ``reg`` is small. Here ``stopThr`` is the gap to reach as a
  share of the value, and where it is reached with "l2" the marginals are right to 1e-9 of the mass,
  whatever ``stopThr`` is. With "kl" it bounds the marginal error, as in
  :func:`sparrot.interop.pot.sinkhorn`.
* ``numItermax`` counts sparrot's iterations. What falls short is told by a warning; POT has it in
  ``log["res"].success`` only. As in POT there is no argument ``warn``.
* With "sparsity_constrained" the plan has at most ``max_nz`` entries per column, and its column
  sums are right. Where ``max_nz`` is binding its row sums are wrong, as in POT: in general no plan
  has so few entries and both marginals. ``log["result"]`` says by how much (``marginal_error``) and
  in how many columns (``n_binding``). For a plan with exact marginals and few entries more call
  :func:`sparrot.transport.solve_ksparse` with ``recover="polish"``.
* There the dual is not smooth at its maximum, and POT ends below it. ``-log["res"].fun``, the dual
  value, is a lower bound on the problem in both; here it is the maximum, within ``stopThr``. Large
  problems can need more iterations than the default for 1e-9; 1e-6 is enough for most purposes.
* Potentials have POT's choice of the constant that can go from one side to the other: both sides
  have the same sum, or in the semi-dual the sum 0. Those of points without weight are ``-inf``, and
  not in the sum.
* ``method`` has no effect, in POT neither.
"""

from typing import Any

from sparrot.interop.pot._input import as_limits
from sparrot.interop.pot._smooth import smooth_plan

__all__ = ["smooth_ot_dual", "smooth_ot_semi_dual"]


def smooth_ot_dual(
    a: object,
    b: object,
    M: object,
    reg: float,
    reg_type: str = "l2",
    method: str = "L-BFGS-B",
    stopThr: float = 1e-9,
    numItermax: int = 500,
    verbose: bool = False,
    log: bool = False,
    max_nz: int | None = None,
) -> Any:
    """Return the plan of transport regularised by a squared norm, or by an entropy.

    Minimises ``<P, M> + Omega(P)`` over plans with the marginals ``a`` and ``b``.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows; ``[]`` or None for uniform ones.
    b : array_like of shape (m,)
        Weights of the columns, of the same sum to a relative 1e-6; ``[]`` or None for uniform
        ones.
    M : array_like of shape (n, m)
        The costs; ``inf`` forbids an edge.
    reg : float
        The regularisation, above 0.
    reg_type : str, default="l2"
        In any case of letters,

        * "l2" or "squaredl2": ``Omega(P)`` is ``reg / 2 * sum(P**2)``;
        * "kl", "negentropy" or "entropic": ``reg * sum(P * log(P))``, the problem of
          :func:`sparrot.interop.pot.sinkhorn`;
        * "sparsity_constrained" or "sparsity-constrained": as "l2", with at most ``max_nz`` entries
          in a column of the plan. Where that is binding the row sums of the plan are wrong: see
          :mod:`sparrot.interop.pot.smooth`.
    method : str, default="L-BFGS-B"
        Of no effect.
    stopThr : float, default=1e-9
        The gap to reach, as a share of the value; with "kl" the marginal error. 0 asks for what
        rounding allows.
    numItermax : int, default=500
        Iterations at most, of sparrot's solver.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.
    max_nz : int, optional
        Entries per column, at least 1; needed for "sparsity_constrained", and of no effect
        otherwise.

    Returns
    -------
    plan : ndarray of shape (n, m)
        In float32 if all arrays are, else in float64.
    log : dict
        If ``log`` is true:

        * ``alpha`` and ``beta``, the potentials. With ``s = alpha[:, None] + beta - M`` the plan is
          ``max(s, 0) / reg`` for "l2", the ``max_nz`` largest of it in each column for
          "sparsity_constrained", and ``exp(s / reg - 1)`` for "kl";
        * ``res``, a :class:`scipy.optimize.OptimizeResult`: ``x`` (the potentials), ``fun`` (the
          negative of the dual value), ``jac`` (what the plan's marginals miss), ``nit``,
          ``success``, ``status``, ``message``;
        * ``result``, a :class:`sparrot.transport.SparseTransportResult`, or for "kl" a
          :class:`sparrot.transport.TransportResult`.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described; for ``reg_type``
        :class:`sparrot.interop.pot.UnsupportedArgumentError`, which is also a
        ``NotImplementedError``.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.
    sparrot.errors.InfeasibleProblemError
        If forbidden edges leave no plan.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If ``stopThr`` is not reached.

    See Also
    --------
    sparrot.transport.solve_quadratic : The solver for "l2", with its own names.
    sparrot.transport.solve_ksparse : That for "sparsity_constrained".

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> M = [[0.0, 1.0], [1.0, 0.0]]
    >>> pot.smooth.smooth_ot_dual([0.5, 0.5], [0.5, 0.5], M, 4)
    array([[0.375, 0.125],
           [0.125, 0.375]])
    >>> plan, log = pot.smooth.smooth_ot_dual(
    ...     [0.5, 0.5], [0.5, 0.5], M, 4, "sparsity_constrained", max_nz=1, log=True
    ... )
    >>> plan
    array([[0.5, 0. ],
           [0. , 0.5]])
    >>> print(-log["res"].fun)
    1.0
    """
    return smooth_plan(
        a,
        b,
        M,
        reg,
        reg_type=reg_type,
        max_nz=max_nz,
        limits=as_limits(stopThr, numItermax),
        verbose=verbose,
        log=log,
        semi_dual=False,
    )


def smooth_ot_semi_dual(
    a: object,
    b: object,
    M: object,
    reg: float,
    reg_type: str = "l2",
    max_nz: int | None = None,
    method: str = "L-BFGS-B",
    stopThr: float = 1e-9,
    numItermax: int = 500,
    verbose: bool = False,
    log: bool = False,
) -> Any:
    """Return the plan of transport regularised by a squared norm, or by an entropy.

    That of :func:`smooth_ot_dual`; only the order of the arguments and the log are different.

    Parameters
    ----------
    a : array_like of shape (n,)
        Weights of the rows; ``[]`` or None for uniform ones.
    b : array_like of shape (m,)
        Weights of the columns.
    M : array_like of shape (n, m)
        The costs.
    reg : float
        The regularisation, above 0.
    reg_type : str, default="l2"
        What the regularisation is: see :func:`smooth_ot_dual`.
    max_nz : int, optional
        Entries per column, for "sparsity_constrained".
    method : str, default="L-BFGS-B"
        Of no effect.
    stopThr : float, default=1e-9
        The gap to reach, as a share of the value; with "kl" the marginal error.
    numItermax : int, default=500
        Iterations at most.
    verbose : bool, default=False
        Whether to print the progress.
    log : bool, default=False
        Whether to return a dictionary too.

    Returns
    -------
    plan : ndarray of shape (n, m)
        See :func:`smooth_ot_dual`.
    log : dict
        If ``log`` is true: ``alpha``, ``res`` (with ``alpha`` as ``x``, and what the row sums miss
        as ``jac``) and ``result``.

    Raises
    ------
    sparrot.errors.InvalidInputError
        If an argument is not as described.
    sparrot.errors.MassMismatchError
        If ``a`` and ``b`` have different sums.
    sparrot.errors.InfeasibleProblemError
        If forbidden edges leave no plan.

    Warns
    -----
    sparrot.errors.ConvergenceWarning
        If ``stopThr`` is not reached.

    Examples
    --------
    >>> from sparrot.interop import pot
    >>> M = [[0.0, 1.0], [1.0, 0.0]]
    >>> plan, log = pot.smooth.smooth_ot_semi_dual([0.3, 0.7], [0.5, 0.5], M, 4, log=True)
    >>> plan
    array([[0.275, 0.025],
           [0.225, 0.475]])
    >>> log["alpha"]
    array([-0.4,  0.4])
    """
    return smooth_plan(
        a,
        b,
        M,
        reg,
        reg_type=reg_type,
        max_nz=max_nz,
        limits=as_limits(stopThr, numItermax),
        verbose=verbose,
        log=log,
        semi_dual=True,
    )


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'sparrot.interop.pot.smooth' has no attribute {name!r}: it has POT's "
        "smooth_ot_dual and smooth_ot_semi_dual only; the dual functions are in "
        "sparrot.transport.KSparseDual, the rest in POT itself (ot.smooth)"
    )

//! Where descent on a penalty that is not convex starts: at the Lasso that keeps out the same columns.
//!
//! From 0 descent on such a penalty ends in a stationary point that depends on the order of the
//! columns; on correlated ones it is further from the truth than the Lasso is. The Lasso whose
//! lambda_j is the least product with the residual at which the penalty lets a column in is convex and
//! has its support among columns that matter; descent from there only takes its bias away and leaves
//! out what the bias asked for. With MCP and SCAD that is the Lasso of the same lambda.

use sparrot_design::Element;
use sparrot_foundation::{Error, Stop, Team};
use sparrot_prox::{ScalarPenalty, Separable};

use crate::block_solver::{BlockSolver, Limits};
use crate::data::Data;
use crate::groups::Groups;
use crate::model::{Model, Settings};
use crate::solve::Solver;

/// The gap of the Lasso, as a share of the objective at 0: it is only a start.
const START_GAP: f64 = 1e-4;

/// A solver for single columns that stands at that Lasso.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn at_lasso<'a, T: Element, P: ScalarPenalty>(
    data: Data<'a, T>,
    penalty: &Separable<'_, P>,
    limits: Limits,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<BlockSolver<'a, T>, Error> {
    let of = |j: usize| {
        let (lambda, squares) = (penalty.lambda.of(j), data.moments[j].squares);
        if lambda == f64::INFINITY || squares <= 0.0 {
            return f64::INFINITY;
        }
        squares * penalty.penalty.threshold(lambda, 1.0 / squares)
    };
    let thresholds: Vec<f64> = (0..data.moments.len()).map(of).collect();
    let settings = Settings {
        lambda: 1.0,
        mu: 0.0,
        weights: Some(&thresholds),
        positive: penalty.positive,
        tol: START_GAP,
        max_iter: limits.max_iter,
    };
    let groups = Groups::single(thresholds.len());
    let mut lasso = Solver::new(data)?;
    let point = lasso.solve(&settings, team, stop)?;
    let mut solver = BlockSolver::new(lasso.into_data(), &[], groups, team, stop)?;
    solver.start(&point.columns, &point.coefficients, stop)?;
    Ok(solver)
}

//! Where descent on a penalty that is not convex starts: at the Lasso that keeps out the same columns.
//!
//! From 0 descent on such a penalty ends in a stationary point that depends on the order of the
//! columns; on correlated ones it is further from the truth than the Lasso is. The Lasso whose
//! lambda_j is the least product with the residual at which the penalty lets a column in is convex and
//! has its support among columns that matter; descent from there only takes its bias away and leaves
//! out what the bias asked for. With MCP and SCAD that is the Lasso of the same lambda.
//!
//! Along a sequence of penalties each starts at its own Lasso, not at the solution before, and with
//! nothing but that: it is the Lassos that are a path. What is found for a penalty then does not
//! depend on those tried before it.

use sparrot_design::Element;
use sparrot_foundation::{Error, Stop, Team};
use sparrot_prox::{OfBlock, ScalarPenalty, Separable};

use crate::block_solver::{BlockSolver, Limits};
use crate::bounds::Bounds;
use crate::data::Data;
use crate::groups::Groups;
use crate::model::{Model, Point, Settings};
use crate::solve::Solver;

/// The gap of the Lasso, as a share of the objective at 0: which of several stationary points is found
/// is not to depend on what is left of it.
const START_GAP: f64 = 1e-9;

/// Solves for each penalty, of single columns, from its Lasso; for the first of them if the time is up.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn from_lassos<T: Element, P: OfBlock>(
    data: Data<'_, T>,
    penalties: &[Separable<'_, P>],
    limits: Limits,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<Point>, Error> {
    let mut lasso = Solver::new(data)?;
    let mut starts = Vec::with_capacity(penalties.len());
    for penalty in penalties {
        if !starts.is_empty() && stop.is_late() {
            break;
        }
        let thresholds = thresholds(lasso.data(), penalty);
        let settings = Settings {
            lambda: 1.0,
            mu: 0.0,
            weights: Some(&thresholds),
            bounds: Bounds::of_sign(penalty.positive),
            tol: START_GAP,
            max_iter: limits.max_iter,
        };
        starts.push(lasso.solve(&settings, team, stop)?);
    }
    let mut data = lasso.into_data();
    let mut points = Vec::with_capacity(penalties.len());
    for (penalty, start) in penalties.iter().zip(starts) {
        if !points.is_empty() && stop.is_late() {
            break;
        }
        let groups = Groups::single(data.moments.len());
        let mut solver = BlockSolver::new(data, &[], groups, team, stop)?;
        solver.start(&start.columns, &start.coefficients, stop)?;
        points.push(solver.solve(penalty, limits, team, stop)?);
        data = solver.into_data();
    }
    Ok(points)
}

/// Of each column, the least product with the residual at which it enters.
fn thresholds<T: Element, P: OfBlock>(data: &Data<'_, T>, penalty: &Separable<'_, P>) -> Vec<f64> {
    let of = |j: usize| {
        let (lambda, squares) = (penalty.lambda.of(j), data.moments[j].squares);
        if lambda == f64::INFINITY || squares <= 0.0 {
            return f64::INFINITY;
        }
        squares * penalty.penalty.of(j).threshold(lambda, 1.0 / squares)
    };
    (0..data.moments.len()).map(of).collect()
}

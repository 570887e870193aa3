//! The penalty from which on the solution is 0.

use sparrot_design::Element;
use sparrot_foundation::{Error, Stop, Team};
use sparrot_prox::BlockPenalty;

use super::{BlockSolver, Limits, gather};
use crate::model::RAISE;

/// A little above it rounding moves nothing: a penalty that is not convex may let a group jump.
const ABOVE: f64 = 1.0 + 1e-10;
/// The gap to which groups without a penalty are solved for.
const FREE_GAP: f64 = 1e-12;

impl<T: Element> BlockSolver<'_, T> {
    /// The least factor of the penalty's lambda at which no group with a penalty moves from 0, for a
    /// solver at W = 0. The groups without a penalty are solved for first.
    ///
    /// # Errors
    /// As [`BlockSolver::solve`].
    pub fn critical_factor(
        &mut self,
        penalty: &impl BlockPenalty,
        limits: Limits,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<f64, Error> {
        let mut largest = self.critical(penalty);
        let has_penalty = |g: usize| !penalty.is_free(g);
        if (0..self.groups.len()).all(has_penalty) {
            return Ok(ABOVE * largest);
        }
        let limits = Limits { tol: FREE_GAP, ..limits };
        let mut factor = RAISE * largest.max(f64::MIN_POSITIVE);
        loop {
            let point = self.solve(&penalty.scaled(factor), limits, team, stop)?;
            self.read(&self.all_groups(), team, stop)?; // also those that were left out
            largest = self.critical(penalty);
            let is_used = |j: &u32| point.columns.binary_search(j).is_ok();
            let is_in = |g: usize| self.groups.columns(g).iter().any(is_used);
            let is_done = !(0..self.groups.len()).any(|g| has_penalty(g) && is_in(g));
            if is_done || !(RAISE * factor).is_finite() || stop.is_late() {
                return Ok(ABOVE * largest);
            }
            factor *= RAISE;
        }
    }

    /// The same for groups at 0 with the products at hand.
    pub(super) fn critical(&self, penalty: &impl BlockPenalty) -> f64 {
        let mut largest = 0.0f64;
        let mut h = vec![];
        for g in (0..self.groups.len()).filter(|g| self.curvatures[*g] > 0.0) {
            gather(&self.products, self.groups.columns(g), &mut h);
            let moves = |factor: f64| self.move_from_0(&penalty.scaled(factor), g, &h) > 0.0;
            // Groups without a penalty or with an infinite one have no such factor.
            if penalty.excludes(g) || !moves(largest) || moves(f64::MAX.sqrt()) {
                continue;
            }
            let (mut low, mut high) = (largest, 1.0f64.max(2.0 * largest));
            while moves(high) {
                low = high;
                high *= 2.0;
            }
            while high - low > 1e-15 * high {
                let middle = 0.5 * (low + high);
                if middle <= low || middle >= high {
                    break;
                }
                if moves(middle) { low = middle } else { high = middle }
            }
            largest = high;
        }
        largest
    }

    /// How far a group at 0 would move.
    pub(super) fn move_from_0(&self, penalty: &impl BlockPenalty, group: usize, h: &[f64]) -> f64 {
        let curvature = self.curvatures[group];
        let mut u: Vec<f64> = h.iter().map(|h| h / curvature).collect();
        penalty.prox(group, &mut u, 1.0 / curvature);
        (curvature * u.iter().map(|u| u * u).sum::<f64>()).sqrt()
    }
}

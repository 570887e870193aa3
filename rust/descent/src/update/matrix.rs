//! Steps to the minimum of a block's quadratic model.

use sparrot_foundation::Error;

use super::gradient::Gradient;
use super::model::Model;
use super::search::search;
use super::{Moved, Stand, Update};
use crate::dense::Symmetric;

/// With the bound of the Hessian: F decreases at least as much as the model.
#[derive(Default)]
pub struct Matrix {
    h: Symmetric,
}

/// With the Hessian, and a line search. With a penalty a block proximal Newton step.
#[derive(Default)]
pub struct Newton {
    h: Symmetric,
    /// Where the Hessian says nothing, as where it is 0, or no step decreases F.
    otherwise: Gradient,
}

/// Newton steps until the block is at its minimum: one step if f is quadratic.
#[derive(Default)]
pub struct Exact {
    newton: Newton,
}

/// Newton steps on one block, at most.
const MOST_STEPS: usize = 50;
/// They end where one gains less than this share of all that they have gained.
const SETTLED: f64 = 1e-15;

fn minimiser(stand: &Stand<'_>, block: &[u32], g: &[f64], h: &Symmetric) -> Vec<f64> {
    let x: Vec<f64> = block.iter().map(|i| stand.x[*i as usize]).collect();
    Model { block, x: &x, g, h, penalty: stand.penalty }.minimise()
}

impl Update for Matrix {
    fn apply(
        &mut self,
        stand: &mut Stand<'_>,
        block: &mut Vec<u32>,
        _number: Option<usize>,
    ) -> Result<Moved, Error> {
        stand.problem.bound(block, &mut self.h, stand.work)?;
        let g = stand.gradient(block);
        let y = minimiser(stand, block, &g, &self.h);
        stand.go(block, &y)
    }
}

impl Update for Newton {
    fn apply(
        &mut self,
        stand: &mut Stand<'_>,
        block: &mut Vec<u32>,
        number: Option<usize>,
    ) -> Result<Moved, Error> {
        stand.problem.hessian(block, &mut self.h, stand.work)?;
        let g = stand.gradient(block);
        let y = minimiser(stand, block, &g, &self.h);
        let x: Vec<f64> = block.iter().map(|i| stand.x[*i as usize]).collect();
        let along: f64 = g.iter().zip(&y).zip(&x).map(|((g, y), x)| g * (y - x)).sum();
        let slope = along + stand.penalty_change(block, &y);
        // Also catches NaN, of a Hessian that is none.
        if slope.is_nan() || slope >= 0.0 {
            return self.otherwise.apply(stand, block, number);
        }
        let between = |alpha: f64| -> Vec<f64> {
            if alpha == 1.0 {
                return y.clone();
            }
            x.iter().zip(&y).map(|(x, y)| x + alpha * (y - x)).collect()
        };
        let found = search(slope, |alpha| stand.try_move(block, &between(alpha)))?;
        match found {
            Some((alpha, change)) => stand.take(block, &between(alpha), change),
            None => self.otherwise.apply(stand, block, number),
        }
    }
}

impl Update for Exact {
    fn apply(
        &mut self,
        stand: &mut Stand<'_>,
        block: &mut Vec<u32>,
        number: Option<usize>,
    ) -> Result<Moved, Error> {
        let mut total = Moved::NOT;
        for _ in 0..MOST_STEPS {
            let step = self.newton.apply(stand, block, number)?;
            total.change += step.change;
            if step != Moved::NOT && step.changed == crate::problem::Changed::All {
                total.changed = step.changed;
            }
            if step.change.abs() <= SETTLED * total.change.abs() {
                break;
            }
        }
        Ok(total)
    }
}

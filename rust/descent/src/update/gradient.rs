//! Proximal gradient steps of a block: `x_b <- prox_(h / L)(x_b - g_b / L)`.

use std::collections::HashMap;

use sparrot_foundation::Error;

use super::{Moved, Stand, Update};
use crate::dense::Symmetric;

/// With the largest eigenvalue of the bound's block for L: no step can be longer without risk.
#[derive(Default)]
pub struct Gradient {
    bound: Symmetric,
    /// Of the blocks of a partition, by number.
    constants: HashMap<usize, f64>,
}

/// Steps with a constant L.
fn targets(stand: &Stand<'_>, block: &[u32], g: &[f64], l: f64) -> Vec<f64> {
    let one = |(i, g): (&u32, &f64)| {
        let i = *i as usize;
        stand.penalty.prox(i, stand.x[i] - g / l, 1.0 / l)
    };
    block.iter().zip(g).map(one).collect()
}

impl Update for Gradient {
    fn apply(
        &mut self,
        stand: &mut Stand<'_>,
        block: &mut Vec<u32>,
        number: Option<usize>,
    ) -> Result<Moved, Error> {
        let known = number.and_then(|number| self.constants.get(&number).copied());
        let l = match known {
            Some(l) => l,
            None => {
                stand.problem.bound(block, &mut self.bound, stand.work)?;
                self.bound.largest_eigenvalue()
            }
        };
        if let Some(number) = number {
            self.constants.insert(number, l);
        }
        let g = stand.gradient(block);
        if l > 0.0 {
            let y = targets(stand, block, &g, l);
            stand.go(block, &y)
        } else {
            flat(stand, block)
        }
    }
}

/// Variables that f does not depend on go where the penalty wants them: to 0, or nearest to it.
fn flat(stand: &mut Stand<'_>, block: &[u32]) -> Result<Moved, Error> {
    let one = |i: &u32| {
        let i = *i as usize;
        let is_free = stand.penalty.l1.at(i) == 0.0;
        if is_free { stand.x[i] } else { stand.penalty.project(i, 0.0) }
    };
    let y: Vec<f64> = block.iter().map(one).collect();
    stand.go(block, &y)
}

/// With a constant that is found: doubled until the step decreases F by what such a constant
/// guarantees. Each variable remembers the constant of its last block; they start from their own,
/// which the block's cannot be below (the paper starts from 1, in units of nothing).
#[derive(Default)]
pub struct Backtracking {
    constants: Vec<f64>,
}

/// Doublings at most.
const DOUBLINGS: usize = 60;

impl Update for Backtracking {
    fn apply(
        &mut self,
        stand: &mut Stand<'_>,
        block: &mut Vec<u32>,
        _number: Option<usize>,
    ) -> Result<Moved, Error> {
        if self.constants.is_empty() {
            self.constants = stand.problem.lipschitz().to_vec();
        }
        let mut l = block.iter().map(|i| self.constants[*i as usize]).fold(0.0, f64::max);
        if l == 0.0 {
            return flat(stand, block);
        }
        let g = stand.gradient(block);
        for _ in 0..DOUBLINGS {
            let y = targets(stand, block, &g, l);
            let change = stand.try_move(block, &y)?;
            let one = |((i, g), y): ((&u32, &f64), &f64)| {
                let d = y - stand.x[*i as usize];
                d * (g + 0.5 * l * d)
            };
            let model: f64 = block.iter().zip(&g).zip(&y).map(one).sum();
            let allowed = model + stand.penalty_change(block, &y);
            if change <= allowed + allowed.abs() * f64::EPSILON * 8.0 {
                block.iter().for_each(|i| self.constants[*i as usize] = l);
                return stand.take(block, &y, change);
            }
            l *= 2.0;
        }
        Ok(Moved::NOT)
    }
}

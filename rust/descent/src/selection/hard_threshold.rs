//! GSQ on free blocks: the `size` variables whose block step makes the most progress,
//!
//! ```text
//! max over blocks b of  g_b' H_bb^-1 g_b / 2  =  -min { g'd + d'H d / 2 : |d|_0 <= size },
//! ```
//!
//! an NP-hard problem, approximated by iterative hard thresholding (arXiv 1712.08859, section
//! 3.3): `d <- keep_size(d - (g + H d) / lambda_max(H))`.
//!
//! What we changed, and why: the iteration starts from the step of GSD, which it can only improve,
//! and not from `+g / sqrt(L)`; and of the blocks of both ends the one with the better exact
//! progress is taken, so that this rule is never behind GSD.

use sparrot_foundation::Error;

use super::score::Score;
use super::{At, Rule, Selection};
use crate::dense::Symmetric;
use crate::problem::Smooth;

/// Iterations of thresholding.
const ITERATIONS: usize = 10;
/// It stops at changes below this share of the step.
const SETTLED: f64 = 1e-10;
/// Power iterations for the largest eigenvalue.
const POWER_ITERATIONS: usize = 60;
/// They end a little below it.
const MARGIN: f64 = 1.05;

/// The rule.
pub struct HardThreshold {
    size: usize,
    score: Score,
    /// 1 / lambda_max(H).
    step: f64,
}

impl HardThreshold {
    /// A rule for blocks of `size` variables.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(size: usize, at: &mut At<'_>) -> Result<HardThreshold, Error> {
        let n = at.problem.size();
        let mut v: Vec<f64> = at.problem.lipschitz().iter().map(|l| l.sqrt()).collect();
        let mut image = vec![0.0; n];
        let mut largest = 0.0;
        for _ in 0..POWER_ITERATIONS {
            let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            if norm == 0.0 {
                break;
            }
            v.iter_mut().for_each(|v| *v /= norm);
            at.problem.bound_product(&v, &mut image, at.work)?;
            largest = v.iter().zip(&image).map(|(a, b)| a * b).sum();
            v.copy_from_slice(&image);
        }
        let step = if largest > 0.0 { 1.0 / (MARGIN * largest) } else { 0.0 };
        let score = Score::new(Selection::Gsd, at.problem);
        Ok(HardThreshold { size: size.min(n), score, step })
    }
}

impl Rule for HardThreshold {
    fn needs_gradient(&self) -> bool {
        true
    }

    fn choose(&mut self, at: &mut At<'_>, block: &mut Vec<u32>) -> Result<Option<usize>, Error> {
        let g = at.problem.gradient(at.work)?.to_vec();
        let scores: Vec<f64> =
            (0..g.len()).map(|i| self.score.of(i, at.x[i], g[i], at.penalty)).collect();
        let start = largest(&scores, self.size);
        let mut d = vec![0.0; g.len()];
        for i in start.iter().map(|i| *i as usize) {
            let l = at.problem.lipschitz()[i];
            d[i] = if l > 0.0 { -g[i] / l } else { 0.0 };
        }
        let mut kept = start.clone();
        let mut image = vec![0.0; g.len()];
        for _ in 0..ITERATIONS {
            at.problem.bound_product(&d, &mut image, at.work)?;
            let moved: Vec<f64> =
                (0..g.len()).map(|i| d[i] - self.step * (g[i] + image[i])).collect();
            let sizes: Vec<f64> = moved.iter().map(|d| d.abs()).collect();
            kept = largest(&sizes, self.size);
            let mut next = vec![0.0; g.len()];
            kept.iter().for_each(|i| next[*i as usize] = moved[*i as usize]);
            let change: f64 = next.iter().zip(&d).map(|(a, b)| (a - b).powi(2)).sum();
            let norm: f64 = next.iter().map(|d| d * d).sum();
            d = next;
            if change <= SETTLED * SETTLED * norm {
                break;
            }
        }
        let progress = |block: &[u32]| block_progress(at.problem, block, &g, at.work);
        let is_better = progress(&kept)? > progress(&start)?;
        *block = if is_better { kept } else { start };
        Ok(None)
    }
}

/// `g_b' H_bb^-1 g_b`.
fn block_progress(
    problem: &dyn Smooth,
    block: &[u32],
    g: &[f64],
    work: crate::problem::Work<'_>,
) -> Result<f64, Error> {
    let mut bound = Symmetric::default();
    problem.bound(block, &mut bound, work)?;
    let of_block: Vec<f64> = block.iter().map(|i| g[*i as usize]).collect();
    let mut solution = of_block.clone();
    bound.solve(&mut solution);
    Ok(solution.iter().zip(&of_block).map(|(d, g)| d * g).sum())
}

/// The indices of the `count` largest values, of equals the first.
fn largest(values: &[f64], count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    let better =
        |i: &u32, j: &u32| values[*j as usize].total_cmp(&values[*i as usize]).then(i.cmp(j));
    if count < order.len() {
        order.select_nth_unstable_by(count, better);
        order.truncate(count);
    }
    order.sort_unstable();
    order
}

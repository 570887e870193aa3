//! GSQ on free blocks: the `size` variables whose block step makes the most progress,
//!
//! ```text
//! max over blocks b of  g_b' H_bb^-1 g_b / 2  =  -min { g'd + d'H d / 2 : |d|_0 <= size },
//! ```
//!
//! an NP-hard problem, approximated by iterative hard thresholding (arXiv 1712.08859, section
//! 3.3): `d <- keep_size(d - mu (g + H d))`.
//!
//! What we changed, and why: the iteration starts from the block of GSD and not from `+g / sqrt(L)`;
//! it moves from the exact minimum over the block that it has (hard thresholding pursuit, Foucart
//! 2011) and in units in which H has the diagonal 1, so that badly scaled variables do not shorten
//! everybody's step; and of all blocks met the one with the best exact progress is taken, so that
//! this rule is never behind GSD.

use sparrot_foundation::Error;

use super::score::Score;
use super::{At, Rule, Selection};
use crate::dense::Symmetric;

/// Iterations of thresholding.
const ITERATIONS: usize = 10;

/// The rule.
pub struct HardThreshold {
    size: usize,
    score: Score,
}

impl HardThreshold {
    /// A rule for blocks of `size` variables.
    pub fn new(size: usize, at: &mut At<'_>) -> HardThreshold {
        let score = Score::new(Selection::Gsd, at.problem);
        HardThreshold { size: size.min(at.problem.size()), score }
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
        let roots: Vec<f64> = at.problem.lipschitz().iter().map(|l| l.sqrt()).collect();
        let mut kept = largest(&scores, self.size);
        let mut met: Vec<Vec<u32>> = vec![];
        let mut best = f64::NEG_INFINITY;
        let (mut bound, mut image) = (Symmetric::default(), vec![0.0; g.len()]);
        for _ in 0..ITERATIONS {
            at.problem.bound(&kept, &mut bound, at.work)?;
            let mut step: Vec<f64> = kept.iter().map(|i| -g[*i as usize]).collect();
            bound.solve(&mut step);
            let progress: f64 = kept.iter().zip(&step).map(|(i, d)| -g[*i as usize] * d).sum();
            if progress > best {
                best = progress;
                block.clone_from(&kept);
            }
            let mut d = vec![0.0; g.len()];
            kept.iter().zip(&step).for_each(|(i, step)| d[*i as usize] = *step);
            at.problem.bound_product(&d, &mut image, at.work)?;
            let moved = |i: usize| match roots[i] {
                0.0 => 0.0,
                root => (d[i] * root - (g[i] + image[i]) / root).abs(),
            };
            let sizes: Vec<f64> = (0..g.len()).map(moved).collect();
            met.push(std::mem::replace(&mut kept, largest(&sizes, self.size)));
            if met.contains(&kept) {
                break;
            }
        }
        Ok(None)
    }
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

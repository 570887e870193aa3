//! The problem, and a first look at its data.

use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::reduce;

use crate::geometry::Cost;
use crate::relaxation::Relaxation;

/// `minimise <C, P> + reg sum P log P` over plans with marginals `a`, `b` (equation 1), or over any
/// plans, with a price on missing them.
///
/// Weights are finite and non-negative, and of equal mass if both marginals are fixed: the caller has
/// seen to that.
#[derive(Clone, Copy)]
pub struct Problem<'a> {
    /// The cost matrix, by rows.
    pub cost: &'a dyn Cost,
    /// Weights of the rows.
    pub a: &'a [f64],
    /// Weights of the columns.
    pub b: &'a [f64],
    /// The regularisation, in the units of the cost.
    pub reg: f64,
    /// What the rows and the columns are called in messages.
    pub sides: [&'static str; 2],
    /// The prices of missing the marginals; without them, both are fixed.
    pub relaxation: Option<Relaxation<'a>>,
}

/// The names of rows and columns, where they are what the user calls so.
pub const SIDES: [&str; 2] = ["row", "column"];

impl Problem<'_> {
    /// The total mass.
    pub fn mass(&self) -> f64 {
        reduce::sum(self.a)
    }

    /// Writes row i of `c = C / reg`.
    pub fn scaled_row(&self, i: usize, out: &mut [f64]) {
        self.cost.scaled_row(i, 1.0 / self.reg, out);
    }
}

/// What an n x m pass costs, roughly, in nanoseconds: what decides whether helpers are woken.
#[derive(Clone, Copy, Debug)]
pub enum Pass {
    /// With an exponential for every entry.
    Exp,
    /// Reading every entry.
    Read,
}

impl Pass {
    /// The nanoseconds for n x m entries.
    pub fn cost(self, n: usize, m: usize) -> usize {
        let entries = n.saturating_mul(m);
        match self {
            Pass::Exp => entries.saturating_mul(2),
            Pass::Read => entries / 2,
        }
    }
}

/// What the one large array of a solve is called when it cannot be had.
pub const PLAN: &str = "the transport plan";

/// The rows of an n x m pass, cut into blocks. The cut depends on the shape alone, so that sums
/// over blocks have the same bits for any number of threads; a block is worth waking a thread for.
pub fn row_blocks(n: usize, m: usize) -> usize {
    const ENTRIES: usize = 32 * 1024;
    const MOST: usize = 64;
    let blocks = (n.saturating_mul(m) / ENTRIES).clamp(1, MOST);
    // A multiple of four, the number of rows that a sweep reads together.
    n.div_ceil(blocks).next_multiple_of(4).max(4)
}

/// What a first pass over the costs finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Survey {
    /// The smallest finite cost (`+inf` if there is none).
    pub min: f64,
    /// The largest finite cost (`-inf` if there is none).
    pub max: f64,
    /// The mean of the finite costs, each weighted by `a_i b_j` (NaN if there is none).
    pub mean: f64,
    /// The first entry that is NaN or `-inf`, in row order: (row, column, value).
    pub not_a_cost: Option<(usize, usize, f64)>,
}

impl Survey {
    /// The largest finite cost less the smallest; 0 if there is none.
    pub fn range(&self) -> f64 {
        (self.max - self.min).max(0.0)
    }
}

/// Looks at every cost once. `stores_plan` says that the solve to come will store the whole plan.
///
/// # Errors
/// [`Error::OutOfMemory`] if a solve could not have its plan: better known before the costs are
/// read. [`Error::Interrupted`].
pub fn survey(
    cost: &dyn Cost,
    [a, b]: [&[f64]; 2],
    stores_plan: bool,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Survey, Error> {
    let (n, m) = cost.shape();
    if stores_plan {
        memory::check(PLAN, n, m)?;
    }
    let rows = row_blocks(n, m);
    let blocks: Vec<usize> = (0..n).step_by(rows).collect();
    let total_b = reduce::sum(b);
    let found = team.for_work(Pass::Read.cost(n, m)).run(stop, blocks, |first| {
        let mut row = vec![0.0; m];
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut sum, mut weight) = (0.0, 0.0);
        let mut not_a_cost = None;
        for (i, weight_a) in a.iter().enumerate().skip(first).take(rows) {
            cost.scaled_row(i, 1.0, &mut row);
            let (mut row_sum, mut row_weight) = (0.0, 0.0);
            let [least, most, product] = reduce::extremes_and_dot(&row, b);
            if product.is_finite() {
                (min, max) = (min.min(least), max.max(most));
                (row_sum, row_weight) = (product, total_b);
            } else {
                for (j, (&c, &b)) in row.iter().zip(b).enumerate() {
                    if c.is_finite() {
                        max = max.max(c);
                        min = min.min(c);
                        row_sum += c * b;
                        row_weight += b;
                    } else if c != f64::INFINITY && not_a_cost.is_none() {
                        not_a_cost = Some((i, j, c));
                    }
                }
            }
            sum += weight_a * row_sum;
            weight += weight_a * row_weight;
        }
        (min, max, sum, weight, not_a_cost)
    })?;
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut survey =
        Survey { min: f64::INFINITY, max: f64::NEG_INFINITY, mean: f64::NAN, not_a_cost: None };
    for (block_min, block_max, block_sum, block_weight, not_a_cost) in found {
        survey.min = survey.min.min(block_min);
        survey.max = survey.max.max(block_max);
        sum += block_sum;
        weight += block_weight;
        survey.not_a_cost = survey.not_a_cost.or(not_a_cost);
    }
    survey.mean = sum / weight;
    Ok(survey)
}

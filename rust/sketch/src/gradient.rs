//! One pass for the residual and the gradient at given coefficients, to twice the working precision.
//!
//! ```text
//! r = b - A x - c          g = [A'W r;  1'W r]
//! ```
//!
//! x and c are unevaluated sums `high + low`, and so is everything on the way ([`twofold`]). What is
//! returned is wrong by at most [`residual_error`] and [`gradient_error`].

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::twofold;

use crate::model::{Problem, slabs};
use crate::rows::ahead;

/// Rows that are read at a time.
const BLOCK: usize = 128;
/// Rows whose gradient is summed without renormalisation.
const LOCAL: usize = 16;
/// Blocks whose gradients are added up before they are added to others.
const GROUP: usize = 32;
/// Half a unit in the last place of 1.
pub const U: f64 = f64::EPSILON / 2.0;

/// Coefficients of one right-hand side, the intercept last if there is one.
#[derive(Clone, Debug, Default)]
pub struct Twofold {
    /// Rounded.
    pub high: Vec<f64>,
    /// The rest.
    pub low: Vec<f64>,
}

impl Twofold {
    /// 0.
    pub fn zeros(count: usize) -> Twofold {
        Twofold { high: vec![0.0; count], low: vec![0.0; count] }
    }

    /// Back to 0.
    pub fn clear(&mut self) {
        self.high.fill(0.0);
        self.low.fill(0.0);
    }

    /// One of them.
    pub fn at(&self, j: usize) -> (f64, f64) {
        (self.high[j], self.low[j])
    }

    /// Adds others, one by one.
    pub fn add_all(&mut self, other: &Twofold) {
        twofold::add(&other.high, &other.low, &mut self.high, &mut self.low);
    }

    /// Adds to one of them.
    pub fn add(&mut self, j: usize, other: (f64, f64)) {
        (self.high[j], self.low[j]) = twofold::sum(self.at(j), other);
    }
}

/// For one right-hand side.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// g.
    pub g: Twofold,
    /// `|sqrt(W) r|^2`, in plain arithmetic.
    pub residual: f64,
    /// `|sqrt(W) b|^2`, likewise.
    pub target: f64,
}

impl Gradient {
    /// Adds that of other rows.
    fn add(&mut self, other: &Gradient) {
        self.g.add_all(&other.g);
        self.residual += other.residual;
        self.target += other.target;
    }
}

/// What a look at some of the rows has found; looks at others can be merged.
#[derive(Clone, Debug)]
pub struct Look {
    /// For each right-hand side.
    pub all: Vec<Gradient>,
    /// As [`gradient_error`]: merging keeps that, by Cauchy's inequality, but for the sum.
    pub error: f64,
    /// Rows.
    pub rows: u64,
}

impl Look {
    /// At x, through the rows of a problem.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(
        problem: &Problem<'_>,
        x: &[Twofold],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Look, Error> {
        let (n, k) = (problem.a.rows(), problem.targets);
        let p = problem.a.columns() + usize::from(problem.intercept);
        let all = gradients(problem, x, team, stop)?;
        Ok(Look { all, error: gradient_error(n, p * k), rows: n as u64 })
    }

    /// Adds what was found at the same x through other rows.
    pub fn merge(&mut self, other: &Look) {
        for (sum, part) in self.all.iter_mut().zip(&other.all) {
            sum.add(part);
        }
        self.error = self.error.max(other.error) + 4.0 * U * U;
        self.rows += other.rows;
    }
}

/// A residual is wrong by at most this times `|b_i| + sum_j |a_ij x_j| + |c|`, for p unknowns: each of at
/// least 4 lanes sums its share of m terms, wrong by `(m + 4)^2 u^2 / 2`; at most 8 of them and two more
/// numbers are added up, each time wrong by `4 u^2`.
pub fn residual_error(p: usize) -> f64 {
    (((p.div_ceil(4) + 6) as f64).powi(2) + 64.0) * U * U
}

/// An entry of the gradient is wrong by at most this times `sum_i w_i |a_ij r_i|` (and `ridge |x_j|`),
/// besides what the residuals are wrong by.
/// Sums of LOCAL rows, wrong by `(LOCAL + 4)^2 u^2 / 2`, are added up within a block, those of blocks within
/// a group, those of groups within a slab, those of slabs, each time wrong by `4 u^2`; for an intercept the rows of a block are; and there
/// are weights, the ridge and the shift. `sum` as for [`slabs`].
pub fn gradient_error(n: usize, sum: usize) -> f64 {
    let slabs = slabs(n, sum);
    let blocks = slabs.first().map_or(0, |slab| slab.len().div_ceil(BLOCK));
    let block = ((LOCAL + 4).pow(2) / 2 + 4 * BLOCK / LOCAL).max(4 * BLOCK);
    let groups = blocks.div_ceil(GROUP);
    (block + 4 * (GROUP.min(blocks) + groups + slabs.len()) + 64) as f64 * U * U
}

/// The part `q` of so many.
fn part(values: &[f64], q: usize, parts: usize) -> &[f64] {
    let at = |q: usize| q.min(parts) * values.len() / parts;
    &values[at(q)..at(q + 1)]
}

/// Of each right-hand side.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn gradients(
    problem: &Problem<'_>,
    x: &[Twofold],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<Gradient>, Error> {
    let (n, d, k) = (problem.a.rows(), problem.a.columns(), problem.targets);
    let p = d + usize::from(problem.intercept);
    let zero = || Gradient { g: Twofold::zeros(p), residual: 0.0, target: 0.0 };
    let work = n * d * (1 + 3 * k);
    let parts = team.for_work(work).run(stop, slabs(n, p * k), |slab| {
        let mut all: Vec<Gradient> = (0..k).map(|_| zero()).collect();
        let mut room = vec![0.0; BLOCK * d];
        let (mut local, mut partial) = (Twofold::zeros(d), Twofold::zeros(p));
        let mut groups: Vec<Twofold> = (0..k).map(|_| Twofold::zeros(p)).collect();
        for (number, first) in slab.clone().step_by(BLOCK).enumerate() {
            stop.poll()?;
            let count = BLOCK.min(slab.end - first);
            let ends = (number + 1) % GROUP == 0 || first + count == slab.end;
            let block = &mut room[..count * d];
            problem.a.fill(first, 0..d, block);
            let next = ahead(problem.a, first + BLOCK, BLOCK, slab.end);
            let (soon, later) = next.split_at(next.len() / 2);
            for (t, (sum, x)) in all.iter_mut().zip(x).enumerate() {
                let mut r = Twofold::zeros(count);
                let c = if problem.intercept { x.at(d) } else { (0.0, 0.0) };
                for i in 0..count {
                    let b = problem.b[(first + i) * k + t];
                    (r.high[i], r.low[i]) = twofold::sum((b, 0.0), (-c.0, -c.1));
                }
                twofold::subtract_products(
                    block,
                    &x.high[..d],
                    &x.low[..d],
                    &mut r.high,
                    &mut r.low,
                    soon,
                );
                for i in 0..count {
                    let (b, w) = (
                        problem.b[(first + i) * k + t],
                        problem.weights.map_or(1.0, |w| w[first + i]),
                    );
                    let root = w.sqrt(); // first, so that no weight raises what underflows
                    sum.residual += (root * r.high[i]).powi(2);
                    sum.target += (root * b).powi(2);
                    if problem.weights.is_some() {
                        (r.high[i], r.low[i]) = twofold::multiple(r.at(i), w);
                    }
                    if problem.intercept {
                        partial.add(d, r.at(i));
                    }
                }
                let parts = r.high.chunks(LOCAL).zip(r.low.chunks(LOCAL));
                let later = (0..).map(|q| part(later, q, BLOCK / LOCAL));
                for ((block, (r, r_low)), next) in block.chunks(LOCAL * d).zip(parts).zip(later) {
                    local.clear();
                    let (high, low) = (&mut local.high, &mut local.low);
                    twofold::add_transposed(block, r, r_low, high, low, next);
                    let (high, low) = (&mut partial.high[..d], &mut partial.low[..d]);
                    twofold::add(&local.high, &local.low, high, low);
                }
                groups[t].add_all(&partial);
                partial.clear();
                if ends {
                    sum.g.add_all(&groups[t]);
                    groups[t].clear();
                }
            }
        }
        Ok(all)
    })?;
    let mut all: Vec<Gradient> = (0..k).map(|_| zero()).collect();
    for part in parts {
        for (sum, part) in all.iter_mut().zip(part?) {
            sum.add(&part);
        }
    }
    Ok(all)
}

//! Truncated Newton steps on the semi-dual.
//!
//! With rows exact (`u_i = a_i / (T v)_i`) the dual is a concave function of the columns alone, in
//! `x = change of log v`:
//!
//! ```text
//! gain(x) = sum_j b_j x_j + sum_i a_i log(u_i after / u_i before),   gradient = b - P' 1
//! ```
//!
//! (where marginals are not fixed, [`crate::relaxation::gain`] and targets in the place of weights).
//!
//! It is finite for every `x`, so that a trial point cannot overflow, and a trial costs one sweep
//! of the stored plan and no exponential.
//!
//! * **Matrix** ([`crate::equations`]): entries of the plan of at least `theta a_i / m` of their
//!   row, `theta` tied to the error so that convergence stays fast; the mass left out goes back on
//!   the diagonal, as much of it as the distance to the solution allows. A plan too dense for that
//!   is used as it is stored.
//! * **Precision**: the equations are solved to a share of the error that shrinks with it.
//! * **Safeguard**: Armijo's condition on the gain, computed as a sum of small numbers, or half
//!   the error; Levenberg's shift of the diagonal after a step that failed or had to be shortened.

use sparrot_foundation::Error;
use sparrot_simd::reduce;

use crate::equations::{Equations, Sides, Solver};
use crate::kernel::Kernel;
use crate::relaxation::gain;
use crate::run::Run;
use crate::scalings::Scalings;
use crate::sparsify::Csr;

/// The mass of a row that may be left out of the matrix, as a share of the error, and at most.
const LEFT_OUT: f64 = 0.03;
const LEFT_OUT_AT_MOST: f64 = 3e-3;

/// Of the mass left out, what goes back on the diagonal: all of it while the error is above
/// `NEAR`, where it keeps steps short, little of it below, where it would slow convergence down.
const RETURNED: [f64; 2] = [1.0, 0.05];
const NEAR: f64 = 1e-3;

/// What is always added to the diagonal, as a share: `S` is singular along ones.
const SHIFT: f64 = 1e-13;

/// The matrix is kept sparse up to this share of the plan: the time per entry is that much longer.
const SPARSE_UP_TO: f64 = 0.15;

/// Entries of at least this share of their row are what a dense plan's factor is made from.
const STRONG: f64 = 1e-3;

/// Trials of a line search at most, what each is shorter by, and the share of the predicted gain
/// that it must bring.
const TRIALS: usize = 14;
const SHORTER: f64 = 0.3;
const ARMIJO: f64 = 1e-4;

/// A change of `log v` beyond this is not tried.
const LONGEST: f64 = 200.0;

/// What one step hands to the next.
#[derive(Default)]
pub struct Newton {
    is_under_way: bool,
    damping: f64,
    solver: Solver,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Whether the scalings have been moved.
    pub accepted: bool,
    /// The entries of the plan that the matrix had.
    pub nnz: usize,
}

impl Newton {
    /// Whether the last step was accepted.
    pub fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// One step from `scalings`, whose rows are exact and whose marginal error is `error`, on the
    /// way to `target` (both relative).
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn step<K: Kernel>(
        &mut self,
        run: &mut Run<'_>,
        gibbs: &mut K,
        scalings: &mut Scalings,
        error: f64,
        target: f64,
    ) -> Result<Step, Error> {
        let columns: Vec<f64> = scalings.acc.iter().zip(&scalings.v).map(|(c, v)| c * v).collect();
        let targets = scalings.column_targets();
        let gradient: Vec<f64> = targets.iter().zip(&columns).map(|(b, c)| b - c).collect();
        let precision = (0.5 * error).min(0.1).max(0.2 * target / error);
        let goal = precision * error * scalings.mass();
        let sides = Sides { targets: &targets, columns: &columns, slack: scalings.slack };
        let shift = SHIFT + self.damping;

        let left_out = (LEFT_OUT * error).min(LEFT_OUT_AT_MOST);
        let share = left_out / targets.len() as f64;
        let (direction, nnz);
        let least = |i: usize| threshold(scalings, share, i);
        if gibbs.few_above(&scalings.v, &least, SPARSE_UP_TO) {
            let plan = entries_above(run, gibbs, scalings, share)?;
            let returned = RETURNED[usize::from(error <= NEAR)];
            let mut equations = Equations::<K>::kept(&plan, &sides, returned, shift);
            direction = self.solver.solve(&mut equations, &gradient, goal, None, run)?;
            nnz = plan.nnz();
        } else {
            let strong = if self.solver.wants_factor() {
                Some(entries_above(run, gibbs, scalings, STRONG)?)
            } else {
                None
            };
            nnz = gibbs.stored();
            let mut equations = Equations::whole(gibbs, scalings, &sides, shift);
            direction = self.solver.solve(&mut equations, &gradient, goal, strong.as_ref(), run)?;
        }
        let length = search(run, gibbs, scalings, &gradient, &direction, error)?;
        self.damping = match length {
            None => (10.0 * self.damping).max(1e-4),
            Some(1.0) if self.damping < 1e-11 => 0.0,
            Some(1.0) => 0.2 * self.damping,
            Some(_) => (4.0 * self.damping).max(1e-7),
        };
        self.is_under_way = length.is_some();
        Ok(Step { accepted: length.is_some(), nnz })
    }
}

/// Moves the scalings along `x` as far as it helps; returns how far.
fn search<K: Kernel>(
    run: &Run<'_>,
    gibbs: &mut K,
    scalings: &mut Scalings,
    gradient: &[f64],
    x: &[f64],
    error: f64,
) -> Result<Option<f64>, Error> {
    let [row_slack, column_slack] = scalings.slack;
    let targets = scalings.column_targets();
    let weighted = x.iter().zip(&targets).filter(|(_, b)| **b > 0.0);
    let longest = weighted.fold(0.0f64, |most, (x, _)| most.max(x.abs()));
    let slope = reduce::dot(gradient, x);
    let mut length = if longest > LONGEST { LONGEST / longest } else { 1.0 };
    for _ in 0..TRIALS {
        let mut trial = scalings.clone();
        for (v, x) in trial.v.iter_mut().zip(x) {
            *v *= (length * x).exp();
        }
        trial.sweep(run, gibbs)?;
        let tau = trial.tau - scalings.tau;
        let error_now = trial.error();
        let of_columns: f64 = (x.iter().zip(&targets))
            .map(|(x, target)| gain(column_slack, *target, length * x + tau))
            .sum();
        let (mut gained, mut size) = (of_columns, of_columns.abs());
        for (i, (now, before)) in trial.u.iter().zip(&scalings.u).enumerate() {
            let target = scalings.row_target(i);
            if target > 0.0 {
                let part = (1.0 + row_slack) * gain(row_slack, target, (now / before).ln() - tau);
                gained += part;
                size += part.abs();
            }
        }
        let rounding = 4.0 * f64::EPSILON * size;
        let enough = gained >= ARMIJO * length * slope && gained > rounding;
        let closer = error_now < 0.5 * error || (gained >= -rounding && error_now < error);
        if error_now.is_finite() && (enough || closer) {
            *scalings = trial;
            return Ok(Some(length));
        }
        length *= SHORTER;
    }
    Ok(None)
}

/// What an entry of row i of `T diag(v)` must exceed to be that share of the row of the plan.
fn threshold(scalings: &Scalings, share: f64, i: usize) -> f64 {
    let weight = scalings.row_target(i);
    if weight > 0.0 { share * weight / scalings.u[i] } else { f64::INFINITY }
}

/// The entries of the plan above that share of their row.
fn entries_above<K: Kernel>(
    run: &Run<'_>,
    gibbs: &K,
    scalings: &Scalings,
    share: f64,
) -> Result<Csr, Error> {
    let least = |i: usize| threshold(scalings, share, i);
    let mut kept = gibbs.above(&scalings.v, &least, run.team, run.stop)?;
    for (i, row) in kept.starts.windows(2).enumerate() {
        kept.values[row[0]..row[1]].iter_mut().for_each(|value| *value *= scalings.u[i]);
    }
    Ok(kept)
}

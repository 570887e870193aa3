//! One level of regularisation: sweeps, and Newton steps where sweeps would take long.
//!
//! 1. one pass of exponentials stores the plan of the column potentials with exact rows;
//! 2. accelerated sweeps ([`crate::acceleration`]), whose rate tells after a few of them how many
//!    more it would take;
//! 3. where that is many, Newton steps ([`crate::newton`]);
//! 4. large scalings are absorbed, which leads back to 1.

use sparrot_foundation::{Error, Status};

use crate::acceleration::Acceleration;
use crate::kernel::Kernel;
use crate::log_domain;
use crate::newton::Newton;
use crate::problem::Problem;
use crate::relaxation::COLUMNS;
use crate::run::{Phase, Run};
use crate::scalings::Scalings;
use crate::sinkhorn::holds_mass;

/// Sweeps by which their rate is judged, and the number still needed that makes Newton steps worth
/// it.
const JUDGED_BY: usize = 4;
const MANY: f64 = 12.0;

/// Steps that bring the error down by less than a tenth after which a level is given up.
const GIVEN_UP_AFTER: usize = 200;

/// Newton steps that bring the error down by less than a tenth, in a row, after which some sweeps
/// may find a better place to go on from.
const SLOW_STEPS: usize = 3;

/// Steps without a smaller error, once it is small, that end the level.
const PATIENCE: usize = 100;

/// The factor, as a logarithm, from which on a column's being wrong is not due to rounding, however
/// small its share of the error: its potential has far to go, and gets on by little in each step.
const CREEPS: f64 = 1e-3;

/// The share of the mass that a column may be without.
const NEXT_TO_NOTHING: f64 = 1e-20;

/// The factor, as a logarithm, by which the mass of a plan may be off without loss.
const FAR_OFF: f64 = 20.0;

/// How a level ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// At the target.
    Done,
    /// The type of the stored plan allows no more.
    Rounding,
    /// Neither sweeps nor Newton steps get anywhere: mass has to move between parts of the plan
    /// that hardly anything joins, which is easier at a larger regularisation.
    Stuck,
    /// The run is over for another reason.
    Stopped(Status),
}

/// Iterates at the run's regularisation until the marginal error is at most `target`. The
/// potentials are then up to date; the stored plan is not. `newton` is from an earlier solve of
/// this level, if there was one; `is_last` says that this is the problem asked for, whose dual value
/// is recorded.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::Infeasible`].
pub fn solve<K: Kernel>(
    run: &mut Run<'_>,
    gibbs: &mut K,
    newton: &mut Newton,
    target: f64,
    is_last: bool,
) -> Result<Outcome, Error> {
    let mut scalings = Scalings::new(run.phi.len(), run.psi.len());
    let mut acceleration = Acceleration::default();
    let (mut best, mut since_best) = (f64::INFINITY, 0);
    let mut since_progress = 0;
    let mut rate = if newton.is_under_way() { Rate::SLOW } else { Rate::default() };
    loop {
        if !store(run, gibbs)? {
            return Ok(Outcome::Rounding);
        }
        scalings.reset(run, gibbs);
        acceleration.forget();
        let mut error = scalings.error();
        let mut slow_steps = 0;
        loop {
            let before = error;
            let (phase, nnz) = if rate.needed(error, target) <= MANY {
                error = acceleration.sweep(run, gibbs, &mut scalings, error)?;
                (Phase::Sinkhorn, gibbs.stored())
            } else {
                acceleration.forget();
                let step = newton.step(run, gibbs, &mut scalings, error, target)?;
                run.newton_steps += 1;
                if !step.accepted {
                    rate = Rate::default();
                }
                error = scalings.error();
                (Phase::Newton, step.nnz)
            };
            run.iteration += 1;
            if phase == Phase::Sinkhorn {
                rate.after(error);
            } else {
                slow_steps = if error > 0.9 * before { slow_steps + 1 } else { 0 };
                if slow_steps >= SLOW_STEPS {
                    (rate, slow_steps) = (Rate::default(), 0);
                }
            }
            if error.is_nan() || !scalings.are_moderate() {
                break;
            }
            let is_due = run.iteration.is_multiple_of(run.record_every);
            if phase == Phase::Newton || is_due || error <= target {
                // The dual value of another regularisation would mislead.
                let objective = if is_last { run.dual_value_with(&scalings) } else { f64::NAN };
                if let Some(status) = run.record(phase, error, objective, nnz)? {
                    scalings.absorb(run);
                    return Ok(Outcome::Stopped(status));
                }
            }
            if error < 0.9 * best {
                (best, since_best) = (error, 0);
            } else if phase == Phase::Newton || error >= before {
                since_best += 1; // sweeps may be slow, but where rounding permits they get closer
            }
            since_progress = if since_best == 0 { 0 } else { since_progress + 1 };
            let outcome = if error <= target {
                Outcome::Done
            } else if since_best > PATIENCE
                && best < K::ROUNDING_SHOWS_BELOW
                && scalings.farthest_column() < CREEPS
            {
                Outcome::Rounding
            } else if since_progress > GIVEN_UP_AFTER && newton.is_under_way() {
                Outcome::Stuck
            } else if run.iteration >= run.max_iter {
                Outcome::Stopped(Status::MaxIter)
            } else {
                continue;
            };
            scalings.absorb(run);
            return Ok(outcome);
        }
        scalings.absorb(run);
        rate = Rate::default();
        // Also where every sweep has to be absorbed somebody must look at the clock.
        let error = if error.is_nan() { f64::INFINITY } else { error };
        if let Some(status) = run.record(Phase::Sinkhorn, error, f64::NAN, gibbs.stored())? {
            return Ok(Outcome::Stopped(status));
        }
        if run.iteration >= run.max_iter {
            return Ok(Outcome::Stopped(Status::MaxIter));
        }
    }
}

/// Stores the plan with exact rows; whether every column that should have mass has some.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::Infeasible`].
pub fn store<K: Kernel>(run: &mut Run<'_>, gibbs: &mut K) -> Result<bool, Error> {
    fill(run, gibbs)?;
    if has_columns(&run.problem, gibbs, &run.psi) {
        return Ok(true);
    }
    log_domain::update_columns(&run.problem, &run.phi, &mut run.psi, run.team, run.stop)?;
    fill(run, gibbs)?;
    Ok(has_columns(&run.problem, gibbs, &run.psi))
}

/// Stores the plan with exact rows, and about the mass that it should have.
fn fill<K: Kernel>(run: &mut Run<'_>, gibbs: &mut K) -> Result<(), Error> {
    let (team, stop) = (run.team, run.stop);
    gibbs.fill_exact_rows(&run.problem, &mut run.phi, &run.psi, team, stop)?;
    let (tau, change) = run.problem.best_translation(&run.phi, &run.psi);
    if change.abs() > FAR_OFF {
        run.problem.translate(tau);
        gibbs.fill_exact_rows(&run.problem, &mut run.phi, &run.psi, team, stop)?;
    }
    Ok(())
}

fn has_columns<K: Kernel>(problem: &Problem<'_>, gibbs: &K, psi: &[f64]) -> bool {
    let sums = gibbs.column_sums();
    if problem.slack(COLUMNS) == 0.0 {
        return holds_mass(sums, problem.b, K::LEAST_MASS);
    }
    // Where a column may be missed, hardly any mass may be what it should have.
    let total: f64 = sums.iter().sum();
    sums.iter().zip(psi).enumerate().all(|(j, (sum, psi))| {
        let target = problem.target(COLUMNS, j, *psi);
        *sum > K::LEAST_MASS * target || target <= NEXT_TO_NOTHING * total
    })
}

/// How fast sweeps converge.
#[derive(Default)]
struct Rate {
    first: f64,
    sweeps: usize,
    needed: f64,
}

impl Rate {
    /// Where sweeps have been found to be slow before.
    const SLOW: Rate = Rate { first: 0.0, sweeps: 0, needed: f64::INFINITY };

    fn after(&mut self, error: f64) {
        if self.sweeps == 0 {
            self.first = error;
        }
        self.sweeps += 1;
    }

    /// The sweeps still needed from `error` to `target`; 0 until there is something to judge by.
    fn needed(&mut self, error: f64, target: f64) -> f64 {
        if self.sweeps > JUDGED_BY {
            let rate = (error / self.first).ln() / JUDGED_BY as f64;
            self.needed = if rate < 0.0 { (target / error).ln() / rate } else { f64::INFINITY };
            if self.needed <= MANY {
                *self = Rate { first: error, sweeps: 1, needed: self.needed };
            }
        }
        self.needed
    }
}

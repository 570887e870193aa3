//! The method "auto": the regularisation is lowered in steps; at each, sweeps, then Newton steps.
//!
//! One level of regularisation:
//!
//! 1. one pass of exponentials stores the plan of the column potentials with exact rows;
//! 2. sweeps ([`crate::scalings`]), whose rate tells after a few of them how many more it would
//!    take;
//! 3. where that is many, Newton steps ([`crate::newton`]);
//! 4. large scalings are absorbed, which leads back to 1.
//!
//! All but the last level end at a marginal error of 1 %: their potentials are only a start for the
//! next, extrapolated along a line through the last two levels.

use sparrot_foundation::{Error, Status};

use crate::gibbs::Gibbs;
use crate::log_domain;
use crate::newton::Newton;
use crate::run::{Ended, Phase, ROUNDING_SHOWS_BELOW, Run};
use crate::scalings::Scalings;
use crate::sinkhorn::holds_mass;

/// The first level, as a share of the range of the costs, and the largest regularisation that
/// starts at itself.
const START: f64 = 0.05;
const DIRECT: f64 = 0.02;

/// What the regularisation is multiplied by from level to level.
const FACTOR: f64 = 0.2;

/// From this marginal error on potentials are too far off to start with the last level.
const FAR: f64 = 0.5;

/// The marginal error at which all levels but the last end.
const LOOSE: f64 = 0.01;

/// Sweeps by which their rate is judged, and the number still needed that makes Newton steps worth
/// it.
const JUDGED_BY: usize = 4;
const MANY: f64 = 25.0;

/// Steps without a smaller error, once it is small, that end the run.
const PATIENCE: usize = 20;

/// The last two levels that were solved, with the column potentials in the units of the cost.
#[derive(Default)]
pub struct Annealing {
    before: Option<(f64, Vec<f64>)>,
    last: Option<(f64, Vec<f64>)>,
}

impl Annealing {
    /// Takes the run's potentials for a solution at its regularisation, unless they are far off.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::Infeasible`].
    pub fn start_from(&mut self, run: &mut Run<'_>, gibbs: &mut Gibbs) -> Result<(), Error> {
        store(run, gibbs)?;
        if run.marginal_error(gibbs) < FAR {
            self.remember(run);
        }
        Ok(())
    }

    /// Goes on, level by level, to the run's regularisation, until the marginal error there is at
    /// most `target`. `range` is the difference between the largest and the smallest cost.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::Infeasible`].
    pub fn advance(
        &mut self,
        run: &mut Run<'_>,
        gibbs: &mut Gibbs,
        range: f64,
        target: f64,
    ) -> Result<Ended, Error> {
        let reg = run.problem.reg;
        let mut level = match &self.last {
            Some((last, _)) => reg.max(FACTOR * last),
            None if reg >= DIRECT * range => reg,
            None => reg.max(START * range),
        };
        loop {
            run.set_reg(level);
            self.predict(run);
            let is_last = level <= reg;
            let goal = if is_last { target } else { LOOSE.max(target) };
            let ended = one_level(run, gibbs, goal, is_last);
            self.remember(run);
            if is_last || ended != Ok(Ended::Done) {
                run.set_reg(reg);
                return ended;
            }
            level = reg.max(FACTOR * level);
        }
    }

    /// Moves the potentials along the line through those of the last two levels, on the way down.
    fn predict(&self, run: &mut Run<'_>) {
        let level = run.problem.reg;
        if let (Some((before, old)), Some((last, new))) = (&self.before, &self.last)
            && level < *last
            && last < before
        {
            let ahead = (last - level) / (before - last);
            for ((psi, new), old) in run.psi.iter_mut().zip(new).zip(old) {
                if new.is_finite() {
                    *psi = (new + ahead * (new - old)) / level;
                }
            }
        }
    }

    fn remember(&mut self, run: &Run<'_>) {
        let level = run.problem.reg;
        let potentials = run.psi.iter().map(|psi| psi * level).collect();
        let last = self.last.replace((level, potentials));
        if last.as_ref().is_some_and(|(last, _)| *last != level) {
            self.before = last;
        }
    }
}

fn one_level(
    run: &mut Run<'_>,
    gibbs: &mut Gibbs,
    target: f64,
    is_last: bool,
) -> Result<Ended, Error> {
    let mut scalings = Scalings::new(run.phi.len(), run.psi.len());
    let mut newton = Newton::default();
    let (mut best, mut since_best) = (f64::INFINITY, 0);
    let problem = run.problem;
    loop {
        store(run, gibbs)?;
        scalings.reset(gibbs);
        let mut error = run.relative(scalings.column_error(problem.b));
        let mut rate = Rate::default();
        loop {
            let before = error;
            let (phase, nnz) = if rate.needed(error, target) <= MANY {
                scalings.balance_columns(problem.b);
                scalings.sweep(run, gibbs)?;
                (Phase::Sinkhorn, gibbs.plan.len())
            } else {
                let step = newton.step(run, gibbs, &mut scalings, error, target)?;
                run.newton_steps += 1;
                if !step.accepted {
                    rate = Rate::default();
                }
                (Phase::Newton, step.nnz)
            };
            run.iteration += 1;
            error = run.relative(scalings.column_error(problem.b));
            if phase == Phase::Sinkhorn {
                rate.after(error);
            }
            if error.is_nan() || !scalings.are_moderate(&problem) {
                break;
            }
            let is_due = run.iteration.is_multiple_of(run.record_every);
            if phase == Phase::Newton || is_due || error <= target {
                // The dual value of another regularisation would mislead.
                let objective =
                    if is_last { run.dual_value_with(&scalings.u, &scalings.v) } else { f64::NAN };
                if let Some(status) = run.record(phase, error, objective, nnz)? {
                    scalings.absorb(run);
                    return Ok(Ended::Stopped(status));
                }
            }
            if error <= target {
                scalings.absorb(run);
                return Ok(Ended::Done);
            }
            if error < 0.9 * best {
                (best, since_best) = (error, 0);
            } else if phase == Phase::Newton || error >= before {
                since_best += 1; // sweeps may be slow, but where rounding permits they get closer
            }
            let stalled = since_best > PATIENCE && best < ROUNDING_SHOWS_BELOW;
            if stalled || run.iteration >= run.max_iter {
                scalings.absorb(run);
                let status = if stalled { Status::Stalled } else { Status::MaxIter };
                return Ok(Ended::Stopped(status));
            }
        }
        scalings.absorb(run);
    }
}

/// Stores the plan with exact rows and mass in every column that has weight.
fn store(run: &mut Run<'_>, gibbs: &mut Gibbs) -> Result<(), Error> {
    let (problem, team, stop) = (run.problem, run.team, run.stop);
    gibbs.fill_exact_rows(&problem, &mut run.phi, &run.psi, team, stop)?;
    if !holds_mass(&gibbs.column_sums, problem.b) {
        log_domain::update_columns(&problem, &run.phi, &mut run.psi, team, stop)?;
        gibbs.fill_exact_rows(&problem, &mut run.phi, &run.psi, team, stop)?;
    }
    Ok(())
}

/// How fast sweeps converge.
#[derive(Default)]
struct Rate {
    first: f64,
    sweeps: usize,
    needed: f64,
}

impl Rate {
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

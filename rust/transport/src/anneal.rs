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
//! All but the last level end at a marginal error of 5 %: their potentials are only a start for the
//! next.

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
const LOOSE: f64 = 0.05;

/// Sweeps by which their rate is judged, and the number still needed that makes Newton steps worth
/// it.
const JUDGED_BY: usize = 4;
const MANY: f64 = 25.0;

/// Steps without a smaller error, once it is small, that end the run.
const PATIENCE: usize = 10;

/// Runs the levels until the marginal error at the last one is at most `target`. `range` is the
/// difference between the largest and the smallest cost; `warm` says that the potentials are a
/// start for the last level.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::Infeasible`].
pub fn run(
    run: &mut Run<'_>,
    gibbs: &mut Gibbs,
    range: f64,
    warm: bool,
    target: f64,
) -> Result<Ended, Error> {
    let reg = run.problem.reg;
    let warm = warm && {
        store(run, gibbs)?;
        run.marginal_error(gibbs) < FAR
    };
    let mut level = if warm || reg >= DIRECT * range { reg } else { reg.max(START * range) };
    loop {
        run.set_reg(level);
        let last = level <= reg;
        let goal = if last { target } else { LOOSE.max(target) };
        let ended = one_level(run, gibbs, goal);
        if last || ended != Ok(Ended::Done) {
            run.set_reg(reg);
            return ended;
        }
        level = (FACTOR * level).max(reg);
    }
}

fn one_level(run: &mut Run<'_>, gibbs: &mut Gibbs, target: f64) -> Result<Ended, Error> {
    let mut scalings = Scalings::new(run.phi.len(), run.psi.len());
    let mut newton = Newton::default();
    let (mut best, mut since_best) = (f64::INFINITY, 0);
    let problem = run.problem;
    loop {
        store(run, gibbs)?;
        scalings.reset(gibbs);
        let mut error = run.relative(scalings.column_error(problem.b));
        let mut rate = Rate::default();
        if std::env::var("DBG").is_ok() {
            eprintln!("built reg {:.2e} err {error:.2e} t {:.1}ms", problem.reg, run.stop.seconds() * 1e3);
        }
        loop {
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
            let objective = run.dual_value_with(&scalings.u, &scalings.v);
            if let Some(status) = run.record(phase, error, objective, nnz)? {
                scalings.absorb(run);
                return Ok(Ended::Stopped(status));
            }
            if error <= target {
                scalings.absorb(run);
                return Ok(Ended::Done);
            }
            since_best = if error < 0.9 * best { 0 } else { since_best + 1 };
            best = best.min(error);
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

//! Stabilised Sinkhorn (Algorithm 1, lines 3-8): stage 1 of SNS, and a method by itself.
//!
//! One iteration sets the rows of the plan right, then the columns: `f <- f + reg log(a / P 1)`,
//! then `g` alike. Done by log-sum-exp it costs an exponential per entry; done by scalings on a
//! stored plan it costs one read of it. So: log-domain iterations until every row and column of
//! the stored plan holds mass that survives rounding, then scaling sweeps, and back ("absorb") when
//! a scaling grows past `e^50`, long before anything overflows. Both are the same iteration, up to
//! rounding.
//!
//! A sweep ends with exact rows, so the marginal error is the columns'.

use sparrot_foundation::{Error, Status};
use sparrot_simd::reduce;

use crate::gibbs::Gibbs;
use crate::kernel::Kernel;
use crate::log_domain;
use crate::run::{Ended, Phase, ROUNDING_SHOWS_BELOW, Run};
use crate::scalings::Scalings;

/// Sweeps without a new smallest error after which, once the error is small, rounding has the last
/// word. (In exact arithmetic the error of Sinkhorn never grows; it may stand still for thousands
/// of sweeps while it is large.)
const PATIENCE: usize = 100;

/// The iteration, with the scalings on top of the stored plan.
pub struct Sinkhorn(Scalings);

impl Sinkhorn {
    /// For n rows and m columns.
    pub fn new(n: usize, m: usize) -> Sinkhorn {
        Sinkhorn(Scalings::new(n, m))
    }

    /// Up to `iterations` iterations from the run's potentials, until the marginal error is at most
    /// `target`. The potentials are then up to date; the stored plan is not.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::Infeasible`].
    pub fn advance(
        &mut self,
        run: &mut Run<'_>,
        gibbs: &mut Gibbs,
        iterations: usize,
        target: f64,
    ) -> Result<Ended, Error> {
        let last = run.iteration.saturating_add(iterations);
        let (mut best, mut since_best) = (f64::INFINITY, 0);
        'absorbed: while run.iteration < last {
            self.iterate_in_log_domain(run, gibbs)?;
            let error = run.relative(
                reduce::l1_distance(&gibbs.row_sums, run.problem.a)
                    + reduce::l1_distance(&gibbs.column_sums, run.problem.b),
            );
            let objective = run.dual_value(gibbs.total());
            run.iteration += 1;
            if let Some(status) = run.record(Phase::Sinkhorn, error, objective, gibbs.stored())? {
                return Ok(Ended::Stopped(status));
            }
            if error <= target {
                return Ok(Ended::Done);
            }
            if !holds_mass(&gibbs.row_sums, run.problem.a, Gibbs::<f64>::LEAST_MASS)
                || !holds_mass(&gibbs.column_sums, run.problem.b, Gibbs::<f64>::LEAST_MASS)
            {
                continue;
            }
            let scalings = &mut self.0;
            scalings.reset(run, gibbs);
            while run.iteration < last {
                scalings.sweep(run, gibbs)?;
                let error = scalings.error();
                if !error.is_finite() || !scalings.are_moderate() {
                    scalings.absorb(run);
                    continue 'absorbed;
                }
                run.iteration += 1;
                let done = error <= target || run.iteration == last;
                if done || run.iteration.is_multiple_of(run.record_every) {
                    let objective = run.dual_value_with(scalings);
                    if let Some(status) =
                        run.record(Phase::Sinkhorn, error, objective, gibbs.stored())?
                    {
                        scalings.absorb(run);
                        return Ok(Ended::Stopped(status));
                    }
                }
                since_best = if error < best { 0 } else { since_best + 1 };
                best = best.min(error);
                if done || (since_best > PATIENCE && best < ROUNDING_SHOWS_BELOW) {
                    scalings.absorb(run);
                    return Ok(if done { Ended::Done } else { Ended::Stopped(Status::Stalled) });
                }
                scalings.balance_columns(run.problem.b);
            }
        }
        Ok(Ended::Done)
    }

    /// Rows, then columns, by log-sum-exp; stores the plan.
    fn iterate_in_log_domain(&mut self, run: &mut Run<'_>, gibbs: &mut Gibbs) -> Result<(), Error> {
        let (team, stop) = (run.team, run.stop);
        log_domain::update_rows(&run.problem, &mut run.phi, &run.psi, team, stop)?;
        log_domain::update_columns(&run.problem, &run.phi, &mut run.psi, team, stop)?;
        gibbs.fill(&run.problem, &run.phi, &run.psi, team, stop)
    }
}

/// Whether every point with weight has at least that share of it: mass that scaling can work with.
pub fn holds_mass(sums: &[f64], weights: &[f64], least: f64) -> bool {
    sums.iter().zip(weights).all(|(sum, weight)| *weight == 0.0 || *sum > least * weight)
}

//! A solve under way: what the methods share.

use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace};
use sparrot_simd::reduce;

use crate::gibbs::Gibbs;
use crate::problem::Problem;
use crate::relaxation::Relaxation;
use crate::scalings::Scalings;

/// Above this marginal error a lack of progress is never put down to rounding.
pub const ROUNDING_SHOWS_BELOW: f64 = 1e-8;

/// The kinds of iteration that a trace tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// A Sinkhorn iteration.
    Sinkhorn = 0,
    /// A Newton step.
    Newton = 1,
}

impl Phase {
    /// The names, by number.
    pub const NAMES: [&'static str; 2] = ["sinkhorn", "newton"];
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ended {
    /// The target error, or the number of iterations, was reached.
    Done,
    /// The run is over for another reason.
    Stopped(Status),
}

/// A solve under way: what the methods share.
pub struct Run<'a> {
    /// What is being solved; `reg` is that of the moment.
    pub problem: Problem<'a>,
    /// The threads.
    pub team: &'a Team,
    /// Whether to go on.
    pub stop: &'a Stop<'a>,
    /// Potentials of the rows, in units of `reg`.
    pub phi: Vec<f64>,
    /// Potentials of the columns, in units of `reg`.
    pub psi: Vec<f64>,
    /// The total mass of the rows' weights.
    pub mass: f64,
    /// Iterations done.
    pub iteration: usize,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Newton steps taken.
    pub newton_steps: usize,
    /// Conjugate gradient iterations in them.
    pub cg_iterations: usize,
    /// Sinkhorn sweeps between two records: so many that recording costs little.
    pub record_every: usize,
    /// What has been recorded.
    pub trace: Trace,
}

impl Run<'_> {
    /// Changes the regularisation; the potentials of the dual stay what they are in the units of the
    /// cost.
    pub fn set_reg(&mut self, reg: f64) {
        let scale = self.problem.reg / reg;
        if scale != 1.0 {
            self.phi.iter_mut().chain(&mut self.psi).for_each(|x| *x *= scale);
            if let Some(Relaxation { log_reference: [alpha, beta], .. }) = self.problem.relaxation {
                // Of `phi`, `log alpha` is no part of the dual's potential.
                let references = alpha.iter().chain(beta);
                for (x, reference) in self.phi.iter_mut().chain(&mut self.psi).zip(references) {
                    *x += (1.0 - scale) * reference;
                }
            }
        }
        self.problem.reg = reg;
    }

    /// As a share of the mass.
    pub fn relative(&self, error: f64) -> f64 {
        error / self.mass
    }

    /// The marginal error of the stored plan.
    pub fn marginal_error<T>(&self, gibbs: &Gibbs<T>) -> f64 {
        self.relative(
            reduce::l1_distance(&gibbs.row_sums, self.problem.a)
                + reduce::l1_distance(&gibbs.column_sums, self.problem.b),
        )
    }

    /// The dual value at the potentials, when the plan sums to `total`.
    pub fn dual_value(&self, total: f64) -> f64 {
        self.problem.dual_value(&self.phi, &self.psi, total)
    }

    /// The dual value with scalings on top of the potentials, rows being exact.
    pub fn dual_value_with(&self, scalings: &Scalings) -> f64 {
        let with = |potentials: &[f64], scalings: &[f64]| -> Vec<f64> {
            potentials.iter().zip(scalings).map(|(x, s)| x + s.ln()).collect()
        };
        let (phi, psi) = (with(&self.phi, &scalings.u), with(&self.psi, &scalings.v));
        let mut problem = self.problem;
        problem.translate(scalings.tau);
        problem.dual_value(&phi, &psi, scalings.mass())
    }

    /// The marginal error last recorded.
    pub fn last_error(&self) -> f64 {
        self.trace.0.last().map_or(f64::INFINITY, |record| record.certificate)
    }

    /// Records the iteration just done and asks whether to go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn record(
        &mut self,
        phase: Phase,
        certificate: f64,
        objective: f64,
        sparsity: usize,
    ) -> Result<Option<Status>, Error> {
        let record = Record {
            iteration: self.iteration,
            time: self.stop.seconds(),
            objective,
            certificate,
            sparsity,
            phase: phase as u32,
        };
        self.trace.0.push(record);
        self.stop.after(&record)
    }
}

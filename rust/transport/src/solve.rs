//! Settings, choice of method, solution.

use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace, memory};
use sparrot_simd::reduce;

use crate::certificate::{self, Certificate};
use crate::geometry::MatrixView;
use crate::gibbs::Gibbs;
use crate::plan::Potentials;
use crate::problem::{Pass, Problem};
use crate::sinkhorn::{Ended, Sinkhorn};
use crate::sns::{self, SnsSettings};

/// Above this marginal error a lack of progress is never put down to rounding.
pub const ROUNDING_SHOWS_BELOW: f64 = 1e-8;

/// The method.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Stabilised Sinkhorn.
    Sinkhorn,
    /// Sinkhorn, then sparse Newton steps.
    Sns(SnsSettings),
}

/// What a solve is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How.
    pub method: Method,
    /// The marginal error to reach, as a share of the mass.
    pub tol: f64,
    /// Iterations of all kinds, at most.
    pub max_iter: usize,
}

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

/// A solve under way: what both stages share.
pub struct Run<'a> {
    /// What is being solved.
    pub problem: &'a Problem<'a>,
    /// The threads.
    pub team: &'a Team,
    /// Whether to go on.
    pub stop: &'a Stop<'a>,
    /// Potentials of the rows, in units of `reg`.
    pub phi: Vec<f64>,
    /// Potentials of the columns, in units of `reg`.
    pub psi: Vec<f64>,
    /// The total mass.
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
    trace: Trace,
}

impl Run<'_> {
    /// As a share of the mass.
    pub fn relative(&self, error: f64) -> f64 {
        error / self.mass
    }

    /// The marginal error of the stored plan.
    pub fn marginal_error(&self, gibbs: &Gibbs) -> f64 {
        self.relative(
            reduce::l1_distance(&gibbs.row_sums, self.problem.a)
                + reduce::l1_distance(&gibbs.column_sums, self.problem.b),
        )
    }

    /// The dual value at the potentials, when the plan sums to `total`.
    pub fn dual_value(&self, total: f64) -> f64 {
        let Problem { a, b, reg, .. } = *self.problem;
        let against = |potential: &[f64], weights: &[f64]| -> f64 {
            potential.iter().zip(weights).filter(|(_, w)| **w > 0.0).map(|(p, w)| p * w).sum()
        };
        reg * (against(&self.phi, a) + against(&self.psi, b) + self.mass - total)
    }

    /// The dual value with scalings on top of the potentials, rows being exact.
    pub fn dual_value_with(&self, u: &[f64], v: &[f64]) -> f64 {
        let log = |scalings: &[f64], weights: &[f64]| -> f64 {
            scalings.iter().zip(weights).filter(|(_, w)| **w > 0.0).map(|(s, w)| w * s.ln()).sum()
        };
        let Problem { a, b, reg, .. } = *self.problem;
        self.dual_value(self.mass) + reg * (log(u, a) + log(v, b))
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
            phase: phase as u8,
        };
        self.trace.0.push(record);
        self.stop.after(&record)
    }
}

/// An answer with its certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Potentials of the rows, in the units of the cost; `-inf` for points without weight.
    pub f: Vec<f64>,
    /// Potentials of the columns, likewise.
    pub g: Vec<f64>,
    /// How wrong the plan of these potentials can be.
    pub certificate: Certificate,
    /// How the solve ended.
    pub status: Status,
    /// Iterations of all kinds.
    pub iterations: usize,
    /// Newton steps among them.
    pub newton_steps: usize,
    /// Conjugate gradient iterations in those.
    pub cg_iterations: usize,
    /// What happened.
    pub trace: Trace,
    /// Seconds until the iterations ended.
    pub seconds: f64,
    /// Seconds the certificate took after that.
    pub certificate_seconds: f64,
}

/// Solves the problem; `stop` keeps the time.
///
/// # Errors
/// [`Error::Infeasible`] if some mass cannot be moved at all, [`Error::OutOfMemory`],
/// [`Error::Interrupted`], [`Error::InvalidInput`] for an empty problem or one beyond 2^32 columns.
pub fn solve(
    problem: &Problem<'_>,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    if problem.cost.is_dear() {
        let (n, m) = problem.cost.shape();
        let mut table = memory::zeros("the cost matrix", n, m)?;
        let rows: Vec<_> = table.chunks_mut(m.max(1)).enumerate().collect();
        team.for_work(Pass::Exp.cost(n, m))
            .run(stop, rows, |(i, row)| problem.cost.scaled_row(i, 1.0, row))?;
        let cost = MatrixView::row_major(&table, m);
        return solve_by_rows(&Problem { cost: &cost, ..*problem }, settings, team, stop);
    }
    // A matrix stored by columns is the reverse problem stored by rows.
    let Some(cost) = problem.cost.transposed() else {
        return solve_by_rows(problem, settings, team, stop);
    };
    let [rows, columns] = problem.sides;
    let reverse = Problem {
        cost: &*cost,
        a: problem.b,
        b: problem.a,
        reg: problem.reg,
        sides: [columns, rows],
    };
    let mut solution = solve_by_rows(&reverse, settings, team, stop)?;
    std::mem::swap(&mut solution.f, &mut solution.g);
    Ok(solution)
}

fn solve_by_rows(
    problem: &Problem<'_>,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    let (n, m) = problem.cost.shape();
    if n == 0 || m == 0 || n > u32::MAX as usize || m > u32::MAX as usize {
        let message = format!("shape ({n}, {m}): needs 1 to 2^32 - 1 rows and columns");
        return Err(Error::invalid("cost", message));
    }
    let mut gibbs = Gibbs::new(n, m)?;
    let start = |weights: &[f64]| {
        weights.iter().map(|w| if *w > 0.0 { 0.0 } else { f64::NEG_INFINITY }).collect()
    };
    const ENTRIES_PER_RECORD: usize = 1 << 20;
    let mut run = Run {
        problem,
        team,
        stop,
        phi: start(problem.a),
        psi: start(problem.b),
        mass: problem.mass(),
        iteration: 0,
        max_iter: settings.max_iter,
        newton_steps: 0,
        cg_iterations: 0,
        record_every: (ENTRIES_PER_RECORD / (n * m)).clamp(1, 10),
        trace: Trace::default(),
    };
    let mut target = settings.tol;
    // The certificate is measured afresh on the potentials as they are returned; where rounding
    // puts it above the tolerance, the solve goes on to a smaller error.
    let mut attempts = 0;
    loop {
        attempts += 1;
        let ended = iterate(&mut run, &mut gibbs, &settings.method, target)?;
        let seconds = stop.seconds();
        let in_cost_units = |x: &[f64]| x.iter().map(|x| x * problem.reg).collect::<Vec<f64>>();
        let (f, g) = (in_cost_units(&run.phi), in_cost_units(&run.psi));
        let Potentials { phi, psi } = Potentials::scaled(&f, &g, problem.reg);
        let certificate = certificate::certify(problem, &phi, &psi, &mut gibbs, team, stop)?;
        let status = match ended {
            _ if certificate.marginal_error <= settings.tol => Status::Converged,
            Ended::Stopped(status) => status,
            Ended::Done if run.iteration >= run.max_iter => Status::MaxIter,
            Ended::Done if attempts < 4 => {
                target *= 0.25;
                continue;
            }
            Ended::Done => Status::Stalled,
        };
        return Ok(Solution {
            f,
            g,
            certificate,
            status,
            iterations: run.iteration,
            newton_steps: run.newton_steps,
            cg_iterations: run.cg_iterations,
            trace: run.trace,
            seconds,
            certificate_seconds: stop.seconds() - seconds,
        });
    }
}

fn iterate(
    run: &mut Run<'_>,
    gibbs: &mut Gibbs,
    method: &Method,
    target: f64,
) -> Result<Ended, Error> {
    match method {
        Method::Sinkhorn => {
            let left = run.max_iter.saturating_sub(run.iteration);
            Sinkhorn::new(run.phi.len(), run.psi.len()).advance(run, gibbs, left, target)
        }
        Method::Sns(settings) => sns::run(run, gibbs, settings, target),
    }
}

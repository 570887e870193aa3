//! Settings, choice of method, solution.

use sparrot_foundation::{Error, Status, Stop, Team, Trace, memory};

use crate::anneal;
use crate::certificate::{self, Certificate};
use crate::geometry::MatrixView;
use crate::gibbs::Gibbs;
use crate::plan::Potentials;
use crate::problem::{self, Pass, Problem};
use crate::run::{Ended, Run};
use crate::sinkhorn::Sinkhorn;
use crate::sns::{self, SnsSettings};

/// The method.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Stabilised Sinkhorn.
    Sinkhorn,
    /// Sinkhorn, then sparse Newton steps.
    Sns(SnsSettings),
    /// Lowering the regularisation, with sweeps and Newton steps.
    Anneal {
        /// The largest finite cost less the smallest, where it is known.
        range: Option<f64>,
    },
}

/// What a solve is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How.
    pub method: Method,
    /// Potentials `f`, `g` to start from, in the units of the cost.
    pub init: Option<(Vec<f64>, Vec<f64>)>,
    /// The marginal error to reach, as a share of the mass.
    pub tol: f64,
    /// Iterations of all kinds, at most.
    pub max_iter: usize,
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
    let init = settings.init.clone().map(|(f, g)| (g, f));
    let settings = Settings { init, method: settings.method.clone(), ..*settings };
    let mut solution = solve_by_rows(&reverse, &settings, team, stop)?;
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
    // A point without weight has the potential -inf, one that nothing is known of 0.
    let start = |weights: &[f64], init: Option<&Vec<f64>>| -> Vec<f64> {
        let known = |i: usize| init.map_or(0.0, |init| init[i] / problem.reg);
        let finite = |x: f64| if x.is_finite() { x } else { 0.0 };
        (weights.iter().enumerate())
            .map(|(i, w)| if *w > 0.0 { finite(known(i)) } else { f64::NEG_INFINITY })
            .collect()
    };
    let init = settings.init.as_ref();
    const ENTRIES_PER_RECORD: usize = 1 << 20;
    let mut run = Run {
        problem: *problem,
        team,
        stop,
        phi: start(problem.a, init.map(|(f, _)| f)),
        psi: start(problem.b, init.map(|(_, g)| g)),
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
    let mut warm = init.is_some();
    loop {
        attempts += 1;
        let ended = iterate(&mut run, &mut gibbs, &settings.method, warm, target)?;
        warm = true;
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
    warm: bool,
    target: f64,
) -> Result<Ended, Error> {
    match method {
        Method::Sinkhorn => {
            let left = run.max_iter.saturating_sub(run.iteration);
            Sinkhorn::new(run.phi.len(), run.psi.len()).advance(run, gibbs, left, target)
        }
        Method::Sns(settings) => sns::run(run, gibbs, settings, target),
        Method::Anneal { range } => {
            let range = match range {
                Some(range) => *range,
                None => {
                    let Problem { cost, a, b, .. } = run.problem;
                    problem::survey(cost, a, b, run.team, run.stop)?.range()
                }
            };
            anneal::run(run, gibbs, range, warm, target)
        }
    }
}

//! Settings, choice of method, solution.

use sparrot_foundation::{Error, Status, Stop, Team, Trace, memory};

use crate::anneal::{self, Annealing};
use crate::certificate::{self, Certificate};
use crate::feasibility;
use crate::geometry::MatrixView;
use crate::gibbs::Gibbs;
use crate::log_domain;
use crate::plan::Potentials;
use crate::problem::{self, Pass, Problem};
use crate::relaxation::{COLUMNS, ROWS, Relaxation};
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
    /// Whether to hand out the plan where that costs little: where the certificate has to compute
    /// it anyway, and its rows are those of the cost.
    pub keeps_plan: bool,
}

/// Plans with more entries are not stored by the certificate.
pub(crate) const SMALL: usize = 1 << 20;

/// An answer with its certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Potentials of the rows, in the units of the cost; `-inf` for points without weight.
    pub f: Vec<f64>,
    /// Potentials of the columns, likewise.
    pub g: Vec<f64>,
    /// What the dual has less on `f` and more on `g`, where marginals are not fixed: else 0.
    pub translation: f64,
    /// How wrong the plan of these potentials can be.
    pub certificate: Certificate,
    /// That plan, by rows, if it was asked for and is small.
    pub plan: Option<Vec<f64>>,
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
/// [`Error::Infeasible`] if it turns out that forbidden edges leave no plan, [`Error::OutOfMemory`],
/// [`Error::Interrupted`], [`Error::InvalidInput`] for an empty problem or one beyond 2^32 columns.
pub fn solve(
    problem: &Problem<'_>,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    let mut path = solve_path(problem, &[problem.reg], settings, team, stop)?;
    path.pop().ok_or(Error::Interrupted)
}

/// Solves the problem for one regularisation after the other, each from the solutions before; the
/// problem's own counts for nothing. Where the time is up, or the callback asks for it, the path
/// ends with the solution that was under way.
///
/// # Errors
/// As [`solve`].
pub fn solve_path(
    problem: &Problem<'_>,
    regs: &[f64],
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<Solution>, Error> {
    let (n, m) = problem.cost.shape();
    if n == 0 || m == 0 || n > u32::MAX as usize || m > u32::MAX as usize {
        let message = format!("shape ({n}, {m}): needs 1 to 2^32 - 1 rows and columns");
        return Err(Error::invalid("cost", message));
    }
    if let Some(relaxation) = &problem.relaxation {
        let has_method = matches!(settings.method, Method::Anneal { .. });
        let is_relaxed = relaxation.rho.iter().any(|rho| rho.is_finite());
        if !has_method
            || !is_relaxed
            || relaxation.rho.iter().any(|rho| rho.is_nan() || *rho <= 0.0)
        {
            let message = "needs positive prices, one of them finite, and the method Anneal";
            return Err(Error::invalid("relaxation", message));
        }
    }
    let is_thinned = matches!(settings.method, Method::Anneal { .. })
        && problem.cost.can_be_thinned()
        && n.saturating_mul(m) > anneal::LARGE;
    if problem.cost.is_dear() && !is_thinned {
        let mut table = memory::zeros("the cost matrix", n, m)?;
        let rows: Vec<_> = table.chunks_mut(m).enumerate().collect();
        team.for_work(Pass::Exp.cost(n, m))
            .run(stop, rows, |(i, row)| problem.cost.scaled_row(i, 1.0, row))?;
        let cost = MatrixView::row_major(&table, m);
        return solve_path(&Problem { cost: &cost, ..*problem }, regs, settings, team, stop);
    }
    let Some(cost) = problem.cost.reversed() else {
        return by_rows(problem, regs, settings, team, stop);
    };
    let [rows, columns] = problem.sides;
    let reverse = Problem {
        cost: &*cost,
        a: problem.b,
        b: problem.a,
        reg: problem.reg,
        sides: [columns, rows],
        relaxation: problem.relaxation.map(Relaxation::reversed),
    };
    let init = settings.init.clone().map(|(f, g)| (g, f));
    let settings =
        Settings { init, method: settings.method.clone(), keeps_plan: false, ..*settings };
    let mut path = by_rows(&reverse, regs, &settings, team, stop)?;
    for solution in &mut path {
        std::mem::swap(&mut solution.f, &mut solution.g);
        solution.translation *= -1.0;
    }
    Ok(path)
}

fn by_rows(
    problem: &Problem<'_>,
    regs: &[f64],
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<Solution>, Error> {
    let (n, m) = problem.cost.shape();
    let problem = &Problem { reg: *regs.first().unwrap_or(&problem.reg), ..*problem };
    // A point without weight has the potential -inf, one that nothing is known of 0 in the dual.
    let start = |side: usize, weights: &[f64], init: Option<&Vec<f64>>| -> Vec<f64> {
        let potential = |i: usize| {
            let unknown = problem.log_reference(side, i);
            let known = init.map_or(unknown, |init| init[i] / problem.reg);
            if known.is_finite() { known } else { unknown }
        };
        (weights.iter().enumerate())
            .map(|(i, w)| if *w > 0.0 { potential(i) } else { f64::NEG_INFINITY })
            .collect()
    };
    let init = settings.init.as_ref();
    const ENTRIES_PER_RECORD: usize = 1 << 22;
    let mut run = Run {
        problem: *problem,
        team,
        stop,
        phi: start(ROWS, problem.a, init.map(|(f, _)| f)),
        psi: start(COLUMNS, problem.b, init.map(|(_, g)| g)),
        mass: problem.mass(),
        iteration: 0,
        max_iter: settings.max_iter,
        newton_steps: 0,
        cg_iterations: 0,
        record_every: (ENTRIES_PER_RECORD / (n * m)).clamp(1, 10),
        trace: Trace::default(),
    };
    let mut iteration = Iteration::new(&settings.method, &mut run, init.is_some())?;
    let mut path = vec![];
    for reg in regs {
        run.set_reg(*reg);
        let solution = certified(&mut run, &mut iteration, settings)?;
        let ended = matches!(solution.status, Status::MaxTime | Status::Callback);
        path.push(solution);
        if ended || stop.is_late() {
            break;
        }
    }
    Ok(path)
}

/// Iterates until the certificate, measured afresh on the potentials as they are returned, is
/// within the tolerance; where rounding puts it above, the iteration goes on to a smaller error.
fn certified(
    run: &mut Run<'_>,
    iteration: &mut Iteration,
    settings: &Settings,
) -> Result<Solution, Error> {
    let tol = settings.tol;
    let (n, m) = (run.phi.len(), run.psi.len());
    let began = run.stop.seconds();
    (run.iteration, run.newton_steps, run.cg_iterations) = (0, 0, 0);
    let mut target = tol;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let ended = iteration.advance(run, target)?;
        fix(run)?;
        let seconds = run.stop.seconds();
        let reg = run.problem.reg;
        let in_cost_units = |x: &[f64]| x.iter().map(|x| x * reg).collect::<Vec<f64>>();
        let (f, g) = (in_cost_units(&run.phi), in_cost_units(&run.psi));
        let potentials = Potentials::scaled(&f, &g, reg);
        let mut plan = if n * m <= SMALL { memory::zeros(problem::PLAN, n, m).ok() } else { None };
        let certificate = certificate::certify(
            &run.problem,
            &potentials,
            plan.as_deref_mut(),
            run.team,
            run.stop,
        )?;
        let status = match ended {
            _ if certificate.marginal_error <= tol => Status::Converged,
            Ended::Stopped(status) => status,
            Ended::Done if run.iteration >= run.max_iter => Status::MaxIter,
            Ended::Done if attempts < 4 => {
                target *= 0.25;
                continue;
            }
            Ended::Done => Status::Stalled,
        };
        // Who asked to stop gets the best answer so far instead.
        let got_nowhere = matches!(status, Status::Stalled | Status::MaxIter);
        if got_nowhere && run.problem.relaxation.is_none() {
            feasibility::check(&run.problem, &run.phi, &run.psi, run.stop)?;
        }
        return Ok(Solution {
            f,
            g,
            translation: run.problem.relaxation.map_or(0.0, |relaxation| relaxation.translation),
            certificate,
            plan: plan.filter(|_| settings.keeps_plan),
            status,
            iterations: run.iteration,
            newton_steps: run.newton_steps,
            cg_iterations: run.cg_iterations,
            trace: std::mem::take(&mut run.trace),
            seconds: seconds - began,
            certificate_seconds: run.stop.seconds() - seconds,
        });
    }
}

/// Makes a marginal that is fixed, while the other one is not, exact to rounding: the certificate
/// of such a plan has a price only for the other.
fn fix(run: &mut Run<'_>) -> Result<(), Error> {
    let fixed = |side: usize| run.problem.slack(side) == 0.0;
    match run.problem.relaxation {
        Some(_) if fixed(ROWS) => {
            log_domain::update_rows(&run.problem, &mut run.phi, &run.psi, run.team, run.stop)
        }
        Some(_) if fixed(COLUMNS) => {
            log_domain::update_columns(&run.problem, &run.phi, &mut run.psi, run.team, run.stop)
        }
        _ => Ok(()),
    }
}

/// A method under way.
enum Iteration {
    Sinkhorn(Box<(Sinkhorn, Gibbs)>),
    Sns(Box<(SnsSettings, Gibbs)>),
    Anneal { annealing: Box<Annealing>, range: f64 },
}

impl Iteration {
    fn new(method: &Method, run: &mut Run<'_>, has_init: bool) -> Result<Iteration, Error> {
        let (n, m) = (run.phi.len(), run.psi.len());
        Ok(match method {
            Method::Sinkhorn => {
                Iteration::Sinkhorn(Box::new((Sinkhorn::new(n, m), Gibbs::new(n, m)?)))
            }
            Method::Sns(settings) => {
                Iteration::Sns(Box::new((settings.clone(), Gibbs::new(n, m)?)))
            }
            Method::Anneal { range } => {
                let Problem { cost, a, b, .. } = run.problem;
                let range = match range {
                    Some(range) => *range,
                    None => {
                        let stores_plan = !cost.can_be_thinned();
                        problem::survey(cost, [a, b], stores_plan, run.team, run.stop)?.range()
                    }
                };
                let mut annealing = Box::<Annealing>::default();
                if has_init {
                    annealing.start_from(run, range)?;
                }
                Iteration::Anneal { annealing, range }
            }
        })
    }

    fn advance(&mut self, run: &mut Run<'_>, target: f64) -> Result<Ended, Error> {
        match self {
            Iteration::Sinkhorn(sinkhorn) => {
                let (sinkhorn, gibbs) = &mut **sinkhorn;
                let left = run.max_iter.saturating_sub(run.iteration);
                sinkhorn.advance(run, gibbs, left, target)
            }
            Iteration::Sns(sns) => sns::run(run, &mut sns.1, &sns.0, target),
            Iteration::Anneal { annealing, range } => annealing.advance(run, *range, target),
        }
    }
}

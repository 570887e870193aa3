//! The proximal point method.
//!
//! From a plan `T` to the solution of the problem with `sigma/2 |P - T|^2` on top, until the gap is
//! small enough; `sigma` falls on the way. As everything is piecewise quadratic the plans arrive
//! after finitely many problems. The first `sigma` is large enough for the plan to be spread over a
//! few dozen entries a line, whose dual Newton's method climbs in few steps.
//!
//! Where no line needs to share places, the problem is that of the squared norm alone: its own dual
//! is smooth, so that Newton's method solves it without a proximal term.

use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace};

use super::Problem;
use super::correction::corrected;
use super::line::Weights;
use super::lines::{Lines, values};
use super::newton::Climb;
use super::oracle::{Formulation, Plan, evaluate};
use super::solve::{Settings, scale};

/// The first `sigma`, as a share of the range of the costs over the mean mass of a line; the least,
/// as a share of the first.
const FIRST: f64 = 0.01;
const LEAST: f64 = 1e-6;

/// What the first one is multiplied by where the solution is near.
const WARM: f64 = 0.04;

/// What `sigma` is multiplied by after a problem that took few steps; its root after one that took
/// more. After one that took many, `sigma` stays; it rises after one that was left unfinished.
const FACTOR: f64 = 0.2;
const EASY: usize = 10;
const HARD: usize = 25;

/// Costs whose range, over the mean mass of a line, is less than this share of `gamma` differ by
/// rounding only.
const FLAT: f64 = 1e-12;

/// No proximal term is needed where `gamma` is at least this share of what `sigma` would be.
const SMOOTH: f64 = 0.1;

/// A problem is solved to this marginal error at first, and then to this share of the gap.
const LOOSE: f64 = 1e-2;
const SHARE: f64 = 0.1;

/// Once the gap is small enough: to this share of the error that it had, until that is small too.
const TIGHTER: f64 = 1e-3;

/// Steps for one problem, and failures in a row, at most.
const STEPS: usize = 60;
const FAILURES: usize = 8;

/// Problems in a row that Newton's method may leave unfinished.
const UNFINISHED: usize = 6;

/// Where the method ended.
pub struct Outcome {
    /// Potentials of the points.
    pub alpha: Vec<f64>,
    /// The plan; exact for the lines.
    pub plan: Plan,
    /// How it ended.
    pub status: Status,
    /// Newton steps.
    pub steps: usize,
    /// Conjugate gradient iterations in them.
    pub cg_iterations: usize,
    /// What happened.
    pub trace: Trace,
}

/// Phases of the trace.
pub const PHASES: [&str; 2] = ["proximal", "newton"];

/// A proximal problem under way.
struct Stage<'a, 'p> {
    lines: Lines<'p>,
    climb: Climb,
    mass: f64,
    steps: usize,
    trace: Trace,
    settings: &'a Settings,
    team: &'a Team,
    stop: &'a Stop<'a>,
}

impl Stage<'_, '_> {
    /// The marginal error, as a share of the mass.
    fn error(&self) -> f64 {
        self.climb.error() / self.mass
    }

    /// Newton steps until the marginal error is at most `target`, or as far as they get: how many,
    /// and why everything is to end here, if it is.
    fn climb(&mut self, target: f64) -> Result<(usize, Option<Status>), Error> {
        let phase = u8::from(self.lines.weights().sigma == 0.0);
        let (mut taken, mut failures) = (0, 0);
        while self.error() > target && taken < STEPS && failures < FAILURES {
            if self.steps >= self.settings.max_iter {
                return Ok((taken, Some(Status::MaxIter)));
            }
            let went = self.climb.step(&mut self.lines, self.mass, self.team, self.stop)?;
            (self.steps, taken) = (self.steps + 1, taken + 1);
            failures = if went { 0 } else { failures + 1 };
            let record = Record {
                iteration: self.steps,
                time: self.stop.seconds(),
                objective: self.climb.smooth.value,
                certificate: self.error(),
                sparsity: self.climb.entries,
                phase: phase.into(),
            };
            self.trace.0.push(record);
            if let Some(status) = self.stop.after(&record)? {
                return Ok((taken, Some(status)));
            }
        }
        Ok((taken, None))
    }

    /// Goes on with other weights, around the present plan.
    fn settle(&mut self, weights: Weights) -> Result<(), Error> {
        self.lines.settle(weights);
        self.climb.renew(&mut self.lines, self.team, self.stop)
    }
}

/// Solves the problem from potentials `alpha`, `-inf` for points without weight, which may be near
/// those of the solution (`is_warm`). `range` is that of the costs.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn solve(
    problem: &Problem<'_>,
    alpha: Vec<f64>,
    is_warm: bool,
    range: f64,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Outcome, Error> {
    let Problem { gamma, k, .. } = *problem;
    let (n, m) = problem.shape();
    let mass: f64 = problem.b.iter().sum();
    let spread = range * m as f64 / mass;
    let first = FIRST * spread.max(gamma);
    let least = LEAST * if spread > FLAT * gamma { FIRST * spread } else { first };
    let plain = Weights { gamma, sigma: 0.0, k: n };
    let proximal = |sigma: f64| Weights { gamma, sigma, k };
    let mut sigma = first * if is_warm { WARM } else { 1.0 };
    let mut tries_plain = gamma >= SMOOTH * first;
    let start = if tries_plain && k >= n { plain } else { proximal(sigma) };
    let mut lines = Lines::new(problem, start);
    let climb = Climb::new(alpha, range + gamma * mass / m as f64, &mut lines, team, stop)?;
    let trace = Trace::default();
    let mut stage = Stage { lines, climb, mass, steps: 0, trace, settings, team, stop };
    let mut goal = LOOSE;
    let mut unfinished = 0;
    loop {
        let is_plain = stage.lines.weights().sigma == 0.0;
        let target = if is_plain { settings.marginal_tol } else { goal };
        let (taken, ended) = stage.climb(target)?;
        let is_short = stage.error() > target;
        unfinished = if is_short { unfinished + 1 } else { 0 };
        let (plan, missing) = corrected(problem, stage.lines.plan(), stop)?;
        let alpha = &stage.climb.alpha;
        let dual = evaluate(problem, alpha, Formulation::SemiDual, false, team, stop)?.value;
        let [_, value] = values(&plan, gamma, k);
        // Where a line has weight and no edge the dual is infinite, and there is no gap.
        let gap = if dual.is_finite() {
            (value - dual).max(0.0) / scale(value, range, mass)
        } else {
            f64::INFINITY
        };
        // With the marginals as asked for there is nothing left to do on this problem.
        let is_done = !is_short && target <= settings.marginal_tol && gap <= settings.tol;
        let is_stuck = unfinished >= UNFINISHED || sigma <= least || is_done;
        let status = if missing <= settings.marginal_tol * mass && gap <= settings.tol {
            Some(Status::Converged)
        } else {
            ended.or(is_stuck.then_some(Status::Stalled))
        };
        if let Some(status) = status {
            return Ok(Outcome {
                alpha: stage.climb.alpha,
                plan,
                status,
                steps: stage.steps,
                cg_iterations: stage.climb.cg_iterations,
                trace: stage.trace,
            });
        }
        if gap <= settings.tol && !is_short {
            // Good enough, if it is what it seems: with the marginals right the gap is true.
            goal = (TIGHTER * stage.error()).max(settings.marginal_tol);
            continue;
        }
        goal = (SHARE * gap).clamp(settings.marginal_tol, goal);
        if is_plain {
            // Some line has too many entries; or gamma alone does not make the dual smooth enough.
            tries_plain = false;
            stage.settle(proximal(sigma))?;
            continue;
        }
        sigma *= if is_short {
            1.0 / FACTOR.sqrt()
        } else if taken <= EASY {
            FACTOR
        } else if taken <= HARD {
            FACTOR.sqrt()
        } else {
            1.0
        };
        let alone = stage.lines.bound() == 0 && gamma >= SMOOTH * sigma;
        let next = if alone && (tries_plain || k >= n) { plain } else { proximal(sigma) };
        stage.settle(next)?;
    }
}

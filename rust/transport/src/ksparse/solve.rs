//! Settings, starts, recovery, certificate.

use sparrot_foundation::{Error, Status, Stop, Team, Trace};

use super::lines::values;
use super::oracle::{Evaluation, Formulation, Plan, evaluate};
use super::{Problem, proximal, rounding};
use crate::batch::Outer;
use crate::problem::Problem as Entropic;
use crate::solve as entropic;

/// Which plan to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recover {
    /// The solution of the convex problem: exact marginals.
    Polish,
    /// That of the semi-dual's potentials: at most k entries a line, exact for the lines only.
    Dual,
    /// The same with what its marginals miss added: exact marginals, few entries more.
    Round,
}

/// What a solve is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The gap to reach, as a share of the value.
    pub tol: f64,
    /// The marginal error to reach, as a share of the mass.
    pub marginal_tol: f64,
    /// Newton steps at most.
    pub max_iter: usize,
    /// Potentials of the points to start from.
    pub init: Option<Vec<f64>>,
    /// Which plan to return.
    pub recover: Recover,
}

/// An answer with its certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Potentials of the points.
    pub alpha: Vec<f64>,
    /// Potentials of the lines.
    pub beta: Vec<f64>,
    /// The plan.
    pub plan: Plan,
    /// What its marginals are wrong by in total, as a share of the mass.
    pub marginal_error: f64,
    /// Its cost without the norm.
    pub value_linear: f64,
    /// Its cost with the squared k-support norms.
    pub value: f64,
    /// The semi-dual: no plan with the right marginals costs less.
    pub dual_value: f64,
    /// What the plan with the right marginals, the one returned or the same rounded, costs more than
    /// the dual value.
    pub gap: f64,
    /// Lines that would have more entries if they were allowed: where there are none, k does not bind.
    pub bound: usize,
    /// How the solve ended.
    pub status: Status,
    /// Newton steps.
    pub steps: usize,
    /// Conjugate gradient iterations in them.
    pub cg_iterations: usize,
    /// What happened.
    pub trace: Trace,
    /// Seconds it took.
    pub seconds: f64,
}

/// The start: entropic transport with this regularisation, as a share of the range of the costs at
/// least and at most, otherwise of `gamma` times the mean mass of a line; to this marginal error.
const START: [f64; 2] = [0.003, 0.3];
const START_SHARE: f64 = 0.5;
const START_TOL: f64 = 1e-2;
const START_ITERATIONS: usize = 200;

/// A start given by the user is not used if its potentials differ by so many times what the costs and
/// the norm could make of them.
const FAR: f64 = 10.0;

/// What the marginal error may be, times what is aimed at, once nothing brings it down further.
const ALMOST: f64 = 10.0;

/// What a gap is a share of: the value, or this share of what the costs differ by.
const SMALLEST: f64 = 1e-6;

/// What a gap is a share of.
pub fn scale(value: f64, range: f64, mass: f64) -> f64 {
    value.abs().max(SMALLEST * range * mass).max(f64::MIN_POSITIVE)
}

/// Solves the problem, whose costs have that range.
///
/// # Errors
/// [`Error::Infeasible`] if forbidden edges leave no plan, [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn solve(
    problem: &Problem<'_>,
    range: f64,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    let given = settings.init.as_ref().filter(|alpha| is_near(problem, alpha, range));
    let alpha = match given {
        Some(alpha) => alpha.clone(),
        None => start(problem, range, team, stop)?,
    };
    let weightless = |(alpha, a): (f64, &f64)| if *a > 0.0 { alpha } else { f64::NEG_INFINITY };
    let alpha: Vec<f64> = alpha.into_iter().zip(problem.a).map(weightless).collect();
    let ended = proximal::solve(problem, alpha, given.is_some(), range, settings, team, stop)?;
    if ended.status != Status::Converged && given.is_some() {
        start(problem, range, team, stop)?; // says so if forbidden edges leave no plan
    }
    certified(problem, ended, range, settings, team, stop)
}

/// Whether potentials differ by no more than those of a solution could by a wide margin.
fn is_near(problem: &Problem<'_>, alpha: &[f64], range: f64) -> bool {
    let (_, m) = problem.shape();
    let mass: f64 = problem.b.iter().sum();
    let weighted = alpha.iter().zip(problem.a).filter(|(_, a)| **a > 0.0).map(|(alpha, _)| alpha);
    let (least, most) =
        weighted.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), x| (l.min(*x), m.max(*x)));
    most - least <= FAR * (range + problem.gamma * mass / m as f64)
}

fn start(
    problem: &Problem<'_>,
    range: f64,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let (_, m) = problem.shape();
    let mass: f64 = problem.b.iter().sum();
    let reg = START_SHARE * problem.gamma * mass / m as f64;
    let [points, lines] = problem.sides;
    let entropic = Entropic {
        cost: problem.lines,
        a: problem.b,
        b: problem.a,
        // Costs that are all equal: any will do.
        reg: if range > 0.0 { reg.clamp(START[0] * range, START[1] * range) } else { reg },
        sides: [lines, points],
        relaxation: None,
    };
    let settings = entropic::Settings {
        method: entropic::Method::Anneal { range: Some(range) },
        init: None,
        tol: START_TOL,
        max_iter: START_ITERATIONS,
        keeps_plan: false,
    };
    // The observer is to see the steps of this problem, not those on the way to its start.
    let outer = Outer { stop, caller: std::thread::current().id() };
    let quiet = Stop::new(&outer, stop.seconds_left());
    let solution = entropic::solve(&entropic, &settings, team, &quiet)?;
    Ok(solution.g)
}

fn certified(
    problem: &Problem<'_>,
    ended: proximal::Outcome,
    range: f64,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    let (n, _) = problem.shape();
    let mass: f64 = problem.b.iter().sum();
    let keeps_plan = settings.recover != Recover::Polish;
    let Evaluation { value: dual_value, plan: dual_plan, beta, .. } =
        evaluate(problem, &ended.alpha, Formulation::SemiDual, keeps_plan, team, stop)?;
    let upper = |(plan, has_marginals): &(Plan, bool)| -> f64 {
        let [_, value] = values(plan, problem.gamma, problem.k);
        if *has_marginals { value } else { f64::INFINITY }
    };
    let rounded = rounding::round(problem, &ended.plan, stop)?;
    let solved = upper(&rounded);
    let is_solved =
        solved.is_finite() && solved - dual_value <= settings.tol * scale(solved, range, mass);
    // Rounding is what may be left to do; and with the marginals exactly right the last digits of
    // the gap may be out of reach.
    let (status, polished) = match ended.status {
        Status::Converged if !is_solved => (Status::Stalled, ended.plan),
        Status::Stalled if is_solved => {
            let is_right = marginal_error(problem, &ended.plan) <= ALMOST * settings.marginal_tol;
            (Status::Converged, if is_right { ended.plan } else { rounded.0 })
        }
        status => (status, ended.plan),
    };
    let (plan, upper) = match (settings.recover, dual_plan) {
        (Recover::Dual, Some(plan)) => {
            let upper = upper(&rounding::round(problem, &plan, stop)?);
            (plan, upper)
        }
        (Recover::Round, Some(plan)) => {
            let rounded = rounding::round(problem, &plan, stop)?;
            let upper = upper(&rounded);
            (rounded.0, upper)
        }
        _ => (polished, solved),
    };
    let [value_linear, value] = values(&plan, problem.gamma, problem.k);
    let marginal_error = marginal_error(problem, &plan);
    let bound = if problem.k < n { binding(problem, &ended.alpha, team, stop)? } else { 0 };
    Ok(Solution {
        alpha: ended.alpha,
        beta,
        plan,
        marginal_error,
        value_linear,
        value,
        dual_value,
        gap: upper - dual_value,
        bound,
        status,
        steps: ended.steps,
        cg_iterations: ended.cg_iterations,
        trace: ended.trace,
        seconds: stop.seconds(),
    })
}

/// What the marginals of a plan are wrong by in total, as a share of the mass.
fn marginal_error(problem: &Problem<'_>, plan: &Plan) -> f64 {
    let error = |sums: Vec<f64>, weights: &[f64]| -> f64 {
        sums.iter().zip(weights).map(|(s, w)| (s - w).abs()).sum()
    };
    let of_points = error(plan.point_sums(problem.a.len()), problem.a);
    (of_points + error(plan.line_sums(), problem.b)) / problem.b.iter().sum::<f64>()
}

/// Lines that would have more than k entries at these potentials if they were allowed.
fn binding(
    problem: &Problem<'_>,
    alpha: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<usize, Error> {
    let looser = Problem { k: problem.k + 1, ..*problem };
    let found = evaluate(&looser, alpha, Formulation::SemiDual, true, team, stop)?;
    let lines = found.plan.iter().flat_map(Plan::lines);
    Ok(lines.filter(|line| line.len() > problem.k).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::MatrixView;
    use crate::problem::SIDES;
    use proptest::prelude::*;
    use sparrot_foundation::stop::Unobserved;

    fn solved(
        costs: &[f64],
        a: &[f64],
        b: &[f64],
        gamma: f64,
        k: usize,
        recover: Recover,
    ) -> Solution {
        let lines = MatrixView::row_major(costs, a.len());
        let problem = Problem { lines: &lines, a, b, gamma, k, sides: SIDES };
        let (least, most) = (costs.iter().copied())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), c| (c.min(l), c.max(m)));
        let settings =
            Settings { tol: 1e-7, marginal_tol: 1e-10, max_iter: 2000, init: None, recover };
        let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
        solve(&problem, most - least, &settings, &team, &stop).unwrap()
    }

    fn weights(raw: &[u32], total: f64) -> Vec<f64> {
        let sum: u32 = raw.iter().sum();
        raw.iter().map(|w| total * f64::from(*w) / f64::from(sum)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn every_problem_is_solved_and_certified(
            (n, m) in (1usize..9, 1usize..9),
            seed in prop::collection::vec(0u32..7, 81),
            raw in prop::collection::vec(0u32..5, 18),
            is_integer in any::<bool>(),
            gamma in -3f64..3.0, scale in -3f64..3.0, k in 1usize..9, total in 0.1f64..10.0,
        ) {
            let jitter = |i: usize| if is_integer { 0.0 } else { (i as f64 * 0.7).sin() };
            let scale = 10f64.powf(scale);
            let costs: Vec<f64> = (seed[..n * m].iter().enumerate())
                .map(|(i, c)| scale * (f64::from(*c) + jitter(i))).collect();
            let (mut a, mut b) = (raw[..n].to_vec(), raw[9..9 + m].to_vec());
            (a[0], b[0]) = (a[0] + 1, b[0] + 1);
            let (a, b) = (weights(&a, total), weights(&b, total));
            let gamma = 10f64.powf(gamma) * scale / total;
            let best = solved(&costs, &a, &b, gamma, k, Recover::Polish);
            prop_assert_eq!(best.status, Status::Converged);
            prop_assert!(best.marginal_error <= 1e-9);
            let size = best.value.abs() + 7.0 * scale * total;
            prop_assert!(best.gap >= -1e-13 * size, "gap {} size {size} {:?}", best.gap, best);
            prop_assert!(best.gap <= 1.1e-7 * best.value.abs() + 1e-12 * size, "{} {}", best.gap, best.value);
            for recover in [Recover::Dual, Recover::Round] {
                let other = solved(&costs, &a, &b, gamma, k, recover);
                prop_assert!(other.gap >= -1e-13 * size);
                if recover == Recover::Dual {
                    prop_assert!(other.plan.lines().all(|line| line.len() <= k));
                } else {
                    prop_assert!(other.marginal_error <= 1e-12);
                }
            }
        }
    }
}

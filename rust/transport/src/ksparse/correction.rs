//! The last digits of a plan's marginals.
//!
//! Masses are scores less a threshold over `gamma` or `sigma`: where these are small, rounding of the
//! scores shows in the marginals. What is missing then is brought in by small relative changes,
//!
//! ```text
//! P_ij (1 + x_i + y_j),   [ diag(P1)  P ; P'  diag(P'1) ] (x, y) = what points and lines miss,
//! ```
//!
//! which move mass along the entries that there are. The lines are eliminated; conjugate gradients
//! solve for the points.

use sparrot_foundation::{Error, Stop};
use sparrot_simd::reduce;

use super::Problem;
use super::oracle::Plan;
use sparrot_sparse::cg::Iterate;

/// Corrections, and iterations for one, at most.
const ROUNDS: usize = 3;
const ITERATIONS: usize = 300;

/// What one has to bring the error down to, as a share, for another to follow.
const WORTH: f64 = 0.5;

/// What the equations are solved to, as a share of the mass: below what sums can tell.
const EXACT: f64 = 1e-16;

/// The plan with better marginals, and what they are wrong by in total.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn corrected(
    problem: &Problem<'_>,
    mut plan: Plan,
    stop: &Stop<'_>,
) -> Result<(Plan, f64), Error> {
    let mass: f64 = problem.b.iter().sum();
    let mut missing = Missing::of(problem, &plan);
    for _ in 0..ROUNDS {
        let better = changed(&plan, &missing, EXACT * mass, stop)?;
        let then = Missing::of(problem, &better);
        let (before, after) = (missing.total(), then.total());
        if after < before {
            (plan, missing) = (better, then);
        }
        if after > WORTH * before {
            break;
        }
    }
    let total = missing.total();
    Ok((plan.without_zeros(), total))
}

/// What the marginals have less than the weights.
struct Missing {
    points: Vec<f64>,
    lines: Vec<f64>,
}

impl Missing {
    fn of(problem: &Problem<'_>, plan: &Plan) -> Missing {
        let less = |weights: &[f64], sums: Vec<f64>| -> Vec<f64> {
            weights.iter().zip(sums).map(|(w, s)| w - s).collect()
        };
        Missing {
            points: less(problem.a, plan.point_sums(problem.a.len())),
            lines: less(problem.b, plan.line_sums()),
        }
    }

    fn total(&self) -> f64 {
        reduce::l1_norm(&self.points) + reduce::l1_norm(&self.lines)
    }
}

fn changed(plan: &Plan, missing: &Missing, goal: f64, stop: &Stop<'_>) -> Result<Plan, Error> {
    let n = missing.points.len();
    let point_sums = plan.point_sums(n);
    let line_sums = plan.line_sums();
    let inverse = |x: f64| if x > 0.0 { 1.0 / x } else { 0.0 };
    // Of each line, what its node takes from the points; `send` gives a line's number to its points.
    let gather = |x: &[f64], line: std::ops::Range<usize>| -> f64 {
        let entries = plan.points[line.clone()].iter().zip(&plan.masses[line]);
        entries.map(|(i, mass)| mass * x[*i as usize]).sum()
    };
    let send = |out: &mut [f64], line: std::ops::Range<usize>, number: f64| {
        for (i, mass) in plan.points[line.clone()].iter().zip(&plan.masses[line]) {
            out[*i as usize] -= mass * number;
        }
    };
    let mut rhs = missing.points.clone();
    for (line, (sum, missing)) in plan.lines().zip(line_sums.iter().zip(&missing.lines)) {
        send(&mut rhs, line, missing * inverse(*sum));
    }
    let apply = |x: &[f64], out: &mut [f64]| {
        for ((out, x), sum) in out.iter_mut().zip(x).zip(&point_sums) {
            *out = x * sum;
        }
        for (line, sum) in plan.lines().zip(&line_sums) {
            let number = gather(x, line.clone()) * inverse(*sum);
            send(out, line, number);
        }
        stop.poll()
    };
    let scale = |r: &[f64], out: &mut [f64]| {
        for ((out, r), sum) in out.iter_mut().zip(r).zip(&point_sums) {
            *out = r * inverse(*sum);
        }
    };
    let mut iterate = Iterate::new(&rhs);
    iterate.advance(apply, scale, goal, ITERATIONS, stop)?;
    let mut changed = plan.clone();
    for (line, (sum, missing)) in plan.lines().zip(line_sums.iter().zip(&missing.lines)) {
        let y = (missing - gather(&iterate.x, line.clone())) * inverse(*sum);
        for (mass, i) in changed.masses[line.clone()].iter_mut().zip(&plan.points[line]) {
            *mass *= (1.0 + iterate.x[*i as usize] + y).max(0.0);
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::MatrixView;
    use sparrot_foundation::stop::Unobserved;

    #[test]
    fn puts_small_errors_right_on_the_entries_there_are() {
        let (n, m) = (7, 5);
        let costs = vec![1.0; n * m];
        let lines = MatrixView::row_major(&costs, n);
        let mut plan = Plan::default();
        for j in 0..m {
            for i in (0..n).filter(|i| (i + j) % 3 != 0 || *i == 0) {
                plan.push(i as u32, 1.0, 1.0 + ((i * 3 + j * 5) as f64).sin().abs());
            }
            plan.end_line();
        }
        let (a, b) = (plan.point_sums(n), plan.line_sums());
        let problem =
            Problem { lines: &lines, a: &a, b: &b, gamma: 1.0, k: 3, sides: crate::problem::SIDES };
        let mut wrong = plan.clone();
        for (p, mass) in wrong.masses.iter_mut().enumerate() {
            *mass *= 1.0 + 1e-6 * (p as f64).cos();
        }
        let stop = Stop::new(&Unobserved, None);
        let before = Missing::of(&problem, &wrong).total();
        let (right, after) = corrected(&problem, wrong.clone(), &stop).unwrap();
        assert!(before > 1e-7 && after < 1e-14, "{before} {after}");
        assert_eq!((right.points, right.starts), (plan.points, plan.starts));
        // A plan whose parts have other masses than their points and lines cannot be put right.
        let apart = Problem { a: &[1.0, 1.0], b: &[1.5, 0.5], ..problem };
        let mut plan = Plan::default();
        for j in 0..2 {
            plan.push(j, 1.0, 1.0);
            plan.end_line();
        }
        let (_, left) = corrected(&apart, plan, &stop).unwrap();
        assert!((0.9..=1.1).contains(&left), "{left}");
    }
}

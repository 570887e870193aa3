//! Exact marginals for any sparse plan.
//!
//! Points that have too much are scaled down, then lines; what is missing on both sides is then
//! brought together in order, from the first to the last ("north-west corner"), which adds fewer
//! entries than there are points and lines that miss something. What a plan with small errors gains
//! in value is as small. Forbidden edges get nothing: what could only go there stays missing.

use sparrot_foundation::{Error, Stop};

use super::Problem;
use super::oracle::Plan;

/// What a line may miss by the rounding of its own sum, as a share of it; and what all may miss for
/// the marginals to be right.
const ROUNDED: f64 = 4.0 * f64::EPSILON;
const NOTHING: f64 = 1e-13;

/// Scales down what is too much and adds what is missing; the plan, and whether it has the marginals.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn round(problem: &Problem<'_>, plan: &Plan, stop: &Stop<'_>) -> Result<(Plan, bool), Error> {
    let (n, _) = problem.shape();
    let shrink = |sum: f64, weight: f64| if sum > weight { weight / sum } else { 1.0 };
    let by_point: Vec<f64> =
        plan.point_sums(n).iter().zip(problem.a).map(|(s, a)| shrink(*s, *a)).collect();
    let mut scaled = plan.clone();
    for (mass, i) in scaled.masses.iter_mut().zip(&plan.points) {
        *mass *= by_point[*i as usize];
    }
    let line_sums = scaled.line_sums();
    for (line, (sum, b)) in plan.lines().zip(line_sums.iter().zip(problem.b)) {
        let factor = shrink(*sum, *b);
        scaled.masses[line].iter_mut().for_each(|mass| *mass *= factor);
    }
    let missing = |sums: Vec<f64>, weights: &[f64]| -> Vec<f64> {
        sums.iter().zip(weights).map(|(s, w)| (w - s).max(0.0)).collect()
    };
    let mut of_points = missing(scaled.point_sums(n), problem.a);
    let of_lines = missing(scaled.line_sums(), problem.b);
    let mut result = Plan::default();
    let mut row = vec![];
    let mut first = 0; // that misses something
    let mut left_over = 0.0;
    for (j, (line, mut left)) in scaled.lines().zip(of_lines).enumerate() {
        let mut entries: Vec<(u32, f64, f64)> =
            line.map(|p| (scaled.points[p], scaled.costs[p], scaled.masses[p])).collect();
        stop.poll()?;
        // What a line misses by rounding alone is not worth reading its costs for.
        if left <= ROUNDED * problem.b[j] || first == n {
            left_over += left;
            left = 0.0;
        } else {
            row.resize(n, 0.0);
            problem.lines.scaled_row(j, 1.0, &mut row);
        }
        let mut next = first;
        while left > 0.0 && next < n {
            let moved = left.min(of_points[next]);
            if moved > 0.0 && row[next] < f64::INFINITY {
                match entries.binary_search_by_key(&(next as u32), |entry| entry.0) {
                    Ok(at) => entries[at].2 += moved,
                    Err(at) => entries.insert(at, (next as u32, row[next], moved)),
                }
                left -= moved;
                of_points[next] -= moved;
            }
            if of_points[next] <= 0.0 && next == first {
                first += 1;
            }
            if left > 0.0 {
                next += 1;
            }
        }
        left_over += left;
        for (point, cost, mass) in entries {
            if mass > 0.0 {
                result.push(point, cost, mass);
            }
        }
        result.end_line();
    }
    let mass: f64 = problem.b.iter().sum();
    Ok((result, left_over <= NOTHING * mass))
}

//! How far an answer is from solving its equations, and how far from the solution.
//!
//! Residuals are measured anew, from the values returned and the weights as they were given:
//! `r_i = b_i + sum of w_ij (x_j - x_i) - c_i x_i` over all neighbours. What rounding can add to
//! that is at most `(m + 4) u` times the same sum over magnitudes, for m terms and unit roundoff u.
//!
//! **The bound.** The equations of the reached unknowns have a nonsingular M-matrix A, whose
//! inverse is not negative. So if `A v >= s > 0` in every component, v is positive and
//!
//! ```text
//! |x - x*| <= A^-1 |r| <= A^-1 s max_j |r_j| / s_j <= v max_j |r_j| / s_j
//! ```
//!
//! in every component (the comparison principle). v comes from solving `A v = |r| / max |r| +`
//! [`FLOOR`] (the largest of all columns) to a modest tolerance; that `A v` is positive, and how
//! large it is at least, is then measured, rounding included. One solve for all columns.

use sparrot_foundation::{Error, Scalar, Stop, Team};

use crate::cg::{self, Limits};
use crate::factor::Factor;
use crate::problem::{LINES, Problem};
use crate::system::System;

/// What is added to the shape of the residual, so that v can be computed with few digits.
const FLOOR: f64 = 0.05;

/// Residuals of a node, what rounding can have done to them, and its right-hand sides, with what
/// fixed nodes add to them.
#[derive(Default)]
struct Row {
    residual: Vec<f64>,
    rounding: Vec<f64>,
    rhs: Vec<f64>,
}

impl Row {
    fn measure<T: Scalar>(&mut self, problem: &Problem<'_, T>, x: &[f64], i: usize) {
        let k = problem.k;
        let here = &x[i * k..(i + 1) * k];
        let Row { residual, rounding, rhs } = self;
        for row in [&mut *rhs, &mut *residual, &mut *rounding] {
            row.clear();
        }
        rhs.extend(problem.source(i));
        let diagonal = problem.diagonal(i);
        residual.extend(rhs.iter().zip(here).map(|(b, x)| b - diagonal * x));
        rounding.extend(rhs.iter().zip(here).map(|(b, x)| b.abs() + diagonal * x.abs()));
        let mut terms = 4.0;
        for (j, weight) in problem.weights.neighbours(i) {
            terms += 1.0;
            let there = &x[j * k..(j + 1) * k];
            for c in 0..k {
                residual[c] += weight * (there[c] - here[c]);
                rounding[c] += weight * (there[c].abs() + here[c].abs());
            }
            if problem.fixed[j] {
                rhs.iter_mut().zip(there).for_each(|(b, x)| *b += weight * x);
            }
        }
        // The sum of magnitudes is itself rounded; products may underflow.
        let unit = 1.01 * terms * (f64::EPSILON / 2.0);
        rounding.iter_mut().for_each(|sum| *sum = unit * *sum + terms * f64::MIN_POSITIVE);
    }
}

/// The 2-norm of the residual over that of the right-hand side, for each column, over these nodes.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn residuals<T: Scalar>(
    problem: &Problem<'_, T>,
    nodes: &[u32],
    x: &[f64],
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let mut sums = vec![(0.0, 0.0); problem.k];
    let mut row = Row::default();
    for (at, node) in nodes.iter().enumerate() {
        if at.is_multiple_of(LINES) {
            stop.poll()?;
        }
        row.measure(problem, x, *node as usize);
        for (sum, (r, b)) in sums.iter_mut().zip(row.residual.iter().zip(&row.rhs)) {
            sum.0 += r * r;
            sum.1 += b * b;
        }
    }
    let ratio = |(r, b): (f64, f64)| if r == 0.0 { 0.0 } else { (r / b).sqrt() };
    Ok(sums.into_iter().map(ratio).collect())
}

/// A bound of `|x - x*|` for each node and column, n x k by rows: 0 where a value is fixed or
/// unreached. Infinite if none can be proven.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn error_bounds<T: Scalar>(
    problem: &Problem<'_, T>,
    x: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, k) = (problem.nodes(), problem.k);
    let mut bounds = vec![0.0; n * k];
    let mut system = System::new(problem, x, stop)?;
    if system.is_empty() {
        return Ok(bounds);
    }
    let mut row = Row::default();
    let mut wrong = Vec::with_capacity(system.len() * k);
    for node in &system.nodes {
        row.measure(problem, x, *node as usize);
        wrong
            .extend(row.residual.iter().zip(&row.rounding).map(|(r, rounding)| r.abs() + rounding));
    }
    let mut largest = vec![f64::MIN_POSITIVE; k];
    for row in wrong.chunks_exact(k) {
        largest.iter_mut().zip(row).for_each(|(most, r)| *most = r.max(*most));
    }
    let shape = wrong.chunks_exact(k).map(|row| {
        row.iter().zip(&largest).fold(0.0, |most: f64, (r, largest)| most.max(r / largest)) + FLOOR
    });
    system.rhs = shape.collect();
    let factor = Factor::new(&mut system);
    let mut ratios = vec![f64::INFINITY; k];
    let mut v = vec![0.0; n];
    for tol in [1e-3, 1e-5, 1e-7, 1e-9] {
        let limits = Limits { tol, max_iter: 100_000, give_up: None };
        let solved = cg::solve(&factor, 0..1, limits, team, stop)?;
        let nodes = &factor.system.nodes;
        for (node, value) in nodes.iter().zip(&solved.x) {
            v[*node as usize] = *value;
        }
        if let Some(least) = least_products(problem, &v, nodes) {
            ratios.fill(0.0);
            for (row, s) in wrong.chunks_exact(k).zip(&least) {
                ratios.iter_mut().zip(row).for_each(|(most, r)| *most = most.max(r / s));
            }
            // v is as good as it can be to within a factor of 2.
            if ratios.iter().zip(&largest).all(|(ratio, largest)| *ratio <= 2.0 * largest) {
                break;
            }
        }
    }
    for node in &factor.system.nodes {
        let i = *node as usize;
        for c in 0..k {
            // Two roundings, upwards.
            bounds[i * k + c] = v[i] * ratios[c] * (1.0 + 4.0 * f64::EPSILON);
        }
    }
    Ok(bounds)
}

/// What `A v` is at least, for each of these nodes; `None` if not above 0 everywhere.
fn least_products<T: Scalar>(
    problem: &Problem<'_, T>,
    v: &[f64],
    nodes: &[u32],
) -> Option<Vec<f64>> {
    // A v is minus the residual of v where all that is fixed, and all sources, are 0.
    let homogeneous = Problem { k: 1, source: None, ..*problem };
    let mut row = Row::default();
    nodes
        .iter()
        .map(|node| {
            row.measure(&homogeneous, v, *node as usize);
            let least = -row.residual[0] - row.rounding[0];
            (least > 0.0).then_some(least)
        })
        .collect()
}

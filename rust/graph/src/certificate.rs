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
//! in every component (the comparison principle). v comes from solving, to a modest tolerance,
//! `A v = d (|r / d| / max |r / d| +` `FLOOR``)` with the diagonal d of A, and the largest of all
//! columns; that `A v` is positive, and how
//! large it is at least, is then measured, rounding included. One solve for all columns. Where that
//! fails, as weights differ too much, systems of up to [`dense::MOST`] unknowns are solved again
//! by [`dense`], whose error has a bound of its own.

use sparrot_foundation::{Error, Scalar, Status, Stop, Team};

use crate::cg::{self, Limits};
use crate::dense;
use crate::factor::Factor;
use crate::problem::{LINES, Problem};
use crate::system::System;

/// What is added to the shape of the residual, relative to the diagonal, so that v can be computed
/// with few digits.
const FLOOR: f64 = 0.05;

/// Two norms of the rows of a system, gathered row by row: see [`residuals`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    /// Squares are of components times this, so that they do not overflow.
    unit: f64,
    squares: f64,
    largest: f64,
}

impl Size {
    /// Adds the component of a row with that diagonal.
    #[inline(always)]
    pub fn add(&mut self, component: f64, diagonal: f64) {
        const FAR: f64 = 1e100;
        let mut share = component * self.unit;
        if component != 0.0 && (self.unit == 0.0 || share.abs() > FAR) {
            let unit = (1.0 / component.abs()).min(FAR.powi(3)); // finite
            self.squares *= (unit / self.unit.max(unit)).powi(2);
            self.unit = unit;
            share = component * unit;
        }
        self.squares += share * share;
        // Unlike f64::max this keeps NaN.
        let scaled = (component / diagonal).abs();
        self.largest = if scaled <= self.largest { self.largest } else { scaled };
    }

    /// The larger of the ratios of both; 0 for nothing over nothing.
    pub fn over(&self, other: &Size) -> f64 {
        if self.squares == 0.0 {
            return 0.0;
        }
        let whole = (self.squares / other.squares).sqrt() * (other.unit / self.unit);
        let node = self.largest / other.largest;
        if whole <= node { node } else { whole }
    }
}

/// Residuals of a node, what rounding can have done to them, and its right-hand sides, with what
/// fixed nodes add to them.
#[derive(Default)]
struct Row {
    residual: Vec<f64>,
    rounding: Vec<f64>,
    rhs: Vec<f64>,
    diagonal: f64,
}

impl Row {
    fn measure<T: Scalar>(&mut self, problem: &Problem<'_, T>, x: &[f64], i: usize) {
        let k = problem.k;
        let here = &x[i * k..(i + 1) * k];
        let Row { residual, rounding, rhs, diagonal: sum } = self;
        for row in [&mut *rhs, &mut *residual, &mut *rounding] {
            row.clear();
        }
        rhs.extend(problem.source(i));
        let diagonal = problem.diagonal(i);
        residual.extend(rhs.iter().zip(here).map(|(b, x)| b - diagonal * x));
        rounding.extend(rhs.iter().zip(here).map(|(b, x)| b.abs() + diagonal * x.abs()));
        *sum = diagonal;
        let mut terms = 4.0;
        for (j, weight) in problem.weights.neighbours(i) {
            terms += 1.0;
            *sum += weight;
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

/// The relative residual of each column over these nodes: the larger one of `|r| / |b|`, in
/// 2-norms, and `max |r_i / d_i| / max |b_i / d_i|`, d the diagonal. The first is what solvers of
/// linear systems go by; it does not see nodes whose weights are small, the second does. And
/// whether all that is left is rounding: no `|r_i|` is more than the measurement may be off by.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn residuals<T: Scalar>(
    problem: &Problem<'_, T>,
    nodes: &[u32],
    x: &[f64],
    stop: &Stop<'_>,
) -> Result<(Vec<f64>, bool), Error> {
    let mut is_rounding = true;
    let mut sizes = vec![(Size::default(), Size::default()); problem.k];
    let mut row = Row::default();
    for (at, node) in nodes.iter().enumerate() {
        if at.is_multiple_of(LINES) {
            stop.poll()?;
        }
        row.measure(problem, x, *node as usize);
        for ((residual, rhs), (r, b)) in sizes.iter_mut().zip(row.residual.iter().zip(&row.rhs)) {
            residual.add(*r, row.diagonal);
            rhs.add(*b, row.diagonal);
        }
        is_rounding &= row.residual.iter().zip(&row.rounding).all(|(r, most)| r.abs() <= *most);
    }
    let ratios = sizes.iter().map(|(residual, rhs)| residual.over(rhs)).collect();
    Ok((ratios, is_rounding))
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
    if !dense::is_best(&system) && by_comparison(problem, x, &mut system, &mut bounds, team, stop)?
    {
        return Ok(bounds);
    }
    if system.len() > dense::MOST {
        system.nodes.iter().for_each(|i| bounds[*i as usize * k..][..k].fill(f64::INFINITY));
    } else {
        by_elimination(problem, x, &mut bounds, team, stop)?;
    }
    Ok(bounds)
}

/// The bound above; whether there is one.
fn by_comparison<T: Scalar>(
    problem: &Problem<'_, T>,
    x: &[f64],
    system: &mut System,
    bounds: &mut [f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<bool, Error> {
    let k = problem.k;
    let mut row = Row::default();
    let mut wrong = Vec::with_capacity(system.len() * k);
    for node in &system.nodes {
        row.measure(problem, x, *node as usize);
        wrong.extend(row.residual.iter().zip(&row.rounding).map(|(r, more)| r.abs() + more));
    }
    let mut largest = vec![f64::MIN_POSITIVE; k];
    for (row, diagonal) in wrong.chunks_exact(k).zip(&system.diagonal) {
        largest.iter_mut().zip(row).for_each(|(most, r)| *most = (r / diagonal).max(*most));
    }
    let shape = wrong.chunks_exact(k).zip(&system.diagonal).map(|(row, diagonal)| {
        let shares = row.iter().zip(&largest).map(|(r, largest)| r / diagonal / largest);
        diagonal * (shares.fold(0.0, f64::max) + FLOOR)
    });
    system.rhs = shape.collect();
    let factor = Factor::new(system);
    let mut ratios = vec![f64::INFINITY; k];
    let mut v = vec![0.0; problem.nodes()];
    let nodes = &factor.system.nodes;
    // Where elimination is at hand, it is not worth more.
    let max_iter = if dense::is_best(factor.system) { 300 } else { 10_000 };
    for tol in [1e-3, 1e-5, 1e-7, 1e-9] {
        let limits = Limits { tol, max_iter, give_up: None };
        let solved = cg::solve(&factor, 0..1, limits, team, stop)?;
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
        if solved.status != Status::Converged {
            break;
        }
    }
    for node in nodes {
        let i = *node as usize;
        for (bound, ratio) in bounds[i * k..(i + 1) * k].iter_mut().zip(&ratios) {
            // Two roundings, upwards.
            *bound = v[i] * ratio * (1.0 + 4.0 * f64::EPSILON);
        }
    }
    Ok(ratios.iter().all(|ratio| ratio.is_finite()))
}

/// The distance to the solution by [`dense`], with what that may be off by.
fn by_elimination<T: Scalar>(
    problem: &Problem<'_, T>,
    x: &[f64],
    bounds: &mut [f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    let k = problem.k;
    let system = System::new(problem, x, stop)?;
    let exact = dense::solve(&system, team, stop)?;
    let magnitudes: Vec<f64> = x.iter().map(|x| x.abs()).collect();
    let source: Option<Vec<f64>> = problem.source.map(|b| b.iter().map(|b| b.abs()).collect());
    let larger = Problem { source: source.as_deref(), ..*problem };
    let most = dense::solve(&System::new(&larger, &magnitudes, stop)?, team, stop)?;
    let neighbours = |node: &u32| problem.weights.line(*node as usize).0.len();
    let most_neighbours = system.nodes.iter().map(neighbours).max().unwrap_or(0);
    let off = dense::worst_error(system.len(), most_neighbours);
    let off = off / (1.0 - off);
    for (at, node) in system.nodes.iter().enumerate() {
        for c in 0..k {
            let place = *node as usize * k + c;
            let (exact, most) = (exact[at * k + c], most[at * k + c]);
            bounds[place] = ((x[place] - exact).abs() + off * most) * (1.0 + 4.0 * f64::EPSILON);
        }
    }
    Ok(())
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

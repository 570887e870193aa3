//! The plan as the user wants it: a matrix, its entries worth keeping, or applied to vectors.
//!
//! All come from the potentials and the costs, row by row: only [`dense`] makes n x m numbers.

use sparrot_foundation::{Error, Scalar, Stop, Team, memory};
use sparrot_simd::{gibbs, linear, reduce};

use crate::geometry::Cost;
use crate::problem::{Pass, Problem, row_blocks};
use crate::sparsify::{self, Csr, Rows};

/// Potentials in units of `reg`.
#[derive(Clone, Debug, PartialEq)]
pub struct Potentials {
    /// Of the rows.
    pub phi: Vec<f64>,
    /// Of the columns.
    pub psi: Vec<f64>,
}

impl Potentials {
    /// From potentials in the units of the cost.
    pub fn scaled(f: &[f64], g: &[f64], reg: f64) -> Potentials {
        let scale = |x: &[f64]| x.iter().map(|x| x / reg).collect();
        Potentials { phi: scale(f), psi: scale(g) }
    }

    fn row(&self, problem: &Problem<'_>, i: usize, out: &mut [f64]) {
        problem.scaled_row(i, out);
        gibbs::exp_row(self.phi[i], &self.psi, out);
    }
}

/// Writes the whole plan by rows.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn dense<T: Scalar>(
    problem: &Problem<'_>,
    potentials: &Potentials,
    out: &mut [T],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    let m = problem.b.len();
    let rows = row_blocks(problem.a.len(), m);
    let blocks: Vec<_> = out.chunks_mut(rows * m).enumerate().collect();
    team.for_work(Pass::Exp.cost(problem.a.len(), m)).run(stop, blocks, |(block, out)| {
        let mut row = vec![0.0; m];
        for (k, out) in out.chunks_mut(m).enumerate() {
            potentials.row(problem, block * rows + k, &mut row);
            out.iter_mut().zip(&row).for_each(|(out, x)| *out = T::from_f64(*x));
        }
    })?;
    Ok(())
}

/// The entries of row i above `threshold * a_i / m`: leaving out the others moves at most the
/// share `threshold` of any row.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn sparse(
    problem: &Problem<'_>,
    potentials: &Potentials,
    threshold: f64,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Csr, Error> {
    let (n, m) = (problem.a.len(), problem.b.len());
    let above = |i: usize| threshold * problem.a[i] / m as f64;
    let rows = |i: usize, row: &mut [f64]| potentials.row(problem, i, row);
    sparsify::above((n, m), above, Rows::Computed(&rows), team, stop)
}

/// `P V`, with the columns of `V` (m values each) one after the other; the result has the products
/// of row i with all of them next to each other (n x d).
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn apply(
    problem: &Problem<'_>,
    potentials: &Potentials,
    columns: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let shape = (problem.a.len(), problem.b.len());
    by_rows(shape, columns, team, stop, |i, row| {
        potentials.row(problem, i, row);
        1.0
    })
}

/// `P' W`, with the columns of `W` (n values each) one after the other; the result likewise has m
/// values for each.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn apply_transposed(
    problem: &Problem<'_>,
    potentials: &Potentials,
    columns: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, m) = (problem.a.len(), problem.b.len());
    let rows = row_blocks(n, m);
    let mut total = memory::zeros(PRODUCT, columns.len() / n, m)?;
    for (columns, total) in columns.chunks(n * AT_ONCE).zip(total.chunks_mut(m * AT_ONCE)) {
        let mut sums = memory::zeros(PRODUCT, n.div_ceil(rows), total.len())?;
        let blocks: Vec<_> = sums.chunks_mut(total.len()).enumerate().collect();
        team.for_work(Pass::Exp.cost(n, m)).run(stop, blocks, |(block, sums)| {
            let mut row = vec![0.0; m];
            for i in (block * rows..n).take(rows) {
                potentials.row(problem, i, &mut row);
                for (sum, column) in sums.chunks_mut(m).zip(columns.chunks(n)) {
                    linear::axpy(column[i], &row, sum);
                }
            }
        })?;
        sums.chunks(total.len()).for_each(|block| linear::add_to(block, total));
    }
    Ok(total)
}

/// Vectors multiplied in one pass: few enough that a block of rows is soon done with, and that the
/// sums of all blocks together take about the room of the plan at most.
const AT_ONCE: usize = 64;

const PRODUCT: &str = "the product with the plan";

/// The entropic map of new points: `sum_j w_j V_j / sum_j w_j` with `w_j = exp(psi_j - c_j)`, where
/// `c` are the scaled costs from the new point to the targets. On the points of the solved problem
/// it is the barycentric projection of the plan (Pooladian and Niles-Weed 2021, equation 8).
///
/// # Errors
/// [`Error::Interrupted`], or [`Error::Infeasible`] for a point that no target can be reached from.
pub fn barycentric_map(
    cost: &dyn Cost,
    reg: f64,
    psi: &[f64],
    columns: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let mapped = by_rows(cost.shape(), columns, team, stop, |i, row| {
        cost.scaled_row(i, 1.0 / reg, row);
        let most = reduce::max_difference(psi, row);
        gibbs::exp_row(-most, psi, row)
    })?;
    match mapped.iter().position(|x| x.is_nan()) {
        None => Ok(mapped),
        Some(at) => {
            let d = columns.len() / psi.len().max(1);
            Err(Error::Infeasible(format!("row {}: no target can be reached", at / d.max(1))))
        }
    }
}

/// For every row: `fill(i, row)` computes it and returns what the products with the columns are to
/// be divided by. The result has as many values for each row as there are columns.
fn by_rows(
    (n, m): (usize, usize),
    columns: &[f64],
    team: &Team,
    stop: &Stop<'_>,
    fill: impl Fn(usize, &mut [f64]) -> f64 + Sync,
) -> Result<Vec<f64>, Error> {
    let d = columns.len() / m;
    let rows = row_blocks(n, m);
    let mut out = memory::zeros(PRODUCT, n, d)?;
    for (at, columns) in columns.chunks(m * AT_ONCE).enumerate() {
        let blocks: Vec<_> = out.chunks_mut(rows * d).enumerate().collect();
        team.for_work(Pass::Exp.cost(n, m)).run(stop, blocks, |(block, out)| {
            let mut row = vec![0.0; m];
            for (k, out) in out.chunks_mut(d).enumerate() {
                let divisor = fill(block * rows + k, &mut row);
                for (out, column) in out[at * AT_ONCE..].iter_mut().zip(columns.chunks(m)) {
                    *out = reduce::dot(&row, column) / divisor;
                }
            }
        })?;
    }
    Ok(out)
}

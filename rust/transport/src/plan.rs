//! The plan as the user wants it: a matrix, its entries worth keeping, or applied to vectors.
//!
//! All come from the potentials and the costs, row by row: only [`dense`] makes n x m numbers.

use sparrot_foundation::{Error, Scalar, Stop, Team};
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

/// `P V`, with the columns of `V` (m values each) one after the other; the result likewise has
/// its n values row by row (n x d).
///
/// # Errors
/// [`Error::Interrupted`].
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

/// `P' W` for `W` (n x d, by rows); the result is m values for each of the d columns.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn apply_transposed(
    problem: &Problem<'_>,
    potentials: &Potentials,
    rows: &[f64],
    d: usize,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, m) = (problem.a.len(), problem.b.len());
    let block = row_blocks(n, m);
    let blocks: Vec<usize> = (0..n).step_by(block).collect();
    let parts = team.for_work(Pass::Exp.cost(n, m)).run(stop, blocks, |first| {
        let (mut row, mut sums) = (vec![0.0; m], vec![0.0; m * d]);
        for i in first..(first + block).min(n) {
            potentials.row(problem, i, &mut row);
            for (sum, w) in sums.chunks_mut(m).zip(&rows[i * d..(i + 1) * d]) {
                linear::axpy(*w, &row, sum);
            }
        }
        sums
    })?;
    let mut total = vec![0.0; m * d];
    parts.iter().for_each(|part| linear::add_to(part, &mut total));
    Ok(total)
}

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
/// be divided by.
fn by_rows(
    (n, m): (usize, usize),
    columns: &[f64],
    team: &Team,
    stop: &Stop<'_>,
    fill: impl Fn(usize, &mut [f64]) -> f64 + Sync,
) -> Result<Vec<f64>, Error> {
    let d = columns.len() / m;
    let block = row_blocks(n, m);
    let mut out = vec![0.0; n * d];
    let blocks: Vec<_> = out.chunks_mut((block * d).max(1)).enumerate().collect();
    team.for_work(Pass::Exp.cost(n, m)).run(stop, blocks, |(at, out)| {
        let mut row = vec![0.0; m];
        for (k, out) in out.chunks_mut(d).enumerate() {
            let divisor = fill(at * block + k, &mut row);
            for (out, column) in out.iter_mut().zip(columns.chunks(m)) {
                *out = reduce::dot(&row, column) / divisor;
            }
        }
    })?;
    Ok(out)
}

//! Sinkhorn updates by log-sum-exp (section 2): exact whatever the potentials were before.
//!
//! Row update: `phi_i = log a_i - log sum_j exp(psi_j - c_ij)`; the column update is its mirror.
//! Each tries its old potential as the shift of the log-sum-exp, which saves the pass that looks
//! for the maximum, and is right unless sums leave the range of the type.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::{gibbs, linear, reduce};

use crate::problem::{Pass, Problem, row_blocks};
use crate::relaxation::{COLUMNS, ROWS};

/// Sums within these bounds have lost nothing to underflow or overflow.
const SAFE: std::ops::Range<f64> = 1e-200..1e200;

/// Sets `phi` so that every row of the plan is exact.
///
/// # Errors
/// [`Error::Infeasible`] if a row whose marginal is fixed, and not 0, has only forbidden edges.
pub fn update_rows(
    problem: &Problem<'_>,
    phi: &mut [f64],
    psi: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    let (n, m) = (problem.a.len(), problem.b.len());
    let rows = row_blocks(n, m);
    let blocks: Vec<_> = phi.chunks_mut(rows).enumerate().collect();
    let blocks = team.for_work(Pass::Exp.cost(n, m)).run(stop, blocks, |(block, phi)| {
        let mut row = vec![0.0; m];
        for (k, phi) in phi.iter_mut().enumerate() {
            let i = block * rows + k;
            if let Some(sum) = exp_row(problem, i, phi, psi, &mut row)? {
                (*phi, _) = problem.exact(ROWS, i, *phi, sum);
            }
        }
        Ok(())
    })?;
    blocks.into_iter().collect()
}

/// Row i of the plan and its sum, with the potential it is given, or with one that puts the largest
/// entry at 1 where the sum would not be safe: `phi` is then that one. `None` if the row has to stay
/// empty: `phi` is then `-inf`, and what `row` holds means nothing.
///
/// # Errors
/// [`Error::Infeasible`] if the row's marginal is fixed, and not 0, but it has only forbidden edges.
pub(crate) fn exp_row(
    problem: &Problem<'_>,
    i: usize,
    phi: &mut f64,
    psi: &[f64],
    row: &mut [f64],
) -> Result<Option<f64>, Error> {
    let weight = problem.a[i];
    if weight == 0.0 {
        *phi = f64::NEG_INFINITY;
        return Ok(None);
    }
    if phi.is_finite() {
        problem.scaled_row(i, row);
        let sum = gibbs::exp_row(*phi, psi, row);
        if SAFE.contains(&sum) {
            return Ok(Some(sum));
        }
    }
    problem.scaled_row(i, row);
    let most = reduce::max_difference(psi, row);
    if most > f64::NEG_INFINITY {
        *phi = -most;
        return Ok(Some(gibbs::exp_row(*phi, psi, row)));
    }
    if problem.slack(ROWS) == 0.0 {
        return Err(no_edge(problem, ROWS, i));
    }
    *phi = f64::NEG_INFINITY;
    Ok(None)
}

/// Sets `psi` so that every column of the plan is exact.
///
/// # Errors
/// [`Error::Infeasible`] if a column whose marginal is fixed, and not 0, has only forbidden edges.
pub fn update_columns(
    problem: &Problem<'_>,
    phi: &[f64],
    psi: &mut [f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    for (psi, b) in psi.iter_mut().zip(problem.b) {
        if *b == 0.0 {
            *psi = f64::NEG_INFINITY;
        }
    }
    let weighted = |j: &usize| problem.b[*j] > 0.0;
    if (0..psi.len()).filter(weighted).all(|j| psi[j].is_finite()) {
        let sums = column_sums(problem, phi, psi, team, stop)?;
        if (0..psi.len()).filter(weighted).all(|j| SAFE.contains(&sums[j])) {
            for j in (0..psi.len()).filter(weighted) {
                (psi[j], _) = problem.exact(COLUMNS, j, psi[j], sums[j]);
            }
            return Ok(());
        }
    }
    let most = column_maxima(problem, phi, team, stop)?;
    for (j, psi) in psi.iter_mut().enumerate() {
        if problem.b[j] > 0.0 {
            let is_empty = most[j] == f64::NEG_INFINITY;
            if is_empty && problem.slack(COLUMNS) == 0.0 {
                return Err(no_edge(problem, COLUMNS, j));
            }
            *psi = if is_empty { f64::NEG_INFINITY } else { -most[j] };
        }
    }
    let sums = column_sums(problem, phi, psi, team, stop)?;
    for (j, psi) in psi.iter_mut().enumerate().filter(|(_, psi)| psi.is_finite()) {
        (*psi, _) = problem.exact(COLUMNS, j, *psi, sums[j]);
    }
    Ok(())
}

fn no_edge(problem: &Problem<'_>, side: usize, i: usize) -> Error {
    let weights = if side == ROWS { problem.a } else { problem.b };
    // As a share: the solver may have been given the weights scaled.
    let share = weights[i] / reduce::sum(weights);
    Error::Infeasible(format!(
        "{} {i} has weight ({share:e} of all) but every cost in it is infinite or leads to a point \
         without weight: no plan can move its mass",
        problem.sides[side]
    ))
}

/// `sum_i exp(phi_i + psi_j - c_ij)` for every column.
fn column_sums(
    problem: &Problem<'_>,
    phi: &[f64],
    psi: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    over_rows(problem, 0.0, team, stop, |i, row, sums| {
        if phi[i] > f64::NEG_INFINITY {
            gibbs::exp_row(phi[i], psi, row);
            linear::add_to(row, sums);
        }
    })
    .map(|blocks| fold(blocks, add))
}

/// `max_i (phi_i - c_ij)` for every column.
fn column_maxima(
    problem: &Problem<'_>,
    phi: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    over_rows(problem, f64::NEG_INFINITY, team, stop, |i, row, most| {
        if phi[i] > f64::NEG_INFINITY {
            gibbs::max_column(phi[i], row, most);
        }
    })
    .map(|blocks| {
        fold(blocks, |block, most| {
            most.iter_mut().zip(block).for_each(|(most, x)| *most = most.max(*x));
        })
    })
}

/// One accumulator of m values per block of rows, filled by `take(i, row of c, accumulator)`.
fn over_rows(
    problem: &Problem<'_>,
    start: f64,
    team: &Team,
    stop: &Stop<'_>,
    take: impl Fn(usize, &mut [f64], &mut [f64]) + Sync,
) -> Result<Vec<Vec<f64>>, Error> {
    let (n, m) = (problem.a.len(), problem.b.len());
    let rows = row_blocks(n, m);
    let blocks: Vec<usize> = (0..n).step_by(rows).collect();
    team.for_work(Pass::Exp.cost(n, m)).run(stop, blocks, |first| {
        let (mut row, mut accumulated) = (vec![0.0; m], vec![start; m]);
        for i in first..(first + rows).min(n) {
            problem.scaled_row(i, &mut row);
            take(i, &mut row, &mut accumulated);
        }
        accumulated
    })
}

fn add(block: &[f64], sums: &mut [f64]) {
    linear::add_to(block, sums);
}

/// Joins the blocks' accumulators in their order.
fn fold(blocks: Vec<Vec<f64>>, join: impl Fn(&[f64], &mut [f64])) -> Vec<f64> {
    let mut blocks = blocks.into_iter();
    let mut total = blocks.next().unwrap_or_default();
    blocks.for_each(|block| join(&block, &mut total));
    total
}

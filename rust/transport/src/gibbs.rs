//! The plan of given potentials, stored (equation 3), and Sinkhorn sweeps over it.
//!
//! `T_ij = exp(phi_i + psi_j - c_ij)`. A sweep works on scalings `u`, `v` on top of the potentials
//! (the plan is then `u_i T_ij v_j`), reads `T` once and takes no exponential.

use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::{gibbs, linear, reduce};

use crate::log_domain;
use crate::problem::{PLAN, Pass, Problem, row_blocks};

/// The stored plan and its marginals.
pub struct Gibbs {
    /// `T`, by rows.
    pub plan: Vec<f64>,
    /// The row sums of `T`.
    pub row_sums: Vec<f64>,
    /// The column sums of `T`.
    pub column_sums: Vec<f64>,
    rows: usize,
    accumulators: Vec<f64>,
}

impl Gibbs {
    /// Room for the plan; the n x m matrix is the one large array of a solve.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(n: usize, m: usize) -> Result<Gibbs, Error> {
        let rows = row_blocks(n, m);
        Ok(Gibbs {
            plan: memory::zeros(PLAN, n, m)?,
            row_sums: vec![0.0; n],
            column_sums: vec![0.0; m],
            rows,
            accumulators: memory::zeros("column sums", n.div_ceil(rows), m)?,
        })
    }

    /// The sum of all entries.
    pub fn total(&self) -> f64 {
        reduce::sum(&self.row_sums)
    }

    /// `T = exp(phi_i + psi_j - c_ij)`, with its row and column sums.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn fill(
        &mut self,
        problem: &Problem<'_>,
        phi: &[f64],
        psi: &[f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let mut row_sums = std::mem::take(&mut self.row_sums);
        let done = self.by_rows(psi.len(), &mut row_sums, team, stop, |i, row_sum, row, sums| {
            problem.scaled_row(i, row);
            *row_sum = gibbs::exp_row(phi[i], psi, row);
            linear::add_to(row, sums);
        });
        self.row_sums = row_sums;
        done.map(|_| ())
    }

    /// The plan of the column potentials with exact rows: sets `phi`, starting from what it was,
    /// and stores `T` with its sums. Rows without weight are empty.
    ///
    /// # Errors
    /// [`Error::Infeasible`] if a row with weight has only forbidden edges, [`Error::Interrupted`].
    pub fn fill_exact_rows(
        &mut self,
        problem: &Problem<'_>,
        phi: &mut [f64],
        psi: &[f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        self.row_sums.copy_from_slice(problem.a);
        let stuck = self.by_rows(psi.len(), phi, team, stop, |i, phi, row, sums| {
            let weight = problem.a[i];
            if weight == 0.0 {
                *phi = f64::NEG_INFINITY;
                row.fill(0.0);
                return false;
            }
            let Some(sum) = log_domain::exp_row(problem, i, phi, psi, row) else {
                return true;
            };
            *phi += weight.ln() - sum.ln();
            linear::scale_and_add(weight / sum, row, sums);
            false
        })?;
        match stuck.iter().position(|stuck| *stuck) {
            Some(i) => Err(log_domain::no_edge(problem.sides[0], i, problem.a[i])),
            None => Ok(()),
        }
    }

    /// Calls `fill(i, entry of out, row, column sums of the block)` for every row, in blocks; the
    /// results in the order of the rows. Joins the column sums.
    fn by_rows<R: Send>(
        &mut self,
        m: usize,
        out: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
        fill: impl Fn(usize, &mut f64, &mut [f64], &mut [f64]) -> R + Sync,
    ) -> Result<Vec<R>, Error> {
        let rows = self.rows;
        let work = Pass::Exp.cost(out.len(), m);
        let blocks: Vec<_> = self
            .plan
            .chunks_mut(rows * m)
            .zip(out.chunks_mut(rows))
            .zip(self.accumulators.chunks_mut(m))
            .enumerate()
            .collect();
        let results = team.for_work(work).run(stop, blocks, |(block, ((plan, out), sums))| {
            sums.fill(0.0);
            (plan.chunks_mut(m).zip(out).enumerate())
                .map(|(k, (row, out))| fill(block * rows + k, out, row, sums))
                .collect::<Vec<R>>()
        })?;
        join(&self.accumulators, &mut self.column_sums);
        Ok(results.into_iter().flatten().collect())
    }

    /// One fused sweep: `u_i = a_i / (T v)_i`, then `acc = T' u`. Rows without weight get `u = 0`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn sweep(
        &mut self,
        a: &[f64],
        v: &[f64],
        u: &mut [f64],
        acc: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let scaling = |i: usize, product: f64| if a[i] > 0.0 { a[i] / product } else { 0.0 };
        let row = |i, product| (scaling(i, product), scaling(i, product));
        self.fused(v, row, u, acc, team, stop)
    }

    /// Both halves of `[T y; T' x]` in one read: what the Hessian needs of the whole plan.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn apply_both(
        &mut self,
        x: &[f64],
        y: &[f64],
        rows_out: &mut [f64],
        columns_out: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        self.fused(y, |i, product| (product, x[i]), rows_out, columns_out, team, stop)
    }

    /// `out = T' diag(weights) T x` in one read; `products` is room for `T x`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn through_rows(
        &mut self,
        x: &[f64],
        weights: &[f64],
        products: &mut [f64],
        out: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        self.fused(x, |i, product| (product, weights[i] * product), products, out, team, stop)
    }

    /// `(out_i, w_i) = row(i, (T v)_i)` for every row, then `acc = T' w`, in one read of `T`.
    fn fused(
        &mut self,
        v: &[f64],
        row: impl Fn(usize, f64) -> (f64, f64) + Sync,
        out: &mut [f64],
        acc: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let m = v.len();
        let rows = self.rows;
        let block = |block: usize, plan: &[f64], out: &mut [f64], acc: &mut [f64]| {
            acc.fill(0.0);
            by_fours(plan, m, |first, four_rows| {
                let products = linear::dot4(four_rows, v);
                let mut weights = [0.0; 4];
                for (q, weight) in weights.iter_mut().enumerate().take(out.len() - first) {
                    (out[first + q], *weight) = row(block * rows + first + q, products[q]);
                }
                linear::axpy4(weights, four_rows, acc);
            });
        };
        if out.len() <= rows {
            stop.poll()?;
            block(0, &self.plan, out, acc);
            return Ok(());
        }
        let work = Pass::Read.cost(out.len(), m);
        let blocks: Vec<_> = self
            .plan
            .chunks(rows * m)
            .zip(out.chunks_mut(rows))
            .zip(self.accumulators.chunks_mut(m))
            .enumerate()
            .collect();
        team.for_work(work)
            .run(stop, blocks, |(k, ((plan, out), acc))| block(k, plan, out, acc))?;
        join(&self.accumulators, acc);
        Ok(())
    }
}

/// Calls `take(index of the first row, four rows)`; a last group of fewer repeats its last row,
/// for which `take` must use a weight of zero.
fn by_fours(plan: &[f64], m: usize, mut take: impl FnMut(usize, [&[f64]; 4])) {
    let count = plan.len() / m.max(1);
    for first in (0..count).step_by(4) {
        let row = |q: usize| {
            let i = (first + q).min(count - 1);
            &plan[i * m..(i + 1) * m]
        };
        take(first, [row(0), row(1), row(2), row(3)]);
    }
}

/// The sum of the blocks' accumulators, in their order.
fn join(accumulators: &[f64], total: &mut [f64]) {
    total.fill(0.0);
    for block in accumulators.chunks(total.len().max(1)) {
        linear::add_to(block, total);
    }
}

//! The plan of given potentials, stored (equation 3), and Sinkhorn sweeps over it.
//!
//! `T_ij = exp(phi_i + psi_j - c_ij)`. A sweep works on scalings `u`, `v` on top of the potentials
//! (the plan is then `u_i T_ij v_j`), reads `T` once and takes no exponential. In single precision
//! it is read in half the time; sums are in double precision all the same.

use sparrot_foundation::{Error, Scalar, Stop, Team, memory};
use sparrot_simd::{gibbs, linear, reduce, select};

use crate::kernel::{Kernel, RowRule};
use crate::log_domain;
use crate::problem::{PLAN, Pass, Problem, row_blocks};
use crate::relaxation::ROWS;
use crate::sparsify::{self, Csr, Rows};

/// The type that a plan is stored in.
pub trait Storage: Scalar {
    /// The mass of a column, as a share of its weight, that the type can still tell from nothing.
    const LEAST_MASS: f64;
    /// The marginal error below which rounding shows.
    const ROUNDING_SHOWS_BELOW: f64;
    /// The products of four rows with `v`.
    fn dot4(rows: [&[Self]; 4], v: &[f64]) -> [f64; 4];
    /// `y += alpha_0 rows_0 + ... + alpha_3 rows_3`.
    fn axpy4(alpha: [f64; 4], rows: [&[Self]; 4], y: &mut [f64]);
    /// `out = scale * row`.
    fn widen(scale: f64, row: &[Self], out: &mut [f64]);
    /// Stores the row that `fill` computes; `room` is as long as the row.
    fn store<R>(row: &mut [Self], room: &mut [f64], fill: impl FnOnce(&mut [f64]) -> R) -> R;
}

impl Storage for f64 {
    const LEAST_MASS: f64 = 1e-150;
    const ROUNDING_SHOWS_BELOW: f64 = 1e-8;

    fn dot4(rows: [&[f64]; 4], v: &[f64]) -> [f64; 4] {
        linear::dot4(rows, v)
    }
    fn axpy4(alpha: [f64; 4], rows: [&[f64]; 4], y: &mut [f64]) {
        linear::axpy4(alpha, rows, y);
    }
    fn widen(scale: f64, row: &[f64], out: &mut [f64]) {
        linear::scaled_f64(scale, row, out);
    }
    fn store<R>(row: &mut [f64], _: &mut [f64], fill: impl FnOnce(&mut [f64]) -> R) -> R {
        fill(row)
    }
}

impl Storage for f32 {
    const LEAST_MASS: f64 = 1e-25;
    const ROUNDING_SHOWS_BELOW: f64 = 1e-4;

    fn dot4(rows: [&[f32]; 4], v: &[f64]) -> [f64; 4] {
        linear::dot4_single(rows, v)
    }
    fn axpy4(alpha: [f64; 4], rows: [&[f32]; 4], y: &mut [f64]) {
        linear::axpy4_single(alpha, rows, y);
    }
    fn widen(scale: f64, row: &[f32], out: &mut [f64]) {
        linear::scaled_f32(scale, row, out);
    }
    fn store<R>(row: &mut [f32], room: &mut [f64], fill: impl FnOnce(&mut [f64]) -> R) -> R {
        let result = fill(room);
        linear::narrow(room, row);
        result
    }
}

/// The stored plan and its marginals.
pub struct Gibbs<T = f64> {
    /// By rows: row i of `T` is `scale_i` times what is stored.
    plan: Vec<T>,
    scale: Vec<f64>,
    /// The row sums of `T`, as [`Gibbs::fill`] has stored it.
    pub row_sums: Vec<f64>,
    /// The column sums of `T`.
    pub column_sums: Vec<f64>,
    rows: usize,
    accumulators: Vec<f64>,
}

impl Gibbs {
    /// The plan by rows, as [`Gibbs::fill`] has stored it.
    pub fn plan(&self) -> &[f64] {
        &self.plan
    }
}

impl<T: Storage> Gibbs<T> {
    /// Room for the plan; the n x m matrix is the one large array of a solve.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(n: usize, m: usize) -> Result<Gibbs<T>, Error> {
        let rows = row_blocks(n, m);
        Ok(Gibbs {
            plan: memory::zeros(PLAN, n, m)?,
            scale: vec![1.0; n],
            row_sums: vec![0.0; n],
            column_sums: vec![0.0; m],
            rows,
            accumulators: memory::zeros("column sums", n.div_ceil(rows), m)?,
        })
    }

    /// Writes row i of `T diag(v)`.
    fn scaled_row(&self, i: usize, v: &[f64], out: &mut [f64]) {
        let m = out.len();
        T::widen(self.scale[i], &self.plan[i * m..(i + 1) * m], out);
        linear::multiply_by(v, out);
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
        self.scale.fill(1.0);
        let done = self.by_rows(psi.len(), &mut row_sums, team, stop, |i, row_sum, row, sums| {
            problem.scaled_row(i, row);
            *row_sum = gibbs::exp_row(phi[i], psi, row);
            linear::add_to(row, sums);
        });
        self.row_sums = row_sums;
        done.map(|_| ())
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
            let mut room = vec![0.0; m];
            (plan.chunks_mut(m).zip(out).enumerate())
                .map(|(k, (row, out))| {
                    T::store(row, &mut room, |row| fill(block * rows + k, out, row, sums))
                })
                .collect::<Vec<R>>()
        })?;
        join(&self.accumulators, &mut self.column_sums);
        Ok(results.into_iter().flatten().collect())
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
        self.fused(y, &|i, product| (product, x[i]), rows_out, columns_out, team, stop)
    }
}

impl<T: Storage> Kernel for Gibbs<T> {
    const LEAST_MASS: f64 = <T as Storage>::LEAST_MASS;
    const ROUNDING_SHOWS_BELOW: f64 = <T as Storage>::ROUNDING_SHOWS_BELOW;

    fn fill_exact_rows(
        &mut self,
        problem: &Problem<'_>,
        phi: &mut [f64],
        psi: &[f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let weights = self.by_rows(psi.len(), phi, team, stop, |i, phi, row, sums| {
            let Some(sum) = log_domain::exp_row(problem, i, phi, psi, row)? else {
                row.fill(0.0);
                return Ok(0.0);
            };
            let weight;
            (*phi, weight) = problem.exact(ROWS, i, *phi, sum);
            // To the sum 1, which suits single precision however small the weight.
            linear::scale_and_axpy(1.0 / sum, row, weight, sums);
            Ok(weight)
        })?;
        self.scale = weights.into_iter().collect::<Result<_, Error>>()?;
        Ok(())
    }

    fn column_sums(&self) -> &[f64] {
        &self.column_sums
    }

    fn stored(&self) -> usize {
        self.plan.len()
    }

    fn fused(
        &mut self,
        v: &[f64],
        row: RowRule<'_>,
        out: &mut [f64],
        acc: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let m = v.len();
        let rows = self.rows;
        let scale = &self.scale;
        let block = |block: usize, plan: &[T], out: &mut [f64], acc: &mut [f64]| {
            acc.fill(0.0);
            by_fours(plan, m, |first, four_rows| {
                let products = T::dot4(four_rows, v);
                let mut weights = [0.0; 4];
                for (q, weight) in weights.iter_mut().enumerate().take(out.len() - first) {
                    let i = block * rows + first + q;
                    (out[first + q], *weight) = row(i, scale[i] * products[q]);
                    *weight *= scale[i];
                }
                T::axpy4(weights, four_rows, acc);
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

    fn few_above(&self, v: &[f64], least: &dyn Fn(usize) -> f64, share: f64) -> bool {
        const SAMPLE: usize = 32;
        let (n, m) = (self.scale.len(), v.len());
        let step = n.div_ceil(SAMPLE).max(1);
        let (mut columns, mut values, mut row) = (vec![], vec![], vec![0.0; m]);
        for i in (0..n).step_by(step) {
            self.scaled_row(i, v, &mut row);
            select::collect_above(&row, least(i), 0, &mut columns, &mut values);
        }
        values.len() as f64 <= share * (m * n.div_ceil(step)) as f64
    }

    fn above(
        &self,
        v: &[f64],
        least: &(dyn Fn(usize) -> f64 + Sync),
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Csr, Error> {
        let row = |i: usize, out: &mut [f64]| self.scaled_row(i, v, out);
        sparsify::above((self.scale.len(), v.len()), least, Rows::Computed(&row), team, stop)
    }
}

/// Calls `take(index of the first row, four rows)`; a last group of fewer repeats its last row,
/// for which `take` must use a weight of zero.
fn by_fours<T>(plan: &[T], m: usize, mut take: impl FnMut(usize, [&[T]; 4])) {
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
pub(crate) fn join(accumulators: &[f64], total: &mut [f64]) {
    total.fill(0.0);
    for block in accumulators.chunks(total.len().max(1)) {
        linear::add_to(block, total);
    }
}

//! A plan thinned out to the entries that matter, for problems whose whole plan is too large.
//!
//! All entries are computed, from points, whenever the plan is stored; those that make up all but
//! a small share of every row and column are kept. Sums are taken of all of them, so that what is
//! left out shows in the marginal error of a plan just stored. Between two of these passes the
//! entries left out count for nothing.
//!
//! **Cost.** A pass of n x m distances and exponentials to store the plan; a sweep reads 8 or 12
//! bytes for each entry kept.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::{linear, select};

use crate::gibbs::{Storage, join};
use crate::kernel::{Kernel, RowRule};
use crate::log_domain;
use crate::problem::{Pass, Problem, row_blocks};
use crate::relaxation::ROWS;
use crate::sparsify::Csr;

/// The kept entries, in blocks of rows.
pub struct Candidates<T> {
    blocks: Vec<Block<T>>,
    /// Row i of `T` is `scale_i` times what is stored, and sums to that.
    scale: Vec<f64>,
    column_sums: Vec<f64>,
    rows: usize,
    accumulators: Vec<f64>,
    /// The share of the mass of a row or column that may be left out.
    left_out: f64,
}

struct Block<T> {
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<T>,
    row_sums: Vec<f64>,
}

impl<T: Storage> Candidates<T> {
    /// For n rows and m columns, leaving out that share of the mass.
    pub fn new(n: usize, m: usize, left_out: f64) -> Candidates<T> {
        let rows = row_blocks(n, m);
        Candidates {
            blocks: vec![],
            scale: vec![],
            column_sums: vec![0.0; m],
            rows,
            accumulators: vec![0.0; n.div_ceil(rows) * m],
            left_out,
        }
    }
}

/// The smallest entry of a row that is kept, as a share of the row: what is below sums to at most
/// `left_out` in the row, and in any column, whose weights are at least `least_b`.
pub fn threshold(left_out: f64, (n, m): (usize, usize), weight: f64, least_b: f64) -> f64 {
    (left_out / m as f64).min(left_out * least_b / (n as f64 * weight))
}

impl<T: Storage> Kernel for Candidates<T> {
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
        let (n, m) = (phi.len(), psi.len());
        let (rows, left_out) = (self.rows, self.left_out);
        let least_b = smallest_weight(problem.b);
        self.blocks.clear();
        let items: Vec<_> =
            phi.chunks_mut(rows).zip(self.accumulators.chunks_mut(m)).enumerate().collect();
        let blocks = team.for_work(Pass::Exp.cost(n, m)).run(stop, items, |(k, (phi, sums))| {
            sums.fill(0.0);
            let mut block =
                Block { starts: vec![0], columns: vec![], values: vec![], row_sums: vec![] };
            let (mut row, mut values) = (vec![0.0; m], vec![]);
            for (q, phi) in phi.iter_mut().enumerate() {
                let i = k * rows + q;
                let mut weight = 0.0;
                if let Some(sum) = log_domain::exp_row(problem, i, phi, psi, &mut row)? {
                    (*phi, weight) = problem.exact(ROWS, i, *phi, sum);
                    linear::scale_and_axpy(1.0 / sum, &mut row, weight, sums);
                    let least = threshold(left_out, (n, m), weight, least_b);
                    values.clear();
                    select::collect_above(&row, least, 0, &mut block.columns, &mut values);
                    block.values.extend(values.iter().map(|value| T::from_f64(*value)));
                }
                block.row_sums.push(weight);
                block.starts.push(block.values.len());
            }
            block.columns.shrink_to_fit();
            block.values.shrink_to_fit();
            Ok(block)
        })?;
        self.blocks = blocks.into_iter().collect::<Result<_, Error>>()?;
        join(&self.accumulators, &mut self.column_sums);
        self.scale = self.blocks.iter().flat_map(|block| &block.row_sums).copied().collect();
        Ok(())
    }

    fn column_sums(&self) -> &[f64] {
        &self.column_sums
    }

    fn stored(&self) -> usize {
        self.blocks.iter().map(|block| block.values.len()).sum()
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
        let (rows, scale) = (self.rows, &self.scale);
        let stored = self.stored();
        let items: Vec<_> = (self.blocks.iter())
            .zip(out.chunks_mut(rows))
            .zip(self.accumulators.chunks_mut(v.len()))
            .enumerate()
            .collect();
        team.for_work(2 * stored).run(stop, items, |(k, ((block, out), acc))| {
            acc.fill(0.0);
            for (q, (range, out)) in block.starts.windows(2).zip(out).enumerate() {
                let i = k * rows + q;
                let columns = &block.columns[range[0]..range[1]];
                let values = &block.values[range[0]..range[1]];
                let products = columns.iter().zip(values).map(|(j, t)| t.to_f64() * v[*j as usize]);
                let (kept, weight) = row(i, scale[i] * products.sum::<f64>());
                *out = kept;
                for (j, t) in columns.iter().zip(values) {
                    acc[*j as usize] += weight * scale[i] * t.to_f64();
                }
            }
        })?;
        join(&self.accumulators, acc);
        Ok(())
    }

    fn few_above(&self, _: &[f64], _: &dyn Fn(usize) -> f64, _: f64) -> bool {
        true
    }

    fn above(
        &self,
        v: &[f64],
        least: &(dyn Fn(usize) -> f64 + Sync),
        _: &Team,
        stop: &Stop<'_>,
    ) -> Result<Csr, Error> {
        let mut kept = Csr { starts: vec![0], ..Csr::default() };
        for (k, block) in self.blocks.iter().enumerate() {
            stop.poll()?;
            for (q, range) in block.starts.windows(2).enumerate() {
                let i = k * self.rows + q;
                let least = least(i);
                for at in range[0]..range[1] {
                    let j = block.columns[at];
                    let value = self.scale[i] * block.values[at].to_f64() * v[j as usize];
                    if value > least {
                        kept.columns.push(j);
                        kept.values.push(value);
                    }
                }
                kept.starts.push(kept.values.len());
            }
        }
        Ok(kept)
    }
}

/// The smallest weight that is not 0.
pub fn smallest_weight(weights: &[f64]) -> f64 {
    weights.iter().copied().filter(|w| *w > 0.0).fold(f64::INFINITY, f64::min)
}

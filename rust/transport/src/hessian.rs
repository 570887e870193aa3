//! The Hessian of the dual (equation 5), sparse or whole, and its equations.
//!
//! ```text
//! -reg * Hessian = M = [ diag(P 1)   P         ]      z'Mz = sum_ij P_ij (x_i + y_j)^2 >= 0
//!                      [ P'          diag(P'1) ]
//! ```
//!
//! The diagonal is whole; the off-diagonal block is the sparsified plan, or the plan itself. With
//! entries dropped, `z'Mz` is the form above over the kept entries plus `P_ij (x_i^2 + y_j^2)` over
//! the dropped ones, so `M` stays positive semi-definite. It is singular along `(1, -1)` on every component of the graph of kept entries
//! that dropped nothing; a relative shift of 1e-13 and the bound on iterations see to that.
//!
//! The paper runs plain conjugate gradients; here they are preconditioned by the diagonal, which
//! is the same iteration when all weights are equal and keeps points of small mass from setting
//! the pace when they are not.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::reduce;

use crate::gibbs::Gibbs;
use crate::sparsify::Csr;
use sparrot_sparse::cg::Iterate;

/// The off-diagonal block.
pub enum Block<'a> {
    /// Its largest entries.
    Sparse(&'a Csr),
    /// All of the stored plan.
    Whole(&'a mut Gibbs),
}

/// `M`, with the diagonals it was assembled from.
pub struct Hessian<'a> {
    diagonal: Vec<f64>,
    rows: usize,
    block: Block<'a>,
}

const SHIFT: f64 = 1e-13;

impl<'a> Hessian<'a> {
    /// From the marginals of the plan, whole, and its kept entries.
    ///
    /// `damping` enlarges the diagonal by that share.
    pub fn new(
        row_sums: &[f64],
        column_sums: &[f64],
        damping: f64,
        block: Block<'a>,
    ) -> Hessian<'a> {
        // A point without weight has an empty row: any positive number leaves it alone.
        let entry = |sum: &f64| if *sum > 0.0 { sum * (1.0 + SHIFT + damping) } else { 1.0 };
        let diagonal = row_sums.iter().chain(column_sums).map(entry).collect();
        Hessian { diagonal, rows: row_sums.len(), block }
    }

    /// `out = M z`.
    fn apply(
        &mut self,
        z: &[f64],
        out: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let (x, y) = z.split_at(self.rows);
        let (rows_out, columns_out) = out.split_at_mut(self.rows);
        match &mut self.block {
            Block::Whole(gibbs) => gibbs.apply_both(x, y, rows_out, columns_out, team, stop)?,
            Block::Sparse(plan) => {
                stop.poll()?;
                columns_out.fill(0.0);
                for i in 0..self.rows {
                    let mut sum = 0.0;
                    for k in plan.starts[i]..plan.starts[i + 1] {
                        let j = plan.columns[k] as usize;
                        sum += plan.values[k] * y[j];
                        columns_out[j] += plan.values[k] * x[i];
                    }
                    rows_out[i] = sum;
                }
            }
        }
        for ((out, d), z) in out.iter_mut().zip(&self.diagonal).zip(z) {
            *out += d * z;
        }
        Ok(())
    }

    /// Conjugate gradients on `M z = rhs` from 0, until the L1 norm of the residual is at most
    /// `tolerance` times that of `rhs`. Returns `z` and the number of iterations.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn solve(
        &mut self,
        rhs: &[f64],
        tolerance: f64,
        max_iter: usize,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(Vec<f64>, usize), Error> {
        let target = tolerance * reduce::l1_norm(rhs);
        let mut iterate = Iterate::new(rhs);
        let diagonal = self.diagonal.clone();
        let by_diagonal = |r: &[f64], out: &mut [f64]| {
            out.iter_mut().zip(r).zip(&diagonal).for_each(|((out, r), d)| *out = r / d);
        };
        let apply = |z: &[f64], out: &mut [f64]| self.apply(z, out, team, stop);
        let iterations = iterate.advance(apply, by_diagonal, target, max_iter, stop)?;
        Ok((iterate.x, iterations))
    }
}

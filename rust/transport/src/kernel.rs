//! What sweeps and Newton steps need of a stored plan, whole or thinned out.

use sparrot_foundation::{Error, Stop, Team};

use crate::problem::Problem;
use crate::sparsify::Csr;

/// Gives `(what to keep of it, the weight of the row)` for the product of row i.
pub type RowRule<'a> = &'a (dyn Fn(usize, f64) -> (f64, f64) + Sync);

/// The plan `T` of potentials with exact rows: they sum to their targets.
pub trait Kernel {
    /// The mass of a column, as a share of its weight, that can still be told from nothing.
    const LEAST_MASS: f64;
    /// The marginal error below which rounding shows.
    const ROUNDING_SHOWS_BELOW: f64;

    /// Sets `phi`, starting from what it was, and stores `T` with its column sums. Rows without
    /// weight are empty.
    ///
    /// # Errors
    /// [`Error::Infeasible`] if a row whose marginal is fixed, and not 0, has only forbidden edges,
    /// [`Error::Interrupted`].
    fn fill_exact_rows(
        &mut self,
        problem: &Problem<'_>,
        phi: &mut [f64],
        psi: &[f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error>;

    /// The column sums of `T`, of all of it.
    fn column_sums(&self) -> &[f64];

    /// The number of entries that are stored.
    fn stored(&self) -> usize;

    /// `(out_i, w_i) = row(i, (T v)_i)` for every row, then `acc = T' w`, in one read of `T`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn fused(
        &mut self,
        v: &[f64],
        row: RowRule<'_>,
        out: &mut [f64],
        acc: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error>;

    /// Whether at most that share of the entries of `T diag(v)` are above `least(row)`, by a look
    /// at some rows.
    fn few_above(&self, v: &[f64], least: &dyn Fn(usize) -> f64, share: f64) -> bool;

    /// The entries of `T diag(v)` above `least(row)`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn above(
        &self,
        v: &[f64],
        least: &(dyn Fn(usize) -> f64 + Sync),
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Csr, Error>;

    /// `out = T' diag(weights) T x` in one read; `products` is room for `T x`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn through_rows(
        &mut self,
        x: &[f64],
        weights: &[f64],
        products: &mut [f64],
        out: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let row = |i: usize, product: f64| (product, weights[i] * product);
        self.fused(x, &row, products, out, team, stop)
    }
}

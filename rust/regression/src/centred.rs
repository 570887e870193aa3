//! Columns less their weighted means, without a copy: products and sums with them, and what rounding
//! does to those.

use sparrot_design::{Design, Element, Moments};
use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::reduce;

use crate::certificate;

/// A mean is large if its square is more than so many times the variance.
const FAR: f64 = 1e3;

/// What is known of the columns.
#[derive(Clone, Copy)]
pub struct Centred<'c, 'a, T> {
    /// As they are stored.
    pub design: &'c Design<'a, T>,
    /// Their means, 0 if they are not centred, and weighted sums of squares about these.
    pub moments: &'c [Moments],
    /// The sum of the weights.
    pub total: f64,
    /// Whether they are centred.
    pub is_centred: bool,
}

impl<T: Element> Centred<'_, '_, T> {
    /// The products of these columns with vectors that have been weighted and, if columns are centred,
    /// have the sum 0 but for rounding; into their places of `out`. A column is read once for all.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn products(
        &self,
        columns: &[u32],
        vectors: &[&[f64]],
        out: &mut [&mut [f64]],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let sum = |v: &&[f64]| if self.is_centred { reduce::sum(v) } else { 0.0 };
        let sums: Vec<f64> = vectors.iter().map(sum).collect();
        let (far, near): (Vec<u32>, Vec<u32>) = if self.is_centred {
            columns.iter().partition(|j| self.is_far(**j))
        } else {
            (vec![], columns.to_vec())
        };
        let found = self.design.columns_products(&near, vectors, team, stop)?;
        for (j, products) in near.iter().zip(found.chunks(vectors.len())) {
            let mean = self.moments[*j as usize].mean;
            for (out, (product, sum)) in out.iter_mut().zip(products.iter().zip(&sums)) {
                out[*j as usize] = product - sum * mean;
            }
        }
        if far.is_empty() {
            return Ok(());
        }
        let far: Vec<(u32, f64)> =
            far.into_iter().map(|j| (j, self.moments[j as usize].mean)).collect();
        let found = self.design.shifted_products(&far, vectors, team, stop)?;
        for ((j, _), products) in far.iter().zip(found.chunks(vectors.len())) {
            out.iter_mut().zip(products).for_each(|(out, product)| out[*j as usize] = *product);
        }
        Ok(())
    }

    /// Whether the mean of a column is so large that products with it as it is stored lose digits.
    fn is_far(&self, j: u32) -> bool {
        let moments = &self.moments[j as usize];
        self.total * moments.mean * moments.mean > FAR * moments.squares
            && self.design.is_full(j as usize)
    }

    /// By what share of a vector's norm, before it was weighted once more, its product with each column
    /// may be off by rounding.
    pub fn blurs(&self) -> Vec<f64> {
        let product = certificate::rounding(self.design.depth() + 3);
        // Of the sum of the vector, which is taken from products times the mean.
        let sum = certificate::rounding(reduce::depth(self.design.rows()) + 3) * self.total.sqrt();
        let of = |(j, m): (usize, &Moments)| {
            if self.is_far(j as u32) {
                product * m.squares.sqrt()
            } else {
                product * self.size_as_stored(m) + sum * m.mean.abs()
            }
        };
        self.moments.iter().enumerate().map(of).collect()
    }

    /// The norm of a column as it takes part in sums.
    pub fn size_in_sum(&self, j: usize) -> f64 {
        let moments = &self.moments[j];
        if self.design.is_full(j) { moments.squares.sqrt() } else { self.size_as_stored(moments) }
    }

    /// The weighted norm of a column that has not been centred.
    fn size_as_stored(&self, moments: &Moments) -> f64 {
        (moments.squares + self.total * moments.mean * moments.mean).sqrt()
    }

    /// Gives every entry of a column to `visit`, and what centring still has to take from the column.
    /// A column with an entry in every row is given less its mean, and nothing remains: its mean may
    /// be so large that differences of products have no digits.
    #[inline]
    pub fn entries(&self, j: usize, mut visit: impl FnMut(usize, f64)) -> f64 {
        let mean = self.moments[j].mean;
        if mean != 0.0 && self.design.is_full(j) {
            self.design.for_column(j, |i, x| visit(i, x - mean));
            return 0.0;
        }
        self.design.for_column(j, visit);
        mean
    }
}

//! Columns less their weighted means, without a copy: products and sums with them, and what rounding
//! does to those.

use sparrot_design::{Design, Element, Moments};
use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::{reduce, twofold};

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

    /// Such products of columns with a vector to twice the digits, and by how much they may be off: the
    /// products of Dekker and the sums of Knuth, whose bound is that of [`twofold`].
    pub fn fine_products(
        &self,
        columns: impl Iterator<Item = u32>,
        vector: &[f64],
    ) -> Vec<(u32, (f64, f64))> {
        let unit = (vector.len() as f64 + 4.0) * f64::EPSILON;
        let total =
            if self.is_centred { certificate::compensated(vector.iter().copied()) } else { 0.0 };
        let columns: Vec<u32> = columns.collect();
        // High and low parts of the sums, and the sizes of their terms.
        let mut sums = vec![((0.0, 0.0), 0.0); columns.len()];
        self.design.for_columns(&columns, |k, i, x| {
            let ((high, low), sizes) = sums[k];
            let (product, lost) = twofold::two_product(x, vector[i]);
            let (sum, lost_too) = twofold::two_sum(high, product);
            sums[k] = ((sum, low + (lost + lost_too)), sizes + product.abs());
        });
        let product = |(j, (sum, sizes)): (&u32, ((f64, f64), f64))| {
            let shift = twofold::two_product(-self.moments[*j as usize].mean, total);
            let sum = twofold::sum(sum, shift);
            let product = sum.0 + sum.1;
            // What is 0 in all but its last digits is known as well as the sum of the vector is.
            let off = f64::EPSILON * (product.abs() + 2.0 * shift.0.abs()) + unit * unit * sizes;
            (*j, (product, off))
        };
        columns.iter().zip(sums).map(product).collect()
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

    /// Gives every entry of some columns, [`Self::entries`], to `visit`, with the place of its column among
    /// them; what centring still has to take from each.
    pub fn all_entries(
        &self,
        columns: &[u32],
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Vec<f64> {
        if let Design::Rows(grid) = self.design {
            let means: Vec<f64> = columns.iter().map(|j| self.moments[*j as usize].mean).collect();
            grid.for_columns(columns, 0..grid.rows(), |k, i, x| visit(k, i, x - means[k]));
            return vec![0.0; columns.len()];
        }
        let of = |(k, j): (usize, &u32)| self.entries(*j as usize, |i, x| visit(k, i, x));
        columns.iter().enumerate().map(of).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of whole numbers, whose products and sums are exact.
    #[test]
    fn fine_products_have_all_digits() {
        const N: usize = 50;
        let whole = |i: usize, k: i64| (i as i64 * 7919 + k * 104_729) % 2003 - 1000;
        let mut v: Vec<i64> = (0..N).map(|i| whole(i, 3) * 30_000_001).collect();
        v[0] -= v.iter().sum::<i64>();
        for mean in [0i64, 1 << 40] {
            let x: Vec<i64> = (0..N).map(|i| whole(i, 1) * 1_000_003 + mean).collect();
            let exact: i128 = x.iter().zip(&v).map(|(x, v)| i128::from(*x) * i128::from(*v)).sum();
            let as_floats = |of: &[i64]| of.iter().map(|x| *x as f64).collect::<Vec<f64>>();
            let (x, v) = (as_floats(&x), as_floats(&v));
            let moments = [Moments { product: 0.0, mean: mean as f64, squares: 1.0 }];
            let columns = Centred {
                design: &Design::Dense(vec![&x]),
                moments: &moments,
                total: N as f64,
                is_centred: true,
            };
            let (_, (product, off)) = columns.fine_products(std::iter::once(0), &v)[0];
            assert!((product - exact as f64).abs() <= off);
            assert!(off <= 1e-15 * product.abs(), "{off}");
        }
    }
}

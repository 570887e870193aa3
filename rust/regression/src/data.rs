//! The data of a regression, centred and weighted without a copy.
//!
//! With weights w_i and an intercept the problem is that of the rows
//! `sqrt(w_i) (x_i - mean(x))` and `sqrt(w_i) (y_i - mean(y))`, with weighted means. Products with
//! those columns are products with the columns as they are, of a vector that has been weighted
//! once more and has the weighted sum 0, which holds by itself for residuals: X is only read.

use std::ops::Range;

use sparrot_design::{Design, Element, Moments};
use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::reduce;

use crate::centred::Centred;

/// The data, with what one pass over it has found out.
pub struct Data<'a, T> {
    /// The matrix.
    pub design: &'a Design<'a, T>,
    /// Of each column: product with the weighted response, mean, sum of squares about it.
    pub moments: Vec<Moments>,
    /// The roots of the weights.
    pub roots: Vec<f64>,
    /// The response, centred and weighted.
    pub y: Vec<f64>,
    /// `y'y`.
    pub yy: f64,
    /// The mean of the response; 0 without an intercept.
    pub y_mean: f64,
    /// The sum of the weights.
    pub total: f64,
    /// Whether there is an intercept.
    pub centred: bool,
}

impl<'a, T: Element> Data<'a, T> {
    /// Reads the data once. The weights must be non-negative with a positive sum.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::InvalidInput`] names an entry that is not finite, or squares
    /// that over- or underflow.
    pub fn new(
        design: &'a Design<'a, T>,
        response: &[f64],
        weights: Option<&[f64]>,
        centred: bool,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Data<'a, T>, Error> {
        let n = response.len();
        let weights = weights.map_or_else(|| vec![1.0; n], <[f64]>::to_vec);
        let total: f64 = weights.iter().sum();
        let roots: Vec<f64> = weights.iter().map(|w| w.sqrt()).collect();
        let (y, y_mean) = centre(response, &weights, &roots, centred);
        let v: Vec<f64> = y.iter().zip(&roots).map(|(y, r)| y * r).collect();
        let moments = design.moments(&v, &weights, centred, team, stop)?;
        let yy = reduce::dot(&y, &y);
        check_squares(&y, yy)?;
        Ok(Data { design, moments, roots, yy, y, y_mean, total, centred })
    }

    /// Another response, centred and weighted, and its mean.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if its squares over- or underflow.
    pub fn centre(&self, response: &[f64]) -> Result<(Vec<f64>, f64), Error> {
        let weights: Vec<f64> = self.roots.iter().map(|r| r * r).collect();
        let (y, mean) = centre(response, &weights, &self.roots, self.centred);
        check_squares(&y, reduce::dot(&y, &y))?;
        Ok((y, mean))
    }

    /// The products of these columns with a residual, into their places of `out`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn products(
        &self,
        columns: &[u32],
        residual: &[f64],
        out: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        self.all_products(columns, &[residual], &mut [out], team, stop)
    }

    /// The same with several residuals, reading the columns once.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn all_products(
        &self,
        columns: &[u32],
        residuals: &[&[f64]],
        out: &mut [&mut [f64]],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let weighted = |r: &&[f64]| r.iter().zip(&self.roots).map(|(r, w)| r * w).collect();
        let vectors: Vec<Vec<f64>> = residuals.iter().map(weighted).collect();
        let views: Vec<&[f64]> = vectors.iter().map(|v| &v[..]).collect();
        // Residuals sum to 0 by themselves.
        self.columns().products(columns, &views, out, team, stop)
    }

    /// The columns, less their means.
    pub fn columns(&self) -> Centred<'_, 'a, T> {
        Centred {
            design: self.design,
            moments: &self.moments,
            total: self.total,
            is_centred: self.centred,
        }
    }

    /// The intercept of these coefficients.
    pub fn intercept(&self, coefficients: impl Iterator<Item = (usize, f64)>) -> f64 {
        self.y_mean - coefficients.map(|(j, w)| self.moments[j].mean * w).sum::<f64>()
    }

    /// `x_j`, centred and weighted.
    pub fn column(&self, j: usize, out: &mut [f64]) {
        if !self.design.is_sparse() {
            return self.arrange(&[j as u32], 0..out.len(), out.len(), out);
        }
        let mean = self.moments[j].mean;
        out.fill(0.0);
        self.design.for_column(j, |i, x| out[i] = x);
        out.iter_mut().zip(&self.roots).for_each(|(x, root)| *x = (*x - mean) * root);
    }

    /// Some rows of columns of dense data, centred and weighted: one column after the other, each
    /// `stride` after the last.
    pub fn arrange(&self, columns: &[u32], rows: Range<usize>, stride: usize, out: &mut [f64]) {
        match self.design {
            Design::Dense(entries) => {
                for (j, out) in columns.iter().zip(out.chunks_mut(stride)) {
                    let (j, mean) = (*j as usize, self.moments[*j as usize].mean);
                    let entries = entries[j][rows.clone()].iter().zip(&self.roots[rows.clone()]);
                    for (out, (x, root)) in out.iter_mut().zip(entries) {
                        *out = (x.to_f64() - mean) * root;
                    }
                }
            }
            Design::Rows(grid) => grid.for_columns(columns, rows.clone(), |k, i, x| {
                let mean = self.moments[columns[k] as usize].mean;
                out[k * stride + i - rows.start] = (x - mean) * self.roots[i];
            }),
            Design::Sparse(..) => {}
        }
    }

    /// The residual `y - X w`, centred and weighted, for columns with coefficients.
    pub fn residual(
        &self,
        y: &[f64],
        coefficients: impl Iterator<Item = (usize, f64)>,
        out: &mut [f64],
    ) {
        let mut fitted = vec![0.0; out.len()];
        let mut shift = 0.0;
        match self.design {
            Design::Dense(columns) => {
                self.add_dense(columns, &coefficients.collect::<Vec<_>>(), &mut fitted);
            }
            Design::Rows(grid) => {
                let column = |(j, w): (usize, f64)| (j as u32, self.moments[j].mean, w);
                grid.add_columns(&coefficients.map(column).collect::<Vec<_>>(), &mut fitted);
            }
            Design::Sparse(..) => {
                let columns = self.columns();
                for (j, w) in coefficients {
                    shift += w * columns.entries(j, |i, x| fitted[i] += w * x);
                }
            }
        }
        for (i, out) in out.iter_mut().enumerate() {
            *out = y[i] - self.roots[i] * (fitted[i] - shift);
        }
    }

    /// Adds centred columns, four at a time: they share each load and store of the sum.
    fn add_dense(&self, columns: &[&[T]], coefficients: &[(usize, f64)], out: &mut [f64]) {
        for four in coefficients.chunks(4) {
            // The last ones are filled up with a column, 0 times.
            let at = |q: usize| four.get(q).copied().unwrap_or((four[0].0, 0.0));
            let four = [at(0), at(1), at(2), at(3)];
            let means = four.map(|(j, _)| self.moments[j].mean);
            T::add_shifted4(four.map(|(_, w)| w), means, four.map(|(j, _)| columns[j]), out);
        }
    }
}

/// A response less its mean, times the roots of the weights; and that mean, or 0.
fn centre(response: &[f64], weights: &[f64], roots: &[f64], centred: bool) -> (Vec<f64>, f64) {
    let total: f64 = weights.iter().sum();
    let mut weighted = response.iter().zip(weights).filter(|(_, w)| **w > 0.0).map(|(y, _)| *y);
    let first = weighted.next().unwrap_or(0.0);
    let mean = match centred {
        false => 0.0,
        // By the sum it would be off by rounding, and that be left to explain.
        true if weighted.all(|y| y == first) => first,
        true => reduce::dot(weights, response) / total,
    };
    (response.iter().zip(roots).map(|(y, r)| r * (y - mean)).collect(), mean)
}

fn check_squares(y: &[f64], yy: f64) -> Result<(), Error> {
    /// Squares below this have lost digits to underflow.
    const TINY: f64 = 1e-280;
    if yy.is_finite() && (yy > TINY || y.iter().all(|y| *y == 0.0)) {
        return Ok(());
    }
    Err(Error::invalid("y", "has squares that over- or underflow: scale it"))
}

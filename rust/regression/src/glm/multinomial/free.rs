//! Residuals orthogonal to the columns without a penalty.
//!
//! With H_i the second derivatives of the loss of row i, the Newton step in the coefficients of those
//! columns and the intercepts would change the residuals by `-H_i C'x_i`, after which their products
//! with the columns are 0: the same is done to the residuals alone. A residual near the border of what
//! is a difference of probabilities has next to no second derivatives, and stays inside.
//!
//! **Cost.** n (m K)^2 operations for m columns and K classes, and (m K)^3.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};
use sparrot_design::Element;
use sparrot_foundation::{Error, Stop, memory};

use super::Multinomial;
use crate::bounds::Interval;
use crate::certificate::MANY;
use crate::model::Settings;

/// Whether products with a column must be 0, whatever their sign.
pub(super) fn is_free(j: u32, settings: &Settings<'_>) -> bool {
    settings.lambda_of(j) == 0.0 && settings.mu == 0.0 && settings.bounds.of(j) == Interval::ALL
}

impl<T: Element> Multinomial<'_, T> {
    /// The columns without a penalty, of those in question; with bounds of the coefficients none are
    /// treated as such.
    pub(super) fn free(&self, columns: &[u32], settings: &Settings<'_>) -> Vec<u32> {
        columns.iter().copied().filter(|j| is_free(*j, settings)).collect()
    }

    /// Makes residuals orthogonal to these columns, but for rounding, if it can be told how.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub(super) fn make_orthogonal(
        &self,
        residuals: &mut [Vec<f64>],
        free: &[u32],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let (n, count) = (residuals[0].len(), self.classes.len());
        if free.is_empty() || free.len() >= MANY * n {
            return Ok(());
        }
        let values = self.free_columns(free)?;
        let columns: Vec<&[f64]> = values.chunks(n).collect();
        let size = columns.len() * count;
        let shares = self.shares();
        let mut curvatures: Vec<f64> = memory::zeros("the second derivatives", size, size)?;
        for (f, x) in columns.iter().enumerate() {
            for (g, z) in columns.iter().enumerate().take(f + 1) {
                stop.poll()?;
                for i in 0..n {
                    let product = self.classes[0].sample[i] * x[i] * z[i];
                    for k in 0..count {
                        for l in 0..count {
                            // A number added for all classes changes nothing: it is kept at 0.
                            let fixed = 1.0 / (count * count) as f64;
                            let own = if k == l { shares[k][i] } else { 0.0 };
                            let curvature = own - shares[k][i] * shares[l][i] + fixed;
                            let at = (g * count + l) * size + f * count + k;
                            curvatures[at] += product * curvature;
                        }
                    }
                }
            }
        }
        let matrix = MatRef::from_column_major_slice(&curvatures, size, size);
        let Ok(factor) = matrix.llt(Side::Lower) else { return Ok(()) };
        // Twice, for what the first time leaves by rounding.
        for _ in 0..2 {
            let product = |at: usize| {
                let (x, r) = (columns[at / count], &residuals[at % count]);
                sparrot_simd::reduce::dot(x, r)
            };
            let slopes = Mat::from_fn(size, 1, |at, _| product(at));
            let step = factor.solve(&slopes);
            for i in 0..n {
                let of = |k: usize| -> f64 {
                    columns.iter().enumerate().map(|(f, x)| x[i] * step[(f * count + k, 0)]).sum()
                };
                let moves: Vec<f64> = (0..count).map(of).collect();
                let mean: f64 = moves.iter().zip(&shares).map(|(u, p)| u * p[i]).sum();
                for (k, u) in moves.iter().enumerate() {
                    residuals[k][i] -= self.classes[0].sample[i] * shares[k][i] * (u - mean);
                }
            }
        }
        Ok(())
    }

    /// These columns, and 1 for the intercepts, if there are some: then less their means.
    fn free_columns(&self, free: &[u32]) -> Result<Vec<f64>, Error> {
        let first = &self.classes[0];
        let (n, count) = (first.y.len(), free.len() + usize::from(first.centred));
        let mut values: Vec<f64> = memory::zeros("the columns without a penalty", n, count)?;
        for (k, column) in values.chunks_mut(n).enumerate() {
            let Some(j) = free.get(k) else {
                column.fill(1.0);
                continue;
            };
            self.design.for_column(*j as usize, |i, x| column[i] = x);
            // The means are of some weights: any number near the column will do.
            let mean = first.moments[*j as usize].mean;
            column.iter_mut().for_each(|x| *x -= mean);
        }
        Ok(values)
    }

    /// The softmax of z, by class; 0 for rows without weight.
    fn shares(&self) -> Vec<Vec<f64>> {
        let of = |k: usize| {
            let class = &self.classes[k];
            let rows = class.derivatives.iter().zip(class.y).zip(&class.sample);
            let share = |((r, y), s): ((&f64, &f64), &f64)| {
                let own = if *y > 0.0 { 1.0 } else { 0.0 };
                if *s > 0.0 { (own + r / s).max(0.0) } else { 0.0 }
            };
            rows.map(share).collect()
        };
        (0..self.classes.len()).map(of).collect()
    }
}

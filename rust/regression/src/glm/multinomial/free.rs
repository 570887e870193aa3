//! Residuals orthogonal to the columns without a penalty.
//!
//! With H_i the second derivatives of the loss of row i, the Newton step in the coefficients of those
//! columns and the intercepts would change the residuals by `-H_i C'x_i`, after which their products
//! with the columns are 0: the same is done to the residuals alone. A residual near the border of what
//! is a difference of probabilities has next to no second derivatives, and stays inside.
//!
//! With q the softmax of z, H_i is `B B'` for `B = diag(sqrt q) - q sqrt(q)'`: the equations are those of
//! the columns `sqrt(s_i) x_i B'`, which [`Free`] factors.
//!
//! **Cost.** 2 n K (m K)^2 operations for m columns and K classes.

use sparrot_design::Element;
use sparrot_foundation::{Error, Stop, memory};

use super::Multinomial;
use super::certificate::Certified;
use crate::bounds::Interval;
use crate::certificate::{Free, MANY, compensated};
use crate::glm::certificate::DIVIDED;
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

    /// Residuals that are orthogonal to these columns and balanced, but for rounding. `None` if it cannot
    /// be told how.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub(super) fn certified(
        &self,
        free: &[u32],
        stop: &Stop<'_>,
    ) -> Result<Option<Certified>, Error> {
        let negative = |r: &Vec<f64>| r.iter().map(|r| -r).collect();
        let mut residuals: Vec<Vec<f64>> =
            self.classes.iter().map(|class| negative(&class.derivatives)).collect();
        if free.is_empty() {
            self.balance(&mut residuals);
            let uneven = self.unevenness(&residuals);
            return Ok(Some(Certified { residuals, uneven, apart: None }));
        }
        let (n, count) = (residuals[0].len(), self.classes.len());
        if free.len() >= MANY * n {
            return Ok(None);
        }
        stop.poll()?;
        let values = self.free_columns(free)?;
        let columns: Vec<&[f64]> = values.chunks(n).collect();
        let size = columns.len() * count;
        let sample = &self.classes[0].sample;
        let shares = self.shares();
        let span = Free::new(size, n * count, |at, out| {
            let (x, l) = (columns[at / count], at % count);
            for (i, row) in out.chunks_mut(count).enumerate() {
                for (k, out) in row.iter_mut().enumerate() {
                    let own = if k == l { 1.0 } else { 0.0 };
                    *out = (sample[i] * shares[k][i]).sqrt() * (own - shares[l][i]) * x[i];
                }
            }
        })?;
        // Twice, for what the first time leaves by rounding.
        for _ in 0..2 {
            stop.poll()?;
            let product =
                |at: usize| sparrot_simd::reduce::dot(columns[at / count], &residuals[at % count]);
            let step = span.solve(&(0..size).map(product).collect::<Vec<f64>>());
            for i in 0..n {
                let of = |k: usize| -> f64 {
                    columns.iter().enumerate().map(|(f, x)| x[i] * step[f * count + k]).sum()
                };
                let moves: Vec<f64> = (0..count).map(of).collect();
                let mean: f64 = moves.iter().zip(&shares).map(|(u, p)| u * p[i]).sum();
                for (k, u) in moves.iter().enumerate() {
                    residuals[k][i] -= sample[i] * shares[k][i] * (u - mean);
                }
            }
        }
        self.balance(&mut residuals);
        let mut products = vec![0.0; size];
        for (k, (class, residual)) in self.classes.iter().zip(&residuals).enumerate() {
            let found = class.columns().fine_products(free.iter().copied(), residual);
            let found = found.into_iter().map(|(_, (h, off))| h.abs() + off);
            // The last column, if it is there, is 1.
            let sum = compensated(residual.iter().copied()).abs() * (1.0 + DIVIDED);
            let places = products.iter_mut().skip(k).step_by(count);
            places.zip(found.chain([sum])).for_each(|(at, product)| *at = product);
        }
        let Some((_, rows)) = span.apart(&products) else { return Ok(None) };
        let of = |k: usize, i: usize| (sample[i] * shares[k][i]).sqrt() * rows[i * count + k];
        let apart = (0..count).map(|k| (0..n).map(|i| of(k, i)).collect()).collect();
        let uneven = self.unevenness(&residuals);
        Ok(Some(Certified { residuals, uneven, apart: Some(apart) }))
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

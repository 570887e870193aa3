//! The losses of the rows of a model, and the intercept: see [`crate::glm`].

use sparrot_design::Element;
use sparrot_design::loss::RowLoss;
use sparrot_foundation::{Error, Stop};

use super::Glm;
use crate::centred::Centred;
use crate::certificate;
use crate::structure::Structure;

impl<T: Element, L: RowLoss, S: Structure> Glm<'_, T, L, S> {
    /// The columns, less their means.
    pub(super) fn columns(&self) -> Centred<'_, '_, T> {
        Centred {
            design: self.design,
            moments: &self.moments,
            total: self.sample.iter().sum(),
            is_centred: self.centred,
        }
    }

    /// Gives what columns with these coefficients add to the rows to `visit`, but for what they add to
    /// all of them alike: that, and the sum of the sizes of its parts.
    pub(super) fn add_columns(
        &self,
        coefficients: impl Iterator<Item = (u32, f64)>,
        stop: &Stop<'_>,
        mut visit: impl FnMut(usize, f64),
    ) -> Result<(f64, f64), Error> {
        /// Columns between two looks at the clock.
        const AT_ONCE: usize = 64;
        let (columns, factors): (Vec<u32>, Vec<f64>) = coefficients.unzip();
        let (mut alike, mut sizes) = (0.0, 0.0);
        for (columns, factors) in columns.chunks(AT_ONCE).zip(factors.chunks(AT_ONCE)) {
            stop.poll()?;
            let left = self.columns().all_entries(columns, |k, i, x| visit(i, factors[k] * x));
            for ((j, w), left) in columns.iter().zip(factors).zip(left) {
                let part = w * (self.moments[*j as usize].mean - left);
                alike += part;
                sizes += part.abs();
            }
        }
        Ok((alike, sizes))
    }

    /// Computes the values from the coefficients, and bounds of their rounding.
    pub(super) fn refresh(&mut self, stop: &Stop<'_>) -> Result<(), Error> {
        let mut values = vec![0.0; self.y.len()];
        let mut sizes = vec![0.0; self.y.len()];
        let (alike, parts) = self.add_columns(self.used(), stop, |i, part| {
            values[i] += part;
            sizes[i] += part.abs();
        })?;
        let alike = alike + self.intercept;
        let used = self.used().count();
        let rounding = if used > 0 { certificate::rounding(used + 4) } else { 0.0 };
        let of_all = rounding * (parts + self.intercept.abs());
        for ((z, size), offset) in values.iter_mut().zip(&mut sizes).zip(&self.offsets) {
            *z += alike + offset;
            *size = rounding * (*size + alike.abs() + offset.abs()) + of_all;
        }
        (self.values, self.values_off) = (values, sizes);
        Ok(())
    }

    /// The sum of the losses.
    pub(super) fn total_loss(&self) -> f64 {
        let rows = self.y.iter().zip(&self.values).zip(&self.sample);
        rows.filter(|(_, s)| **s > 0.0).map(|((y, z), s)| s * self.loss.value(*y, *z)).sum()
    }

    /// The infimum of that sum, and how much of it may be rounding.
    pub(super) fn infimum(&self) -> (f64, f64) {
        let (mut sum, mut sizes) = (0.0, 0.0);
        for (y, s) in self.y.iter().zip(&self.sample).filter(|(_, s)| **s > 0.0) {
            let least = self.loss.least(*y);
            if least != 0.0 {
                sum += s * least;
                // It is y - y log y, or 0.
                sizes += s * (least.abs() + 2.0 * y.abs());
            }
        }
        (sum, certificate::rounding(self.y.len() + 4) * sizes)
    }

    /// s times the second derivatives, each at least this share of their bound times the first, and that of
    /// a majorant.
    pub(super) fn curvatures(&self, least: f64, caution: f64) -> Vec<f64> {
        let bound = self.loss.bound();
        let least = if bound.is_finite() { least * bound } else { 0.0 };
        let of = |i: usize| {
            let s = self.sample[i];
            if s == 0.0 {
                return 0.0;
            }
            let r = self.derivatives[i] / s;
            let h = self.loss.curvature(self.y[i], self.values[i], r);
            let majorant = self.loss.majorant(self.y[i], self.values[i]).unwrap_or(0.0);
            s * h.max(caution * majorant).max(least * r.abs()).max(f64::MIN_POSITIVE)
        };
        (0..self.y.len()).map(of).collect()
    }

    pub(super) fn differentiate(&mut self) {
        for (i, r) in self.derivatives.iter_mut().enumerate() {
            let s = self.sample[i];
            *r = if s > 0.0 { s * self.loss.derivative(self.y[i], self.values[i]) } else { 0.0 };
        }
    }

    /// Moves the intercept to where the derivatives sum to 0, by Newton steps between bounds that
    /// hold it.
    pub(super) fn centre(&mut self) {
        const ROUNDS: usize = 100;
        self.differentiate();
        if !self.centred {
            return;
        }
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        let mut at = 0.0; // relative to where it stands
        let start = self.values.clone();
        for _ in 0..ROUNDS {
            let (mut slope, mut curvature, mut size) = (0.0, 0.0, 0.0);
            let rows = start.iter().zip(self.y).zip(&self.sample).filter(|(_, s)| **s > 0.0);
            for ((z, y), s) in rows {
                let r = self.loss.derivative(*y, z + at);
                slope += s * r;
                size += s * r.abs();
                curvature += s * self.loss.curvature(*y, z + at, r);
            }
            if slope.abs() <= 1e-15 * size {
                break;
            }
            if slope > 0.0 {
                high = at
            } else {
                low = at
            }
            // Far from the minimum a step is bounded, and then doubled.
            let reach = 1.0 + at.abs();
            let step = (-slope / curvature).clamp(-reach, reach);
            let next = if step.is_nan() { at - reach * slope.signum() } else { at + step };
            let middle = 0.5 * (low + high);
            let next = if next > low && next < high { next } else { middle };
            if next == at || !next.is_finite() {
                break;
            }
            at = next;
        }
        self.intercept += at;
        self.values.iter_mut().for_each(|z| *z += at);
        self.differentiate();
    }
}

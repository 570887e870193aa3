//! Linear values, probabilities and the objective at the coefficients at hand.

use sparrot_design::Element;
use sparrot_design::loss::{Logistic, RowLoss};
use sparrot_foundation::{Error, Stop};

use super::Multinomial;
use crate::model::Settings;

impl<T: Element> Multinomial<'_, T> {
    /// Computes z from the coefficients, and bounds of its rounding.
    pub(super) fn refresh(&mut self, stop: &Stop<'_>) -> Result<(), Error> {
        // A number has been taken from all of them in the end.
        let largest = self.classes.iter().map(|class| class.intercept.abs()).fold(0.0, f64::max);
        for (class, values) in self.classes.iter_mut().zip(&mut self.values) {
            class.offsets.fill(0.0); // they are of rounds
            class.refresh(stop)?;
            values.clone_from(&class.values);
            class.values_off.iter_mut().for_each(|off| *off += 4.0 * f64::EPSILON * largest);
        }
        self.differentiate();
        Ok(())
    }

    /// By how much a z of a row may be off.
    pub(super) fn reach(&self, i: usize) -> f64 {
        self.classes.iter().map(|class| class.values_off[i]).fold(0.0, f64::max)
    }

    /// The softmax of the z of a row, and the largest of those.
    pub(super) fn probabilities(&self, i: usize, out: &mut Vec<f64>) -> f64 {
        let largest = self.values.iter().map(|z| z[i]).fold(f64::NEG_INFINITY, f64::max);
        out.clear();
        out.extend(self.values.iter().map(|z| (z[i] - largest).exp()));
        let total: f64 = out.iter().sum();
        out.iter_mut().for_each(|p| *p /= total);
        largest
    }

    /// `s (p - 1)` for the class of a row, `s p` for others, p being the softmax of its z.
    pub(super) fn differentiate(&mut self) {
        let mut shares = vec![];
        for i in 0..self.values[0].len() {
            let s = self.classes[0].sample[i];
            self.probabilities(i, &mut shares);
            let (mut others, mut own) = (0.0, 0);
            for (k, class) in self.classes.iter_mut().enumerate() {
                if class.y[i] > 0.0 {
                    own = k;
                } else {
                    class.derivatives[i] = s * shares[k];
                    others += class.derivatives[i];
                }
            }
            self.classes[own].derivatives[i] = -others;
        }
    }

    pub(super) fn total_loss(&self) -> f64 {
        let mut sum = 0.0;
        for (i, s) in self.classes[0].sample.iter().enumerate().filter(|(_, s)| **s > 0.0) {
            let (mut own, mut others) = (0.0, f64::NEG_INFINITY);
            for (class, z) in self.classes.iter().zip(&self.values) {
                if class.y[i] > 0.0 { own = z[i] } else { others = log_add(others, z[i]) }
            }
            sum += s * Logistic.value(1.0, own - others);
        }
        sum
    }

    pub(super) fn penalty(&self, settings: &Settings<'_>) -> f64 {
        self.classes.iter().map(|class| class.penalty(settings)).sum()
    }

    pub(super) fn primal(&self, settings: &Settings<'_>) -> f64 {
        self.total_loss() + self.penalty(settings)
    }
}

/// `log(e^a + e^b)`.
pub(super) fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

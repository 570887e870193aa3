//! Linear values, probabilities and the objective at the coefficients at hand.

use sparrot_design::Element;
use sparrot_design::loss::{Logistic, RowLoss};
use sparrot_foundation::{Error, Stop};

use super::Multinomial;
use crate::glm::Glm;
use crate::model::Settings;

impl<T: Element> Multinomial<'_, T> {
    /// Computes z from the coefficients.
    pub(super) fn refresh(&mut self, stop: &Stop<'_>) -> Result<(), Error> {
        for (class, values) in self.classes.iter().zip(&mut self.values) {
            *values = vec![class.intercept; class.y.len()];
            for (place, (j, w)) in class.variables.iter().zip(&class.w).enumerate() {
                if place % 64 == 0 {
                    stop.poll()?;
                }
                if *w != 0.0 {
                    self.design.for_column(*j as usize, |i, x| values[i] += w * x);
                }
            }
        }
        self.differentiate();
        Ok(())
    }

    /// `s (p - 1)` for the class of a row, `s p` for others, p being the softmax of its z.
    pub(super) fn differentiate(&mut self) {
        let mut powers = vec![0.0; self.classes.len()];
        for i in 0..self.values[0].len() {
            let s = self.classes[0].sample[i];
            let largest = self.values.iter().map(|z| z[i]).fold(f64::NEG_INFINITY, f64::max);
            powers.iter_mut().zip(&self.values).for_each(|(p, z)| *p = (z[i] - largest).exp());
            let total: f64 = powers.iter().sum();
            let (mut others, mut own) = (0.0, 0);
            for (k, class) in self.classes.iter_mut().enumerate() {
                if class.y[i] > 0.0 {
                    own = k;
                } else {
                    class.derivatives[i] = s * (powers[k] / total);
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

    pub(super) fn primal(&self, settings: &Settings<'_>) -> f64 {
        let penalty = |class: &Glm<'_, T, Logistic>| class.penalty(settings);
        self.total_loss() + self.classes.iter().map(penalty).sum::<f64>()
    }
}

/// `log(e^a + e^b)`.
pub(super) fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

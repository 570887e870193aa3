//! What may be added to the coefficients of a column for all classes.

use std::collections::BTreeMap;

use sparrot_design::Element;
use sparrot_foundation::{Error, Stop};

use super::Multinomial;
use crate::bounds::Interval;
use crate::model::Settings;

impl<T: Element> Multinomial<'_, T> {
    /// Of each column in use, the coefficients for all classes.
    pub(super) fn by_column(&self) -> BTreeMap<u32, Vec<f64>> {
        let mut found: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for (k, class) in self.classes.iter().enumerate() {
            for (j, w) in class.variables.iter().zip(&class.w).filter(|(_, w)| **w != 0.0) {
                found.entry(*j).or_insert_with(|| vec![0.0; self.classes.len()])[k] = *w;
            }
        }
        found
    }

    /// Takes from the coefficients of each column the number that leaves the least penalty.
    pub(super) fn shift(&mut self, settings: &Settings<'_>, stop: &Stop<'_>) -> Result<(), Error> {
        let mut shifts: BTreeMap<u32, f64> = BTreeMap::new();
        for (j, w) in self.by_column() {
            let by = best_shift(w, settings.lambda_of(j), settings.mu, settings.bounds.of(j));
            if by != 0.0 {
                shifts.insert(j, by);
            }
        }
        if shifts.is_empty() {
            return Ok(());
        }
        for class in &mut self.classes {
            let mut rest = shifts.clone();
            for (j, w) in class.variables.iter().zip(&mut class.w) {
                if let Some(by) = rest.remove(j) {
                    *w = settings.bounds.of(*j).nearest(*w - by);
                }
            }
            class.w.extend(rest.iter().map(|(j, by)| settings.bounds.of(*j).nearest(-by)));
            class.variables.extend(rest.into_keys());
        }
        // The loss does not see it.
        let mut common = vec![0.0; self.values[0].len()];
        for (j, by) in shifts {
            stop.poll()?;
            self.design.for_column(j as usize, |i, x| common[i] += by * x);
        }
        for values in &mut self.values {
            values.iter_mut().zip(&common).for_each(|(z, c)| *z -= c);
        }
        Ok(())
    }
}

/// The c with the least `sum_k lambda |w_k - c| + mu (w_k - c)^2 / 2`, and if there are several that
/// nearest to 0; of those that leave all of them within their bounds.
fn best_shift(mut w: Vec<f64>, lambda: f64, mu: f64, bounds: Interval) -> f64 {
    w.sort_unstable_by(f64::total_cmp);
    let (least, most) = (w[w.len() - 1] - bounds.upper, w[0] - bounds.lower);
    // The cost is convex. Rounding may leave no room at all.
    best_unbounded(&w, lambda, mu).min(most).max(least)
}

/// The same without bounds, of ascending coefficients.
fn best_unbounded(w: &[f64], lambda: f64, mu: f64) -> f64 {
    let count = w.len();
    if mu == 0.0 {
        let (low, high) = (w[(count - 1) / 2], w[count / 2]);
        return 0f64.clamp(low, high);
    }
    let sum: f64 = w.iter().sum();
    for m in 0..=count {
        // Between the coefficients before m and those from m on the slope is 0 here.
        let balance = lambda * (count as f64 - 2.0 * m as f64) / mu;
        let root = (sum + balance) / count as f64;
        if m == count || root <= w[m] {
            return if m == 0 { root } else { root.max(w[m - 1]) };
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::{Interval, best_shift};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_other_shift_is_better(
            w in proptest::collection::vec(prop_oneof![Just(0.0), -3.0..3.0f64], 2..7),
            lambda in 0.0..2.0f64,
            mu in prop_oneof![Just(0.0), 0.01..2.0f64],
        ) {
            let cost = |c: f64| -> f64 {
                w.iter().map(|w| lambda * (w - c).abs() + 0.5 * mu * (w - c).powi(2)).sum()
            };
            let best = best_shift(w.clone(), lambda, mu, Interval::ALL);
            for other in w.iter().copied().chain([0.0, best + 1e-3, best - 1e-3]) {
                prop_assert!(cost(best) <= cost(other) + 1e-12);
            }
            let least = w.iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert_eq!(best_shift(w.clone(), lambda, mu, Interval::NOT_NEGATIVE), least);
            let most = w.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let bounds = Interval { lower: least - 0.3, upper: most + 0.2 };
            let within = best_shift(w.clone(), lambda, mu, bounds);
            prop_assert!((-0.2 - 1e-12..=0.3 + 1e-12).contains(&within));
            for other in [-0.2, 0.0, 0.3, within + 1e-3, within - 1e-3] {
                let is_allowed = (-0.2..=0.3).contains(&other);
                prop_assert!(!is_allowed || cost(within) <= cost(other) + 1e-12);
            }
        }
    }
}

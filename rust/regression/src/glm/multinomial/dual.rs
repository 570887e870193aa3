//! A lower bound of the minimum, from probabilities.
//!
//! For rows q_i of probabilities, with `r_ik = s_i (q_ik - [k is the class of i])`, sums of r_k of 0
//! where there are intercepts, and a share t in [0, 1],
//!
//! ```text
//! D = - sum_ik s_i p_ik log p_ik - sum_jk (t |x_j'r_k| - lambda_j)_+^2 / (2 mu)
//! ```
//!
//! is one, p being q for t = 1 and the classes themselves for t = 0, linear between; without mu, t is
//! such that no `t |x_j'r_k|` exceeds lambda_j. q is the softmax of z, moved so that the sums hold:
//! classes that have too much give each the same share of it, in each row, to those that have too
//! little, which share it as they need it. So each row still holds probabilities.

use sparrot_design::Element;
use sparrot_design::loss::{Logistic, entropy};
use sparrot_foundation::{Error, Stop};
use sparrot_simd::reduce;

use super::Multinomial;
use super::free::is_free;
use crate::bounds::Held;
use crate::certificate::{self, Variable};
use crate::glm::Glm;
use crate::model::Settings;

/// A product below this share of `|x_j| |r|` cannot be told from 0.
const NONE: f64 = 1e-13;
/// What a probability may be below 0.
const ROUNDING: f64 = 1e-14;

impl<T: Element> Multinomial<'_, T> {
    /// `-r`, by class; orthogonal to these columns.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub(super) fn feasible(&self, free: &[u32], stop: &Stop<'_>) -> Result<Vec<Vec<f64>>, Error> {
        let negative = |r: &Vec<f64>| r.iter().map(|r| -r).collect();
        let mut balanced: Vec<Vec<f64>> =
            self.classes.iter().map(|class| negative(&class.derivatives)).collect();
        self.make_orthogonal(&mut balanced, free, stop)?;
        let sums: Vec<f64> = balanced.iter().map(|r| r.iter().sum()).collect();
        // A residual whose sum is below 0 is of a class with too much.
        let needed: f64 = sums.iter().filter(|sum| **sum > 0.0).sum();
        if !self.classes[0].centred || needed <= 0.0 {
            return Ok(balanced);
        }
        let mut given = vec![0.0; balanced[0].len()];
        for ((class, residual), sum) in self.classes.iter().zip(&mut balanced).zip(&sums) {
            if *sum >= 0.0 {
                continue;
            }
            let mass = |i: usize| if class.y[i] > 0.0 { class.sample[i] } else { 0.0 };
            let total: f64 = (0..residual.len()).map(mass).sum();
            let share = -sum / (total - sum);
            for (i, r) in residual.iter_mut().enumerate() {
                let part = share * (mass(i) - *r).max(0.0);
                *r += part;
                given[i] += part;
            }
        }
        for (residual, sum) in balanced.iter_mut().zip(&sums).filter(|(_, sum)| **sum > 0.0) {
            residual.iter_mut().zip(&given).for_each(|(r, part)| *r -= part * (sum / needed));
        }
        Ok(balanced)
    }

    /// The bound, of the problem of these columns; or of that of the sets. Their products with the
    /// residuals have been read.
    pub(super) fn dual(
        &self,
        columns: Option<&[u32]>,
        balanced: &[Vec<f64>],
        settings: &Settings<'_>,
    ) -> f64 {
        let squares: f64 = balanced.iter().map(|r| reduce::dot(r, r)).sum();
        let zero = NONE * squares.sqrt();
        let held = |class: &Glm<'_, T, Logistic>| Held::among(settings.bounds, class.used());
        let held: Vec<Held> = self.classes.iter().map(held).collect();
        let variables = || {
            self.classes.iter().zip(&held).flat_map(|(class, held)| {
                let all = columns.unwrap_or(&class.variables).iter().copied();
                let product = move |j: u32| (class.products[j as usize], 0.0);
                let open = move |j: u32| {
                    let open = settings.open_variable(j, product(j), held);
                    // Products that have been made 0 are, but for rounding.
                    let least = if is_free(j, settings) { zero * class.norm(j) } else { 0.0 };
                    Variable { lambda: open.lambda.max(least), ..open }
                };
                all.map(open).chain(settings.held_variables(held, product))
            })
        };
        let share = if settings.mu > 0.0 { 1.0 } else { certificate::share(variables()) };
        let charge = certificate::charge(variables(), share, settings.mu);
        let mut sum = 0.0;
        for (class, residual) in self.classes.iter().zip(balanced) {
            let rows = residual.iter().zip(class.y).zip(&class.sample);
            for ((r, y), s) in rows.filter(|(_, s)| **s > 0.0) {
                let own = if *y > 0.0 { 1.0 } else { 0.0 };
                let probability = own - share * r / s;
                if probability < -ROUNDING {
                    return 0.0; // made orthogonal, it has left what there is
                }
                sum += s * entropy(probability);
            }
        }
        // What is always known: the infimum of the losses.
        (-sum - charge).max(0.0)
    }
}

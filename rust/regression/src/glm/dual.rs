//! The lower bound of the minimum: see [`crate::glm`].

use sparrot_design::Element;
use sparrot_design::loss::RowLoss;
use sparrot_foundation::Error;
use sparrot_simd::reduce;

use super::Glm;
use crate::certificate::{self, Free};
use crate::model::Settings;
use crate::structure::Structure;

impl<T: Element, L: RowLoss, S: Structure> Glm<'_, T, L, S> {
    /// The dual's value at a residual, scaled, and made orthogonal to what has no penalty.
    pub(super) fn dual(
        &self,
        left: &[u32],
        mut residual: Vec<f64>,
        settings: &Settings<'_>,
    ) -> Result<f64, Error> {
        // What is always known: the infimum of the losses.
        let least = self.null - self.unit;
        let Some((away, exempt)) = self.without_free(left, &mut residual, settings)? else {
            return Ok(least); // nothing is orthogonal to all there is
        };
        let is_exempt = |j: &u32| exempt.binary_search(j).is_ok();
        let product = |j: u32| {
            let room = if away > 0.0 { away * self.norm(j) } else { 0.0 };
            (self.products[j as usize], room)
        };
        let asked: Vec<u32> = left.iter().copied().filter(|j| !is_exempt(j)).collect();
        let used = self.used().filter(|(j, _)| !is_exempt(j));
        let variables = self.structure.variables(settings, &asked, used, product);
        let all = || variables.iter().copied();
        let share = if settings.mu > 0.0 { 1.0 } else { certificate::share(all()) };
        let charge = certificate::charge(all(), share, settings.mu);
        let mut sum = 0.0;
        let rows = self.y.iter().zip(&residual).zip(&self.sample).filter(|(_, s)| **s > 0.0);
        for ((y, r), s) in rows {
            if !self.loss.is_derivative(*y, -share * r / s) {
                return Ok(least);
            }
            sum += s * self.loss.conjugate(*y, -share * r / s);
        }
        Ok(least.max(-sum - charge))
    }

    /// Makes a residual orthogonal to the exempt columns; how far that is away, and which they are.
    /// `None` if they span everything.
    fn without_free(
        &self,
        left: &[u32],
        residual: &mut [f64],
        settings: &Settings<'_>,
    ) -> Result<Option<(f64, Vec<u32>)>, Error> {
        let rows = residual.iter().zip(&self.sample).filter(|(_, s)| **s > 0.0);
        let size = rows.map(|(r, s)| r * r / s).sum::<f64>().sqrt();
        let known = (&self.moments[..], &self.products[..]);
        let exempt = self.structure.exempt(settings, left, known, size, self.used());
        if exempt.is_empty() {
            return Ok(Some((0.0, exempt)));
        }
        if exempt.len() >= certificate::MANY * self.y.len() {
            return Ok(None);
        }
        // Where a loss is linear its derivative is at the border of what is allowed, and stays there.
        let curvatures = self.curvatures(0.0, 0.0);
        let roots: Vec<f64> = curvatures.iter().map(|h| h.sqrt()).collect();
        // After the columns 1, if there is an intercept.
        let count = exempt.len() + usize::from(self.centred);
        let column = |k: usize, out: &mut [f64]| match exempt.get(k) {
            None => out.fill(1.0),
            Some(j) => {
                out.fill(0.0);
                self.design.for_column(*j as usize, |i, x| out[i] = x);
                let mean = self.moments[*j as usize].mean;
                out.iter_mut().for_each(|x| *x -= mean);
            }
        };
        let free = Free::new(count, residual.len(), |k, out| {
            column(k, out);
            out.iter_mut().zip(&roots).for_each(|(x, root)| *x *= root);
        })?;
        if free.is_everything() {
            return Ok(None);
        }
        let mut values = vec![0.0; residual.len()];
        let mut moved = vec![0.0; residual.len()];
        // Twice, for what the first time leaves by rounding.
        for _ in 0..2 {
            let product = |k| {
                column(k, &mut values);
                reduce::dot(&values, residual)
            };
            let products: Vec<f64> = (0..count).map(product).collect();
            let shares = free.solve(&products);
            let mut change = vec![0.0; residual.len()];
            for (k, share) in shares.iter().enumerate().filter(|(_, c)| **c != 0.0) {
                column(k, &mut values);
                sparrot_simd::linear::axpy(*share, &values, &mut change);
            }
            for (i, change) in change.iter().enumerate() {
                residual[i] -= curvatures[i] * change;
                moved[i] += curvatures[i] * change;
            }
        }
        let rows = moved.iter().zip(&self.sample).filter(|(_, s)| **s > 0.0);
        Ok(Some((rows.map(|(d, s)| d * d / s).sum::<f64>().sqrt(), exempt)))
    }

    /// `-r`, with a sum of 0 where there is an intercept.
    pub(super) fn balanced(&self) -> Vec<f64> {
        let mut balanced: Vec<f64> = self.derivatives.iter().map(|r| -r).collect();
        if self.centred {
            let above: f64 = balanced.iter().filter(|r| **r > 0.0).sum();
            let below: f64 = -balanced.iter().filter(|r| **r < 0.0).sum::<f64>();
            let least = above.min(below);
            for r in &mut balanced {
                let of = if *r > 0.0 { above } else { below };
                // Nothing to shrink, and nothing over nothing, where they are equal.
                if of > least {
                    *r *= least / of;
                }
            }
        }
        balanced
    }
}

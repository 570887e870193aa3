//! What an iteration finds: the objective, and how far it is from the minimum, rounding included.
//!
//! For numbers r that sum to 0 where there is an intercept, a share t and coefficients w, whose values
//! as they are without rounding be z, the objective less the lower bound of [`crate::glm`] is
//!
//! ```text
//! sum_i (s_i loss(z_i) + s_i loss*(t r_i / s_i) - t r_i z_i)
//!     + sum_j (lambda_j |w_j| + mu w_j^2 / 2 + t w_j x_j'r) + the sum of what is charged to mu
//! ```
//!
//! What a row has is 0 if t is 1 and r_i the derivative at z_i, and otherwise of the second order
//! ([`RowLoss::missing`]), so that nothing of the size of the objective cancels, and what rounding does to
//! z and r counts squared. What it does to products is added to them, and to the sum times w.

use std::collections::HashMap;

use sparrot_design::Element;
use sparrot_design::loss::{About, RowLoss};
use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::reduce;

use super::Glm;
use crate::certificate::{self, Free, Seen};
use crate::model::Settings;
use crate::structure::Structure;

/// It is rounding that keeps a gap from being less than this share of what it is.
pub(super) const NEARER: f64 = 0.5;
/// Larger shares of the objective at 0 than this are not asked whether they are rounding.
pub(super) const SMALL: f64 = 1e-4;
/// What a share must leave for the rounding of weights: that a loss allows a residual over its weight does
/// not say that it allows the number without rounding.
pub(super) const DIVIDED: f64 = 4.0 * f64::EPSILON;

/// The residual that is certified: minus r.
struct Certified {
    residual: Vec<f64>,
    /// Its norm, of each row over the root of its weight.
    size: f64,
    /// By what share of itself each row may be from that of a residual that has a sum of 0,
    uneven: f64,
    /// and how far from one that is orthogonal to the exempt columns, if there are some,
    apart: Vec<f64>,
    /// how far that is together,
    blur: f64,
    /// and that from the residual whose products are known.
    away: f64,
    /// The exempt columns, ascending.
    exempt: Vec<u32>,
}

impl Certified {
    fn is_exempt(&self, j: u32) -> bool {
        self.exempt.binary_search(&j).is_ok()
    }
}

/// Products with columns, and by how much they may be off: of those that are asked about, and of those in
/// use.
struct Products<A, B> {
    asked: A,
    used: B,
}

impl<T: Element, L: RowLoss, S: Structure> Glm<'_, T, L, S> {
    /// Computes the values anew, reads these columns and compares with what they allow.
    pub(super) fn look(
        &mut self,
        left: &[u32],
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Seen, Error> {
        self.refresh(stop)?;
        self.differentiate();
        let balanced = self.balanced();
        self.read(left, &balanced, team, stop)?;
        let (primal, rounding) = self.primal_with_rounding(settings);
        let (mut gap, mut share, mut away) = (f64::INFINITY, 0.0, 0.0);
        if let Some(certified) = self.certified(left, balanced, settings)? {
            (gap, share) = self.best_gap(left, &certified, settings, team, stop)?;
            away = certified.away;
        }
        // What is always known: the infimum of the losses.
        let gap = gap.min(certificate::gap(primal + rounding, self.least));
        Ok(Seen { primal, rounding, gap, share, away })
    }

    /// The gap, and the share that is certified. If it is rounding of products that keeps the gap from
    /// what it is to reach, those of the set are computed to twice the digits.
    fn best_gap(
        &self,
        left: &[u32],
        certified: &Certified,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(f64, f64), Error> {
        let asked: Vec<u32> = left.iter().copied().filter(|j| !certified.is_exempt(*j)).collect();
        // The products of what is in use with the certified residual.
        let mut own = vec![];
        if !certified.exempt.is_empty() {
            own = vec![0.0; self.products.len()];
            let used = self.used().map(|(j, _)| j).filter(|j| !certified.is_exempt(*j));
            let residual = [&certified.residual[..]];
            let columns: Vec<u32> = used.collect();
            self.columns().products(&columns, &residual, &mut [&mut own], team, stop)?;
        }
        let own = if certified.exempt.is_empty() { &self.products } else { &own };
        let size = certified.size + certified.away;
        let blur = certified.blur + certified.uneven * certified.size;
        let gap = |rounding: f64| {
            let off = |j: u32, size: f64, away: f64| {
                rounding * (size * self.blurs[j as usize] + away * self.norm(j))
            };
            let products = Products {
                asked: |j| (self.products[j as usize], off(j, size, certified.away + blur)),
                used: |j| (own[j as usize], off(j, certified.size, blur)),
            };
            self.gap(&asked, certified, &products, settings)
        };
        let rough = gap(1.0);
        let is_rounding = || rough.0 <= SMALL * self.unit && gap(0.0).0 < NEARER * rough.0;
        if rough.0 <= settings.tol * self.unit || !is_rounding() {
            return Ok(rough);
        }
        stop.poll()?;
        let set = self.variables.iter().copied().filter(|j| !certified.is_exempt(*j));
        let fine = self.columns().fine_products(set, &certified.residual);
        let fine: HashMap<u32, (f64, f64)> = fine.into_iter().collect();
        let used = |j: u32| {
            let (h, off) = fine.get(&j).copied().unwrap_or_default();
            (h, 2.0 * f64::EPSILON * h.abs() + off + blur * self.norm(j))
        };
        let asked_finely = |j: u32| {
            let rough = size * self.blurs[j as usize] + (certified.away + blur) * self.norm(j);
            if fine.contains_key(&j) { used(j) } else { (self.products[j as usize], rough) }
        };
        let products = Products { asked: asked_finely, used };
        let fine = self.gap(&asked, certified, &products, settings);
        Ok(if fine.0 < rough.0 { fine } else { rough })
    }

    /// The gap with these products, and the share.
    fn gap(
        &self,
        asked: &[u32],
        certified: &Certified,
        products: &Products<impl Fn(u32) -> (f64, f64) + Copy, impl Fn(u32) -> (f64, f64)>,
        settings: &Settings<'_>,
    ) -> (f64, f64) {
        let used = || self.used().filter(|(j, _)| !certified.is_exempt(*j));
        let variables = self.structure.variables(settings, asked, used(), products.asked);
        let share =
            if settings.mu > 0.0 { 1.0 } else { certificate::share(variables.iter().copied()) };
        let terms = used().map(|(j, w)| {
            let (h, off) = (products.used)(j);
            (w * h, w.abs() * off)
        });
        let penalty = self.penalty(settings);
        let rest = certificate::of_penalty(penalty, terms, &variables, (share, settings.mu));
        (certificate::gap(self.missing(certified, share) + rest, 0.0), share)
    }

    /// What the inequality of Fenchel and Young misses by in all rows.
    fn missing(&self, certified: &Certified, share: f64) -> f64 {
        let mut sum = 0.0;
        for (i, s) in self.sample.iter().enumerate().filter(|(_, s)| **s > 0.0) {
            let (y, r) = (self.y[i], -share * certified.residual[i] / s);
            let mut off = (certified.uneven + DIVIDED) * r.abs();
            if let Some(apart) = certified.apart.get(i) {
                let apart = share * apart / s;
                let is_inside = |r: f64| self.loss.is_derivative(y, r * (1.0 - DIVIDED));
                if !(is_inside(r - apart) && is_inside(r + apart)) {
                    return f64::INFINITY;
                }
                off += apart;
            }
            let z = About { at: self.values[i], off: self.values_off[i] };
            sum += s * self.loss.missing(y, z, About { at: r, off });
        }
        sum * (1.0 + certificate::rounding(self.y.len() + 2))
    }

    /// The objective, and how much of it may be rounding.
    fn primal_with_rounding(&self, settings: &Settings<'_>) -> (f64, f64) {
        let (bound, penalty) = (self.loss.bound(), self.penalty(settings));
        let (mut total, mut moved, mut sizes) = (0.0, 0.0, penalty);
        for (i, s) in self.sample.iter().enumerate().filter(|(_, s)| **s > 0.0) {
            let (y, z, off) = (self.y[i], self.values[i], self.values_off[i]);
            let value = self.loss.value(y, z);
            total += s * value;
            sizes += s * (value.abs() + self.loss.cancelling(y, z));
            let r = self.derivatives[i];
            // Without a bound curvatures are those of exponentials.
            let curvature = if bound.is_finite() {
                bound
            } else if off < 0.5 {
                2.0 * self.loss.curvature(y, z, r / s)
            } else {
                f64::INFINITY
            };
            moved += off * (r.abs() + s * off * curvature);
        }
        let share = certificate::rounding(self.y.len() + self.w.len() + 6);
        (total + penalty, moved + share * sizes)
    }

    /// A residual made orthogonal to the exempt columns. `None` if they span everything, or it cannot
    /// be told what.
    fn certified(
        &self,
        left: &[u32],
        mut residual: Vec<f64>,
        settings: &Settings<'_>,
    ) -> Result<Option<Certified>, Error> {
        let known = (&self.moments[..], &self.products[..]);
        let size = self.size(&residual);
        let exempt = self.structure.exempt(settings, left, known, size, self.used());
        if exempt.is_empty() {
            let uneven = self.unevenness(&residual);
            let (apart, blur, away) = (vec![], 0.0, 0.0);
            return Ok(Some(Certified { residual, size, uneven, apart, blur, away, exempt }));
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
                reduce::dot(&values, &residual)
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
        let left_over = self.columns().fine_products(exempt.iter().copied(), &residual);
        let mut products: Vec<f64> = left_over.iter().map(|(_, (h, off))| h.abs() + off).collect();
        if self.centred {
            products
                .push((1.0 + DIVIDED) * certificate::compensated(residual.iter().copied()).abs());
        }
        let Some((_, mut apart)) = free.apart(&products) else { return Ok(None) };
        apart.iter_mut().zip(&roots).for_each(|(apart, root)| *apart *= root);
        let blur = self.size(&apart);
        let (size, away) = (self.size(&residual), self.size(&moved) + blur);
        Ok(Some(Certified { residual, size, uneven: 0.0, apart, blur, away, exempt }))
    }

    /// The norm of residuals, each over the root of its weight.
    pub(super) fn size(&self, residual: &[f64]) -> f64 {
        let rows = residual.iter().zip(&self.sample).filter(|(_, s)| **s > 0.0);
        rows.map(|(r, s)| r * r / s).sum::<f64>().sqrt()
    }

    /// By what share of themselves residuals of a sign have to change to have a sum of 0.
    fn unevenness(&self, residual: &[f64]) -> f64 {
        if !self.centred {
            return 0.0;
        }
        let sum = certificate::compensated(residual.iter().copied());
        let above = certificate::compensated(residual.iter().map(|r| r.max(0.0)));
        // Of the roundings of such a sum each is added up with its own.
        let lost = (residual.len() as f64 * f64::EPSILON).powi(2);
        (1.0 + DIVIDED) * certificate::relative(sum.abs(), above.max(above - sum)) + lost
    }

    /// `-r`, with a sum of 0 where there is an intercept.
    pub(super) fn balanced(&self) -> Vec<f64> {
        let mut balanced: Vec<f64> = self.derivatives.iter().map(|r| -r).collect();
        if self.centred {
            let above = certificate::compensated(balanced.iter().map(|r| r.max(0.0)));
            let below = -certificate::compensated(balanced.iter().map(|r| r.min(0.0)));
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

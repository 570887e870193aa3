//! What a look finds: the objective, and how far it is from the minimum, rounding included.
//!
//! For rows q_i of probabilities, with `r_ik = s_i (q_ik - [k is the class of i])`, sums of r_k of 0
//! where there are intercepts, and a share t in [0, 1],
//!
//! ```text
//! D = - sum_ik s_i p_ik log p_ik - sum_jk (t |x_j'r_k| - lambda_j)_+^2 / (2 mu)
//! ```
//!
//! is a lower bound of the minimum, p being q for t = 1 and the classes themselves for t = 0, linear
//! between; without mu, t is such that no `t |x_j'r_k|` exceeds lambda_j. q is the softmax of z, moved so
//! that the sums hold: classes that have too much give each the same share of it, in each row, to those
//! that have too little, which share it as they need it. So each row still holds probabilities.
//!
//! The objective less D is, as in [`crate::glm`], a sum over rows and one over coefficients. What a row has
//! is the divergence of Kullback and Leibler of p_i and the softmax of z_i.

use std::collections::HashMap;

use sparrot_design::Element;
use sparrot_design::loss::{About, divergence, growth};
use sparrot_foundation::{Error, Stop, Team};

use super::Multinomial;
use super::free::is_free;
use crate::bounds::Held;
use crate::certificate::{self, Seen, Variable, compensated};
use crate::glm::certificate::{DIVIDED, NEARER, SMALL};
use crate::model::Settings;

/// The residuals that are certified: minus r, by class.
pub(super) struct Certified {
    pub residuals: Vec<Vec<f64>>,
    /// How far probabilities of each row may be from ones that sum to 1 and of which those of a class sum
    /// to what they have to.
    pub uneven: Vec<f64>,
    /// How far each may be from residuals that are orthogonal to the columns without a penalty, if there
    /// are some.
    pub apart: Option<Vec<Vec<f64>>>,
}

impl<T: Element> Multinomial<'_, T> {
    /// Residuals whose sums are 0 where there are intercepts: of each class the others' share.
    pub(super) fn balance(&self, balanced: &mut [Vec<f64>]) {
        let sums: Vec<f64> = balanced.iter().map(|r| compensated(r.iter().copied())).collect();
        // A residual whose sum is below 0 is of a class with too much.
        let needed: f64 = sums.iter().filter(|sum| **sum > 0.0).sum();
        if !self.classes[0].centred || needed <= 0.0 {
            return;
        }
        let mut given = vec![0.0; balanced[0].len()];
        for ((class, residual), sum) in self.classes.iter().zip(&mut *balanced).zip(&sums) {
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
    }

    /// How far probabilities of each row are, at most, from ones that sum to 1 and of which those of a
    /// class sum to what they have to: as in [`Self::balance`], after the class of the row has taken what
    /// its row is off.
    pub(super) fn unevenness(&self, residuals: &[Vec<f64>]) -> Vec<f64> {
        let sample = &self.classes[0].sample;
        let of_row = |i: usize| compensated(residuals.iter().map(|r| r[i])).abs();
        let rows: Vec<f64> = (0..sample.len()).map(of_row).collect();
        let (mut off, mut least) = (0.0, f64::INFINITY);
        for (class, residual) in self.classes.iter().zip(residuals) {
            let own = |of: &[f64]| -> f64 {
                of.iter().zip(class.y).filter(|(_, y)| **y > 0.0).map(|(v, _)| v).sum()
            };
            let sum = compensated(residual.iter().copied());
            off += sum.abs() + own(&rows);
            least = least.min(own(sample) - sum);
        }
        let of_all = if self.classes[0].centred { certificate::relative(off, least) } else { 0.0 };
        let of = |(row, s): (&f64, &f64)| 2.0 * (row / s + of_all);
        rows.iter().zip(sample).map(|(row, s)| if *s > 0.0 { of((row, s)) } else { 0.0 }).collect()
    }

    /// Of the problem of these columns, or of that of the sets; they are read. What is certified is
    /// orthogonal to columns without a penalty: of those, products are with the residuals at hand, so that
    /// it can be told which of them are missing.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub(super) fn look(
        &mut self,
        columns: Option<&[u32]>,
        free: &[u32],
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Seen, Error> {
        let (primal, rounding) = (self.primal(settings), self.rounding(settings));
        let (mut gap, mut share) = (f64::INFINITY, 0.0);
        if let Some(certified) = self.certified(free, stop)? {
            match columns {
                Some(columns) => self.read(columns, &certified.residuals, team, stop)?,
                None => {
                    for (class, residual) in self.classes.iter_mut().zip(&certified.residuals) {
                        let columns = class.variables.clone();
                        class.read(&columns, residual, team, stop)?;
                    }
                }
            }
            (gap, share) = self.best_gap(columns, &certified, settings, stop)?;
            if columns.is_some() && !free.is_empty() {
                self.read_balanced(free, team, stop)?;
            }
        } else if let Some(columns) = columns {
            self.read_balanced(columns, team, stop)?;
        }
        // What is always known: the infimum of the losses.
        let gap = gap.min(certificate::gap(primal + rounding, 0.0));
        Ok(Seen { primal, rounding, gap, share, away: 0.0 })
    }

    /// The gap, and the share that is certified. If it is rounding of products that keeps the gap from
    /// what it is to reach, those of the sets are computed to twice the digits.
    fn best_gap(
        &self,
        columns: Option<&[u32]>,
        certified: &Certified,
        settings: &Settings<'_>,
        stop: &Stop<'_>,
    ) -> Result<(f64, f64), Error> {
        let sizes = |of: &[Vec<f64>]| {
            let squares = self.classes.iter().zip(of).map(|(class, r)| class.size(r).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let size = sizes(&certified.residuals);
        let rows = certified.uneven.iter().zip(&self.classes[0].sample);
        let uneven = rows.map(|(p, s)| s * p * p).sum::<f64>();
        let blur = certified.apart.as_deref().map_or(0.0, sizes)
            + (self.classes.len() as f64 * uneven).sqrt();
        let rough = |k: usize, j: u32| {
            let class = &self.classes[k];
            let off = size * class.blurs[j as usize] + blur * class.norm(j);
            (class.products[j as usize], off)
        };
        let found = self.gap(columns, certified, &rough, settings);
        let exact = |k: usize, j: u32| (self.classes[k].products[j as usize], 0.0);
        if found.0 <= settings.tol * self.unit
            || found.0 > SMALL * self.unit
            || self.gap(columns, certified, &exact, settings).0 > NEARER * found.0
        {
            return Ok(found);
        }
        let mut fine: Vec<HashMap<u32, (f64, f64)>> = vec![];
        for (class, residual) in self.classes.iter().zip(&certified.residuals) {
            stop.poll()?;
            let set = class.variables.iter().copied();
            fine.push(class.columns().fine_products(set, residual).into_iter().collect());
        }
        let finely = |k: usize, j: u32| match fine[k].get(&j) {
            Some((h, off)) => {
                (*h, 2.0 * f64::EPSILON * h.abs() + off + blur * self.classes[k].norm(j))
            }
            None => rough(k, j),
        };
        let fine = self.gap(columns, certified, &finely, settings);
        Ok(if fine.0 < found.0 { fine } else { found })
    }

    /// The gap with these products of a class with a column, each with what it may be off by, and the
    /// share.
    fn gap(
        &self,
        columns: Option<&[u32]>,
        certified: &Certified,
        product: &impl Fn(usize, u32) -> (f64, f64),
        settings: &Settings<'_>,
    ) -> (f64, f64) {
        let mut variables: Vec<Variable> = vec![];
        let mut terms = vec![];
        for (k, class) in self.classes.iter().enumerate() {
            let held = Held::among(settings.bounds, class.used());
            let asked = columns.unwrap_or(&class.variables).iter().copied();
            let asked = asked.filter(|j| !is_free(*j, settings));
            variables.extend(settings.variables(asked, &held, |j| product(k, j)));
            terms.extend(class.used().filter(|(j, _)| !is_free(*j, settings)).map(|(j, w)| {
                let (h, off) = product(k, j);
                (w * h, w.abs() * off)
            }));
        }
        let share =
            if settings.mu > 0.0 { 1.0 } else { certificate::share(variables.iter().copied()) };
        let penalty = self.penalty(settings);
        let rest =
            certificate::of_penalty(penalty, terms.into_iter(), &variables, (share, settings.mu));
        (certificate::gap(self.missing(certified, share) + rest, 0.0), share)
    }

    /// What the inequality of Fenchel and Young misses by in all rows.
    fn missing(&self, certified: &Certified, share: f64) -> f64 {
        let (mut sum, mut shares) = (0.0, vec![]);
        for (i, s) in self.classes[0].sample.iter().enumerate().filter(|(_, s)| **s > 0.0) {
            let largest = self.probabilities(i, &mut shares);
            let balanced = certified.uneven[i];
            let moved = growth(2.0 * self.reach(i));
            // What rounding does to each probability, as a share of it.
            let off = |k: usize| {
                let terms = (self.classes.len() + 8) as f64 + (largest - self.values[k][i]);
                terms * f64::EPSILON
            };
            let own = (0..shares.len()).find(|k| self.classes[*k].y[i] > 0.0).unwrap_or(0);
            let others = || (0..shares.len()).filter(|k| *k != own);
            let rest: f64 = others().map(|k| shares[k]).sum();
            let rest_off: f64 = others().map(|k| shares[k] * (moved + off(k))).sum();
            for (k, q) in shares.iter().enumerate() {
                let r = share * certified.residuals[k][i] / s;
                let apart = certified.apart.as_ref().map_or(0.0, |apart| share * apart[k][i] / s);
                // p is -r, of the row's class 1 - r.
                let p = if k == own { 1.0 - r } else { -r };
                if p < apart - balanced - DIVIDED {
                    return f64::INFINITY; // made orthogonal, it has left what there is
                }
                let (at, of_q) =
                    if k == own { (rest - r, rest_off) } else { (-r - q, q * (moved + off(k))) };
                let off_in_all = of_q + apart + balanced + DIVIDED * r.abs();
                let least = q / (1.0 + moved) * (1.0 - off(k));
                sum += s * divergence(least, About { at, off: off_in_all });
            }
        }
        sum * (1.0 + certificate::rounding(self.values[0].len() * self.classes.len()))
    }

    /// How much of the objective may be rounding.
    fn rounding(&self, settings: &Settings<'_>) -> f64 {
        let count = self.classes.len() as f64;
        let mut moved = 0.0;
        for (i, s) in self.classes[0].sample.iter().enumerate().filter(|(_, s)| **s > 0.0) {
            let own = self.classes.iter().find(|class| class.y[i] > 0.0);
            let slope = own.map_or(0.0, |class| class.derivatives[i].abs());
            let largest = self.values.iter().map(|z| z[i].abs()).fold(0.0, f64::max);
            let reach = 2.0 * self.reach(i) + (count + 8.0 + 2.0 * largest) * f64::EPSILON;
            moved += reach * (slope + s * reach);
        }
        let used: usize = self.classes.iter().map(|class| class.w.len()).sum();
        moved + certificate::rounding(self.values[0].len() + used + 6) * self.primal(settings)
    }
}

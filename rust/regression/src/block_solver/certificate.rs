//! How far it is from the optimum, at most, or from a stationary point: see [`crate::block_solver`].

use std::collections::HashSet;

use sparrot_design::Element;
use sparrot_foundation::{Error, Stop, Team};
use sparrot_prox::BlockPenalty;
use sparrot_simd::reduce;

use super::{BlockSolver, gather};
use crate::certificate::{Free, MANY, Seen, gap, rounding};

/// The residuals that are certified, if there are exempt columns.
#[derive(Default)]
struct Certified {
    residuals: Vec<Vec<f64>>,
    /// How far they may be from those of exact columns,
    blur: f64,
    /// and these from the residuals of the coefficients.
    away: f64,
    exempt: HashSet<u32>,
}

impl<T: Element> BlockSolver<'_, T> {
    /// The objective, and how far it is from the minimum if the penalty is convex: the formulas are those of
    /// [`crate::certificate`], with a sum over all responses.
    pub(super) fn look<P: BlockPenalty>(
        &self,
        left: &[u32],
        penalty: &P,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Seen, Error> {
        let primal = self.primal(penalty);
        if !P::IS_CONVEX {
            return Ok(Seen { primal, rounding: 0.0, gap: f64::INFINITY, share: 0.0, away: 0.0 });
        }
        let Certified { residuals: certified, blur, away, exempt } =
            self.without_free(left, penalty)?;
        let residuals = if exempt.is_empty() { &self.residuals } else { &certified };
        let size = norm(residuals);
        let (mut share, mut h) = (1.0f64, vec![]);
        for g in left.iter().map(|g| *g as usize) {
            let columns = self.groups.columns(g);
            gather(&self.products, columns, &mut h);
            let drift = if away > 0.0 { away * self.curvatures[g].sqrt() } else { 0.0 };
            let tasks = self.responses.len();
            let room = |i: usize| drift + size * self.blurs[columns[i / tasks] as usize];
            if penalty.is_free(g) {
                // What is not exempt must not be negative, and is kept at 0 by its slope.
                let is_kept =
                    |i: usize| exempt.contains(&columns[i / tasks]) || h[i] + room(i) <= 0.0;
                share = if (0..h.len()).all(is_kept) { share } else { 0.0 };
                continue;
            }
            // Away from 0, but where only what is above it counts.
            let is_positive = penalty.is_positive();
            for (i, h) in h.iter_mut().enumerate() {
                *h += if is_positive { room(i) } else { room(i).copysign(*h) };
            }
            share = share.min(penalty.share(g, &h));
        }
        // The products of what is in use with the certified residuals: none of exempt columns.
        let used = self.used();
        let mut own = vec![];
        if !exempt.is_empty() {
            own = vec![vec![0.0; self.data.moments.len()]; residuals.len()];
            let columns: Vec<u32> =
                used.iter().map(|(_, j)| *j).filter(|j| !exempt.contains(j)).collect();
            let views: Vec<&[f64]> = residuals.iter().map(|r| &r[..]).collect();
            let mut out: Vec<&mut [f64]> = own.iter_mut().map(|h| &mut h[..]).collect();
            self.data.all_products(&columns, &views, &mut out, team, stop)?;
        }
        let own = if exempt.is_empty() { &self.products } else { &own };
        let (mut along, mut room, mut off) = (0.0, 0.0, 0.0f64);
        for ((w, own), y) in self.descent.w.iter().zip(own).zip(&self.responses) {
            let mut sizes = reduce::dot(y, y).sqrt();
            for (k, j) in &used {
                let j = *j as usize;
                along += w[*k] * own[j];
                let norm = self.data.moments[j].squares.sqrt();
                room += w[*k].abs() * (size * self.blurs[j] + blur * norm);
                sizes += w[*k].abs() * self.data.columns().size_in_sum(j);
            }
            // What rounding does to the residual.
            let one = if used.is_empty() { 0.0 } else { rounding(used.len() + 2) * sizes };
            off = off.hypot(one);
        }
        let apart = self.residuals.iter().flatten().zip(residuals.iter().flatten());
        let distance = if exempt.is_empty() {
            (1.0 - share) * size
        } else {
            apart.map(|(q, r)| (q - share * r).powi(2)).sum::<f64>().sqrt()
        };
        let rest = distance + share * blur + off;
        let found = 0.5 * rest * rest + self.descent.penalty(penalty) - share * along + room;
        let terms = rounding(self.data.y.len() + used.len());
        let lost = off * (norm(&self.residuals) + 0.5 * off) + terms * primal;
        Ok(Seen { primal, rounding: lost, gap: gap(found, 0.0), share, away })
    }

    /// The places in the set, and the columns, of those with a coefficient that is not 0.
    fn used(&self) -> Vec<(usize, u32)> {
        let is_used = |(k, _): &(usize, u32)| self.descent.w.iter().any(|w| w[*k] != 0.0);
        self.set.variables.iter().copied().enumerate().filter(is_used).collect()
    }

    /// The residuals made orthogonal to the columns without a penalty, how far that is away, and which
    /// columns they are: of those that must not be negative the ones in use or without a slope.
    fn without_free(&self, left: &[u32], penalty: &impl BlockPenalty) -> Result<Certified, Error> {
        /// A slope below this share of `|x| |Y|` cannot be told from none.
        const SLOPE: f64 = 1e-9;
        let free = left.iter().filter(|g| penalty.is_free(**g as usize));
        let columns: Vec<u32> =
            free.flat_map(|g| self.groups.columns(*g as usize)).copied().collect();
        if columns.is_empty() {
            return Ok(Certified::default());
        }
        let used: HashSet<u32> = self.used().into_iter().map(|(_, j)| j).collect();
        let is_exempt = |j: &u32| {
            let scale = (self.data.moments[*j as usize].squares * self.yy).sqrt();
            let has_slope = |products: &Vec<f64>| products[*j as usize] < -SLOPE * scale;
            !penalty.is_positive() || used.contains(j) || !self.products.iter().all(has_slope)
        };
        let exempt: Vec<u32> = columns.into_iter().filter(is_exempt).collect();
        let n = self.data.y.len();
        // Nothing is orthogonal to all there is.
        let nothing = || {
            let residuals = vec![vec![0.0; n]; self.residuals.len()];
            let exempt = exempt.iter().copied().collect();
            Certified { residuals, blur: 0.0, away: norm(&self.residuals), exempt }
        };
        if exempt.len() >= MANY * n {
            return Ok(nothing());
        }
        let fill = |k: usize, out: &mut [f64]| self.data.column(exempt[k] as usize, out);
        let span = Free::new(exempt.len(), n, fill)?;
        if span.is_everything() {
            return Ok(nothing());
        }
        let mut residuals = self.residuals.clone();
        let squares: f64 = residuals.iter_mut().map(|r| span.project(r).powi(2)).sum();
        let blur = span.blur * norm(&residuals);
        let exempt = exempt.into_iter().collect();
        Ok(Certified { residuals, blur, away: squares.sqrt() + blur, exempt })
    }

    /// Of single columns, by how much one would move, at most.
    pub(super) fn stationarity(&self, left: &[u32], penalty: &impl BlockPenalty) -> f64 {
        let mut w = vec![vec![0.0; self.data.moments.len()]; self.responses.len()];
        for (w, found) in w.iter_mut().zip(&self.descent.w) {
            self.set.variables.iter().zip(found).for_each(|(j, value)| w[*j as usize] = *value);
        }
        let (mut h, mut now, mut worst) = (vec![], vec![], 0.0f64);
        for g in left.iter().map(|g| *g as usize).filter(|g| self.curvatures[*g] > 0.0) {
            let curvature = self.curvatures[g];
            gather(&self.products, self.groups.columns(g), &mut h);
            gather(&w, self.groups.columns(g), &mut now);
            h.iter_mut().zip(&now).for_each(|(h, w)| *h = w + *h / curvature);
            penalty.prox(g, &mut h, 1.0 / curvature);
            let away: f64 = h.iter().zip(&now).map(|(h, w)| (h - w) * (h - w)).sum();
            let away = (curvature * away).sqrt();
            if away.is_nan() {
                return f64::INFINITY;
            }
            worst = worst.max(away);
        }
        worst
    }

    /// Leaves out the groups that are 0 in every solution: those whose subgradients all points of
    /// the dual within the gap of this one hold (Ndiaye, Fercoq, Gramfort and Salmon, JMLR 18, 2017).
    pub(super) fn screen(&self, left: &mut Vec<u32>, penalty: &impl BlockPenalty, seen: &Seen) {
        let radius = (2.0 * seen.gap).sqrt();
        let mut h = vec![];
        left.retain(|g| {
            let group = *g as usize;
            if self.is_in[group] {
                return true;
            }
            gather(&self.products, self.groups.columns(group), &mut h);
            h.iter_mut().for_each(|h| *h *= seen.share);
            let reach = radius + seen.away;
            let room = reach * self.curvatures[group].sqrt() * (1.0 + 1e-12);
            penalty.slack(group, &h) <= room
        });
    }
}

/// Of all of them together.
fn norm(residuals: &[Vec<f64>]) -> f64 {
    residuals.iter().map(|r| reduce::dot(r, r)).sum::<f64>().sqrt()
}

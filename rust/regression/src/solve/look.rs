//! What an iteration finds: the objective, and how far it is from the minimum, rounding included. The
//! formulas are in [`crate::certificate`].

use sparrot_design::Element;
use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::reduce;

use super::Solver;
use crate::bounds::Held;
use crate::certificate::{self, Free, Seen};
use crate::model::{NONE, Settings, exempt};

/// The residual that is certified.
struct Certified {
    /// That of the coefficients, but for its part in the span of the exempt columns.
    residual: Vec<f64>,
    /// How far it may be from that of exact columns,
    blur: f64,
    /// and that from the residual of the coefficients.
    away: f64,
    /// The exempt columns, ascending.
    exempt: Vec<u32>,
}

impl Certified {
    fn is_exempt(&self, j: u32) -> bool {
        self.exempt.binary_search(&j).is_ok()
    }
}

impl<T: Element> Solver<'_, T> {
    /// A residual orthogonal to the columns without a penalty, and the largest share of it whose
    /// products with these columns, all of which have been read, do not exceed their lambdas.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn feasible(
        &mut self,
        columns: &[u32],
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(f64, Vec<f64>), Error> {
        let seen = self.look(columns, settings, settings.lambda, team, stop)?;
        Ok((seen.share, self.certified(columns, settings)?.residual))
    }

    /// Of the problem of these columns, which hold those in use and have been read, and of this lambda.
    pub(super) fn look(
        &mut self,
        left: &[u32],
        settings: &Settings<'_>,
        lambda: f64,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Seen, Error> {
        let primal = self.primal(settings, lambda);
        let certified = self.certified(left, settings)?;
        let (mu, stage) = (settings.mu, Settings { lambda, ..*settings });
        let used: Vec<(u32, f64)> = self.used().collect();
        let counted = || used.iter().copied().filter(|(j, _)| !certified.is_exempt(*j));
        // The products of what is in use with the certified residual.
        let mut own = vec![];
        if !certified.exempt.is_empty() {
            own = vec![0.0; self.products.len()];
            let columns: Vec<u32> = counted().map(|(j, _)| j).collect();
            self.data.products(&columns, &certified.residual, &mut own, team, stop)?;
        }
        let own = if certified.exempt.is_empty() { &self.products } else { &own };
        let held = Held::among(settings.bounds, counted());
        let size = reduce::dot(&certified.residual, &certified.residual).sqrt();
        let room = |j: u32| size * self.blurs[j as usize] + certified.away * self.norms[j as usize];
        let product = |j: u32| (self.products[j as usize], room(j));
        let asked = || left.iter().copied().filter(|j| !certified.is_exempt(*j));
        let off = self.off(&used);
        let gap = |share: f64| {
            let term = |(j, w): &(u32, f64)| {
                let penalty = stage.lambda_of(*j) * w.abs() + 0.5 * mu * w * w;
                let (blur, norm) = (self.blurs[*j as usize], self.norms[*j as usize]);
                let room = w.abs() * (size * blur + certified.blur * norm);
                penalty - share * w * own[*j as usize] + room
            };
            let sum: f64 = used.iter().map(term).sum();
            let charge = if mu == 0.0 && held.is_empty() {
                0.0
            } else {
                certificate::charge(stage.variables(asked(), &held, product), share, mu)
            };
            let rest = self.distance(&certified, share, size) + share * certified.blur + off;
            (certificate::gap(0.5 * rest * rest + sum + charge, 0.0), share)
        };
        let (gap, share) = if mu > 0.0 {
            let mut in_use = vec![0.0; self.products.len()];
            used.iter().for_each(|(j, w)| in_use[*j as usize] = *w);
            let shrunk = |j: u32| (self.products[j as usize] - mu * in_use[j as usize], 0.0);
            let part = certificate::share(stage.variables(asked(), &held, shrunk));
            let (whole, part) = (gap(1.0), gap(part));
            if part.0 < whole.0 { part } else { whole }
        } else {
            gap(certificate::share(stage.variables(asked(), &held, product)))
        };
        let squares = reduce::dot(&self.residual, &self.residual);
        let terms = certificate::rounding(self.residual.len() + used.len());
        let rounding = off * (squares.sqrt() + 0.5 * off) + terms * primal;
        Ok(Seen { primal, rounding, gap, share, away: certified.away })
    }

    /// How far the residual is from a share of the certified one, which is of that size.
    fn distance(&self, certified: &Certified, share: f64, size: f64) -> f64 {
        if certified.exempt.is_empty() {
            return (1.0 - share) * size;
        }
        let rows = self.residual.iter().zip(&certified.residual);
        rows.map(|(q, r)| (q - share * r).powi(2)).sum::<f64>().sqrt()
    }

    /// How far rounding has the residual from that of these coefficients, at most.
    fn off(&self, used: &[(u32, f64)]) -> f64 {
        if used.is_empty() {
            return 0.0;
        }
        let size = |(j, w): &(u32, f64)| w.abs() * self.data.columns().size_in_sum(*j as usize);
        let sizes = self.data.yy.sqrt() + used.iter().map(size).sum::<f64>();
        certificate::rounding(used.len() + 2) * sizes
    }

    /// The residual made orthogonal to the exempt columns.
    fn certified(&mut self, left: &[u32], settings: &Settings<'_>) -> Result<Certified, Error> {
        let (known, size) = ((&self.data.moments[..], &self.products[..]), self.data.yy.sqrt());
        let has_penalties =
            settings.weights.is_none() && settings.lambda > NONE * self.largest_norm * size;
        let exempt =
            if has_penalties { vec![] } else { exempt(left, settings, known, size, self.used()) };
        let n = self.residual.len();
        let mut residual = self.residual.clone();
        if exempt.is_empty() {
            return Ok(Certified { residual, blur: 0.0, away: 0.0, exempt });
        }
        let span = match self.span.take() {
            Some((columns, span)) if columns == exempt => Some(span),
            _ if exempt.len() >= certificate::MANY * n => None,
            _ => {
                let fill = |k: usize, out: &mut [f64]| self.data.column(exempt[k] as usize, out);
                Some(Free::new(exempt.len(), n, fill)?)
            }
        };
        let (away, blur) = match &span {
            Some(span) if !span.is_everything() => {
                let away = span.project(&mut residual);
                (away, span.blur * reduce::dot(&residual, &residual).sqrt())
            }
            // Nothing is orthogonal to all there is.
            _ => {
                residual.fill(0.0);
                (reduce::dot(&self.residual, &self.residual).sqrt(), 0.0)
            }
        };
        self.span = span.map(|span| (exempt.clone(), span));
        Ok(Certified { residual, blur, away: away + blur, exempt })
    }
}

//! The Lasso of the root of the squares, whose lambda does not depend on the size of the noise
//! (Belloni, Chernozhukov and Wang, Biometrika 98, 2011):
//!
//! ```text
//! min over w, b of  |r| + lambda sum_j v_j |w_j|,    |r|^2 = sum_i s_i (y_i - x_i'w - b)^2
//! ```
//!
//! or, so that it has a solution that can be computed where |r| would be 0, with `|r|^2 / (2 sigma) +
//! sigma / 2` for |r|, sigma being |r| or a floor if that is more (the smoothed concomitant Lasso;
//! Ndiaye, Fercoq, Gramfort, Leclere and Salmon, J. Phys. Conf. Ser. 904, 2017).
//!
//! Its solution is that of the Lasso with `lambda sigma`, sigma its own. On a fixed support |r|^2 is
//! linear in the square of the Lasso's lambda: two points on it give the fixed point.
//!
//! **The gap.** `theta = t r / sigma`, with t the largest share for which `|x_j'theta| <= lambda v_j`,
//! is feasible for the dual, whose value is `y'theta + floor (1 - |theta|^2) / 2`.

use sparrot_design::{Element, Moments};
use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace};
use sparrot_simd::reduce;

use crate::certificate;
use crate::model::{Model, Point, Settings};
use crate::solve::Solver;
use crate::structure::Single;

/// The floor of sigma, as a share of that at w = 0.
const FLOOR: f64 = 1e-3;
/// Of the gap to reach, that of the Lasso at first,
const SHARE: f64 = 0.1;
/// and how much less each time the gap is too large although sigma has settled.
const TIGHTER: f64 = 0.1;
const SETTLED: f64 = 1e-6;
/// The least gap the Lasso is asked for.
const LEAST: f64 = 1e-15;
/// Lassos at most.
const ROUNDS: usize = 60;

/// A solver.
pub struct SqrtLasso<'a, T> {
    lasso: Solver<'a, T>,
    /// Of coefficients that were given to start from, sigma.
    started: Option<f64>,
}

impl<'a, T: Element> SqrtLasso<'a, T> {
    /// On that of the Lasso.
    pub fn new(lasso: Solver<'a, T>) -> SqrtLasso<'a, T> {
        SqrtLasso { lasso, started: None }
    }
}

impl<T: Element> Model for SqrtLasso<'_, T> {
    type Structure = Single;

    fn structure(&self) -> Single {
        Single
    }

    fn moments(&self) -> &[Moments] {
        self.lasso.moments()
    }

    fn products(
        &mut self,
        columns: &[u32],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<&[f64]>, Error> {
        self.lasso.products(columns, team, stop)
    }

    fn total(&self) -> f64 {
        self.lasso.total()
    }

    fn start(
        &mut self,
        columns: &[u32],
        coefficients: &[f64],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        self.lasso.start(columns, coefficients, stop)?;
        let residual = self.lasso.residual();
        self.started = Some(reduce::dot(residual, residual).sqrt());
        Ok(())
    }

    /// `mu` must be 0.
    fn solve(
        &mut self,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error> {
        let unit = self.lasso.data().yy.sqrt();
        let floor = FLOOR * unit;
        let candidates = settings.candidates(self.lasso.moments());
        let first = self.started.take().map_or(unit, |sigma| sigma.clamp(floor, unit));
        let (mut sigma, mut share_of_tol) = (first, SHARE);
        let mut last: Option<(f64, f64)> = None;
        let all = (floor * (1.0 - SETTLED), unit * (1.0 + SETTLED));
        let (mut low, mut high) = all;
        let (mut trace, mut iterations, mut steps) = (Trace::default(), 0, 0);
        for round in 0..ROUNDS {
            // A gap of the Lasso is one of sigma times that much here.
            let tol = (share_of_tol * settings.tol * sigma / unit).max(LEAST);
            let at = Settings { lambda: settings.lambda * sigma, tol, ..*settings };
            let mut point = self.lasso.solve(&at, team, stop)?;
            // Columns of the Lasso are left out for its own lambda only.
            self.lasso.products(&candidates, team, stop)?;
            iterations += point.iterations;
            steps += point.steps;
            let squares = reduce::dot(self.lasso.residual(), self.lasso.residual());
            let (smooth, own) = smooth(squares, floor);
            let l1 = |(j, w): (&u32, &f64)| settings.lambda_of(*j) * w.abs();
            let penalty: f64 = point.columns.iter().zip(&point.coefficients).map(l1).sum();
            let scaled = Settings { lambda: settings.lambda * own, ..*settings };
            let (share, residual) = self.lasso.feasible(&candidates, &scaled, team, stop)?;
            let gap = if own > 0.0 {
                let theta = share / own;
                let norm = theta * theta * reduce::dot(&residual, &residual);
                let linear = theta * reduce::dot(&self.lasso.data().y, &residual);
                certificate::gap(smooth + penalty, linear + 0.5 * floor * (1.0 - norm))
            } else {
                0.0
            };
            let relative = certificate::relative(gap, unit);
            let record = Record {
                iteration: round,
                time: stop.seconds(),
                objective: smooth + penalty,
                certificate: relative,
                sparsity: point.columns.len(),
                phase: 0,
            };
            trace.0.push(record);
            let ended = stop.after(&record)?;
            let status = if relative <= settings.tol {
                Some(Status::Converged)
            } else if iterations >= settings.max_iter {
                Some(Status::MaxIter)
            } else if round + 1 == ROUNDS {
                Some(Status::Stalled)
            } else {
                ended
            };
            if let Some(status) = status {
                (point.objective, point.certificate, point.status) =
                    (smooth + penalty, gap, status);
                (point.iterations, point.steps, point.trace) = (iterations, steps, trace);
                return Ok(point);
            }
            // sigma of the Lasso is larger than its own beyond the fixed point only.
            if own < sigma {
                high = sigma;
            } else {
                low = sigma;
            }
            if high - low <= SETTLED * high || (own - sigma).abs() <= SETTLED * sigma {
                share_of_tol *= TIGHTER;
                (low, high) = all;
            }
            let next = last.and_then(|before| fixed_point(before, (sigma * sigma, squares)));
            last = Some((sigma * sigma, squares));
            let next = next.map(|next| next.max(floor)).filter(|next| *next > low && *next < high);
            // The plain iteration, to its own sigma, may be slow: halves in logarithms instead.
            sigma = next.unwrap_or((low * high).sqrt());
        }
        unreachable!("the last round returns")
    }
}

/// The objective less the penalty, and sigma.
fn smooth(squares: f64, floor: f64) -> (f64, f64) {
    let sigma = squares.sqrt().max(floor);
    (if sigma > 0.0 { 0.5 * (squares / sigma + sigma) } else { 0.0 }, sigma)
}

/// Where `squares = sigma^2` on the line through two points (sigma^2, squares).
fn fixed_point((a, f): (f64, f64), (b, g): (f64, f64)) -> Option<f64> {
    let slope = (g - f) / (b - a);
    let at = (g - slope * b) / (1.0 - slope);
    (slope.is_finite() && slope < 1.0 && at > 0.0).then(|| at.sqrt())
}

#[cfg(test)]
mod tests {
    use super::fixed_point;

    #[test]
    fn lines_meet_the_diagonal() {
        let line = |x: f64| 0.3 + 0.4 * x;
        let at = fixed_point((1.0, line(1.0)), (2.0, line(2.0))).unwrap();
        assert!((at * at - 0.5).abs() < 1e-15);
        assert_eq!(fixed_point((1.0, 1.0), (1.0, 1.0)), None);
        assert_eq!(fixed_point((1.0, 1.0), (2.0, 4.0)), None);
    }
}

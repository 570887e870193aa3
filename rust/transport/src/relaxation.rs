//! Marginals that may be missed at a price: unbalanced transport.
//!
//! ```text
//! minimise  <C, P> + reg Omega(P) + rho_a KL(P 1 | a) + rho_b KL(P' 1 | b)   over P >= 0
//! KL(x | y) = sum x log(x / y) - x + y,   Omega(P) = KL(P | alpha beta')
//! ```
//!
//! with `alpha = a`, `beta = b`, or both 1 (then `Omega` is taken without its constant `n m`).
//!
//! **Source.** Chizat, Peyre, Schmitzer, Vialard, *Scaling algorithms for unbalanced optimal
//! transport problems*, 2018; Sejourne, Vialard, Peyre, *Faster unbalanced optimal transport:
//! translation invariant Sinkhorn and 1-D Frank-Wolfe*, 2022.
//!
//! **As fixed marginals, with slack.** The plan is `exp(phi_i + psi_j - c_ij)` as ever, the potential
//! in the dual being `phi - log alpha`. With `q = reg / rho`, row i of the best plan sums to its
//! *target* `s_i = a_i exp(-q (phi_i - log alpha_i))`, which follows its potential; with `q = 0` that
//! is the fixed marginal. Everything else is the same for any `q`:
//!
//! * with `S_i` the row sum at `phi_i = 0`, the row is exact (sums to its target) at
//!   `phi_i = (log a_i - log S_i + q log alpha_i) / (1 + q)`;
//! * on top of a stored plan with exact rows of sums `w_i` the scaling that makes rows exact again is
//!   `u_i = (w_i / (T v)_i)^(1 / (1 + q))`, and their target then `w_i u_i^-q`;
//! * adding `tau` to all `psi` and taking it from all `phi` leaves the plan alone, but changes all
//!   targets by known factors: the best `tau` ([`crate::scalings`]) costs nothing, and saves the many
//!   sweeps that correct the mass by little each (translation invariance, in the second source). With
//!   prices far above `reg` it is large, so it is kept apart from the potentials of the plan.
//!
//! **What we changed and why.** The papers iterate; here the levels, accelerated sweeps and Newton
//! steps on the semi-dual that fixed marginals are solved with serve these as well.

use sparrot_simd::reduce;

use crate::problem::Problem;

/// The prices of missing the marginals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relaxation<'a> {
    /// Of rows and columns, in the units of the cost; infinite for a marginal that is fixed.
    pub rho: [f64; 2],
    /// `log alpha` and `log beta`; where there is no weight, 0.
    pub log_reference: [&'a [f64]; 2],
    /// The mass of `alpha beta'`, as far as it counts.
    pub reference_mass: f64,
    /// What the dual has less on the potentials of the rows, and more on those of the columns, than
    /// the plan, in the units of the cost. It may be many times `reg`, and would cost the plan digits.
    pub translation: f64,
}

impl Relaxation<'_> {
    /// With rows and columns exchanged.
    pub fn reversed(self) -> Self {
        let ([rho_a, rho_b], [log_alpha, log_beta]) = (self.rho, self.log_reference);
        Relaxation {
            rho: [rho_b, rho_a],
            log_reference: [log_beta, log_alpha],
            translation: -self.translation,
            ..self
        }
    }
}

/// Rows, as an index.
pub const ROWS: usize = 0;

/// Columns, as an index.
pub const COLUMNS: usize = 1;

impl Problem<'_> {
    /// `q` of the rows or columns.
    pub fn slack(&self, side: usize) -> f64 {
        self.relaxation.map_or(0.0, |relaxation| self.reg / relaxation.rho[side])
    }

    /// `log alpha_i` or `log beta_i`, with the translation; 0 where marginals are fixed.
    pub fn log_reference(&self, side: usize, i: usize) -> f64 {
        self.relaxation.map_or(0.0, |relaxation| {
            let translation = relaxation.translation / self.reg;
            let reference = relaxation.log_reference[side][i];
            if side == ROWS { reference + translation } else { reference - translation }
        })
    }

    /// Moves that much, in units of `reg`, from the potentials of the rows to those of the columns, as
    /// far as the dual is concerned.
    pub fn translate(&mut self, tau: f64) {
        if let Some(relaxation) = &mut self.relaxation {
            relaxation.translation += self.reg * tau;
        }
    }

    /// The weight of a point.
    fn weight(&self, side: usize, i: usize) -> f64 {
        if side == ROWS { self.a[i] } else { self.b[i] }
    }

    /// The potential with which a row or column is exact, and what it then sums to, given that it
    /// sums to `sum` with `potential`.
    pub fn exact(&self, side: usize, i: usize, potential: f64, sum: f64) -> (f64, f64) {
        let weight = self.weight(side, i);
        if self.relaxation.is_none() {
            return (potential + (weight.ln() - sum.ln()), weight);
        }
        let (slack, log_sum) = (self.slack(side), sum.ln() - potential);
        let reference = self.log_reference(side, i);
        let exact = (weight.ln() - log_sum + slack * reference) / (1.0 + slack);
        (exact, if slack == 0.0 { weight } else { (exact + log_sum).exp() })
    }

    /// What a row or column should sum to, given its potential. One with weight that no edge leads
    /// to has the potential `-inf`, and is left without mass.
    pub fn target(&self, side: usize, i: usize, potential: f64) -> f64 {
        if self.relaxation.is_none() || self.slack(side) == 0.0 {
            return self.weight(side, i);
        }
        self.log_target(side, i, potential).exp()
    }

    /// Its logarithm, which cannot overflow.
    pub fn log_target(&self, side: usize, i: usize, potential: f64) -> f64 {
        let (weight, slack) = (self.weight(side, i), self.slack(side));
        if weight == 0.0 || potential == f64::NEG_INFINITY {
            return f64::NEG_INFINITY;
        }
        weight.ln() - slack * (potential - self.log_reference(side, i))
    }

    /// The logarithm of what all rows or columns should sum to, however large or small.
    fn log_targets(&self, side: usize, potentials: &[f64]) -> f64 {
        log_sum_exp(potentials.iter().enumerate().map(|(i, x)| self.log_target(side, i, *x)))
    }

    /// What had best be moved from the potentials of exact rows to those of the columns, and the
    /// logarithm of what that changes masses by.
    pub fn best_translation(&self, phi: &[f64], psi: &[f64]) -> (f64, f64) {
        let [rows, columns] = [ROWS, COLUMNS].map(|side| self.slack(side));
        let give = rows / (1.0 + rows) + columns;
        if give == 0.0 {
            return (0.0, 0.0);
        }
        let change = self.log_targets(COLUMNS, psi) - self.log_targets(ROWS, phi);
        if change.is_finite() { (change / give, change) } else { (0.0, 0.0) }
    }

    /// What a point's potential contributes to the dual value, in units of `reg`.
    pub fn dual_part(&self, side: usize, i: usize, potential: f64) -> f64 {
        let (weight, slack) = (self.weight(side, i), self.slack(side));
        if weight == 0.0 {
            return 0.0;
        }
        if self.relaxation.is_some() && potential == f64::NEG_INFINITY {
            return if slack == 0.0 { f64::INFINITY } else { weight / slack };
        }
        gain(slack, weight, potential - self.log_reference(side, i))
    }

    /// The dual value, when the plan sums to `total`.
    pub fn dual_value(&self, phi: &[f64], psi: &[f64], total: f64) -> f64 {
        let sum = |side: usize, potentials: &[f64]| -> f64 {
            potentials.iter().enumerate().map(|(i, x)| self.dual_part(side, i, *x)).sum()
        };
        let constant = self.relaxation.map_or_else(|| self.mass(), |r| r.reference_mass);
        self.reg * (sum(ROWS, phi) + sum(COLUMNS, psi) + constant - total)
    }

    /// The largest difference between costs that the plan can feel: beyond a few times the prices,
    /// mass is missed rather than moved.
    pub fn range_that_matters(&self, range: f64) -> f64 {
        const FELT: f64 = 4.0;
        match self.relaxation {
            Some(relaxation) => range.min(FELT * reduce::sum(&relaxation.rho)),
            None => range,
        }
    }
}

/// `log sum exp(x)`.
pub(crate) fn log_sum_exp(logs: impl Iterator<Item = f64>) -> f64 {
    let logs: Vec<f64> = logs.collect();
    let most = reduce::max(&logs);
    most + logs.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
}

/// What the dual value gains, in units of `reg`, when the potential of a row or column with that
/// target grows by `step`: `target (1 - exp(-q step)) / q`.
pub fn gain(slack: f64, target: f64, step: f64) -> f64 {
    if slack == 0.0 { target * step } else { -target * (-slack * step).exp_m1() / slack }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::MatrixView;
    use crate::problem::SIDES;

    /// At the exact potential the sum is the target, and the dual part is flat against the sum.
    #[test]
    fn exact_rows_sum_to_their_targets() {
        let cost = MatrixView::row_major(&[1.0], 1);
        let (a, b) = ([0.3], [2.0]);
        let log_reference = [[0.3f64.ln()], [2f64.ln()]];
        for rho in [1e-3, 0.5, 1e3, f64::INFINITY] {
            let relaxation = Relaxation {
                rho: [rho, 1.0],
                log_reference: [&log_reference[0], &log_reference[1]],
                reference_mass: 0.6,
                translation: 0.1,
            };
            let problem = Problem {
                cost: &cost,
                a: &a,
                b: &b,
                reg: 0.2,
                sides: SIDES,
                relaxation: Some(relaxation),
            };
            let (phi, sum) = problem.exact(ROWS, 0, 0.7, 1.9);
            let rounding = 4.0 * f64::EPSILON * (1.0 + problem.slack(ROWS));
            let target = problem.target(ROWS, 0, phi);
            assert!((sum - target).abs() <= rounding * target, "{rho}: {sum} {target}");
            let grown = 1.9 * (phi - 0.7f64).exp();
            assert!((sum - grown).abs() <= rounding * grown, "{rho}: {sum} {grown}");
            let step = 1e-6;
            let slope = (problem.dual_part(ROWS, 0, phi + step)
                - problem.dual_part(ROWS, 0, phi - step))
                / (2.0 * step);
            assert!((slope - target).abs() <= 1e-8 * target, "{rho}: {slope} {target}");
        }
    }
}

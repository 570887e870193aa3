//! How wrong the returned plan can be, where marginals may be missed at a price.
//!
//! With `r`, `c` the marginals of the plan `P`, and `s`, `t` the targets that its potentials set
//! ([`crate::relaxation`]):
//!
//! * **marginal error**: `(|r - s|_1 + |c - t|_1) / |P|_1`, 0 at the solution.
//! * **gap** `= rho_a KL(r | s) + rho_b KL(c | t)`, which is the objective of `P` less the dual value
//!   of its potentials: every plan is feasible, and the sums of `C P` and `P log P` cancel. So `P`
//!   itself, not a rounded one, is within it of the optimum. It is of second order in the marginal
//!   error. A marginal that is fixed is exact to rounding by then, and what it misses counts with its
//!   potentials.
//! * **bounds on the optimum without `Omega`**: the objective of `P` without it from above, the linear
//!   programming dual at `psi` and its c-transform from below.
//!
//! Cost: one pass of exponentials.

use sparrot_simd::reduce;

use crate::certificate::{Certificate, FirstPass, ROUNDING};
use crate::plan::Potentials;
use crate::problem::Problem;
use crate::relaxation::{COLUMNS, ROWS, Relaxation, gain, log_sum_exp};

/// From the first look at the plan.
pub(crate) fn certificate(
    problem: &Problem<'_>,
    relaxation: &Relaxation<'_>,
    potentials: &Potentials,
    first: &FirstPass,
) -> Certificate {
    let reg = problem.reg;
    let Potentials { phi, psi } = potentials;
    let total = reduce::sum(&first.row_sums);
    let rows = Side::new(problem, relaxation, ROWS, phi, &first.row_sums);
    let columns = Side::new(problem, relaxation, COLUMNS, psi, &first.column_sums);
    let missed = rows.missed + columns.missed;
    let gap = rows.gap + columns.gap;
    let dual_value = problem.dual_value(phi, psi, total);
    let prices = rows.price + columns.price;
    let smooth = rows.against + columns.against + reg * (relaxation.reference_mass - total);
    let size = rows.size + columns.size + reg * (total + relaxation.reference_mass);
    let rounding = ROUNDING * (size + reg * first.cost.abs());
    // A column that no edge leads to restricts nothing: its potential may be as large as you like.
    let unrestricted = |x: &f64| if *x == f64::NEG_INFINITY { f64::INFINITY } else { *x };
    let (bound, bound_size) =
        bound(problem, &first.transform, &psi.iter().map(unrestricted).collect::<Vec<_>>());
    Certificate {
        marginal_error: if missed == 0.0 { 0.0 } else { missed / total },
        gap: gap + rounding,
        total,
        dual_value,
        value: smooth + prices,
        value_linear: reg * first.cost,
        lower_bound: reg * (bound - ROUNDING * bound_size) - ROUNDING * size,
        upper_bound: reg * first.cost + prices + rounding,
    }
}

/// The dual value of the problem without `Omega` at the best translation of these potentials, and what
/// rounding is a share of, in units of `reg`.
fn bound(problem: &Problem<'_>, phi: &[f64], psi: &[f64]) -> (f64, f64) {
    let sides = [(problem.a, phi, problem.slack(ROWS)), (problem.b, psi, problem.slack(COLUMNS))];
    // `log sum w exp(-q x)`, and the dual value of the side after a move of all `x`.
    let log_targets = sides.map(|(weights, x, slack)| {
        let log = |(w, x): (&f64, &f64)| if *w > 0.0 { w.ln() - slack * x } else { -f64::INFINITY };
        log_sum_exp(weights.iter().zip(x).map(log))
    });
    let best = (log_targets[COLUMNS] - log_targets[ROWS]) / (sides[ROWS].2 + sides[COLUMNS].2);
    let tau = if best.is_finite() { best } else { 0.0 };
    let (mut value, mut size) = (0.0, 0.0);
    for ((weights, x, slack), moved) in sides.into_iter().zip([-tau, tau]) {
        for (w, x) in weights.iter().zip(x).filter(|(w, _)| **w > 0.0) {
            let part = gain(slack, *w, x + moved);
            value += part;
            // Rounding of the potential counts with the derivative of the part.
            let target = w * (-slack * (x + moved)).exp();
            size += part.abs();
            if target > 0.0 {
                size += target * (x.abs() + moved.abs());
            }
        }
    }
    (value, size)
}

/// What the rows or the columns contribute; all but `missed` in the units of the cost.
struct Side {
    /// `|r - s|_1`.
    missed: f64,
    gap: f64,
    /// `rho KL(r | weights)`.
    price: f64,
    /// The sums against the potentials.
    against: f64,
    /// What rounding is a share of.
    size: f64,
}

impl Side {
    fn new(
        problem: &Problem<'_>,
        relaxation: &Relaxation<'_>,
        side: usize,
        potentials: &[f64],
        sums: &[f64],
    ) -> Side {
        let rho = relaxation.rho[side];
        let weights = if side == ROWS { problem.a } else { problem.b };
        let mut all = Side { missed: 0.0, gap: 0.0, price: 0.0, against: 0.0, size: 0.0 };
        for (i, (sum, potential)) in sums.iter().zip(potentials).enumerate() {
            let target = problem.target(side, i, *potential);
            let missed = (sum - target).abs();
            all.missed += missed;
            if weights[i] == 0.0 {
                continue;
            }
            let reference = problem.log_reference(side, i);
            let dual = problem.reg * (potential - reference);
            if *sum > 0.0 {
                // Without the translation, which rows and columns have with opposite signs.
                let own = problem.reg * (potential - relaxation.log_reference[side][i]);
                all.against += own * sum;
                all.size += (dual.abs() + problem.reg * reference.abs()) * sum;
            }
            if rho.is_infinite() {
                all.gap += dual.abs() * missed;
            } else {
                all.gap += rho * divergence(*sum, problem.log_target(side, i, *potential));
                all.price += rho * divergence(*sum, weights[i].ln());
                all.size += rho * (sum + target + weights[i]);
            }
        }
        all
    }
}

/// `x log(x / y) - x + y`, given the logarithm of `y`, without cancellation where `x` is close to `y`.
fn divergence(x: f64, log_y: f64) -> f64 {
    let y = log_y.exp();
    if x == 0.0 {
        return y;
    }
    let change = (y - x) / x;
    if change.abs() >= 1e-3 {
        return x * (x.ln() - log_y) - x + y;
    }
    // `change - log(1 + change)` by its Taylor series, which ends where rounding does.
    let series =
        [1.0 / 6.0, -0.2, 0.25, -1.0 / 3.0, 0.5].iter().fold(0.0, |sum, c| sum * change + c);
    x * change * change * series
}

#[cfg(test)]
mod tests {
    use super::divergence;

    #[test]
    fn divergence_does_not_cancel() {
        for change in [1e-12f64, -1e-7, 9e-4, -9e-4, 1e-3, -2e-3] {
            let (x, y) = (3.0, 3.0 * (1.0 + change));
            let change = (y - x) / x;
            let term = |k: i32| x * (-change).powi(k) / f64::from(k);
            let exact: f64 = (2..12).rev().map(term).sum();
            let allowed = if f64::abs(change) < 1e-3 {
                // `log y` is exact to an ulp, and its derivative is `y - x`.
                1e-14 * exact + 4e-16 * x * f64::abs(change)
            } else {
                4e-15 * x
            };
            let found = divergence(x, y.ln());
            assert!((found - exact).abs() <= allowed, "{change}: {found} {exact}");
        }
        assert_eq!(divergence(0.0, 0.0), 1.0);
        assert_eq!(divergence(0.0, f64::NEG_INFINITY), 0.0);
        assert_eq!(divergence(2.0, f64::NEG_INFINITY), f64::INFINITY);
        assert!(divergence(5e-324, 0.0).is_finite());
        // Where y is too small for a number.
        assert!((divergence(1.0, -1000.0) - 999.0).abs() < 1e-10);
    }
}

//! How far a code is from optimal, from its residual `r = y - A x` and `h = A'r`, in double precision.
//!
//! For L1 the duality gap: `s r` with the largest `s <= 1` for which `s |h_j| <= lambda` is feasible
//! in the dual (`s h_j` for codes that must not be negative), and
//!
//! ```text
//! gap = |r|^2 / 2 + lambda |x|_1 - (s y'r - s^2 |r|^2 / 2)
//! ```
//!
//! **Rounding.** The residual at hand, whatever it is, scaled until it is feasible, is a point of the dual;
//! that of the code is near it. What sums of so many products can be rounded by is known, and added:
//! the gap that is told is never below that of exact arithmetic, and so is a few hundred roundings
//! at least. (Of a dictionary that is only known by functions, their own rounding is not in it.)
//!
//! For the others the residual of the fixed point, `|x - prox(x + t h)| / (sqrt(t) |y|)` (steps far too
//! short: [`Weighted::unit`]). Coordinate descent has a step for each atom, `t_j = 1 / |a_j|^2`: a common
//! one, which the largest atom decides, would be too short for small atoms to tell what they have to gain.
//!
//! The gap is told as a share of the objective at 0, `|y|^2 / 2`; both are then without a scale.

use sparrot_foundation::Scalar;
use sparrot_simd::reduce;

use crate::penalty::Weighted;

/// The largest rounding of a sum of so many products, in any order, as a share of the sum of their sizes;
/// with a little for what is done to it next.
fn rounding_of(products: usize) -> f64 {
    0.51 * f64::EPSILON * (products + 8) as f64
}

/// What is told of a code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certificate {
    /// The relative gap, or the stationarity; infinite where it cannot be told.
    pub value: f64,
    /// The objective.
    pub objective: f64,
}

/// A code and what belongs to it.
pub struct Point<'a, T> {
    /// Where the code is not 0,
    pub places: &'a [u32],
    /// and what it is there.
    pub values: &'a [T],
    /// The signal.
    pub y: &'a [T],
    /// r.
    pub residual: &'a [f64],
    /// h.
    pub correlations: &'a [f64],
}

impl<T: Scalar> Point<'_, T> {
    /// For a step t.
    pub fn certificate(&self, penalty: &Weighted<'_>, t: f64) -> Certificate {
        self.judged(penalty, |y| self.move_of_a_step(penalty, t) / (penalty.unit(t) * y))
    }

    /// For the step of each atom.
    pub fn certificate_by_atoms(&self, penalty: &Weighted<'_>) -> Certificate {
        self.judged(penalty, |y| self.moves_of_atoms(penalty) / y)
    }

    /// The gap, or the stationarity that is told for the norm of the signal.
    fn judged(&self, penalty: &Weighted<'_>, stationarity: impl FnOnce(f64) -> f64) -> Certificate {
        let yy: f64 = self.y.iter().map(|y| y.to_f64().powi(2)).sum();
        let rr = reduce::dot(self.residual, self.residual);
        let atoms = self.places.iter().zip(self.values);
        let paid: f64 = atoms.map(|(j, v)| penalty.value(*j as usize, v.to_f64())).sum();
        let objective = 0.5 * rr + paid;
        let value = if !self.correlations.iter().all(|h| h.is_finite()) {
            f64::INFINITY // comparisons would pass over a NaN
        } else if yy == 0.0 && objective == 0.0 {
            0.0
        } else if penalty.is_convex() {
            self.gap(penalty, [yy, rr], paid) / (0.5 * yy)
        } else {
            stationarity(yy.sqrt())
        };
        Certificate { value: if value.is_nan() { f64::INFINITY } else { value }, objective }
    }

    /// Of a least-squares code of the atoms in use: the largest correlation of one of them with the
    /// residual, over the norms of atom and signal; the objective is half the squares of the residual.
    pub fn orthogonality(&self, squares: &[f64]) -> Certificate {
        let yy: f64 = self.y.iter().map(|y| y.to_f64().powi(2)).sum();
        let of = |j: &u32| {
            let j = *j as usize;
            self.correlations[j].abs() / (squares[j] * yy).sqrt()
        };
        // `max` would pass over NaN.
        let larger = |a: f64, b: f64| if b.is_nan() { f64::INFINITY } else { a.max(b) };
        let value = self.places.iter().map(of).fold(0.0, larger);
        Certificate { value, objective: 0.5 * reduce::dot(self.residual, self.residual) }
    }

    /// From above: see the module.
    fn gap(&self, penalty: &Weighted<'_>, [yy, rr]: [f64; 2], paid: f64) -> f64 {
        let (along_features, along_atoms) =
            (rounding_of(self.y.len()), rounding_of(self.places.len()));
        let (y_norm, r_norm) = (yy.sqrt(), rr.sqrt());
        let norm = |j: usize| penalty.squares[j].sqrt();
        let size = |h: f64| if penalty.positive { h } else { h.abs() };
        let at_most = |(j, h): (usize, &f64)| size(*h) + along_features * norm(j) * r_norm;
        let most = self.correlations.iter().enumerate().map(at_most).fold(0.0, f64::max);
        let s = if most > penalty.lambda { penalty.lambda / most } else { 1.0 };
        if self.places.is_empty() && s == 1.0 {
            return 0.0; // r is y, without rounding, and both objectives are |y|^2 / 2
        }
        let atoms = self.places.iter().zip(self.values);
        let images: f64 = atoms.map(|(j, v)| v.to_f64().abs() * norm(*j as usize)).sum();
        let away = along_atoms * (y_norm + images);
        let squares = 0.5 * (r_norm + away).powi(2);
        let yr: f64 = self.y.iter().zip(self.residual).map(|(y, r)| y.to_f64() * r).sum();
        let gap = squares + paid - s * (yr - 0.5 * s * rr);
        let sizes = squares + s * (y_norm * r_norm + 0.5 * s * rr);
        let rounding = along_features * (sizes + gap.abs()) + along_atoms * paid;
        gap + rounding
    }

    fn move_of_a_step(&self, penalty: &Weighted<'_>, t: f64) -> f64 {
        let mut to: Vec<f64> = self.correlations.iter().map(|h| t * h).collect();
        for (j, v) in self.places.iter().zip(self.values) {
            to[*j as usize] += v.to_f64();
        }
        penalty.prox_row(&mut to, t);
        for (j, v) in self.places.iter().zip(self.values) {
            to[*j as usize] -= v.to_f64();
        }
        reduce::dot(&to, &to).sqrt()
    }

    /// Of one atom at a time, in the norms of the atoms.
    fn moves_of_atoms(&self, penalty: &Weighted<'_>) -> f64 {
        let mut code = vec![0.0; self.correlations.len()];
        for (j, v) in self.places.iter().zip(self.values) {
            code[*j as usize] = v.to_f64();
        }
        let mut sum = 0.0f64;
        for (j, (x, h)) in code.iter().zip(self.correlations).enumerate() {
            let g = penalty.squares[j];
            if g > 0.0 {
                let d = penalty.prox(j, x + h / g, 1.0 / g) - x;
                sum += g * d * d;
            }
        }
        sum.sqrt()
    }
}

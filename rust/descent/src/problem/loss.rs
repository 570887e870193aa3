//! Losses of a linear model: `f(x) = sum_j loss_j(z_j)`, z = A x, with one or more classes.
//!
//! | loss | `loss_j(z)` | bound of the second derivative |
//! |---|---|---|
//! | least squares | `(z - b_j)^2 / 2` | 1 |
//! | logistic, b_j = -1 or 1 | `log(1 + e^(-b_j z))` | 1/4 |
//! | multinomial, class y_j | `log sum_c e^(z_c) - z_(y_j)` | `(I - 11'/k) / 2` (Bohning) |
//!
//! Arrays over rows and classes are row-major. Changes of a loss are computed as such, not as
//! differences of values: near the optimum they are far below the rounding of the values.

use sparrot_foundation::Error;

/// A convex loss of each row.
pub trait Loss: Sync {
    /// The number of classes k: how many values z_j has.
    fn classes(&self) -> usize {
        1
    }

    /// An upper bound of the second derivative. With several classes, of the Hessian's relative to
    /// `I - 11'/k`.
    fn bound(&self) -> f64;

    /// The sum over these rows.
    ///
    /// # Errors
    /// What a loss of the user's raises.
    fn value(&self, rows: &[u32], z: &[f64]) -> Result<f64, Error>;

    /// The derivatives of these rows, into `r`.
    ///
    /// # Errors
    /// What a loss of the user's raises.
    fn derivatives(&self, rows: &[u32], z: &[f64], r: &mut [f64]) -> Result<(), Error>;

    /// By how much the sum over these rows changes when z_j moves by `u`, which has the rows' steps
    /// side by side. `r` are the derivatives at z.
    ///
    /// # Errors
    /// What a loss of the user's raises.
    fn change(&self, rows: &[u32], z: &[f64], r: &[f64], u: &[f64]) -> Result<f64, Error>;

    /// With one class, the second derivatives of all rows. With several, probabilities p such that
    /// the Hessian of a row is `diag(p) - pp'`.
    ///
    /// # Errors
    /// What a loss of the user's raises.
    fn curvatures(&self, z: &[f64], r: &[f64], out: &mut [f64]) -> Result<(), Error>;

    /// Whether the second derivative is 1 everywhere.
    fn is_square(&self) -> bool {
        false
    }

    /// The sum over all rows of the conjugates at `scale * r_j`, for a scale from 0 to 1 and
    /// derivatives r. `None` if it is not known.
    fn conjugate(&self, _scale: f64, _r: &[f64]) -> Option<f64> {
        None
    }
}

/// `(z - b)^2 / 2`.
#[derive(Clone, Copy, Debug)]
pub struct LeastSquares<'a>(pub &'a [f64]);

impl Loss for LeastSquares<'_> {
    fn bound(&self) -> f64 {
        1.0
    }

    fn is_square(&self) -> bool {
        true
    }

    fn value(&self, rows: &[u32], z: &[f64]) -> Result<f64, Error> {
        let square = |j: &u32| (z[*j as usize] - self.0[*j as usize]).powi(2);
        Ok(0.5 * rows.iter().map(square).sum::<f64>())
    }

    fn derivatives(&self, rows: &[u32], z: &[f64], r: &mut [f64]) -> Result<(), Error> {
        for j in rows.iter().map(|j| *j as usize) {
            r[j] = z[j] - self.0[j];
        }
        Ok(())
    }

    fn change(&self, rows: &[u32], _z: &[f64], r: &[f64], u: &[f64]) -> Result<f64, Error> {
        Ok(rows.iter().zip(u).map(|(j, u)| u * (r[*j as usize] + 0.5 * u)).sum())
    }

    fn curvatures(&self, _z: &[f64], _r: &[f64], out: &mut [f64]) -> Result<(), Error> {
        out.fill(1.0);
        Ok(())
    }

    fn conjugate(&self, scale: f64, r: &[f64]) -> Option<f64> {
        let one = |(r, b): (&f64, &f64)| (scale * r) * (0.5 * scale * r + b);
        Some(r.iter().zip(self.0).map(one).sum())
    }
}

/// `log(1 + e^(-b z))`, b = -1 or 1.
#[derive(Clone, Copy, Debug)]
pub struct Logistic<'a>(pub &'a [f64]);

/// `log(1 + e^t)`.
fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// Beyond this a change is computed as a difference: 1 + s (e^u - 1) may cancel there, and the values
/// no longer do.
const LARGE_STEP: f64 = 1.0;

impl Loss for Logistic<'_> {
    fn bound(&self) -> f64 {
        0.25
    }

    fn value(&self, rows: &[u32], z: &[f64]) -> Result<f64, Error> {
        Ok(rows.iter().map(|j| softplus(-self.0[*j as usize] * z[*j as usize])).sum())
    }

    fn derivatives(&self, rows: &[u32], z: &[f64], r: &mut [f64]) -> Result<(), Error> {
        for j in rows.iter().map(|j| *j as usize) {
            let b = self.0[j];
            r[j] = -b / (1.0 + (b * z[j]).exp());
        }
        Ok(())
    }

    fn change(&self, rows: &[u32], z: &[f64], r: &[f64], u: &[f64]) -> Result<f64, Error> {
        let one = |(j, u): (&u32, &f64)| {
            let (b, z, r) = (self.0[*j as usize], z[*j as usize], r[*j as usize]);
            if u.abs() > LARGE_STEP {
                softplus(-b * (z + u)) - softplus(-b * z)
            } else {
                // (1 + e^(t - bu)) / (1 + e^t) = 1 + s (e^(-bu) - 1), s = |r|
                (r.abs() * (-b * u).exp_m1()).ln_1p()
            }
        };
        Ok(rows.iter().zip(u).map(one).sum())
    }

    fn curvatures(&self, _z: &[f64], r: &[f64], out: &mut [f64]) -> Result<(), Error> {
        out.iter_mut().zip(r).for_each(|(o, r)| *o = r.abs() * (1.0 - r.abs()));
        Ok(())
    }

    fn conjugate(&self, scale: f64, r: &[f64]) -> Option<f64> {
        let one = |r: &f64| {
            let t = (scale * r).abs();
            entropy(t) + entropy(1.0 - t)
        };
        Some(r.iter().map(one).sum())
    }
}

/// `t log t`.
fn entropy(t: f64) -> f64 {
    if t > 0.0 { t * t.ln() } else { 0.0 }
}

/// `log sum_c e^(z_c) - z_y`, for the class y of each row.
#[derive(Clone, Copy, Debug)]
pub struct Multinomial<'a> {
    /// The class of each row.
    pub labels: &'a [u32],
    /// The number of classes.
    pub classes: usize,
}

impl Multinomial<'_> {
    fn row<'b>(&self, j: usize, of: &'b [f64]) -> &'b [f64] {
        &of[j * self.classes..(j + 1) * self.classes]
    }

    fn is_label(&self, j: usize, c: usize) -> f64 {
        f64::from(u8::from(self.labels[j] as usize == c))
    }
}

fn logsumexp(z: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = z.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + z.map(|z| (z - largest).exp()).sum::<f64>().ln()
}

impl Loss for Multinomial<'_> {
    fn classes(&self) -> usize {
        self.classes
    }

    fn bound(&self) -> f64 {
        0.5
    }

    fn value(&self, rows: &[u32], z: &[f64]) -> Result<f64, Error> {
        let one = |j: usize| {
            let z = self.row(j, z);
            logsumexp(z.iter().copied()) - z[self.labels[j] as usize]
        };
        Ok(rows.iter().map(|j| one(*j as usize)).sum())
    }

    fn derivatives(&self, rows: &[u32], z: &[f64], r: &mut [f64]) -> Result<(), Error> {
        for j in rows.iter().map(|j| *j as usize) {
            let z = self.row(j, z);
            let r = &mut r[j * self.classes..(j + 1) * self.classes];
            let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut sum = 0.0;
            for (r, z) in r.iter_mut().zip(z) {
                *r = (z - largest).exp();
                sum += *r;
            }
            r.iter_mut().for_each(|r| *r /= sum);
            // 1 - p of the class itself, without cancelling.
            let label = self.labels[j] as usize;
            let others: f64 =
                r.iter().enumerate().filter(|(c, _)| *c != label).map(|(_, p)| p).sum();
            r[label] = -others;
        }
        Ok(())
    }

    fn change(&self, rows: &[u32], z: &[f64], r: &[f64], u: &[f64]) -> Result<f64, Error> {
        let mut total = 0.0;
        for (j, u) in rows.iter().map(|j| *j as usize).zip(u.chunks(self.classes)) {
            let (z, r) = (self.row(j, z), self.row(j, r));
            let label = self.labels[j] as usize;
            total += if u.iter().any(|u| u.abs() > LARGE_STEP) {
                let moved = z.iter().zip(u).map(|(z, u)| z + u);
                logsumexp(moved) - logsumexp(z.iter().copied()) - u[label]
            } else {
                let p = |(c, r): (usize, &f64)| r + self.is_label(j, c);
                let rise = r.iter().enumerate().zip(u).map(|(r, u)| p(r) * u.exp_m1());
                rise.sum::<f64>().ln_1p() - u[label]
            };
        }
        Ok(total)
    }

    fn curvatures(&self, _z: &[f64], r: &[f64], out: &mut [f64]) -> Result<(), Error> {
        for (j, (out, r)) in out.chunks_mut(self.classes).zip(r.chunks(self.classes)).enumerate() {
            for (c, (out, r)) in out.iter_mut().zip(r).enumerate() {
                *out = r + self.is_label(j, c);
            }
        }
        Ok(())
    }

    fn conjugate(&self, scale: f64, r: &[f64]) -> Option<f64> {
        let mut sum = 0.0;
        for (j, r) in r.chunks(self.classes).enumerate() {
            for (c, r) in r.iter().enumerate() {
                sum += entropy(scale * r + self.is_label(j, c));
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(loss: &dyn Loss, z: &[f64], u: &[f64]) -> Result<(), TestCaseError> {
        let k = loss.classes();
        let rows: Vec<u32> = (0..(z.len() / k) as u32).collect();
        let mut r = vec![0.0; z.len()];
        loss.derivatives(&rows, z, &mut r).unwrap();
        let moved: Vec<f64> = z.iter().zip(u).map(|(z, u)| z + u).collect();
        let expected = loss.value(&rows, &moved).unwrap() - loss.value(&rows, z).unwrap();
        let change = loss.change(&rows, z, &r, u).unwrap();
        prop_assert!((change - expected).abs() < 1e-11 * (1.0 + expected.abs()));
        // Derivatives and curvatures by central differences.
        let h = 1e-4;
        let mut at = z.to_vec();
        let mut weights = vec![0.0; z.len()];
        loss.curvatures(z, &r, &mut weights).unwrap();
        for i in 0..z.len() {
            at[i] = z[i] + h;
            let up = loss.value(&rows, &at).unwrap();
            let mut r_up = r.clone();
            loss.derivatives(&rows, &at, &mut r_up).unwrap();
            at[i] = z[i] - h;
            let down = loss.value(&rows, &at).unwrap();
            let mut r_down = r.clone();
            loss.derivatives(&rows, &at, &mut r_down).unwrap();
            at[i] = z[i];
            prop_assert!(((up - down) / (2.0 * h) - r[i]).abs() < 1e-6);
            let second = if k == 1 { weights[i] } else { weights[i] * (1.0 - weights[i]) };
            prop_assert!(((r_up[i] - r_down[i]) / (2.0 * h) - second).abs() < 1e-6);
            prop_assert!(second <= loss.bound() * (1.0 + 1e-12));
        }
        // Fenchel and Young: equality at the derivative, inequality elsewhere.
        let product =
            |scale: f64, z: &[f64]| -> f64 { r.iter().zip(z).map(|(r, z)| scale * r * z).sum() };
        let conjugate = loss.conjugate(1.0, &r).unwrap();
        let value = loss.value(&rows, z).unwrap();
        prop_assert!((value + conjugate - product(1.0, z)).abs() < 1e-9 * (1.0 + value));
        let shrunk = loss.conjugate(0.3, &r).unwrap();
        prop_assert!(loss.value(&rows, &moved).unwrap() + shrunk >= product(0.3, &moved) - 1e-9);
        Ok(())
    }

    proptest! {
        #[test]
        fn values_derivatives_and_conjugates_agree(
            z in prop::collection::vec(-6.0..6.0f64, 12),
            u in prop::collection::vec(-3.0..3.0f64, 12),
            scale in prop_oneof![Just(1.0), Just(1e-3), Just(20.0)],
        ) {
            let u: Vec<f64> = u.iter().map(|u| u * scale).collect();
            let targets: Vec<f64> = z.iter().map(|z| (3.0 * z).sin()).collect();
            check(&LeastSquares(&targets), &z, &u)?;
            let signs: Vec<f64> = targets.iter().map(|t| t.signum()).collect();
            check(&Logistic(&signs), &z, &u)?;
            check(&Multinomial { labels: &[2, 0, 1, 1], classes: 3 }, &z, &u)?;
        }
    }
}

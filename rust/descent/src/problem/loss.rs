//! Losses of a linear model: `f(x) = sum_j loss_j(z_j)`, z = A x, with one or more classes.
//!
//! | loss | `loss_j(z)` | bound of the second derivative |
//! |---|---|---|
//! | [`Rows`] | those of [`sparrot_design::loss`] | theirs |
//! | multinomial, class y_j | `log sum_c e^(z_c) - z_(y_j)` | `(I - 11'/k) / 2` (Bohning) |
//!
//! Arrays over rows and classes are row-major.

use sparrot_design::loss::{LARGE_STEP, RowLoss, entropy};
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

/// A loss of one class with the target of each row.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, L>(pub L, pub &'a [f64]);

impl<L: RowLoss> Loss for Rows<'_, L> {
    fn bound(&self) -> f64 {
        self.0.bound()
    }

    fn is_square(&self) -> bool {
        self.0.is_square()
    }

    fn value(&self, rows: &[u32], z: &[f64]) -> Result<f64, Error> {
        let one = |j: &u32| self.0.value(self.1[*j as usize], z[*j as usize]);
        Ok(rows.iter().map(one).sum())
    }

    fn derivatives(&self, rows: &[u32], z: &[f64], r: &mut [f64]) -> Result<(), Error> {
        for j in rows.iter().map(|j| *j as usize) {
            r[j] = self.0.derivative(self.1[j], z[j]);
        }
        Ok(())
    }

    fn change(&self, rows: &[u32], z: &[f64], r: &[f64], u: &[f64]) -> Result<f64, Error> {
        let one = |(j, u): (usize, &f64)| self.0.change(self.1[j], z[j], r[j], *u);
        Ok(rows.iter().map(|j| *j as usize).zip(u).map(one).sum())
    }

    fn curvatures(&self, z: &[f64], r: &[f64], out: &mut [f64]) -> Result<(), Error> {
        for (j, out) in out.iter_mut().enumerate() {
            *out = self.0.curvature(self.1[j], z[j], r[j]);
        }
        Ok(())
    }

    fn conjugate(&self, scale: f64, r: &[f64]) -> Option<f64> {
        let one = |(r, b): (&f64, &f64)| self.0.conjugate(*b, scale * r);
        Some(r.iter().zip(self.1).map(one).sum())
    }
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
    use sparrot_design::loss::{LeastSquares, Logistic};

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
            check(&Rows(LeastSquares, &targets), &z, &u)?;
            let signs: Vec<f64> = targets.iter().map(|t| t.signum()).collect();
            check(&Rows(Logistic, &signs), &z, &u)?;
            check(&Multinomial { labels: &[2, 0, 1, 1], classes: 3 }, &z, &u)?;
        }
    }
}

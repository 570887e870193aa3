//! Conjugate gradients with a preconditioner, in steps that can be continued with another one.

use sparrot_foundation::{Error, Stop};
use sparrot_simd::{linear, reduce};

/// An approximate solution of `M x = rhs`.
#[derive(Clone, Debug)]
pub struct Iterate {
    /// The solution so far.
    pub x: Vec<f64>,
    /// `rhs - M x`.
    pub residual: Vec<f64>,
}

impl Iterate {
    /// Starts from 0.
    pub fn new(rhs: &[f64]) -> Iterate {
        Iterate { x: vec![0.0; rhs.len()], residual: rhs.to_vec() }
    }

    /// Iterates until the L1 norm of the residual is at most `target`, or `max_iter` times; the
    /// number of iterations. `apply(x, out)` multiplies by `M`, `precondition(r, out)` by an
    /// approximation of its inverse; both are symmetric and positive semi-definite.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what `apply` returns.
    pub fn advance(
        &mut self,
        mut apply: impl FnMut(&[f64], &mut [f64]) -> Result<(), Error>,
        mut precondition: impl FnMut(&[f64], &mut [f64]),
        target: f64,
        max_iter: usize,
        stop: &Stop<'_>,
    ) -> Result<usize, Error> {
        let Iterate { x, residual } = self;
        if reduce::l1_norm(residual) <= target {
            return Ok(0);
        }
        let mut scaled = vec![0.0; x.len()];
        let mut image = vec![0.0; x.len()];
        precondition(residual, &mut scaled);
        let mut direction = scaled.clone();
        let mut rho = reduce::dot(residual, &scaled);
        for iteration in 0..max_iter {
            if stop.is_late() {
                return Ok(iteration);
            }
            apply(&direction, &mut image)?;
            let curvature = reduce::dot(&direction, &image);
            // Not positive: rounding has eaten what curvature there was. Also catches NaN.
            if curvature.is_nan() || curvature <= 0.0 {
                return Ok(iteration);
            }
            let step = rho / curvature;
            linear::axpy(step, &direction, x);
            linear::axpy(-step, &image, residual);
            if reduce::l1_norm(residual) <= target {
                return Ok(iteration + 1);
            }
            precondition(residual, &mut scaled);
            let next = reduce::dot(residual, &scaled);
            let beta = next / rho;
            rho = next;
            for (d, s) in direction.iter_mut().zip(&scaled) {
                *d = s + beta * *d;
            }
        }
        Ok(max_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparrot_foundation::stop::Unobserved;

    #[test]
    fn solves_and_goes_on_where_it_stopped() {
        // tridiag(-1, 3, -1)
        let apply = |x: &[f64], out: &mut [f64]| {
            for i in 0..x.len() {
                let left = if i > 0 { x[i - 1] } else { 0.0 };
                let right = if i + 1 < x.len() { x[i + 1] } else { 0.0 };
                out[i] = 3.0 * x[i] - left - right;
            }
            Ok(())
        };
        let copy = |r: &[f64], out: &mut [f64]| out.copy_from_slice(r);
        let scale =
            |r: &[f64], out: &mut [f64]| out.iter_mut().zip(r).for_each(|(o, r)| *o = r / 3.0);
        let stop = Stop::new(&Unobserved, None);
        let rhs: Vec<f64> = (0..50).map(|i| f64::from(i % 7) - 2.0).collect();
        let mut iterate = Iterate::new(&rhs);
        assert_eq!(iterate.advance(apply, copy, 0.0, 3, &stop), Ok(3));
        assert!(iterate.advance(apply, scale, 1e-12, 100, &stop).unwrap() < 40);
        let mut image = vec![0.0; 50];
        apply(&iterate.x, &mut image).unwrap();
        assert!(image.iter().zip(&rhs).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}

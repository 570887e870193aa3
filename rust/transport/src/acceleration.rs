//! Sweeps that learn from those before them.
//!
//! A sweep maps `x = log v` to `x + r(x)`, where `r = log(b / column sums)` is how far the columns
//! are from their weights. Near the solution `r` is affine, and its Jacobian
//! `diag(1/b) P' diag(1/a) P - I` is symmetric in the inner product `<y, z> = sum_j b_j y_j z_j`.
//! (Where marginals are not fixed, their targets take the place of `a` and `b`, `r` and the first
//! term of the Jacobian are smaller by factors, and the best mass adds a term of rank one, as
//! symmetric.)
//! So of the last few changes `d_k` of `x + r`, with `q_k` the change of `r` (made orthonormal in
//! that inner product), the best combination is subtracted:
//!
//! ```text
//! x <- x + r - sum_k <r, q_k> d_k
//! ```
//!
//! **Source.** Anderson, *Iterative procedures for nonlinear integral equations*, JACM 1965, in the
//! form of Walker and Ni 2011. **What we changed and why.** The inner product is the one that makes
//! the problem symmetric, and the `q_k` are kept orthonormal one by one, not factorised afresh: for
//! a symmetric Jacobian dropping the oldest then loses next to nothing (as in truncated conjugate
//! residuals), so that a few suffice. With contraction `c` of the plain sweeps the error falls by
//! `(1 - sqrt(1 - c)) / (1 + sqrt(1 - c))` per sweep: 0.5 becomes 0.17, 0.99 becomes 0.82.
//!
//! Plain sweeps never move away from the solution (in Hilbert's metric, for fixed marginals), these
//! may: where the error is larger afterwards, or scalings are out of bounds, the sweep is done again as
//! a plain one (both count as one iteration), and what was learned is forgotten. With fixed marginals
//! the error thus never grows, as that of plain sweeps.
//!
//! **Cost.** Some ten passes over vectors of length m for each sweep over an n x m plan.

use sparrot_foundation::Error;
use sparrot_simd::{exp, linear};

use crate::kernel::Kernel;
use crate::run::Run;
use crate::scalings::Scalings;

/// Changes that are remembered. More than five saved next to nothing.
const DEPTH: usize = 5;

/// A change of `r` that is this nearly a combination of the others tells nothing new.
const NOTHING_NEW: f64 = 1e-10;

/// What rounding does to an error.
const NOISE: f64 = 1e-15;

/// What has been learned on the plan that is stored.
#[derive(Default)]
pub struct Acceleration {
    /// `(q, d)`, the oldest first.
    changes: Vec<(Vec<f64>, Vec<f64>)>,
    /// `x` and `r` before the last sweep.
    last: Option<(Vec<f64>, Vec<f64>)>,
    /// `x` now, if nobody else has changed `v`.
    x: Option<Vec<f64>>,
}

impl Acceleration {
    /// Forgets everything: the scalings are about to be changed by somebody else.
    pub fn forget(&mut self) {
        *self = Acceleration::default();
    }

    /// Makes the columns nearly exact, then the rows exact; `error` is that of the columns now, as a
    /// share of the mass, and the result that afterwards.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn sweep<K: Kernel>(
        &mut self,
        run: &Run<'_>,
        gibbs: &mut K,
        scalings: &mut Scalings,
        error: f64,
    ) -> Result<f64, Error> {
        let log = |v: &f64| if *v > 0.0 { v.ln() } else { 0.0 };
        let x = self.x.take().unwrap_or_else(|| scalings.v.iter().map(log).collect());
        let b = &scalings.column_targets();
        let r: Vec<f64> = (0..b.len()).map(|j| scalings.column_step(j)).collect();
        if let Some((old_x, old_r)) = self.last.take() {
            self.learn(&x, &r, &old_x, &old_r, b);
        }
        let mut step = r.clone();
        for (q, d) in &self.changes {
            linear::axpy(-dot(&r, q, b), d, &mut step);
        }
        let after = |step: &[f64], scalings: &mut Scalings, gibbs: &mut K| {
            scalings.v.copy_from_slice(&x);
            linear::add_to(step, &mut scalings.v);
            exp::exp_f64(&mut scalings.v);
            let weightless = scalings.v.iter_mut().zip(run.problem.b).filter(|(_, b)| **b == 0.0);
            weightless.for_each(|(v, _)| *v = 0.0);
            scalings.sweep(run, gibbs).map(|()| scalings.error())
        };
        let mut new_error = after(&step, scalings, gibbs)?;
        let is_better = new_error < error + NOISE && scalings.are_moderate();
        if is_better || self.changes.is_empty() {
            linear::add_to(&x, &mut step);
            self.x = Some(step);
            self.last = Some((x, r));
        } else {
            self.forget();
            new_error = after(&r, scalings, gibbs)?;
        }
        Ok(new_error)
    }

    fn learn(&mut self, x: &[f64], r: &[f64], old_x: &[f64], old_r: &[f64], b: &[f64]) {
        let mut q: Vec<f64> = r.iter().zip(old_r).map(|(r, old)| r - old).collect();
        let mut d: Vec<f64> =
            (x.iter().zip(old_x).zip(&q)).map(|((x, old), q)| x - old + q).collect();
        let size = dot(&q, &q, b).sqrt();
        for (other_q, other_d) in &self.changes {
            let share = dot(&q, other_q, b);
            linear::axpy(-share, other_q, &mut q);
            linear::axpy(-share, other_d, &mut d);
        }
        let left = dot(&q, &q, b).sqrt();
        if left > NOTHING_NEW * size {
            q.iter_mut().chain(&mut d).for_each(|x| *x /= left);
            if self.changes.len() == DEPTH {
                self.changes.remove(0);
            }
            self.changes.push((q, d));
        }
    }
}

/// `sum_j b_j y_j z_j`.
fn dot(y: &[f64], z: &[f64], b: &[f64]) -> f64 {
    y.iter().zip(z).zip(b).map(|((y, z), b)| b * y * z).sum()
}

//! How far coefficients are from the exact ones, at most.
//!
//! Let M have the rows `sqrt(w_i) [a_i - mu, 1]` and `sqrt(ridge) [I, 0]`, of full column rank, and
//! g be the gradient at y = (x, c'), `g = M'(sqrt(W) b - M y)` in the shifted unknowns. The exact
//! solution is y* with `M'M (y* - y) = g`. For *any* nonsingular X
//!
//! ```text
//! y* - y = X C^-1 X'g,   C = (M X)'(M X)     so     |y*_j - y_j| <= |e_j X| |X'g| / lambda_min(C)
//! ```
//!
//! X is a matrix of doubles, taken as it is: where it came from, a sketch or a Gram matrix, does not
//! matter. If lambda_min(C) > 0 then X is nonsingular and M has full rank. It remains to bound three
//! things, with u = 2^-53 and `gamma_k = k u / (1 - k u)`:
//!
//! **C.** By way of B = fl(M X): with n_j the norm of column j of M, Cauchy's inequality over the columns
//! gives `| |M||X| |_F <= N = sqrt(p sum_j n_j^2 |e_j X|^2)`, so that `|B - M X|_F <= eta = gamma_(l+4) N`,
//! l roundings in a product, 4 for the shift and the weights. So the smallest singular value of M X is
//! at least that of B less eta. What is computed is fl(B'B), wrong by at most `delta = gamma_s |B|_F^2`,
//! s terms in a sum. By way of products to twice the precision there is neither ([`crate::normal`]).
//!
//! **lambda_min.** If the Cholesky factorisation of `C - t I` runs to its end in floating point, the
//! smallest eigenvalue of C is at least `t - gamma_(r+4) trace(C)` (Rump, "Verification of positive
//! definiteness", BIT 2006). So lambda_min of the exact C is at least
//! `(sqrt(t - gamma_(r+4) trace(C) - delta) - eta)^2`.
//!
//! **g.** It comes from [`crate::gradient`] with error bounds. A residual wrong by dr changes `X'g` by
//! `(M X)' sqrt(W) dr`, at most `sqrt(lambda_max) |sqrt(W) dr|`.
//!
//! **A step.** With the C~ that the computed factor belongs to, within gamma_(3r+2) trace(C) of the computed
//! C (Higham, "Accuracy and stability of numerical algorithms", theorem 10.3), and h the computed X'g, the
//! step is `s = X C~^-1 h`, and
//!
//! ```text
//! y* - (y + s) = X C^-1 (X'g - h) + X C^-1 (C~ - C) C~^-1 h :
//! ```
//!
//! where C is known well a gradient proves what the step after it reaches, without another pass.
//!
//! What is returned is the high part of x, so its low part is added. Underflow is excluded by the
//! norms that [`crate::precondition`] admits, up to `TINY` and, in the norms of residuals and
//! right-hand sides, `VANISHED`.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, Side};

use crate::gradient::{Gradient, Twofold, U, gradient_error, residual_error};
use crate::model::Shifted;
use crate::products::{Products, product_roundings};

/// More than any sum of squares or products loses in plain arithmetic, for less than 2^31 terms.
pub const SLACK: f64 = 1.0 + 1e-6;
/// More than underflow can add up to, times any norm that is admitted.
pub const TINY: f64 = 1e-290;
/// More than the norm of what can be missing in a sum of squares that underflow, of 2^31 terms.
pub const VANISHED: f64 = 1e-156;

/// `k u / (1 - k u)`.
pub fn gamma(k: usize) -> f64 {
    let ku = k as f64 * U;
    ku / (1.0 - ku)
}

/// X, its C, and what is proven of it.
pub struct Certificate {
    x: Mat<f64>,
    factor: Llt<f64>,
    /// How far the exact C may be from what the factor belongs to, in norm.
    loose: f64,
    /// A lower bound of the smallest eigenvalue of the exact C; not positive if none could be proven.
    pub least: f64,
    most: f64,
    norms: Vec<f64>,
    /// Of columns, in the measure of the tolerance.
    pub scales: Vec<f64>,
    total: f64,
}

/// For one right-hand side.
#[derive(Clone)]
pub struct Step {
    /// A bound of the error of each unknown, shifted intercept aside: the intercept itself is last.
    pub bounds: Vec<f64>,
    /// What to add to x and c.
    pub change: Vec<f64>,
    /// `|X'g|`, in plain arithmetic.
    pub size: f64,
    /// A bound is this times the norm of a row of X, besides low parts.
    pub factor: f64,
    /// What bounds are after the step, likewise.
    pub factor_after: f64,
    /// Bounds after the step, without low parts.
    pub bounds_after: Vec<f64>,
    /// By how much the step makes the sum of squares less.
    pub gain: f64,
}

impl Step {
    /// The point that the step leads to from x, and what is known there.
    pub fn taken(&self, x: &Twofold) -> (Twofold, Step) {
        let mut next = x.clone();
        let mut bounds = self.bounds_after.clone();
        for (j, bound) in bounds.iter_mut().enumerate() {
            next.add(j, (self.change[j], 0.0));
            let lost = 8.0 * U * U * (x.high[j].abs() + self.change[j].abs());
            *bound = (*bound + next.low[j].abs() + lost) * SLACK;
        }
        (next, Step { bounds, ..self.clone() })
    }

    /// At a point that is known to be the solution.
    pub fn nothing(p: usize) -> Step {
        let zero = vec![0.0; p];
        Step {
            bounds: zero.clone(),
            change: zero.clone(),
            size: 0.0,
            factor: 0.0,
            factor_after: 0.0,
            bounds_after: zero,
            gain: 0.0,
        }
    }
}

impl Certificate {
    /// By way of B = M X; `found` is of that pass, without the ridge.
    pub fn of_products(rows: &Shifted<'_>, x: Mat<f64>, found: &Products) -> Option<Certificate> {
        let (p, r, ridge) = (x.nrows(), x.ncols(), rows.problem.ridge);
        let d = rows.problem.a.columns();
        let penalised = x.get(0..d, ..);
        let c = &found.gram + faer::Scale(ridge) * (penalised.transpose() * penalised);
        let squares: f64 = (0..p).map(|j| found.squares[j] * x.row(j).squared_norm_l2()).sum();
        let product = gamma(product_roundings(p) + 4) * (p as f64 * squares).sqrt() * SLACK;
        let b = (0..r).map(|i| found.gram[(i, i)]).sum::<f64>().sqrt() * SLACK;
        let with_ridge = gamma(p + 4) * ridge * penalised.squared_norm_l2() * SLACK;
        let delta = gamma(found.summed + 8) * b * b + with_ridge;
        Certificate::new(&rows.means, rows.total, x, c, [delta, product], &found.squares)
    }

    /// Of C as computed, wrong by at most delta in norm, for a factor that is wrong by at most eta; for
    /// columns of A and ones whose squared norms, less the means, are those; of so much weight.
    pub fn new(
        means: &[f64],
        total: f64,
        x: Mat<f64>,
        c: Mat<f64>,
        [delta, eta]: [f64; 2],
        squares: &[f64],
    ) -> Option<Certificate> {
        let factor = c.llt(Side::Lower).ok()?;
        let trace: f64 = (0..c.nrows()).map(|i| c[(i, i)]).sum();
        let least = (least_eigenvalue(&c) - delta).max(0.0);
        let root = total.sqrt();
        let centre = |j: usize| means.get(j).map_or(0.0, |m| m.abs() * root);
        // Of the columns as they are, not shifted.
        let norms =
            squares.iter().enumerate().map(|(j, s)| (s.sqrt() + centre(j)) * SLACK).collect();
        let most = ((trace + delta).sqrt() + eta).powi(2) * SLACK;
        let factored = gamma(3 * c.nrows() + 2) * trace * SLACK;
        Some(Certificate {
            x,
            factor,
            loose: (delta + factored + eta * (2.0 * most.sqrt() + eta)) * SLACK,
            least: (least.sqrt() - eta).max(0.0).powi(2) / SLACK,
            most,
            norms,
            scales: squares.iter().map(|s| s.sqrt()).collect(),
            total,
        })
    }

    /// `X C^-1 v`: what normal equations with the right-hand side v have as their solution.
    pub fn solve(&self, v: &Mat<f64>) -> Mat<f64> {
        &self.x * self.factor.solve(v)
    }

    /// The largest bound as a share of the largest coefficient, each times the norm of its column; or
    /// of so much, if that is more.
    pub fn relative(&self, bounds: &[f64], x: &[f64], least: f64) -> f64 {
        let most = |values: &[f64]| {
            let scaled = values.iter().zip(&self.scales).map(|(v, n)| v.abs() * n);
            scaled.fold(0.0, f64::max)
        };
        let (error, size) = (most(bounds), most(x).max(least));
        if error == 0.0 { 0.0 } else { error / size }
    }

    /// Bounds at a point (x, c), where the gradient is `at`, and a step towards the solution.
    pub fn step(&self, rows: &Shifted<'_>, point: &Twofold, at: &Gradient) -> Step {
        let (p, d) = (self.x.nrows(), rows.problem.a.columns());
        let (n, ridge) = (rows.problem.a.rows(), rows.problem.ridge);
        let [residual, target] = [at.residual, at.target].map(|s| s.sqrt() * SLACK + VANISHED);
        // In the shifted unknowns: T'g, T = [I, 0; -mu', 1].
        let intercept = if rows.problem.intercept { at.g.at(d) } else { (0.0, 0.0) };
        let mut g = Mat::zeros(p, 1);
        for j in 0..p {
            let shift = if j < d { rows.means[j] } else { 0.0 };
            let moved = sparrot_simd::twofold::multiple(intercept, -shift);
            let (high, low) = sparrot_simd::twofold::sum(at.g.at(j), moved);
            g[(j, 0)] = high + low;
        }
        let accuracy = gradient_error(n, p * rows.problem.targets);
        let root = self.total.sqrt() * SLACK;
        let mut reach = target; // of sqrt(W) (|b| + |A||x| + |c|)
        for j in 0..p {
            let x = point.high[j].abs() * SLACK;
            reach += x * if j < d { self.norms[j] } else { root };
        }
        let wrong: Vec<f64> = (0..p)
            .map(|j| {
                let (norm, ridge) = if j < d {
                    (self.norms[j] + rows.means[j].abs() * root, ridge * point.high[j].abs())
                } else {
                    (root, 0.0)
                };
                let tiny = TINY * (1.0 + norm) * (1.0 + root);
                accuracy * (norm * residual + ridge) + tiny
            })
            .collect();
        let residual_part = self.most.sqrt() * (residual_error(p) * reach + TINY * (1.0 + root));
        let mut step = self.bounded(&g, &wrong, residual_part, &point.low);
        if rows.problem.intercept {
            // c = c' - mu'x
            let mut row = vec![0.0; self.x.ncols()];
            for (i, row) in row.iter_mut().enumerate() {
                let (mut value, mut size) = (self.x[(d, i)], self.x[(d, i)].abs());
                for j in 0..d {
                    value -= rows.means[j] * self.x[(j, i)];
                    size += (rows.means[j] * self.x[(j, i)]).abs();
                }
                *row = value.abs() + gamma(d + 4) * size * SLACK;
            }
            let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            step.bounds[d] = norm * step.factor * SLACK + point.low[d].abs();
            let shifts = (0..d).map(|j| rows.means[j] * step.change[j]);
            let sizes = shifts.clone().map(f64::abs).sum::<f64>() + step.change[d].abs();
            step.change[d] -= shifts.sum::<f64>();
            step.bounds_after[d] =
                (norm * step.factor_after + gamma(d + 4) * sizes * SLACK) * SLACK;
        }
        step
    }

    /// Bounds where the gradient is g, wrong by at most so much in each entry and `X'g` by so much more in
    /// norm; for what is returned without its low part. And a step.
    pub fn bounded(&self, g: &Mat<f64>, wrong: &[f64], more: f64, low: &[f64]) -> Step {
        let p = self.x.nrows();
        let h = self.x.transpose() * g;
        let size = h.norm_l2();
        let mut spread = 0.0; // of | |X|'t |^2, t what g may be wrong by, and the product with X
        for i in 0..self.x.ncols() {
            let of = |j: usize| self.x[(j, i)].abs() * (wrong[j] + gamma(p + 4) * g[(j, 0)].abs());
            let sum: f64 = (0..p).map(of).sum();
            spread += sum * sum;
        }
        let unsure = (spread.sqrt() + more) * SLACK;
        let bound = |total: f64| {
            if self.least > 0.0 { total / self.least * SLACK } else { f64::INFINITY }
        };
        let factor = bound((size + unsure) * SLACK);
        let y = self.factor.solve(&h);
        let length = y.norm_l2() * SLACK;
        let rounding = gamma(self.x.ncols() + 4) * length;
        let factor_after = (bound(unsure + self.loose * length) + rounding) * SLACK;
        let norms: Vec<f64> = (0..p).map(|j| self.x.row(j).norm_l2() * SLACK).collect();
        let change = &self.x * &y;
        Step {
            bounds: norms.iter().zip(low).map(|(norm, low)| norm * factor + low.abs()).collect(),
            change: (0..p).map(|j| change[(j, 0)]).collect(),
            size,
            factor,
            factor_after,
            bounds_after: norms.iter().map(|norm| norm * factor_after).collect(),
            gain: (h.transpose() * y)[(0, 0)],
        }
    }
}

/// A proven lower bound of the smallest eigenvalue of a symmetric matrix, as it is stored; not
/// positive if there is none to be had.
fn least_eigenvalue(c: &Mat<f64>) -> f64 {
    let r = c.nrows();
    if r == 0 {
        return 1.0;
    }
    let trace: f64 = (0..r).map(|i| c[(i, i)].abs()).sum::<f64>() * SLACK;
    let Ok(values) = c.self_adjoint_eigenvalues(Side::Lower) else { return 0.0 };
    let guess = values.iter().copied().fold(f64::INFINITY, f64::min);
    for share in [0.99, 0.9, 0.5] {
        let shift = share * guess;
        let shifted = Mat::from_fn(r, r, |i, j| if i == j { c[(i, i)] - shift } else { c[(i, j)] });
        if shift > 0.0 && shifted.llt(Side::Lower).is_ok() {
            return shift - gamma(r + 4) * trace;
        }
    }
    0.0
}

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
//! **C.** By way of B = fl(M X): with n_j the norm of column j of M, the triangle inequality gives
//! `| |M||X| |_F <= N = | |X|'n |`, so that `|B - M X|_F <= eta = gamma_(l+4) N`,
//! l roundings in a product, 4 for the shift and the weights. So the smallest singular value of M X is
//! at least that of B less eta. What is computed is fl(B'B), wrong by at most `delta = gamma_s |B|_F^2`,
//! s terms in a sum. By way of G = fl(M'M), eta is 0 and delta has other parts:
//! `|X' (G - M'M) X|_F <= gamma_(s+8) | |X|'n |^2`, and the products with X on both sides add
//! `gamma_(2p+4)` of the same; with products to twice the precision less ([`crate::normal`]).
//!
//! **lambda_min.** If the Cholesky factorisation of `C - t I` runs to its end in floating point, the
//! smallest eigenvalue of C is at least `t - gamma_(r+4) trace(C)` (Rump, "Verification of positive
//! definiteness", BIT 2006). So lambda_min of the exact C is at least
//! `(sqrt(t - gamma_(r+4) trace(C) - delta) - eta)^2`. Likewise its lambda_max is at most
//! `(sqrt(t + gamma_(r+4) (r t + trace(C)) + delta) + eta)^2` where the factorisation of `t I - C` runs to its
//! end; and t = trace(C) is large enough without.
//!
//! **g.** It comes from [`crate::gradient`] with error bounds, and `h = X'g` from it likewise, to twice
//! the working precision: plain sums would lose u times the condition number. A residual wrong by dr
//! changes h by `(M X)' sqrt(W) dr`, at most `sqrt(lambda_max) |sqrt(W) dr|`. Let h be wrong by at most s.
//!
//! **After a step.** With z near `C^-1 h`, the point `y + X z` is corrected without another look at the
//! rows, and what is left is bounded, too: `y* - y - X z = X C^-1 (h - C z)`, and for the C' and h' that
//! were computed
//!
//! ```text
//! |h - C z| <= |h' - C' z| + s + |C - C'| |z|,   |C - C'| <= delta + 2 sqrt(lambda_max) eta + eta^2
//! ```
//!
//! to which come the rounding of the first term, at most `gamma_(r+4) (|h'| + |C'|_F |z|)`, and of X z, at
//! most `gamma_(r+4) |e_j X| |z|`. The objective falls by `2 h'z - z'C z`, which is `h'z` but for rounding.
//!
//! What is returned is the high part of x, so its low part is added. Underflow is excluded by the
//! norms that [`crate::precondition`] admits, up to `TINY` and, in the norms of residuals and
//! right-hand sides, `VANISHED`, in steps `VANISHED_STEP`.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, Side};
use sparrot_foundation::{Error, Stop};

use sparrot_simd::twofold;

use crate::gradient::{Gradient, Twofold, U, residual_error};
use crate::model::Shifted;
use crate::products::{Products, product_roundings};
use crate::refine::Frame;
use crate::steps::{product, together};

/// More than any sum of squares or products loses in plain arithmetic, for less than 2^31 terms.
pub const SLACK: f64 = 1.0 + 1e-6;
/// More than underflow can add up to, times any norm that is admitted.
pub const TINY: f64 = 1e-290;
/// More than the norm of what can be missing in a sum of squares that underflow, of 2^31 terms.
pub const VANISHED: f64 = 1e-156;
/// Eigenvalues of C may be so far apart before it is worth a pass to bring them together.
const EVEN: f64 = 1e4;
/// More than underflow takes from a coefficient's step.
const VANISHED_STEP: f64 = 1e-300;

/// `k u / (1 - k u)`.
pub fn gamma(k: usize) -> f64 {
    let ku = k as f64 * U;
    ku / (1.0 - ku)
}

/// X, its C, and what is proven of it.
pub struct Certificate {
    /// X.
    pub x: Mat<f64>,
    /// Its columns, one after the other, and the norms of its rows.
    columns: Vec<f64>,
    row_norms: Vec<f64>,
    /// C as computed.
    c: Mat<f64>,
    factor: Llt<f64>,
    /// Whether that is its Cholesky factor, and not that of a C shifted until it had one.
    pub is_definite: bool,
    /// A lower bound of the smallest eigenvalue of the exact C; not positive if none could be proven.
    pub least: f64,
    most: f64,
    /// What C may be wrong by.
    error: f64,
    norms: Vec<f64>,
    /// Of columns, in the measure of the tolerance.
    pub scales: Vec<f64>,
    total: f64,
}

/// For one right-hand side.
pub struct Step {
    /// A bound of the error of each unknown, shifted intercept aside: the intercept itself is last.
    pub bounds: Vec<f64>,
    /// What to add to x and c.
    pub change: Vec<f64>,
    /// `|X'g|`, rounded.
    pub size: f64,
    /// What `X'g` may be wrong by: with less of it there is nothing more to correct.
    pub doubt: f64,
    /// Bounds after the change, as long as x and c are kept to twice the precision: what is lost when
    /// they are rounded comes on top.
    pub after: Vec<f64>,
    /// What the change takes from the objective `|sqrt(W) (b - A x - c)|^2 + ridge |x|^2`.
    pub decrease: f64,
}

impl Certificate {
    /// By way of B = M X; `found` is of that pass, without the ridge.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn of_products(
        rows: &Shifted<'_>,
        x: Mat<f64>,
        found: &Products,
        stop: &Stop<'_>,
    ) -> Result<Option<Certificate>, Error> {
        let (p, r, ridge) = (x.nrows(), x.ncols(), rows.problem.ridge);
        let d = rows.problem.a.columns();
        let penalised = x.get(0..d, ..);
        let mut c = found.gram.clone();
        if ridge > 0.0 {
            c += faer::Scale(ridge) * (penalised.transpose() * penalised);
        }
        let norms: Vec<f64> = found.squares.iter().map(|s| s.sqrt()).collect();
        let product = gamma(product_roundings(p) + 4) * reach(&x, &norms).sqrt() * SLACK;
        let b = (0..r).map(|i| found.gram[(i, i)]).sum::<f64>().sqrt() * SLACK;
        let with_ridge = gamma(p + 4) * ridge * penalised.squared_norm_l2() * SLACK;
        let delta = gamma(found.summed + 8) * b * b + with_ridge;
        Certificate::new(&rows.means, rows.total, x, c, [delta, product], &found.squares, stop)
    }

    /// By way of the Gram matrix G, with the ridge; of the squared norms of the columns and how many terms
    /// were added up.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn of_gram(
        rows: &Shifted<'_>,
        x: Mat<f64>,
        gram: &Mat<f64>,
        (squares, summed): (&[f64], usize),
        stop: &Stop<'_>,
    ) -> Result<Option<Certificate>, Error> {
        let image = product(gram.as_ref(), x.as_ref(), stop)?;
        let c = product(x.transpose(), image.as_ref(), stop)?;
        let c = Mat::from_fn(c.nrows(), c.ncols(), |i, j| c[(i.max(j), i.min(j))]);
        let norms: Vec<f64> = (0..x.nrows()).map(|j| gram[(j, j)].max(squares[j]).sqrt()).collect();
        let delta = gram_error(&x, &norms, summed);
        Certificate::new(&rows.means, rows.total, x, c, [delta, 0.0], squares, stop)
    }

    /// Of C as computed, wrong by at most delta in norm, for M X wrong by at most eta; for columns of
    /// these squared norms, less means, and rows of so much weight. None if C is not finite.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(
        means: &[f64],
        total: f64,
        x: Mat<f64>,
        c: Mat<f64>,
        [delta, eta]: [f64; 2],
        squares: &[f64],
        stop: &Stop<'_>,
    ) -> Result<Option<Certificate>, Error> {
        let trace: f64 = (0..c.nrows()).map(|i| c[(i, i)]).sum();
        let Some((factor, is_definite)) = factored(&c, trace, stop)? else { return Ok(None) };
        let smallest = if is_definite { least_eigenvalue(&c, &factor, stop)? } else { 0.0 };
        let least = (smallest - delta).max(0.0);
        let root = total.sqrt();
        let centre = |j: usize| means.get(j).map_or(0.0, |m| m.abs() * root);
        // Of the columns as they are, not shifted.
        let norms =
            squares.iter().enumerate().map(|(j, s)| (s.sqrt() + centre(j)) * SLACK).collect();
        let most = ((largest_eigenvalue(&c, trace, stop)? + delta).sqrt() + eta).powi(2) * SLACK;
        let mut columns = Vec::with_capacity(x.nrows() * x.ncols());
        (0..x.ncols()).for_each(|i| columns.extend(x.col(i).iter()));
        Ok(Some(Certificate {
            columns,
            row_norms: (0..x.nrows()).map(|j| x.row(j).norm_l2() * SLACK).collect(),
            x,
            c,
            factor,
            is_definite,
            least: (least.sqrt() - eta).max(0.0).powi(2) / SLACK,
            most,
            error: (delta + 2.0 * most.sqrt() * eta + eta * eta) * SLACK,
            norms,
            scales: squares.iter().map(|s| s.sqrt()).collect(),
            total,
        }))
    }

    /// Whether directions are about equally long under M X, so that steps converge fast and bounds are
    /// tight.
    pub fn is_even(&self) -> bool {
        self.least > 0.0 && self.most <= EVEN * self.least
    }

    /// `X L'^-1` for `C = L L'`, or for what C was shifted to: M has nearly orthonormal columns times that,
    /// or is nearer to it than it was.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn orthonormalised(&self, stop: &Stop<'_>) -> Result<Mat<f64>, Error> {
        let mut z = self.x.transpose().to_owned();
        let (size, columns) = z.shape();
        let at_once = together(size * size, columns);
        for first in (0..columns).step_by(at_once) {
            stop.poll()?;
            let count = at_once.min(columns - first);
            self.factor.L().solve_lower_triangular_in_place(z.subcols_mut(first, count));
        }
        Ok(z.transpose().to_owned())
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

    /// Bounds at a point (x, c), where the gradient but for the ridge is `at`, wrong by so much, and a step
    /// towards the solution.
    pub fn step(&self, frame: &Frame<'_>, point: &Twofold, at: &Gradient, accuracy: f64) -> Step {
        let (p, Frame { d, ridge, means }) = (self.x.nrows(), *frame);
        let mean = |j: usize| means.map_or(0.0, |means| means[j]);
        let [residual, target] = [at.residual, at.target].map(|s| s.sqrt() * SLACK + VANISHED);
        // In the shifted unknowns: T'g, T = [I, 0; -mu', 1].
        let intercept = if means.is_some() { at.g.at(d) } else { (0.0, 0.0) };
        let mut g = at.g.clone();
        for j in 0..d {
            g.add(j, twofold::multiple(point.at(j), -ridge));
            g.add(j, twofold::multiple(intercept, -mean(j)));
        }
        let root = self.total.sqrt() * SLACK;
        let mut reach = target; // of sqrt(W) (|b| + |A||x| + |c|)
        for j in 0..p {
            let x = point.high[j].abs() * SLACK;
            reach += x * if j < d { self.norms[j] } else { root };
        }
        let wrong: Vec<f64> = (0..p)
            .map(|j| {
                let (norm, ridge) = if j < d {
                    (self.norms[j] + mean(j).abs() * root, ridge * point.high[j].abs())
                } else {
                    (root, 0.0)
                };
                let tiny = TINY * (1.0 + norm) * (1.0 + root);
                accuracy * (norm * residual + ridge) + tiny
            })
            .collect();
        let residual_part =
            self.most.sqrt() * (residual_error(p) * reach + TINY * (1.0 + root)) * SLACK;
        self.step_by(&g, &wrong, residual_part, point, means)
    }

    /// The same where the gradient in the shifted unknowns is g, an entry wrong by at most so much, and
    /// X'g by more in norm; with the means by which columns are shifted.
    pub fn step_by(
        &self,
        g: &Twofold,
        wrong: &[f64],
        more: f64,
        point: &Twofold,
        means: Option<&[f64]>,
    ) -> Step {
        let p = self.x.nrows();
        let h = self.products(g);
        let size = h.norm_l2();
        let mut spread = 0.0; // of | |X|'t |^2, t what g may be wrong by, and the product with X
        for i in 0..self.x.ncols() {
            let of = |j: usize| wrong[j] + residual_error(p) * g.high[j].abs();
            let sum: f64 = (0..p).map(|j| self.x[(j, i)].abs() * of(j)).sum();
            spread += sum * sum;
        }
        let error = (spread.sqrt() * SLACK + more) * SLACK;
        let total = (size * SLACK + error) * SLACK;
        let z = self.factor.solve(&h);
        let (left, z_size) = self.left(&h, &z);
        let left = (left + size * U + error) * SLACK;
        let share = |total: f64| {
            if self.least > 0.0 { total / self.least * SLACK } else { f64::INFINITY }
        };
        let (factor, rounding) = (share(total), gamma(self.x.ncols() + 4) * z_size * SLACK);
        let after = share(left) + rounding;
        let mut norms = self.row_norms.clone();
        let change = &self.x * &z;
        let mut change: Vec<f64> = (0..p).map(|j| change[(j, 0)]).collect();
        // Of the change in c for that of x, and of adding it up.
        let mut moved = 0.0;
        if let Some(means) = means {
            // c = c' - mu'x
            let d = means.len();
            let mut row = vec![0.0; self.x.ncols()];
            for (i, row) in row.iter_mut().enumerate() {
                let (mut value, mut size) = (self.x[(d, i)], self.x[(d, i)].abs());
                for (j, mean) in means.iter().enumerate() {
                    value -= mean * self.x[(j, i)];
                    size += (mean * self.x[(j, i)]).abs();
                }
                *row = value.abs() + gamma(d + 4) * size * SLACK;
            }
            norms[d] = row.iter().map(|v| v * v).sum::<f64>().sqrt() * SLACK;
            let weights = means.iter().map(|mean| mean.abs()).chain([1.0]);
            for (weight, (change, norm)) in weights.zip(change.iter().zip(&self.row_norms)) {
                let sum = gamma(d + 4) * change.abs() + rounding * norm;
                moved += weight * sum * SLACK;
            }
            change[d] -= (0..d).map(|j| means[j] * change[j]).sum::<f64>();
        }
        let bounds = (0..p).map(|j| norms[j] * factor * SLACK + point.low[j].abs()).collect();
        let after = (0..p)
            .map(|j| {
                let added = 4.0 * U * U * (point.high[j].abs() + change[j].abs()) + VANISHED_STEP;
                let moved = if means.is_some_and(|means| j == means.len()) { moved } else { 0.0 };
                (norms[j] * after + moved + added) * SLACK
            })
            .collect();
        Step { bounds, change, size, doubt: error, after, decrease: (h.transpose() * &z)[(0, 0)] }
    }

    /// X'g.
    fn products(&self, g: &Twofold) -> Mat<f64> {
        let mut h = Twofold::zeros(self.x.ncols());
        twofold::subtract_products(&self.columns, &g.high, &g.low, &mut h.high, &mut h.low, &[]);
        Mat::from_fn(self.x.ncols(), 1, |i, _| -(h.high[i] + h.low[i]))
    }

    /// A bound of `|h - C z|` but for what h is wrong by, and `|z|`.
    fn left(&self, h: &Mat<f64>, z: &Mat<f64>) -> (f64, f64) {
        let size = z.norm_l2() * SLACK;
        let rounding = gamma(h.nrows() + 4) * (h.norm_l2() + self.c.norm_l2() * size);
        let left = (h - &self.c * z).norm_l2();
        ((left + (rounding + self.error * size) * SLACK) * SLACK, size)
    }
}

/// What `X'G X` may be wrong by, for columns of those norms, in the way of the Gram matrix.
pub fn gram_error(x: &Mat<f64>, norms: &[f64], summed: usize) -> f64 {
    (gamma(summed + 12) + gamma(2 * x.nrows() + 4)) * reach(x, norms) * SLACK
}

/// `| |X|'n |^2`.
fn reach(x: &Mat<f64>, norms: &[f64]) -> f64 {
    let one = |i: usize| -> f64 { x.col(i).iter().zip(norms).map(|(x, n)| x.abs() * n).sum() };
    (0..x.ncols()).map(|i| one(i).powi(2)).sum()
}

/// The Cholesky factor of C, and whether that is it; if C is not positive definite, of C plus as little
/// of the identity as makes it so: good for steps, of which nothing is proven.
fn factored(c: &Mat<f64>, trace: f64, stop: &Stop<'_>) -> Result<Option<(Llt<f64>, bool)>, Error> {
    stop.poll()?;
    if let Ok(factor) = c.llt(Side::Lower) {
        return Ok(Some((factor, true)));
    }
    for digits in [14, 12, 10, 8, 6, 4] {
        stop.poll()?;
        let shift = 10f64.powi(-digits) * trace;
        let mut shifted = c.clone();
        (0..c.nrows()).for_each(|i| shifted[(i, i)] += shift);
        if let Ok(factor) = shifted.llt(Side::Lower) {
            return Ok(Some((factor, false)));
        }
    }
    Ok(None)
}

/// Steps of inverse iteration: the smallest eigenvalue of what a sketch has conditioned lies close to
/// others, of which any will do.
const INVERSE_STEPS: usize = 20;
/// Likewise of the power method, for the largest.
const POWER_STEPS: usize = 20;

/// A proven lower bound of the smallest eigenvalue of a symmetric matrix, as it is stored, of which
/// that is a Cholesky factor; not positive if there is none to be had.
fn least_eigenvalue(c: &Mat<f64>, factor: &Llt<f64>, stop: &Stop<'_>) -> Result<f64, Error> {
    let r = c.nrows();
    if r == 0 {
        return Ok(1.0);
    }
    let trace: f64 = (0..r).map(|i| c[(i, i)].abs()).sum::<f64>() * SLACK;
    // From above, but for rounding.
    let mut guess = f64::INFINITY;
    let mut v = Mat::from_fn(r, 1, |i, _| 1.0 + ((i * 7919) % 101) as f64 / 101.0);
    for _ in 0..INVERSE_STEPS {
        stop.poll()?;
        let size = v.norm_l2();
        let next = factor.solve(&v);
        guess = size / next.norm_l2();
        if !(guess > 0.0 && guess.is_finite()) {
            return Ok(0.0);
        }
        v = faer::Scale(1.0 / next.norm_l2()) * next;
    }
    for share in [0.99, 0.9, 0.7, 0.4, 0.1] {
        stop.poll()?;
        let shift = share * guess;
        let mut shifted = c.clone();
        (0..r).for_each(|i| shifted[(i, i)] = c[(i, i)] - shift);
        if shifted.llt(Side::Lower).is_ok() {
            return Ok(shift - gamma(r + 4) * trace);
        }
    }
    Ok(0.0)
}

/// A proven upper bound of the largest eigenvalue.
fn largest_eigenvalue(c: &Mat<f64>, trace: f64, stop: &Stop<'_>) -> Result<f64, Error> {
    let r = c.nrows();
    let mut v = Mat::from_fn(r, 1, |i, _| 1.0 + ((i * 7919) % 101) as f64 / 101.0);
    let mut guess = 0.0;
    for _ in 0..POWER_STEPS {
        stop.poll()?;
        let size = v.norm_l2();
        let next = c * v;
        guess = next.norm_l2() / size;
        v = faer::Scale(1.0 / next.norm_l2()) * next;
    }
    for share in [1.1, 2.0] {
        stop.poll()?;
        let shift = share * guess;
        if shift < trace {
            let mut shifted = -c;
            (0..r).for_each(|i| shifted[(i, i)] = shift - c[(i, i)]);
            if shifted.llt(Side::Lower).is_ok() {
                return Ok((shift + gamma(r + 4) * (r as f64 * shift + trace)) * SLACK);
            }
        }
    }
    Ok(trace * SLACK)
}

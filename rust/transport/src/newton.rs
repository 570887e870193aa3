//! Truncated Newton steps on the semi-dual.
//!
//! With rows exact (`u_i = a_i / (T v)_i`) the dual is a concave function of the columns alone, in
//! `x = change of log v`:
//!
//! ```text
//! gain(x) = sum_j b_j x_j + sum_i a_i log(u_i after / u_i before)
//! gradient = b - c,   -Hessian = S = diag(c) - P' diag(1/a) P,   c = P' 1
//! ```
//!
//! It is finite for every `x`, so that a trial point cannot overflow, and a trial costs one sweep
//! of the stored plan and no exponential. `S` is the Schur complement of the Laplacian of the
//! bipartite plan graph, singular along ones.
//!
//! * **Matrix**: entries of the plan of at least `theta a_i / m` of their row, `theta` tied to the
//!   error so that convergence stays fast; the mass left out goes back on the diagonal, as much as
//!   the distance to the solution allows. A plan too dense for that is used as it is stored.
//! * **Equations**: conjugate gradients, stopped early (a share of the error that shrinks with it),
//!   first with the diagonal as preconditioner, then, where that takes long, with the
//!   [`crate::laplacian`] factor, which later steps start with.
//! * **Safeguard**: Armijo's condition on the gain, computed as a sum of small numbers, or half
//!   the error; Levenberg's shift of the diagonal after a step that failed or had to be shortened.

use sparrot_foundation::Error;
use sparrot_simd::{linear, reduce, select};

use crate::cg::Iterate;
use crate::gibbs::Gibbs;
use crate::laplacian::Factor;
use crate::run::Run;
use crate::scalings::Scalings;
use crate::sparsify::{self, Csr, Rows};

/// Conjugate gradient iterations with the diagonal after which the factor is made.
const BEFORE_FACTOR: usize = 40;

/// Iterations of a step, at most.
const MOST_ITERATIONS: usize = 500;

/// The matrix is kept sparse up to this share of the plan: the time per entry is that much longer.
const SPARSE_UP_TO: f64 = 0.15;

/// Trials of a line search, at most.
const TRIALS: usize = 14;

/// A change of `log v` beyond this is not tried.
const LONGEST: f64 = 200.0;

/// What one step hands to the next.
#[derive(Default)]
pub struct Newton {
    damping: f64,
    /// Whether the diagonal alone was too slow at the last step.
    wants_factor: bool,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Whether the scalings have been moved.
    pub accepted: bool,
    /// The entries of the plan that the matrix had.
    pub nnz: usize,
}

impl Newton {
    /// One step from `scalings`, whose rows are exact and whose marginal error is `error`, on the
    /// way to `target` (both relative).
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn step(
        &mut self,
        run: &mut Run<'_>,
        gibbs: &mut Gibbs,
        scalings: &mut Scalings,
        error: f64,
        target: f64,
    ) -> Result<Step, Error> {
        let b = run.problem.b;
        let columns: Vec<f64> = scalings.acc.iter().zip(&scalings.v).map(|(c, v)| c * v).collect();
        let gradient: Vec<f64> = b.iter().zip(&columns).map(|(b, c)| b - c).collect();
        let theta = (0.03 * error).min(3e-3);
        let kept = kept(run, gibbs, scalings, theta)?;
        let nnz = kept.as_ref().map_or(gibbs.plan.len(), Csr::nnz);
        let precision = (0.5 * error).min(0.1).max(0.2 * target / error);
        let goal = precision * error * run.mass;
        let x = self.direction(run, gibbs, scalings, &columns, &gradient, kept, goal, error)?;
        let accepted = self.search(run, gibbs, scalings, &gradient, &x, error)?;
        Ok(Step { accepted, nnz })
    }

    #[allow(clippy::too_many_arguments, reason = "what a step knows")]
    fn direction(
        &mut self,
        run: &mut Run<'_>,
        gibbs: &mut Gibbs,
        scalings: &Scalings,
        columns: &[f64],
        gradient: &[f64],
        kept: Option<Csr>,
        goal: f64,
        error: f64,
    ) -> Result<Vec<f64>, Error> {
        let (team, stop) = (run.team, run.stop);
        let (a, b) = (run.problem.a, run.problem.b);
        let m = columns.len();
        let mut iterate = Iterate::new(gradient);
        // Of the mass left out, what goes back on the diagonal: all of it far from the solution,
        // where it keeps steps short, little of it near, where it would slow convergence down.
        let returned = if error > 1e-3 { 1.0 } else { 0.05 };
        let shift = 1e-13 + self.damping;
        let mut diagonal = vec![0.0; m];
        let mut own = vec![0.0; m];
        let mut inverse_rows = vec![];
        if let Some(kept) = &kept {
            for i in 0..a.len() {
                let row = kept.starts[i]..kept.starts[i + 1];
                let sum: f64 = kept.values[row.clone()].iter().sum();
                let inverse = if sum > 0.0 { 1.0 / sum } else { 0.0 };
                for k in row {
                    let (j, p) = (kept.columns[k] as usize, kept.values[k]);
                    diagonal[j] += p;
                    own[j] += p * p * inverse;
                }
                inverse_rows.push(inverse);
            }
            for (d, c) in diagonal.iter_mut().zip(columns) {
                *d += returned * (c - *d).max(0.0);
            }
        } else {
            diagonal.copy_from_slice(columns);
        }
        for ((d, c), b) in diagonal.iter_mut().zip(columns).zip(b) {
            *d = if *b > 0.0 { *d + shift * c.max(*b) } else { 1.0 };
        }
        let mut products = vec![0.0; a.len()];
        let mut scaled = vec![0.0; m];
        let row_weights: Vec<f64> =
            (scalings.u.iter().zip(a)).map(|(u, a)| if *a > 0.0 { u * u / a } else { 0.0 }).collect();
        let mut apply = |x: &[f64], out: &mut [f64]| -> Result<(), Error> {
            if let Some(kept) = &kept {
                stop.poll()?;
                out.fill(0.0);
                for (i, inverse) in inverse_rows.iter().enumerate() {
                    let row = kept.starts[i]..kept.starts[i + 1];
                    let (columns, values) = (&kept.columns[row.clone()], &kept.values[row]);
                    let sum: f64 =
                        columns.iter().zip(values).map(|(j, p)| p * x[*j as usize]).sum::<f64>() * inverse;
                    for (j, p) in columns.iter().zip(values) {
                        out[*j as usize] -= p * sum;
                    }
                }
                for ((out, d), x) in out.iter_mut().zip(&diagonal).zip(x) {
                    *out += d * x;
                }
            } else {
                scaled.copy_from_slice(x);
                linear::multiply_by(&scalings.v, &mut scaled);
                gibbs.through_rows(&scaled, &row_weights, &mut products, out, team, stop)?;
                for (((out, d), x), v) in out.iter_mut().zip(&diagonal).zip(x).zip(&scalings.v) {
                    *out = d * x - *out * v;
                }
            }
            Ok(())
        };
        let mut done = 0;
        if !self.wants_factor {
            let inverse: Vec<f64> = diagonal
                .iter()
                .zip(&own)
                .map(|(d, own)| 1.0 / (d - own).max(1e-3 * d))
                .collect();
            let by_diagonal = |r: &[f64], out: &mut [f64]| {
                out.iter_mut().zip(r).zip(&inverse).for_each(|((out, r), d)| *out = r * d);
            };
            done = iterate.advance(&mut apply, by_diagonal, goal, BEFORE_FACTOR, stop)?;
            self.wants_factor = done >= BEFORE_FACTOR;
        }
        if self.wants_factor && reduce::l1_norm(&iterate.residual) > goal {
            let factor = match &kept {
                Some(kept) => {
                    let row_sums: Vec<f64> = inverse_rows
                        .iter()
                        .map(|x| if *x > 0.0 { (1.0 + 1e-10) / x } else { 0.0 })
                        .collect();
                    let t = std::time::Instant::now();
                    let f = Factor::new(kept, &row_sums, &diagonal, 40 * (a.len() + m));
                    if std::env::var("DBG").is_ok() {
                        eprintln!("  factor {:?} in {:?} of {} kept", f.as_ref().map(|f| f.nnz()), t.elapsed(), kept.nnz());
                    }
                    f
                }
                None => None,
            };
            if let Some(mut factor) = factor {
                let by_factor = |r: &[f64], out: &mut [f64]| factor.solve_columns(r, out);
                done += iterate.advance(&mut apply, by_factor, goal, MOST_ITERATIONS, stop)?;
            } else {
                let by_diagonal = |r: &[f64], out: &mut [f64]| {
                    out.iter_mut().zip(r).zip(&diagonal).for_each(|((out, r), d)| *out = r / d);
                };
                done += iterate.advance(&mut apply, by_diagonal, goal, MOST_ITERATIONS, stop)?;
            }
        }
        if std::env::var("DBG").is_ok() {
            eprintln!("  newton err {error:.2e} nnz {:?} cg {done} damping {:.1e} resid {:.1e} goal {goal:.1e}", kept.as_ref().map(|k| k.nnz()), self.damping, reduce::l1_norm(&iterate.residual));
        }
        run.cg_iterations += done;
        Ok(iterate.x)
    }

    /// Moves the scalings along `x` as far as it helps.
    fn search(
        &mut self,
        run: &Run<'_>,
        gibbs: &mut Gibbs,
        scalings: &mut Scalings,
        gradient: &[f64],
        x: &[f64],
        error: f64,
    ) -> Result<bool, Error> {
        let (a, b) = (run.problem.a, run.problem.b);
        let longest = x.iter().zip(b).filter(|(_, b)| **b > 0.0).fold(0.0f64, |l, (x, _)| l.max(x.abs()));
        let slope = reduce::dot(gradient, x);
        let linear = reduce::dot(b, x);
        let mut length = if longest > LONGEST { LONGEST / longest } else { 1.0 };
        for _ in 0..TRIALS {
            let mut trial = scalings.clone();
            for (v, x) in trial.v.iter_mut().zip(x) {
                *v *= (length * x).exp();
            }
            trial.sweep(run, gibbs)?;
            let error_now = run.relative(trial.column_error(b));
            let (mut gain, mut size) = (length * linear, (length * linear).abs());
            for ((now, before), a) in trial.u.iter().zip(&scalings.u).zip(a).filter(|(_, a)| **a > 0.0) {
                let part = a * (now / before).ln();
                gain += part;
                size += part.abs();
            }
            let rounding = 4.0 * f64::EPSILON * size;
            let enough = gain >= 1e-4 * length * slope && gain > rounding;
            if error_now.is_finite() && (enough || error_now < 0.5 * error || (gain >= -rounding && error_now < error)) {
                *scalings = trial;
                self.damping = if length < 0.99 { (4.0 * self.damping).max(1e-7) } else { 0.2 * self.damping };
                if self.damping < 1e-12 {
                    self.damping = 0.0;
                }
                return Ok(true);
            }
            length *= 0.3;
        }
        self.damping = (10.0 * self.damping).max(1e-4);
        Ok(false)
    }
}

/// The entries of the plan of at least `theta a_i / m`, or `None` if they are too many.
fn kept(
    run: &Run<'_>,
    gibbs: &Gibbs,
    scalings: &Scalings,
    theta: f64,
) -> Result<Option<Csr>, Error> {
    let (n, m) = (scalings.u.len(), scalings.v.len());
    let share = theta / m as f64;
    let row = |i: usize, out: &mut [f64]| {
        out.copy_from_slice(&gibbs.plan[i * m..(i + 1) * m]);
        linear::multiply_by(&scalings.v, out);
    };
    let threshold = |i: usize| {
        let weight = run.problem.a[i];
        if weight > 0.0 { share * weight / scalings.u[i] } else { f64::INFINITY }
    };
    // A look at some rows first.
    const SAMPLE: usize = 32;
    let (mut columns, mut values) = (vec![], vec![]);
    let mut scratch = vec![0.0; m];
    let step = n.div_ceil(SAMPLE).max(1);
    for i in (0..n).step_by(step) {
        row(i, &mut scratch);
        select::collect_above(&scratch, threshold(i), 0, &mut columns, &mut values);
    }
    if values.len() as f64 > SPARSE_UP_TO * m as f64 * n.div_ceil(step) as f64 {
        return Ok(None);
    }
    let mut kept = sparsify::above((n, m), threshold, Rows::Computed(&row), run.team, run.stop)?;
    for i in 0..n {
        for value in &mut kept.values[kept.starts[i]..kept.starts[i + 1]] {
            *value *= scalings.u[i];
        }
    }
    Ok(Some(kept))
}

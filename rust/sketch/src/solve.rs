//! Least squares to nearly all digits, with a bound for each coefficient.
//!
//! 1. The means of the columns, if there is an intercept ([`crate::model`]).
//! 2. A few rows tell whether the problem looks well-conditioned; if so, "gram" is tried without a
//!    sketch, which proves it or not. Otherwise a sparse sign sketch of 4 rows for each unknown, or A
//!    itself where it has few rows; its QR factors give the rank, the condition number and X
//!    ([`crate::precondition`]). Cost n d z. Where that sketch misses a direction, another of 8 rows.
//! 3. "gram": `G = A'A` by blocks, n d^2 operations, and X anew from its Cholesky factor, where the
//!    rounding of G can be bounded well below its smallest eigenvalue, at condition numbers up to some
//!    10^5. Otherwise, or where that fails, "cholesky-qr": `C = (A X)'(A X)`, 2 n d^2 operations with
//!    triangular X: randomised Cholesky QR, in which rounding does not grow with the condition number
//!    squared (Higgins, Szyld, Boman and Yamazaki, "Analysis of randomized Householder-Cholesky QR
//!    factorization with multisketching", 2023).
//! 4. Passes for residual and gradient to twice the working precision ([`crate::gradient`]), each of
//!    which bounds the errors ([`crate::certificate`]) and corrects the coefficients, until the bounds
//!    are within the tolerance. Coefficients are kept to twice the precision meanwhile.
//!
//! What we changed: refinement and certificate are one computation, so that the digits of the answer do
//! not depend on the condition number as long as C can be shown to be positive definite.

use faer::{Mat, MatRef, Side};
use sparrot_foundation::{Error, Status, Stop, Team, memory};

use crate::answer::{Answer, Point, assemble};
use crate::certificate::{Certificate, gram_error};
use crate::gradient::{Gradient, Twofold, gradients};
use crate::kind::{Kind, sketch};
use crate::model::{Problem, Shifted};
use crate::precondition::{NORMS, Preconditioner, condition, precondition, unit};
use crate::products::{products, summed};
use crate::rows::{Rows, not_finite};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether the Gram matrix may be tried.
    pub gram: bool,
    /// Columns whose part that others do not explain is below this, relative to the largest, are taken
    /// for dependent; columns are scaled to unit norm first.
    pub rcond: f64,
    /// For the bounds, relative to the largest coefficient, each times the norm of its column.
    pub tol: f64,
    /// Passes of refinement, at most.
    pub max_passes: usize,
    /// Of the sketch.
    pub seed: u64,
}

/// Entries in each column of the sketch, and so many rows for each unknown.
const NONZEROS: usize = 4;
/// The same of the sketch that follows where that one has missed a direction.
const THOROUGH: usize = 8;
/// Rows for each unknown that tell whether the Gram matrix should be tried first.
const SAMPLED: usize = 2;
/// Coefficients that explain less of a right-hand side than this are measured by it.
pub const NOTHING: f64 = 1e-8;
/// The Gram matrix serves where its error is below this share of its smallest eigenvalue.
const SAFE: f64 = 0.1;

/// See the page.
///
/// # Errors
/// [`Error::InvalidInput`] names an entry that is not finite or a column whose scale is out of range;
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn solve(
    problem: Problem<'_>,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Answer, Error> {
    let rows = Shifted::new(problem, team, stop)?;
    let passes = usize::from(problem.intercept);
    Run { rows, settings, team, stop, passes }.solve()
}

/// The preconditioner from a sketch, and how many rows that had; 0 where A was factored itself.
///
/// # Errors
/// As [`solve`].
pub fn start(
    rows: &Shifted<'_>,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(Preconditioner, usize), Error> {
    start_with(rows, NONZEROS, settings, team, stop)
}

/// The same with so many rows for each unknown, and entries in each column.
fn start_with(
    rows: &Shifted<'_>,
    nonzeros: usize,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(Preconditioner, usize), Error> {
    let problem = rows.problem;
    let (n, p, d) = (rows.rows(), rows.columns(), problem.a.columns());
    let size = nonzeros * p;
    let sketch_rows = if n <= 2 * size { 0 } else { size };
    let mut k = if sketch_rows > 0 {
        let kind = Kind::SparseSign { nonzeros };
        sketch(rows, kind, size, settings.seed, 0, team, stop)
            .map_err(|error| renamed(error, rows))?
    } else {
        let mut all: Vec<f64> = memory::zeros("the factors of A", n, p)?;
        rows.fill(0, 0..p, &mut all);
        all
    };
    if !k.iter().all(|v| v.is_finite()) {
        return Err(not_finite(problem.a, "A"));
    }
    let root = problem.ridge.sqrt();
    if root > 0.0 {
        for j in 0..d {
            let row = k.len();
            k.resize(row + p, 0.0);
            k[row + j] = root;
        }
    }
    stop.poll()?;
    Ok((precondition(&k, p, d, settings.rcond, stop)?, sketch_rows))
}

/// The error of a sketch of the shifted matrix, in terms of the matrix.
fn renamed(error: Error, rows: &Shifted<'_>) -> Error {
    match error {
        Error::InvalidInput { .. } => not_finite(rows.problem.a, "A"),
        other => other,
    }
}

struct Run<'a, 'b> {
    rows: Shifted<'a>,
    settings: &'b Settings,
    team: &'b Team,
    stop: &'b Stop<'b>,
    passes: usize,
}

impl Run<'_, '_> {
    fn solve(mut self) -> Result<Answer, Error> {
        let p = self.rows.columns();
        if self.settings.gram && self.looks_well_conditioned() {
            let all: Vec<usize> = (0..p).collect();
            if let Some(found) = self.by_gram(&all)? {
                let answer = self.refine(found.certificate, found.x, true, &[])?;
                return Ok(self.told(answer, p, found.condition, "gram", 0));
            }
        }
        let (mut start, mut sketch_rows) = self.sketched(NONZEROS)?;
        let (mut inactive, promises) = (self.inactive(&start)?, self.promises(&start));
        let tries = self.settings.gram && start.is_full() && promises && sketch_rows > 0;
        if tries && let Some(found) = self.by_gram(&start.active)? {
            let answer = self.refine(found.certificate, found.x, true, &inactive)?;
            return Ok(self.told(answer, start.rank(), start.condition, "gram", sketch_rows));
        }
        let mut found = self.by_products(start.x.clone())?;
        if found.0.least == 0.0 && sketch_rows > 0 {
            let (other, more_rows) = self.sketched(THOROUGH)?;
            let other_found = self.by_products(other.x.clone())?;
            if other_found.0.least > 0.0 {
                inactive = self.inactive(&other)?;
                (start, sketch_rows, found) = (other, more_rows, other_found);
            }
        }
        let answer = self.refine(found.0, found.1, start.is_full(), &inactive)?;
        Ok(self.told(answer, start.rank(), start.condition, "cholesky-qr", sketch_rows))
    }

    /// The answer with what is known besides; the column of ones is not one of A.
    fn told(
        &self,
        answer: Answer,
        rank: usize,
        condition: f64,
        method: &'static str,
        sketch_rows: usize,
    ) -> Answer {
        let rank = rank - usize::from(self.rows.problem.intercept);
        Answer { rank, condition, method, sketch_rows, ..answer }
    }

    fn sketched(&mut self, nonzeros: usize) -> Result<(Preconditioner, usize), Error> {
        self.passes += 1;
        start_with(&self.rows, nonzeros, self.settings, self.team, self.stop)
    }

    /// The columns that are 0.
    fn inactive(&self, start: &Preconditioner) -> Result<Vec<usize>, Error> {
        let inactive: Vec<usize> =
            (0..self.rows.columns()).filter(|j| !start.active.contains(j)).collect();
        self.require_zero(&inactive)?;
        Ok(inactive)
    }

    /// Whether the Gram matrix will probably serve, by what is known from a sketch.
    fn promises(&self, start: &Preconditioner) -> bool {
        let summed = summed(self.rows.rows(), self.rows.columns());
        gram_error(&start.x, &start.norms, summed) < 0.5 * SAFE
    }

    /// The same by a few rows: nothing is read off them but that.
    fn looks_well_conditioned(&self) -> bool {
        let (rows, n, p) = (&self.rows, self.rows.rows(), self.rows.columns());
        let count = SAMPLED * p;
        if n <= 2 * NONZEROS * p {
            return false;
        }
        let scale = (n as f64 / count as f64).sqrt();
        let mut sample = vec![0.0; count * p];
        for (q, row) in sample.chunks_exact_mut(p).enumerate() {
            rows.fill(q * n / count, 0..p, row);
            row.iter_mut().for_each(|v| *v *= scale);
        }
        let sample = MatRef::from_row_major_slice(&sample, count, p);
        let mut gram = sample.transpose() * sample;
        (0..rows.problem.a.columns()).for_each(|j| gram[(j, j)] += rows.problem.ridge);
        let norms: Vec<f64> = (0..p).map(|j| gram[(j, j)].sqrt()).collect();
        let all: Vec<usize> = (0..p).collect();
        let x = inverse_factor(&gram, &all).map(|(x, _)| x);
        x.is_some_and(|x| gram_error(&x, &norms, summed(n, p)) < 0.5 * SAFE)
    }

    /// Raises unless these columns, whose sketch is 0, are 0 in every row that counts.
    fn require_zero(&self, columns: &[usize]) -> Result<(), Error> {
        let problem = &self.rows.problem;
        for j in columns {
            let mut block = vec![0.0; 4096];
            for first in (0..problem.a.rows()).step_by(block.len()) {
                self.stop.poll()?;
                let count = block.len().min(problem.a.rows() - first);
                problem.a.fill(first, *j..*j + 1, &mut block[..count]);
                let counts = |i: usize| problem.weights.is_none_or(|w| w[first + i] > 0.0);
                let mut values = block[..count].iter().enumerate();
                if values.any(|(i, v)| *v != self.rows.means[*j] && counts(i)) {
                    let message = format!("has a column, {j}, that is too small: scale it");
                    return Err(Error::invalid("A", message));
                }
            }
        }
        Ok(())
    }

    /// From the Gram matrix: none if it is not safely positive definite.
    fn by_gram(&mut self, active: &[usize]) -> Result<Option<ByGram>, Error> {
        let (rows, p) = (&self.rows, self.rows.columns());
        let found = products(rows, None, self.team, self.stop)?;
        self.passes += 1;
        let (d, ridge) = (rows.problem.a.columns(), rows.problem.ridge);
        let mut gram = found.gram;
        (0..d).for_each(|j| gram[(j, j)] += ridge);
        let norms: Vec<f64> = (0..p).map(|j| gram[(j, j)].sqrt()).collect();
        if active.iter().any(|j| !NORMS.contains(&norms[*j])) {
            return Ok(None);
        }
        let Some((x, t)) = inverse_factor(&gram, active) else { return Ok(None) };
        self.stop.poll()?;
        let error = gram_error(&x, &norms, found.summed);
        let made = Certificate::of_gram(rows, x.clone(), &gram, &found.squares, found.summed);
        let Some(certificate) = made.filter(|c| c.least > 0.0 && error < SAFE) else {
            return Ok(None);
        };
        let counted = active.iter().filter(|j| **j < d).count();
        let condition = condition(t.get(.., 0..counted), x.get(0..d, ..));
        let x = self.started(&certificate, &(x.transpose() * found.cross));
        Ok(Some(ByGram { certificate, x, condition }))
    }

    /// From A X.
    fn by_products(&mut self, x: Mat<f64>) -> Result<(Certificate, Vec<Twofold>), Error> {
        let found = products(&self.rows, Some(&x), self.team, self.stop)?;
        self.passes += 1;
        let certificate = Certificate::of_products(&self.rows, x, &found)
            .ok_or_else(|| Error::invalid("A", "has products that are not finite: scale it"))?;
        self.stop.poll()?;
        let start = self.started(&certificate, &found.cross);
        Ok((certificate, start))
    }

    /// The coefficients by the normal equations of A X.
    fn started(&self, certificate: &Certificate, cross: &Mat<f64>) -> Vec<Twofold> {
        let (rows, p) = (&self.rows, self.rows.columns());
        let d = rows.problem.a.columns();
        let y = certificate.solve(cross);
        (0..rows.problem.targets)
            .map(|t| {
                let mut x =
                    Twofold { high: (0..p).map(|j| y[(j, t)]).collect(), low: vec![0.0; p] };
                if rows.problem.intercept {
                    let mean: f64 = rows.means.iter().zip(&x.high).map(|(m, x)| m * x).sum();
                    x.high[d] += rows.target_means[t] - mean;
                }
                x
            })
            .collect()
    }

    fn refine(
        &mut self,
        certificate: Certificate,
        mut x: Vec<Twofold>,
        is_full: bool,
        inactive: &[usize],
    ) -> Result<Answer, Error> {
        let (rows, d) = (&self.rows, self.rows.problem.a.columns());
        let k = rows.problem.targets;
        let counts = |i: usize| rows.problem.weights.is_none_or(|w| w[i] > 0.0);
        let is_zero = |t: usize| {
            let mut column = rows.problem.b.iter().skip(t).step_by(k).enumerate();
            column.all(|(i, b)| *b == 0.0 || !counts(i))
        };
        let zero: Vec<bool> = (0..k).map(is_zero).collect();
        let (mut before, mut status) = (f64::INFINITY, Status::MaxIter);
        let mut answer = None;
        for pass in 1..=self.settings.max_passes {
            let found = gradients(&rows.problem, &x, self.team, self.stop)?;
            self.passes += 1;
            if !found.iter().all(|g| g.residual.is_finite() && g.target.is_finite()) {
                let message = "has residuals whose squares overflow: scale it";
                return Err(Error::invalid("b", message));
            }
            let mut steps: Vec<_> =
                (0..k).map(|t| certificate.step(rows, &x[t], &found[t])).collect();
            for step in steps.iter_mut().enumerate().filter(|(t, _)| zero[*t]).map(|(_, s)| s) {
                // And so are the coefficients, exactly.
                step.bounds.fill(0.0);
                step.after.fill(0.0);
            }
            let next: Vec<Point> =
                (0..k).map(|t| Point::after(rows, &x[t], &steps[t], &found[t])).collect();
            let here: Vec<Point> = x
                .into_iter()
                .enumerate()
                .map(|(t, x)| Point::at(x, &steps[t], &found[t]))
                .collect();
            let error = |points: &[Point]| {
                let one = |(point, found): (&Point, &Gradient)| {
                    let least = NOTHING * found.target.sqrt();
                    certificate.relative(&point.bounds[..d], &point.x.high[..d], least)
                };
                points.iter().zip(&found).map(one).fold(0.0, f64::max)
            };
            // What the step leads to is known as well as it will be, unless hardly anything is left of
            // the residual's norm to tell it from.
            let is_known = (0..k).all(|t| next[t].residual >= 0.5 * here[t].residual);
            for (points, _) in [(&here, true), (&next, is_known)].iter().filter(|(_, known)| *known)
            {
                let error = error(points);
                if answer.as_ref().is_none_or(|a: &Answer| error <= a.error || a.error.is_nan()) {
                    let better = assemble(d, rows.problem.intercept, points);
                    answer = Some(Answer { error, ..better });
                }
            }
            if answer.as_ref().is_some_and(|a| a.error <= self.settings.tol) {
                status = Status::Converged;
                break;
            }
            // What is left no longer falls: neither the bounds nor the gradient get better.
            let size: f64 = steps.iter().map(|s| s.size * s.size).sum::<f64>().sqrt();
            let falls = size < 0.5 * before;
            let is_rounding = steps.iter().all(|step| step.size <= step.doubt);
            if (pass > 2 && !falls) || is_rounding {
                status = Status::Stalled;
                break;
            }
            before = size;
            x = next.into_iter().map(|point| point.x).collect();
        }
        let mut answer = answer.ok_or_else(|| Error::invalid("max_passes", "is 0: needs one"))?;
        // Where nothing can be proven, more passes would not help.
        answer.status = if answer.error.is_finite() { status } else { Status::Stalled };
        answer.passes = self.passes;
        answer.undetermined(inactive, is_full, rows.problem.intercept);
        Ok(answer)
    }
}

/// What the Gram matrix gives: also coefficients to begin with, and the condition number.
struct ByGram {
    certificate: Certificate,
    x: Vec<Twofold>,
    condition: f64,
}

/// With `L L' = D G D` for some of the columns, D powers of 2: `X = D L'^-1`, upper triangular, zero in
/// the rows of the others; and `T = L' D^-1`. None if G is not positive definite.
fn inverse_factor(gram: &Mat<f64>, active: &[usize]) -> Option<(Mat<f64>, Mat<f64>)> {
    let a = active.len();
    let scales: Vec<f64> = active.iter().map(|j| unit(gram[(*j, *j)].sqrt())).collect();
    let scaled = Mat::from_fn(a, a, |i, j| scales[i] * gram[(active[i], active[j])] * scales[j]);
    let factor = scaled.llt(Side::Lower).ok()?;
    let mut inverse = Mat::identity(a, a);
    factor.L().solve_lower_triangular_in_place(inverse.as_mut());
    let mut x = Mat::zeros(gram.nrows(), a);
    for (i, row) in active.iter().enumerate() {
        (i..a).for_each(|j| x[(*row, j)] = scales[i] * inverse[(j, i)]);
    }
    let t = Mat::from_fn(a, a, |i, j| if i <= j { factor.L()[(j, i)] / scales[j] } else { 0.0 });
    Some((x, t))
}

//! Least squares to nearly all digits, with a bound for each coefficient.
//!
//! 1. The means of the columns, if there is an intercept ([`crate::model`]).
//! 2. A sample of 4 rows for each unknown, a sketch where that does not show full rank, or A itself where
//!    it has few rows ([`crate::start`]); QR factors give the rank, the condition number and X
//!    ([`crate::precondition`]). A sample costs no pass, a sketch n d z operations.
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

use faer::{Mat, Side};
use sparrot_foundation::{Error, Status, Stop, Team};

use crate::answer::Answer;
use crate::certificate::{Certificate, gram_error};
use crate::gradient::{Twofold, gradient_error, gradients};
use crate::model::{Problem, Shifted};
use crate::precondition::{NORMS, Preconditioner, condition, unit};
use crate::products::{products, summed};
use crate::refine::{Next, Refinement};
use crate::rows::Rows;
use crate::start::{Start, conditioned, start};
use crate::steps::upper_inverse;

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

struct Run<'a, 'b> {
    rows: Shifted<'a>,
    settings: &'b Settings,
    team: &'b Team,
    stop: &'b Stop<'b>,
    passes: usize,
}

impl Run<'_, '_> {
    fn solve(mut self) -> Result<Answer, Error> {
        let Start { by, rows: sketch_rows, passes } =
            start(&self.rows, self.settings, self.team, self.stop)?;
        self.passes += passes;
        let inactive = self.inactive(&by)?;
        let tries = self.settings.gram && by.is_full() && sketch_rows > 0 && self.promises(&by);
        if tries && let Some(found) = self.by_gram(&by.active)? {
            let answer = self.refine(found.certificate, found.x, true, &inactive)?;
            return Ok(self.told(answer, by.rank(), found.condition, "gram", sketch_rows));
        }
        let (rank, is_full) = (by.rank(), by.is_full());
        let found = conditioned(&self.rows, by, self.team, self.stop)?;
        self.passes += found.passes;
        let x = self.started(&found.certificate, &found.cross);
        let answer = self.refine(found.certificate, x, is_full, &inactive)?;
        Ok(self.told(answer, rank, found.condition, "cholesky-qr", sketch_rows))
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

    /// The columns that are 0.
    fn inactive(&self, by: &Preconditioner) -> Result<Vec<usize>, Error> {
        let inactive: Vec<usize> =
            (0..self.rows.columns()).filter(|j| !by.active.contains(j)).collect();
        self.require_zero(&inactive)?;
        Ok(inactive)
    }

    /// Whether the Gram matrix will probably serve, by what is known from some rows or a sketch.
    fn promises(&self, by: &Preconditioner) -> bool {
        let summed = summed(self.rows.rows(), self.rows.columns());
        gram_error(&by.x, &by.norms, summed) < 0.5 * SAFE
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
        let Some([x, t]) = inverse_factor(&gram, active, self.stop)? else { return Ok(None) };
        self.stop.poll()?;
        let error = gram_error(&x, &norms, found.summed);
        let sums = (&found.squares[..], found.summed);
        let made = Certificate::of_gram(rows, x.clone(), &gram, sums, self.stop)?;
        let Some(certificate) = made.filter(|c| c.least > 0.0 && error < SAFE) else {
            return Ok(None);
        };
        let counted = active.iter().filter(|j| **j < d).count();
        let condition = condition(t.get(.., 0..counted), x.get(0..d, ..), self.stop)?;
        let x = self.started(&certificate, &(x.transpose() * found.cross));
        Ok(Some(ByGram { certificate, x, condition }))
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
        let (rows, k) = (&self.rows, self.rows.problem.targets);
        let counts = |i: usize| rows.problem.weights.is_none_or(|w| w[i] > 0.0);
        let is_zero = |t: usize| {
            let mut column = rows.problem.b.iter().skip(t).step_by(k).enumerate();
            column.all(|(i, b)| *b == 0.0 || !counts(i))
        };
        let zero: Vec<bool> = (0..k).map(is_zero).collect();
        let accuracy = gradient_error(rows.problem.a.rows(), rows.columns() * k);
        let mut refinement = Refinement {
            certificate: &certificate,
            frame: rows.frame(),
            zero: &zero,
            tol: self.settings.tol,
            size: f64::INFINITY,
            looks: 0,
            best: None,
        };
        let mut status = Status::MaxIter;
        for _ in 0..self.settings.max_passes {
            let found = gradients(&rows.problem, &x, self.team, self.stop)?;
            self.passes += 1;
            match refinement.take(x, &found, accuracy)? {
                Next::Look(next) => x = next,
                Next::Done(ended) => {
                    status = ended;
                    break;
                }
            }
        }
        let mut answer =
            refinement.best.ok_or_else(|| Error::invalid("max_passes", "is 0: needs one"))?;
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
///
/// # Errors
/// [`Error::Interrupted`].
fn inverse_factor(
    gram: &Mat<f64>,
    active: &[usize],
    stop: &Stop<'_>,
) -> Result<Option<[Mat<f64>; 2]>, Error> {
    let a = active.len();
    let scales: Vec<f64> = active.iter().map(|j| unit(gram[(*j, *j)].sqrt())).collect();
    let scaled = Mat::from_fn(a, a, |i, j| scales[i] * gram[(active[i], active[j])] * scales[j]);
    let Ok(factor) = scaled.llt(Side::Lower) else { return Ok(None) };
    let inverse = upper_inverse(factor.L().transpose(), stop)?;
    let mut x = Mat::zeros(gram.nrows(), a);
    for (i, row) in active.iter().enumerate() {
        (i..a).for_each(|j| x[(*row, j)] = scales[i] * inverse[(i, j)]);
    }
    let t = Mat::from_fn(a, a, |i, j| if i <= j { factor.L()[(j, i)] / scales[j] } else { 0.0 });
    Ok(Some([x, t]))
}

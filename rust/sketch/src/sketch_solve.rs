//! Sketch and solve: least squares on S A and S b, in one pass.
//!
//! Where S is Gaussian, S r is independent of S A for the residual r of the exact solution, and so
//!
//! ```text
//! x' - x*  is normal given S A, with covariance  |r|^2 / m  ((S A)'(S A))^-1,
//! |S(A x' - b)|^2  is  |r|^2 / m  times chi^2 with m - d degrees of freedom, independent of it:
//! ```
//!
//! the intervals of classical regression, for the error of sketching. With a quantile of Student's t
//! for `delta / (2 d k)` they hold for all coefficients at once with probability 1 - delta; for other
//! dense sketches nearly, as their rows are nearly Gaussian. With `m - d = 2 d log(2 d / delta) / eps^2`
//! rows they are at most about `eps / sqrt(d) |r| |A^+|`, and `|A x' - b|^2` exceeds its minimum by a
//! share of about `eps^2 / (2 log(2 d / delta))` on average. With a ridge they are estimates without such a proof.

use std::ops::Range;

use sparrot_foundation::{Error, Stop, Team};

use crate::answer::Answer;
use crate::kind::{Kind, sketch};
use crate::model::{Problem, Shifted};
use crate::precondition::precondition;
use crate::rows::{Dense, Rows, not_finite};
use crate::solve::{Settings, solve};

/// `sqrt(w_i) [a_i, 1, b_i]`.
struct WithTargets<'a>(Shifted<'a>);

impl Rows for WithTargets<'_> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn columns(&self) -> usize {
        self.0.columns() + self.0.problem.targets
    }

    fn fill(&self, first: usize, columns: Range<usize>, out: &mut [f64]) {
        let (p, k, width) = (self.0.columns(), self.0.problem.targets, columns.len());
        if columns.end <= p {
            return self.0.fill(first, columns, out);
        }
        let inner = columns.start.min(p)..p;
        let targets = columns.start.max(p) - p..columns.end - p;
        let mut room = vec![0.0; out.len() / width * inner.len()];
        self.0.fill(first, inner.clone(), &mut room);
        for (i, row) in out.chunks_exact_mut(width).enumerate() {
            let (values, rest) = row.split_at_mut(inner.len());
            values.copy_from_slice(&room[i * values.len()..(i + 1) * values.len()]);
            let b = &self.0.problem.b[(first + i) * k..(first + i + 1) * k];
            let root = self.0.root(first + i);
            rest.iter_mut().zip(&b[targets.clone()]).for_each(|(r, b)| *r = root * b);
        }
    }
}

/// Solves with a sketch of so many rows; `quantile` is that of Student's t.
///
/// # Errors
/// As [`solve`], and what [`sketch`] says of the size.
pub fn sketch_solve(
    problem: Problem<'_>,
    kind: Kind,
    size: usize,
    quantile: f64,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Answer, Error> {
    let rows = WithTargets(Shifted::unshifted(problem));
    let (d, k) = (problem.a.columns(), problem.targets);
    let (p, width) = (rows.0.columns(), rows.columns());
    let all =
        sketch(&rows, kind, size, settings.seed, 0, team, stop).map_err(|error| match error {
            Error::InvalidInput { argument: "A", .. } => not_finite(problem.a, "A"),
            other => other,
        })?;
    let root = problem.ridge.sqrt();
    let height = size + if root > 0.0 { d } else { 0 };
    let (mut a, mut b) = (vec![0.0; height * p], vec![0.0; height * k]);
    for (i, row) in all.chunks_exact(width).enumerate() {
        a[i * p..(i + 1) * p].copy_from_slice(&row[..p]);
        b[i * k..(i + 1) * k].copy_from_slice(&row[p..]);
    }
    if root > 0.0 {
        (0..d).for_each(|j| a[(size + j) * p + j] = root);
    }
    let small = Problem {
        a: &Dense::new(&a, height, p, false),
        b: &b,
        targets: k,
        weights: None,
        ridge: 0.0,
        intercept: false,
    };
    let found = solve(small, settings, team, stop)?;
    let factor = precondition(a, p, d, settings.rcond, stop)?;
    let freedom = size.saturating_sub(found.rank).max(1) as f64;
    let mut answer = Answer {
        x: found.x[..d * k].to_vec(),
        bounds: vec![0.0; d * k],
        intercepts: vec![0.0; k],
        intercept_bounds: vec![0.0; k],
        residuals: vec![0.0; k],
        rank: found.rank - usize::from(problem.intercept && found.rank > 0),
        error: found.error,
        method: "sketch-solve",
        passes: 1,
        sketch_rows: size,
        ..found.clone()
    };
    for t in 0..k {
        let penalty: f64 = (0..d).map(|j| problem.ridge * found.x[j * k + t].powi(2)).sum();
        let squares = (found.residuals[t].powi(2) - penalty).max(0.0);
        let deviation = (squares / freedom).sqrt();
        answer.residuals[t] = deviation * (size as f64).sqrt();
        let bound = |j: usize| {
            let norm = factor.x.row(j).norm_l2();
            let determined = factor.is_full() || !factor.active.contains(&j);
            if determined { quantile * deviation * norm } else { f64::INFINITY }
        };
        // Of the sketched problem the solution is known as well as that.
        let bound = |j: usize| bound(j) + found.bounds[j * k + t];
        (0..d).for_each(|j| answer.bounds[j * k + t] = bound(j));
        if problem.intercept {
            answer.intercepts[t] = found.x[d * k + t];
            answer.intercept_bounds[t] = bound(d);
        }
    }
    Ok(answer)
}

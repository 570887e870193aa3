//! What least squares come as.

use sparrot_foundation::Status;

use crate::certificate::Step;
use crate::gradient::{Gradient, Twofold};
use crate::refine::Frame;

/// The answer; matrices are row-major.
#[derive(Clone, Debug)]
pub struct Answer {
    /// (d, k).
    pub x: Vec<f64>,
    /// Bounds of the errors of x; infinite where a coefficient is not determined.
    pub bounds: Vec<f64>,
    /// k.
    pub intercepts: Vec<f64>,
    /// Bounds of the errors of the intercepts.
    pub intercept_bounds: Vec<f64>,
    /// `|sqrt(W) (b - A x - c)|` of each right-hand side.
    pub residuals: Vec<f64>,
    /// The rank of A; centred, with an intercept.
    pub rank: usize,
    /// An estimate of its condition number.
    pub condition: f64,
    /// The largest bound in the measure of the tolerance, over right-hand sides.
    pub error: f64,
    /// How it ended.
    pub status: Status,
    /// "gram", "cholesky-qr", "twofold-gram" or "sketch-solve".
    pub method: &'static str,
    /// Passes over the rows.
    pub passes: usize,
    /// Rows of the sample or sketch; 0 if A was taken itself.
    pub sketch_rows: usize,
}

impl Answer {
    /// Says which coefficients are 0 for sure, those of columns of zeros, and that no others are sure if
    /// some columns depend on others.
    pub fn undetermined(&mut self, zero: &[usize], is_full: bool, intercept: bool) {
        let k = self.residuals.len();
        for (j, bounds) in self.bounds.chunks_exact_mut(k.max(1)).enumerate() {
            if zero.contains(&j) {
                bounds.fill(0.0);
            } else if !is_full {
                bounds.fill(f64::INFINITY);
            }
        }
        if !is_full && intercept {
            // It goes by the coefficients: c = c' - mu'x.
            self.intercept_bounds.fill(f64::INFINITY);
        }
    }
}

/// An answer from what is known of each right-hand side.
pub fn assemble(d: usize, intercept: bool, points: &[Point]) -> Answer {
    let k = points.len();
    let mut answer = Answer {
        x: vec![0.0; d * k],
        bounds: vec![0.0; d * k],
        intercepts: vec![0.0; k],
        intercept_bounds: vec![0.0; k],
        residuals: points.iter().map(|point| point.residual).collect(),
        rank: 0,
        condition: 0.0,
        error: 0.0,
        status: Status::MaxIter,
        method: "",
        passes: 0,
        sketch_rows: 0,
    };
    for (t, point) in points.iter().enumerate() {
        for j in 0..d {
            answer.x[j * k + t] = point.x.high[j];
            answer.bounds[j * k + t] = point.bounds[j];
        }
        if intercept {
            answer.intercepts[t] = point.x.high[d];
            answer.intercept_bounds[t] = point.bounds[d];
        }
    }
    answer
}

/// Coefficients of a right-hand side, and what is known of them.
pub struct Point {
    /// They; the intercept last.
    pub x: Twofold,
    /// Bounds of the errors of what is returned, their high parts.
    pub bounds: Vec<f64>,
    /// The norm of the weighted residual.
    pub residual: f64,
}

impl Point {
    /// Where the gradient was computed.
    pub fn at(x: Twofold, step: &Step, found: &Gradient) -> Point {
        Point { x, bounds: step.bounds.clone(), residual: found.residual.sqrt() }
    }

    /// After the step from there.
    pub fn after(frame: &Frame<'_>, from: &Twofold, step: &Step, found: &Gradient) -> Point {
        let mut x = from.clone();
        (0..step.change.len()).for_each(|j| x.add(j, (step.change[j], 0.0)));
        let bounds = step.after.iter().zip(&x.low).map(|(b, low)| b + low.abs()).collect();
        // Of the penalty, |x + dx|^2 - |x|^2.
        let grown: f64 =
            (0..frame.d).map(|j| step.change[j] * (2.0 * from.high[j] + step.change[j])).sum();
        let left = found.residual - step.decrease - frame.ridge * grown;
        Point { x, bounds, residual: left.max(0.0).sqrt() }
    }
}

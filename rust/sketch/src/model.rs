//! The rows of a least squares problem: weighted, centred, with a column of ones for the intercept.
//!
//! ```text
//! minimise  sum_i w_i (b_i - a_i x - c)^2 + ridge |x|^2
//! ```
//!
//! With an intercept c the columns are shifted by their means mu, which changes nothing but the name
//! of the unknown: `A x + c = (A - 1 mu') x + c'`, `c' = c + mu' x`. Any mu will do for that, so that
//! its rounding is no error; a constant column becomes 0.

use std::ops::Range;

use sparrot_foundation::{Error, Stop, Team};

use crate::refine::Frame;
use crate::rows::{Rows, SparseRows};

/// Rows that passes work on together.
pub const BLOCK: usize = 256;

/// Parts of the rows, each a whole number of blocks, that threads take and whose sums are added up in
/// order: few where a sum is large, so that they take no more memory than they must.
pub fn slabs(n: usize, sum: usize) -> Vec<Range<usize>> {
    let count = ((1 << 22) / sum.max(1)).clamp(4, 16);
    let length = n.div_ceil(count).next_multiple_of(BLOCK).max(BLOCK);
    (0..n).step_by(length).map(|first| first..(first + length).min(n)).collect()
}

/// A problem, without what is asked for.
#[derive(Clone, Copy)]
pub struct Problem<'a> {
    /// The matrix, (n, d).
    pub a: &'a dyn Rows,
    /// The right-hand sides, row-major (n, k).
    pub b: &'a [f64],
    /// k.
    pub targets: usize,
    /// Not negative, one for each row.
    pub weights: Option<&'a [f64]>,
    /// Not negative.
    pub ridge: f64,
    /// Whether there is an intercept.
    pub intercept: bool,
}

/// What the passes read: `sqrt(w_i) [a_i - mu, 1]`.
pub struct Shifted<'a> {
    /// The problem.
    pub problem: Problem<'a>,
    /// mu, 0 without an intercept; of the matrix.
    pub means: Vec<f64>,
    /// And of the right-hand sides.
    pub target_means: Vec<f64>,
    /// The sum of the weights.
    pub total: f64,
    roots: Option<Vec<f64>>,
}

impl<'a> Shifted<'a> {
    /// With means of 0.
    pub fn unshifted(problem: Problem<'a>) -> Shifted<'a> {
        Shifted {
            problem,
            means: vec![0.0; problem.a.columns()],
            target_means: vec![0.0; problem.targets],
            total: problem.weights.map_or(problem.a.rows() as f64, |w| w.iter().sum()),
            roots: problem.weights.map(|w| w.iter().map(|w| w.sqrt()).collect()),
        }
    }

    /// Finds the means, if there is an intercept: one pass.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(problem: Problem<'a>, team: &Team, stop: &Stop<'_>) -> Result<Shifted<'a>, Error> {
        let (n, d, k) = (problem.a.rows(), problem.a.columns(), problem.targets);
        let mut shifted = Shifted::unshifted(problem);
        let total = shifted.total;
        if !problem.intercept {
            return Ok(shifted);
        }
        // From a row that counts, so that the mean of a constant column is that constant.
        let first = problem.weights.and_then(|w| w.iter().position(|w| *w > 0.0)).unwrap_or(0);
        let mut origin = vec![0.0; d + k];
        problem.a.fill(first, 0..d, &mut origin[..d]);
        origin[d..].copy_from_slice(&problem.b[first * k..(first + 1) * k]);
        let sums = team.for_work(n * d).run(stop, slabs(n, d), |slab| {
            let mut sums = vec![0.0; d + k];
            let mut room = vec![0.0; BLOCK * d];
            for first in slab.clone().step_by(BLOCK) {
                stop.poll()?;
                let block = &mut room[..BLOCK.min(slab.end - first) * d];
                problem.a.fill(first, 0..d, block);
                for (i, row) in (first..).zip(block.chunks_exact(d)) {
                    let w = problem.weights.map_or(1.0, |w| w[i]);
                    let b = &problem.b[i * k..(i + 1) * k];
                    for ((s, v), o) in sums.iter_mut().zip(row.iter().chain(b)).zip(&origin) {
                        *s += w * (v - o);
                    }
                }
            }
            Ok(sums)
        })?;
        let mut means = origin;
        for sums in sums {
            means.iter_mut().zip(sums?).for_each(|(m, s)| *m += s / total);
        }
        shifted.target_means = means.split_off(d);
        shifted.means = means;
        Ok(shifted)
    }

    /// What bounds have to know.
    pub fn frame(&self) -> Frame<'_> {
        Frame {
            d: self.problem.a.columns(),
            ridge: self.problem.ridge,
            means: self.problem.intercept.then_some(&self.means[..]),
        }
    }

    /// `sqrt(w_i)`.
    pub fn root(&self, i: usize) -> f64 {
        self.roots.as_ref().map_or(1.0, |roots| roots[i])
    }
}

impl Rows for Shifted<'_> {
    fn rows(&self) -> usize {
        self.problem.a.rows()
    }

    fn columns(&self) -> usize {
        self.problem.a.columns() + usize::from(self.problem.intercept)
    }

    fn fill(&self, first: usize, columns: Range<usize>, out: &mut [f64]) {
        let (a, d) = (self.problem.a, self.problem.a.columns());
        if !self.problem.intercept {
            a.fill(first, columns.clone(), out);
        } else {
            let (width, inner) = (columns.len(), columns.start.min(d)..columns.end.min(d));
            let count = out.len() / width.max(1);
            let mut room = vec![0.0; count * inner.len()];
            let has_ones = inner.len() < width;
            let target = if has_ones { &mut room } else { &mut *out };
            a.fill(first, inner.clone(), target);
            if !inner.is_empty() {
                for row in target.chunks_exact_mut(inner.len()) {
                    row.iter_mut().zip(&self.means[inner.clone()]).for_each(|(v, m)| *v -= m);
                }
            }
            if has_ones {
                for (i, row) in out.chunks_exact_mut(width).enumerate() {
                    let (values, one) = row.split_at_mut(inner.len());
                    values.copy_from_slice(&room[i * values.len()..(i + 1) * values.len()]);
                    one.fill(1.0);
                }
            }
        }
        if let (Some(roots), false) = (&self.roots, columns.is_empty()) {
            for (row, root) in out.chunks_exact_mut(columns.len()).zip(&roots[first..]) {
                row.iter_mut().for_each(|v| *v *= root);
            }
        }
    }

    fn lines(&self, first: usize, count: usize) -> Option<&[f64]> {
        let is_same = !self.problem.intercept && self.roots.is_none();
        if is_same { self.problem.a.lines(first, count) } else { None }
    }

    fn sparse(&self) -> Option<SparseRows<'_>> {
        if self.problem.intercept || self.roots.is_some() { None } else { self.problem.a.sparse() }
    }
}

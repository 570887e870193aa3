//! A tall matrix as the passes over it read it: by blocks of rows, in double precision.

use std::ops::Range;

use sparrot_foundation::{Error, Scalar};
use sparrot_sparse::Compressed;

/// A matrix whose rows can be had by blocks, in any order and by several threads at once.
pub trait Rows: Sync {
    /// The number of rows.
    fn rows(&self) -> usize;
    /// The number of columns.
    fn columns(&self) -> usize;
    /// Writes some columns of the rows from `first` on: row-major, `out.len() / columns.len()` rows.
    fn fill(&self, first: usize, columns: Range<usize>, out: &mut [f64]);
    /// So many rows from `first` on as they are stored, if that is row-major and in f64.
    fn lines(&self, _first: usize, _count: usize) -> Option<&[f64]> {
        None
    }
    /// The same matrix by compressed rows of f64 or f32, if it is one.
    fn sparse(&self) -> Option<SparseRows<'_>> {
        None
    }
}

/// Rows from `first` on, at most so many of those before `end`, as they are stored: for those who ask for
/// them ahead of their use; nothing if they are not stored so.
pub fn ahead(rows: &dyn Rows, first: usize, count: usize, end: usize) -> &[f64] {
    let first = first.min(end);
    rows.lines(first, count.min(end - first)).unwrap_or(&[])
}

/// A sparse matrix of either precision.
#[derive(Clone, Copy, Debug)]
pub enum SparseRows<'a> {
    /// f32.
    Single(Compressed<'a, f32>),
    /// f64.
    Double(Compressed<'a, f64>),
}

impl SparseRows<'_> {
    /// Gives the entries `(column, value)` of a row to `visit`.
    #[inline]
    pub fn for_row(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        match self {
            SparseRows::Single(rows) => {
                let (columns, values) = rows.line(i);
                columns.iter().zip(values).for_each(|(j, v)| visit(*j as usize, f64::from(*v)));
            }
            SparseRows::Double(rows) => {
                let (columns, values) = rows.line(i);
                columns.iter().zip(values).for_each(|(j, v)| visit(*j as usize, *v));
            }
        }
    }
}

/// A dense matrix, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    by_columns: bool,
}

impl<'a, T: Scalar> Dense<'a, T> {
    /// Of `rows * columns` values: one row after the other, or one column.
    pub fn new(values: &'a [T], rows: usize, columns: usize, by_columns: bool) -> Dense<'a, T> {
        assert_eq!(values.len(), rows * columns);
        Dense { values, rows, columns, by_columns }
    }
}

/// Rows of a matrix by columns that are copied at a time: a line of the cache for f64.
const STRIP: usize = 8;

impl<T: Scalar> Rows for Dense<'_, T> {
    fn lines(&self, first: usize, count: usize) -> Option<&[f64]> {
        let d = self.columns;
        let all = if self.by_columns { None } else { T::as_doubles(self.values) };
        all.map(|all| &all[first * d..(first + count) * d])
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn fill(&self, first: usize, columns: Range<usize>, out: &mut [f64]) {
        let width = columns.len();
        if width == 0 {
            return;
        }
        if !self.by_columns {
            for (i, out) in out.chunks_exact_mut(width).enumerate() {
                let start = (first + i) * self.columns;
                let row = &self.values[start + columns.start..start + columns.end];
                out.iter_mut().zip(row).for_each(|(o, v)| *o = v.to_f64());
            }
            return;
        }
        for (k, strip) in out.chunks_mut(STRIP * width).enumerate() {
            let top = first + k * STRIP;
            let count = strip.len() / width;
            for (j, column) in columns.clone().enumerate() {
                let values = &self.values[column * self.rows + top..][..count];
                for (out, v) in strip[j..].iter_mut().step_by(width).zip(values) {
                    *out = v.to_f64();
                }
            }
        }
    }
}

/// A matrix by compressed rows, borrowed, with its number of columns.
#[derive(Clone, Copy, Debug)]
pub struct Sparse<'a>(pub SparseRows<'a>, pub usize);

impl Rows for Sparse<'_> {
    fn rows(&self) -> usize {
        match self.0 {
            SparseRows::Single(rows) => rows.lines(),
            SparseRows::Double(rows) => rows.lines(),
        }
    }

    fn columns(&self) -> usize {
        self.1
    }

    fn fill(&self, first: usize, columns: Range<usize>, out: &mut [f64]) {
        out.fill(0.0);
        let width = columns.len().max(1);
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            self.0.for_row(first + i, |j, v| {
                if columns.contains(&j) {
                    out[j - columns.start] = v;
                }
            });
        }
    }

    fn sparse(&self) -> Option<SparseRows<'_>> {
        Some(self.0)
    }
}

/// Rows that are looked at together.
const SCAN: usize = 256;

/// Names the first entry that is not finite, if there is one; for when a sum was not.
pub fn not_finite(rows: &dyn Rows, argument: &'static str) -> Error {
    let (n, d) = (rows.rows(), rows.columns());
    let mut block = vec![0.0; SCAN * d];
    for first in (0..n).step_by(SCAN) {
        let block = &mut block[..SCAN.min(n - first) * d];
        rows.fill(first, 0..d, block);
        if let Some(k) = block.iter().position(|v| !v.is_finite()) {
            let (i, j) = (first + k / d, k % d);
            let message = format!("contains {} at index ({i}, {j}): needs finite values", block[k]);
            return Error::invalid(argument, message);
        }
    }
    Error::invalid(argument, "has entries whose sums overflow: scale it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_gives_the_same_rows() {
        let (n, d) = (21, 5);
        let value =
            |i: usize, j: usize| if (i + j).is_multiple_of(3) { 0.0 } else { (i * d + j) as f64 };
        let by_rows: Vec<f64> = (0..n * d).map(|k| value(k / d, k % d)).collect();
        let by_columns: Vec<f32> = (0..n * d).map(|k| value(k % n, k / n) as f32).collect();
        let (mut starts, mut indices, mut values) = (vec![0u32], vec![], vec![]);
        for i in 0..n {
            for j in (0..d).filter(|j| value(i, *j) != 0.0) {
                indices.push(j as u32);
                values.push(value(i, j));
            }
            starts.push(indices.len() as u32);
        }
        let compressed = Compressed { starts: &starts, indices: &indices, values: &values };
        let all: [&dyn Rows; 3] = [
            &Dense::new(&by_rows, n, d, false),
            &Dense::new(&by_columns, n, d, true),
            &Sparse(SparseRows::Double(compressed), d),
        ];
        for rows in all {
            assert_eq!((rows.rows(), rows.columns()), (n, d));
            for (first, count, columns) in
                [(0, 21, 0..5), (3, 10, 1..4), (20, 1, 4..5), (5, 0, 0..5)]
            {
                let width = columns.len();
                let mut out = vec![-1.0; count * width];
                rows.fill(first, columns.clone(), &mut out);
                for (k, out) in out.iter().enumerate() {
                    assert_eq!(*out, value(first + k / width, columns.start + k % width));
                }
            }
        }
    }
}

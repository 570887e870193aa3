//! The columns that are being worked with, and their Gram matrix.
//!
//! Of dense data the columns are copied, centred and weighted, so that products between them are
//! those of dense matrices, by faer; of sparse data they are summed row by row.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use sparrot_design::{Element, Moments};
use sparrot_foundation::{Error, Stop, memory};

use crate::data::Data;
use crate::model::Settings;

/// Columns that join the set at once, at least.
const JOIN: usize = 64;
/// A column violates its condition by more than this share of lambda.
const EXCESS: f64 = 1e-12;

/// The columns that join the set, ascending: of those outside the ones that violate their
/// conditions most, by `(|h| - lambda) / |x|`; `most` of them, or `JOIN` if that is more.
pub fn violators(
    outside: impl Iterator<Item = u32>,
    products: &[f64],
    moments: &[Moments],
    settings: &Settings<'_>,
    most: usize,
) -> Vec<u32> {
    let score = |j: u32| {
        let lambda = settings.lambda_of(j);
        let (product, squares) = (products[j as usize], moments[j as usize].squares);
        let excess = if settings.positive { product } else { product.abs() };
        if squares <= 0.0 || excess <= lambda * (1.0 + EXCESS) {
            0.0
        } else if lambda == 0.0 {
            f64::INFINITY
        } else {
            (excess - lambda) / squares.sqrt()
        }
    };
    let mut new: Vec<(f64, u32)> =
        outside.map(|j| (score(j), j)).filter(|(s, _)| *s > 0.0).collect();
    let most = JOIN.max(most);
    let better = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if new.len() > most {
        new.select_nth_unstable_by(most, better);
        new.truncate(most);
    }
    let mut new: Vec<u32> = new.into_iter().map(|(_, j)| j).collect();
    new.sort_unstable();
    new
}

/// The set. Variables are only added; what is said of them is in the order of their coming.
#[derive(Default)]
pub struct WorkingSet {
    /// Which columns of the data they are.
    pub variables: Vec<u32>,
    /// Whether a column of the data is in the set.
    pub holds: Vec<bool>,
    /// Dense columns.
    columns: Vec<f64>,
    gram: Vec<f64>,
    stride: usize,
}

impl WorkingSet {
    /// An empty set of some of p columns.
    pub fn new(p: usize) -> WorkingSet {
        WorkingSet { holds: vec![false; p], ..WorkingSet::default() }
    }

    /// The number of variables.
    pub fn len(&self) -> usize {
        self.variables.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// A column of the Gram matrix.
    pub fn gram(&self, k: usize) -> &[f64] {
        &self.gram[k * self.stride..k * self.stride + self.len()]
    }

    /// Adds columns that are not there, and their products with all.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn add<T: Element>(
        &mut self,
        data: &Data<'_, T>,
        new: &[u32],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        let before = self.len();
        self.reserve(before + new.len())?;
        self.variables.extend_from_slice(new);
        new.iter().for_each(|j| self.holds[*j as usize] = true);
        if data.design.is_sparse() {
            self.multiply_sparse(data, before, stop)?;
        } else {
            self.multiply_dense(data, before, new, stop)?;
        }
        for j in before..self.len() {
            for i in 0..before {
                self.gram[i * self.stride + j] = self.gram[j * self.stride + i];
            }
        }
        Ok(())
    }

    /// The residual of a response, centred and weighted, at these coefficients.
    pub fn residual<T: Element>(&self, data: &Data<'_, T>, y: &[f64], w: &[f64], out: &mut [f64]) {
        if data.design.is_sparse() {
            let used = self.variables.iter().zip(w).filter(|(_, w)| **w != 0.0);
            return data.residual(y, used.map(|(j, w)| (*j as usize, *w)), out);
        }
        out.copy_from_slice(y);
        for (column, w) in self.columns.chunks(out.len()).zip(w).filter(|(_, w)| **w != 0.0) {
            sparrot_simd::linear::axpy(-w, column, out);
        }
    }

    fn reserve(&mut self, size: usize) -> Result<(), Error> {
        if size <= self.stride {
            return Ok(());
        }
        let stride = (size + size / 2).max(128);
        let mut gram = memory::zeros("the Gram matrix of the working set", stride, stride)?;
        for k in 0..self.len() {
            gram[k * stride..k * stride + self.len()].copy_from_slice(self.gram(k));
        }
        self.gram = gram;
        self.stride = stride;
        Ok(())
    }

    fn multiply_dense<T: Element>(
        &mut self,
        data: &Data<'_, T>,
        before: usize,
        new: &[u32],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        /// Columns between polls.
        const STRIP: usize = 64;
        let n = data.y.len();
        for j in new {
            let start = self.columns.len();
            self.columns.resize(start + n, 0.0);
            data.column(*j as usize, &mut self.columns[start..]);
        }
        let (size, stride) = (self.len(), self.stride);
        let all = MatRef::from_column_major_slice(&self.columns, n, size);
        for first in (before..size).step_by(STRIP) {
            stop.poll()?;
            let count = STRIP.min(size - first);
            // With those before and in the strip; those after it follow by symmetry.
            let rows = first + count;
            let out = MatMut::from_column_major_slice_with_stride_mut(
                &mut self.gram[first * stride..],
                rows,
                count,
                stride,
            );
            let (left, right) = (all.subcols(0, rows).transpose(), all.subcols(first, count));
            matmul(out, Accum::Replace, left, right, 1.0, Par::Seq);
            for j in first..rows {
                for i in before..first {
                    self.gram[i * stride + j] = self.gram[j * stride + i];
                }
            }
        }
        Ok(())
    }

    /// Row by row: a row takes part in the products of the pairs of its entries, which are far fewer
    /// than all pairs of columns.
    fn multiply_sparse<T: Element>(
        &mut self,
        data: &Data<'_, T>,
        before: usize,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        /// Rows between polls.
        const ROWS: usize = 256;
        let (rows, means) = self.rows(data);
        for (i, row) in rows.windows().enumerate() {
            if i % ROWS == 0 {
                stop.poll()?;
            }
            let weight = data.roots[i] * data.roots[i];
            let first = row.partition_point(|(k, _)| (*k as usize) < before);
            for (at, (k, x)) in row.iter().enumerate().skip(first) {
                let products = &mut self.gram[*k as usize * self.stride..][..*k as usize + 1];
                for (q, y) in &row[..=at] {
                    products[*q as usize] += weight * x * y;
                }
            }
        }
        for k in before..self.len() {
            for q in 0..=k {
                let shift = data.total * means[k] * means[q];
                let product = self.gram[k * self.stride + q] - shift;
                self.gram[k * self.stride + q] = product;
                self.gram[q * self.stride + k] = product;
            }
        }
        Ok(())
    }

    /// The entries of the set by rows, in the order of the set, and what centring still has to take
    /// from its columns.
    fn rows<T: Element>(&self, data: &Data<'_, T>) -> (Rows, Vec<f64>) {
        let mut starts = vec![0usize; data.y.len() + 1];
        for j in &self.variables {
            data.design.for_column(*j as usize, |i, _| starts[i + 1] += 1);
        }
        for i in 0..data.y.len() {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0u32, 0.0); starts[data.y.len()]];
        let mut fill = |(k, j): (usize, &u32)| {
            data.entries(*j as usize, |i, x| {
                entries[next[i]] = (k as u32, x);
                next[i] += 1;
            })
        };
        let means = self.variables.iter().enumerate().map(&mut fill).collect();
        (Rows { starts, entries }, means)
    }
}

/// The entries of some columns by rows.
struct Rows {
    starts: Vec<usize>,
    entries: Vec<(u32, f64)>,
}

impl Rows {
    fn windows(&self) -> impl Iterator<Item = &[(u32, f64)]> {
        self.starts.windows(2).map(|ends| &self.entries[ends[0]..ends[1]])
    }
}

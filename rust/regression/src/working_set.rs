//! The columns that are being worked with, and their Gram matrix.
//!
//! Of dense data blocks of rows are centred and weighted, so that products between columns are those of
//! dense matrices, by faer; of sparse data only the pairs of entries of a row are multiplied.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use sparrot_design::{Element, Moments};
use sparrot_foundation::{Error, Stop, memory};

use crate::data::Data;
use crate::model::Settings;

/// Columns that join the set at once, at least.
pub const JOIN: usize = 64;
/// Rows of dense columns that are multiplied at once,
const ROWS: usize = 2048;
/// and columns that are, by the products of entries between polls, from so many to so many: more polls
/// would have the columns arranged for the processor more often.
const WORK: usize = 1 << 27;
const STRIPS: (usize, usize) = (64, 256);
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
        let (product, squares) = (products[j as usize], moments[j as usize].squares);
        violation(settings.bounds.of(j).pull(product), settings.lambda_of(j), squares)
    };
    most_violating(outside.map(|j| (score(j), j)), JOIN.max(most))
}

/// By how much a pull violates its condition, of a column or a group with these squares.
pub fn violation(pull: f64, lambda: f64, squares: f64) -> f64 {
    if squares <= 0.0 || pull <= lambda * (1.0 + EXCESS) {
        0.0
    } else if lambda == 0.0 {
        f64::INFINITY
    } else {
        (pull - lambda) / squares.sqrt()
    }
}

/// Those with the largest violations, `most` of them, ascending.
pub fn most_violating(all: impl Iterator<Item = (f64, u32)>, most: usize) -> Vec<u32> {
    let mut new: Vec<(f64, u32)> = all.filter(|(s, _)| *s > 0.0).collect();
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
    gram: Vec<f64>,
    stride: usize,
    /// Rows of dense columns, centred and weighted: all of them, if they fit, and kept for what joins
    /// later.
    block: Vec<f64>,
    /// How many columns of all rows it holds.
    kept: usize,
    /// The entries of sparse columns,
    rows: Rows,
    /// and what centring still has to take from each column.
    means: Vec<f64>,
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
            self.multiply_dense(data, before, stop)?;
        }
        self.mirror(before);
        Ok(())
    }

    /// Writes the products of the columns from `first` on with those before them a second time, for
    /// whole columns of the Gram matrix; by squares, of which both sides stay in the first cache.
    fn mirror(&mut self, first: usize) {
        const SIDE: usize = 16;
        let (size, stride) = (self.len(), self.stride);
        for from in (first..size).step_by(SIDE) {
            for to in (0..size.min(from + SIDE)).step_by(SIDE) {
                for j in from..size.min(from + SIDE) {
                    for i in to..j.min(to + SIDE) {
                        self.gram[i * stride + j] = self.gram[j * stride + i];
                    }
                }
            }
        }
    }

    /// Adds mu to the diagonal of the Gram matrix: a ridge.
    pub fn add_to_diagonal(&mut self, mu: f64) {
        (0..self.len()).for_each(|k| self.gram[k * self.stride + k] += mu);
    }

    /// The residual of a response, centred and weighted, at these coefficients.
    pub fn residual<T: Element>(&self, data: &Data<'_, T>, y: &[f64], w: &[f64], out: &mut [f64]) {
        let used = self.variables.iter().zip(w).filter(|(_, w)| **w != 0.0);
        data.residual(y, used.map(|(j, w)| (*j as usize, *w)), out);
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

    /// By blocks of rows, whose columns are arranged for the purpose. If there is more than one, they are
    /// arranged anew each time: kept, they would be a copy of what may be most of the data.
    fn multiply_dense<T: Element>(
        &mut self,
        data: &Data<'_, T>,
        before: usize,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let (n, size, stride) = (data.y.len(), self.len(), self.stride);
        let most = ROWS.min(n);
        self.reserve_block(most, n)?;
        let strip = (WORK / (most * size)).clamp(STRIPS.0, STRIPS.1);
        for start in (0..n).step_by(most) {
            let rows = most.min(n - start);
            let (new, room) = (&self.variables[self.kept..], &mut self.block[self.kept * most..]);
            data.arrange(new, start..start + rows, most, room);
            let all = MatRef::from_column_major_slice_with_stride(&self.block, rows, size, most);
            let accum = if start == 0 { Accum::Replace } else { Accum::Add };
            for first in (before..size).step_by(strip) {
                stop.poll()?;
                let count = strip.min(size - first);
                // With those before the strip and in it; those after it follow by symmetry.
                let out = MatMut::from_column_major_slice_with_stride_mut(
                    &mut self.gram[first * stride..],
                    first + count,
                    count,
                    stride,
                );
                let (with_others, with_own) = out.split_at_row_mut(first);
                let (own, others) = (all.subcols(first, count), all.subcols(0, first));
                matmul(with_others, accum, others.transpose(), own, 1.0, Par::Seq);
                triangular::matmul(
                    with_own,
                    BlockStructure::TriangularUpper,
                    accum,
                    own.transpose(),
                    BlockStructure::Rectangular,
                    own,
                    BlockStructure::Rectangular,
                    1.0,
                    Par::Seq,
                );
            }
        }
        self.kept = if most == n { size } else { 0 };
        Ok(())
    }

    /// Makes room for so many rows of the columns of the set, of n in all.
    fn reserve_block(&mut self, rows: usize, n: usize) -> Result<(), Error> {
        let size = self.len();
        if size * rows <= self.block.len() {
            return Ok(());
        }
        let columns = if rows == n { size + size / 2 } else { size };
        let mut block = memory::zeros("some rows of the working set", rows, columns)?;
        let used = self.kept * rows;
        block[..used].copy_from_slice(&self.block[..used]);
        self.block = block;
        Ok(())
    }

    /// Column by column: an entry meets those before it in its row, and their products are added up in the
    /// column of the Gram matrix, which the first cache holds.
    fn multiply_sparse<T: Element>(
        &mut self,
        data: &Data<'_, T>,
        before: usize,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        /// Columns between polls.
        const COLUMNS: usize = 64;
        let WorkingSet { variables, gram, stride, rows, means, .. } = self;
        let mut more = vec![0; data.y.len()];
        for j in &variables[before..] {
            data.design.for_column(*j as usize, |i, _| more[i] += 1);
        }
        rows.reserve(&more);
        for (k, j) in variables.iter().enumerate().skip(before) {
            if k % COLUMNS == 0 {
                stop.poll()?;
            }
            let products = &mut gram[k * *stride..][..=k];
            let mean = data.columns().entries(*j as usize, |i, x| {
                let weighted = data.roots[i] * data.roots[i] * x;
                for (q, y) in rows.push(i, (k as u32, x)) {
                    products[*q as usize] += weighted * y;
                }
            });
            means.push(mean);
            let shift = data.total * mean;
            products.iter_mut().zip(&*means).for_each(|(product, m)| *product -= shift * m);
        }
        Ok(())
    }
}

/// The entries of some columns by rows.
#[derive(Default)]
struct Rows {
    /// Where the room of each row begins, and where the last ends;
    starts: Vec<usize>,
    /// and where the entries of each end.
    ends: Vec<usize>,
    entries: Vec<(u32, f64)>,
}

/// Room for more entries that even short rows get.
const SPARE: usize = 8;

impl Rows {
    /// Makes room for so many more in each row: for twice as many, if there are some already.
    fn reserve(&mut self, more: &[usize]) {
        let room = self.starts.iter().skip(1).zip(&self.ends).map(|(room, end)| room - end);
        if self.ends.len() == more.len() && room.zip(more).all(|(room, more)| *more <= room) {
            return;
        }
        let old = std::mem::take(self);
        let rows = old.starts.iter().zip(&old.ends).map(|(start, end)| &old.entries[*start..*end]);
        let all = rows.chain(std::iter::repeat(&[][..])).zip(more);
        let ample = |count: usize| if old.ends.is_empty() { count } else { 2 * count + SPARE };
        self.starts.push(0);
        for (row, more) in all.clone() {
            self.ends.push(self.starts[self.ends.len()] + row.len());
            self.starts.push(self.starts[self.ends.len() - 1] + ample(row.len() + more));
        }
        self.entries = vec![(0, 0.0); self.starts[more.len()]];
        for (start, (row, _)) in self.starts.iter().zip(all) {
            self.entries[*start..start + row.len()].copy_from_slice(row);
        }
    }

    /// Adds an entry to a row; the row with it.
    fn push(&mut self, i: usize, entry: (u32, f64)) -> &[(u32, f64)] {
        self.entries[self.ends[i]] = entry;
        self.ends[i] += 1;
        &self.entries[self.starts[i]..self.ends[i]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparrot_design::Design;
    use sparrot_foundation::Team;
    use sparrot_foundation::stop::Unobserved;
    use sparrot_simd::reduce;

    /// Several blocks of rows and several strips of columns, with means, weights and a set that grows.
    fn agrees_with_the_columns<T: Element>(of: impl Fn(f64) -> T, tolerance: f64) {
        let (n, p) = (2 * ROWS + 100, STRIPS.1 + 50);
        let entry =
            |i: usize, j: usize| ((i * 7 + j * j * 3 + i * j) as f64).sin() + (j % 3) as f64;
        let columns: Vec<Vec<T>> =
            (0..p).map(|j| (0..n).map(|i| of(entry(i, j))).collect()).collect();
        let design = Design::Dense(columns.iter().map(|c| &c[..]).collect());
        let y: Vec<f64> = (0..n).map(|i| (i as f64 * 0.3).cos()).collect();
        let weights: Vec<f64> = (0..n).map(|i| (i % 4) as f64).collect();
        let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
        let data = Data::new(&design, &y, Some(&weights), true, &team, &stop).unwrap();
        let mut set = WorkingSet::new(p);
        let order: Vec<u32> = (0..p as u32).rev().collect();
        set.add(&data, &order[..20], &stop).unwrap();
        set.add(&data, &order[20..], &stop).unwrap();
        let centred: Vec<Vec<f64>> = (order.iter())
            .map(|j| {
                let mut column = vec![0.0; n];
                data.column(*j as usize, &mut column);
                column
            })
            .collect();
        for k in 0..p {
            for (i, product) in set.gram(k).iter().enumerate() {
                let expected = reduce::dot(&centred[i], &centred[k]);
                assert!((product - expected).abs() <= tolerance * n as f64, "{i} {k}");
            }
        }
        let w: Vec<f64> = (0..p).map(|k| (k % 5) as f64 - 1.0).collect();
        let mut residual = vec![0.0; n];
        set.residual(&data, &data.y, &w, &mut residual);
        for (i, r) in residual.iter().enumerate() {
            let expected = data.y[i] - (0..p).map(|k| w[k] * centred[k][i]).sum::<f64>();
            assert!((r - expected).abs() <= tolerance * p as f64, "{i}: {r} {expected}");
        }
    }

    #[test]
    fn products_and_residuals_are_those_of_the_columns() {
        agrees_with_the_columns(|x| x, 1e-14);
        agrees_with_the_columns(|x| x as f32, 1e-14);
    }
}

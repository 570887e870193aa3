//! A dense matrix by rows, which is how NumPy has it unless it is asked otherwise, read as it is.
//!
//! A pass over columns takes a strip of them: of each row the part in the strip is added to sums, one for
//! each column, which the first cache holds. Few columns out of many are picked from each row instead.
//! The sums are of blocks of about as many rows as there are blocks, so that rounding stays small: at most
//! twice the root of the number of rows is added up one after the other.
//!
//! **Cost.** A strip is read once, whole lines of the cache at a time, as a column would be. A picked column
//! takes a line of the cache for each number.

use std::ops::Range;

use crate::Element;

/// Columns of a strip: as many as have so many numbers, or a thread has,
const STRIP_WORK: usize = 1 << 24;
/// in these bounds, of which the lower one is a line of the cache.
const STRIP: (usize, usize) = (8, 512);
/// Strips are read whole if at least one in so many of their columns is asked for.
const FEW: usize = 8;
/// Rows that are arranged by columns at a time.
const TOGETHER: usize = 8;

/// The matrix.
#[derive(Clone, Copy, Debug)]
pub struct Grid<'a, T> {
    /// One row after the other.
    values: &'a [T],
    columns: usize,
}

impl<'a, T: Element> Grid<'a, T> {
    /// Of rows of this length, one after the other.
    pub fn new(values: &'a [T], columns: usize) -> Grid<'a, T> {
        Grid { values, columns }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row.
    pub fn row(&self, i: usize) -> &'a [T] {
        &self.values[i * self.columns..][..self.columns]
    }

    /// A column, from top to bottom.
    pub fn column(&self, j: usize) -> impl Iterator<Item = T> + 'a {
        self.values.iter().skip(j).step_by(self.columns).copied()
    }

    /// Columns that one of so many threads is to work on between two looks at the clock.
    pub(crate) fn strip(&self, threads: usize) -> usize {
        let columns = self.columns.div_ceil(threads).min(STRIP_WORK / self.rows().max(1));
        columns.clamp(STRIP.0, STRIP.1).next_multiple_of(STRIP.0)
    }

    /// Rows whose sums are added up before they are added to others.
    fn block(&self) -> usize {
        self.rows().isqrt().next_multiple_of(4).max(4)
    }

    /// How many additions, at most, one after the other lead to a product with a column.
    pub(crate) fn depth(&self) -> usize {
        self.block() + self.rows().div_ceil(self.block())
    }

    /// Lets sums be added up block by block of rows.
    fn in_blocks(&self, totals: &mut [f64], mut add: impl FnMut(Range<usize>, &mut [f64])) {
        let mut sums = vec![0.0; totals.len()];
        let (rows, block) = (self.rows(), self.block());
        for first in (0..rows).step_by(block) {
            sums.fill(0.0);
            add(first..rows.min(first + block), &mut sums);
            totals.iter_mut().zip(&sums).for_each(|(total, sum)| *total += sum);
        }
    }

    /// The products of some columns with vectors: those of a column one after the other.
    pub(crate) fn products(&self, chosen: &[u32], vectors: &[&[f64]]) -> Vec<f64> {
        let mut out = vec![0.0; chosen.len() * vectors.len()];
        let places = || chosen.iter().map(|j| *j as usize);
        let strip = places().min().unwrap_or(0)..places().max().map_or(0, |last| last + 1);
        if strip.len() > FEW * chosen.len() || strip.len() > FEW * STRIP.1 {
            let shifted: Vec<(u32, f64)> = chosen.iter().map(|j| (*j, 0.0)).collect();
            return self.shifted_products(&shifted, vectors);
        }
        for (k, v) in vectors.iter().enumerate() {
            let products = self.strip_products(strip.clone(), v);
            let of_v = out.iter_mut().skip(k).step_by(vectors.len());
            of_v.zip(places()).for_each(|(out, j)| *out = products[j - strip.start]);
        }
        out
    }

    /// The products of all columns of a strip with a vector.
    fn strip_products(&self, strip: Range<usize>, v: &[f64]) -> Vec<f64> {
        let mut products = vec![0.0; strip.len()];
        self.in_blocks(&mut products, |rows, sums| {
            for first in rows.clone().step_by(4) {
                // The last four are filled up with the last row, 0 times.
                let at = [0, 1, 2, 3].map(|q| first + q);
                let factors = at.map(|i| if i < rows.end { v[i] } else { 0.0 });
                let parts = at.map(|i| &self.row(i.min(rows.end - 1))[strip.clone()]);
                T::add_shifted4(factors, [0.0; 4], parts, sums);
            }
        });
        products
    }

    /// The products of picked columns, each less its shift, with vectors, in the same order.
    pub(crate) fn shifted_products(&self, chosen: &[(u32, f64)], vectors: &[&[f64]]) -> Vec<f64> {
        let count = vectors.len();
        let mut out = vec![0.0; chosen.len() * count];
        self.in_blocks(&mut out, |rows, sums| {
            for i in rows {
                let row = self.row(i);
                for ((j, shift), sums) in chosen.iter().zip(sums.chunks_mut(count)) {
                    let x = row[*j as usize].to_f64() - shift;
                    sums.iter_mut().zip(vectors).for_each(|(sum, v)| *sum += x * v[i]);
                }
            }
        });
        out
    }

    /// Of each column of a strip `sum v (x - shift)`, `sum w (x - shift)` and `sum w (x - shift)^2`, in this
    /// order, where the shift, which comes before them, is its number in a row, if one is told, or 0.
    pub(crate) fn moments(
        &self,
        strip: Range<usize>,
        (v, w): (&[f64], &[f64]),
        shift_row: Option<usize>,
    ) -> Vec<(f64, [f64; 3])> {
        let width = strip.len();
        let shifts: Vec<f64> = match shift_row {
            Some(i) => self.row(i)[strip.clone()].iter().map(|x| x.to_f64()).collect(),
            None => vec![0.0; width],
        };
        let mut totals = vec![0.0; 3 * width];
        self.in_blocks(&mut totals, |rows, sums| {
            let (products, others) = sums.split_at_mut(width);
            let (firsts, squares) = others.split_at_mut(width);
            for i in rows {
                let part = &self.row(i)[strip.clone()];
                T::add_moments([v[i], w[i]], part, &shifts, [products, firsts, squares]);
            }
        });
        let of = |k: usize| (shifts[k], [totals[k], totals[width + k], totals[2 * width + k]]);
        (0..width).map(of).collect()
    }

    /// Adds columns, each less its shift and times its factor.
    pub fn add_columns(&self, columns: &[(u32, f64, f64)], out: &mut [f64]) {
        let rows = self.values.chunks(TOGETHER * self.columns);
        for (rows, out) in rows.zip(out.chunks_mut(TOGETHER)) {
            // Sums of several rows side by side need not wait for each other.
            let mut sums = [0.0; TOGETHER];
            if rows.len() < TOGETHER * self.columns {
                for (row, sum) in rows.chunks(self.columns).zip(&mut sums) {
                    for (j, shift, factor) in columns {
                        *sum += factor * (row[*j as usize].to_f64() - shift);
                    }
                }
            } else {
                for (j, shift, factor) in columns {
                    for (r, sum) in sums.iter_mut().enumerate() {
                        let x = rows[r * self.columns + *j as usize].to_f64();
                        *sum += factor * (x - shift);
                    }
                }
            }
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
    }

    /// Gives the numbers of some columns in some rows to `visit`, with the place of the column among
    /// them: of a few rows column by column, so that both are near in memory.
    pub fn for_columns(
        &self,
        columns: &[u32],
        rows: Range<usize>,
        mut visit: impl FnMut(usize, usize, f64),
    ) {
        for first in rows.clone().step_by(TOGETHER) {
            let rows = first..rows.end.min(first + TOGETHER);
            let values = &self.values[first * self.columns..rows.end * self.columns];
            for (k, j) in columns.iter().enumerate() {
                let column = values.iter().skip(*j as usize).step_by(self.columns);
                rows.clone().zip(column).for_each(|(i, x)| visit(k, i, x.to_f64()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sparrot_foundation::stop::Unobserved;
    use sparrot_foundation::{Stop, Team};

    use super::*;
    use crate::Design;

    /// The same whole numbers by rows and by columns: sums are exact, whatever their order.
    fn both<T: Element>(of: fn(f64) -> T, rows: usize, columns: usize, check: fn([Design<T>; 2])) {
        let entry = |i: usize, j: usize| of((i * 7 + j * 3 + i * j) as f64 % 17.0 - 8.0);
        let by_rows: Vec<T> =
            (0..rows).flat_map(|i| (0..columns).map(move |j| entry(i, j))).collect();
        let by_columns: Vec<Vec<T>> =
            (0..columns).map(|j| (0..rows).map(|i| entry(i, j)).collect()).collect();
        let dense = Design::Dense(by_columns.iter().map(|c| &c[..]).collect());
        check([Design::Rows(Grid::new(&by_rows, columns)), dense]);
    }

    fn agree<T: Element>([rows, columns]: &[Design<T>; 2]) {
        let (n, p) = (columns.rows(), columns.columns());
        assert_eq!([rows.rows(), rows.columns(), rows.entries()], [n, p, n * p]);
        let (team, stop) = (Team::new(Some(2)), Stop::new(&Unobserved, None));
        let v: Vec<f64> = (0..n).map(|i| (i % 5) as f64 - 2.0).collect();
        let w: Vec<f64> = (0..n).map(|i| (i % 3) as f64).collect();
        for chosen in [(0..p as u32).collect(), vec![1, 0, p as u32 - 1], vec![p as u32 / 2]] {
            let chosen: Vec<u32> = chosen;
            let products = |d: &Design<T>| d.columns_products(&chosen, &[&v, &w], &team, &stop);
            assert_eq!(products(rows).unwrap(), products(columns).unwrap());
            let shifted: Vec<(u32, f64)> = chosen.iter().map(|j| (*j, f64::from(*j))).collect();
            let products = |d: &Design<T>| d.shifted_products(&shifted, &[&v, &w], &team, &stop);
            assert_eq!(products(rows).unwrap(), products(columns).unwrap());
            let entries = |d: &Design<T>| {
                let mut all = vec![vec![]; chosen.len()];
                d.for_columns(&chosen, |k, i, x| all[k].push((i, x)));
                all
            };
            assert_eq!(entries(rows), entries(columns));
        }
        for centred in [false, true] {
            let moments = |d: &Design<T>| d.moments(&v, &w, centred, &team, &stop);
            assert_eq!(moments(rows).unwrap(), moments(columns).unwrap());
        }
        assert_eq!(rows.squared_norms(), columns.squared_norms());
    }

    #[test]
    fn rows_are_read_as_columns_are() {
        for (rows, columns) in [(2, 2), (5, 3), (64, 1100), (301, 40)] {
            both(|x| x, rows, columns, |d| agree(&d));
            both(|x| x as f32, rows, columns, |d| agree(&d));
        }
    }

    #[test]
    fn columns_are_added_and_what_is_not_finite_is_named() {
        let mut values: Vec<f64> = (0..12).map(f64::from).collect();
        let mut out = [1.0, 0.0, 0.0];
        Grid::new(&values, 4).add_columns(&[(1, 1.0, 2.0), (3, 0.0, -1.0)], &mut out);
        assert_eq!(out, [-2.0, 1.0, 5.0]);
        values[6] = f64::NAN;
        let (team, stop) = (Team::new(Some(1)), Stop::new(&Unobserved, None));
        let design = Design::Rows(Grid::new(&values, 4));
        let error = design.moments(&[0.0; 3], &[1.0; 3], true, &team, &stop).unwrap_err();
        assert!(error.to_string().contains("(1, 2)"), "{error}");
    }
}

//! The matrix of a linear model: n rows, a column for each feature; dense or sparse, f32 or f64,
//! borrowed. What every solver of such models reads it by; the losses of its rows ([`loss`]); and the
//! factor of the Gram matrix of some of its columns ([`factor`]).

#![forbid(unsafe_code)]

mod by_rows;
pub mod cholesky;
pub mod factor;
pub mod loss;
mod moments;

use sparrot_foundation::{Error, Scalar, Stop, Team};
use sparrot_simd::{linear, reduce, row_moments};
use sparrot_sparse::Compressed;

pub use by_rows::Grid;
pub use moments::Moments;

/// Entries that a thread takes at a time.
const CHUNK: usize = 1 << 15;

/// f32 or f64, with the products that a dense column takes part in.
pub trait Element: Scalar {
    /// The products of four columns with a vector.
    fn dot4(columns: [&[Self]; 4], v: &[f64]) -> [f64; 4];
    /// Adds to a vector four columns, each less its shift and times its factor.
    fn add_shifted4(factors: [f64; 4], shifts: [f64; 4], columns: [&[Self]; 4], out: &mut [f64]);
    /// The product of a column with a vector.
    fn dot(column: &[Self], v: &[f64]) -> f64;
    /// `sum (x - shift) v`, `sum w (x - shift)` and `sum w (x - shift)^2` of a column x.
    fn moments(shift: f64, column: &[Self], v: &[f64], w: &[f64]) -> [f64; 3];
    /// Adds what a row has of these sums, of every column by its shift, for its entries in v and w.
    fn add_moments(v_w: [f64; 2], row: &[Self], shifts: &[f64], sums: [&mut [f64]; 3]);
}

impl Element for f32 {
    fn dot4(columns: [&[f32]; 4], v: &[f64]) -> [f64; 4] {
        linear::dot4_single(columns, v)
    }
    fn add_shifted4(factors: [f64; 4], shifts: [f64; 4], columns: [&[f32]; 4], out: &mut [f64]) {
        linear::shifted_axpy4_single(factors, shifts, columns, out);
    }
    fn dot(column: &[f32], v: &[f64]) -> f64 {
        linear::dot4_single([column; 4], v)[0]
    }
    fn moments(shift: f64, column: &[f32], v: &[f64], w: &[f64]) -> [f64; 3] {
        reduce::moments_single(shift, column, v, w)
    }
    fn add_moments(v_w: [f64; 2], row: &[f32], shifts: &[f64], sums: [&mut [f64]; 3]) {
        row_moments::add_moments_single(v_w, row, shifts, sums);
    }
}

impl Element for f64 {
    fn dot4(columns: [&[f64]; 4], v: &[f64]) -> [f64; 4] {
        linear::dot4(columns, v)
    }
    fn add_shifted4(factors: [f64; 4], shifts: [f64; 4], columns: [&[f64]; 4], out: &mut [f64]) {
        linear::shifted_axpy4(factors, shifts, columns, out);
    }
    fn dot(column: &[f64], v: &[f64]) -> f64 {
        reduce::dot(column, v)
    }
    fn moments(shift: f64, column: &[f64], v: &[f64], w: &[f64]) -> [f64; 3] {
        reduce::moments(shift, column, v, w)
    }
    fn add_moments(v_w: [f64; 2], row: &[f64], shifts: &[f64], sums: [&mut [f64]; 3]) {
        row_moments::add_moments(v_w, row, shifts, sums);
    }
}

/// The matrix, borrowed.
#[derive(Clone, Debug)]
pub enum Design<'a, T> {
    /// Dense columns.
    Dense(Vec<&'a [T]>),
    /// Dense rows.
    Rows(Grid<'a, T>),
    /// Compressed columns, of so many rows.
    Sparse(Compressed<'a, T>, usize),
}

impl<T: Element> Design<'_, T> {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Design::Dense(columns) => columns.first().map_or(0, |c| c.len()),
            Design::Rows(grid) => grid.rows(),
            Design::Sparse(_, rows) => *rows,
        }
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        match self {
            Design::Dense(columns) => columns.len(),
            Design::Rows(grid) => grid.columns(),
            Design::Sparse(columns, _) => columns.lines(),
        }
    }

    /// How many entries there are.
    pub fn entries(&self) -> usize {
        match self {
            Design::Dense(_) | Design::Rows(_) => self.columns() * self.rows(),
            Design::Sparse(columns, _) => columns.indices.len(),
        }
    }

    /// Whether it is sparse.
    pub fn is_sparse(&self) -> bool {
        matches!(self, Design::Sparse(..))
    }

    /// Whether a column has an entry in every row.
    pub fn is_full(&self, i: usize) -> bool {
        match self {
            Design::Dense(_) | Design::Rows(_) => true,
            Design::Sparse(columns, rows) => columns.line(i).0.len() == *rows,
        }
    }

    /// How many additions, at most, one after the other lead to a product with a column.
    pub fn depth(&self) -> usize {
        match self {
            Design::Dense(_) => reduce::depth(self.rows()),
            Design::Rows(grid) => grid.depth(),
            Design::Sparse(columns, _) => {
                (0..columns.lines()).map(|i| columns.line(i).0.len()).max().unwrap_or(0)
            }
        }
    }

    /// Gives every entry `(row, value)` of a column to `visit`.
    #[inline]
    pub fn for_column(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        match self {
            Design::Dense(columns) => {
                columns[i].iter().enumerate().for_each(|(j, v)| visit(j, v.to_f64()));
            }
            Design::Rows(grid) => {
                grid.column(i).enumerate().for_each(|(j, v)| visit(j, v.to_f64()));
            }
            Design::Sparse(columns, _) => {
                let (rows, values) = columns.line(i);
                rows.iter().zip(values).for_each(|(j, v)| visit(*j as usize, v.to_f64()));
            }
        }
    }

    /// Gives every entry of some columns to `visit`, with the place of its column among them: those of a
    /// column from top to bottom.
    #[inline]
    pub fn for_columns(&self, chosen: &[u32], mut visit: impl FnMut(usize, usize, f64)) {
        if let Design::Rows(grid) = self {
            return grid.for_columns(chosen, 0..grid.rows(), visit);
        }
        for (k, j) in chosen.iter().enumerate() {
            self.for_column(*j as usize, |i, x| visit(k, i, x));
        }
    }

    /// `sum_j a_ji r_jc` over the rows of a row-major (n, k) array.
    pub fn column_dot(&self, i: usize, r: &[f64], k: usize, c: usize) -> f64 {
        match (self, k) {
            (Design::Dense(columns), 1) => return T::dot(columns[i], r),
            (Design::Sparse(columns, _), 1) => return columns.dot(i, r),
            _ => {}
        }
        let mut sum = 0.0;
        self.for_column(i, |j, v| sum += v * r[j * k + c]);
        sum
    }

    /// `A'r`, an array of (columns, k), for a row-major (n, k) array.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn transposed_product(
        &self,
        r: &[f64],
        k: usize,
        out: &mut [f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let columns = self.columns();
        let per_column = (self.entries() * k).div_ceil(columns.max(1)) + 1;
        let at_once = (CHUNK.div_ceil(per_column)).next_multiple_of(4);
        let items: Vec<(usize, &mut [f64])> =
            out.chunks_mut(at_once * k).enumerate().map(|(q, o)| (q * at_once, o)).collect();
        let team = team.for_work(self.entries() * k);
        team.run(stop, items, |(first, out)| self.products(first, r, k, out))?;
        Ok(())
    }

    /// The products of some columns with a vector, in their order.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn columns_product(
        &self,
        chosen: &[u32],
        v: &[f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        self.columns_products(chosen, &[v], team, stop)
    }

    /// The products of some columns with vectors: those of a column one after the other. A column is
    /// read once for all.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn columns_products(
        &self,
        chosen: &[u32],
        vectors: &[&[f64]],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        let count = vectors.len();
        let per_column = (self.entries() / self.columns().max(1) + 1) * count;
        let at_once = match self {
            Design::Rows(grid) => grid.strip(team.threads()),
            _ => CHUNK.div_ceil(per_column).next_multiple_of(4),
        };
        let one = |chosen: &[u32]| -> Vec<f64> {
            let columns = match self {
                Design::Dense(columns) => columns,
                Design::Rows(grid) => return grid.products(chosen, vectors),
                Design::Sparse(columns, _) => {
                    let of = |i: &u32| {
                        let i = *i as usize;
                        vectors.iter().map(move |v| columns.dot(i, v))
                    };
                    return chosen.iter().flat_map(of).collect();
                }
            };
            let mut out = vec![0.0; chosen.len() * count];
            for (group, out) in chosen.chunks(4).zip(out.chunks_mut(4 * count)) {
                // The last group is filled up with its last column.
                let at = |q: usize| columns[group[q.min(group.len() - 1)] as usize];
                let four = [at(0), at(1), at(2), at(3)];
                for (k, v) in vectors.iter().enumerate() {
                    let products = T::dot4(four, v);
                    out.iter_mut().skip(k).step_by(count).zip(products).for_each(|(o, p)| *o = p);
                }
            }
            out
        };
        let team = team.for_work(chosen.len() * per_column);
        Ok(team.run(stop, chosen.chunks(at_once).collect(), one)?.concat())
    }

    /// The products of some columns, each less its shift, with vectors, as [`Design::columns_products`]
    /// has them; sparse columns must have an entry in every row.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn shifted_products(
        &self,
        chosen: &[(u32, f64)],
        vectors: &[&[f64]],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        let per_column = (self.rows() + 1) * vectors.len();
        let one = |chosen: &[(u32, f64)]| -> Vec<f64> {
            if let Design::Rows(grid) = self {
                return grid.shifted_products(chosen, vectors);
            }
            let product = |i: usize, shift: f64, v: &[f64]| match self {
                Design::Dense(columns) => T::moments(shift, columns[i], v, v)[0],
                _ => {
                    let mut sum = 0.0;
                    self.for_column(i, |j, x| sum += (x - shift) * v[j]);
                    sum
                }
            };
            let of = |(i, shift): &(u32, f64)| {
                let (i, shift) = (*i as usize, *shift);
                vectors.iter().map(move |v| product(i, shift, v))
            };
            chosen.iter().flat_map(of).collect()
        };
        let team = team.for_work(chosen.len() * per_column);
        Ok(team.run(stop, chosen.chunks(CHUNK.div_ceil(per_column)).collect(), one)?.concat())
    }

    /// The products of the columns from `first` on.
    fn products(&self, first: usize, r: &[f64], k: usize, out: &mut [f64]) {
        if let (Design::Dense(columns), 1) = (self, k) {
            let mut start = 0;
            for group in out.chunks_mut(4) {
                // The last group is filled up with its last column.
                let at = |q: usize| columns[first + start + q.min(group.len() - 1)];
                let products = T::dot4([at(0), at(1), at(2), at(3)], r);
                group.copy_from_slice(&products[..group.len()]);
                start += group.len();
            }
            return;
        }
        for (i, out) in out.chunks_mut(k).enumerate() {
            if let [single] = out {
                let mut sum = 0.0;
                self.for_column(first + i, |j, v| sum += v * r[j]);
                *single = sum;
            } else {
                out.fill(0.0);
                self.for_column(first + i, |j, v| {
                    out.iter_mut().zip(&r[j * k..(j + 1) * k]).for_each(|(o, r)| *o += v * r);
                });
            }
        }
    }

    /// `out += A d`: a row-major (n, k) array for `d` of (columns, k).
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn add_product(
        &self,
        d: &[f64],
        k: usize,
        out: &mut [f64],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        for (i, d) in d.chunks(k).enumerate() {
            if d.iter().any(|d| *d != 0.0) {
                if i % 64 == 0 {
                    stop.poll()?;
                }
                self.for_column(i, |j, v| {
                    out[j * k..(j + 1) * k].iter_mut().zip(d).for_each(|(o, d)| *o += v * d);
                });
            }
        }
        Ok(())
    }

    /// The sum of squares of each column; NaN where it is 0 only because the squares underflow.
    pub fn squared_norms(&self) -> Vec<f64> {
        (0..self.columns()).map(|j| self.squared_norm(j)).collect()
    }

    /// Of one column.
    pub fn squared_norm(&self, j: usize) -> f64 {
        let (mut sum, mut is_zero) = (0.0, true);
        self.for_column(j, |_, v| {
            sum += v * v;
            is_zero &= v == 0.0;
        });
        if sum == 0.0 && !is_zero { f64::NAN } else { sum }
    }

    /// `|A|'(|A| 1)`: upper bounds of the sums of magnitudes of the rows of `A'A`; exact where no
    /// two entries of a row differ in sign.
    pub fn gram_row_sums(&self) -> Vec<f64> {
        let mut totals = vec![0.0; self.rows()];
        for i in 0..self.columns() {
            self.for_column(i, |j, v| totals[j] += v.abs());
        }
        let sum = |i| {
            let mut sum = 0.0;
            self.for_column(i, |j, v| sum += v.abs() * totals[j]);
            sum
        };
        (0..self.columns()).map(sum).collect()
    }
}

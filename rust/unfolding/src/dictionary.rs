//! A as the solvers use it: gradients of blocks of signals, and exact products for certificates.
//!
//! The gradient `A'(A x - y)` of a code with k of N numbers that are not 0 is had in one of three
//! ways, and every block takes the one with the fewest operations at its turn:
//!
//! | | multiplications for a signal of length M |
//! |---|---|
//! | [`Route::Gram`] | k N, from the rows of A'A |
//! | [`Route::Mixed`] | k M + r M N, `A x` from the columns of A, then a dense product |
//! | [`Route::Dense`] | 2 r M N, two dense products |
//!
//! r is what a multiplication of a dense product takes of one that goes by indices. The Gram matrix is
//! made only if its own cost is small beside what it saves.

use std::ops::Neg;

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};
use sparrot_design::{Design, Element};
use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::codes::{Codes, Element as CodeElement, Panels};
use sparrot_simd::linear;

/// f32 or f64.
pub trait Number: Element + CodeElement + ComplexField + Neg<Output = Self> {
    /// The distance from 1 to the next number.
    const EPSILON: f64;
    /// Squares of a signal below this lose digits in products to underflow,
    const LEAST_SQUARES: f64;
    /// and above this may overflow.
    const MOST_SQUARES: f64;
    /// `y += alpha_0 column_0 + ... + alpha_3 column_3`.
    fn add4(alpha: [f64; 4], columns: [&[Self]; 4], y: &mut [f64]);
}
impl Number for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    const LEAST_SQUARES: f64 = 1e-30;
    const MOST_SQUARES: f64 = 1e34;
    fn add4(alpha: [f64; 4], columns: [&[f32]; 4], y: &mut [f64]) {
        linear::axpy4_single(alpha, columns, y);
    }
}
impl Number for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const LEAST_SQUARES: f64 = 1e-280;
    const MOST_SQUARES: f64 = 1e300;
    fn add4(alpha: [f64; 4], columns: [&[f64]; 4], y: &mut [f64]) {
        linear::axpy4(alpha, columns, y);
    }
}

/// The rows of a block that are being worked on.
#[derive(Clone, Copy)]
pub struct Rows<'a, T> {
    /// How many.
    pub count: usize,
    /// Their codes, dense,
    pub x: &'a [T],
    /// and by what is not 0.
    pub codes: &'a Codes<T>,
    /// The signals.
    pub y: &'a [T],
    /// `A'y`.
    pub base: &'a [T],
}

/// A matrix whose columns are atoms.
pub trait Dictionary<T>: Sync {
    /// The length of a signal.
    fn features(&self) -> usize;
    /// The length of a code.
    fn atoms(&self) -> usize;
    /// Of so many signals, how many are worked on together; `None` for all of them, by one thread.
    fn block(&self, signals: usize) -> Option<usize>;
    /// `A'y` of so many signals.
    ///
    /// # Errors
    /// [`Error::Interrupted`], if it is had from outside.
    fn correlations(&self, count: usize, y: &[T], out: &mut [T]) -> Result<(), Error>;
    /// `A'(A x - y)`; `room` is for what comes in between.
    ///
    /// # Errors
    /// As above.
    fn gradients(&self, rows: Rows<'_, T>, room: &mut Vec<T>, out: &mut [T]) -> Result<(), Error>;
    /// `y - A x` of some of the rows, and A' times that, in double precision.
    ///
    /// # Errors
    /// As above.
    fn exact(
        &self,
        chosen: &[usize],
        codes: &Codes<T>,
        y: &[T],
        residuals: &mut [f64],
        correlations: &mut [f64],
    ) -> Result<(), Error>;
}

/// What a multiplication of a dense product takes of one that goes by indices.
const DENSE_RATE: f64 = 0.6;
/// Signals that are worked on together, at most: their codes and gradients stay in the second cache, and
/// dense products are of matrices large enough.
const BLOCK: usize = 160;
/// Gram matrices of more columns are not made.
const LARGEST_GRAM: usize = 8192;
/// Lines of the Gram matrix that a thread makes at a time.
const LINES: usize = 64;

/// See the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// By rows of the Gram matrix.
    Gram,
    /// By columns, then a dense product.
    Mixed,
    /// Two dense products.
    Dense,
}

/// A matrix in memory.
pub struct Matrix<'a, T> {
    design: &'a Design<'a, T>,
    /// A', and the same in panels; not of a sparse matrix.
    dense: Option<(Vec<T>, Panels<T>)>,
    gram: Option<Panels<T>>,
}

impl<'a, T: Number> Matrix<'a, T> {
    /// For about so many gradients.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn new(
        design: &'a Design<'a, T>,
        gradients: usize,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Matrix<'a, T>, Error> {
        let (m, n) = (design.rows(), design.columns());
        let dense = match design {
            Design::Sparse(..) => None,
            Design::Dense(columns) => {
                memory::check("the dictionary", 2 * m, n)?;
                let transposed = columns.concat();
                let panels = Panels::new(n, m, |j, i| transposed[j * m + i]);
                Some((transposed, panels))
            }
        };
        let gram = if n <= LARGEST_GRAM && n <= 2 * gradients {
            memory::check("the Gram matrix", 2 * n, n)?;
            let gram = gram(design, dense.as_ref().map(|d| &d.0[..]), team, stop)?;
            Some(Panels::new(n, n, |i, j| gram[i * n + j]))
        } else {
            None
        };
        Ok(Matrix { design, dense, gram })
    }

    /// The way with the fewest operations for codes with so many numbers that are not 0.
    pub fn route(&self, rows: usize, count: usize) -> Route {
        let (m, n) = (self.features() as f64, self.atoms() as f64);
        let (rows, count) = (rows as f64, count as f64);
        let (dense_products, mixed) = match &self.dense {
            None => (f64::INFINITY, (count / n + rows) * self.design.entries() as f64),
            Some(_) => (2.0 * DENSE_RATE * rows * m * n, count * m + DENSE_RATE * rows * m * n),
        };
        if self.gram.is_some() && count * n <= mixed.min(dense_products) {
            Route::Gram
        } else if mixed <= dense_products {
            Route::Mixed
        } else {
            Route::Dense
        }
    }
}

/// A'A, by rows.
fn gram<T: Number>(
    design: &Design<'_, T>,
    transposed: Option<&[T]>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<T>, Error> {
    let (m, n) = (design.rows(), design.columns());
    let mut gram: Vec<T> = memory::zeros("the Gram matrix", n, n)?;
    let items: Vec<(usize, &mut [T])> = gram.chunks_mut(LINES * n).enumerate().collect();
    let team = team.for_work(n * n * m / 16);
    team.run(stop, items, |(k, out)| {
        let (first, lines) = (k * LINES, out.len() / n);
        match transposed {
            Some(columns) => product(
                Accum::Replace,
                &columns[first * m..(first + lines) * m],
                MatRef::from_column_major_slice(columns, m, n),
                out,
            ),
            None => {
                let mut column = vec![0.0; m];
                for (i, out) in out.chunks_mut(n).enumerate() {
                    design.for_column(first + i, |row, v| column[row] = v);
                    for (j, out) in out.iter_mut().enumerate() {
                        *out = T::from_f64(design.column_dot(j, &column, 1, 0));
                    }
                    design.for_column(first + i, |row, _| column[row] = 0.0);
                }
            }
        }
    })?;
    Ok(gram)
}

/// Rows times a matrix.
fn product<T: Number>(accumulate: Accum, rows: &[T], matrix: MatRef<'_, T>, out: &mut [T]) {
    let count = rows.len() / matrix.nrows().max(1);
    let rows = MatRef::from_row_major_slice(rows, count, matrix.nrows());
    let out = MatMut::from_row_major_slice_mut(out, count, matrix.ncols());
    matmul(out, accumulate, rows, matrix, T::from_f64(1.0), Par::Seq);
}

impl<T: Number> Dictionary<T> for Matrix<'_, T> {
    fn features(&self) -> usize {
        self.design.rows()
    }

    fn atoms(&self) -> usize {
        self.design.columns()
    }

    /// Blocks of equal sizes, of which there is an even number.
    fn block(&self, signals: usize) -> Option<usize> {
        let blocks = signals.div_ceil(BLOCK);
        let blocks = if blocks > 1 { blocks.next_multiple_of(2) } else { 1 };
        Some(signals.div_ceil(blocks))
    }

    fn correlations(&self, count: usize, y: &[T], out: &mut [T]) -> Result<(), Error> {
        let (m, n) = (self.features(), self.atoms());
        let (y, out) = (&y[..count * m], &mut out[..count * n]);
        match &self.dense {
            Some((columns, _)) => {
                product(Accum::Replace, y, MatRef::from_column_major_slice(columns, m, n), out);
            }
            None => {
                for (y, out) in y.chunks(m).zip(out.chunks_mut(n)) {
                    let wide: Vec<f64> = y.iter().map(|y| y.to_f64()).collect();
                    for (j, out) in out.iter_mut().enumerate() {
                        *out = T::from_f64(self.design.column_dot(j, &wide, 1, 0));
                    }
                }
            }
        }
        Ok(())
    }

    fn gradients(&self, rows: Rows<'_, T>, room: &mut Vec<T>, out: &mut [T]) -> Result<(), Error> {
        let (m, n, count) = (self.features(), self.atoms(), rows.count);
        let out = &mut out[..count * n];
        let route = self.route(count, rows.codes.count());
        if let (Route::Gram, Some(gram)) = (route, &self.gram) {
            T::products(rows.codes, gram, rows.base, out);
            return Ok(());
        }
        let Some((columns, panels)) = &self.dense else {
            let mut residual = vec![0.0; m];
            for (row, out) in out.chunks_mut(n).enumerate() {
                self.residual(rows.codes, row, rows.y, &mut residual);
                for (j, out) in out.iter_mut().enumerate() {
                    *out = T::from_f64(-self.design.column_dot(j, &residual, 1, 0));
                }
            }
            return Ok(());
        };
        room.resize(room.len().max(count * m), T::from_f64(0.0));
        let residuals = &mut room[..count * m];
        let y = &rows.y[..count * m];
        if route == Route::Mixed {
            T::products(rows.codes, panels, y, residuals);
        } else {
            let across = MatRef::from_row_major_slice(columns, n, m);
            residuals.iter_mut().zip(y).for_each(|(r, y)| *r = -*y);
            product(Accum::Add, &rows.x[..count * n], across, residuals);
        }
        product(Accum::Replace, residuals, MatRef::from_column_major_slice(columns, m, n), out);
        Ok(())
    }

    fn exact(
        &self,
        chosen: &[usize],
        codes: &Codes<T>,
        y: &[T],
        residuals: &mut [f64],
        correlations: &mut [f64],
    ) -> Result<(), Error> {
        let (m, n) = (self.features(), self.atoms());
        let outputs = residuals.chunks_mut(m).zip(correlations.chunks_mut(n));
        for (row, (residual, out)) in chosen.iter().zip(outputs) {
            self.residual(codes, *row, y, residual);
            match self.design {
                Design::Dense(columns) => {
                    for (four, out) in columns.chunks(4).zip(out.chunks_mut(4)) {
                        // The last group is filled up with its last column.
                        let at = |q: usize| four[q.min(four.len() - 1)];
                        let products = T::dot4([at(0), at(1), at(2), at(3)], residual);
                        out.copy_from_slice(&products[..out.len()]);
                    }
                }
                Design::Sparse(..) => {
                    for (j, out) in out.iter_mut().enumerate() {
                        *out = self.design.column_dot(j, residual, 1, 0);
                    }
                }
            }
        }
        Ok(())
    }
}

impl<T: Number> Matrix<'_, T> {
    /// `y - A x` of a row, in double precision.
    fn residual(&self, codes: &Codes<T>, row: usize, y: &[T], out: &mut [f64]) {
        let m = self.features();
        out.iter_mut().zip(&y[row * m..]).for_each(|(r, y)| *r = y.to_f64());
        let (places, values) = codes.row(row);
        match self.design {
            Design::Dense(columns) => {
                for (places, values) in places.chunks(4).zip(values.chunks(4)) {
                    // The last group is filled up with zeros.
                    let alpha = [0, 1, 2, 3].map(|q| values.get(q).map_or(0.0, |v| -v.to_f64()));
                    let four =
                        [0, 1, 2, 3].map(|q| columns[places[q.min(places.len() - 1)] as usize]);
                    T::add4(alpha, four, out);
                }
            }
            Design::Sparse(..) => {
                for (j, v) in places.iter().zip(values) {
                    let v = v.to_f64();
                    self.design.for_column(*j as usize, |i, a| out[i] -= v * a);
                }
            }
        }
    }
}

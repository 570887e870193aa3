//! Products of blocks of signals and codes with a matrix in memory.
//!
//! `A'A x` of a code with k of N numbers that are not 0 is had by the route with the fewer operations
//! for a block at its turn:
//!
//! | | multiplications for a signal of length M |
//! |---|---|
//! | [`Route::Gram`] | k N, from the rows of A'A |
//! | [`Route::Factors`] | min(k, r N) M + r M N: `A x`, then A' times that |
//!
//! r is what a multiplication of a dense product takes of one that goes by indices. The Gram matrix is
//! made only if its own cost is small beside what it saves.

use std::ops::RangeInclusive;

use sparrot_design::Design;
use sparrot_foundation::memory::{self, Large};
use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::panels::{Panels, Product};
use sparrot_simd::sparse_rows::{Codes, SparseRows};

use crate::dictionary::{Dictionary, Rows};
use crate::gram::gram_rows;
use crate::number::Number;

/// What a multiplication of a dense product takes of one that goes by indices.
const DENSE_RATE: f64 = 0.7;
/// Signals that are worked on together, so that a block of the matrix is read for many:
const BLOCK: RangeInclusive<usize> = 48..=160;
/// as many as have their codes and gradients in this part of the second cache.
const BLOCK_BYTES: usize = 1 << 20;
/// Numbers for each atom and signal: codes and gradients, those before, and what comes of the signal.
const ARRAYS: usize = 5;
/// Columns that residuals are multiplied with between two looks at the clock.
const COLUMNS_AT_ONCE: usize = 1024;
/// Atoms that are multiplied with one residual after the other take that much of the first cache.
const ATOM_BYTES: usize = 24 << 10;
/// Gram matrices of more columns are not made.
const LARGEST_GRAM: usize = 8192;

/// See the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// By rows of the Gram matrix.
    Gram,
    /// By A, then by A'.
    Factors,
}

/// A matrix in memory.
pub struct Matrix<'a, T: Number> {
    design: &'a Design<'a, T>,
    squares: Vec<f64>,
    /// Not of a sparse matrix.
    factors: Option<Factors<T>>,
    gram: Option<Large<Panels<T>>>,
    /// Products are abandoned when it says so.
    stop: &'a Stop<'a>,
}

/// A dense matrix in panels.
struct Factors<T: Number> {
    /// A', whose rows are atoms.
    transposed: Large<Panels<T>>,
    /// A.
    straight: Large<Panels<T>>,
}

/// Rows x, and what is to become of them: `scale * x A'A`, and a weight times a base.
#[derive(Clone, Copy)]
pub struct GramProduct<'a, T> {
    /// x, by what is not 0,
    pub sparse: SparseRows<'a, T>,
    /// and as it is.
    pub dense: &'a [T],
    /// See above.
    pub scale: T,
    /// See above.
    pub base: (&'a [T], T),
}

impl<'a, T: Number> Matrix<'a, T> {
    /// For about so many gradients of one signal; the name is that of the argument it comes from.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`]; [`Error::InvalidInput`] if squares over- or
    /// underflow.
    pub fn new(
        design: &'a Design<'a, T>,
        name: &'static str,
        gradients: usize,
        team: &Team,
        stop: &'a Stop<'a>,
    ) -> Result<Matrix<'a, T>, Error> {
        let (m, n) = (design.rows(), design.columns());
        let squares = squared_norms(design, name, stop)?;
        let factors = match design {
            Design::Sparse(..) | Design::Rows(..) => None,
            Design::Dense(columns) => {
                memory::check("the dictionary", 2 * m, n)?;
                let transposed = panels(n, m, |j, i| columns[j][i], stop)?;
                let straight = panels(m, n, |i, j| columns[j][i], stop)?;
                Some(Factors { transposed, straight })
            }
        };
        let gram = if n <= LARGEST_GRAM && n.div_ceil(2) <= gradients {
            memory::check("the Gram matrix", 2 * n, n)?;
            let straight = factors.as_ref().map(|f| &*f.straight);
            let gram = gram_rows(design, straight, team, stop)?;
            Some(panels(n, n, |i, j| gram[i * n + j], stop)?)
        } else {
            None
        };
        Ok(Matrix { design, squares, factors, gram, stop })
    }

    /// The matrix itself.
    pub fn design(&self) -> &'a Design<'a, T> {
        self.design
    }

    /// The squared norms of the atoms.
    pub fn squares(&self) -> &[f64] {
        &self.squares
    }

    /// The way with the fewer operations for rows with so many numbers that are not 0.
    pub fn route(&self, rows: usize, count: usize) -> Route {
        let (m, n) = (self.design.rows() as f64, self.design.columns() as f64);
        let (rows, count) = (rows as f64, count as f64);
        let factors = match &self.factors {
            None => (count / n + rows) * self.design.entries() as f64,
            Some(_) => count.min(DENSE_RATE * rows * n) * m + DENSE_RATE * rows * m * n,
        };
        if self.gram.is_some() && count * n <= factors { Route::Gram } else { Route::Factors }
    }

    /// See [`GramProduct`]; `room` is for what comes in between.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn multiply(
        &self,
        product: GramProduct<'_, T>,
        room: &mut Vec<T>,
        out: &mut [T],
    ) -> Result<(), Error> {
        let GramProduct { sparse, dense, scale, base } = product;
        let (sparse, dense, base) = (Some(sparse), Some(dense), Some(base));
        let rows = product.sparse.count();
        let count = product.sparse.starts[rows] - product.sparse.starts[0];
        if let (Route::Gram, Some(matrix)) = (self.route(rows, count), &self.gram) {
            return self.product(&Product { sparse, dense, matrix, scale, base }, out);
        }
        let Some(factors) = &self.factors else { return self.multiply_by_columns(product, out) };
        let size = rows * self.design.rows();
        room.resize(room.len().max(size), T::ZERO);
        let images = &mut room[..size];
        let matrix = &factors.transposed;
        self.product(&Product { sparse, dense, matrix, scale: T::ONE, base: None }, images)?;
        let (dense, matrix) = (Some(&*images), &factors.straight);
        self.product(&Product { sparse: None, dense, matrix, scale, base }, out)
    }

    fn product(&self, product: &Product<'_, T>, out: &mut [T]) -> Result<(), Error> {
        multiply(product, 0, out, self.stop)
    }

    /// The same of a sparse matrix.
    fn multiply_by_columns(&self, product: GramProduct<'_, T>, out: &mut [T]) -> Result<(), Error> {
        let GramProduct { sparse, scale, base: (base, weight), .. } = product;
        let n = self.design.columns();
        let mut image = vec![0.0; self.design.rows()];
        for (row, (out, base)) in out.chunks_mut(n).zip(base.chunks(n)).enumerate() {
            self.stop.poll()?;
            image.fill(0.0);
            for at in sparse.starts[row]..sparse.starts[row + 1] {
                let x = sparse.values[at].to_f64();
                self.design.for_column(sparse.positions[at] as usize, |i, a| image[i] += x * a);
            }
            for (j, (out, base)) in out.iter_mut().zip(base).enumerate() {
                let sum = scale.to_f64() * self.design.column_dot(j, &image, 1, 0);
                *out = T::from_f64(sum + weight.to_f64() * base.to_f64());
            }
        }
        Ok(())
    }

    /// A weight times `A'y`, of signals by rows.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn correlate(&self, signals: &[T], weight: T, out: &mut [T]) -> Result<(), Error> {
        if let Some(factors) = &self.factors {
            let (dense, matrix) = (Some(signals), &factors.straight);
            let scale = weight;
            return self.product(&Product { sparse: None, dense, matrix, scale, base: None }, out);
        }
        let (m, n) = (self.design.rows(), self.design.columns());
        for (y, out) in signals.chunks(m).zip(out.chunks_mut(n)) {
            self.stop.poll()?;
            let wide: Vec<f64> = y.iter().map(|y| weight.to_f64() * y.to_f64()).collect();
            for (j, out) in out.iter_mut().enumerate() {
                *out = T::from_f64(self.design.column_dot(j, &wide, 1, 0));
            }
        }
        Ok(())
    }

    /// `y - A x` of a row, in double precision.
    fn residual(&self, codes: &Codes<T>, row: usize, y: &[T], out: &mut [f64]) {
        out.iter_mut().zip(&y[row * self.features()..]).for_each(|(r, y)| *r = y.to_f64());
        let (places, values) = codes.row(row);
        subtract(self.design, places, values, out);
    }
}

/// A matrix with these entries.
///
/// # Errors
/// [`Error::Interrupted`].
pub(crate) fn panels<T: Number>(
    rows: usize,
    columns: usize,
    entry: impl Fn(usize, usize) -> T,
    stop: &Stop<'_>,
) -> Result<Large<Panels<T>>, Error> {
    let bytes = Panels::<T>::count(rows, columns) * size_of::<T>();
    let mut panels = Large::new(Panels::new(rows, columns), bytes);
    panels.fill(entry, || stop.poll())?;
    Ok(panels)
}

/// Writes a product down, from a column or a few before it on.
///
/// # Errors
/// [`Error::Interrupted`].
pub(crate) fn multiply<T: Number>(
    product: &Product<'_, T>,
    from: usize,
    out: &mut [T],
    stop: &Stop<'_>,
) -> Result<(), Error> {
    T::multiply(product, from, out, &|| stop.poll().is_ok());
    stop.poll()
}

/// Takes atoms times a code's numbers off a signal, in double precision.
pub(crate) fn subtract<T: Number>(
    design: &Design<'_, T>,
    places: &[u32],
    values: &[T],
    signal: &mut [f64],
) {
    match design {
        Design::Dense(columns) => {
            for (places, values) in places.chunks(4).zip(values.chunks(4)) {
                // The last group is filled up with zeros.
                let alpha = [0, 1, 2, 3].map(|q| values.get(q).map_or(0.0, |v| -v.to_f64()));
                let four = [0, 1, 2, 3].map(|q| columns[places[q.min(places.len() - 1)] as usize]);
                T::add4(alpha, four, signal);
            }
        }
        Design::Sparse(..) | Design::Rows(..) => {
            for (j, v) in places.iter().zip(values) {
                let v = v.to_f64();
                design.for_column(*j as usize, |i, a| signal[i] -= v * a);
            }
        }
    }
}

/// Of the atoms of the matrix that is known by a name.
pub(crate) fn squared_norms<T: Number>(
    design: &Design<'_, T>,
    name: &'static str,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let norm = |j: usize| {
        if j.is_multiple_of(COLUMNS_AT_ONCE) {
            stop.poll()?;
        }
        Ok(design.squared_norm(j))
    };
    let squares: Vec<f64> = (0..design.columns()).map(norm).collect::<Result<_, Error>>()?;
    let total: f64 = squares.iter().sum();
    let fits = |s: &f64| *s == 0.0 || T::SQUARES.contains(s);
    match squares.iter().position(|s| !fits(s)) {
        None if total <= T::MOST_SQUARES => Ok(squares),
        found => Err(Error::invalid(
            name,
            match found {
                Some(j) => format!("has an atom, {j}, whose squares over- or underflow: scale it"),
                None => "has squares that overflow: scale it".to_owned(),
            },
        )),
    }
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
        let fitting = BLOCK_BYTES / (ARRAYS * size_of::<T>() * self.atoms());
        let blocks = signals.div_ceil(fitting.clamp(*BLOCK.start(), *BLOCK.end()));
        let blocks = if blocks > 1 { blocks.next_multiple_of(2) } else { 1 };
        Some(signals.div_ceil(blocks))
    }

    fn correlations(&self, count: usize, y: &[T], out: &mut [T]) -> Result<(), Error> {
        let (m, n) = (self.features(), self.atoms());
        self.correlate(&y[..count * m], T::ONE, &mut out[..count * n])
    }

    fn gradients(&self, rows: Rows<'_, T>, room: &mut Vec<T>, out: &mut [T]) -> Result<(), Error> {
        let used = ..rows.count * self.atoms();
        let (sparse, dense) = (rows.codes.view(), &rows.x[used]);
        let base = (&rows.base[used], -T::ONE);
        let product = GramProduct { sparse, dense, scale: T::ONE, base };
        self.multiply(product, room, &mut out[used])
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
        for (row, residual) in chosen.iter().zip(residuals.chunks_mut(m)) {
            self.stop.poll()?;
            self.residual(codes, *row, y, residual);
        }
        let Design::Dense(columns) = self.design else {
            for (residual, out) in residuals.chunks(m).zip(correlations.chunks_mut(n)) {
                self.stop.poll()?;
                for (j, out) in out.iter_mut().enumerate() {
                    *out = self.design.column_dot(j, residual, 1, 0);
                }
            }
            return Ok(());
        };
        // Atoms that the first cache holds are multiplied with all residuals.
        let together = (ATOM_BYTES / (m * size_of::<T>()) / 4 * 4).clamp(4, COLUMNS_AT_ONCE);
        for (k, atoms) in columns.chunks(together).enumerate() {
            for (residual, out) in residuals.chunks(m).zip(correlations.chunks_mut(n)) {
                self.stop.poll()?;
                let out = out[k * together..][..atoms.len()].chunks_mut(4);
                for (four, out) in atoms.chunks(4).zip(out) {
                    // The last group is filled up with its last atom.
                    let at = |q: usize| four[q.min(four.len() - 1)];
                    let products = T::dot4([at(0), at(1), at(2), at(3)], residual);
                    out.copy_from_slice(&products[..out.len()]);
                }
            }
        }
        Ok(())
    }
}

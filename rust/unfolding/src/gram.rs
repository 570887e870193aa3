//! What coordinate descent and matching pursuit know of a dictionary and a signal: `A'A`, `A'y`.
//!
//! In double precision, whatever the type of the data; of the Gram matrix, N^2 numbers.

use sparrot_design::Design;
use sparrot_foundation::memory::{self, Large};
use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::linear;
use sparrot_simd::panels::{Panels, Product};

use crate::matrix::multiply;
use crate::number::Number;

/// Rows of the Gram matrix that a thread makes at a time.
const LINES: usize = 64;

/// `A'A`, by rows, in the type of the panels of A, which a dense matrix comes with.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn gram_rows<T: Number, U: Number>(
    design: &Design<'_, T>,
    panels: Option<&Panels<U>>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Large<Vec<U>>, Error> {
    let (m, n) = (design.rows(), design.columns());
    let gram: Vec<U> = memory::zeros("the Gram matrix", n, n)?;
    let mut gram = Large::new(gram, n * n * size_of::<U>());
    let items: Vec<(usize, &mut [U])> = gram.chunks_mut(LINES * n).enumerate().collect();
    let done = team.for_work(n * n * m / 16).run(stop, items, |(k, out)| {
        let first = k * LINES;
        if let (Design::Dense(columns), Some(matrix)) = (design, panels) {
            let lines = &columns[first..first + out.len() / n];
            let atoms = lines.iter().flat_map(|a| a.iter().map(|a| U::from_f64(a.to_f64())));
            let atoms: Vec<U> = atoms.collect();
            let (dense, scale) = (Some(&atoms[..]), U::ONE);
            let product = Product { sparse: None, dense, matrix, scale, base: None };
            // What is to the left of the diagonal is had from the other side.
            return multiply(&product, first, out, stop);
        }
        let mut column = vec![0.0; m];
        for (i, out) in out.chunks_mut(n).enumerate() {
            stop.poll()?;
            design.for_column(first + i, |row, v| column[row] = v);
            for (j, out) in out.iter_mut().enumerate().skip(first + i) {
                *out = U::from_f64(design.column_dot(j, &column, 1, 0));
            }
            design.for_column(first + i, |row, _| column[row] = 0.0);
        }
        Ok(())
    })?;
    done.into_iter().collect::<Result<(), Error>>()?;
    mirror(&mut gram, n, stop)?;
    Ok(gram)
}

/// Copies what is to the right of the diagonal to the other side of it, by tiles.
fn mirror<U: Number>(gram: &mut [U], n: usize, stop: &Stop<'_>) -> Result<(), Error> {
    for top in (0..n).step_by(LINES) {
        stop.poll()?;
        for left in (0..=top).step_by(LINES) {
            for i in top..n.min(top + LINES) {
                for j in left..i.min(left + LINES) {
                    gram[i * n + j] = gram[j * n + i];
                }
            }
        }
    }
    Ok(())
}

/// `A'A` in double precision, by rows.
pub struct Gram {
    /// N.
    pub atoms: usize,
    entries: Large<Vec<f64>>,
    /// The diagonal.
    pub squares: Vec<f64>,
    /// Its largest entry.
    pub largest: f64,
}

impl Gram {
    /// Of a dictionary, with its panels if it is dense.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn new<T: Number>(
        design: &Design<'_, T>,
        panels: Option<&Panels<f64>>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Gram, Error> {
        let n = design.columns();
        let entries: Large<Vec<f64>> = gram_rows(design, panels, team, stop)?;
        let squares: Vec<f64> = (0..n).map(|j| entries[j * n + j]).collect();
        let largest = squares.iter().copied().fold(0.0, f64::max);
        Ok(Gram { atoms: n, entries, squares, largest })
    }

    /// A row.
    pub fn row(&self, j: usize) -> &[f64] {
        &self.entries[j * self.atoms..(j + 1) * self.atoms]
    }
}

/// A code in the making: x, and `q = A'(y - A x)`.
pub struct State<'a> {
    /// `A'A`.
    pub gram: &'a Gram,
    /// `A'y`.
    pub base: &'a [f64],
    /// `|y|^2`.
    pub squares: f64,
    /// The code.
    pub x: Vec<f64>,
    /// See above.
    pub q: Vec<f64>,
}

impl<'a> State<'a> {
    /// At 0.
    pub fn new(gram: &'a Gram, base: &'a [f64], squares: f64) -> State<'a> {
        State { gram, base, squares, x: vec![0.0; gram.atoms], q: base.to_vec() }
    }

    /// Changes a number of the code.
    pub fn change(&mut self, j: usize, to: f64) {
        linear::axpy(self.x[j] - to, self.gram.row(j), &mut self.q);
        self.x[j] = to;
    }

    /// Adds to the numbers of these atoms.
    pub fn add(&mut self, atoms: &[usize], moves: &[f64]) {
        for (atom, by) in atoms.iter().zip(moves) {
            self.x[*atom] += by;
        }
        subtract_rows(self.gram, atoms, |i| moves[i], &mut self.q);
    }

    /// Computes q anew, without what has been lost by rounding.
    pub fn refresh(&mut self) {
        let used: Vec<usize> = (0..self.x.len()).filter(|j| self.x[*j] != 0.0).collect();
        self.refresh_with(&used);
    }

    /// The same, for a code of these atoms.
    pub fn refresh_with(&mut self, used: &[usize]) {
        self.q.copy_from_slice(self.base);
        subtract_rows(self.gram, used, |i| self.x[used[i]], &mut self.q);
    }

    /// `|y - A x|^2`, for a code of these atoms.
    pub fn residual_squares(&self, used: &[usize]) -> f64 {
        let of = |j: &usize| self.x[*j] * (self.base[*j] + self.q[*j]);
        self.squares - used.iter().map(of).sum::<f64>()
    }
}

/// Takes multiples of rows of the Gram matrix off q, four at a time.
fn subtract_rows(gram: &Gram, atoms: &[usize], factor: impl Fn(usize) -> f64, q: &mut [f64]) {
    for (k, four) in atoms.chunks(4).enumerate() {
        // The last group is filled up with zeros.
        let alpha = [0, 1, 2, 3].map(|i| if i < four.len() { -factor(4 * k + i) } else { 0.0 });
        let rows = [0, 1, 2, 3].map(|i| gram.row(four[i.min(four.len() - 1)]));
        linear::axpy4(alpha, rows, q);
    }
}

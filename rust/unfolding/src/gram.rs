//! What coordinate descent and matching pursuit know of a dictionary and a signal: `A'A`, `A'y`.
//!
//! In double precision, whatever the type of the data; of the Gram matrix, N^2 numbers.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use sparrot_design::Design;
use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::linear;

use crate::dictionary::Number;

/// Rows of the Gram matrix that a thread makes at a time.
const LINES: usize = 64;

/// `A'A`, by rows.
pub struct Gram {
    /// N.
    pub atoms: usize,
    entries: Vec<f64>,
    /// The diagonal.
    pub squares: Vec<f64>,
}

impl Gram {
    /// Of a dictionary.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn new<T: Number>(
        design: &Design<'_, T>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Gram, Error> {
        let (m, n) = (design.rows(), design.columns());
        let mut entries: Vec<f64> = memory::zeros("the Gram matrix", n, n)?;
        let wide: Vec<f64> = match design {
            Design::Dense(columns) => {
                columns.iter().flat_map(|c| c.iter().map(|a| a.to_f64())).collect()
            }
            Design::Sparse(..) => vec![],
        };
        let items: Vec<(usize, &mut [f64])> = entries.chunks_mut(LINES * n).enumerate().collect();
        team.for_work(n * n * m / 8).run(stop, items, |(k, out)| {
            let (first, lines) = (k * LINES, out.len() / n);
            if let Design::Dense(..) = design {
                let rows =
                    MatRef::from_row_major_slice(&wide[first * m..(first + lines) * m], lines, m);
                let all = MatRef::from_column_major_slice(&wide, m, n);
                let out = MatMut::from_row_major_slice_mut(out, lines, n);
                matmul(out, Accum::Replace, rows, all, 1.0, Par::Seq);
                return;
            }
            let mut column = vec![0.0; m];
            for (i, out) in out.chunks_mut(n).enumerate() {
                design.for_column(first + i, |row, v| column[row] = v);
                (0..n).for_each(|j| out[j] = design.column_dot(j, &column, 1, 0));
                design.for_column(first + i, |row, _| column[row] = 0.0);
            }
        })?;
        let squares = (0..n).map(|j| entries[j * n + j]).collect();
        Ok(Gram { atoms: n, entries, squares })
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

    /// Computes q anew, without what has been lost by rounding.
    pub fn refresh(&mut self) {
        self.q.copy_from_slice(self.base);
        for j in 0..self.x.len() {
            if self.x[j] != 0.0 {
                linear::axpy(-self.x[j], self.gram.row(j), &mut self.q);
            }
        }
    }

    /// `|y - A x|^2`.
    pub fn residual_squares(&self) -> f64 {
        let of = |j: usize| self.x[j] * (self.base[j] + self.q[j]);
        self.squares - (0..self.x.len()).filter(|j| self.x[*j] != 0.0).map(of).sum::<f64>()
    }
}

//! The Gram matrix in panels, and products with signals.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use sparrot_foundation::{Error, Stop, Team, memory};

use crate::training::Element;

/// Signals multiplied at once.
const BLOCK: usize = 256;

/// Of A, of M rows (features) and N columns (atoms).
#[derive(Debug)]
pub struct Dictionary<'a, T> {
    /// By rows.
    matrix: &'a [T],
    features: usize,
    atoms: usize,
    /// N, rounded up to whole panels.
    columns: usize,
    /// The Gram matrix, zeros in the columns beyond N, as [`sparrot_simd::sparse_rows`] wants it.
    panels: Vec<T>,
    /// The squared norms of the atoms.
    squares: Vec<f64>,
    /// With more than two atoms to a feature products of dense codes are cheaper one after the other.
    factors: Option<Factors<T>>,
}

/// The dictionary itself, in panels.
#[derive(Debug)]
pub struct Factors<T> {
    /// A', in rows of [`Self::width`].
    pub transposed: Vec<T>,
    /// A, in rows of [`Dictionary::columns`].
    pub straight: Vec<T>,
    /// M, rounded up to whole panels.
    pub width: usize,
}

impl<'a, T: Element> Dictionary<'a, T> {
    /// Forms the Gram matrix.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; [`Error::Interrupted`].
    pub fn new(
        matrix: &'a [T],
        atoms: usize,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Dictionary<'a, T>, Error> {
        let features = matrix.len() / atoms.max(1);
        let columns = atoms.next_multiple_of(T::PANEL);
        let mut panels = memory::zeros("the Gram matrix", atoms, columns)?;
        let a = MatRef::from_row_major_slice(matrix, features, atoms);
        let height = atoms * T::PANEL;
        let items = panels.chunks_mut(height.max(1)).enumerate().collect();
        team.run(stop, items, |(p, panel): (usize, &mut [T])| {
            let (first, width) = (p * T::PANEL, T::PANEL.min(atoms - p * T::PANEL));
            let whole = MatMut::from_row_major_slice_mut(panel, atoms, T::PANEL);
            let part = whole.subcols_mut(0, width);
            let right = a.subcols(first, width);
            matmul(part, Accum::Replace, a.transpose(), right, T::from_f64(1.0), Par::Seq);
        })?;
        let entry = |j: usize| {
            let (p, at) = (j / T::PANEL, j % T::PANEL);
            panels[p * height + j * T::PANEL + at].to_f64()
        };
        let squares = (0..atoms).map(entry).collect();
        let factors = if atoms > 2 * features {
            let width = features.next_multiple_of(T::PANEL);
            Some(Factors {
                transposed: packed(atoms, features, width, |j, i| matrix[i * atoms + j])?,
                straight: packed(features, atoms, columns, |i, j| matrix[i * atoms + j])?,
                width,
            })
        } else {
            None
        };
        Ok(Dictionary { matrix, features, atoms, columns, panels, squares, factors })
    }

    /// N.
    pub fn atoms(&self) -> usize {
        self.atoms
    }

    /// M.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The length of a dense row of a tile.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The Gram matrix, for the kernels.
    pub fn panels(&self) -> &[T] {
        &self.panels
    }

    /// What to multiply so many rows by, with so many entries that are not 0, if not the Gram matrix.
    pub fn factors(&self, rows: usize, entries: usize) -> Option<&Factors<T>> {
        let saved = entries * self.atoms.saturating_sub(self.features);
        self.factors.as_ref().filter(|_| saved > rows * self.features * self.atoms)
    }

    /// The squared norm of an atom.
    pub fn squares(&self, atom: usize) -> f64 {
        self.squares[atom]
    }

    /// `-A'y` of a few signals, in rows of [`Self::columns`], of which the last few are left alone.
    pub fn minus_correlations(&self, signals: &[T], out: &mut [T]) {
        let count = signals.len() / self.features;
        let y = MatRef::from_row_major_slice(signals, count, self.features);
        let a = MatRef::from_row_major_slice(self.matrix, self.features, self.atoms);
        let out = MatMut::from_row_major_slice_mut(out, count, self.columns);
        let out = out.subcols_mut(0, self.atoms);
        matmul(out, Accum::Replace, y, a, T::from_f64(-1.0), Par::Seq);
    }

    /// The same of many.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; [`Error::Interrupted`].
    pub fn all_minus_correlations(
        &self,
        signals: &[T],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<T>, Error> {
        let count = signals.len() / self.features;
        let mut out = memory::zeros("products of signals and atoms", count, self.columns)?;
        let blocks = signals.chunks(BLOCK * self.features);
        let items = blocks.zip(out.chunks_mut(BLOCK * self.columns)).collect();
        team.run(stop, items, |(signals, out)| self.minus_correlations(signals, out))?;
        Ok(out)
    }

    /// `1 / |A|^2`, the step of the plain algorithm; 1 for a matrix of zeros.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is no such number.
    pub fn plain_step(&self) -> Result<f64, Error> {
        // Scaled so that squares neither under- nor overflow.
        let largest = self.matrix.iter().map(|a| a.to_f64().abs()).fold(0.0, f64::max);
        if largest == 0.0 {
            return Ok(1.0);
        }
        let (m, n) = (self.features, self.atoms);
        let entry = |i: usize, j: usize| self.matrix[i * n + j].to_f64() / largest;
        let a =
            if m <= n { Mat::from_fn(m, n, entry) } else { Mat::from_fn(n, m, |j, i| entry(i, j)) };
        let mut gram = Mat::zeros(a.nrows(), a.nrows());
        matmul(gram.as_mut(), Accum::Replace, a.as_ref(), a.transpose(), 1.0, Par::Seq);
        let values = gram.self_adjoint_eigenvalues(Side::Lower).ok();
        let norm = values.and_then(|values| values.last().copied()).unwrap_or(f64::NAN);
        let step = 1.0 / norm / largest / largest;
        let usable = step.is_finite() && step > 0.0;
        usable.then_some(step).ok_or_else(|| {
            Error::invalid("dictionary", "has a norm whose square is out of range: rescale it")
        })
    }
}

/// A matrix in panels, zeros in the columns beyond `width`.
fn packed<T: Element>(
    height: usize,
    width: usize,
    columns: usize,
    entry: impl Fn(usize, usize) -> T,
) -> Result<Vec<T>, Error> {
    let mut panels: Vec<T> = memory::zeros("the dictionary in panels", height, columns)?;
    for i in 0..height {
        for j in 0..width {
            panels[(j / T::PANEL * height + i) * T::PANEL + j % T::PANEL] = entry(i, j);
        }
    }
    Ok(panels)
}

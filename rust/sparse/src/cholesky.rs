//! Sparse Cholesky factors, by faer: minimum-degree ordering, a bound on the fill, and solves.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::linalg::cholesky::{
    CholeskySymbolicParams, LltRef, SymbolicCholesky, SymmetricOrdering,
    factorize_symbolic_cholesky,
};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Conj, MatMut, Par, Side};

/// The lower triangle of a symmetric matrix, column after column, each from its diagonal down.
#[derive(Clone, Debug, PartialEq)]
pub struct Lower {
    /// Column i has the entries `starts[i]..starts[i + 1]`.
    pub starts: Vec<u32>,
    /// Their rows, increasing in each column.
    pub indices: Vec<u32>,
    /// Their values.
    pub values: Vec<f64>,
}

impl Default for Lower {
    fn default() -> Lower {
        Lower { starts: vec![0], indices: vec![], values: vec![] }
    }
}

/// A factor.
pub struct Cholesky {
    symbolic: SymbolicCholesky<u32>,
    values: Vec<f64>,
    scratch: MemBuffer,
}

/// Why there is no factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFactor {
    /// It would have had more entries than allowed.
    TooFull,
    /// The matrix is not positive definite, or there is no memory for the factor.
    Failed,
}

impl Cholesky {
    /// The factor of a matrix, unless it has more than `most` entries.
    ///
    /// # Errors
    /// See [`NoFactor`].
    pub fn new(matrix: &Lower, most: usize) -> Result<Cholesky, NoFactor> {
        let size = matrix.starts.len() - 1;
        let pattern =
            SymbolicSparseColMatRef::new_checked(size, size, &matrix.starts, None, &matrix.indices);
        let symbolic = factorize_symbolic_cholesky(
            pattern,
            Side::Lower,
            SymmetricOrdering::Amd,
            CholeskySymbolicParams::default(),
        )
        .map_err(|_| NoFactor::Failed)?;
        if symbolic.len_val() > most {
            return Err(NoFactor::TooFull);
        }
        numeric(symbolic, SparseColMatRef::new(pattern, &matrix.values)).ok_or(NoFactor::Failed)
    }

    /// Solves for a right-hand side, in place.
    pub fn solve(&mut self, x: &mut [f64]) {
        let size = x.len();
        LltRef::new(&self.symbolic, &self.values).solve_in_place_with_conj(
            Conj::No,
            MatMut::from_column_major_slice_mut(x, size, 1),
            Par::Seq,
            MemStack::new(&mut self.scratch),
        );
    }
}

fn numeric(
    symbolic: SymbolicCholesky<u32>,
    matrix: SparseColMatRef<'_, u32, f64>,
) -> Option<Cholesky> {
    let mut values = vec![0.0; symbolic.len_val()];
    let need = symbolic.factorize_numeric_llt_scratch::<f64>(Par::Seq, Default::default());
    let mut scratch = MemBuffer::try_new(need).ok()?;
    symbolic
        .factorize_numeric_llt(
            &mut values,
            matrix,
            Side::Lower,
            Default::default(),
            Par::Seq,
            MemStack::new(&mut scratch),
            Default::default(),
        )
        .ok()?;
    let need = symbolic.solve_in_place_scratch::<f64>(1, Par::Seq);
    let scratch = MemBuffer::try_new(need).ok()?;
    Some(Cholesky { symbolic, values, scratch })
}

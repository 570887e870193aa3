//! Sparse Cholesky factors, by faer: minimum-degree ordering, a bound on the fill, and solves.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::linalg::cholesky::{
    CholeskySymbolicParams, LltRef, SymbolicCholesky, SymbolicCholeskyRaw, SymmetricOrdering,
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

/// The order of elimination of a matrix, and what a factor in it will be like.
pub struct Ordered(SymbolicCholesky<u32>);

impl Lower {
    fn pattern(&self) -> SymbolicSparseColMatRef<'_, u32> {
        let size = self.starts.len() - 1;
        SymbolicSparseColMatRef::new_checked(size, size, &self.starts, None, &self.indices)
    }
}

impl Ordered {
    /// By minimum degree.
    ///
    /// # Errors
    /// [`NoFactor::Failed`] if there is no memory for it.
    pub fn new(matrix: &Lower) -> Result<Ordered, NoFactor> {
        factorize_symbolic_cholesky(
            matrix.pattern(),
            Side::Lower,
            SymmetricOrdering::Amd,
            CholeskySymbolicParams::default(),
        )
        .map(Ordered)
        .map_err(|_| NoFactor::Failed)
    }

    /// Entries that the factor will have.
    pub fn entries(&self) -> usize {
        self.0.len_val()
    }

    /// Products that the factor will take, about: the squares of the lengths of its columns.
    pub fn work(&self) -> f64 {
        match self.0.raw() {
            SymbolicCholeskyRaw::Simplicial(factor) => {
                (factor.col_ptr().windows(2)).map(|ends| f64::from(ends[1] - ends[0]).powi(2)).sum()
            }
            SymbolicCholeskyRaw::Supernodal(factor) => {
                let below = factor.col_ptr_for_row_idx().windows(2);
                let ends = factor.supernode_begin().iter().zip(factor.supernode_end());
                (below.zip(ends))
                    .map(|(below, (begin, end))| {
                        let (wide, below) =
                            (f64::from(end - begin), f64::from(below[1] - below[0]));
                        wide * (below * (below + wide) + wide * wide / 3.0)
                    })
                    .sum()
            }
        }
    }

    /// The factor of the matrix that was ordered.
    ///
    /// # Errors
    /// [`NoFactor::Failed`].
    pub fn factor(self, matrix: &Lower) -> Result<Cholesky, NoFactor> {
        let matrix = SparseColMatRef::new(matrix.pattern(), &matrix.values);
        numeric(self.0, matrix).ok_or(NoFactor::Failed)
    }
}

impl Cholesky {
    /// The factor of a matrix, unless it has more than `most` entries.
    ///
    /// # Errors
    /// See [`NoFactor`].
    pub fn new(matrix: &Lower, most: usize) -> Result<Cholesky, NoFactor> {
        let ordered = Ordered::new(matrix)?;
        if ordered.entries() > most { Err(NoFactor::TooFull) } else { ordered.factor(matrix) }
    }

    /// Solves for `k` right-hand sides one after the other in memory, in place.
    ///
    /// # Errors
    /// [`NoFactor::Failed`] if there is no memory for it.
    pub fn solve_many(&mut self, x: &mut [f64], k: usize) -> Result<(), NoFactor> {
        let need = self.symbolic.solve_in_place_scratch::<f64>(k, Par::Seq);
        let mut scratch = MemBuffer::try_new(need).map_err(|_| NoFactor::Failed)?;
        LltRef::new(&self.symbolic, &self.values).solve_in_place_with_conj(
            Conj::No,
            MatMut::from_column_major_slice_mut(x, x.len() / k.max(1), k),
            Par::Seq,
            MemStack::new(&mut scratch),
        );
        Ok(())
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

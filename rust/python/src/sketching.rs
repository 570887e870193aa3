//! Sketches and least squares for Python.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sparrot_foundation::Scalar;
use sparrot_sketch::{Dense, Kind, Rows, Sparse, SparseRows};

use crate::design::{Indices, compressed};
use crate::guard::{self, Limits};

type Vector<'py> = PyReadonlyArray1<'py, f64>;

/// A matrix: dense and contiguous, with whether it is the transpose that is given; or by compressed
/// rows, with the number of columns.
#[derive(FromPyObject)]
pub enum RowsInput<'py> {
    Dense(PyReadonlyArray2<'py, f64>, bool),
    DenseSingle(PyReadonlyArray2<'py, f32>, bool),
    Sparse(Indices<'py>, Indices<'py>, Vector<'py>, usize),
    SparseSingle(Indices<'py>, Indices<'py>, PyReadonlyArray1<'py, f32>, usize),
}

impl RowsInput<'_> {
    /// A view that can leave the interpreter.
    pub fn view(&self) -> PyResult<Box<dyn Rows + '_>> {
        Ok(match self {
            RowsInput::Dense(matrix, transposed) => Box::new(dense(matrix, *transposed)?),
            RowsInput::DenseSingle(matrix, transposed) => Box::new(dense(matrix, *transposed)?),
            RowsInput::Sparse(starts, indices, values, columns) => {
                Box::new(Sparse(SparseRows::Double(compressed(starts, indices, values)?), *columns))
            }
            RowsInput::SparseSingle(starts, indices, values, columns) => {
                Box::new(Sparse(SparseRows::Single(compressed(starts, indices, values)?), *columns))
            }
        })
    }
}

fn dense<'a, T: Scalar + numpy::Element>(
    matrix: &'a PyReadonlyArray2<'_, T>,
    transposed: bool,
) -> PyResult<Dense<'a, T>> {
    let (lines, length) = matrix.as_array().dim();
    let (rows, columns) = if transposed { (length, lines) } else { (lines, length) };
    Ok(Dense::new(matrix.as_slice()?, rows, columns, transposed))
}

/// A kind: its name and its number, 0 for none.
#[derive(FromPyObject)]
pub struct KindInput(String, usize);

impl KindInput {
    /// The kind.
    pub fn kind(&self) -> PyResult<Kind> {
        let number = (self.1 > 0).then_some(self.1);
        Ok(match self.0.as_str() {
            "srht" => Kind::Srht { block: number },
            "bgpt" => Kind::Pooled { padded: number },
            "circulant" => Kind::Circulant,
            "gaussian" => Kind::Gaussian,
            "sparse-sign" => Kind::SparseSign { nonzeros: self.1 },
            other => return Err(PyTypeError::new_err(format!("unknown kind {other:?}"))),
        })
    }
}

/// `S A`, row by row; of rows of a longer matrix from `first` on.
#[pyfunction]
pub fn sketching_sketch<'py>(
    py: Python<'py>,
    rows: RowsInput<'py>,
    kind: KindInput,
    size: usize,
    seed: u64,
    first: usize,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (view, kind) = (rows.view()?, kind.kind()?);
    let view = &*view;
    let found = guard::call(py, Limits::threads(n_threads), |team, stop| {
        sparrot_sketch::sketch(view, kind, size, seed, first, team, stop)
    })?;
    Ok(found.into_pyarray(py))
}

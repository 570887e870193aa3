//! The matrix of a linear model for Python.

use numpy::{Element as NumpyElement, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use sparrot_design::{Design, Element, Grid};
use sparrot_sparse::Compressed;
use sparrot_unfolding::Number;

type Vector<'py> = PyReadonlyArray1<'py, f64>;
pub type Indices<'py> = PyReadonlyArray1<'py, u32>;

/// The matrix of a linear model: dense, transposed, in either order; or by compressed columns, with the number of
/// rows.
#[derive(FromPyObject)]
pub enum DesignInput<'py> {
    Dense(PyReadonlyArray2<'py, f64>),
    DenseSingle(PyReadonlyArray2<'py, f32>),
    Sparse(Indices<'py>, Indices<'py>, Vector<'py>, usize),
    SparseSingle(Indices<'py>, Indices<'py>, PyReadonlyArray1<'py, f32>, usize),
}

/// f32 or f64.
pub trait Float: NumpyElement + Number {}
impl Float for f32 {}
impl Float for f64 {}

/// What is to be done with a design, whichever type it has.
pub trait DesignTask {
    type Answer;
    fn run<T: Float>(self, design: Design<'_, T>) -> Self::Answer;
}

impl DesignInput<'_> {
    pub fn with<W: DesignTask>(&self, task: W) -> PyResult<W::Answer> {
        Ok(match self {
            DesignInput::Dense(matrix) => task.run(dense(matrix)?),
            DesignInput::DenseSingle(matrix) => task.run(dense(matrix)?),
            DesignInput::Sparse(starts, indices, values, rows) => {
                task.run(Design::Sparse(compressed(starts, indices, values)?, *rows))
            }
            DesignInput::SparseSingle(starts, indices, values, rows) => {
                task.run(Design::Sparse(compressed(starts, indices, values)?, *rows))
            }
        })
    }
}

/// A matrix by compressed lines.
pub fn compressed<'a, T: NumpyElement>(
    starts: &'a Indices<'_>,
    indices: &'a Indices<'_>,
    values: &'a PyReadonlyArray1<'_, T>,
) -> PyResult<Compressed<'a, T>> {
    let (starts, indices, values) = (starts.as_slice()?, indices.as_slice()?, values.as_slice()?);
    Ok(Compressed { starts, indices, values })
}

/// A dense matrix, transposed: by columns, or by rows if that is how it lies in memory.
pub fn dense<'a, T: NumpyElement + Element>(
    transposed: &'a PyReadonlyArray2<'_, T>,
) -> PyResult<Design<'a, T>> {
    let (columns, rows) = transposed.as_array().dim();
    if !transposed.is_c_contiguous() && transposed.is_fortran_contiguous() {
        return Ok(Design::Rows(Grid::new(transposed.as_slice()?, columns)));
    }
    Ok(Design::Dense(transposed.as_slice()?.chunks(rows.max(1)).collect()))
}

//! Products of columns that stream in blocks, and what they are solved by, for Python.

use numpy::{IntoPyArray, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_foundation::Error;
use sparrot_sketch::Problem;
use sparrot_sketch::moments::Moments;
use sparrot_sketch::normal;

use crate::guard::{self, Limits};
use crate::least_squares::{LeastSquaresInput, result};
use crate::sketching::RowsInput;

/// A state, as [`state`] gives it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct MomentsInput<'py> {
    d: usize,
    k: usize,
    n_rows: u64,
    high: PyReadonlyArray1<'py, f64>,
    low: PyReadonlyArray1<'py, f64>,
    largest: PyReadonlyArray1<'py, f64>,
    error: f64,
}

impl MomentsInput<'_> {
    fn moments(&self) -> PyResult<Moments> {
        Ok(Moments {
            d: self.d,
            k: self.k,
            rows: self.n_rows,
            high: self.high.as_slice()?.to_vec(),
            low: self.low.as_slice()?.to_vec(),
            largest: self.largest.as_slice()?.to_vec(),
            error: self.error,
        })
    }
}

/// As Python keeps it.
fn state(py: Python<'_>, moments: Moments) -> PyResult<Bound<'_, PyDict>> {
    let state = PyDict::new(py);
    state.set_item("d", moments.d)?;
    state.set_item("k", moments.k)?;
    state.set_item("n_rows", moments.rows)?;
    state.set_item("high", moments.high.into_pyarray(py))?;
    state.set_item("low", moments.low.into_pyarray(py))?;
    state.set_item("largest", moments.largest.into_pyarray(py))?;
    state.set_item("error", moments.error)?;
    Ok(state)
}

/// The state of a block of rows alone.
#[pyfunction]
pub fn sketching_moments<'py>(
    py: Python<'py>,
    rows: RowsInput<'py>,
    b: PyReadonlyArray2<'py, f64>,
    sample_weight: Option<PyReadonlyArray1<'py, f64>>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let view = rows.view()?;
    let weights = match &sample_weight {
        None => None,
        Some(weights) => Some(weights.as_slice()?),
    };
    let (b, targets) = (b.as_slice()?, b.as_array().ncols());
    let problem = Problem { a: &*view, b, targets, weights, ridge: 0.0, intercept: true };
    let found = guard::call(py, Limits::threads(n_threads), |team, stop| {
        let mut moments = Moments::new(problem.a.columns(), targets)?;
        moments.update(&problem, team, stop)?;
        Ok(moments)
    })?;
    state(py, found)
}

/// The state of the rows of both.
#[pyfunction]
pub fn sketching_merged<'py>(
    py: Python<'py>,
    one: MomentsInput<'py>,
    other: MomentsInput<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let (mut moments, other) = (one.moments()?, other.moments()?);
    moments.merge(&other);
    state(py, moments)
}

/// What a state knows of the coefficients: as `sketching_lstsq`.
#[pyfunction]
pub fn sketching_finalize<'py>(
    py: Python<'py>,
    moments: MomentsInput<'py>,
    input: LeastSquaresInput<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let (moments, settings) = (moments.moments()?, input.settings());
    let (ridge, intercept) = input.penalty();
    let found = guard::call(py, Limits::threads(Some(1)), |_, stop| {
        let found = normal::solve(&moments, ridge, intercept, &settings, stop)?;
        Ok::<_, Error>(found.answer(&moments, intercept, &settings))
    })?;
    result(py, found)
}

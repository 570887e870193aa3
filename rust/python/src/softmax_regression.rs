//! Softmax regression for Python.

use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_sketch::{SoftmaxProblem, SoftmaxSettings, softmax_regression};

use crate::guard::{self, Limits};
use crate::sketching::{KindInput, RowsInput};

/// From a start; with a kind, a size and a seed by sketches: a dict.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the problem, and what is asked for")]
pub fn sketching_softmax_regression<'py>(
    py: Python<'py>,
    rows: RowsInput<'py>,
    b: PyReadonlyArray1<'py, f64>,
    start: PyReadonlyArray1<'py, f64>,
    ridge: f64,
    sketched: Option<(KindInput, usize, u64)>,
    tol: f64,
    max_iter: usize,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let view = rows.view()?;
    let problem = SoftmaxProblem { a: &*view, b: b.as_slice()?, ridge };
    let (sketch, seed) = match sketched {
        None => (None, 0),
        Some((kind, size, seed)) => (Some((kind.kind()?, size)), seed),
    };
    let settings = SoftmaxSettings { sketch, seed, tol, max_iter };
    let start = start.as_slice()?;
    let found = guard::call(py, Limits::threads(n_threads), |team, stop| {
        softmax_regression(problem, start, &settings, team, stop)
    })?;
    let result = PyDict::new(py);
    result.set_item("x", found.x.into_pyarray(py))?;
    result.set_item("objective", found.objective)?;
    result.set_item("residual_norm", found.residual)?;
    result.set_item("stationarity", found.stationarity)?;
    result.set_item("curvature", found.curvature)?;
    result.set_item("positive_definite", found.is_positive)?;
    result.set_item("status", found.status.name())?;
    result.set_item("passes", found.passes)?;
    result.set_item("trace", found.trace.concat().into_pyarray(py))?;
    Ok(result)
}

//! Certified least squares for Python.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_sketch::{Answer, Problem, Rows, Settings, leverage_scores, sketch_solve, solve};

use crate::guard::{self, Limits};
use crate::sketching::{KindInput, RowsInput};

/// What belongs to the rows, and what is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct LeastSquaresInput<'py> {
    sample_weight: Option<PyReadonlyArray1<'py, f64>>,
    ridge: f64,
    intercept: bool,
    gram: bool,
    rcond: f64,
    tol: f64,
    max_passes: usize,
    seed: u64,
}

impl LeastSquaresInput<'_> {
    /// The ridge, and whether there is an intercept.
    pub fn penalty(&self) -> (f64, bool) {
        (self.ridge, self.intercept)
    }

    /// What is asked for.
    pub fn settings(&self) -> Settings {
        Settings {
            gram: self.gram,
            rcond: self.rcond,
            tol: self.tol,
            max_passes: self.max_passes,
            seed: self.seed,
        }
    }

    fn problem<'a>(
        &'a self,
        a: &'a dyn Rows,
        b: &'a [f64],
        targets: usize,
    ) -> PyResult<Problem<'a>> {
        let weights = match &self.sample_weight {
            None => None,
            Some(weights) => Some(weights.as_slice()?),
        };
        let (ridge, intercept) = (self.ridge, self.intercept);
        Ok(Problem { a, b, targets, weights, ridge, intercept })
    }
}

/// Solves for each column of `b`: a dict, its matrices row by row. With a kind, a size and a quantile
/// from a sketch alone.
#[pyfunction]
pub fn sketching_lstsq<'py>(
    py: Python<'py>,
    rows: RowsInput<'py>,
    b: PyReadonlyArray2<'py, f64>,
    input: LeastSquaresInput<'py>,
    sketched: Option<(KindInput, usize, f64)>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let view = rows.view()?;
    let problem = input.problem(&*view, b.as_slice()?, b.as_array().ncols())?;
    let settings = input.settings();
    let sketched = match sketched {
        None => None,
        Some((kind, size, quantile)) => Some((kind.kind()?, size, quantile)),
    };
    let found = guard::call(py, Limits::threads(n_threads), |team, stop| match sketched {
        None => solve(problem, &settings, team, stop),
        Some((kind, size, quantile)) => {
            sketch_solve(problem, kind, size, quantile, &settings, team, stop)
        }
    })?;
    result(py, found)
}

/// A leverage score for each row; by so many random directions, if any.
#[pyfunction]
pub fn sketching_leverage<'py>(
    py: Python<'py>,
    rows: RowsInput<'py>,
    input: LeastSquaresInput<'py>,
    directions: Option<usize>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let view = rows.view()?;
    let problem = input.problem(&*view, &[], 0)?;
    let settings = input.settings();
    let found = guard::call(py, Limits::threads(n_threads), |team, stop| {
        leverage_scores(problem, directions, &settings, team, stop)
    })?;
    Ok(found.into_pyarray(py))
}

/// As Python sees it.
pub fn result(py: Python<'_>, found: Answer) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    result.set_item("x", found.x.into_pyarray(py))?;
    result.set_item("coef_bound", found.bounds.into_pyarray(py))?;
    result.set_item("intercept", found.intercepts.into_pyarray(py))?;
    result.set_item("intercept_bound", found.intercept_bounds.into_pyarray(py))?;
    result.set_item("residual_norm", found.residuals.into_pyarray(py))?;
    result.set_item("rank", found.rank)?;
    result.set_item("condition_estimate", found.condition)?;
    result.set_item("error", found.error)?;
    result.set_item("status", found.status.name())?;
    result.set_item("method", found.method)?;
    result.set_item("passes", found.passes)?;
    result.set_item("sketch_rows", found.sketch_rows)?;
    Ok(result)
}

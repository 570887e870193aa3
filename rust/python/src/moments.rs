//! Products of columns that stream in blocks, and what they are solved by, for Python.

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_foundation::Error;
use sparrot_sketch::moments::Moments;
use sparrot_sketch::normal;
use sparrot_sketch::{Problem, Rows};

use sparrot_sketch::gradient::{Gradient, Look, Twofold};

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

/// The problem of a block of rows.
fn block<'a>(
    a: &'a dyn Rows,
    b: &'a PyReadonlyArray2<'_, f64>,
    sample_weight: Option<&'a PyReadonlyArray1<'_, f64>>,
    intercept: bool,
) -> PyResult<Problem<'a>> {
    let weights = match sample_weight {
        None => None,
        Some(weights) => Some(weights.as_slice()?),
    };
    let (b, targets) = (b.as_slice()?, b.as_array().ncols());
    Ok(Problem { a, b, targets, weights, ridge: 0.0, intercept })
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
    let problem = block(&*view, &b, sample_weight.as_ref(), true)?;
    let found = guard::call(py, Limits::threads(n_threads), |team, stop| {
        let mut moments = Moments::new(problem.a.columns(), problem.targets)?;
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

/// What a state knows of the coefficients: as `sketching_lstsq`, and the point to twice the precision.
#[pyfunction]
pub fn sketching_finalize<'py>(
    py: Python<'py>,
    moments: MomentsInput<'py>,
    input: LeastSquaresInput<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let (moments, settings) = (moments.moments()?, input.settings());
    let (ridge, intercept) = input.penalty();
    let (answer, x) = guard::call(py, Limits::threads(Some(1)), |_, stop| {
        let found = normal::solve(&moments, ridge, intercept, &settings, stop)?;
        let answer = found.answer(&moments, intercept, &settings);
        let x: Vec<Twofold> = found.points.into_iter().map(|point| point.x).collect();
        Ok::<_, Error>((answer, x))
    })?;
    let result = result(py, answer)?;
    result.set_item("point", point(py, &x))?;
    Ok(result)
}

/// Coefficients of one right-hand side after the other, high parts and low.
type PointInput<'py> = (PyReadonlyArray2<'py, f64>, PyReadonlyArray2<'py, f64>);
type Point<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray2<f64>>);

fn point<'py>(py: Python<'py>, x: &[Twofold]) -> Point<'py> {
    let array = |of: fn(&Twofold) -> &Vec<f64>| {
        let p = x.first().map_or(0, |x| x.high.len());
        Array2::from_shape_fn((x.len(), p), |(t, j)| of(&x[t])[j]).into_pyarray(py)
    };
    (array(|x| &x.high), array(|x| &x.low))
}

fn twofolds((high, low): &PointInput<'_>) -> Vec<Twofold> {
    let (high, low) = (high.as_array(), low.as_array());
    let rows = high.rows().into_iter().zip(low.rows());
    rows.map(|(high, low)| Twofold { high: high.to_vec(), low: low.to_vec() }).collect()
}

/// A look, as [`look`] gives it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct LookInput<'py> {
    g: PointInput<'py>,
    residual: Vec<f64>,
    target: Vec<f64>,
    error: f64,
    n_rows: u64,
}

impl LookInput<'_> {
    fn look(&self) -> Look {
        let sums = self.residual.iter().zip(&self.target);
        let all = twofolds(&self.g)
            .into_iter()
            .zip(sums)
            .map(|(g, (residual, target))| Gradient { g, residual: *residual, target: *target })
            .collect();
        Look { all, error: self.error, rows: self.n_rows }
    }
}

fn look<'py>(py: Python<'py>, found: Look) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let g: Vec<Twofold> = found.all.iter().map(|one| one.g.clone()).collect();
    dict.set_item("g", point(py, &g))?;
    dict.set_item("residual", found.all.iter().map(|one| one.residual).collect::<Vec<f64>>())?;
    dict.set_item("target", found.all.iter().map(|one| one.target).collect::<Vec<f64>>())?;
    dict.set_item("error", found.error)?;
    dict.set_item("n_rows", found.rows)?;
    Ok(dict)
}

/// Residual and gradient at a point, through a block of rows.
#[pyfunction]
pub fn sketching_look<'py>(
    py: Python<'py>,
    rows: RowsInput<'py>,
    b: PyReadonlyArray2<'py, f64>,
    sample_weight: Option<PyReadonlyArray1<'py, f64>>,
    point: PointInput<'py>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let view = rows.view()?;
    let x = twofolds(&point);
    let intercept = x.first().is_some_and(|x| x.high.len() > view.columns());
    let problem = block(&*view, &b, sample_weight.as_ref(), intercept)?;
    let found = guard::call(py, Limits::threads(n_threads), |team, stop| {
        Look::new(&problem, &x, team, stop)
    })?;
    look(py, found)
}

/// A look through the rows of both.
#[pyfunction]
pub fn sketching_looks_merged<'py>(
    py: Python<'py>,
    one: LookInput<'py>,
    other: LookInput<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut all = one.look();
    all.merge(&other.look());
    look(py, all)
}

/// The answer after so many looks and this one, with where to look next: a point, or none.
#[pyfunction]
pub fn sketching_corrected<'py>(
    py: Python<'py>,
    moments: MomentsInput<'py>,
    input: LeastSquaresInput<'py>,
    at: PointInput<'py>,
    found: LookInput<'py>,
    before: (usize, f64),
) -> PyResult<Bound<'py, PyDict>> {
    let (moments, settings) = (moments.moments()?, input.settings());
    let (x, seen, penalty) = (twofolds(&at), found.look(), input.penalty());
    let found = guard::call(py, Limits::threads(Some(1)), |_, stop| {
        let normal = normal::solve(&moments, penalty.0, penalty.1, &settings, stop)?;
        normal.corrected(&moments, penalty, &settings, x, &seen, before)
    })?;
    let result = result(py, found.answer)?;
    result.set_item("next", found.next.map(|x| point(py, &x)))?;
    result.set_item("size", found.size)?;
    Ok(result)
}

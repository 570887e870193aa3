//! Views of NumPy arrays, without a copy.

use numpy::ndarray::Axis;
use numpy::{Element as NumpyElement, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sparrot_foundation::Error;
use sparrot_transport::geometry::{Cost, Element, MatrixView, Metric, Points};

/// A cost as Python hands it over: a matrix, or `(metric, X, Y)`.
pub enum CostInput<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Double(PyReadonlyArray2<'py, f64>),
    Points(Metric, PyReadonlyArray2<'py, f64>, PyReadonlyArray2<'py, f64>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for CostInput<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(matrix) = object.extract() {
            return Ok(CostInput::Double(matrix));
        }
        if let Ok(matrix) = object.extract() {
            return Ok(CostInput::Single(matrix));
        }
        let (metric, x, y) = object.extract::<(String, _, _)>()?;
        let metric = match metric.as_str() {
            "sqeuclidean" => Metric::SquaredEuclidean,
            "euclidean" => Metric::Euclidean,
            "cosine" => Metric::Cosine,
            other => return Err(PyTypeError::new_err(format!("unknown metric {other:?}"))),
        };
        Ok(CostInput::Points(metric, x, y))
    }
}

/// A cost that can leave the interpreter.
pub enum CostView<'a> {
    Single(MatrixView<'a, f32>),
    Double(MatrixView<'a, f64>),
    Points { metric: Metric, x: &'a [f64], y: &'a [f64], d: usize },
}

impl<'py> CostInput<'py> {
    pub fn view(&self) -> PyResult<CostView<'_>> {
        Ok(match self {
            CostInput::Single(matrix) => CostView::Single(view(matrix)?),
            CostInput::Double(matrix) => CostView::Double(view(matrix)?),
            CostInput::Points(metric, x, y) => CostView::Points {
                metric: *metric,
                d: x.as_array().ncols(),
                x: x.as_slice()?,
                y: y.as_slice()?,
            },
        })
    }
}

impl CostView<'_> {
    /// Gives the cost to `work`; points are prepared first.
    pub fn with<R>(&self, work: impl FnOnce(&dyn Cost) -> Result<R, Error>) -> Result<R, Error> {
        match self {
            CostView::Single(matrix) => work(matrix),
            CostView::Double(matrix) => work(matrix),
            CostView::Points { metric, x, y, d } => work(&Points::new(*metric, x, y, *d)?),
        }
    }
}

/// The rows or the columns of the array, whichever are contiguous.
///
/// Only entries of the array are looked at: what a view leaves out may be written to by others.
fn view<'a, T: Element + NumpyElement>(
    matrix: &'a PyReadonlyArray2<'_, T>,
) -> PyResult<MatrixView<'a, T>> {
    let array = matrix.as_array();
    let contiguous = |stride: isize, length: usize| stride == 1 || length == 1;
    let by_columns = !contiguous(array.strides()[1], array.ncols());
    if by_columns && !contiguous(array.strides()[0], array.nrows()) {
        return Err(PyTypeError::new_err("the cost has neither contiguous rows nor columns"));
    }
    let length = if by_columns { array.nrows() } else { array.ncols() };
    let lines = array
        .axis_iter(Axis(usize::from(by_columns)))
        // SAFETY: the line has `length` entries with a stride of 1, and NumPy vouches for each.
        // The borrow of the array keeps them alive, and unwritten to as far as NumPy knows.
        .map(|line| unsafe { std::slice::from_raw_parts(line.as_ptr(), length) })
        .collect();
    Ok(MatrixView { lines, length, by_columns })
}

/// Two contiguous vectors.
pub fn slices<'a>(
    a: &'a PyReadonlyArray1<'_, f64>,
    b: &'a PyReadonlyArray1<'_, f64>,
) -> PyResult<(&'a [f64], &'a [f64])> {
    Ok((a.as_slice()?, b.as_slice()?))
}

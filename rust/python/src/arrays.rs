//! Views of NumPy arrays, without a copy.

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
            CostInput::Single(matrix) => CostView::Single(view(matrix)),
            CostInput::Double(matrix) => CostView::Double(view(matrix)),
            CostInput::Points(metric, x, y) => CostView::Points {
                metric: *metric,
                d: x.as_array().ncols(),
                x: x.as_slice()?,
                y: y.as_slice()?,
            },
        })
    }

    pub fn is_single(&self) -> bool {
        matches!(self, CostInput::Single(_))
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

/// The array as it lies in memory, with its strides.
fn view<'a, T: Element + NumpyElement>(array: &'a PyReadonlyArray2<'_, T>) -> MatrixView<'a, T> {
    let array = array.as_array();
    let (n, m) = array.dim();
    let strides = (array.strides()[0], array.strides()[1]);
    if n == 0 || m == 0 {
        return MatrixView { data: &[], start: 0, shape: (n, m), strides };
    }
    // How far the entries reach below and above entry (0, 0).
    let reach =
        [(n, strides.0), (m, strides.1)].map(|(count, stride)| (count as isize - 1) * stride);
    let below: isize = reach.iter().map(|r| (*r).min(0)).sum();
    let above: isize = reach.iter().map(|r| (*r).max(0)).sum();
    // SAFETY: NumPy vouches for every entry of the array, the lowest and the highest included, and
    // both lie in the one allocation behind it; the borrow keeps it alive and unwritten to. What a
    // strided view skips within that allocation is memory of the same base array, initialised by
    // NumPy as numbers of this or another type, and any bits are a valid float.
    let data = unsafe {
        let lowest = array.as_ptr().offset(below);
        std::slice::from_raw_parts(lowest, (above - below) as usize + 1)
    };
    MatrixView { data, start: below.unsigned_abs(), shape: (n, m), strides }
}

/// Two contiguous vectors.
pub fn slices<'a>(
    a: &'a PyReadonlyArray1<'_, f64>,
    b: &'a PyReadonlyArray1<'_, f64>,
) -> PyResult<(&'a [f64], &'a [f64])> {
    Ok((a.as_slice()?, b.as_slice()?))
}

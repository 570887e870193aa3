//! `sparrot_graph` for Python.
//!
//! Matrices come as `(indptr, indices, data)` with sorted unsigned indices; values of nodes as
//! (n, k) arrays by rows.

use numpy::{
    IntoPyArray, Ix2, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_foundation::{Error, Scalar};
use sparrot_graph::cg::Limits;
use sparrot_graph::sweeps::Sweeps;
use sparrot_graph::{Method, Problem, Solution, certificate, forests, problem};
use sparrot_sparse::Compressed;

use crate::guard;

/// A symmetric sparse matrix.
#[derive(FromPyObject)]
pub enum Sparse<'py> {
    Double(Indices<'py>, Indices<'py>, PyReadonlyArray1<'py, f64>),
    Single(Indices<'py>, Indices<'py>, PyReadonlyArray1<'py, f32>),
}

type Indices<'py> = PyReadonlyArray1<'py, u32>;
type Values<'py> = PyReadwriteArray<'py, f64, Ix2>;

fn compressed<'a, T: Scalar + numpy::Element>(
    starts: &'a Indices<'_>,
    indices: &'a Indices<'_>,
    values: &'a PyReadonlyArray1<'_, T>,
) -> PyResult<Compressed<'a, T>> {
    let (starts, indices, values) = (starts.as_slice()?, indices.as_slice()?, values.as_slice()?);
    if starts.is_empty() {
        return Err(PyValueError::new_err("indptr is empty"));
    }
    Ok(Compressed { starts, indices, values })
}

/// Runs code for a matrix of either type.
macro_rules! with {
    ($matrix:expr, |$view:ident| $work:expr) => {
        match $matrix {
            Sparse::Double(starts, indices, values) => {
                let $view = compressed(starts, indices, values)?;
                $work
            }
            Sparse::Single(starts, indices, values) => {
                let $view = compressed(starts, indices, values)?;
                $work
            }
        }
    };
}

/// A problem: see [`Problem`].
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct GraphInput<'py> {
    weights: Sparse<'py>,
    fixed: PyReadonlyArray1<'py, bool>,
    diagonal: Option<PyReadonlyArray1<'py, f64>>,
    source: Option<PyReadonlyArray2<'py, f64>>,
    n_threads: Option<usize>,
}

impl GraphInput<'_> {
    fn problem<'a, T: Scalar>(
        &'a self,
        weights: Compressed<'a, T>,
        shape: &[usize],
    ) -> PyResult<Problem<'a, T>> {
        let fixed = self.fixed.as_slice()?;
        let diagonal = self.diagonal.as_ref().map(|c| c.as_slice()).transpose()?;
        let source = self.source.as_ref().map(|b| b.as_slice()).transpose()?;
        let (n, k) = (weights.lines(), shape[1]);
        let fits = shape[0] == n
            && k > 0
            && fixed.len() == n
            && diagonal.is_none_or(|c| c.len() == n)
            && source.is_none_or(|b| b.len() == n * k);
        if !fits {
            return Err(PyValueError::new_err("the arrays of a problem do not fit each other"));
        }
        Ok(Problem { weights, fixed, diagonal, source, k })
    }

    fn limits(&self, max_time: Option<f64>) -> guard::Limits {
        guard::Limits { n_threads: self.n_threads, max_time, callback: None }
    }
}

/// Writes the values of the reached nodes into `x`, which has those of the fixed ones.
#[pyfunction]
pub fn graph_solve<'py>(
    py: Python<'py>,
    problem: GraphInput<'py>,
    mut x: Values<'py>,
    method: &str,
    tol: f64,
    max_iter: usize,
    max_time: Option<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let method = Method::NAMES.iter().find(|(name, _)| *name == method);
    let Some((_, method)) = method else {
        return Err(PyTypeError::new_err("unknown method"));
    };
    let limits = Limits { tol, max_iter, give_up: None };
    let shape = x.shape().to_vec();
    let x = x.as_slice_mut()?;
    let solution = with!(&problem.weights, |weights| {
        let native = problem.problem(weights, &shape)?;
        guard::call(py, problem.limits(max_time), |team, stop| {
            sparrot_graph::solve(&native, x, *method, limits, team, stop)
        })
    })?;
    let Solution { status, method, iterations, residuals, unreached, seconds } = solution;
    let result = PyDict::new(py);
    result.set_item("status", status.name())?;
    result.set_item("method", method.name())?;
    result.set_item("n_iter", iterations)?;
    result.set_item("residuals", residuals.into_pyarray(py))?;
    result.set_item("unreached", nodes(py, unreached))?;
    result.set_item("seconds", seconds)?;
    Ok(result)
}

/// Bounds of the errors of `x`, (n, k) by rows.
#[pyfunction]
pub fn graph_error_bounds<'py>(
    py: Python<'py>,
    problem: GraphInput<'py>,
    x: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let values = x.as_slice()?;
    let bounds = with!(&problem.weights, |weights| {
        let native = problem.problem(weights, x.shape())?;
        guard::call(py, problem.limits(None), |team, stop| {
            certificate::error_bounds(&native, values, team, stop)
        })
    })?;
    Ok(bounds.into_pyarray(py))
}

/// Forests that the nodes are cut into, taken in that order.
#[pyfunction]
pub fn graph_forest_partition<'py>(
    py: Python<'py>,
    matrix: Sparse<'py>,
    order: Indices<'py>,
) -> PyResult<Vec<Bound<'py, PyArray1<i64>>>> {
    let order = order.as_slice()?;
    let forests = with!(&matrix, |view| {
        let order = permutation(order, view.lines());
        guard::call(py, guard::Limits::threads(None), |_, stop| {
            forests::partition(view, order?, stop)
        })
    })?;
    Ok(forests.into_iter().map(|forest| nodes(py, forest)).collect())
}

/// The forest of the nodes that close no cycle when taken in that order.
#[pyfunction]
pub fn graph_greedy_forest<'py>(
    py: Python<'py>,
    matrix: Sparse<'py>,
    order: Indices<'py>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let order = order.as_slice()?;
    let forest = with!(&matrix, |view| {
        let order = permutation(order, view.lines());
        guard::call(py, guard::Limits::threads(None), |_, stop| forests::greedy(view, order?, stop))
    })?;
    Ok(nodes(py, forest))
}

/// Solves in place for a matrix whose graph is a forest.
#[pyfunction]
pub fn graph_message_passing(
    py: Python<'_>,
    matrix: Sparse<'_>,
    mut x: Values<'_>,
) -> PyResult<()> {
    let (rows, k) = (x.shape()[0], x.shape()[1]);
    let x = x.as_slice_mut()?;
    with!(&matrix, |view| {
        if rows != view.lines() || k == 0 {
            return Err(PyValueError::new_err("b does not fit A"));
        }
        guard::call(py, guard::Limits::threads(None), |_, stop| forests::solve(view, x, k, stop))
    })
}

/// A matrix cut into forests, for sweeps over them.
#[pyclass(frozen, module = "sparrot._sparrot")]
pub struct ForestSweeps(Sweeps);

#[pymethods]
impl ForestSweeps {
    #[new]
    fn new(py: Python<'_>, matrix: Sparse<'_>) -> PyResult<ForestSweeps> {
        let sweeps = with!(&matrix, |view| {
            guard::call(py, guard::Limits::threads(None), |_, stop| {
                problem::check("A", view, true, stop)?;
                Sweeps::new("A", view.widened(), stop)
            })
        })?;
        Ok(ForestSweeps(sweeps))
    }

    /// How many forests there are.
    #[getter]
    fn n_forests(&self) -> usize {
        self.0.forests()
    }

    /// Sweeps over the values `x`, in place: forward, backward or both, so many times.
    fn sweep(
        &self,
        py: Python<'_>,
        mut x: Values<'_>,
        b: PyReadonlyArray2<'_, f64>,
        forward: bool,
        backward: bool,
        times: usize,
    ) -> PyResult<()> {
        let k = x.shape()[1];
        if x.shape() != [self.0.len(), k] || b.shape() != x.shape() {
            return Err(PyValueError::new_err("x and b do not fit A"));
        }
        let (b, x) = (b.as_slice()?, x.as_slice_mut()?);
        guard::call(py, guard::Limits::threads(None), |_, stop| {
            for _ in 0..times {
                if forward {
                    self.0.forward(b, k, x, stop)?;
                }
                if backward {
                    self.0.backward(b, k, x, stop)?;
                }
            }
            Ok(())
        })
    }
}

fn nodes(py: Python<'_>, nodes: Vec<u32>) -> Bound<'_, PyArray1<i64>> {
    nodes.into_iter().map(i64::from).collect::<Vec<_>>().into_pyarray(py)
}

fn permutation(order: &[u32], count: usize) -> Result<&[u32], Error> {
    let mut is_seen = vec![false; count];
    let is_new =
        |i: &u32| is_seen.get_mut(*i as usize).is_some_and(|seen| !std::mem::replace(seen, true));
    if order.len() == count && order.iter().all(is_new) {
        Ok(order)
    } else {
        Err(Error::invalid("order", format!("is not a permutation of the {count} nodes")))
    }
}

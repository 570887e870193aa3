//! Batches of `sparrot_transport` for Python.

use numpy::{
    IntoPyArray, Ix3, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, PyReadwriteArray,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_transport::problem::SIDES;
use sparrot_transport::{Batch, Solution};

use crate::guard::{self, Limits};
use crate::transport::{MethodInput, figures};

type Vector<'py> = PyReadonlyArray1<'py, f64>;
type Matrix<'py> = PyReadonlyArray2<'py, f64>;

/// Problems of one shape: (B, n, m) costs by rows, (B, n) and (B, m) weights, B regularisations.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct BatchInput<'py> {
    costs: BatchCosts<'py>,
    a: Matrix<'py>,
    b: Matrix<'py>,
    regs: Vector<'py>,
    n_threads: Option<usize>,
}

#[derive(FromPyObject)]
enum BatchCosts<'py> {
    Double(PyReadonlyArray3<'py, f64>),
    Single(PyReadonlyArray3<'py, f32>),
}

impl BatchInput<'_> {
    /// Gives `work` the batch, whatever the type of its costs.
    fn batch<'a, T>(&'a self, costs: &'a [T]) -> PyResult<Batch<'a, T>> {
        let (a, b, regs) = (self.a.as_slice()?, self.b.as_slice()?, self.regs.as_slice()?);
        Ok(Batch { costs, a, b, regs, sides: SIDES })
    }
}

/// A dict of arrays with an entry for each problem.
#[pyfunction]
pub fn transport_solve_batch<'py>(
    py: Python<'py>,
    batch: BatchInput<'py>,
    method: MethodInput,
    tol: f64,
    max_iter: usize,
    max_time: Option<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let limits = Limits { n_threads: batch.n_threads, max_time, callback: None };
    let method = &method.0;
    let solutions = match &batch.costs {
        BatchCosts::Double(costs) => {
            let batch = batch.batch(costs.as_slice()?)?;
            guard::call(py, limits, |team, stop| batch.solve(method, tol, max_iter, team, stop))
        }
        BatchCosts::Single(costs) => {
            let batch = batch.batch(costs.as_slice()?)?;
            guard::call(py, limits, |team, stop| batch.solve(method, tol, max_iter, team, stop))
        }
    }?;
    let result = PyDict::new(py);
    let plans: Option<Vec<&[f64]>> = solutions.iter().map(|s| s.plan.as_deref()).collect();
    result.set_item("plans", plans.map(|plans| plans.concat().into_pyarray(py)))?;
    let all = |of: &dyn Fn(&Solution) -> &[f64]| solutions.iter().flat_map(of).copied().collect();
    let (f, g): (Vec<f64>, Vec<f64>) = (all(&|s| &s.f), all(&|s| &s.g));
    result.set_item("f", f.into_pyarray(py))?;
    result.set_item("g", g.into_pyarray(py))?;
    result.set_item("status", solutions.iter().map(|s| s.status.name()).collect::<Vec<_>>())?;
    let counts = |of: fn(&Solution) -> usize| -> Vec<i64> {
        solutions.iter().map(|solution| of(solution) as i64).collect()
    };
    result.set_item("n_iter", counts(|s| s.iterations).into_pyarray(py))?;
    result.set_item("n_newton", counts(|s| s.newton_steps).into_pyarray(py))?;
    result.set_item("n_cg", counts(|s| s.cg_iterations).into_pyarray(py))?;
    let certificates: Vec<_> = solutions.iter().map(|s| figures(&s.certificate)).collect();
    for (k, (name, _)) in certificates.first().into_iter().flatten().enumerate() {
        let values: Vec<f64> = certificates.iter().map(|figures| figures[k].1).collect();
        result.set_item(name, values.into_pyarray(py))?;
    }
    Ok(result)
}

/// Writes the plans of the potentials, (B, n, m).
#[pyfunction]
pub fn transport_batch_plans(
    py: Python<'_>,
    batch: BatchInput<'_>,
    f: Matrix<'_>,
    g: Matrix<'_>,
    out: BatchOutput<'_>,
) -> PyResult<()> {
    let limits = Limits::threads(batch.n_threads);
    let potentials = (f.as_slice()?, g.as_slice()?);
    match (&batch.costs, out) {
        (BatchCosts::Double(costs), BatchOutput::Double(mut out)) => {
            let (batch, out) = (batch.batch(costs.as_slice()?)?, out.as_slice_mut()?);
            guard::call(py, limits, |team, stop| batch.plans(potentials, out, team, stop))
        }
        (BatchCosts::Single(costs), BatchOutput::Single(mut out)) => {
            let (batch, out) = (batch.batch(costs.as_slice()?)?, out.as_slice_mut()?);
            guard::call(py, limits, |team, stop| batch.plans(potentials, out, team, stop))
        }
        _ => Err(PyTypeError::new_err("plans are of the type of the costs")),
    }
}

/// An array that Python has made room for.
#[derive(FromPyObject)]
pub enum BatchOutput<'py> {
    Single(PyReadwriteArray<'py, f32, Ix3>),
    Double(PyReadwriteArray<'py, f64, Ix3>),
}

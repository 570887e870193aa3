//! The router of `sparrot_transport` for Python.

use numpy::{IntoPyArray, PyReadonlyArray1, PyReadonlyArray3, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_foundation::Scalar;
use sparrot_transport::router::{Routed, Routing};

use crate::guard::{self, Limits};

/// (B, n, E) scores by rows: B problems.
#[derive(FromPyObject)]
pub enum Scores<'py> {
    Double(PyReadonlyArray3<'py, f64>),
    Single(PyReadonlyArray3<'py, f32>),
}

/// A dict of arrays with an entry for each problem.
#[pyfunction]
pub fn transport_route<'py>(
    py: Python<'py>,
    scores: Scores<'py>,
    capacities: PyReadonlyArray1<'py, i64>,
    top_k: usize,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let capacities: Vec<usize> = capacities
        .as_slice()?
        .iter()
        .map(|capacity| usize::try_from(*capacity))
        .collect::<Result<_, _>>()
        .map_err(|_| PyValueError::new_err("capacities must not be negative"))?;
    let limits = Limits::threads(n_threads);
    let routed = match &scores {
        Scores::Double(scores) => {
            let routing = routing(scores.shape(), scores.as_slice()?, &capacities, top_k)?;
            guard::call(py, limits, |team, stop| routing.route(team, stop))
        }
        Scores::Single(scores) => {
            let routing = routing(scores.shape(), scores.as_slice()?, &capacities, top_k)?;
            guard::call(py, limits, |team, stop| routing.route(team, stop))
        }
    }?;
    let result = PyDict::new(py);
    let experts: Vec<i64> = routed.iter().flat_map(|one| &one.experts).copied().collect();
    result.set_item("experts", experts.into_pyarray(py))?;
    let prices: Vec<f64> = routed.iter().flat_map(|one| &one.prices).copied().collect();
    result.set_item("prices", prices.into_pyarray(py))?;
    let all = |of: fn(&Routed) -> f64| routed.iter().map(of).collect::<Vec<f64>>().into_pyarray(py);
    result.set_item("value", all(|one| one.value))?;
    result.set_item("bound", all(|one| one.bound))?;
    result.set_item("gap", all(|one| one.gap))?;
    Ok(result)
}

fn routing<'a, T: Scalar>(
    shape: &[usize],
    scores: &'a [T],
    capacities: &'a [usize],
    top_k: usize,
) -> PyResult<Routing<'a, T>> {
    let experts = capacities.len();
    if scores.is_empty() || shape[2] != experts || !(1..=experts).contains(&top_k) {
        return Err(PyValueError::new_err("scores, capacities and top_k do not fit each other"));
    }
    Ok(Routing { scores, tokens: shape[1], capacities, top_k })
}

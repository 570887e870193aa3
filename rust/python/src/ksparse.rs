//! `sparrot_transport::ksparse` for Python.
//!
//! `lines` is 0 where the columns of the cost are the lines, 1 where its rows are; `a` are the
//! weights of the points, `b` those of the lines.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_foundation::Error;
use sparrot_transport::geometry::Cost;
use sparrot_transport::ksparse::oracle::{self, Formulation, Plan};
use sparrot_transport::ksparse::{self, Problem, Recover, Settings, Solution, proximal};
use sparrot_transport::problem::SIDES;

use crate::arrays::{CostInput, CostView, slices};
use crate::guard::{self, Limits};
use crate::observer::trace_columns;

type Vector<'py> = PyReadonlyArray1<'py, f64>;

/// A problem: see [`Problem`].
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct KSparseInput<'py> {
    cost: CostInput<'py>,
    lines: u8,
    a: Vector<'py>,
    b: Vector<'py>,
    gamma: f64,
    k: usize,
    n_threads: Option<usize>,
}

/// The same, able to leave the interpreter.
struct View<'a> {
    cost: CostView<'a>,
    by_columns: bool,
    weights: (&'a [f64], &'a [f64]),
    gamma: f64,
    k: usize,
}

impl KSparseInput<'_> {
    fn view(&self) -> PyResult<View<'_>> {
        Ok(View {
            cost: self.cost.view()?,
            by_columns: self.lines == 0,
            weights: slices(&self.a, &self.b)?,
            gamma: self.gamma,
            k: self.k,
        })
    }
}

impl View<'_> {
    fn with<R>(&self, work: impl FnOnce(&Problem<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let [rows, columns] = SIDES;
        let sides = if self.by_columns { [rows, columns] } else { [columns, rows] };
        let (a, b) = self.weights;
        let problem =
            |lines: &dyn Cost| work(&Problem { lines, a, b, gamma: self.gamma, k: self.k, sides });
        self.cost.with(
            |cost| {
                if self.by_columns { problem(&*cost.transposed()) } else { problem(cost) }
            },
        )
    }
}

type Gradient<'py> = (f64, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>);

/// (value, gradient of points, gradient of lines) of the dual, or without `beta` of the semi-dual.
#[pyfunction]
pub fn transport_ksparse_evaluate<'py>(
    py: Python<'py>,
    problem: KSparseInput<'py>,
    alpha: Vector<'py>,
    beta: Option<Vector<'py>>,
) -> PyResult<Gradient<'py>> {
    let view = problem.view()?;
    let alpha = alpha.as_slice()?;
    let beta = beta.as_ref().map(|beta| beta.as_slice()).transpose()?;
    let formulation = beta.map_or(Formulation::SemiDual, Formulation::Dual);
    let found = guard::call(py, Limits::threads(problem.n_threads), |team, stop| {
        view.with(|problem| oracle::evaluate(problem, alpha, formulation, false, team, stop))
    })?;
    Ok((found.value, found.points.into_pyarray(py), found.lines.into_pyarray(py)))
}

type Lines<'py> = (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);

fn arrays(py: Python<'_>, plan: Plan) -> Lines<'_> {
    let points: Vec<i64> = plan.points.into_iter().map(i64::from).collect();
    let starts: Vec<i64> = plan.starts.into_iter().map(|start| start as i64).collect();
    (plan.masses.into_pyarray(py), points.into_pyarray(py), starts.into_pyarray(py))
}

/// The plan that the dual, or without `beta` the semi-dual, has at those potentials: (masses,
/// points, starts of the lines).
#[pyfunction]
pub fn transport_ksparse_plan<'py>(
    py: Python<'py>,
    problem: KSparseInput<'py>,
    alpha: Vector<'py>,
    beta: Option<Vector<'py>>,
) -> PyResult<Lines<'py>> {
    let view = problem.view()?;
    let alpha = alpha.as_slice()?;
    let beta = beta.as_ref().map(|beta| beta.as_slice()).transpose()?;
    let formulation = beta.map_or(Formulation::SemiDual, Formulation::Dual);
    let found = guard::call(py, Limits::threads(problem.n_threads), |team, stop| {
        view.with(|problem| oracle::evaluate(problem, alpha, formulation, true, team, stop))
    })?;
    Ok(arrays(py, found.plan.unwrap_or_default()))
}

/// Solves a problem whose costs have that range; `init` are potentials of the points.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the Python side passes keywords")]
pub fn transport_ksparse_solve<'py>(
    py: Python<'py>,
    problem: KSparseInput<'py>,
    range: f64,
    init: Option<Vector<'py>>,
    recover: &str,
    tol: f64,
    marginal_tol: f64,
    max_iter: usize,
    max_time: Option<f64>,
    callback: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let recover = match recover {
        "polish" => Recover::Polish,
        "dual" => Recover::Dual,
        "round" => Recover::Round,
        other => return Err(PyTypeError::new_err(format!("unknown recovery {other:?}"))),
    };
    let init = match &init {
        None => None,
        Some(alpha) => Some(alpha.as_slice()?.to_vec()),
    };
    let settings = Settings { tol, marginal_tol, max_iter, init, recover };
    let view = problem.view()?;
    let limits = Limits { n_threads: problem.n_threads, max_time, callback };
    let solution = guard::call(py, limits, |team, stop| {
        view.with(|problem| ksparse::solve(problem, range, &settings, team, stop))
    })?;
    result(py, solution)
}

fn result(py: Python<'_>, solution: Solution) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    result.set_item("alpha", solution.alpha.into_pyarray(py))?;
    result.set_item("beta", solution.beta.into_pyarray(py))?;
    result.set_item("plan", arrays(py, solution.plan))?;
    result.set_item("marginal_error", solution.marginal_error)?;
    result.set_item("value", solution.value)?;
    result.set_item("value_linear", solution.value_linear)?;
    result.set_item("dual_value", solution.dual_value)?;
    result.set_item("gap", solution.gap)?;
    result.set_item("n_bound", solution.bound)?;
    result.set_item("status", solution.status.name())?;
    result.set_item("n_iter", solution.steps)?;
    result.set_item("n_cg", solution.cg_iterations)?;
    result.set_item("trace", trace_columns(py, &solution.trace)?)?;
    result.set_item("phases", proximal::PHASES)?;
    result.set_item("seconds", solution.seconds)?;
    Ok(result)
}

//! `sparrot_transport` for Python. Costs are a matrix or `(metric, X, Y)`: see [`CostInput`].

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray2};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_foundation::Scalar;
use sparrot_transport::certificate;
use sparrot_transport::plan::{self, Potentials};
use sparrot_transport::problem::{self, SIDES};
use sparrot_transport::relaxation::Relaxation;
use sparrot_transport::run::Phase;
use sparrot_transport::sns::SnsSettings;
use sparrot_transport::{Certificate, Method, Problem, Settings, Solution, solve_path};

use crate::arrays::{CostInput, CostView, slices};
use crate::guard::{self, Limits};
use crate::observer::trace_columns;

type Vector<'py> = PyReadonlyArray1<'py, f64>;
type Matrix<'py> = PyReadonlyArray2<'py, f64>;

type Survey = (f64, f64, f64, Option<(usize, usize, f64)>);

/// (smallest and largest finite cost, mean cost weighted by a and b, first entry that is no cost or None).
#[pyfunction]
pub fn transport_survey(
    py: Python<'_>,
    cost: CostInput<'_>,
    a: Vector<'_>,
    b: Vector<'_>,
    stores_plan: bool,
    n_threads: Option<usize>,
) -> PyResult<Survey> {
    let view = cost.view()?;
    let (a, b) = slices(&a, &b)?;
    let survey = guard::call(py, Limits::threads(n_threads), |team, stop| {
        view.with(|cost| problem::survey(cost, [a, b], stores_plan, team, stop))
    })?;
    Ok((survey.min, survey.max, survey.mean, survey.not_a_cost))
}

/// Settings of the Newton stage, as Python names them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct SnsOptions {
    n_sinkhorn: usize,
    density: Option<f64>,
    growth: f64,
    cg_tol: f64,
    cg_max_iter: usize,
    armijo: f64,
    max_halvings: usize,
}

/// `("sinkhorn",)`, `("sns", options)` or `("auto", range of the costs or None)`.
pub struct MethodInput(pub Method);

impl<'a, 'py> FromPyObject<'a, 'py> for MethodInput {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let name: String = object.get_item(0)?.extract()?;
        Ok(MethodInput(match name.as_str() {
            "sinkhorn" => Method::Sinkhorn,
            "sns" => {
                let o: SnsOptions = object.get_item(1)?.extract()?;
                Method::Sns(SnsSettings {
                    n_sinkhorn: o.n_sinkhorn,
                    density: o.density,
                    growth: o.growth,
                    cg_tol: o.cg_tol,
                    cg_max_iter: o.cg_max_iter,
                    armijo: o.armijo,
                    max_halvings: o.max_halvings,
                })
            }
            "auto" => Method::Anneal { range: object.get_item(1)?.extract()? },
            other => return Err(PyTypeError::new_err(format!("unknown method {other:?}"))),
        }))
    }
}

/// The prices of missing the marginals: `(rho of rows, of columns, log alpha, log beta, mass)`.
#[derive(FromPyObject)]
pub struct RelaxationInput<'py>(f64, f64, Vector<'py>, Vector<'py>, f64);

impl RelaxationInput<'_> {
    fn view(&self) -> PyResult<Relaxation<'_>> {
        let (log_alpha, log_beta) = slices(&self.2, &self.3)?;
        Ok(Relaxation {
            rho: [self.0, self.1],
            log_reference: [log_alpha, log_beta],
            reference_mass: self.4,
            translation: 0.0,
        })
    }
}

/// A result for each of the regularisations, in their order.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the Python side passes keywords")]
pub fn transport_solve<'py>(
    py: Python<'py>,
    cost: CostInput<'py>,
    a: Vector<'py>,
    b: Vector<'py>,
    relaxation: Option<RelaxationInput<'py>>,
    regs: Vec<f64>,
    method: MethodInput,
    init: Option<(Vector<'py>, Vector<'py>)>,
    tol: f64,
    max_iter: usize,
    max_time: Option<f64>,
    callback: Option<Py<PyAny>>,
    n_threads: Option<usize>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let init = match &init {
        None => None,
        Some((f, g)) => Some((f.as_slice()?.to_vec(), g.as_slice()?.to_vec())),
    };
    let keeps_plan = regs.len() == 1; // those of a path add up
    let settings = Settings { method: method.0, init, tol, max_iter, keeps_plan };
    let view = cost.view()?;
    let (a, b) = slices(&a, &b)?;
    let relaxation = relaxation.as_ref().map(RelaxationInput::view).transpose()?;
    let path = guard::call(py, Limits { n_threads, max_time, callback }, |team, stop| {
        view.with(|cost| {
            let problem = Problem { cost, a, b, reg: regs[0], sides: SIDES, relaxation };
            solve_path(&problem, &regs, &settings, team, stop)
        })
    })?;
    path.into_iter().map(|solution| result(py, solution)).collect()
}

fn result(py: Python<'_>, solution: Solution) -> PyResult<Bound<'_, PyDict>> {
    let trace = trace_columns(py, &solution.trace)?;
    let timings = PyDict::new(py);
    timings.set_item("solve", solution.seconds)?;
    timings.set_item("certificate", solution.certificate_seconds)?;

    let certificate = solution.certificate;
    let result = PyDict::new(py);
    result.set_item("f", solution.f.into_pyarray(py))?;
    result.set_item("g", solution.g.into_pyarray(py))?;
    result.set_item("translation", solution.translation)?;
    result.set_item("status", solution.status.name())?;
    result.set_item("n_iter", solution.iterations)?;
    result.set_item("n_newton", solution.newton_steps)?;
    result.set_item("n_cg", solution.cg_iterations)?;
    for (name, value) in figures(&certificate) {
        result.set_item(name, value)?;
    }
    result.set_item("plan", solution.plan.map(|plan| plan.into_pyarray(py)))?;
    result.set_item("trace", trace)?;
    result.set_item("phases", Phase::NAMES)?;
    result.set_item("timings", timings)?;
    Ok(result)
}

/// The figures of a certificate, by the names that Python knows them by.
pub(crate) fn figures(certificate: &Certificate) -> [(&'static str, f64); 8] {
    [
        ("marginal_error", certificate.marginal_error),
        ("total", certificate.total),
        ("gap", certificate.gap),
        ("value", certificate.value),
        ("value_linear", certificate.value_linear),
        ("dual_value", certificate.dual_value),
        ("lower_bound", certificate.lower_bound),
        ("upper_bound", certificate.upper_bound),
    ]
}

/// What a plan is made from.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct PlanInput<'py> {
    cost: CostInput<'py>,
    a: Vector<'py>,
    b: Vector<'py>,
    f: Vector<'py>,
    g: Vector<'py>,
    reg: f64,
    n_threads: Option<usize>,
}

/// The same, able to leave the interpreter.
struct PlanView<'a> {
    cost: CostView<'a>,
    weights: (&'a [f64], &'a [f64]),
    potentials: Potentials,
    reg: f64,
}

impl<'py> PlanInput<'py> {
    fn view(&self) -> PyResult<PlanView<'_>> {
        let (f, g) = slices(&self.f, &self.g)?;
        Ok(PlanView {
            cost: self.cost.view()?,
            weights: slices(&self.a, &self.b)?,
            potentials: Potentials::scaled(f, g, self.reg),
            reg: self.reg,
        })
    }
}

/// Writes the n x m plan, in double precision or rounded to single.
#[pyfunction]
pub fn transport_plan(py: Python<'_>, plan: PlanInput<'_>, out: PlanOutput<'_>) -> PyResult<()> {
    match out {
        PlanOutput::Single(mut out) => dense_plan(py, &plan, out.as_slice_mut()?),
        PlanOutput::Double(mut out) => dense_plan(py, &plan, out.as_slice_mut()?),
    }
}

/// An array that Python has made room for.
#[derive(FromPyObject)]
pub enum PlanOutput<'py> {
    Single(PyReadwriteArray2<'py, f32>),
    Double(PyReadwriteArray2<'py, f64>),
}

fn dense_plan<T: Scalar>(py: Python<'_>, input: &PlanInput<'_>, out: &mut [T]) -> PyResult<()> {
    let PlanView { cost, weights: (a, b), potentials, reg } = input.view()?;
    guard::call(py, Limits::threads(input.n_threads), |team, stop| {
        cost.with(|cost| {
            let problem = Problem { cost, a, b, reg, sides: SIDES, relaxation: None };
            plan::dense(&problem, &potentials, out, team, stop)
        })
    })
}

type CsrArrays<'py> =
    (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);

/// (data, indices, indptr) of the entries above `threshold * a_i / m`.
#[pyfunction]
pub fn transport_sparse_plan<'py>(
    py: Python<'py>,
    plan: PlanInput<'py>,
    threshold: f64,
) -> PyResult<CsrArrays<'py>> {
    let PlanView { cost, weights: (a, b), potentials, reg } = plan.view()?;
    let csr = guard::call(py, Limits::threads(plan.n_threads), |team, stop| {
        cost.with(|cost| {
            plan::sparse(
                &Problem { cost, a, b, reg, sides: SIDES, relaxation: None },
                &potentials,
                threshold,
                team,
                stop,
            )
        })
    })?;
    let columns: Vec<i64> = csr.columns.into_iter().map(i64::from).collect();
    let starts: Vec<i64> = csr.starts.into_iter().map(|start| start as i64).collect();
    Ok((csr.values.into_pyarray(py), columns.into_pyarray(py), starts.into_pyarray(py)))
}

/// `P V` (n x d, by rows) for `V'` (d x m), or, transposed, `(P' W)'` (d x m) for `W'` (d x n).
#[pyfunction]
pub fn transport_apply<'py>(
    py: Python<'py>,
    plan: PlanInput<'py>,
    vectors: Matrix<'py>,
    transpose: bool,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let PlanView { cost, weights: (a, b), potentials, reg } = plan.view()?;
    let vectors = vectors.as_slice()?;
    let product = guard::call(py, Limits::threads(plan.n_threads), |team, stop| {
        cost.with(|cost| {
            let problem = Problem { cost, a, b, reg, sides: SIDES, relaxation: None };
            if transpose {
                plan::apply_transposed(&problem, &potentials, vectors, team, stop)
            } else {
                plan::apply(&problem, &potentials, vectors, team, stop)
            }
        })
    })?;
    Ok(product.into_pyarray(py))
}

/// The entropic map of new points (rows of the cost) to averages of `V`, given as (d x m).
#[pyfunction]
pub fn transport_map<'py>(
    py: Python<'py>,
    cost: CostInput<'py>,
    g: Vector<'py>,
    reg: f64,
    vectors: Matrix<'py>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let view = cost.view()?;
    let g = g.as_slice()?;
    let psi = Potentials::scaled(&[], g, reg).psi;
    let vectors = vectors.as_slice()?;
    let mapped = guard::call(py, Limits::threads(n_threads), |team, stop| {
        view.with(|cost| plan::barycentric_map(cost, reg, &psi, vectors, team, stop))
    })?;
    Ok(mapped.into_pyarray(py))
}

/// Rounds a plan to exact marginals, in place.
#[pyfunction]
pub fn transport_round(
    py: Python<'_>,
    mut plan: PyReadwriteArray2<'_, f64>,
    a: Vector<'_>,
    b: Vector<'_>,
    n_threads: Option<usize>,
) -> PyResult<()> {
    let plan = plan.as_slice_mut()?;
    let (a, b) = slices(&a, &b)?;
    guard::call(py, Limits::threads(n_threads), |team, stop| {
        certificate::round(plan, a, b, team, stop)
    })
}

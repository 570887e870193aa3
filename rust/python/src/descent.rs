//! `sparrot_descent` for Python.

use std::sync::Mutex;

use numpy::ndarray::Array1;
use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_descent::problem::loss::{Loss, Multinomial, Rows};
use sparrot_descent::problem::{Linear, Quadratic, Smooth};
use sparrot_descent::{
    Partition, Penalty, PerCoordinate, Selection, Settings, Solution, UpdateRule, solve,
};
use sparrot_design::loss::{LeastSquares, Logistic};
use sparrot_design::{Design, Element};
use sparrot_foundation::Error;

use crate::design::{DesignInput, DesignTask, compressed};
use crate::guard::{self, Limits};
use crate::observer::trace_columns;

type Vector<'py> = PyReadonlyArray1<'py, f64>;
type Indices<'py> = PyReadonlyArray1<'py, u32>;

/// A loss: least squares with targets, logistic with signs, multinomial with classes and their
/// number, or functions of the user's with a bound of the second derivative.
#[derive(FromPyObject)]
pub enum LossInput<'py> {
    Multinomial(Indices<'py>, usize),
    Named(String, Vector<'py>),
    Functions(Py<PyAny>, Py<PyAny>, Py<PyAny>, f64),
}

/// A problem: a linear model, or a quadratic by compressed rows.
#[derive(FromPyObject)]
pub enum ProblemInput<'py> {
    Linear(DesignInput<'py>, LossInput<'py>),
    Quadratic(Indices<'py>, Indices<'py>, Vector<'py>, Vector<'py>),
}

/// One number, or one for each variable.
#[derive(FromPyObject)]
pub enum NumbersInput<'py> {
    Same(f64),
    Each(Vector<'py>),
}

impl NumbersInput<'_> {
    fn view(&self) -> PyResult<PerCoordinate<'_>> {
        Ok(match self {
            NumbersInput::Same(value) => PerCoordinate::Same(*value),
            NumbersInput::Each(values) => PerCoordinate::Each(values.as_slice()?),
        })
    }
}

/// The name of a partition, or its blocks.
#[derive(FromPyObject)]
pub enum PartitionInput {
    Named(String),
    Given(Vec<Vec<u32>>),
}

/// What makes a solve, besides the problem.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct SettingsInput {
    partition: PartitionInput,
    selection: String,
    update: String,
    block_size: usize,
    tol: f64,
    max_iter: usize,
    seed: u64,
}

fn unknown(what: &str, name: &str) -> PyErr {
    PyTypeError::new_err(format!("unknown {what} {name:?}"))
}

impl SettingsInput {
    fn settings(self) -> PyResult<Settings> {
        let partition = match self.partition {
            PartitionInput::Given(blocks) => Partition::Given(blocks),
            PartitionInput::Named(name) => match name.as_str() {
                "order" => Partition::Order,
                "sorted" => Partition::Sorted,
                "averaged" => Partition::Averaged,
                "row-sum-sorted" => Partition::RowSumSorted,
                "row-sum-averaged" => Partition::RowSumAveraged,
                "trees" => Partition::Trees,
                "red-black" => Partition::RedBlack,
                "variable" => Partition::Variable,
                "forest" => Partition::Forest,
                other => return Err(unknown("partition", other)),
            },
        };
        let selection = match self.selection.as_str() {
            "random" => Selection::Random,
            "cyclic" => Selection::Cyclic,
            "lipschitz" => Selection::Lipschitz,
            "gs" => Selection::Gs,
            "gsl" => Selection::Gsl,
            "gsd" => Selection::Gsd,
            "gsq" => Selection::Gsq,
            other => return Err(unknown("selection", other)),
        };
        let update = match self.update.as_str() {
            "gradient" => UpdateRule::Gradient,
            "backtracking" => UpdateRule::Backtracking,
            "matrix" => UpdateRule::Matrix,
            "newton" => UpdateRule::Newton,
            "exact" => UpdateRule::Exact,
            "two-metric" => UpdateRule::TwoMetric,
            "message-passing" => UpdateRule::MessagePassing,
            other => return Err(unknown("update", other)),
        };
        let SettingsInput { block_size, tol, max_iter, seed, .. } = self;
        Ok(Settings { partition, selection, update, block_size, tol, max_iter, seed })
    }
}

/// Minimises the problem with L1 norms and bounds, from `x0`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the Python side passes keywords")]
pub fn descent_solve<'py>(
    py: Python<'py>,
    problem: ProblemInput<'py>,
    penalty: [NumbersInput<'py>; 3],
    x0: Vector<'py>,
    settings: SettingsInput,
    max_time: Option<f64>,
    callback: Option<Py<PyAny>>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let settings = settings.settings()?;
    let [l1, lower, upper] = &penalty;
    let penalty = Penalty { l1: l1.view()?, lower: lower.view()?, upper: upper.view()? };
    let call = Call { x0: x0.as_slice()?, penalty, settings };
    let limits = Limits { n_threads, max_time, callback };
    let solution = match &problem {
        ProblemInput::Quadratic(starts, indices, values, b) => {
            let matrix = compressed(starts, indices, values)?;
            let b = b.as_slice()?;
            call.run(py, limits, move || Quadratic::new(matrix, b))
        }
        ProblemInput::Linear(design, loss) => {
            let (loss, functions) = loss.loss()?;
            let found = design.with(LinearCall { py, limits, loss: &*loss, call: &call })?;
            // What a function of the user's has raised comes before what that led to.
            found.map_err(|error| functions.and_then(|kept| kept.take()).unwrap_or(error))
        }
    }?;
    result(py, solution)
}

/// A solve, but for the problem.
struct Call<'a> {
    x0: &'a [f64],
    penalty: Penalty<'a>,
    settings: Settings,
}

/// A solve of a linear model.
struct LinearCall<'a, 'py> {
    py: Python<'py>,
    limits: Limits,
    loss: &'a dyn Loss,
    call: &'a Call<'a>,
}

impl DesignTask for LinearCall<'_, '_> {
    type Answer = PyResult<Solution>;

    fn run<T: Element>(self, design: Design<'_, T>) -> PyResult<Solution> {
        let LinearCall { py, limits, loss, call } = self;
        call.run(py, limits, move || Linear::new(design, loss))
    }
}

impl Call<'_> {
    fn run<P: Smooth>(
        &self,
        py: Python<'_>,
        limits: Limits,
        make: impl FnOnce() -> P + Send,
    ) -> PyResult<Solution> {
        guard::call(py, limits, |team, stop| {
            solve(&mut make(), &self.penalty, self.x0, &self.settings, team, stop)
        })
    }
}

/// What a function of the user's has raised.
type Exception = std::sync::Arc<Raised>;

#[derive(Default)]
pub struct Raised(Mutex<Option<PyErr>>);

impl Raised {
    fn take(&self) -> Option<PyErr> {
        self.0.lock().ok()?.take()
    }

    fn keep(&self, error: PyErr) -> Error {
        if let Ok(mut slot) = self.0.lock() {
            slot.get_or_insert(error);
        }
        Error::Interrupted
    }
}

/// A loss by Python functions of `(z, rows)`: values, derivatives and second derivatives.
struct Functions<'a> {
    functions: [&'a Py<PyAny>; 3],
    bound: f64,
    raised: Exception,
}

impl LossInput<'_> {
    /// The loss, and where it keeps what its functions raise.
    fn loss(&self) -> PyResult<(Box<dyn Loss + '_>, Option<Exception>)> {
        Ok(match self {
            LossInput::Multinomial(labels, classes) => {
                let labels = labels.as_slice()?;
                (Box::new(Multinomial { labels, classes: *classes }), None)
            }
            LossInput::Named(name, targets) => {
                let targets = targets.as_slice()?;
                match name.as_str() {
                    "least-squares" => (Box::new(Rows(LeastSquares, targets)), None),
                    "logistic" => (Box::new(Rows(Logistic, targets)), None),
                    other => return Err(unknown("loss", other)),
                }
            }
            LossInput::Functions(value, derivative, second, bound) => {
                let raised = Exception::default();
                let functions = [value, derivative, second];
                let loss = Functions { functions, bound: *bound, raised: raised.clone() };
                (Box::new(loss), Some(raised))
            }
        })
    }
}

impl Functions<'_> {
    fn call(&self, which: usize, rows: &[u32], z: Vec<f64>) -> Result<Vec<f64>, Error> {
        let answer = Python::attach(|py| {
            let rows: Vec<i64> = rows.iter().map(|j| i64::from(*j)).collect();
            let arguments = (Array1::from_vec(z).into_pyarray(py), rows.into_pyarray(py));
            let answer = self.functions[which].call1(py, arguments)?;
            let values: Vector<'_> = answer.extract(py)?;
            Ok(values.as_slice()?.to_vec())
        });
        answer.map_err(|error| self.raised.keep(error))
    }

    fn gather(rows: &[u32], z: &[f64]) -> Vec<f64> {
        rows.iter().map(|j| z[*j as usize]).collect()
    }
}

impl Loss for Functions<'_> {
    fn bound(&self) -> f64 {
        self.bound
    }

    fn value(&self, rows: &[u32], z: &[f64]) -> Result<f64, Error> {
        Ok(self.call(0, rows, Functions::gather(rows, z))?.iter().sum())
    }

    fn derivatives(&self, rows: &[u32], z: &[f64], r: &mut [f64]) -> Result<(), Error> {
        let found = self.call(1, rows, Functions::gather(rows, z))?;
        for (j, value) in rows.iter().zip(found) {
            r[*j as usize] = value;
        }
        Ok(())
    }

    fn change(&self, rows: &[u32], z: &[f64], _r: &[f64], u: &[f64]) -> Result<f64, Error> {
        let before = self.call(0, rows, Functions::gather(rows, z))?;
        let moved = rows.iter().zip(u).map(|(j, u)| z[*j as usize] + u).collect();
        let after = self.call(0, rows, moved)?;
        Ok(after.iter().zip(before).map(|(after, before)| after - before).sum())
    }

    fn curvatures(&self, z: &[f64], _r: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let rows: Vec<u32> = (0..z.len() as u32).collect();
        let found = self.call(2, &rows, z.to_vec())?;
        out.iter_mut().zip(found).for_each(|(o, w)| *o = w);
        Ok(())
    }
}

fn result(py: Python<'_>, solution: Solution) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    result.set_item("x", solution.x.into_pyarray(py))?;
    result.set_item("value", solution.value)?;
    result.set_item("status", solution.status.name())?;
    result.set_item("stationarity", solution.stationarity)?;
    result.set_item("gap", solution.gap)?;
    result.set_item("n_iter", solution.n_iter)?;
    result.set_item("support_changed", solution.support_changed)?;
    result.set_item("trace", trace_columns(py, &solution.trace)?)?;
    Ok(result)
}

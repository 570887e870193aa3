//! Trained unrolled ISTA and IHT for Python.

use numpy::ndarray::Array2;
use numpy::{Element as NumpyElement, IntoPyArray, PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_design::Design;
use sparrot_foundation::{Error, Stop, Team, Trace, memory};
use sparrot_unfolding::Matrix;
use sparrot_unfolding::training::{
    Coded, Count, Fitted, Gate, Gradient, Loss, Network, Objective, Run, Schedule, Shrinkage,
    Signals, fit, plain_step, transform,
};

use crate::design::{Float, dense};
use crate::guard;
use crate::observer::trace_columns;

/// Dictionary (atoms x features) and signals by rows; with true codes by rows, or without.
#[derive(FromPyObject)]
pub struct Data<'py, T: NumpyElement>(
    PyReadonlyArray2<'py, T>,
    PyReadonlyArray2<'py, T>,
    Option<PyReadonlyArray2<'py, T>>,
);

/// The same of either precision.
#[derive(FromPyObject)]
pub enum DataInput<'py> {
    #[pyo3(transparent)]
    Double(Data<'py, f64>),
    #[pyo3(transparent)]
    Single(Data<'py, f32>),
}

/// The network's kind, and what it is trained for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct ModelInput {
    /// "l1" or "l0".
    penalty: String,
    alpha: f64,
    supervised: bool,
    /// "exact", "smoothstep" or "sigmoid", and the width.
    gate: (String, f64),
    /// "exact", "cel0" or "exponential", and the width.
    count: (String, f64),
}

/// How it is trained.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct ScheduleInput {
    n_layers: usize,
    incremental: bool,
    epochs: usize,
    batch: usize,
    rate: f64,
    decays: bool,
    steps: bool,
    alphas: bool,
    seed: u64,
}

impl ModelInput {
    fn objective(&self) -> Result<Objective, Error> {
        let unknown = |what, word: &str| Err(Error::invalid(what, format!("is {word}")));
        let alpha = self.alpha;
        let loss = |other| if self.supervised { Loss::Supervised } else { other };
        if self.penalty == "l1" {
            let loss = loss(Loss::L1 { alpha });
            return Ok(Objective { shrinkage: Shrinkage::Soft, loss });
        }
        let gate = match (self.gate.0.as_str(), self.gate.1) {
            ("exact", _) => Gate::Exact,
            ("smoothstep", width) => Gate::Smoothstep { width },
            ("sigmoid", width) => Gate::Sigmoid { width },
            (other, _) => return unknown("gate", other),
        };
        let count = match (self.count.0.as_str(), self.count.1) {
            ("exact", _) => Count::Exact,
            ("cel0", _) => Count::Cel0,
            ("exponential", width) => Count::Exponential { width },
            (other, _) => return unknown("count", other),
        };
        let loss = loss(Loss::L0 { alpha, count });
        Ok(Objective { shrinkage: Shrinkage::Hard(gate), loss })
    }
}

/// Views that can leave the interpreter.
struct View<'a, T> {
    dictionary: Design<'a, T>,
    signals: &'a [T],
    codes: Option<&'a [T]>,
}

impl<'a, T: Float> View<'a, T> {
    fn matrix<'b>(&'b self, team: &Team, stop: &'b Stop<'b>) -> Result<Matrix<'b, T>, Error> {
        Matrix::new(&self.dictionary, "dictionary", usize::MAX, team, stop)
    }
}

impl<T: Float> Data<'_, T> {
    /// Of arrays that belong together: what is behind this takes them as they are in memory.
    fn view(&self) -> PyResult<View<'_, T>> {
        let (atoms, features) = self.0.as_array().dim();
        let (signals, length) = self.1.as_array().dim();
        let codes = self.2.as_ref().map(|codes| codes.as_array().dim());
        let is_whole = atoms > 0 && features > 0 && length == features;
        if !is_whole || codes.is_some_and(|shape| shape != (signals, atoms)) {
            let message = format!(
                "X has shape ({signals}, {length}), y {codes:?} and dictionary_ ({features}, {atoms}): \
                 needs signals of as many features, and codes of as many atoms; fit the network again"
            );
            return Err(guard::raise(self.0.py(), "InvalidInputError", message));
        }
        Ok(View {
            dictionary: dense(&self.0)?,
            signals: self.1.as_slice()?,
            codes: self.2.as_ref().map(|codes| codes.as_slice()).transpose()?,
        })
    }
}

/// Trains a network: a dict of its parameters, the trace and what is known of it, and the exception
/// that ended training early, if one did; the parameters are those of the last step before.
#[pyfunction]
pub fn unfolding_train<'py>(
    py: Python<'py>,
    data: DataInput<'py>,
    model: ModelInput,
    schedule: ScheduleInput,
    max_time: Option<f64>,
    callback: Option<Py<PyAny>>,
    n_threads: Option<usize>,
) -> PyResult<(Bound<'py, PyDict>, Option<PyErr>)> {
    let mut training = Training { model, schedule, network: None, trace: Trace::default() };
    let limits = guard::Limits { n_threads, max_time, callback };
    let outcome = match &data {
        DataInput::Double(data) => {
            let view = data.view()?;
            guard::call(py, limits, |team, stop| training.run(&view, team, stop))
        }
        DataInput::Single(data) => {
            let view = data.view()?;
            guard::call(py, limits, |team, stop| training.run(&view, team, stop))
        }
    };
    let result = PyDict::new(py);
    let Some(network) = training.network else {
        // Nothing was trained: there is an error.
        let nothing = || guard::raise(py, "InternalError", "training has no result".into());
        return Err(outcome.err().unwrap_or_else(nothing));
    };
    result.set_item("log_steps", network.log_steps.into_pyarray(py))?;
    result.set_item("log_alphas", network.log_alphas.into_pyarray(py))?;
    result.set_item("trace", trace_columns(py, &training.trace)?)?;
    let interruption = match outcome {
        Ok(fitted) => {
            result.set_item("ending", fitted.ending.name())?;
            result.set_item("is_plain", fitted.is_plain)?;
            result.set_item("loss", fitted.loss)?;
            result.set_item("trained_loss", fitted.trained_loss)?;
            result.set_item("plain_loss", fitted.plain_loss)?;
            result.set_item("stationarity", fitted.stationarity)?;
            None
        }
        Err(error) => Some(error),
    };
    Ok((result, interruption))
}

struct Training {
    model: ModelInput,
    schedule: ScheduleInput,
    /// There is one once there is something to train.
    network: Option<Network>,
    trace: Trace,
}

impl Training {
    fn run<T: Float>(
        &mut self,
        view: &View<'_, T>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Fitted, Error> {
        let objective = self.model.objective()?;
        let dictionary = view.matrix(team, stop)?;
        let run = Run { team, stop };
        let signals = Signals::new(&dictionary, view.signals, view.codes, run)?;
        let step = plain_step(&view.dictionary, stop)?;
        let given = &self.schedule;
        let network = self.network.insert(Network::plain(given.n_layers, step, self.model.alpha));
        let schedule = Schedule {
            incremental: given.incremental,
            epochs: given.epochs,
            batch: given.batch,
            rate: given.rate,
            decays: given.decays,
            steps: given.steps,
            alphas: given.alphas,
            seed: given.seed,
        };
        let trace = &mut self.trace;
        fit(&dictionary, &signals, objective, schedule, network, trace, run)
    }
}

/// The mean loss of signals, with its derivatives by the logarithms of steps and penalties.
#[pyfunction]
pub fn unfolding_gradient<'py>(
    py: Python<'py>,
    data: DataInput<'py>,
    model: ModelInput,
    log_steps: Vec<f64>,
    log_alphas: Vec<f64>,
    n_threads: Option<usize>,
) -> PyResult<(f64, Vec<f64>, Vec<f64>)> {
    let network = network(py, log_steps, log_alphas)?;
    let limits = guard::Limits::threads(n_threads);
    match &data {
        DataInput::Double(data) => {
            let view = data.view()?;
            guard::call(py, limits, |team, stop| gradient(&view, &model, &network, team, stop))
        }
        DataInput::Single(data) => {
            let view = data.view()?;
            guard::call(py, limits, |team, stop| gradient(&view, &model, &network, team, stop))
        }
    }
}

/// Of as many steps as penalties.
fn network(py: Python<'_>, log_steps: Vec<f64>, log_alphas: Vec<f64>) -> PyResult<Network> {
    let (steps, alphas) = (log_steps.len(), log_alphas.len());
    if steps == 0 || steps != alphas {
        let message = format!(
            "steps_ has {steps} layers and penalties_ {alphas}: needs one in both at least"
        );
        return Err(guard::raise(py, "InvalidInputError", message));
    }
    Ok(Network { log_steps, log_alphas })
}

fn gradient<T: Float>(
    view: &View<'_, T>,
    model: &ModelInput,
    network: &Network,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(f64, Vec<f64>, Vec<f64>), Error> {
    const BLOCK: usize = 256;
    let objective = model.objective()?;
    let dictionary = view.matrix(team, stop)?;
    let run = Run { team, stop };
    let signals = Signals::new(&dictionary, view.signals, view.codes, run)?;
    let order: Vec<u32> = (0..signals.len() as u32).collect();
    let mut gradient =
        Gradient::new(&dictionary, &signals, BLOCK.min(order.len()), network.depth())?;
    let mean = gradient.mean(&order, network, objective, true, run)?;
    Ok((mean.loss, mean.log_steps, mean.log_alphas))
}

/// The codes of signals, whether all are finite, and how many are worse than 0.
#[pyfunction]
pub fn unfolding_transform<'py>(
    py: Python<'py>,
    data: DataInput<'py>,
    penalty: &str,
    log_steps: Vec<f64>,
    log_alphas: Vec<f64>,
    n_threads: Option<usize>,
) -> PyResult<(Bound<'py, PyAny>, bool, usize)> {
    let shrinkage = if penalty == "l1" { Shrinkage::Soft } else { Shrinkage::Hard(Gate::Exact) };
    let network = network(py, log_steps, log_alphas)?;
    let limits = guard::Limits::threads(n_threads);
    Ok(match &data {
        DataInput::Double(data) => {
            let (codes, told) = codes(py, limits, data, &network, shrinkage)?;
            (codes.into_any(), told.finite, told.worse_than_zero)
        }
        DataInput::Single(data) => {
            let (codes, told) = codes(py, limits, data, &network, shrinkage)?;
            (codes.into_any(), told.finite, told.worse_than_zero)
        }
    })
}

fn codes<'py, T: Float>(
    py: Python<'py>,
    limits: guard::Limits,
    data: &Data<'py, T>,
    network: &Network,
    shrinkage: Shrinkage,
) -> PyResult<(Bound<'py, PyArray2<T>>, Coded)> {
    let view = data.view()?;
    let rows = data.1.as_array().nrows();
    let (codes, told) = guard::call(py, limits, |team, stop| {
        let dictionary = view.matrix(team, stop)?;
        let mut codes = memory::zeros("the codes", rows, view.dictionary.columns())?;
        let run = Run { team, stop };
        let told = transform(&dictionary, view.signals, network, shrinkage, &mut codes, run)?;
        let codes = Array2::from_shape_vec((rows, view.dictionary.columns()), codes);
        Ok((codes.map_err(|error| Error::invalid("codes", error.to_string()))?, told))
    })?;
    Ok((codes.into_pyarray(py), told))
}

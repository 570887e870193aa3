//! Sparse codes of batches for Python.

use std::sync::Mutex;

use numpy::{IntoPyArray, PyArrayMethods, PyReadonlyArray2, PyReadwriteArray1, PyReadwriteArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_design::Design;
use sparrot_foundation::Error;
use sparrot_prox::Power;
use sparrot_simd::sparse_rows::Codes;
use sparrot_unfolding::dictionary::Rows;
use sparrot_unfolding::{
    Dictionary, Method, Momentum, Outcome, Penalty, Request, Rule, Solution, Steps, Target,
    Weighted, encode, solve, solve_with_matrix,
};

use crate::design::{DesignInput, DesignTask, Float};
use crate::guard;
use crate::observer::trace_columns;

/// A matrix; or functions from codes to signals and back, by rows, with the lengths of both and about
/// the sum of the squares of its entries.
#[derive(FromPyObject)]
pub enum DictionaryInput<'py> {
    Matrix(DesignInput<'py>),
    Operator(Py<PyAny>, Py<PyAny>, usize, usize, f64),
}

/// What a penalty has besides its weight: how many numbers stay, of "largest"; gamma of "mcp", a of
/// "scad".
#[derive(Clone, Copy, FromPyObject)]
pub enum Shape {
    Count(usize),
    Number(f64),
}

/// What is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct CodingInput {
    penalty: String,
    shape: Shape,
    alpha: f64,
    positive: bool,
    /// "bound" for what the dictionary allows, "fixed", "adaptive" or "backtracking".
    steps: String,
    /// The step, or the first one.
    step: Option<f64>,
    momentum: String,
    tol: f64,
    max_iter: usize,
    is_watched: bool,
}

impl CodingInput {
    fn request(&self) -> Result<Request, Error> {
        Ok(Request {
            penalty: penalty(&self.penalty, self.shape)?,
            lambda: self.alpha,
            positive: self.positive,
            steps: match (self.steps.as_str(), self.step) {
                ("adaptive", _) => Some(Steps::Adaptive),
                ("backtracking", first) => Some(Steps::Backtracking(first)),
                (_, step) => step.map(Steps::Fixed),
            },
            momentum: match self.momentum.as_str() {
                "none" => Momentum::None,
                "always" => Momentum::Always,
                _ => Momentum::Restarted,
            },
            tol: self.tol,
            max_iter: self.max_iter,
            is_watched: self.is_watched,
        })
    }
}

/// By name.
fn penalty(name: &str, shape: Shape) -> Result<Penalty, Error> {
    Ok(match (name, shape) {
        ("l1", _) => Penalty::L1,
        ("l0", _) => Penalty::L0,
        ("cel0", _) => Penalty::Cel0,
        ("mcp", Shape::Number(gamma)) => Penalty::Mcp { gamma },
        ("scad", Shape::Number(a)) => Penalty::Scad { a },
        ("l1/2", _) => Penalty::Power(Power::Half),
        ("l2/3", _) => Penalty::Power(Power::TwoThirds),
        ("largest", Shape::Count(count)) => Penalty::Largest(count),
        _ => return Err(Error::invalid("penalty", format!("is {name}"))),
    })
}

/// Refuses arrays that do not belong together: what is behind this takes them as they are in memory.
fn require_shapes(
    signals: (usize, usize),
    codes: (usize, usize),
    [features, atoms]: [usize; 2],
) -> Result<(), Error> {
    if features > 0 && atoms > 0 && signals.1 == features && codes == (signals.0, atoms) {
        return Ok(());
    }
    let message = format!(
        "has shape {signals:?} with codes of shape {codes:?}: the dictionary has {features} features \
         and {atoms} atoms"
    );
    Err(Error::invalid("Y", message))
}

/// Codes the rows of Y, into the array given, where the codes start from: a dict of arrays, with the
/// trace if iterations are watched.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the limits of every call, and what it is about")]
pub fn coding_solve<'py>(
    py: Python<'py>,
    dictionary: DictionaryInput<'py>,
    signals: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    is_warm: bool,
    input: CodingInput,
    max_time: Option<f64>,
    callback: Option<Py<PyAny>>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let limits = guard::Limits { n_threads, max_time, callback };
    let is_watched = input.is_watched;
    let found = match &dictionary {
        DictionaryInput::Matrix(design) => {
            design.with(MatrixCall { py, limits, signals, codes, is_warm, input })??
        }
        DictionaryInput::Operator(forward, adjoint, features, atoms, total) => {
            let operator = Operator {
                forward: forward.clone_ref(py),
                adjoint: adjoint.clone_ref(py),
                features: *features,
                atoms: *atoms,
                total: *total,
                raised: Mutex::new(None),
            };
            if codes.extract::<PyReadonlyArray2<'py, f32>>().is_ok() {
                with_operator::<f32>(py, limits, &operator, signals, codes, is_warm, &input)?
            } else {
                with_operator::<f64>(py, limits, &operator, signals, codes, is_warm, &input)?
            }
        }
    };
    let columns = outcome_columns(py, &found.outcomes)?;
    columns.set_item("trace", is_watched.then(|| trace_columns(py, &found.trace)).transpose()?)?;
    Ok(columns)
}

/// Coordinate descent on a penalty.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct DescentInput {
    penalty: String,
    shape: Shape,
    alpha: f64,
    positive: bool,
    tol: f64,
    max_iter: usize,
}

/// A matching pursuit of so many atoms, at most, down to such squares of the residual.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct PursuitInput {
    count: usize,
    squares: f64,
    positive: bool,
}

/// By name: "descent", "omp" and "ols" with what they take; "refit" has nothing but the codes given.
fn method(name: &str, options: &Bound<'_, PyDict>) -> PyResult<Method> {
    let rule = match name {
        "descent" => {
            let given: DescentInput = options.extract()?;
            let penalty = penalty(&given.penalty, given.shape).map_err(|error| {
                guard::raise(options.py(), "InvalidInputError", error.to_string())
            })?;
            let DescentInput { alpha: lambda, positive, tol, max_iter, .. } = given;
            return Ok(Method::Descent { penalty, lambda, positive, tol, max_iter });
        }
        "omp" => Rule::Correlation,
        "ols" => Rule::Residual,
        _ => return Ok(Method::Refit),
    };
    let PursuitInput { count, squares, positive } = options.extract()?;
    Ok(Method::Pursuit(Target { rule, count, squares, positive }))
}

/// Codes the rows of Y by the Gram matrix, into the array given: by a method, with what it takes; by
/// "refit" where the codes given are not 0.
#[pyfunction]
pub fn coding_encode<'py>(
    py: Python<'py>,
    dictionary: DesignInput<'py>,
    signals: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    method_name: &str,
    options: &Bound<'py, PyDict>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let limits = guard::Limits::threads(n_threads);
    let method = method(method_name, options)?;
    let found = dictionary.with(EncodeCall { py, limits, signals, codes, method })??;
    outcome_columns(py, &found)
}

struct EncodeCall<'a, 'py> {
    py: Python<'py>,
    limits: guard::Limits,
    signals: &'a Bound<'py, PyAny>,
    codes: &'a Bound<'py, PyAny>,
    method: Method,
}

impl DesignTask for EncodeCall<'_, '_> {
    type Answer = PyResult<Vec<Outcome>>;

    fn run<T: Float>(self, design: Design<'_, T>) -> Self::Answer {
        let EncodeCall { py, limits, signals, codes, method } = self;
        let signals: PyReadonlyArray2<'_, T> = signals.extract()?;
        let mut codes: PyReadwriteArray2<'_, T> = codes.extract()?;
        let shapes = (signals.as_array().dim(), codes.as_array().dim());
        let (y, codes) = (signals.as_slice()?, codes.as_slice_mut()?);
        guard::call(py, limits, |team, stop| {
            require_shapes(shapes.0, shapes.1, [design.rows(), design.columns()])?;
            encode(&design, y, method, codes, team, stop)
        })
    }
}

/// Applies a proximal operator to numbers in place.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "what an operator depends on")]
pub fn coding_prox(
    py: Python<'_>,
    mut numbers: PyReadwriteArray1<'_, f64>,
    name: &str,
    shape: Shape,
    alpha: f64,
    step: f64,
    squares: f64,
    positive: bool,
) -> PyResult<()> {
    /// Numbers between two looks at the clock.
    const PART: usize = 1 << 14;
    let numbers = numbers.as_slice_mut()?;
    guard::call(py, guard::Limits::threads(Some(1)), |_, stop| {
        let penalty = penalty(name, shape)?;
        let (total, squares) = (squares, [squares]);
        let weighted = Weighted { penalty, lambda: alpha, positive, squares: &squares, total };
        for part in numbers.chunks_mut(PART) {
            stop.poll()?;
            part.iter_mut().for_each(|u| *u = weighted.prox(0, *u, step));
        }
        Ok(())
    })
}

struct MatrixCall<'a, 'py> {
    py: Python<'py>,
    limits: guard::Limits,
    signals: &'a Bound<'py, PyAny>,
    codes: &'a Bound<'py, PyAny>,
    is_warm: bool,
    input: CodingInput,
}

impl DesignTask for MatrixCall<'_, '_> {
    type Answer = PyResult<Solution>;

    fn run<T: Float>(self, design: Design<'_, T>) -> Self::Answer {
        let MatrixCall { py, limits, signals, codes, is_warm, input } = self;
        let signals: PyReadonlyArray2<'_, T> = signals.extract()?;
        let mut codes: PyReadwriteArray2<'_, T> = codes.extract()?;
        let shapes = (signals.as_array().dim(), codes.as_array().dim());
        let (y, codes) = (signals.as_slice()?, codes.as_slice_mut()?);
        let start = is_warm.then(|| codes.to_vec());
        guard::call(py, limits, |team, stop| {
            require_shapes(shapes.0, shapes.1, [design.rows(), design.columns()])?;
            let request = input.request()?;
            solve_with_matrix(&design, y, start.as_deref(), &request, codes, team, stop)
        })
    }
}

fn with_operator<T: Float>(
    py: Python<'_>,
    limits: guard::Limits,
    operator: &Operator,
    signals: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    is_warm: bool,
    input: &CodingInput,
) -> PyResult<Solution> {
    let signals: PyReadonlyArray2<'_, T> = signals.extract()?;
    let mut codes: PyReadwriteArray2<'_, T> = codes.extract()?;
    let shapes = (signals.as_array().dim(), codes.as_array().dim());
    let (y, codes) = (signals.as_slice()?, codes.as_slice_mut()?);
    let start = is_warm.then(|| codes.to_vec());
    // They are not known.
    let squares = vec![0.0; operator.atoms];
    let found = guard::call(py, limits, |team, stop| {
        require_shapes(shapes.0, shapes.1, [operator.features, operator.atoms])?;
        let request = input.request()?;
        let steps = request.steps.unwrap_or(Steps::Adaptive);
        let settings = request.settings(steps, &squares, operator.total);
        solve::<T>(operator, y, start.as_deref(), &settings, codes, team, stop)
    });
    match operator.raised.lock().ok().and_then(|mut raised| raised.take()) {
        Some(error) => Err(error),
        None => found,
    }
}

/// A matrix that is only known by what it does: functions of Python.
struct Operator {
    forward: Py<PyAny>,
    adjoint: Py<PyAny>,
    features: usize,
    atoms: usize,
    /// About the sum of the squares of its entries.
    total: f64,
    /// What one of them raised.
    raised: Mutex<Option<PyErr>>,
}

impl Operator {
    fn call<T: Float>(
        &self,
        function: &Py<PyAny>,
        rows: Vec<T>,
        [from, to]: [usize; 2],
    ) -> Result<Vec<T>, Error> {
        let answer = Python::attach(|py| -> PyResult<Vec<T>> {
            let count = rows.len() / from;
            let rows = rows.into_pyarray(py).reshape([count, from])?;
            let answer = function.call1(py, (rows,))?;
            let answer: PyReadonlyArray2<'_, T> = answer.bind(py).extract()?;
            Ok(answer.as_slice()?[..count * to].to_vec())
        });
        answer.map_err(|error| {
            if let Ok(mut raised) = self.raised.lock() {
                raised.get_or_insert(error);
            }
            Error::Interrupted
        })
    }

    fn forward<T: Float>(&self, codes: Vec<T>) -> Result<Vec<T>, Error> {
        self.call(&self.forward, codes, [self.atoms, self.features])
    }

    fn adjoint<T: Float>(&self, signals: Vec<T>) -> Result<Vec<T>, Error> {
        self.call(&self.adjoint, signals, [self.features, self.atoms])
    }
}

impl<T: Float> Dictionary<T> for Operator {
    fn features(&self) -> usize {
        self.features
    }

    fn atoms(&self) -> usize {
        self.atoms
    }

    fn block(&self, _signals: usize) -> Option<usize> {
        None
    }

    fn correlations(&self, count: usize, y: &[T], out: &mut [T]) -> Result<(), Error> {
        out.copy_from_slice(&self.adjoint(y[..count * self.features].to_vec())?);
        Ok(())
    }

    fn gradients(&self, rows: Rows<'_, T>, _room: &mut Vec<T>, out: &mut [T]) -> Result<(), Error> {
        let mut residuals = self.forward(rows.x[..rows.count * self.atoms].to_vec())?;
        let less = |(r, y): (&mut T, &T)| *r = T::from_f64(r.to_f64() - y.to_f64());
        residuals.iter_mut().zip(rows.y).for_each(less);
        out[..rows.count * self.atoms].copy_from_slice(&self.adjoint(residuals)?);
        Ok(())
    }

    fn exact(
        &self,
        chosen: &[usize],
        codes: &Codes<T>,
        y: &[T],
        residuals: &mut [f64],
        correlations: &mut [f64],
    ) -> Result<(), Error> {
        let mut dense = vec![0.0; chosen.len() * self.atoms];
        for (row, out) in chosen.iter().zip(dense.chunks_mut(self.atoms)) {
            let (places, values) = codes.row(*row);
            places.iter().zip(values).for_each(|(j, v)| out[*j as usize] = v.to_f64());
        }
        let images = self.forward(dense)?;
        let signals = chosen.iter().flat_map(|row| &y[row * self.features..][..self.features]);
        for ((r, y), image) in residuals.iter_mut().zip(signals).zip(images) {
            *r = y.to_f64() - image;
        }
        correlations.copy_from_slice(&self.adjoint(residuals.to_vec())?);
        Ok(())
    }
}

fn outcome_columns<'py>(py: Python<'py>, found: &[Outcome]) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    let numbers = |of: fn(&Outcome) -> f64| found.iter().map(of).collect::<Vec<f64>>();
    columns.set_item("certificate", numbers(|o| o.certificate).into_pyarray(py))?;
    columns.set_item("objective", numbers(|o| o.objective).into_pyarray(py))?;
    columns.set_item("step", numbers(|o| o.step).into_pyarray(py))?;
    let iterations: Vec<i64> = found.iter().map(|o| o.iterations as i64).collect();
    columns.set_item("n_iter", iterations.into_pyarray(py))?;
    let status: Vec<&str> = found.iter().map(|o| o.status.name()).collect();
    columns.set_item("status", status)?;
    let diverged: Vec<bool> = found.iter().map(|o| o.diverged).collect();
    columns.set_item("diverged", diverged.into_pyarray(py))?;
    Ok(columns)
}

//! `sparrot_softmax` for Python: arrays of any shape and strides, as pointers.

use numpy::npyffi::{NPY_ARRAY_WRITEABLE, NPY_ORDER, PY_ARRAY_API};
use numpy::{
    Element, IntoPyArray, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sparrot_simd::frame::Reference;
use sparrot_simd::tally::Sum;
use sparrot_softmax::arrays::Arrays;
use sparrot_softmax::job::{self, Masked, Output, Real, Settings};
use sparrot_softmax::layout::{Axis, Layout};
use sparrot_softmax::pass::Method;
use sparrot_softmax::state::State;

use crate::guard::{self, Limits};

/// Calls on fewer values than this run on the calling thread, which then need not ask how many
/// threads there are.
const ALONE: usize = 1 << 16;

/// Figures of a state.
const STATE: usize = 6;

type Vector<'py> = Bound<'py, PyArray1<f64>>;

/// Runs `$body` with the task of the arrays, whichever type they are.
macro_rules! with_task {
    (($x:expr, $out:expr, $axes:expr, $mask:expr, $weights:expr), |$task:ident| $body:expr) => {
        if let Ok(x) = $x.cast::<PyArrayDyn<f32>>() {
            let out = $out.map(|out| out.cast()).transpose()?;
            let $task = Task::new(x, out, |d| $axes.contains(&d), $mask, $weights)?;
            $body
        } else if let Ok(x) = $x.cast::<PyArrayDyn<f64>>() {
            let out = $out.map(|out| out.cast()).transpose()?;
            let $task = Task::new(x, out, |d| $axes.contains(&d), $mask, $weights)?;
            $body
        } else {
            Err(PyTypeError::new_err("x must be an array of float32 or float64"))
        }
    };
}
pub(crate) use with_task;

/// The usual call: the softmax of `x` over one axis or all, or its logarithm. `None` if anything
/// is unusual, and then nothing has been done.
#[pyfunction]
pub fn special_softmax<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    axis: Option<isize>,
    out: Option<&Bound<'py, PyAny>>,
    log: bool,
    method: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Ok(method) = method_named(method) else { return Ok(None) };
    if let Ok(x) = x.cast_exact::<PyArrayDyn<f32>>() {
        usual(py, x, axis, out, log, method)
    } else if let Ok(x) = x.cast_exact::<PyArrayDyn<f64>>() {
        usual(py, x, axis, out, log, method)
    } else {
        Ok(None)
    }
}

fn usual<'py, T: Real + Element>(
    py: Python<'py>,
    x: &Bound<'py, PyArrayDyn<T>>,
    axis: Option<isize>,
    out: Option<&Bound<'py, PyAny>>,
    log: bool,
    method: Option<Method>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let ndim = x.ndim() as isize;
    if ndim == 0 {
        return Ok(None);
    }
    let axis = match axis {
        None => None,
        Some(axis) if (-ndim..ndim).contains(&axis) => Some(axis.rem_euclid(ndim) as usize),
        Some(_) => return Ok(None),
    };
    let out = match out {
        None => new_like(py, x)?,
        Some(out) => match out.cast_exact::<PyArrayDyn<T>>() {
            Ok(out) if is_place(x, out) => out.clone(),
            _ => return Ok(None),
        },
    };
    let reduced = |d: usize| axis.is_none_or(|axis| axis == d);
    let Ok(task) = Task::new(x, Some(&out), reduced, None, None) else { return Ok(None) };
    let output = if log { Output::LogSoftmax } else { Output::Softmax };
    let (masked, temperature) = (Masked::Nan, 1.0);
    let settings = Settings { output, for_log: log, method, masked, temperature };
    task.run(py, &settings, None, "nothing")?;
    Ok(Some(out.into_any()))
}

/// A new array of the shape, type and memory order of another, from NumPy's allocator.
fn new_like<'py, T: Element>(
    py: Python<'py>,
    x: &Bound<'py, PyArrayDyn<T>>,
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let (order, dtype, subok) = (NPY_ORDER::NPY_KEEPORDER, std::ptr::null_mut(), 0);
    // SAFETY: a live array; the new reference is taken over. Without a type it is that of `x`.
    let new = unsafe {
        let new = PY_ARRAY_API.PyArray_NewLikeArray(py, x.as_array_ptr(), order, dtype, subok);
        Bound::from_owned_ptr_or_err(py, new)?
    };
    Ok(new.cast_into()?)
}

/// Whether `out` is as `x`, or plainly apart from it, and can be written to.
fn is_place<T: Element>(x: &Bound<'_, PyArrayDyn<T>>, out: &Bound<'_, PyArrayDyn<T>>) -> bool {
    if out.shape() != x.shape() || writable(out).is_err() {
        return false;
    }
    let repeats = || out.strides().iter().zip(out.shape()).any(|(s, n)| *s == 0 && *n > 1);
    if x.data() == out.data() && x.strides() == out.strides() {
        return !repeats();
    }
    // What lies between the first and the last byte of each.
    let extent = |array: &Bound<'_, PyArrayDyn<T>>| {
        let start = array.data().addr() as isize;
        let ends = array.strides().iter().zip(array.shape());
        ends.fold((start, start + size_of::<T>() as isize), |(low, high), (stride, len)| {
            let reach = stride * (*len as isize - 1).max(0);
            (low + reach.min(0), high + reach.max(0))
        })
    };
    let ((a, b), (c, d)) = (extent(x), extent(out));
    (b <= c || d <= a) && !repeats()
}

/// Writes what `output` names of `x` over the given axes to `out`, and returns what is wanted of
/// each line: `"nothing"`, `"lse"`, `"signed"` (log of magnitude, then signs), `"parts"` (maxima,
/// then `log sum exp(x - max)`), `"states"`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "called by position, by one function")]
pub fn special_run<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    axes: Vec<usize>,
    output: &str,
    want: &str,
    mask: Option<&Bound<'py, PyArrayDyn<bool>>>,
    weights: Option<&Bound<'py, PyArrayDyn<f64>>>,
    temperature: f64,
    all_masked: &str,
    method: &str,
    n_threads: Option<usize>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let output = output_named(output)?;
    let settings = Settings {
        output,
        for_log: want != "nothing" || output == Output::LogSoftmax,
        method: method_named(method)?,
        masked: masked_named(all_masked)?,
        temperature,
    };
    with_task!((x, out, axes, mask, weights), |task| task.run(py, &settings, n_threads, want))
}

/// Writes what `output` names of `x`, part of lines of which all the states are known, to `out`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "called by position, by one function")]
pub fn special_normalise<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    out: &Bound<'py, PyAny>,
    axes: Vec<usize>,
    output: &str,
    states: PyReadonlyArray2<'py, f64>,
    all_masked: &str,
    n_threads: Option<usize>,
) -> PyResult<()> {
    let settings = Settings {
        output: output_named(output)?,
        for_log: true,
        method: None,
        masked: masked_named(all_masked)?,
        temperature: 1.0,
    };
    let states = states_of(&states)?;
    with_task!((x, Some(out), axes, None, None), |task| {
        task.normalise(py, &settings, &states, n_threads)
    })
}

/// The states of the values of both.
#[pyfunction]
pub fn special_merge<'py>(
    py: Python<'py>,
    a: PyReadonlyArray2<'py, f64>,
    b: PyReadonlyArray2<'py, f64>,
) -> PyResult<Vector<'py>> {
    let (a, b) = (states_of(&a)?, states_of(&b)?);
    let merged = a.into_iter().zip(b).flat_map(|(a, b)| figures(&a.merge(b)));
    Ok(merged.collect::<Vec<f64>>().into_pyarray(py))
}

/// `log sum exp` of each state.
#[pyfunction]
pub fn special_finalize<'py>(
    py: Python<'py>,
    states: PyReadonlyArray2<'py, f64>,
) -> PyResult<Vector<'py>> {
    let lse = states_of(&states)?.iter().map(State::log_sum_exp).collect::<Vec<f64>>();
    Ok(lse.into_pyarray(py))
}

fn figures(state: &State) -> [f64; STATE] {
    let State { max, reference: Reference { shift, exponent }, top, rest: Sum { high, low } } =
        *state;
    [max, shift, exponent, top, high, low]
}

fn states_of(states: &PyReadonlyArray2<'_, f64>) -> PyResult<Vec<State>> {
    let (figures, rest) = states.as_slice()?.as_chunks::<STATE>();
    if !rest.is_empty() {
        return Err(PyTypeError::new_err("not an array of states"));
    }
    let state = |&[max, shift, exponent, top, high, low]: &[f64; STATE]| State {
        max,
        reference: Reference { shift, exponent },
        top,
        rest: Sum { high, low },
    };
    Ok(figures.iter().map(state).collect())
}

fn unknown(name: &str) -> PyErr {
    PyTypeError::new_err(format!("unknown: {name:?}"))
}

fn output_named(name: &str) -> PyResult<Output> {
    match name {
        "nothing" => Ok(Output::Nothing),
        "softmax" => Ok(Output::Softmax),
        "log_softmax" => Ok(Output::LogSoftmax),
        other => Err(unknown(other)),
    }
}

fn method_named(name: &str) -> PyResult<Option<Method>> {
    match name {
        "auto" => Ok(None),
        "two-pass" => Ok(Some(Method::TwoPass)),
        "recompute" => Ok(Some(Method::Recompute)),
        "reload" => Ok(Some(Method::Reload)),
        "blocked" => Ok(Some(Method::Blocked)),
        other => Err(unknown(other)),
    }
}

fn masked_named(name: &str) -> PyResult<Masked> {
    match name {
        "nan" => Ok(Masked::Nan),
        "zero" => Ok(Masked::Zero),
        "uniform" => Ok(Masked::Uniform),
        other => Err(unknown(other)),
    }
}

/// Arrays of one type with their layout.
pub(crate) struct Task<'a, T> {
    pub(crate) arrays: Arrays<'a, T>,
    pub(crate) layout: Layout,
}

impl<'a, T: Real + Element> Task<'a, T> {
    pub(crate) fn new(
        x: &'a Bound<'_, PyArrayDyn<T>>,
        out: Option<&'a Bound<'_, PyArrayDyn<T>>>,
        is_reduced: impl Fn(usize) -> bool,
        mask: Option<&'a Bound<'_, PyArrayDyn<bool>>>,
        weights: Option<&'a Bound<'_, PyArrayDyn<f64>>>,
    ) -> PyResult<Task<'a, T>> {
        let shape = x.shape();
        let steps_x = steps(x, shape)?;
        let steps_out =
            out.map(|out| writable(out).and_then(|()| steps(out, shape))).transpose()?;
        let steps_mask = mask.map(|mask| steps(mask, shape)).transpose()?;
        let steps_weights = weights.map(|weights| steps(weights, shape)).transpose()?;
        let step = |steps: &Option<Vec<isize>>, d: usize| steps.as_ref().map_or(0, |s| s[d]);
        let layout = Layout::new((0..shape.len()).map(|d| {
            let [out, mask, weights] =
                [&steps_out, &steps_mask, &steps_weights].map(|steps| step(steps, d));
            let axis = Axis { len: shape[d], steps: [steps_x[d], out, mask, weights] };
            (axis, is_reduced(d))
        }));
        // SAFETY: NumPy vouches for every position of its arrays, which are borrowed for 'a. The
        // Python side has seen to it that `out` is `x` or does not overlap with anything.
        let arrays = unsafe {
            Arrays::from_raw(
                x.data(),
                out.map_or(std::ptr::null_mut(), |out| out.data()),
                mask.map_or(std::ptr::null(), |mask| mask.data().cast_const()),
                weights.map_or(std::ptr::null(), |weights| weights.data().cast_const()),
            )
        };
        Ok(Task { arrays, layout })
    }

    fn values(&self) -> usize {
        self.layout.lines().saturating_mul(self.layout.len())
    }

    pub(crate) fn limits(&self, n_threads: Option<usize>) -> Limits {
        Limits::threads(if self.values() < ALONE { Some(1) } else { n_threads })
    }

    fn run<'py>(
        &self,
        py: Python<'py>,
        settings: &Settings,
        n_threads: Option<usize>,
        want: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let wanted = if want == "nothing" { 0 } else { self.layout.lines() };
        let states = guard::call(py, self.limits(n_threads), |team, stop| {
            let mut states = vec![State::EMPTY; wanted];
            // SAFETY: `new` has made the arrays fit the layout.
            unsafe { job::run(&self.arrays, &self.layout, settings, &mut states, team, stop)? };
            Ok(states)
        })?;
        let of = |figure: fn(&State) -> f64| states.iter().map(figure);
        Ok(match want {
            "nothing" => None,
            "lse" => Some(rounded::<T>(py, of(State::log_sum_exp))),
            "signed" => {
                let (logs, signs) = (of(|s| s.signed_log().0), of(|s| s.signed_log().1));
                Some(rounded::<T>(py, logs.chain(signs)))
            }
            "parts" => Some(rounded::<f64>(py, of(|s| s.max).chain(of(State::log_excess)))),
            "states" => Some(rounded::<f64>(py, states.iter().flat_map(figures))),
            other => return Err(unknown(other)),
        })
    }

    fn normalise(
        &self,
        py: Python<'_>,
        settings: &Settings,
        states: &[State],
        n_threads: Option<usize>,
    ) -> PyResult<()> {
        guard::call(py, self.limits(n_threads), |team, stop| {
            // SAFETY: `new` has made the arrays fit the layout.
            unsafe { job::normalise(&self.arrays, &self.layout, settings, states, team, stop) }
        })
    }
}

/// The steps of an array of that shape, in values.
fn steps<T: Element>(array: &Bound<'_, PyArrayDyn<T>>, shape: &[usize]) -> PyResult<Vec<isize>> {
    let unit = size_of::<T>() as isize;
    if array.data().addr() % size_of::<T>() != 0 {
        return Err(PyTypeError::new_err("an array is not aligned"));
    }
    if array.shape() != shape || array.strides().iter().any(|stride| stride % unit != 0) {
        return Err(PyTypeError::new_err("the arrays do not fit one another"));
    }
    Ok(array.strides().iter().map(|stride| stride / unit).collect())
}

fn writable<T: Element>(out: &Bound<'_, PyArrayDyn<T>>) -> PyResult<()> {
    // SAFETY: a live array.
    let flags = unsafe { (*out.as_array_ptr()).fields.flags };
    if flags & NPY_ARRAY_WRITEABLE == 0 {
        return Err(PyTypeError::new_err("out is read-only"));
    }
    Ok(())
}

/// Figures as a NumPy array of type `T`.
fn rounded<T: Real + Element>(
    py: Python<'_>,
    figures: impl Iterator<Item = f64>,
) -> Bound<'_, PyAny> {
    figures.map(T::from_f64).collect::<Vec<T>>().into_pyarray(py).into_any()
}

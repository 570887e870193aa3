//! Python as a solver's observer: Ctrl-C, callbacks, and the trace.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use numpy::IntoPyArray;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_foundation::stop::{Observer, Verdict};
use sparrot_foundation::{Record, Trace};

/// Ends solves in other threads, as Ctrl-C ends one in the main thread: only there Python tells of it.
#[pyclass(frozen, module = "sparrot._sparrot")]
#[derive(Default)]
pub struct StopFlag(Arc<AtomicBool>);

#[pymethods]
impl StopFlag {
    #[new]
    fn new() -> StopFlag {
        StopFlag::default()
    }

    /// From now on.
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl StopFlag {
    pub fn share(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

pub struct PyObserver {
    callback: Option<Py<PyAny>>,
    flag: Option<Arc<AtomicBool>>,
    exception: Mutex<Option<PyErr>>,
}

impl PyObserver {
    pub fn new(callback: Option<Py<PyAny>>, flag: Option<Arc<AtomicBool>>) -> PyObserver {
        PyObserver { callback, flag, exception: Mutex::new(None) }
    }

    fn keep(&self, exception: PyErr) {
        if let Ok(mut slot) = self.exception.lock() {
            slot.get_or_insert(exception);
        }
    }

    /// What Python raised when it ended the solve.
    pub fn into_exception(self) -> PyErr {
        let kept = self.exception.into_inner().ok().flatten();
        kept.unwrap_or_else(|| PyKeyboardInterrupt::new_err(()))
    }
}

impl Observer for PyObserver {
    fn interrupted(&self) -> bool {
        if self.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return true;
        }
        // Raises in the main thread only, as Python's own loops do.
        match Python::attach(|py| py.check_signals()) {
            Ok(()) => false,
            Err(exception) => {
                self.keep(exception);
                true
            }
        }
    }

    fn observe(&self, record: &Record) -> Verdict {
        let Some(callback) = &self.callback else { return Verdict::Continue };
        let Record { iteration, time, objective, certificate, sparsity, phase } = *record;
        let answer = Python::attach(|py| {
            let answer =
                callback.call1(py, (iteration, time, objective, certificate, sparsity, phase))?;
            answer.is_truthy(py)
        });
        match answer {
            Ok(true) => Verdict::End,
            Ok(false) => Verdict::Continue,
            Err(exception) => {
                self.keep(exception);
                Verdict::Abandon
            }
        }
    }
}

/// A trace, as a dict of arrays.
pub fn trace_columns<'py>(py: Python<'py>, records: &Trace) -> PyResult<Bound<'py, PyDict>> {
    let trace = PyDict::new(py);
    trace.set_item("iteration", records.column(|r| r.iteration as i64).into_pyarray(py))?;
    trace.set_item("time", records.column(|r| r.time).into_pyarray(py))?;
    trace.set_item("objective", records.column(|r| r.objective).into_pyarray(py))?;
    trace.set_item("certificate", records.column(|r| r.certificate).into_pyarray(py))?;
    trace.set_item("sparsity", records.column(|r| r.sparsity as i64).into_pyarray(py))?;
    trace.set_item("phase", records.column(|r| r.phase).into_pyarray(py))?;
    Ok(trace)
}

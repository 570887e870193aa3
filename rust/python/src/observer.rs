//! Python as a solver's observer: Ctrl-C and callbacks.

use std::sync::Mutex;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use sparrot_foundation::Record;
use sparrot_foundation::stop::{Observer, Verdict};

pub struct PyObserver {
    callback: Option<Py<PyAny>>,
    exception: Mutex<Option<PyErr>>,
}

impl PyObserver {
    pub fn new(callback: Option<Py<PyAny>>) -> PyObserver {
        PyObserver { callback, exception: Mutex::new(None) }
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

//! The one way from Python into a solver.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use sparrot_foundation::stop::{Observer, Stop};
use sparrot_foundation::{Error, Team};

use crate::observer::{PyObserver, StopFlag};

/// What every call may be given besides its data.
pub struct Limits {
    pub n_threads: Option<usize>,
    pub max_time: Option<f64>,
    pub callback: Option<Py<PyAny>>,
}

impl Limits {
    pub fn threads(n_threads: Option<usize>) -> Limits {
        Limits { n_threads, max_time: None, callback: None }
    }
}

/// Runs `work` detached from the interpreter; Ctrl-C, errors and panics come back as exceptions.
pub fn call<R: Send>(
    py: Python<'_>,
    limits: Limits,
    work: impl FnOnce(&Team, &Stop<'_>) -> Result<R, Error> + Send,
) -> PyResult<R> {
    call_until(py, limits, None, work)
}

/// The same; a flag ends it, too.
pub fn call_until<R: Send>(
    py: Python<'_>,
    limits: Limits,
    flag: Option<PyRef<'_, StopFlag>>,
    work: impl FnOnce(&Team, &Stop<'_>) -> Result<R, Error> + Send,
) -> PyResult<R> {
    let observer = PyObserver::new(limits.callback, flag.map(|flag| flag.share()));
    // Reads the environment, which Python may write to while the interpreter is released.
    let team = Team::new(limits.n_threads);
    let caught = py.detach(|| {
        let observer: &dyn Observer = &observer;
        let stop = Stop::new(observer, limits.max_time);
        catch_unwind(AssertUnwindSafe(|| work(&team, &stop)))
    });
    match caught {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => Err(exception(py, error, observer)),
        Err(panic) => {
            let message = (panic.downcast_ref::<String>().cloned())
                .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
                .unwrap_or_default();
            Err(raise(
                py,
                "InternalError",
                format!(
                    "a defect in sparrot, please report it with the call that led here: {message}"
                ),
            ))
        }
    }
}

fn exception(py: Python<'_>, error: Error, observer: PyObserver) -> PyErr {
    match error {
        Error::Interrupted => observer.into_exception(),
        Error::OutOfMemory { .. } => PyMemoryError::new_err(error.to_string()),
        Error::Infeasible(_) => raise(py, "InfeasibleProblemError", error.to_string()),
        Error::InvalidInput { .. } => raise(py, "InvalidInputError", error.to_string()),
    }
}

/// An exception of `sparrot.errors`.
pub fn raise(py: Python<'_>, class: &str, message: String) -> PyErr {
    let instance = py
        .import("sparrot.errors")
        .and_then(|errors| errors.getattr(class))
        .and_then(|class| class.call1((message,)));
    match instance {
        Ok(instance) => PyErr::from_value(instance),
        Err(error) => error,
    }
}

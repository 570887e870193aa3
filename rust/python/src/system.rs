//! Version, instruction sets, threads.

use pyo3::prelude::*;
use sparrot_foundation::team;
use sparrot_simd::level::{self, Level};

use crate::guard::{self, Limits};

#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The instruction set in use; an error if `SPARROT_SIMD` names one this machine lacks.
#[pyfunction]
pub fn simd_level(py: Python<'_>) -> PyResult<&'static str> {
    match level::requested() {
        Ok(level) => Ok(level.name()),
        Err(unknown) => Err(guard::raise(py, "InvalidInputError", unknown.to_string())),
    }
}

#[pyfunction]
pub fn simd_levels() -> Vec<&'static str> {
    Level::available().into_iter().map(Level::name).collect()
}

#[pyfunction]
pub fn get_num_threads() -> usize {
    team::num_threads()
}

#[pyfunction]
pub fn set_num_threads(limit: usize) {
    team::set_num_threads(limit);
}

/// Panics inside a solver's thread, so that a test can see what becomes of it.
#[pyfunction]
#[allow(clippy::panic, reason = "what it is for")]
pub fn panic_for_test(py: Python<'_>, n_threads: usize) -> PyResult<()> {
    guard::call(py, Limits::threads(Some(n_threads)), |team, stop| {
        team.run(stop, (0..64).collect(), |i: usize| {
            if i == 40 {
                panic!("asked for by a test")
            }
        })
        .map(|_| ())
    })
}

// What threadpoolctl calls, by these names.

/// The number of threads a solve uses.
// SAFETY: no other library exports a symbol of this name.
#[unsafe(no_mangle)]
pub extern "C" fn sparrot_get_num_threads() -> std::ffi::c_int {
    team::num_threads() as std::ffi::c_int
}

/// Limits the threads of every solve that is not given a number; 0 lifts the limit.
// SAFETY: no other library exports a symbol of this name.
#[unsafe(no_mangle)]
pub extern "C" fn sparrot_set_num_threads(limit: std::ffi::c_int) {
    team::restore_num_threads(usize::try_from(limit).unwrap_or(0));
}

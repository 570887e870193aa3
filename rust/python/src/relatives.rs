//! `sparrot_softmax::relatives` for Python.

use numpy::{IntoPyArray, PyArray1, PyArrayDyn};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sparrot_foundation::Scalar;
use sparrot_softmax::relatives::{self, Largest, PullBack, Relative, Sparsemax, Stablemax};

use crate::guard;
use crate::special::{Task, with_task};

/// Writes `scale p (g - <p, g>)` to `out`.
#[pyfunction]
pub fn special_pull_back(
    py: Python<'_>,
    p: &Bound<'_, PyAny>,
    g: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    axes: Vec<usize>,
    scale: f64,
    n_threads: Option<usize>,
) -> PyResult<()> {
    with_task!((p, Some(out), axes, None, None), |task| {
        let Task { arrays: gradient, layout, .. } =
            Task::new(g.cast()?, None, |d| axes.contains(&d), None, None)?;
        write(py, &task, &PullBack { gradient, layout, scale }, n_threads)
    })
}

/// Writes the stablemax of `x` to `out`.
#[pyfunction]
pub fn special_stablemax(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    axes: Vec<usize>,
    n_threads: Option<usize>,
) -> PyResult<()> {
    with_task!((x, Some(out), axes, None, None), |task| write(py, &task, &Stablemax, n_threads))
}

/// Writes the sparsemax of `x` to `out`.
#[pyfunction]
pub fn special_sparsemax(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    axes: Vec<usize>,
    n_threads: Option<usize>,
) -> PyResult<()> {
    with_task!((x, Some(out), axes, None, None), |task| write(py, &task, &Sparsemax, n_threads))
}

/// (the `k` largest probabilities of each line, their positions)
#[pyfunction]
pub fn special_topk<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    axes: Vec<usize>,
    k: usize,
    renormalize: bool,
    n_threads: Option<usize>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyArray1<i64>>)> {
    with_task!((x, None::<&Bound<'_, PyAny>>, axes, None, None), |task| {
        let tops = guard::call(py, task.limits(n_threads), |team, stop| {
            // SAFETY: `Task::new` has made the arrays fit the layout.
            unsafe { relatives::run(&Largest { k }, &task.arrays, &task.layout, team, stop, true) }
        })?;
        let values: Vec<_> = tops.iter().flat_map(|top| top.probabilities(renormalize)).collect();
        let positions = tops.iter().flat_map(|top| &top.values).map(|(_, at)| *at as i64);
        let positions = positions.collect::<Vec<_>>().into_pyarray(py);
        Ok((values.into_pyarray(py).into_any(), positions))
    })
}

fn write<T, R>(
    py: Python<'_>,
    task: &Task<'_, T>,
    relative: &R,
    n_threads: Option<usize>,
) -> PyResult<()>
where
    T: sparrot_softmax::job::Real + numpy::Element + Scalar,
    R: Relative<T>,
{
    guard::call(py, task.limits(n_threads), |team, stop| {
        // SAFETY: `Task::new` has made the arrays fit the layout.
        unsafe { relatives::run(relative, &task.arrays, &task.layout, team, stop, false) }
    })?;
    Ok(())
}

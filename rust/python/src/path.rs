//! What solves along sequences of penalties have in common: Python's arguments, the call, the dicts.

use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_design::{Design, Element};
use sparrot_foundation::{Error, Stop, Team};
use sparrot_regression::{Groups, Point};

use crate::design::{DesignInput, DesignTask, Indices};
use crate::guard::{self, Limits};
use crate::observer::{StopFlag, trace_columns};

/// Regularisations: these, or so many between the largest of interest and a share of it.
#[derive(FromPyObject)]
pub enum AlphasInput {
    Grid(f64, usize),
    Given(Vec<f64>),
}

impl AlphasInput {
    /// The regularisations.
    pub fn resolve(&self, largest: impl FnOnce() -> Result<f64, Error>) -> Result<Vec<f64>, Error> {
        Ok(match self {
            AlphasInput::Given(alphas) => alphas.clone(),
            AlphasInput::Grid(share, count) => {
                let largest = largest()?;
                let step = |k: usize| k as f64 / (count - 1).max(1) as f64;
                (0..*count).map(|k| largest * share.powf(step(k))).collect()
            }
        })
    }
}

/// Sizes of groups, and the columns one group after the other.
pub type GroupsInput<'py> = (Indices<'py>, Indices<'py>);

/// Those groups.
pub fn as_groups((sizes, columns): &GroupsInput<'_>) -> PyResult<Groups> {
    Ok(Groups::new(sizes.as_slice()?.iter().copied(), columns.as_slice()?.to_vec()))
}

/// Regularisations, and the solutions for them, or for the first of them.
pub type Found = (Vec<f64>, Vec<Point>);

/// What is to be solved, whichever type the data has.
pub trait Path: Sync {
    fn solve<T: Element>(
        &self,
        design: &Design<'_, T>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Found, Error>;
}

/// Solves: the regularisations, and a dict for each solution.
pub fn call<'py>(
    py: Python<'py>,
    design: &DesignInput<'py>,
    path: &impl Path,
    limits: Limits,
    stop_flag: Option<PyRef<'py, StopFlag>>,
) -> PyResult<(Vec<f64>, Vec<Bound<'py, PyDict>>)> {
    let (alphas, points) = design.with(DesignCall { py, limits, stop_flag, path })??;
    let dicts = points.into_iter().map(|point| result(py, point)).collect::<PyResult<_>>()?;
    Ok((alphas, dicts))
}

struct DesignCall<'a, 'py, P> {
    py: Python<'py>,
    limits: Limits,
    stop_flag: Option<PyRef<'py, StopFlag>>,
    path: &'a P,
}

impl<P: Path> DesignTask for DesignCall<'_, '_, P> {
    type Answer = PyResult<Found>;

    fn run<T: Element>(self, design: Design<'_, T>) -> PyResult<Found> {
        let DesignCall { py, limits, stop_flag, path } = self;
        guard::call_until(py, limits, stop_flag, |team, stop| path.solve(&design, team, stop))
    }
}

/// Solves for one regularisation after the other, and at least for the first, until the time is up.
pub fn along(
    alphas: Vec<f64>,
    stop: &Stop<'_>,
    mut solve: impl FnMut(f64) -> Result<Point, Error>,
) -> Result<Found, Error> {
    let mut points = Vec::with_capacity(alphas.len());
    for alpha in &alphas {
        if !points.is_empty() && stop.is_late() {
            break;
        }
        points.push(solve(*alpha)?);
    }
    Ok((alphas, points))
}

fn result(py: Python<'_>, point: Point) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    let columns: Vec<i64> = point.columns.into_iter().map(i64::from).collect();
    result.set_item("columns", columns.into_pyarray(py))?;
    result.set_item("coefficients", point.coefficients.into_pyarray(py))?;
    result.set_item("intercepts", point.intercepts.into_pyarray(py))?;
    result.set_item("objective", point.objective)?;
    result.set_item("certificate", point.certificate)?;
    result.set_item("status", point.status.name())?;
    result.set_item("n_iter", point.iterations)?;
    result.set_item("trace", trace_columns(py, &point.trace)?)?;
    Ok(result)
}

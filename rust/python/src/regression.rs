//! `sparrot_regression` for Python.

use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_design::loss::{Huber, Logistic, Poisson, RowLoss};
use sparrot_design::{Design, Element};
use sparrot_foundation::{Error, Stop, Team};
use sparrot_regression::model::lambda_max;
use sparrot_regression::{
    Bounds, Data, Glm, Grouped, Groups, Interval, Model, Multinomial, Settings, Single, Solver,
    SqrtLasso, Structure,
};

use crate::design::{DesignInput, Indices};
use crate::guard::Limits;
use crate::observer::StopFlag;
use crate::path::{self, AlphasInput, Found, GroupsInput, Path, as_groups};

type Vector<'py> = PyReadonlyArray1<'py, f64>;

/// A loss: its name, or its name and its parameter.
#[derive(FromPyObject)]
pub enum LossInput {
    Named(String),
    With(String, f64),
}

/// The lower and upper bounds of coefficients: of all, or of each.
#[derive(FromPyObject)]
enum BoundsInput<'py> {
    Same(f64, f64),
    Each(Vector<'py>, Vector<'py>),
}

impl BoundsInput<'_> {
    /// One interval, or one for each column.
    fn intervals(&self) -> PyResult<Vec<Interval>> {
        Ok(match self {
            BoundsInput::Same(lower, upper) => vec![Interval { lower: *lower, upper: *upper }],
            BoundsInput::Each(lower, upper) => {
                let pairs = lower.as_slice()?.iter().zip(upper.as_slice()?);
                pairs.map(|(lower, upper)| Interval { lower: *lower, upper: *upper }).collect()
            }
        })
    }
}

/// What makes a path, besides the data.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct PathInput<'py> {
    loss: LossInput,
    alphas: AlphasInput,
    l1_ratio: f64,
    fit_intercept: bool,
    sample_weight: Option<Vector<'py>>,
    /// Sizes, and the columns one group after the other; None for single columns. Only with losses
    /// of two classes, of counts and Huber's.
    groups: Option<GroupsInput<'py>>,
    weights: Option<Vector<'py>>,
    bounds: BoundsInput<'py>,
    /// Columns and, one after the other, the coefficients of each.
    start: Option<(Indices<'py>, Vector<'py>)>,
    tol: f64,
    max_iter: usize,
    max_time: Option<f64>,
}

/// Solves for each regularisation, from the solution of the one before: the regularisations and a
/// dict for each, for fewer of them if the time is up. Of the mean squared error's objective, with
/// means over weights. Rows of y are responses: one, or one for each class.
#[pyfunction]
pub fn regression_path<'py>(
    py: Python<'py>,
    design: DesignInput<'py>,
    y: PyReadonlyArray2<'py, f64>,
    path: PathInput<'py>,
    stop_flag: Option<PyRef<'py, StopFlag>>,
    n_threads: Option<usize>,
) -> PyResult<(Vec<f64>, Vec<Bound<'py, PyDict>>)> {
    let slice = |v: &'_ Option<Vector<'py>>| match v {
        None => Ok(None),
        Some(v) => v.as_slice().map(|v| Some(v.to_vec())),
    };
    let rows = y.as_array().ncols();
    let targets: Vec<&[f64]> = y.as_slice()?.chunks(rows.max(1)).collect();
    let (sample_weight, weights) = (slice(&path.sample_weight)?, slice(&path.weights)?);
    let intervals = path.bounds.intervals()?;
    let task = LossPath {
        loss: &path.loss,
        targets: &targets,
        sample_weight: sample_weight.as_deref(),
        groups: path.groups.as_ref().map(as_groups).transpose()?,
        weights: weights.as_deref(),
        alphas: &path.alphas,
        l1_ratio: path.l1_ratio,
        centred: path.fit_intercept,
        bounds: match &path.bounds {
            BoundsInput::Same(..) => Bounds::Same(intervals[0]),
            BoundsInput::Each(..) => Bounds::Each(&intervals),
        },
        start: match &path.start {
            None => None,
            Some((columns, values)) => Some((columns.as_slice()?, values.as_slice()?)),
        },
        tol: path.tol,
        max_iter: path.max_iter,
    };
    let limits = Limits { n_threads, max_time: path.max_time, callback: None };
    path::call(py, &design, &task, limits, stop_flag)
}

struct LossPath<'a> {
    loss: &'a LossInput,
    targets: &'a [&'a [f64]],
    sample_weight: Option<&'a [f64]>,
    groups: Option<Groups>,
    weights: Option<&'a [f64]>,
    alphas: &'a AlphasInput,
    l1_ratio: f64,
    centred: bool,
    bounds: Bounds<'a>,
    start: Option<(&'a [u32], &'a [f64])>,
    tol: f64,
    max_iter: usize,
}

impl Path for LossPath<'_> {
    fn solve<T: Element>(
        &self,
        design: &Design<'_, T>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Found, Error> {
        let (loss, parameter) = match self.loss {
            LossInput::Named(loss) => (loss.as_str(), f64::INFINITY),
            LossInput::With(loss, parameter) => (loss.as_str(), *parameter),
        };
        match loss {
            "logistic" => self.solve_glm(design, Logistic, team, stop),
            "multinomial" => {
                let (targets, weights) = (self.targets, self.sample_weight);
                let model = Multinomial::new(design, targets, weights, self.centred, team, stop)?;
                self.along(model, team, stop)
            }
            "poisson" => self.solve_glm(design, Poisson, team, stop),
            "huber" => self.solve_glm(design, Huber { delta: parameter }, team, stop),
            _ => {
                let weights = self.sample_weight;
                let data = Data::new(design, self.targets[0], weights, self.centred, team, stop)?;
                let solver = Solver::new(data)?;
                if loss == "square-root" {
                    self.along(SqrtLasso::new(solver), team, stop)
                } else {
                    self.along(solver, team, stop)
                }
            }
        }
    }
}

impl LossPath<'_> {
    fn solve_glm<T: Element>(
        &self,
        design: &Design<'_, T>,
        loss: impl RowLoss,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Found, Error> {
        match &self.groups {
            None => self.solve_structured(design, loss, &Single, team, stop),
            Some(groups) => {
                let groups = Grouped::new(groups.clone(), design.columns());
                self.solve_structured(design, loss, &groups, team, stop)
            }
        }
    }

    fn solve_structured<T: Element>(
        &self,
        design: &Design<'_, T>,
        loss: impl RowLoss,
        structure: &impl Structure,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Found, Error> {
        let rows = (self.targets[0], self.sample_weight);
        let model = Glm::new(design, loss, structure, rows, self.centred, team, stop)?;
        self.along(model, team, stop)
    }

    fn along(&self, mut model: impl Model, team: &Team, stop: &Stop<'_>) -> Result<Found, Error> {
        let total = model.total();
        let settings = |alpha: f64| Settings {
            lambda: alpha * self.l1_ratio * total,
            mu: alpha * (1.0 - self.l1_ratio) * total,
            weights: self.weights,
            bounds: self.bounds,
            tol: self.tol,
            max_iter: self.max_iter,
        };
        let largest =
            || Ok(lambda_max(&mut model, &settings(1.0), team, stop)? / (total * self.l1_ratio));
        let alphas = self.alphas.resolve(largest)?;
        if let Some((columns, coefficients)) = self.start {
            model.start(columns, coefficients, stop)?;
        }
        path::along(alphas, stop, |alpha| {
            let settings = settings(alpha);
            if !(settings.lambda.is_finite() && settings.mu.is_finite()) {
                let message = format!("is {alpha:e}, times the weights of the rows too large");
                return Err(Error::invalid("alpha", message));
            }
            let mut point = model.solve(&settings, team, stop)?;
            point.objective /= total;
            point.certificate /= total;
            point.trace.0.iter_mut().for_each(|record| record.objective /= total);
            Ok(point)
        })
    }
}

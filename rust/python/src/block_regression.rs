//! Regression with penalties of groups, and with penalties that are not convex, for Python.

use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sparrot_design::{Design, Element};
use sparrot_foundation::{Error, Stop, Team};
use sparrot_prox::block::Weighted;
use sparrot_prox::{
    BlockPenalty, Cel0OfColumns, Group, Mcp, OfBlock, Power, Scad, Separable, SparseGroup,
};
use sparrot_regression::{BlockSolver, Data, Groups, Limits, Rule, best_subset, from_lassos};

use crate::design::{DesignInput, Indices};
use crate::guard;
use crate::observer::StopFlag;
use crate::path::{self, AlphasInput, Found, GroupsInput, Path, as_groups};

type Vector<'py> = PyReadonlyArray1<'py, f64>;

/// What makes a path, besides the data.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct BlockPathInput<'py> {
    penalty: String,
    /// gamma of "mcp", a of "scad", the share of L1 of "sparse-group", the number of columns of "l0".
    shape: f64,
    /// Sizes, and the columns one group after the other; None for single columns.
    groups: Option<GroupsInput<'py>>,
    alphas: AlphasInput,
    fit_intercept: bool,
    sample_weight: Vector<'py>,
    weights: Option<Vector<'py>>,
    positive: bool,
    /// Columns and, one after the other, the coefficients of each.
    start: Option<(Indices<'py>, Vector<'py>)>,
    tol: f64,
    max_iter: usize,
    max_time: Option<f64>,
}

/// Solves for each regularisation, from the solution of the one before, or from its Lasso if the
/// penalty is not convex and no start is given: the regularisations and a dict for each, for fewer of
/// them if the time is up. Rows of y are responses; the objective is of sums over weighted rows.
#[pyfunction]
pub fn block_regression_path<'py>(
    py: Python<'py>,
    design: DesignInput<'py>,
    y: PyReadonlyArray2<'py, f64>,
    path: BlockPathInput<'py>,
    stop_flag: Option<PyRef<'py, StopFlag>>,
    n_threads: Option<usize>,
) -> PyResult<(Vec<f64>, Vec<Bound<'py, PyDict>>)> {
    let rows = y.as_array().ncols();
    let responses: Vec<&[f64]> = y.as_slice()?.chunks(rows.max(1)).collect();
    let weights = path.weights.as_ref().map(Vector::as_slice).transpose()?;
    let task = BlockPath {
        penalty: &path.penalty,
        shape: path.shape,
        groups: path.groups.as_ref().map(as_groups).transpose()?,
        responses: &responses,
        alphas: &path.alphas,
        centred: path.fit_intercept,
        sample_weight: path.sample_weight.as_slice()?,
        weights,
        positive: path.positive,
        start: match &path.start {
            None => None,
            Some((columns, values)) => Some((columns.as_slice()?, values.as_slice()?)),
        },
        limits: Limits { tol: path.tol, max_iter: path.max_iter },
    };
    let limits = guard::Limits { n_threads, max_time: path.max_time, callback: None };
    path::call(py, &design, &task, limits, stop_flag)
}

struct BlockPath<'a> {
    penalty: &'a str,
    shape: f64,
    groups: Option<Groups>,
    responses: &'a [&'a [f64]],
    alphas: &'a AlphasInput,
    centred: bool,
    sample_weight: &'a [f64],
    weights: Option<&'a [f64]>,
    positive: bool,
    start: Option<(&'a [u32], &'a [f64])>,
    limits: Limits,
}

impl Path for BlockPath<'_> {
    fn solve<T: Element>(
        &self,
        design: &Design<'_, T>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Found, Error> {
        let sample = Some(self.sample_weight);
        let data = Data::new(design, self.responses[0], sample, self.centred, team, stop)?;
        let (shape, positive) = (self.shape, self.positive);
        let weighted = |lambda: f64| Weighted { lambda, weights: self.weights };
        match self.penalty {
            "group" => {
                let penalty = Group { lambda: weighted(1.0), positive };
                self.along(self.solver(data, team, stop)?, &penalty, team, stop)
            }
            "sparse-group" => {
                let group = weighted(1.0 - shape);
                let penalty = SparseGroup { group, lambda: shape, positive };
                self.along(self.solver(data, team, stop)?, &penalty, team, stop)
            }
            "mcp" => self.separable(data, Mcp { gamma: shape }, team, stop),
            "scad" => self.separable(data, Scad { a: shape }, team, stop),
            "cel0" => {
                let squares: Vec<f64> = data.moments.iter().map(|m| m.squares).collect();
                self.separable(data, Cel0OfColumns(&squares), team, stop)
            }
            "l0" => self.subsets(data, team, stop),
            "l1/2" => self.separable(data, Power::Half, team, stop),
            "l2/3" => self.separable(data, Power::TwoThirds, team, stop),
            _ => Err(Error::invalid("penalty", format!("is {}", self.penalty))),
        }
    }
}

impl BlockPath<'_> {
    /// At 0.
    fn solver<'a, T: Element>(
        &self,
        data: Data<'a, T>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<BlockSolver<'a, T>, Error> {
        let groups = match &self.groups {
            None => Groups::single(data.moments.len()),
            Some(groups) => groups.clone(),
        };
        BlockSolver::new(data, &self.responses[1..], groups, team, stop)
    }

    fn separable<T: Element>(
        &self,
        data: Data<'_, T>,
        penalty: impl OfBlock,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Found, Error> {
        let lambda = Weighted { lambda: 1.0, weights: self.weights };
        let penalty = Separable { penalty, lambda, positive: self.positive };
        let mut solver = self.solver(data, team, stop)?;
        if self.start.is_some() {
            return self.along(solver, &penalty, team, stop);
        }
        let alphas = self.resolve(&mut solver, &penalty, team, stop)?;
        let penalties: Vec<_> = alphas.iter().map(|alpha| penalty.scaled(*alpha)).collect();
        let points = from_lassos(solver.into_data(), &penalties, self.limits, team, stop)?;
        Ok((alphas, points))
    }

    /// Of as many columns as the shape says; if it is 0, of a penalty.
    fn subsets<T: Element>(
        &self,
        data: Data<'_, T>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Found, Error> {
        let alphas = self.alphas.resolve(|| Err(Error::invalid("alpha", "needs a number")))?;
        let rule = match self.shape as usize {
            0 => Rule::Penalty(alphas[0]),
            most => Rule::Size(most),
        };
        let point = best_subset(data, rule, self.weights, self.limits, team, stop)?;
        Ok((vec![alphas[0]], vec![point]))
    }

    /// The regularisations of a penalty with lambda 1, for a solver at 0.
    fn resolve<T: Element>(
        &self,
        solver: &mut BlockSolver<'_, T>,
        penalty: &impl BlockPenalty,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        self.alphas.resolve(|| solver.critical_factor(penalty, self.limits, team, stop))
    }

    /// For a penalty with lambda 1.
    fn along<T: Element>(
        &self,
        mut solver: BlockSolver<'_, T>,
        penalty: &impl BlockPenalty,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Found, Error> {
        let alphas = self.resolve(&mut solver, penalty, team, stop)?;
        if let Some((columns, coefficients)) = self.start {
            solver.start(columns, coefficients, stop)?;
        }
        path::along(alphas, stop, |alpha| {
            solver.solve(&penalty.scaled(alpha), self.limits, team, stop)
        })
    }
}

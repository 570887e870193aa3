//! What is asked of a model, and what it answers: the same for all losses.

use sparrot_design::Moments;
use sparrot_foundation::{Error, Status, Stop, Team, Trace};

/// What to solve, for `sum w_i (y_i - x_i'w - b)^2 / 2 + lambda sum v_j |w_j| + mu |w|^2 / 2`.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// lambda.
    pub lambda: f64,
    /// mu.
    pub mu: f64,
    /// v: at least 0, infinity for columns that are left out; `None` for 1.
    pub weights: Option<&'a [f64]>,
    /// Whether coefficients must not be negative.
    pub positive: bool,
    /// The gap to reach, as a share of the objective at 0.
    pub tol: f64,
    /// Passes over the columns at most.
    pub max_iter: usize,
}

impl Settings<'_> {
    /// v of a column.
    pub fn weight(&self, j: u32) -> f64 {
        self.weights.map_or(1.0, |v| v[j as usize])
    }

    /// `lambda v` of a column.
    pub fn lambda_of(&self, j: u32) -> f64 {
        self.lambda * self.weight(j)
    }
}

/// A solution.
#[derive(Clone, Debug)]
pub struct Point {
    /// The columns whose coefficients are not 0, ascending,
    pub columns: Vec<u32>,
    /// and their coefficients.
    pub coefficients: Vec<f64>,
    /// b.
    pub intercept: f64,
    /// The objective.
    pub objective: f64,
    /// The objective minus a lower bound of its minimum.
    pub gap: f64,
    /// How it ended.
    pub status: Status,
    /// Passes over the columns.
    pub iterations: usize,
    /// Newton steps.
    pub steps: usize,
    /// The objective, the gap as a share of that at 0, and the size of the support.
    pub trace: Trace,
}

/// A model, and the solution so far: a path is a sequence of solves.
pub trait Model {
    /// The least lambda at which all coefficients with a penalty are 0, if there are none without.
    fn lambda_max(&self, weights: Option<&[f64]>, positive: bool) -> f64;

    /// The sum of the weights of the rows.
    fn total(&self) -> f64;

    /// Solves, from where it stands.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    fn solve(
        &mut self,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error>;
}

/// See [`Model::lambda_max`], for columns with these products with the residual at 0.
pub fn lambda_max(moments: &[Moments], weights: Option<&[f64]>, positive: bool) -> f64 {
    let of = |(j, m): (usize, &Moments)| {
        let weight = weights.map_or(1.0, |v| v[j]);
        let excess = if positive { m.product } else { m.product.abs() };
        if weight > 0.0 { excess / weight } else { 0.0 }
    };
    moments.iter().enumerate().map(of).fold(0.0, f64::max)
}

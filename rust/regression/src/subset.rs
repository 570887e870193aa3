//! The best subset of columns, up to exchanges:
//!
//! ```text
//! min over w, b of  sum_i s_i (y_i - x_i'w - b)^2 / 2 + sum over w_j not 0 of lambda_j
//! ```
//!
//! or with a number k of columns instead of a penalty. The problem is hard; what is found is a support
//! that no entry, exit or exchange of two columns improves among those looked at (the swaps of
//! Hazimeh and Mazumder, Oper. Res. 68, 2020, but all of them and exactly).
//!
//! - It starts at the support of a Lasso: that whose lambda_j is the least product with which a column
//!   enters, `sqrt(2 lambda_j) |x_j|`; or the first of a path with 2k columns.
//! - On a set of columns the best change is made until there is none ([`Tableau`]).
//! - Then all columns are read, and those join the set that would gain most by themselves. It ends
//!   when the set with them has no better support.
//!
//! Descent with CEL0 (see `sparrot_prox::scalar`) has the fixed points of descent with L0; all of them
//! that an exchange improves are left behind here.
//!
//! **Cost.** m^2 operations for each change, with a set of m columns, and a pass over all columns for
//! each growth of the set.

use std::cmp::Ordering;

use sparrot_design::Element;
use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace};
use sparrot_prox::block::Weighted;
use sparrot_simd::{linear, reduce};

use crate::block_solver::Limits;
use crate::bounds::Bounds;
use crate::certificate::relative;
use crate::data::Data;
use crate::model::{Model, Point, Settings, check_finite, lambda_max};
use crate::solve::Solver;
use crate::tableau::{Move, Tableau};
use crate::working_set::{WorkingSet, most_violating};

/// Columns that join the set at once, at least, if there are so many.
const JOIN: usize = 64;
/// The gap of the Lasso at the start, as a share of the objective at 0.
const START_GAP: f64 = 1e-4;
/// The ratio of the lambdas of its path, and how many there are.
const STEP: f64 = 0.7;
const STEPS: usize = 40;
/// A change must decrease the objective by this share of that at 0.
const WORTHWHILE: f64 = 1e-12;

/// What limits the support.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// lambda.
    Penalty(f64),
    /// The number of columns.
    Size(usize),
}

struct Search<'a, T> {
    data: Data<'a, T>,
    rule: Rule,
    weights: Option<&'a [f64]>,
    candidates: Vec<u32>,
    set: WorkingSet,
    /// Coefficients of the variables of the set.
    w: Vec<f64>,
    residual: Vec<f64>,
    products: Vec<f64>,
}

/// Finds one; weights are of lambda, infinity for columns that are left out.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn best_subset<'a, T: Element>(
    data: Data<'a, T>,
    rule: Rule,
    weights: Option<&'a [f64]>,
    limits: Limits,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Point, Error> {
    let (data, start) = start(data, rule, weights, limits, team, stop)?;
    let bounds = Bounds::of_sign(false);
    let of = Settings { lambda: 1.0, mu: 0.0, weights, bounds, tol: 0.0, max_iter: 0 };
    let p = data.moments.len();
    let mut search = Search {
        candidates: of.candidates(&data.moments),
        set: WorkingSet::new(p),
        w: vec![],
        residual: data.y.clone(),
        products: vec![0.0; p],
        data,
        rule,
        weights,
    };
    search.join(&start, stop)?;
    search.w = vec![1.0; start.len()]; // all of them, to begin with
    search.run(limits, team, stop)
}

/// The columns of the Lasso.
fn start<'a, T: Element>(
    data: Data<'a, T>,
    rule: Rule,
    weights: Option<&[f64]>,
    limits: Limits,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(Data<'a, T>, Vec<u32>), Error> {
    let lambda = |j: usize| match rule {
        Rule::Penalty(lambda) => Weighted { lambda, weights }.of(j),
        Rule::Size(_) => weights.map_or(1.0, |v| v[j]),
    };
    let least = |j: usize| match rule {
        Rule::Penalty(_) => (2.0 * lambda(j) * data.moments[j].squares).sqrt(),
        // Of columns of any size alike.
        Rule::Size(_) => lambda(j) * data.moments[j].squares.sqrt(),
    };
    let thresholds: Vec<f64> = (0..data.moments.len()).map(least).collect();
    let settings = Settings {
        lambda: 1.0,
        mu: 0.0,
        weights: Some(&thresholds),
        bounds: Bounds::of_sign(false),
        tol: START_GAP,
        max_iter: limits.max_iter,
    };
    let mut lasso = Solver::new(data)?;
    let columns = match rule {
        Rule::Penalty(_) => lasso.solve(&settings, team, stop)?.columns,
        Rule::Size(k) => {
            let mut lambda = lambda_max(&mut lasso, &settings, team, stop)?;
            let mut columns = vec![];
            for _ in 0..STEPS {
                lambda *= STEP;
                columns = lasso.solve(&Settings { lambda, ..settings }, team, stop)?.columns;
                if columns.len() >= 2 * k || stop.is_late() {
                    break;
                }
            }
            columns
        }
    };
    Ok((lasso.into_data(), columns))
}

impl<T: Element> Search<'_, T> {
    fn lambda(&self, j: u32) -> f64 {
        let weight = self.weights.map_or(1.0, |v| v[j as usize]);
        match self.rule {
            Rule::Penalty(lambda) => lambda * weight,
            Rule::Size(_) => 0.0,
        }
    }

    fn join(&mut self, columns: &[u32], stop: &Stop<'_>) -> Result<(), Error> {
        self.set.add(&self.data, columns, stop)?;
        self.w.resize(self.set.len(), 0.0);
        Ok(())
    }

    fn run(mut self, limits: Limits, team: &Team, stop: &Stop<'_>) -> Result<Point, Error> {
        let unit = self.data.yy.sqrt();
        let (mut trace, mut iterations, mut changes) = (Trace::default(), 0, 0);
        let mut last = f64::INFINITY;
        let (status, certificate) = loop {
            changes += self.improve(stop)?;
            self.set.residual(&self.data, &self.data.y, &self.w, &mut self.residual);
            let (residual, products) = (&self.residual, &mut self.products);
            self.data.products(&self.candidates, residual, products, team, stop)?;
            iterations += 1;
            let objective = self.objective();
            let certificate = self.stationarity();
            let record = Record {
                iteration: iterations - 1,
                time: stop.seconds(),
                objective,
                certificate: relative(certificate, unit),
                sparsity: self.w.iter().filter(|w| **w != 0.0).count(),
                phase: 0,
            };
            trace.0.push(record);
            let ended = stop.after(&record)?;
            let is_better = objective < last - WORTHWHILE * self.data.yy;
            let new = self.newcomers();
            if new.is_empty() || !is_better {
                let is_there = record.certificate <= limits.tol;
                let status = if is_there { Status::Converged } else { Status::Stalled };
                break (status, certificate);
            }
            if let Some(status) = ended {
                break (status, certificate);
            }
            if iterations >= limits.max_iter {
                break (Status::MaxIter, certificate);
            }
            last = objective;
            self.join(&new, stop)?;
        };
        let point = self.point(certificate, status, iterations, changes, trace);
        check_finite(point.objective, point.coefficients.iter().chain(&point.intercepts))?;
        Ok(point)
    }

    /// Changes the support within the set as long as that helps; how many changes there were.
    fn improve(&mut self, stop: &Stop<'_>) -> Result<usize, Error> {
        let c: Vec<f64> =
            self.set.variables.iter().map(|j| self.data.moments[*j as usize].product).collect();
        let lambda: Vec<f64> = self.set.variables.iter().map(|j| self.lambda(*j)).collect();
        let mut tableau = Tableau::new(|k| self.set.gram(k), &c, self.data.yy)?;
        for k in 0..c.len() {
            if self.w[k] != 0.0 && tableau.can_enter(k) {
                stop.poll()?;
                tableau.apply(Move::Add(k));
            }
        }
        let mut changes = 0;
        if let Rule::Size(most) = self.rule {
            while tableau.support_size() > most
                && let Some(k) = tableau.least()
            {
                stop.poll()?;
                tableau.apply(Move::Drop(k));
                changes += 1;
            }
        }
        while !stop.is_late() {
            stop.poll()?;
            let (may_enter, may_leave) = match self.rule {
                Rule::Penalty(_) => (true, true),
                Rule::Size(most) => (tableau.support_size() < most, false),
            };
            let least = WORTHWHILE * self.data.yy;
            let Some(change) = tableau.best(&lambda, may_enter, may_leave, least) else { break };
            let before = tableau.objective(&lambda);
            tableau.apply(change);
            changes += 1;
            // Rounding may promise what is not there: without end, if it could.
            if tableau.objective(&lambda).partial_cmp(&before) != Some(Ordering::Less) {
                break;
            }
        }
        self.w = tableau.coefficients();
        self.refine(&tableau, &c);
        Ok(changes)
    }

    /// What rounding has left of the equations of the support, by their own inverse.
    fn refine(&mut self, tableau: &Tableau, c: &[f64]) {
        let mut q = c.to_vec();
        for (k, w) in self.w.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            linear::axpy(-w, self.set.gram(k), &mut q);
        }
        let correction = tableau.solve(&q);
        self.w.iter_mut().zip(correction).for_each(|(w, d)| *w += d);
    }

    fn objective(&self) -> f64 {
        let used = self.set.variables.iter().zip(&self.w).filter(|(_, w)| **w != 0.0);
        let penalty: f64 = used.map(|(j, _)| self.lambda(*j)).sum();
        0.5 * reduce::dot(&self.residual, &self.residual) + penalty
    }

    /// How far the minimum over any single coefficient is away; with a given number of columns, over
    /// those of the support.
    fn stationarity(&self) -> f64 {
        let mut w = vec![0.0; self.products.len()];
        for (j, value) in self.set.variables.iter().zip(&self.w) {
            w[*j as usize] = *value;
        }
        let away = |j: u32| {
            let (w, h) = (w[j as usize], self.products[j as usize]);
            let root = self.data.moments[j as usize].squares.sqrt();
            let moved = w * root + h / root;
            let is_kept = match self.rule {
                Rule::Penalty(_) => 0.5 * moved * moved > self.lambda(j),
                Rule::Size(_) => w != 0.0,
            };
            (if is_kept { moved } else { 0.0 } - w * root).abs()
        };
        let larger = |a: f64, b: f64| if b.is_nan() { f64::INFINITY } else { a.max(b) };
        self.candidates.iter().map(|j| away(*j)).fold(0.0, larger)
    }

    /// Columns outside the set that would gain most, without their penalty: what they would gain
    /// beside the support, which is more, is not known.
    fn newcomers(&self) -> Vec<u32> {
        let gain = |j: u32| {
            let root = self.data.moments[j as usize].squares.sqrt();
            0.5 * (self.products[j as usize] / root).powi(2)
        };
        let least = WORTHWHILE * self.data.yy;
        let outside = self.candidates.iter().copied();
        let outside = outside.filter(|j| !self.set.holds[*j as usize]);
        let gains = outside.map(|j| (gain(j), j)).filter(|(gain, _)| *gain > least);
        let most = JOIN.max(self.w.iter().filter(|w| **w != 0.0).count());
        most_violating(gains, most)
    }

    fn point(
        self,
        certificate: f64,
        status: Status,
        iterations: usize,
        changes: usize,
        trace: Trace,
    ) -> Point {
        let used = self.set.variables.iter().zip(&self.w).filter(|(_, w)| **w != 0.0);
        let mut pairs: Vec<(u32, f64)> = used.map(|(j, w)| (*j, *w)).collect();
        pairs.sort_unstable_by_key(|(j, _)| *j);
        let intercept = self.data.intercept(pairs.iter().map(|(j, w)| (*j as usize, *w)));
        let objective = self.objective();
        let (columns, coefficients) = pairs.into_iter().unzip();
        Point {
            columns,
            coefficients,
            intercepts: vec![intercept],
            objective,
            certificate,
            status,
            iterations,
            steps: changes,
            trace,
        }
    }
}

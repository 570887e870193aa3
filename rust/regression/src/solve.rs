//! The outer loop: a working set of columns, grown by those that violate the optimality conditions
//! most, until the gap over all columns is small enough.
//!
//! - An iteration solves the problem of the set ([`crate::active`]) and reads the columns that are
//!   left once, for their products with the residual.
//! - Columns are taken by `|h_j| / |x_j|` over lambda_j, the greedy rule of arXiv 1712.08859 (GSL for
//!   single variables), as many as there are in the support, and 64 at least.
//! - Columns that the gap proves to be 0 in every solution (Fercoq, Gramfort and Salmon, "Mind the
//!   duality gap", ICML 2015) are not read again.
//! - Towards a small lambda it goes by stages, each 0.3 of the one before, or 0.1 while few columns are in
//!   use: from lambda_max at once, the set would take in many columns that have to leave it again.
//!
//! - Nor are those read whose product with an earlier residual and their norm say that it is still
//!   below lambda_j: from one lambda of a path to the next that is most of sparse columns.
//!
//! Between two passes the set also takes in violators among the columns whose products were not far
//! below lambda (the strong rule of Tibshirani et al., J. R. Stat. Soc. B 74, 2012, in spirit): nearly all
//! that are to join are among them, and a pass over all then only has to find that out.
//!
//! The state outlives a solve: a path is a sequence of them with one Gram matrix.

use sparrot_design::{Element, Moments};
use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace, memory};
use sparrot_simd::reduce;

use crate::active::Active;
use crate::certificate::{self, Free, Seen};
use crate::data::Data;
use crate::model::{Model, Point, Settings, check_finite, ridge};
use crate::structure::Single;
use crate::working_set::{WorkingSet, violators};

mod look;

/// The ratio of the lambdas of successive stages,
const STAGE: f64 = 0.3;
/// or this while there are so many rows for each column in use: sets are cheap then, and passes are not.
const LONG_STAGE: f64 = 0.1;
const LIGHT: usize = 8;
/// of which there are none if lambda is at least this share of the largest.
const AT_ONCE: f64 = 0.05;
/// or this one and there are so many rows for each column: whatever joins, the products of all with all
/// cost but a few passes.
const AT_ONCE_IF_TALL: f64 = 1e-4;
const TALL: usize = 4;
/// A stage ends at a gap of this share of its objective,
const STAGE_GAP: f64 = 0.02;
/// and the problem of its set at this share.
const STAGE_SET_GAP: f64 = 0.005;
/// Of the gap to reach, what the problem of the set may leave.
const SET_SHARE: f64 = 0.3;
/// So many passes in a row that change little are the last.
const IDLE: usize = 3;
/// All columns are read again if more than one in so many has to be,
const ANEW: usize = 4;
/// which is if its product may reach this share of lambda.
const NEAR: f64 = 1.0 - 1e-9;
/// Columns whose product is at least this share of lambda are read between two passes,
const STRONG: f64 = 0.6;
/// if they are no more than one in so many.
const STRONG_PART: usize = 3;
/// A lambda below this share of `|x_j| |r|` may be none to speak of ([`Settings::is_exempt`]).
const SMALL: f64 = 1e-12;

/// A solver, with what it knows of the data.
pub struct Solver<'a, T> {
    data: Data<'a, T>,
    set: WorkingSet,
    active: Active,
    residual: Vec<f64>,
    /// Of each column, its product with the residual at hand, or a bound of its size below lambda; of
    /// columns that are left out, with an earlier one.
    products: Vec<f64>,
    /// The norms of the columns, and the largest of them,
    norms: Vec<f64>,
    largest_norm: f64,
    /// and by what share of a residual's norm products with them may be off.
    blurs: Vec<f64>,
    /// A residual with which all columns have been read, and their products.
    earlier: (Vec<f64>, Vec<f64>),
    /// The span of columns without a penalty, and which they are.
    span: Option<(Vec<u32>, Free)>,
}

impl<'a, T: Element> Solver<'a, T> {
    /// A solver at w = 0.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(data: Data<'a, T>) -> Result<Solver<'a, T>, Error> {
        let p = data.moments.len();
        let mut products: Vec<f64> = memory::zeros("the products of the columns", p, 1)?;
        products.iter_mut().zip(&data.moments).for_each(|(g, m)| *g = m.product);
        let norms: Vec<f64> = data.moments.iter().map(|m| m.squares.sqrt()).collect();
        Ok(Solver {
            residual: data.y.clone(),
            set: WorkingSet::new(p),
            active: Active::default(),
            earlier: (data.y.clone(), products.clone()),
            largest_norm: norms.iter().copied().fold(0.0, f64::max),
            norms,
            blurs: data.columns().blurs(),
            data,
            products,
            span: None,
        })
    }

    /// The data.
    pub fn data(&self) -> &Data<'a, T> {
        &self.data
    }

    /// The residual at hand.
    pub fn residual(&self) -> &[f64] {
        &self.residual
    }

    /// Gives the data back.
    pub fn into_data(self) -> Data<'a, T> {
        self.data
    }

    fn solve_from_here(
        &mut self,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error> {
        let mut left = settings.candidates(&self.data.moments);
        // The rest of them take no part: their products are below lambda.
        let mut near = self.read_near(&left, settings, true, team, stop)?;
        let unit = 0.5 * self.data.yy;
        let mut lambda = self.first_stage(&near, settings);
        // What is always known: nothing is below 0.
        let (mut best_dual, mut iterations) = (0.0f64, 0);
        let (mut trace, steps) = (Trace::default(), self.active.steps);
        // Passes that added nothing to the set and did not make the gap much smaller.
        let (mut idle, mut last_gap) = (0, f64::INFINITY);
        let (mut had_new, mut is_arriving) = (true, false);
        let (status, gap) = loop {
            let is_last = lambda <= settings.lambda;
            // What is told is of the problem that was asked for, also in a stage.
            let asked = self.look(&near, settings, settings.lambda, team, stop)?;
            let gap = asked.gap_above(best_dual);
            best_dual = asked.dual().max(best_dual);
            let relative = certificate::relative(gap, unit);
            let seen =
                if is_last { asked } else { self.look(&near, settings, lambda, team, stop)? };
            // A set that took in nothing has been solved as far as rounding allows.
            let stage_ends = seen.gap <= STAGE_GAP * seen.primal || !had_new;
            if !is_last && (stage_ends || relative <= settings.tol) {
                stop.poll()?;
                let next = if relative <= settings.tol { 0.0 } else { lambda * self.stage() };
                lambda = settings.lambda.max(next);
                had_new = true;
                is_arriving = lambda <= settings.lambda;
                continue;
            }
            let record = Record {
                iteration: iterations,
                time: stop.seconds(),
                objective: asked.primal,
                certificate: relative,
                sparsity: self.active.support_size(),
                phase: 0,
            };
            trace.0.push(record);
            let ended = stop.after(&record)?;
            // Coefficients of a stage may be good enough; those of the last lambda are better.
            if is_last && relative <= settings.tol && !is_arriving {
                break (Status::Converged, gap);
            }
            is_arriving = false;
            if let Some(status) = ended {
                let is_enough = is_last && relative <= settings.tol;
                break (if is_enough { Status::Converged } else { status }, gap);
            }
            if iterations >= settings.max_iter {
                break (Status::MaxIter, gap);
            }
            idle = if !had_new && is_last && gap > 0.9 * last_gap { idle + 1 } else { 0 };
            last_gap = gap;
            if idle == IDLE {
                break (Status::Stalled, gap);
            }
            if is_last && near.len() * ANEW > left.len() {
                self.screen(&mut left, settings, lambda, &seen);
            }
            let stage = Settings { lambda, ..*settings };
            had_new = self.join(&near, &stage, stop)?;
            let enough = if is_last {
                (SET_SHARE * settings.tol * unit).max(0.05 * gap * f64::from(u8::from(had_new)))
            } else {
                STAGE_SET_GAP * seen.primal
            };
            self.solve_set(&stage, enough, stop)?;
            if had_new {
                self.finish_strong(&near, &stage, enough, team, stop)?;
            }
            near = self.read_near(&left, settings, false, team, stop)?;
            iterations += 1;
        };
        let objective = self.primal(settings, settings.lambda);
        let steps = self.active.steps - steps;
        let point = self.point(objective, gap, status, iterations, steps, trace);
        check_finite(objective, point.coefficients.iter().chain(&point.intercepts))?;
        Ok(point)
    }

    /// Those of these columns that violate their conditions most join the set; whether there are any.
    fn join(
        &mut self,
        columns: &[u32],
        settings: &Settings<'_>,
        stop: &Stop<'_>,
    ) -> Result<bool, Error> {
        let outside = columns.iter().copied().filter(|j| !self.set.holds[*j as usize]);
        let most = self.active.support_size();
        let new = violators(outside, &self.products, &self.data.moments, settings, most);
        self.set.add(&self.data, &new, stop)?;
        let moments = &self.data.moments;
        self.active.extend(new.iter().map(|j| moments[*j as usize].product));
        Ok(!new.is_empty())
    }

    /// Solves the problem of the set, to a gap of `enough`.
    fn solve_set(
        &mut self,
        settings: &Settings<'_>,
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let penalties = settings.penalties(&self.set.variables);
        self.active.solve(&self.set, &penalties, self.data.yy, enough, stop)?;
        self.set.residual(&self.data, &self.data.y, &self.active.w, &mut self.residual);
        Ok(())
    }

    /// Goes on with those of these columns whose products were not far below lambda, if they are few:
    /// all that are to join, as a rule, are among them, and the others are read once at the end.
    fn finish_strong(
        &mut self,
        columns: &[u32],
        settings: &Settings<'_>,
        enough: f64,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let is_strong = |j: &u32| {
            let pull = settings.bounds.of(*j).pull(self.products[*j as usize]);
            pull >= STRONG * settings.lambda_of(*j) && !self.set.holds[*j as usize]
        };
        let strong: Vec<u32> = columns.iter().copied().filter(is_strong).collect();
        if strong.len() * STRONG_PART > columns.len() {
            return Ok(());
        }
        while !stop.is_late() {
            self.read(&strong, team, stop)?;
            if !self.join(&strong, settings, stop)? {
                break;
            }
            self.solve_set(settings, enough, stop)?;
        }
        Ok(())
    }

    /// The lambda of the first stage: finite.
    fn first_stage(&self, left: &[u32], settings: &Settings<'_>) -> f64 {
        let ratio =
            |j: &u32| settings.bounds.of(*j).pull(self.products[*j as usize]) / settings.weight(*j);
        // Of columns with a penalty to speak of: others need no stages.
        let largest = (left.iter().map(ratio))
            .filter(|ratio| *ratio < f64::MAX * LONG_STAGE)
            .fold(0.0, f64::max);
        let is_tall = left.len() * TALL <= self.residual.len();
        let share = if is_tall { AT_ONCE_IF_TALL } else { AT_ONCE };
        if settings.lambda >= share * largest { settings.lambda } else { self.stage() * largest }
    }

    /// The ratio of the next lambda to the one at hand.
    fn stage(&self) -> f64 {
        let is_light = self.active.support_size() * LIGHT <= self.residual.len();
        if is_light { LONG_STAGE } else { STAGE }
    }

    fn read(&mut self, columns: &[u32], team: &Team, stop: &Stop<'_>) -> Result<(), Error> {
        self.data.products(columns, &self.residual, &mut self.products, team, stop)
    }

    /// Those of these columns whose products may be near lambda, and their products; `all` if these are
    /// all that can be in a model.
    fn read_near(
        &mut self,
        columns: &[u32],
        settings: &Settings<'_>,
        all: bool,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<u32>, Error> {
        // Where columns have no penalty to speak of, others are not certified with this residual.
        let size = reduce::dot(&self.residual, &self.residual).sqrt();
        if settings.weights.is_some() || settings.lambda <= SMALL * self.largest_norm * size {
            self.read(columns, team, stop)?;
            return Ok(columns.to_vec());
        }
        let (residual, products) = &self.earlier;
        let change = residual.iter().zip(&self.residual).map(|(a, b)| (a - b) * (a - b));
        let moved = change.sum::<f64>().sqrt();
        let bound = |j: usize| products[j].abs() + moved * self.norms[j];
        let mut near = vec![];
        let mut used: Vec<u32> = self.used().map(|(j, _)| j).collect();
        used.sort_unstable();
        let is_used = |j: u32| self.set.holds[j as usize] && used.binary_search(&j).is_ok();
        for j in columns.iter().copied() {
            let bound = bound(j as usize);
            if bound < NEAR * settings.lambda_of(j) && !is_used(j) {
                self.products[j as usize] = bound;
            } else {
                near.push(j);
            }
        }
        if !all || near.len() * ANEW <= columns.len() {
            self.read(&near, team, stop)?;
            return Ok(near);
        }
        if moved > 0.0 {
            self.read(columns, team, stop)?;
            self.earlier = (self.residual.clone(), self.products.clone());
        } else {
            self.products.clone_from(&self.earlier.1);
        }
        Ok(columns.to_vec())
    }

    /// The coefficients that are not 0, and their columns.
    fn used(&self) -> impl Iterator<Item = (u32, f64)> {
        let all = self.set.variables.iter().copied().zip(self.active.w.iter().copied());
        all.filter(|(_, w)| *w != 0.0)
    }

    fn primal(&self, settings: &Settings<'_>, lambda: f64) -> f64 {
        let l1: f64 = self.used().map(|(j, w)| lambda * settings.weight(j) * w.abs()).sum();
        let ridge = ridge(settings.mu, &self.active.w);
        0.5 * reduce::dot(&self.residual, &self.residual) + l1 + ridge
    }

    /// Leaves out the columns that are 0 in every solution.
    fn screen(&self, left: &mut Vec<u32>, settings: &Settings<'_>, lambda: f64, seen: &Seen) {
        let radius = (2.0 * seen.gap).sqrt();
        left.retain(|j| {
            let j = *j as usize;
            if self.set.holds[j] {
                return true;
            }
            // Outside the set coefficients are 0.
            let excess = settings.bounds.of(j as u32).pull(self.products[j]);
            let norm = (self.data.moments[j].squares + settings.mu).sqrt();
            let lambda = lambda * settings.weight(j as u32);
            excess * seen.share + (radius + seen.away) * norm >= lambda * (1.0 - 1e-12)
        });
    }

    fn point(
        &self,
        objective: f64,
        gap: f64,
        status: Status,
        iterations: usize,
        steps: usize,
        trace: Trace,
    ) -> Point {
        let mut pairs: Vec<(u32, f64)> = self.used().collect();
        pairs.sort_unstable_by_key(|(j, _)| *j);
        let intercept = self.data.intercept(pairs.iter().map(|(j, w)| (*j as usize, *w)));
        let (columns, coefficients) = pairs.into_iter().unzip();
        Point {
            columns,
            coefficients,
            intercepts: vec![intercept],
            objective,
            certificate: gap,
            status,
            iterations,
            steps,
            trace,
        }
    }
}

impl<T: Element> Model for Solver<'_, T> {
    type Structure = Single;

    fn structure(&self) -> Single {
        Single
    }

    fn moments(&self) -> &[Moments] {
        &self.data.moments
    }

    fn products(
        &mut self,
        columns: &[u32],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<&[f64]>, Error> {
        self.read(columns, team, stop)?;
        Ok(vec![&self.products])
    }

    fn total(&self) -> f64 {
        self.data.total
    }

    fn start(
        &mut self,
        columns: &[u32],
        coefficients: &[f64],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        if self.data.yy == 0.0 {
            return Ok(()); // the solution is 0
        }
        self.set.add(&self.data, columns, stop)?;
        let products = columns.iter().map(|j| self.data.moments[*j as usize].product).collect();
        self.active.resume(&self.set, products, coefficients, 0.0)?;
        self.set.residual(&self.data, &self.data.y, &self.active.w, &mut self.residual);
        Ok(())
    }

    fn solve(
        &mut self,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error> {
        self.solve_from_here(settings, team, stop)
    }
}

//! Linear regression of one or more responses with a penalty of groups of columns:
//!
//! ```text
//! min over W, b of  sum_i s_i |y_i - W'x_i - b|^2 / 2 + sum over groups g of phi_g(W_g)
//! ```
//!
//! A working set of groups, as in [`crate::solve`]: the groups that would move furthest join, by
//! `sqrt(L_g) |prox(h_g / L_g)|` with h the products with the residuals, L_g a bound of the curvature
//! and prox the operator of phi_g; the problem of the set is solved by [`BlockDescent`]. For one
//! column and L1 that is the rule of arXiv 1712.08859.
//!
//! **What is certified.** For a convex penalty the duality gap: `s R`, R the residuals and s the
//! largest share for which all `s h_g` are subgradients of phi_g at 0, is a feasible point of the dual
//! with the value `(|Y|^2 - |Y - s R|^2) / 2`. The difference is summed from terms that are small at the
//! solution, with what rounding may have done to each, as in [`crate::certificate`]. For others the stationarity: the largest
//! `sqrt(L_g) |w_g - prox(w_g + h_g / L_g)|` over `|Y|`, by which the minimum over any single column
//! can be away; it is 0 only where no change of one column makes the objective less.
//!
//! **Cost.** A pass over the columns for each task and each growth of the set; what [`BlockDescent`]
//! and the products of new columns with the set ask for.

use sparrot_design::Element;
use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace};
use sparrot_prox::BlockPenalty;
use sparrot_simd::reduce;

use crate::block_descent::{BlockDescent, Target};
use crate::certificate::relative;
use crate::data::Data;
use crate::groups::Groups;
use crate::model::{Point, check_finite};
use crate::progress::Progress;
use crate::working_set::{WorkingSet, most_violating};

mod certificate;
mod critical;

/// Columns that join the set at once, at least, if there are so many.
const JOIN: usize = 64;
/// Of the groups in use as many join at most as this part of them, or as products with them pay for.
const SHARE: usize = 6;
const PRODUCTS: usize = 4;
/// A group joins if it would move by more than this share of `|Y|`.
const EXCESS: f64 = 1e-14;
/// The ratio of the lambdas of successive stages, and the share of the largest lambda from which on
/// there are none.
const STAGE: f64 = 0.3;
const AT_ONCE: f64 = 0.05;
/// A stage ends at a gap of this share of its objective, or this stationarity.
const STAGE_GAP: f64 = 0.02;
const STAGE_STATIONARITY: f64 = 1e-3;
/// Of what is to be reached, what the problem of the set may leave; or of what is at hand, if groups
/// have just joined.
const SET_SHARE: f64 = 0.3;
const LOOSE: f64 = 0.05;

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The certificate to reach: a gap as a share of the objective at 0, or a stationarity.
    pub tol: f64,
    /// Passes over the columns at most.
    pub max_iter: usize,
}

/// A solver, with what it knows of the data.
pub struct BlockSolver<'a, T> {
    data: Data<'a, T>,
    groups: Groups,
    /// By task: the response, centred and weighted, its mean, and the products of all columns with it.
    responses: Vec<Vec<f64>>,
    means: Vec<f64>,
    initial: Vec<Vec<f64>>,
    yy: f64,
    /// Of each group, a bound of its curvature: exact for a single column.
    curvatures: Vec<f64>,
    /// See [`Data::blurs`].
    blurs: Vec<f64>,
    set: WorkingSet,
    is_in: Vec<bool>,
    descent: BlockDescent,
    residuals: Vec<Vec<f64>>,
    /// The products of the columns with the residuals at hand.
    products: Vec<Vec<f64>>,
}

impl<'a, T: Element> BlockSolver<'a, T> {
    /// A solver at W = 0, for the response of the data and further ones.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(
        data: Data<'a, T>,
        others: &[&[f64]],
        groups: Groups,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<BlockSolver<'a, T>, Error> {
        let p = data.moments.len();
        let (mut responses, mut means) = (vec![data.y.clone()], vec![data.y_mean]);
        let mut initial = vec![data.moments.iter().map(|m| m.product).collect::<Vec<f64>>()];
        let all: Vec<u32> = (0..p as u32).collect();
        for other in others {
            let (y, mean) = data.centre(other)?;
            let mut products = vec![0.0; p];
            data.products(&all, &y, &mut products, team, stop)?;
            responses.push(y);
            means.push(mean);
            initial.push(products);
        }
        let squares =
            |g: usize| groups.columns(g).iter().map(|j| data.moments[*j as usize].squares);
        let curvatures = (0..groups.len()).map(|g| squares(g).sum()).collect();
        Ok(BlockSolver {
            yy: responses.iter().map(|y| reduce::dot(y, y)).sum(),
            curvatures,
            blurs: data.columns().blurs(),
            set: WorkingSet::new(p),
            is_in: vec![false; groups.len()],
            descent: BlockDescent::new(responses.len()),
            residuals: responses.clone(),
            products: initial.clone(),
            data,
            groups,
            responses,
            means,
            initial,
        })
    }

    /// Gives the data back.
    pub fn into_data(self) -> Data<'a, T> {
        self.data
    }

    /// Starts from these coefficients instead of those at hand: columns, and theirs one after the
    /// other.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn start(
        &mut self,
        columns: &[u32],
        coefficients: &[f64],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        if self.yy == 0.0 {
            return Ok(()); // the solution is 0
        }
        let tasks = self.responses.len();
        let mut place = vec![usize::MAX; self.data.moments.len()];
        columns.iter().enumerate().for_each(|(k, j)| place[*j as usize] = k);
        let is_used =
            |g: &usize| self.groups.columns(*g).iter().any(|j| place[*j as usize] != usize::MAX);
        let new: Vec<u32> = (0..self.groups.len())
            .filter(|g| is_used(g) && !self.is_in[*g])
            .map(|g| g as u32)
            .collect();
        self.join(&new, stop)?;
        let at = |t: usize, j: usize| match place[j] {
            usize::MAX => 0.0,
            k => coefficients[k * tasks + t],
        };
        self.descent.start(&self.set, at);
        Ok(())
    }

    fn all_groups(&self) -> Vec<u32> {
        (0..self.groups.len() as u32).collect()
    }

    /// Solves, from where it stands.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn solve<P: BlockPenalty>(
        &mut self,
        penalty: &P,
        limits: Limits,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error> {
        let mut left = self.all_groups();
        left.retain(|g| !penalty.excludes(*g as usize));
        self.descent.make_feasible(penalty);
        // What an earlier solve left out has not been read.
        self.read(&left, team, stop)?;
        let unit = if P::IS_CONVEX { 0.5 * self.yy } else { self.yy.sqrt() };
        let mut factor = self.first_factor(penalty);
        let (mut best_dual, mut iterations) = (f64::NEG_INFINITY, 0);
        let sweeps = self.descent.sweeps;
        let mut progress = Progress::new(limits.tol, limits.max_iter, stop);
        let mut had_new = true;
        let (status, certificate) = loop {
            let is_last = factor <= 1.0;
            let stage = penalty.scaled(factor);
            // What is told is of the problem that was asked for, also in a stage.
            let asked = self.look(&left, penalty, team, stop)?;
            let certificate = if P::IS_CONVEX {
                asked.gap_above(best_dual)
            } else {
                self.stationarity(&left, penalty)
            };
            best_dual = asked.dual().max(best_dual);
            let relative = relative(certificate, unit);
            let seen = if is_last { asked } else { self.look(&left, &stage, team, stop)? };
            let of_stage = match (is_last, P::IS_CONVEX) {
                (true, _) => certificate,
                (false, true) => seen.gap,
                (false, false) => self.stationarity(&left, &stage),
            };
            let stage_ends = if P::IS_CONVEX {
                of_stage <= STAGE_GAP * seen.primal
            } else {
                of_stage <= STAGE_STATIONARITY * unit
            };
            // A set that took in nothing has been solved as far as it can be.
            if !is_last && (stage_ends || !had_new || relative <= limits.tol) {
                stop.poll()?;
                factor = if relative <= limits.tol { 1.0 } else { (factor * STAGE).max(1.0) };
                had_new = true;
                continue;
            }
            let record = Record {
                iteration: iterations,
                time: stop.seconds(),
                objective: asked.primal,
                certificate: relative,
                sparsity: self.descent.support_size(),
                phase: 0,
            };
            if let Some(status) = progress.end_of(record, had_new || !is_last)? {
                break (status, certificate);
            }
            if is_last && P::IS_CONVEX {
                self.screen(&mut left, &stage, &seen);
            }
            let new = self.violators(&left, &stage);
            self.join(&new, stop)?;
            had_new = !new.is_empty();
            let loose = if had_new { LOOSE * of_stage } else { 0.0 };
            let target = if !P::IS_CONVEX {
                Target::Residual(loose.max(SET_SHARE * limits.tol * unit))
            } else if is_last {
                Target::Gap(loose.max(SET_SHARE * limits.tol * unit))
            } else {
                Target::Gap(SET_SHARE * STAGE_GAP * seen.primal)
            };
            self.descent.solve(&self.set, &stage, self.yy, target, stop)?;
            self.read(&left, team, stop)?;
            iterations += 1;
        };
        let objective = self.primal(penalty);
        let steps = self.descent.sweeps - sweeps;
        let trace = progress.trace;
        let point = self.point(objective, certificate, status, iterations, steps, trace);
        check_finite(objective, point.coefficients.iter().chain(&point.intercepts))?;
        Ok(point)
    }

    /// The factor of the first stage: those in use have a product of about lambda.
    fn first_factor(&self, penalty: &impl BlockPenalty) -> f64 {
        let largest = self.critical(penalty);
        if AT_ONCE * largest <= 1.0 { 1.0 } else { STAGE * largest }
    }

    fn join(&mut self, new: &[u32], stop: &Stop<'_>) -> Result<(), Error> {
        let columns: Vec<u32> =
            new.iter().flat_map(|g| self.groups.columns(*g as usize)).copied().collect();
        self.set.add(&self.data, &columns, stop)?;
        new.iter().for_each(|g| self.is_in[*g as usize] = true);
        let initial = &self.initial;
        self.descent.extend(new, &self.groups, &self.set, |t, j| initial[t][j], stop)
    }

    /// The residuals, and their products with the columns of these groups.
    fn read(&mut self, groups: &[u32], team: &Team, stop: &Stop<'_>) -> Result<(), Error> {
        let columns: Vec<u32> =
            groups.iter().flat_map(|g| self.groups.columns(*g as usize)).copied().collect();
        for t in 0..self.responses.len() {
            let residual = &mut self.residuals[t];
            self.set.residual(&self.data, &self.responses[t], &self.descent.w[t], residual);
        }
        let residuals: Vec<&[f64]> = self.residuals.iter().map(|r| &r[..]).collect();
        let mut products: Vec<&mut [f64]> = self.products.iter_mut().map(|h| &mut h[..]).collect();
        self.data.all_products(&columns, &residuals, &mut products, team, stop)
    }

    fn primal(&self, penalty: &impl BlockPenalty) -> f64 {
        let squares: f64 = self.residuals.iter().map(|r| reduce::dot(r, r)).sum();
        0.5 * squares + self.descent.penalty(penalty)
    }

    /// The groups outside the set that would move furthest.
    fn violators(&self, left: &[u32], penalty: &impl BlockPenalty) -> Vec<u32> {
        let least = EXCESS * self.yy.sqrt();
        let mut h = vec![];
        let is_outside = |g: &u32| !self.is_in[*g as usize] && self.curvatures[*g as usize] > 0.0;
        let score = |g: u32| {
            gather(&self.products, self.groups.columns(g as usize), &mut h);
            (self.move_from_0(penalty, g as usize, &h), g)
        };
        let moves = left.iter().copied().filter(is_outside).map(score);
        let (p, support) = (self.data.moments.len(), self.descent.support_size());
        let size = p.div_ceil(self.groups.len());
        // As many as make their products with the set cost what a pass does: it is of a kind that is
        // several times as fast.
        let balanced = PRODUCTS * self.responses.len() * p / self.set.len().max(1) / size;
        let most = (support / SHARE).max(balanced.min(support)).max(JOIN.div_ceil(size));
        most_violating(moves.filter(|(score, _)| *score > least), most)
    }

    fn point(
        &self,
        objective: f64,
        certificate: f64,
        status: Status,
        iterations: usize,
        steps: usize,
        trace: Trace,
    ) -> Point {
        let tasks = &self.descent.w;
        let is_used = |k: &usize| tasks.iter().any(|w| w[*k] != 0.0);
        let mut places: Vec<usize> = (0..self.set.len()).filter(is_used).collect();
        places.sort_unstable_by_key(|k| self.set.variables[*k]);
        let columns: Vec<u32> = places.iter().map(|k| self.set.variables[*k]).collect();
        let of = |k: &usize| tasks.iter().map(move |w| w[*k]).collect::<Vec<f64>>();
        let intercept = |(w, mean): (&Vec<f64>, &f64)| {
            let pairs = places.iter().zip(&columns).map(|(k, j)| (*j as usize, w[*k]));
            mean - pairs.map(|(j, w)| self.data.moments[j].mean * w).sum::<f64>()
        };
        Point {
            coefficients: places.iter().flat_map(of).collect(),
            intercepts: tasks.iter().zip(&self.means).map(intercept).collect(),
            columns,
            objective,
            certificate,
            status,
            iterations,
            steps,
            trace,
        }
    }
}

/// What belongs to a group: its columns, each with its tasks.
fn gather(from: &[Vec<f64>], columns: &[u32], out: &mut Vec<f64>) {
    out.clear();
    out.extend(columns.iter().flat_map(|j| from.iter().map(move |task| task[*j as usize])));
}

//! Sparse generalised linear models, to a certified duality gap:
//!
//! ```text
//! min over w, b of  sum_i s_i loss(y_i, x_i'w + b) + lambda sum_j v_j |w_j| + mu |w|^2 / 2
//! ```
//!
//! - The loss is any [`RowLoss`]; instead of coefficients the penalty may be of the norms of groups:
//!   any [`Structure`]. What is said here of columns is then true of groups.
//! - A working set is the support and the columns whose product with the derivatives exceeds their
//!   lambda most; all columns are read for each set, also for the gap.
//! - The problem of the set is solved by proximal Newton steps (J. Lee, Y. Sun and M. Saunders, SIAM
//!   J. Optim. 24, 2014): the quadratic model at the point is a weighted Lasso of the set, which
//!   [`crate::active`] solves exactly from the last support, or [`crate::row_descent`] if it is large
//!   (of groups [`crate::block_descent`] does); then a step length by backtracking.
//! - Where the loss of a row is linear, as Huber's is beyond delta, the model has no curvature and its
//!   minimum may be far off. Rows have at least a share of the curvature of a parabola above their loss
//!   ([`RowLoss::majorant`]): all of it at first, which always descends; less after each full step, so
//!   that the last ones are Newton's; more after a shortened one.
//! - The gap. With r the derivatives, one sign of which is shrunk so that they sum to 0 where there is
//!   an intercept, and a share t in [0, 1], `D = - sum_i s_i loss*(t r_i / s_i) - sum_j (t |x_j'r| -
//!   lambda_j)_+^2 / (2 mu)` is a lower bound of the minimum; without mu, t is such that no `t |x_j'r|`
//!   exceeds lambda_j. Shrunk derivatives stay in the domain of the conjugate, which holds 0. To columns
//!   without a penalty r is made orthogonal by changes in proportion to the second derivatives, which
//!   are small against r wherever it is near the border of that domain. Rounding is part of the gap
//!   (`glm/certificate.rs`).
//!
//! **Cost.** A pass over the columns for each set; for each Newton step on a set of m columns of n
//! rows m^2 n / 2 products, or tens of sweeps of 4 m n.

use sparrot_design::loss::RowLoss;
use sparrot_design::{Design, Element, Moments};
use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace};
use sparrot_simd::reduce;

use crate::model::{Model, Point, Settings, check_finite, ridge};
use crate::structure::{Single, Structure};

mod certificate;
pub mod multinomial;
mod quadratic;
mod rows;

pub use quadratic::Quadratic;

/// Of the gap to reach, what the problem of the set may leave; or of the gap at hand, if columns
/// have just joined.
const SET_SHARE: f64 = 0.3;
const LOOSE: f64 = 0.3;
/// Of what the problem of the set may leave, what a quadratic model of it may; the former share if columns
/// have just joined.
const MODEL_SHARE: f64 = 0.1;
/// Newton steps on one set, at most.
const STEPS: usize = 100;
/// A step must decrease the objective by this share of what its slope promises,
const ARMIJO: f64 = 1e-4;
/// after at most so many halvings.
const HALVINGS: usize = 40;
/// The share of a majorant in the model becomes so much less after a full step,
const EASE: f64 = 0.2;
/// but no less than this: a model whose rows differ more in curvature has no digits left.
const CAUTION: f64 = 1e-4;
/// So many passes in a row that change little are the last.
const IDLE: usize = 3;

/// A model, and the solution so far: a path is a sequence of solves.
#[derive(Clone)]
pub struct Glm<'a, T, L, S = Single> {
    design: &'a Design<'a, T>,
    loss: L,
    structure: S,
    y: &'a [f64],
    /// s.
    sample: Vec<f64>,
    centred: bool,
    /// Of each column, weighted by s.
    moments: Vec<Moments>,
    /// By what share of the residual's norm its product with a column may be off by rounding.
    blurs: Vec<f64>,
    /// The working set and its coefficients.
    variables: Vec<u32>,
    w: Vec<f64>,
    intercept: f64,
    /// What is added to `x_i'w + b`.
    offsets: Vec<f64>,
    /// Their sum, by how much it may be off, and `s_i` times the derivative there.
    values: Vec<f64>,
    values_off: Vec<f64>,
    derivatives: Vec<f64>,
    /// `-x_j'r`.
    products: Vec<f64>,
    steps: usize,
    /// The share of a majorant's curvature that rows have at least.
    caution: f64,
    /// The objective at w = 0 with the best intercept, and above the infimum of the losses.
    null: f64,
    unit: f64,
    /// The infimum, or less by rounding.
    least: f64,
}

impl<'a, T: Element, L: RowLoss, S: Structure> Glm<'a, T, L, S> {
    /// A model at w = 0. Weights must be non-negative with a positive sum; the null model must have a
    /// minimum.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::InvalidInput`] names an entry that is not finite.
    pub fn new(
        design: &'a Design<'a, T>,
        loss: L,
        structure: &S,
        (y, sample): (&'a [f64], Option<&[f64]>),
        centred: bool,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Glm<'a, T, L, S>, Error> {
        let (n, p) = (y.len(), design.columns());
        let sample = sample.map_or_else(|| vec![1.0; n], <[f64]>::to_vec);
        let mut model = Glm {
            design,
            loss,
            structure: structure.clone(),
            y,
            sample,
            centred,
            moments: vec![],
            blurs: vec![],
            variables: vec![],
            w: vec![],
            intercept: 0.0,
            offsets: vec![0.0; n],
            values: vec![0.0; n],
            values_off: vec![0.0; n],
            derivatives: vec![0.0; n],
            products: vec![0.0; p],
            steps: 0,
            caution: 1.0,
            null: 0.0,
            unit: 0.0,
            least: 0.0,
        };
        model.centre();
        model.null = model.total_loss();
        let (least, rounding) = model.infimum();
        model.least = least - rounding;
        model.unit = (model.null - least).max(0.0);
        let residual: Vec<f64> = model.derivatives.iter().map(|r| -r).collect();
        model.moments = design.moments(&residual, &model.sample, centred, team, stop)?;
        model.blurs = model.columns().blurs();
        model.structure = structure.without_constants(&model.moments);
        let products = model.moments.iter().map(|m| m.product);
        model.products = products.collect();
        Ok(model)
    }

    /// The same with other targets.
    fn with_targets(&self, y: &'a [f64]) -> Glm<'a, T, L, S> {
        Glm { y, ..self.clone() }
    }

    /// The norm of a column.
    fn norm(&self, j: u32) -> f64 {
        self.moments[j as usize].squares.sqrt()
    }

    /// The coefficients that are not 0, and their columns.
    fn used(&self) -> impl Iterator<Item = (u32, f64)> {
        let all = self.variables.iter().copied().zip(self.w.iter().copied());
        all.filter(|(_, w)| *w != 0.0)
    }

    /// How many there are, or in how many groups.
    fn support_size(&self) -> usize {
        self.structure.support_size(self.used().map(|(j, _)| j))
    }

    /// The set becomes the columns of these coefficients, and what is tied to them.
    fn take_up(&mut self, coefficients: Vec<(u32, f64)>) {
        let mut at = vec![0.0; self.products.len()];
        coefficients.iter().for_each(|(j, w)| at[*j as usize] = *w);
        self.variables = self.structure.whole(coefficients.into_iter().map(|(j, _)| j).collect());
        self.w = self.variables.iter().map(|j| at[*j as usize]).collect();
    }

    fn solve_from_here(
        &mut self,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error> {
        let left = self.structure.candidates(settings, &self.moments);
        let (mut trace, steps) = (Trace::default(), self.steps);
        let (mut best_dual, mut iterations) = (f64::NEG_INFINITY, 0);
        let (mut idle, mut last_gap, mut had_new) = (0, f64::INFINITY, true);
        let mut least_caution = self.caution;
        let (status, gap) = loop {
            let seen = self.look(&left, settings, team, stop)?;
            best_dual = seen.dual().max(best_dual);
            let gap = seen.gap_above(best_dual);
            // Without a unit the solution is 0.
            let relative = if self.unit > 0.0 { gap / self.unit } else { 0.0 };
            let record = Record {
                iteration: iterations,
                time: stop.seconds(),
                objective: seen.primal,
                certificate: relative,
                sparsity: self.support_size(),
                phase: 0,
            };
            trace.0.push(record);
            let ended = stop.after(&record)?;
            if relative <= settings.tol {
                break (Status::Converged, gap);
            }
            if let Some(status) = ended {
                break (status, gap);
            }
            if iterations >= settings.max_iter {
                break (Status::MaxIter, gap);
            }
            // A model with less of a majorant than any before is another.
            let is_other = self.loss.majorant(0.0, 0.0).is_some() && self.caution < least_caution;
            least_caution = least_caution.min(self.caution);
            idle = if !had_new && !is_other && gap > 0.9 * last_gap { idle + 1 } else { 0 };
            last_gap = gap;
            if idle == IDLE {
                break (Status::Stalled, gap);
            }
            had_new = self.renew(&left, settings);
            let (loose, share) = if had_new { (LOOSE * gap, LOOSE) } else { (0.0, MODEL_SHARE) };
            let target = loose.max(SET_SHARE * settings.tol * self.unit);
            self.minimise(settings, (target, share * target), team, stop)?;
            iterations += 1;
        };
        let mut pairs: Vec<(u32, f64)> = self.used().collect();
        pairs.sort_unstable_by_key(|(j, _)| *j);
        let (columns, coefficients): (_, Vec<f64>) = pairs.into_iter().unzip();
        let objective = self.primal(settings);
        check_finite(objective, coefficients.iter().chain([&self.intercept]))?;
        Ok(Point {
            columns,
            coefficients,
            intercepts: vec![self.intercept],
            objective,
            certificate: gap,
            status,
            iterations,
            steps: self.steps - steps,
            trace,
        })
    }

    fn read(
        &mut self,
        columns: &[u32],
        balanced: &[f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let mut products = std::mem::take(&mut self.products);
        let read = self.columns().products(columns, &[balanced], &mut [&mut products], team, stop);
        self.products = products;
        read
    }

    /// The set becomes the support and the columns that violate their conditions; whether there are
    /// any. The others leave it: products with all of the set, made anew for each Newton step, are
    /// what it costs.
    fn renew(&mut self, left: &[u32], settings: &Settings<'_>) -> bool {
        self.take_up(self.used().collect());
        let mut is_in = vec![false; self.products.len()];
        self.variables.iter().for_each(|j| is_in[*j as usize] = true);
        let outside: Vec<u32> = left.iter().copied().filter(|j| !is_in[*j as usize]).collect();
        let known = (&self.moments[..], &self.products[..]);
        let new = self.structure.violators(settings, &outside, known, self.support_size());
        self.variables.extend(&new);
        self.w.resize(self.variables.len(), 0.0);
        !new.is_empty()
    }

    fn primal(&self, settings: &Settings<'_>) -> f64 {
        self.total_loss() + self.penalty(settings)
    }

    fn penalty(&self, settings: &Settings<'_>) -> f64 {
        self.structure.value(settings, &self.variables, &self.w) + ridge(settings.mu, &self.w)
    }

    /// Newton steps on the set, until one promises no more than `target`; what models of it may leave.
    fn minimise(
        &mut self,
        settings: &Settings<'_>,
        (target, of_model): (f64, f64),
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        for _ in 0..STEPS {
            stop.poll()?;
            let (end, intercept) = self.model_minimum(settings, of_model, team, stop)?;
            let promise = self.step(settings, &end, intercept, stop)?;
            self.steps += 1;
            if promise.is_none_or(|promise| promise <= target) || stop.is_late() {
                break;
            }
        }
        self.centre();
        Ok(())
    }

    /// Goes towards an end as far as the objective falls; what the slope promised, if it moved.
    fn step(
        &mut self,
        settings: &Settings<'_>,
        end: &[f64],
        intercept: f64,
        stop: &Stop<'_>,
    ) -> Result<Option<f64>, Error> {
        let n = self.y.len();
        let mut u = vec![0.0; n];
        let steps: Vec<f64> = end.iter().zip(&self.w).map(|(e, w)| e - w).collect();
        let moved = self.variables.iter().copied().zip(steps.iter().copied());
        let (alike, _) =
            self.add_columns(moved.filter(|(_, d)| *d != 0.0), stop, |i, part| u[i] += part)?;
        u.iter_mut().for_each(|u| *u += alike + (intercept - self.intercept));
        let change_of_penalty = |t: f64| {
            let moved = self.w.iter().zip(&steps).filter(|(_, d)| **d != 0.0);
            let ridge: f64 = moved.map(|(w, d)| settings.mu * t * d * (w + 0.5 * t * d)).sum();
            self.structure.change(settings, &self.variables, &self.w, &steps, t) + ridge
        };
        let slope = reduce::dot(&self.derivatives, &u) + change_of_penalty(1.0);
        let promise = -slope;
        // Also catches NaN.
        if promise.is_nan() || promise <= 0.0 {
            return Ok(None);
        }
        let change_of_loss = |t: f64| -> f64 {
            let rows = self.y.iter().zip(&self.values).zip(&self.derivatives).zip(&self.sample);
            rows.zip(&u)
                .filter(|((_, s), _)| **s > 0.0)
                .map(|((((y, z), r), s), u)| s * self.loss.change(*y, *z, r / s, t * u))
                .sum()
        };
        let mut t = 1.0;
        for _ in 0..HALVINGS {
            let change = change_of_loss(t) + change_of_penalty(t);
            if change <= ARMIJO * t * slope {
                let moves = self.variables.iter().zip(end.iter().zip(&steps));
                for (w, (j, (end, d))) in self.w.iter_mut().zip(moves) {
                    *w = settings.bounds.of(*j).nearest(if t == 1.0 { *end } else { *w + t * d });
                }
                self.intercept += t * (intercept - self.intercept);
                self.values.iter_mut().zip(&u).for_each(|(z, u)| *z += t * u);
                self.differentiate();
                let caution = if t == 1.0 { self.caution * EASE } else { self.caution / EASE };
                self.caution = caution.clamp(CAUTION, 1.0);
                return Ok(Some(promise));
            }
            t *= 0.5;
        }
        Ok(None)
    }
}

impl<T: Element, L: RowLoss, S: Structure> Model for Glm<'_, T, L, S> {
    type Structure = S;

    fn structure(&self) -> S {
        self.structure.clone()
    }

    fn moments(&self) -> &[Moments] {
        &self.moments
    }

    fn products(
        &mut self,
        columns: &[u32],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<&[f64]>, Error> {
        let balanced = self.balanced();
        self.read(columns, &balanced, team, stop)?;
        Ok(vec![&self.products])
    }

    fn total(&self) -> f64 {
        self.sample.iter().sum()
    }

    fn start(
        &mut self,
        columns: &[u32],
        coefficients: &[f64],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        if self.unit == 0.0 {
            return Ok(()); // the solution is 0
        }
        // What constant columns do the intercept does.
        let has_effect = |(j, _): &(u32, f64)| self.moments[*j as usize].squares > 0.0;
        let pairs = columns.iter().copied().zip(coefficients.iter().copied());
        let pairs: Vec<(u32, f64)> = pairs.filter(has_effect).collect();
        self.take_up(pairs);
        self.refresh(stop)?;
        self.centre();
        Ok(())
    }

    /// The gap is relative to the objective at 0 above the infimum of the losses.
    fn solve(
        &mut self,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error> {
        self.solve_from_here(settings, team, stop)
    }
}

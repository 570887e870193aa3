//! Several classes told apart together, to a certified duality gap:
//!
//! ```text
//! min over W, b of  sum_i s_i (log sum_k e^(z_ik) - z_ic) + lambda sum_jk v_j |w_jk| + mu |W|^2 / 2
//! ```
//!
//! with `z_ik = x_i'w_k + b_k` and c the class of row i.
//!
//! - Over one class, the others as they are, it is logistic regression: of `z_ik - a_i`, a_i being the
//!   logarithm of the sum of the others' `e^z`. Classes are minimised over in turn, each by Newton steps
//!   on a working set of its own ([`crate::glm`]), as Friedman, Hastie and Tibshirani (J. Stat. Softw.
//!   33, 2010) do with one step each.
//! - A number that is added to the coefficients of a column for all classes does not change the loss.
//!   No step of one class gets there: after each round it becomes the one with the least penalty
//!   (`shift.rs`).
//! - Iterates of rounds are extrapolated ([`crate::extrapolation`]): classes that are confused with
//!   neighbours only are solved for slowly by turns.
//! - The gap: see `certificate.rs`; columns without a penalty, `free.rs`.
//!
//! **Cost.** A pass over the columns for all classes for each set; for a round n exponentials and some
//! Newton steps for each class.

use sparrot_design::loss::Logistic;
use sparrot_design::{Design, Element, Moments};
use sparrot_foundation::{Error, Record, Stop, Team};

use super::{Glm, LOOSE, MODEL_SHARE, SET_SHARE};
use crate::bounds::Bounds;
use crate::certificate::relative;
use crate::extrapolation::mixture;
use crate::model::{Model, Point, Settings, check_finite};
use crate::progress::Progress;
use crate::structure::Single;

use values::log_add;

mod certificate;
mod free;
mod shift;
mod values;

/// Rounds on one set, at most.
const ROUNDS: usize = 1000;
/// Iterates that are extrapolated.
const HISTORY: usize = 5;
/// Of the gap at hand, what the steps of all classes may leave.
const CLASS_SHARE: f64 = 0.1;
/// Rounds over the intercepts alone, for coefficients that are given.
const CENTRINGS: usize = 20;
/// So many rounds in a row that do not make the gap less are the last.
const FRUITLESS: usize = 10;

/// A model, and the solution so far.
pub struct Multinomial<'a, T> {
    design: &'a Design<'a, T>,
    /// Each against the others; its values are `z_k - a`.
    classes: Vec<Glm<'a, T, Logistic>>,
    /// z, by class.
    values: Vec<Vec<f64>>,
    /// The products of all columns at W = 0, by class.
    initial: Vec<Vec<f64>>,
    /// The objective there: the infimum of the losses is 0.
    unit: f64,
    /// Coefficients and intercepts after the last rounds.
    history: Vec<Vec<f64>>,
}

impl<'a, T: Element> Multinomial<'a, T> {
    /// A model at W = 0. For each class, targets are 1 for its rows and -1 for others; each must have
    /// weight.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::InvalidInput`] names an entry that is not finite.
    pub fn new(
        design: &'a Design<'a, T>,
        targets: &[&'a [f64]],
        sample: Option<&[f64]>,
        centred: bool,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Multinomial<'a, T>, Error> {
        let first = Glm::new(design, Logistic, &Single, (targets[0], sample), centred, team, stop)?;
        let mut classes: Vec<_> = targets.iter().map(|y| first.with_targets(y)).collect();
        for class in &mut classes {
            let rows = class.y.iter().zip(&class.sample).filter(|(y, _)| **y > 0.0);
            let mass: f64 = rows.map(|(_, s)| s).sum();
            class.intercept = if centred { mass.ln() } else { 0.0 };
        }
        let mut model = Multinomial {
            design,
            values: vec![vec![]; classes.len()],
            classes,
            initial: vec![],
            unit: 0.0,
            history: vec![],
        };
        model.refresh(stop)?;
        model.unit = model.total_loss();
        let all: Vec<u32> = (0..design.columns() as u32).collect();
        model.read_balanced(&all, team, stop)?;
        model.initial = model.classes.iter().map(|class| class.products.clone()).collect();
        Ok(model)
    }

    fn solve_from_here(
        &mut self,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error> {
        let left = settings.candidates(self.moments());
        let free = self.free(&left, settings);
        let steps = self.steps();
        let (mut best_dual, mut iterations) = (f64::NEG_INFINITY, 0);
        let mut progress = Progress::new(settings.tol, settings.max_iter, stop);
        let mut had_new = true;
        let (status, gap) = loop {
            self.refresh(stop)?;
            let seen = self.look(Some(&left), &free, settings, team, stop)?;
            best_dual = seen.dual().max(best_dual);
            let gap = seen.gap_above(best_dual);
            let relative = relative(gap, self.unit);
            let record = Record {
                iteration: iterations,
                time: stop.seconds(),
                objective: seen.primal,
                certificate: relative,
                sparsity: self.classes.iter().map(Glm::support_size).sum(),
                phase: 0,
            };
            if let Some(status) = progress.end_of(record, had_new)? {
                break (status, gap);
            }
            had_new = false;
            for class in &mut self.classes {
                had_new |= class.renew(&left, settings);
            }
            let loose = if had_new { LOOSE * gap } else { 0.0 };
            let target = loose.max(SET_SHARE * settings.tol * self.unit);
            self.descend(&left, settings, (target, gap), team, stop)?;
            iterations += 1;
        };
        let objective = self.primal(settings);
        let (columns, coefficients) = self.coefficients();
        let mut intercepts: Vec<f64> = self.classes.iter().map(|class| class.intercept).collect();
        // They are determined but for a common number.
        let mean = intercepts.iter().sum::<f64>() / intercepts.len() as f64;
        intercepts.iter_mut().for_each(|b| *b -= mean);
        check_finite(objective, coefficients.iter().chain(&intercepts))?;
        Ok(Point {
            columns,
            coefficients,
            intercepts,
            objective,
            certificate: gap,
            status,
            iterations,
            steps: self.steps() - steps,
            trace: progress.trace,
        })
    }

    fn steps(&self) -> usize {
        self.classes.iter().map(|class| class.steps).sum()
    }

    /// Rounds on the sets, until their gap, now the other number, is at most `target`.
    fn descend(
        &mut self,
        left: &[u32],
        settings: &Settings<'_>,
        (target, gap): (f64, f64),
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        self.history.clear();
        let free = self.free(left, settings);
        let (mut gap, mut least, mut fruitless) = (gap, f64::INFINITY, 0);
        for _ in 0..ROUNDS {
            let enough = CLASS_SHARE * gap.max(target) / self.classes.len() as f64;
            let enough = (enough, MODEL_SHARE * enough);
            self.round(|class| class.minimise(settings, enough, team, stop))?;
            self.shift(settings, stop)?;
            self.extrapolate(settings, stop)?;
            gap = self.look(None, &free, settings, team, stop)?.gap;
            fruitless = if gap < least { 0 } else { fruitless + 1 };
            least = least.min(gap);
            if gap <= target || fruitless == FRUITLESS || stop.is_late() {
                break;
            }
        }
        Ok(())
    }

    /// Has each class in turn minimised, the others as they are.
    fn round(
        &mut self,
        minimise: impl Fn(&mut Glm<'a, T, Logistic>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let n = self.values[0].len();
        let nothing = vec![f64::NEG_INFINITY; n];
        // Of each class, the logarithm of the sum of e^z over those after it.
        let mut after = vec![nothing.clone()];
        for values in self.values[1..].iter().rev() {
            let last = &after[after.len() - 1];
            after.push(last.iter().zip(values).map(|(a, z)| log_add(*a, *z)).collect());
        }
        let mut before = nothing;
        for (class, values) in self.classes.iter_mut().zip(&mut self.values) {
            let after = after.pop().unwrap_or_default();
            let others = before.iter().zip(&after).map(|(a, b)| -log_add(*a, *b));
            class.offsets = others.collect();
            let offsets = values.iter().zip(&class.offsets);
            class.values = offsets.map(|(z, offset)| z + offset).collect();
            class.differentiate();
            minimise(class)?;
            let moved = class.values.iter().zip(&class.offsets);
            values.iter_mut().zip(moved).for_each(|(z, (value, offset))| *z = value - offset);
            before.iter_mut().zip(&*values).for_each(|(a, z)| *a = log_add(*a, *z));
        }
        self.differentiate();
        Ok(())
    }

    /// Extrapolates the iterates of the last rounds, if the objective is less there.
    fn extrapolate(&mut self, settings: &Settings<'_>, stop: &Stop<'_>) -> Result<(), Error> {
        let ends = self.classes.iter().map(|class| class.w.iter().chain([&class.intercept]));
        let at: Vec<f64> = ends.flatten().copied().collect();
        if self.history.first().is_some_and(|first| first.len() != at.len()) {
            self.history.clear(); // a set has grown
        }
        self.history.push(at);
        if self.history.len() <= HISTORY {
            return Ok(());
        }
        let iterates = std::mem::take(&mut self.history);
        let Some(mixed) = mixture(&iterates, iterates[0].len()) else { return Ok(()) };
        let (before, values) = (self.primal(settings), self.values.clone());
        let is_allowed = self.place(&mixed, settings.bounds);
        self.refresh(stop)?;
        if !is_allowed || self.primal(settings) >= before {
            self.place(&iterates[iterates.len() - 1], settings.bounds);
            self.values = values;
            self.differentiate();
        }
        Ok(())
    }

    /// Goes to these coefficients; whether they are within their bounds, to which it keeps.
    fn place(&mut self, at: &[f64], bounds: Bounds<'_>) -> bool {
        let (mut rest, mut is_allowed) = (at, true);
        for class in &mut self.classes {
            let (own, after) = rest.split_at(class.w.len() + 1);
            for ((w, j), to) in class.w.iter_mut().zip(&class.variables).zip(own) {
                is_allowed &= bounds.of(*j).admitted(*to).is_some();
                *w = bounds.of(*j).nearest(*to);
            }
            class.intercept = own[own.len() - 1];
            rest = after;
        }
        is_allowed
    }

    /// The products of columns with the residuals at hand.
    fn read_balanced(
        &mut self,
        columns: &[u32],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let negative = |r: &Vec<f64>| r.iter().map(|r| -r).collect();
        let mut residuals: Vec<Vec<f64>> =
            self.classes.iter().map(|class| negative(&class.derivatives)).collect();
        self.balance(&mut residuals);
        self.read(columns, &residuals, team, stop)
    }

    /// The products of columns with residuals, by class, into their places.
    fn read(
        &mut self,
        columns: &[u32],
        residuals: &[Vec<f64>],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let views: Vec<&[f64]> = residuals.iter().map(|r| &r[..]).collect();
        let mut products: Vec<Vec<f64>> =
            self.classes.iter_mut().map(|class| std::mem::take(&mut class.products)).collect();
        let mut out: Vec<&mut [f64]> = products.iter_mut().map(|h| &mut h[..]).collect();
        let read = self.classes[0].columns().products(columns, &views, &mut out, team, stop);
        for (class, products) in self.classes.iter_mut().zip(products) {
            class.products = products;
        }
        read
    }

    /// The columns in use, ascending, and the coefficients of each for all classes.
    fn coefficients(&self) -> (Vec<u32>, Vec<f64>) {
        let by_column = self.by_column();
        let columns = by_column.keys().copied().collect();
        (columns, by_column.into_values().flatten().collect())
    }
}

impl<T: Element> Model for Multinomial<'_, T> {
    type Structure = Single;

    fn structure(&self) -> Single {
        Single
    }

    fn moments(&self) -> &[Moments] {
        &self.classes[0].moments
    }

    fn products_at_0(&self) -> Vec<Vec<f64>> {
        self.initial.clone()
    }

    fn products(
        &mut self,
        columns: &[u32],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<&[f64]>, Error> {
        self.read_balanced(columns, team, stop)?;
        Ok(self.classes.iter().map(|class| &class.products[..]).collect())
    }

    fn total(&self) -> f64 {
        self.classes[0].total()
    }

    fn start(
        &mut self,
        columns: &[u32],
        coefficients: &[f64],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let count = self.classes.len();
        for (k, class) in self.classes.iter_mut().enumerate() {
            let own = coefficients.iter().skip(k).step_by(count);
            let pairs = columns.iter().copied().zip(own.copied());
            (class.variables, class.w) = pairs.filter(|(_, w)| *w != 0.0).unzip();
        }
        self.refresh(stop)?;
        for _ in 0..CENTRINGS {
            stop.poll()?;
            self.round(|class| {
                class.centre();
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The gap is relative to the objective at 0.
    fn solve(
        &mut self,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error> {
        self.solve_from_here(settings, team, stop)
    }
}

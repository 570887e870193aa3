//! The iteration: choose a block, update it, see how far there is to go.
//!
//! **Certificate.** `stationarity` is the largest step that any variable would take by itself,
//! `max_i sqrt(L_i) |d_i|`, over the largest `|g_i| / sqrt(L_i)` at x = 0: it has no units, and is 0
//! only at a minimum. It is looked at whenever the steps since have cost as much as looking, and
//! an answer is called converged only after everything has been computed afresh from x. `gap` is
//! `F(x)` minus a lower bound of the minimum, from the dual point that x suggests: with an L1 norm
//! or bounds it goes to 0.

use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace};

use crate::problem::{Changed, Smooth, Sum, Work};
use crate::selection::{self, At, Selection};
use crate::update::{self, Stand, UpdateRule};
use crate::{Partition, Penalty};

/// How to solve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which blocks there are.
    pub partition: Partition,
    /// Which one is chosen.
    pub selection: Selection,
    /// What is done with it.
    pub update: UpdateRule,
    /// Variables of a block, where the partition does not say.
    pub block_size: usize,
    /// The stationarity to reach.
    pub tol: f64,
    /// Iterations at most.
    pub max_iter: usize,
    /// Of the random numbers.
    pub seed: u64,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The point.
    pub x: Vec<f64>,
    /// F at x, computed afresh.
    pub value: f64,
    /// How it ended.
    pub status: Status,
    /// See the module's page; computed afresh.
    pub stationarity: f64,
    /// F(x) minus a lower bound of its minimum; NaN if there is no bound to be had.
    pub gap: f64,
    /// Iterations.
    pub n_iter: usize,
    /// After which iteration the set of variables other than 0 changed last.
    pub support_changed: usize,
    /// The iterations: F, the stationarity where it was looked at and else NaN, and how many
    /// variables are not 0.
    pub trace: Trace,
}

/// After so many iterations without a decrease there is none to be had; times the variables where
/// blocks are chosen at random or in turn.
const PATIENCE: usize = 10;
/// A decrease below this share of the largest is rounding: the square of what is left to gain in
/// stationarity, at the last digit.
const ROUNDING: f64 = 1e-30;

/// Minimises `f + h` from x0, which must be within the bounds.
///
/// # Errors
/// [`Error::InvalidInput`] if the choices do not fit the problem, [`Error::Interrupted`], and what
/// the problem raises.
pub fn solve(
    problem: &mut dyn Smooth,
    penalty: &Penalty<'_>,
    x0: &[f64],
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    let work = Work { team, stop };
    let n = problem.size();
    let mut x = vec![0.0; n];
    problem.place(&x, false, work)?;
    let scale = Scale::new(problem, work)?;
    x.copy_from_slice(x0);
    let mut rule = {
        let mut at = At { problem, x: &x, penalty, work };
        let Settings { partition, block_size, seed, .. } = settings;
        selection::rule(settings.selection, partition, *block_size, *seed, &mut at)?
    };
    let keeps_gradient = rule.needs_gradient();
    problem.place(&x, keeps_gradient, work)?;
    let mut update = update::update(settings.update, n);
    let mut run = Run::new(problem, &x, penalty, settings);
    run.require_finite()?;
    let looking_cost = n + if keeps_gradient { 0 } else { problem.pass_cost() };
    let mut spent = looking_cost;
    let (mut block, mut listed) = (Vec::new(), Vec::new());
    let status = loop {
        let mut stationarity = f64::NAN;
        if spent >= looking_cost {
            spent = 0;
            stationarity = self::stationarity(problem, &x, penalty, &scale, work)?;
        }
        let is_stuck = run.quiet > run.patience;
        if stationarity <= settings.tol || is_stuck {
            problem.place(&x, keeps_gradient, work)?;
            run.afresh(problem, &x, penalty);
            stationarity = self::stationarity(problem, &x, penalty, &scale, work)?;
            let at = &mut At { problem, x: &x, penalty, work };
            rule.stepped(at, &[], Changed::All, &[])?;
        }
        let record = run.record(stop, stationarity);
        if let Some(status) = stop.after(&record)? {
            break status;
        }
        if stationarity <= settings.tol {
            break Status::Converged;
        }
        if is_stuck && run.was_stuck {
            break Status::Stalled;
        }
        run.was_stuck |= is_stuck;
        if run.iteration == settings.max_iter {
            break Status::MaxIter;
        }
        if is_stuck {
            run.quiet = 0;
        }
        run.iteration += 1;
        let number = rule.choose(&mut At { problem, x: &x, penalty, work }, &mut block)?;
        let before: Vec<bool> = block.iter().map(|i| x[*i as usize] != 0.0).collect();
        let was: Vec<u32> = block.clone();
        listed.clear();
        let moved = {
            let (x, listed) = (&mut x[..], &mut listed);
            let mut stand = Stand { problem, x, penalty, work, listed };
            update.apply(&mut stand, &mut block, number)?
        };
        run.see(&was, &before, &x, moved.change);
        run.require_finite()?;
        spent += match moved.changed {
            Changed::Listed => listed.len() + block.len(),
            Changed::All if keeps_gradient => looking_cost,
            Changed::All => block.len() * (problem.pass_cost() / n + 1),
        };
        let at = &mut At { problem, x: &x, penalty, work };
        rule.stepped(at, &block, moved.changed, &listed)?;
    };
    problem.place(&x, false, work)?;
    let stationarity = stationarity(problem, &x, penalty, &scale, work)?;
    let value = objective(problem, &x, penalty);
    let gradient = problem.gradient(work)?.to_vec();
    let gap = problem.dual_bound(penalty, &gradient).map_or(f64::NAN, |b| (value - b).max(0.0));
    // What it was a moment ago it may not be quite, in the last digits.
    let status = match status {
        Status::Converged if stationarity.is_nan() || stationarity > settings.tol => {
            Status::Stalled
        }
        other => other,
    };
    let Run { iteration: n_iter, support_changed, trace, .. } = run;
    Ok(Solution { x, value, status, stationarity, gap, n_iter, support_changed, trace })
}

/// The largest step that a variable would take by itself, over the scale.
fn stationarity(
    problem: &mut dyn Smooth,
    x: &[f64],
    penalty: &Penalty<'_>,
    scale: &Scale,
    work: Work<'_>,
) -> Result<f64, Error> {
    let gradient = problem.gradient(work)?;
    let most = if penalty.is_none() {
        let pairs = gradient.iter().zip(&scale.inverse_roots);
        largest(pairs.map(|(g, w)| (g * w).abs()))
    } else {
        let step = |i: usize| {
            let root = scale.roots[i];
            if root > 0.0 {
                penalty.step(i, x[i], gradient[i], root * root).abs() * root
            } else if penalty.subgradient(i, x[i], 0.0) != 0.0 {
                f64::INFINITY // the penalty alone decides, and is not at its minimum
            } else {
                0.0
            }
        };
        largest((0..x.len()).map(step))
    };
    Ok(most / scale.unit)
}

/// The largest of numbers that are not negative; NaN if one is.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most: f64, value| if value > most || value.is_nan() { value } else { most })
}

/// The units of stationarity.
struct Scale {
    /// The roots of the Lipschitz constants.
    roots: Vec<f64>,
    /// One over them; 0 where they are 0.
    inverse_roots: Vec<f64>,
    /// `max_i |g_i| / sqrt(L_i)` at x = 0; 1 if that is 0.
    unit: f64,
}

impl Scale {
    /// For a problem placed at 0.
    fn new(problem: &mut dyn Smooth, work: Work<'_>) -> Result<Scale, Error> {
        let roots: Vec<f64> = problem.lipschitz().iter().map(|l| l.sqrt()).collect();
        let inverse_roots: Vec<f64> =
            roots.iter().map(|r| if *r > 0.0 { 1.0 / r } else { 0.0 }).collect();
        let gradient = problem.gradient(work)?;
        let is_wrong = |(i, root): (usize, &f64)| {
            !root.is_finite() || !gradient[i].is_finite() || (*root == 0.0 && gradient[i] != 0.0)
        };
        if let Some((i, _)) = roots.iter().enumerate().find(|(i, root)| is_wrong((*i, root))) {
            let found = format!("squares of variable {i}'s data, or the gradient at 0, are too ");
            return Err(Error::invalid("problem", found + "large or too small: scale the data"));
        }
        let pairs = gradient.iter().zip(&inverse_roots);
        let unit = largest(pairs.map(|(g, w)| (g * w).abs()));
        Ok(Scale { roots, inverse_roots, unit: if unit > 0.0 { unit } else { 1.0 } })
    }
}

fn objective(problem: &dyn Smooth, x: &[f64], penalty: &Penalty<'_>) -> f64 {
    let penalties: f64 = x.iter().enumerate().map(|(i, x)| penalty.value(i, *x)).sum();
    problem.value() + penalties
}

/// What is kept of a solve under way.
struct Run {
    iteration: usize,
    value: Sum,
    support: usize,
    support_changed: usize,
    /// Iterations without a decrease, and how many of them are too many.
    quiet: usize,
    patience: usize,
    was_stuck: bool,
    /// The largest decrease of an iteration.
    decrease: f64,
    trace: Trace,
}

impl Run {
    fn new(problem: &dyn Smooth, x: &[f64], penalty: &Penalty<'_>, settings: &Settings) -> Run {
        let patience = match settings.selection {
            Selection::Random | Selection::Cyclic => PATIENCE * x.len(),
            Selection::Lipschitz => usize::MAX, // a small constant may take for ever to be drawn
            _ => PATIENCE,
        };
        Run {
            iteration: 0,
            value: Sum::new(objective(problem, x, penalty)),
            support: x.iter().filter(|x| **x != 0.0).count(),
            support_changed: 0,
            quiet: 0,
            patience,
            decrease: 0.0,
            was_stuck: false,
            trace: Trace::default(),
        }
    }

    fn require_finite(&self) -> Result<(), Error> {
        let value = self.value.get();
        if value.is_finite() {
            return Ok(());
        }
        let found = format!("the objective is {value}: it has no minimum, or the data overflow");
        Err(Error::invalid("problem", found))
    }

    fn afresh(&mut self, problem: &dyn Smooth, x: &[f64], penalty: &Penalty<'_>) {
        self.value = Sum::new(objective(problem, x, penalty));
    }

    fn record(&mut self, stop: &Stop<'_>, stationarity: f64) -> Record {
        let record = Record {
            iteration: self.iteration,
            time: stop.seconds(),
            objective: self.value.get(),
            certificate: stationarity,
            sparsity: self.support,
            phase: 0,
        };
        self.trace.0.push(record);
        record
    }

    /// Notes a step of a block, which had these variables other than 0.
    fn see(&mut self, block: &[u32], before: &[bool], x: &[f64], change: f64) {
        self.value.add(change);
        self.decrease = self.decrease.max(-change);
        if change < -ROUNDING * self.decrease {
            self.quiet = 0;
            self.was_stuck = false;
        } else {
            self.quiet += 1;
        }
        for (i, was) in block.iter().zip(before) {
            match (was, x[*i as usize] != 0.0) {
                (false, true) => self.support += 1,
                (true, false) => self.support -= 1,
                _ => continue,
            }
            self.support_changed = self.iteration;
        }
    }
}

//! The method "auto": the regularisation is lowered in steps, each solved by [`crate::level`].
//!
//! All but the last level end at a marginal error of 0.3 %: their potentials are only a start for the
//! next, extrapolated from the last few levels. Larger plans are stored in single
//! precision until that is not precise enough for what is asked; of plans between points that are
//! too large for that only the entries that matter are stored ([`crate::candidates`]), with the
//! coarse levels solved between some of the points ([`crate::subset`]).

use sparrot_foundation::{Error, Status};
use sparrot_simd::reduce;

use crate::candidates::{Candidates, smallest_weight};
use crate::gibbs::{Gibbs, Storage};
use crate::level::{self, Outcome};
use crate::newton::Newton;
use crate::relaxation::{COLUMNS, ROWS};
use crate::run::{Ended, Run};
use crate::scalings::Scalings;
use crate::subset;

/// The first level, as a share of the range of the costs, and the largest regularisation that
/// starts at itself.
const START: f64 = 0.02;
const DIRECT: f64 = 0.01;

/// What the regularisation is multiplied by from level to level.
const FACTOR: f64 = 0.2;

/// How far apart the logarithms of weights may be.
const LOG_WEIGHTS: f64 = 1500.0;

/// The marginal error at which all levels but the last end.
pub const LOOSE: f64 = 0.003;

/// A level that gets stuck leads back to the first, with the errors of all levels so much smaller;
/// at most so often.
const CLOSER: f64 = 1e-3;
const MOST_RETURNS: usize = 3;

/// From this marginal error on potentials are too far off to start with the last level.
const FAR: f64 = 0.5;

/// Marginal errors down to this are reached in single precision, smaller ones from
/// `HANDED_OVER` on in double precision.
const SINGLE_DOWN_TO: f64 = 5e-7;
const HANDED_OVER: f64 = 1e-5;

/// The smallest weight of a column, as a share of the largest of a row, for single precision.
const LEAST_EVEN: f64 = 1e-20;

/// Plans with fewer entries are in the nearer caches anyway.
const WORTH_SINGLE: usize = 1 << 18;

/// Plans with more entries are thinned out where the costs can be computed again and again, leaving
/// out a share of the error that is aimed at: to as many entries, or a small share of all.
pub const LARGE: usize = 1 << 26;
const SMALL_SHARE: usize = 64;
const LEFT_OUT: f64 = 0.1;

/// The first level on the way to a regularisation.
pub fn first_level(reg: f64, range: f64) -> f64 {
    if reg >= DIRECT * range { reg } else { reg.max(START * range) }
}

/// The level after another.
pub fn next_level(level: f64, reg: f64) -> f64 {
    reg.max(FACTOR * level)
}

/// A regularisation that was solved for.
struct Solved {
    reg: f64,
    /// The column potentials, in the units of the cost.
    potentials: Vec<f64>,
    /// Whether it was asked for, and so is solved to the tolerance: not just a level on the way.
    is_exact: bool,
}

/// The last levels that were solved, and where plans are stored.
#[derive(Default)]
pub struct Annealing {
    /// At most three, the last one last.
    solved: Vec<Solved>,
    single: Option<Gibbs<f32>>,
    double: Option<Gibbs>,
    /// Whether plans are thinned out instead.
    is_thin: bool,
}

impl Annealing {
    /// Takes the run's potentials for a solution at its regularisation, unless they are far off.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::Infeasible`], [`Error::OutOfMemory`].
    pub fn start_from(&mut self, run: &mut Run<'_>, range: f64) -> Result<(), Error> {
        // A constant moves from one side to the other for nothing, but costs digits.
        let known = |psi: &&f64| psi.is_finite();
        let least = run.psi.iter().filter(known).copied().fold(f64::INFINITY, f64::min);
        let most = run.psi.iter().filter(known).copied().fold(f64::NEG_INFINITY, f64::max);
        run.psi.iter_mut().for_each(|psi| *psi -= least);
        run.phi.iter_mut().for_each(|phi| *phi += least);
        run.problem.translate(least);
        // Those of a solution differ by what the costs and the logarithms of the weights do.
        let is_possible = most - least <= 2.0 * (range / run.problem.reg + LOG_WEIGHTS);
        if !is_possible || self.error_of_start(run)? >= FAR {
            if let Some(relaxation) = &mut run.problem.relaxation {
                relaxation.translation = 0.0;
            }
            for (side, potentials) in [(ROWS, &mut run.phi), (COLUMNS, &mut run.psi)] {
                let known = potentials.iter_mut().enumerate().filter(|(_, x)| x.is_finite());
                known.for_each(|(i, x)| *x = run.problem.log_reference(side, i));
            }
            return Ok(());
        }
        self.is_thin = is_large(run);
        self.remember(run, true);
        Ok(())
    }

    /// The marginal error of the column potentials with exact rows.
    fn error_of_start(&mut self, run: &mut Run<'_>) -> Result<f64, Error> {
        let mut scalings = Scalings::new(run.phi.len(), run.psi.len());
        if is_large(run) {
            let mut thin = Candidates::<f32>::new(run.phi.len(), run.psi.len(), 1.0);
            level::store(run, &mut thin)?;
            scalings.reset(run, &thin);
        } else {
            let gibbs = room(&mut self.double, run)?;
            level::store(run, gibbs)?;
            scalings.reset(run, gibbs);
        }
        Ok(scalings.error())
    }

    /// Goes on, level by level, to the run's regularisation, until the marginal error there is at
    /// most `target`. `range` is the difference between the largest and the smallest cost.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::Infeasible`], [`Error::OutOfMemory`].
    pub fn advance(&mut self, run: &mut Run<'_>, range: f64, target: f64) -> Result<Ended, Error> {
        let reg = run.problem.reg;
        let range = run.problem.range_that_matters(range);
        let mut level = match self.solved.last() {
            Some(last) => next_level(last.reg, reg),
            None => first_level(reg, range),
        };
        if self.solved.is_empty() && is_large(run) {
            let left_out = LEFT_OUT * target.max(SINGLE_DOWN_TO);
            let most = LARGE.max(run.phi.len() * run.psi.len() / SMALL_SHARE);
            let start = subset::start(run, range, left_out, most)?;
            self.is_thin = start.is_some();
            level = start.unwrap_or(level);
        }
        let (mut loose, mut returns) = (LOOSE, 0);
        loop {
            run.set_reg(level);
            self.predict(run);
            let is_last = level <= reg;
            let goal = if is_last { target } else { target.max(loose) };
            let outcome = self.solve(run, goal, is_last)?;
            if outcome == Outcome::Stuck && returns < MOST_RETURNS && !self.is_thin {
                returns += 1;
                loose *= CLOSER;
                self.solved.clear();
                level = first_level(reg, range);
                continue;
            }
            self.remember(run, is_last);
            // Short of the last level any potentials are a start.
            if is_last || matches!(outcome, Outcome::Stopped(_)) {
                run.set_reg(reg);
                return Ok(match outcome {
                    Outcome::Done => Ended::Done,
                    Outcome::Rounding | Outcome::Stuck => Ended::Stopped(Status::Stalled),
                    Outcome::Stopped(status) => Ended::Stopped(status),
                });
            }
            level = next_level(level, reg);
        }
    }

    /// One level, in single precision as far as that goes.
    fn solve(&mut self, run: &mut Run<'_>, target: f64, is_last: bool) -> Result<Outcome, Error> {
        let entries = run.phi.len() * run.psi.len();
        if self.is_thin {
            return thinned(run, target, is_last);
        }
        // A level that was solved before is solved again because of rounding.
        let is_retry = self.solved.last().is_some_and(|last| last.reg == run.problem.reg);
        let suffices = target >= SINGLE_DOWN_TO;
        // Few sweeps from the start to the end are not worth storing the plan twice.
        let is_direct = self.solved.is_empty() && is_last;
        let mut newton = Newton::default();
        if entries >= WORTH_SINGLE && is_even(run) && !is_retry && (suffices || !is_direct) {
            self.double = None;
            let gibbs = room(&mut self.single, run)?;
            let goal = if suffices { target } else { HANDED_OVER };
            match level::solve(run, gibbs, &mut newton, goal, is_last)? {
                Outcome::Done if !suffices => {}
                Outcome::Rounding => {}
                outcome => return Ok(outcome),
            }
        }
        self.single = None;
        let gibbs = room(&mut self.double, run)?;
        level::solve(run, gibbs, &mut newton, target, is_last)
    }

    /// Moves the potentials along the line through those of the last two levels, on the way down; or
    /// along the parabola through the last three, if errors are small enough for that.
    fn predict(&self, run: &mut Run<'_>) {
        let level = run.problem.reg;
        let is_parabola = self.solved.len() == 3 && self.solved.iter().all(|one| one.is_exact);
        let points =
            &self.solved[self.solved.len().saturating_sub(if is_parabola { 3 } else { 2 })..];
        let is_on_the_way_down = points.windows(2).all(|pair| pair[1].reg < pair[0].reg)
            && points.last().is_some_and(|last| level < last.reg);
        if points.len() < 2 || !is_on_the_way_down {
            return;
        }
        // Lagrange's weights.
        let weight = |of: &Solved| -> f64 {
            let others = points.iter().filter(|other| other.reg != of.reg);
            others.map(|other| (level - other.reg) / (of.reg - other.reg)).product()
        };
        let weights: Vec<f64> = points.iter().map(weight).collect();
        for (j, psi) in run.psi.iter_mut().enumerate().filter(|(_, psi)| psi.is_finite()) {
            let parts = points.iter().zip(&weights).map(|(one, w)| w * one.potentials[j]);
            *psi = parts.sum::<f64>() / level;
        }
    }

    fn remember(&mut self, run: &Run<'_>, is_exact: bool) {
        let reg = run.problem.reg;
        let potentials = run.psi.iter().map(|psi| psi * reg).collect();
        // One that is solved again because of rounding takes its own place.
        self.solved.retain(|one| one.reg != reg);
        if self.solved.len() == 3 {
            self.solved.remove(0);
        }
        self.solved.push(Solved { reg, potentials, is_exact });
    }
}

/// Whether the whole plan had better not be stored.
fn is_large(run: &Run<'_>) -> bool {
    run.problem.cost.can_be_thinned() && run.phi.len().saturating_mul(run.psi.len()) > LARGE
}

/// Whether single precision has numbers for all entries: not for those of a point of hardly any
/// weight beside one of much.
fn is_even(run: &Run<'_>) -> bool {
    smallest_weight(run.problem.b) > LEAST_EVEN * reduce::max(run.problem.a)
}

/// One level on the entries that matter.
fn thinned(run: &mut Run<'_>, target: f64, is_last: bool) -> Result<Outcome, Error> {
    let (n, m, left_out) = (run.phi.len(), run.psi.len(), LEFT_OUT * target);
    let mut newton = Newton::default();
    if target >= SINGLE_DOWN_TO && is_even(run) {
        let mut thin = Candidates::<f32>::new(n, m, left_out);
        level::solve(run, &mut thin, &mut newton, target, is_last)
    } else {
        let mut thin = Candidates::<f64>::new(n, m, left_out);
        level::solve(run, &mut thin, &mut newton, target, is_last)
    }
}

/// Room for a plan, made when it is first needed.
fn room<'a, T: Storage>(
    room: &'a mut Option<Gibbs<T>>,
    run: &Run<'_>,
) -> Result<&'a mut Gibbs<T>, Error> {
    Ok(match room {
        Some(gibbs) => gibbs,
        None => room.insert(Gibbs::new(run.phi.len(), run.psi.len())?),
    })
}

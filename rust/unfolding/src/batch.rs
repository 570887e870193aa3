//! Proximal gradient steps on many signals: ISTA, FISTA and, with a penalty of L0, IHT.
//!
//! ```text
//! min over x of  |y - A x|^2 / 2 + sum_j phi(x_j),   for every row y of Y
//!
//! z = x + beta (x - x_old),   x <- prox(z - t A'(A z - y))
//! ```
//!
//! beta is 0 (Daubechies, Defrise and De Mol, Comm. Pure Appl. Math. 57, 2004; for L0 Blumensath and
//! Davies, J. Fourier Anal. Appl. 14, 2008) or that of Beck and Teboulle (SIAM J. Imaging Sci. 2, 2009),
//! started anew where it points uphill (O'Donoghue and Candes, Found. Comput. Math. 15, 2015).
//!
//! **Cost** of an iteration and a signal: see [`crate::matrix`]; O(N) beside that.
//!
//! **What is ours.** The gradient is computed at x, which is sparse, and extrapolated as x is: it is
//! affine. Signals are worked on in blocks that stay in the cache for all their iterations, each until
//! its own certificate is reached. The cheap certificate that decides when to look is from the
//! gradient at hand; what is believed is measured on the code that is returned.
//!
//! **Steps.** 1 over a certified bound of the squared norm of A; or adaptive: from the curvature along
//! the first gradient, and made smaller (with the momentum started anew) whenever the curvature met
//! along a move is above 1 / t. It never has to know the norm, and is never below 0.9 over it. Or found by
//! backtracking, so that no step is too long even once: see [`crate::block`].
//!
//! **Being watched.** Blocks run one after the other, each to its end. Somebody who wants to see
//! iterations wants all signals at the same one: then all blocks are there at once, and take turns of a
//! few iterations. Their codes have the same bits.

use std::ops::RangeInclusive;

use sparrot_design::Design;
use sparrot_foundation::{Error, Record, Status, Stop, Team, Trace, memory};

use crate::block::{Block, CHECK_EVERY, Figures, Signals};
use crate::dictionary::Dictionary;
use crate::matrix::Matrix;
use crate::norm::squared_norm_bound;
use crate::number::Number;
use crate::penalty::{Penalty, Weighted};

/// Numbers for each number of a code that a block keeps.
const ARRAYS: usize = 8;

/// How long a step is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steps {
    /// That long for every signal.
    Fixed(f64),
    /// Found while going.
    Adaptive,
    /// Found while going, and done again where it was too long; the first one may be told.
    Backtracking(Option<f64>),
}

/// What a solve with a matrix is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The penalty.
    pub penalty: Penalty,
    /// Its weight.
    pub lambda: f64,
    /// Whether codes must not be negative.
    pub positive: bool,
    /// The step; if it is not told, 1 over a bound of the squared norm of A, or adaptive where that
    /// would be dear.
    pub steps: Option<Steps>,
    /// See [`Settings`].
    pub momentum: Momentum,
    /// See [`Settings`].
    pub tol: f64,
    /// See [`Settings`].
    pub max_iter: usize,
    /// See [`Settings`].
    pub is_watched: bool,
}

impl Request {
    /// With what the dictionary adds: the squared norms of its atoms, and their sum.
    pub fn settings<'a>(&self, steps: Steps, squares: &'a [f64], total: f64) -> Settings<'a> {
        let Request { penalty, lambda, positive, momentum, tol, max_iter, is_watched, .. } = *self;
        let penalty = Weighted { penalty, lambda, positive, squares, total };
        Settings { penalty, steps, momentum, tol, max_iter, is_watched }
    }
}

/// What becomes of the direction of the step before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Momentum {
    /// Nothing.
    None,
    /// It goes on.
    Always,
    /// It goes on until it points uphill.
    Restarted,
}

/// How to solve.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The penalty.
    pub penalty: Weighted<'a>,
    /// The step.
    pub steps: Steps,
    /// The momentum.
    pub momentum: Momentum,
    /// The certificate to reach; 0 for as many iterations as are allowed.
    pub tol: f64,
    /// Iterations of each signal, at most.
    pub max_iter: usize,
    /// Whether iterations are recorded and shown to the observer.
    pub is_watched: bool,
}

/// What is told of the code of a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The relative duality gap, or the stationarity.
    pub certificate: f64,
    /// The objective.
    pub objective: f64,
    /// Iterations.
    pub iterations: usize,
    /// The step of the last.
    pub step: f64,
    /// Why it ended.
    pub status: Status,
    /// Whether the iterates grew without bound, so that the code is what it started from.
    pub diverged: bool,
}

/// What is told of all codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Of each.
    pub outcomes: Vec<Outcome>,
    /// Iterations, if they are watched: the sum of all objectives, the largest certificate, how many
    /// numbers are not 0, and as the phase how many signals are being worked on.
    pub trace: Trace,
}

/// Writes the codes of all signals, which start from 0 or from what is given.
///
/// # Errors
/// [`Error::Interrupted`]; [`Error::InvalidInput`] if squares of a signal over- or underflow.
pub fn solve<T: Number>(
    dictionary: &impl Dictionary<T>,
    signals: &[T],
    start: Option<&[T]>,
    settings: &Settings<'_>,
    codes: &mut [T],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    let (m, n) = (dictionary.features(), dictionary.atoms());
    let count = signals.len() / m;
    check("Y", signals, m, T::SQUARES)?;
    let block = dictionary.block(count);
    let at_once = block.unwrap_or(count).max(1);
    let items: Vec<_> = (signals.chunks(at_once * m).zip(codes.chunks_mut(at_once * n)))
        .enumerate()
        .map(|(k, (y, codes))| {
            let first = k * at_once * n;
            let start = start.map(|start| &start[first..first + codes.len()]);
            Signals { y, start, codes }
        })
        .collect();
    let team = if block.is_none() { Team::new(Some(1)) } else { *team };
    if settings.is_watched {
        memory::check("all blocks at once", ARRAYS * count, n)?;
        let begin = |signals| Block::new(dictionary, settings, signals, stop);
        let blocks: Result<Vec<_>, Error> = team.run(stop, items, begin)?.into_iter().collect();
        return watched(blocks?, &team, stop);
    }
    let found =
        team.run(stop, items, |signals| Block::new(dictionary, settings, signals, stop)?.run())?;
    let mut outcomes = Vec::with_capacity(count);
    for block in found {
        outcomes.extend(block?);
    }
    Ok(Solution { outcomes, trace: Trace::default() })
}

/// Lets blocks take turns, and shows them after each.
fn watched<T: Number>(
    mut blocks: Vec<Block<'_, T, impl Dictionary<T>>>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    let mut trace = Trace::default();
    loop {
        let seen = blocks.iter().map(Block::figures).fold(Figures::default(), Figures::and);
        let record = Record {
            iteration: seen.iterations,
            time: stop.seconds(),
            objective: seen.objective,
            certificate: seen.certificate,
            sparsity: seen.entries,
            phase: seen.running as u32,
        };
        trace.0.push(record);
        let ended = stop.after(&record)?;
        if blocks.iter().all(Block::is_done) {
            break;
        }
        let turn = |block: &mut Block<'_, T, _>| match ended {
            Some(status) => block.end(status),
            None => block.advance(CHECK_EVERY),
        };
        let turns = team.run(stop, blocks.iter_mut().collect(), turn)?;
        turns.into_iter().collect::<Result<(), Error>>()?;
        if ended.is_some() {
            break;
        }
    }
    let outcomes = blocks.into_iter().flat_map(Block::into_outcomes).collect();
    Ok(Solution { outcomes, trace })
}

/// [`solve`] with a matrix.
///
/// # Errors
/// As there, and [`Error::OutOfMemory`].
pub fn solve_with_matrix<T: Number>(
    design: &Design<'_, T>,
    signals: &[T],
    start: Option<&[T]>,
    request: &Request,
    codes: &mut [T],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    /// Iterations until most signals are done, more or less.
    const USUAL: usize = 50;
    /// Norms of matrices with larger sides are not worth while.
    const LARGEST_NORM: usize = 2048;
    let gradients = (signals.len() / design.rows()).saturating_mul(request.max_iter.min(USUAL));
    let matrix = Matrix::new(design, "A", gradients, team, stop)?;
    let steps = match request.steps {
        Some(steps) => steps,
        None => match squared_norm_bound(design, LARGEST_NORM, stop)? {
            Some(0.0) => Steps::Fixed(1.0),
            Some(bound) => Steps::Fixed(1.0 / bound),
            None => Steps::Adaptive,
        },
    };
    let total = matrix.squares().iter().sum();
    let settings = request.settings(steps, matrix.squares(), total);
    solve(&matrix, signals, start, &settings, codes, team, stop)
}

/// Looks for rows whose squares over- or underflow.
pub(crate) fn check<T: Number>(
    name: &'static str,
    rows: &[T],
    length: usize,
    range: RangeInclusive<f64>,
) -> Result<(), Error> {
    for (i, y) in rows.chunks(length).enumerate() {
        let squares: f64 = y.iter().map(|y| y.to_f64().powi(2)).sum();
        let is_zero = squares == 0.0 && y.iter().all(|y| y.to_f64() == 0.0);
        if !is_zero && !range.contains(&squares) {
            return Err(Error::invalid(
                name,
                format!(
                    "has a row, {i}, whose squares add up to {squares:.3e}: needs 0, or from {:e} to \
                     {:e}, or else products over- or underflow; scale it",
                    range.start(),
                    range.end()
                ),
            ));
        }
    }
    Ok(())
}

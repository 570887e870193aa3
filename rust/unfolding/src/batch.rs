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
//! along a move is above 1 / t. It never has to know the norm, and is never below 0.9 over it.

use sparrot_design::Design;
use sparrot_foundation::{Error, Status, Stop, Team};

use crate::block::{Block, Signals};
use crate::dictionary::Dictionary;
use crate::matrix::Matrix;
use crate::norm::squared_norm_bound;
use crate::number::Number;
use crate::penalty::{Penalty, Weighted};

/// How long a step is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steps {
    /// That long for every signal.
    Fixed(f64),
    /// Found while going.
    Adaptive,
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
}

impl Request {
    /// With what the dictionary adds.
    pub fn settings<'a>(&self, steps: Steps, squares: &'a [f64]) -> Settings<'a> {
        let Request { penalty, lambda, positive, momentum, tol, max_iter, .. } = *self;
        let penalty = Weighted { penalty, lambda, positive, squares };
        Settings { penalty, steps, momentum, tol, max_iter }
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
) -> Result<Vec<Outcome>, Error> {
    let (m, n) = (dictionary.features(), dictionary.atoms());
    let count = signals.len() / m;
    check(signals, m)?;
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
    let found =
        team.run(stop, items, |signals| Block::new(dictionary, settings, signals, stop)?.run())?;
    let mut outcomes = Vec::with_capacity(count);
    for block in found {
        outcomes.extend(block?);
    }
    Ok(outcomes)
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
) -> Result<Vec<Outcome>, Error> {
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
    let settings = request.settings(steps, matrix.squares());
    solve(&matrix, signals, start, &settings, codes, team, stop)
}

/// Looks for signals whose squares over- or underflow.
pub(crate) fn check<T: Number>(signals: &[T], m: usize) -> Result<(), Error> {
    for (i, y) in signals.chunks(m).enumerate() {
        let squares: f64 = y.iter().map(|y| y.to_f64().powi(2)).sum();
        let is_zero = squares == 0.0 && y.iter().all(|y| y.to_f64() == 0.0);
        if !is_zero && !(T::LEAST_SQUARES..=T::MOST_SQUARES).contains(&squares) {
            return Err(Error::invalid(
                "Y",
                format!("has a row, {i}, whose squares over- or underflow: scale it"),
            ));
        }
    }
    Ok(())
}

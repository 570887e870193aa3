//! Coordinate descent on one code, by rows of the Gram matrix.
//!
//! ```text
//! x_j <- prox(x_j + q_j / g_jj) with the step 1 / g_jj,   q <- q - (change) g_j
//! ```
//!
//! 1. A greedy start: the atom whose step is longest in the norm of its column, `g_jj d_j^2`, as in Nutini,
//!    Laradji and Schmidt (JMLR 23, 2022, the Gauss-Southwell-Lipschitz rule): with the Gram matrix
//!    the gradient of all atoms is there for nothing.
//! 2. Cycles over the atoms in use; then a look at all others.
//! 3. With L1, once the signs stay, the minimum for those signs by a Cholesky factor, as far as no sign
//!    changes on the way (the step of the feature-sign search, Lee, Battle, Raina and Ng, NIPS 2006).
//!
//! **Cost.** N for each change of a number; k^3 / 3 for a factor; N for the gap, from q.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, Side};
use sparrot_foundation::{Error, Status, Stop};

use crate::gram::State;
use crate::penalty::{Penalty, Weighted};

/// Atoms that gain this share of the most are picked together.
const SHARE: f64 = 0.5;
/// Picks of the greedy start, about.
const PICKS: usize = 40;
/// It ends where a pick gains less than this share of the mean of `|y|^2` over the atoms.
const GAIN: f64 = 1e-3;
/// Cycles over the atoms in use between two looks at all.
const CYCLES: usize = 5;
/// Rounds without progress after which rounding is taken for the reason.
const PATIENCE: usize = 20;
/// A share of the objective that is rounding.
const ROUNDING: f64 = 1e-15;
/// After so many rounds a factor is tried although signs change.
const IMPATIENT: usize = 4;
/// Factors in a row, each of which makes a sign change, at most.
const STEPS: usize = 8;
/// What the diagonal is raised by, as a share of its largest entry, for each atom.
const RAISED: f64 = 1e-14;
/// Atoms whose excess over lambda is this share of the largest are taken in.
const TAKEN: f64 = 0.3;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The relative gap, or the move of a cycle, to reach.
    pub tol: f64,
    /// Looks at all atoms, at most.
    pub max_iter: usize,
}

/// Descends until the limits; how it ended, and after how many looks at all atoms.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn descend(
    state: &mut State<'_>,
    penalty: &Weighted<'_>,
    limits: Limits,
    stop: &Stop<'_>,
) -> Result<(Status, usize), Error> {
    start(state, penalty);
    let mut used: Vec<usize> = (0..state.x.len()).filter(|j| state.x[*j] != 0.0).collect();
    let mut best = Look { figure: f64::INFINITY, objective: f64::INFINITY };
    let mut idle = 0;
    for round in 1..=limits.max_iter {
        let mut signs_stay = false;
        stop.poll()?;
        // Without factors, cycles have to do all of it.
        let cycles = if penalty.is_convex() { CYCLES } else { 10 * CYCLES };
        for _ in 0..cycles {
            signs_stay = cycle(state, penalty, &used);
        }
        used.retain(|j| state.x[*j] != 0.0);
        if penalty.penalty == Penalty::L1 && (signs_stay || round.is_multiple_of(IMPATIENT)) {
            for _ in 0..STEPS {
                stop.poll()?;
                if !to_minimum_of_signs(state, penalty.lambda, &mut used) {
                    break;
                }
            }
        }
        let mut found = look(state, penalty, &mut used);
        if found.figure <= limits.tol {
            // The rounding of all changes has gone into q.
            state.refresh();
            found = look(state, penalty, &mut used);
            if found.figure <= limits.tol {
                return Ok((Status::Converged, round));
            }
        }
        let gains = found.figure < best.figure
            || found.objective < best.objective - ROUNDING * best.objective.abs();
        idle = if gains { 0 } else { idle + 1 };
        best.figure = best.figure.min(found.figure);
        best.objective = best.objective.min(found.objective);
        if idle == PATIENCE {
            return Ok((Status::Stalled, round));
        }
        if stop.is_late() {
            return Ok((Status::MaxTime, round));
        }
    }
    Ok((Status::MaxIter, limits.max_iter))
}

/// Greedy picks: atoms that gain at least a share of what the best one does take their steps before
/// gains are told anew.
fn start(state: &mut State<'_>, penalty: &Weighted<'_>) {
    let least = GAIN * state.squares / state.x.len() as f64;
    let mut gains = vec![0.0; state.x.len()];
    let mut picks = 0;
    while picks < PICKS {
        let mut most = 0.0f64;
        for (j, gain) in gains.iter_mut().enumerate() {
            *gain = gain_of(state, penalty, j);
            most = most.max(*gain);
        }
        if most <= least {
            return;
        }
        for j in (0..gains.len()).filter(|j| gains[*j] >= SHARE * most) {
            let g = penalty.squares[j];
            state.change(j, penalty.prox(j, state.x[j] + state.q[j] / g, 1.0 / g));
            picks += 1;
        }
    }
}

/// `g_jj d_j^2` of the step of an atom.
#[inline]
fn gain_of(state: &State<'_>, penalty: &Weighted<'_>, j: usize) -> f64 {
    let (g, x, q) = (penalty.squares[j], state.x[j], state.q[j]);
    if g == 0.0 {
        return 0.0;
    }
    if penalty.penalty == Penalty::L1 && x == 0.0 {
        let size = if penalty.positive { q } else { q.abs() };
        let excess = (size - penalty.lambda).max(0.0);
        return excess * excess / g;
    }
    let d = penalty.prox(j, x + q / g, 1.0 / g) - x;
    g * d * d
}

/// A step of each of these atoms; whether all signs have stayed.
fn cycle(state: &mut State<'_>, penalty: &Weighted<'_>, atoms: &[usize]) -> bool {
    let mut signs_stay = true;
    for j in atoms {
        let g = penalty.squares[*j];
        if g == 0.0 {
            continue;
        }
        let from = state.x[*j];
        let to = penalty.prox(*j, from + state.q[*j] / g, 1.0 / g);
        if to != from {
            signs_stay &= to * from > 0.0;
            state.change(*j, to);
        }
    }
    signs_stay
}

/// Moves towards the minimum with these signs, until one would change, which leaves: whether one did.
///
/// The diagonal is raised a little, so that there is a factor also for atoms that depend on each other: the
/// direction still leads down, and far along it one of them leaves.
fn to_minimum_of_signs(state: &mut State<'_>, lambda: f64, used: &mut Vec<usize>) -> bool {
    let k = used.len();
    if k == 0 {
        return false;
    }
    let largest = used.iter().map(|j| state.gram.squares[*j]).fold(0.0, f64::max);
    let raised = RAISED * largest * k as f64;
    // The upper half is not looked at.
    let mut gram = Mat::zeros(k, k);
    for (i, j) in used.iter().enumerate() {
        let row = state.gram.row(*j);
        used[i..].iter().enumerate().for_each(|(l, other)| gram[(i + l, i)] = row[*other]);
        gram[(i, i)] += raised;
    }
    let Ok(factor) = Llt::new(gram.as_ref(), Side::Lower) else { return false };
    // The move: G d = q - lambda sign(x).
    let right = |i: usize| state.q[used[i]] - lambda * state.x[used[i]].signum();
    let moves = factor.solve(&Mat::from_fn(k, 1, |i, _| right(i)));
    let (mut share, mut first) = (1.0, None);
    for (i, j) in used.iter().enumerate() {
        let d = moves[(i, 0)];
        if !d.is_finite() {
            return false;
        }
        let until = -state.x[*j] / d;
        if until > 0.0 && until < share {
            (share, first) = (until, Some(i));
        }
    }
    for (i, j) in used.iter().enumerate() {
        let to = if first == Some(i) { 0.0 } else { state.x[*j] + share * moves[(i, 0)] };
        state.change(*j, to);
    }
    used.retain(|j| state.x[*j] != 0.0);
    first.is_some()
}

/// How far a code is, as a look at all atoms tells.
struct Look {
    /// The relative gap, or the longest move of all atoms over `|y|`.
    figure: f64,
    objective: f64,
}

/// Looks at all atoms, and takes in those that are to move.
fn look(state: &State<'_>, penalty: &Weighted<'_>, used: &mut Vec<usize>) -> Look {
    let value = |(j, x): (usize, &f64)| if *x == 0.0 { 0.0 } else { penalty.value(j, *x) };
    let paid: f64 = state.x.iter().enumerate().map(value).sum();
    let rr = state.residual_squares();
    let objective = 0.5 * rr + paid;
    if state.squares == 0.0 {
        return Look { figure: 0.0, objective };
    }
    if penalty.penalty != Penalty::L1 {
        let mut sum = 0.0f64;
        for (j, g) in penalty.squares.iter().enumerate().filter(|(_, g)| **g > 0.0) {
            let to = penalty.prox(j, state.x[j] + state.q[j] / g, 1.0 / g);
            let d = to - state.x[j];
            sum += g * d * d;
            if d != 0.0 && state.x[j] == 0.0 {
                used.push(j);
            }
        }
        return Look { figure: sum.sqrt() / state.squares.sqrt(), objective };
    }
    let lambda = penalty.lambda;
    let size = |q: f64| if penalty.positive { q } else { q.abs() };
    let most = state.q.iter().map(|q| size(*q)).fold(0.0, f64::max);
    let along: f64 = state.x.iter().zip(state.base).map(|(x, b)| x * b).sum();
    let s = if most > lambda { lambda / most } else { 1.0 };
    let gap = objective - s * (state.squares - along) + 0.5 * s * s * rr;
    let enough = lambda + TAKEN * (most - lambda);
    if most > lambda {
        for (j, q) in state.q.iter().enumerate() {
            if size(*q) >= enough && state.x[j] == 0.0 && penalty.squares[j] > 0.0 {
                used.push(j);
            }
        }
    }
    Look { figure: gap / (0.5 * state.squares), objective }
}

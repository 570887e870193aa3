//! Coordinate descent on one code, by rows of the Gram matrix.
//!
//! ```text
//! x_j <- prox(x_j + q_j / g_jj) with the step 1 / g_jj,   q <- q - (change) g_j
//! ```
//!
//! 1. A greedy start: the atom whose step is longest in the norm of its column, `g_jj d_j^2`, as in Nutini,
//!    Laradji and Schmidt (JMLR 23, 2022, the Gauss-Southwell-Lipschitz rule): with the Gram matrix
//!    the gradient of all atoms is there for nothing.
//! 2. With L1 the minimum for the signs there are, as far as no sign changes on the way (see [`crate::signs`]);
//!    with other penalties cycles over the atoms in use.
//! 3. A look at all atoms, which takes in those that are to move.
//!
//! **Cost.** N for each change of a number, and for the gap, from q; k^2 for each atom that comes or goes.

use sparrot_design::factor::Factor;
use sparrot_foundation::{Error, Status, Stop};
use sparrot_simd::codes::Element;

use crate::gram::State;
use crate::penalty::{Penalty, Weighted};
use crate::signs::Support;

/// Atoms that gain this share of the most are picked together.
const SHARE: f64 = 0.5;
/// Picks of the greedy start, about.
const PICKS: usize = 40;
/// It ends where a pick gains less than this share of the mean of `|y|^2` over the atoms.
const GAIN: f64 = 1e-3;
/// Cycles over the atoms in use between two looks at all.
const CYCLES: usize = 50;
/// Rounds without progress after which rounding is taken for the reason.
const PATIENCE: usize = 20;
/// A share of the objective that is rounding.
const ROUNDING: f64 = 1e-15;
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

/// Descends until the limits; how it ended, and after how many looks at all atoms. The factor is room.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn descend(
    state: &mut State<'_>,
    penalty: &Weighted<'_>,
    limits: Limits,
    factor: &mut Factor,
    stop: &Stop<'_>,
) -> Result<(Status, usize), Error> {
    start(state, penalty);
    let mut used: Vec<usize> = (0..state.x.len()).filter(|j| state.x[*j] != 0.0).collect();
    let mut support = Support::new(state.x.len(), factor);
    let mut best = Look { figure: f64::INFINITY, objective: f64::INFINITY };
    let mut idle = 0;
    for round in 1..=limits.max_iter {
        stop.poll()?;
        if penalty.penalty == Penalty::L1 {
            support.descend(state, penalty, &mut used, stop)?;
        } else {
            for _ in 0..CYCLES {
                stop.poll()?;
                cycle(state, penalty, &used);
            }
            used.retain(|j| state.x[*j] != 0.0);
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
        all_gains(state, penalty, &mut gains);
        let most = f64::largest(&gains, true);
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

/// `g_jj d_j^2` of the steps of all atoms.
fn all_gains(state: &State<'_>, penalty: &Weighted<'_>, gains: &mut [f64]) {
    let all = gains.iter_mut().zip(&state.q).zip(&state.x).zip(penalty.squares);
    if penalty.penalty != Penalty::L1 {
        for (j, (((gain, q), x), g)) in all.enumerate() {
            let d = if *g > 0.0 { penalty.prox(j, x + q / g, 1.0 / g) - x } else { 0.0 };
            *gain = g * d * d;
        }
        return;
    }
    let lambda = penalty.lambda;
    for (((gain, q), x), g) in all {
        // g x + q, shrunk by lambda, less g x: without branches, for all atoms at once.
        let u = g * x + q;
        let size = if penalty.positive { u } else { u.abs() };
        let d = (size - lambda).max(0.0).copysign(u) - g * x;
        let gain_of_it = d * d / g;
        *gain = if *g > 0.0 { gain_of_it } else { 0.0 };
    }
}

/// A step of each of these atoms.
pub(crate) fn cycle(state: &mut State<'_>, penalty: &Weighted<'_>, atoms: &[usize]) {
    for j in atoms {
        let g = penalty.squares[*j];
        if g > 0.0 {
            let to = penalty.prox(*j, state.x[*j] + state.q[*j] / g, 1.0 / g);
            if to != state.x[*j] {
                state.change(*j, to);
            }
        }
    }
}

/// How far a code is, as a look at all atoms tells.
struct Look {
    /// The relative gap, or the longest move of all atoms over `|y|`.
    figure: f64,
    objective: f64,
}

/// Looks at all atoms, of which those in use are not 0, and takes in those that are to move.
fn look(state: &State<'_>, penalty: &Weighted<'_>, used: &mut Vec<usize>) -> Look {
    let paid: f64 = used.iter().map(|j| penalty.value(*j, state.x[*j])).sum();
    let rr = state.residual_squares(used);
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
    let most = f64::largest(&state.q, penalty.positive);
    let along: f64 = used.iter().map(|j| state.x[*j] * state.base[*j]).sum();
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

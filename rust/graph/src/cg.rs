//! Conjugate gradients between the halves of the incomplete factor, for up to eight right-hand
//! sides at once.
//!
//! One reading of the matrix serves all columns of a group; each has its own steps and stops by
//! itself. An iteration is two passes ([`Vectors::turn`], [`Vectors::multiply`]) into which all
//! vector work is fused: the direction is turned by the `r . r` that `p . B p` and `B p . B p`
//! predict, `alpha^2 |B p|^2 - rho`, and the step is made with the one that the next pass measures.
//!
//! The norm that decides, of the residual of A as it was, is not at hand. It is measured when the
//! one that is has fallen far enough, twice or three times a solve: first half of the way (in
//! digits), then where the ratio found there says. The residual measured replaces the recursive one, so that
//! rounding does not add up.

use std::ops::Range;

use sparrot_foundation::{Error, Status, Stop, Team, memory};

use crate::certificate::Size;
use crate::factor::{Factor, Vectors, each};

/// Right-hand sides at once, at most.
pub const WIDEST: usize = 8;

/// When to end.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// The relative residual to reach: see [`crate::certificate::residuals`].
    pub tol: f64,
    /// Iterations.
    pub max_iter: usize,
    /// Told once, after [`TRIAL`] iterations, how many more it is likely to take: whether to end
    /// there, as after `max_iter`.
    pub give_up: Option<&'a (dyn Fn(usize) -> bool + Sync)>,
}

/// Iterations after which the rate of convergence is taken as known: on lattices and neighbour
/// graphs with one label in 20 to 1,000 nodes it predicted their number to 15 %.
pub const TRIAL: usize = 12;

/// A solution.
#[derive(Clone, Debug)]
pub struct Solved {
    /// Of the system as it was before it was scaled, by rows.
    pub x: Vec<f64>,
    /// Iterations of the group that took most.
    pub iterations: usize,
    /// The worst of all groups.
    pub status: Status,
}

/// Solves for some right-hand sides of a factor's system.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn solve(
    factor: &Factor<'_>,
    columns: Range<usize>,
    limits: Limits<'_>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solved, Error> {
    let n = factor.system.len();
    let k = columns.len();
    let end = columns.end;
    let groups = columns.step_by(WIDEST).map(|first| (first, (end - first).min(WIDEST))).collect();
    let work = n.saturating_mul(k).saturating_mul(500);
    let solved = team.for_work(work).run(stop, groups, |(first, width)| {
        let group = match (width, factor.system.pad) {
            (1, 2) => group::<1, 2>,
            (1, _) => group::<1, 4>,
            (2, 2) => group::<2, 2>,
            (2, _) => group::<2, 4>,
            (3..5, 2) => group::<4, 2>,
            (3..5, _) => group::<4, 4>,
            (_, 2) => group::<WIDEST, 2>,
            _ => group::<WIDEST, 4>,
        };
        group(factor, first, width, limits, stop)
    })?;
    let mut all = Solved { x: vec![0.0; n * k], iterations: 0, status: Status::Converged };
    for (g, group) in solved.into_iter().enumerate() {
        let Solved { x, iterations, status } = group?;
        let width = x.len() / n;
        for i in 0..n {
            let at = i * k + g * WIDEST;
            all.x[at..at + width].copy_from_slice(&x[i * width..(i + 1) * width]);
        }
        all.iterations = all.iterations.max(iterations);
        if all.status == Status::Converged {
            all.status = status;
        }
    }
    Ok(all)
}

/// `width` of the columns, from `first` on; the others of K stay 0.
fn group<const K: usize, const P: usize>(
    factor: &Factor<'_>,
    first: usize,
    width: usize,
    limits: Limits<'_>,
    stop: &Stop<'_>,
) -> Result<Solved, Error> {
    let n = factor.system.len();
    let k = factor.system.rhs.len() / n;
    let rows = factor.system.rhs.chunks_exact(k);
    let b: Vec<[f64; K]> =
        rows.map(|row| each(|c| if c < width { row[first + c] } else { 0.0 })).collect();
    let mut room: Vec<Vec<f64>> =
        (0..5).map(|_| memory::zeros("conjugate gradients", n, K)).collect::<Result<_, _>>()?;
    let [x, r, p, t, u] = &mut room[..] else { unreachable!("there are five") };
    let mut vectors = Vectors {
        x: x.as_chunks_mut().0,
        r: r.as_chunks_mut().0,
        p: p.as_chunks_mut().0,
        t: t.as_chunks_mut().0,
        u: u.as_chunks_mut().0,
    };
    let (iterations, status) = iterate::<K, P>(factor, &b, &mut vectors, limits, stop)?;
    let x = (vectors.x.iter().zip(&factor.scale))
        .flat_map(|(x, s)| x[..width].iter().map(move |x| x * s))
        .collect();
    Ok(Solved { x, iterations, status })
}

/// The size of each column, of the system as it was.
fn sizes<const K: usize>(factor: &Factor<'_>, r: &[[f64; K]]) -> [Size; K] {
    let mut sizes = [Size::default(); K];
    let rows = r.iter().zip(&factor.scale).zip(&factor.system.diagonal);
    for ((r, s), diagonal) in rows {
        let diagonal = diagonal / s / s;
        (0..K).for_each(|c| sizes[c].add(r[c] / s, diagonal));
    }
    sizes
}

fn dots<const K: usize>(r: &[[f64; K]]) -> [f64; K] {
    r.iter().fold([0.0; K], |sums, r| each(|c| sums[c] + r[c] * r[c]))
}

fn iterate<const K: usize, const P: usize>(
    factor: &Factor<'_>,
    b: &[[f64; K]],
    vectors: &mut Vectors<'_, K>,
    limits: Limits<'_>,
    stop: &Stop<'_>,
) -> Result<(usize, Status), Error> {
    /// Of what is allowed: the rest is for the rounding of the answer.
    const MARGIN: f64 = 0.95;
    /// Measurements without progress after which there is none to be had.
    const PATIENCE: usize = 3;
    let aim = MARGIN * limits.tol;
    let whole = sizes(factor, b);
    vectors.r.copy_from_slice(b);
    factor.forward::<K, P>(vectors.r);
    let mut active: [bool; K] = dots(b).map(|sum| sum > 0.0);
    let mut least = [f64::INFINITY; K];
    let mut patience = [PATIENCE; K];
    // Where r . r is to be before the true residual is measured: half of the way.
    let starts = dots(vectors.r);
    let mut targets = starts.map(|rho| rho * limits.tol);
    let mut next = starts;
    let (mut alpha, mut beta) = ([0.0; K], [0.0; K]);
    let mut done = 0;
    loop {
        if active.iter().all(|active| !active) {
            let stalled = patience.contains(&0);
            return Ok((done, if stalled { Status::Stalled } else { Status::Converged }));
        }
        if done == TRIAL
            && let Some(give_up) = limits.give_up
            && give_up(remaining(&starts, &next, limits.tol, &active))
        {
            return Ok((done, Status::MaxIter));
        }
        let late = stop.is_late();
        if late || done == limits.max_iter {
            vectors.step(&alpha);
            return Ok((done, if late { Status::MaxTime } else { Status::MaxIter }));
        }
        stop.poll()?;
        let rho = vectors.turn::<P>(factor, &alpha, &beta);
        stop.poll()?;
        let (pq, qq) = vectors.multiply::<P>(factor);
        done += 1;
        let moves = |c: usize| active[c] && rho[c] > 0.0 && pq[c] > 0.0;
        alpha = each(|c| if moves(c) { rho[c] / pq[c] } else { 0.0 });
        next = each(|c| (alpha[c] * alpha[c] * qq[c] - rho[c]).max(0.0));
        beta = each(|c| if moves(c) { next[c] / rho[c] } else { 0.0 });
        if (0..K).all(|c| !active[c] || next[c] <= targets[c]) {
            vectors.step(&alpha);
            alpha = [0.0; K];
            factor.residual::<K, P>(b, vectors.x, vectors.r);
            let left = sizes(factor, vectors.r);
            let measured: [f64; K] = std::array::from_fn(|c| left[c].over(&whole[c]));
            factor.forward::<K, P>(vectors.r);
            let going = active;
            for c in (0..K).filter(|c| going[*c]) {
                if measured[c] <= aim {
                    active[c] = false;
                } else if measured[c].is_nan() || measured[c] > 0.5 * least[c] {
                    patience[c] -= 1;
                    active[c] = patience[c] > 0;
                }
                least[c] = least[c].min(measured[c]);
                let further = (aim / measured[c]).min(MARGIN);
                targets[c] = next[c] * further * further;
            }
        }
    }
}

/// The iterations to come, of the column that needs most: as many for each digit as so far.
fn remaining<const K: usize>(
    starts: &[f64; K],
    now: &[f64; K],
    tol: f64,
    active: &[bool; K],
) -> usize {
    let more = |c: usize| {
        let done = (starts[c] / now[c]).ln();
        TRIAL as f64 * (-2.0 * tol.ln() - done) / done.max(1e-3)
    };
    (0..K).filter(|c| active[*c]).map(more).fold(0.0, f64::max) as usize
}

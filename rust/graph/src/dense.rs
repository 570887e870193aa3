//! Elimination without a subtraction, for graphs with nearly all edges and weights of any size.
//!
//! Weights such as `exp(-gamma |x - y|^2)` differ by hundreds of orders of magnitude. Where a
//! cluster hangs on the rest by edges of 1e-30, the sum of the weights of its nodes has lost them
//! to rounding, and nothing that starts from the matrix can find its values. But with the ground
//! `g_i = c_i + weights to fixed nodes` kept apart, eliminating node p from
//! `d_i = g_i + sum_j w_ij` only adds:
//!
//! ```text
//! w_ij += w_ip w_pj / d_p,   g_i += w_ip g_p / d_p,   b_i += w_ip b_p / d_p
//! ```
//!
//! (W. Grassmann, M. Taksar, D. Heyman, Operations Research 33, 1985). No digit is cancelled, so
//! values are right to a factor of `1 + O(n^3 u)` at worst, u the unit roundoff, whatever the
//! weights ([`worst_error`]).
//!
//! Cost: n^3 / 6 products and n^2 floats. Nodes are eliminated `PANEL` at a time, so that
//! the weights are read and written once for so many of them.

use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::{linear, reduce};

use crate::system::System;

/// Unknowns up to which this is done without being asked for: 6 s and 256 MB.
pub const MOST: usize = 5792;

/// Whether this is the method to take: it is about as fast as anything on graphs with nearly all
/// edges, and the only one to be right where weights differ much.
pub fn is_best(system: &System) -> bool {
    /// Of the largest weight over the smallest.
    const MUCH: f64 = 1e12;
    let n = system.len();
    if n > MOST {
        return false;
    }
    let mut range = (f64::INFINITY, 0.0f64);
    for w in system.upper.weights.iter().chain(&system.ground).filter(|w| **w > 0.0) {
        range = (range.0.min(*w), range.1.max(*w));
    }
    system.upper.indices.len() >= n * n / 8 || range.1 > MUCH * range.0
}

/// Nodes eliminated together: a multiple of 4.
const PANEL: usize = 16;

/// Solves a system, which must not have been scaled: n x k by rows.
///
/// # Errors
/// [`Error::InvalidInput`] of "W" if its weights differ by more than 300 orders of magnitude and a
/// node hangs on small ones alone, [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn solve(system: &System, team: &Team, stop: &Stop<'_>) -> Result<Vec<f64>, Error> {
    let n = system.len();
    let k = system.rhs.len() / n;
    // By rows; only what is right of the diagonal is used. In units in which neither the largest
    // nor the smallest weights meet the ends of the range.
    let unit = Unit::of(&system.diagonal);
    let mut weights: Vec<f64> = memory::zeros("the weights of the graph", n, n)?;
    for i in 0..n {
        system.upper.row(i).for_each(|(j, w)| weights[i * n + j] = unit.scaled(w));
    }
    // The ground and the right-hand sides go through the same steps: they are one row.
    let wide = 1 + k;
    let mut tails: Vec<f64> = Vec::with_capacity(n * wide);
    for (ground, rhs) in system.ground.iter().zip(system.rhs.chunks_exact(k)) {
        tails.push(unit.scaled(*ground));
        tails.extend(rhs.iter().map(|b| unit.scaled(*b)));
    }
    let mut pivots = vec![0.0; n];
    for first in (0..n).step_by(PANEL) {
        stop.poll()?;
        let end = n.min(first + PANEL);
        for p in first..end {
            for q in first..p {
                let (before, from) = weights.split_at_mut(p * n);
                let above = &before[q * n..(q + 1) * n];
                let share = above[p] / pivots[q];
                linear::axpy(share, &above[p + 1..], &mut from[p + 1..n]);
                add_tail(share, &mut tails, q, p, wide);
            }
            pivots[p] = tails[p * wide] + reduce::sum(&weights[p * n + p + 1..(p + 1) * n]);
            // The products lost to underflow are below 2^-64 of it, unless it is smaller than that.
            if pivots[p] < 1.0 / Unit::LARGEST {
                let what = format!(
                    "node {} hangs on labelled ones by weights below 1e-300 of the largest: drop ",
                    system.nodes[p]
                );
                return Err(Error::invalid("W", what + "such weights"));
            }
        }
        if end < n {
            let (panel, rest) = weights.split_at_mut(end * n);
            let shares = update(&panel[first * n..], rest, &pivots[first..end], n, team, stop)?;
            for (i, shares) in (end..n).zip(shares) {
                for (q, share) in (first..end).zip(shares) {
                    add_tail(share, &mut tails, q, i, wide);
                }
            }
        }
    }
    let mut x = vec![0.0; n * k];
    for p in (0..n).rev() {
        let (before, after) = x.split_at_mut((p + 1) * k);
        let here = &mut before[p * k..];
        here.copy_from_slice(&tails[p * wide + 1..(p + 1) * wide]);
        for (w, there) in weights[p * n + p + 1..(p + 1) * n].iter().zip(after.chunks_exact(k)) {
            here.iter_mut().zip(there).for_each(|(x, y)| *x += w * y);
        }
        here.iter_mut().for_each(|x| *x /= pivots[p]);
    }
    Ok(x)
}

/// How far a solution may be off at most, as a share of the solution with the magnitudes of the
/// right-hand sides, for n unknowns with at most so many neighbours, fixed ones among them.
///
/// A step computes the reduced system to a relative `(m + 4) u` of each entry, m the unknowns left,
/// as all terms have one sign; relative changes of e in the entries of such a system change the
/// entries of its inverse by `2 m e` (A. Alfa, J. Xue and Q. Ye, Numerische Mathematik 90, 2002); the
/// values that follow from those after them add `(m + 2) u`. The sum over all steps is below `n^3 u`
/// from 18 unknowns on. Grounds and right-hand sides are sums over neighbours to begin with.
pub fn worst_error(n: usize, neighbours: usize) -> f64 {
    let n = n.max(18) as f64;
    n * (n * n + 3.0 * neighbours as f64) * (f64::EPSILON / 2.0)
}

/// A power of 2 that weights are multiplied by, as the product of two: itself it may be beyond the
/// range.
struct Unit(f64, f64);

impl Unit {
    /// The largest diagonal entry becomes this, up to a factor of 2.
    const LARGEST: f64 = 3.273390607896142e150; // 2^500

    fn of(diagonal: &[f64]) -> Unit {
        let largest = diagonal.iter().fold(0.0, |a: f64, b| a.max(*b));
        let exponent = 500 - largest.log2().floor() as i32;
        Unit(2f64.powi(exponent / 2), 2f64.powi(exponent - exponent / 2))
    }

    fn scaled(&self, x: f64) -> f64 {
        x * self.0 * self.1
    }
}

/// `w_ij += sum_q w_qi w_qj / d_q` for the rows left; the shares `w_qi / d_q` of each.
fn update(
    panel: &[f64],
    rest: &mut [f64],
    pivots: &[f64],
    n: usize,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<[f64; PANEL]>, Error> {
    const ROWS: usize = 32;
    let left = rest.len() / n;
    let work = left * left / 2;
    let blocks: Vec<_> = rest.chunks_mut(ROWS * n).enumerate().collect();
    let shares = team.for_work(work).run(stop, blocks, |(block, rows)| {
        let place = |row: usize| n - left + block * ROWS + row;
        let mut all = Vec::with_capacity(ROWS);
        for (row, weights) in rows.chunks_exact_mut(n).enumerate() {
            let i = place(row);
            // A last panel may be short, but then no rows are left.
            let shares: [f64; PANEL] = std::array::from_fn(|q| panel[q * n + i] / pivots[q]);
            for (group, four) in shares.as_chunks::<4>().0.iter().enumerate() {
                let above = |q: usize| &panel[(4 * group + q) * n..][i + 1..n];
                linear::axpy4(*four, std::array::from_fn(above), &mut weights[i + 1..]);
            }
            all.push(shares);
        }
        all
    })?;
    Ok(shares.concat())
}

/// Adds a share of the tail of node q to that of node p, after it.
fn add_tail(share: f64, tails: &mut [f64], q: usize, p: usize, wide: usize) {
    let (before, from) = tails.split_at_mut(p * wide);
    let above = &before[q * wide..(q + 1) * wide];
    from[..wide].iter_mut().zip(above).for_each(|(x, y)| *x += share * y);
}

//! All that least squares need to know of the rows, in one pass: `Z'WZ` with `Z = [A, 1, b]`.
//!
//! The products are kept to about twice the working precision ([`gram`]), so that what normal equations
//! lose, the square of the condition number, is lost of 32 digits and not of 16. Of a size that does
//! not depend on the rows; blocks of rows can come in any lengths, states of parts be merged.
//!
//! n q^2 / 2 products of four operations each, q = d + 1 + k, where the plain product takes one: about
//! twice its time, as additions and fused operations run beside each other.
//!
//! **Weights.** `w = 4^e v` with v from 1 to 4: one factor of a product is scaled by `2^e`, exactly, and
//! the other by `2^e v` to twice the precision. Both are within 2 of what `sqrt(w)` would do, so that the
//! bound of [`gram::error`] is one in terms of weighted norms, times 2.
//!
//! **Error.** An entry (i, j) is wrong by at most `error u^2 n_i n_j`, n the weighted norms of the columns
//! of Z and `u^2 = 2^-106`. Merging keeps that, by Cauchy's inequality: what two parts are wrong by adds up
//! to at most the larger `error` times the norms of the whole, and 4 more for the sum.

use std::ops::Range;

use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::gram::{self, RUN, TILE};

use crate::model::{Problem, slabs};
use crate::rows::{ahead, not_finite};

/// Rows whose products are formed while they are in cache.
const PANEL: usize = 256;
/// Rows that are added up before they go to a sum of many.
const CHUNK: usize = 4096;
const AREA: usize = TILE * TILE;

/// The state.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Columns of A.
    pub d: usize,
    /// Right-hand sides.
    pub k: usize,
    /// Rows so far.
    pub rows: u64,
    /// Lower triangle of tiles, one after the other by rows of them.
    pub high: Vec<f64>,
    /// What belongs to it.
    pub low: Vec<f64>,
    /// The largest magnitude in each column of Z, weighted to within 2.
    pub largest: Vec<f64>,
    /// See the page.
    pub error: f64,
}

impl Moments {
    /// Of no rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(d: usize, k: usize) -> Result<Moments, Error> {
        let tiles = (d + 1 + k).div_ceil(TILE);
        let count = tiles * (tiles + 1) / 2;
        Ok(Moments {
            d,
            k,
            rows: 0,
            high: memory::zeros("the products of columns", count, AREA)?,
            low: memory::zeros("the products of columns", count, AREA)?,
            largest: vec![0.0; tiles * TILE],
            error: 0.0,
        })
    }

    /// An entry of `Z'WZ`, as high + low.
    pub fn at(&self, i: usize, j: usize) -> (f64, f64) {
        let (i, j) = (i.max(j), i.min(j));
        let place = tile(i / TILE, j / TILE) * AREA + i % TILE * TILE + j % TILE;
        (self.high[place], self.low[place])
    }

    /// Takes the rows of a problem, which has as many columns and right-hand sides.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] names an entry of A that is not finite; [`Error::OutOfMemory`],
    /// [`Error::Interrupted`]. The state is as before then.
    pub fn update(
        &mut self,
        problem: &Problem<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let (n, q) = (problem.a.rows(), self.d + 1 + self.k);
        debug_assert!(self.d == problem.a.columns() && self.k == problem.targets);
        let parts = team.for_work(n * (q + q * q / 8)).run(stop, slabs(n, q * q), |slab| {
            let mut room = Room::new(q.div_ceil(TILE), problem.weights.is_some())?;
            let mut part = Moments::new(self.d, self.k)?;
            let mut chunk = Moments::new(self.d, self.k)?;
            for first in slab.clone().step_by(CHUNK) {
                chunk.clear();
                chunk.add(problem, first..(first + CHUNK).min(slab.end), &mut room, stop)?;
                part.merge(&chunk);
            }
            Ok(part)
        })?;
        let mut all: Option<Moments> = None;
        for part in parts {
            let part: Moments = part?;
            match &mut all {
                None => all = Some(part),
                Some(all) => all.merge(&part),
            }
        }
        let Some(all) = all else { return Ok(()) };
        if !all.high.iter().chain(&all.low).all(|v| v.is_finite()) {
            return Err(not_finite(problem.a, "A"));
        }
        self.merge(&all);
        Ok(())
    }

    /// Adds the rows of another state of the same shape.
    pub fn merge(&mut self, other: &Moments) {
        gram::merge(&other.high, &other.low, &mut self.high, &mut self.low);
        self.largest.iter_mut().zip(&other.largest).for_each(|(l, o)| *l = l.max(*o));
        let sums = if self.rows > 0 && other.rows > 0 { 4.0 } else { 0.0 };
        self.error = self.error.max(other.error) + sums;
        self.rows += other.rows;
    }

    fn clear(&mut self) {
        self.high.fill(0.0);
        self.low.fill(0.0);
        self.largest.fill(0.0);
        (self.rows, self.error) = (0, 0.0);
    }

    fn add(
        &mut self,
        problem: &Problem<'_>,
        rows: Range<usize>,
        room: &mut Room,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let tiles = self.largest.len() / TILE;
        for first in rows.clone().step_by(PANEL) {
            stop.poll()?;
            let count = PANEL.min(rows.end - first);
            room.fill(problem, first, count, &mut self.largest);
            let mut next = ahead(problem.a, first + PANEL, PANEL, problem.a.rows());
            let part = next.len().div_ceil(tile(tiles, 0));
            for i in 0..tiles {
                if i % 32 == 31 {
                    stop.poll()?;
                }
                for j in 0..=i {
                    let span = tile(i, j) * AREA..(tile(i, j) + 1) * AREA;
                    let (high, low) = (&mut self.high[span.clone()], &mut self.low[span]);
                    let (now, later) = next.split_at(part.min(next.len()));
                    room.products(i, j, count, high, low, now);
                    next = later;
                }
            }
        }
        self.rows += rows.len() as u64;
        let weighted = if problem.weights.is_some() { 2.0 } else { 1.0 };
        self.error = weighted * gram::error(rows.len(), problem.weights.is_some());
        Ok(())
    }
}

/// Where a tile stands among those of a lower triangle.
fn tile(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// Tiles of a panel of rows, one after the other, and the bounds of their runs.
struct Room {
    left: Tiles,
    /// The weighted factors, if there are weights; their low parts.
    right: Option<(Tiles, Vec<f64>)>,
    /// A few rows of A.
    rows: Vec<f64>,
}

struct Tiles {
    values: Vec<f64>,
    seeds: Vec<f64>,
}

impl Tiles {
    fn new(count: usize) -> Result<Tiles, Error> {
        Ok(Tiles {
            values: memory::zeros("a panel of rows", count, PANEL * TILE)?,
            seeds: vec![0.0; count * PANEL / RUN * TILE],
        })
    }

    /// The first rows of a tile and their seeds.
    fn tile(&self, t: usize, rows: usize) -> (&[f64], &[f64]) {
        let (values, seeds) = (t * PANEL * TILE, t * PANEL / RUN * TILE);
        (&self.values[values..values + rows * TILE], &self.seeds[seeds..seeds + rows / RUN * TILE])
    }

    fn tile_mut(&mut self, t: usize, rows: usize) -> (&mut [f64], &mut [f64]) {
        let (values, seeds) = (t * PANEL * TILE, t * PANEL / RUN * TILE);
        (
            &mut self.values[values..values + rows * TILE],
            &mut self.seeds[seeds..seeds + rows / RUN * TILE],
        )
    }
}

impl Room {
    fn new(tiles: usize, weighted: bool) -> Result<Room, Error> {
        let right = if weighted {
            Some((Tiles::new(tiles)?, memory::zeros("a panel of rows", tiles, PANEL * TILE)?))
        } else {
            None
        };
        Ok(Room { left: Tiles::new(tiles)?, right, rows: vec![] })
    }

    fn fill(&mut self, problem: &Problem<'_>, first: usize, count: usize, largest: &mut [f64]) {
        let rows = count.next_multiple_of(RUN);
        let split: Vec<(f64, f64)> =
            problem.weights.map_or(vec![], |w| w[first..first + count].iter().map(split).collect());
        let mut factors = vec![1.0; rows];
        factors.iter_mut().zip(&split).for_each(|(f, (_, v))| *f = *v);
        self.spread(problem, first, count);
        for (t, largest) in largest.chunks_exact_mut(TILE).enumerate() {
            let (values, seeds) = self.left.tile_mut(t, rows);
            values[count * TILE..].fill(0.0);
            for (row, (scale, _)) in values.chunks_exact_mut(TILE).zip(&split) {
                row.iter_mut().for_each(|v| *v *= scale);
            }
            gram::bounds(values, seeds, largest);
            if let Some((right, low)) = &mut self.right {
                let (products, seeds) = right.tile_mut(t, rows);
                let low = &mut low[t * PANEL * TILE..][..rows * TILE];
                gram::weigh(values, &factors, products, low);
                gram::bounds(products, seeds, &mut [0.0; TILE]);
            }
        }
    }

    /// Writes rows of `[A, 1, b]` into the tiles; a few whole rows at a time, as they lie in memory.
    fn spread(&mut self, problem: &Problem<'_>, first: usize, count: usize) {
        let (d, k) = (problem.a.columns(), problem.targets);
        let full = d / TILE;
        for top in (0..count).step_by(RUN) {
            let height = RUN.min(count - top);
            let rows = match problem.a.lines(first + top, height) {
                Some(rows) => rows,
                None => {
                    self.rows.resize(height * d, 0.0);
                    problem.a.fill(first + top, 0..d, &mut self.rows);
                    &self.rows
                }
            };
            for i in 0..height {
                let (row, place) = (&rows[i * d..(i + 1) * d], (top + i) * TILE);
                let (whole, rest) = row.split_at(full * TILE);
                for (t, values) in whole.chunks_exact(TILE).enumerate() {
                    self.left.values[t * PANEL * TILE + place..][..TILE].copy_from_slice(values);
                }
                let b = &problem.b[(first + top + i) * k..][..k];
                let rest = rest.iter().chain(std::iter::once(&1.0)).chain(b);
                for (j, value) in rest.enumerate() {
                    let (t, lane) = (full + j / TILE, j % TILE);
                    self.left.values[t * PANEL * TILE + place + lane] = *value;
                }
            }
        }
    }

    fn products(
        &self,
        i: usize,
        j: usize,
        count: usize,
        high: &mut [f64],
        low: &mut [f64],
        next: &[f64],
    ) {
        let rows = count.next_multiple_of(RUN);
        let (a, a_seeds) = self.left.tile(i, rows);
        match &self.right {
            None => {
                let (b, b_seeds) = self.left.tile(j, rows);
                gram::products(a, a_seeds, b, None, b_seeds, high, low, next);
            }
            Some((right, rest)) => {
                let (b, b_seeds) = right.tile(j, rows);
                let rest = &rest[j * PANEL * TILE..][..rows * TILE];
                gram::products(a, a_seeds, b, Some(rest), b_seeds, high, low, next);
            }
        }
    }
}

/// `(2^e, v)` with `w = 4^e v`, v from 1 to 4; zeros for 0.
fn split(w: &f64) -> (f64, f64) {
    if *w == 0.0 {
        return (0.0, 0.0);
    }
    let e = (w.log2() / 2.0).floor();
    (e.exp2(), w * (-e).exp2() * (-e).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Dense;
    use sparrot_foundation::stop::Unobserved;

    fn whole(k: usize) -> f64 {
        ((k * 7919) % 2001) as f64 - 1000.0
    }

    #[test]
    fn integers_are_summed_exactly_however_they_come() {
        let (team, stop) = (Team::new(Some(2)), Stop::new(&Unobserved, None));
        for (n, d, k) in [(1, 1, 1), (300, 3, 2), (5000, 17, 1), (4500, 7, 0)] {
            let q = d + 1 + k;
            let a: Vec<f64> = (0..n * d).map(whole).collect();
            let b: Vec<f64> = (0..n * k).map(|i| whole(i + 5)).collect();
            let weights: Vec<f64> = (0..n).map(|i| ((i * 31) % 7) as f64).collect();
            let z = |i: usize, j: usize| match j {
                j if j < d => a[i * d + j],
                j if j == d => 1.0,
                j => b[i * k + j - d - 1],
            };
            for w in [None, Some(&weights)] {
                let mut state = Moments::new(d, k).unwrap();
                let mut first = 0;
                for length in [1, n / 3, n - 1 - n / 3].into_iter().filter(|l| *l > 0) {
                    let end = (first + length).min(n);
                    let part = Dense::new(&a[first * d..end * d], end - first, d, false);
                    let problem = Problem {
                        a: &part,
                        b: &b[first * k..end * k],
                        targets: k,
                        weights: w.map(|w| &w[first..end]),
                        ridge: 0.0,
                        intercept: true,
                    };
                    state.update(&problem, &team, &stop).unwrap();
                    first = end;
                }
                assert_eq!(state.rows, n as u64);
                for i in 0..q {
                    for j in 0..=i {
                        let weight = |r: usize| w.map_or(1.0, |w| w[r]);
                        let exact: f64 = (0..n).map(|r| weight(r) * z(r, i) * z(r, j)).sum();
                        assert_eq!(state.at(j, i), (exact, 0.0), "{n} {i} {j}");
                    }
                }
            }
        }
    }

    #[test]
    fn weights_are_split_into_a_power_of_four_and_a_rest() {
        for w in [1.0, 3.9, 4.0, 1e-300, 5e-324, 1e300, 0.7] {
            let (scale, rest) = split(&w);
            assert!((0.99..4.01).contains(&rest), "{w} {rest}");
            assert_eq!(scale * rest * scale, w);
            assert_eq!(scale.log2().fract(), 0.0);
        }
        assert_eq!(split(&0.0), (0.0, 0.0));
    }
}

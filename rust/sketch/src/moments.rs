//! All that least squares need to know of the rows, in one pass: `Z'WZ` with `Z = [A, 1, b]`.
//!
//! The products are kept to about twice the working precision ([`gram`]), so that what normal equations
//! lose, the square of the condition number, is lost of 32 digits and not of 16. Of a size that does
//! not depend on the rows; blocks of rows can come in any lengths, states of parts be merged.
//!
//! n q^2 / 2 products of four operations, q = d + 1 + k; as many as the plain product would take if two
//! of three were wasted, yet about the time of it in libraries that spend some on short columns.
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
use crate::rows::not_finite;

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
            for first in slab.clone().step_by(CHUNK) {
                let mut chunk = Moments::new(self.d, self.k)?;
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
            for i in 0..tiles {
                if i % 32 == 31 {
                    stop.poll()?;
                }
                for j in 0..=i {
                    let span = tile(i, j) * AREA..(tile(i, j) + 1) * AREA;
                    let (high, low) = (&mut self.high[span.clone()], &mut self.low[span]);
                    room.products(i, j, count, high, low);
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
    /// What a tile that A does not fill takes from it.
    columns: Vec<f64>,
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
        Ok(Room { left: Tiles::new(tiles)?, right, columns: vec![] })
    }

    fn fill(&mut self, problem: &Problem<'_>, first: usize, count: usize, largest: &mut [f64]) {
        let rows = count.next_multiple_of(RUN);
        let split: Vec<(f64, f64)> =
            problem.weights.map_or(vec![], |w| w[first..first + count].iter().map(split).collect());
        let mut factors = vec![1.0; rows];
        factors.iter_mut().zip(&split).for_each(|(f, (_, v))| *f = *v);
        for (t, largest) in largest.chunks_exact_mut(TILE).enumerate() {
            let (values, seeds) = self.left.tile_mut(t, rows);
            columns(problem, t, first, &mut values[..count * TILE], &mut self.columns);
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

    fn products(&self, i: usize, j: usize, count: usize, high: &mut [f64], low: &mut [f64]) {
        let rows = count.next_multiple_of(RUN);
        let (a, a_seeds) = self.left.tile(i, rows);
        match &self.right {
            None => {
                let (b, b_seeds) = self.left.tile(j, rows);
                gram::products(a, a_seeds, b, None, b_seeds, high, low);
            }
            Some((right, rest)) => {
                let (b, b_seeds) = right.tile(j, rows);
                let rest = &rest[j * PANEL * TILE..][..rows * TILE];
                gram::products(a, a_seeds, b, Some(rest), b_seeds, high, low);
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

/// Some rows of a tile of `[A, 1, b]`, row-major.
fn columns(problem: &Problem<'_>, t: usize, first: usize, out: &mut [f64], room: &mut Vec<f64>) {
    let (d, k) = (problem.a.columns(), problem.targets);
    let start = t * TILE;
    if start + TILE <= d {
        return problem.a.fill(first, start..start + TILE, out);
    }
    let inner = start.min(d)..d;
    let width = inner.len();
    room.resize(out.len() / TILE * width, 0.0);
    problem.a.fill(first, inner, room);
    for (i, row) in out.chunks_exact_mut(TILE).enumerate() {
        row[..width].copy_from_slice(&room[i * width..(i + 1) * width]);
        let b = &problem.b[(first + i) * k..(first + i + 1) * k];
        for (column, v) in (start + width..).zip(&mut row[width..]) {
            *v = if column == d { 1.0 } else { b.get(column - d - 1).copied().unwrap_or(0.0) };
        }
    }
}

//! The subsampled randomised Hadamard transform, in one pass.
//!
//! ```text
//! S = m^-1/2 P H D        D signs, H the N x N Hadamard matrix (entries +-1), P m of its rows
//! ```
//!
//! N is the number of rows, filled up to a power of 2 with zeros. Row `p B + q` of H splits along
//! blocks of B rows of A: its entry in block k, place j is `(-1)^<p, k> (-1)^<q, j>`. So each block is
//! transformed on its own, in cache, and of what comes out each sampled row takes row q with the sign
//! `(-1)^<p, k>`. That is the transform of all rows, not one of blocks, in `n d (log2 B + m / B)`
//! additions and no memory but the block.
//!
//! With `block` each block of A has its own sample and a share of the rows of S (Balabanov, Beaupere,
//! Grigori and Lederer, ICML 2023, have such sketches for distributed rows): for rows that live on
//! several machines, at the price that what is concentrated in one block is seen by its share alone.
//!
//! What is known: with m = O(eps^-2 d^(1+gamma)), gamma about sqrt(log log n / log d), the solution of
//! the sketched least squares problem is as near as eps / sqrt(d) in each coordinate, relative to
//! `|Ax - b| |A^+|` (Price, Song and Woodruff, ICALP 2017, arXiv 1705.10723). The bound
//! m = O(eps^-2 d log^3(n / delta)) of arXiv 2302.00248 is unproven: two of its authors found the flaw.

use std::sync::{Mutex, PoisonError};

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::hadamard;

use crate::draws::{Draws, Purpose};
use crate::rows::Rows;
use crate::tiles::{self, Tile};

/// Rows that are transformed together: with 16 columns half a megabyte.
const BLOCK: usize = 4096;

/// See the page.
pub fn sketch(
    rows: &dyn Rows,
    block: Option<usize>,
    size: usize,
    draws: Draws,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, d) = (rows.rows(), rows.columns());
    let plan = match block {
        None => Plan::global(n, size, draws)?,
        Some(block) => Plan::blocked(n, block, size, draws)?,
    };
    // All tiles of a block before the next block, which they find in the last cache.
    let mut tiles = tiles::begin(d, tiles::width(d), size, 0)?;
    // One for each thread that is at work, so that it stays in cache.
    let rooms: Mutex<Vec<Vec<f64>>> = Mutex::default();
    let team = team.for_work(plan.block.min(n) * (plan.block.ilog2() as usize + 4) / 4 * d);
    let mut signs = vec![0.0; plan.block];
    for (k, first) in (0..n).step_by(plan.block).enumerate() {
        let count = plan.block.min(n - first);
        draws.signs(first, &mut signs[..count]);
        let (places, factors, share) = plan.of_block(k);
        let done = team.run(stop, tiles.iter_mut().collect(), |tile: &mut Tile| {
            stop.poll()?;
            let width = tile.columns.len();
            let spare = rooms.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut room = spare.unwrap_or_default();
            room.resize(plan.block * width, 0.0);
            match rows.lines(first, count) {
                Some(lines) if count == plan.block && count >= 4 => {
                    let start = tile.columns.start;
                    hadamard::transform_signed(lines, d, start, &signs, &mut room, width);
                }
                _ => {
                    let (filled, padding) = room.split_at_mut(count * width);
                    rows.fill(first, tile.columns.clone(), filled);
                    for (row, sign) in filled.chunks_exact_mut(width).zip(&signs) {
                        row.iter_mut().for_each(|v| *v *= sign);
                    }
                    padding.fill(0.0);
                    hadamard::transform(&mut room, width);
                }
            }
            let out = &mut tile.out[share.start * width..share.end * width];
            hadamard::gather(&room, width, places, &factors, out);
            rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
            Ok(())
        })?;
        done.into_iter().collect::<Result<(), Error>>()?;
    }
    tiles::together(&tiles, d, size)
}

/// Which rows of the transform are kept.
struct Plan {
    block: usize,
    size: usize,
    blocks: usize,
    /// For each row of the sketch q, and p where all rows are transformed together.
    places: Vec<u32>,
    high: Option<Vec<usize>>,
}

impl Plan {
    fn global(n: usize, size: usize, draws: Draws) -> Result<Plan, Error> {
        let padded = n.next_power_of_two();
        if size > padded {
            let message = format!("is {size}: needs at most {padded} rows for {n} rows of A");
            return Err(Error::invalid("size", message));
        }
        let block = BLOCK.min(padded);
        let sample = draws.stream(Purpose::Sample, 0).sample(padded, size);
        Ok(Plan {
            block,
            size,
            blocks: n.div_ceil(block),
            places: sample.iter().map(|i| (i % block) as u32).collect(),
            high: Some(sample.iter().map(|i| i / block).collect()),
        })
    }

    fn blocked(n: usize, block: usize, size: usize, draws: Draws) -> Result<Plan, Error> {
        let blocks = n.div_ceil(block);
        if size < blocks || size.div_ceil(blocks) > block {
            let message = format!(
                "is {size}: needs {blocks} to {} rows for {blocks} blocks of {block}",
                blocks * block
            );
            return Err(Error::invalid("size", message));
        }
        let mut plan = Plan { block, size, blocks, places: vec![], high: None };
        for k in 0..blocks {
            let count = plan.share(k).len();
            let sample = draws.stream(Purpose::Sample, k as u64 + 1).sample(block, count);
            plan.places.extend(sample.iter().map(|i| *i as u32));
        }
        Ok(plan)
    }

    /// The rows of the sketch that a block has for itself.
    fn share(&self, k: usize) -> std::ops::Range<usize> {
        k * self.size / self.blocks..(k + 1) * self.size / self.blocks
    }

    /// Which rows of a transformed block are added, with which factors, to which rows of the sketch.
    fn of_block(&self, k: usize) -> (&[u32], Vec<f64>, std::ops::Range<usize>) {
        match &self.high {
            Some(high) => {
                let scale = 1.0 / (self.size as f64).sqrt();
                let sign =
                    |p: &usize| if (p & k).count_ones().is_multiple_of(2) { scale } else { -scale };
                (&self.places, high.iter().map(sign).collect(), 0..self.size)
            }
            None => {
                let share = self.share(k);
                let scale = 1.0 / (share.len() as f64).sqrt();
                (&self.places[share.clone()], vec![scale; share.len()], share)
            }
        }
    }
}

//! Passes over the rows of a matrix by tiles of columns, one thread to a tile.
//!
//! A tile has its own part of the sketch, in cache, and sees all rows in their order: nothing is added
//! up across threads, and the result has the same bits for any number of them.

use std::ops::Range;

use sparrot_foundation::{Error, Stop, Team, memory};

/// Columns of a tile: two cache lines of f64; one where there are few columns.
pub fn width(columns: usize) -> usize {
    if columns >= 64 { 16 } else { 8 }
}

/// Calls `work` for each tile of at most `width` columns, of which each costs so many nanoseconds; it
/// returns the sketch of its columns, row-major. Puts them together.
pub fn run(
    columns: usize,
    width: usize,
    size: usize,
    nanoseconds: usize,
    team: &Team,
    stop: &Stop<'_>,
    work: impl Fn(Range<usize>) -> Result<Vec<f64>, Error> + Sync,
) -> Result<Vec<f64>, Error> {
    let mut all: Vec<f64> = memory::zeros("the sketch", size, columns)?;
    let tiles: Vec<Range<usize>> =
        (0..columns).step_by(width).map(|first| first..(first + width).min(columns)).collect();
    let parts = team
        .for_work(nanoseconds.saturating_mul(columns))
        .run(stop, tiles, |tile| work(tile.clone()).map(|part| (tile, part)))?;
    for part in parts {
        let (tile, part) = part?;
        for (row, part) in all.chunks_exact_mut(columns).zip(part.chunks_exact(tile.len())) {
            row[tile.clone()].copy_from_slice(part);
        }
    }
    Ok(all)
}

/// A tile that is worked on by blocks of rows, with its part of the sketch and room for a block.
pub struct Tile {
    /// Its columns.
    pub columns: Range<usize>,
    /// Its part of the sketch, row-major.
    pub out: Vec<f64>,
    /// Room for rows of its columns.
    pub room: Vec<f64>,
}

/// Tiles of at most `width` columns, for a sketch of that size, with room for so many rows.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn begin(columns: usize, width: usize, size: usize, rows: usize) -> Result<Vec<Tile>, Error> {
    let mut tiles = Vec::new();
    for first in (0..columns).step_by(width) {
        let columns = first..(first + width).min(columns);
        let out = memory::zeros("the sketch", size, columns.len())?;
        let room = memory::zeros("rows of a sketch", rows, columns.len())?;
        tiles.push(Tile { columns, out, room });
    }
    Ok(tiles)
}

/// Their parts, put together.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn together(tiles: &[Tile], columns: usize, size: usize) -> Result<Vec<f64>, Error> {
    let mut all: Vec<f64> = memory::zeros("the sketch", size, columns)?;
    for tile in tiles {
        let parts = tile.out.chunks_exact(tile.columns.len());
        for (row, part) in all.chunks_exact_mut(columns).zip(parts) {
            row[tile.columns.clone()].copy_from_slice(part);
        }
    }
    Ok(all)
}

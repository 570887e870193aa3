//! Sparse sign sketches and CountSketch: each row of A is added to a few rows of the sketch.
//!
//! Stacks of CountSketches (Kane and Nelson, "Sparser Johnson-Lindenstrauss transforms", 2014; that
//! constant factors need few: Camano, Epperly, Meyer and Tropp, arXiv 2508.21189): row i goes to one
//! place in each share of the rows of S, with sign and factor `z^-1/2`. One pass over the data and z
//! additions for each entry, stored entries only where A is sparse.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::hadamard;

use crate::draws::Draws;
use crate::rows::{Rows, SparseRows};
use crate::tiles::{self, Tile};

/// Rows that are read at a time.
const BLOCK: usize = 256;
/// Rows whose places are drawn together.
const TOGETHER: usize = 8 * BLOCK;
/// Numbers of a tile of the sketch: what a second cache holds beside the rows.
const IN_CACHE: usize = 1 << 16;
/// Columns of a tile, at least and at most.
const NARROW: usize = 32;
const WIDE: usize = 512;

/// See the page.
pub fn sketch(
    rows: &dyn Rows,
    nonzeros: usize,
    size: usize,
    draws: Draws,
    start: usize,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, d) = (rows.rows(), rows.columns());
    if size < nonzeros {
        let message = format!("is {size}: needs at least the {nonzeros} nonzeros of a column");
        return Err(Error::invalid("size", message));
    }
    let scale = 1.0 / (nonzeros as f64).sqrt();
    if let Some(sparse) = rows.sparse() {
        // All columns at once: the entries of a row are few.
        return tiles::run(d, d.max(1), size, 0, team, stop, |tile| {
            sparse_sketch(sparse, n, tile.len(), nonzeros, size, scale, draws, start, stop)
        });
    }
    // Tiles of columns whose sketch is in cache, a few for each thread; what is drawn for some rows
    // serves all of them.
    let threads = team.threads();
    let fair = d.div_ceil(threads).next_multiple_of(NARROW);
    let width = (IN_CACHE / size).clamp(NARROW, WIDE).next_multiple_of(NARROW).min(fair);
    let mut tiles = tiles::begin(d, width, size, BLOCK)?;
    let team = team.for_work(n.min(TOGETHER) * (nonzeros + 2) * d / 8);
    let (mut places, mut factors) = (vec![0; TOGETHER * nonzeros], vec![0.0; TOGETHER * nonzeros]);
    for first in (0..n).step_by(TOGETHER) {
        let count = TOGETHER.min(n - first);
        let lines = places.chunks_exact_mut(nonzeros).zip(factors.chunks_exact_mut(nonzeros));
        for (i, (places, factors)) in lines.take(count).enumerate() {
            draws.places(start + first + i, size, places, factors);
            factors.iter_mut().for_each(|f| *f *= scale);
        }
        let (places, factors) = (&places[..count * nonzeros], &factors[..count * nonzeros]);
        let done = team.run(stop, tiles.iter_mut().collect(), |tile: &mut Tile| {
            let (columns, width) = (tile.columns.clone(), tile.columns.len());
            let blocks = places.chunks(BLOCK * nonzeros).zip(factors.chunks(BLOCK * nonzeros));
            for (k, (places, factors)) in blocks.enumerate() {
                stop.poll()?;
                let (top, count) = (first + k * BLOCK, places.len() / nonzeros);
                let (x, stride) = match rows.lines(top, count) {
                    Some(lines) => (&lines[columns.start..], d),
                    None => {
                        let block = &mut tile.room[..count * width];
                        rows.fill(top, columns.clone(), block);
                        (&*block, width)
                    }
                };
                hadamard::scatter(x, stride, width, nonzeros, places, factors, &mut tile.out);
            }
            Ok(())
        })?;
        done.into_iter().collect::<Result<(), Error>>()?;
    }
    tiles::together(&tiles, d, size)
}

#[allow(clippy::too_many_arguments, reason = "the shape of the sketch and who makes it")]
fn sparse_sketch(
    rows: SparseRows<'_>,
    n: usize,
    d: usize,
    nonzeros: usize,
    size: usize,
    scale: f64,
    draws: Draws,
    start: usize,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let mut out = vec![0.0; size * d];
    let (mut places, mut factors) = (vec![0; nonzeros], vec![0.0; nonzeros]);
    for i in 0..n {
        if i % BLOCK == 0 {
            stop.poll()?;
        }
        draws.places(start + i, size, &mut places, &mut factors);
        for (place, factor) in places.iter().zip(&factors) {
            let out = &mut out[*place as usize * d..(*place as usize + 1) * d];
            rows.for_row(i, |j, v| out[j] += factor * scale * v);
        }
    }
    Ok(out)
}

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
use crate::tiles;

/// Rows that are read at a time.
const BLOCK: usize = 512;

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
    // Wide tiles: what is drawn for a row is drawn again for each.
    let width = 4 * tiles::width(d);
    tiles::run(d, width, size, n * (nonzeros + 2), team, stop, |tile| {
        let width = tile.len();
        let mut out = vec![0.0; size * width];
        let mut room = vec![0.0; BLOCK * width];
        let (mut places, mut factors) = (vec![0; BLOCK * nonzeros], vec![0.0; BLOCK * nonzeros]);
        for first in (0..n).step_by(BLOCK) {
            stop.poll()?;
            let count = BLOCK.min(n - first);
            let block = &mut room[..count * width];
            rows.fill(first, tile.clone(), block);
            let lines = places.chunks_exact_mut(nonzeros).zip(factors.chunks_exact_mut(nonzeros));
            for (i, (places, factors)) in lines.take(count).enumerate() {
                draws.places(start + first + i, size, places, factors);
                factors.iter_mut().for_each(|f| *f *= scale);
            }
            hadamard::scatter(block, width, nonzeros, &places, &factors, &mut out);
        }
        Ok(out)
    })
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

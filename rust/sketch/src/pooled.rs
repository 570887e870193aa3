//! The balanced Gaussian-pooled transform.
//!
//! ```text
//! S = B G Pi F D J        J fills up to N rows, D signs, F = N^-1/2 H, Pi a random order,
//!                         G normal numbers, B sums of m runs of N / m rows
//! ```
//!
//! Z. Song and L. Zhang, "Hadamard flattening and Gaussian pooling sketch for least squares with
//! coordinate-wise guarantee" (2026), theorem 10.1: the solution of the sketched least squares problem
//! is as near as eps / sqrt(d) in all coordinates, relative to `|Ax - b| |A^+|`, with probability
//! 1 - delta, for m = O(eps^-2 d log(d / delta)) and N of the order of n + eps^-2 d^3 up to logarithms;
//! constants are not given. Given what comes before G the rows of S are independent and Gaussian. `E[S'S] = I`
//! as it is. Their runs have one length; where m does not divide N ours differ by one row.
//!
//! Every row of the transform is used, so a tile of columns is held whole: N numbers for each of its
//! 8 columns and each thread, and 4 bytes for each row for the order.

use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::hadamard;

use crate::draws::{Draws, Purpose};
use crate::rows::Rows;
use crate::tiles;

/// Columns of a tile.
const WIDTH: usize = 8;
/// Rows that are transformed in cache.
const BLOCK: usize = 8192;
/// Values of a row of blocks that are transformed across them at a time.
const STRIP: usize = 128;

/// See the page.
pub fn sketch(
    rows: &dyn Rows,
    padded: Option<usize>,
    size: usize,
    draws: Draws,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, d) = (rows.rows(), rows.columns());
    let padded = padded.unwrap_or(n.next_power_of_two());
    if size > padded {
        let message = format!("is {size}: needs at most {padded} rows for {n} rows of A");
        return Err(Error::invalid("size", message));
    }
    if padded > u32::MAX as usize {
        return Err(Error::invalid("A", format!("has {n} rows: bgpt takes up to 2^31")));
    }
    memory::check("a tile of bgpt", padded, WIDTH)?;
    let mut order: Vec<u32> = (0..padded as u32).collect();
    draws.stream(Purpose::Order, 0).shuffle_first(&mut order, padded);
    let order = &order;
    tiles::run(d, WIDTH, size, 20 * padded, team, stop, |tile| {
        let width = tile.len();
        let mut room: Vec<f64> = memory::zeros("a tile of bgpt", padded, width)?;
        let mut signs = vec![0.0; BLOCK];
        for (k, part) in room[..n * width].chunks_mut(BLOCK * width).enumerate() {
            stop.poll()?;
            rows.fill(k * BLOCK, tile.clone(), part);
            draws.signs(k * BLOCK, &mut signs);
            for (row, sign) in part.chunks_exact_mut(width).zip(&signs) {
                row.iter_mut().for_each(|v| *v *= sign);
            }
        }
        transform(&mut room, width, stop)?;
        let scale = 1.0 / (padded as f64).sqrt();
        let mut out = vec![0.0; size * width];
        for (group, out) in out.chunks_exact_mut(width).enumerate() {
            stop.poll()?;
            let run = group * padded / size..(group + 1) * padded / size;
            for place in run {
                let factor = scale * draws.normals(place / 4, 0)[place % 4];
                let start = order[place] as usize * width;
                let row = &room[start..start + width];
                out.iter_mut().zip(row).for_each(|(o, v)| *o += factor * v);
            }
        }
        Ok(out)
    })
}

/// The transform of many rows: blocks in cache, then across the blocks by strips.
fn transform(x: &mut [f64], width: usize, stop: &Stop<'_>) -> Result<(), Error> {
    let span = BLOCK * width;
    if x.len() <= span {
        hadamard::transform(x, width);
        return Ok(());
    }
    for block in x.chunks_exact_mut(span) {
        stop.poll()?;
        hadamard::transform(block, width);
    }
    let mut strip = vec![0.0; x.len() / span * STRIP];
    for first in (0..span).step_by(STRIP) {
        stop.poll()?;
        // BLOCK is a multiple of STRIP, so that strips are whole.
        for (strip, block) in strip.chunks_exact_mut(STRIP).zip(x.chunks_exact(span)) {
            strip.copy_from_slice(&block[first..first + STRIP]);
        }
        hadamard::transform(&mut strip, STRIP);
        for (strip, block) in strip.chunks_exact(STRIP).zip(x.chunks_exact_mut(span)) {
            block[first..first + STRIP].copy_from_slice(strip);
        }
    }
    Ok(())
}

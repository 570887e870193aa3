//! Independent normal numbers: the sketch by which others are judged. m n d operations.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use sparrot_foundation::{Error, Stop, Team, memory};

use crate::draws::Draws;
use crate::rows::Rows;

/// Rows of A that are multiplied at a time.
const BLOCK: usize = 256;
/// Rows of the sketch that a thread makes at a time; a multiple of 4.
const LINES: usize = 128;

/// Entry (s, i) of S is `m^-1/2` times normal number `s % 4` of the counter `[i, s / 4]`.
pub fn sketch(
    rows: &dyn Rows,
    size: usize,
    draws: Draws,
    start: usize,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, d) = (rows.rows(), rows.columns());
    let mut all: Vec<f64> = memory::zeros("the sketch", size, d)?;
    let scale = 1.0 / (size as f64).sqrt();
    let items: Vec<(usize, &mut [f64])> = all.chunks_mut(LINES * d).enumerate().collect();
    let done = team.for_work(size * n * (10 + d / 8)).run(stop, items, |(k, out)| {
        let (top, count) = (k * LINES, out.len() / d);
        let mut block = vec![0.0; BLOCK * d];
        let mut normals = vec![0.0; count.next_multiple_of(4) * BLOCK];
        for first in (0..n).step_by(BLOCK) {
            stop.poll()?;
            let height = BLOCK.min(n - first);
            let block = &mut block[..height * d];
            rows.fill(first, 0..d, block);
            for i in 0..height {
                let column = &mut normals[i * count.next_multiple_of(4)..];
                for (q, four) in column[..count.next_multiple_of(4)].chunks_exact_mut(4).enumerate()
                {
                    four.copy_from_slice(&draws.normals(start + first + i, top / 4 + q));
                }
            }
            let padded = count.next_multiple_of(4);
            let s = MatRef::from_column_major_slice(&normals[..padded * height], padded, height);
            let a = MatRef::from_row_major_slice(block, height, d);
            let out = MatMut::from_row_major_slice_mut(out, count, d);
            matmul(out, Accum::Add, s.subrows(0, count), a, scale, Par::Seq);
        }
        Ok(())
    })?;
    done.into_iter().collect::<Result<(), Error>>()?;
    Ok(all)
}

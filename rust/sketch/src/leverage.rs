//! Leverage scores: the diagonal of the projection onto the columns of A.
//!
//! `l_i = |L^-1 X'a_i|^2` with X from a sketch and `L L' = (A X)'(A X)`: two passes of products. Or, with
//! k random directions, `|G' L^-1 X'a_i|^2 / k` for a normal matrix G: in n d k operations instead of
//! n d^2, each right to a factor of `1 +- eps` for `k = 12 log(2 n / delta) / eps^2` (Drineas, Magdon-Ismail,
//! Mahoney and Woodruff, JMLR 2012).

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use sparrot_foundation::{Error, Stop, Team, memory};

use crate::draws::Draws;
use crate::model::{BLOCK, Problem, Shifted};
use crate::rows::Rows;
use crate::solve::Settings;
use crate::start::{conditioned, start};

/// Blocks of rows that a thread takes at a time.
const TOGETHER: usize = 16;

/// A score for each row; of `problem` without its right-hand side. With so many random directions, or
/// exactly.
///
/// # Errors
/// As [`crate::solve()`].
pub fn leverage_scores(
    problem: Problem<'_>,
    directions: Option<usize>,
    settings: &Settings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let rows = Shifted::new(problem, team, stop)?;
    let first = start(&rows, settings, team, stop)?.by;
    let (p, r) = (rows.columns(), first.rank());
    let certificate = conditioned(&rows, first, team, stop)?.certificate;
    if !certificate.is_definite {
        let message = "has columns that depend on each other but for rounding: raise rcond";
        return Err(Error::invalid("A", message));
    }
    let z = certificate.orthonormalised(stop)?;
    let z = match directions {
        None => z,
        Some(count) => {
            let draws = Draws { seed: settings.seed };
            let scale = 1.0 / (count as f64).sqrt();
            let normal = Mat::from_fn(r, count, |i, j| scale * draws.normals(i, j / 4)[j % 4]);
            z * normal
        }
    };
    let (n, k) = (rows.rows(), z.ncols());
    let mut scores: Vec<f64> = memory::zeros("the scores", n, 1)?;
    let items: Vec<(usize, &mut [f64])> = scores.chunks_mut(BLOCK * TOGETHER).enumerate().collect();
    let done = team.for_work(n * (p * k / 8 + p)).run(stop, items, |(q, scores)| {
        let (mut room, mut product) = (vec![0.0; BLOCK * p], vec![0.0; BLOCK * k]);
        for (b, scores) in scores.chunks_mut(BLOCK).enumerate() {
            stop.poll()?;
            let count = scores.len();
            let (block, y) = (&mut room[..count * p], &mut product[..count * k]);
            rows.fill((q * TOGETHER + b) * BLOCK, 0..p, block);
            if k > 0 {
                let a = MatRef::from_row_major_slice(block, count, p);
                let out = MatMut::from_row_major_slice_mut(y, count, k);
                matmul(out, Accum::Replace, a, z.as_ref(), 1.0, Par::Seq);
                for (score, y) in scores.iter_mut().zip(y.chunks_exact(k)) {
                    *score = y.iter().map(|v| v * v).sum();
                }
            }
        }
        Ok(())
    })?;
    done.into_iter().collect::<Result<(), Error>>()?;
    if directions.is_none() {
        scores.iter_mut().for_each(|s| *s = s.min(1.0)); // what is more is rounding
    }
    Ok(scores)
}

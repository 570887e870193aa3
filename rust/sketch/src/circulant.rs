//! The subsampled circulant transform with random signs.
//!
//! ```text
//! S = m^-1/2 P C D J        J fills up to N rows, D signs, C_ki = g_(k - i mod N) with g signs,
//!                           P m of the rows of C
//! ```
//!
//! N is the smallest number at least n that has no prime factors but 2, 3 and 5. C is the circulant
//! matrix of that size, of which A meets the first n columns: the rows that are missing are zeros, so
//! that what wraps around is part of the definition and no error.
//!
//! The entries of g are signs, as in Hinrichs and Vybiral, "Johnson-Lindenstrauss lemma for circulant
//! matrices" (2011, arXiv 1001.4919), who also allow normal numbers: with signs the columns of S have
//! norm 1 exactly. What is known: `m = O(eps^-2 k log^2 k log^2 n)` of any rows of C give restricted
//! isometries of order k (Krahmer, Mendelson and Rauhut, "Suprema of chaos processes and the
//! restricted isometry property", CPAM 2014, arXiv 1207.0235), and with them, by the signs D,
//! embeddings of `exp(k)` points (Krahmer and Ward, SIAM J. Math. Anal. 2011, arXiv 1009.0744): with k of
//! the order of d of the d-dimensional range of A. We know of no proof that the solution of the sketched
//! least squares problem is near in each coordinate; by experiment it is as near as for a Gaussian S.
//!
//! P is a uniform sample, not the first rows, as neighbouring rows see rows of A that are close to each
//! other nearly alike. Cost: a Fourier transform of each column and half the way back
//! ([`crate::cyclic`]), `O(n d log n)`. Memory: N numbers for each of the 8 columns that a thread takes
//! at a time.

use sparrot_foundation::{Error, Stop, Team};

use crate::cyclic::{Cyclic, good_length};
use crate::draws::{Draws, Purpose};
use crate::rows::Rows;
use crate::tiles;

/// Columns of a tile.
const WIDTH: usize = 8;

/// See the page.
pub fn sketch(
    rows: &dyn Rows,
    size: usize,
    draws: Draws,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, d) = (rows.rows(), rows.columns());
    let length = good_length(n);
    if size > length {
        let message = format!("is {size}: needs at most {length} rows for {n} rows of A");
        return Err(Error::invalid("size", message));
    }
    let plan = Cyclic::new(length);
    plan.check(WIDTH + 1)?;
    let mut kernel = plan.transform(1, |first, out| draws.generator(first, out), stop)?;
    kernel.scale(1.0 / (length as f64 * (size as f64).sqrt()));
    let places = draws.stream(Purpose::Sample, 0).sample(length, size);
    tiles::run(d, WIDTH, size, 10 * length, team, stop, |tile| {
        let width = tile.len();
        let fill = |first: usize, out: &mut [f64]| {
            let count = (out.len() / width).min(n.saturating_sub(first));
            let (filled, padding) = out.split_at_mut(count * width);
            padding.fill(0.0);
            if count > 0 {
                rows.fill(first, tile.clone(), filled);
                draws.apply_signs(first, width, filled);
            }
        };
        let x = plan.transform(width, fill, stop)?;
        plan.convolve(x, &kernel, &places, stop)
    })
}

//! The kinds of sketches, and one call for all.

use sparrot_foundation::{Error, Stop, Team};

use crate::draws::Draws;
use crate::rows::{Rows, not_finite};
use crate::{circulant, gaussian, pooled, scattered, srht};

/// A random matrix S with `E[S'S] = I`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Random signs, a Hadamard transform, a sample of its rows. Of all rows together, or of each
    /// block of so many (a power of 2) on its own.
    Srht {
        /// Rows of a block.
        block: Option<usize>,
    },
    /// The balanced Gaussian-pooled transform: random signs, a Hadamard transform, sums of its rows in
    /// random groups of one size, with normal weights. Of so many rows, those missing being 0.
    Pooled {
        /// A power of 2, at least the number of rows.
        padded: Option<usize>,
    },
    /// Random signs, a circulant matrix of random signs, a sample of its rows.
    Circulant,
    /// Independent normal numbers.
    Gaussian,
    /// So many entries +-1 in each column of S, one in each of as many shares of its rows; with one
    /// it is CountSketch.
    SparseSign {
        /// How many.
        nonzeros: usize,
    },
}

/// `S A`: row-major, `size` rows. Of a part of the rows of a matrix that begins with row `first`, for
/// the kinds whose columns are independent: the sketches of all parts add up to that of the matrix.
///
/// # Errors
/// [`Error::InvalidInput`] names an entry that is not finite, or says what the size must be;
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn sketch(
    rows: &dyn Rows,
    kind: Kind,
    size: usize,
    seed: u64,
    first: usize,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let draws = Draws { seed };
    if first > 0 && matches!(kind, Kind::Srht { .. } | Kind::Pooled { .. } | Kind::Circulant) {
        return Err(Error::invalid("kind", "mixes all rows: parts of them cannot be added up"));
    }
    let result = match kind {
        Kind::Srht { block } => srht::sketch(rows, block, size, draws, team, stop)?,
        Kind::Pooled { padded } => pooled::sketch(rows, padded, size, draws, team, stop)?,
        Kind::Circulant => circulant::sketch(rows, size, draws, team, stop)?,
        Kind::Gaussian => gaussian::sketch(rows, size, draws, first, team, stop)?,
        Kind::SparseSign { nonzeros } => {
            scattered::sketch(rows, nonzeros, size, draws, first, team, stop)?
        }
    };
    // Each entry of A has its part in some entry of the sketch.
    if result.iter().all(|v| v.is_finite()) { Ok(result) } else { Err(not_finite(rows, "A")) }
}

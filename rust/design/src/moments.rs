//! What one pass over the data finds out about each column.

use std::ops::Range;

use sparrot_foundation::{Error, Stop, Team};

use crate::{CHUNK, Design, Element};

/// What one pass finds out about a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Its product with the vector given.
    pub product: f64,
    /// Its weighted mean.
    pub mean: f64,
    /// Its weighted sum of squares about the mean.
    pub squares: f64,
}

/// Below this share of the squares about 0 those about the mean have lost digits,
const CANCELLED: f64 = 1e-4;
/// and below this they are rounding: the column is constant.
const ROUNDING: f64 = 1e-28;
/// Squares below this have lost digits to underflow.
const TINY: f64 = 1e-280;

impl<T: Element> Design<'_, T> {
    /// The product with v, the weighted mean and the weighted sum of squares about it of every
    /// column, in one pass; without weights' mean (`centred` false) the mean is 0. A dense column is
    /// shifted by its first entry that has a weight, so that a large mean costs no digits of its
    /// squares; a sparse one whose mean is large is read again.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::InvalidInput`] names an entry that is not finite, or a column
    /// whose squares cannot be told.
    pub fn moments(
        &self,
        v: &[f64],
        w: &[f64],
        centred: bool,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<Moments>, Error> {
        let total: f64 = w.iter().sum();
        let first = w.iter().position(|w| *w > 0.0).unwrap_or(0);
        // Of a column, by its sums.
        let one = |i: usize, (shift, [mut product, sum, squares]): (f64, [f64; 3])| {
            if !squares.is_finite() || (squares < TINY && !self.is_constant(i, w, centred)) {
                return Moments { product, mean: 0.0, squares: f64::NAN };
            }
            if !centred {
                return Moments { product, mean: 0.0, squares };
            }
            let mean = shift + sum / total;
            let mut about = (squares - sum * (sum / total)).max(0.0);
            if self.is_sparse() && about < CANCELLED * squares {
                about = self.squares_about(i, mean, w, total);
                if self.is_full(i) {
                    // v sums to 0, but products with a large mean do not.
                    product = 0.0;
                    self.for_column(i, |j, x| product += (x - mean) * v[j]);
                }
            }
            Moments { product, mean, squares: if about < ROUNDING * squares { 0.0 } else { about } }
        };
        let at_once = match self {
            Design::Rows(grid) => grid.strip(team.threads()),
            _ => CHUNK.div_ceil(self.entries() / self.columns().max(1) + 1),
        };
        let starts: Vec<usize> = (0..self.columns()).step_by(at_once).collect();
        let found = team.for_work(2 * self.entries()).run(stop, starts, |start| {
            let strip = start..(start + at_once).min(self.columns());
            let sums = self.sums(strip.clone(), (v, w), centred.then_some(first));
            strip.zip(sums).map(|(i, sums)| one(i, sums)).collect::<Vec<_>>()
        })?;
        let all: Vec<Moments> = found.concat();
        match all.iter().position(|m| !(m.product.is_finite() && m.squares.is_finite())) {
            None => Ok(all),
            Some(i) => Err(self.not_finite(i)),
        }
    }

    /// Of each of these columns a shift, which is 0 or its entry in a row, and the sums of
    /// [`Element::moments`].
    fn sums(
        &self,
        strip: Range<usize>,
        (v, w): (&[f64], &[f64]),
        shift_row: Option<usize>,
    ) -> Vec<(f64, [f64; 3])> {
        match self {
            Design::Dense(columns) => {
                let of = |column: &&[T]| {
                    let shift = shift_row.map_or(0.0, |i| column[i].to_f64());
                    (shift, T::moments(shift, column, v, w))
                };
                columns[strip].iter().map(of).collect()
            }
            Design::Rows(grid) => grid.moments(strip, (v, w), shift_row),
            Design::Sparse(..) => {
                let of = |i: usize| {
                    let mut sums = [0.0; 3];
                    self.for_column(i, |j, x| {
                        sums[0] += x * v[j];
                        sums[1] += x * w[j];
                        sums[2] += x * w[j] * x;
                    });
                    (0.0, sums)
                };
                strip.map(of).collect()
            }
        }
    }

    /// The weighted sum of squares about the mean of a sparse column, without cancellation.
    fn squares_about(&self, i: usize, mean: f64, w: &[f64], total: f64) -> f64 {
        let (mut sum, mut rest) = (0.0, total);
        self.for_column(i, |j, x| {
            sum += w[j] * (x - mean) * (x - mean);
            rest -= w[j];
        });
        // The rows without an entry have the value 0; if there are none, the rest is rounding.
        let is_full = rest <= 1e-12 * total;
        sum + if is_full { 0.0 } else { rest * mean * mean }
    }

    /// Whether the entries of a column that have a weight are equal, and 0 unless it is centred.
    fn is_constant(&self, i: usize, w: &[f64], centred: bool) -> bool {
        let (mut value, mut is_constant, mut entries) = (None, true, 0);
        self.for_column(i, |j, x| {
            if w[j] > 0.0 {
                entries += 1;
                is_constant &= *value.get_or_insert(x) == x && (centred || x == 0.0);
            }
        });
        let rows = || w.iter().filter(|w| **w > 0.0).count();
        is_constant && (value.is_none_or(|v| v == 0.0) || entries == rows())
    }

    fn not_finite(&self, i: usize) -> Error {
        let mut found = None;
        self.for_column(i, |j, x| {
            if !x.is_finite() {
                found.get_or_insert((j, x));
            }
        });
        Error::invalid(
            "X",
            match found {
                Some((j, x)) => format!("contains {x} at index ({j}, {i}): needs finite values"),
                None => format!("has a column, {i}, whose squares over- or underflow: scale it"),
            },
        )
    }
}

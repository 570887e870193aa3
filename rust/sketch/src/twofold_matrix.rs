//! Small matrices to twice the working precision: products, and the triangular factor of a symmetric
//! matrix that is positive semidefinite only just.

use faer::Mat;
use sparrot_foundation::{Error, Stop};
use sparrot_simd::gram::{self, RUN, TILE};
use sparrot_simd::twofold::{multiple, sum, two_product, two_sum};

/// A matrix of unevaluated sums `high + low`.
pub struct TwofoldMatrix {
    /// Rounded.
    pub high: Mat<f64>,
    /// The rest.
    pub low: Mat<f64>,
}

impl TwofoldMatrix {
    /// By its entries.
    pub fn from_fn(rows: usize, columns: usize, f: impl Fn(usize, usize) -> (f64, f64)) -> Self {
        let high = Mat::from_fn(rows, columns, |i, j| f(i, j).0);
        let low = Mat::from_fn(rows, columns, |i, j| f(i, j).1);
        TwofoldMatrix { high, low }
    }

    /// An entry.
    pub fn at(&self, i: usize, j: usize) -> (f64, f64) {
        (self.high[(i, j)], self.low[(i, j)])
    }

    /// `a' M`; an entry is wrong by at most [`product_error`] of the norms of the columns of a and M.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn after(&self, a: &Mat<f64>, stop: &Stop<'_>) -> Result<TwofoldMatrix, Error> {
        let rows = a.nrows().next_multiple_of(RUN);
        let (a, b, low) = (tiles(a, rows), tiles(&self.high, rows), tiles(&self.low, rows));
        let (a_seeds, b_seeds) = (seeds(&a), seeds(&b));
        let mut blocks = vec![];
        for (a, a_seeds) in a.iter().zip(&a_seeds) {
            stop.poll()?;
            for ((b, b_seeds), low) in b.iter().zip(&b_seeds).zip(&low) {
                let mut sums = [[0.0; TILE * TILE]; 2];
                let [high, rest] = &mut sums;
                gram::products(a, a_seeds, b, Some(low), b_seeds, high, rest, &[]);
                blocks.push(sums);
            }
        }
        let entry = |i: usize, j: usize| {
            let [high, low] = &blocks[i / TILE * b.len() + j / TILE];
            let place = i % TILE * TILE + j % TILE;
            (high[place], low[place])
        };
        Ok(TwofoldMatrix::from_fn(a_seeds.len() * TILE, b.len() * TILE, entry))
    }

    /// The upper left part.
    pub fn top(self, rows: usize, columns: usize) -> TwofoldMatrix {
        let cut = |m: Mat<f64>| m.get(0..rows, 0..columns).to_owned();
        TwofoldMatrix { high: cut(self.high), low: cut(self.low) }
    }
}

/// Of [`TwofoldMatrix::after`], in units of `2^-106`.
pub fn product_error(rows: usize) -> f64 {
    gram::error(rows, true)
}

/// Columns by tiles, filled up with zeros.
fn tiles(m: &Mat<f64>, rows: usize) -> Vec<Vec<f64>> {
    let tile = |first: usize| {
        let mut tile = vec![0.0; rows * TILE];
        for j in first..(first + TILE).min(m.ncols()) {
            for i in 0..m.nrows() {
                tile[i * TILE + j - first] = m[(i, j)];
            }
        }
        tile
    };
    (0..m.ncols()).step_by(TILE).map(tile).collect()
}

fn seeds(tiles: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let of = |tile: &Vec<f64>| {
        let mut seeds = vec![0.0; tile.len() / RUN];
        gram::bounds(tile, &mut seeds, &mut [0.0; TILE]);
        seeds
    };
    tiles.iter().map(of).collect()
}

/// `G = T'T` with T upper trapezoidal in the order of its pivots.
pub struct Factor {
    /// T, columns in the order of G, of as many rows as independent columns were found.
    pub t: Mat<f64>,
    /// The columns in which pivots were found, then the others.
    pub order: Vec<usize>,
    /// What was left of the diagonal after the columns that were to be first.
    pub left: Vec<f64>,
}

/// Factors a symmetric matrix with pivots of at least `least(left_j)` of column j, `left_j` what was left
/// of it after the first `leading` columns, which are pivots whatever they are. a^3 / 3 twofold
/// operations.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn factor(
    g: &TwofoldMatrix,
    leading: &[usize],
    least: impl Fn(f64) -> f64,
    stop: &Stop<'_>,
) -> Result<Factor, Error> {
    let a = g.high.nrows();
    // Rows of the upper triangle, those and columns in the order of the pivots.
    let mut high: Vec<Vec<f64>> =
        (0..a).map(|i| (0..a).map(|j| g.high[(i, j)]).collect()).collect();
    let mut low: Vec<Vec<f64>> = (0..a).map(|i| (0..a).map(|j| g.low[(i, j)]).collect()).collect();
    let mut order: Vec<usize> = (0..a).collect();
    let mut left: Vec<f64> = (0..a).map(|j| g.high[(j, j)]).collect();
    let mut rank = 0;
    while rank < a {
        stop.poll()?;
        let share = |place: &usize| high[*place][*place] / left[order[*place]];
        let pivot = match leading.get(rank) {
            Some(column) => (rank..a).find(|place| order[*place] == *column),
            None => (rank..a)
                .filter(|place| high[*place][*place] > least(left[order[*place]]))
                .max_by(|i, j| share(i).total_cmp(&share(j))),
        };
        let Some(pivot) = pivot.filter(|place| high[*place][*place] > 0.0) else { break };
        for parts in [&mut high, &mut low] {
            exchange(parts, rank, pivot);
        }
        order.swap(rank, pivot);
        let at = (high[rank][rank], low[rank][rank]);
        let (top, bottom) = high.split_at_mut(rank + 1);
        let (top_low, bottom_low) = low.split_at_mut(rank + 1);
        let (row, row_low) = (&top[rank], &top_low[rank]);
        for (q, (high, low)) in bottom.iter_mut().zip(bottom_low).enumerate() {
            let i = rank + 1 + q;
            if row[i] != 0.0 || row_low[i] != 0.0 {
                let (f, f_low) = quotient((row[i], row_low[i]), at);
                gram::subtract_multiple(
                    f,
                    f_low,
                    &row[i..],
                    &row_low[i..],
                    &mut high[i..],
                    &mut low[i..],
                );
            }
        }
        rank += 1;
        if rank == leading.len() {
            (rank..a).for_each(|place| left[order[place]] = high[place][place].max(0.0));
        }
    }
    let mut t = Mat::zeros(rank, a);
    for (i, row) in high.iter().take(rank).enumerate() {
        let root = row[i].sqrt();
        (i..a).for_each(|place| t[(i, order[place])] = row[place] / root);
    }
    Ok(Factor { t, order, left })
}

/// Exchanges two rows and columns of a symmetric matrix of which there is the upper triangle, i < j.
fn exchange(rows: &mut [Vec<f64>], i: usize, j: usize) {
    if i == j {
        return;
    }
    for row in &mut rows[..i] {
        row.swap(i, j);
    }
    let (top, bottom) = rows.split_at_mut(j);
    let (first, second) = (&mut top[i..], &mut bottom[0]);
    std::mem::swap(&mut first[0][i], &mut second[j]);
    for place in i + 1..j {
        let value = first[0][place];
        first[0][place] = first[place - i][j];
        first[place - i][j] = value;
    }
    first[0][j + 1..].swap_with_slice(&mut second[j + 1..]);
}

/// To about twice the precision.
fn quotient(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let first = a.0 / b.0;
    let rest = sum(a, multiple(b, -first));
    two_sum(first, (rest.0 + rest.1) / b.0)
}

/// The product of two twofold numbers, wrong by at most `8 u^2` of it.
pub fn times(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let (high, low) = two_product(a.0, b.0);
    two_sum(high, low + (a.0 * b.1 + a.1 * b.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparrot_foundation::stop::Unobserved;

    fn whole(k: usize) -> f64 {
        ((k * 7919) % 31) as f64 - 15.0
    }

    #[test]
    fn products_of_integers_are_exact() {
        for (p, r, c) in [(1, 1, 1), (5, 3, 9), (40, 17, 8)] {
            let a = Mat::from_fn(p, r, |i, j| whole(i * r + j));
            let b = TwofoldMatrix::from_fn(p, c, |i, j| (whole(i * c + j + 5), (-60f64).exp2()));
            let found = b.after(&a, &Stop::new(&Unobserved, None)).unwrap().top(r, c);
            for i in 0..r {
                let tilted: f64 = (0..p).map(|m| a[(m, i)]).sum::<f64>() * (-60f64).exp2();
                for j in 0..c {
                    let exact: f64 = (0..p).map(|m| a[(m, i)] * b.high[(m, j)]).sum();
                    assert_eq!(found.at(i, j), two_sum(exact, tilted));
                }
            }
        }
    }

    /// A Hilbert matrix of order 12 has condition 1e16: plain Cholesky fails or loses all digits.
    #[test]
    fn factors_what_is_nearly_singular_and_finds_what_is() {
        let n = 12;
        let hilbert =
            TwofoldMatrix::from_fn(n, n, |i, j| quotient((1.0, 0.0), ((i + j + 1) as f64, 0.0)));
        let found = factor(&hilbert, &[3], |_| 1e-30, &Stop::new(&Unobserved, None)).unwrap();
        assert_eq!((found.t.nrows(), found.order[0]), (n, 3));
        let again = found.t.transpose() * &found.t;
        for i in 0..n {
            for j in 0..n {
                assert!((again[(i, j)] - hilbert.high[(i, j)]).abs() < 1e-15);
            }
        }
        // The smallest pivot of all: to all digits of the inverse's diagonal, 1 / 2.4e15 squared.
        let last = found.t[(n - 1, found.order[n - 1])].powi(2);
        assert!(last > 1e-18 && last < 1e-14, "{last}");
        // Column 4 is twice column 1.
        let twice = |i: usize| if i == 4 { (1, 2.0) } else { (i, 1.0) };
        let singular = TwofoldMatrix::from_fn(5, 5, |i, j| {
            let ((i, f), (j, g)) = (twice(i), twice(j));
            (f * g * if i == j { 3.0 } else { 1.0 / (1 + i + j) as f64 }, 0.0)
        });
        let found =
            factor(&singular, &[], |left| 1e-25 * left, &Stop::new(&Unobserved, None)).unwrap();
        assert_eq!(found.t.nrows(), 4);
    }
}

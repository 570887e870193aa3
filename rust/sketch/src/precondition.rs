//! From a sketch K = S A (or A itself) to a matrix X with A X well conditioned, the rank, and the
//! condition number.
//!
//! Columns are scaled to about unit norm by powers of 2, D: `K D = Q R`. With full rank
//! `X = D R^-1`. If not, a QR factorisation of R with column pivoting tells the rank r, where a diagonal
//! entry falls below `rcond` of the first, and `K = Q T`, T of r rows; `T' = V L'` with orthonormal V
//! gives `X = V L^-1`, whose columns span the rows of A: what X z solves has minimum norm.

use faer::linalg::solvers::ColPivQr;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, MatMut, MatRef, Par};
use sparrot_foundation::{Error, Stop};

use crate::steps::upper_inverse;
use crate::triangle::triangle;

/// A preconditioner from the right.
pub struct Preconditioner {
    /// X, (p, r).
    pub x: Mat<f64>,
    /// Columns that are not zero.
    pub active: Vec<usize>,
    /// Estimate of the condition number, over nonzero singular values.
    pub condition: f64,
    /// The norms of the columns of K.
    pub norms: Vec<f64>,
}

impl Preconditioner {
    /// r.
    pub fn rank(&self) -> usize {
        self.x.ncols()
    }

    /// Whether no column depends on others.
    pub fn is_full(&self) -> bool {
        self.rank() == self.active.len()
    }
}

/// Norms of columns beyond these would over- or underflow where squares are formed.
pub const NORMS: std::ops::Range<f64> = 1e-120..1e120;

/// Raises unless squares of the entries of a column of that norm can be formed.
///
/// # Errors
/// [`Error::InvalidInput`].
pub fn require_norm(column: usize, norm: f64) -> Result<(), Error> {
    if NORMS.contains(&norm) {
        return Ok(());
    }
    let message =
        format!("has a column, {column}, of norm {norm:e}: needs 1e-120 to 1e120, or 0; scale it");
    Err(Error::invalid("A", message))
}

/// The power of 2 by which a column of that norm is scaled.
pub fn unit(norm: f64) -> f64 {
    (-norm.log2().round()).exp2()
}

/// Of K, which is used up, row-major with `columns` columns; `counted` says for how many of its columns, from the first
/// on, the condition number is asked for.
///
/// # Errors
/// [`Error::InvalidInput`] for a column whose norm is out of range; [`Error::Interrupted`].
pub fn precondition(
    mut k: Vec<f64>,
    columns: usize,
    counted: usize,
    rcond: f64,
    stop: &Stop<'_>,
) -> Result<Preconditioner, Error> {
    let rows = k.len() / columns.max(1);
    let by_rows = MatRef::from_row_major_slice(&k, rows, columns);
    let norms: Vec<f64> = (0..columns).map(|j| by_rows.col(j).norm_l2()).collect();
    for (j, norm) in norms.iter().enumerate().filter(|(_, norm)| **norm != 0.0) {
        require_norm(j, *norm)?;
    }
    let active: Vec<usize> = (0..columns).filter(|j| norms[*j] != 0.0).collect();
    let scales: Vec<f64> = active.iter().map(|j| unit(norms[*j])).collect();
    let a = active.len();
    // Scaled and factored where it is: beside it there is no room for another.
    for i in 0..rows {
        for (place, (j, scale)) in active.iter().zip(&scales).enumerate() {
            k[i * a + place] = k[i * columns + j] * scale;
        }
    }
    let scaled = MatMut::from_row_major_slice_mut(&mut k[..rows * a], rows, a);
    let r = triangle(scaled, stop)?;
    drop(k);
    // The inverse of T restricted to its row space, in the order of the active columns; and T.
    let (inverse, t) = if let Some(inverse) = full_inverse(&r, rcond, stop)? {
        let inverse =
            Mat::from_fn(a, a, |i, j| if i <= j { scales[i] * inverse[(i, j)] } else { 0.0 });
        (inverse, Mat::from_fn(a, a, |i, j| if i <= j { r[(i, j)] / scales[j] } else { 0.0 }))
    } else {
        stop.poll()?;
        let pivoted = ColPivQr::new(r.as_ref());
        stop.poll()?;
        let diagonal: Vec<f64> =
            (0..r.nrows().min(a)).map(|i| pivoted.thin_R()[(i, i)].abs()).collect();
        let most = diagonal.first().copied().unwrap_or(0.0);
        let rank = diagonal.iter().take_while(|v| **v > rcond * most).count();
        let (top, order) = (pivoted.thin_R(), pivoted.P().arrays().0);
        let mut t = Mat::zeros(rank, a);
        for (place, column) in order.iter().enumerate() {
            for i in 0..rank.min(place + 1) {
                t[(i, *column)] = top[(i, place)] / scales[*column];
            }
        }
        let inverse = if rank == a {
            // In the order of the columns, and triangular.
            let inverse = upper_inverse(r.as_ref(), stop)?;
            Mat::from_fn(a, a, |i, j| if i <= j { scales[i] * inverse[(i, j)] } else { 0.0 })
        } else {
            restricted_inverse(&t)
        };
        (inverse, t)
    };
    let rank = inverse.ncols();
    let mut x = Mat::zeros(columns, rank);
    for (row, column) in active.iter().enumerate() {
        x.row_mut(*column).copy_from(inverse.row(row));
    }
    let is_counted = |j: &usize| *j < counted;
    let count = active.iter().filter(|j| is_counted(j)).count();
    let condition = condition(t.get(.., 0..count), x.get(0..counted, ..), stop)?;
    Ok(Preconditioner { x, active, condition, norms })
}

/// The condition number of a matrix, over nonzero singular values, from it and its pseudo-inverse.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn condition(
    t: MatRef<'_, f64>,
    inverse: MatRef<'_, f64>,
    stop: &Stop<'_>,
) -> Result<f64, Error> {
    Ok(if inverse.ncols() == 0 { 0.0 } else { norm(t, stop)? * norm(inverse, stop)? })
}

/// The inverse, where that shows that column pivoting would leave no diagonal entry below `rcond` of
/// the first: all are at least the smallest singular value, which is at least `1 / |R^-1|_F`, and the
/// first is the largest norm of a column.
fn full_inverse(r: &Mat<f64>, rcond: f64, stop: &Stop<'_>) -> Result<Option<Mat<f64>>, Error> {
    let a = r.ncols();
    if r.nrows() < a || (0..a).any(|i| r[(i, i)] == 0.0) {
        return Ok(None);
    }
    let inverse = upper_inverse(r.as_ref(), stop)?;
    let most = (0..a).map(|j| r.col(j).norm_l2()).fold(0.0, f64::max);
    Ok((2.0 * rcond * most * inverse.norm_l2() < 1.0).then_some(inverse))
}

/// `V L^-1` for `T' = V L'`. The rows of T' may be of any scales; with the largest first, and
/// pivoting, each is factored to its own precision (Cox and Higham, "Stability of Householder QR
/// factorization for weighted least squares problems", 1998). Pivoting turns the columns of the
/// result, which does not matter.
pub fn restricted_inverse(t: &Mat<f64>) -> Mat<f64> {
    let (rank, columns) = t.shape();
    let sizes: Vec<f64> = (0..columns).map(|j| t.col(j).norm_max()).collect();
    let mut order: Vec<usize> = (0..columns).collect();
    order.sort_by(|a, b| sizes[*b].total_cmp(&sizes[*a]));
    let sorted = Mat::from_fn(columns, rank, |i, j| t[(j, order[i])]);
    let qr = ColPivQr::new(sorted.as_ref());
    let mut inverse = Mat::identity(rank, rank);
    solve_lower_triangular_in_place(qr.thin_R().transpose(), inverse.as_mut(), Par::Seq);
    let product = qr.compute_thin_Q() * inverse;
    let mut x = Mat::zeros(columns, rank);
    for (i, place) in order.iter().enumerate() {
        x.row_mut(*place).copy_from(product.row(i));
    }
    x
}

/// The largest singular value, from below, by power iterations.
fn norm(m: MatRef<'_, f64>, stop: &Stop<'_>) -> Result<f64, Error> {
    if m.nrows() == 0 || m.ncols() == 0 {
        return Ok(0.0);
    }
    // Begins with something that nobody chose against us.
    let mut v = Mat::from_fn(m.ncols(), 1, |i, _| 1.0 + ((i * 7919) % 101) as f64 / 101.0);
    let mut size = 0.0;
    for _ in 0..30 {
        stop.poll()?;
        let length = v.norm_l2();
        if length == 0.0 || !length.is_finite() {
            break;
        }
        v = Mat::from_fn(v.nrows(), 1, |i, _| v[(i, 0)] / length);
        let product = m * &v;
        size = product.norm_l2();
        v = m.transpose() * product;
    }
    Ok(size)
}

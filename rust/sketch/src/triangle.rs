//! The triangle of a QR factorisation, in steps short enough to be interrupted between them.
//!
//! Columns are factored a few at a time, and the reflections applied to those that follow (Bischof and
//! Van Loan, "The WY representation for products of Householder matrices", 1987).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder::{
    apply_block_householder_sequence_transpose_on_the_left_in_place_scratch as scratch,
    apply_block_householder_sequence_transpose_on_the_left_in_place_with_conj as apply,
};
use faer::linalg::solvers::Qr;
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Conj, Mat, MatMut, Par};
use sparrot_foundation::{Error, Stop};

use crate::steps::together;

/// Columns that are factored together.
const PANEL: usize = 64;

/// R of `m = Q R`: upper triangular, with as many rows as m if it has fewer than columns. Of m nothing
/// is left that is of use.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn triangle(mut m: MatMut<'_, f64>, stop: &Stop<'_>) -> Result<Mat<f64>, Error> {
    let (rows, columns) = m.shape();
    let height = rows.min(columns);
    for first in (0..height).step_by(PANEL) {
        stop.poll()?;
        let end = (first + PANEL).min(height);
        let qr = Qr::new(m.rb().get(first.., first..end));
        let (basis, factor) = (qr.Q_basis(), qr.Q_coeff());
        let together = together(4 * (rows - first) * PANEL, columns);
        for start in (end..columns).step_by(together) {
            stop.poll()?;
            let count = together.min(columns - start);
            let rest = m.rb_mut().get_mut(first.., start..start + count);
            let mut room = MemBuffer::new(scratch::<f64>(rows - first, factor.nrows(), count));
            apply(basis, factor, Conj::No, rest, Par::Seq, MemStack::new(&mut room));
        }
        for j in first..end {
            (0..=j - first).for_each(|i| m[(first + i, j)] = qr.R()[(i, j - first)]);
        }
    }
    Ok(Mat::from_fn(height, columns, |i, j| if i <= j { m[(i, j)] } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparrot_foundation::stop::Unobserved;

    #[test]
    fn has_the_gram_matrix_of_what_it_is_the_triangle_of() {
        for (rows, columns) in [(1, 1), (5, 3), (3, 7), (200, 150), (90, 130)] {
            let m = Mat::from_fn(rows, columns, |i, j| (((i * 31 + j * 17) * 7919) % 101) as f64);
            let r = triangle(m.clone().as_mut(), &Stop::new(&Unobserved, None)).unwrap();
            let difference = r.transpose() * &r - m.transpose() * &m;
            assert!(difference.norm_max() <= 1e-12 * m.squared_norm_l2());
            assert_eq!(r.nrows(), rows.min(columns));
        }
    }
}

//! Products and inverses of matrices, in steps short enough to be interrupted between them.

use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Mat, MatRef, Par};
use sparrot_foundation::{Error, Stop};

/// Operations between two looks at the stop token: some ten milliseconds.
pub const STEP: usize = 200_000_000;
/// Columns that are worked on together, at least.
const LEAST: usize = 16;

/// As many columns as can be worked on at so many operations each.
pub fn together(operations: usize, columns: usize) -> usize {
    (STEP / operations.max(1)).clamp(LEAST, columns.max(LEAST))
}

/// `left right`.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn product(
    left: MatRef<'_, f64>,
    right: MatRef<'_, f64>,
    stop: &Stop<'_>,
) -> Result<Mat<f64>, Error> {
    let columns = right.ncols();
    let mut out = Mat::zeros(left.nrows(), columns);
    let at_once = together(2 * left.nrows() * left.ncols(), columns);
    for first in (0..columns).step_by(at_once) {
        stop.poll()?;
        let count = at_once.min(columns - first);
        let part = left * right.subcols(first, count);
        out.subcols_mut(first, count).copy_from(&part);
    }
    Ok(out)
}

/// The inverse of an upper triangular matrix without a 0 on its diagonal; of a block of its columns only
/// the rows above count.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn upper_inverse(upper: MatRef<'_, f64>, stop: &Stop<'_>) -> Result<Mat<f64>, Error> {
    const COLUMNS: usize = 64;
    let size = upper.ncols();
    let mut inverse = Mat::identity(size, size);
    for first in (0..size).step_by(COLUMNS) {
        stop.poll()?;
        let end = (first + COLUMNS).min(size);
        let columns = inverse.get_mut(0..end, first..end);
        solve_upper_triangular_in_place(upper.get(0..end, 0..end), columns, Par::Seq);
    }
    Ok(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparrot_foundation::stop::Unobserved;

    #[test]
    fn are_what_they_are_in_one_step() {
        let stop = Stop::new(&Unobserved, None);
        for size in [1, 63, 64, 130] {
            let entry = |i: usize, j: usize| (((i * 31 + j * 17) * 7919) % 101) as f64 / 101.0;
            let upper = Mat::from_fn(size, size, |i, j| {
                if i == j {
                    2.0
                } else if i < j {
                    entry(i, j) / size as f64
                } else {
                    0.0
                }
            });
            let inverse = upper_inverse(upper.as_ref(), &stop).unwrap();
            let one = product(upper.as_ref(), inverse.as_ref(), &stop).unwrap();
            assert!((one - Mat::<f64>::identity(size, size)).norm_max() < 1e-14);
            assert!((1..size).all(|i| (0..i).all(|j| inverse[(i, j)] == 0.0)));
        }
        let wide = Mat::from_fn(900, 1100, |i, j| ((i + 3 * j) % 7) as f64);
        let tall = Mat::from_fn(1100, 300, |i, j| ((2 * i + j) % 5) as f64);
        // Small integers: every sum is exact.
        assert_eq!(product(wide.as_ref(), tall.as_ref(), &stop).unwrap(), &wide * &tall);
    }
}

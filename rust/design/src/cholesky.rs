//! Cholesky factors of large dense matrices that can be interrupted.
//!
//! ```text
//! A = L L'
//! ```
//!
//! By blocks of columns from the left to the right: the block on the diagonal is factored, what is below it is
//! solved for, and the products of that are taken off what comes after. faer does each of these, and
//! all of a small matrix at once. **Cost.** n^3 / 3.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor;
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, MatMut, Par};
use sparrot_foundation::Error;

/// Columns of a block: what is done between two looks at the clock is some milliseconds of up to a few
/// thousand rows.
const BLOCK: usize = 128;
/// A matrix up to that size is factored at once.
const SMALL: usize = 512;

/// Writes the factor of a positive definite matrix over its lower triangle; whether there is one.
///
/// # Errors
/// What `poll` says; [`Error::OutOfMemory`].
pub fn cholesky(
    mut matrix: MatMut<'_, f64>,
    poll: impl Fn() -> Result<(), Error>,
) -> Result<bool, Error> {
    poll()?;
    let size = matrix.nrows();
    if size <= SMALL {
        return at_once(matrix);
    }
    for first in (0..size).step_by(BLOCK) {
        poll()?;
        let end = size.min(first + BLOCK);
        if !at_once(matrix.as_mut().submatrix_mut(first, first, end - first, end - first))? {
            return Ok(false);
        }
        if end == size {
            break;
        }
        let rest = matrix.as_mut().submatrix_mut(first, first, size - first, size - first);
        let (top, _, mut below, mut after) = rest.split_at_mut(end - first, end - first);
        let lower = top.as_ref();
        solve_lower_triangular_in_place(lower, below.as_mut().transpose_mut(), Par::Seq);
        poll()?;
        let below = below.as_ref();
        matmul(
            after.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Add,
            below,
            BlockStructure::Rectangular,
            below.transpose(),
            BlockStructure::Rectangular,
            -1.0,
            Par::Seq,
        );
    }
    Ok(true)
}

fn at_once(matrix: MatMut<'_, f64>) -> Result<bool, Error> {
    let size = matrix.nrows();
    let need = factor::cholesky_in_place_scratch::<f64>(size, Par::Seq, Default::default());
    let out_of_memory =
        |_| Error::OutOfMemory { what: "a factorisation", bytes: need.size_bytes() as u64 };
    let mut room = MemBuffer::try_new(need).map_err(out_of_memory)?;
    let stack = MemStack::new(&mut room);
    let done =
        factor::cholesky_in_place(matrix, Default::default(), Par::Seq, stack, Default::default());
    Ok(done.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::Mat;

    fn definite(n: usize) -> Mat<f64> {
        let entry = |i: usize, j: usize| ((i * 31 + j * 17 + i * j) % 13) as f64 / 13.0 - 0.5;
        let a = Mat::from_fn(n, n, entry);
        &a * a.transpose() + Mat::<f64>::identity(n, n) * faer::Scale(0.1)
    }

    #[test]
    fn its_product_is_the_matrix() {
        for n in [1, 5, 511, 513, 640, 700] {
            let a = definite(n);
            let mut l = a.clone();
            assert_eq!(cholesky(l.as_mut(), || Ok(())), Ok(true));
            for i in (0..n).step_by(7) {
                for j in (0..=i).step_by(5) {
                    let product: f64 = (0..=j).map(|k| l[(i, k)] * l[(j, k)]).sum();
                    assert!((product - a[(i, j)]).abs() < 1e-10, "{n} {i} {j}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_none() {
        for (n, at) in [(5, 4), (600, 0), (600, 130), (600, 599)] {
            let mut a = definite(n);
            a[(at, at)] = -1.0;
            assert_eq!(cholesky(a.as_mut(), || Ok(())), Ok(false));
            a[(at, at)] = f64::NAN;
            assert_eq!(cholesky(a.as_mut(), || Ok(())), Ok(false));
        }
    }

    #[test]
    fn it_can_be_interrupted() {
        let polls = std::cell::Cell::new(0);
        let poll = || {
            polls.set(polls.get() + 1);
            if polls.get() > 4 { Err(Error::Interrupted) } else { Ok(()) }
        };
        assert_eq!(cholesky(definite(900).as_mut(), poll), Err(Error::Interrupted));
        assert_eq!(polls.get(), 5);
    }
}

//! The squared norm of a matrix, and a certified bound of it, from which safe steps follow.
//!
//! Power iterations on K, the smaller of `A A'` and `A'A`, find an estimate from below. A little more
//! than it is a bound from above if `bound I - K` has a Cholesky factor, which exists only if no
//! eigenvalue of K is larger, up to rounding. Cost: `k^2 (m + n) + k^3 / 3` for k the smaller side.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Llt;
use faer::{Accum, Mat, Par, Side};
use sparrot_design::{Design, Element};
use sparrot_foundation::{Error, Stop, memory};

/// Rows or columns that are multiplied between two looks at the clock.
const LINES: usize = 128;
const ITERATIONS: usize = 50;
/// What is tried above the estimate, until a factor exists.
const MARGINS: [f64; 5] = [0.01, 0.03, 0.1, 0.3, 1.0];

/// The squared norm of A, to rounding: the largest eigenvalue; NaN if it is not found.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn squared_norm<T: Element>(design: &Design<'_, T>, stop: &Stop<'_>) -> Result<f64, Error> {
    let k = smaller_gram(design, stop)?;
    let values = k.self_adjoint_eigenvalues(Side::Lower).ok();
    Ok(values.and_then(|values| values.last().copied()).unwrap_or(f64::NAN))
}

/// An upper bound of the largest eigenvalue of `A'A`; `None` if both sides of A are above `largest`.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn squared_norm_bound<T: Element>(
    design: &Design<'_, T>,
    largest: usize,
    stop: &Stop<'_>,
) -> Result<Option<f64>, Error> {
    if design.rows().min(design.columns()) > largest {
        return Ok(None);
    }
    let k = smaller_gram(design, stop)?;
    let size = k.nrows();
    let trace: f64 = (0..size).map(|i| k[(i, i)]).sum();
    if !(trace > 0.0 && trace.is_finite()) {
        return Ok(Some(trace));
    }
    let estimate = largest_eigenvalue(&k, stop)?;
    for margin in MARGINS {
        stop.poll()?;
        let bound = estimate * (1.0 + margin);
        let shifted =
            Mat::from_fn(size, size, |i, j| (if i == j { bound } else { 0.0 } - k[(i, j)]) / bound);
        if bound < trace && Llt::new(shifted.as_ref(), Side::Lower).is_ok() {
            return Ok(Some(bound));
        }
    }
    Ok(Some(trace))
}

fn smaller_gram<T: Element>(design: &Design<'_, T>, stop: &Stop<'_>) -> Result<Mat<f64>, Error> {
    let (m, n) = (design.rows(), design.columns());
    let size = m.min(n);
    memory::check("the norm of A", size, size)?;
    if let Design::Dense(columns) = design {
        memory::check("the norm of A", m, n)?;
        // By rows or columns of the smaller side, so that it can be interrupted.
        let mut k = Mat::zeros(size, size);
        let a = Mat::from_fn(m, n, |i, j| columns[j][i].to_f64());
        for first in (0..size).step_by(LINES) {
            stop.poll()?;
            let lines = LINES.min(size - first);
            let into = k.subcols_mut(first, lines);
            let (left, right) = if m < n {
                (a.as_ref(), a.subrows(first, lines).transpose())
            } else {
                (a.transpose(), a.subcols(first, lines))
            };
            matmul(into, Accum::Replace, left, right, 1.0, Par::Seq);
        }
        return Ok(k);
    }
    let mut k = Mat::zeros(size, size);
    let mut column = vec![0.0; m];
    let mut entries: Vec<(usize, f64)> = vec![];
    for j in 0..n {
        stop.poll()?;
        entries.clear();
        design.for_column(j, |i, v| entries.push((i, v)));
        if m < n {
            for (i, v) in &entries {
                entries.iter().for_each(|(l, w)| k[(*l, *i)] += v * w);
            }
        } else {
            entries.iter().for_each(|(i, v)| column[*i] = *v);
            (0..n).for_each(|l| k[(l, j)] = design.column_dot(l, &column, 1, 0));
            entries.iter().for_each(|(i, _)| column[*i] = 0.0);
        }
    }
    Ok(k)
}

/// From below, by power iterations from a vector without symmetries.
fn largest_eigenvalue(k: &Mat<f64>, stop: &Stop<'_>) -> Result<f64, Error> {
    let mut v = Mat::from_fn(k.nrows(), 1, |i, _| 1.0 + ((i * 37) % 101) as f64 / 101.0);
    let mut value = 0.0f64;
    for _ in 0..ITERATIONS {
        stop.poll()?;
        v /= faer::Scale(v.norm_l2());
        let next = k * &v;
        value = value.max(next.norm_l2());
        if value == 0.0 {
            break;
        }
        v = next;
    }
    let most = (0..k.nrows()).map(|i| k[(i, i)]).fold(0.0, f64::max);
    Ok(value.max(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparrot_foundation::stop::Unobserved;

    #[test]
    fn it_is_a_bound_and_close() {
        let stop = Stop::new(&Unobserved, None);
        for (m, n) in [(3, 8), (8, 3), (20, 20), (1, 5), (5, 1)] {
            let entry = |i: usize, j: usize| ((i * 31 + j * 17 + i * j) % 13) as f64 - 6.0;
            let columns: Vec<Vec<f64>> =
                (0..n).map(|j| (0..m).map(|i| entry(i, j)).collect()).collect();
            let design = Design::Dense(columns.iter().map(|c| &c[..]).collect());
            let bound = squared_norm_bound(&design, 100, &stop).unwrap().unwrap();
            let a = Mat::from_fn(m, n, entry);
            let largest = a.singular_values().unwrap()[0].powi(2);
            assert!(largest <= bound && bound <= 1.1 * largest, "{m} {n}: {largest} {bound}");
        }
        let zeros = [0.0; 4];
        let design = Design::Dense(vec![&zeros[..]; 3]);
        assert_eq!(squared_norm_bound(&design, 100, &stop), Ok(Some(0.0)));
    }
}

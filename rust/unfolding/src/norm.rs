//! The squared norm of a matrix, and a certified bound of it, from which safe steps follow.
//!
//! Power iterations on K, the smaller of `A A'` and `A'A`, find an estimate from below. A little more
//! than it is a bound from above if `bound I - K` has a Cholesky factor, which exists only if no
//! eigenvalue of K is larger, up to rounding. Cost: `k^2 (m + n) + k^3 / 3` for k the smaller side.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, Par, Side};
use sparrot_design::cholesky::cholesky;
use sparrot_design::{Design, Element};
use sparrot_foundation::{Error, Stop, memory};

/// Multiplications between two looks at the clock, about, and lines at least: fewer would be slow.
const WORK: usize = 1 << 29;
const LINES: usize = 32;
const ITERATIONS: usize = 50;
/// Up to that size all eigenvalues are found at once.
const SMALL: usize = 512;
/// Products with a large matrix between two looks at what they tell.
const LOOK_EVERY: usize = 8;
/// What is tried above the estimate, until a factor exists.
const MARGINS: [f64; 5] = [0.01, 0.03, 0.1, 0.3, 1.0];

/// The squared norm of A, to rounding: the largest eigenvalue; NaN if it is not found.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn squared_norm<T: Element>(design: &Design<'_, T>, stop: &Stop<'_>) -> Result<f64, Error> {
    let k = smaller_gram(design, stop)?;
    if k.nrows() <= SMALL { Ok(last_eigenvalue(&k)) } else { lanczos(&k, stop) }
}

fn last_eigenvalue(k: &Mat<f64>) -> f64 {
    let values = k.self_adjoint_eigenvalues(Side::Lower).ok();
    values.and_then(|values| values.last().copied()).unwrap_or(f64::NAN)
}

/// The largest eigenvalue of a large matrix, with looks at the clock: that of its projection on what
/// products with a vector span, until it does not grow any more.
fn lanczos(k: &Mat<f64>, stop: &Stop<'_>) -> Result<f64, Error> {
    let size = k.nrows();
    let mut basis = Mat::from_fn(size, 1, |i, _| without_symmetries(i));
    basis /= faer::Scale(basis.norm_l2());
    let mut projected: Vec<Mat<f64>> = vec![];
    let mut last = 0.0;
    loop {
        stop.poll()?;
        let steps = basis.ncols();
        let mut next = k * basis.subcols(steps - 1, 1);
        let products = basis.transpose() * &next;
        next -= &basis * &products;
        projected.push(products);
        // What rounding has left of the basis.
        let again = basis.transpose() * &next;
        next -= &basis * &again;
        let left = next.norm_l2();
        let is_all = steps == size || left <= f64::EPSILON * last || left.is_nan();
        if is_all || steps.is_multiple_of(LOOK_EVERY) {
            let entry = |i: usize, j: usize| projected[i.max(j)][(i.min(j), 0)];
            let value = last_eigenvalue(&Mat::from_fn(steps, steps, entry));
            if is_all || value.is_nan() || value <= last * (1.0 + 4.0 * f64::EPSILON) {
                return Ok(if value.is_nan() { value } else { value.max(last) });
            }
            last = value;
        }
        next /= faer::Scale(left);
        let mut wider = Mat::zeros(size, steps + 1);
        wider.subcols_mut(0, steps).copy_from(&basis);
        wider.subcols_mut(steps, 1).copy_from(&next);
        basis = wider;
    }
}

/// A number of a vector from which to start.
fn without_symmetries(i: usize) -> f64 {
    1.0 + ((i * 37) % 101) as f64 / 101.0
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
        let mut shifted =
            Mat::from_fn(size, size, |i, j| (if i == j { bound } else { 0.0 } - k[(i, j)]) / bound);
        if bound < trace && cholesky(shifted.as_mut(), || stop.poll())? {
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
        // Of some lines across the smaller side at a time, so that it can be interrupted.
        let at_once = (WORK / (size * size)).max(LINES).min(m.max(n));
        let mut part = Mat::zeros(size, at_once);
        let mut k = Mat::zeros(size, size);
        for first in (0..m.max(n)).step_by(at_once) {
            stop.poll()?;
            let lines = at_once.min(m.max(n) - first);
            for line in 0..lines {
                for i in 0..size {
                    let [row, column] = if m < n { [i, first + line] } else { [first + line, i] };
                    part[(i, line)] = columns[column][row].to_f64();
                }
            }
            stop.poll()?;
            let part = part.subcols(0, lines);
            triangular::matmul(
                k.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Add,
                part,
                BlockStructure::Rectangular,
                part.transpose(),
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
        }
        for j in 0..size {
            for i in 0..j {
                k[(i, j)] = k[(j, i)];
            }
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
    let mut v = Mat::from_fn(k.nrows(), 1, |i, _| without_symmetries(i));
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
    fn products_with_a_vector_find_the_largest_eigenvalue() {
        let stop = Stop::new(&Unobserved, None);
        let mixed = |i: usize| ((i * 7919) % 1009) as f64 / 1009.0;
        for n in [1, 2, 30, 100] {
            let a = Mat::from_fn(n, n + 3, |i, j| mixed(i * (n + 3) + j) - 0.5);
            let close = Mat::from_fn(n, n, |i, j| if i == j { 1.0 + 1e-6 * mixed(i) } else { 0.0 });
            for k in [&a * a.transpose(), close, Mat::identity(n, n)] {
                let (found, expected) = (lanczos(&k, &stop).unwrap(), last_eigenvalue(&k));
                assert!((found - expected).abs() <= 1e-11 * expected, "{n}: {found} {expected}");
            }
        }
        assert_eq!(lanczos(&Mat::zeros(9, 9), &stop), Ok(0.0));
    }

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

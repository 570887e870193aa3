//! Extrapolation of the iterates of a descent (Bertrand and Massias, "Anderson acceleration of
//! coordinate descent", AISTATS 2021).

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use sparrot_simd::{linear, reduce};

/// Of the trace of the matrix of differences, what is added to its diagonal.
const RIDGE: f64 = 1e-12;

/// The affine combination of iterates, the first left out, that makes the combination of their
/// differences least over the first `size` entries; further entries are affine in those, and combined
/// with them. `None` if there is no telling.
pub fn mixture(iterates: &[Vec<f64>], size: usize) -> Option<Vec<f64>> {
    let count = iterates.len() - 1;
    let differences: Vec<Vec<f64>> = (iterates.windows(2))
        .map(|pair| pair[1][..size].iter().zip(&pair[0][..size]).map(|(b, a)| b - a).collect())
        .collect();
    let products = Mat::from_fn(count, count, |i, j| reduce::dot(&differences[i], &differences[j]));
    let ridge = RIDGE * (0..count).map(|i| products[(i, i)]).sum::<f64>();
    let matrix =
        Mat::from_fn(count, count, |i, j| products[(i, j)] + if i == j { ridge } else { 0.0 });
    let factor = matrix.llt(Side::Lower).ok()?;
    let shares = factor.solve(Mat::from_fn(count, 1, |_, _| 1.0));
    let total: f64 = (0..count).map(|i| shares[(i, 0)]).sum();
    if !(total.is_finite() && total != 0.0) {
        return None;
    }
    let mut mixed = vec![0.0; iterates[0].len()];
    for (i, iterate) in iterates[1..].iter().enumerate() {
        linear::axpy(shares[(i, 0)] / total, iterate, &mut mixed);
    }
    Some(mixed)
}

#[cfg(test)]
mod tests {
    use super::mixture;

    /// Of iterates `x + a c^k` of one geometric rate the limit is found at once.
    #[test]
    fn geometric_sequences_are_summed() {
        let (limit, start) = ([2.0, -1.0, 0.5], [1.0, 3.0, -2.0]);
        let at = |k: i32| -> Vec<f64> {
            let x: Vec<f64> =
                limit.iter().zip(&start).map(|(l, s)| l + s * 0.9f64.powi(k)).collect();
            let sum = x.iter().sum();
            x.into_iter().chain([sum]).collect()
        };
        let mixed = mixture(&[at(0), at(1), at(2)], 3).unwrap();
        for (found, expected) in mixed.iter().zip(limit.iter().chain([&1.5])) {
            assert!((found - expected).abs() < 1e-6, "{mixed:?}");
        }
        assert!(mixture(&[vec![1.0], vec![1.0], vec![1.0]], 1).is_none());
    }
}

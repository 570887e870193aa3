//! Threshold selection: the k-th largest value, and what lies above a threshold.

use crate::dispatch::kernel;
use crate::lanes::Vector;

kernel! {
    /// Appends the position and value of every `x_j > threshold`, in order, positions from `offset`.
    pub fn collect_above<'a, S>(
        x: &'a [f64], threshold: f64, offset: u32, positions: &'a mut Vec<u32>, values: &'a mut Vec<f64>,
    ) {
        let lanes = S::F64::LANES;
        let t = S::F64::splat(threshold);
        let mut chunks = x.chunks_exact(lanes);
        let mut base = 0;
        let mut take = |base: usize, mut mask: u32, chunk: &[f64]| {
            while mask != 0 {
                let l = mask.trailing_zeros() as usize;
                positions.push(offset + (base + l) as u32);
                values.push(chunk[l]);
                mask &= mask - 1;
            }
        };
        for chunk in &mut chunks {
            let mask = S::F64::load(chunk).mask_gt(t);
            if mask != 0 {
                take(base, mask, chunk);
            }
            base += lanes;
        }
        let tail = chunks.remainder();
        take(base, S::F64::load_tail(tail, f64::NEG_INFINITY).mask_gt(t), tail);
    }
}

/// The `k`-th largest value (`k = 1` is the maximum), in time linear in the number of values.
///
/// The slice is reordered. NaN counts as larger than everything. Returns `-inf` when `k` exceeds
/// the number of values, `+inf` when `k` is 0.
pub fn kth_largest(x: &mut [f64], k: usize) -> f64 {
    if k == 0 {
        return f64::INFINITY;
    }
    if k > x.len() {
        return f64::NEG_INFINITY;
    }
    *x.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn collects_what_a_filter_would(x in prop::collection::vec(-5i32..5, 0..100), t in -6i32..6) {
            let x: Vec<f64> = x.into_iter().map(f64::from).collect();
            let t = f64::from(t);
            let expected: Vec<(u32, f64)> =
                x.iter().enumerate().filter(|(_, v)| **v > t).map(|(j, v)| (j as u32 + 7, *v)).collect();
            for level in Level::available() {
                let (mut positions, mut values) = (vec![], vec![]);
                collect_above::at(level, &x, t, 7, &mut positions, &mut values);
                let found: Vec<(u32, f64)> = positions.into_iter().zip(values).collect();
                prop_assert_eq!(&found, &expected);
            }
        }

        #[test]
        fn kth_largest_agrees_with_sorting(mut x in prop::collection::vec(-1e3f64..1e3, 1..80), k in 0usize..90) {
            let mut sorted = x.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let expected = match k {
                0 => f64::INFINITY,
                k if k > sorted.len() => f64::NEG_INFINITY,
                k => sorted[k - 1],
            };
            prop_assert_eq!(kth_largest(&mut x, k), expected);
        }
    }
}

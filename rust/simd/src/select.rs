//! Threshold selection: the k-th largest value, the k largest of a line, what exceeds a threshold.

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

kernel! {
    /// Appends the position and value of every `x_j - c_j > threshold`, in order, positions from
    /// `offset`, until there are `room` of them or more; how many `j` have been looked at.
    pub fn collect_differences<'a, S>(
        x: &'a [f64], c: &'a [f64], threshold: f64, offset: u32, room: usize,
        positions: &'a mut Vec<u32>, values: &'a mut Vec<f64>,
    ) -> usize {
        const REGISTERS: usize = 4;
        let lanes = S::F64::LANES;
        let group = REGISTERS * lanes;
        let n = x.len();
        let c = &c[..n];
        let t = S::F64::splat(threshold);
        let mut j = 0;
        while j + group <= n {
            let mut masks = [0u32; REGISTERS];
            let mut any = 0;
            for (q, mask) in masks.iter_mut().enumerate() {
                let at = j + q * lanes;
                *mask = S::F64::load(&x[at..]).sub(S::F64::load(&c[at..])).mask_gt(t);
                any |= *mask;
            }
            if any != 0 {
                for (q, mut mask) in masks.into_iter().enumerate() {
                    while mask != 0 {
                        let at = j + q * lanes + mask.trailing_zeros() as usize;
                        positions.push(offset + at as u32);
                        values.push(x[at] - c[at]);
                        mask &= mask - 1;
                    }
                }
                if values.len() >= room {
                    return j + group;
                }
            }
            j += group;
        }
        for at in j..n {
            let difference = x[at] - c[at];
            if difference > threshold {
                positions.push(offset + at as u32);
                values.push(difference);
            }
        }
        n
    }
}

/// The largest of many differences, with their positions, in the order of those.
#[derive(Clone, Debug, Default)]
pub struct Top {
    /// Where they are.
    pub positions: Vec<u32>,
    /// The differences.
    pub values: Vec<f64>,
    scratch: Vec<f64>,
}

impl Top {
    /// Keeps the `k` largest `x_j - c_j` above `floor`; of equal ones the first.
    ///
    /// What exceeds the threshold is collected until there is twice as much as is wanted; the
    /// `k`-th largest of that is the next threshold, so that soon little exceeds it.
    pub fn find(&mut self, x: &[f64], c: &[f64], k: usize, floor: f64) {
        const SPARE: usize = 32;
        self.positions.clear();
        self.values.clear();
        if k == 0 {
            return;
        }
        let room = if k < x.len() { 2 * k + SPARE } else { usize::MAX };
        let (mut threshold, mut at) = (floor, 0);
        while at < x.len() {
            at += collect_differences(
                &x[at..],
                &c[at..],
                threshold,
                at as u32,
                room,
                &mut self.positions,
                &mut self.values,
            );
            if self.values.len() > k {
                threshold = self.keep(k);
            }
        }
    }

    /// Drops all but the `k` largest, of which the last is returned.
    fn keep(&mut self, k: usize) -> f64 {
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.values);
        let least = kth_largest(&mut self.scratch, k);
        let above = self.values.iter().filter(|v| **v > least).count();
        let (mut ties, mut kept) = (k - above, 0);
        for p in 0..self.values.len() {
            let value = self.values[p];
            let tie = value == least && ties > 0;
            if value > least || tie {
                ties -= usize::from(tie);
                self.values[kept] = value;
                self.positions[kept] = self.positions[p];
                kept += 1;
            }
        }
        self.values.truncate(kept);
        self.positions.truncate(kept);
        least
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
        fn top_agrees_with_sorting(
            pairs in prop::collection::vec((-9i32..9, -9i32..9), 0..300), k in 0usize..40, floor in -20i32..9,
        ) {
            let (x, c): (Vec<f64>, Vec<f64>) =
                pairs.into_iter().map(|(x, c)| (f64::from(x), f64::from(c))).unzip();
            let floor = f64::from(floor);
            let mut expected: Vec<(u32, f64)> = (x.iter().zip(&c).enumerate())
                .map(|(j, (x, c))| (j as u32, x - c))
                .filter(|(_, d)| *d > floor)
                .collect();
            expected.sort_by(|a, b| b.1.total_cmp(&a.1)); // stable: of equal ones the first
            expected.truncate(k);
            expected.sort_by_key(|(j, _)| *j);
            let mut top = Top::default();
            top.find(&x, &c, k, floor);
            let found: Vec<(u32, f64)> = top.positions.into_iter().zip(top.values).collect();
            prop_assert_eq!(&found, &expected);
            for level in Level::available() {
                let (mut positions, mut values) = (vec![], vec![]);
                let seen = collect_differences::at(
                    level, &x, &c, floor, 3, usize::MAX, &mut positions, &mut values,
                );
                prop_assert_eq!(seen, x.len());
                let all: Vec<(u32, f64)> = (x.iter().zip(&c).enumerate())
                    .map(|(j, (x, c))| (j as u32 + 3, x - c))
                    .filter(|(_, d)| *d > floor)
                    .collect();
                let found: Vec<(u32, f64)> = positions.into_iter().zip(values).collect();
                prop_assert_eq!(&found, &all);
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

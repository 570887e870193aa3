//! Sums of many positive terms that stay accurate however many there are.
//!
//! Registers are added eight at a time as a balanced tree, which makes three roundings (and none
//! for equal terms); the trees are added in double precision (f32) or with the rounding errors
//! kept (f64). The error of a sum of any length is that of its trees: 3 roundings at most, and far
//! less on average.

use crate::exp::Float;
use crate::lanes::{Simd, Vector};

/// A sum as an unevaluated `high + low`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// The sum, rounded.
    pub high: f64,
    /// What the rounding lost.
    pub low: f64,
}

impl Sum {
    /// The sum of both, to twice the precision. Anything infinite or NaN ends up in `high`.
    pub fn plus(self, other: Sum) -> Sum {
        let high = self.high + other.high;
        let part = high - self.high;
        let error = (self.high - (high - part)) + (other.high - part);
        let low = error + (self.low + other.low);
        let sum = high + low;
        if !sum.is_finite() {
            return Sum { high, low: 0.0 };
        }
        Sum { high: sum, low: low - (sum - high) }
    }

    /// Times a power of two.
    pub fn times(self, power: f64) -> Sum {
        Sum { high: self.high * power, low: self.low * power }
    }
}

/// A running sum in registers.
pub(crate) struct Tally<S: Simd>([S::F64; 2]);

impl<S: Simd> Tally<S> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Tally([S::F64::splat(0.0); 2])
    }
}

/// What a type adds to a tally.
pub(crate) trait Tallied: Float {
    fn add<S: Simd>(tally: &mut Tally<S>, term: Self::Vector<S>);
    /// Each lane times a power of two.
    fn times<S: Simd>(tally: &mut Tally<S>, power: Self::Vector<S>);
    fn total<S: Simd>(tally: Tally<S>) -> Sum;
    /// The sum of each lane, times a power of two; `sums` may be shorter than a register.
    fn lanes<S: Simd>(tally: Tally<S>, power: f64, sums: &mut [Sum]);
}

impl Tallied for f32 {
    #[inline(always)]
    fn add<S: Simd>(tally: &mut Tally<S>, term: S::F32) {
        let [a, b] = S::widen(term);
        tally.0 = [tally.0[0].add(a), tally.0[1].add(b)];
    }
    #[inline(always)]
    fn times<S: Simd>(tally: &mut Tally<S>, power: S::F32) {
        let [a, b] = S::widen(power);
        tally.0 = [tally.0[0].mul(a), tally.0[1].mul(b)];
    }
    #[inline(always)]
    fn total<S: Simd>(tally: Tally<S>) -> Sum {
        Sum { high: tally.0[0].add(tally.0[1]).fold(0.0, |a, b| a + b), low: 0.0 }
    }
    #[inline(always)]
    fn lanes<S: Simd>(tally: Tally<S>, power: f64, sums: &mut [Sum]) {
        let mut values = tally.0.map(|_| S::F64::filled_array(0.0));
        for (values, tally) in values.iter_mut().zip(tally.0) {
            tally.store(values.as_mut());
        }
        let values = values.iter().flat_map(|values| values.as_ref());
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = Sum { high: value * power, low: 0.0 };
        }
    }
}

impl Tallied for f64 {
    #[inline(always)]
    fn add<S: Simd>(tally: &mut Tally<S>, term: S::F64) {
        let [high, low] = tally.0;
        let sum = high.add(term);
        let part = sum.sub(high);
        let error = high.sub(sum.sub(part)).add(term.sub(part));
        tally.0 = [sum, low.add(error)];
    }
    #[inline(always)]
    fn times<S: Simd>(tally: &mut Tally<S>, power: S::F64) {
        tally.0 = tally.0.map(|sum| sum.mul(power));
    }
    #[inline(always)]
    fn total<S: Simd>(tally: Tally<S>) -> Sum {
        let (mut high, mut low) = (S::F64::filled_array(0.0), S::F64::filled_array(0.0));
        tally.0[0].store(high.as_mut());
        tally.0[1].store(low.as_mut());
        let lanes = high.as_ref().iter().zip(low.as_ref());
        lanes.fold(Sum::default(), |sum, (&high, &low)| sum.plus(Sum { high, low }))
    }
    #[inline(always)]
    fn lanes<S: Simd>(tally: Tally<S>, power: f64, sums: &mut [Sum]) {
        let (mut high, mut low) = (S::F64::filled_array(0.0), S::F64::filled_array(0.0));
        tally.0[0].store(high.as_mut());
        tally.0[1].store(low.as_mut());
        for ((sum, &high), &low) in sums.iter_mut().zip(high.as_ref()).zip(low.as_ref()) {
            *sum = Sum { high, low }.times(power);
        }
    }
}

/// The eight registers `term!(j)`, `term!(j + lanes)`, ... as a balanced tree.
macro_rules! tree {
    ($term:ident, $j:expr, $lanes:expr) => {{
        let (j, lanes) = ($j, $lanes);
        let a = $term!(j).add($term!(j + lanes));
        let a = a.add($term!(j + 2 * lanes).add($term!(j + 3 * lanes)));
        let b = $term!(j + 4 * lanes).add($term!(j + 5 * lanes));
        a.add(b.add($term!(j + 6 * lanes).add($term!(j + 7 * lanes))))
    }};
}
pub(crate) use tree;

/// Registers in a tree.
pub(crate) const TREE: usize = 8;

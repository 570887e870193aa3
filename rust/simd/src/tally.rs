//! Sums of many positive terms that stay accurate however many there are, and whatever the order.
//!
//! f32: in double precision. f64: each term is cut at a fixed place, by adding it to a number so
//! large that its last bit lies there ("pre-rounding", Rump, Ogita and Oishi, "Accurate
//! floating-point summation", 2008). What is above the cut adds up without rounding, in any order;
//! what is below is less than 2^-41 of the largest term, and is added up apart. That is four
//! operations a term, where keeping the rounding error of a plain addition takes seven.
//!
//! The error of a sum of n terms is below `n 2^-81` (f64) of what the largest of them may be, or
//! `n 2^-53` (f32): nothing beside the errors of the terms. Where the largest term may be missing
//! and what is left must be accurate however small, `add_any` keeps the rounding errors after all.

use crate::exp::Float;
use crate::frame::Framed;
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

/// A running sum in registers, of at most [`CAPACITY`] terms since it was last settled.
pub(crate) struct Tally<S: Simd> {
    /// The terms: two halves of single precision; or those above the cut, and what is below.
    running: [S::F64; 2],
    /// What has been settled, and its rounding errors; not used for single precision.
    settled: [S::F64; 2],
}

/// Terms, at most `sqrt(2) 2^HEADROOM` each, that a tally takes before it must be settled.
pub(crate) const CAPACITY: usize = 512;

/// With this added, the last bit of a double stands for `2^(HEADROOM - 41)`; it takes `CAPACITY`
/// terms to reach the next power of two.
const CUT: f64 = 1.5 * f64::from_bits((1023 + f64::HEADROOM as u64 + 11) << 52);

/// What a type adds to a tally.
pub(crate) trait Tallied: Float + Framed {
    fn tally<S: Simd>() -> Tally<S>;
    fn add<S: Simd>(tally: &mut Tally<S>, term: Self::Vector<S>);
    /// The same for terms of which all may be small, and as many as there are.
    fn add_any<S: Simd>(tally: &mut Tally<S>, term: Self::Vector<S>);
    /// Makes room for as many terms as before.
    fn settle<S: Simd>(tally: &mut Tally<S>);
    /// Each lane times a power of two.
    fn times<S: Simd>(tally: &mut Tally<S>, power: Self::Vector<S>);
    fn total<S: Simd>(tally: Tally<S>) -> Sum;
    /// The sum of each lane, times a power of two; `sums` may be shorter than a register.
    fn lanes<S: Simd>(tally: Tally<S>, power: f64, sums: &mut [Sum]);
}

impl Tallied for f32 {
    #[inline(always)]
    fn tally<S: Simd>() -> Tally<S> {
        let zero = S::F64::splat(0.0);
        Tally { running: [zero; 2], settled: [zero; 2] }
    }
    #[inline(always)]
    fn add<S: Simd>(tally: &mut Tally<S>, term: S::F32) {
        let [a, b] = S::widen(term);
        tally.running = [tally.running[0].add(a), tally.running[1].add(b)];
    }
    #[inline(always)]
    fn add_any<S: Simd>(tally: &mut Tally<S>, term: S::F32) {
        Self::add(tally, term);
    }
    #[inline(always)]
    fn settle<S: Simd>(_: &mut Tally<S>) {}
    #[inline(always)]
    fn times<S: Simd>(tally: &mut Tally<S>, power: S::F32) {
        let [a, b] = S::widen(power);
        tally.running = [tally.running[0].mul(a), tally.running[1].mul(b)];
    }
    #[inline(always)]
    fn total<S: Simd>(tally: Tally<S>) -> Sum {
        let [a, b] = tally.running;
        Sum { high: a.add(b).fold(0.0, |a, b| a + b), low: 0.0 }
    }
    #[inline(always)]
    fn lanes<S: Simd>(tally: Tally<S>, power: f64, sums: &mut [Sum]) {
        let mut values = tally.running.map(|_| S::F64::filled_array(0.0));
        for (values, tally) in values.iter_mut().zip(tally.running) {
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
    fn tally<S: Simd>() -> Tally<S> {
        let zero = S::F64::splat(0.0);
        Tally { running: [S::F64::splat(CUT), zero], settled: [zero; 2] }
    }
    #[inline(always)]
    fn add<S: Simd>(tally: &mut Tally<S>, term: S::F64) {
        let [above, below] = tally.running;
        let sum = above.add(term);
        tally.running = [sum, below.add(term.sub(sum.sub(above)))];
    }
    #[inline(always)]
    fn add_any<S: Simd>(tally: &mut Tally<S>, term: S::F64) {
        let [high, low] = tally.settled;
        let sum = high.add(term);
        let part = sum.sub(high);
        let error = high.sub(sum.sub(part)).add(term.sub(part));
        tally.settled = [sum, low.add(error)];
    }
    #[inline(always)]
    fn settle<S: Simd>(tally: &mut Tally<S>) {
        let [above, below] = tally.running;
        Self::add_any(tally, above.sub(S::F64::splat(CUT)));
        Self::add_any(tally, below);
        tally.running = Self::tally::<S>().running;
    }
    #[inline(always)]
    fn times<S: Simd>(tally: &mut Tally<S>, power: S::F64) {
        Self::settle(tally);
        tally.settled = tally.settled.map(|sum| sum.mul(power));
    }
    #[inline(always)]
    fn total<S: Simd>(mut tally: Tally<S>) -> Sum {
        Self::settle(&mut tally);
        let (mut high, mut low) = (S::F64::filled_array(0.0), S::F64::filled_array(0.0));
        tally.settled[0].store(high.as_mut());
        tally.settled[1].store(low.as_mut());
        let [high, low] = [high.as_mut(), low.as_mut()];
        let mut count = S::F64::LANES;
        while count > 1 {
            count /= 2;
            for l in 0..count {
                let at = |l: usize| Sum { high: high[l], low: low[l] };
                Sum { high: high[l], low: low[l] } = at(l).plus(at(l + count));
            }
        }
        Sum { high: high[0], low: low[0] }
    }
    #[inline(always)]
    fn lanes<S: Simd>(mut tally: Tally<S>, power: f64, sums: &mut [Sum]) {
        Self::settle(&mut tally);
        let (mut high, mut low) = (S::F64::filled_array(0.0), S::F64::filled_array(0.0));
        tally.settled[0].store(high.as_mut());
        tally.settled[1].store(low.as_mut());
        for ((sum, &high), &low) in sums.iter_mut().zip(high.as_ref()).zip(low.as_ref()) {
            *sum = Sum::default().plus(Sum { high, low }).times(power);
        }
    }
}

/// Registers that are worked on at a time.
pub(crate) const GROUP: usize = 8;

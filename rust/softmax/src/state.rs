//! What is known of a sum of exponentials: the mergeable state.
//!
//! `sum_j e^(x_j) = (top + rest) e^shift 2^exponent` with a [`Reference`] near the maximum. Two
//! states are brought to the larger reference and added; between references without a shift that
//! is a change of exponent, which is exact, so that the order and the places of the splits change
//! no more than the rounding of a sum kept to twice the precision.
//!
//! Where the logarithm is wanted and the sum is not much above the exponential of the maximum, that
//! (`top`) is counted apart from those of all other values (`rest`): `log sum_j e^(x_j) = max +
//! log1p(rest / top)` is then accurate however small `rest` is. There `top` is computed anew from the maximum and the
//! reference, to more than double precision; in a sum that probabilities are divided by it is the
//! exponential that they are made of.
//!
//! The error of `log1p(rest / top)`, in ULP: 1.4 from the exponentials (`sparrot_simd::exp`), 0.4
//! from `top`, 1 from the library's `log1p`; a log-softmax takes two more roundings, 1/2 each.

use sparrot_simd::frame::{Framed, Reference};
use sparrot_simd::softmax::Factor;
use sparrot_simd::tally::Sum;

/// `ln 2` in two parts; products of the first with integers below 2^12 are exact.
const LN2: [f64; 2] = [0.693147180559663, 2.8235290563031577e-13];

/// From here on a sum need not be split for its logarithm: it is at least 4 times the exponential of
/// the maximum, which is below `sqrt(2)`, so that the logarithm of their ratio is above 1.
const LEAST_SUM: f64 = 6.0;

/// Sums are exact to 2^-70 (f64) or 2^-45 (f32) of the largest term, so that what is this share of it
/// can be found by subtraction.
const LEAST_SHARE: f64 = 1.0 / 4096.0;

/// The sum of the exponentials of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// The largest value; `-inf` for none.
    pub max: f64,
    /// What `top` and `rest` are relative to.
    pub reference: Reference,
    /// The exponential of the maximum, or 0 if it is in `rest`.
    pub top: f64,
    /// The exponentials of all other values. With a maximum of `+inf`: NaN or what the sum is.
    pub rest: Sum,
}

/// What to make of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Positive and, over its reference, finite.
    Regular,
    /// There is no value above `-inf`.
    Empty,
    /// A value is `+inf`.
    Infinite,
    /// A value is NaN.
    Undefined,
}

/// `mantissa * 2^exponent`.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    mantissa: Sum,
    exponent: f64,
}

impl State {
    /// Nothing yet.
    pub const EMPTY: State = State {
        max: f64::NEG_INFINITY,
        reference: Reference { shift: 0.0, exponent: 0.0 },
        top: 0.0,
        rest: Sum { high: 0.0, low: 0.0 },
    };

    /// For values of which one is `+inf`, or NaN.
    pub fn irregular(max: f64, sum: f64) -> State {
        State { max, rest: Sum { high: sum, low: 0.0 }, ..State::EMPTY }
    }

    /// From the sum over all values.
    #[inline]
    pub fn of_all(max: f64, reference: Reference, sum: Sum) -> State {
        State { max, reference, top: 0.0, rest: sum }
    }

    /// From the sum over all values, with the exponential of the maximum taken out where it matters:
    /// `None` if next to nothing is left, which must then be summed without it.
    #[inline]
    pub fn split(max: f64, reference: Reference, sum: Sum, top: impl Fn() -> f64) -> Option<State> {
        if sum.high >= LEAST_SUM || sum.high.is_nan() {
            return Some(State::of_all(max, reference, sum));
        }
        let top = top();
        let rest = sum.plus(Sum { high: -top, low: 0.0 });
        (rest.high >= LEAST_SHARE * top).then_some(State { max, reference, top, rest })
    }

    /// From the sum over the values below the maximum, which occurs `ties` times with the
    /// exponential `top`.
    pub fn of_others(max: f64, reference: Reference, sum: Sum, ties: usize, top: f64) -> State {
        let [others, one] = [(ties.max(1) - 1) as f64, top].map(|high| Sum { high, low: 0.0 });
        State { max, reference, top, rest: sum.plus(product(others, one)) }
    }

    /// The state of both sets of values.
    #[inline]
    pub fn merge(self, other: State) -> State {
        if self == State::EMPTY {
            return other;
        }
        let (a, b) = if other.max > self.max { (other, self) } else { (self, other) };
        if a.rest.high.is_nan() || b.rest.high.is_nan() {
            return State::irregular(a.max, f64::NAN);
        }
        if a.max == f64::INFINITY {
            // Weighted sums may be infinite with either sign.
            let same = b.max < f64::INFINITY || a.rest.high == b.rest.high;
            return if same { a } else { State::irregular(a.max, f64::NAN) };
        }
        if b.max == f64::NEG_INFINITY {
            return a;
        }
        let ratio = Ratio::of(b.reference, a.reference);
        State { rest: a.rest.plus(ratio.times(b.sum())), ..a }
    }

    /// The sum over the reference.
    #[inline]
    pub fn sum(&self) -> Sum {
        if self.top == 0.0 {
            return self.rest;
        }
        self.rest.plus(Sum { high: self.top, low: 0.0 })
    }

    /// What to make of the sum.
    #[inline]
    pub fn kind(&self) -> Kind {
        if self.rest.high.is_nan() {
            Kind::Undefined
        } else if self.max == f64::INFINITY {
            Kind::Infinite
        } else if self.max == f64::NEG_INFINITY {
            Kind::Empty
        } else {
            Kind::Regular
        }
    }

    /// `log sum_j e^(x_j - max)`, of a regular state.
    pub fn log_rest(&self) -> f64 {
        let top = exp(residue(self.max, self.reference));
        // The form follows from the values alone, not from how they were summed.
        let all = over(self.sum(), top);
        if self.top == 0.0 || all.high >= 4.0 {
            return all.high.ln() + all.low / all.high;
        }
        let others = over(self.rest, top);
        others.high.ln_1p() + others.low / (1.0 + others.high)
    }

    /// `log sum_j e^(x_j - max)`, of any state: NaN or infinite for an irregular one.
    pub fn log_excess(&self) -> f64 {
        match self.kind() {
            Kind::Regular => self.log_rest(),
            Kind::Empty => f64::NEG_INFINITY,
            Kind::Infinite | Kind::Undefined => self.rest.high,
        }
    }

    /// `log sum_j e^(x_j)`.
    pub fn log_sum_exp(&self) -> f64 {
        match self.kind() {
            Kind::Regular => self.max + self.log_rest(),
            Kind::Empty => f64::NEG_INFINITY,
            Kind::Infinite | Kind::Undefined => self.rest.high,
        }
    }

    /// `(log |sum|, sign of the sum)`, of a weighted sum.
    pub fn signed_log(&self) -> (f64, f64) {
        let sum = self.sum().high;
        if sum.is_nan() {
            return (sum, sum);
        }
        if sum == 0.0 || self.max == f64::NEG_INFINITY {
            return (f64::NEG_INFINITY, 0.0);
        }
        if self.max == f64::INFINITY {
            return (sum.abs(), sum.signum());
        }
        (self.max + (sum.abs().ln() - residue(self.max, self.reference).high), sum.signum())
    }

    /// `(factor, exponent)` with which an exponential of the frame of `reference` becomes a
    /// probability: `y = factor e 2^exponent`, the factor about 1 in magnitude.
    #[inline]
    pub fn share<T: Framed>(&self, reference: Reference) -> (Factor<T>, f64) {
        let ratio = Ratio::of(reference, self.reference);
        let quotient = if T::DIGITS < 30.0 {
            Sum { high: ratio.mantissa.high / self.sum().high, low: 0.0 } // that is twice already
        } else {
            over(ratio.mantissa, self.sum())
        };
        // Its exponent goes to the exponent, so that the factor is near 1.
        let scale = floor_log2(quotient.high);
        let Sum { high, low } = quotient.times(power_of_two(-scale));
        let narrow = T::narrow(high);
        let factor = Factor { high: narrow, low: T::narrow((high - narrow.wide()) + low) };
        (factor, ratio.exponent + scale - T::HEADROOM)
    }
}

/// `max - log(reference)`, at most half of `ln 2` in magnitude.
fn residue(max: f64, reference: Reference) -> Sum {
    let Reference { shift, exponent } = reference;
    // Exact, as one of the two is 0, and the product is exact and near the maximum.
    let difference = (max - shift) - exponent * LN2[0];
    let (high, low) = two_sum(difference, -exponent * LN2[1]);
    Sum { high, low }
}

impl Ratio {
    /// `a / b`, where `b` is of a larger maximum.
    #[inline]
    fn of(a: Reference, b: Reference) -> Ratio {
        let exponent = a.exponent - b.exponent;
        let (high, low) = two_sum(a.shift, -b.shift);
        if high == 0.0 {
            return Ratio { mantissa: Sum { high: 1.0, low: 0.0 }, exponent };
        }
        if high < -2000.0 {
            return Ratio { mantissa: Sum { high: 1.0, low: 0.0 }, exponent: -1e6 }; // 0
        }
        // e^(shift) 2^exponent with the power of two that leaves a mantissa near 1.
        let n = (high / std::f64::consts::LN_2).round();
        let (high, error) = two_sum(high, -n * LN2[0]);
        let (high, low) = two_sum(high, error + low - n * LN2[1]);
        Ratio { mantissa: exp(Sum { high, low }), exponent: exponent + n }
    }

    /// The sum times this ratio.
    fn times(self, sum: Sum) -> Sum {
        // In two steps: the power alone may underflow where the product does not.
        let half = (self.exponent / 2.0).trunc();
        let scaled = sum.times(power_of_two(half)).times(power_of_two(self.exponent - half));
        product(scaled, self.mantissa)
    }
}

/// The exponential of a number near 0, to 0.4 of 2^-53.
fn exp(x: Sum) -> Sum {
    // Of 1 + expm1(x) only the second term has an error.
    let (high, low) = two_sum(1.0, x.high.exp_m1());
    Sum { high, low: low + x.low * high }
}

/// To twice the precision.
fn product(a: Sum, b: Sum) -> Sum {
    let high = a.high * b.high;
    Sum { high, low: a.high.mul_add(b.high, -high) + (a.high * b.low + a.low * b.high) }
}

/// `a / b` to twice the precision: one Newton step on the rounded quotient.
fn over(a: Sum, b: Sum) -> Sum {
    let inverse = 1.0 / b.high;
    let high = a.high * inverse;
    let error = high.mul_add(-b.high, a.high) + (a.low - high * b.low);
    let low = error * inverse;
    let sum = high + low;
    Sum { high: sum, low: low - (sum - high) }
}

/// `2^k` for an integer `k`; 0 below the normal range.
pub(crate) fn power_of_two(k: f64) -> f64 {
    f64::from_bits(((k + 1023.0).clamp(0.0, 2047.0) as u64) << 52)
}

/// The exponent of a positive normal number.
fn floor_log2(x: f64) -> f64 {
    ((x.to_bits() >> 52) & 0x7ff) as f64 - 1023.0
}

/// `a + b` and what rounding it lost.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(x: &[f64]) -> State {
        crate::pass::first_for_log(x)
    }

    #[test]
    fn merging_is_adding_whatever_the_magnitudes() {
        let blocks: [&[f64]; 5] =
            [&[-3e4, -2.9e4], &[0.5, -0.5, 0.5], &[1490.0, 1480.0], &[1500.0, 1499.0], &[1e5; 3]];
        for a in blocks {
            for b in blocks {
                let all: Vec<f64> = a.iter().chain(b).copied().collect();
                let (merged, whole) = (state(a).merge(state(b)), state(&all));
                let difference = merged.log_sum_exp() - whole.log_sum_exp();
                assert!(difference.abs() <= 1e-15 * whole.log_sum_exp().abs(), "{a:?} {b:?}");
                assert_eq!(merged.kind(), Kind::Regular);
            }
        }
    }

    #[test]
    fn the_rest_is_kept_however_small() {
        let log = state(&[0.0, -700.0]).log_sum_exp();
        assert!((log / (-700f64).exp() - 1.0).abs() < 1e-14);
        assert_eq!(state(&[2.0; 4]).log_sum_exp(), 2.0 + 4f64.ln());
    }

    #[test]
    fn irregular_values_are_told_apart() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let cases: [(&[f64], Kind, f64); 6] = [
            (&[], Kind::Empty, -inf),
            (&[-inf, -inf], Kind::Empty, -inf),
            (&[1.0, inf], Kind::Infinite, inf),
            (&[1.0, nan], Kind::Undefined, nan),
            (&[inf, nan], Kind::Undefined, nan),
            (&[-inf, nan], Kind::Undefined, nan),
        ];
        for (x, kind, log) in cases {
            assert_eq!(state(x).kind(), kind, "{x:?}");
            assert_eq!(state(x).log_sum_exp().to_bits() << 1, log.to_bits() << 1, "{x:?}");
            for other in [&[][..], &[3.0]] {
                let merged = state(x).merge(state(other)).merge(state(&[-5.0]));
                let expected = if kind == Kind::Empty { Kind::Regular } else { kind };
                assert_eq!(merged.kind(), expected);
            }
        }
    }

    #[test]
    fn shares_add_up_to_1() {
        let total = state(&[0.0, 1.0, 2.0]);
        let (factor, exponent) = total.share::<f64>(Reference::new(0.0));
        let power = (exponent + f64::HEADROOM).exp2();
        let sum: f64 = [0.0f64, 1.0, 2.0].iter().map(|x| x.exp() * factor.high * power).sum();
        assert!((sum - 1.0).abs() < 1e-15);
    }
}

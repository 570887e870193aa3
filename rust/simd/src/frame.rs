//! Exponentials relative to a reference, without rounding `x - max`.
//!
//! `e^x / (e^shift 2^exponent)` needs only an integer to be taken from `n` in `e^x = 2^n e^r`:
//! the usual `x - max` rounds, and costs tens of units in the last place where `x` and `max`
//! differ much. A maximum beyond `Framed::LIMIT` is taken away all the same (`shift`): that is
//! exact wherever the result is not 0, because `x` and `max` are then within a factor of two of
//! one another (Sterbenz).
//!
//! Results carry a factor of `2^HEADROOM` ([`Framed::HEADROOM`]), so that none which matters is
//! subnormal before it has been divided by the sum: there is one rounding, and no slow arithmetic.

use crate::exp::Float;
use crate::lanes::Vector;

/// `e^shift 2^exponent`, which other exponentials are compared with; one of the two is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// 0, or the maximum itself if it is large.
    pub shift: f64,
    /// The integer nearest to the maximum over `ln 2`, or 0.
    pub exponent: f64,
}

impl Reference {
    /// For values of which none is above `max`, a finite number.
    pub fn new<T: Framed>(max: T) -> Reference {
        let max = max.wide();
        if max.abs() <= T::LIMIT {
            // To the nearest integer, without the library call that `round` would be.
            let exponent = (max * std::f64::consts::LOG2_E + f64::MAGIC) - f64::MAGIC;
            Reference { shift: 0.0, exponent }
        } else {
            Reference { shift: max, exponent: 0.0 }
        }
    }
}

/// f32 or f64, as the frame needs them.
pub trait Framed: Copy {
    /// Above this magnitude, a value within reach of the maximum is within a factor of two of it.
    #[doc(hidden)]
    const LIMIT: f64;
    /// The exponent bias of the type.
    #[doc(hidden)]
    const BIAS: f64;
    /// The bits of a mantissa.
    #[doc(hidden)]
    const DIGITS: f64;
    /// Every exponential of a frame carries the factor 2 to this power: so much that what is left
    /// out would not change a denormal result if there were 2^32 of it.
    const HEADROOM: f64;
    #[doc(hidden)]
    fn wide(self) -> f64;
    #[doc(hidden)]
    fn narrow(x: f64) -> Self;
}

impl Framed for f32 {
    const LIMIT: f64 = 208.0; // e^-104 is 0
    const BIAS: f64 = 127.0;
    const DIGITS: f64 = 24.0;
    const HEADROOM: f64 = 56.0; // the smallest denormal is 2^-149
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn narrow(x: f64) -> f32 {
        x as f32
    }
}

impl Framed for f64 {
    const LIMIT: f64 = 1491.0; // e^-745.5 is 0
    const BIAS: f64 = 1023.0;
    const DIGITS: f64 = 53.0;
    const HEADROOM: f64 = 128.0; // the smallest denormal is 2^-1074
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
    #[inline(always)]
    fn narrow(x: f64) -> f64 {
        x
    }
}

// The smallest argument of a frame is within the reach of `Float::reduce`.
const _: () = {
    const fn lowest<T: Framed>() -> f64 {
        T::LIMIT + (T::BIAS + T::HEADROOM + T::DIGITS + 2.0) * std::f64::consts::LN_2
    }
    assert!(lowest::<f32>() <= f32::REACH as f64);
    assert!(lowest::<f64>() <= f64::REACH);
};

/// A reference in registers.
#[derive(Clone, Copy)]
pub(crate) struct Frame<V> {
    pub(crate) shift: V,
    /// What is lower gives exactly 0, as this value does.
    pub(crate) low: V,
    pub(crate) offset: V,
}

/// `(shift, low, offset)` of a frame.
#[inline(always)]
pub(crate) fn frame_values<V: Vector<Elem: Framed>>(reference: Reference) -> [V::Elem; 3] {
    let Reference { shift, exponent } = reference;
    let offset = V::Elem::HEADROOM + V::Elem::BIAS - exponent;
    let low = (V::LOWEST.wide() - offset) * std::f64::consts::LN_2;
    [shift, low, offset].map(V::Elem::narrow)
}

impl<V: Vector<Elem: Float + Framed>> Frame<V> {
    #[inline(always)]
    pub(crate) fn new(reference: Reference) -> Self {
        let [shift, low, offset] = frame_values::<V>(reference);
        Frame { shift: V::splat(shift), low: V::splat(low), offset: V::splat(offset) }
    }

    /// `2^HEADROOM e^x / (e^shift 2^exponent)`; `SHIFTED` must be true unless all shifts are 0.
    #[inline(always)]
    pub(crate) fn exp<const SHIFTED: bool>(&self, x: V) -> V {
        let x = if SHIFTED { x.sub(self.shift) } else { x };
        let (j, r, s) = Float::reduce(self.low.max(x)); // in this order a NaN gets through
        s.exponential(r, j.add(self.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softmax::Softmax;

    #[test]
    fn a_reference_is_the_nearest_power_of_two_or_the_maximum_itself() {
        assert_eq!(Reference::new(0.0f32), Reference { shift: 0.0, exponent: 0.0 });
        assert_eq!(Reference::new(-7.0f64), Reference { shift: 0.0, exponent: -10.0 });
        assert_eq!(Reference::new(208.0f32).exponent, 300.0);
        assert_eq!(Reference::new(209.0f32), Reference { shift: 209.0, exponent: 0.0 });
        assert_eq!(Reference::new(-1e300), Reference { shift: -1e300, exponent: 0.0 });
    }

    #[test]
    fn what_is_too_low_gives_exactly_0_and_nan_stays() {
        let x = [0.0f32, f32::NEG_INFINITY, -3e38, -1e9, -200.0];
        let (sum, _) = f32::exp_sum(&x, &[], Reference::new(0.0f32), None);
        assert_eq!(sum.high, 1.0);
        let (sum, _) = f32::exp_sum(&[0.0, f32::NAN], &[], Reference::new(0.0f32), None);
        assert!(sum.high.is_nan());
    }
}

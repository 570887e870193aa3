//! The operations on plain arrays, which the compiler turns into the registers every processor
//! of the architecture has: SSE2 on x86-64, NEON on 64-bit ARM.

use crate::lanes::{Simd, Vector};

pub(crate) struct Portable;

impl Simd for Portable {
    type F64 = Array<f64, 4>;
    type F32 = Array<f32, 8>;

    #[inline(always)]
    fn widen(x: Self::F32) -> [Self::F64; 2] {
        let [a, b, c, d, e, f, g, h] = x.0.map(f64::from);
        [Array([a, b, c, d]), Array([e, f, g, h])]
    }
}

/// Whether the processor fuses; without the instruction `f64::mul_add` is a library call.
const FUSED: bool = cfg!(target_arch = "aarch64") || cfg!(target_feature = "fma");

/// `a b + c`, rounded once: the rounding errors of both operations are found and added (Dekker,
/// "A floating-point technique for extending the available precision", 1971; Knuth's two-sum).
#[inline(always)]
fn fused64(a: f64, b: f64, c: f64) -> f64 {
    // Halves of 26 bits, whose products are exact.
    let split = |x: f64| {
        let t = x * 134217729.0; // 2^27 + 1
        let high = t - (t - x);
        (high, x - high)
    };
    let ((a1, a0), (b1, b0)) = (split(a), split(b));
    let product = a * b;
    let error = ((a1 * b1 - product) + a1 * b0 + a0 * b1) + a0 * b0;
    let sum = product + c;
    let part = sum - product;
    let lost = (product - (sum - part)) + (c - part);
    sum + (lost + error)
}

/// `a b + c`, rounded once: in double precision the product is exact, and a sum that is not is made
/// odd in its last bit, so that it never looks like a tie (Boldo and Melquiond, "Emulation of a FMA
/// and correctly rounded sums", 2008).
#[inline(always)]
fn fused32(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    let part = sum - product;
    let lost = (product - (sum - part)) + (c - part);
    let bits = sum.to_bits();
    let even = lost != 0.0 && bits & 1 == 0;
    // Away from zero if what was lost has the sign of the sum, towards it if not.
    let step = if (lost < 0.0) == (sum < 0.0) { 1 } else { u64::MAX };
    f64::from_bits(if even { bits.wrapping_add(step) } else { bits }) as f32
}

#[derive(Clone, Copy)]
pub(crate) struct Array<T, const N: usize>([T; N]);

macro_rules! portable_vector {
    ($float:ty, $lanes:literal, $mantissa:literal, $bias:literal, $magic:literal, $fused:ident) => {
        impl Vector for Array<$float, $lanes> {
            type Elem = $float;
            const LANES: usize = $lanes;
            type Array = [$float; $lanes];

            #[inline(always)]
            fn splat(x: $float) -> Self {
                Array([x; $lanes])
            }
            #[inline(always)]
            fn filled_array(x: $float) -> Self::Array {
                [x; $lanes]
            }
            #[inline(always)]
            fn load(x: &[$float]) -> Self {
                let mut lanes = [0.0; $lanes];
                lanes.copy_from_slice(&x[..$lanes]);
                Array(lanes)
            }
            #[inline(always)]
            fn store(self, x: &mut [$float]) {
                x[..$lanes].copy_from_slice(&self.0);
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.zip(other, |a, b| a + b)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.zip(other, |a, b| a - b)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.zip(other, |a, b| a * b)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.map(<$float>::sqrt)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.map(<$float>::abs)
            }
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                let mut lanes = self.0;
                for l in 0..$lanes {
                    lanes[l] = if FUSED {
                        lanes[l].mul_add(b.0[l], c.0[l])
                    } else {
                        lanes[l] * b.0[l] + c.0[l]
                    };
                }
                Array(lanes)
            }
            #[inline(always)]
            fn fused(self, b: Self, c: Self) -> Self {
                if FUSED {
                    return self.mul_add(b, c);
                }
                let mut lanes = self.0;
                for l in 0..$lanes {
                    lanes[l] = $fused(lanes[l], b.0[l], c.0[l]);
                }
                Array(lanes)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                self.zip(other, |a, b| if a < b { a } else { b })
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                self.zip(other, |a, b| if a > b { a } else { b })
            }
            #[inline(always)]
            fn round(self) -> Self {
                // Adding 1.5 * 2^mantissa leaves no room for a fraction.
                self.map(|x| (x + $magic) - $magic)
            }
            #[inline(always)]
            fn scale(self, n: Self) -> Self {
                // 2^n may lie outside the range of the type, so it is applied as two halves.
                let bias = Self::splat($magic + $bias);
                let half = n.mul(Self::splat(0.5)).round();
                let rest = n.sub(half).add(bias).to_exponent();
                self.mul(half.add(bias).to_exponent()).mul(rest)
            }
            #[inline(always)]
            fn power_of_two(self) -> Self {
                Self::splat($magic).max(self.add(Self::splat($magic + $bias))).to_exponent()
            }
            #[inline(always)]
            fn to_exponent(self) -> Self {
                self.map(|m| <$float>::from_bits(m.to_bits() << $mantissa))
            }
            #[inline(always)]
            fn zero_up_to(self, other: Self) -> Self {
                self.zip(other, |a, b| if a <= b { 0.0 } else { a })
            }
            #[inline(always)]
            fn zero_unless_below(self, x: Self, bound: Self) -> Self {
                let mut lanes = self.0;
                for l in 0..$lanes {
                    lanes[l] = if x.0[l] >= bound.0[l] { 0.0 } else { lanes[l] };
                }
                Array(lanes)
            }
            #[inline(always)]
            fn mask_gt(self, other: Self) -> u32 {
                let mut mask = 0;
                for l in 0..$lanes {
                    mask |= u32::from(self.0[l] > other.0[l]) << l;
                }
                mask
            }
        }
    };
}

impl<T: Copy, const N: usize> Array<T, N> {
    #[inline(always)]
    fn map(self, f: impl Fn(T) -> T) -> Self {
        Array(self.0.map(f))
    }
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        let mut lanes = self.0;
        for (lane, &o) in lanes.iter_mut().zip(&other.0) {
            *lane = f(*lane, o);
        }
        Array(lanes)
    }
}

portable_vector!(f64, 4, 52, 1023.0, 6755399441055744.0, fused64);
portable_vector!(f32, 8, 23, 127.0, 12582912.0, fused32);

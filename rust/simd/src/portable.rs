//! The operations on plain arrays, which the compiler turns into the registers every processor
//! of the architecture has: SSE2 on x86-64, NEON on 64-bit ARM.

use crate::lanes::{Simd, Vector};

pub(crate) struct Portable;

impl Simd for Portable {
    type F64 = Array<f64, 8>;
    type F32 = Array<f32, 16>;

    #[inline(always)]
    fn widen(x: Self::F32) -> [Self::F64; 2] {
        let x = x.0.map(f64::from);
        [Array(std::array::from_fn(|l| x[l])), Array(std::array::from_fn(|l| x[8 + l]))]
    }
}

/// Whether the processor fuses; without the instruction `f64::mul_add` is a library call.
const FUSED: bool = cfg!(target_arch = "aarch64") || cfg!(target_feature = "fma");

/// `a b + c`, rounded once unless the product is below 1e-290: the rounding errors of both operations
/// are found and added (Dekker, "A floating-point technique for extending the available precision",
/// 1971; Knuth's two-sum).
#[inline(always)]
fn fused64(a: [f64; 8], b: [f64; 8], c: [f64; 8]) -> [f64; 8] {
    let [a, b, c] = [Array(a), Array(b), Array(c)];
    // Halves of 26 bits, whose products are exact.
    let split = |x: Array<f64, 8>| {
        let t = x.mul(Array::splat(134217729.0)); // 2^27 + 1
        let high = t.sub(t.sub(x));
        (high, x.sub(high))
    };
    let ((a1, a0), (b1, b0)) = (split(a), split(b));
    let product = a.mul(b);
    let error = a1.mul(b1).sub(product).add(a1.mul(b0)).add(a0.mul(b1)).add(a0.mul(b0));
    // Where the product is so small that its error would be denormal, there is nothing to find.
    let error = error.zip(product, |error, p| if p.abs() < 1e-290 { 0.0 } else { error });
    let sum = product.add(c);
    let part = sum.sub(product);
    let lost = product.sub(sum.sub(part)).add(c.sub(part));
    sum.add(lost.add(error)).0
}

/// `a b + c`, rounded once: in double precision the product is exact; the sum is rounded, and again
/// to single precision, which matters only where the first rounding made a tie.
#[inline(always)]
fn fused32(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
    const TIE: u64 = 1 << 28; // half a bit of single precision in the mantissa of a double
    let mut result = [0.0; 16];
    let mut unsure = false;
    for l in 0..16 {
        let sum = f64::from(a[l]) * f64::from(b[l]) + f64::from(c[l]);
        result[l] = sum as f32;
        let denormal = sum.abs() < f64::from(f32::MIN_POSITIVE) && sum != 0.0;
        unsure |= denormal || sum.to_bits() & (2 * TIE - 1) == TIE;
    }
    if unsure {
        for l in 0..16 {
            result[l] = fused32_by_odd(a[l], b[l], c[l]);
        }
    }
    result
}

/// The same, with a sum that is not exact made odd in its last bit, so that it never looks like a
/// tie (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums", 2008).
#[cold]
fn fused32_by_odd(a: f32, b: f32, c: f32) -> f32 {
    let (sum, lost) = two_sum(f64::from(a) * f64::from(b), f64::from(c));
    let bits = sum.to_bits();
    let even = lost != 0.0 && bits & 1 == 0;
    // Away from zero if what was lost has the sign of the sum, towards it if not.
    let step = if (lost < 0.0) == (sum < 0.0) { 1 } else { u64::MAX };
    f64::from_bits(if even { bits.wrapping_add(step) } else { bits }) as f32
}

/// `a + b` and what rounding it lost.
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

#[derive(Clone, Copy)]
pub(crate) struct Array<T, const N: usize>([T; N]);

macro_rules! portable_vector {
    ($float:ty, $lanes:literal, $mantissa:literal, $bias:literal, $magic:literal, $fused:ident) => {
        impl Vector for Array<$float, $lanes> {
            type Elem = $float;
            const LANES: usize = $lanes;
            const FUSED: bool = FUSED;
            const LOWEST: $float = 0.0;
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
            fn with_sign_of(self, other: Self) -> Self {
                self.zip(other, <$float>::copysign)
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
                Array($fused(self.0, b.0, c.0))
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

portable_vector!(f64, 8, 52, 1023.0, 6755399441055744.0, fused64);
portable_vector!(f32, 16, 23, 127.0, 12582912.0, fused32);

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits of all kinds of numbers, from a fixed generator.
    fn random_bits() -> impl Iterator<Item = u64> {
        std::iter::successors(Some(0x9e37_79b9_7f4a_7c15_u64), |x| {
            let x = x ^ (x << 13);
            let x = x ^ (x >> 7);
            Some(x ^ (x << 17))
        })
    }

    #[test]
    fn emulated_fused_steps_are_rounded_once() {
        let mut bits = random_bits();
        let mut f64_near = |spread: u64| {
            let bits = bits.next().unwrap();
            f64::from_bits((bits >> 12) | ((1023 - spread / 2 + (bits & 0xfff) % spread) << 52))
        };
        for round in 0..20_000 {
            let [a, b] = [(); 2].map(|()| [(); 8].map(|()| f64_near(40)));
            // Sums that nearly cancel, that hardly meet, and all between.
            let c = std::array::from_fn(|l| match round % 3 {
                0 => -a[l] * b[l] * (1.0 + f64_near(2) * f64::EPSILON),
                1 => f64_near(140),
                _ => f64_near(40),
            });
            let exact: [f64; 8] = std::array::from_fn(|l| a[l].mul_add(b[l], c[l]));
            assert_eq!(fused64(a, b, c), exact);
        }
    }

    #[test]
    fn emulated_fused_steps_of_single_precision_are_rounded_once() {
        let mut bits = random_bits();
        let mut f32_near = |spread: u32| {
            let bits = (bits.next().unwrap() >> 32) as u32;
            let x =
                f32::from_bits((bits >> 9) | ((127 - spread / 2 + (bits & 0x1ff) % spread) << 23));
            if bits & 0x200 == 0 { x } else { -x }
        };
        for round in 0..40_000 {
            let few_bits = |x: f32| f32::from_bits(x.to_bits() & 0xffff_f000);
            let [a, b] = [(); 2].map(|()| {
                [(); 16].map(|()| match round % 4 {
                    // Products of few bits make ties, which a tiny product must break.
                    0 => few_bits(f32_near(60)),
                    1 => f32_near(40) * 1e-19, // denormal results
                    _ => f32_near(40),
                })
            });
            let c =
                std::array::from_fn(|l| if l % 2 == 0 { f32_near(40) } else { a[l] * b[l] * 1e-7 });
            let exact: [f32; 16] = std::array::from_fn(|l| a[l].mul_add(b[l], c[l]));
            assert_eq!(fused32(a, b, c), exact);
            let careful: [f32; 16] = std::array::from_fn(|l| fused32_by_odd(a[l], b[l], c[l]));
            assert_eq!(careful, exact);
        }
    }
}

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

#[derive(Clone, Copy)]
pub(crate) struct Array<T, const N: usize>([T; N]);

macro_rules! portable_vector {
    ($float:ty, $lanes:literal, $mantissa:literal, $bias:literal, $magic:literal) => {
        impl Vector for Array<$float, $lanes> {
            type Elem = $float;
            const LANES: usize = $lanes;
            // Without the instruction a fused product is a library call, so it is not fused.
            const FUSED: bool = cfg!(target_arch = "aarch64") || cfg!(target_feature = "fma");
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
                    lanes[l] = if Self::FUSED {
                        lanes[l].mul_add(b.0[l], c.0[l])
                    } else {
                        lanes[l] * b.0[l] + c.0[l]
                    };
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
            fn scale_down(self, d: Self) -> Self {
                let least = Self::splat($magic);
                self.mul(least.max(d.add(Self::splat($magic + $bias))).to_exponent())
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

portable_vector!(f64, 4, 52, 1023.0, 6755399441055744.0);
portable_vector!(f32, 8, 23, 127.0, 12582912.0);

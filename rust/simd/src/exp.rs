//! The exponential, about 1 unit in the last place (ULP) from the truth.
//!
//! `e^x = 2^n e^r` with `n = round(x / ln 2)` and `r = x - n ln 2`, so `|r| <= ln(2)/2` and `e^r`
//! lies between `1/sqrt(2)` and `sqrt(2)`: the pair `(n, e^r)` of `Float::reduce` is the "ExtExp"
//! of arXiv 2001.04438, which can neither overflow nor underflow. `ln 2` is split in two so that
//! `n * hi` is exact up to `Float::REACH`. `e^r` is `1 + r s` with `s = 1 + r q(r)`, and `q` the Chebyshev
//! fit of degree 9 (f64, error 0.11 of half an ULP) or 4 (f32, 0.13).
//!
//! `reduce` hands on `r` and `s`, so that `2^n + (2^n r) s` is rounded once, and every step of it is
//! rounded as if fused, with or without the instruction: each level gives the same bits, and those
//! without it take ten times as long. Softmax is made of that; `exp64`, for transport, does without.
//!
//! Errors of `e^r`, in units of `u = 2^-53` (f64) or `2^-24` (f32): from rounding `r` at most `e^r/4`,
//! from rounding `s` at most `|r|`, or half that if `r < 0`, from the fit 0.13, and from the last
//! rounding 1, or 1/2 if `r < 0`. Over `e^r` that is at most 1.4 for any `|r| <= ln(2)/2`: the bound
//! that the errors of softmax rest on.
//!
//! `exp64` applies `2^n` with a single rounding, so results in the subnormal range are right too.
//!
//! Special values: `-inf` gives 0, `+inf` gives `+inf`, NaN gives NaN; above 709.78 (88.72 in f32)
//! the result is `+inf`, below -745.13 (-103.97) it is 0.
//!
//! Worst error found: 0.91 ULP in f64 (5e5 arguments) and 0.93 in f32 (every 997th argument there
//! is); the tests assert 1.

use crate::dispatch::kernel;
use crate::lanes::{Simd, Vector};

/// f32 or f64, and how `e^x` is taken apart in it.
pub(crate) trait Float: Copy + PartialOrd {
    type Vector<S: Simd>: Vector<Elem = Self>;
    /// Added and taken away again, it leaves the nearest integer; with it added, the integer
    /// stands in the low bits.
    const MAGIC: Self;
    const LOG2_E: Self;
    /// `reduce` is accurate for arguments up to this magnitude.
    const REACH: Self;

    /// `(MAGIC + n, r, s)` with `e^x = 2^n (1 + r s)`, for `|x| <= REACH`; a NaN stays in `r`.
    fn reduce<V: Vector<Elem = Self>>(x: V) -> (V, V, V);
    /// `(MAGIC + n, e^r)`, as fast as it can be at each level.
    fn reduce_fast<V: Vector<Elem = Self>>(x: V) -> (V, V);
}

macro_rules! float {
    ($float:ident, $register:ident, $magic:literal, $reach:literal, $ln2_hi:literal, $ln2_lo:literal,
     [$first:literal $(, $rest:literal)*]) => {
        impl Float for $float {
            type Vector<S: Simd> = S::$register;
            const MAGIC: $float = $magic;
            const LOG2_E: $float = std::$float::consts::LOG2_E;
            const REACH: $float = $reach;

            #[inline(always)]
            fn reduce<V: Vector<Elem = $float>>(x: V) -> (V, V, V) {
                let magic = V::splat(Self::MAGIC);
                let j = x.fused(V::splat(Self::LOG2_E), magic);
                let n = j.sub(magic);
                let r = n.fused(V::splat(-$ln2_lo), n.fused(V::splat(-$ln2_hi), x));
                let q = V::splat($first);
                $(let q = q.fused(r, V::splat($rest));)*
                (j, r, q.fused(r, V::splat(1.0)))
            }

            #[inline(always)]
            fn reduce_fast<V: Vector<Elem = $float>>(x: V) -> (V, V) {
                let one = V::splat(1.0);
                if V::FUSED {
                    let (j, r, s) = Self::reduce(x);
                    return (j, s.mul_add(r, one));
                }
                let magic = V::splat(Self::MAGIC);
                let j = x.mul_add(V::splat(Self::LOG2_E), magic);
                let n = j.sub(magic);
                let high = n.mul_add(V::splat(-$ln2_hi), x);
                let low = n.mul(V::splat(-$ln2_lo));
                let r = high.add(low);
                let q = V::splat($first);
                $(let q = q.mul_add(r, V::splat($rest));)*
                // Smallest first, and what rounding `r` lost is added back.
                (j, q.mul(r.mul(r)).add(low).add(high).add(one))
            }
        }
    };
}

float!(
    f64,
    F64,
    6755399441055744.0, // 1.5 * 2^52
    2838.0,             // 2^12 ln 2: hi has 41 bits
    0.693147180559663,
    2.8235290563031577e-13,
    [
        2.5100424157005067e-08,
        2.7620138719733994e-07,
        2.7557268378684192e-06,
        2.480152119021773e-05,
        0.00019841269863105968,
        0.0013888888917281794,
        0.008333333333330051,
        0.04166666666662399,
        0.16666666666666669,
        0.5000000000000001
    ]
);
float!(
    f32,
    F32,
    12582912.0, // 1.5 * 2^23
    354.0,      // 2^9 ln 2: hi has 15 bits
    0.693_145_75,
    1.428_606_8e-6,
    [0.0013926213, 0.008_363_203, 0.041666556, 0.16666576, 0.5]
);

/// `e^x` for any `x`.
#[inline(always)]
pub(crate) fn exp64<V: Vector<Elem = f64>>(x: V) -> V {
    exp(x, -746.0, 710.0)
}

#[inline(always)]
fn exp32<V: Vector<Elem = f32>>(x: V) -> V {
    exp(x, -105.0, 89.0)
}

#[inline(always)]
fn exp<V: Vector<Elem: Float>>(x: V, low: V::Elem, high: V::Elem) -> V {
    // The bounds come first: `min` and `max` then let a NaN through.
    let x = V::splat(high).min(V::splat(low).max(x));
    let (j, e) = Float::reduce_fast(x);
    e.scale(j.sub(V::splat(V::Elem::MAGIC)))
}

macro_rules! exp_in_place {
    ($name:ident, $float:ty, $register:ident, $vector:ident) => {
        kernel! {
            /// Replaces each value by its exponential.
            pub fn $name<'a, S>(x: &'a mut [$float]) {
                let mut chunks = x.chunks_exact_mut(S::$register::LANES);
                for chunk in &mut chunks {
                    $vector(S::$register::load(chunk)).store(chunk);
                }
                let tail = chunks.into_remainder();
                $vector(S::$register::load_tail(tail, 0.0)).store_tail(tail, 0.0);
            }
        }
    };
}
exp_in_place!(exp_f64, f64, F64, exp64);
exp_in_place!(exp_f32, f32, F32, exp32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Framed, Reference};
    use crate::level::Level;
    use crate::row::Row;
    use crate::softmax::Softmax;

    /// `e^x` as an unevaluated sum of two doubles, good to about 2^-100: Taylor in double-double.
    fn exp_double_double(x: f64) -> (f64, f64, i32) {
        let two_sum = |a: f64, b: f64| {
            let s = a + b;
            let t = s - a;
            (s, (a - (s - t)) + (b - t))
        };
        let two_prod = |a: f64, b: f64| {
            let p = a * b;
            (p, a.mul_add(b, -p))
        };
        let mul = |x: (f64, f64), y: (f64, f64)| {
            let (p, e) = two_prod(x.0, y.0);
            two_sum(p, e + (x.0 * y.1 + x.1 * y.0))
        };
        // ln 2 to 160 bits as three doubles.
        const LN2: [f64; 3] =
            [std::f64::consts::LN_2, 2.3190468138462996e-17, 5.707708438416212e-34];
        let n = (x / std::f64::consts::LN_2).round();
        let (p0, e0) = two_prod(n, LN2[0]);
        let (p1, e1) = two_prod(n, LN2[1]);
        let (s, t) = two_sum(x, -p0);
        let (r, low) = two_sum(s, t - e0 - p1);
        let r = (r, low - e1 - n * LN2[2]);
        let mut sum = (1.0, 0.0);
        for k in (1..=30).rev() {
            let term = mul(r, sum);
            let q = term.0 / f64::from(k);
            let (p, e) = two_prod(q, f64::from(k));
            let q_low = ((term.0 - p) - e + term.1) / f64::from(k);
            let (s, e) = two_sum(1.0, q);
            sum = two_sum(s, e + q_low);
        }
        (sum.0, sum.1, n as i32)
    }

    fn ulp_error_f64(x: f64, computed: f64) -> f64 {
        let (high, low, n) = exp_double_double(x);
        // Both are scaled so that neither is subnormal before they are compared.
        let up = 2f64.powi(-n / 2) * 2f64.powi(-(n - n / 2));
        let (scaled, ulp) = if n < -1000 {
            (computed * 2f64.powi(600) * 2f64.powi(-n - 600), {
                let result = f64::from_bits(1).max(high * 2f64.powi(-500) * 2f64.powi(n + 500));
                let gap = f64::from_bits(result.to_bits() + 1) - result;
                gap * 2f64.powi(600) * 2f64.powi(-n - 600)
            })
        } else {
            (computed * up, f64::from_bits(high.to_bits() + 1) - high)
        };
        ((scaled - high) - low).abs() / ulp
    }

    #[test]
    fn f64_is_within_one_ulp_at_every_level() {
        for level in Level::available() {
            let mut worst: f64 = 0.0;
            let count = 400_000;
            let mut x: Vec<f64> = (0..count)
                .map(|i| -745.0 + 1454.7 * (f64::from(i) + 0.37) / f64::from(count))
                .collect();
            // Dense around zero and around the points where n changes.
            x.extend((0..100_000).map(|i| (f64::from(i) - 5e4) * 2e-5));
            x.extend((-1000..1000).map(|n| (f64::from(n) + 0.5) * std::f64::consts::LN_2));
            x.retain(|x| (-745.0..=709.78).contains(x));
            let mut y = x.clone();
            exp_f64::at(level, &mut y);
            for (x, y) in x.iter().zip(&y) {
                worst = worst.max(ulp_error_f64(*x, *y));
            }
            assert!(worst <= 1.0, "{level:?}: {worst} ULP");
            assert!(worst > 0.4, "the reference itself is suspect: {worst} ULP at worst");
        }
    }

    fn worst_f32(level: Level, patterns: impl Iterator<Item = u32>) -> f64 {
        let x: Vec<f32> =
            patterns.map(f32::from_bits).filter(|x| (-103.9..=88.72).contains(x)).collect();
        let mut y = x.clone();
        exp_f32::at(level, &mut y);
        let mut worst: f64 = 0.0;
        for (x, y) in x.iter().zip(&y) {
            let truth = f64::from(*x).exp();
            let down = (truth as f32).max(f32::from_bits(1));
            let ulp = f64::from(f32::from_bits(down.to_bits() + 1)) - f64::from(down);
            worst = worst.max((f64::from(*y) - truth).abs() / ulp);
        }
        worst
    }

    /// The bound on which the errors of softmax rest.
    #[test]
    fn exponentials_of_softmax_are_within_1_4_roundings() {
        let reference = Reference { shift: 0.0, exponent: 0.0 };
        // Every value of two octaves of e^x, and some of all others.
        let near = (0..0x3f32_0000u32).step_by(7).flat_map(|b| [b, b | 0x8000_0000]);
        let far = (0x3f32_0000..0x42b0_0000u32).step_by(97).flat_map(|b| [b, b | 0x8000_0000]);
        let x: Vec<f32> = near.chain(far).map(f32::from_bits).filter(|x| *x < 40.0).collect();
        let mut e = x.clone();
        f32::exp_store_sum(Row::in_place(&mut e), &[], reference, None);
        let (unit, head) = (2f64.powi(-24), f32::HEADROOM.exp2());
        let error =
            |(x, e): (&f32, &f32)| (f64::from(*e) / head / f64::from(*x).exp() - 1.0).abs() / unit;
        let worst = x.iter().zip(&e).map(error).fold(0.0, f64::max);
        assert!(worst <= 1.4 && worst > 1.0, "{worst}");

        let x: Vec<f64> = (-200_000..200_000).map(|k| f64::from(k) * 1.732e-6).collect();
        let mut e = x.clone();
        f64::exp_store_sum(Row::in_place(&mut e), &[], reference, None);
        let head = f64::HEADROOM.exp2();
        let error = |(x, e): (&f64, &f64)| {
            let (high, low, n) = exp_double_double(*x);
            assert_eq!(n, 0);
            ((e / head - high) - low).abs() / high * 2f64.powi(53)
        };
        let worst = x.iter().zip(&e).map(error).fold(0.0, f64::max);
        assert!(worst <= 1.4 && worst > 1.0, "{worst}");
    }

    #[test]
    fn f32_is_within_one_ulp_at_every_level() {
        for level in Level::available() {
            let worst = worst_f32(level, (0..u32::MAX).step_by(997));
            assert!(worst <= 1.0, "{level:?}: {worst} ULP");
        }
    }

    #[test]
    #[ignore = "every f32 there is: about 90 seconds a level"]
    fn f32_is_within_one_ulp_everywhere() {
        for level in Level::available() {
            for high in 0..256u32 {
                let worst = worst_f32(level, (high << 24)..=((high << 24) | 0x00ff_ffff));
                assert!(worst <= 1.0, "{level:?}: {worst} ULP");
            }
        }
    }

    #[test]
    fn special_values_are_kept() {
        for level in Level::available() {
            let mut x =
                [f64::NEG_INFINITY, -1e300, -746.0, 0.0, -0.0, 710.0, f64::INFINITY, f64::NAN];
            exp_f64::at(level, &mut x);
            assert_eq!(x[..7], [0.0, 0.0, 0.0, 1.0, 1.0, f64::INFINITY, f64::INFINITY]);
            assert!(x[7].is_nan());
            let mut x =
                [f32::NEG_INFINITY, -1e30, -105.0, 0.0, -0.0, 89.0, f32::INFINITY, f32::NAN];
            exp_f32::at(level, &mut x);
            assert_eq!(x[..7], [0.0, 0.0, 0.0, 1.0, 1.0, f32::INFINITY, f32::INFINITY]);
            assert!(x[7].is_nan());
        }
    }
}

//! The vector operations a kernel may use.
//!
//! The traits are private to this crate. Their methods are safe to write and are only ever
//! reached through `enter`, which the dispatcher calls for levels that the processor has.

/// A register of floating-point lanes.
pub(crate) trait Vector: Copy {
    type Elem: Copy + PartialOrd;
    const LANES: usize;
    /// Whether `mul_add` rounds once.
    const FUSED: bool;
    /// Of `exponential`.
    const LOWEST: Self::Elem;
    /// `LANES` values in memory: where the tail of a slice is copied.
    type Array: AsRef<[Self::Elem]> + AsMut<[Self::Elem]> + Copy;

    fn splat(x: Self::Elem) -> Self;
    fn filled_array(x: Self::Elem) -> Self::Array;
    /// The first `LANES` values of `x`.
    fn load(x: &[Self::Elem]) -> Self;
    /// Into the first `LANES` values of `x`.
    fn store(self, x: &mut [Self::Elem]);

    /// As `store`, past the caches; `x` is aligned to a register. See `fence`.
    #[inline(always)]
    fn stream(self, x: &mut [Self::Elem]) {
        self.store(x);
    }
    /// Makes what `stream` wrote visible to other threads before what is written from now on.
    #[inline(always)]
    fn fence() {}

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    /// The magnitude of the lane with the sign of that of `other`.
    fn with_sign_of(self, other: Self) -> Self;
    /// `self * b + c`, fused where the level has it.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `self * b + c`, rounded once at every level, which takes many times as long at those without
    /// the instruction; magnitudes are below 2^900 (f64).
    #[inline(always)]
    fn fused(self, b: Self, c: Self) -> Self {
        self.mul_add(b, c)
    }
    /// The smaller; `other` where either is NaN.
    fn min(self, other: Self) -> Self;
    /// The larger; `other` where either is NaN.
    fn max(self, other: Self) -> Self;
    /// To the nearest integer, ties to even; exact for magnitudes below 2^22 (f32), 2^51 (f64).
    fn round(self) -> Self;
    /// `self * 2^n`, rounded once, for integer-valued `n` with `|n| <= 2 * max exponent`.
    fn scale(self, n: Self) -> Self;
    /// 2 to the power of each lane, an integer that is at most the bias; 0 may be given below the
    /// normal range.
    fn power_of_two(self) -> Self;
    /// `2^(m - bias)` where a lane holds `MAGIC + m`, for `0 <= m <= 2 * bias`; 0 for `m = 0`.
    fn to_exponent(self) -> Self;
    /// `(1 + self * r) 2^(m - bias)`, rounded once, where a lane of `m` holds `MAGIC + m`, for
    /// `LOWEST <= m <= 2 * bias`; 0 for `m = LOWEST`.
    #[inline(always)]
    fn exponential(self, r: Self, m: Self) -> Self {
        let power = m.to_exponent();
        self.fused(r.mul(power), power)
    }
    /// `(1 + self * r) 2^d`, rounded once, for any integer `d` up to the bias; 0 far below.
    #[inline(always)]
    fn exponential_down(self, r: Self, d: Self) -> Self {
        let power = d.power_of_two();
        self.fused(r.mul(power), power)
    }
    /// 0 where the lane is at most that of `other`; a NaN stays.
    fn zero_up_to(self, other: Self) -> Self;
    /// 0 where `x >= bound`; where not, as when `x` is NaN, the lane itself.
    fn zero_unless_below(self, x: Self, bound: Self) -> Self;
    /// Bit `l` is set where lane `l` of `self` is greater than that of `other`.
    fn mask_gt(self, other: Self) -> u32;

    /// Writes the lanes whose bit of `mask` is set, and their places from `base` on, to the beginning
    /// of `values` and `places`, which have room for all lanes: what comes after them there is
    /// overwritten. How many they are.
    #[inline(always)]
    fn compress(
        self,
        mask: u32,
        base: u32,
        places: &mut [u32],
        values: &mut [Self::Elem],
        zero: Self::Elem,
    ) -> usize {
        let mut lanes = Self::filled_array(zero);
        self.store(lanes.as_mut());
        let (places, values) = (&mut places[..Self::LANES], &mut values[..Self::LANES]);
        let mut count = 0;
        for (l, value) in lanes.as_ref().iter().enumerate() {
            places[count & (Self::LANES - 1)] = base + l as u32;
            values[count & (Self::LANES - 1)] = *value;
            count += (mask >> l & 1) as usize;
        }
        count
    }

    /// The values of `x`, which is no longer than a register, then `fill`.
    #[inline(always)]
    fn load_tail(x: &[Self::Elem], fill: Self::Elem) -> Self {
        let mut lanes = Self::filled_array(fill);
        lanes.as_mut()[..x.len()].copy_from_slice(x);
        Self::load(lanes.as_ref())
    }
    /// The first `x.len()` lanes into `x`, which is no longer than a register.
    #[inline(always)]
    fn store_tail(self, x: &mut [Self::Elem], zero: Self::Elem) {
        let mut lanes = Self::filled_array(zero);
        self.store(lanes.as_mut());
        x.copy_from_slice(&lanes.as_ref()[..x.len()]);
    }
    /// The largest lane, of which none is NaN.
    #[inline(always)]
    fn largest(self) -> Self::Elem {
        let mut lanes = Self::filled_array(Self::LOWEST);
        self.store(lanes.as_mut());
        let [first, rest @ ..] = lanes.as_ref() else { unreachable!() };
        rest.iter().fold(*first, |a, &b| if a > b { a } else { b })
    }
    /// Folds the lanes pairwise: `(0+h), (1+h)...` with `h` half the lanes, until one is left.
    #[inline(always)]
    fn fold(
        self,
        zero: Self::Elem,
        f: impl Fn(Self::Elem, Self::Elem) -> Self::Elem,
    ) -> Self::Elem {
        let mut lanes = Self::filled_array(zero);
        self.store(lanes.as_mut());
        let lanes = lanes.as_mut();
        let mut half = Self::LANES / 2;
        while half > 0 {
            for l in 0..half {
                lanes[l] = f(lanes[l], lanes[l + half]);
            }
            half /= 2;
        }
        lanes[0]
    }
}

/// An instruction set: its registers, and the way into code compiled for it.
pub(crate) trait Simd {
    type F64: Vector<Elem = f64>;
    type F32: Vector<Elem = f32>;
    /// Whether it has 32 registers of a line of the cache each: room for tiles of 8 by 3.
    const WIDE: bool = false;

    /// The lower and the upper half of the lanes, exactly.
    fn widen(x: Self::F32) -> [Self::F64; 2];
}

/// A computation that can be compiled for any instruction set.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self) -> Self::Output;
}

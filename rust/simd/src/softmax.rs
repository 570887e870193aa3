//! The passes of a softmax over a contiguous row.
//!
//! | pass | reads | writes | per value |
//! |---|---|---|---|
//! | [`Softmax::max`] | x | - | 1 instruction |
//! | [`Softmax::exp_sum`] | x | - | the exponential, and 1 addition |
//! | [`Softmax::exp_store_sum`] | x | e | as above |
//! | [`Softmax::scale`] | e | y | 2 |
//! | [`Softmax::exp_scale`] | x | y | the exponential, and 2 |
//! | [`Softmax::log_shift`] | x | y | 3 |
//!
//! `e` carries the factor `2^HEADROOM` of `crate::frame`, which the sums returned here no longer have.

use crate::dispatch::kernel;
use crate::exp::Float;
use crate::frame::{Frame, Framed, Reference};
use crate::lanes::{Simd, Vector};
use crate::row::Row;
use crate::tally::{CAPACITY, GROUP, Sum, Tallied};

/// The largest value; NaN is passed over.
#[inline(always)]
fn row_max<S: Simd, T: Float>(x: &[T], lowest: T) -> T {
    let lanes = T::Vector::<S>::LANES;
    let mut most = [T::Vector::<S>::splat(lowest); 4];
    let mut chunks = x.chunks_exact(4 * lanes);
    for chunk in &mut chunks {
        for (q, most) in most.iter_mut().enumerate() {
            *most = T::Vector::<S>::load(&chunk[q * lanes..]).max(*most);
        }
    }
    let mut chunks = chunks.remainder().chunks_exact(lanes);
    for chunk in &mut chunks {
        most[0] = T::Vector::<S>::load(chunk).max(most[0]);
    }
    let tail = T::Vector::<S>::load_tail(chunks.remainder(), lowest);
    let most = tail.max(most[0]).max(most[1]).max(most[2].max(most[3]));
    most.largest()
}

/// Exponentials, their sum, and whether they are stored; with `BELOW`, the sum is of those `x`
/// below `top` only. Meanwhile the maximum of `next` is found: reading ahead keeps the memory busy
/// while the arithmetic goes on.
#[inline(always)]
fn exponentials<S, T, const STORE: bool, const SHIFTED: bool, const BELOW: bool>(
    row: &Row<'_, T>,
    next: &[T],
    reference: Reference,
    top: T,
) -> (Sum, T)
where
    S: Simd,
    T: Tallied,
{
    let lanes = T::Vector::<S>::LANES;
    let frame = Frame::<T::Vector<S>>::new(reference);
    let top = T::Vector::<S>::splat(top);
    let mut tally = T::tally::<S>();
    macro_rules! counted {
        ($x:ident, $e:ident) => {
            if BELOW { $e.zero_unless_below($x, top) } else { $e }
        };
    }
    macro_rules! term {
        ($at:expr) => {{
            let x = row.load::<T::Vector<S>>($at);
            let e = frame.exp::<SHIFTED>(x);
            if STORE {
                row.store($at, e);
            }
            counted!(x, e)
        }};
    }
    macro_rules! add {
        ($term:expr) => {
            if BELOW { T::add_any(&mut tally, $term) } else { T::add(&mut tally, $term) }
        };
    }
    let lowest = T::narrow(f64::NEG_INFINITY);
    let mut most = [T::Vector::<S>::splat(lowest); 2];
    let (n, mut j) = (row.len(), 0);
    while j + GROUP * lanes <= n.min(next.len()) {
        let ahead = &next[j..j + GROUP * lanes];
        for q in 0..GROUP {
            most[q % 2] = T::Vector::<S>::load(&ahead[q * lanes..]).max(most[q % 2]);
            add!(term!(j + q * lanes));
        }
        j += GROUP * lanes;
        if j.is_multiple_of(CAPACITY * lanes) {
            T::settle(&mut tally);
        }
    }
    let mut most_ahead = lowest;
    if !next.is_empty() {
        let rest = row_max::<S, T>(&next[j..], lowest);
        let most = most[0].max(most[1]).largest();
        most_ahead = if rest > most { rest } else { most };
    }
    while j + GROUP * lanes <= n {
        for q in 0..GROUP {
            add!(term!(j + q * lanes));
        }
        j += GROUP * lanes;
        if j.is_multiple_of(CAPACITY * lanes) {
            T::settle(&mut tally);
        }
    }
    while j + lanes <= n {
        add!(term!(j));
        j += lanes;
    }
    if j < n {
        let x = row.load_tail::<T::Vector<S>>(j, T::narrow(f64::NEG_INFINITY));
        let e = frame.exp::<SHIFTED>(x);
        if STORE {
            row.store_tail(j, e, T::narrow(0.0));
        }
        add!(counted!(x, e));
    }
    (T::total(tally).times((-T::HEADROOM).exp2()), most_ahead)
}

#[inline(always)]
fn exponentials_of<S, T, const STORE: bool>(
    row: &Row<'_, T>,
    next: &[T],
    reference: Reference,
    below: Option<T>,
) -> (Sum, T)
where
    S: Simd,
    T: Tallied,
{
    let none = T::narrow(0.0);
    match (reference.shift != 0.0, below) {
        (false, None) => exponentials::<S, T, STORE, false, false>(row, next, reference, none),
        (true, None) => exponentials::<S, T, STORE, true, false>(row, next, reference, none),
        (false, Some(top)) => exponentials::<S, T, STORE, false, true>(row, next, reference, top),
        (true, Some(top)) => exponentials::<S, T, STORE, true, true>(row, next, reference, top),
    }
}

/// A factor to more precision than the type has: `high + low`.
#[derive(Clone, Copy, Debug)]
pub struct Factor<T> {
    /// The factor, rounded.
    pub high: T,
    /// What the rounding lost.
    pub low: T,
}

#[inline(always)]
pub(crate) fn times<V: Vector>(e: V, factor: (V, V)) -> V {
    e.fused(factor.0, e.mul(factor.1))
}

macro_rules! map_row {
    ($S:ident, $float:ty, $row:ident, |$x:ident| $result:expr) => {{
        type V<S> = <$float as Float>::Vector<S>;
        let lanes = V::<$S>::LANES;
        let (n, mut j) = ($row.len(), 0);
        // Four registers at a time: the exponentials of all are under way at once.
        while j + 4 * lanes <= n {
            for q in 0..4 {
                let $x = $row.load::<V<$S>>(j + q * lanes);
                $row.store(j + q * lanes, $result);
            }
            j += 4 * lanes;
        }
        while j + lanes <= n {
            let $x = $row.load::<V<$S>>(j);
            $row.store(j, $result);
            j += lanes;
        }
        if j < n {
            let $x = $row.load_tail::<V<$S>>(j, 0.0);
            $row.store_tail(j, $result, 0.0);
        }
    }};
}

/// As `map_row`, with stores that go past the caches once they are aligned.
macro_rules! stream_row {
    ($S:ident, $float:ty, $row:ident, |$x:ident| $result:expr) => {{
        type V<S> = <$float as Float>::Vector<S>;
        let lanes = V::<$S>::LANES;
        let n = $row.len();
        let first = $row.unaligned::<V<$S>>().min(n);
        if first > 0 {
            let head = $row.head(first);
            let $x = head.load_tail::<V<$S>>(0, 0.0);
            head.store_tail(0, $result, 0.0);
        }
        let mut j = first;
        while j + 4 * lanes <= n {
            for q in 0..4 {
                let $x = $row.load::<V<$S>>(j + q * lanes);
                $row.stream(j + q * lanes, $result);
            }
            j += 4 * lanes;
        }
        while j + lanes <= n {
            let $x = $row.load::<V<$S>>(j);
            $row.store(j, $result);
            j += lanes;
        }
        if j < n {
            let $x = $row.load_tail::<V<$S>>(j, 0.0);
            $row.store_tail(j, $result, 0.0);
        }
        V::<$S>::fence();
    }};
}

#[inline(always)]
fn splat_factor<V: Vector>(factor: Factor<V::Elem>) -> (V, V) {
    (V::splat(factor.high), V::splat(factor.low))
}

/// The passes, for f32 and f64.
pub trait Softmax: Framed + Send + Sync + PartialOrd + std::fmt::Debug + 'static {
    /// The largest value, `-inf` for none. A NaN is passed over.
    fn max(x: &[Self]) -> Self;
    /// `sum_j e^(x_j)` over the reference, of the values below `below` only, if that is given; and
    /// the largest of the values of `next`.
    fn exp_sum(x: &[Self], next: &[Self], reference: Reference, below: Option<Self>)
    -> (Sum, Self);
    /// The same; what is summed, times `2^HEADROOM`, is stored (in full, also with `below`).
    fn exp_store_sum(
        row: Row<'_, Self>,
        next: &[Self],
        reference: Reference,
        below: Option<Self>,
    ) -> (Sum, Self);
    /// `y_j = factor x_j`.
    fn scale(row: Row<'_, Self>, factor: Factor<Self>);
    /// `y_j = factor x_j 2^exponent`, for a factor near 1 and an exponent far below 0.
    fn scale_far(row: Row<'_, Self>, factor: Factor<Self>, exponent: f64);
    /// `y_j = factor 2^HEADROOM e^(x_j)` over the reference.
    fn exp_scale(row: Row<'_, Self>, reference: Reference, factor: Factor<Self>);
    /// The same, written past the caches, for what will not be read again soon.
    fn exp_scale_streamed(row: Row<'_, Self>, reference: Reference, factor: Factor<Self>);
    /// `y_j = (x_j - max) - log.high - log.low`.
    fn log_shift(row: Row<'_, Self>, max: Self, log: Factor<Self>);
    /// How many values equal `x`, and whether there is a NaN.
    fn census(x: &[Self], value: Self) -> (usize, bool);
}

macro_rules! softmax {
    ($float:ident, $register:ident, $module:ident) => {
        /// The kernels for one type.
        mod $module {
            use super::*;

            kernel! {
                /// See [`Softmax::max`].
                pub fn max<'a, S>(x: &'a [$float]) -> $float {
                    row_max::<S, $float>(x, $float::NEG_INFINITY)
                }
            }
            kernel! {
                /// See [`Softmax::exp_sum`].
                pub fn exp_sum<'a, S>(x: Row<'a, $float>, next: &'a [$float], reference: Reference, below: Option<$float>) -> (Sum, $float) {
                    exponentials_of::<S, $float, false>(&x, next, reference, below)
                }
            }
            kernel! {
                /// See [`Softmax::exp_store_sum`].
                pub fn exp_store_sum<'a, S>(row: Row<'a, $float>, next: &'a [$float], reference: Reference, below: Option<$float>) -> (Sum, $float) {
                    exponentials_of::<S, $float, true>(&row, next, reference, below)
                }
            }
            kernel! {
                /// See [`Softmax::scale`].
                pub fn scale<'a, S>(row: Row<'a, $float>, factor: Factor<$float>) {
                    let factor = splat_factor::<S::$register>(factor);
                    map_row!(S, $float, row, |x| times(x, factor));
                }
            }
            kernel! {
                /// See [`Softmax::scale_far`].
                pub fn scale_far<'a, S>(row: Row<'a, $float>, factor: Factor<$float>, exponent: f64) {
                    let factor = splat_factor::<S::$register>(factor);
                    let exponent = S::$register::splat(exponent as $float);
                    map_row!(S, $float, row, |x| times(x, factor).scale(exponent));
                }
            }
            kernel! {
                /// See [`Softmax::exp_scale`].
                pub fn exp_scale<'a, S>(row: Row<'a, $float>, reference: Reference, factor: Factor<$float>) {
                    let frame = Frame::<S::$register>::new(reference);
                    let factor = splat_factor::<S::$register>(factor);
                    if reference.shift == 0.0 {
                        map_row!(S, $float, row, |x| times(frame.exp::<false>(x), factor));
                    } else {
                        map_row!(S, $float, row, |x| times(frame.exp::<true>(x), factor));
                    }
                }
            }
            kernel! {
                /// See [`Softmax::exp_scale_streamed`].
                pub fn exp_scale_streamed<'a, S>(row: Row<'a, $float>, reference: Reference, factor: Factor<$float>) {
                    let frame = Frame::<S::$register>::new(reference);
                    let factor = splat_factor::<S::$register>(factor);
                    stream_row!(S, $float, row, |x| times(frame.exp::<true>(x), factor));
                }
            }
            kernel! {
                /// See [`Softmax::log_shift`].
                pub fn log_shift<'a, S>(row: Row<'a, $float>, max: $float, log: Factor<$float>) {
                    let (high, low) = splat_factor::<S::$register>(log);
                    let max = S::$register::splat(max);
                    map_row!(S, $float, row, |x| x.sub(max).sub(high).sub(low));
                }
            }
            kernel! {
                /// See [`Softmax::census`]. Left to the compiler, which vectorises it.
                pub fn census<'a, S>(x: &'a [$float], value: $float) -> (usize, bool) {
                    let mut count = 0;
                    let mut nan = false;
                    for x in x {
                        count += usize::from(*x == value);
                        nan |= x.is_nan();
                    }
                    (count, nan)
                }
            }
        }

        impl Softmax for $float {
            #[inline]
            fn max(x: &[$float]) -> $float {
                $module::max(x)
            }
            #[inline]
            fn exp_sum(x: &[$float], next: &[$float], reference: Reference, below: Option<$float>) -> (Sum, $float) {
                // SAFETY: this pass only reads.
                let row = unsafe { Row::from_raw(x.as_ptr(), x.as_ptr().cast_mut(), x.len()) };
                $module::exp_sum(row, next, reference, below)
            }
            #[inline]
            fn exp_store_sum(row: Row<'_, $float>, next: &[$float], reference: Reference, below: Option<$float>) -> (Sum, $float) {
                $module::exp_store_sum(row, next, reference, below)
            }
            #[inline]
            fn scale(row: Row<'_, $float>, factor: Factor<$float>) {
                $module::scale(row, factor)
            }
            #[inline]
            fn scale_far(row: Row<'_, $float>, factor: Factor<$float>, exponent: f64) {
                $module::scale_far(row, factor, exponent)
            }
            #[inline]
            fn exp_scale(row: Row<'_, $float>, reference: Reference, factor: Factor<$float>) {
                $module::exp_scale(row, reference, factor)
            }
            #[inline]
            fn exp_scale_streamed(row: Row<'_, $float>, reference: Reference, factor: Factor<$float>) {
                $module::exp_scale_streamed(row, reference, factor)
            }
            #[inline]
            fn log_shift(row: Row<'_, $float>, max: $float, log: Factor<$float>) {
                $module::log_shift(row, max, log)
            }
            #[inline]
            fn census(x: &[$float], value: $float) -> (usize, bool) {
                $module::census(x, value)
            }
        }
    };
}
softmax!(f32, F32, single);
softmax!(f64, F64, double);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extexp::ExtExp;
    use crate::level::Level;

    /// Values from -20 to 20, the largest twice.
    fn values(n: usize) -> Vec<f64> {
        (0..n).map(|j| (j * 7919 % 4001) as f64 / 100.0 - 20.0).collect()
    }

    #[test]
    fn every_pass_agrees_with_the_definition_at_every_length_and_level() {
        for n in (1..70).chain([127, 128, 129, 300, 5000]) {
            let x = values(n);
            let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let reference = Reference::new(most);
            let over = (reference.exponent * std::f64::consts::LN_2).exp();
            let exact: f64 = x.iter().map(|x| x.exp()).sum::<f64>() / over;
            let others = x.iter().filter(|x| **x < most).map(|x| x.exp()).sum::<f64>() / over;
            for level in Level::available() {
                assert_eq!(double::max::at(level, &x), most);
                let row = Row::read_only(&x);
                let (sum, next) = double::exp_sum::at(level, row, &x, reference, None);
                assert!((sum.high / exact - 1.0).abs() < 1e-14, "{n}: {} {exact}", sum.high);
                assert_eq!(next, most);
                let row = Row::read_only(&x);
                let (rest, _) = double::exp_sum::at(level, row, &[], reference, Some(most));
                assert!((rest.high - others).abs() <= 1e-14 * exact);

                let mut stored = x.clone();
                let row = Row::in_place(&mut stored);
                let (again, _) = double::exp_store_sum::at(level, row, &[], reference, None);
                assert_eq!(again, sum);
                let factor = Factor { high: 0.5, low: 0.0 };
                let mut scaled = stored.clone();
                double::scale::at(level, Row::in_place(&mut scaled), factor);
                let mut far = stored.clone();
                double::scale_far::at(level, Row::in_place(&mut far), factor, -3.0);
                let (mut recomputed, mut streamed) = (vec![0.0; n], vec![0.0; n]);
                double::exp_scale::at(level, Row::apart(&x, &mut recomputed), reference, factor);
                let row = Row::apart(&x, &mut streamed);
                double::exp_scale_streamed::at(level, row, reference, factor);
                for j in 0..n {
                    assert_eq!(scaled[j], stored[j] / 2.0);
                    assert_eq!(far[j], stored[j] / 16.0);
                    assert_eq!(recomputed[j], scaled[j]);
                    assert_eq!(streamed[j], scaled[j]);
                }
                let mut logs = x.clone();
                let log = Factor { high: 1.5, low: 0.0 };
                double::log_shift::at(level, Row::in_place(&mut logs), 2.0, log);
                assert!(logs.iter().zip(&x).all(|(y, x)| *y == x - 2.0 - 1.5));
            }
            let pairs = f64::pairs(&x);
            let sum = pairs.sum.high * (pairs.exponent - reference.exponent).exp2();
            assert!((sum / exact - 1.0).abs() < 1e-14);
            assert_eq!(pairs.max, most);
        }
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        // Down to denormal results, and to 0.
        let wide = |j: usize| (j as f64 * 0.731).sin() * 360.0 - 360.0;
        for n in [1, 7, 100, 4096, 70_001] {
            let x: Vec<f64> = values(n).into_iter().chain((0..n).map(wide)).collect();
            let y: Vec<f32> = x.iter().map(|x| *x as f32).collect();
            let most = Reference::new(20.0);
            let doubles = Level::available().into_iter().map(|level| {
                let mut x = x.clone();
                let (sum, _) =
                    double::exp_store_sum::at(level, Row::in_place(&mut x), &[], most, None);
                let down = Factor { high: 0.7 * (-f64::HEADROOM).exp2(), low: 0.0 };
                double::scale::at(level, Row::in_place(&mut x), down);
                (x, sum.high)
            });
            let singles = Level::available().into_iter().map(|level| {
                let mut y = y.clone();
                let (sum, _) =
                    single::exp_store_sum::at(level, Row::in_place(&mut y), &[], most, None);
                let down = Factor { high: 0.7 * (-f32::HEADROOM).exp2() as f32, low: 0.0 };
                single::scale::at(level, Row::in_place(&mut y), down);
                (y, sum.high as f32)
            });
            let (doubles, singles): (Vec<_>, Vec<_>) = (doubles.collect(), singles.collect());
            assert!(doubles.iter().all(|found| *found == doubles[0]), "{n}");
            assert!(singles.iter().all(|found| *found == singles[0]), "{n}");
        }
    }

    #[test]
    fn sums_lose_nothing_however_long_the_row() {
        let x: Vec<f32> = values(1 << 20).into_iter().map(|x| x as f32).collect();
        let reference = Reference::new(20.0f32);
        let exact: f64 = x.iter().map(|x| f64::from(*x).exp()).sum();
        let over = (reference.exponent * std::f64::consts::LN_2).exp();
        for level in Level::available() {
            let row = Row::read_only(&x);
            let (sum, _) = single::exp_sum::at(level, row, &[], reference, None);
            // The roundings of the exponentials, a million of them, even out.
            assert!((sum.high * over / exact - 1.0).abs() < 1.5e-8);
        }
    }
}

//! A proximal gradient step on many rows, which collects what is left of each.

use crate::dispatch::kernel;
use crate::exp::Float;
use crate::lanes::{Simd, Vector};
use crate::panels::{self, Product, load_up_to, store_up_to};
use crate::sparse_rows::Codes;

/// Shrinks magnitudes u: to 0 up to `cut`, beyond it to the least of u and the larger of the lines
/// `(u - shift) slope`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shrinkage<T> {
    /// Up to here the result is 0.
    pub cut: T,
    /// The first line.
    pub first: [T; 2],
    /// The second line; a slope of 0 for none.
    pub second: [T; 2],
    /// Whether negative numbers become 0.
    pub positive: bool,
}

/// A step: `v = z - t h` with the extrapolations `z = x + beta (x - x_old)`, `h = g + beta (g - g_old)`.
#[derive(Clone, Copy, Debug)]
pub struct Step<T> {
    /// t.
    pub size: T,
    /// beta.
    pub momentum: T,
    /// Whether to measure how far it went.
    pub measure: bool,
}

/// Where the entries found by a selection go: slices with room for the row and a register more.
#[derive(Debug)]
pub struct Selected<'a, T> {
    /// Their columns.
    pub positions: &'a mut [u32],
    /// The values `x - t g`.
    pub values: &'a mut [T],
    /// The `g`.
    pub slopes: &'a mut [T],
}

/// The non-zeros of a layer on the way back, one after the other: the derivatives `g` by its output
/// become `s = g by_value`, the derivatives by what it shrank.
#[derive(Debug)]
pub struct Turn<'a, T> {
    /// `g`.
    pub upstream: &'a [T],
    /// The derivatives of the output by what was shrunk,
    pub by_value: &'a [T],
    /// and by the threshold.
    pub by_threshold: &'a [T],
    /// The gradients from which a step was made.
    pub slopes: &'a [T],
    /// Receives `s`.
    pub values: &'a mut [T],
}

/// Sums over the non-zeros of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turned {
    /// Of `g by_threshold`,
    pub by_threshold: f64,
    /// and of `s` times the gradients.
    pub along: f64,
}

/// f32 or f64, with the kernels.
pub trait Element: Copy + Default + PartialEq + Send + Sync {
    /// Writes a product down, from a column or a few before it on, as long as `goes_on`; whether it
    /// was done.
    fn multiply(
        product: &Product<'_, Self>,
        from: usize,
        out: &mut [Self],
        goes_on: &dyn Fn() -> bool,
    ) -> bool;

    /// Does a step for a row: from x and g, and in `old` and `g_old` those of the step before, to
    /// `old`. What is not 0 of it becomes the next row of `codes`. If it is measured: the squared
    /// length of the move from x, and the product of it with the way back from there to z.
    fn step(
        step: Step<Self>,
        shrinkage: Shrinkage<Self>,
        x: &[Self],
        g: &[Self],
        old: &mut [Self],
        g_old: &[Self],
        codes: &mut Codes<Self>,
    ) -> [f64; 2];

    /// The entries of `v = x - size g` with `|v| > cut`, in order: how many there are, and whether all
    /// of `v` is finite.
    fn select(
        x: &[Self],
        g: &[Self],
        size: Self,
        cut: Self,
        found: Selected<'_, Self>,
    ) -> (usize, bool);

    /// See [`Turn`].
    fn turn_back(turn: Turn<'_, Self>) -> Turned;

    /// `max |x_j|`; of the numbers themselves if `positive`, and then at least 0.
    fn largest(x: &[Self], positive: bool) -> f64;
}

/// What the kernels need of a type besides.
trait Number: Float + Default {
    const ZERO: Self;
    fn plus(a: Self, b: Self) -> Self;
    /// The lanes in double precision, in two registers.
    fn widened<S: Simd>(x: Self::Vector<S>) -> [S::F64; 2];
}

impl Number for f32 {
    const ZERO: f32 = 0.0;
    fn plus(a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    fn widened<S: Simd>(x: S::F32) -> [S::F64; 2] {
        S::widen(x)
    }
}

impl Number for f64 {
    const ZERO: f64 = 0.0;
    fn plus(a: f64, b: f64) -> f64 {
        a + b
    }
    #[inline(always)]
    fn widened<S: Simd>(x: S::F64) -> [S::F64; 2] {
        [x, S::F64::splat(0.0)]
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "as the kernel")]
fn whole_step<S: Simd, T: Number>(
    step: Step<T>,
    shrinkage: Shrinkage<T>,
    x: &[T],
    g: &[T],
    old: &mut [T],
    g_old: &[T],
    codes: &mut Codes<T>,
) -> [f64; 2] {
    let lanes = T::Vector::<S>::LANES;
    let n = x.len();
    let (g, g_old, old) = (&g[..n], &g_old[..n], &mut old[..n]);
    let splat = |x: T| T::Vector::<S>::splat(x);
    let (size, momentum, zero) = (splat(step.size), splat(step.momentum), splat(T::ZERO));
    let minus = zero.sub(size);
    // Without momentum the step before need not be read.
    let moves = step.momentum != T::ZERO;
    let cut = splat(shrinkage.cut);
    let [first_shift, first_slope] = shrinkage.first.map(splat);
    let [second_shift, second_slope] = shrinkage.second.map(splat);
    let mut sums = [[S::F64::splat(0.0); 2]; 2];
    let mut count = 0;
    let (places, values) = codes.room();
    let (places, values) = (&mut places[..n + lanes], &mut values[..n + lanes]);
    let mut j = 0;
    while j < n {
        let left = n - j;
        let here = load_up_to::<T::Vector<S>>(&x[j..], left, T::ZERO);
        let slope = load_up_to::<T::Vector<S>>(&g[j..], left, T::ZERO);
        let (mut z, mut h) = (here, slope);
        if moves {
            let before = load_up_to::<T::Vector<S>>(&old[j..], left, T::ZERO);
            let slope_before = load_up_to::<T::Vector<S>>(&g_old[j..], left, T::ZERO);
            z = momentum.mul_add(here.sub(before), here);
            h = momentum.mul_add(slope.sub(slope_before), slope);
        }
        let v = minus.mul_add(h, z);
        // A NaN comes second in these, and so stays.
        let size = if shrinkage.positive { zero.max(v) } else { v.abs() };
        let kept = size.zero_up_to(cut);
        let lines = kept.sub(first_shift).mul(first_slope);
        let lines = lines.max(kept.sub(second_shift).mul(second_slope));
        let new = zero.max(lines.min(kept)).with_sign_of(v);
        store_up_to(new, &mut old[j..], left, T::ZERO);
        if step.measure {
            let moved = T::widened::<S>(new.sub(here));
            let back = T::widened::<S>(z.sub(new));
            for k in 0..2 {
                sums[0][k] = moved[k].mul_add(moved[k], sums[0][k]);
                sums[1][k] = moved[k].mul_add(back[k], sums[1][k]);
            }
        }
        // The registers written beyond what is kept are overwritten by what comes next.
        let (places, values) = (&mut places[count..], &mut values[count..]);
        count += new.compress(size.mask_gt(cut), j as u32, places, values, T::ZERO);
        j += lanes;
    }
    codes.end_row(count);
    sums.map(|[a, b]| a.add(b).fold(0.0, |a, b| a + b))
}

#[inline(always)]
fn selected<S: Simd, T: Number>(
    x: &[T],
    g: &[T],
    size: T,
    cut: T,
    found: Selected<'_, T>,
) -> (usize, bool) {
    let lanes = T::Vector::<S>::LANES;
    let n = x.len();
    let (g, room) = (&g[..n], n + lanes);
    let splat = |x: T| T::Vector::<S>::splat(x);
    let (zero, cut) = (splat(T::ZERO), splat(cut));
    let minus = zero.sub(splat(size));
    let (positions, values) = (&mut found.positions[..room], &mut found.values[..room]);
    let slopes = &mut found.slopes[..room];
    let mut poison = zero; // 0 times what is not finite is NaN
    let (mut count, mut j) = (0, 0);
    while j < n {
        let slope = load_up_to::<T::Vector<S>>(&g[j..], n - j, T::ZERO);
        let here = load_up_to::<T::Vector<S>>(&x[j..], n - j, T::ZERO);
        let v = minus.mul_add(slope, here);
        poison = v.mul_add(zero, poison);
        let mask = v.abs().mask_gt(cut);
        if mask != 0 {
            // The registers written beyond what is found are overwritten by what comes next.
            let positions = &mut positions[count..];
            slope.compress(mask, j as u32, positions, &mut slopes[count..], T::ZERO);
            count += v.compress(mask, j as u32, positions, &mut values[count..], T::ZERO);
        }
        j += lanes;
    }
    (count, poison.fold(T::ZERO, T::plus) == T::ZERO)
}

#[inline(always)]
fn turned<S: Simd, T: Number>(turn: Turn<'_, T>) -> Turned {
    let Turn { upstream, by_value, by_threshold, slopes, values } = turn;
    let n = upstream.len();
    let (by_value, by_threshold) = (&by_value[..n], &by_threshold[..n]);
    let (slopes, values) = (&slopes[..n], &mut values[..n]);
    let mut sums = [[S::F64::splat(0.0); 2]; 2];
    let mut k = 0;
    while k < n {
        let left = n - k;
        let g = load_up_to::<T::Vector<S>>(&upstream[k..], left, T::ZERO);
        let s = g.mul(load_up_to::<T::Vector<S>>(&by_value[k..], left, T::ZERO));
        let of_threshold = load_up_to::<T::Vector<S>>(&by_threshold[k..], left, T::ZERO);
        let slope = load_up_to::<T::Vector<S>>(&slopes[k..], left, T::ZERO);
        let terms = [T::widened::<S>(g.mul(of_threshold)), T::widened::<S>(s.mul(slope))];
        for (sum, term) in sums.iter_mut().zip(terms) {
            for half in 0..2 {
                sum[half] = sum[half].add(term[half]);
            }
        }
        store_up_to(s, &mut values[k..], left, T::ZERO);
        k += T::Vector::<S>::LANES;
    }
    let [by_threshold, along] = sums.map(|[a, b]| a.add(b).fold(0.0, |a, b| a + b));
    Turned { by_threshold, along }
}

#[inline(always)]
fn largest_of<S: Simd, T: Number>(x: &[T], positive: bool) -> T {
    let mut most = T::Vector::<S>::splat(T::ZERO);
    let mut j = 0;
    while j < x.len() {
        let v = load_up_to::<T::Vector<S>>(&x[j..], x.len() - j, T::ZERO);
        most = most.max(if positive { v } else { v.abs() });
        j += T::Vector::<S>::LANES;
    }
    most.largest()
}

macro_rules! element {
    ($float:ident, $module:ident, $multiply:ident) => {
        mod $module {
            use super::*;

            kernel! {
                /// See [`Element::select`].
                pub fn select<'a, S>(
                    x: &'a [$float],
                    g: &'a [$float],
                    size: $float,
                    cut: $float,
                    found: Selected<'a, $float>,
                ) -> (usize, bool) {
                    selected::<S, $float>(x, g, size, cut, found)
                }
            }
            kernel! {
                /// See [`Element::step`].
                pub fn step<'a, S>(
                    step: Step<$float>,
                    shrinkage: Shrinkage<$float>,
                    x: &'a [$float],
                    g: &'a [$float],
                    old: &'a mut [$float],
                    g_old: &'a [$float],
                    codes: &'a mut Codes<$float>,
                ) -> [f64; 2] {
                    whole_step::<S, $float>(step, shrinkage, x, g, old, g_old, codes)
                }
            }
            kernel! {
                /// See [`Element::turn_back`].
                pub fn turn_back<'a, S>(turn: Turn<'a, $float>) -> Turned {
                    turned::<S, $float>(turn)
                }
            }
            kernel! {
                /// See [`Element::largest`].
                pub fn largest<'a, S>(x: &'a [$float], positive: bool) -> $float {
                    largest_of::<S, $float>(x, positive)
                }
            }
        }

        impl Element for $float {
            fn multiply(
                product: &Product<'_, $float>,
                from: usize,
                out: &mut [$float],
                goes_on: &dyn Fn() -> bool,
            ) -> bool {
                panels::$multiply(product, from, out, goes_on)
            }
            fn select(
                x: &[$float],
                g: &[$float],
                size: $float,
                cut: $float,
                found: Selected<'_, $float>,
            ) -> (usize, bool) {
                $module::select(x, g, size, cut, found)
            }
            fn step(
                step: Step<$float>,
                shrinkage: Shrinkage<$float>,
                x: &[$float],
                g: &[$float],
                old: &mut [$float],
                g_old: &[$float],
                codes: &mut Codes<$float>,
            ) -> [f64; 2] {
                $module::step(step, shrinkage, x, g, old, g_old, codes)
            }
            fn turn_back(turn: Turn<'_, $float>) -> Turned {
                $module::turn_back(turn)
            }
            fn largest(x: &[$float], positive: bool) -> f64 {
                f64::from($module::largest(x, positive))
            }
        }
    };
}
element!(f32, single, multiply_f32);
element!(f64, double, multiply_f64);

#[cfg(test)]
mod tests;

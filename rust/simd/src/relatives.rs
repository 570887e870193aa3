//! The passes of softmax's relatives: its gradient, and stablemax.
//!
//! Plain loops over sixteen lanes, which the compiler vectorises for each level. Sums are taken in
//! double precision, 128 values at a time, and added with their rounding errors kept.

use crate::dispatch::kernel;
use crate::tally::Sum;

const LANES: usize = 16;
const GROUP: usize = 8 * LANES;

/// The sum of `$term` over positions `0..$n`, accurate for any length.
macro_rules! lane_sum {
    ($n:expr, |$j:ident| $term:expr) => {{
        let n: usize = $n;
        let mut total = Sum::default();
        let mut start = 0;
        while start < n {
            let end = (start + GROUP).min(n);
            let mut lanes = [0.0f64; LANES];
            let whole = start + (end - start) / LANES * LANES;
            for first in (start..whole).step_by(LANES) {
                for (l, lane) in lanes.iter_mut().enumerate() {
                    let $j = first + l;
                    *lane += $term;
                }
            }
            for ($j, lane) in (whole..end).zip(&mut lanes) {
                *lane += $term;
            }
            let mut half = LANES / 2;
            while half > 0 {
                for l in 0..half {
                    lanes[l] += lanes[l + half];
                }
                half /= 2;
            }
            total = total.plus(Sum { high: lanes[0], low: 0.0 });
            start = end;
        }
        total
    }};
}

/// `x + 1` above 0, `1 / (1 - x)` below: grows like `x`, never overflows.
macro_rules! stable {
    ($x:expr) => {{
        let x = $x;
        if x >= 0.0 { x + 1.0 } else { 1.0 / (1.0 - x) }
    }};
}

/// The passes, for f32 and f64.
pub trait Relatives: Copy {
    /// `sum_j x_j y_j`.
    fn inner(x: &[Self], y: &[Self]) -> Sum;
    /// `p_j = scale p_j (g_j - mean)`.
    fn pull_back(p: &mut [Self], g: &[Self], mean: f64, scale: f64);
    /// `scale sum_j s(x_j)` with `s` the function of stablemax.
    fn stable_sum(x: &[Self], scale: f64) -> Sum;
    /// `x_j = scale s(x_j) / sum`.
    fn stable_share(x: &mut [Self], scale: f64, sum: f64);
    /// `x_j = max((x_j - max) - threshold, 0)`; NaN stays.
    fn above(x: &mut [Self], max: Self, threshold: f64);
}

macro_rules! relatives {
    ($float:ident, $module:ident) => {
        /// The kernels for one type.
        mod $module {
            use super::*;

            kernel! {
                /// See [`Relatives::inner`].
                pub fn inner<'a, S>(x: &'a [$float], y: &'a [$float]) -> Sum {
                    let y = &y[..x.len()];
                    lane_sum!(x.len(), |j| f64::from(x[j]) * f64::from(y[j]))
                }
            }
            kernel! {
                /// See [`Relatives::pull_back`].
                pub fn pull_back<'a, S>(p: &'a mut [$float], g: &'a [$float], mean: f64, scale: f64) {
                    for (p, g) in p.iter_mut().zip(g) {
                        *p = (f64::from(*p) * (f64::from(*g) - mean) * scale) as $float;
                    }
                }
            }
            kernel! {
                /// See [`Relatives::stable_sum`].
                pub fn stable_sum<'a, S>(x: &'a [$float], scale: f64) -> Sum {
                    lane_sum!(x.len(), |j| stable!(f64::from(x[j])) * scale)
                }
            }
            kernel! {
                /// See [`Relatives::stable_share`].
                pub fn stable_share<'a, S>(x: &'a mut [$float], scale: f64, sum: f64) {
                    for x in x {
                        *x = (stable!(f64::from(*x)) * scale / sum) as $float;
                    }
                }
            }
            kernel! {
                /// See [`Relatives::above`].
                pub fn above<'a, S>(x: &'a mut [$float], max: $float, threshold: f64) {
                    for x in x {
                        let y = (f64::from(*x) - f64::from(max)) - threshold;
                        *x = if y <= 0.0 { 0.0 } else { y as $float };
                    }
                }
            }
        }

        impl Relatives for $float {
            fn inner(x: &[$float], y: &[$float]) -> Sum {
                $module::inner(x, y)
            }
            fn pull_back(p: &mut [$float], g: &[$float], mean: f64, scale: f64) {
                $module::pull_back(p, g, mean, scale);
            }
            fn stable_sum(x: &[$float], scale: f64) -> Sum {
                $module::stable_sum(x, scale)
            }
            fn stable_share(x: &mut [$float], scale: f64, sum: f64) {
                $module::stable_share(x, scale, sum);
            }
            fn above(x: &mut [$float], max: $float, threshold: f64) {
                $module::above(x, max, threshold);
            }
        }
    };
}
relatives!(f32, single);
relatives!(f64, double);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    #[test]
    fn agrees_with_the_definition_at_every_length_and_level() {
        for n in (0..40).chain([127, 128, 129, 1000]) {
            let x: Vec<f64> = (0..n).map(|j| f64::from(j * 7 % 23) - 11.0).collect();
            let y: Vec<f64> = (0..n).map(|j| f64::from(j * 5 % 13) - 6.0).collect();
            let stable = |x: f64| if x < 0.0 { 1.0 / (1.0 - x) } else { x + 1.0 };
            let inner: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
            let sum: f64 = x.iter().map(|x| stable(*x)).sum();
            for level in Level::available() {
                assert_eq!(double::inner::at(level, &x, &y).high, inner);
                let found = double::stable_sum::at(level, &x, 0.5).high;
                assert!((found - 0.5 * sum).abs() <= 1e-15 * sum.abs());
                let mut p = x.clone();
                double::pull_back::at(level, &mut p, &y, 3.0, 2.0);
                assert!(p.iter().zip(&x).zip(&y).all(|((p, x), y)| *p == x * (y - 3.0) * 2.0));
                let mut a = x.clone();
                double::above::at(level, &mut a, 5.0, -2.0);
                assert!(a.iter().zip(&x).all(|(a, x)| *a == (x - 5.0 + 2.0).max(0.0)));
            }
        }
    }
}

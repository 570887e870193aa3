//! Dot products, sums, maxima and L1 distances.
//!
//! Each runs four accumulators of whole registers, then the remainder, then folds pairwise: an
//! order that depends on the length and the level only.

use crate::dispatch::kernel;
use crate::lanes::Vector;

/// `dot`, `sum` and the like differ in what one element adds; the loop is written once.
macro_rules! accumulate {
    ($V:ty, $start:expr, $join:ident, $fold:expr, $x:ident, $fill:expr, |$acc:ident, $load:ident| $step:expr) => {{
        let lanes = <$V>::LANES;
        let n = $x.len();
        let mut acc = [<$V>::splat($start); 4];
        let mut j = 0;
        while j + 4 * lanes <= n {
            for (q, slot) in acc.iter_mut().enumerate() {
                let at = j + q * lanes;
                let $load = |s: &[f64]| <$V>::load(&s[at..]);
                let $acc = *slot;
                *slot = $step;
            }
            j += 4 * lanes;
        }
        while j + lanes <= n {
            let $load = |s: &[f64]| <$V>::load(&s[j..]);
            let $acc = acc[0];
            acc[0] = $step;
            j += lanes;
        }
        if j < n {
            let $load = |s: &[f64]| <$V>::load_tail(&s[j..], $fill);
            let $acc = acc[1];
            acc[1] = $step;
        }
        acc[0].$join(acc[1]).$join(acc[2].$join(acc[3])).fold($start, $fold)
    }};
}

/// How many additions, at most, one after the other lead to a sum of so many terms, here or in
/// [`crate::linear`], at any level.
pub fn depth(terms: usize) -> usize {
    /// There are so many sums at least,
    const SUMS: usize = 4;
    /// which are added up at last, with what is left over.
    const LAST: usize = 16;
    terms.min(terms / SUMS + LAST)
}

kernel! {
    /// `sum_j x_j y_j`.
    pub fn dot<'a, S>(x: &'a [f64], y: &'a [f64]) -> f64 {
        let y = &y[..x.len()];
        accumulate!(S::F64, 0.0, add, |a, b| a + b, x, 0.0, |acc, load| load(x).mul_add(load(y), acc))
    }
}

kernel! {
    /// The smallest and the largest `x_j`, and `sum_j x_j y_j`, which is finite only if all `x_j`
    /// are.
    pub fn extremes_and_dot<'a, S>(x: &'a [f64], y: &'a [f64]) -> [f64; 3] {
        let lanes = S::F64::LANES;
        let n = x.len();
        let y = &y[..n];
        let mut least = S::F64::splat(f64::INFINITY);
        let mut most = S::F64::splat(f64::NEG_INFINITY);
        let mut sum = [S::F64::splat(0.0); 2];
        let mut j = 0;
        while j + 2 * lanes <= n {
            for (q, sum) in sum.iter_mut().enumerate() {
                let v = S::F64::load(&x[j + q * lanes..]);
                least = v.min(least);
                most = v.max(most);
                *sum = v.mul_add(S::F64::load(&y[j + q * lanes..]), *sum);
            }
            j += 2 * lanes;
        }
        let (mut low, mut high) = (-S::F64::splat(0.0).sub(least).largest(), most.largest());
        let mut total = sum[0].add(sum[1]).fold(0.0, |a, b| a + b);
        for (x, y) in x[j..].iter().zip(&y[j..]) {
            low = low.min(*x);
            high = high.max(*x);
            total += x * y;
        }
        [low, high, total]
    }
}

/// Two kernels, for columns of either precision: `$load` reads two registers.
macro_rules! moments {
    ($name:ident, $t:ty, $doc:expr, |$S:ident, $x:ident, $j:ident| $load:expr) => {
        kernel! {
            #[doc = $doc]
            pub fn $name<'a, $S>(
                shift: f64,
                x: &'a [$t],
                v: &'a [f64],
                w: &'a [f64],
            ) -> [f64; 3] {
                let lanes = $S::F64::LANES;
                let n = x.len();
                let (v, w) = (&v[..n], &w[..n]);
                let minus = $S::F64::splat(-shift);
                let mut sums = [[$S::F64::splat(0.0); 2]; 3];
                let mut j = 0;
                while j + 2 * lanes <= n {
                    let both = {
                        let ($x, $j) = (x, j);
                        $load
                    };
                    for (q, x) in both.into_iter().enumerate() {
                        let x = x.add(minus);
                        let weighted = x.mul($S::F64::load(&w[j + q * lanes..]));
                        sums[0][q] = x.mul_add($S::F64::load(&v[j + q * lanes..]), sums[0][q]);
                        sums[1][q] = sums[1][q].add(weighted);
                        sums[2][q] = x.mul_add(weighted, sums[2][q]);
                    }
                    j += 2 * lanes;
                }
                let mut totals = sums.map(|[a, b]| a.add(b).fold(0.0, |a, b| a + b));
                for ((x, v), w) in x[j..].iter().zip(&v[j..]).zip(&w[j..]) {
                    let x = f64::from(*x) - shift;
                    totals[0] += x * v;
                    totals[1] += x * w;
                    totals[2] += x * w * x;
                }
                totals
            }
        }
    };
}

moments!(
    moments,
    f64,
    "`sum_j (x_j - shift) v_j`, `sum_j w_j (x_j - shift)` and `sum_j w_j (x_j - shift)^2`.",
    |S, x, j| [S::F64::load(&x[j..]), S::F64::load(&x[j + S::F64::LANES..])]
);
moments!(moments_single, f32, "[`moments`] of a column in single precision.", |S, x, j| S::widen(
    S::F32::load(&x[j..])
));

kernel! {
    /// `sum_j x_j y_j` and `sum_j c_j x_j y_j`.
    pub fn dot_and_costs<'a, S>(x: &'a [f64], y: &'a [f64], c: &'a [f64]) -> [f64; 2] {
        let lanes = S::F64::LANES;
        let n = x.len();
        let (y, c) = (&y[..n], &c[..n]);
        let (mut sums, mut costs) = ([S::F64::splat(0.0); 2], [S::F64::splat(0.0); 2]);
        let mut j = 0;
        while j + 2 * lanes <= n {
            for (q, (sum, cost)) in sums.iter_mut().zip(&mut costs).enumerate() {
                let at = j + q * lanes;
                let product = S::F64::load(&x[at..]).mul(S::F64::load(&y[at..]));
                *sum = sum.add(product);
                *cost = S::F64::load(&c[at..]).mul_add(product, *cost);
            }
            j += 2 * lanes;
        }
        let mut sum = sums[0].add(sums[1]).fold(0.0, |a, b| a + b);
        let mut cost = costs[0].add(costs[1]).fold(0.0, |a, b| a + b);
        for ((x, y), c) in x[j..].iter().zip(&y[j..]).zip(&c[j..]) {
            sum += x * y;
            cost += c * (x * y);
        }
        [sum, cost]
    }
}

/// `sum_j c_j w_j` where a weight of 0 makes an infinite cost count for nothing, and any other makes
/// the sum infinite.
#[inline]
pub fn cost_dot(c: &[f64], w: &[f64]) -> f64 {
    let sum = dot(c, w);
    if sum.is_finite() {
        return sum;
    }
    c.iter().zip(w).filter(|(_, w)| **w != 0.0).map(|(c, w)| c * w).sum()
}

kernel! {
    /// `sum_j x_j`.
    pub fn sum<'a, S>(x: &'a [f64]) -> f64 {
        accumulate!(S::F64, 0.0, add, |a, b| a + b, x, 0.0, |acc, load| acc.add(load(x)))
    }
}

kernel! {
    /// `sum_j |x_j|`.
    pub fn l1_norm<'a, S>(x: &'a [f64]) -> f64 {
        accumulate!(S::F64, 0.0, add, |a, b| a + b, x, 0.0, |acc, load| acc.add(load(x).abs()))
    }
}

kernel! {
    /// `sum_j |x_j - y_j|`.
    pub fn l1_distance<'a, S>(x: &'a [f64], y: &'a [f64]) -> f64 {
        let y = &y[..x.len()];
        accumulate!(S::F64, 0.0, add, |a, b| a + b, x, 0.0, |acc, load| {
            acc.add(load(x).sub(load(y)).abs())
        })
    }
}

kernel! {
    /// `max_j x_j`, `-inf` for no values. A NaN may be passed over.
    pub fn max<'a, S>(x: &'a [f64]) -> f64 {
        accumulate!(S::F64, f64::NEG_INFINITY, max, f64::max, x, f64::NEG_INFINITY, |acc, load| {
            load(x).max(acc)
        })
    }
}

kernel! {
    /// `max_j (x_j - y_j)`, `-inf` for no values. A NaN may be passed over.
    pub fn max_difference<'a, S>(x: &'a [f64], y: &'a [f64]) -> f64 {
        let y = &y[..x.len()];
        let (whole, tail) = x.split_at(x.len() - x.len() % S::F64::LANES);
        let (y_whole, y_tail) = y.split_at(whole.len());
        let most = accumulate!(S::F64, f64::NEG_INFINITY, max, f64::max, whole, 0.0, |acc, load| {
            load(whole).sub(load(y_whole)).max(acc)
        });
        tail.iter().zip(y_tail).fold(most, |most, (x, y)| most.max(x - y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use proptest::prelude::*;

    #[test]
    fn a_forbidden_edge_without_weight_costs_nothing() {
        let cost = [1.0, f64::INFINITY, 3.0];
        assert_eq!(cost_dot(&cost, &[2.0, 0.0, 1.0]), 5.0);
        assert_eq!(cost_dot(&cost, &[2.0, 1e-300, 1.0]), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pairs in prop::collection::vec((-1e3f64..1e3, -1e3f64..1e3), 0..200)) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let size: f64 = x.iter().zip(&y).map(|(a, b)| (a * b).abs() + a.abs() + b.abs()).sum();
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-14 * size;
            for level in Level::available() {
                prop_assert!(close(dot::at(level, &x, &y), x.iter().zip(&y).map(|(a, b)| a * b).sum()));
                prop_assert!(close(sum::at(level, &x), x.iter().sum()));
                prop_assert!(close(l1_norm::at(level, &x), x.iter().map(|a| a.abs()).sum()));
                prop_assert!(close(
                    l1_distance::at(level, &x, &y),
                    x.iter().zip(&y).map(|(a, b)| (a - b).abs()).sum()
                ));
                let [product, costs] = dot_and_costs::at(level, &x, &y, &x);
                prop_assert!(close(product, dot::at(level, &x, &y)));
                let expected: f64 = x.iter().zip(&y).map(|(a, b)| a * (a * b)).sum();
                prop_assert!((costs - expected).abs() <= 1e-11 * size);
                let [least, most, sum] = extremes_and_dot::at(level, &x, &y);
                prop_assert_eq!(least, x.iter().copied().fold(f64::INFINITY, f64::min));
                prop_assert_eq!(most, x.iter().copied().fold(f64::NEG_INFINITY, f64::max));
                prop_assert!(close(sum, x.iter().zip(&y).map(|(a, b)| a * b).sum()));
                prop_assert_eq!(max::at(level, &x), x.iter().copied().fold(f64::NEG_INFINITY, f64::max));
                prop_assert_eq!(
                    max_difference::at(level, &x, &y),
                    x.iter().zip(&y).map(|(a, b)| a - b).fold(f64::NEG_INFINITY, f64::max)
                );
            }
        }
    }
}

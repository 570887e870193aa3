//! Distances from one point to many, computed afresh where a matrix of costs would not fit.
//!
//! The many points are stored by coordinate (`d` runs of `m` values), so that lanes run over
//! points. Differences are squared as they are, not expanded into norms and products: nothing
//! cancels, and equal points are at distance exactly 0.

use crate::dispatch::kernel;
use crate::lanes::Vector;

/// Runs over the registers of `out` and stores what `value` makes of the offset.
macro_rules! each_register {
    ($V:ty, $out:ident, |$load:ident| $value:expr) => {{
        let lanes = <$V>::LANES;
        let n = $out.len();
        let mut j = 0;
        while j + lanes <= n {
            let $load = |s: &[f64]| <$V>::load(&s[j..]);
            let value: $V = $value;
            value.store(&mut $out[j..]);
            j += lanes;
        }
        if j < n {
            let $load = |s: &[f64]| <$V>::load_tail(&s[j..], 0.0);
            let value: $V = $value;
            value.store_tail(&mut $out[j..], 0.0);
        }
    }};
}

kernel! {
    /// `out_j = scale * sum_k (x_k - y_kj)^2`, with `y` of `x.len()` runs of `out.len()` values.
    pub fn squared_distances<'a, S>(x: &'a [f64], y: &'a [f64], scale: f64, out: &'a mut [f64]) {
        let m = out.len();
        each_register!(S::F64, out, |load| {
            let mut acc = S::F64::splat(0.0);
            for (k, &xk) in x.iter().enumerate() {
                let d = S::F64::splat(xk).sub(load(&y[k * m..(k + 1) * m]));
                acc = d.mul_add(d, acc);
            }
            acc.mul(S::F64::splat(scale))
        });
    }
}

kernel! {
    /// `x_j = scale * sqrt(x_j)`.
    pub fn scaled_sqrt<'a, S>(scale: f64, x: &'a mut [f64]) {
        each_register!(S::F64, x, |load| load(x).sqrt().mul(S::F64::splat(scale)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    #[test]
    fn agrees_with_the_definition_at_every_length_and_level() {
        let x = [1.0, -2.0, 0.5];
        for m in 0..40 {
            let y: Vec<f64> = (0..3 * m).map(|k| (k % 9) as f64 - 4.0).collect();
            for level in Level::available() {
                let mut out = vec![f64::NAN; m];
                squared_distances::at(level, &x, &y, 0.5, &mut out);
                for j in 0..m {
                    let d: f64 = (0..3).map(|k| (x[k] - y[k * m + j]).powi(2)).sum();
                    assert_eq!(out[j], 0.5 * d);
                }
                let squares = out.clone();
                scaled_sqrt::at(level, 3.0, &mut out);
                assert!((0..m).all(|j| out[j] == squares[j].sqrt() * 3.0));
            }
        }
    }
}

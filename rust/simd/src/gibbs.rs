//! Rows of a Gibbs kernel, `t_j = exp(phi + psi_j - c_j)`, and the log-domain reductions over them.
//!
//! The row holds the scaled costs `c` on entry, so that costs of any kind (a matrix, points) share
//! these loops. Forbidden edges (`c_j = +inf`) and weightless points (`psi_j = -inf`) give 0, and
//! so does every entry that would be below 1e-280: sweeps over a plan with subnormal numbers in it
//! were measured to take twenty times as long.

use crate::dispatch::kernel;
use crate::exp::exp64;
use crate::lanes::Vector;

/// Entries up to this are 0, and the exponent below which one surely is.
pub(crate) const NEGLIGIBLE: f64 = 1e-280;
const NEGLIGIBLE_EXPONENT: f64 = -646.0;

// A function, not a closure: closures do not inherit the instruction set of the kernel around them
// and are then only fast if the compiler happens to inline them.
#[inline(always)]
fn entry<V: Vector<Elem = f64>>(phi: V, psi: V, c: V) -> V {
    let exponent = V::splat(NEGLIGIBLE_EXPONENT).max(phi.add(psi.sub(c)));
    exp64(exponent).zero_up_to(V::splat(NEGLIGIBLE))
}

kernel! {
    /// Replaces `row = c` by `exp(phi + psi_j - c_j)` and returns the sum.
    pub fn exp_row<'a, S>(phi: f64, psi: &'a [f64], row: &'a mut [f64]) -> f64 {
        let lanes = S::F64::LANES;
        let n = row.len();
        let psi = &psi[..n];
        let shift = S::F64::splat(phi);
        let mut acc = [S::F64::splat(0.0); 2];
        let mut j = 0;
        while j + 2 * lanes <= n {
            let e0 = entry(shift, S::F64::load(&psi[j..]), S::F64::load(&row[j..]));
            let e1 = entry(shift, S::F64::load(&psi[j + lanes..]), S::F64::load(&row[j + lanes..]));
            e0.store(&mut row[j..]);
            e1.store(&mut row[j + lanes..]);
            acc[0] = acc[0].add(e0);
            acc[1] = acc[1].add(e1);
            j += 2 * lanes;
        }
        while j < n {
            let end = (j + lanes).min(n);
            let e = entry(
                shift,
                S::F64::load_tail(&psi[j..end], f64::NEG_INFINITY),
                S::F64::load_tail(&row[j..end], 0.0),
            );
            if end - j == lanes { e.store(&mut row[j..end]) } else { e.store_tail(&mut row[j..end], 0.0) }
            acc[0] = acc[0].add(e);
            j = end;
        }
        acc[0].add(acc[1]).fold(0.0, |a, b| a + b)
    }
}

kernel! {
    /// As [`exp_row`] with `e = exp(phi + psi_j - c_j)` going to `row`; returns the sum of `e`, the
    /// sum of `c e` (NaN or infinite where a cost is), and the largest `psi_j - c_j`.
    pub fn exp_row_and_costs<'a, S>(phi: f64, psi: &'a [f64], c: &'a [f64], row: &'a mut [f64]) -> [f64; 3] {
        let lanes = S::F64::LANES;
        let n = row.len();
        let (psi, c) = (&psi[..n], &c[..n]);
        let shift = S::F64::splat(phi);
        let (mut sum, mut cost) = (S::F64::splat(0.0), S::F64::splat(0.0));
        let mut most = S::F64::splat(f64::NEG_INFINITY);
        let mut j = 0;
        while j + lanes <= n {
            let (p, x) = (S::F64::load(&psi[j..]), S::F64::load(&c[j..]));
            let e = entry(shift, p, x);
            e.store(&mut row[j..]);
            sum = sum.add(e);
            cost = x.mul_add(e, cost);
            most = p.sub(x).max(most);
            j += lanes;
        }
        if j < n {
            let p = S::F64::load_tail(&psi[j..], f64::NEG_INFINITY);
            let x = S::F64::load_tail(&c[j..], 0.0);
            let e = entry(shift, p, x);
            e.store_tail(&mut row[j..], 0.0);
            sum = sum.add(e);
            cost = x.mul_add(e, cost);
            most = p.sub(x).max(most);
        }
        [sum.fold(0.0, |a, b| a + b), cost.fold(0.0, |a, b| a + b), most.largest()]
    }
}

kernel! {
    /// The sums of `e y_j` and of `c_j e y_j` (NaN or infinite where a cost is), with
    /// `e = exp(phi + psi_j - c_j)`.
    pub fn scaled_sums<'a, S>(phi: f64, psi: &'a [f64], c: &'a [f64], y: &'a [f64]) -> [f64; 2] {
        let lanes = S::F64::LANES;
        let n = c.len();
        let (psi, y) = (&psi[..n], &y[..n]);
        let shift = S::F64::splat(phi);
        let (mut sum, mut cost) = (S::F64::splat(0.0), S::F64::splat(0.0));
        let mut j = 0;
        while j + lanes <= n {
            let x = S::F64::load(&c[j..]);
            let e = entry(shift, S::F64::load(&psi[j..]), x).mul(S::F64::load(&y[j..]));
            sum = sum.add(e);
            cost = x.mul_add(e, cost);
            j += lanes;
        }
        if j < n {
            let x = S::F64::load_tail(&c[j..], 0.0);
            let p = S::F64::load_tail(&psi[j..], f64::NEG_INFINITY);
            let e = entry(shift, p, x).mul(S::F64::load_tail(&y[j..], 0.0));
            sum = sum.add(e);
            cost = x.mul_add(e, cost);
        }
        [sum.fold(0.0, |a, b| a + b), cost.fold(0.0, |a, b| a + b)]
    }
}

kernel! {
    /// `most_j = max(most_j, phi - c_j)`: the running column maxima of a log-sum-exp.
    pub fn max_column<'a, S>(phi: f64, row: &'a [f64], most: &'a mut [f64]) {
        let lanes = S::F64::LANES;
        let row = &row[..most.len()];
        let shift = S::F64::splat(phi);
        let mut m = most.chunks_exact_mut(lanes);
        let mut c = row.chunks_exact(lanes);
        for (m, c) in (&mut m).zip(&mut c) {
            shift.sub(S::F64::load(c)).max(S::F64::load(m)).store(m);
        }
        for (m, c) in m.into_remainder().iter_mut().zip(c.remainder()) {
            *m = m.max(phi - c);
        }
    }
}

/// `min_j (c_j - psi_j)`, `+inf` for no values: the c-transform of a potential.
#[inline]
pub fn c_transform(row: &[f64], psi: &[f64]) -> f64 {
    -crate::reduce::max_difference(psi, row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    #[test]
    fn agrees_with_the_definition_at_every_length_and_level() {
        for n in (0..40).chain([333]) {
            let psi: Vec<f64> = (0..n)
                .map(|j| if j % 11 == 3 { f64::NEG_INFINITY } else { (j % 7) as f64 * 0.3 })
                .collect();
            let cost: Vec<f64> = (0..n)
                .map(|j| if j % 13 == 5 { f64::INFINITY } else { (j % 5) as f64 * 0.7 })
                .collect();
            let phi = -0.25;
            for level in Level::available() {
                let mut row = cost.clone();
                let sum = exp_row::at(level, phi, &psi, &mut row);
                let mut far = [600.0, 644.0, 645.0, 700.0, f64::NAN];
                exp_row::at(level, 0.0, &[0.0; 5], &mut far);
                assert!(far[0] > 0.0 && far[1] > 0.0 && far[2] == 0.0 && far[3] == 0.0);
                assert!(far[4].is_nan());
                let mut expected = 0.0;
                for j in 0..n {
                    let e = (phi + (psi[j] - cost[j])).exp();
                    assert!((row[j] - e).abs() <= 4e-16 * e, "{level:?} n={n} j={j}");
                    expected += e;
                }
                assert!((sum - expected).abs() <= 1e-14 * expected);
                let finite: Vec<f64> = cost.iter().map(|c| c.min(9.0)).collect();
                let mut again = finite.clone();
                let again_sum = exp_row::at(level, phi, &psi, &mut again);
                let mut stored = vec![f64::NAN; n];
                let [sum, dot, most] =
                    exp_row_and_costs::at(level, phi, &psi, &finite, &mut stored);
                assert_eq!(stored, again);
                let costs: f64 = again.iter().zip(&finite).map(|(e, c)| e * c).sum();
                assert!(
                    (sum - again_sum).abs() <= 1e-14 * sum && (dot - costs).abs() <= 1e-14 * costs
                );
                let largest = (0..n).map(|j| psi[j] - finite[j]).fold(f64::NEG_INFINITY, f64::max);
                assert_eq!(most, largest);
                let [sum, dot] = scaled_sums::at(level, phi, &psi, &finite, &vec![0.5; n]);
                assert!((sum - 0.5 * again_sum).abs() <= 1e-14 * again_sum);
                assert!((dot - 0.5 * costs).abs() <= 1e-14 * costs);
                let mut most = vec![-0.5; n];
                max_column::at(level, phi, &cost, &mut most);
                assert!((0..n).all(|j| most[j] == f64::max(-0.5, phi - cost[j])));
            }
            let least = (0..n).map(|j| cost[j] - psi[j]).fold(f64::INFINITY, f64::min);
            assert_eq!(c_transform(&cost, &psi), least);
        }
    }
}

//! Residuals and gradients of least squares to twice the working precision.
//!
//! Products and sums keep what rounding loses (Dekker's product, Knuth's sum; Ogita, Rump and Oishi,
//! "Accurate sum and dot product", SISC 2005). A number is an unevaluated `high + low`. A sum of n
//! products is wrong by at most `(n + 4)^2 u^2 / 2` of the sum of their magnitudes, u = 2^-53: what is lost
//! in step k is at most `u (1 + k u)` of the sum so far, and these are added up in plain arithmetic. That
//! is besides what underflows, which the callers keep away by the scale of the data.

use crate::ahead::Ahead;
use crate::dispatch::kernel;
use crate::lanes::{Simd, Vector};

/// `a + b` and what rounding it lost.
#[inline(always)]
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// `a b` and what rounding it lost.
#[inline]
pub fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

/// The sum of two twofold numbers, `(high, low)`; wrong by at most `4 u^2` of their magnitudes.
#[inline(always)]
pub fn sum(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let (high, lost) = two_sum(a.0, b.0);
    let (low, lost_low) = two_sum(a.1, b.1);
    let (high, lost) = two_sum(high, lost + low);
    two_sum(high, lost + lost_low)
}

/// A twofold number times a number; wrong by at most `4 u^2` of it.
#[inline]
pub fn multiple(a: (f64, f64), b: f64) -> (f64, f64) {
    let (high, low) = two_product(a.0, b);
    two_sum(high, low + a.1 * b)
}

/// The sum of two twofold numbers, lane by lane: as [`sum`].
#[inline(always)]
fn sums<V: Vector<Elem = f64>>(a: [V; 2], b: [V; 2]) -> [V; 2] {
    let [high, lost] = two_sums(a[0], b[0]);
    let [low, lost_low] = two_sums(a[1], b[1]);
    let [high, lost] = two_sums(high, lost.add(low));
    two_sums(high, lost.add(lost_low))
}

/// As [`two_sum`].
#[inline(always)]
fn two_sums<V: Vector<Elem = f64>>(a: V, b: V) -> [V; 2] {
    let sum = a.add(b);
    let part = sum.sub(a);
    [sum, a.sub(sum.sub(part)).add(b.sub(part))]
}

/// Subtracts `a b` from a running twofold sum, lane by lane. `minus` is -b, and `minus_low` what else
/// belongs to it.
#[inline(always)]
fn subtract_product<V: Vector<Elem = f64>>(
    sum: [V; 2],
    a: V,
    b: V,
    minus: V,
    minus_low: V,
) -> [V; 2] {
    let [high, low] = sum;
    let product = a.mul(minus);
    let lost = a.fused(b, product);
    let next = high.add(product);
    let part = next.sub(high);
    let lost_too = high.sub(next.sub(part)).add(product.sub(part));
    [next, low.add(a.mul_add(minus_low, lost_too.sub(lost)))]
}

/// Rows that are worked on at a time.
const TOGETHER: usize = 4;
/// More than the lanes of a register.
const LANES: usize = 8;

kernel! {
    /// `high_i + low_i -= sum_j block_ij (x_j + x_low_j)` for the rows of a block. What each lane has
    /// summed is added up in the order of the lanes. What comes next is asked for meanwhile.
    pub fn subtract_products<'a, S>(
        block: &'a [f64],
        x: &'a [f64],
        x_low: &'a [f64],
        high: &'a mut [f64],
        low: &'a mut [f64],
        next: &'a [f64],
    ) {
        let (n, count, lanes) = (x.len(), high.len(), S::F64::LANES);
        let mut ahead = Ahead::new(next, count.div_ceil(lanes) * (lanes / TOGETHER));
        let low = &mut low[..count];
        let mut i = 0;
        while i < count {
            // As many rows as lanes, so that lanes of all are added up together; the last rows are
            // filled up with the very last.
            let mut parts = [[S::F64::filled_array(0.0); 2]; LANES];
            for first in (0..lanes).step_by(TOGETHER) {
                let rows: [&[f64]; TOGETHER] = std::array::from_fn(|q| {
                    let at = (i + first + q).min(count - 1);
                    &block[at * n..(at + 1) * n]
                });
                ahead.next();
                let found = products::<S>(rows, x, x_low);
                for q in 0..TOGETHER {
                    found[q][0].store(parts[first + q][0].as_mut());
                    found[q][1].store(parts[first + q][1].as_mut());
                }
            }
            let mut total = [S::F64::splat(0.0); 2];
            for l in 0..lanes {
                let mut column = [S::F64::filled_array(0.0); 2];
                for (q, part) in parts.iter().enumerate().take(lanes) {
                    column[0].as_mut()[q] = part[0].as_ref()[l];
                    column[1].as_mut()[q] = part[1].as_ref()[l];
                }
                total = sums(total, column.map(|c| S::F64::load(c.as_ref())));
            }
            let end = (i + lanes).min(count);
            let (h, l) = (&mut high[i..end], &mut low[i..end]);
            let before = [S::F64::load_tail(h, 0.0), S::F64::load_tail(l, 0.0)];
            let after = sums(before, total);
            after[0].store_tail(h, 0.0);
            after[1].store_tail(l, 0.0);
            i = end;
        }
    }
}

/// Minus the products of rows with x, by lanes.
#[inline(always)]
fn products<S: Simd>(
    rows: [&[f64]; TOGETHER],
    x: &[f64],
    x_low: &[f64],
) -> [[S::F64; 2]; TOGETHER] {
    let (n, lanes, zero) = (x.len(), S::F64::LANES, S::F64::splat(0.0));
    let (rows, x_low) = (rows.map(|r| &r[..n]), &x_low[..n]);
    let mut sums = [[zero; 2]; TOGETHER];
    let mut j = 0;
    while j + lanes <= n {
        let (v, v_low) = (S::F64::load(&x[j..]), S::F64::load(&x_low[j..]));
        let (minus, minus_low) = (zero.sub(v), zero.sub(v_low));
        for q in 0..TOGETHER {
            let row = S::F64::load(&rows[q][j..]);
            sums[q] = subtract_product(sums[q], row, v, minus, minus_low);
        }
        j += lanes;
    }
    if j < n {
        let (v, v_low) = (S::F64::load_tail(&x[j..], 0.0), S::F64::load_tail(&x_low[j..], 0.0));
        let (minus, minus_low) = (zero.sub(v), zero.sub(v_low));
        for q in 0..TOGETHER {
            let row = S::F64::load_tail(&rows[q][j..], 0.0);
            sums[q] = subtract_product(sums[q], row, v, minus, minus_low);
        }
    }
    sums
}

kernel! {
    /// Adds twofold numbers to others, one by one: as [`sum`].
    pub fn add<'a, S>(other: &'a [f64], other_low: &'a [f64], high: &'a mut [f64], low: &'a mut [f64]) {
        let (n, lanes) = (high.len(), S::F64::LANES);
        let (other, other_low, low) = (&other[..n], &other_low[..n], &mut low[..n]);
        let mut j = 0;
        while j + lanes <= n {
            let a = [S::F64::load(&high[j..]), S::F64::load(&low[j..])];
            let b = [S::F64::load(&other[j..]), S::F64::load(&other_low[j..])];
            let total = sums(a, b);
            total[0].store(&mut high[j..]);
            total[1].store(&mut low[j..]);
            j += lanes;
        }
        if j < n {
            let a = [S::F64::load_tail(&high[j..], 0.0), S::F64::load_tail(&low[j..], 0.0)];
            let b = [S::F64::load_tail(&other[j..], 0.0), S::F64::load_tail(&other_low[j..], 0.0)];
            let total = sums(a, b);
            total[0].store_tail(&mut high[j..], 0.0);
            total[1].store_tail(&mut low[j..], 0.0);
        }
    }
}

kernel! {
    /// `high_j + low_j += sum_i block_ij (r_i + r_low_i)` for the columns of a block of rows, whose
    /// number is what the error goes by: call this for few rows, on zeros, and add up with [`sum`].
    pub fn add_transposed<'a, S>(
        block: &'a [f64],
        r: &'a [f64],
        r_low: &'a [f64],
        high: &'a mut [f64],
        low: &'a mut [f64],
        next: &'a [f64],
    ) {
        let (n, lanes) = (high.len(), S::F64::LANES);
        let mut ahead = Ahead::new(next, r.len() / TOGETHER);
        let low = &mut low[..n];
        let whole = r.len() - r.len() % TOGETHER;
        let mut i = 0;
        while i < whole {
            ahead.next();
            let rows: [&[f64]; TOGETHER] = std::array::from_fn(|q| &block[(i + q) * n..(i + q + 1) * n]);
            let factors: [S::F64; TOGETHER] = std::array::from_fn(|q| S::F64::splat(r[i + q]));
            let minus: [S::F64; TOGETHER] = std::array::from_fn(|q| S::F64::splat(-r[i + q]));
            let rest: [S::F64; TOGETHER] = std::array::from_fn(|q| S::F64::splat(r_low[i + q]));
            let mut j = 0;
            while j + lanes <= n {
                let mut total = [S::F64::load(&high[j..]), S::F64::load(&low[j..])];
                for q in 0..TOGETHER {
                    let row = S::F64::load(&rows[q][j..]);
                    // Minus minus.
                    total = subtract_product(total, row, minus[q], factors[q], rest[q]);
                }
                total[0].store(&mut high[j..]);
                total[1].store(&mut low[j..]);
                j += lanes;
            }
            if j < n {
                let mut total = [S::F64::load_tail(&high[j..], 0.0), S::F64::load_tail(&low[j..], 0.0)];
                for q in 0..TOGETHER {
                    let row = S::F64::load_tail(&rows[q][j..], 0.0);
                    total = subtract_product(total, row, minus[q], factors[q], rest[q]);
                }
                total[0].store_tail(&mut high[j..], 0.0);
                total[1].store_tail(&mut low[j..], 0.0);
            }
            i += TOGETHER;
        }
        for i in whole..r.len() {
            for (j, a) in block[i * n..(i + 1) * n].iter().enumerate() {
                let product = multiple((r[i], r_low[i]), *a);
                (high[j], low[j]) = sum((high[j], low[j]), product);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    /// An integer of 53 bits, and its square's last bits are lost by a plain product.
    fn long(k: usize) -> f64 {
        let bits = (k as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12;
        (bits as f64 - (1u64 << 51) as f64) * (1.0 + (k % 3) as f64)
    }

    /// As an integer: both parts are integers of at most 110 bits.
    fn exactly((high, low): (f64, f64)) -> i128 {
        high as i128 + low as i128
    }

    #[test]
    fn nothing_is_lost_below_106_bits() {
        for (rows, n) in [(1, 1), (3, 5), (4, 8), (9, 19), (16, 33)] {
            let block: Vec<f64> = (0..rows * n).map(long).collect();
            let x: Vec<f64> = (0..n).map(|j| long(j + 1000)).collect();
            let x_low: Vec<f64> = (0..n).map(|j| (j % 5) as f64 - 2.0).collect();
            for level in Level::available() {
                let (mut high, mut low) = (vec![0.0; rows], vec![0.0; rows]);
                subtract_products::at(level, &block, &x, &x_low, &mut high, &mut low, &x);
                for i in 0..rows {
                    let terms = (0..n)
                        .map(|j| block[i * n + j] as i128 * (x[j] as i128 + x_low[j] as i128));
                    let (sum, size) =
                        terms.fold((0i128, 0u128), |(s, m), t| (s - t, m + t.unsigned_abs()));
                    let error = (exactly((high[i], low[i])) - sum).unsigned_abs() as f64;
                    let most = (n as f64 + 8.0).powi(2) * (-106f64).exp2() * size as f64;
                    assert!(error <= most + 1.0, "{error} {most}");
                }
                let (mut high, mut low) = (vec![0.0; n], vec![0.0; n]);
                let r: Vec<f64> = (0..rows).map(|i| long(i + 77)).collect();
                let r_low: Vec<f64> = (0..rows).map(|i| (i % 3) as f64 - 1.0).collect();
                add_transposed::at(level, &block, &r, &r_low, &mut high, &mut low, &x);
                for j in 0..n {
                    let terms = (0..rows)
                        .map(|i| block[i * n + j] as i128 * (r[i] as i128 + r_low[i] as i128));
                    let (sum, size) =
                        terms.fold((0i128, 0u128), |(s, m), t| (s + t, m + t.unsigned_abs()));
                    let error = (exactly((high[j], low[j])) - sum).unsigned_abs() as f64;
                    let most = (rows as f64 + 8.0).powi(2) * (-106f64).exp2() * size as f64;
                    assert!(error <= most + 1.0, "{error} {most}");
                }
            }
        }
    }
}

//! The fast Walsh-Hadamard transform of the columns of a block of rows, and signed sums of rows.
//!
//! `(H x)_i = sum_j (-1)^(bits that i and j share) x_j`. A stage adds and subtracts rows that lie a
//! power of two apart: whole vectors, so that nothing is shuffled. Two stages are done at a time, on
//! four runs of rows, and first all those that stay within the first cache. Only additions, in an
//! order that the shape fixes: the same bits at every level.

use crate::ahead;
use crate::dispatch::kernel;
use crate::lanes::{Simd, Vector};

/// Values that are transformed as far as they go before others are looked at: half of a first cache.
const INNER: usize = 2048;

/// Rows that are asked for ahead of their use.
const AHEAD: usize = 32;

kernel! {
    /// Transforms each column of a row-major matrix of so many columns in place; the number of its
    /// rows is a power of two.
    pub fn transform<'a, S>(x: &'a mut [f64], width: usize) {
        debug_assert!((x.len() / width).is_power_of_two() && x.len() % width == 0);
        let inner = inner(x.len(), width);
        for part in x.chunks_exact_mut(inner) {
            stages::<S>(part, width);
        }
        stages::<S>(x, inner);
    }
}

kernel! {
    /// The transform of columns of a matrix, `width` from `first` on, whose rows, at least four, of
    /// `stride` values each, take the signs given: into `x`, row-major.
    pub fn transform_signed<'a, S>(rows: &'a [f64], stride: usize, first: usize, signs: &'a [f64], x: &'a mut [f64], width: usize) {
        debug_assert!(signs.len().is_power_of_two() && x.len() == signs.len() * width);
        let inner = inner(x.len(), width);
        let count = inner / width;
        for (k, part) in x.chunks_exact_mut(inner).enumerate() {
            let rows = &rows[k * count * stride..];
            read_two_stages::<S>(rows, stride, first, &signs[k * count..][..count], part, width);
            stages::<S>(part, 4 * width);
        }
        stages::<S>(x, inner);
    }
}

/// How many of the values are transformed as far as they go before others are looked at.
fn inner(all: usize, width: usize) -> usize {
    let mut inner = width;
    while 4 * inner <= INNER.max(4 * width).min(all) {
        inner *= 4;
    }
    inner
}

/// The first two stages, of rows as they are read.
#[inline(always)]
fn read_two_stages<S: Simd>(
    rows: &[f64],
    stride: usize,
    first: usize,
    signs: &[f64],
    x: &mut [f64],
    width: usize,
) {
    let whole = width - width % S::F64::LANES;
    for ((q, four), signs) in x.chunks_exact_mut(4 * width).enumerate().zip(signs.chunks_exact(4)) {
        let start = 4 * q * stride + first;
        let line = |r: usize| &rows[start + r * stride..][..width];
        let lines = [line(0), line(1), line(2), line(3)];
        for r in 0..4 {
            let later = start + (r + AHEAD) * stride;
            if let Some(later) = rows.get(later..later + width) {
                ahead::fetch(later);
                ahead::fetch(&later[width - 1..]);
            }
        }
        let (ab, cd) = four.split_at_mut(2 * width);
        let ((a, b), (c, d)) = (ab.split_at_mut(width), cd.split_at_mut(width));
        let (s0, s1) = (S::F64::splat(signs[0]), S::F64::splat(signs[1]));
        let (s2, s3) = (S::F64::splat(signs[2]), S::F64::splat(signs[3]));
        let mut j = 0;
        while j < whole {
            let p = S::F64::load(&lines[0][j..]).mul(s0);
            let q = S::F64::load(&lines[1][j..]).mul(s1);
            let r = S::F64::load(&lines[2][j..]).mul(s2);
            let s = S::F64::load(&lines[3][j..]).mul(s3);
            let [p, q, r, s] = mixed([p, q, r, s]);
            p.store(&mut a[j..]);
            q.store(&mut b[j..]);
            r.store(&mut c[j..]);
            s.store(&mut d[j..]);
            j += S::F64::LANES;
        }
        for j in whole..width {
            let at = |r: usize| signs[r] * lines[r][j];
            [a[j], b[j], c[j], d[j]] = mixed_numbers([at(0), at(1), at(2), at(3)]);
        }
    }
}

/// The stages from those on whose rows lie `span` values apart.
#[inline(always)]
fn stages<S: Simd>(x: &mut [f64], mut span: usize) {
    while 4 * span <= x.len() {
        for four in x.chunks_exact_mut(4 * span) {
            let (ab, cd) = four.split_at_mut(2 * span);
            let ((a, b), (c, d)) = (ab.split_at_mut(span), cd.split_at_mut(span));
            two_stages::<S>(a, b, c, d);
        }
        span *= 4;
    }
    if 2 * span <= x.len() {
        for pair in x.chunks_exact_mut(2 * span) {
            let (a, b) = pair.split_at_mut(span);
            one_stage::<S>(a, b);
        }
    }
}

#[inline(always)]
fn two_stages<S: Simd>(a: &mut [f64], b: &mut [f64], c: &mut [f64], d: &mut [f64]) {
    let n = a.len();
    let (b, c, d) = (&mut b[..n], &mut c[..n], &mut d[..n]);
    let whole = n - n % S::F64::LANES;
    let mut j = 0;
    while j < whole {
        let (p, q) = (S::F64::load(&a[j..]), S::F64::load(&b[j..]));
        let (r, s) = (S::F64::load(&c[j..]), S::F64::load(&d[j..]));
        let [p, q, r, s] = mixed([p, q, r, s]);
        p.store(&mut a[j..]);
        q.store(&mut b[j..]);
        r.store(&mut c[j..]);
        s.store(&mut d[j..]);
        j += S::F64::LANES;
    }
    for j in whole..n {
        [a[j], b[j], c[j], d[j]] = mixed_numbers([a[j], b[j], c[j], d[j]]);
    }
}

/// Two stages of four rows.
#[inline(always)]
fn mixed<V: Vector>([p, q, r, s]: [V; 4]) -> [V; 4] {
    let (plus, minus, plus2, minus2) = (p.add(q), p.sub(q), r.add(s), r.sub(s));
    [plus.add(plus2), minus.add(minus2), plus.sub(plus2), minus.sub(minus2)]
}

/// The same where no register is full.
#[inline(always)]
fn mixed_numbers([p, q, r, s]: [f64; 4]) -> [f64; 4] {
    let (plus, minus, plus2, minus2) = (p + q, p - q, r + s, r - s);
    [plus + plus2, minus + minus2, plus - plus2, minus - minus2]
}

#[inline(always)]
fn one_stage<S: Simd>(a: &mut [f64], b: &mut [f64]) {
    let n = a.len();
    let b = &mut b[..n];
    let whole = n - n % S::F64::LANES;
    let mut j = 0;
    while j < whole {
        let (p, q) = (S::F64::load(&a[j..]), S::F64::load(&b[j..]));
        p.add(q).store(&mut a[j..]);
        p.sub(q).store(&mut b[j..]);
        j += S::F64::LANES;
    }
    for j in whole..n {
        (a[j], b[j]) = (a[j] + b[j], a[j] - b[j]);
    }
}

kernel! {
    /// Row i of `out` += `factors_i` times row `places_i` of `x`; rows of `width` values.
    pub fn gather<'a, S>(x: &'a [f64], width: usize, places: &'a [u32], factors: &'a [f64], out: &'a mut [f64]) {
        for ((out, place), factor) in out.chunks_exact_mut(width).zip(places).zip(factors) {
            let start = *place as usize * width;
            add_multiple::<S>(*factor, &x[start..start + width], out);
        }
    }
}

kernel! {
    /// Row `places_i` of `out` += `factors_i` times row `i / per_row` of `x`; rows of `width` values, which
    /// in `x` begin `stride` values apart.
    pub fn scatter<'a, S>(x: &'a [f64], stride: usize, width: usize, per_row: usize, places: &'a [u32], factors: &'a [f64], out: &'a mut [f64]) {
        let (places, factors) = (places.chunks_exact(per_row), factors.chunks_exact(per_row));
        for ((x, places), factors) in x.chunks(stride).zip(places).zip(factors) {
            for (place, factor) in places.iter().zip(factors) {
                let start = *place as usize * width;
                add_multiple::<S>(*factor, &x[..width], &mut out[start..start + width]);
            }
        }
    }
}

#[inline(always)]
fn add_multiple<S: Simd>(factor: f64, x: &[f64], out: &mut [f64]) {
    let n = out.len();
    let x = &x[..n];
    let whole = n - n % S::F64::LANES;
    let f = S::F64::splat(factor);
    let mut j = 0;
    while j < whole {
        f.mul_add(S::F64::load(&x[j..]), S::F64::load(&out[j..])).store(&mut out[j..]);
        j += S::F64::LANES;
    }
    for j in whole..n {
        out[j] += factor * x[j];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    fn whole(k: usize) -> f64 {
        ((k * 7919) % 31) as f64 - 15.0
    }

    #[test]
    fn is_the_transform_at_every_size_and_level() {
        for (rows, width) in [(1, 1), (2, 3), (4, 1), (8, 5), (64, 2), (256, 16), (1024, 7)] {
            let x: Vec<f64> = (0..rows * width).map(whole).collect();
            // Small integers: every sum is exact.
            let expected = |i: usize, c: usize| -> f64 {
                let sign =
                    |j: usize| if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
                (0..rows).map(|j| sign(j) * x[j * width + c]).sum()
            };
            for level in Level::available() {
                let mut y = x.clone();
                transform::at(level, &mut y, width);
                for i in 0..rows {
                    for c in 0..width {
                        assert_eq!(y[i * width + c], expected(i, c));
                    }
                }
                if rows < 4 {
                    continue;
                }
                // The same, of columns in the midst of others, with signs that take theirs back.
                let signs: Vec<f64> = (0..rows).map(|j| [1.0, -1.0][j * j % 3 % 2]).collect();
                let mut wide = vec![f64::NAN; rows * (width + 5)];
                for (j, row) in wide.chunks_exact_mut(width + 5).enumerate() {
                    (0..width).for_each(|c| row[3 + c] = signs[j] * x[j * width + c]);
                }
                let mut z = vec![f64::NAN; rows * width];
                transform_signed::at(level, &wide, width + 5, 3, &signs, &mut z, width);
                assert_eq!(y, z);
            }
        }
    }

    #[test]
    fn rows_are_gathered_and_scattered() {
        for width in [1, 3, 8, 19] {
            let x: Vec<f64> = (0..4 * width).map(whole).collect();
            let (places, factors) =
                ([2, 0, 2, 1, 3, 3, 0, 2], [1.0, -1.0, 2.0, 1.0, -1.0, 1.0, 1.0, 3.0]);
            for level in Level::available() {
                let mut out = vec![1.0; 8 * width];
                gather::at(level, &x, width, &places, &factors, &mut out);
                for (i, out) in out.iter().enumerate() {
                    let (row, c) = (i / width, i % width);
                    assert_eq!(*out, 1.0 + factors[row] * x[places[row] as usize * width + c]);
                }
                let (mut out, mut expected) = (vec![0.0; 4 * width], vec![0.0; 4 * width]);
                scatter::at(level, &x, width, width, 2, &places, &factors, &mut out);
                for i in 0..8 {
                    for c in 0..width {
                        expected[places[i] as usize * width + c] +=
                            factors[i] * x[i / 2 * width + c];
                    }
                }
                assert_eq!(out, expected);
            }
        }
    }
}

//! Products of columns to about twice the working precision, at half the speed of plain ones.
//!
//! A sum `s` of L products `a_i b_i`, `|a_i| <= A`, `|b_i| <= B` powers of 2, begins at
//! `sigma = 1.5 * 2 L A B` and so stays between two powers of 2, where one unit in the last place has
//! one size, U. Then, of
//!
//! ```text
//! next = fl(s + a b)     minus = s - next     r = fl(a b + minus)     low += r
//! ```
//!
//! the difference is exact, and r is what the sum lost, rounded: two fused operations and two additions
//! for a product, where twofold sums take eleven (the idea of extraction: Rump, Ogita and Oishi,
//! "Accurate floating-point summation", SISC 2008). After L rows `s - sigma`, exact too, and `low` go
//! to a twofold sum.
//!
//! [`error`] bounds what is lost. Columns come in tiles of [`TILE`], a tile row-major.

use crate::dispatch::kernel;
use crate::lanes::{Simd, Vector};

/// Columns of a tile.
pub const TILE: usize = 8;
/// Rows that are added up from one seed, L.
pub const RUN: usize = 16;
/// Columns of the left tile whose sums are in registers together.
const TOGETHER: usize = 4;
/// `sigma / (A B)`.
const SEED: f64 = 1.5 * (2 * RUN) as f64;
/// Bounds are above magnitudes by so much that rounding cannot lead a sum out of its range.
const MARGIN: f64 = 1.0 + 1e-6;

/// A sum over `rows` rows that one call of [`products`] adds to what was there is wrong by at most
/// this times `2^-106` and the norms of both columns over those rows, besides what underflows.
///
/// In a run `2^k = 2 L A B <= 8 L max|a| max|b|`. With `u = 2^-53` a product loses at most `2 u 2^k` (half
/// of it where fused operations are exact), of which r misses a share of 2 u; the sum of r, at most
/// `2 L u 2^k`, is rounded L times: `(L^2 + 5 L) u^2 2^k` in all. With low parts, each at most u of its
/// number, it is rounded twice as often. Products of maxima add up over runs to at most that of the
/// norms, by Cauchy's inequality. Adding a run to the twofold sum loses at most `4 u^2` of both.
pub fn error(rows: usize, has_low: bool) -> f64 {
    let l = RUN as f64;
    let times = if has_low { 2.0 } else { 1.0 };
    8.1 * l * (l * l + 5.0 * l) * times + 4.0 * rows.div_ceil(RUN) as f64
}

/// For each run of rows and each column the bound of its magnitudes, a power of 2; 0 for zeros. The
/// largest magnitude of each column goes to `largest`, if it is more.
pub fn bounds(tile: &[f64], seeds: &mut [f64], largest: &mut [f64]) {
    for (run, seeds) in tile.chunks_exact(RUN * TILE).zip(seeds.chunks_exact_mut(TILE)) {
        let mut most = [0.0; TILE];
        for row in run.chunks_exact(TILE) {
            for (m, v) in most.iter_mut().zip(row) {
                *m = if v.abs() > *m { v.abs() } else { *m };
            }
        }
        for ((seed, most), largest) in seeds.iter_mut().zip(most).zip(largest.iter_mut()) {
            *seed = power_above(most * MARGIN);
            *largest = largest.max(most);
        }
    }
}

/// The least power of 2 that is not below x, 0 or a normal number far from the largest.
fn power_above(x: f64) -> f64 {
    const FRACTION: u64 = (1 << 52) - 1;
    let up = x.to_bits().wrapping_add(FRACTION) & !FRACTION;
    f64::from_bits(up)
}

kernel! {
    /// `high + low += a' (b + b_low)`, of two tiles of as many rows, a multiple of [`RUN`], with their
    /// [`bounds`]; sums are by rows of a. Without `b_low` it is 0. What comes next is asked for meanwhile.
    pub fn products<'a, S>(
        a: &'a [f64],
        a_seeds: &'a [f64],
        b: &'a [f64],
        b_low: Option<&'a [f64]>,
        b_seeds: &'a [f64],
        high: &'a mut [f64],
        low: &'a mut [f64],
        next: &'a [f64],
    ) {
        crate::ahead::fetch(next);
        let mut first = 0;
        while first < TILE {
            let mut j = 0;
            while j < TILE {
                let mut sums = Sums::<S>::load(high, low, first, j);
                match b_low {
                    None => sums.add::<false>([a, a_seeds], [b, b, b_seeds], first, j),
                    Some(b_low) => sums.add::<true>([a, a_seeds], [b, b_low, b_seeds], first, j),
                }
                sums.store(high, low, first, j);
                j += S::F64::LANES;
            }
            first += TOGETHER;
        }
    }
}

kernel! {
    /// `high + low = factor_i x` for the rows of a tile.
    pub fn weigh<'a, S>(tile: &'a [f64], factors: &'a [f64], high: &'a mut [f64], low: &'a mut [f64]) {
        for (i, factor) in factors.iter().enumerate() {
            let factor = S::F64::splat(*factor);
            let mut j = i * TILE;
            while j < (i + 1) * TILE {
                let v = S::F64::load(&tile[j..]);
                let product = factor.mul(v);
                let minus = S::F64::splat(0.0).sub(product);
                product.store(&mut high[j..]);
                factor.fused(v, minus).store(&mut low[j..]);
                j += S::F64::LANES;
            }
        }
    }
}

kernel! {
    /// `high + low += x + x_low`, wrong by at most `4 u^2` of the magnitudes of both.
    pub fn merge<'a, S>(x: &'a [f64], x_low: &'a [f64], high: &'a mut [f64], low: &'a mut [f64]) {
        let (n, lanes) = (high.len(), S::F64::LANES);
        let (x, x_low, low) = (&x[..n], &x_low[..n], &mut low[..n]);
        debug_assert!(n.is_multiple_of(lanes));
        let mut j = 0;
        while j < n {
            let at = [S::F64::load(&x[j..]), S::F64::load(&x_low[j..])];
            let to = [S::F64::load(&high[j..]), S::F64::load(&low[j..])];
            let [h, l] = add_twofold(to, at);
            h.store(&mut high[j..]);
            l.store(&mut low[j..]);
            j += lanes;
        }
    }
}

kernel! {
    /// `high + low -= (f + f_low) (x + x_low)`, each wrong by at most `8 u^2` of the magnitudes of both.
    pub fn subtract_multiple<'a, S>(
        f: f64,
        f_low: f64,
        x: &'a [f64],
        x_low: &'a [f64],
        high: &'a mut [f64],
        low: &'a mut [f64],
    ) {
        let (n, lanes) = (high.len(), S::F64::LANES);
        let (x, x_low, low) = (&x[..n], &x_low[..n], &mut low[..n]);
        let factors = [S::F64::splat(-f), S::F64::splat(-f_low)];
        let mut j = 0;
        while j + lanes <= n {
            let at = [S::F64::load(&x[j..]), S::F64::load(&x_low[j..])];
            let to = [S::F64::load(&high[j..]), S::F64::load(&low[j..])];
            let [h, l] = add_multiple(factors, at, to);
            h.store(&mut high[j..]);
            l.store(&mut low[j..]);
            j += lanes;
        }
        if j < n {
            let at = [S::F64::load_tail(&x[j..], 0.0), S::F64::load_tail(&x_low[j..], 0.0)];
            let to = [S::F64::load_tail(&high[j..], 0.0), S::F64::load_tail(&low[j..], 0.0)];
            let [h, l] = add_multiple(factors, at, to);
            h.store_tail(&mut high[j..], 0.0);
            l.store_tail(&mut low[j..], 0.0);
        }
    }
}

#[inline(always)]
fn add_multiple<V: Vector<Elem = f64>>(
    [f, f_low]: [V; 2],
    [x, x_low]: [V; 2],
    to: [V; 2],
) -> [V; 2] {
    let product = f.mul(x);
    let lost = f.fused(x, V::splat(0.0).sub(product));
    let rest = f_low.mul_add(x, f.mul_add(x_low, lost));
    add_twofold(to, [product, rest])
}

/// The two high parts exactly, then the rest: wrong by at most `4 u^2` of the magnitudes of both.
#[inline(always)]
fn add_twofold<V: Vector<Elem = f64>>(a: [V; 2], b: [V; 2]) -> [V; 2] {
    let sum = a[0].add(b[0]);
    let part = sum.sub(a[0]);
    let lost = a[0].sub(sum.sub(part)).add(b[0].sub(part));
    let rest = a[1].add(b[1].add(lost));
    let high = sum.add(rest);
    [high, rest.sub(high.sub(sum))]
}

/// The same with as many fused operations, which processors do beside additions, as additions; `one` is
/// 1, of which the compiler must not know.
#[inline(always)]
fn balanced<V: Vector<Elem = f64>>(a: [V; 2], b: [V; 2], one: V) -> [V; 2] {
    let sum = one.mul_add(a[0], b[0]);
    let part = sum.sub(a[0]);
    let lost = a[0].sub(sum.sub(part)).add(b[0].sub(part));
    let rest = one.mul_add(a[1], one.mul_add(b[1], lost));
    let high = one.mul_add(sum, rest);
    [high, rest.sub(high.sub(sum))]
}

/// Twofold sums of a few columns of a with a register of columns of b.
struct Sums<S: Simd> {
    high: [S::F64; TOGETHER],
    low: [S::F64; TOGETHER],
}

impl<S: Simd> Sums<S> {
    #[inline(always)]
    fn load(high: &[f64], low: &[f64], first: usize, j: usize) -> Sums<S> {
        let mut sums =
            Sums { high: [S::F64::splat(0.0); TOGETHER], low: [S::F64::splat(0.0); TOGETHER] };
        for q in 0..TOGETHER {
            let place = (first + q) * TILE + j;
            sums.high[q] = S::F64::load(&high[place..]);
            sums.low[q] = S::F64::load(&low[place..]);
        }
        sums
    }

    #[inline(always)]
    fn store(self, high: &mut [f64], low: &mut [f64], first: usize, j: usize) {
        for q in 0..TOGETHER {
            let place = (first + q) * TILE + j;
            self.high[q].store(&mut high[place..]);
            self.low[q].store(&mut low[place..]);
        }
    }

    #[inline(always)]
    fn add<const HAS_LOW: bool>(
        &mut self,
        [a, a_seeds]: [&[f64]; 2],
        [b, b_low, b_seeds]: [&[f64]; 3],
        first: usize,
        j: usize,
    ) {
        let one = S::F64::splat(std::hint::black_box(1.0));
        let runs = a.len() / (RUN * TILE);
        let mut run = 0;
        while run < runs {
            let span = run * RUN * TILE..(run + 1) * RUN * TILE;
            let (a, b, b_low) = (&a[span.clone()], &b[span.clone()], &b_low[span]);
            let (a_seeds, b_seeds) = (&a_seeds[run * TILE..], &b_seeds[run * TILE..]);
            let b_seed = S::F64::load(&b_seeds[j..]);
            let mut seeds = [S::F64::splat(0.0); TOGETHER];
            for q in 0..TOGETHER {
                seeds[q] = S::F64::splat(SEED * a_seeds[first + q]).mul(b_seed);
            }
            let (mut high, mut low) = (seeds, [S::F64::splat(0.0); TOGETHER]);
            let mut i = 0;
            while i < RUN * TILE {
                let v = S::F64::load(&b[i + j..]);
                for q in 0..TOGETHER {
                    let factor = S::F64::splat(a[i + first + q]);
                    let next = factor.fused(v, high[q]);
                    let minus = high[q].sub(next);
                    low[q] = low[q].add(factor.fused(v, minus));
                    if HAS_LOW {
                        low[q] = factor.mul_add(S::F64::load(&b_low[i + j..]), low[q]);
                    }
                    high[q] = next;
                }
                i += TILE;
            }
            for q in 0..TOGETHER {
                let run = [one.mul_add(high[q], S::F64::splat(0.0).sub(seeds[q])), low[q]];
                [self.high[q], self.low[q]] = balanced([self.high[q], self.low[q]], run, one);
            }
            run += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::twofold::{sum, two_product};

    fn value(k: usize) -> f64 {
        let bits = (k as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_mul(k as u64 | 1);
        let size = ((k % 7) as f64 - 3.0).exp2();
        ((bits >> 11) as f64 - (1u64 << 52) as f64) * (-52f64).exp2() * size
    }

    #[test]
    fn bounds_are_powers_of_two_not_below() {
        let tile: Vec<f64> =
            (0..3 * RUN * TILE).map(|k| if k % TILE == 3 { 0.0 } else { value(k) }).collect();
        let (mut seeds, mut largest) = ([-1.0; 3 * TILE], [0.0; TILE]);
        bounds(&tile, &mut seeds, &mut largest);
        for (k, seed) in seeds.iter().enumerate() {
            let (run, j) = (k / TILE, k % TILE);
            let column = (0..RUN).map(|i| tile[(run * RUN + i) * TILE + j].abs());
            let most = column.fold(0.0, f64::max);
            assert!(*seed >= most && *seed <= 2.1 * most && largest[j] >= most);
            assert!(*seed == 0.0 || seed.log2().fract() == 0.0);
        }
        assert_eq!(power_above(1.0), 1.0);
        assert_eq!(power_above(1.5), 2.0);
    }

    /// The sum of products, and a correction of what that is off, by many more digits than 106.
    fn nearly_exact(terms: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, f64) {
        // Sorted error-free parts, added up largest first, three deep.
        let mut parts: Vec<f64> = vec![];
        for (a, b) in terms {
            let (p, e) = two_product(a, b);
            for mut x in [p, e] {
                // Shewchuk: an expansion whose parts do not overlap.
                let mut kept = vec![];
                for y in parts.drain(..) {
                    let (s, lost) = crate::twofold::two_sum(x, y);
                    if lost != 0.0 {
                        kept.push(lost);
                    }
                    x = s;
                }
                kept.push(x);
                parts = kept;
            }
        }
        parts.iter().rev().fold((0.0, 0.0), |total, part| sum(total, (*part, 0.0)))
    }

    #[test]
    fn products_are_within_their_bound_and_the_same_at_every_level() {
        for (runs, cancel) in [(1, false), (4, false), (5, true)] {
            let rows = runs * RUN;
            let mut a: Vec<f64> = (0..rows * TILE).map(value).collect();
            let b: Vec<f64> = (0..rows * TILE).map(|k| value(k + 9999)).collect();
            if cancel {
                // Column 2 of a: rows cancel in pairs but for their last bits.
                for i in (1..rows).step_by(2) {
                    a[i * TILE + 2] = -a[(i - 1) * TILE + 2] * b[(i - 1) * TILE] / b[i * TILE];
                }
            }
            let b_low: Vec<f64> = b.iter().map(|v| v * 3e-17).collect();
            let (mut sa, mut sb) = (vec![0.0; runs * TILE], vec![0.0; runs * TILE]);
            bounds(&a, &mut sa, &mut [0.0; TILE]);
            bounds(&b, &mut sb, &mut [0.0; TILE]);
            for low_too in [false, true] {
                let mut first = None;
                for level in Level::available() {
                    let (mut high, mut low) = ([0.0; 64], [0.0; 64]);
                    let extra = low_too.then_some(&b_low[..]);
                    products::at(level, &a, &sa, &b, extra, &sb, &mut high, &mut low, &[]);
                    for (k, (h, l)) in high.iter().zip(&low).enumerate() {
                        let (p, q) = (k / TILE, k % TILE);
                        let pairs = (0..rows).flat_map(|i| {
                            let x = a[i * TILE + p];
                            let rest = if low_too { b_low[i * TILE + q] } else { 0.0 };
                            [(x, b[i * TILE + q]), (x, rest)]
                        });
                        let (e, e_low) = nearly_exact(pairs);
                        let norm = |m: &[f64], j: usize| {
                            (0..rows).map(|i| m[i * TILE + j].powi(2)).sum::<f64>().sqrt()
                        };
                        let allowed =
                            error(rows, low_too) * (-106f64).exp2() * norm(&a, p) * norm(&b, q);
                        let off = ((h - e) + (l - e_low)).abs();
                        assert!(off <= allowed, "{off:e} of {allowed:e}");
                    }
                    // Where fused operations are made of others r may be off by its last bit.
                    if level != Level::Baseline {
                        let bits = [high, low];
                        assert_eq!(*first.get_or_insert(bits), bits);
                    }
                }
            }
        }
    }
}

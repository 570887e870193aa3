//! The random numbers of a sketch: each a function of the seed, of what it is for, and of where it
//! stands, so that rows may come in any blocks and on any threads.
//!
//! All are words of Philox ([`sparrot_foundation::random`]) under the key `[seed, purpose]`. The four
//! words of the counter `[a, b, 0, 0]` are what `numpy.random.Philox` with that key gives first from a
//! counter of one less: NumPy counts before it draws.

use sparrot_foundation::random::{Stream, philox};

/// What numbers are for, so that none is used twice.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// Signs of rows.
    Signs = 1,
    /// Which rows of a transform are kept.
    Sample = 2,
    /// Where a row is added in a sparse sketch, and with which sign.
    Places = 3,
    /// Normal numbers.
    Normals = 4,
    /// The order in which rows are pooled.
    Order = 5,
    /// Signs of a circulant matrix.
    Generator = 6,
    /// Which rows are looked at first.
    Rows = 7,
}

/// The numbers of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    /// The seed.
    pub seed: u64,
}

impl Draws {
    fn words(&self, purpose: Purpose, a: u64, b: u64) -> [u64; 4] {
        philox([self.seed, purpose as u64], [a, b, 0, 0])
    }

    /// A stream of numbers; `part` tells several for one purpose apart.
    pub fn stream(&self, purpose: Purpose, part: u64) -> Stream {
        Stream::keyed([self.seed, purpose as u64 + (part << 8)])
    }

    /// The signs of the rows from `first` on: bit i of word w of the counter `[row / 256, 0]`, where
    /// `row % 256 = 64 w + i`; set for -1.
    pub fn signs(&self, first: usize, out: &mut [f64]) {
        self.bits(Purpose::Signs, first, out.len(), |i, sign| out[i] = sign);
    }

    /// Multiplies rows of so many values, the first of which is row `first`, by their signs.
    pub fn apply_signs(&self, first: usize, width: usize, rows: &mut [f64]) {
        self.bits(Purpose::Signs, first, rows.len() / width, |i, sign| {
            rows[i * width..(i + 1) * width].iter_mut().for_each(|v| *v *= sign);
        });
    }

    /// The signs of a circulant matrix, from place `first` on; by bits like those of rows.
    pub fn generator(&self, first: usize, out: &mut [f64]) {
        self.bits(Purpose::Generator, first, out.len(), |i, sign| out[i] = sign);
    }

    fn bits(
        &self,
        purpose: Purpose,
        first: usize,
        count: usize,
        mut visit: impl FnMut(usize, f64),
    ) {
        let (mut block, mut words) = (u64::MAX, [0; 4]);
        for i in 0..count {
            let row = (first + i) as u64;
            if row / 256 != block {
                block = row / 256;
                words = self.words(purpose, block, 0);
            }
            let bit = words[(row % 256 / 64) as usize] >> (row % 64) & 1;
            visit(i, 1.0 - 2.0 * bit as f64);
        }
    }

    /// The places and signs of a row in `count` stacked sketches that share `size` rows: word `k % 4`
    /// of the counter `[row, k / 4]` for the k-th. Its high bits choose the place, with a bias below
    /// `size / 2^63`, the lowest the sign.
    pub fn places(&self, row: usize, size: usize, places: &mut [u32], signs: &mut [f64]) {
        let count = places.len();
        let mut words = [0; 4];
        for (k, (place, sign)) in places.iter_mut().zip(signs).enumerate() {
            if k % 4 == 0 {
                words = self.words(Purpose::Places, row as u64, k as u64 / 4);
            }
            let (start, end) = (k * size / count, (k + 1) * size / count);
            let word = words[k % 4];
            let chosen = ((u128::from(word) * (end - start) as u128) >> 64) as usize;
            *place = (start + chosen) as u32;
            *sign = 1.0 - 2.0 * (word & 1) as f64;
        }
    }

    /// The four normal numbers of a counter `[a, b]`: two by Box and Muller from the first two words,
    /// and two from the others.
    pub fn normals(&self, a: usize, b: usize) -> [f64; 4] {
        let words = self.words(Purpose::Normals, a as u64, b as u64);
        let unit = (-53f64).exp2();
        let pair = |u: u64, v: u64| {
            let radius = (-2.0 * (((u >> 11) + 1) as f64 * unit).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * ((v >> 11) as f64 * unit)).sin_cos();
            [radius * cos, radius * sin]
        };
        let ([a, b], [c, d]) = (pair(words[0], words[1]), pair(words[2], words[3]));
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_do_not_depend_on_where_one_begins() {
        let draws = Draws { seed: 3 };
        let mut all = vec![0.0; 1000];
        draws.signs(0, &mut all);
        for (first, count) in [(1, 999), (250, 20), (511, 2)] {
            let mut some = vec![0.0; count];
            draws.signs(first, &mut some);
            assert_eq!(some, all[first..first + count]);
        }
        assert!(all.iter().sum::<f64>().abs() < 100.0);
    }

    #[test]
    fn places_are_in_their_shares_and_normals_normal() {
        let draws = Draws { seed: 4 };
        let (mut places, mut signs) = ([0; 5], [0.0; 5]);
        let mut sums = [0.0; 3];
        for row in 0..4000 {
            draws.places(row, 13, &mut places, &mut signs);
            for (k, place) in places.iter().enumerate() {
                assert!((k * 13 / 5..(k + 1) * 13 / 5).contains(&(*place as usize)));
            }
            for x in draws.normals(row, 7) {
                sums[0] += x;
                sums[1] += x * x;
                sums[2] += x.powi(4);
            }
        }
        let [mean, square, fourth] = sums.map(|s| s / 16000.0);
        assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.05 && (fourth - 3.0).abs() < 0.3);
    }
}

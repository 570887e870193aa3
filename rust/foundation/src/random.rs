//! Counter-based random numbers: Philox 4x64 with 10 rounds (Salmon, Moraes, Dror and Shaw,
//! "Parallel random numbers: as easy as 1, 2, 3", SC 2011), as NumPy's `Philox` bit generator.
//!
//! A number depends on the key and the counter alone, so that any part of a stream can be had by
//! any thread, in any order.

use std::collections::HashSet;

/// Words of a counter, and of a block of random bits.
const WORDS: usize = 4;

/// The random bits that belong to a key and a counter.
pub fn philox(key: [u64; 2], counter: [u64; WORDS]) -> [u64; WORDS] {
    let (mut key, mut x) = (key, counter);
    for _ in 0..10 {
        let (high0, low0) = wide_product(0xD2E7_470E_E14C_6C93, x[0]);
        let (high1, low1) = wide_product(0xCA5A_8263_9512_1157, x[2]);
        x = [high1 ^ x[1] ^ key[0], low1, high0 ^ x[3] ^ key[1], low0];
        key[0] = key[0].wrapping_add(0x9E37_79B9_7F4A_7C15);
        key[1] = key[1].wrapping_add(0xBB67_AE85_84CA_A73B);
    }
    x
}

fn wide_product(a: u64, b: u64) -> (u64, u64) {
    let product = u128::from(a) * u128::from(b);
    ((product >> 64) as u64, product as u64)
}

/// The numbers of one key, one after another: those of `numpy.random.Philox(key=seed)`.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u64; 2],
    counter: u64,
    block: [u64; WORDS],
    used: usize,
}

impl Stream {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Stream {
        Stream::keyed([seed, 0])
    }

    /// The stream of a key of two words.
    pub fn keyed(key: [u64; 2]) -> Stream {
        Stream { key, counter: 0, block: [0; WORDS], used: WORDS }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        if self.used == WORDS {
            self.counter += 1; // NumPy counts before it draws
            self.block = philox(self.key, [self.counter, 0, 0, 0]);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// A number from [0, 1), a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (-53f64).exp2()
    }

    /// An integer from `0..n`, all equally likely (Lemire's method). `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        loop {
            let (high, low) = wide_product(self.bits(), n);
            // Of the 2^64 numbers the first 2^64 mod n are too many.
            if low >= n || low >= n.wrapping_neg() % n {
                return high as usize;
            }
        }
    }

    /// `count` of the integers `0..n`, all distinct, every set of them equally likely (Floyd's
    /// method); in an order that is not random. `count` is at most `n`.
    pub fn sample(&mut self, n: usize, count: usize) -> Vec<usize> {
        let mut taken = HashSet::with_capacity(count);
        let one = |top| {
            let first = self.below(top + 1);
            let found = if taken.contains(&first) { top } else { first };
            taken.insert(found);
            found
        };
        (n - count..n).map(one).collect()
    }

    /// Shuffles the first `count` places: a uniform sample in random order.
    pub fn shuffle_first<T>(&mut self, items: &mut [T], count: usize) {
        for i in 0..count.min(items.len()) {
            let other = i + self.below(items.len() - i);
            items.swap(i, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_numpys() {
        // numpy.random.Philox(key=7).random_raw(5), NumPy 2
        let mut stream = Stream::new(7);
        let expected = [
            0xdf4034b829e9fba4,
            0x4b9d10cdf8e64087,
            0x6b8b857e506aac98,
            0x67c7c945b1ba6e52,
            0x15352da77ecee8e6,
        ];
        assert_eq!([(); 5].map(|()| stream.bits()), expected);
    }

    #[test]
    fn samples_are_uniform_and_distinct() {
        let mut stream = Stream::new(1);
        let mut counts = [0; 6];
        for _ in 0..6000 {
            let mut items = [0, 1, 2, 3, 4, 5];
            stream.shuffle_first(&mut items, 2);
            assert_ne!(items[0], items[1]);
            counts[items[1]] += 1;
        }
        // Of mean 1000 and standard deviation 29.
        assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
        let mut counts = [0; 6];
        for _ in 0..6000 {
            let items = stream.sample(6, 2);
            assert_ne!(items[0], items[1]);
            items.iter().for_each(|i| counts[*i] += 1);
        }
        // Of mean 2000 and standard deviation 37.
        assert!(counts.iter().all(|c| (1800..2200).contains(c)), "{counts:?}");
        assert_eq!(stream.sample(3, 0), []);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&stream.uniform())));
    }
}

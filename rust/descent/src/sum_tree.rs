//! Draws with given weights, with and without replacement, in O(log n) each.

use sparrot_foundation::random::Stream;

/// A binary tree of sums of weights.
#[derive(Clone, Debug)]
pub struct SumTree {
    leaves: usize,
    /// The root is node 1; leaf i is node `leaves + i`.
    sums: Vec<f64>,
}

impl SumTree {
    /// The tree of non-negative weights.
    pub fn new(weights: &[f64]) -> SumTree {
        let leaves = weights.len().next_power_of_two();
        let mut sums = vec![0.0; 2 * leaves];
        sums[leaves..leaves + weights.len()].copy_from_slice(weights);
        for node in (1..leaves).rev() {
            sums[node] = sums[2 * node] + sums[2 * node + 1];
        }
        SumTree { leaves, sums }
    }

    /// An index with a probability proportional to its weight; `None` if all weights are 0.
    pub fn draw(&self, random: &mut Stream) -> Option<usize> {
        if self.sums[1] <= 0.0 {
            return None;
        }
        let mut left = random.uniform() * self.sums[1];
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            // Never into a subtree without weight, wherever rounding has put `left`.
            if (left >= self.sums[node] && self.sums[node + 1] > 0.0) || self.sums[node] <= 0.0 {
                left -= self.sums[node];
                node += 1;
            }
        }
        Some(node - self.leaves)
    }

    /// Sets a weight; the old one.
    pub fn set(&mut self, i: usize, weight: f64) -> f64 {
        let mut node = self.leaves + i;
        let old = std::mem::replace(&mut self.sums[node], weight);
        while node > 1 {
            node /= 2;
            self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1];
        }
        old
    }

    /// Up to `count` distinct indices, drawn one after the other without replacement.
    pub fn draw_distinct(&mut self, count: usize, random: &mut Stream, out: &mut Vec<u32>) {
        out.clear();
        let mut taken = Vec::with_capacity(count);
        while out.len() < count {
            let Some(i) = self.draw(random) else { break };
            taken.push(self.set(i, 0.0));
            out.push(i as u32);
        }
        for (i, weight) in out.iter().zip(taken) {
            self.set(*i as usize, weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_weights() {
        let weights = [1.0, 0.0, 3.0, 4.0, 0.0];
        let mut tree = SumTree::new(&weights);
        let mut random = Stream::new(3);
        let mut counts = [0.0; 5];
        for _ in 0..8000 {
            counts[tree.draw(&mut random).unwrap()] += 1.0;
        }
        // 1000 times the weights, up to five standard deviations.
        for (count, weight) in counts.iter().zip(&weights) {
            assert!(
                (count - 1000.0 * weight).abs() <= 5.0 * (1000.0 * weight).sqrt(),
                "{counts:?}"
            );
        }
        let mut all = vec![];
        tree.draw_distinct(10, &mut random, &mut all);
        all.sort_unstable();
        assert_eq!(all, [0, 2, 3]);
        assert_eq!(tree.set(2, 0.0), 3.0); // put back
        assert_eq!(SumTree::new(&[0.0]).draw(&mut random), None);
    }
}

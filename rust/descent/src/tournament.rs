//! The largest of many scores, a few of which change at a time.
//!
//! A binary tree whose nodes know the better of their two children: a changed score costs O(log n),
//! and the k best are found in O(k log n) by walking down from the root. That is how a greedy rule
//! pays for what a step has changed and not for a pass over all variables.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The tree.
#[derive(Clone, Debug)]
pub struct Tournament {
    /// The scores, and minus infinity up to a power of two of them.
    scores: Vec<f64>,
    /// The winner below each node; the root is node 1, the leaves are not stored.
    winners: Vec<u32>,
}

/// A node that is still to be looked into, by its winner.
#[derive(PartialEq)]
struct Candidate {
    score: f64,
    winner: u32,
    node: usize,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> Ordering {
        // Of equal scores the lower index is the better one.
        self.score.total_cmp(&other.score).then(other.winner.cmp(&self.winner))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Tournament {
    /// A tree of `n` scores of minus infinity.
    pub fn new(n: usize) -> Tournament {
        let leaves = n.next_power_of_two().max(2);
        let mut tree =
            Tournament { scores: vec![f64::NEG_INFINITY; leaves], winners: vec![0; leaves] };
        tree.rebuild(|_| f64::NEG_INFINITY, n);
        tree
    }

    /// Sets all of the first `n` scores.
    pub fn rebuild(&mut self, score: impl Fn(usize) -> f64, n: usize) {
        for (i, slot) in self.scores[..n].iter_mut().enumerate() {
            *slot = score(i);
        }
        for node in (1..self.scores.len()).rev() {
            self.winners[node] = self.better(node);
        }
    }

    /// Sets one score.
    pub fn set(&mut self, i: usize, score: f64) {
        self.scores[i] = score;
        let mut node = (i + self.scores.len()) / 2;
        while node >= 1 {
            self.winners[node] = self.better(node);
            node /= 2;
        }
    }

    /// The best `k`, best first, into `out`.
    pub fn top(&self, k: usize, out: &mut Vec<u32>) {
        out.clear();
        let mut open = BinaryHeap::from([self.candidate(1)]);
        while out.len() < k {
            let Some(Candidate { winner, mut node, .. }) = open.pop() else { break };
            out.push(winner);
            // Down to the winner's leaf; what it has beaten on the way is open now.
            while node < self.scores.len() {
                let (left, right) = (2 * node, 2 * node + 1);
                let from_left = self.winner(left) == winner;
                open.push(self.candidate(if from_left { right } else { left }));
                node = if from_left { left } else { right };
            }
        }
    }

    fn better(&self, node: usize) -> u32 {
        let (left, right) = (self.winner(2 * node), self.winner(2 * node + 1));
        if self.scores[right as usize] > self.scores[left as usize] { right } else { left }
    }

    fn winner(&self, node: usize) -> u32 {
        let leaves = self.scores.len();
        if node >= leaves { (node - leaves) as u32 } else { self.winners[node] }
    }

    fn candidate(&self, node: usize) -> Candidate {
        let winner = self.winner(node);
        Candidate { score: self.scores[winner as usize], winner, node }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_are_those_of_sorting(
            scores in prop::collection::vec(0u8..20, 1..40),
            updates in prop::collection::vec((0usize..40, 0u8..20), 0..30),
            k in 0usize..45,
        ) {
            let mut scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let n = scores.len();
            let mut tree = Tournament::new(n);
            tree.rebuild(|i| scores[i], n);
            for (i, score) in updates {
                scores[i % n] = f64::from(score);
                tree.set(i % n, scores[i % n]);
            }
            let mut expected: Vec<u32> = (0..n as u32).collect();
            expected.sort_by(|i, j| scores[*j as usize].total_cmp(&scores[*i as usize]));
            let mut best = vec![];
            tree.top(k.min(n), &mut best);
            prop_assert_eq!(&best[..], &expected[..k.min(n)]);
        }
    }
}

//! The problem with what makes its loads exact, and what a token chooses at given prices.

use sparrot_foundation::Scalar;

/// A problem in which the loads of all nodes are given: the experts and, where there are too few
/// places, one more, *empty*, which has the last number.
pub(super) struct Market<'a, T> {
    pub scores: &'a [T],
    pub tokens: usize,
    pub experts: usize,
    pub top_k: usize,
    /// What the load of each node must be.
    pub capacities: Vec<usize>,
    /// Places that no token takes, where there is room for all.
    pub idle: usize,
}

impl<'a, T: Scalar> Market<'a, T> {
    pub fn new(scores: &'a [T], capacities: &[usize], top_k: usize) -> Market<'a, T> {
        let experts = capacities.len();
        let tokens = scores.len() / experts;
        let mut capacities: Vec<usize> = capacities.iter().map(|c| *c.min(&tokens)).collect();
        let (places, slots) = (capacities.iter().sum::<usize>(), tokens * top_k);
        if places < slots {
            capacities.push(slots - places);
        }
        let idle = places.saturating_sub(slots);
        Market { scores, tokens, experts, top_k, capacities, idle }
    }

    pub fn nodes(&self) -> usize {
        self.capacities.len()
    }

    /// The lowest price of an expert: idle tokens take what costs less than nothing.
    pub fn floor(&self) -> f64 {
        if self.idle > 0 { 0.0 } else { f64::NEG_INFINITY }
    }

    pub fn row(&self, token: usize) -> &'a [T] {
        &self.scores[token * self.experts..(token + 1) * self.experts]
    }

    /// The score of a token at a node.
    pub fn score(&self, token: usize, node: usize) -> f64 {
        if node < self.experts { self.scores[token * self.experts + node].to_f64() } else { 0.0 }
    }

    /// Prices from which to start: an expert that takes nobody has an infinite one.
    pub fn first_prices(&self) -> Vec<f64> {
        let price = |capacity: &usize| if *capacity == 0 { f64::INFINITY } else { 0.0 };
        let mut prices: Vec<f64> = self.capacities.iter().map(price).collect();
        prices[self.experts..].fill(0.0);
        prices
    }

    /// Writes the highest of a token's `s - p`, and where it has them, highest first and for equal
    /// ones the lower expert. A slot left empty counts where there may be one; where nothing is left
    /// to choose the value is negative infinity, and the node that after the experts, too.
    pub fn choose(&self, token: usize, prices: &[f64], values: &mut [f64], nodes: &mut [u32]) {
        let empty = prices.get(self.experts).map_or(f64::NEG_INFINITY, |price| -price);
        values.fill(empty);
        nodes.fill(self.experts as u32);
        let last = values.len() - 1;
        for (j, (score, price)) in self.row(token).iter().zip(prices).enumerate() {
            let value = score.to_f64() - price;
            if value > values[last] {
                let mut at = last;
                while at > 0 && value > values[at - 1] {
                    values[at] = values[at - 1];
                    nodes[at] = nodes[at - 1];
                    at -= 1;
                }
                values[at] = value;
                nodes[at] = j as u32;
            }
        }
    }

    /// Shifts prices, which only matter against each other, so that the price of an empty slot, or of
    /// the cheapest expert, is 0; and lowers that of an expert that takes nobody to what the first
    /// place there would add.
    pub fn normalise(&self, prices: &mut [f64]) {
        let lowest = prices[..self.experts].iter().copied().fold(f64::INFINITY, f64::min);
        let zero = prices.get(self.experts).copied().unwrap_or(lowest);
        // Without any place there is no price to measure by.
        if zero.is_finite() {
            prices.iter_mut().for_each(|price| *price -= zero);
        }
        let closed: Vec<usize> =
            (0..self.experts).filter(|j| prices[*j] == f64::INFINITY).collect();
        if closed.is_empty() {
            return;
        }
        let (mut values, mut nodes) = (vec![0.0; self.top_k], vec![0; self.top_k]);
        let mut wanted = vec![0.0f64; closed.len()];
        for token in 0..self.tokens {
            self.choose(token, prices, &mut values, &mut nodes);
            for (most, j) in wanted.iter_mut().zip(&closed) {
                *most = most.max(self.score(token, *j) - values[self.top_k - 1]);
            }
        }
        closed.iter().zip(wanted).for_each(|(j, price)| prices[*j] = price);
    }
}

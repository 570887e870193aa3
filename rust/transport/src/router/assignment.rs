//! Who is where.

use sparrot_foundation::Scalar;

use super::market::Market;
use super::prices::Choices;

/// The nodes of every token, and the tokens of every node.
pub(super) struct Assignment {
    pub top_k: usize,
    /// `top_k` for each token, in no order.
    pub slots: Vec<u32>,
    /// In no order; a token with several empty slots is at *empty* as often.
    pub members: Vec<Vec<u32>>,
    /// The idle tokens of each node.
    pub idle: Vec<usize>,
}

impl Assignment {
    /// Every token where it chooses to be. Of nodes of equal value those that have room go first, then
    /// that of empty slots, then the others; and of those the lower one.
    pub fn new<T: Scalar>(market: &Market<'_, T>, prices: &[f64], choices: &Choices) -> Assignment {
        let k = market.top_k;
        let mut assignment = Assignment {
            top_k: k,
            slots: Vec::with_capacity(market.tokens * k),
            members: vec![vec![]; market.nodes()],
            idle: vec![0; market.nodes()],
        };
        let mut undecided = vec![];
        for token in 0..market.tokens {
            let (values, nodes) = choices.of(token);
            assignment.slots.extend(&nodes[..k]);
            if values[k - 1] > values[k] {
                nodes[..k].iter().for_each(|j| assignment.members[*j as usize].push(token as u32));
            } else {
                undecided.push(token);
            }
        }
        for token in undecided {
            assignment.decide(market, prices, token, choices.of(token));
        }
        assignment.place_idle(market, prices);
        assignment
    }

    /// Chooses between nodes of equal value.
    fn decide<T: Scalar>(
        &mut self,
        market: &Market<'_, T>,
        prices: &[f64],
        token: usize,
        (values, nodes): (&[f64], &[u32]),
    ) {
        let k = self.top_k;
        let last = values[k - 1];
        let mut chosen: Vec<u32> =
            nodes[..k].iter().zip(values).filter(|(_, v)| **v > last).map(|(j, _)| *j).collect();
        let has_room = |j: &usize| self.members[*j].len() < market.capacities[*j];
        let is_tied = |j: &usize| market.score(token, *j) - prices[*j] == last;
        let (with_room, without): (Vec<usize>, Vec<usize>) =
            (0..market.experts).filter(is_tied).partition(has_room);
        let may_be_empty = prices.get(market.experts).is_some_and(|price| last == -price);
        let others = if may_be_empty { vec![market.experts; k] } else { without };
        let tied = with_room.into_iter().chain(others).map(|j| j as u32);
        chosen.extend(tied.take(k - chosen.len()));
        chosen.iter().for_each(|j| self.members[*j as usize].push(token as u32));
        self.slots[token * k..(token + 1) * k].copy_from_slice(&chosen);
    }

    /// Idle tokens go to the cheapest experts: where there is room, as far as there is.
    fn place_idle<T: Scalar>(&mut self, market: &Market<'_, T>, prices: &[f64]) {
        let lowest = prices.iter().copied().fold(f64::INFINITY, f64::min);
        let mut left = market.idle;
        let cheapest: Vec<usize> = (0..prices.len()).filter(|j| prices[*j] == lowest).collect();
        for j in &cheapest {
            self.idle[*j] = left.min(market.capacities[*j].saturating_sub(self.members[*j].len()));
            left -= self.idle[*j];
        }
        self.idle[cheapest[0]] += left;
    }

    /// All the tokens of a node, idle ones too.
    pub fn load(&self, node: usize) -> usize {
        self.members[node].len() + self.idle[node]
    }

    pub fn slots(&self, token: usize) -> &[u32] {
        &self.slots[token * self.top_k..(token + 1) * self.top_k]
    }

    pub fn is_at(&self, token: usize, node: usize) -> bool {
        self.slots(token).contains(&(node as u32))
    }

    /// Moves a token that is at `from`.
    pub fn relocate(&mut self, token: usize, from: usize, to: usize) {
        let slots = &mut self.slots[token * self.top_k..(token + 1) * self.top_k];
        if let Some(slot) = slots.iter_mut().find(|slot| **slot == from as u32) {
            *slot = to as u32;
        }
        let members = &mut self.members[from];
        if let Some(at) = members.iter().position(|member| *member == token as u32) {
            members.swap_remove(at);
        }
        self.members[to].push(token as u32);
    }
}

//! For each pair of nodes, the tokens that lose least by a move from one to the other.
//!
//! A list holds the tokens that lose least, in order, and where it ends: at first the best alone, as
//! few pairs ever need another. A token that has left is dropped when it comes to the front. When a
//! list runs out it is made anew from the tokens of its node, each time a longer one. So a move costs
//! little, and few lists are long.

use sparrot_foundation::Scalar;

use super::assignment::Assignment;
use super::market::Market;

/// Tokens in a list that has run out once. One that has grown to twice its length is cut to it.
const KEPT: usize = 16;

/// How much longer a list is each time it runs out.
const GROWTH: usize = 4;

/// What a token loses by a move, and the token.
type Offer = (f64, u32);

fn is_before(x: &Offer, y: &Offer) -> bool {
    x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)).is_lt()
}

#[derive(Clone, Default)]
struct List {
    /// The best last.
    offers: Vec<Offer>,
    /// No offer before this one is missing; none at all if there is none.
    end: Option<Offer>,
    /// Its length when it is made anew.
    kept: usize,
}

impl List {
    fn insert(&mut self, offer: Offer) {
        if self.end.is_some_and(|end| !is_before(&offer, &end)) {
            return;
        }
        let at = self.offers.partition_point(|other| is_before(&offer, other));
        self.offers.insert(at, offer);
        if self.offers.len() == 2 * self.kept {
            self.end = self.offers.drain(..self.kept).next_back();
        }
    }
}

pub(super) struct Pairs {
    nodes: usize,
    lists: Vec<List>,
    /// What the first token of each list loses; infinite if there is none.
    losses: Vec<f64>,
    /// Whether the lists from a node have been made.
    is_made: Vec<bool>,
    /// Room to work in.
    offers: Vec<Offer>,
}

impl Pairs {
    pub fn new(nodes: usize) -> Pairs {
        Pairs {
            nodes,
            lists: vec![List { kept: KEPT, ..List::default() }; nodes * nodes],
            losses: vec![f64::INFINITY; nodes * nodes],
            is_made: vec![false; nodes],
            offers: vec![],
        }
    }

    /// The least losses of moves from a node to each of the others.
    pub fn losses_from<T: Scalar>(
        &mut self,
        market: &Market<'_, T>,
        assignment: &Assignment,
        from: usize,
    ) -> &[f64] {
        if !self.is_made[from] {
            self.is_made[from] = true;
            self.start(market, assignment, from);
        }
        &self.losses[from * self.nodes..(from + 1) * self.nodes]
    }

    /// What it loses.
    pub fn loss(&self, from: usize, to: usize) -> f64 {
        self.losses[from * self.nodes + to]
    }

    /// The token that loses least by a move.
    pub fn first(&self, from: usize, to: usize) -> Option<usize> {
        self.lists[from * self.nodes + to].offers.last().map(|offer| offer.1 as usize)
    }

    /// Takes note of a move that has been made.
    pub fn follow<T: Scalar>(
        &mut self,
        market: &Market<'_, T>,
        assignment: &Assignment,
        (token, from, to): (usize, usize, usize),
    ) {
        for node in (0..self.nodes).filter(|node| *node != from) {
            self.withdraw(market, assignment, token, (from, node));
        }
        for node in 0..self.nodes {
            if node != to && may_move(market, assignment, token, node) {
                self.offer(market, token, (to, node));
            }
        }
        // From elsewhere the token could go to where it came from, and no more to where it is.
        for other in assignment.slots(token) {
            let other = *other as usize;
            if other != to && other != from {
                self.withdraw(market, assignment, token, (other, to));
                self.offer(market, token, (other, from));
            }
        }
    }

    fn offer<T: Scalar>(&mut self, market: &Market<'_, T>, token: usize, pair: (usize, usize)) {
        let (from, to) = pair;
        if self.is_made[from] {
            let loss = market.score(token, from) - market.score(token, to);
            let list = &mut self.lists[from * self.nodes + to];
            list.insert((loss, token as u32));
            let first = list.offers.last().map_or(f64::INFINITY, |offer| offer.0);
            self.losses[from * self.nodes + to] = first;
        }
    }

    fn withdraw<T: Scalar>(
        &mut self,
        market: &Market<'_, T>,
        assignment: &Assignment,
        token: usize,
        (from, to): (usize, usize),
    ) {
        if self.is_made[from] && self.first(from, to) == Some(token) {
            self.refresh(market, assignment, from, to);
        }
    }

    /// Sees to it that the first of a list is a token that can make the move.
    fn refresh<T: Scalar>(
        &mut self,
        market: &Market<'_, T>,
        assignment: &Assignment,
        from: usize,
        to: usize,
    ) {
        let pair = from * self.nodes + to;
        loop {
            let list = &mut self.lists[pair];
            while let Some((loss, token)) = list.offers.last() {
                let token = *token as usize;
                if assignment.is_at(token, from) && may_move(market, assignment, token, to) {
                    self.losses[pair] = *loss;
                    return;
                }
                list.offers.pop();
            }
            if list.end.is_none() {
                self.losses[pair] = f64::INFINITY;
                return;
            }
            self.make(market, assignment, from, to);
        }
    }

    /// Puts the best offer on each of the lists from a node.
    fn start<T: Scalar>(&mut self, market: &Market<'_, T>, assignment: &Assignment, from: usize) {
        let offers = &mut self.offers;
        offers.clear();
        offers.resize(self.nodes, (f64::INFINITY, u32::MAX));
        for token in &assignment.members[from] {
            let i = *token as usize;
            let own = market.score(i, from);
            for (to, best) in offers.iter_mut().enumerate() {
                let loss = own - market.score(i, to);
                let is_better = loss < best.0 || loss == best.0 && *token < best.1;
                if is_better && may_move(market, assignment, i, to) {
                    *best = (loss, *token);
                }
            }
        }
        for (to, best) in offers.iter().enumerate().filter(|(_, best)| best.0 < f64::INFINITY) {
            let pair = from * self.nodes + to;
            self.lists[pair].offers.push(*best);
            self.lists[pair].end = Some(*best);
            self.losses[pair] = best.0;
        }
    }

    /// Makes a list anew.
    fn make<T: Scalar>(
        &mut self,
        market: &Market<'_, T>,
        assignment: &Assignment,
        from: usize,
        to: usize,
    ) {
        let offers = &mut self.offers;
        offers.clear();
        offers.extend(assignment.members[from].iter().filter_map(|token| {
            let i = *token as usize;
            let loss = || market.score(i, from) - market.score(i, to);
            may_move(market, assignment, i, to).then(|| (loss(), *token))
        }));
        let ascending = |x: &Offer, y: &Offer| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1));
        let list = &mut self.lists[from * self.nodes + to];
        list.end = None;
        if offers.len() > list.kept {
            list.end = Some(*offers.select_nth_unstable_by(list.kept, ascending).1);
            offers.truncate(list.kept);
            list.kept *= GROWTH;
        }
        offers.sort_unstable_by(|x, y| ascending(y, x));
        list.offers.clear();
        list.offers.extend_from_slice(offers);
    }
}

/// Whether a token may have one more slot at a node.
fn may_move<T: Scalar>(
    market: &Market<'_, T>,
    assignment: &Assignment,
    token: usize,
    to: usize,
) -> bool {
    to == market.experts || !assignment.is_at(token, to)
}

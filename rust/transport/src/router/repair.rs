//! Shortest augmenting paths between nodes, until loads are what they must be.
//!
//! An edge from node `j` to node `l` is the move of the token at `j` that loses least by it, and its
//! length what the token loses at the current prices, `(s_ij - p_j) - (s_il - p_l)`. All tokens being
//! where they choose to be, no length is negative. Moves along a shortest path from a node with too
//! many tokens to one with too few lower the total the least. Raising the price of each node by how
//! much nearer it is than the path's end makes the edges of the path 0 long and leaves no other
//! negative (Dijkstra's potentials): afterwards, too, all tokens are where they choose to be.

use sparrot_foundation::{Error, Scalar, Stop};

use super::assignment::Assignment;
use super::market::Market;
use super::pairs::Pairs;

/// Moves tokens and raises prices until every load is the node's capacity.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn repair<T: Scalar>(
    market: &Market<'_, T>,
    prices: &mut [f64],
    assignment: &mut Assignment,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    let nodes = market.nodes();
    let mut pairs = Pairs::new(nodes);
    let mut search = Search::new(nodes);
    loop {
        stop.poll()?;
        let has_too_many = |j: &usize| assignment.load(*j) > market.capacities[*j];
        let sources: Vec<usize> = (0..nodes).filter(has_too_many).collect();
        if sources.is_empty() {
            return Ok(());
        }
        let end = search.run(market, prices, assignment, &mut pairs, &sources);
        for (j, price) in prices.iter_mut().enumerate().filter(|(j, _)| search.is_done[*j]) {
            *price += search.distances[end] - search.distances[j];
        }
        let path = search.path(end);
        // Before any is made: moves change which token is the first of its pair.
        let moves: Vec<Move> =
            path.windows(2).map(|edge| Move::along(edge, assignment, &pairs)).collect();
        let is_idle = |step: &Move| step.token.is_none();
        let count = if moves.iter().all(is_idle) {
            let too_many = assignment.load(path[0]) - market.capacities[path[0]];
            let too_few = market.capacities[end] - assignment.load(end);
            let idle = moves.iter().map(|step| assignment.idle[step.from]);
            idle.fold(too_many.min(too_few), usize::min)
        } else {
            1
        };
        for Move { token, from, to } in moves {
            if let Some(token) = token {
                assignment.relocate(token, from, to);
                pairs.follow(market, assignment, (token, from, to));
            } else {
                assignment.idle[from] -= count;
                assignment.idle[to] += count;
            }
        }
    }
}

/// A move of a token, or of an idle one.
struct Move {
    token: Option<usize>,
    from: usize,
    to: usize,
}

impl Move {
    /// The move that loses least; an idle token loses nothing by any.
    fn along(edge: &[usize], assignment: &Assignment, pairs: &Pairs) -> Move {
        let (from, to) = (edge[0], edge[1]);
        let is_idle = assignment.idle[from] > 0 && pairs.loss(from, to) >= 0.0;
        let token = if is_idle { None } else { pairs.first(from, to) };
        Move { token, from, to }
    }
}

/// Dijkstra's algorithm, from several nodes to the nearest with too few tokens.
struct Search {
    distances: Vec<f64>,
    previous: Vec<usize>,
    is_done: Vec<bool>,
}

impl Search {
    fn new(nodes: usize) -> Search {
        Search {
            distances: vec![0.0; nodes],
            previous: vec![0; nodes],
            is_done: vec![false; nodes],
        }
    }

    /// The node that the shortest path leads to. There is one: loads that are as they must be exist,
    /// and moves towards them lead from where there are too many tokens to where there are too few.
    fn run<T: Scalar>(
        &mut self,
        market: &Market<'_, T>,
        prices: &[f64],
        assignment: &Assignment,
        pairs: &mut Pairs,
        sources: &[usize],
    ) -> usize {
        self.distances.fill(f64::INFINITY);
        self.is_done.fill(false);
        for j in sources {
            self.distances[*j] = 0.0;
            self.previous[*j] = *j;
        }
        loop {
            let mut nearest = None;
            let mut distance = f64::INFINITY;
            for (j, other) in self.distances.iter().enumerate() {
                if *other < distance && !self.is_done[j] {
                    (nearest, distance) = (Some(j), *other);
                }
            }
            let Some(from) = nearest else {
                unreachable!("loads are wrong and no moves can set them right")
            };
            if assignment.load(from) < market.capacities[from] {
                return from;
            }
            self.is_done[from] = true;
            let at_most = if assignment.idle[from] > 0 { 0.0 } else { f64::INFINITY };
            let losses = pairs.losses_from(market, assignment, from);
            for (to, loss) in losses.iter().enumerate() {
                // What is negative is so by rounding.
                let length = (loss.min(at_most) - prices[from] + prices[to]).max(0.0);
                if distance + length < self.distances[to] && !self.is_done[to] {
                    self.distances[to] = distance + length;
                    self.previous[to] = from;
                }
            }
        }
    }

    fn path(&self, end: usize) -> Vec<usize> {
        let mut path = vec![end];
        let mut node = end;
        while self.previous[node] != node {
            node = self.previous[node];
            path.push(node);
        }
        path.reverse();
        path
    }
}

//! Prices by coordinate descent on the bound, and the choices at them.
//!
//! As a function of the price of one expert the bound is convex and piecewise linear: its slope is the
//! capacity less the number of tokens that choose the expert. A token does so up to its *margin*, what
//! the expert scores above the choice that would take its place. So the bound is least between the
//! `c`-th and the next of the margins in descending order, which a selection finds in linear time. The
//! middle of the two is taken, at which no choice is a tie.
//!
//! The expert whose load is the furthest from its capacity goes first. A step reads the choices of
//! every token, and makes those anew that have the expert among them. So most steps are made on some
//! of the tokens, with as large a share of the places: their prices are nearly those of all.

use sparrot_foundation::{Error, Scalar, Stop};

use super::market::Market;

/// A step is worth its time if it sets at least this many tokens right, times `tokens / experts^2`:
/// what it takes, `O(tokens)`, against what the paths of those tokens would, `O(experts^2)` each.
const WORTH: usize = 8;

/// Steps per expert, at most. Descent may come to a halt where loads are wrong, as the bound is not
/// smooth; with ties it may do so slowly.
const STEPS: usize = 4;

/// One token in so many is kept for a coarser problem...
const THINNING: usize = 4;

/// ...as long as it has this many for each expert; prices of fewer say little.
const TOKENS_PER_EXPERT: usize = 8;

/// Tokens between two looks at the stop token.
const TOKENS_AT_A_TIME: usize = 4096;

/// What each token chooses, and what would be next.
pub(super) struct Choices {
    /// `top_k + 1`.
    pub width: usize,
    /// The values `s - p`, highest first, `width` for each token.
    pub values: Vec<f64>,
    /// Where.
    pub nodes: Vec<u32>,
    /// How many tokens choose each node. The last one is not a node where no slot may be left empty.
    pub loads: Vec<usize>,
}

impl Choices {
    fn new<T: Scalar>(
        market: &Market<'_, T>,
        prices: &[f64],
        stop: &Stop<'_>,
    ) -> Result<Choices, Error> {
        let width = market.top_k + 1;
        let mut choices = Choices {
            width,
            values: vec![0.0; market.tokens * width],
            nodes: vec![0; market.tokens * width],
            loads: vec![0; market.experts + 1],
        };
        for token in 0..market.tokens {
            if token % TOKENS_AT_A_TIME == 0 {
                stop.poll()?;
            }
            choices.choose(market, prices, token);
        }
        Ok(choices)
    }

    /// Makes the choices of a token that is counted nowhere.
    fn choose<T: Scalar>(&mut self, market: &Market<'_, T>, prices: &[f64], token: usize) {
        let range = token * self.width..(token + 1) * self.width;
        let nodes = &mut self.nodes[range.clone()];
        market.choose(token, prices, &mut self.values[range], nodes);
        nodes[..market.top_k].iter().for_each(|node| self.loads[*node as usize] += 1);
    }

    /// The values and nodes of a token.
    pub fn of(&self, token: usize) -> (&[f64], &[u32]) {
        let range = token * self.width..(token + 1) * self.width;
        (&self.values[range.clone()], &self.nodes[range])
    }

    /// Makes the choices anew that a new price of an expert may change.
    fn reprice<T: Scalar>(
        &mut self,
        market: &Market<'_, T>,
        prices: &[f64],
        expert: usize,
        scores: &[f64],
    ) {
        for (token, score) in scores.iter().enumerate() {
            let (values, nodes) = self.of(token);
            let comes_in = score - prices[expert] > values[self.width - 1];
            if comes_in || nodes.contains(&(expert as u32)) {
                for at in token * self.width..(token + 1) * self.width - 1 {
                    self.loads[self.nodes[at] as usize] -= 1;
                }
                self.choose(market, prices, token);
            }
        }
    }
}

/// Prices at which loads are roughly right, and the choices at them.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn descend<T: Scalar>(
    market: &Market<'_, T>,
    stop: &Stop<'_>,
) -> Result<(Vec<f64>, Choices), Error> {
    let mut prices = market.first_prices();
    if market.tokens >= THINNING * TOKENS_PER_EXPERT * market.experts {
        let scores: Vec<f64> = (0..market.tokens)
            .step_by(THINNING)
            .flat_map(|token| market.row(token).iter().map(|score| score.to_f64()))
            .collect();
        // An expert keeps some place, if it has any.
        let capacities = market.capacities[..market.experts].iter();
        let fewer: Vec<usize> = capacities.map(|c| c.div_ceil(THINNING)).collect();
        let (coarse, _) = descend(&Market::new(&scores, &fewer, market.top_k), stop)?;
        for (price, coarse) in prices[..market.experts].iter_mut().zip(coarse) {
            *price = coarse.max(market.floor());
        }
    }
    let mut choices = Choices::new(market, &prices, stop)?;
    let worth = WORTH * market.tokens / (market.experts * market.experts);
    let (mut scores, mut margins) = (vec![0.0; market.tokens], vec![]);
    // Where a step has found the price to be the best already.
    let mut at_rest = vec![false; market.experts];
    for _ in 0..STEPS * market.experts {
        stop.poll()?;
        let off = |j: &usize| {
            let (load, capacity) = (choices.loads[*j], market.capacities[*j]);
            let may_fall = prices[*j] > market.floor();
            if load > capacity || may_fall { load.abs_diff(capacity) } else { 0 }
        };
        // The first of the furthest off.
        let open = (0..market.experts).filter(|j| market.capacities[*j] > 0 && !at_rest[*j]);
        let Some(j) = open.rev().max_by_key(off).filter(|j| off(j) > worth) else { break };
        for (token, score) in scores.iter_mut().enumerate() {
            *score = market.score(token, j);
        }
        let price = best_price(market, &choices, (j, prices[j]), &scores, &mut margins);
        if price == prices[j] {
            at_rest[j] = true;
        } else {
            at_rest.fill(false);
            prices[j] = price;
            choices.reprice(market, &prices, j, &scores);
        }
    }
    Ok((prices, choices))
}

/// The price of an expert at which the bound is least, from its scores; `margins` is room to work in.
fn best_price<T: Scalar>(
    market: &Market<'_, T>,
    choices: &Choices,
    (expert, price): (usize, f64),
    scores: &[f64],
    margins: &mut Vec<f64>,
) -> f64 {
    let k = market.top_k;
    margins.clear();
    margins.extend(scores.iter().enumerate().map(|(token, score)| {
        let (values, nodes) = choices.of(token);
        let is_chosen = nodes[..k].contains(&(expert as u32));
        score - values[if is_chosen { k } else { k - 1 }]
    }));
    let capacity = market.capacities[expert];
    let (_, upper, rest) = margins.select_nth_unstable_by(capacity - 1, |x, y| y.total_cmp(x));
    let lower = rest.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if lower > f64::NEG_INFINITY.max(market.floor()) {
        lower + (*upper - lower) / 2.0
    } else if market.idle > 0 {
        market.floor()
    } else if upper.is_finite() {
        *upper // every token is to choose the expert
    } else {
        price // every token does, at any price
    }
}

//! Total, bound and gap, from what is returned.
//!
//! The bound less the total is a sum of terms none of which is negative: for each expert the price of
//! the places it has left, and for each token how much its best choices at the prices are above those
//! it has. So the gap is summed from these, and not found as the difference of two large numbers; the
//! bound is the total and the gap.

use sparrot_foundation::{Error, Scalar, Stop};

use super::Routed;
use super::assignment::Assignment;
use super::market::Market;

/// Tokens between two looks at the stop token.
const TOKENS_AT_A_TIME: usize = 4096;

/// Orders the experts of each token and measures what they are worth.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn certify<T: Scalar>(
    market: &Market<'_, T>,
    prices: &[f64],
    assignment: &Assignment,
    stop: &Stop<'_>,
) -> Result<Routed, Error> {
    let k = market.top_k;
    let mut experts = Vec::with_capacity(market.tokens * k);
    let (mut value, mut gap) = (0.0, 0.0);
    let (mut best, mut nodes) = (vec![0.0; k], vec![0; k]);
    let mut own = vec![0.0; k];
    let mut loads = vec![0; market.experts];
    for token in 0..market.tokens {
        if token % TOKENS_AT_A_TIME == 0 {
            stop.poll()?;
        }
        let score = |node: &u32| market.score(token, *node as usize);
        nodes.copy_from_slice(assignment.slots(token));
        // Empty slots have the last number and go last.
        let is_empty = |node: &u32| *node as usize == market.experts;
        nodes.sort_unstable_by(|x, y| {
            let by_score = score(y).total_cmp(&score(x));
            is_empty(x).cmp(&is_empty(y)).then(by_score).then(x.cmp(y))
        });
        for node in &nodes {
            if is_empty(node) {
                experts.push(-1);
            } else {
                experts.push(i64::from(*node));
                loads[*node as usize] += 1;
                value += score(node);
            }
        }
        for (own, node) in own.iter_mut().zip(&nodes) {
            *own = score(node) - prices[*node as usize];
        }
        own.sort_unstable_by(|x, y| y.total_cmp(x));
        market.choose(token, prices, &mut best, &mut nodes);
        gap += best.iter().zip(&own).map(|(best, own)| best - own).sum::<f64>();
    }
    for ((load, capacity), price) in loads.iter().zip(&market.capacities).zip(prices) {
        gap += (capacity - load) as f64 * price;
    }
    let prices = prices[..market.experts].to_vec();
    Ok(Routed { experts, prices, value, bound: value + gap, gap })
}

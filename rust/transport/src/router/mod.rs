//! Routing of tokens to experts with capacities: the router of a sparse mixture of experts.
//!
//! **Problem.** Given scores `s` (n tokens x E experts), `k` experts for each token and capacities
//! `c` (E integers),
//!
//! ```text
//! maximise  sum_ij s_ij x_ij   over x in {0, 1}^(n x E)  with
//!           sum_j x_ij <= k,  sum_i x_ij <= c_j,  and as many ones as those allow.
//! ```
//!
//! **Source.** Liu, Puigcerver, Blondel: *Sparsity-Constrained Optimal Transport*, ICLR 2023, arXiv
//! 2209.15466, section 6 (V-MoE). There the plan is relaxed, regularised, and found by gradient steps
//! on the dual that stop short of its optimum, so that capacities hold only roughly. Here it is exact.
//!
//! **Filling first.** No expert takes a token twice, so `c_j` above `n` is as good as `n`; and any
//! token may go to any expert, so the largest number of ones is `min(k n, sum_j c_j)` (the cut that
//! bounds it is concave in the number of tokens on one side of it, and least at an end). So there are
//! two cases, and neither needs a number that stands for "worse than any score":
//!
//! * **room for all**: every token has exactly `k` experts. Places left over are held by *idle*
//!   tokens, which score 0 everywhere.
//! * **too few places**: every expert is full. Slots left over are held by one more expert, *empty*,
//!   at which every token scores 0 and may be more than once.
//!
//! Either way all loads are given exactly, and with prices `p` of places, that of idle tokens' experts
//! or of *empty* being 0, weak duality bounds the total from above:
//!
//! ```text
//! sum_ij s_ij x_ij <= sum_j c_j p_j + sum_i (sum of the k largest of s_ij - p_j, and of 0 for empty).
//! ```
//!
//! With room for all, prices are at least 0. With too few places they may have either sign: the price
//! of an expert is what one more place there would add to the total.
//!
//! | file | what it does |
//! |---|---|
//! | `market` | the problem with its empty slots or idle tokens; what a token chooses at given prices |
//! | `prices` | prices by coordinate descent on the bound, and the choices at them |
//! | `assignment` | who is where; ties between choices go to where there is room |
//! | `pairs` | for each pair of experts, the tokens that lose least by a move from one to the other |
//! | `repair` | shortest augmenting paths between experts, until loads are what they must be |
//! | `certificate` | total, bound and gap, from what is returned |
//!
//! **What we changed.** The paper's dual in all potentials is reduced to one price per expert, where
//! coordinate descent is a selection. It begins with some of the tokens and stops early: its steps are
//! worth their time only while they set many tokens right. Augmenting paths in the graph of the experts, with the prices for
//! potentials, make the rest exact: choices stay the best at the current prices, so when the loads are
//! right the bound is attained, up to rounding.
//!
//! **Cost.** `O(n E)` for the first choices, `O(n k)` for a step of descent, `O(E^2)` for a path; of
//! memory `O(n (k + E) + E^2)`. A problem is solved by one thread, so its bits do not depend on their number.
//! Ties go to the lower token, then to the lower expert.

mod assignment;
mod certificate;
mod market;
mod pairs;
mod prices;
mod repair;
#[cfg(test)]
mod tests;

use std::thread;

use sparrot_foundation::{Error, Scalar, Stop, Team};

use crate::batch::Outer;
use assignment::Assignment;
use market::Market;

/// Problems of one shape and with the same capacities, one after the other in memory.
#[derive(Clone, Copy)]
pub struct Routing<'a, T> {
    /// The finite scores, tokens by rows.
    pub scores: &'a [T],
    /// Tokens of each problem, at least 1.
    pub tokens: usize,
    /// Tokens that each expert takes at most; there is at least one expert.
    pub capacities: &'a [usize],
    /// Experts of each token at most, from 1 to their number.
    pub top_k: usize,
}

/// The experts of a problem's tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// `top_k` for each token, the highest score first; -1 for a slot left empty.
    pub experts: Vec<i64>,
    /// The price of a place at each expert.
    pub prices: Vec<f64>,
    /// The total score.
    pub value: f64,
    /// What no routing with as many slots filled is above.
    pub bound: f64,
    /// `bound - value`, not computed as the difference of the two.
    pub gap: f64,
}

/// Problems that a thread takes at a time, by the entries of their matrices.
const ENTRIES_AT_A_TIME: usize = 1 << 12;

/// What an entry costs, roughly, from first choice to certificate.
const NANOSECONDS: usize = 20;

impl<T: Scalar> Routing<'_, T> {
    /// Routes each problem, one thread for each; the results in order.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::InvalidInput`] for more than 2^32 - 1 tokens.
    pub fn route(&self, team: &Team, stop: &Stop<'_>) -> Result<Vec<Routed>, Error> {
        if u32::try_from(self.tokens).is_err() {
            let message = format!("{} tokens: needs fewer than 2^32", self.tokens);
            return Err(Error::invalid("logits", message));
        }
        let caller = thread::current().id();
        let entries = self.tokens * self.capacities.len();
        let at_a_time = (ENTRIES_AT_A_TIME / entries).max(1);
        let items: Vec<&[T]> = self.scores.chunks(at_a_time * entries).collect();
        let nanoseconds = NANOSECONDS.saturating_mul(self.scores.len());
        let results = team.for_work(nanoseconds).run(stop, items, |problems| {
            let observer = Outer { stop, caller };
            let own_stop = Stop::new(&observer, None);
            let one = |scores| route_one(scores, self.capacities, self.top_k, &own_stop);
            problems.chunks(entries).map(one).collect::<Result<Vec<_>, _>>()
        })?;
        Ok(results.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

fn route_one<T: Scalar>(
    scores: &[T],
    capacities: &[usize],
    top_k: usize,
    stop: &Stop<'_>,
) -> Result<Routed, Error> {
    let market = Market::new(scores, capacities, top_k);
    let (mut prices, choices) = prices::descend(&market, stop)?;
    let mut assignment = Assignment::new(&market, &prices, &choices);
    repair::repair(&market, &mut prices, &mut assignment, stop)?;
    market.normalise(&mut prices);
    certificate::certify(&market, &prices, &assignment, stop)
}

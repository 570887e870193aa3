//! The proximal problem of one line, solved exactly.
//!
//! Given scores `v_i`, the mass `b`, and `sigma > 0`, with `w_i = v_i + beta`,
//!
//! ```text
//! maximise  v.t - gamma/2 |t|_k^2 - sigma/2 |t|^2   over t >= 0 with sum t = b.
//! ```
//!
//! As `|t|_k^2 = min { sum t_i^2 / mu_i : 0 <= mu_i <= 1, sum mu_i <= k }`, the solution has
//!
//! ```text
//! t_i = min( w_i / (gamma + sigma), (w_i - theta) / sigma )_+,
//! mu_i = clip( gamma/sigma (w_i / theta - 1), 0, 1 ),   sum mu_i = k  or  theta = 0:
//! ```
//!
//! the largest scores are *full*, with a whole place each, those of a *band* below share what places
//! are left, and what is not above `eta = theta - beta` gets nothing. For given sets `theta` and
//! `beta` solve two linear equations; the sets are found by repeating this from those of the last
//! call, which nearly always are right already, or by trying all.
//!
//! Cost: linear in the entries, once they are sorted; k times their square where all sets are tried.

/// A solution: of the entries, sorted downwards, the first `full` are full, `band` more in the band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// The potential of the line.
    pub beta: f64,
    /// Where the band begins, in units of scores plus `beta`.
    pub theta: f64,
    /// What a score must exceed to get anything.
    pub eta: f64,
    /// Entries with a place of their own.
    pub full: usize,
    /// Entries that share the other places.
    pub band: usize,
}

/// What all lines have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Of the k-support norm.
    pub gamma: f64,
    /// Of the proximal term.
    pub sigma: f64,
    /// Places.
    pub k: usize,
}

/// Sets that are tried one after the other before all are.
const TRIES: usize = 20;

impl Shares {
    /// The solution for scores `v` that do not increase; at least one.
    pub fn of(v: &[f64], b: f64, weights: &Weights, last: Option<&Shares>) -> Shares {
        let Weights { gamma, sigma, k } = *weights;
        let both = gamma + sigma;
        // Each of the k largest a place of its own.
        let (mut count, mut sum, mut beta) = (0, 0.0, f64::NAN);
        for x in v.iter().take(k) {
            let with = (both * b - (sum + x - v[0])) / (count + 1) as f64;
            if x - v[0] + with <= 0.0 {
                break;
            }
            (count, sum, beta) = (count + 1, sum + x - v[0], with);
        }
        let beta = beta - v[0];
        if count < k || v.len() == count || v[count] + beta <= 0.0 {
            return Shares { beta, theta: 0.0, eta: -beta, full: count, band: 0 };
        }
        let least = gamma / both * (v[k - 1] + beta);
        if v[k] + beta <= least {
            // The k-th is so far ahead of the next that neither shares.
            return Shares { beta, theta: least, eta: least - beta, full: k, band: 0 };
        }
        let system = System { v, b, weights };
        let (mut full, mut band) = match last {
            Some(last) if last.band > 0 => (last.full.min(k - 1), last.band),
            _ => (k - 1, 2),
        };
        for _ in 0..TRIES {
            band = band.min(v.len() - full).max(1);
            let shares = system.solved(full, band);
            let next = system.sets(&shares);
            if next == (full, band) {
                return shares;
            }
            (full, band) = next;
        }
        system.best()
    }

    /// What the entry at that position gets.
    pub fn mass(&self, position: usize, score: f64, weights: &Weights) -> f64 {
        if position < self.full {
            (score + self.beta) / (weights.gamma + weights.sigma)
        } else {
            ((score - self.eta) / weights.sigma).max(0.0)
        }
    }

    /// The conjugate at the scores: what is maximised, plus `beta b`, at its maximum.
    pub fn conjugate(&self, v: &[f64], weights: &Weights) -> f64 {
        let Weights { gamma, sigma, k } = *weights;
        let mut twice = (k as f64 - self.full as f64) * self.theta * self.theta / gamma;
        for v in &v[..self.full] {
            twice += (v + self.beta) * (v + self.beta) / (gamma + sigma);
        }
        for v in &v[self.full..self.full + self.band] {
            twice += (v - self.eta) * (v - self.eta) / sigma;
        }
        0.5 * twice
    }
}

struct System<'a> {
    v: &'a [f64],
    b: f64,
    weights: &'a Weights,
}

impl System<'_> {
    /// The solution if these were the sets; `full < k`, `band > 0`.
    fn solved(&self, full: usize, band: usize) -> Shares {
        let Weights { gamma, sigma, k } = *self.weights;
        let top = self.v[0];
        let sum = |v: &[f64]| v.iter().map(|v| v - top).sum::<f64>();
        let of_full = sum(&self.v[..full]) / (gamma + sigma);
        let of_band = sum(&self.v[full..full + band]);
        let ratio = gamma / sigma;
        let left = (k - full) as f64;
        // theta = pull (of_band + band beta), and the band's mass is left theta / gamma.
        let pull = ratio / (left + band as f64 * ratio);
        let slope = full as f64 / (gamma + sigma) + left / gamma * pull * band as f64;
        let beta = (self.b - of_full - left / gamma * pull * of_band) / slope;
        let theta = pull * (of_band + band as f64 * beta);
        let beta = beta - top;
        Shares { beta, theta, eta: theta - beta, full, band }
    }

    /// The sets that a solution implies.
    fn sets(&self, shares: &Shares) -> (usize, usize) {
        let whole = shares.theta * (1.0 + self.weights.sigma / self.weights.gamma) - shares.beta;
        let full = self.v.partition_point(|v| *v >= whole).min(self.weights.k - 1);
        let some = self.v.partition_point(|v| *v > shares.eta).max(full + 1);
        (full, some - full)
    }

    /// The solution whose sets are least wrong, of all sets.
    fn best(&self) -> Shares {
        let ratio = 1.0 + self.weights.sigma / self.weights.gamma;
        let wrong = |s: &Shares| {
            let whole = s.theta * ratio - s.beta;
            let end = s.full + s.band;
            let mut wrong = (s.eta - self.v[end - 1]).max(self.v[s.full] - whole);
            if s.full > 0 {
                wrong = wrong.max(whole - self.v[s.full - 1]);
            }
            if end < self.v.len() {
                wrong = wrong.max(self.v[end] - s.eta);
            }
            wrong
        };
        (0..self.weights.k.min(self.v.len()))
            .flat_map(|full| (1..=self.v.len() - full).map(move |band| (full, band)))
            .map(|(full, band)| self.solved(full, band))
            .min_by(|x, y| wrong(x).total_cmp(&wrong(y)))
            .unwrap_or_else(|| self.solved(0, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ksparse::norm;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_the_best_of_all_shares(
            mut v in prop::collection::vec(-2.0f64..2.0, 1..12),
            k in 1usize..8, b in 0.01f64..3.0, gamma in 0.01f64..5.0, sigma in 1e-4f64..2.0,
            toward in prop::collection::vec(0.0f64..1.0, 12),
        ) {
            v.sort_by(|x, y| y.total_cmp(x));
            let weights = Weights { gamma, sigma, k };
            let shares = Shares::of(&v, b, &weights, None);
            let t: Vec<f64> = v.iter().enumerate().map(|(p, v)| shares.mass(p, *v, &weights)).collect();
            prop_assert!(t.iter().all(|t| *t >= 0.0));
            prop_assert!((t.iter().sum::<f64>() - b).abs() <= 1e-10 * b.max(1.0));
            let objective = |t: &[f64]| {
                let linear: f64 = v.iter().zip(t).map(|(v, t)| v * t).sum();
                let squares: f64 = t.iter().map(|t| t * t).sum();
                linear - 0.5 * gamma * norm::squared(&mut t.to_vec(), k) - 0.5 * sigma * squares
            };
            let best = objective(&t);
            let dual = shares.conjugate(&v, &weights) - shares.beta * b;
            prop_assert!((best - dual).abs() <= 1e-9 * (1.0 + best.abs()), "{best} {dual}");
            // It is concave: what is no worse than all points near by is the best.
            let total: f64 = toward[..v.len()].iter().sum();
            for step in [1e-1, 1e-3] {
                let other: Vec<f64> = t.iter().zip(&toward)
                    .map(|(t, u)| t + step * (b * u / total - t)).collect();
                prop_assert!(objective(&other) <= best + 1e-9 * (1.0 + best.abs()));
            }
            prop_assert_eq!(Shares::of(&v, b, &weights, Some(&shares)), shares);
            if shares.band > 0 {
                let all = System { v: &v, b, weights: &weights }.best();
                prop_assert!((all.beta - shares.beta).abs() <= 1e-9 * (1.0 + shares.beta.abs()));
            }
        }
    }
}

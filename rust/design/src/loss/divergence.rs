//! How far a mean is from another: `m log(m / mu) - m + mu`, the divergence of Kullback and Leibler,
//! which is what the inequality of Fenchel and Young misses by for losses of exponentials.
//!
//! Near the solution it is `(m - mu)^2 / (2 mu)`, far below the rounding of its terms: there it is
//! computed as `mu g((m - mu) / mu)`, of the series of `g(t) = (1 + t) log(1 + t) - t`.

/// A number, and by how much it may be off.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The number.
    pub at: f64,
    /// How far the true one is from it, at most.
    pub off: f64,
}

/// Of mu the divergence is told to a few digits below this share of it.
const NEAR: f64 = 0.1;
/// What rounding adds to it beyond, as a share: the terms are up to 200 times their sum.
const ROUNDING: f64 = 1024.0 * f64::EPSILON;

/// The divergence at most, for all mu not below this one and all m, not negative, whose difference is
/// about this.
pub fn divergence(mu: f64, difference: About) -> f64 {
    let mu = mu.max(f64::MIN_POSITIVE);
    let (low, high) = (difference.at - difference.off, difference.at + difference.off);
    let t = low.abs().max(high.abs()) / mu;
    if t <= NEAR {
        // The series, whose rest is below what is added to its third term.
        return 0.5 * mu * t * t * (1.0 + t / 3.0 + 0.2 * t * t);
    }
    if !(low.is_finite() && high.is_finite()) {
        return f64::INFINITY;
    }
    let of = |difference: f64| {
        let m = mu + difference;
        // Otherwise m is 0 at least, and mu then what the difference says.
        let sum = if m > 0.0 { m * (m / mu).ln() - difference } else { -difference };
        sum * (1.0 + ROUNDING)
    };
    of(low).max(of(high))
}

/// `e^t - 1` at most, for t of 0 to 1; infinite beyond, where nothing is known of what it is for.
pub fn growth(t: f64) -> f64 {
    if t <= 1.0 { t * (1.0 + t) } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::super::entropy;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_bound_and_no_more_than_needed(
            mu in prop_oneof![1e-9..1.0f64, 1.0..50.0f64],
            t in prop_oneof![-1.0..3.0f64, -1e-3..1e-3f64],
            above in 0.0..0.2f64,
        ) {
            let exact = |mu: f64, m: f64| entropy(m) - m * mu.ln() - m + mu;
            let found = divergence(mu, About { at: mu * t, off: 0.0 });
            let rounding = 1e-14 * mu * (1.0 + mu.ln().abs());
            let is = exact(mu, mu * (1.0 + t));
            prop_assert!(found >= is - rounding);
            // Which side it is on is not asked where it is small.
            prop_assert!(found <= 1.08 * is + rounding);
            // Of a larger mu with the same difference it is less.
            let larger = mu * (1.0 + above);
            prop_assert!(found >= exact(larger, larger + mu * t) - 2.0 * rounding);
        }

        #[test]
        fn all_that_is_near_is_bounded(
            mu in 1e-3..1.0f64,
            at in -1.0..2.0f64,
            off in 0.0..0.5f64,
            inside in -1.0..1.0f64,
        ) {
            let bound = divergence(mu, About { at: mu * at, off: mu * off });
            let other = About { at: mu * (at + inside * off).max(-1.0), off: 0.0 };
            let found = divergence(mu, other);
            prop_assert!(bound >= found / 1.08 - 1e-15);
        }
    }

    #[test]
    fn nothing_is_far_from_nothing() {
        assert_eq!(divergence(0.0, About { at: 0.0, off: 0.0 }), 0.0);
        assert_eq!(divergence(0.5, About { at: 0.0, off: f64::INFINITY }), f64::INFINITY);
        assert!(divergence(0.0, About { at: 1.0, off: 0.0 }).is_finite());
        assert_eq!(divergence(0.3, About { at: -0.3, off: 0.0 }), 0.3 * (1.0 + ROUNDING));
        assert_eq!(growth(2.0), f64::INFINITY);
    }
}

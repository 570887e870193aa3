//! The square of the k-support norm: the largest convex function below `|t|^2` on the vectors of at
//! most k entries.
//!
//! For `t >= 0`, sorted downwards, it is (Argyriou, Foygel, Srebro 2012, Proposition 2.1)
//!
//! ```text
//! sum of t_i^2 for i < q  +  (sum of t_i for i >= q)^2 / (k - q)
//! ```
//!
//! for the smallest q in 0..k at which the largest entry left is no more than its share of the k - q
//! places left: the q largest have a place of their own, the others share those that are left.

/// The square of the k-support norm of the entries `t >= 0`, which it sorts.
pub fn squared(t: &mut [f64], k: usize) -> f64 {
    if t.len() <= k {
        return t.iter().map(|t| t * t).sum();
    }
    t.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut rest: f64 = t.iter().sum();
    let mut whole = 0.0;
    for (q, t) in t.iter().enumerate().take(k - 1) {
        // An entry stays whole while it exceeds its share of the places left.
        if *t * (k - q) as f64 <= rest {
            return whole + rest * rest / (k - q) as f64;
        }
        whole += t * t;
        rest -= t;
    }
    whole + rest * rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `max s.t - 1/2 sum of the k largest s_i^2`, the definition as a biconjugate, by ascent over
    /// `s >= 0`: any s gives a lower bound.
    fn lower_bound(t: &[f64], s: &[f64], k: usize) -> f64 {
        let mut squares: Vec<f64> = s.iter().map(|s| s * s).collect();
        squares.sort_by(|a, b| b.total_cmp(a));
        let inner: f64 = s.iter().zip(t).map(|(s, t)| s * t).sum();
        2.0 * inner - squares.iter().take(k).sum::<f64>()
    }

    #[test]
    fn knows_its_extremes() {
        let t = [3.0, 1.0, 2.0];
        assert_eq!(squared(&mut t.clone(), 1), 36.0);
        assert_eq!(squared(&mut t.clone(), 3), 14.0);
        assert_eq!(squared(&mut t.clone(), 2), 9.0 + 9.0);
        assert_eq!(squared(&mut [1.0, 1.0, 1.0], 2), 4.5);
        assert_eq!(squared(&mut [], 2), 0.0);
    }

    proptest! {
        #[test]
        fn is_the_biconjugate(t in prop::collection::vec(0.0f64..3.0, 1..9), k in 1usize..9) {
            let norm = squared(&mut t.clone(), k);
            // The maximiser: whole entries keep their own value, the others have the mean.
            let mut sorted = t.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let best = (0..k.min(t.len()))
                .map(|q| {
                    let rest: f64 = sorted[q..].iter().sum();
                    let mean = rest / (k - q) as f64;
                    let s: Vec<f64> = t.iter().map(|t| if q > 0 && *t >= sorted[q - 1] { *t } else { mean.max(*t) }).collect();
                    lower_bound(&t, &s, k)
                })
                .fold(0.0f64, f64::max);
            prop_assert!((norm - best).abs() <= 1e-12 * (1.0 + norm), "{norm} {best}");
            // And no s does better.
            for scale in [0.5, 0.9, 1.1] {
                let s: Vec<f64> = t.iter().map(|t| scale * t).collect();
                prop_assert!(lower_bound(&t, &s, k) <= norm + 1e-12);
            }
        }
    }
}

//! What is minimised, with its derivative.
//!
//! The number of non-zeros has no useful derivative. In training it is replaced by one of
//!
//! | count | of x, times alpha |
//! |---|---|
//! | [`Count::Exact`] | itself, with derivative 0: the squares alone are descended |
//! | [`Count::Cel0`] | its continuous relaxation with the same global minima (Soubies, Blanc-Feraud and Aubert, 2015), which knows no width |
//! | [`Count::Exponential`] | `1 - exp(-|x| / tau)`, `tau = width sqrt(2 alpha) / |a_j|`: relative to the size at which CEL0 is a count |

use sparrot_prox::{Cel0, L0, L1, ScalarPenalty};

/// How non-zeros are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Count {
    /// 1 each.
    Exact,
    /// See above.
    Cel0,
    /// See above; `width > 0`.
    Exponential {
        /// See above.
        width: f64,
    },
}

/// Of a signal; of many, their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// The mean squared error to the true code.
    Supervised,
    /// `|y - A x|^2 / 2 + alpha |x|_1`.
    L1 {
        /// The penalty.
        alpha: f64,
    },
    /// `|y - A x|^2 / 2 + alpha |x|_0`.
    L0 {
        /// The penalty.
        alpha: f64,
        /// How it counts.
        count: Count,
    },
}

impl Loss {
    /// Without what makes it smooth.
    pub fn exact(self) -> Loss {
        match self {
            Loss::L0 { alpha, .. } => Loss::L0 { alpha, count: Count::Exact },
            other => other,
        }
    }

    /// The penalty of a number that is not 0, and its derivative; `squares` is the squared norm of the
    /// atom.
    pub fn penalty(self, x: f64, squares: f64) -> (f64, f64) {
        match self {
            Loss::Supervised => (0.0, 0.0),
            Loss::L1 { alpha } => (L1.value(alpha, x), alpha.copysign(x)),
            Loss::L0 { alpha, count } => {
                // The size from which CEL0 counts in full.
                let knee = (2.0 * alpha / squares).sqrt();
                match count {
                    Count::Cel0 if x.abs() < knee && knee.is_finite() => {
                        let slope = squares * (knee - x.abs());
                        (Cel0 { squares }.value(alpha, x), slope.copysign(x))
                    }
                    Count::Exponential { width } if knee > 0.0 && knee.is_finite() => {
                        let tau = width * knee;
                        let rest = (-x.abs() / tau).exp();
                        (alpha * (1.0 - rest), (alpha / tau * rest).copysign(x))
                    }
                    _ => (L0.value(alpha, x), 0.0),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_values() {
        let l0 = |count| Loss::L0 { alpha: 0.3, count };
        let all = [
            Loss::L1 { alpha: 0.3 },
            l0(Count::Exact),
            l0(Count::Cel0),
            l0(Count::Exponential { width: 0.5 }),
        ];
        for loss in all {
            for k in -30..30 {
                let x = 0.051 * f64::from(k) + 0.007;
                let value = |x: f64| loss.penalty(x, 1.7).0;
                let slope = (value(x + 1e-6) - value(x - 1e-6)) / 2e-6;
                assert!((slope - loss.penalty(x, 1.7).1).abs() < 1e-8, "{loss:?} {x}");
            }
            assert!(loss.penalty(5.0, 0.0).0.is_finite());
        }
    }
}

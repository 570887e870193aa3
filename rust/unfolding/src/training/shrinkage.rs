//! Thresholds, exact and smoothed, with their derivatives.
//!
//! Hard thresholding is `v h(|v| / theta)` with h the step from 0 to 1 at 1. A smoothed one has a gate
//! that rises from 0 to 1 around 1; it depends on the ratio alone, and so on no scale:
//!
//! | gate | h(r) |
//! |---|---|
//! | [`Gate::Exact`] | 0 up to 1, then 1: its derivative almost everywhere, none by the threshold |
//! | [`Gate::Smoothstep`] | `u^2 (3 - 2u)`, `u = (r - 1 + w) / (2 w)` clipped to [0, 1] |
//! | [`Gate::Sigmoid`] | `1 / (1 + exp((1 - r) / w))` |
//!
//! With the first two layers stay sparse; the sigmoid is nowhere 0, which costs the products of full
//! rows.

use crate::number::Number;

/// How a smoothed hard threshold rises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    /// At once.
    Exact,
    /// By a cubic, between `1 - width` and `1 + width` times the threshold; `0 < width <= 1`.
    Smoothstep {
        /// See above.
        width: f64,
    },
    /// By a logistic function of that width, relative to the threshold; `width > 0`.
    Sigmoid {
        /// See above.
        width: f64,
    },
}

/// The nonlinearity of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shrinkage {
    /// Soft thresholding, for L1.
    Soft,
    /// Hard thresholding, for L0.
    Hard(Gate),
}

/// Beyond so many widths a sigmoid is 1.
const FAR: f64 = 40.0;

impl Shrinkage {
    /// The proximal operator itself.
    pub fn exact(self) -> Shrinkage {
        match self {
            Shrinkage::Soft => Shrinkage::Soft,
            Shrinkage::Hard(_) => Shrinkage::Hard(Gate::Exact),
        }
    }

    /// With a gate of another width.
    pub fn narrowed(self, factor: f64) -> Shrinkage {
        match self {
            Shrinkage::Hard(Gate::Smoothstep { width }) => {
                Shrinkage::Hard(Gate::Smoothstep { width: factor * width })
            }
            Shrinkage::Hard(Gate::Sigmoid { width }) => {
                Shrinkage::Hard(Gate::Sigmoid { width: factor * width })
            }
            other => other,
        }
    }

    /// The threshold of a step and a penalty.
    pub fn threshold(self, step: f64, alpha: f64) -> f64 {
        match self {
            Shrinkage::Soft => step * alpha,
            Shrinkage::Hard(_) => (2.0 * step * alpha).sqrt(),
        }
    }

    /// The derivative of the threshold's logarithm by that of the step, or of the penalty.
    pub fn exponent(self) -> f64 {
        match self {
            Shrinkage::Soft => 1.0,
            Shrinkage::Hard(_) => 0.5,
        }
    }

    /// Up to this magnitude everything becomes 0.
    pub fn cut(self, threshold: f64) -> f64 {
        match self {
            Shrinkage::Soft | Shrinkage::Hard(Gate::Exact) => threshold,
            Shrinkage::Hard(Gate::Smoothstep { width }) => (1.0 - width).max(0.0) * threshold,
            Shrinkage::Hard(Gate::Sigmoid { .. }) => 0.0,
        }
    }

    /// Replaces each value, which is above the cut, by what it becomes; `by_value` and `by_threshold`
    /// receive the derivatives.
    pub fn apply<T: Number>(
        self,
        threshold: f64,
        values: &mut [T],
        by_value: &mut [T],
        by_threshold: &mut [T],
    ) {
        let each = values.iter_mut().zip(by_value).zip(by_threshold);
        match self {
            Shrinkage::Soft => {
                let (t, one) = (T::from_f64(threshold), T::from_f64(1.0));
                for ((v, dv), dt) in each {
                    let sign = if *v > T::ZERO { one } else { -one };
                    (*v, *dv, *dt) = (*v - sign * t, one, -sign);
                }
            }
            Shrinkage::Hard(gate) => {
                for ((v, dv), dt) in each {
                    let (value, ratio) = (v.to_f64(), v.to_f64().abs() / threshold);
                    let (h, slope) = gate.rise(ratio);
                    *v = T::from_f64(value * h);
                    // Where the gate does not move a ratio may be infinite.
                    let (by_v, by_t) = if slope == 0.0 {
                        (h, 0.0)
                    } else {
                        (h + ratio * slope, -(ratio * ratio * slope).copysign(value))
                    };
                    (*dv, *dt) = (T::from_f64(by_v), T::from_f64(by_t));
                }
            }
        }
    }
}

impl Gate {
    /// h and its derivative; infinity is the ratio to a threshold of 0.
    fn rise(self, ratio: f64) -> (f64, f64) {
        match self {
            Gate::Exact => (if ratio > 1.0 { 1.0 } else { 0.0 }, 0.0),
            Gate::Smoothstep { width } => {
                let u = (ratio - 1.0 + width) / (2.0 * width);
                if u >= 1.0 {
                    (1.0, 0.0)
                } else {
                    let u = u.max(0.0);
                    (u * u * (3.0 - 2.0 * u), 3.0 * u * (1.0 - u) / width)
                }
            }
            Gate::Sigmoid { width } => {
                let z = (ratio - 1.0) / width;
                if z > FAR {
                    return (1.0, 0.0);
                }
                let h = 1.0 / (1.0 + (-z).exp());
                (h, h * (1.0 - h) / width)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Shrinkage; 4] = [
        Shrinkage::Soft,
        Shrinkage::Hard(Gate::Exact),
        Shrinkage::Hard(Gate::Smoothstep { width: 0.5 }),
        Shrinkage::Hard(Gate::Sigmoid { width: 0.25 }),
    ];

    fn one(shrinkage: Shrinkage, threshold: f64, v: f64) -> [f64; 3] {
        let (mut x, mut dv, mut dt) = ([v], [0.0], [0.0]);
        if v.abs() <= shrinkage.cut(threshold) {
            return [0.0; 3];
        }
        shrinkage.apply(threshold, &mut x, &mut dv, &mut dt);
        [x[0], dv[0], dt[0]]
    }

    #[test]
    fn derivatives_are_those_of_the_values() {
        let step = 1e-6;
        for shrinkage in ALL {
            for k in -40..40 {
                let (t, v) = (0.7, 0.0471 * f64::from(k) + 0.001);
                let [_, dv, dt] = one(shrinkage, t, v);
                let difference = |a: [f64; 3], b: [f64; 3]| (a[0] - b[0]) / (2.0 * step);
                let by_v = difference(one(shrinkage, t, v + step), one(shrinkage, t, v - step));
                let by_t = difference(one(shrinkage, t + step, v), one(shrinkage, t - step, v));
                assert!((by_v - dv).abs() < 1e-8, "{shrinkage:?} {v}: {by_v} {dv}");
                assert!((by_t - dt).abs() < 1e-8, "{shrinkage:?} {v}: {by_t} {dt}");
            }
        }
    }

    #[test]
    fn far_from_the_threshold_all_hard_ones_agree_and_0_is_no_threshold() {
        for shrinkage in &ALL[1..] {
            assert_eq!(one(*shrinkage, 0.7, -300.0), [-300.0, 1.0, 0.0]);
            assert_eq!(one(*shrinkage, 0.0, 1e-300), [1e-300, 1.0, 0.0]);
            assert!(one(*shrinkage, 0.7, 0.01)[0].abs() < 2e-3);
        }
    }
}

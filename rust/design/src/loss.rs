//! Convex losses of one row: of its target b and its value z in a linear model.
//!
//! | loss | value | second derivative |
//! |---|---|---|
//! | least squares | `(z - b)^2 / 2` | 1 |
//! | logistic, b = -1 or 1 | `log(1 + e^(-b z))` | at most 1/4 |
//! | Poisson, b >= 0 | `e^z - b z` | `e^z` |
//! | Huber (Ann. Math. Stat. 35, 1964) | `(z - b)^2 / 2` up to delta, then linear | 1 or 0 |
//!
//! Changes of a loss are computed as such, not as differences of values: near the optimum they are
//! far below the rounding of the values. So is what Fenchel's and Young's inequality misses by
//! ([`RowLoss::missing`]).

mod divergence;

pub use divergence::{About, divergence, growth};

/// A loss.
pub trait RowLoss: Copy + Send + Sync {
    /// An upper bound of the second derivative.
    fn bound(&self) -> f64;

    /// The loss.
    fn value(&self, b: f64, z: f64) -> f64;

    /// Its derivative r by z.
    fn derivative(&self, b: f64, z: f64) -> f64;

    /// The second derivative, given the first.
    fn curvature(&self, b: f64, z: f64, r: f64) -> f64;

    /// The second derivative of a parabola that touches the loss at z and is nowhere below it, for
    /// losses with parts that are linear.
    fn majorant(&self, _b: f64, _z: f64) -> Option<f64> {
        None
    }

    /// By how much the loss changes when z moves by u; r is the derivative at z.
    fn change(&self, b: f64, z: f64, r: f64, u: f64) -> f64;

    /// The conjugate `sup_z r z - loss`, for r between 0 and a derivative.
    fn conjugate(&self, b: f64, r: f64) -> f64;

    /// At most `loss(z) + conjugate(r) - r z`, for all z and r that are about these and at which the
    /// conjugate is finite: 0 for the derivative at z.
    fn missing(&self, b: f64, z: About, r: About) -> f64;

    /// The sum of the sizes of what the loss is added up from, less its own.
    fn cancelling(&self, _b: f64, _z: f64) -> f64 {
        0.0
    }

    /// Whether the conjugate is finite at r.
    fn is_derivative(&self, _b: f64, _r: f64) -> bool {
        true
    }

    /// The infimum over z.
    fn least(&self, b: f64) -> f64 {
        -self.conjugate(b, 0.0)
    }

    /// Whether the second derivative is 1 everywhere.
    fn is_square(&self) -> bool {
        false
    }
}

/// `(z - b)^2 / 2`.
#[derive(Clone, Copy, Debug)]
pub struct LeastSquares;

impl RowLoss for LeastSquares {
    fn bound(&self) -> f64 {
        1.0
    }

    fn value(&self, b: f64, z: f64) -> f64 {
        0.5 * (z - b).powi(2)
    }

    fn derivative(&self, b: f64, z: f64) -> f64 {
        z - b
    }

    fn curvature(&self, _b: f64, _z: f64, _r: f64) -> f64 {
        1.0
    }

    fn change(&self, _b: f64, _z: f64, r: f64, u: f64) -> f64 {
        u * (r + 0.5 * u)
    }

    fn conjugate(&self, b: f64, r: f64) -> f64 {
        r * (0.5 * r + b)
    }

    fn missing(&self, b: f64, z: About, r: About) -> f64 {
        Huber { delta: f64::INFINITY }.missing(b, z, r)
    }

    fn is_square(&self) -> bool {
        true
    }
}

/// `log(1 + e^(-b z))`, b = -1 or 1.
#[derive(Clone, Copy, Debug)]
pub struct Logistic;

/// `log(1 + e^t)`.
fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// `t log t`.
pub fn entropy(t: f64) -> f64 {
    if t > 0.0 { t * t.ln() } else { 0.0 }
}

/// Beyond this a change is computed as a difference: 1 + s (e^u - 1) may cancel there, and the values
/// no longer do.
pub const LARGE_STEP: f64 = 1.0;

/// What rounding does to an expression with an exponential, as a share of it.
const ULPS: f64 = 8.0 * f64::EPSILON;

impl RowLoss for Logistic {
    fn bound(&self) -> f64 {
        0.25
    }

    fn value(&self, b: f64, z: f64) -> f64 {
        softplus(-b * z)
    }

    fn derivative(&self, b: f64, z: f64) -> f64 {
        -b / (1.0 + (b * z).exp())
    }

    fn curvature(&self, _b: f64, _z: f64, r: f64) -> f64 {
        r.abs() * (1.0 - r.abs())
    }

    fn change(&self, b: f64, z: f64, r: f64, u: f64) -> f64 {
        if u.abs() > LARGE_STEP {
            softplus(-b * (z + u)) - softplus(-b * z)
        } else {
            // (1 + e^(t - bu)) / (1 + e^t) = 1 + s (e^(-bu) - 1), s = |r|
            (r.abs() * (-b * u).exp_m1()).ln_1p()
        }
    }

    fn conjugate(&self, _b: f64, r: f64) -> f64 {
        entropy(r.abs()) + entropy(1.0 - r.abs())
    }

    /// A divergence of the probability of the other class, and one of that of b.
    fn missing(&self, b: f64, z: About, r: About) -> f64 {
        // Both from one exponential, which cannot overflow.
        let small = (-z.at.abs()).exp();
        let (small, large) = (small / (1.0 + small), 1.0 / (1.0 + small));
        let (own, other) = if b * z.at > 0.0 { (large, small) } else { (small, large) };
        let growth = growth(z.off);
        let off = other * (own * growth + ULPS) + r.off;
        let difference = -b * r.at - other;
        let least = |share: f64| share / (1.0 + growth) * (1.0 - ULPS);
        divergence(least(other), About { at: difference, off })
            + divergence(least(own), About { at: -difference, off })
    }

    fn is_derivative(&self, b: f64, r: f64) -> bool {
        (0.0..=1.0).contains(&(-b * r))
    }
}

/// `e^z - b z`, b >= 0: the negative log-likelihood of counts, but for what b alone adds.
#[derive(Clone, Copy, Debug)]
pub struct Poisson;

impl RowLoss for Poisson {
    fn bound(&self) -> f64 {
        f64::INFINITY
    }

    fn value(&self, b: f64, z: f64) -> f64 {
        z.exp() - b * z
    }

    fn derivative(&self, b: f64, z: f64) -> f64 {
        z.exp() - b
    }

    fn curvature(&self, _b: f64, z: f64, _r: f64) -> f64 {
        z.exp()
    }

    fn change(&self, b: f64, z: f64, _r: f64, u: f64) -> f64 {
        z.exp() * u.exp_m1() - b * u
    }

    fn conjugate(&self, b: f64, r: f64) -> f64 {
        entropy(r + b) - (r + b)
    }

    fn missing(&self, b: f64, z: About, r: About) -> f64 {
        let (mean, growth) = (z.at.exp(), growth(z.off));
        let ulps = if z.at == 0.0 { 0.0 } else { ULPS };
        // A sum is not off by more than either term.
        let of_sum = (ULPS * (r.at + b).abs()).min(r.at.abs());
        let off = mean * (growth + ulps) + of_sum + r.off;
        let least = mean / (1.0 + growth) * (1.0 - ulps);
        divergence(least, About { at: r.at + b - mean, off })
    }

    fn cancelling(&self, b: f64, z: f64) -> f64 {
        2.0 * (b * z).abs()
    }

    fn is_derivative(&self, b: f64, r: f64) -> bool {
        r + b >= 0.0
    }
}

/// `u^2 / 2` for u = z - b of at most delta in size, `delta (|u| - delta / 2)` beyond: rows that are far
/// off pull with delta and no more.
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    /// From where on it is linear: above 0.
    pub delta: f64,
}

impl RowLoss for Huber {
    fn bound(&self) -> f64 {
        1.0
    }

    fn value(&self, b: f64, z: f64) -> f64 {
        let u = (z - b).abs();
        let square = u.min(self.delta);
        // What is linear begins where the square ends, with its slope.
        0.5 * square * square + self.delta * (u - square)
    }

    fn derivative(&self, b: f64, z: f64) -> f64 {
        (z - b).clamp(-self.delta, self.delta)
    }

    /// Not by r, which a weight and a division by it may have moved from delta.
    fn curvature(&self, b: f64, z: f64, _r: f64) -> f64 {
        f64::from(u8::from((z - b).abs() < self.delta))
    }

    fn majorant(&self, b: f64, z: f64) -> Option<f64> {
        Some(self.delta / (z - b).abs().max(self.delta))
    }

    fn change(&self, b: f64, z: f64, r: f64, u: f64) -> f64 {
        let (start, end) = (z - b, z - b + u);
        if start.abs() <= self.delta && end.abs() <= self.delta {
            return u * (r + 0.5 * u);
        }
        if start.signum() == end.signum() && start.abs().min(end.abs()) >= self.delta {
            return u * r;
        }
        // The integral of the derivative, piece by piece.
        let [from, to] = [start, end].map(|v| v.clamp(-self.delta, self.delta));
        let middle = 0.5 * (to - from) * (to + from);
        let beyond = |v: f64| (v.abs() - self.delta).max(0.0);
        middle + self.delta * (beyond(end) - beyond(start))
    }

    fn conjugate(&self, b: f64, r: f64) -> f64 {
        r * (0.5 * r + b)
    }

    /// A square, and for what is linear a product that r at the border makes 0.
    fn missing(&self, b: f64, z: About, r: About) -> f64 {
        let u = z.at - b;
        let off = z.off + ULPS * u.abs();
        let slope = u.clamp(-self.delta, self.delta);
        // Where it is linear for all z about this one its derivative is known.
        let is_linear = u.abs() - off >= self.delta;
        let apart = (slope - r.at).abs() + r.off + if is_linear { 0.0 } else { off };
        let beyond = (u.abs() + off - self.delta).max(0.0);
        (0.5 * apart + beyond) * apart * (1.0 + ULPS)
    }

    fn is_derivative(&self, _b: f64, r: f64) -> bool {
        // A weight times delta over the weight is delta but for rounding.
        r.abs() <= self.delta * (1.0 + 4.0 * f64::EPSILON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(loss: impl RowLoss, b: f64, z: f64, u: f64) -> Result<(), TestCaseError> {
        let close = |x: f64, y: f64, tol: f64| (x - y).abs() <= tol * (1.0 + x.abs() + y.abs());
        let r = loss.derivative(b, z);
        let expected = loss.value(b, z + u) - loss.value(b, z);
        prop_assert!(close(loss.change(b, z, r, u), expected, 1e-11));
        let h = 1e-5;
        let slope = (loss.value(b, z + h) - loss.value(b, z - h)) / (2.0 * h);
        prop_assert!(close(r, slope, 1e-5));
        let curvature = loss.curvature(b, z, r);
        let (up, down) = (loss.derivative(b, z + h), loss.derivative(b, z - h));
        prop_assert!(close(curvature, (up - down) / (2.0 * h), 1e-3));
        prop_assert!(curvature <= loss.bound() * (1.0 + 1e-12));
        // Fenchel and Young: equality at the derivative, inequality elsewhere.
        prop_assert!(close(loss.value(b, z) + loss.conjugate(b, r), r * z, 1e-9));
        prop_assert!(loss.is_derivative(b, r));
        let size = loss.value(b, z).abs() + loss.cancelling(b, z);
        let exactly = |at: f64| About { at, off: 0.0 };
        let nothing = loss.missing(b, exactly(z), exactly(r));
        prop_assert!(nothing <= 1e-26 * (1.0 + size), "{}", nothing);
        for share in [0.0, 0.3, 1.0 - 1e-6] {
            let missing = loss.missing(b, exactly(z + u), exactly(share * r));
            let is = loss.value(b, z + u) + loss.conjugate(b, share * r) - share * r * (z + u);
            prop_assert!((is - 1e-11..=1.1 * is + 1e-11).contains(&missing), "{} {}", missing, is);
            let near = loss.missing(b, About { at: z, off: u.abs() }, exactly(share * r));
            prop_assert!(near >= missing / 1.1 - 1e-12);
            let near = loss.missing(b, About { at: z, off: 1e-3 }, exactly(r));
            prop_assert!(near < 1e-5 * (1.0 + size));
        }
        for share in [0.0, 0.3, 1.0] {
            let bound = share * r * (z + u) - loss.conjugate(b, share * r);
            prop_assert!(loss.value(b, z + u) >= bound - 1e-9 * (1.0 + bound.abs()));
        }
        prop_assert!(loss.value(b, z + u) >= loss.least(b) - 1e-12);
        Ok(())
    }

    proptest! {
        /// Where the loss is linear there is no curvature to compare with.
        #[test]
        fn changes_of_hubers_loss_are_of_its_values(
            z in -6.0..6.0f64,
            b in -3.0..3.0f64,
            u in -9.0..9.0f64,
            delta in 0.1..3.0f64,
        ) {
            let loss = Huber { delta };
            let r = loss.derivative(b, z);
            let expected = loss.value(b, z + u) - loss.value(b, z);
            prop_assert!((loss.change(b, z, r, u) - expected).abs() < 1e-12);
            prop_assert!((loss.value(b, z) + loss.conjugate(b, r) - r * z).abs() < 1e-12);
            let parabola = loss.majorant(b, z).unwrap();
            prop_assert!(expected <= r * u + 0.5 * parabola * u * u + 1e-12);
        }

        #[test]
        fn values_derivatives_changes_and_conjugates_agree(
            z in -6.0..6.0f64,
            b in -3.0..3.0f64,
            u in -3.0..3.0f64,
            scale in prop_oneof![Just(1.0), Just(1e-3)],
        ) {
            let u = u * scale;
            check(LeastSquares, b, z, u)?;
            check(Logistic, b.signum(), z, u)?;
            check(Poisson, b.abs(), z, u)?;
            check(Poisson, 0.0, z, u)?;
            check(Huber { delta: 100.0 }, b, z, u)?;
        }
    }
}

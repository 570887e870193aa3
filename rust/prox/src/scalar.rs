//! Penalties of a number: even, 0 at 0, not falling in the magnitude.
//!
//! | penalty | phi at x >= 0 | source |
//! |---|---|---|
//! | [`L1`] | `lambda x` | Tibshirani, JRSS B 58, 1996 |
//! | [`Mcp`] | `lambda x - x^2 / (2 gamma)` up to `gamma lambda`, constant beyond | C.-H. Zhang, Ann. Statist. 38, 2010 |
//! | [`Scad`] | `lambda x` up to lambda, then with a slope that falls to 0 at `a lambda` | Fan and Li, JASA 96, 2001 |
//! | [`L0`] | lambda, if x is not 0 | - |
//! | [`Cel0`] | `lambda - c (sqrt(2 lambda / c) - x)^2 / 2` up to `sqrt(2 lambda / c)`, lambda beyond | Soubies, Blanc-Feraud and Aubert, SIAM J. Imaging Sci. 8, 2015 |
//! | [`Power::Half`] | `lambda x^(1/2)` | Xu, Chang, Xu and Zhang, IEEE TNNLS 23, 2012 |
//! | [`Power::TwoThirds`] | `lambda x^(2/3)` | Cao, Sun and Xu, J. Vis. Commun. 24, 2013 |
//!
//! CEL0, with c the squared norm of the variable's column, is the MCP of `sqrt(2 lambda c)` and
//! `gamma = 1 / c`: it has the minima of L0, and fewer stationary points.

use std::f64::consts::PI;

/// A proximal operator made of lines, of magnitudes u: 0 up to `cut`, beyond it the least of u and the
/// larger of the lines `(u - shift) slope`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pieces {
    /// Up to here it is 0.
    pub cut: f64,
    /// Shift and slope of the first line.
    pub first: [f64; 2],
    /// Of the second; 0 for none.
    pub second: [f64; 2],
}

impl Pieces {
    /// Nothing is shrunk.
    fn hard(cut: f64) -> Pieces {
        Pieces { cut, first: [0.0, 1.0], second: [0.0, 0.0] }
    }

    fn firm(cut: f64, slope: f64) -> Pieces {
        Pieces { cut, first: [cut, slope], second: [0.0, 0.0] }
    }
}

/// A penalty of a number.
pub trait ScalarPenalty: Copy + Send + Sync {
    /// Whether it is convex.
    const IS_CONVEX: bool = false;

    /// phi(x).
    fn value(&self, lambda: f64, x: f64) -> f64;

    /// The minimum over `x >= 0` of `(x - u)^2 / (2 t) + phi(x)` for `u >= 0`.
    fn shrink(&self, lambda: f64, u: f64, t: f64) -> f64;

    /// The proximal operator as lines, if it is: what a vectorised kernel needs.
    fn pieces(&self, _lambda: f64, _t: f64) -> Option<Pieces> {
        None
    }

    /// The largest u whose proximal operator is 0.
    fn threshold(&self, lambda: f64, t: f64) -> f64 {
        if lambda == 0.0 {
            return 0.0;
        }
        let is_0 = |u: f64| self.shrink(lambda, u, t) == 0.0;
        let (mut low, mut high) = (0.0, t * lambda);
        while is_0(high) && high < f64::MAX {
            low = high;
            high = (2.0 * high).clamp(f64::MIN_POSITIVE, f64::MAX);
        }
        loop {
            let middle = low + 0.5 * (high - low);
            if middle <= low || middle >= high {
                return low;
            }
            if is_0(middle) { low = middle } else { high = middle }
        }
    }

    /// The proximal operator.
    fn prox(&self, lambda: f64, u: f64, t: f64) -> f64 {
        self.shrink(lambda, u.abs(), t).copysign(u)
    }
}

/// See the table.
#[derive(Clone, Copy, Debug)]
pub struct L1;

impl ScalarPenalty for L1 {
    const IS_CONVEX: bool = true;

    fn value(&self, lambda: f64, x: f64) -> f64 {
        lambda * x.abs()
    }

    fn shrink(&self, lambda: f64, u: f64, t: f64) -> f64 {
        (u - t * lambda).max(0.0)
    }

    fn pieces(&self, lambda: f64, t: f64) -> Option<Pieces> {
        Some(Pieces::firm(t * lambda, 1.0))
    }
}

/// The minimax concave penalty; gamma > 0.
#[derive(Clone, Copy, Debug)]
pub struct Mcp {
    /// The larger, the closer to L1.
    pub gamma: f64,
}

impl ScalarPenalty for Mcp {
    fn value(&self, lambda: f64, x: f64) -> f64 {
        let x = x.abs().min(self.gamma * lambda);
        x * (lambda - 0.5 * x / self.gamma)
    }

    /// Firm thresholding; with a step of gamma and more, hard thresholding.
    fn shrink(&self, lambda: f64, u: f64, t: f64) -> f64 {
        let gamma = self.gamma;
        if t >= gamma {
            if u > lambda * (t * gamma).sqrt() { u } else { 0.0 }
        } else if u > gamma * lambda {
            u
        } else {
            (u - t * lambda).max(0.0) / (1.0 - t / gamma)
        }
    }

    fn pieces(&self, lambda: f64, t: f64) -> Option<Pieces> {
        let gamma = self.gamma;
        Some(if t >= gamma {
            Pieces::hard(lambda * (t * gamma).sqrt())
        } else {
            Pieces::firm(t * lambda, 1.0 / (1.0 - t / gamma))
        })
    }
}

/// The smoothly clipped absolute deviation; a > 2.
#[derive(Clone, Copy, Debug)]
pub struct Scad {
    /// Beyond `a lambda` it is constant.
    pub a: f64,
}

impl ScalarPenalty for Scad {
    fn value(&self, lambda: f64, x: f64) -> f64 {
        let (a, x) = (self.a, x.abs());
        if x <= lambda {
            lambda * x
        } else if x <= a * lambda {
            (lambda * (2.0 * a * x - lambda) - x * x) / (2.0 * (a - 1.0))
        } else {
            0.5 * lambda * lambda * (a + 1.0)
        }
    }

    /// Where the middle piece is concave, with a step of `a - 1` and more, the minimum is on one of
    /// the others.
    fn shrink(&self, lambda: f64, u: f64, t: f64) -> f64 {
        let a = self.a;
        let soft = (u - t * lambda).max(0.0);
        if t < a - 1.0 {
            return if soft <= lambda {
                soft
            } else if u <= a * lambda {
                ((a - 1.0) * u - t * a * lambda) / (a - 1.0 - t)
            } else {
                u
            };
        }
        let cost = |x: f64| (x - u) * (x - u) / (2.0 * t) + self.value(lambda, x);
        let (near, far) = (soft.min(lambda), u.max(a * lambda));
        if cost(far) < cost(near) { far } else { near }
    }

    /// With a step of `a - 1` and more it jumps from one line to another.
    fn pieces(&self, lambda: f64, t: f64) -> Option<Pieces> {
        let (a, cut) = (self.a, t * lambda);
        (t < a - 1.0).then(|| Pieces {
            cut,
            first: [cut, 1.0],
            second: [cut * a / (a - 1.0), (a - 1.0) / (a - 1.0 - t)],
        })
    }
}

/// The number of variables that are not 0.
#[derive(Clone, Copy, Debug)]
pub struct L0;

impl ScalarPenalty for L0 {
    fn value(&self, lambda: f64, x: f64) -> f64 {
        if x == 0.0 { 0.0 } else { lambda }
    }

    fn shrink(&self, lambda: f64, u: f64, t: f64) -> f64 {
        if u > (2.0 * t * lambda).sqrt() { u } else { 0.0 }
    }

    fn pieces(&self, lambda: f64, t: f64) -> Option<Pieces> {
        Some(Pieces::hard((2.0 * t * lambda).sqrt()))
    }
}

/// The continuous exact relaxation of L0; `squares` > 0 is the squared norm of the variable's column.
#[derive(Clone, Copy, Debug)]
pub struct Cel0 {
    /// See above.
    pub squares: f64,
}

impl Cel0 {
    fn mcp(self, lambda: f64) -> (Mcp, f64) {
        (Mcp { gamma: 1.0 / self.squares }, (2.0 * lambda * self.squares).sqrt())
    }
}

impl ScalarPenalty for Cel0 {
    fn value(&self, lambda: f64, x: f64) -> f64 {
        let (mcp, lambda) = self.mcp(lambda);
        mcp.value(lambda, x)
    }

    fn shrink(&self, lambda: f64, u: f64, t: f64) -> f64 {
        let (mcp, lambda) = self.mcp(lambda);
        mcp.shrink(lambda, u, t)
    }

    fn pieces(&self, lambda: f64, t: f64) -> Option<Pieces> {
        let (mcp, lambda) = self.mcp(lambda);
        mcp.pieces(lambda, t)
    }
}

/// Powers below 1 whose proximal operator has a closed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// The square root.
    Half,
    /// The power 2/3.
    TwoThirds,
}

impl ScalarPenalty for Power {
    fn value(&self, lambda: f64, x: f64) -> f64 {
        match self {
            Power::Half => lambda * x.abs().sqrt(),
            Power::TwoThirds => lambda * (x * x).cbrt(),
        }
    }

    /// The largest stationary point, by the trigonometric solution of a cubic and the solution of a
    /// quartic, beyond the threshold where it is as good as 0.
    fn shrink(&self, lambda: f64, u: f64, t: f64) -> f64 {
        let c = t * lambda;
        match self {
            Power::Half => {
                if u <= 1.5 * (c * c).cbrt() {
                    return 0.0;
                }
                let angle = (0.25 * c * (u / 3.0).powf(-1.5)).acos();
                u * (1.0 + (2.0 * (PI - angle) / 3.0).cos()) / 1.5
            }
            Power::TwoThirds => {
                // Relative to u, so that powers neither under- nor overflow.
                let c = 2.0 * c / (u * u).cbrt().powi(2);
                if c == 0.0 {
                    return u;
                }
                // Also catches the NaN of 0 / 0.
                if c.is_nan() || 1.0 <= 2.0 / 3.0 * (3.0 * c * c * c).sqrt().sqrt() {
                    return 0.0;
                }
                let angle = (27.0 / 16.0 * c.powf(-1.5)).acosh();
                let b = 2.0 / 3f64.sqrt() * c.sqrt().sqrt() * (angle / 3.0).cosh().sqrt();
                u * (0.5 * (b + (2.0 / b - b * b).max(0.0).sqrt())).powi(3)
            }
        }
    }
}

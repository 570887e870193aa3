//! What is added to the smooth function: L1 norms and bounds, coordinate by coordinate.
//!
//! ```text
//! h(x) = sum_i lambda_i |x_i|,   lower_i <= x_i <= upper_i
//! ```
//!
//! On each side of 0, within the bounds, h_i is linear: a *piece* with a slope. Whatever a rule or
//! an update wants to know of h it reads off the pieces.

/// One number for all coordinates, or one for each.
#[derive(Clone, Copy, Debug)]
pub enum PerCoordinate<'a> {
    /// The same for all.
    Same(f64),
    /// One for each.
    Each(&'a [f64]),
}

impl PerCoordinate<'_> {
    /// That of a coordinate.
    pub fn at(&self, i: usize) -> f64 {
        match self {
            PerCoordinate::Same(value) => *value,
            PerCoordinate::Each(values) => values[i],
        }
    }

    fn all(&self, test: impl Fn(f64) -> bool) -> bool {
        match self {
            PerCoordinate::Same(value) => test(*value),
            PerCoordinate::Each(values) => values.iter().all(|v| test(*v)),
        }
    }
}

/// L1 norms and bounds. Bounds may be infinite; `lower <= upper`.
#[derive(Clone, Copy, Debug)]
pub struct Penalty<'a> {
    /// lambda, at least 0.
    pub l1: PerCoordinate<'a>,
    /// The lower bounds.
    pub lower: PerCoordinate<'a>,
    /// The upper bounds.
    pub upper: PerCoordinate<'a>,
}

/// Where h_i is linear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// From here.
    pub from: f64,
    /// To here.
    pub to: f64,
    /// With this slope.
    pub slope: f64,
}

impl Penalty<'_> {
    /// No penalty.
    pub const NONE: Penalty<'static> = Penalty {
        l1: PerCoordinate::Same(0.0),
        lower: PerCoordinate::Same(f64::NEG_INFINITY),
        upper: PerCoordinate::Same(f64::INFINITY),
    };

    /// Whether there is nothing but the smooth function.
    pub fn is_none(&self) -> bool {
        self.l1.all(|l| l == 0.0)
            && self.lower.all(|l| l == f64::NEG_INFINITY)
            && self.upper.all(|u| u == f64::INFINITY)
    }

    /// Whether there is none, as far as can be told without looking at every variable.
    #[inline]
    pub fn is_uniform_none(&self) -> bool {
        use PerCoordinate::Same;
        let Penalty { l1: Same(l1), lower: Same(lower), upper: Same(upper) } = self else {
            return false;
        };
        *l1 == 0.0 && *lower == f64::NEG_INFINITY && *upper == f64::INFINITY
    }

    /// `h_i(x)`, for x within the bounds.
    pub fn value(&self, i: usize, x: f64) -> f64 {
        let l1 = self.l1.at(i);
        if l1 == 0.0 { 0.0 } else { l1 * x.abs() }
    }

    /// `h_i(y) - h_i(x)`: the difference is taken before it is multiplied, and is then exact for
    /// points near to each other.
    pub fn change(&self, i: usize, x: f64, y: f64) -> f64 {
        let l1 = self.l1.at(i);
        if l1 == 0.0 { 0.0 } else { l1 * (y.abs() - x.abs()) }
    }

    /// The point within the bounds that is nearest.
    pub fn project(&self, i: usize, x: f64) -> f64 {
        x.max(self.lower.at(i)).min(self.upper.at(i))
    }

    /// `argmin_y |y - x|^2 / 2 + t h_i(y)`.
    pub fn prox(&self, i: usize, x: f64, t: f64) -> f64 {
        let threshold = t * self.l1.at(i);
        self.project(i, x - x.clamp(-threshold, threshold))
    }

    /// The pieces to the left and to the right of x, within the bounds; where there is none it is
    /// the point x with an infinite slope.
    fn sides(&self, i: usize, x: f64) -> [Piece; 2] {
        let (l1, lower, upper) = (self.l1.at(i), self.lower.at(i), self.upper.at(i));
        let left = if x <= lower {
            Piece { from: x, to: x, slope: f64::NEG_INFINITY }
        } else if x > 0.0 && l1 > 0.0 {
            Piece { from: lower.max(0.0), to: upper, slope: l1 }
        } else {
            Piece { from: lower, to: if l1 > 0.0 { upper.min(0.0) } else { upper }, slope: -l1 }
        };
        let right = if x >= upper {
            Piece { from: x, to: x, slope: f64::INFINITY }
        } else if x < 0.0 && l1 > 0.0 {
            Piece { from: lower, to: upper.min(0.0), slope: -l1 }
        } else {
            Piece { from: if l1 > 0.0 { lower.max(0.0) } else { lower }, to: upper, slope: l1 }
        };
        [left, right]
    }

    /// The piece along which F decreases from x, where the smooth function has the derivative g:
    /// `None` if x is where coordinate i has to be. Inside a piece that is the piece.
    pub fn piece(&self, i: usize, x: f64, g: f64) -> Option<Piece> {
        let [left, right] = self.sides(i, x);
        if g + left.slope > 0.0 {
            Some(left)
        } else if g + right.slope < 0.0 {
            Some(right)
        } else if x > left.from && x < left.to {
            Some(left) // the derivative is 0, and could be changed by others
        } else {
            None
        }
    }

    /// The subgradient of least magnitude of F in coordinate i.
    pub fn subgradient(&self, i: usize, x: f64, g: f64) -> f64 {
        let [left, right] = self.sides(i, x);
        if g + left.slope > 0.0 {
            g + left.slope
        } else if g + right.slope < 0.0 {
            g + right.slope
        } else {
            0.0
        }
    }

    /// The step that minimises `g d + l d^2 / 2 + h_i(x + d)`, for a curvature l above 0.
    pub fn step(&self, i: usize, x: f64, g: f64, l: f64) -> f64 {
        self.prox(i, x - g / l, 1.0 / l) - x
    }

    /// By how much that step decreases that model: piece by piece, without differences of values,
    /// whose rounding would be larger than what is left to gain near a minimum.
    pub fn progress(&self, i: usize, x: f64, g: f64, l: f64) -> f64 {
        let (mut x, mut g, mut total) = (x, g, 0.0);
        for _ in 0..2 {
            let s = self.subgradient(i, x, g);
            if s == 0.0 {
                break;
            }
            let Some(piece) = self.piece(i, x, g) else { break };
            let target = (x - s / l).clamp(piece.from, piece.to);
            let d = if target == piece.from || target == piece.to { target - x } else { -s / l };
            total -= d * (s + 0.5 * l * d);
            g += l * d;
            x = target;
        }
        total
    }

    /// `sup_x u x - h_i(x)`, and infinity if there is no bound to it.
    pub fn conjugate(&self, i: usize, u: f64) -> f64 {
        let (l1, lower, upper) = (self.l1.at(i), self.lower.at(i), self.upper.at(i));
        let end = |x: f64, slope: f64| {
            if x.is_finite() {
                u * x - l1 * x.abs()
            } else if slope > 0.0 {
                f64::INFINITY
            } else {
                f64::NEG_INFINITY // the supremum is not out there
            }
        };
        let ends = end(upper, u - l1).max(end(lower, -u - l1));
        if lower <= 0.0 && upper >= 0.0 { ends.max(0.0) } else { ends }
    }

    /// How much u may be multiplied, at most by 1, so that the conjugate stays finite.
    pub fn shrink(&self, i: usize, u: f64) -> f64 {
        let is_open = if u > 0.0 {
            self.upper.at(i) == f64::INFINITY
        } else {
            self.lower.at(i) == f64::NEG_INFINITY
        };
        if is_open && u.abs() > self.l1.at(i) { self.l1.at(i) / u.abs() } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn penalties() -> impl Strategy<Value = Penalty<'static>> {
        let lower = prop_oneof![Just(f64::NEG_INFINITY), -2.0..1.0f64, Just(0.0)];
        let upper = prop_oneof![Just(f64::INFINITY), 1.0..3.0f64];
        let l1 = prop_oneof![Just(0.0), 0.0..2.0f64];
        (l1, lower, upper).prop_map(|(l1, lower, upper)| Penalty {
            l1: PerCoordinate::Same(l1),
            lower: PerCoordinate::Same(lower),
            upper: PerCoordinate::Same(upper),
        })
    }

    /// F's change for a step of d in the model, infinite out of bounds.
    fn model(penalty: &Penalty<'_>, x: f64, g: f64, l: f64, d: f64) -> f64 {
        if (penalty.project(0, x + d) - (x + d)).abs() > 1e-12 {
            return f64::INFINITY;
        }
        g * d + 0.5 * l * d * d + penalty.value(0, x + d) - penalty.value(0, x)
    }

    proptest! {
        #[test]
        fn steps_minimise_their_model(
            p in penalties(), x in -3.0..3.0f64, at_zero: bool, g in -4.0..4.0f64, l in 0.1..5.0f64,
        ) {
            let x = p.project(0, if at_zero { 0.0 } else { x });
            let best = -p.progress(0, x, g, l);
            prop_assert!(best <= 0.0);
            let taken = model(&p, x, g, l, p.step(0, x, g, l));
            prop_assert!((taken - best).abs() < 1e-12, "{} {}", taken, best);
            for k in -200..=200 {
                prop_assert!(model(&p, x, g, l, f64::from(k) * 0.05) >= best - 1e-12);
            }
            // A subgradient of 0 is what no step can improve on, and says where to go otherwise.
            let s = p.subgradient(0, x, g);
            let small = 1e-7;
            if s == 0.0 {
                prop_assert!(model(&p, x, g, l, small) >= -1e-14);
                prop_assert!(model(&p, x, g, l, -small) >= -1e-14);
            } else {
                let piece = p.piece(0, x, g).unwrap();
                prop_assert!((piece.from..=piece.to).contains(&x) && piece.from < piece.to);
                prop_assert_eq!(g + piece.slope, s);
                prop_assert!(p.step(0, x, g, l) * s <= 0.0);
            }
        }

        #[test]
        fn conjugates_bound_every_point(p in penalties(), u in -4.0..4.0f64) {
            let u = u * p.shrink(0, u);
            let conjugate = p.conjugate(0, u * (1.0 - 1e-15));
            prop_assert!(conjugate.is_finite());
            let mut best = f64::NEG_INFINITY;
            for k in -300..=300 {
                let x = p.project(0, f64::from(k) * 0.01);
                best = best.max(u * x - p.value(0, x));
            }
            prop_assert!((conjugate - best).abs() < 0.05, "{} {}", conjugate, best);
        }
    }
}

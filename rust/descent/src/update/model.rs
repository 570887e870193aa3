//! The minimum of a block's quadratic model with a penalty,
//!
//! ```text
//! min over y of  g'(y - x) + (y - x)'H (y - x) / 2 + h(y) - h(x),
//! ```
//!
//! to rounding: sweeps of coordinate descent say which variables are inside their pieces of h, and
//! Newton steps go to the minimum over those pieces, leaving behind each variable that comes to an
//! end of its piece. A round never increases the model and ends at such a minimum, of which there
//! are finitely many; where the pieces are right from the start it takes one system (the paper's
//! code calls an interior-point solver here). Without a penalty it always does.

use crate::Penalty;
use crate::dense::Symmetric;
use crate::penalty::Piece;

/// Rounds of sweeps and a Newton step.
const ROUNDS: usize = 100;
/// Sweeps before a Newton step.
const SWEEPS: usize = 3;
/// What a variable may still gain, as a share of what the first step gained in its units.
const SETTLED: f64 = 1e-14;

/// The model of a block at x.
pub struct Model<'a> {
    /// The variables.
    pub block: &'a [u32],
    /// x of the block.
    pub x: &'a [f64],
    /// The gradient of the block.
    pub g: &'a [f64],
    /// The matrix.
    pub h: &'a Symmetric,
    /// The penalty.
    pub penalty: &'a Penalty<'a>,
}

impl Model<'_> {
    /// The minimiser y.
    pub fn minimise(&self) -> Vec<f64> {
        if self.penalty.is_none() {
            let mut d: Vec<f64> = self.g.iter().map(|g| -g).collect();
            self.h.solve(&mut d);
            return self.x.iter().zip(d).map(|(x, d)| x + d).collect();
        }
        let mut y = self.x.to_vec();
        let mut u = self.g.to_vec(); // the gradient of the model at y
        let scale = self.largest_violation(&y, &u);
        for _ in 0..ROUNDS {
            for _ in 0..SWEEPS {
                self.sweep(&mut y, &mut u);
            }
            self.newton(&mut y, &mut u);
            if self.largest_violation(&y, &u) <= SETTLED * scale {
                break;
            }
        }
        y
    }

    fn curvature(&self, p: usize) -> f64 {
        self.h.column(p)[p]
    }

    /// The largest step that a variable would take by itself, in units of the root of the model.
    fn largest_violation(&self, y: &[f64], u: &[f64]) -> f64 {
        let one = |p: usize| {
            let l = self.curvature(p);
            if l <= 0.0 {
                return 0.0;
            }
            self.penalty.step(self.block[p] as usize, y[p], u[p], l).abs() * l.sqrt()
        };
        (0..y.len()).map(one).fold(0.0, f64::max)
    }

    fn sweep(&self, y: &mut [f64], u: &mut [f64]) {
        for p in 0..y.len() {
            let (i, l) = (self.block[p] as usize, self.curvature(p));
            let target = if l > 0.0 {
                self.penalty.prox(i, y[p] - u[p] / l, 1.0 / l)
            } else if self.penalty.l1.at(i) > 0.0 {
                self.penalty.project(i, 0.0)
            } else {
                y[p]
            };
            self.move_to(p, target, y, u);
        }
    }

    fn move_to(&self, p: usize, target: f64, y: &mut [f64], u: &mut [f64]) {
        let d = target - y[p];
        if d != 0.0 {
            y[p] = target;
            u.iter_mut().zip(self.h.column(p)).for_each(|(u, h)| *u += d * h);
        }
    }

    /// Newton steps of the variables inside their pieces, to the minimum over the pieces. A step is
    /// cut where the first variable would leave its piece: that one lands on the end, exactly, and
    /// stays there.
    fn newton(&self, y: &mut [f64], u: &mut [f64]) {
        let piece = |p: usize| self.penalty.piece(self.block[p] as usize, y[p], u[p]);
        let is_inside = |p: usize, piece: &Piece| piece.from < y[p] && y[p] < piece.to;
        let (mut free, mut pieces): (Vec<usize>, Vec<Piece>) = (0..y.len())
            .filter(|p| self.curvature(*p) > 0.0)
            .filter_map(|p| piece(p).filter(|piece| is_inside(p, piece)).map(|piece| (p, piece)))
            .unzip();
        while !free.is_empty() {
            let mut d: Vec<f64> =
                free.iter().zip(&pieces).map(|(p, q)| -(u[*p] + q.slope)).collect();
            self.h.part(&free).solve(&mut d);
            let mut share = 1.0;
            let mut landing = None;
            for (k, (p, piece)) in free.iter().zip(&pieces).enumerate() {
                let end = if d[k] > 0.0 { piece.to } else { piece.from };
                let most = (end - y[*p]) / d[k];
                if d[k] != 0.0 && most < share {
                    share = most;
                    landing = Some((k, end));
                }
            }
            for (k, p) in free.iter().enumerate() {
                let target = match landing {
                    Some((landed, end)) if landed == k => end,
                    _ => y[*p] + share * d[k],
                };
                self.move_to(*p, target, y, u);
            }
            let Some((landed, _)) = landing else { break };
            free.remove(landed);
            pieces.remove(landed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::penalty::PerCoordinate;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_better(
            n in 1usize..6, rank in 1usize..8, entries in prop::collection::vec(-1.0..1.0f64, 64),
            g in prop::collection::vec(-2.0..2.0f64, 6), x in prop::collection::vec(-1.0..2.0f64, 6),
            l1 in prop_oneof![Just(0.0), 0.0..1.0f64], lower in prop_oneof![Just(f64::NEG_INFINITY), Just(0.0)],
            upper in prop_oneof![Just(f64::INFINITY), 0.5..2.0f64],
        ) {
            let mut h = Symmetric::default();
            h.clear(n);
            for i in 0..n {
                for j in 0..=i {
                    let dot: f64 = (0..rank).map(|r| entries[(r * 9 + i) % 64] * entries[(r * 9 + j) % 64]).sum();
                    h.set(i, j, dot + if i == j { 1e-3 } else { 0.0 });
                }
            }
            let block: Vec<u32> = (0..n as u32).collect();
            let penalty = Penalty {
                l1: PerCoordinate::Same(l1),
                lower: PerCoordinate::Same(lower),
                upper: PerCoordinate::Same(upper),
            };
            let x: Vec<f64> = (0..n).map(|i| penalty.project(i, x[i])).collect();
            let model = Model { block: &block, x: &x, g: &g[..n], h: &h, penalty: &penalty };
            let y = model.minimise();
            // The first-order conditions, in the units of each variable.
            for i in 0..n {
                let u = g[i] + h.column(i).iter().zip(&y).zip(&x).map(|((h, y), x)| h * (y - x)).sum::<f64>();
                prop_assert!(penalty.project(i, y[i]) == y[i]);
                let s = penalty.subgradient(i, y[i], u);
                prop_assert!(s.abs() < 1e-9, "{} {:?} {:?}", s, y, x);
            }
        }
    }
}

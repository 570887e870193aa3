//! Two-metric projection (Gafni and Bertsekas 1984): for penalties whose pieces are boxes.
//!
//! Each variable of the block is in one of three states:
//!
//! - *settled*: at a kink or a bound, and the derivative keeps it there;
//! - *bound*: its own gradient step would leave its piece of the penalty. It takes that step, as
//!   far as the end of the piece;
//! - *free*: these take the Newton step of the free variables.
//!
//! All are projected onto their pieces, along which a line search goes. Which variables are bound
//! is judged by their own steps (the paper's code: by `x_i < 1e-4`, in units of nothing). Once the
//! pieces are the right ones the step is Newton's, and converges as fast.

use sparrot_foundation::Error;

use super::gradient::Gradient;
use super::search::search;
use super::{Moved, Stand, Update};
use crate::dense::Symmetric;
use crate::penalty::Piece;

/// Systems of the free variables of a block.
pub trait Systems {
    /// Solves for the variables at these places of the block, in place.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the block is not of the kind needed; [`Error::Interrupted`].
    fn solve(
        &mut self,
        stand: &mut Stand<'_>,
        block: &[u32],
        free: &[usize],
        rhs: &mut [f64],
    ) -> Result<(), Error>;
}

/// Systems with the Hessian of the block, dense.
#[derive(Default)]
pub struct DenseSystems {
    h: Symmetric,
}

impl Systems for DenseSystems {
    fn solve(
        &mut self,
        stand: &mut Stand<'_>,
        block: &[u32],
        free: &[usize],
        rhs: &mut [f64],
    ) -> Result<(), Error> {
        let variables: Vec<u32> = free.iter().map(|p| block[*p]).collect();
        stand.problem.hessian(&variables, &mut self.h, stand.work)?;
        self.h.solve(rhs);
        Ok(())
    }
}

/// The update, with one way to solve its systems.
pub struct TwoMetric<S> {
    systems: S,
    /// Where no step along the pieces decreases F.
    otherwise: Gradient,
}

impl TwoMetric<DenseSystems> {
    /// With dense systems.
    pub fn dense() -> TwoMetric<DenseSystems> {
        TwoMetric::new(DenseSystems::default())
    }
}

impl<S> TwoMetric<S> {
    /// With these systems.
    pub fn new(systems: S) -> TwoMetric<S> {
        TwoMetric { systems, otherwise: Gradient::default() }
    }
}

/// A variable that moves: where it is, along which piece, and by how much at a full step.
struct Mover {
    x: f64,
    piece: Piece,
    d: f64,
}

impl<S: Systems> Update for TwoMetric<S> {
    fn apply(
        &mut self,
        stand: &mut Stand<'_>,
        block: &mut Vec<u32>,
        number: Option<usize>,
    ) -> Result<Moved, Error> {
        let g = stand.gradient(block);
        let mut movers: Vec<Option<Mover>> = Vec::with_capacity(block.len());
        let mut free = Vec::new();
        let mut rhs = Vec::new();
        let mut slope = 0.0;
        for (p, i) in block.iter().map(|i| *i as usize).enumerate() {
            let (x, l) = (stand.x[i], stand.problem.lipschitz()[i]);
            let mover = stand.penalty.piece(i, x, g[p]).filter(|_| l > 0.0).map(|piece| {
                let s = g[p] + piece.slope;
                let target = x - s / l;
                let is_free = piece.from < target && target < piece.to;
                if is_free {
                    free.push(p);
                    rhs.push(-s);
                } else {
                    slope -= s * (x - target.clamp(piece.from, piece.to));
                }
                Mover { x, piece, d: target.clamp(piece.from, piece.to) - x }
            });
            movers.push(mover);
        }
        let s: Vec<f64> = rhs.iter().map(|r| -r).collect();
        self.systems.solve(stand, block, &free, &mut rhs)?;
        for ((p, d), s) in free.iter().zip(&rhs).zip(&s) {
            slope += s * d;
            if let Some(mover) = &mut movers[*p] {
                mover.d = *d;
            }
        }
        if movers.iter().all(Option::is_none) || slope.is_nan() || slope >= 0.0 {
            return self.otherwise.apply(stand, block, number);
        }
        let start: Vec<f64> = block.iter().map(|i| stand.x[*i as usize]).collect();
        let along = |alpha: f64| -> Vec<f64> {
            let one = |(mover, x): (&Option<Mover>, &f64)| match mover {
                Some(m) => (m.x + alpha * m.d).clamp(m.piece.from, m.piece.to),
                None => *x,
            };
            movers.iter().zip(&start).map(one).collect()
        };
        let found = search(slope, |alpha| stand.try_move(block, &along(alpha)))?;
        match found {
            Some((alpha, change)) => stand.take(block, &along(alpha), change),
            None => self.otherwise.apply(stand, block, number),
        }
    }
}

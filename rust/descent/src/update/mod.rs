//! What is done with a block (arXiv 1712.08859, sections 4 and 5).
//!
//! | file | what is in it |
//! |---|---|
//! | [`gradient`] | gradient steps: with the block's Lipschitz constant, or by backtracking |
//! | [`matrix`] | steps that minimise a quadratic model: with the bound, by Newton, exactly |
//! | [`model`] | the minimum of such a model with a penalty |
//! | [`two_metric`] | Newton on the free variables and a gradient step on the others, projected |
//! | [`message`] | quadratics on forests: message passing |
//! | [`search`] | the line search |
//!
//! An update of your own implements [`Update`].

pub mod gradient;
pub mod matrix;
pub mod message;
pub mod model;
pub mod search;
pub mod two_metric;

use sparrot_foundation::Error;

use crate::Penalty;
use crate::problem::{Changed, Smooth, Work};

/// A solver's place: the function, x, and what the last step changed.
pub struct Stand<'a> {
    /// The smooth function, placed at x.
    pub problem: &'a mut dyn Smooth,
    /// The point.
    pub x: &'a mut [f64],
    /// The penalty.
    pub penalty: &'a Penalty<'a>,
    /// Who works.
    pub work: Work<'a>,
    /// Where the gradient has changed.
    pub listed: &'a mut Vec<u32>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moved {
    /// The change of the objective, at most 0 up to rounding; 0 if x did not move.
    pub change: f64,
    /// What changed of the gradient.
    pub changed: Changed,
}

impl Moved {
    /// Nothing.
    pub const NOT: Moved = Moved { change: 0.0, changed: Changed::Listed };
}

/// Updates blocks.
pub trait Update {
    /// Updates a block, which has this number if it belongs to a partition. The block may be
    /// reordered.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::InvalidInput`] if the block is not of the kind needed, and
    /// what the problem raises.
    fn apply(
        &mut self,
        stand: &mut Stand<'_>,
        block: &mut Vec<u32>,
        number: Option<usize>,
    ) -> Result<Moved, Error>;
}

impl Stand<'_> {
    /// The gradient of a block.
    pub fn gradient(&self, block: &[u32]) -> Vec<f64> {
        let mut g = vec![0.0; block.len()];
        self.problem.block_gradient(block, &mut g);
        g
    }

    /// By how much the penalty changes when the block moves to y.
    fn penalty_change(&self, block: &[u32], y: &[f64]) -> f64 {
        let one = |(i, y): (&u32, &f64)| {
            let i = *i as usize;
            self.penalty.change(i, self.x[i], *y)
        };
        block.iter().zip(y).map(one).sum()
    }

    /// By how much the objective changes when the block moves to y.
    ///
    /// # Errors
    /// What the problem raises.
    pub fn try_move(&mut self, block: &[u32], y: &[f64]) -> Result<f64, Error> {
        let d: Vec<f64> = block.iter().zip(y).map(|(i, y)| y - self.x[*i as usize]).collect();
        let smooth = self.problem.try_step(block, &d)?;
        Ok(smooth + self.penalty_change(block, y))
    }

    /// Moves the block to y, which was the last move tried.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what the problem raises.
    pub fn take(&mut self, block: &[u32], y: &[f64], change: f64) -> Result<Moved, Error> {
        let is_move = block.iter().zip(y).any(|(i, y)| self.x[*i as usize] != *y);
        if !is_move {
            return Ok(Moved::NOT);
        }
        for (i, y) in block.iter().zip(y) {
            self.x[*i as usize] = *y;
        }
        let changed = self.problem.accept(self.listed, self.work)?;
        Ok(Moved { change, changed })
    }

    /// Moves the block to y.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what the problem raises.
    pub fn go(&mut self, block: &[u32], y: &[f64]) -> Result<Moved, Error> {
        let change = self.try_move(block, y)?;
        self.take(block, y, change)
    }
}

/// The updates of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateRule {
    /// A proximal gradient step with the largest eigenvalue of the bound's block.
    Gradient,
    /// A proximal gradient step whose constant is found by doubling.
    Backtracking,
    /// The minimum of the model with the Hessian's bound, which needs no line search.
    Matrix,
    /// The minimum of the model with the Hessian, and a line search.
    Newton,
    /// Newton steps until the block is where it has to be.
    Exact,
    /// Two-metric projection.
    TwoMetric,
    /// The exact minimum of a quadratic on a forest; with a penalty, two-metric projection whose
    /// systems are solved that way.
    MessagePassing,
}

/// The update of a name, for a problem of n variables.
pub fn update(rule: UpdateRule, n: usize) -> Box<dyn Update> {
    match rule {
        UpdateRule::Gradient => Box::new(gradient::Gradient::default()),
        UpdateRule::Backtracking => Box::new(gradient::Backtracking::default()),
        UpdateRule::Matrix => Box::new(matrix::Matrix::default()),
        UpdateRule::Newton => Box::new(matrix::Newton::default()),
        UpdateRule::Exact => Box::new(matrix::Exact::default()),
        UpdateRule::TwoMetric => Box::new(two_metric::TwoMetric::dense()),
        UpdateRule::MessagePassing => Box::new(message::MessagePassing::new(n)),
    }
}

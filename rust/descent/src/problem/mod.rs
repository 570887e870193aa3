//! The protocol of a problem: what rules and updates ask of a smooth convex function.
//!
//! | file | what is in it |
//! |---|---|
//! | [`loss`] | least squares, logistic and multinomial losses |
//! | [`linear`] | `f(x) = sum_j loss_j((A x)_j)` |
//! | [`quadratic`] | `f(x) = x'A x / 2 - b'x`, A sparse |
//!
//! A problem of your own implements [`Smooth`], or [`loss::Loss`] if it is a linear model.

pub mod linear;
pub mod loss;
pub mod quadratic;

use sparrot_foundation::{Error, Stop, Team};
use sparrot_sparse::Compressed;

use crate::dense::Symmetric;

pub use linear::Linear;
pub use quadratic::Quadratic;

/// Who does the work, and whether it goes on.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// The threads.
    pub team: &'a Team,
    /// The stop token.
    pub stop: &'a Stop<'a>,
}

/// What a step changed of the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Anything.
    All,
    /// The coordinates that were listed, and no other.
    Listed,
}

/// A smooth convex function of `size` variables, and the point x that a solver stands on.
///
/// Moves are made in two calls: [`Smooth::try_step`] says what a step would do, and
/// [`Smooth::accept`] takes the last one tried.
pub trait Smooth {
    /// The number of variables.
    fn size(&self) -> usize;

    /// L: for each variable, an upper bound of the second derivative along it. 0 if f does not
    /// depend on the variable.
    fn lipschitz(&self) -> &[f64];

    /// `sum_j |H_ij|`, or an upper bound, for each i, of the fixed bound H of the Hessian.
    fn row_sums(&self) -> Vec<f64>;

    /// The block of H, the fixed upper bound of the Hessian.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn bound(&self, block: &[u32], out: &mut Symmetric, work: Work<'_>) -> Result<(), Error>;

    /// The block of the Hessian at x.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what a loss of the user's raises.
    fn hessian(&mut self, block: &[u32], out: &mut Symmetric, work: Work<'_>) -> Result<(), Error>;

    /// `out = H d`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn bound_product(&self, d: &[f64], out: &mut [f64], work: Work<'_>) -> Result<(), Error>;

    /// Moves to x, and computes everything afresh; from here on the gradient is kept if
    /// `keeps_gradient`.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what a loss of the user's raises.
    fn place(&mut self, x: &[f64], keeps_gradient: bool, work: Work<'_>) -> Result<(), Error>;

    /// f at x.
    fn value(&self) -> f64;

    /// The gradient at x: kept, or computed.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn gradient(&mut self, work: Work<'_>) -> Result<&[f64], Error>;

    /// The gradient of a block at x.
    fn block_gradient(&self, block: &[u32], out: &mut [f64]);

    /// `f(x + d) - f(x)` for a step of a block.
    ///
    /// # Errors
    /// What a loss of the user's raises.
    fn try_step(&mut self, block: &[u32], d: &[f64]) -> Result<f64, Error>;

    /// Takes the last step tried. If the gradient is kept, lists in `changed` where it changes, or
    /// returns [`Changed::All`].
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what a loss of the user's raises.
    fn accept(&mut self, changed: &mut Vec<u32>, work: Work<'_>) -> Result<Changed, Error>;

    /// What a full gradient costs, in multiplications.
    fn pass_cost(&self) -> usize;

    /// The sparse matrix of a quadratic, whose graph forests are sought in.
    fn graph(&self) -> Option<Compressed<'_, f64>> {
        None
    }

    /// A lower bound of `min F`, for the penalty, from the dual point that x suggests: `gradient`
    /// is f's at x. `None` if there is none to be had cheaply.
    fn dual_bound(&self, _penalty: &crate::Penalty<'_>, _gradient: &[f64]) -> Option<f64> {
        None
    }
}

/// A sum with what rounding has lost of it, so that thousands of small changes add up.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    total: f64,
    lost: f64,
}

impl Sum {
    /// Starts with a value.
    pub fn new(value: f64) -> Sum {
        Sum { total: value, lost: 0.0 }
    }

    /// Adds to it.
    pub fn add(&mut self, x: f64) {
        let total = self.total + x;
        let rounded = total - self.total;
        self.lost += (self.total - (total - rounded)) + (x - rounded);
        self.total = total;
    }

    /// The sum.
    pub fn get(&self) -> f64 {
        self.total + self.lost
    }
}

//! Which block comes next (arXiv 1712.08859, section 3).
//!
//! | file | what is in it |
//! |---|---|
//! | [`score`] | how much a variable promises: GS, GSL, GSD, GSQ with penalties |
//! | [`fixed`] | rules that choose one of the blocks of a partition |
//! | [`variable`] | rules that find any `block_size` variables |
//! | [`hard_threshold`] | GSQ on free blocks, by iterative hard thresholding |
//! | [`forests`] | rules that find a forest |
//!
//! A rule of your own implements [`Rule`].

pub mod fixed;
pub mod forests;
pub mod hard_threshold;
pub mod score;
pub mod variable;

use sparrot_foundation::Error;

use crate::Penalty;
use crate::partition::Partition;
use crate::problem::{Changed, Smooth, Work};

/// What a rule looks at: the function, the point, and the penalty.
pub struct At<'a> {
    /// The smooth function, placed at x.
    pub problem: &'a mut dyn Smooth,
    /// The point.
    pub x: &'a [f64],
    /// The penalty.
    pub penalty: &'a Penalty<'a>,
    /// Who works.
    pub work: Work<'a>,
}

/// Chooses blocks.
pub trait Rule {
    /// Whether it reads the whole gradient.
    fn needs_gradient(&self) -> bool;

    /// The next block, into `block`; its number if it belongs to a partition.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what the problem raises.
    fn choose(&mut self, at: &mut At<'_>, block: &mut Vec<u32>) -> Result<Option<usize>, Error>;

    /// Told after each step what changed: x in the block, and of the gradient what is said.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what the problem raises.
    fn stepped(
        &mut self,
        _at: &mut At<'_>,
        _block: &[u32],
        _changed: Changed,
        _listed: &[u32],
    ) -> Result<(), Error> {
        Ok(())
    }
}

/// The rules of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Uniformly at random.
    Random,
    /// In turn; free blocks run through a new random permutation each time around.
    Cyclic,
    /// At random, with probabilities proportional to Lipschitz constants.
    Lipschitz,
    /// Gauss-Southwell: the largest gradient, in the L1 norm of the block.
    Gs,
    /// The gradient over the root of the block's Lipschitz constant; on free blocks, whose constant
    /// is not known, over the roots of the row sums of the Hessian's bound.
    Gsl,
    /// The gradient over the roots of the variables' own constants: a diagonal bound.
    Gsd,
    /// The largest progress that the Hessian's bound guarantees; with a penalty, the sum of what
    /// the variables promise by themselves.
    Gsq,
}

/// The rule for a partition.
///
/// # Errors
/// [`Error::InvalidInput`] if the two do not go together; [`Error::Interrupted`].
pub fn rule(
    selection: Selection,
    partition: &Partition,
    block_size: usize,
    seed: u64,
    at: &mut At<'_>,
) -> Result<Box<dyn Rule>, Error> {
    if let Some(blocks) = partition.blocks(at.problem, block_size)? {
        return Ok(Box::new(fixed::Fixed::new(selection, blocks, seed, at)?));
    }
    if *partition == Partition::Forest {
        return Ok(Box::new(forests::Forests::new(selection, seed, at)?));
    }
    if selection == Selection::Gsq && at.penalty.is_none() {
        return Ok(Box::new(hard_threshold::HardThreshold::new(block_size, at)));
    }
    Ok(Box::new(variable::Variable::new(selection, block_size, seed, at)))
}

//! Rules that find any `block_size` variables.

use sparrot_foundation::Error;
use sparrot_foundation::random::Stream;

use super::score::Score;
use super::{At, Rule, Selection};
use crate::problem::Changed;
use crate::sum_tree::SumTree;
use crate::tournament::Tournament;

/// Free blocks.
pub struct Variable {
    size: usize,
    random: Stream,
    how: How,
}

enum How {
    Random(Vec<u32>),
    /// A permutation, and how much of it is used.
    Cyclic(Vec<u32>, usize),
    Lipschitz(SumTree),
    Greedy {
        score: Score,
        tree: Tournament,
        is_built: bool,
    },
}

impl Variable {
    /// A rule for blocks of `size` variables.
    pub fn new(selection: Selection, size: usize, seed: u64, at: &mut At<'_>) -> Variable {
        let n = at.problem.size();
        let how = match selection {
            Selection::Random => How::Random((0..n as u32).collect()),
            Selection::Cyclic => How::Cyclic((0..n as u32).collect(), n),
            Selection::Lipschitz => How::Lipschitz(SumTree::new(at.problem.lipschitz())),
            greedy => How::Greedy {
                score: Score::new(greedy, at.problem),
                tree: Tournament::new(n),
                is_built: false,
            },
        };
        Variable { size: size.min(n), random: Stream::new(seed), how }
    }
}

impl Rule for Variable {
    fn needs_gradient(&self) -> bool {
        matches!(self.how, How::Greedy { .. })
    }

    fn choose(&mut self, at: &mut At<'_>, block: &mut Vec<u32>) -> Result<Option<usize>, Error> {
        let Variable { size, random, how } = self;
        match how {
            How::Random(variables) => {
                random.shuffle_first(variables, *size);
                block.clear();
                block.extend_from_slice(&variables[..*size]);
            }
            How::Cyclic(variables, used) => {
                if *used >= variables.len() {
                    let n = variables.len();
                    random.shuffle_first(variables, n);
                    *used = 0;
                }
                let end = (*used + *size).min(variables.len());
                block.clear();
                block.extend_from_slice(&variables[*used..end]);
                *used = end;
            }
            How::Lipschitz(tree) => tree.draw_distinct(*size, random, block),
            How::Greedy { score, tree, is_built } => {
                if !*is_built {
                    let (x, penalty) = (at.x, at.penalty);
                    let gradient = at.problem.gradient(at.work)?;
                    tree.rebuild(|i| score.of(i, x[i], gradient[i], penalty), x.len());
                    *is_built = true;
                }
                tree.top(*size, block);
            }
        }
        Ok(None)
    }

    fn stepped(
        &mut self,
        at: &mut At<'_>,
        block: &[u32],
        changed: Changed,
        listed: &[u32],
    ) -> Result<(), Error> {
        let How::Greedy { score, tree, is_built } = &mut self.how else { return Ok(()) };
        // Building costs about as much as setting one in four, each with its path to the root.
        if changed == Changed::All || 4 * listed.len() > at.x.len() {
            *is_built = false;
            return Ok(());
        }
        let (x, penalty) = (at.x, at.penalty);
        let gradient = at.problem.gradient(at.work)?;
        for i in block.iter().chain(listed).map(|i| *i as usize) {
            tree.set(i, score.of(i, x[i], gradient[i], penalty));
        }
        Ok(())
    }
}

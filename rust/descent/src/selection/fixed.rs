//! Rules that choose one of the blocks of a partition.
//!
//! | rule | score of block b |
//! |---|---|
//! | GS, GSD, GSQ with a penalty | the sum of the variables' scores |
//! | GSL | the sum of `abs(s_i)`, over the root of the largest eigenvalue of `H_bb` |
//! | GSQ | `sqrt(g_b' H_bb^-1 g_b)` |
//!
//! Scores follow the gradient: those of blocks in which nothing changed are kept.

use sparrot_foundation::Error;
use sparrot_foundation::random::Stream;

use super::score::Score;
use super::{At, Rule, Selection};
use crate::dense::Symmetric;
use crate::partition::Blocks;
use crate::problem::Changed;
use crate::sum_tree::SumTree;
use crate::tournament::Tournament;

/// A partition and a rule.
pub struct Fixed {
    blocks: Vec<Vec<u32>>,
    random: Stream,
    how: How,
}

enum How {
    Random,
    /// The next one.
    Cyclic(usize),
    Lipschitz(SumTree),
    Greedy(Greedy),
}

struct Greedy {
    measure: Measure,
    block_of: Vec<u32>,
    tree: Tournament,
    is_built: bool,
    /// Blocks whose score has to be computed again.
    stale: Vec<u32>,
    is_stale: Vec<bool>,
}

enum Measure {
    /// Sums of scores, times a weight of each block.
    Sums(Score, Vec<f64>),
    /// Quadratic forms with these inverses.
    Forms(Vec<Symmetric>),
}

impl Fixed {
    /// A rule on these blocks.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(
        selection: Selection,
        blocks: Blocks,
        seed: u64,
        at: &mut At<'_>,
    ) -> Result<Fixed, Error> {
        let blocks = blocks.0;
        let how = match selection {
            Selection::Random => How::Random,
            Selection::Cyclic => How::Cyclic(0),
            Selection::Lipschitz => How::Lipschitz(SumTree::new(&block_constants(&blocks, at)?)),
            greedy => How::Greedy(Greedy::new(greedy, &blocks, at)?),
        };
        Ok(Fixed { blocks, random: Stream::new(seed), how })
    }
}

/// The largest eigenvalue of the bound of each block.
fn block_constants(blocks: &[Vec<u32>], at: &At<'_>) -> Result<Vec<f64>, Error> {
    let mut bound = Symmetric::default();
    let constant = |block: &Vec<u32>| {
        at.problem.bound(block, &mut bound, at.work)?;
        Ok(bound.largest_eigenvalue())
    };
    blocks.iter().map(constant).collect()
}

impl Greedy {
    fn new(selection: Selection, blocks: &[Vec<u32>], at: &mut At<'_>) -> Result<Greedy, Error> {
        let measure = match selection {
            Selection::Gsl => {
                let weight = |l: f64| if l > 0.0 { 1.0 / l.sqrt() } else { 0.0 };
                let constants = block_constants(blocks, at)?;
                let weights = constants.into_iter().map(weight).collect();
                Measure::Sums(Score::new(Selection::Gs, at.problem), weights)
            }
            Selection::Gsq if at.penalty.is_none() => {
                let mut bound = Symmetric::default();
                let inverse = |block: &Vec<u32>| {
                    at.problem.bound(block, &mut bound, at.work)?;
                    Ok(bound.inverse())
                };
                Measure::Forms(blocks.iter().map(inverse).collect::<Result<_, Error>>()?)
            }
            other => Measure::Sums(Score::new(other, at.problem), vec![1.0; blocks.len()]),
        };
        let mut block_of = vec![0; at.x.len()];
        for (q, block) in blocks.iter().enumerate() {
            block.iter().for_each(|i| block_of[*i as usize] = q as u32);
        }
        Ok(Greedy {
            measure,
            block_of,
            tree: Tournament::new(blocks.len()),
            is_built: false,
            stale: vec![],
            is_stale: vec![false; blocks.len()],
        })
    }

    fn choose(&mut self, blocks: &[Vec<u32>], at: &mut At<'_>) -> Result<usize, Error> {
        let Greedy { measure, tree, is_built, stale, is_stale, .. } = self;
        let (x, penalty, measure) = (at.x, at.penalty, &*measure);
        let gradient = at.problem.gradient(at.work)?;
        let score = |q: usize| match measure {
            Measure::Sums(score, weights) => {
                let one = |i: usize| score.of(i, x[i], gradient[i], penalty);
                weights[q] * blocks[q].iter().map(|i| one(*i as usize)).sum::<f64>()
            }
            Measure::Forms(inverses) => {
                let g: Vec<f64> = blocks[q].iter().map(|i| gradient[*i as usize]).collect();
                inverses[q].form(&g)
            }
        };
        if *is_built {
            for q in stale.iter() {
                tree.set(*q as usize, score(*q as usize));
            }
        } else {
            tree.rebuild(score, blocks.len());
            *is_built = true;
        }
        for q in stale.drain(..) {
            is_stale[q as usize] = false;
        }
        let mut best = Vec::with_capacity(1);
        tree.top(1, &mut best);
        Ok(best[0] as usize)
    }
}

impl Rule for Fixed {
    fn needs_gradient(&self) -> bool {
        matches!(self.how, How::Greedy(_))
    }

    fn choose(&mut self, at: &mut At<'_>, block: &mut Vec<u32>) -> Result<Option<usize>, Error> {
        let count = self.blocks.len();
        let chosen = match &mut self.how {
            How::Random => self.random.below(count),
            How::Cyclic(next) => {
                let chosen = *next % count;
                *next = chosen + 1;
                chosen
            }
            How::Lipschitz(tree) => tree.draw(&mut self.random).unwrap_or(0),
            How::Greedy(greedy) => greedy.choose(&self.blocks, at)?,
        };
        block.clone_from(&self.blocks[chosen]);
        Ok(Some(chosen))
    }

    fn stepped(
        &mut self,
        _at: &mut At<'_>,
        block: &[u32],
        changed: Changed,
        listed: &[u32],
    ) -> Result<(), Error> {
        let How::Greedy(greedy) = &mut self.how else { return Ok(()) };
        if changed == Changed::All {
            greedy.is_built = false;
            return Ok(());
        }
        for i in block.iter().chain(listed) {
            let q = greedy.block_of[*i as usize];
            if !greedy.is_stale[q as usize] {
                greedy.is_stale[q as usize] = true;
                greedy.stale.push(q);
            }
        }
        Ok(())
    }
}

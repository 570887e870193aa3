//! Message passing: the exact minimum of a quadratic over a block whose graph is a forest
//! (arXiv 1712.08859, section 5.1), in time linear in the block.
//!
//! The factors of a partition's blocks are computed once. With a penalty, where no factorisation
//! solves the problem, the variables that are free to move are a forest again, and two-metric
//! projection solves their systems the same way.

use std::collections::HashMap;

use sparrot_foundation::Error;
use sparrot_sparse::elimination::{Elimination, NoElimination, Places};

use super::two_metric::{Systems, TwoMetric};
use super::{Moved, Stand, Update};
use crate::partition::graph;

/// The update.
pub struct MessagePassing {
    places: Places,
    /// Of the blocks of a partition, by number.
    factors: HashMap<usize, Elimination>,
    /// With a penalty.
    projected: TwoMetric<ForestSystems>,
}

struct ForestSystems {
    places: Places,
}

impl MessagePassing {
    /// For problems of n variables.
    pub fn new(n: usize) -> MessagePassing {
        MessagePassing {
            places: Places::new(n),
            factors: HashMap::new(),
            projected: TwoMetric::new(ForestSystems { places: Places::new(n) }),
        }
    }
}

fn factor(stand: &Stand<'_>, block: &[u32], places: &mut Places) -> Result<Elimination, Error> {
    Elimination::new(graph(stand.problem)?, block, places).map_err(|why| match why {
        NoElimination::Cycle(node) => {
            let what = format!("a block has a cycle through variable {node}: message passing ");
            Error::invalid("partition", what + "needs forests ('forest', 'trees', 'red-black')")
        }
        NoElimination::NotPositive(node) => {
            let what = format!("the matrix is not positive definite: variable {node} can be ");
            Error::invalid("A", what + "eliminated only with a pivot that is not above 0")
        }
    })
}

impl Update for MessagePassing {
    fn apply(
        &mut self,
        stand: &mut Stand<'_>,
        block: &mut Vec<u32>,
        number: Option<usize>,
    ) -> Result<Moved, Error> {
        if !stand.penalty.is_none() {
            return self.projected.apply(stand, block, number);
        }
        let fresh;
        let elimination = match number {
            None => {
                fresh = factor(stand, block, &mut self.places)?;
                &fresh
            }
            Some(number) => {
                if !self.factors.contains_key(&number) {
                    let new = factor(stand, block, &mut self.places)?;
                    self.factors.insert(number, new);
                }
                &self.factors[&number]
            }
        };
        block.copy_from_slice(elimination.nodes());
        let mut y = stand.gradient(block);
        y.iter_mut().for_each(|g| *g = -*g);
        elimination.solve(&mut y);
        for (y, i) in y.iter_mut().zip(block.iter()) {
            *y += stand.x[*i as usize];
        }
        stand.go(block, &y)
    }
}

impl Systems for ForestSystems {
    fn solve(
        &mut self,
        stand: &mut Stand<'_>,
        block: &[u32],
        free: &[usize],
        rhs: &mut [f64],
    ) -> Result<(), Error> {
        let variables: Vec<u32> = free.iter().map(|p| block[*p]).collect();
        let elimination = factor(stand, &variables, &mut self.places)?;
        // Into the order of elimination, and back.
        let mut order: Vec<(u32, usize)> = variables.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let place = |node: &u32| {
            let found = order.binary_search_by_key(node, |(variable, _)| *variable);
            found.map_or(0, |at| order[at].1)
        };
        let places: Vec<usize> = elimination.nodes().iter().map(place).collect();
        let mut x: Vec<f64> = places.iter().map(|p| rhs[*p]).collect();
        elimination.solve(&mut x);
        for (p, x) in places.iter().zip(x) {
            rhs[*p] = x;
        }
        Ok(())
    }
}

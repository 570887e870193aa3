//! Which blocks there are (arXiv 1712.08859, sections 2.1 and 5.2).

use sparrot_foundation::Error;
use sparrot_sparse::{Compressed, colouring, forest};

use crate::problem::Smooth;

/// Which blocks there are.
#[derive(Clone, Debug, PartialEq)]
pub enum Partition {
    /// Consecutive runs of the variables.
    Order,
    /// Runs of the variables sorted by Lipschitz constant: equal ones sit together.
    Sorted,
    /// Runs of the variables taken alternately from the smallest and the largest constants.
    Averaged,
    /// As `Sorted`, by the row sums of the Hessian's bound.
    RowSumSorted,
    /// As `Averaged`, by the row sums of the Hessian's bound.
    RowSumAveraged,
    /// Forests of the graph: each variable, by decreasing constant, in the first that it keeps one.
    Trees,
    /// Colours of the graph: no edge joins two variables of a block.
    RedBlack,
    /// These.
    Given(Vec<Vec<u32>>),
    /// Any `block_size` variables: the rule finds them.
    Variable,
    /// Any forest of the graph: the rule finds a maximal one.
    Forest,
}

/// Disjoint blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocks(pub Vec<Vec<u32>>);

impl Partition {
    /// The blocks; `None` where the rule is free to choose.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the partition needs a graph and the problem has none.
    pub fn blocks(&self, problem: &dyn Smooth, size: usize) -> Result<Option<Blocks>, Error> {
        let lipschitz = problem.lipschitz();
        let runs =
            |order: Vec<u32>| Some(Blocks(order.chunks(size).map(<[u32]>::to_vec).collect()));
        Ok(match self {
            Partition::Order => runs((0..problem.size() as u32).collect()),
            Partition::Sorted => runs(ascending(lipschitz)),
            Partition::Averaged => runs(alternate(&ascending(lipschitz))),
            Partition::RowSumSorted => runs(ascending(&problem.row_sums())),
            Partition::RowSumAveraged => runs(alternate(&ascending(&problem.row_sums()))),
            Partition::Trees => {
                let order = ascending(lipschitz).into_iter().rev();
                Some(Blocks(forest::partition(graph(problem)?, order)))
            }
            Partition::RedBlack => {
                let order = ascending(lipschitz).into_iter().rev();
                Some(Blocks(colouring::greedy(graph(problem)?, order)))
            }
            Partition::Given(blocks) => Some(Blocks(blocks.clone())),
            Partition::Variable | Partition::Forest => None,
        })
    }
}

/// The graph of a quadratic.
///
/// # Errors
/// [`Error::InvalidInput`] for other problems.
pub fn graph(problem: &dyn Smooth) -> Result<Compressed<'_, f64>, Error> {
    let missing =
        "forests and colours need a problem with a graph, a quadratic with a sparse matrix";
    problem.graph().ok_or_else(|| Error::invalid("partition", missing))
}

/// The variables by increasing value; of equals the first first.
fn ascending(values: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_by(|i, j| values[*i as usize].total_cmp(&values[*j as usize]));
    order
}

/// Alternately from the front and from the back.
fn alternate(order: &[u32]) -> Vec<u32> {
    let (front, back) = (order.iter(), order.iter().rev());
    front.zip(back).flat_map(|(f, b)| [*f, *b]).take(order.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_by_value() {
        assert_eq!(ascending(&[3.0, 1.0, 2.0, 1.0]), [1, 3, 2, 0]);
        assert_eq!(alternate(&[5, 6, 7, 8]), [5, 8, 6, 7]);
        assert_eq!(alternate(&[5, 6, 7]), [5, 7, 6]);
        assert_eq!(alternate(&[]), [0u32; 0]);
    }
}

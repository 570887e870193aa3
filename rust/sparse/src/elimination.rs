//! Message passing: systems `A_bb x = r` whose graph is a forest, in linear time.
//!
//! With the nodes in an order from the roots to the leaves (breadth first), and p the parent of i,
//!
//! ```text
//! leaves to roots:  d_i = A_ii - sum over children c of A_ci^2 / d_c,   r_i -= (A_ci / d_c) r_c
//! roots to leaves:  x_i = r_i / d_i - (A_ip / d_i) x_p
//! ```
//!
//! (arXiv 1712.08859, section 5.1: Gaussian belief propagation, exact on forests.) Pivots and
//! multipliers do not depend on r and are kept: a second system costs two sweeps, O(b), no fill.

use sparrot_foundation::Scalar;

use crate::Compressed;

/// Of no node.
const NONE: u32 = u32::MAX;

/// The factor of a matrix whose graph is a forest.
#[derive(Clone, Debug)]
pub struct Elimination {
    /// The nodes, from the roots to the leaves.
    nodes: Vec<u32>,
    /// The place of the parent of each in `nodes`; [`NONE`] for roots.
    parents: Vec<u32>,
    /// d, in the order of `nodes`.
    pivots: Vec<f64>,
    /// `A_ip / d_i`; 0 for roots.
    multipliers: Vec<f64>,
}

/// Why there is no factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoElimination {
    /// The nodes have a cycle through this one.
    Cycle(u32),
    /// The matrix is not positive definite: the pivot of this node is not above 0.
    NotPositive(u32),
}

/// Which nodes of a matrix are in the block at hand, and where: memory that blocks share.
#[derive(Clone, Debug)]
pub struct Places(Vec<u32>);

impl Places {
    /// For blocks of the nodes `0..n`.
    pub fn new(n: usize) -> Places {
        Places(vec![NONE; n])
    }
}

impl Elimination {
    /// The factor of the block of a symmetric matrix that these distinct nodes form.
    ///
    /// # Errors
    /// See [`NoElimination`].
    pub fn new<T: Scalar>(
        matrix: Compressed<'_, T>,
        block: &[u32],
        places: &mut Places,
    ) -> Result<Elimination, NoElimination> {
        let built = build(matrix, block, &mut places.0);
        for node in block {
            places.0[*node as usize] = NONE;
        }
        built
    }

    /// The nodes in the order that [`Elimination::solve`] has its values in.
    pub fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// Solves for a right-hand side, in place; values in the order of [`Elimination::nodes`].
    pub fn solve(&self, x: &mut [f64]) {
        self.solve_many(x, 1);
    }

    /// Solves for `k` right-hand sides side by side: `x[i * k..(i + 1) * k]` belong to node i.
    pub fn solve_many(&self, x: &mut [f64], k: usize) {
        for i in (0..self.nodes.len()).rev().filter(|i| self.parents[*i] != NONE) {
            let p = self.parents[i] as usize; // before i: parents come first
            let (before, from) = x.split_at_mut(i * k);
            for (up, down) in before[p * k..(p + 1) * k].iter_mut().zip(&from[..k]) {
                *up -= self.multipliers[i] * down;
            }
        }
        for i in 0..self.nodes.len() {
            let (before, from) = x.split_at_mut(i * k);
            let here = &mut from[..k];
            here.iter_mut().for_each(|x| *x /= self.pivots[i]);
            if self.parents[i] != NONE {
                let p = self.parents[i] as usize;
                for (x, above) in here.iter_mut().zip(&before[p * k..(p + 1) * k]) {
                    *x -= self.multipliers[i] * above;
                }
            }
        }
    }
}

fn build<T: Scalar>(
    matrix: Compressed<'_, T>,
    block: &[u32],
    places: &mut [u32],
) -> Result<Elimination, NoElimination> {
    const UNSEEN: u32 = u32::MAX - 1; // in the block, not reached yet
    for node in block {
        places[*node as usize] = UNSEEN;
    }
    let (mut nodes, mut parents) = (Vec::with_capacity(block.len()), vec![]);
    let (mut pivots, mut multipliers) = (vec![], vec![]);
    for root in block {
        if places[*root as usize] != UNSEEN {
            continue;
        }
        places[*root as usize] = nodes.len() as u32;
        let mut next = nodes.len();
        nodes.push(*root);
        parents.push(NONE);
        multipliers.push(0.0); // to the parent: A_ip, divided by d_i later
        while next < nodes.len() {
            let node: u32 = nodes[next];
            pivots.push(matrix.diagonal(node as usize));
            for (j, weight) in matrix.neighbours(node as usize) {
                let place = places[j];
                if place == UNSEEN {
                    places[j] = nodes.len() as u32;
                    nodes.push(j as u32);
                    parents.push(next as u32);
                    multipliers.push(weight);
                } else if place != NONE
                    && place != parents[next]
                    && parents[place as usize] != next as u32
                {
                    return Err(NoElimination::Cycle(node));
                }
            }
            next += 1;
        }
    }
    for i in (0..nodes.len()).rev() {
        // Also catches NaN.
        if pivots[i].is_nan() || pivots[i] <= 0.0 {
            return Err(NoElimination::NotPositive(nodes[i]));
        }
        if parents[i] != NONE {
            let weight = multipliers[i];
            multipliers[i] = weight / pivots[i];
            pivots[parents[i] as usize] -= weight * multipliers[i];
        }
    }
    Ok(Elimination { nodes, parents, pivots, multipliers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest;
    use crate::forest::tests::{any_graph, graph};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn solves_what_it_says((n, edges) in any_graph(), k in 1usize..4) {
            let matrix = graph(n, &edges);
            let block = forest::greedy(matrix.view(), (0..n as u32).rev());
            let factor = Elimination::new(matrix.view(), &block, &mut Places::new(n)).unwrap();
            let nodes = factor.nodes();
            let rhs: Vec<f64> = (0..k * nodes.len()).map(|i| ((7 * i) % 11) as f64 - 5.0).collect();
            let mut x = rhs.clone();
            factor.solve_many(&mut x, k);
            for (i, node) in nodes.iter().enumerate() {
                for c in 0..k {
                    let product: f64 = nodes
                        .iter()
                        .enumerate()
                        .map(|(j, other)| {
                            let (there, values) = matrix.view().line(*node as usize);
                            let place = there.iter().position(|t| t == other);
                            place.map_or(0.0, |p| values[p]) * x[j * k + c]
                        })
                        .sum();
                    prop_assert!((product - rhs[i * k + c]).abs() < 1e-12 * 5.0 * n as f64);
                }
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let triangle = graph(4, &[(0, 1), (1, 2), (2, 0), (2, 3)]);
        let mut places = Places::new(4);
        let factor = Elimination::new(triangle.view(), &[0, 1, 2, 3], &mut places);
        assert!(matches!(factor, Err(NoElimination::Cycle(_))));
        // The memory is clean again.
        assert!(Elimination::new(triangle.view(), &[1, 3, 2], &mut places).is_ok());
        let mut indefinite = graph(2, &[(0, 1)]);
        indefinite.values = vec![1.0, -2.0, -2.0, 1.0];
        let factor = Elimination::new(indefinite.view(), &[0, 1], &mut places);
        assert_eq!(factor.unwrap_err(), NoElimination::NotPositive(0));
    }
}

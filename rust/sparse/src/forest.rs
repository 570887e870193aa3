//! Sets of nodes whose graph has no cycle.
//!
//! On such a set a quadratic is minimised in linear time ([`crate::elimination`]). Nodes are taken
//! in a given order; a node may join a set iff its neighbours there lie in pairwise different
//! trees (arXiv 1712.08859, section 5.2). Sets of nodes are kept by union-find, so that either
//! function costs O(nnz log degree): the authors' code relabels trees in quadratic time.

use sparrot_foundation::Scalar;

use crate::Compressed;
use crate::union_find::UnionFind;

/// Of no set.
const NONE: u32 = u32::MAX;

/// The forest that takes each node, in that order, unless it would close a cycle: of all that are
/// chosen greedily, the one of largest score if the order is by decreasing score. Maximal if all
/// nodes are in the order. In the order of taking.
pub fn greedy<T: Scalar>(
    matrix: Compressed<'_, T>,
    order: impl IntoIterator<Item = u32>,
) -> Vec<u32> {
    let mut sets = Sets::new(matrix.lines());
    let mut forest = Vec::new();
    for node in order {
        sets.gather(matrix, node);
        if sets.first_free(1) == Some(0) {
            sets.put(node, 0);
            forest.push(node);
        }
    }
    forest
}

/// All nodes, each in the first forest that stays one with it. Each in the order of taking.
pub fn partition<T: Scalar>(
    matrix: Compressed<'_, T>,
    order: impl IntoIterator<Item = u32>,
) -> Vec<Vec<u32>> {
    let mut sets = Sets::new(matrix.lines());
    let mut forests: Vec<Vec<u32>> = Vec::new();
    for node in order {
        sets.gather(matrix, node);
        let which = sets.first_free(forests.len()).unwrap_or(forests.len());
        if which == forests.len() {
            forests.push(Vec::new());
        }
        forests[which].push(node);
        sets.put(node, which as u32);
    }
    forests
}

/// Forests, while they grow.
struct Sets {
    /// The forest that each node is in.
    forest_of: Vec<u32>,
    /// The trees of all forests.
    trees: UnionFind,
    /// (forest, tree, node) of the neighbours of the node that is looked at.
    around: Vec<(u32, u32, u32)>,
}

impl Sets {
    fn new(n: usize) -> Sets {
        Sets { forest_of: vec![NONE; n], trees: UnionFind::new(n), around: vec![] }
    }

    fn gather<T: Scalar>(&mut self, matrix: Compressed<'_, T>, node: u32) {
        self.around.clear();
        for (j, _) in matrix.neighbours(node as usize) {
            let forest = self.forest_of[j];
            if forest != NONE {
                self.around.push((forest, self.trees.find(j as u32), j as u32));
            }
        }
        self.around.sort_unstable();
    }

    /// The first of `count` forests that has no tree twice around the node.
    fn first_free(&self, count: usize) -> Option<usize> {
        let mut twice = (self.around.windows(2))
            .filter(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1))
            .map(|pair| pair[0].0 as usize)
            .peekable();
        (0..count).find(|forest| {
            let mut is_free = true;
            while twice.peek() == Some(forest) {
                is_free = false;
                twice.next();
            }
            is_free
        })
    }

    fn put(&mut self, node: u32, forest: u32) {
        self.forest_of[node as usize] = forest;
        for (_, _, j) in self.around.iter().filter(|(around, _, _)| *around == forest) {
            self.trees.join(node, *j);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::compressed::Owned;
    use proptest::prelude::*;

    /// The Laplacian plus the identity of the graph with these edges.
    pub(crate) fn graph(n: usize, edges: &[(usize, usize)]) -> Owned<f64> {
        let mut dense = vec![vec![0.0; n]; n];
        for (i, j) in edges.iter().copied().filter(|(i, j)| i != j) {
            dense[i][j] = -1.0;
            dense[j][i] = -1.0;
        }
        for (i, row) in dense.iter_mut().enumerate() {
            row[i] = 1.0 - row.iter().sum::<f64>();
        }
        let mut matrix = Owned { starts: vec![0], indices: vec![], values: vec![] };
        for row in &dense {
            for (j, v) in row.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                matrix.indices.push(j as u32);
                matrix.values.push(*v);
            }
            matrix.starts.push(matrix.indices.len() as u32);
        }
        matrix
    }

    /// By the definition: edges between members, joined one by one, never within a tree.
    pub(crate) fn is_forest(matrix: Compressed<'_, f64>, nodes: &[u32]) -> bool {
        let mut trees = UnionFind::new(matrix.lines());
        for i in nodes {
            for (j, _) in matrix.neighbours(*i as usize) {
                if j as u32 > *i && nodes.contains(&(j as u32)) {
                    if trees.find(*i) == trees.find(j as u32) {
                        return false;
                    }
                    trees.join(*i, j as u32);
                }
            }
        }
        true
    }

    pub(crate) fn any_graph() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
        (1usize..14).prop_flat_map(|n| (Just(n), prop::collection::vec((0..n, 0..n), 0..3 * n)))
    }

    proptest! {
        #[test]
        fn greedy_forests_are_acyclic_and_maximal((n, edges) in any_graph(), seed in 0u32..100) {
            let matrix = graph(n, &edges);
            let order: Vec<u32> = (0..n as u32).map(|i| (i + seed) % n as u32).collect();
            let forest = greedy(matrix.view(), order.iter().copied());
            prop_assert!(is_forest(matrix.view(), &forest));
            // Greedy: a node was left out only for those that came before it.
            for (place, node) in order.iter().enumerate().filter(|(_, i)| !forest.contains(i)) {
                let mut with: Vec<u32> =
                    order[..place].iter().copied().filter(|i| forest.contains(i)).collect();
                with.push(*node);
                prop_assert!(!is_forest(matrix.view(), &with));
            }
        }

        #[test]
        fn partitions_are_first_fit((n, edges) in any_graph()) {
            let matrix = graph(n, &edges);
            let forests = partition(matrix.view(), 0..n as u32);
            let mut all: Vec<u32> = forests.concat();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..n as u32));
            for (k, forest) in forests.iter().enumerate() {
                prop_assert!(is_forest(matrix.view(), forest));
                for (node, earlier) in forest.iter().flat_map(|i| (0..k).map(move |e| (*i, e))) {
                    let mut with: Vec<u32> =
                        forests[earlier].iter().copied().filter(|j| *j < node).collect();
                    with.push(node);
                    prop_assert!(!is_forest(matrix.view(), &with));
                }
            }
        }
    }
}

//! Sets of nodes without an edge between them.
//!
//! A block of such nodes has a diagonal matrix ("red-black", arXiv 1712.08859, section 5.2).

use sparrot_foundation::Scalar;

use crate::Compressed;

/// The nodes by colour. Each takes, in that order, the colour used least so far that none of its
/// neighbours has, and a new one if there is none; of equals the first.
pub fn greedy<T: Scalar>(
    matrix: Compressed<'_, T>,
    order: impl IntoIterator<Item = u32>,
) -> Vec<Vec<u32>> {
    const NONE: usize = usize::MAX;
    let mut colour_of = vec![NONE; matrix.lines()];
    let mut colours: Vec<Vec<u32>> = Vec::new();
    let mut taken: Vec<bool> = Vec::new();
    for node in order {
        taken.fill(false);
        for (j, _) in matrix.neighbours(node as usize).filter(|(j, _)| colour_of[*j] != NONE) {
            taken[colour_of[j]] = true;
        }
        let free = (0..colours.len()).filter(|c| !taken[*c]).min_by_key(|c| colours[*c].len());
        let colour = free.unwrap_or(colours.len());
        if colour == colours.len() {
            colours.push(Vec::new());
            taken.push(false);
        }
        colours[colour].push(node);
        colour_of[node as usize] = colour;
    }
    colours
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::tests::{any_graph, graph};
    use proptest::prelude::*;

    #[test]
    fn a_chessboard_has_two_colours() {
        let at = |r: usize, c: usize| r * 5 + c;
        let edges: Vec<_> = (0..5)
            .flat_map(|r| {
                (0..4).flat_map(move |c| [(at(r, c), at(r, c + 1)), (at(c, r), at(c + 1, r))])
            })
            .collect();
        let colours = greedy(graph(25, &edges).view(), 0..25);
        assert_eq!(colours.len(), 2);
        assert!(colours[0].iter().all(|i| i % 2 == 0));
    }

    proptest! {
        #[test]
        fn no_edge_joins_a_colour((n, edges) in any_graph()) {
            let matrix = graph(n, &edges);
            let colours = greedy(matrix.view(), 0..n as u32);
            let mut all = colours.concat();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..n as u32));
            for colour in &colours {
                for i in colour {
                    prop_assert!(
                        matrix.view().neighbours(*i as usize).all(|(j, _)| !colour.contains(&(j as u32)))
                    );
                }
            }
        }
    }
}

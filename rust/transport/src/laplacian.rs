//! A sparse factor of the plan graph, to precondition Newton's equations.
//!
//! The Newton matrix is the Laplacian of the bipartite graph whose edges are the entries of the
//! plan. Few of them carry most of the weight: those of at least `SHARE` of the smaller of their
//! two points make a graph whose factor is small, and so good an approximation that conjugate
//! gradients on the exact matrix need some ten steps.
//!
//! With little regularisation the strong entries fall into components that only weak ones join, by
//! many orders of magnitude weaker ones, and what moves between components decides how long
//! conjugate gradients take. So components are treated as points were: of the entries that leave a
//! component those of at least `SHARE` of all that leave it are kept, the largest one in any case,
//! and so on (the rounds of Boruvka's spanning tree) until nothing is left to join. Entries
//! between the same two components are kept as one, with the weight of all.
//!
//! **Cost.** Minimum-degree ordering and Cholesky factorisation are faer's. A factor with more
//! than a bounded number of entries is not made; the share is raised instead, which ends at a
//! spanning forest, whose factor has no fill.

use std::collections::HashMap;

use crate::sparsify::Csr;
use sparrot_sparse::cholesky::{Cholesky, Lower, NoFactor};

/// The share of the smaller of its points' weights from which an entry is kept.
const SHARE: f64 = 1e-2;

/// Of the entries that are not kept, the share that goes on the diagonal.
const RETURNED: f64 = 0.05;

/// The least that is added to the diagonal, as a share of it: one component of the plan may have
/// nothing that pins it down.
const LEAST_SHIFT: f64 = 1e-12;

/// A factored approximation of the Newton matrix of rows and columns.
pub struct Factor {
    cholesky: Cholesky,
    rows: usize,
    /// Right-hand side, then solution, for rows and columns.
    both: Vec<f64>,
}

impl Factor {
    /// From the entries of the Newton matrix and its diagonals, with at most about `cap` entries
    /// of its own. `None` if the matrix cannot be factored.
    pub fn new(plan: &Csr, diagonals: [&[f64]; 2], cap: usize) -> Option<Factor> {
        let [n, m] = diagonals.map(<[f64]>::len);
        let mut share = SHARE;
        loop {
            let edges = backbone(plan, diagonals, share);
            let most = if share < 1.0 { cap } else { usize::MAX };
            match Cholesky::new(&lower(&edges, plan, diagonals), most) {
                Ok(cholesky) => {
                    return Some(Factor { cholesky, rows: n, both: vec![0.0; n + m] });
                }
                Err(NoFactor::TooFull) => share *= 3.0,
                Err(NoFactor::Failed) => return None,
            }
        }
    }

    /// `out` = the column part of the solution for `(0, r)`: the inverse of the Schur complement.
    pub fn solve_columns(&mut self, r: &[f64], out: &mut [f64]) {
        self.both[..self.rows].fill(0.0);
        self.both[self.rows..].copy_from_slice(r);
        self.cholesky.solve(&mut self.both);
        out.copy_from_slice(&self.both[self.rows..]);
    }
}

/// The lower triangle of the approximation: rows of the plan first, then its columns.
///
/// The diagonal is that of the edges, plus what the exact matrix has beyond its own entries,
/// plus a share of the entries that were not kept: with all of it moves that the exact matrix
/// lets through for nothing would be dear, with none of it those of single points too cheap.
fn lower(edges: &[Edge], plan: &Csr, diagonals: [&[f64]; 2]) -> Lower {
    let n = diagonals[0].len();
    let mut kept = diagonals.map(|d| vec![0.0; d.len()]);
    let mut all = kept.clone();
    for edge in edges {
        kept[0][edge.row as usize] += edge.weight;
        kept[1][edge.column as usize] += edge.weight;
    }
    for edge in entries(plan) {
        all[0][edge.row as usize] += edge.weight;
        all[1][edge.column as usize] += edge.weight;
    }
    for ((kept, all), exact) in kept.iter_mut().zip(&all).zip(diagonals) {
        for ((kept, all), exact) in kept.iter_mut().zip(all).zip(exact) {
            let beyond = (exact - all).max(LEAST_SHIFT * exact);
            let dropped = (all - *kept).max(0.0);
            *kept += beyond + RETURNED * dropped;
            if *kept <= 0.0 {
                *kept = 1.0; // a point without weight has no edges: any number will do
            }
        }
    }
    let [row_diagonal, column_diagonal] = kept;
    let mut matrix = Lower::default();
    let mut edges = edges.iter().peekable();
    for (i, diagonal) in row_diagonal.iter().enumerate() {
        matrix.indices.push(i as u32);
        matrix.values.push(*diagonal);
        while let Some(edge) = edges.next_if(|edge| edge.row as usize == i) {
            matrix.indices.push(n as u32 + edge.column);
            matrix.values.push(-edge.weight);
        }
        matrix.starts.push(matrix.indices.len() as u32);
    }
    for (j, diagonal) in column_diagonal.iter().enumerate() {
        matrix.indices.push((n + j) as u32);
        matrix.values.push(*diagonal);
        matrix.starts.push(matrix.indices.len() as u32);
    }
    matrix
}

/// An entry of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    row: u32,
    column: u32,
    weight: f64,
}

/// The entries of a matrix, by rows.
fn entries(plan: &Csr) -> impl Iterator<Item = Edge> {
    (0..plan.starts.len() - 1).flat_map(move |i| {
        (plan.starts[i]..plan.starts[i + 1]).map(move |k| Edge {
            row: i as u32,
            column: plan.columns[k],
            weight: plan.values[k],
        })
    })
}

/// The entries to keep, by rows and columns.
fn backbone(plan: &Csr, [row_weights, column_weights]: [&[f64]; 2], share: f64) -> Vec<Edge> {
    let n = row_weights.len();
    let mut components = Components::new(n + column_weights.len());
    let (mut kept, mut rest) = (vec![], vec![]);
    for edge in entries(plan) {
        let (i, j) = (edge.row as usize, edge.column as usize);
        if edge.weight >= share * row_weights[i].min(column_weights[j]) {
            components.join(i, n + j);
            kept.push(edge);
        } else {
            rest.push(edge);
        }
    }
    loop {
        let mut between = Between::default();
        rest.retain(|edge| {
            let ends =
                [components.find(edge.row as usize), components.find(n + edge.column as usize)];
            if ends[0] != ends[1] {
                between.add(ends, *edge);
            }
            ends[0] != ends[1]
        });
        if rest.is_empty() {
            break;
        }
        for (ends, edge) in between.strong(share) {
            components.join(ends[0], ends[1]);
            kept.push(edge);
        }
    }
    kept.sort_unstable_by_key(|edge| (edge.row, edge.column));
    kept
}

/// The entries between components: for two of them the largest entry, with the weight of all.
#[derive(Default)]
struct Between {
    pairs: HashMap<[usize; 2], (Edge, f64)>,
    leaving: HashMap<usize, (f64, f64)>,
}

impl Between {
    fn add(&mut self, ends: [usize; 2], edge: Edge) {
        let key = if ends[0] < ends[1] { ends } else { [ends[1], ends[0]] };
        let (largest, total) = self.pairs.entry(key).or_insert((edge, 0.0));
        *total += edge.weight;
        if edge.weight > largest.weight {
            *largest = edge;
        }
    }

    /// The pairs of at least that share of what leaves one of the two, or the largest of one.
    fn strong(mut self, share: f64) -> Vec<([usize; 2], Edge)> {
        for (ends, (_, total)) in &self.pairs {
            for end in ends {
                let (sum, most) = self.leaving.entry(*end).or_insert((0.0, 0.0));
                *sum += total;
                *most = most.max(*total);
            }
        }
        let mut strong: Vec<_> = (self.pairs.into_iter())
            .filter(|(ends, (_, total))| {
                ends.iter().any(|end| {
                    let (sum, most) = self.leaving[end];
                    *total >= share * sum || *total >= most
                })
            })
            .map(|(ends, (edge, total))| (ends, Edge { weight: total, ..edge }))
            .collect();
        // The order of a hash table differs from run to run; results must not.
        strong.sort_unstable_by_key(|(ends, _)| *ends);
        strong
    }
}

/// Which points hang together (union-find with path halving).
struct Components(Vec<u32>);

impl Components {
    fn new(count: usize) -> Components {
        Components((0..count as u32).collect())
    }

    fn find(&mut self, mut i: usize) -> usize {
        while self.0[i] as usize != i {
            self.0[i] = self.0[self.0[i] as usize];
            i = self.0[i] as usize;
        }
        i
    }

    fn join(&mut self, i: usize, j: usize) {
        let (i, j) = (self.find(i), self.find(j));
        // The smaller name wins, so that names do not depend on how a component came about.
        let (least, other) = if i < j { (i, j) } else { (j, i) };
        self.0[other] = least as u32;
    }
}

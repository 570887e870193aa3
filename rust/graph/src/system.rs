//! The equations of the unknowns that can be reached, in an order that suits elimination.
//!
//! Breadth-first search from any unknown finds the ones that hang together with it. If none of
//! them has a fixed neighbour or a diagonal term, nothing says what their values are and they
//! stay out ("unreached"). The order is that of the search, reversed (Cuthill and McKee without
//! their sorting by degree): neighbours are near each other in memory, and on a tree every node
//! comes before its parent, so that elimination has no fill and the incomplete factor of
//! [`crate::factor`] is exact. O(nnz).

use sparrot_foundation::{Error, Scalar, Stop, memory};
use sparrot_sparse::compressed::Owned;

use crate::problem::{LINES, Problem};

/// Half of the weights, by rows.
///
/// Rows are filled up with edges of weight 0 from the unknown to itself, to a multiple of
/// [`System::pad`] edges: where rows differ in length, mispredicted ends of loops are what a
/// triangular solve takes its time for (filled up to 4, it takes 0.55 of the time on neighbour
/// graphs).
#[derive(Clone, Debug, Default)]
pub struct Half {
    /// Row i has the entries `starts[i]..starts[i + 1]`.
    pub starts: Vec<u32>,
    /// The other end of each edge.
    pub indices: Vec<u32>,
    /// Its weight: the matrix has its negative.
    pub weights: Vec<f64>,
}

impl Half {
    fn with_capacity(rows: usize, edges: usize) -> Half {
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Half { starts, indices: Vec::with_capacity(edges), weights: Vec::with_capacity(edges) }
    }

    fn push(&mut self, j: u32, weight: f64) {
        self.indices.push(j);
        self.weights.push(weight);
    }

    fn end_row(&mut self, pad: usize) {
        let row = self.starts.len() as u32 - 1;
        while !self.indices.len().is_multiple_of(pad) {
            self.push(row, 0.0);
        }
        self.starts.push(self.indices.len() as u32);
    }

    /// The edges of a row.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[i] as usize..self.starts[i + 1] as usize;
        let edges = self.indices[range.clone()].iter().zip(&self.weights[range]);
        edges.map(|(j, w)| (*j as usize, *w)).filter(move |(j, _)| *j != i)
    }
}

/// `A x = rhs` with the M-matrix `A = diag(diagonal) - lower - upper`.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// Which node each unknown is.
    pub nodes: Vec<u32>,
    /// The diagonal of A.
    pub diagonal: Vec<f64>,
    /// What the diagonal is larger by than the weights between unknowns, as it was before
    /// [`System::scale`]: kept apart, since the difference may be lost to rounding.
    pub ground: Vec<f64>,
    /// Edges to unknowns before the row's.
    pub lower: Half,
    /// Edges to unknowns after the row's.
    pub upper: Half,
    /// What rows of both are filled up to a multiple of: 2 or 4.
    pub pad: usize,
    /// By rows, k to each.
    pub rhs: Vec<f64>,
    /// The nodes that have no value and cannot get one, increasing.
    pub unreached: Vec<u32>,
}

/// A place of no unknown, or of one not seen yet.
const UNSEEN: u32 = u32::MAX;
/// The place of a fixed node.
const FIXED: u32 = u32::MAX - 1;
/// The place of an unreached node.
const UNREACHED: u32 = u32::MAX - 2;
/// The place of an unknown, before it is known.
const FOUND: u32 = u32::MAX - 3;

impl System {
    /// The equations of a problem; `x`, n x k by rows, has the values of the fixed nodes.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new<T: Scalar>(
        problem: &Problem<'_, T>,
        x: &[f64],
        stop: &Stop<'_>,
    ) -> Result<System, Error> {
        let entries = problem.weights.indices.len();
        // For the search and for the halves, filled up.
        memory::check("the equations of the graph", 3 * entries + 8 * problem.nodes(), 8)?;
        let Search { nodes, places, starts, edges, unreached } = Search::new(problem, stop)?;
        let (n, k) = (nodes.len(), problem.k);
        let pad = if 2 * edges.len() <= 9 * n { 2 } else { 4 };
        let room = edges.len() / 2 + (pad - 1) * n;
        let mut system = System {
            diagonal: Vec::with_capacity(n),
            ground: Vec::with_capacity(n),
            lower: Half::with_capacity(n, room),
            upper: Half::with_capacity(n, room),
            pad,
            rhs: Vec::with_capacity(n * k),
            nodes,
            unreached,
        };
        for (i, node) in system.nodes.iter().map(|node| *node as usize).enumerate() {
            if i.is_multiple_of(LINES) {
                stop.poll()?;
            }
            let at = system.rhs.len();
            system.rhs.extend(problem.source(node));
            let mut ground = problem.diagonal(node);
            let mut between = 0.0;
            for (j, weight) in &edges[starts[n - 1 - i] as usize..starts[n - i] as usize] {
                let j = *j as usize;
                let place = places[j];
                if place == FIXED {
                    ground += weight;
                    let fixed = &x[j * k..(j + 1) * k];
                    system.rhs[at..].iter_mut().zip(fixed).for_each(|(b, x)| *b += weight * x);
                    continue;
                }
                between += weight;
                let half = if (place as usize) < i { &mut system.lower } else { &mut system.upper };
                half.push(place, *weight);
            }
            system.diagonal.push(ground + between);
            system.ground.push(ground);
            system.lower.end_row(pad);
            system.upper.end_row(pad);
        }
        Ok(system)
    }

    /// The number of unknowns.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing to solve for.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Replaces A by `diag(s) A diag(s)` and the right-hand sides by `diag(s) rhs`: solutions are
    /// divided by s.
    pub fn scale(&mut self, s: &[f64]) {
        // Factor by factor: a product of two may be beyond the range.
        for half in [&mut self.lower, &mut self.upper] {
            for i in 0..s.len() {
                let range = half.starts[i] as usize..half.starts[i + 1] as usize;
                for (j, w) in half.indices[range.clone()].iter().zip(&mut half.weights[range]) {
                    *w = *w * s[i] * s[*j as usize];
                }
            }
        }
        let k = self.rhs.len() / s.len().max(1);
        for (i, s) in s.iter().enumerate() {
            self.diagonal[i] = self.diagonal[i] * s * s;
            self.rhs[i * k..(i + 1) * k].iter_mut().for_each(|b| *b *= s);
        }
    }

    /// A by rows.
    pub fn matrix(&self) -> Owned<f64> {
        let entries = self.len() + self.lower.indices.len() + self.upper.indices.len();
        let mut matrix = Owned {
            starts: vec![0],
            indices: Vec::with_capacity(entries),
            values: Vec::with_capacity(entries),
        };
        for i in 0..self.len() {
            matrix.indices.push(i as u32);
            matrix.values.push(self.diagonal[i]);
            for (j, w) in self.lower.row(i).chain(self.upper.row(i)) {
                matrix.indices.push(j as u32);
                matrix.values.push(-w);
            }
            matrix.starts.push(matrix.indices.len() as u32);
        }
        matrix
    }
}

/// What breadth-first search finds.
struct Search {
    /// The unknowns, last found first.
    nodes: Vec<u32>,
    /// The place of each node in `nodes`.
    places: Vec<u32>,
    /// The edges of the unknown found i-th are `starts[i]..starts[i + 1]`.
    starts: Vec<u32>,
    /// Edges, copied as they are met: nodes are all over the matrix, which is slow to read twice.
    edges: Vec<(u32, f64)>,
    unreached: Vec<u32>,
}

impl Search {
    fn new<T: Scalar>(problem: &Problem<'_, T>, stop: &Stop<'_>) -> Result<Search, Error> {
        let n = problem.nodes();
        let mut search = Search {
            nodes: Vec::with_capacity(n),
            places: problem.fixed.iter().map(|f| if *f { FIXED } else { UNSEEN }).collect(),
            starts: Vec::with_capacity(n + 1),
            edges: Vec::with_capacity(problem.weights.indices.len()),
            unreached: vec![],
        };
        search.starts.push(0);
        for seed in 0..n {
            if search.places[seed] == UNSEEN {
                search.component(seed as u32, problem, stop)?;
            }
        }
        search.nodes.reverse();
        for (place, node) in search.nodes.iter().enumerate() {
            search.places[*node as usize] = place as u32;
        }
        search.unreached.sort_unstable();
        Ok(search)
    }

    /// Finds what hangs together with a node.
    fn component<T: Scalar>(
        &mut self,
        seed: u32,
        problem: &Problem<'_, T>,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let Search { nodes, places, starts, edges, unreached } = self;
        let first = nodes.len();
        let mut next = first;
        let mut is_held = false;
        places[seed as usize] = FOUND;
        nodes.push(seed);
        while next < nodes.len() {
            if next.is_multiple_of(LINES) {
                stop.poll()?;
            }
            let node = nodes[next] as usize;
            is_held |= problem.diagonal(node) > 0.0;
            for (j, weight) in problem.weights.neighbours(node) {
                edges.push((j as u32, weight));
                match places[j] {
                    FIXED => is_held = true,
                    UNSEEN => {
                        places[j] = FOUND;
                        nodes.push(j as u32);
                    }
                    _ => {}
                }
            }
            starts.push(edges.len() as u32);
            next += 1;
        }
        if !is_held {
            nodes[first..].iter().for_each(|node| places[*node as usize] = UNREACHED);
            unreached.extend(nodes.drain(first..));
            starts.truncate(first + 1);
            edges.truncate(starts[first] as usize);
        }
        Ok(())
    }
}

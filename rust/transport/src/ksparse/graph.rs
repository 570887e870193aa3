//! The equations of a Newton step: the Laplacian of a graph.
//!
//! The mass that a line gives to its points changes with their potentials `x` as a network of
//! conductors would let it: every full entry joins its point to a node of the line by `1 / (gamma +
//! sigma)`, every entry of the band joins it to a second node by `1 / sigma`, and the two nodes are
//! joined by `(k - full) / gamma`. The lines' nodes take up no current; eliminating them gives the
//! matrix on the points,
//!
//! ```text
//! S = -Hessian of the smooth semi-dual,   S x = gradient,
//! ```
//!
//! which conjugate gradients multiply by in two reads of the entries. Where those take long, as with
//! few entries a line, whose graph is nearly a tree, the whole Laplacian is factored instead.

use sparrot_foundation::{Error, Stop};
use sparrot_simd::reduce;

use sparrot_sparse::cg::Iterate;
use sparrot_sparse::cholesky::{Cholesky, Lower};

use super::line::Weights;

/// Iterations before a factor is tried, and with it; and at most without one.
const BEFORE_FACTOR: usize = 80;
const MOST_ITERATIONS: usize = 1000;

/// Entries of a factor, at most: this many times those of the graph. Solving with it then takes as
/// long as so many iterations, and making it longer by the fill of its columns.
const FILL: usize = 5;

/// What is added to every diagonal at least, as a share of it: a part of the graph may have nothing
/// that pins it down.
const PINNED: f64 = 1e-12;

/// A diagonal of up to this share of an entry's conductance is rounding.
const UNHELD: f64 = 1e-12;

/// The entries of all lines that get mass.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The points: of each line the full entries, then those of the band.
    points: Vec<u32>,
    lines: Vec<Node>,
    diagonal: Vec<f64>,
    /// The least conductance of a full entry.
    least: f64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    start: usize,
    middle: usize,
    end: usize,
    /// The conductance of a full entry, of one of the band, and between the two nodes.
    full: f64,
    band: f64,
    between: f64,
}

impl Node {
    /// The conductance of all full entries, and of the whole band.
    fn totals(&self) -> [f64; 2] {
        let count = |from: usize, to: usize| (to - from) as f64;
        [count(self.start, self.middle) * self.full, count(self.middle, self.end) * self.band]
    }
}

impl Graph {
    /// No entries yet, of `n` points.
    pub fn new(n: usize) -> Graph {
        Graph { points: vec![], lines: vec![], diagonal: vec![0.0; n], least: f64::INFINITY }
    }

    /// Adds a line.
    pub fn add(
        &mut self,
        weights: &Weights,
        full: impl Iterator<Item = u32>,
        band: impl Iterator<Item = u32>,
    ) {
        let Weights { gamma, sigma, k } = *weights;
        let start = self.points.len();
        self.points.extend(full);
        let middle = self.points.len();
        self.points.extend(band);
        let node = Node {
            start,
            middle,
            end: self.points.len(),
            full: 1.0 / (gamma + sigma),
            band: if sigma > 0.0 { 1.0 / sigma } else { 0.0 }, // then there is none
            between: k.saturating_sub(middle - start) as f64 / gamma,
        };
        let between = node.between;
        let [to_full, to_band] = node.totals();
        self.least = self.least.min(node.full);
        // What leaves a point through the line when all other points are held at 0.
        let beyond = |own: f64, other: f64| {
            own + if other > 0.0 { between * other / (between + other) } else { 0.0 }
        };
        let (of_full, of_band) = (beyond(to_full, to_band), beyond(to_band, to_full));
        for i in &self.points[start..middle] {
            self.diagonal[*i as usize] += node.full * (1.0 - node.full / of_full);
        }
        for i in &self.points[middle..] {
            self.diagonal[*i as usize] += node.band * (1.0 - node.band / of_band);
        }
        self.lines.push(node);
    }

    /// The entries.
    pub fn entries(&self) -> usize {
        self.points.len()
    }

    /// `out = S x + shift x`.
    fn apply(&self, shift: &[f64], x: &[f64], out: &mut [f64]) {
        for ((out, x), shift) in out.iter_mut().zip(x).zip(shift) {
            *out = shift * x;
        }
        for node in &self.lines {
            let full = &self.points[node.start..node.middle];
            let band = &self.points[node.middle..node.end];
            let sum = |points: &[u32]| points.iter().map(|i| x[*i as usize]).sum::<f64>();
            let ([to_full, to_band], between) = (node.totals(), node.between);
            // Potentials of the two nodes: of the line's, and of the band's.
            let (of_line, of_band) = if band.is_empty() {
                (sum(full) / full.len() as f64, 0.0)
            } else if full.is_empty() {
                (0.0, sum(band) / band.len() as f64)
            } else {
                let (from_full, from_band) = (node.full * sum(full), node.band * sum(band));
                let through = between / (between + to_band);
                let of_line = (from_full + through * from_band) / (to_full + through * to_band);
                (of_line, (from_band + between * of_line) / (to_band + between))
            };
            for i in full {
                out[*i as usize] += node.full * (x[*i as usize] - of_line);
            }
            for i in band {
                out[*i as usize] += node.band * (x[*i as usize] - of_band);
            }
        }
    }

    /// The whole Laplacian, points first.
    fn lower(&self, shift: &[f64]) -> Lower {
        let n = self.diagonal.len();
        let mut diagonal = shift.to_vec();
        let mut below: Vec<Vec<(u32, f64)>> = vec![vec![]; n];
        let mut nodes: Vec<(f64, Option<f64>)> = vec![];
        for node in &self.lines {
            let [to_full, to_band] = node.totals();
            let both = node.middle > node.start && node.end > node.middle;
            let between = if both { node.between } else { 0.0 };
            let mut join = |points: &[u32], weight: f64, name: usize| {
                for i in points {
                    diagonal[*i as usize] += weight;
                    below[*i as usize].push((name as u32, -weight));
                }
            };
            if node.middle > node.start {
                join(&self.points[node.start..node.middle], node.full, n + nodes.len());
                nodes.push((to_full + between, both.then_some(-between)));
            }
            if node.end > node.middle {
                join(&self.points[node.middle..node.end], node.band, n + nodes.len());
                nodes.push((to_band + between, None));
            }
        }
        let mut matrix = Lower::default();
        let mut column = |at: usize, diagonal: f64, below: &mut dyn Iterator<Item = (u32, f64)>| {
            matrix.indices.push(at as u32);
            matrix.values.push(if diagonal > 0.0 { diagonal * (1.0 + PINNED) } else { 1.0 });
            for (row, value) in below {
                matrix.indices.push(row);
                matrix.values.push(value);
            }
            matrix.starts.push(matrix.indices.len() as u32);
        };
        for (i, (diagonal, below)) in diagonal.iter().zip(&below).enumerate() {
            column(i, *diagonal, &mut below.iter().copied());
        }
        for (q, (diagonal, next)) in nodes.iter().enumerate() {
            let at = n + q;
            column(at, *diagonal, &mut next.iter().map(|value| (at as u32 + 1, *value)));
        }
        matrix
    }

    /// Whether something holds a point: not if it gets nothing, or all of a line whatever happens.
    pub fn holds(&self, i: usize) -> bool {
        self.diagonal[i] > UNHELD * self.least
    }

    /// Solves `(S + damping) x = rhs` until the L1 norm of the residual is at most `goal`, or as far as
    /// it gets; `x`, and the iterations. `rhs` is 0 for points that nothing holds.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn solve(
        &self,
        rhs: &[f64],
        damping: f64,
        goal: f64,
        stop: &Stop<'_>,
    ) -> Result<(Vec<f64>, usize), Error> {
        let shift: Vec<f64> = (self.diagonal.iter().enumerate())
            .map(|(i, d)| if self.holds(i) { damping.max(PINNED * d) } else { self.least })
            .collect();
        let inverse: Vec<f64> =
            self.diagonal.iter().zip(&shift).map(|(d, shift)| 1.0 / (d + shift)).collect();
        let jacobi = |r: &[f64], out: &mut [f64]| {
            out.iter_mut().zip(r).zip(&inverse).for_each(|((out, r), d)| *out = r * d);
        };
        let apply = |x: &[f64], out: &mut [f64]| {
            self.apply(&shift, x, out);
            stop.poll()
        };
        let mut iterate = Iterate::new(rhs);
        let mut done = iterate.advance(apply, jacobi, goal, BEFORE_FACTOR, stop)?;
        if reduce::l1_norm(&iterate.residual) <= goal {
            return Ok((iterate.x, done));
        }
        if let Ok(mut factor) =
            Cholesky::new(&self.lower(&shift), FILL * (self.points.len() + self.diagonal.len()))
        {
            let n = rhs.len();
            let mut both = vec![0.0; n + self.nodes()];
            let exact = |r: &[f64], out: &mut [f64]| {
                both.fill(0.0);
                both[..n].copy_from_slice(r);
                factor.solve(&mut both);
                out.copy_from_slice(&both[..n]);
            };
            done += iterate.advance(apply, exact, goal, BEFORE_FACTOR, stop)?;
        } else {
            done += iterate.advance(apply, jacobi, goal, MOST_ITERATIONS, stop)?;
        }
        Ok((iterate.x, done))
    }

    fn nodes(&self) -> usize {
        let has = |node: &Node| {
            usize::from(node.middle > node.start) + usize::from(node.end > node.middle)
        };
        self.lines.iter().map(has).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sparrot_foundation::stop::Unobserved;

    const POINTS: usize = 6;

    /// Lines given by how each point belongs to them: 0 not, 1 full, 2 in the band.
    fn graph(kinds: &[[u8; POINTS]], weights: &Weights) -> Graph {
        let mut graph = Graph::new(POINTS);
        for kinds in kinds {
            let of = |kind: u8| (0..POINTS as u32).filter(move |i| kinds[*i as usize] == kind);
            graph.add(weights, of(1), of(2));
        }
        graph
    }

    /// The whole Laplacian times `x` at the points and `nodes` at the lines' nodes.
    fn currents(graph: &Graph, x: &[f64], nodes: &[[f64; 2]]) -> (Vec<f64>, Vec<[f64; 2]>) {
        let (mut at_points, mut at_nodes) = (vec![0.0; POINTS], vec![[0.0; 2]; nodes.len()]);
        for (line, (node, potentials)) in graph.lines.iter().zip(nodes).enumerate() {
            let mut join = |i: u32, kind: usize, weight: f64| {
                let current = weight * (x[i as usize] - potentials[kind]);
                at_points[i as usize] += current;
                at_nodes[line][kind] -= current;
            };
            graph.points[node.start..node.middle].iter().for_each(|i| join(*i, 0, node.full));
            graph.points[node.middle..node.end].iter().for_each(|i| join(*i, 1, node.band));
            if node.middle > node.start && node.end > node.middle {
                let between = node.between * (potentials[0] - potentials[1]);
                at_nodes[line][0] += between;
                at_nodes[line][1] -= between;
            }
        }
        (at_points, at_nodes)
    }

    proptest! {
        #[test]
        fn eliminates_the_nodes_of_the_lines(
            kinds in prop::collection::vec(prop::array::uniform6(0u8..3), 1..6),
            x in prop::collection::vec(-1.0f64..1.0, POINTS),
            gamma in 0.1f64..2.0, sigma in 0.01f64..1.0,
        ) {
            let weights = Weights { gamma, sigma, k: POINTS + 1 };
            let graph = graph(&kinds, &weights);
            let mut out = vec![0.0; POINTS];
            graph.apply(&[0.0; POINTS], &x, &mut out);
            // Potentials of the nodes by repeated averaging, until no current enters or leaves them.
            let mut nodes = vec![[0.0; 2]; graph.lines.len()];
            for _ in 0..20_000 {
                let (_, rest) = currents(&graph, &x, &nodes);
                for ((node, rest), of) in nodes.iter_mut().zip(rest).zip(&graph.lines) {
                    let [full, band] = of.totals();
                    let between = if full > 0.0 && band > 0.0 { of.between } else { 0.0 };
                    node[0] -= rest[0] / (2.0 * (full + between)).max(1e-300);
                    node[1] -= rest[1] / (2.0 * (band + between)).max(1e-300);
                }
            }
            let (expected, _) = currents(&graph, &x, &nodes);
            for (out, expected) in out.iter().zip(&expected) {
                prop_assert!((out - expected).abs() <= 1e-7 * (1.0 + expected.abs()), "{out} {expected}");
            }
        }

        #[test]
        fn solves_what_it_applies(
            kinds in prop::collection::vec(prop::array::uniform6(0u8..3), 1..6),
            x in prop::collection::vec(-1.0f64..1.0, POINTS), damping in 1e-6f64..1.0,
        ) {
            let graph = graph(&kinds, &Weights { gamma: 1.0, sigma: 0.1, k: 9 });
            let held = |i: usize| if graph.holds(i) { x[i] } else { 0.0 };
            let x: Vec<f64> = (0..POINTS).map(held).collect();
            let shift = [damping; POINTS];
            let mut rhs = vec![0.0; POINTS];
            graph.apply(&shift, &x, &mut rhs);
            let stop = Stop::new(&Unobserved, None);
            let (found, _) = graph.solve(&rhs, damping, 1e-13, &stop).unwrap();
            let mut image = vec![0.0; POINTS];
            graph.apply(&shift, &found, &mut image);
            for (image, rhs) in image.iter().zip(&rhs) {
                prop_assert!((image - rhs).abs() <= 1e-11);
            }
            // The factor is that of the same matrix.
            let mut both = rhs.clone();
            both.resize(POINTS + graph.nodes(), 0.0);
            let mut factor = Cholesky::new(&graph.lower(&shift), usize::MAX).unwrap();
            factor.solve(&mut both);
            for (found, direct) in found.iter().zip(&both) {
                prop_assert!((found - direct).abs() <= 1e-6 * (1.0 + found.abs()), "{found} {direct}");
            }
        }
    }
}

//! All lines: the entries that may matter, value and gradient of the smooth dual.
//!
//! For a proximal term around the plan `T`, whose weight is `sigma` times the mean mass of a line over
//! that of the line, the dual of the proximal problem with the best potentials of the lines for those
//! of the points is
//!
//! ```text
//! a.alpha - sum_j max { (alpha - c_j + sigma T_j).t - gamma/2 |t|_k^2 - sigma/2 |t|^2 : sum t = b_j },
//! ```
//!
//! differentiable, with the gradient `a` less the mass that the points get.
//!
//! Few entries of a line can get any. Each line lists those above a floor, and those of `T`; what is
//! not listed is below the floor, plus what potentials have risen by since: as long as that is not
//! above what a score must exceed to get anything, the list gives the exact answer without a look
//! at the costs. Otherwise the line is read again.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::select::{Top, collect_differences};
use sparrot_simd::{linear, reduce};

use super::graph::Graph;
use super::line::{Shares, Weights};
use super::norm;
use super::oracle::{Plan, read_lines, weighted};
use super::{Problem, lines_per_block};

/// How far below what gets mass a list reaches, as a share of the distance from there to the top.
const MARGIN: f64 = 0.5;

/// Entries beyond k of the first, rough list.
const FIRST: usize = 4;

/// A line's proximal term is heavier than that of the mean line by at most this.
const HEAVIEST: f64 = 1e30;

/// Lines that are read together.
const TOGETHER: usize = 16;

/// Nanoseconds for a line on its list, roughly.
const PER_LINE: usize = 500;

#[derive(Clone, Debug, Default)]
struct Line {
    points: Vec<u32>,
    costs: Vec<f64>,
    /// The plan of the proximal term.
    centers: Vec<f64>,
    /// What is not listed had at most this score, at the potentials of the anchor.
    floor: f64,
    /// The scores, downwards, and which entries they belong to.
    order: Vec<u32>,
    scores: Vec<f64>,
    shares: Option<Shares>,
}

/// The lines of a problem, at some potentials.
pub struct Lines<'a> {
    problem: Problem<'a>,
    weights: Weights,
    /// The mean mass of a line.
    mean: f64,
    lines: Vec<Line>,
    anchor: Vec<f64>,
}

/// The smooth dual at some potentials.
#[derive(Clone, Debug, PartialEq)]
pub struct Smooth {
    /// Its value, up to a constant of the proximal term.
    pub value: f64,
    /// What the points' marginals have less than their weights.
    pub gradient: Vec<f64>,
}

impl Line {
    /// Scores of the list, sorted, and the shares of its entries.
    fn score(&mut self, alpha: &[f64], b: f64, weights: &Weights) {
        let Line { points, costs, centers, order, scores, .. } = self;
        if order.len() != points.len() {
            order.clear();
            order.extend(0..points.len() as u32);
        }
        scores.clear();
        scores.extend(order.iter().map(|p| {
            let p = *p as usize;
            alpha[points[p] as usize] - costs[p] + weights.sigma * centers[p]
        }));
        sort_downwards(scores, order);
        self.shares = (!self.scores.is_empty())
            .then(|| Shares::of(&self.scores, b, weights, self.shares.as_ref()));
    }

    fn eta(&self) -> f64 {
        self.shares.map_or(f64::NEG_INFINITY, |shares| shares.eta)
    }

    /// Makes the list anew: what may get mass at these potentials, and a margin.
    fn read(&mut self, costs: &[f64], alpha: &[f64], b: f64, weights: &Weights, top: &mut Top) {
        if self.points.is_empty() {
            top.find(alpha, costs, weights.k.saturating_add(FIRST), f64::NEG_INFINITY);
            self.points.clone_from(&top.positions);
            self.costs.extend(self.points.iter().map(|i| costs[*i as usize]));
            self.centers.resize(self.points.len(), 0.0);
            self.score(alpha, b, weights);
        }
        // More entries only raise what a score must exceed, so nothing that gets mass is missed.
        self.floor = self.lowered();
        top.positions.clear();
        top.values.clear();
        let Top { positions, values, .. } = top;
        collect_differences(alpha, costs, self.floor, 0, usize::MAX, positions, values);
        let old = std::mem::take(&mut self.points);
        let centers = std::mem::take(&mut self.centers);
        let mut kept = old.iter().zip(&centers).filter(|(_, t)| **t > 0.0).peekable();
        for i in positions.iter() {
            while let Some((early, center)) = kept.next_if(|(old, _)| **old < *i) {
                self.points.push(*early);
                self.centers.push(*center);
            }
            let center = kept.next_if(|(old, _)| **old == *i).map_or(0.0, |(_, center)| *center);
            self.points.push(*i);
            self.centers.push(center);
        }
        for (late, center) in kept {
            self.points.push(*late);
            self.centers.push(*center);
        }
        self.costs.clear();
        self.costs.extend(self.points.iter().map(|i| costs[*i as usize]));
        self.order.clear();
        self.score(alpha, b, weights);
    }

    /// What a list may end at: below what gets mass.
    fn lowered(&self) -> f64 {
        let eta = self.eta();
        match self.scores.first() {
            Some(most) => eta - MARGIN * (most - eta),
            None => f64::NEG_INFINITY,
        }
    }

    /// Entries that get mass, with how much, downwards.
    fn masses<'a>(&'a self, weights: &'a Weights) -> impl Iterator<Item = (usize, f64)> + 'a {
        let shares = self.shares.iter();
        shares.flat_map(move |shares| {
            let count = shares.full + shares.band;
            (self.order.iter().zip(&self.scores).enumerate().take(count))
                .map(move |(p, (at, score))| (*at as usize, shares.mass(p, *score, weights)))
                .filter(|(_, mass)| *mass > 0.0)
        })
    }

    /// Makes the present plan the proximal term's, and drops what is far from getting mass.
    fn settle(&mut self, alpha: &[f64], weights: &Weights) {
        let mut centers = vec![0.0; self.points.len()];
        for (p, mass) in self.masses(weights) {
            centers[p] = mass;
        }
        let floor = self.floor.max(self.lowered());
        let mut kept = 0;
        for p in 0..centers.len() {
            let (i, cost) = (self.points[p], self.costs[p]);
            if centers[p] > 0.0 || alpha[i as usize] - cost > floor {
                (self.points[kept], self.costs[kept], centers[kept]) = (i, cost, centers[p]);
                kept += 1;
            }
        }
        self.points.truncate(kept);
        self.costs.truncate(kept);
        centers.truncate(kept);
        (self.centers, self.floor, self.shares) = (centers, floor, None);
        self.order.clear();
    }
}

/// The weights of a line of mass `b`: its proximal term is about shares of its mass, so that a line
/// with little is spread over as many entries as one with much.
fn of_line(common: &Weights, mean: f64, b: f64) -> Weights {
    let sigma = if b > 0.0 { common.sigma * (mean / b).min(HEAVIEST) } else { common.sigma };
    Weights { sigma, ..*common }
}

/// Sorts scores downwards, and the names of their entries along, from an order that is nearly right.
fn sort_downwards(scores: &mut [f64], names: &mut [u32]) {
    /// Moves for an entry, on average, beyond which the order is not nearly right.
    const MOVES: usize = 6;
    let mut left = MOVES * scores.len();
    for end in 1..scores.len() {
        let (score, name) = (scores[end], names[end]);
        let mut at = end;
        while at > 0 && scores[at - 1] < score {
            (scores[at], names[at]) = (scores[at - 1], names[at - 1]);
            at -= 1;
        }
        (scores[at], names[at]) = (score, name);
        if end - at > left {
            let mut pairs: Vec<(f64, u32)> =
                scores.iter().copied().zip(names.iter().copied()).collect();
            pairs.sort_unstable_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
            for ((score, name), pair) in scores.iter_mut().zip(names).zip(pairs) {
                (*score, *name) = pair;
            }
            return;
        }
        left -= end - at;
    }
}

impl<'a> Lines<'a> {
    /// The lines of a problem, with nothing known of them.
    pub fn new(problem: &Problem<'a>, weights: Weights) -> Lines<'a> {
        let (n, m) = problem.shape();
        let unread = Line { floor: f64::INFINITY, ..Line::default() };
        let mean = problem.b.iter().sum::<f64>() / m as f64;
        Lines { problem: *problem, weights, mean, lines: vec![unread; m], anchor: vec![0.0; n] }
    }

    /// What all lines have in common.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The present plan becomes the proximal term's, and the weights are new.
    pub fn settle(&mut self, weights: Weights) {
        for (line, b) in self.lines.iter_mut().zip(self.problem.b) {
            line.settle(&self.anchor, &of_line(&self.weights, self.mean, *b));
        }
        self.weights = weights;
    }

    /// Value and gradient at `alpha`, which is `-inf` for points without weight.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn evaluate(
        &mut self,
        alpha: &[f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Smooth, Error> {
        let (n, m) = self.problem.shape();
        let per_block = lines_per_block(n, m);
        let changes = || {
            let pairs = alpha.iter().zip(&self.anchor).filter(|(x, _)| x.is_finite());
            pairs.map(|(x, anchor)| x - anchor)
        };
        let rise = changes().fold(0.0, f64::max);
        let fall = changes().fold(0.0, f64::min);
        let (problem, common, mean) = (self.problem, self.weights, self.mean);
        let of = |b: f64| of_line(&common, mean, b);
        let blocks: Vec<_> = self.lines.chunks_mut(per_block).enumerate().collect();
        let work = m.saturating_mul(PER_LINE);
        let parts = team.for_work(work).run(stop, blocks, |(block, lines)| {
            let first = block * per_block;
            let mut stale = vec![];
            for (q, line) in lines.iter_mut().enumerate() {
                let b = problem.b[first + q];
                if b > 0.0 {
                    line.score(alpha, b, &of(b));
                    if line.floor + rise > line.eta() {
                        stale.push(q);
                    }
                }
            }
            let mut costs = vec![0.0; n * TOGETHER.min(stale.len())];
            let mut top = Top::default();
            for group in stale.chunks(TOGETHER) {
                let names: Vec<usize> = group.iter().map(|q| first + q).collect();
                problem.lines.scaled_rows(&names, 1.0, &mut costs);
                for (q, costs) in group.iter().zip(costs.chunks_exact(n)) {
                    let (line, b) = (&mut lines[*q], problem.b[first + q]);
                    line.read(costs, alpha, b, &of(b), &mut top);
                    line.floor -= fall; // as of the anchor
                }
            }
            let (mut value, mut taken) = (0.0, vec![0.0; n]);
            for (q, line) in lines.iter().enumerate() {
                let Some(shares) = line.shares else { continue };
                let b = problem.b[first + q];
                let weights = of(b);
                value += b * shares.beta - shares.conjugate(&line.scores, &weights);
                for (p, mass) in line.masses(&weights) {
                    taken[line.points[p] as usize] -= mass;
                }
            }
            (value, taken)
        })?;
        let mut smooth =
            Smooth { value: weighted(self.problem.a, alpha), gradient: self.problem.a.to_vec() };
        for (value, taken) in parts {
            smooth.value += value;
            linear::add_to(&taken, &mut smooth.gradient);
        }
        Ok(smooth)
    }

    /// For the given points, which miss that mass: the potential at which the first line that gives
    /// them nothing would begin to, and how far beyond it would give what is missing.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn kinks(
        &self,
        alpha: &[f64],
        points: &[(usize, f64)],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<[f64; 2]>, Error> {
        let found = read_lines(&self.problem, team, stop, |j, costs, best: &mut Vec<[f64; 2]>| {
            best.resize(points.len(), [f64::INFINITY, 0.0]);
            let (line, b) = (&self.lines[j], self.problem.b[j]);
            let Some(shares) = line.shares else { return };
            let Weights { gamma, sigma, .. } = of_line(&self.weights, self.mean, b);
            let per_mass = if shares.theta > 0.0 { sigma } else { gamma + sigma };
            for ((i, missing), best) in points.iter().zip(best) {
                let listed = line.points.binary_search(&(*i as u32));
                let center = listed.map_or(0.0, |p| sigma * line.centers[p]);
                let kink = costs[*i] + shares.eta - center;
                if kink >= alpha[*i] && kink < best[0] {
                    *best = [kink, per_mass * missing];
                }
            }
        })?;
        let first = |q: usize| {
            let all = found.iter().map(|best| best[q]);
            all.fold(
                [f64::INFINITY, 0.0],
                |least, next| if next[0] < least[0] { next } else { least },
            )
        };
        Ok((0..points.len()).map(first).collect())
    }

    /// Potentials that later ones will be near.
    pub fn anchor(&mut self, alpha: &[f64]) {
        let pairs = alpha.iter().zip(&self.anchor).filter(|(x, _)| x.is_finite());
        let rise = pairs.map(|(x, anchor)| x - anchor).fold(0.0, f64::max);
        for line in &mut self.lines {
            line.floor += rise;
        }
        self.anchor.copy_from_slice(alpha);
    }

    /// The graph of the entries that get mass.
    pub fn graph(&self) -> Graph {
        let mut graph = Graph::new(self.problem.a.len());
        for (line, b) in self.lines.iter().zip(self.problem.b) {
            if let Some(shares) = line.shares {
                let end = shares.full + shares.band;
                let name = |p: &u32| line.points[*p as usize];
                graph.add(
                    &of_line(&self.weights, self.mean, *b),
                    line.order[..shares.full].iter().map(name),
                    line.order[shares.full..end].iter().map(name),
                );
            }
        }
        graph
    }

    /// Lines that k restricts.
    pub fn bound(&self) -> usize {
        self.lines.iter().filter(|line| line.shares.is_some_and(|s| s.theta > 0.0)).count()
    }

    /// The present plan.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        for (line, b) in self.lines.iter().zip(self.problem.b) {
            let weights = of_line(&self.weights, self.mean, *b);
            let mut entries: Vec<_> = line.masses(&weights).collect();
            entries.sort_unstable_by_key(|(p, _)| *p);
            for (p, mass) in entries {
                plan.push(line.points[p], line.costs[p], mass);
            }
            plan.end_line();
        }
        plan
    }
}

/// What a plan costs: `<C, P>`, and with the k-support norm on top.
pub fn values(plan: &Plan, gamma: f64, k: usize) -> [f64; 2] {
    let linear = reduce::cost_dot(&plan.costs, &plan.masses);
    let squares: f64 =
        plan.lines().map(|line| norm::squared(&mut plan.masses[line].to_vec(), k)).sum();
    [linear, linear + 0.5 * gamma * squares]
}

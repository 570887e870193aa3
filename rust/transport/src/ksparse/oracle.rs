//! The dual and the semi-dual of the paper: value, gradient and plan at given potentials.
//!
//! One read of the costs, whatever their layout. Of every line the k largest scores are found by a
//! threshold that rises as they are met ([`sparrot_simd::select::Top`]), from a floor below which no score counts:
//! `-beta_j` for the dual; for the semi-dual, whose largest entry alone may take all of `b_j`, the
//! largest score less `gamma b_j`. What is left of the work is a few operations a line.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::{linear, reduce, select::Top};

use super::{Problem, lines_per_block};

/// Lines that are read together where the costs lie across memory.
const TOGETHER: usize = 32;

/// Nanoseconds for an entry, roughly: what decides whether helpers are woken.
const PER_ENTRY: usize = 1;

/// Which function.
#[derive(Clone, Copy, Debug)]
pub enum Formulation<'a> {
    /// Of the potentials of the points and these of the lines.
    Dual(&'a [f64]),
    /// Of the potentials of the points; those of the lines are the best for them.
    SemiDual,
}

/// A function at given potentials.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Its value.
    pub value: f64,
    /// What the points' marginals have less than their weights: the gradient.
    pub points: Vec<f64>,
    /// The same for the lines: 0 for the semi-dual, up to rounding.
    pub lines: Vec<f64>,
    /// The plan, if it was asked for.
    pub plan: Option<Plan>,
    /// The potentials of the lines.
    pub beta: Vec<f64>,
}

/// A sparse plan, by lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Line j has the entries `starts[j]..starts[j + 1]`.
    pub starts: Vec<usize>,
    /// Their points, increasing in each line.
    pub points: Vec<u32>,
    /// Their costs.
    pub costs: Vec<f64>,
    /// Their masses, above 0.
    pub masses: Vec<f64>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { starts: vec![0], points: vec![], costs: vec![], masses: vec![] }
    }
}

impl Plan {
    /// The range of the entries of every line.
    pub fn lines(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.starts.windows(2).map(|ends| ends[0]..ends[1])
    }

    /// Appends an entry to the line that has been begun.
    pub fn push(&mut self, point: u32, cost: f64, mass: f64) {
        self.points.push(point);
        self.costs.push(cost);
        self.masses.push(mass);
    }

    /// Ends a line.
    pub fn end_line(&mut self) {
        self.starts.push(self.points.len());
    }

    /// The same without entries that have no mass.
    pub fn without_zeros(&self) -> Plan {
        let mut kept = Plan::default();
        for line in self.lines() {
            for p in line.filter(|p| self.masses[*p] > 0.0) {
                kept.push(self.points[p], self.costs[p], self.masses[p]);
            }
            kept.end_line();
        }
        kept
    }

    fn append(&mut self, other: Plan) {
        let entries = self.points.len();
        self.starts.extend(other.starts[1..].iter().map(|start| entries + start));
        self.points.extend(other.points);
        self.costs.extend(other.costs);
        self.masses.extend(other.masses);
    }

    /// The mass that each of n points has.
    pub fn point_sums(&self, n: usize) -> Vec<f64> {
        let mut sums = vec![0.0; n];
        for (i, mass) in self.points.iter().zip(&self.masses) {
            sums[*i as usize] += mass;
        }
        sums
    }

    /// The mass that each line has.
    pub fn line_sums(&self) -> Vec<f64> {
        self.lines().map(|line| self.masses[line].iter().sum()).collect()
    }
}

/// Gives every line, `(j, costs, state)`, to `work`, with a state for each block of them; the states,
/// in order.
pub(super) fn read_lines<S: Default + Send>(
    problem: &Problem<'_>,
    team: &Team,
    stop: &Stop<'_>,
    work: impl Fn(usize, &[f64], &mut S) + Sync,
) -> Result<Vec<S>, Error> {
    let (n, m) = problem.shape();
    let rows = lines_per_block(n, m);
    let blocks: Vec<usize> = (0..m).step_by(rows).collect();
    team.for_work(n.saturating_mul(m).saturating_mul(PER_ENTRY)).run(stop, blocks, |first| {
        let mut state = S::default();
        let lines: Vec<usize> = (first..m.min(first + rows)).collect();
        if problem.lines.row(first).is_some() {
            for j in lines {
                if let Some(costs) = problem.lines.row(j) {
                    work(j, costs, &mut state);
                }
            }
            return state;
        }
        let mut costs = vec![0.0; n * TOGETHER.min(lines.len())];
        for group in lines.chunks(TOGETHER) {
            problem.lines.scaled_rows(group, 1.0, &mut costs);
            for (j, costs) in group.iter().zip(costs.chunks_exact(n)) {
                work(*j, costs, &mut state);
            }
        }
        state
    })
}

#[derive(Default)]
struct Block {
    value: f64,
    points: Vec<f64>,
    lines: Vec<f64>,
    beta: Vec<f64>,
    plan: Plan,
    top: Top,
    scratch: Vec<f64>,
}

/// Evaluates the function; `keeps_plan` asks for the plan too.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn evaluate(
    problem: &Problem<'_>,
    alpha: &[f64],
    formulation: Formulation<'_>,
    keeps_plan: bool,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Evaluation, Error> {
    let (n, m) = problem.shape();
    let Problem { gamma, k, .. } = *problem;
    let blocks = read_lines(problem, team, stop, |j, costs, block: &mut Block| {
        let b = problem.b[j];
        block.points.resize(n, 0.0);
        let is_empty = b == 0.0 && matches!(formulation, Formulation::SemiDual);
        // Scores are taken relative to `level`, so that a small mass is not the difference of large
        // numbers; `excess` is what a score is above the threshold.
        let (level, floor) = match formulation {
            Formulation::Dual(beta) => (-beta[j], -beta[j]),
            Formulation::SemiDual => {
                let most = reduce::max_difference(alpha, costs);
                (most, (most - gamma * b).min(most.next_down()))
            }
        };
        block.top.find(alpha, costs, if is_empty { 0 } else { k }, floor);
        block.top.values.iter_mut().for_each(|score| *score -= level);
        let threshold = match formulation {
            Formulation::Dual(_) => 0.0,
            Formulation::SemiDual => {
                block.scratch.clone_from(&block.top.values);
                simplex_threshold(&mut block.scratch, gamma * b)
            }
        };
        // As of any point without weight.
        let beta = if is_empty { f64::NEG_INFINITY } else { -(level + threshold) };
        let (mut sum, mut conjugate) = (0.0, 0.0);
        for (i, score) in block.top.positions.iter().zip(&block.top.values) {
            let excess = score - threshold;
            if excess <= 0.0 {
                continue;
            }
            let mass = excess / gamma;
            sum += mass;
            conjugate += 0.5 * excess * mass;
            block.points[*i as usize] -= mass;
            if keeps_plan {
                block.plan.push(*i, costs[*i as usize], mass);
            }
        }
        block.plan.end_line();
        block.lines.push(b - sum);
        block.beta.push(beta);
        block.value -= conjugate;
        // That of the semi-dual too, whose masses sum to b: an error of beta has no first-order part.
        if b > 0.0 {
            block.value += b * beta;
        }
    })?;
    let mut all = Evaluation {
        value: weighted(problem.a, alpha),
        points: problem.a.to_vec(),
        lines: Vec::with_capacity(m),
        plan: keeps_plan.then(Plan::default),
        beta: Vec::with_capacity(m),
    };
    for block in blocks {
        all.value += block.value;
        linear::add_to(&block.points, &mut all.points);
        all.lines.extend(block.lines);
        all.beta.extend(block.beta);
        if let Some(plan) = &mut all.plan {
            plan.append(block.plan);
        }
    }
    Ok(all)
}

/// `sum_i w_i x_i`, where nothing without weight counts, whatever it is.
pub fn weighted(weights: &[f64], x: &[f64]) -> f64 {
    weights.iter().zip(x).filter(|(w, _)| **w > 0.0).map(|(w, x)| w * x).sum()
}

/// `tau` with `sum_i [x_i - tau]_+ = total > 0`; `-inf` for no values.
///
/// Michelot's method: what is not above the threshold of all that is left is dropped, until
/// nothing is.
fn simplex_threshold(x: &mut Vec<f64>, total: f64) -> f64 {
    while !x.is_empty() {
        let threshold = (x.iter().sum::<f64>() - total) / x.len() as f64;
        let before = x.len();
        x.retain(|x| *x > threshold);
        if x.len() == before {
            return threshold;
        }
    }
    f64::NEG_INFINITY
}

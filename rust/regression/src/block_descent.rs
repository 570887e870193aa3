//! The problem of the working set, by cyclic block coordinate descent with its Gram matrix:
//!
//! ```text
//! min over W of  sum over tasks t of (w_t'G w_t / 2 - c_t'w_t) + sum over groups g of phi_g(W_g)
//! ```
//!
//! - A block is minimised by proximal gradient steps on it alone, with the largest eigenvalue of its
//!   part of G; one step is exact for a single column, whatever the number of tasks. Then the
//!   gradient q of all is updated, m operations for each coefficient that changed. For a block so large
//!   that its eigenvalues cost too much, a mean of them is raised where a step turns out too long. Others
//!   whose columns differ much in scale, for some of which steps would be too short, are minimised
//!   exactly (`face.rs`).
//! - The blocks without a penalty are minimised together at the end of a sweep, with a factor of their
//!   part of G: what they leave of their gradient would have to be paid for by the dual.
//! - After every few sweeps the last iterates are extrapolated ([`crate::extrapolation`]), and the
//!   result is taken if the objective is less there.
//!
//! For a penalty that is convex it ends at a duality gap of this problem, read off q; for others when
//! no block moves far, `sqrt(L) |w - prox(w + q / L)|`.

use sparrot_foundation::{Error, Stop};
use sparrot_prox::BlockPenalty;
use sparrot_simd::{linear, reduce};

use crate::extrapolation::mixture;
use crate::groups::Groups;
use crate::working_set::WorkingSet;
use sparrot_design::factor::Factor;

mod block;
mod face;

use block::{Block, Step};

/// Iterates that are extrapolated, and so many sweeps between extrapolations.
const HISTORY: usize = 5;
/// Variables without a penalty are minimised together if each has this part of its squares to itself.
const INDEPENDENT: f64 = 1e-8;
/// Sweeps on one set, at most: then all columns are looked at again.
const SWEEPS: usize = 2000;

/// When to end.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// At this duality gap of the problem.
    Gap(f64),
    /// When no block moves by more than this.
    Residual(f64),
}

/// The solution so far.
pub struct BlockDescent {
    /// Coefficients: by task, of each variable of the working set.
    pub w: Vec<Vec<f64>>,
    /// `c - G w`, likewise.
    pub q: Vec<Vec<f64>>,
    /// Sweeps over the set.
    pub sweeps: usize,
    c: Vec<Vec<f64>>,
    blocks: Vec<Block>,
    /// The last iterates: coefficients, then their gradient, each with its tasks one after the other.
    history: Vec<Vec<f64>>,
}

impl BlockDescent {
    /// Nothing, for so many tasks.
    pub fn new(tasks: usize) -> BlockDescent {
        let none = || vec![vec![]; tasks];
        BlockDescent { w: none(), q: none(), c: none(), sweeps: 0, blocks: vec![], history: vec![] }
    }

    /// Takes in groups whose columns have joined the working set in this order, with the products
    /// of all columns of the data with the responses.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn extend(
        &mut self,
        new: &[u32],
        groups: &Groups,
        set: &WorkingSet,
        products: impl Fn(usize, usize) -> f64,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let mut first = self.w[0].len();
        for group in new {
            stop.poll()?;
            let columns = groups.columns(*group as usize);
            for t in 0..self.w.len() {
                self.c[t].extend(columns.iter().map(|j| products(t, *j as usize)));
            }
            let (group, count) = (*group as usize, columns.len());
            self.blocks.push(Block::new(set, group, first, count));
            first += count;
        }
        for (w, q) in self.w.iter_mut().zip(&mut self.q) {
            w.resize(first, 0.0);
            q.resize(first, 0.0);
        }
        self.update_gradient(set);
        self.history.clear();
        Ok(())
    }

    /// Takes over coefficients of the variables of the set.
    pub fn start(&mut self, set: &WorkingSet, at: impl Fn(usize, usize) -> f64) {
        for t in 0..self.w.len() {
            self.w[t] = set.variables.iter().map(|j| at(t, *j as usize)).collect();
        }
        self.update_gradient(set);
    }

    /// The groups with coefficients that are not 0.
    pub fn support_size(&self) -> usize {
        let is_used = |b: &&Block| self.w.iter().any(|w| w[b.range()].iter().any(|w| *w != 0.0));
        self.blocks.iter().filter(is_used).count()
    }

    /// The penalty.
    pub fn penalty(&self, penalty: &impl BlockPenalty) -> f64 {
        let mut values = vec![];
        let value = |b: &Block| {
            gather(&self.w, *b, &mut values);
            penalty.value(b.group, &values)
        };
        self.blocks.iter().map(value).sum()
    }

    /// Solves.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn solve(
        &mut self,
        set: &WorkingSet,
        penalty: &impl BlockPenalty,
        yy: f64,
        target: Target,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        self.update_gradient(set);
        self.history.clear();
        let free = self.free(set, penalty)?;
        for _ in 0..SWEEPS {
            stop.poll()?;
            let mut moved = self.sweep(set, penalty, stop)?;
            if let Some(free) = &free {
                moved = moved.max(self.minimise_free(set, free));
            }
            self.sweeps += 1;
            let is_done = match target {
                Target::Gap(gap) => self.gap(penalty, yy) <= gap,
                Target::Residual(residual) => moved <= residual,
            };
            // A sweep that changes nothing is the last, whatever was asked for.
            if is_done || moved == 0.0 || stop.is_late() {
                break;
            }
            self.extrapolate(set, penalty);
        }
        Ok(())
    }

    fn update_gradient(&mut self, set: &WorkingSet) {
        for ((q, c), w) in self.q.iter_mut().zip(&self.c).zip(&self.w) {
            gradient(set, c, w, q);
        }
    }

    /// Minimises each block in turn; the largest move, in the units of a residual.
    fn sweep(
        &mut self,
        set: &WorkingSet,
        penalty: &impl BlockPenalty,
        stop: &Stop<'_>,
    ) -> Result<f64, Error> {
        let (mut largest, mut step) = (0.0f64, Step::default());
        for at in 0..self.blocks.len() {
            let mut block = self.blocks[at];
            if block.curvature <= 0.0 {
                continue;
            }
            gather(&self.w, block, &mut step.now);
            gather(&self.q, block, &mut step.slope);
            let first = block.minimise(set, self.w.len(), penalty, &mut step, stop)?;
            largest = largest.max(first * block.curvature.sqrt());
            self.blocks[at] = block;
            self.take(set, block, &step.now, &step.next);
        }
        Ok(largest)
    }

    /// The variables of the blocks without a penalty, and the factor of their part of G; none if they
    /// must not be negative, or depend on one another so that a solve with G would not be exact.
    fn free(
        &self,
        set: &WorkingSet,
        penalty: &impl BlockPenalty,
    ) -> Result<Option<(Vec<usize>, Factor)>, Error> {
        let is_free = |b: &&Block| b.curvature > 0.0 && penalty.is_free(b.group);
        let places: Vec<usize> =
            self.blocks.iter().filter(is_free).flat_map(|b| b.range()).collect();
        if places.is_empty() || penalty.is_positive() {
            return Ok(None);
        }
        let mut factor = Factor::default();
        let fill = |j: usize, out: &mut [f64]| {
            let column = set.gram(places[j]);
            out.iter_mut().zip(&places[j..]).for_each(|(o, i)| *o = column[*i]);
        };
        let is_exact = factor.rebuild(places.len(), fill)?
            && (places.iter().enumerate())
                .all(|(place, k)| factor.pivot(place) > INDEPENDENT * set.gram(*k)[*k]);
        Ok(is_exact.then_some((places, factor)))
    }

    /// Minimises over them; how far they move, in the units of a residual.
    fn minimise_free(&mut self, set: &WorkingSet, (places, factor): &(Vec<usize>, Factor)) -> f64 {
        let mut squares = 0.0;
        for (w, q) in self.w.iter_mut().zip(&mut self.q) {
            let slope: Vec<f64> = places.iter().map(|k| q[*k]).collect();
            let mut d = slope.clone();
            factor.solve(&mut d);
            squares += reduce::dot(&slope, &d);
            for (k, d) in places.iter().zip(&d).filter(|(_, d)| **d != 0.0) {
                w[*k] += d;
                linear::axpy(-d, set.gram(*k), q);
            }
        }
        squares.max(0.0).sqrt()
    }

    /// Changes the coefficients of a block, and the gradient with them.
    fn take(&mut self, set: &WorkingSet, block: Block, now: &[f64], next: &[f64]) {
        let tasks = self.w.len();
        for t in 0..tasks {
            let moved = |i: usize| next[i * tasks + t] - now[i * tasks + t];
            let mut first = 0;
            while first < block.count {
                let count = if first + 4 <= block.count { 4 } else { 1 };
                let columns = first..first + count;
                if columns.clone().all(|i| moved(i) == 0.0) {
                    first += count;
                    continue;
                }
                let column = |i: usize| set.gram(block.first + i);
                let (d, i) = (|i| -moved(i), first);
                if count == 4 {
                    let rows = [column(i), column(i + 1), column(i + 2), column(i + 3)];
                    let by = [d(i), d(i + 1), d(i + 2), d(i + 3)];
                    linear::axpy4(by, rows, &mut self.q[t]);
                } else {
                    linear::axpy(d(i), column(i), &mut self.q[t]);
                }
                for i in columns {
                    self.w[t][block.first + i] = next[i * tasks + t];
                }
                first += count;
            }
        }
    }

    /// By how much the objective is above a bound of its minimum, from q alone: for residuals r,
    /// `|r|^2 = y'y - c'w - q'w`, which counts only where the share is not 1.
    pub fn gap(&self, penalty: &impl BlockPenalty, yy: f64) -> f64 {
        let (mut cw, mut qw) = (0.0, 0.0);
        for ((w, q), c) in self.w.iter().zip(&self.q).zip(&self.c) {
            cw += reduce::dot(c, w);
            qw += reduce::dot(q, w);
        }
        let mut values = vec![];
        let mut share = 1.0f64;
        for block in &self.blocks {
            gather(&self.q, *block, &mut values);
            if !penalty.is_free(block.group) {
                share = share.min(penalty.share(block.group, &values));
            }
        }
        let squared = yy - cw - qw;
        self.penalty(penalty) - share * qw + 0.5 * (1.0 - share).powi(2) * squared
    }

    fn objective(&self, penalty: &impl BlockPenalty) -> f64 {
        let tasks = self.w.iter().zip(&self.q).zip(&self.c);
        let smooth: f64 = tasks.map(|((w, q), c)| reduce::dot(c, w) + reduce::dot(q, w)).sum();
        self.penalty(penalty) - 0.5 * smooth
    }

    fn extrapolate(&mut self, set: &WorkingSet, penalty: &impl BlockPenalty) {
        let size = self.w[0].len();
        self.history.push(self.w.iter().chain(&self.q).flatten().copied().collect());
        if self.history.len() <= HISTORY {
            return;
        }
        let iterates = std::mem::take(&mut self.history);
        // The gradient is affine: its mixture is the mixture's.
        let Some(mixed) = mixture(&iterates, size * self.w.len()) else { return };
        let before = self.objective(penalty);
        let old = (self.w.clone(), self.q.clone());
        let targets = self.w.iter_mut().chain(&mut self.q);
        targets.zip(mixed.chunks(size)).for_each(|(to, from)| to.copy_from_slice(from));
        if self.make_feasible(penalty) {
            self.update_gradient(set);
        }
        if self.objective(penalty) >= before {
            (self.w, self.q) = old;
        }
    }

    /// A step of no length keeps what is allowed; whether it changed anything.
    pub fn make_feasible(&mut self, penalty: &impl BlockPenalty) -> bool {
        let tasks = self.w.len();
        let (mut values, mut has_changed) = (vec![], false);
        for block in &self.blocks {
            gather(&self.w, *block, &mut values);
            if penalty.excludes(block.group) {
                values.fill(0.0);
            } else {
                penalty.prox(block.group, &mut values, 0.0);
            }
            for (i, value) in values.iter().enumerate() {
                let w = &mut self.w[i % tasks][block.first + i / tasks];
                has_changed |= *w != *value;
                *w = *value;
            }
        }
        has_changed
    }
}

/// What belongs to a block: its columns, each with its tasks.
fn gather(from: &[Vec<f64>], block: Block, out: &mut Vec<f64>) {
    out.clear();
    if let [single] = from {
        out.extend_from_slice(&single[block.range()]);
    } else {
        out.extend(block.range().flat_map(|k| from.iter().map(move |task| task[k])));
    }
}

fn gradient(set: &WorkingSet, c: &[f64], w: &[f64], q: &mut [f64]) {
    q.copy_from_slice(c);
    for (k, w) in w.iter().enumerate().filter(|(_, w)| **w != 0.0) {
        linear::axpy(-w, set.gram(k), q);
    }
}

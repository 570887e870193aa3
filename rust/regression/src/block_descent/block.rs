//! A block by itself: see [`crate::block_descent`].

use faer::{MatRef, Side};
use sparrot_foundation::{Error, Stop};
use sparrot_prox::BlockPenalty;
use sparrot_simd::{linear, reduce};

use super::face::{Norms, Part};
use crate::working_set::WorkingSet;

/// Proximal steps on a block in a sweep, at most,
const STEPS: usize = 20;
/// and the last of them moves by this share of the first, at most.
const SETTLED: f64 = 0.1;
/// The eigenvalues of blocks of so many columns, at most, are computed.
const LARGE: usize = 512;
/// An eigenvalue is right to rounding of the largest: a little above it is safe.
const ROUNDING: f64 = 1.0 + 1e-13;
/// Steps of one length are too short for a block the squares of whose columns differ by this factor.
const UNEVEN: f64 = 1e3;
/// What a step has shown to be too little is raised by this.
const RAISE: f64 = 1.5;

/// A group whose columns are in the set, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) group: usize,
    pub(super) first: usize,
    pub(super) count: usize,
    /// The largest eigenvalue of its part of G,
    pub(super) curvature: f64,
    /// if the block is not too large: then what has been enough for steps so far.
    is_known: bool,
    /// Whether its columns differ too much in scale for steps of one length.
    is_uneven: bool,
}

/// What a block's minimisation works with: numbers of its columns, each with its tasks.
#[derive(Default)]
pub(super) struct Step {
    /// Where it starts, and its slope, `c - G w`, which follows the steps.
    pub(super) now: Vec<f64>,
    pub(super) slope: Vec<f64>,
    /// Where it ends.
    pub(super) next: Vec<f64>,
    before: Vec<f64>,
    image: Vec<f64>,
}

impl Block {
    /// Of columns in the set from the first on.
    pub(super) fn new(set: &WorkingSet, group: usize, first: usize, count: usize) -> Block {
        let (curvature, is_known) = curvature(set, first, count);
        let squares = (first..first + count).map(|k| set.gram(k)[k]).filter(|s| *s > 0.0);
        let least = squares.clone().fold(f64::INFINITY, f64::min);
        let is_uneven = is_known && squares.fold(0.0, f64::max) > UNEVEN * least;
        Block { group, first, count, curvature, is_known, is_uneven }
    }

    /// Minimises over it: from `now` with its slope to `next`. How long the first step was.
    pub(super) fn minimise(
        &mut self,
        set: &WorkingSet,
        tasks: usize,
        penalty: &impl BlockPenalty,
        Step { now, slope, next, before, image }: &mut Step,
        stop: &Stop<'_>,
    ) -> Result<f64, Error> {
        next.clone_from(now);
        let norms = penalty.norms(self.group).filter(|_| self.is_uneven && tasks == 1);
        let mut first = 0.0;
        for _ in 0..STEPS {
            let step = 1.0 / self.curvature;
            before.clone_from(next);
            next.iter_mut().zip(&*slope).for_each(|(w, q)| *w += step * q);
            penalty.prox(self.group, next, step);
            let length = distance(next, before);
            // One step is exact for a column by itself.
            let is_last = self.count == 1 || length <= SETTLED * first;
            if !is_last || !self.is_known {
                self.image(set, tasks, next, before, image);
            }
            if !self.is_known {
                stop.poll()?;
                let moves = next.iter().zip(&*before).zip(&*image);
                let curved: f64 = moves.map(|((to, from), i)| (to - from) * i).sum();
                if curved > self.curvature * length * length * ROUNDING {
                    self.curvature = RAISE * curved / (length * length);
                    next.clone_from(before);
                    continue;
                }
            }
            first = if first == 0.0 { length } else { first };
            if is_last {
                break;
            }
            slope.iter_mut().zip(&*image).for_each(|(q, i)| *q -= i);
            if let Some((group, single)) = norms {
                let norms = Norms { group, single, positive: penalty.is_positive() };
                let part = Part { gram: &self.part(set), count: self.count };
                if part.minimise(norms, next, slope)? {
                    break;
                }
            }
        }
        Ok(first)
    }

    /// Its part of G, by columns.
    fn part(&self, set: &WorkingSet) -> Vec<f64> {
        self.range().flat_map(|k| set.gram(k)[self.range()].to_vec()).collect()
    }

    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }

    /// The product of its part of G with a move.
    fn image(&self, set: &WorkingSet, tasks: usize, to: &[f64], from: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.resize(to.len(), 0.0);
        for (at, (to, from)) in to.iter().zip(from).enumerate().filter(|(_, (a, b))| a != b) {
            let column = &set.gram(self.first + at / tasks)[self.range()];
            if tasks == 1 && !self.is_known {
                linear::axpy(to - from, column, out);
                continue;
            }
            for (k, g) in column.iter().enumerate() {
                out[k * tasks + at % tasks] += (to - from) * g;
            }
        }
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// The largest eigenvalue of a diagonal block of G, from above, and true; of a large one the mean of
/// all, each counted by its own size, and false.
fn curvature(set: &WorkingSet, first: usize, count: usize) -> (f64, bool) {
    let trace = || (first..first + count).map(|k| set.gram(k)[k]).sum::<f64>();
    if count == 1 {
        return (trace(), true);
    }
    if count > LARGE {
        let columns = (first..first + count).map(|k| &set.gram(k)[first..first + count]);
        let squares: f64 = columns.map(|column| reduce::dot(column, column)).sum();
        return (if squares > 0.0 { squares / trace() } else { 0.0 }, false);
    }
    let part: Vec<f64> =
        (first..first + count).flat_map(|k| set.gram(k)[first..first + count].to_vec()).collect();
    let matrix = MatRef::from_column_major_slice(&part, count, count);
    let largest = match matrix.self_adjoint_eigenvalues(Side::Lower) {
        Ok(values) => values.iter().copied().fold(0.0, f64::max) * ROUNDING,
        Err(_) => trace(), // it bounds it
    };
    (largest, true)
}

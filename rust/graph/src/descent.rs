//! Block descent by message passing: the paper's method for quadratics on graphs.
//!
//! The unknowns are cut into forests (by decreasing diagonal, each into the first that it keeps
//! acyclic); a block update `x_b += A_bb^-1 (rhs - A x)_b` is exact and linear in the edges of its
//! forest. Cyclic sweeps over the blocks descend to the solution (Nutini, Laradji and Schmidt,
//! JMLR 23 (2022), section 5); there and back again they are a symmetric preconditioner of
//! conjugate gradients, which need the square root of the sweeps. Factors are kept, so that a
//! sweep costs two readings of the matrix. What we add: right-hand sides go side by side.

use sparrot_foundation::{Error, Status, Stop};
use sparrot_sparse::cg::Iterate;
use sparrot_sparse::compressed::Owned;
use sparrot_sparse::elimination::{Elimination, Places};
use sparrot_sparse::forest;

use crate::cg::{Limits, Solved};
use crate::system::System;

/// The forests of a system, factored.
pub struct Blocks<'a> {
    system: &'a System,
    matrix: Owned<f64>,
    blocks: Vec<Elimination>,
}

impl<'a> Blocks<'a> {
    /// Cuts and factors.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(system: &'a System, stop: &Stop<'_>) -> Result<Blocks<'a>, Error> {
        let matrix = system.matrix();
        let mut order: Vec<u32> = (0..system.len() as u32).collect();
        let diagonal = |i: u32| system.diagonal[i as usize];
        order.sort_by(|i, j| diagonal(*j).total_cmp(&diagonal(*i)));
        let mut places = Places::new(system.len());
        let mut blocks = vec![];
        for block in forest::partition(matrix.view(), order) {
            stop.poll()?;
            // Of an M-matrix whose unknowns are all held, only rounding can spoil a block.
            let factor = Elimination::new(matrix.view(), &block, &mut places).map_err(|_| {
                Error::invalid("W", "weights differ too much for message passing: use method='cg'")
            })?;
            blocks.push(factor);
        }
        Ok(Blocks { system, matrix, blocks })
    }

    /// Updates one block of n x k values by rows.
    fn update(&self, which: usize, rhs: &[f64], k: usize, x: &mut [f64], room: &mut Vec<f64>) {
        let block = &self.blocks[which];
        room.clear();
        for node in block.nodes() {
            let i = *node as usize;
            let at = room.len();
            room.extend_from_slice(&rhs[i * k..(i + 1) * k]);
            self.subtract_product(i, x, k, &mut room[at..]);
        }
        block.solve_many(room, k);
        for (node, step) in block.nodes().iter().zip(room.chunks_exact(k)) {
            let i = *node as usize;
            x[i * k..(i + 1) * k].iter_mut().zip(step).for_each(|(x, d)| *x += d);
        }
    }

    /// `out -= (A x)_i`.
    fn subtract_product(&self, i: usize, x: &[f64], k: usize, out: &mut [f64]) {
        let (indices, values) = self.matrix.view().line(i);
        for (j, a) in indices.iter().zip(values) {
            let from = &x[*j as usize * k..][..k];
            out.iter_mut().zip(from).for_each(|(out, x)| *out -= a * x);
        }
    }

    /// Cyclic sweeps until every residual is small enough.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn descend(&self, limits: Limits, stop: &Stop<'_>) -> Result<Solved, Error> {
        let n = self.system.len();
        let rhs = &self.system.rhs;
        let k = rhs.len() / n;
        let aims: Vec<f64> = norms(rhs, k).iter().map(|norm| limits.tol * norm).collect();
        let mut x = vec![0.0; n * k];
        let (mut residual, mut room) = (rhs.clone(), vec![]);
        let mut done = 0;
        let status = loop {
            if norms(&residual, k).iter().zip(&aims).all(|(norm, aim)| norm <= aim) {
                break Status::Converged;
            }
            if done == limits.max_iter {
                break Status::MaxIter;
            }
            if stop.is_late() {
                break Status::MaxTime;
            }
            for which in 0..self.blocks.len() {
                stop.poll()?;
                self.update(which, rhs, k, &mut x, &mut room);
            }
            done += 1;
            residual.copy_from_slice(rhs);
            for (i, out) in residual.chunks_exact_mut(k).enumerate() {
                self.subtract_product(i, &x, k, out);
            }
        };
        Ok(Solved { x, iterations: done, status })
    }

    /// Conjugate gradients with a sweep there and back as preconditioner, one right-hand side
    /// after the other.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn conjugate(&self, limits: Limits, stop: &Stop<'_>) -> Result<Solved, Error> {
        let n = self.system.len();
        let rhs = &self.system.rhs;
        let k = rhs.len() / n;
        let mut all = Solved { x: vec![0.0; n * k], iterations: 0, status: Status::Converged };
        for (c, norm) in norms(rhs, k).into_iter().enumerate() {
            let column: Vec<f64> = (0..n).map(|i| rhs[i * k + c]).collect();
            let mut iterate = Iterate::new(&column);
            let multiply = |x: &[f64], out: &mut [f64]| {
                stop.poll()?;
                out.fill(0.0);
                for (i, out) in out.chunks_exact_mut(1).enumerate() {
                    self.subtract_product(i, x, 1, out);
                    out[0] = -out[0];
                }
                Ok(())
            };
            let mut room = vec![];
            let sweep = |r: &[f64], out: &mut [f64]| {
                out.fill(0.0);
                for which in (0..self.blocks.len()).chain((0..self.blocks.len() - 1).rev()) {
                    self.update(which, r, 1, out, &mut room);
                }
            };
            // The L1 norm, which the iteration stops by, is the larger one.
            let target = limits.tol * norm;
            let done = iterate.advance(multiply, sweep, target, limits.max_iter, stop)?;
            all.iterations = all.iterations.max(done);
            let is_small = iterate.residual.iter().map(|r| r.abs()).sum::<f64>() <= target;
            if !is_small {
                all.status = if stop.is_late() {
                    Status::MaxTime
                } else if done == limits.max_iter {
                    Status::MaxIter
                } else {
                    Status::Stalled
                };
            }
            (0..n).for_each(|i| all.x[i * k + c] = iterate.x[i]);
        }
        Ok(all)
    }
}

/// The 2-norms of the k columns.
fn norms(rows: &[f64], k: usize) -> Vec<f64> {
    let mut sums = vec![0.0; k];
    for row in rows.chunks_exact(k) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * x);
    }
    sums.into_iter().map(f64::sqrt).collect()
}

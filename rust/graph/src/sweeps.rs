//! Block descent by message passing: the paper's method for quadratics on graphs.
//!
//! The unknowns are cut into forests (by decreasing diagonal, each into the first that it keeps
//! acyclic); a block update `x_b += A_bb^-1 (rhs - A x)_b` is exact and linear in the edges of its
//! forest. Cyclic sweeps over the blocks descend to the solution (Nutini, Laradji and Schmidt,
//! JMLR 23 (2022), section 5). There and back again they are symmetric: a smoother, or the
//! preconditioner of conjugate gradients, which need the square root of the sweeps. Factors are
//! kept, so that a sweep costs two readings of the matrix. What we add: right-hand sides go side
//! by side.

use sparrot_foundation::{Error, Status, Stop};
use sparrot_sparse::cg::Iterate;
use sparrot_sparse::compressed::Owned;
use sparrot_sparse::elimination::{Elimination, NoElimination, Places};
use sparrot_sparse::forest;

use crate::certificate::Size;
use crate::cg::{Limits, Solved};
use crate::problem::LINES;

/// A symmetric positive definite matrix, cut into forests that are factored.
#[derive(Clone, Debug)]
pub struct Sweeps {
    matrix: Owned<f64>,
    diagonal: Vec<f64>,
    blocks: Vec<Elimination>,
}

impl Sweeps {
    /// Cuts and factors a symmetric matrix, which errors call by that name.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the block of a forest is not positive definite,
    /// [`Error::Interrupted`].
    pub fn new(
        argument: &'static str,
        matrix: Owned<f64>,
        stop: &Stop<'_>,
    ) -> Result<Sweeps, Error> {
        let n = matrix.view().lines();
        let diagonal: Vec<f64> = (0..n).map(|i| matrix.view().diagonal(i)).collect();
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_by(|i, j| diagonal[*j as usize].total_cmp(&diagonal[*i as usize]));
        let mut places = Places::new(n);
        let mut blocks = vec![];
        for block in forest::partition(matrix.view(), order) {
            stop.poll()?;
            let factor = Elimination::new(matrix.view(), &block, &mut places);
            blocks.push(factor.map_err(|why| {
                let (NoElimination::NotPositive(node) | NoElimination::Cycle(node)) = why;
                let what = format!("the pivot of node {node} in its forest is not above 0: ");
                Error::invalid(argument, what + "needs a matrix that is safely positive definite")
            })?);
        }
        Ok(Sweeps { matrix, diagonal, blocks })
    }

    /// The number of unknowns.
    pub fn len(&self) -> usize {
        self.diagonal.len()
    }

    /// Whether there is nothing to solve for.
    pub fn is_empty(&self) -> bool {
        self.diagonal.is_empty()
    }

    /// The number of forests.
    pub fn forests(&self) -> usize {
        self.blocks.len()
    }

    /// Updates every block of n x k values by rows, in order.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn forward(
        &self,
        rhs: &[f64],
        k: usize,
        x: &mut [f64],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let mut room = vec![];
        (0..self.blocks.len()).try_for_each(|b| self.update(b, rhs, k, x, &mut room, stop))
    }

    /// The same in the reverse order.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn backward(
        &self,
        rhs: &[f64],
        k: usize,
        x: &mut [f64],
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let mut room = vec![];
        (0..self.blocks.len()).rev().try_for_each(|b| self.update(b, rhs, k, x, &mut room, stop))
    }

    fn update(
        &self,
        which: usize,
        rhs: &[f64],
        k: usize,
        x: &mut [f64],
        room: &mut Vec<f64>,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let block = &self.blocks[which];
        room.clear();
        for (at, node) in block.nodes().iter().enumerate() {
            if at.is_multiple_of(LINES) {
                stop.poll()?;
            }
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
        Ok(())
    }

    /// `out -= (A x)_i`.
    fn subtract_product(&self, i: usize, x: &[f64], k: usize, out: &mut [f64]) {
        let (indices, values) = self.matrix.view().line(i);
        for (j, a) in indices.iter().zip(values) {
            let from = &x[*j as usize * k..][..k];
            out.iter_mut().zip(from).for_each(|(out, x)| *out -= a * x);
        }
    }

    fn sizes(&self, rows: &[f64], k: usize) -> Vec<Size> {
        let mut sizes = vec![Size::default(); k];
        for (row, diagonal) in rows.chunks_exact(k).zip(&self.diagonal) {
            sizes.iter_mut().zip(row).for_each(|(size, x)| size.add(*x, *diagonal));
        }
        sizes
    }

    /// Cyclic sweeps until every relative residual is small enough.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn descend(
        &self,
        rhs: &[f64],
        limits: Limits<'_>,
        stop: &Stop<'_>,
    ) -> Result<Solved, Error> {
        let k = rhs.len() / self.len();
        let whole = self.sizes(rhs, k);
        let mut x = vec![0.0; rhs.len()];
        let mut residual = rhs.to_vec();
        let mut done = 0;
        let status = loop {
            let left = self.sizes(&residual, k);
            if left.iter().zip(&whole).all(|(r, b)| r.over(b) <= limits.tol) {
                break Status::Converged;
            }
            if done == limits.max_iter {
                break Status::MaxIter;
            }
            if stop.is_late() {
                break Status::MaxTime;
            }
            self.forward(rhs, k, &mut x, stop)?;
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
    pub fn conjugate(
        &self,
        rhs: &[f64],
        limits: Limits<'_>,
        stop: &Stop<'_>,
    ) -> Result<Solved, Error> {
        let n = self.len();
        let k = rhs.len() / n;
        let mut all = Solved { x: vec![0.0; n * k], iterations: 0, status: Status::Converged };
        for c in 0..k {
            let column: Vec<f64> = (0..n).map(|i| rhs[i * k + c]).collect();
            let (x, iterations, status) = self.conjugate_one(&column, limits, stop)?;
            all.iterations = all.iterations.max(iterations);
            if all.status == Status::Converged {
                all.status = status;
            }
            (0..n).for_each(|i| all.x[i * k + c] = x[i]);
        }
        Ok(all)
    }

    fn conjugate_one(
        &self,
        rhs: &[f64],
        limits: Limits<'_>,
        stop: &Stop<'_>,
    ) -> Result<(Vec<f64>, usize, Status), Error> {
        let multiply = |x: &[f64], out: &mut [f64]| {
            stop.poll()?;
            for (i, out) in out.iter_mut().enumerate() {
                *out = self.matrix.view().dot(i, x);
            }
            Ok(())
        };
        let sweep = |r: &[f64], out: &mut [f64]| {
            out.fill(0.0);
            let mut room = vec![];
            // The last block is solved exactly going there: it need not be solved again. Who
            // interrupts is seen by the product that follows.
            for which in (0..self.blocks.len()).chain((0..self.blocks.len() - 1).rev()) {
                let _ = self.update(which, r, 1, out, &mut room, stop);
            }
        };
        let whole = self.sizes(rhs, 1)[0];
        let mut iterate = Iterate::new(rhs);
        let mut target = limits.tol * rhs.iter().map(|b| b * b).sum::<f64>().sqrt();
        let mut done = 0;
        loop {
            let more = limits.max_iter - done;
            let steps = iterate.advance(multiply, sweep, target, more, stop)?;
            done += steps;
            let status = if self.sizes(&iterate.residual, 1)[0].over(&whole) <= limits.tol {
                Status::Converged
            } else if stop.is_late() {
                Status::MaxTime
            } else if done == limits.max_iter {
                Status::MaxIter
            } else if steps == 0 {
                Status::Stalled
            } else {
                // The L1 norm, which the iteration stops by, is small enough; that of a node is
                // not yet.
                target *= 0.1;
                continue;
            };
            return Ok((iterate.x, done, status));
        }
    }
}

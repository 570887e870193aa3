//! Quadratics with a sparse matrix: `f(x) = x'A x / 2 - b'x`, A symmetric positive semi-definite.
//!
//! The gradient `A x - b` is always kept: a step costs the rows of its block. With the Laplacian
//! of a graph for A this is label propagation, and the blocks may be forests of the graph.

use sparrot_foundation::Error;
use sparrot_sparse::Compressed;

use super::{Changed, Smooth, Sum, Work};
use crate::dense::Symmetric;

/// A quadratic, and the point that a solver stands on.
pub struct Quadratic<'a> {
    matrix: Compressed<'a, f64>,
    b: &'a [f64],
    lipschitz: Vec<f64>,
    value: Sum,
    gradient: Vec<f64>,
    /// The last step tried: `A d` where it is not 0.
    image: Vec<f64>,
    is_touched: Vec<bool>,
    touched: Vec<u32>,
    change: f64,
}

impl<'a> Quadratic<'a> {
    /// The quadratic of a symmetric matrix, by rows (or columns), at x = 0.
    pub fn new(matrix: Compressed<'a, f64>, b: &'a [f64]) -> Quadratic<'a> {
        let n = b.len();
        Quadratic {
            lipschitz: (0..n).map(|i| matrix.diagonal(i)).collect(),
            matrix,
            b,
            value: Sum::new(0.0),
            gradient: b.iter().map(|b| -b).collect(),
            image: vec![0.0; n],
            is_touched: vec![false; n],
            touched: vec![],
            change: 0.0,
        }
    }
}

impl Smooth for Quadratic<'_> {
    fn size(&self) -> usize {
        self.b.len()
    }

    fn lipschitz(&self) -> &[f64] {
        &self.lipschitz
    }

    fn row_sums(&self) -> Vec<f64> {
        let sum = |i| self.matrix.line(i).1.iter().map(|v| v.abs()).sum();
        (0..self.size()).map(sum).collect()
    }

    fn bound(&self, block: &[u32], out: &mut Symmetric, _work: Work<'_>) -> Result<(), Error> {
        // Blocks are small beside n: places are sought, so that no memory of size n is needed.
        let mut order: Vec<(u32, usize)> = block.iter().copied().zip(0..).collect();
        order.sort_unstable();
        out.clear(block.len());
        for (p, v) in block.iter().enumerate() {
            let (indices, values) = self.matrix.line(*v as usize);
            for (j, a) in indices.iter().zip(values) {
                if let Ok(found) = order.binary_search_by_key(j, |(v, _)| *v) {
                    out.values[order[found].1 + p * block.len()] = *a;
                }
            }
        }
        Ok(())
    }

    fn hessian(&mut self, block: &[u32], out: &mut Symmetric, work: Work<'_>) -> Result<(), Error> {
        self.bound(block, out, work)
    }

    fn bound_product(&self, d: &[f64], out: &mut [f64], work: Work<'_>) -> Result<(), Error> {
        work.stop.poll()?;
        out.fill(0.0);
        for (i, d) in d.iter().enumerate().filter(|(_, d)| **d != 0.0) {
            let (indices, values) = self.matrix.line(i);
            indices.iter().zip(values).for_each(|(j, a)| out[*j as usize] += a * d);
        }
        Ok(())
    }

    fn place(&mut self, x: &[f64], _keeps_gradient: bool, work: Work<'_>) -> Result<(), Error> {
        work.stop.poll()?;
        for (i, g) in self.gradient.iter_mut().enumerate() {
            *g = self.matrix.dot(i, x) - self.b[i];
        }
        // x'(g - b) / 2
        let one = |((x, g), b): ((&f64, &f64), &f64)| 0.5 * x * (g - b);
        self.value = Sum::new(x.iter().zip(&self.gradient).zip(self.b).map(one).sum());
        Ok(())
    }

    fn value(&self) -> f64 {
        self.value.get()
    }

    fn gradient(&mut self, _work: Work<'_>) -> Result<&[f64], Error> {
        Ok(&self.gradient)
    }

    fn block_gradient(&self, block: &[u32], out: &mut [f64]) {
        for (v, out) in block.iter().zip(out) {
            *out = self.gradient[*v as usize];
        }
    }

    fn try_step(&mut self, block: &[u32], d: &[f64]) -> Result<f64, Error> {
        for j in self.touched.drain(..) {
            self.is_touched[j as usize] = false;
            self.image[j as usize] = 0.0;
        }
        for (v, d) in block.iter().zip(d).filter(|(_, d)| **d != 0.0) {
            let (indices, values) = self.matrix.line(*v as usize);
            for (j, a) in indices.iter().zip(values) {
                self.image[*j as usize] += a * d;
                if !self.is_touched[*j as usize] {
                    self.is_touched[*j as usize] = true;
                    self.touched.push(*j);
                }
            }
        }
        let one =
            |(v, d): (&u32, &f64)| d * (self.gradient[*v as usize] + 0.5 * self.image[*v as usize]);
        self.change = block.iter().zip(d).map(one).sum();
        Ok(self.change)
    }

    fn accept(&mut self, changed: &mut Vec<u32>, _work: Work<'_>) -> Result<Changed, Error> {
        self.value.add(self.change);
        for j in &self.touched {
            self.gradient[*j as usize] += self.image[*j as usize];
        }
        changed.extend_from_slice(&self.touched);
        Ok(Changed::Listed)
    }

    fn pass_cost(&self) -> usize {
        self.matrix.indices.len()
    }

    fn graph(&self) -> Option<Compressed<'_, f64>> {
        Some(self.matrix)
    }
}

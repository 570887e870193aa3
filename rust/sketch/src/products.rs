//! One pass for the products of normal equations: `Y'Y` and `Y'b`, Y = A or A X.
//!
//! Blocks of rows are multiplied while they are in cache. A X is formed in runs of few columns of A, so
//! that sums are short and their rounding is bounded by more than hope ([`Products::summed`]); rows of
//! X begin at their first entry that is not 0, which halves the work where X is triangular.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::linear;

use crate::model::{BLOCK, Shifted, slabs};
use crate::rows::Rows;

/// Columns of A that are multiplied by X together.
const RUN: usize = 32;

/// What a pass has found.
pub struct Products {
    /// `Y'Y`, (r, r).
    pub gram: Mat<f64>,
    /// `Y'b`, (r, k), the right-hand sides shifted by their means.
    pub cross: Mat<f64>,
    /// The squares of the norms of the columns of A, shifted and weighted.
    pub squares: Vec<f64>,
    /// How many terms are added up one after the other, at most: in the entries of `gram`.
    pub summed: usize,
}

/// How many roundings an entry of A X goes through, at most.
pub fn product_roundings(p: usize) -> usize {
    RUN.min(p) + p.div_ceil(RUN)
}

/// How many terms an entry of `Y'Y` adds up one after the other.
pub fn summed(n: usize, r: usize) -> usize {
    let slabs = slabs(n, r * r);
    let blocks = slabs.first().map_or(0, |slab| slab.len().div_ceil(BLOCK));
    BLOCK + blocks + slabs.len()
}

struct Part {
    gram: Vec<f64>,
    cross: Vec<f64>,
    squares: Vec<f64>,
}

/// With X (p, r); without, Y = A.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn products(
    rows: &Shifted<'_>,
    x: Option<&Mat<f64>>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Products, Error> {
    let (n, p, k) = (rows.rows(), rows.columns(), rows.problem.targets);
    let r = x.map_or(p, |x| x.ncols());
    let starts: Vec<usize> = (0..p)
        .step_by(RUN)
        .map(|top| x.map_or(0, |x| first_column(x, top..(top + RUN).min(p))))
        .collect();
    let work = n * (r * r / 16 + if x.is_some() { p * r / 16 } else { 0 } + p);
    let parts = team.for_work(work).run(stop, slabs(n, r * r), |slab| {
        let mut part = Part {
            gram: memory::zeros("a Gram matrix", r, r)?,
            cross: memory::zeros("products with right-hand sides", k, r)?,
            squares: vec![0.0; p],
        };
        let mut room = vec![0.0; BLOCK * p];
        let mut product = vec![0.0; if x.is_some() { BLOCK * r } else { 0 }];
        for first in slab.clone().step_by(BLOCK) {
            stop.poll()?;
            let count = BLOCK.min(slab.end - first);
            let block = &mut room[..count * p];
            rows.fill(first, 0..p, block);
            let y = match x {
                None => &*block,
                Some(x) => {
                    linear_squares(block, p, &mut part.squares);
                    let y = &mut product[..count * r];
                    multiply(block, x, &starts, y);
                    &*y
                }
            };
            part.add(rows, first, y, r);
        }
        Ok(part)
    })?;
    let mut all = Part { gram: vec![0.0; r * r], cross: vec![0.0; k * r], squares: vec![0.0; p] };
    for part in parts {
        let part: Part = part?;
        linear::add_to(&part.gram, &mut all.gram);
        linear::add_to(&part.cross, &mut all.cross);
        linear::add_to(&part.squares, &mut all.squares);
    }
    let gram = Mat::from_fn(r, r, |i, j| all.gram[i.max(j) * r + i.min(j)]);
    if x.is_none() {
        all.squares = (0..p).map(|j| gram[(j, j)]).collect();
    }
    let cross = Mat::from_fn(r, k, |i, t| all.cross[t * r + i]);
    Ok(Products { gram, cross, squares: all.squares, summed: summed(n, r) })
}

impl Part {
    /// Adds the products of a block Y of r columns.
    fn add(&mut self, rows: &Shifted<'_>, first: usize, y: &[f64], r: usize) {
        if r == 0 {
            return;
        }
        let (count, k) = (y.len() / r, rows.problem.targets);
        let view = MatRef::from_row_major_slice(y, count, r);
        triangular::matmul(
            MatMut::from_row_major_slice_mut(&mut self.gram, r, r),
            BlockStructure::TriangularLower,
            Accum::Add,
            view.transpose(),
            BlockStructure::Rectangular,
            view,
            BlockStructure::Rectangular,
            1.0,
            Par::Seq,
        );
        for (t, cross) in self.cross.chunks_exact_mut(r).enumerate() {
            let target = |i: usize| {
                let b = rows.problem.b[(first + i) * k + t] - rows.target_means[t];
                rows.root(first + i) * b
            };
            let whole = count - count % 4;
            for i in (0..whole).step_by(4) {
                let row = |q: usize| &y[(i + q) * r..(i + q + 1) * r];
                let factors = [target(i), target(i + 1), target(i + 2), target(i + 3)];
                linear::axpy4(factors, [row(0), row(1), row(2), row(3)], cross);
            }
            for i in whole..count {
                linear::axpy(target(i), &y[i * r..(i + 1) * r], cross);
            }
        }
    }
}

/// The first column in which some of these rows of X is not 0.
fn first_column(x: &Mat<f64>, rows: std::ops::Range<usize>) -> usize {
    let is_zero = |j: &usize| rows.clone().all(|i| x[(i, *j)] == 0.0);
    (0..x.ncols()).take_while(is_zero).count()
}

fn multiply(block: &[f64], x: &Mat<f64>, starts: &[usize], out: &mut [f64]) {
    let (p, r) = (x.nrows(), x.ncols());
    if r == 0 {
        return;
    }
    let count = block.len() / p;
    out.fill(0.0);
    let a = MatRef::from_row_major_slice(block, count, p);
    let mut y = MatMut::from_row_major_slice_mut(out, count, r);
    for (k, start) in starts.iter().enumerate() {
        let (top, bottom) = (k * RUN, ((k + 1) * RUN).min(p));
        let y = y.rb_mut().subcols_mut(*start, r - start);
        let x = x.get(top..bottom, *start..r);
        matmul(y, Accum::Add, a.subcols(top, bottom - top), x, 1.0, Par::Seq);
    }
}

fn linear_squares(block: &[f64], p: usize, squares: &mut [f64]) {
    for row in block.chunks_exact(p) {
        squares.iter_mut().zip(row).for_each(|(s, v)| *s += v * v);
    }
}

//! One pass for the products of normal equations: `Y'Y` and `Y'b`, Y = A or A X.
//!
//! Blocks of rows are multiplied while they are in cache ([`tall`]). A X is formed in runs of few
//! columns of A, so that sums are short and their rounding is bounded by more than hope
//! ([`Products::summed`]).

use faer::Mat;
use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::{linear, tall};

use crate::model::{Shifted, slabs};
use crate::rows::{Rows, ahead};

/// Numbers in a sum of which there should not be many at once: 4 MB.
const LARGE: usize = 1 << 19;
/// Rows that are multiplied together.
const BLOCK: usize = 128;

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
    tall::RUN.min(p) + p.div_ceil(tall::RUN)
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
    let width = tall::padded(r);
    let right = x.map(|x| tall::Right::new(p, r, |i, j| x[(i, j)]));
    let work = n * (r * r / 32 + if x.is_some() { p * r / 32 } else { 0 } + p);
    let size = width * width;
    let mut all =
        Part { gram: vec![0.0; size], cross: vec![0.0; k * width], squares: vec![0.0; p] };
    let (team, slabs) = (team.for_work(work), slabs(n, r * r));
    // Large sums of no more slabs at once than are worked on; added up in the same order anyway.
    let together = if size > LARGE { team.threads() } else { slabs.len().max(1) };
    for slabs in slabs.chunks(together) {
        let parts = team.run(stop, slabs.to_vec(), |slab| {
            let mut part = Part {
                gram: memory::zeros("a Gram matrix", width, width)?,
                cross: memory::zeros("products with right-hand sides", k, width)?,
                squares: vec![0.0; p],
            };
            let mut room = vec![0.0; BLOCK * p];
            let mut panels = vec![0.0; BLOCK * width];
            for first in slab.clone().step_by(BLOCK) {
                stop.poll()?;
                let count = BLOCK.min(slab.end - first);
                let panels = &mut panels[..count * width];
                let block = &mut room[..count * p];
                rows.fill(first, 0..p, block);
                match &right {
                    None => tall::pack(block, p, panels),
                    Some(right) => {
                        tall::add_squares(block, &mut part.squares);
                        tall::multiply(block, right, panels);
                    }
                }
                part.add(rows, first, count, panels, ahead(rows, first + BLOCK, BLOCK, slab.end));
            }
            Ok(part)
        })?;
        for part in parts {
            let part: Part = part?;
            linear::add_to(&part.gram, &mut all.gram);
            linear::add_to(&part.cross, &mut all.cross);
            linear::add_to(&part.squares, &mut all.squares);
        }
    }
    let gram = Mat::from_fn(r, r, |i, j| all.gram[i.max(j) * width + i.min(j)]);
    if x.is_none() {
        all.squares = (0..p).map(|j| gram[(j, j)]).collect();
    }
    let cross = Mat::from_fn(r, k, |i, t| all.cross[t * width + i]);
    Ok(Products { gram, cross, squares: all.squares, summed: summed(n, r) })
}

impl Part {
    /// Adds the products of a block of so many rows of Y; asks for what comes next.
    fn add(
        &mut self,
        rows: &Shifted<'_>,
        first: usize,
        count: usize,
        panels: &[f64],
        next: &[f64],
    ) {
        if panels.is_empty() {
            return;
        }
        tall::add_gram(panels, count, &mut self.gram, next);
        let (k, width) = (rows.problem.targets, panels.len() / count);
        let mut targets = [0.0; BLOCK];
        for (t, cross) in self.cross.chunks_exact_mut(width).enumerate() {
            for (i, target) in targets[..count].iter_mut().enumerate() {
                let b = rows.problem.b[(first + i) * k + t] - rows.target_means[t];
                *target = rows.root(first + i) * b;
            }
            tall::add_multiples(panels, &targets[..count], cross);
        }
    }
}
